"""What the layers' pages say: the facts to check by eye, plain loops, corners, errors."""

import math

import numpy as np
import pytest

from npssl.layers.activation import gelu, relu, sigmoid, softplus, tanh
from npssl.layers.attention import attention
from npssl.layers.bag import bag
from npssl.layers.dropout import dropout
from npssl.layers.embedding import embedding
from npssl.layers.gaussian import normal_cdf
from npssl.layers.linear import linear
from npssl.layers.norm import layernorm
from npssl.layers.similarity import unit
from npssl.layers.softmax import log_softmax, softmax

INF, NAN = math.inf, math.nan


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def near(found, expected, tolerance=1e-13):
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


# linear -------------------------------------------------------------------------------------------


def test_linear_is_a_double_loop(rng):
    x, w, b, dy = (rng.normal(size=s) for s in ((3, 4), (4, 2), (2,), (3, 2)))
    y, back = linear(x, w, b)
    for n in range(3):
        for o in range(2):
            near(y[n, o], sum(x[n, i] * w[i, o] for i in range(4)) + b[o])
    dx, dw, db = back(dy)
    near(dx, [[sum(dy[n, o] * w[i, o] for o in range(2)) for i in range(4)] for n in range(3)])
    near(dw, [[sum(x[n, i] * dy[n, o] for n in range(3)) for o in range(2)] for i in range(4)])
    near(db, [sum(dy[n, o] for n in range(3)) for o in range(2)])


def test_linear_counts_the_rows_of_all_leading_axes(rng):
    x, w, b = rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 5)), rng.normal(size=5)
    dy = rng.normal(size=(2, 3, 5))
    y, back = linear(x, w, b)
    flat, back_flat = linear(x.reshape(6, 4), w, b)
    near(y.reshape(6, 5), flat)
    for one, two in zip(back(dy), back_flat(dy.reshape(6, 5))):
        near(one.ravel(), two.ravel())
    single = linear(x[0, 0], w, b)[1](dy[0, 0])
    near(single[1], np.outer(x[0, 0], dy[0, 0]))


def test_linear_takes_a_tied_table(rng):
    table, x = rng.normal(size=(7, 4)), rng.normal(size=(3, 4))
    y, back = linear(x, table.T, np.zeros(7))
    near(y, x @ table.T)
    assert back(np.ones((3, 7)))[1].shape == (4, 7)


@pytest.mark.parametrize("w, b", [((4, 2), (1,)), ((4, 2), ()), ((4, 2), (3, 2)), ((3, 2), (2,))])
def test_linear_refuses_what_would_broadcast(w, b):
    with pytest.raises(ValueError, match=r"[wb] must .* found \("):
        linear(np.ones((3, 4)), np.ones(w), np.ones(b))


# embedding and bag --------------------------------------------------------------------------------


def test_embedding_credits_every_position_once(rng):
    table, ids = rng.normal(size=(5, 3)), rng.integers(0, 5, (4, 6))
    y, back = embedding(table, ids=ids)
    dy = rng.normal(size=y.shape)
    expected = np.zeros_like(table)
    for place in np.ndindex(ids.shape):
        near(y[place], table[ids[place]], 0)
        expected[ids[place]] += dy[place]
    near(back(dy), expected)
    near(back(dy).sum(0), dy.sum((0, 1)))


def test_embedding_adds_into_what_is_there(rng):
    table, ids = rng.normal(size=(5, 3)), np.array([4, 4, 0])
    _, back = embedding(table, ids=ids)
    dy, g = rng.normal(size=(3, 3)), rng.normal(size=(5, 3))
    before = g.copy()
    assert back(dy, into=g) is g
    near(g, before + back(dy))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_embedding_of_many_repeated_ids(rng, dtype):
    table, ids = rng.normal(size=(50, 8)).astype(dtype), rng.integers(0, 50, (40, 30))
    dy = rng.normal(size=(40, 30, 8)).astype(dtype)
    expected = np.zeros((50, 8))
    for place in np.ndindex(ids.shape):
        expected[ids[place]] += dy[place]
    found = embedding(table, ids=ids)[1](dy)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, atol=1e-4 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("ids_type", [np.int32, np.int64, np.uint8])
