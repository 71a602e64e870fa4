"""The microscope itself: what it must see, and what it must not complain about."""

import configparser
import functools
import json
import pathlib
import re

import numpy as np
import pytest

from npssl.check import COMPLEX, DIFFERENCES, GradientError, Kink, check, functional, inspect, kept
from npssl.cli import main
from npssl.cli.info import EXTRAS
from npssl.params import Params, normal

ROOT = pathlib.Path(__file__).resolve().parent.parent
SEEDS = range(5)


def rng(seed=0):
    return np.random.default_rng(seed)


# right backwards, of every kind -------------------------------------------------------------------


def square(x):
    return x * x, lambda dy: 2 * x * dy


def linear(x, w, b):
    y = x @ w + b

    def back(dy):
        rows = dy.reshape(-1, w.shape[1])
        return dy @ w.T, x.reshape(-1, w.shape[0]).T @ rows, rows.sum(0)

    return y, back


def layernorm(x, gain, bias, *, eps=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    s = 1 / np.sqrt(np.square(centred).mean(-1, keepdims=True) + eps)
    xhat = s * centred

    def back(dy):
        rows, u = tuple(range(dy.ndim - 1)), gain * dy
        mean = functools.partial(np.mean, axis=-1, keepdims=True)
        return s * (u - mean(u) - xhat * mean(xhat * u)), (dy * xhat).sum(rows), dy.sum(rows)

    return gain * xhat + bias, back


def relu(x):
    return np.maximum(x, 0), lambda dy: dy * (x > 0)


def absolute(x):
    return np.abs(x), lambda dy: dy * np.sign(x)


def softplus(x):
    return np.logaddexp(0, x), lambda dy: dy / (1 + np.exp(-x))


def dropout(x, *, rng):
    keep = (rng.random(x.shape) > 0.5) * np.asarray(2, x.dtype)
    return x * keep, lambda dy: dy * keep


def embedding(table, *, ids):
    def back(dy):
        grad = np.zeros_like(table)
        np.add.at(grad, ids, dy)
        return grad

    return table[ids], back


def split(x):
    half = x.shape[-1] // 2
    return (x[..., :half], 2 * x[..., half:]), lambda da, db: np.concatenate([da, 2 * db], -1)


def mean_square(x):
    return np.square(x).mean(), lambda dvalue=1.0: 2 / x.size * dvalue * x


def logarithm(x):
    return np.log(x), lambda dy: dy / x


def real_only(x):
    out = np.empty(x.shape)  # complex numbers lose their imaginary part here, with a warning
    out[...] = x**3
    return out, lambda dy: 3 * x * x * dy


IDS = np.array([1, 0, 1, 1])
RIGHT = {
    "square": (square, [(3, 4)], {}, COMPLEX),
    "linear": (linear, [(2, 3, 4), (4, 5), (5,)], {}, COMPLEX),
    "layernorm": (layernorm, [(2, 3, 5), (5,), (5,)], {}, COMPLEX),
    "layernorm of two": (layernorm, [(3, 2), (2,), (2,)], {}, COMPLEX),
    "layernorm of one": (layernorm, [(3, 1), (1,), (1,)], {}, COMPLEX),
    "relu": (relu, [(4, 5)], {}, COMPLEX),
    "absolute": (absolute, [(4, 5)], {}, DIFFERENCES),
    "softplus": (softplus, [(4, 5)], {}, DIFFERENCES),
    "dropout": (dropout, [(4, 5)], {"rng": rng(1)}, COMPLEX),
    "embedding": (embedding, [(3, 2)], {"ids": IDS}, COMPLEX),
    "two outputs": (split, [(3, 4)], {}, COMPLEX),
    "loss": (mean_square, [(3, 4)], {}, COMPLEX),
    "only real": (real_only, [(3,)], {}, DIFFERENCES),
    "one number": (square, [()], {}, COMPLEX),
    "empty": (linear, [(0, 3), (3, 2), (2,)], {}, COMPLEX),
    "nothing at all": (square, [(0, 4)], {}, COMPLEX),
    "large": (linear, [(20, 30), (30, 15), (15,)], {}, COMPLEX),
    "large, differences": (softplus, [(20, 30)], {}, DIFFERENCES),
}


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("seed", SEEDS)
def test_no_false_alarm(name, seed):
    op, shapes, options, method = RIGHT[name]
    draw = rng(seed)
    report = inspect(op, *(draw.normal(size=shape) for shape in shapes), seed=seed, **options)
    assert report.ok, report
    assert report.method == method
    assert report.error < (1e-13 if method == COMPLEX else 1e-10)


@pytest.mark.parametrize("name", [n for n in RIGHT if n != "only real"])
def test_no_false_alarm_by_differences_alone(name):
    op, shapes, options, _ = RIGHT[name]
    draw = rng(7)
    report = inspect(op, *(draw.normal(size=s) for s in shapes), method=DIFFERENCES, **options)
    assert report.ok, report


@pytest.mark.parametrize("name", [n for n in RIGHT if n != "only real"])
def test_float32(name):
    op, shapes, options, _ = RIGHT[name]
    draw = rng(3)
    arrays = [draw.normal(size=shape).astype(np.float32) for shape in shapes]
    report = inspect(op, *arrays, **options)
    assert report.ok, report
    assert report.error < 1e-5


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3, 1e8])
def test_scale_of_the_numbers_does_not_matter(size):
    draw = rng(2)
    assert check(logarithm, size * draw.uniform(0.1, 2, 9)) < 1e-13
    assert check(logarithm, size * draw.uniform(0.1, 2, 9), method=DIFFERENCES) < 1e-9
    assert check(square, size * draw.normal(size=9), method=DIFFERENCES) < 1e-9


