"""The clinic: what it must name, what it must not complain about, and whom it may ask."""

import json
import pathlib
import re
import sys
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from npssl.cli import main
from npssl.clinic import ClinicError, assert_gradients, diagnose
from npssl.jobs.cases import CASES
from npssl.layers.norm import layernorm
from npssl.layers.softmax import softmax as softmax_op
from npssl.losses.cross_entropy import cross_entropy


def rng(seed=0):
    return np.random.default_rng(seed)


def softmax(x):
    e = np.exp(x - x.real.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_a_dropped_term_is_named_with_its_line():
    report = diagnose(softmax, lambda dy, x: softmax(x) * dy, rng().normal(size=(3, 4)))
    assert report.verdict == "wrong" and report.causes[0].name == "term"
    assert "test_clinic.py" in report.causes[0].place
    assert "wrong" in str(report) and "wrong" in report._repr_html_()
    assert "round-off" in report.text() and "by entry" in report.text()


def test_a_scale_is_named_with_its_number():
    def forward(x, w):
        return np.square(x @ w).mean()

    def backward(dy, x, w):
        s = 2 * dy * (x @ w)
        return s @ w.T, x.T @ s

    report = diagnose(forward, backward, rng().normal(size=(8, 3)), rng(1).normal(size=(3, 2)))
    cause = report.causes[0]
    assert cause.name == "scale" and set(cause.arguments) == {"x", "w"}
    assert abs(cause.value - 16) < 1e-6


def test_assert_gradients_passes_and_tells():
    assert_gradients(np.tanh, lambda dy, x: dy * (1 - np.tanh(x) ** 2), rng().normal(size=5))
    with pytest.raises(AssertionError, match="likeliest cause"):
        assert_gradients(np.tanh, lambda dy, x: dy * (1 - x**2), rng().normal(size=5))


@pytest.mark.parametrize(
    "bad, says",
    [
        (np.arange(3), "keyword"),
        (np.ones(3) * 1j, "complex"),
        (np.array([1.0, np.nan]), "finite"),
    ],
)
def test_arguments_without_a_gradient_are_refused(bad, says):
    with pytest.raises(ValueError, match=says):
        diagnose(lambda x: x * x, lambda dy, x: 2 * x * dy, bad)


def test_a_forward_that_raises_says_where():
    with pytest.raises(ClinicError, match=r"the forward raised ValueError.*test_clinic.py:\d+"):
        diagnose(lambda x: x @ np.ones(7), lambda dy, x: dy, np.ones((2, 3)))


def test_the_dtype_is_kept_in_view():
    x = rng().normal(size=5)
    right = lambda dy, x: dy * (1 - np.tanh(x) ** 2)
    for dtype in (np.float32, np.float16):
        assert diagnose(np.tanh, right, x.astype(dtype)).verdict == "right"
    lossy = lambda dy, x: ((1e4 + right(dy, x)) - 1e4).astype(x.dtype)
    assert diagnose(np.tanh, lossy, x.astype(np.float16)).verdict == "limited by precision"
    narrow = lambda x: np.tanh(x.astype(np.float32))
    assert diagnose(narrow, right, x).verdict == "limited by precision"
    report = diagnose(narrow, lambda dy, x: 3 * right(dy, x), x)
    assert report.verdict == "wrong" and abs(report.causes[0].value - 3) < 1e-3
    report = diagnose(np.tanh, lambda dy, x: right(dy, x).astype(np.float32), x)
    assert report.verdict == "limited by precision" and report.causes[0].name == "dtype"


def test_a_kink_is_no_mistake():
    relu = lambda x: np.maximum(x, 0)
    assert diagnose(relu, lambda dy, x: dy * (x > 0), np.array([0.0, 1, -1])).verdict == "at a kink"
    assert diagnose(relu, lambda dy, x: dy * (x > 0), np.array([0.5, 1, -1])).verdict == "right"


def test_empty_arrays_are_right():
    report = diagnose(np.tanh, lambda dy, x: dy * (1 - np.tanh(x) ** 2), np.zeros((0, 3)))
    assert report.verdict == "right" and report.text()


@pytest.mark.parametrize(
    "backward, cause, says",
    [
        (lambda dy, x: (2 * x * dy, dy), "count", "found 2"),
        (lambda dy, x: (2 * x * dy)[:1], "shape", "has the shape"),
        (lambda dy, x: 2 * x * dy / 0, "not finite", "infinite at"),
        (lambda dy, x: dy @ np.ones(7), "crash", "the backward raised ValueError"),
        (lambda dy, x: 2 * x * dy + 0j, "dtype", "imaginary"),
        (lambda dy, x: None, "no gradient", "zero everywhere"),
    ],
)
def test_what_is_broken_is_said(backward, cause, says):
    with np.errstate(all="ignore"):
        report = diagnose(lambda x: x * x, backward, rng().normal(size=(3, 2)))
    assert report.verdict == "wrong" and report.causes[0].name == cause
    assert says in report.causes[0].evidence


def written(dy, x):
    x *= 2
    return x * dy


def zeroed(dy, x):
    g = 2 * x * dy
    dy[:] = 0
    return g


@pytest.mark.parametrize(
    "forward, backward, says",
    [
        (np.square, written, "the backward writes to x"),
        (np.square, zeroed, "the backward writes to dy"),
        (lambda x: np.square(x, out=x), lambda dy, x: 2 * x * dy, "the forward writes to x"),
    ],
)
def test_who_writes_to_what_was_lent_is_said(forward, backward, says):
    report = diagnose(forward, backward, rng().normal(size=(3, 2)))
    assert report.verdict == "wrong" and says in report.causes[0].evidence


def standard(x, gain):
    c = x - x.mean(0)
    return gain * (c / np.sqrt(np.square(c).mean(0) + 1e-3))


def standard_without_gain_in_one_term(dy, x, gain):
    c = x - x.mean(0)
    s = 1 / np.sqrt(np.square(c).mean(0) + 1e-3)
    u, h = gain * dy, s * c
    return s * (dy - u.mean(0) - h * (h * u).mean(0)), (dy * h).sum(0)


def apart(x, y):
    return np.square(x[:, None] - y).sum(-1)


def apart_with_a_term_twice(dy, x, y):
    dx = 2 * (x * dy.sum(1)[:, None] - 2 * dy @ y)
    return dx, 2 * (y * dy.sum(0)[:, None] - dy.T @ x)


def written_over(dy, x, i, j):
    dx, d = np.zeros_like(x), dy[:, None]
    np.add.at(dx, i, d * x[j])
    dx[j] = d * x[i]
    return dx


def never_written(dy, x):
    d = np.where(np.arange(len(x)) > 0, 2 * dy * x, np.nan)
    d[0] = next(COUNT)
    return d


COUNT = iter(range(10**6))
I, J = np.array([0, 1, 3]), np.array([1, 2, 2])


@pytest.mark.parametrize(
    "forward, backward, shapes, options, cause, says",
    [
        (np.sin, lambda dy, x: np.cos(x), [(3, 2)], {}, "factor", "dy itself is not in it"),
        (
            lambda x: (np.exp(x) + x).sum(),
            lambda dy, x: dy + np.exp(x),
            [(3, 2)],
            {},
            "term",
            "has lost dy",
        ),
        (standard, standard_without_gain_in_one_term, [(5, 3), 3], {}, "factor", "without gain"),
        (apart, apart_with_a_term_twice, [(3, 4), (2, 4)], {}, "term", "dy @ y"),
        (
            lambda x: np.tanh(x).T @ np.exp(x),
            lambda dy, x: (np.exp(x) @ dy) * (1 - np.tanh(x) ** 2) + np.tanh(x) @ dy * np.exp(x),
            [(4, 3)],
            {},
            "axes",
            "transposed",
        ),
        (
            lambda x, w: np.tanh(x @ w),
            lambda dy, x, w: (
                (dy * (3 - np.tanh(x @ w) ** 2)) @ w.T,
                x.T @ (dy * (3 - np.tanh(x @ w) ** 2)),
            ),
            [(4, 3), (3, 2)],
            {},
            "activation",
            "the derivative 3 output^0 + -1 output^2",
        ),
        (
            lambda x, i, j: (x[i] * x[j]).sum(-1),
            written_over,
            [(4, 3)],
            {"i": I, "j": J},
            "repeated ids",
            "writing over",
        ),
        (np.square, never_written, [5], {}, "part", "never written"),
    ],
)
def test_what_the_proof_asked_for_is_named(forward, backward, shapes, options, cause, says):
    report = diagnose(forward, backward, *(rng().normal(size=s) for s in shapes), **options)
    assert report.verdict in ("wrong", "not deterministic")
    assert report.causes[0].name == cause and says in report.causes[0].evidence, report


@pytest.mark.parametrize(
    "forward, says",
    [
        (lambda x: np.log(-np.square(x)), r"output 0: NaN or infinity at \(0,\)"),
        (lambda x: np.arange(3), "output 0: expected floating point numbers, found int"),
    ],
)
def test_a_forward_without_numbers_is_refused(forward, says):
    with np.errstate(all="ignore"), pytest.raises(ClinicError, match=says):
        diagnose(forward, lambda dy, x: dy, np.ones(3))


def test_an_op_is_told_of_as_a_pair_is():
    def op(x, bad):
        y = x * x
        if bad == "raises":
            return y, lambda dy: dy @ np.ones(7)
        return y, lambda dy: {"count": (dy, dy), "shape": dy[:1], "not finite": dy * np.nan}[bad]

    for bad, cause in (("raises", "crash"), *((k, k) for k in ("count", "shape", "not finite"))):
        report = diagnose(op, rng().normal(size=(3, 2)), bad=bad)
        assert report.verdict == "wrong" and report.causes[0].name == cause
    with pytest.raises(ClinicError, match="expected .y, back. from an op"):
        diagnose(lambda x: x * x, np.ones(3))


def test_prints_are_noted_and_kept_from_the_screen(capsys):
    def backward(dy, x):
        print("debugging")
        return 2 * x * dy

    report = diagnose(lambda x: x * x, backward, np.ones(3))
    assert report.ok and "debugging" in report.notes[0]
    assert capsys.readouterr().out == ""


def test_a_cache_is_handed_on():
    def forward(x, w):
        return x @ w, (x, w)

    def backward(dy, cache):
        x, w = cache
        return dy @ w.T, x.T @ dy

    assert_gradients(forward, backward, rng().normal(size=(2, 3)), rng().normal(size=(3, 4)))


def test_a_hand_written_backward_of_pytorch():
    torch = pytest.importorskip("torch")

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, dy):
            return ctx.saved_tensors[0] * dy

    def op(x):
        x = torch.tensor(x, requires_grad=True)
        y = Square.apply(x)
        grad = lambda dy: torch.autograd.grad(y, x, torch.as_tensor(dy), retain_graph=True)
        return y.detach().numpy(), lambda dy: grad(dy)[0].numpy()

    report = diagnose(op, rng().normal(size=(3, 2)))
    assert report.causes[0].name == "scale" and abs(report.causes[0].value - 0.5) < 1e-9