def test_embedding_kernel_gives_the_bytes_of_the_page(rng, monkeypatch, ids_type):
    table = rng.normal(size=(50, 9)).astype(np.float32)
    ids = rng.integers(0, 50, (40, 30)).astype(ids_type)
    dy = rng.normal(size=(9, 30, 40)).astype(np.float32).T  # not contiguous
    dy.flags.writeable = ids.flags.writeable = False
    _, back = embedding(table, ids=ids)
    fast = back(dy)
    into = np.ones((9, 50), np.float32).T  # not contiguous: the page takes over
    np.testing.assert_allclose(back(dy, into=into), 1 + fast, rtol=1e-4, atol=1e-4)
    monkeypatch.setenv("NPSSL_NUMBA", "0")
    assert back(dy).tobytes() == fast.tobytes()


def test_embedding_refuses_to_add_into_another_shape(rng):
    _, back = embedding(np.ones((5, 3), np.float32), ids=np.array([4]))
    for shape in [(4, 3), (5, 2), (5, 4)]:
        with pytest.raises(ValueError, match=r"into must have the shape \(5, 3\)"):
            back(np.ones((1, 3), np.float32), into=np.zeros(shape, np.float32))


@pytest.mark.parametrize("ids", [[-1], [0, 5], [1.0], [True]])
def test_embedding_refuses_ids_that_are_no_rows(ids):
    with pytest.raises(ValueError, match="ids must be"):
        embedding(np.ones((5, 2)), ids=np.array(ids))


def test_embedding_refuses_a_table_that_is_none():
    with pytest.raises(ValueError, match="table must be"):
        embedding(np.ones(5), ids=np.array([0]))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_bag_is_a_double_loop(rng, reduction):
    table = rng.normal(size=(6, 3))
    bags = [[0, 3, 3], [], [5], [], [1, 2, 3, 4], []]
    ids = np.array([i for b in bags for i in b])
    offsets = np.cumsum([0, *map(len, bags)])
    y, back = bag(table, ids=ids, offsets=offsets, reduction=reduction)
    dy, dtable = rng.normal(size=y.shape), np.zeros_like(table)
    for n, members in enumerate(bags):
        weight = 1 / len(members) if reduction == "mean" and members else 1
        near(y[n], weight * sum((table[i] for i in members), np.zeros(3)))
        for i in members:
            dtable[i] += weight * dy[n]
    near(back(dy), dtable)
    g = np.ones_like(table)
    assert back(dy, into=g) is g
    near(g, 1 + dtable)


def test_bag_gradients_that_leave_a_mean_sum_to_what_entered(rng):
    table = rng.normal(size=(6, 3))
    dy = rng.normal(size=(1, 3))
    _, back = bag(table, ids=np.array([0, 0, 4]), offsets=np.array([0, 3]))
    near(back(dy).sum(0), dy[0])


def test_bag_from_a_padded_matrix(rng):
    table, padded = rng.normal(size=(6, 3)), rng.integers(0, 6, (4, 5))
    mask = rng.random((4, 5)) < 0.5
    ids, offsets = padded[mask], np.append(0, mask.sum(1).cumsum())
    y, _ = bag(table, ids=ids, offsets=offsets, reduction="sum")
    near(y, (table[padded] * mask[..., None]).sum(1))


@pytest.mark.parametrize(
    "offsets", [[], [1, 3], [0, 2], [0, 4], [0, 3, 1, 3], [0.0, 3.0], [[0, 3]]]
)
def test_bag_refuses_offsets_that_do_not_cut(offsets):
    with pytest.raises(ValueError, match="offsets must"):
        bag(np.ones((5, 2)), ids=np.array([0, 1, 2]), offsets=np.array(offsets))