def test_steps_beyond_the_edge_are_left_out():
    near = np.array([2.0, 0.01, 1e-4])
    assert check(logarithm, near, method=DIFFERENCES) < 1e-9


def test_a_rough_forward_is_refused():
    """Computed in float32 inside: there are steps where a slope was asked for."""
    rough = lambda x: (np.sin(x.astype(np.float32)).astype(np.float64), lambda dy: dy * np.cos(x))
    with pytest.raises(Kink):
        check(rough, rng().normal(size=5))


def test_where_differences_do_not_settle_none_is_believed():
    root = lambda x: (np.sign(x) * np.abs(x) ** 1.5, lambda dy: 1.5 * np.sqrt(np.abs(x)) * dy)
    assert check(root, np.array([1.0, -0.5])) < 1e-9
    with pytest.raises(Kink, match="no derivative to be had"):
        check(root, np.array([1.0, 0.0]))


def test_strided_points_arrive_as_they_are():
    seen = []

    def op(x):
        seen.append(x.strides)
        return square(x)

    x = rng().normal(size=(6, 8))[::-2, ::3].T
    assert check(op, x) < 1e-14
    assert seen[0] == x.strides


# wrong backwards: each must be seen ---------------------------------------------------------------


def missing_sum(x, b):
    return x + b, lambda dy: (dy, dy[0])


def layernorm_without(*, mean=True, along=True):
    def op(x, gain, bias):
        y, back = layernorm(x, gain, bias)
        centred = x - x.mean(-1, keepdims=True)
        s = 1 / np.sqrt(np.square(centred).mean(-1, keepdims=True) + 1e-5)
        xhat = s * centred

        def wrong(dy):
            u = gain * dy
            dx = u - (u.mean(-1, keepdims=True) if mean else 0)
            dx = dx - (xhat * (xhat * u).mean(-1, keepdims=True) if along else 0)
            return s * dx, *back(dy)[1:]

        return y, wrong

    return op


def transposed(x, w):
    return x @ w, lambda dy: (dy @ w, x.T @ dy)


def swapped(a, b):
    return a * b, lambda dy: (a * dy, b * dy)


def wrong_sign(x):
    return np.cos(x), lambda dy: np.sin(x) * dy


def half(x):
    return x * x, lambda dy: x * dy


def last_id_wins(table, *, ids):
    def back(dy):
        grad = np.zeros_like(table)
        grad[ids] += dy
        return grad

    return table[ids], back


def one_entry_off(x):
    def back(dy):
        dx = 2 * x * dy
        dx[-1, -1] *= 1 + 1e-3
        return dx

    return x * x, back


def imaginary_part_lost(x):
    return x * x.real, lambda dy: x * dy  # the complex step alone would agree