def test_the_picture(tmp_path):
    pytest.importorskip("matplotlib")
    report = diagnose(softmax, lambda dy, x: softmax(x) * dy, rng().normal(size=(3, 4)))
    report.plot(tmp_path / "clinic.png")
    assert (tmp_path / "clinic.png").stat().st_size > 10_000


OWN = """
import numpy as np

def forward(x, w):
    return np.tanh(x @ w)

def backward(dy, x, w):
    h = np.tanh(x @ w)
    d = dy * (1 - h * h)
    return d @ w.T, {dw}

def example(rng):
    return rng.normal(size=(4, 3)), rng.normal(size=(3, 2))
"""


def test_the_command_on_ones_own_file(tmp_path, capsys):
    file = tmp_path / "my_file.py"
    file.write_text(OWN.format(dw="x.T @ d"))
    assert main(["check", f"{file}:forward:backward"]) == 0
    assert main(["check", f"{file}:forward:backward", "--shapes", "4x3", "3x2", "-v"]) == 0
    assert "error of central differences" in capsys.readouterr().out
    file.write_text(OWN.format(dw="x.T @ d / len(x)"))
    with pytest.raises(SystemExit):
        main(["check", f"{file}:forward:backward", "--json"])
    found = json.loads(capsys.readouterr().out)["reports"][f"{file}:forward:backward"]
    assert found["verdict"] == "wrong" and found["causes"][0]["name"] == "scale"
    for bad in (f"{file}:nothing", f"{file}:a:b:c", "no.py:f:g", str(file)):
        assert main(["check", bad]) == 2
    assert main(["check", f"{file}:forward:backward", "--shapes", "4by3"]) == 2
    assert main(["check", "softmax", "--shapes", "3x4"]) == 2
    file.write_text("1 / 0")
    assert main(["check", f"{file}:f"]) == 2
    capsys.readouterr()