def test_bag_refuses_other_mistakes():
    table, offsets = np.ones((5, 2)), np.array([0, 1])
    with pytest.raises(ValueError, match="reduction must"):
        bag(table, ids=np.array([0]), offsets=offsets, reduction="max")
    with pytest.raises(ValueError, match="ids must be flat"):
        bag(table, ids=np.array([[0]]), offsets=offsets)
    with pytest.raises(ValueError, match="ids must be rows"):
        bag(table, ids=np.array([5]), offsets=offsets)


# activations --------------------------------------------------------------------------------------


def test_relu_at_and_around_its_corner():
    y, back = relu(np.array([-INF, -1.0, -0.0, 0.0, 2.0, INF, NAN]))
    near(y, [0, 0, 0, 0, 2, INF, NAN])
    assert back(np.ones(7)).tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_sigmoid_keeps_its_relative_precision_far_out():
    x = np.array([-700.0, -40.0, -1.0, 0.0, 1.0, 40.0])
    y, back = sigmoid(x)
    near(y / [1 / (1 + math.exp(-v)) for v in x], 1)
    near(sigmoid(-x)[0], 1 - y)
    near(back(np.ones(6)), sigmoid(-x)[1](np.ones(6)))
    with np.errstate(over="raise"):
        assert sigmoid(np.array([-INF, -1e30, 1e30, INF]))[0].tolist() == [0, 0, 1, 1]


def test_tanh_slope():
    _, back = tanh(np.array([0.0, 0.5, 1000.0]))
    near(back(np.ones(3)), [1, 1 / math.cosh(0.5) ** 2, 0])


def test_softplus_is_the_surprise(rng):
    x = 5 * rng.normal(size=50)
    y, back = softplus(x)
    near(y, -np.log(sigmoid(-x)[0]), 1e-12)
    near(y - softplus(-x)[0], x)
    near(back(np.ones(50)), sigmoid(x)[0])
    with np.errstate(over="raise"):
        assert softplus(np.array([-INF, -1e30, 1e30, INF]))[0].tolist() == [0, 0, 1e30, INF]


def test_normal_cdf_against_math_erfc():
    x = np.linspace(-37, 9, 2000)
    y, back = normal_cdf(x)
    near(y / [0.5 * math.erfc(-v / math.sqrt(2)) for v in x], 1, 1e-12)
    near(y, [0.5 * math.erfc(-v / math.sqrt(2)) for v in x], 1e-15)
    near(back(np.ones(2000)) / [math.exp(-v * v / 2) / math.sqrt(2 * math.pi) for v in x], 1)
    with np.errstate(over="raise", invalid="raise"):
        near(normal_cdf(np.array([-INF, -1e200, 0.0, 1e200, INF]))[0], [0, 0, 0.5, 1, 1], 1e-15)
    assert np.isnan(normal_cdf(np.array([NAN]))[0]).all()


def test_normal_cdf_in_single_precision():
    x = np.linspace(-10, 10, 999, dtype=np.float32)
    near(normal_cdf(x)[0], normal_cdf(x.astype(np.float64))[0], 5e-7)


def test_gelu_forms(rng):
    x = np.linspace(-8, 8, 4001)
    exact, smooth = gelu(x)[0], gelu(x, form="tanh")[0]
    near(exact, [v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x], 1e-14)
    c = math.sqrt(2 / math.pi)
    near(smooth, [0.5 * v * (1 + math.tanh(c * (v + 0.044715 * v**3))) for v in x], 1e-14)
    assert 4e-4 < np.abs(exact - smooth).max() < 5e-4
    for form in ("erf", "tanh"):
        near(gelu(x, form=form)[0] - gelu(-x, form=form)[0], x)
        near(gelu(np.zeros(1), form=form)[1](np.ones(1)), 0.5)
    with pytest.raises(ValueError, match="form must be .* found 'fast'"):
        gelu(x, form="fast")


# softmax ------------------------------------------------------------------------------------------


def test_softmax_is_a_double_loop(rng):
    x, dy = rng.normal(size=(3, 5)), rng.normal(size=(3, 5))
    y, back = softmax(x)
    dx = back(dy)
    for n in range(3):
        Z = sum(math.exp(v) for v in x[n])
        near(y[n], [math.exp(v) / Z for v in x[n]])
        for j in range(5):  # the whole Jacobian, entry by entry
            slopes = [y[n, i] * ((i == j) - y[n, j]) for i in range(5)]
            near(dx[n, j], sum(d * s for d, s in zip(dy[n], slopes)))