def softmax_blind_to_ones(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    y = e / e.sum(-1, keepdims=True)
    return y, lambda dy: y * (dy - dy.mean(-1, keepdims=True))


def loss_forgets_dvalue(x):
    return np.square(x).sum(), lambda dvalue=1.0: 2 * x


def loss_forgets_the_mean(x):
    return np.square(x).mean(), lambda dvalue=1.0: 2 * x * dvalue


def second_output_ignored(x):
    return (x, x * x), lambda da, db: da + 0 * db


WRONG_VALUE = {
    "missing sum": (missing_sum, [(3, 2), (2,)], {}),
    "layernorm without the mean": (layernorm_without(mean=False), [(3, 4), (4,), (4,)], {}),
    "layernorm without xhat": (layernorm_without(along=False), [(3, 4), (4,), (4,)], {}),
    "transposed": (transposed, [(3, 3), (3, 3)], {}),
    "swapped": (swapped, [(3, 3), (3, 3)], {}),
    "sign": (wrong_sign, [(3, 3)], {}),
    "factor": (half, [(3, 3)], {}),
    "repeated ids": (last_id_wins, [(3, 2)], {"ids": IDS}),
    "one entry": (one_entry_off, [(5, 5)], {}),
    "imaginary part lost": (imaginary_part_lost, [(3,)], {}),
    "softmax": (softmax_blind_to_ones, [(3, 4)], {}),
    "mean": (loss_forgets_the_mean, [(3, 4)], {}),
    "second output": (second_output_ignored, [(3,)], {}),
    "large": (transposed, [(20, 20), (20, 20)], {}),
}


@pytest.mark.parametrize("name", WRONG_VALUE)
@pytest.mark.parametrize("method", ["auto", DIFFERENCES])
def test_wrong_numbers_are_seen(name, method):
    op, shapes, options = WRONG_VALUE[name]
    for seed in SEEDS:
        draw = rng(seed)
        arrays = [draw.normal(size=shape) for shape in shapes]
        report = inspect(op, *arrays, seed=seed, method=method, **options)
        assert not report.ok and report.error > 1e-8, report
        assert "WRONG" in str(report)


def test_the_report_points_at_the_entry():
    report = inspect(one_entry_off, rng().normal(size=(5, 5)) + 3)
    (finding,) = report.findings
    assert (finding.argument, finding.place) == ("x", "(4, 4)")
    assert abs(finding.found / finding.expected - 1.001) < 1e-12


# broken contracts: each must be named -------------------------------------------------------------


def writes_input(x):
    x *= 2
    return x, lambda dy: 2 * dy


def writes_input_in_back(x):
    def back(dy):
        x[...] = 0
        return dy

    return +x, back


def writes_behind_the_window(x):
    x.base[0, 0] += 1
    return +x, lambda dy: dy


def writes_dy(x):
    def back(dy):
        dy *= 2
        return dy

    return 2 * x, back


def writes_option(x, *, mask):
    mask[0] = False
    return x * mask, lambda dy: dy * mask


def writes_y(x):
    y = 2 * x

    def back(dy):
        y[...] = 0
        return 2 * dy

    return y, back


NOISE = np.random.default_rng(0)


def noise_not_frozen(x):
    keep = NOISE.random(x.shape) > 0.5
    return x * keep, lambda dy: dy * keep


def counts(x):
    calls = []

    def back(dy):
        calls.append(1)
        return dy * len(calls)

    return +x, back


def accumulates(x):
    g = np.zeros_like(x)

    def back(dy):
        g.__iadd__(dy)
        return g

    return +x, back


def one_buffer(x):
    g = np.zeros_like(x)

    def back(dy):
        g[...] = 2 * dy
        return g

    return 2 * x, back


def wrong_dtype(x):
    return 2 * x, lambda dy: (2 * dy).astype(np.float32)


def output_dtype(x):
    return (2 * x).astype(np.float32), lambda dy: 2 * dy


def too_few(x, w):
    return x * w, lambda dy: w * dy


def too_many(x):
    return 2 * x, lambda dy: (2 * dy, dy)


def none(x, w):
    return x * w, lambda dy: (w * dy, None)


def wrong_shape(x, b):
    return x + b, lambda dy: (dy, dy)


def keeps_axis(x, b):
    return x + b, lambda dy: (dy, dy.sum(0, keepdims=True))


def not_linear(x):
    return +x, lambda dy: dy * np.abs(dy)


def affine(x):
    return +x, lambda dy: dy + 1


def nan_output(x):
    return np.sqrt(x - x - 1), lambda dy: dy


def nan_gradient(x):
    return +x, lambda dy: dy * np.nan


def flat_memory(x):
    return +x, lambda dy: dy.ravel("K").reshape(x.shape)


def no_back(x):
    return 2 * x


BROKEN = {
    "writes to the input": (writes_input, 1, {}, "lent.*x"),
    "writes to the input in back": (writes_input_in_back, 1, {}, "lent.*x"),
    "writes behind the window": (writes_behind_the_window, 1, {}, "x: expected it untouched"),
    "writes to dy": (writes_dy, 1, {}, "lent.*dy"),
    "writes to an option": (writes_option, 1, {"mask": np.ones((3, 3), bool)}, "lent.*mask"),
    "writes to y": (writes_y, 1, {}, "output y"),
    "noise is not frozen": (noise_not_frozen, 1, {}, "noise"),
    "back counts its calls": (counts, 1, {}, "x: back called twice"),
    "back accumulates": (accumulates, 1, {}, "x: "),
    "back reuses its buffer": (one_buffer, 1, {}, "x: a second call"),
    "dtype of a gradient": (wrong_dtype, 1, {}, "x: expected float64, found float32"),
    "dtype of the output": (output_dtype, 1, {}, "output 0: expected float64, found float32"),
    "too few gradients": (too_few, 2, {}, "expected 2 gradients.*x, w; found 1"),
    "too many gradients": (too_many, 1, {}, "expected 1 gradients.*x; found 2"),
    "None": (none, 2, {}, "w: expected an array, found NoneType"),
    "an axis too many": (keeps_axis, 2, {}, r"b: expected a gradient \(3, 3\), found \(1, 3\)"),
    "not linear": (not_linear, 1, {}, "x: back is not linear"),
    "affine": (affine, 1, {}, "x: back is not linear"),
    "dvalue forgotten": (loss_forgets_dvalue, 1, {}, "x: back is not linear"),
    "NaN output": (nan_output, 1, {}, "output 0: expected finite"),
    "NaN gradient": (nan_gradient, 1, {}, "x: expected a finite gradient"),
    "believes dy contiguous": (flat_memory, 1, {}, "x: dy in another memory layout"),
    "no back": (no_back, 1, {}, r"expected \(y, back\)"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_broken_contracts_are_named(name):
    op, n, options, message = BROKEN[name]
    arrays = [rng(k).normal(size=(3, 3)) for k in range(n)]
    with pytest.raises(GradientError, match=message):
        check(op, *arrays, **options)


def test_a_gradient_of_the_wrong_shape_is_named():
    with pytest.raises(GradientError, match=r"b: expected a gradient \(2,\), found \(3, 2\)"):
        check(wrong_shape, rng().normal(size=(3, 2)), np.ones(2))


def test_float32_must_stay_float32():
    lifted = lambda x: (x * np.float64(2), lambda dy: 2 * dy)
    assert check(lifted, np.ones(3)) < 1e-12
    with pytest.raises(GradientError, match="output 0: expected float32, found float64"):
        check(lifted, np.ones(3, np.float32))


def test_a_callers_array_is_never_left_frozen_or_changed():
    x, mask = np.ones((3, 3)), np.ones((3, 3), bool)
    generator = rng(5)
    state = generator.bit_generator.state
    check(square, x)
    with pytest.raises(GradientError):
        check(writes_option, x, mask=mask)
    check(dropout, x, rng=generator)
    assert x.flags.writeable and mask.flags.writeable and (x == 1).all() and mask.all()
    assert generator.bit_generator.state == state


@pytest.mark.parametrize(
    "point, message",
    [
        (np.array([1.0, np.nan]), "x: expected finite"),
        (np.array([1.0, np.inf]), "x: expected finite"),
        (np.array([1, 2]), "x: expected float32 or float64, found int64"),
        (np.array([1j]), "x: expected float32 or float64, found complex128"),
    ],
)
def test_points_that_cannot_be_checked(point, message):
    with pytest.raises(ValueError, match=message):
        check(square, point)


def test_calls_that_cannot_be_checked():
    with pytest.raises(ValueError, match="positional"):
        check(square)
    with pytest.raises(ValueError, match="method"):
        check(square, np.ones(2), method="guess")
    with pytest.raises(ValueError, match="x: the forward does not take complex"):
        check(softplus, np.ones(2), method=COMPLEX)


def test_errors_of_the_op_itself_pass_through():
    def op(x):
        raise ValueError("x: too blue")

    with pytest.raises(ValueError, match="too blue"):
        check(op, np.ones(2))


# kinks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", [relu, absolute])
@pytest.mark.parametrize("near", [0.0, 1e-9, -1e-8])
def test_a_kink_is_refused(op, near):
    with pytest.raises(Kink):
        check(op, np.array([1.0, near, -2.0]))


def test_ties_of_a_maximum_are_kinks():
    def top(x):
        best = (x == x.max()).astype(x.dtype)
        return x.max(), lambda dvalue=1.0: best * dvalue

    with pytest.raises(Kink):
        check(top, np.array([1.0, 3.0, 3.0]))
    assert check(top, np.array([1.0, 3.0, 2.0])) < 1e-12


def test_a_jump_is_a_kink():
    with pytest.raises(Kink):
        check(lambda x: (x + (x > 0), lambda dy: dy), np.array([1.0, 0.0]))


@pytest.mark.parametrize("op", [relu, absolute])
@pytest.mark.parametrize("near", [1e-5, -1e-4, 1e-3, 0.01])
@pytest.mark.parametrize("method", ["auto", DIFFERENCES])
def test_beside_a_kink_there_is_a_slope(op, near, method):
    assert check(op, np.array([1.0, near, -2.0]), method=method) < 1e-9


def test_a_kink_never_hides_a_wrong_gradient():
    wrong = lambda x: (np.abs(x), lambda dy: dy)
    seen = 0
    for seed in range(20):
        seen += check(wrong, rng(seed).normal(size=20)) > 0.1
    assert seen == 20


# models and tasks ---------------------------------------------------------------------------------

SPEC = dict(first=dict(w=normal(3, 4, std=1.0), b=normal(4)), again=[normal(4, 4, std=1.0)])


def net(p, x):
    """Two layers; the second matrix is used twice."""
    a = np.tanh(x @ p.first.w + p.first.b)
    (w,) = p.again
    h = np.tanh(a @ w)
    y = h @ w

    def back(dy, g):
        g.again[0] += h.T @ dy
        du = (dy @ w.T) * (1 - h * h)
        g.again[0] += a.T @ du
        da = (du @ w.T) * (1 - a * a)
        g.first.w += x.T @ da
        g.first.b += da.sum(0)
        return da @ p.first.w.T

    return y, back


class Task:
    """Ends in a number; its back takes the gradients first (law 3)."""

    def loss(self, p, x, y, rng=None):
        h, back_net = net(p, x)
        error = h - y

        def back(g, dvalue=1.0):
            back_net(2 / error.size * dvalue * error, g)

        return np.square(error).mean(), back


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_functional_of_a_model(dtype):
    params = Params(SPEC, rng(), dtype=dtype)
    x = rng(1).normal(size=(5, 3)).astype(dtype)
    report = inspect(functional(net, params), params.flat, x)
    assert report.ok and report.op == "net", report
    assert [f.argument for f in report.findings] == ["p", "x"]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_model_that_does_not_add_is_named(dtype):
    def forgets(p, x):
        def back(dy, g):
            g.first.b[...] = dy.sum(0)
            return dy

        return x + p.first.b, back

    params = Params(SPEC, rng(), dtype=dtype)
    with pytest.raises(GradientError, match="must add"):
        check(functional(forgets, params), params.flat, np.ones((2, 4), dtype))


def test_functional_of_a_task():
    params = Params(SPEC, rng(), dtype=np.float64)
    x, y = rng(1).normal(size=(5, 3)), rng(2).normal(size=(5, 4))
    assert check(functional(Task().loss, params), params.flat, x=x, y=y) < 1e-12


def test_a_model_that_forgets_a_use_of_its_weights_is_seen():
    def forgets(p, x):
        y, _ = net(p, x)
        h = np.tanh(np.tanh(x @ p.first.w + p.first.b) @ p.again[0])

        def back(dy, g):
            g.again[0] += h.T @ dy
            return np.zeros_like(x)

        return y, back

    params = Params(SPEC, rng(), dtype=np.float64)
    report = inspect(functional(forgets, params), params.flat, rng(1).normal(size=(5, 3)))
    assert [f.error > 1e-2 for f in report.findings] == [True, True]


def test_kept():
    x, w, b = np.ones((2, 3)), np.ones((3, 4)), np.ones(4)
    _, back = linear(x, w, b)
    assert kept(back) == {"w": w.nbytes, "x": x.nbytes}
    params = Params(SPEC, rng())
    _, back = net(params.tree, x.astype(np.float32))
    names = kept(back)
    assert {"a", "h", "x"} < set(names)
    assert kept(lambda dy: back(dy)).keys() == {f"back.{name}" for name in names}
    assert kept(lambda dy: dy) == {}


def test_kept_counts_a_buffer_once():
    x = np.ones((4, 4))
    y = x[::2].T
    assert kept(lambda dy: (x, y, dy)) == {"x": x.nbytes}
    backs = [lambda dy: dy * x, lambda dy: dy * np.ones(2)]
    assert kept(lambda dy: backs) == {"backs.0.x": x.nbytes}


# the commands -------------------------------------------------------------------------------------


def test_npssl_check_prints_a_row_for_each_op(capsys):
    assert main(["check", "softmax", "layernorm", "--examples", "4", "--seed", "3"]) == 0
    head, *rows, _, last = capsys.readouterr().out.splitlines()
    assert head.split() == ["op", "arguments", "method", "worst", "error", "bar", "examples"]
    names = [row.split()[0] for row in rows]
    assert "layernorm" in names and "log_softmax" in names and "relu" not in names
    assert all(row.split()[-2:] == ["4", "ok"] for row in rows)
    assert last == f"{len(rows)} of {len(rows)} are right"


@pytest.mark.parametrize(
    "wrong, error",
    [
        (lambda x: (x * x, lambda dy: x * dy), float),
        (lambda x: (x * x, lambda dy: (dy, dy)), type(None)),
    ],
)
def test_npssl_check_fails_when_one_is_wrong(monkeypatch, capsys, wrong, error):
    wrong.__name__ = "wrong_one"
    cases = {wrong: lambda size, rng: ((rng.normal(size=size(1, 3)),), {})}
    monkeypatch.setattr("npssl.jobs.cases.CASES", cases)
    monkeypatch.setattr("npssl.jobs.cases.MODELS", {})
    for flags in ([], ["--json"]):
        with pytest.raises(SystemExit) as stopped:
            main(["check", *flags])
        assert stopped.value.code == 1
        out = capsys.readouterr().out
        assert "wrong_one" in out
    result = json.loads(out)
    assert result["ok"] is False
    assert result["ops"][0]["ok"] is False and isinstance(result["ops"][0]["error"], error)


def test_npssl_check_says_so_when_all_is_kinks(monkeypatch):
    monkeypatch.setattr("npssl.jobs.cases.CASES", {relu: lambda size, rng: ((np.zeros(2),), {})})
    with pytest.raises(SystemExit):
        main(["check", "relu", "--examples", "2"])


def test_npssl_check_refuses_what_it_does_not_know(capsys):
    assert main(["check", "nonsense"]) == 2
    assert main(["check", "--examples", "0"]) == 2
    assert main(["check", "--seed", "-1"]) == 2
    assert capsys.readouterr().err.count("npssl:") == 3


def test_npssl_info(capsys, monkeypatch):
    assert main(["info", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["numpy"] == np.__version__ and told["kernels"].startswith(("on", "off"))
    monkeypatch.setenv("NPSSL_NUMBA", "0")
    assert main(["info"]) == 0
    assert "NPSSL_NUMBA=0" in capsys.readouterr().out


def test_npssl_info_knows_the_extras():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    wanted = {
        extra: tuple(line.split(">")[0] for line in lines.split())
        for extra, lines in setup["options.extras_require"].items()
        if extra not in ("lint", "test")  # for those who develop it
    }
    assert wanted == EXTRAS


def test_the_guide_tells_the_truth():
    """The code in docs/check.md runs, and what it calls right is right."""
    code = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "check.md").read_text(), re.S)
    assert len(code) == 2
    names = {}
    exec("\n".join(code), names)
    a, b = rng(0).normal(size=(2, 5))
    assert check(names["cosine"], a, b) < 1e-14