def test_the_command_on_one_op_in_detail(capsys):
    assert main(["check", "layernorm", "-v"]) == 0
    assert "layernorm: right" in capsys.readouterr().out


# its own proof, small: benchmarks/bench_clinic.py has the whole -----------------------------------


@pytest.fixture(scope="module")
def bench():
    folder = pathlib.Path(__file__).resolve().parent.parent / "benchmarks"
    sys.path.insert(0, str(folder))
    try:
        import bench_clinic

        yield bench_clinic
    finally:
        sys.path.remove(str(folder))


def test_mistakes_by_hand_are_seen_and_named(bench):
    import mistakes

    rows = []
    for k, (name, names, make) in enumerate(mistakes.TUNING):
        draw = rng([k, 1])
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows.append(bench.judged(name, names, *make(draw, bench.sizes(draw)), peers=False))
    assert all(r["caught"] for r in rows), [r for r in rows if not r["caught"]]
    named = sum(r["first"] for r in rows)
    assert named >= 0.95 * len(rows), [r for r in rows if not r["first"]]


@pytest.mark.parametrize("op", [softmax_op, layernorm, cross_entropy], ids=lambda op: op.__name__)
def test_mutants_by_machine_are_seen(bench, op):
    import mutants

    for m in list(mutants.mutants(op))[::6]:
        mutant = m.function
        point = bench.example(op, mutant, 0, draws=50)
        if point is not None:
            with np.errstate(all="ignore"):
                report = diagnose(mutant, *point[0], **point[1])
            assert report.verdict in bench.BROKEN, m.label