def test_softmax_facts(rng):
    x, dy = rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
    y, back = softmax(x)
    near(y.sum(-1), 1)
    near(back(dy).sum(-1), 0)
    near(back(np.ones((4, 5))), 0)
    near(softmax(x + 1000)[0], y, 1e-12)
    logs, back_logs = log_softmax(x)
    near(logs, np.log(y))
    near(back_logs(dy).sum(-1), 0)
    near(-back_logs(np.eye(5)[[1, 0, 2, 2]]), y - np.eye(5)[[1, 0, 2, 2]])


def test_softmax_where_things_are_impossible():
    x = np.array([[-INF, 0.0, 0.0], [-INF, -INF, -INF]])
    with np.errstate(all="raise"):
        y, back = softmax(x)
        assert y.tolist() == [[0, 0.5, 0.5], [0, 0, 0]]
        near(back(np.array([[5.0, 1, 0], [1, 2, 3]])), [[0, 0.25, -0.25], [0, 0, 0]])
        logs, back_logs = log_softmax(x)
        near(logs, [[-INF, -math.log(2), -math.log(2)], [-INF, -INF, -INF]])
        assert np.isfinite(back_logs(np.ones((2, 3)))).all()


@pytest.mark.parametrize("op", [softmax, log_softmax])
@pytest.mark.parametrize("shape", [(), (0,), (3, 0)])
def test_softmax_of_nothing(op, shape):
    with pytest.raises(ValueError, match="at least one score"):
        op(np.ones(shape))
    assert op(np.ones((0, 3)))[0].shape == (0, 3)


# layernorm ----------------------------------------------------------------------------------------


def test_layernorm_is_a_double_loop(rng):
    x, gain, bias = rng.normal(size=(3, 5)), rng.normal(size=5), rng.normal(size=5)
    y, _ = layernorm(x, gain, bias, eps=0.1)
    for n in range(3):
        mu = sum(x[n]) / 5
        var = sum((v - mu) ** 2 for v in x[n]) / 5
        near(y[n], [g * (v - mu) / math.sqrt(var + 0.1) + b for v, g, b in zip(x[n], gain, bias)])


def test_layernorm_facts(rng):
    x, gain = rng.normal(size=(3, 5)), rng.normal(size=5)
    y, _ = layernorm(x, np.ones(5), np.zeros(5), eps=1e-30)
    near(y.mean(-1), 0)
    near(np.square(y).mean(-1), 1)
    dx, _, _ = layernorm(x, gain, np.zeros(5), eps=1e-30)[1](rng.normal(size=(3, 5)))
    near(dx.sum(-1), 0)
    near((dx * y).sum(-1), 0)
    near(layernorm(7 * x + 3, np.ones(5), np.zeros(5), eps=1e-30)[0], y, 1e-12)


def test_layernorm_of_a_constant_vector_is_the_bias():
    y, back = layernorm(np.full((2, 3), 4.0), np.ones(3), np.array([1.0, 2, 3]))
    assert y.tolist() == [[1, 2, 3], [1, 2, 3]]
    assert np.isfinite(back(np.eye(2, 3))[0]).all()
    y, back = layernorm(np.array([[4.0]]), np.ones(1), np.ones(1))
    assert y.tolist() == [[1]] and back(np.ones((1, 1)))[0].tolist() == [[0]]


@pytest.mark.parametrize(
    "x, gain, bias, eps, name",
    [
        ((2, 3), (1,), (3,), 1e-5, "gain"),
        ((2, 3), (3,), (2, 3), 1e-5, "bias"),
        ((2, 0), (0,), (0,), 1e-5, "x"),
        ((), (), (), 1e-5, "x"),
        ((2, 3), (3,), (3,), 0.0, "eps"),
        ((2, 3), (3,), (3,), NAN, "eps"),
    ],
)
def test_layernorm_refuses(x, gain, bias, eps, name):
    with pytest.raises(ValueError, match=f"^{name} must .* found"):
        layernorm(np.ones(x), np.ones(gain), np.ones(bias), eps=eps)


