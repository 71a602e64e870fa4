"""The epoch kernels against their pages: same draws, same tables up to float32 rounding."""

import numpy as np
import pytest

from npssl.data.sampling import alias_table, huffman, keep_probability, noise_distribution
from npssl.jobs.epochs import in_sixes
from npssl.kernels import draws
from npssl.params import aligned_zeros
from npssl.tasks import epoch

V, WINDOW = 50, 5


def text(rng, n=3000):
    ids = np.minimum(rng.zipf(1.3, n) - 1, V - 1).astype(np.int32)
    ids[rng.random(n) < 0.03] = -1  # some sentences are empty, most are short
    ids[1000:2400] = np.abs(ids[1000:2400])  # one is long: buffers must grow
    return ids


def tables(dim, seed=0, rows=V):
    rng, width = np.random.default_rng(seed), -(-dim // 16) * 16
    x = aligned_zeros(rows * width).reshape(rows, width)
    y = aligned_zeros((V + 1) * width).reshape(V + 1, width)
    x[:, :dim] = rng.normal(size=(rows, dim)) * 0.3
    y[:-1, :dim] = rng.normal(size=(V, dim)) * 0.3
    return x, y


def arguments(ids, objective, negative, sample=1e-2, hot=0, dim=16):
    counts = np.bincount(ids[ids >= 0], minlength=V) + 1
    keep = (keep_probability(counts, sample) * (2**32 - 1)).astype(np.uint32)
    noise = noise_distribution(counts)
    shift, tree = np.zeros(1, np.float32), (np.zeros(1, np.int64),) + (np.zeros(1, np.int32),) * 2
    groups = -(-(negative + 1) // 6)
    if objective == "nce":
        shift = np.log(1 / (negative * noise)).astype(np.float32)
    if objective == "hierarchical-softmax":
        start, nodes, code = huffman(counts)
        tree = in_sixes(start, V - 2 - nodes, code, pad=V)
        groups = int(np.diff(tree[0]).max())
    mine = lambda table: np.ascontiguousarray(np.stack([table[:hot]] * 2))
    head = lambda x, y: (ids, 10**6, x, y, mine(x), mine(y))
    return head, (keep, alias_table(noise), shift, *tree, groups)


RATES = (np.uint64(draws.key(3, 1)), 0.05, 1e-6, 1e-4, 100)
OBJECTIVES = [
    ("negative-sampling", 5),
    ("negative-sampling", 1),
    ("negative-sampling", 13),
    ("nce", 5),
    ("nce", 8),
    ("hierarchical-softmax", 0),
]


def close(kernel, page):
    for a, b in zip(kernel, page):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize("objective, negative", OBJECTIVES)
@pytest.mark.parametrize("dim, window", [(16, 5), (100, 2), (5, 9)])
def test_skip_gram_is_its_page(objective, negative, dim, window):
    from npssl.kernels.skip_gram import train

    ids = text(np.random.default_rng(negative))
    head, rest = arguments(ids, objective, negative)
    (x, y), (xp, yp) = tables(dim), tables(dim)
    before = x.copy()
    tail = (window, negative, *RATES)
    loss, pairs = train(*head(x, y), *rest, *tail)
    loss_page, pairs_page = epoch.skip_gram(*head(xp, yp), *rest, *tail)
    assert pairs == pairs_page > 1000
    assert abs(x - before).max() > 0.05, "it must have learnt something"
    close((x, y, loss), (xp, yp, loss_page))
    assert not x[:, dim:].any() and not y[:, dim:].any() and not y[-1].any()


@pytest.mark.parametrize("objective, negative", OBJECTIVES)
@pytest.mark.parametrize("cbow", [True, False])
@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("subwords", [True, False])
def test_bag_gram_is_its_page(objective, negative, cbow, share, subwords):
    from npssl.kernels.bag_gram import train

    rng = np.random.default_rng(negative)
    ids = text(rng)
    head, rest = arguments(ids, objective, negative)
    bags = np.zeros(1, np.int64), np.zeros(1, np.int32)
    rows = V
    if subwords:
        rows = V + 30
        sizes = rng.integers(0, 6, V)
        bags = (
            np.append(0, (1 + sizes).cumsum()),
            np.concatenate([np.append(w, V + rng.integers(0, 30, n)) for w, n in enumerate(sizes)]),
        )
        bags = bags[0].astype(np.int64), bags[1].astype(np.int32)
    (x, y), (xp, yp) = tables(20, rows=rows), tables(20, rows=rows)
    before = x.copy()
    tail = (*bags, int(cbow), int(share), WINDOW, negative, *RATES)
    loss, pairs = train(*head(x, y), *rest, *tail)
    loss_page, pairs_page = epoch.bag_gram(*head(xp, yp), *rest, *tail)
    assert pairs == pairs_page > 300
    assert abs(x - before).max() > 0.02
    close((x, y, loss), (xp, yp, loss_page))


@pytest.mark.parametrize("objective, negative", OBJECTIVES)
@pytest.mark.parametrize("hot, every", [(7, 1), (7, 50), (50, 10**9)])
def test_hot_rows_of_ones_own_change_nothing_for_one_thread(objective, negative, hot, every):
    from npssl.kernels.skip_gram import train

    ids = text(np.random.default_rng(negative))
    results = []
    for h in (0, hot):
        head, rest = arguments(ids, objective, negative, hot=h)
        x, y = tables(24)
        train(*head(x, y), *rest, WINDOW, negative, *RATES[:-1], every)
        results.append((x, y))
    close(*results)


def test_rate_zero_measures_without_learning():
    from npssl.kernels.skip_gram import train

    ids = text(np.random.default_rng(1))
    head, rest = arguments(ids, "negative-sampling", 5)
    x, y = tables(16)
    before = x.copy(), y.copy()
    loss, pairs = train(*head(x, y), *rest, WINDOW, 5, RATES[0], 0.0, 0.0, 0.0, 100)
    assert loss / pairs > 1
    assert np.array_equal(x, before[0]) and np.array_equal(y, before[1])


def test_large_scores_have_finite_loss_and_no_gradient_where_they_are_right():
    from npssl.kernels.skip_gram import train

    ids = np.array([0, 1, -1], np.int32)
    head, rest = arguments(ids, "negative-sampling", 1, sample=0)
    x, y = tables(16)
    x[:], y[:-1] = 0, 0
    x[:, 0], y[:2, 0], y[2:-1, 0] = 30, 30, -30
    loss, pairs = train(*head(x, y), *rest, WINDOW, 1, *RATES)
    assert pairs == 2 and np.isfinite(loss) and np.isfinite(x).all() and np.isfinite(y).all()


def through(emit, *inputs):
    """Run 16-lane code on one vector for each input."""
    from numba import types
    from numba.extending import intrinsic

    from npssl.kernels import lanes
    from npssl.kernels.jit import jit

    @intrinsic
    def code(typingctx, inputs, output):
        def codegen(context, b, signature, args):
            zero = lanes.I64(0)
            vectors = [
                lanes.load(b, lanes.load_int(b, args[0], i), zero) for i in range(len(vector))
            ]
            lanes.store(b, emit(lanes, b, vectors), args[1], zero)
            return context.get_dummy_value()

        return types.void(types.intp, types.intp), codegen

    vector = [np.ascontiguousarray(v, np.float32) for v in inputs]
    addresses, out = np.array([v.ctypes.data for v in vector]), np.empty(16, np.float32)
    jit(cache=False)(lambda a, b: code(a, b))(addresses.ctypes.data, out.ctypes.data)
    return out


def test_vector_functions_are_exact_to_float32():
    x = np.array(
        [-40, -27.3, -13.5, -1, -0.51, -0.49, -1e-4, 0, 1e-4, 0.3, 0.5, 2, 7.7, 20, 33, 40]
    )
    found = through(lambda lanes, b, v: lanes.exp2(b, v[0]), x)
    np.testing.assert_allclose(found, 2.0 ** x.astype(np.float32), rtol=4e-7)
    x = np.array([0.5, 0.7, 0.71, 0.99, 1, 1.0001, 1.4, 1.42, 2, 3, 10, 1e3, 1e9, 1e20, 1e30, 1e36])
    found = through(lambda lanes, b, v: lanes.log(b, v[0]), x)
    np.testing.assert_allclose(found, np.log(x.astype(np.float32)), rtol=4e-7, atol=1e-7)


@pytest.mark.parametrize("n", [1, 2, 5, 15, 16])
def test_sums_over_lanes_come_out_in_order(n):
    x = np.random.default_rng(n).normal(size=(n, 16)).astype(np.float32)
    found = through(lambda lanes, b, v: lanes.sum_lanes(b, v), *x)
    np.testing.assert_allclose(found[:n], x.sum(1), rtol=1e-4, atol=1e-5)