def test_mutants_differ_and_sets_share_none(bench):
    import mutants

    every = [m for op in CASES for m in mutants.mutants(op)]
    assert len(every) >= 200
    last = [m for m in every if m.measuring]
    assert 150 <= len(last) <= len(every) / 2
    assert len({m.op for m in last}) >= 40 and {m.kind for m in last}.isdisjoint(mutants.NAMES)


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_false_alarm(data):
    op = data.draw(st.sampled_from(list(CASES)))
    draw = rng(data.draw(st.integers(0, 2**32 - 1)))
    arrays, options = CASES[op](lambda low, high: data.draw(st.integers(low, high)), draw)
    report = diagnose(op, *arrays, **options)
    assert report.verdict in ("right", "at a kink"), report


def test_no_false_alarm_in_ten_thousand_checks(bench):
    """40 of every op, and as many of the ops that take least time as are lacking then.

    Sizes up to 2: all that is tried are other numbers and other upstream gradients; the test
    above draws all sizes, and `bench_clinic.py --correct 1000000` has the time for both.
    """
    cheap = [op for op in CASES if op.__module__.endswith(CHEAP)]
    each = 40 * len(CASES)
    for ops, count in ((CASES, each), (cheap, 10_000 - each)):
        done, alarms = bench.correct(count, 1, ops, top=2)
        assert done == count and not alarms, alarms[:3]


CHEAP = ("activation", "dropout", "embedding", "gaussian", "layers.softmax")


def test_the_page_of_the_clinic_runs():
    """All of its examples, in order; those for PyTorch only where that is."""
    page = pathlib.Path(__file__).resolve().parent.parent / "docs" / "clinic.md"
    space: dict = {}
    blocks = re.findall(r"^```python *(\w*)\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    assert len(blocks) == 7
    for needs, source in blocks:
        if needs:
            pytest.importorskip(needs)
        exec(compile(source, "page.py", "exec"), space)


def test_rounding_where_digits_cancel_is_no_mistake():
    x = np.stack([np.array([0.3, -1.2, 0.8, 0.4]), 1 + 1e-5 * np.array([1.0, -1.0, 1.0, -1.001])])
    report = diagnose(layernorm, x, np.ones(4), np.zeros(4), eps=1e-14)
    assert report.verdict == "right" and report.relative_error["x"] > report.bar


@pytest.mark.parametrize("small", [3e-12, 1e-10])
def test_a_mistake_as_small_is_one(small):
    x = np.random.default_rng(0).normal(size=(3, 4))
    slope = lambda dy, x: dy * (1 - np.tanh(x) ** 2) * (1 + small)
    assert diagnose(np.tanh, slope, x).verdict == "wrong"