# unit ---------------------------------------------------------------------------------------------


def test_unit_facts(rng):
    x, dy = rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
    y, back = unit(x)
    for n in range(4):
        near(y[n], x[n] / math.sqrt(sum(v * v for v in x[n])))
    near((back(dy) * x).sum(-1), 0)
    near(unit(2 * x)[1](dy), back(dy) / 2)
    near(unit(np.array([[-3.0]]))[0], -1)


def test_unit_of_extreme_vectors():
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        x = np.array([[0.0, 0], [1e-200, 0], [1e200, 1e200], [-1e-30, 1e-30]])
        y, back = unit(x)
        near(y, [[0, 0], [1, 0], [math.sqrt(0.5)] * 2, [-math.sqrt(0.5), math.sqrt(0.5)]])
        assert back(np.ones((4, 2)))[0].tolist() == [0, 0]
        tiny = np.array([[3e-30, 4e-30]], np.float32)
        near(unit(tiny)[0], [[0.6, 0.8]], 1e-6)
    assert unit(np.zeros((3, 0)))[0].shape == (3, 0)
    with pytest.raises(ValueError, match="x must"):
        unit(np.float64(3))


# dropout ------------------------------------------------------------------------------------------


def test_dropout_keeps_the_mean():
    x = np.ones(200_000)
    y, back = dropout(x, rate=0.2, rng=np.random.default_rng(0))
    assert set(np.unique(y)) == {0, 1.25}
    assert abs(y.mean() - 1) < 5 * 0.5 / math.sqrt(len(x))  # deviation of keep: sqrt(.2 / .8) = .5
    assert abs(y.var() - 0.25) < 0.01
    assert back(x).tobytes() == y.tobytes()


def test_dropout_without_a_generator_or_a_rate_is_nothing():
    x = np.arange(3.0)
    for y, back in (
        dropout(x, rate=0.5, rng=None),
        dropout(x, rate=0.0, rng=np.random.default_rng()),
    ):
        assert y is x and back(x) is x


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2, NAN])
def test_dropout_refuses_a_rate(rate):
    with pytest.raises(ValueError, match=r"rate must be in \[0, 1\), found"):
        dropout(np.ones(3), rate=rate, rng=None)


# all of them --------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", [relu, tanh, sigmoid, softplus, gelu, normal_cdf, unit, softmax])
def test_nan_is_passed_on(op):
    assert np.isnan(op(np.array([NAN, 1.0]))[0]).any()


@pytest.mark.parametrize("outputs", [1, 2, 16, 19])
def test_linear_of_any_width_and_layout(outputs):
    """Kernels take strided rows, and columns that fill no vector: as the page does."""
    rng = np.random.default_rng(outputs)
    h, w, b = (rng.normal(size=s) for s in ((7, 5, 32), (32, outputs), outputs))
    dy = rng.normal(size=(7, outputs))
    y, back = linear(h[:, 0], w, b)
    short = [a.astype(np.float32) for a in (h, w, b, dy)]
    y32, back32 = linear(short[0][:, 0], *short[1:3])
    for exact, found in zip((y, *back(dy)), (y32, *back32(short[3]))):
        assert found.shape == exact.shape and found.dtype == np.float32
        np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_query_that_sees_nothing_gets_zeros_and_gives_no_gradient(dtype):
    q, k, v, dy = np.random.default_rng(0).normal(size=(4, 2, 3, 5)).astype(dtype)
    mask = np.array([[True, False, True], [False, False, False], [True, True, True]])
    y, back = attention(q, k, v, mask=mask)
    dq, dk, dv = back(dy)
    assert not y[:, 1].any() and not dq[:, 1].any()
    assert y[:, [0, 2]].all() and dq[:, [0, 2]].all()
    dy[:, 1] = 7  # nothing comes back by what nobody was shown
    for now, before in zip(back(dy)[1:], (dk, dv)):
        near(now, before)
