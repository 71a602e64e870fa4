"""Fused kernels of the transformer against its page: values, gradients, what dropout keeps,
the same bytes on any number of threads."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit, types

from npssl.kernels import gemm
from npssl.kernels.elementary import kept
from npssl.kernels.jit import by_name, jit
from npssl.layers.activation import gelu
from npssl.layers.linear import linear
from npssl.layers.norm import layernorm
from npssl.losses.table_cross_entropy import table_cross_entropy
from npssl.models.transformer import bert, gpt2
from npssl.params import Params
from npssl.tasks.masked_lm import MaskedLM
from npssl.tasks.next_token import NextToken

MODELS = {
    "bert": lambda rate: bert(50, 64, 2, 4, context=150, rate=rate),
    "gpt": lambda rate: gpt2(50, 64, 2, 2, context=150, rate=rate),
    "odd": lambda rate: bert(
        50, 96, 1, 2, context=150, hidden=80, causal=True, form="tanh", rate=rate
    ),
}


def parameters(model, rng):
    p = Params(model.spec(), rng)
    p.flat += 0.1 * rng.standard_normal(p.flat.shape, dtype=np.float32)
    return p


def both(monkeypatch, run):
    """What ``run`` gives with the kernels, and on the page."""
    found = run()
    with monkeypatch.context() as m:
        m.setenv("NPSSL_NUMBA", "0")
        return found, run()


def near(found, expected, bar=2e-5):
    scale = np.abs(expected).max() + 1e-9
    assert np.abs(found - expected).max() <= bar * scale


@pytest.fixture(scope="module")
def patch():
    with pytest.MonkeyPatch.context() as m:
        yield m


@given(
    m=st.integers(1, 30),
    k=st.integers(0, 40),
    n=st.integers(1, 70),
    across=st.booleans(),
    runs=st.integers(1, 3),
    transposed=st.booleans(),
    mode=st.sampled_from([gemm.STORE, gemm.ADD, gemm.BIAS]),
)
@settings(max_examples=150)
def test_gemm(m, k, n, across, runs, transposed, mode):
    rng = np.random.default_rng(m + 31 * k + 977 * n)
    draw = lambda *s: rng.standard_normal(s, dtype=np.float32)
    a = draw(runs, k + 2, m).transpose(2, 0, 1) if across else draw(m, runs, k + 2)
    (a_row, run, a_k), k = a.strides, runs * k
    left = a[:, :, : k // runs].reshape(m, k)
    b, wide = draw(k, n), gemm.padded(n)
    c, bias = draw(m, wide), draw(wide)
    before, packed = c.copy(), np.zeros(max(1, k) * wide, np.float32)
    if transposed:
        gemm.pack_transposed(np.ascontiguousarray(b.T).reshape(-1), 0, k, k, n, packed)
    else:
        gemm.pack(b.reshape(-1), 0, n, k, n, packed)
    gemm.product(
        *(a.ctypes.data, a_row, a_k, runs, run, packed.ctypes.data, k),
        *(c.ctypes.data, c.strides[0], m, n, k // runs, bias.ctypes.data, mode),
    )
    start = {gemm.STORE: 0, gemm.ADD: before[:, :n], gemm.BIAS: bias[:n]}[mode]
    np.testing.assert_allclose(c[:, :n], left.astype(float) @ b + start, rtol=1e-4, atol=1e-4)


@by_name("npssl_test_scaled")
@jit(types.void(gemm._given, types.int32, types.float64[::1]), cache=False)
def scaled(x, factor, y):
    for i in range(x.size):
        y[i] = factor * x[i]


def test_called_by_name():
    @njit
    def twice(x, y, n):
        scaled(x, 3, y)  # a literal, and an array that may be written to
        scaled(x[:n], np.uint8(2), y[:n])

    x, y = np.arange(4, dtype=np.float32), np.zeros(4)
    twice(x, y, 2)
    np.testing.assert_array_equal(y, [0, 2, 6, 9])
    refused = (lambda x: scaled(x, 3)), (lambda x: scaled(x, 3, x)), (lambda x: scaled(3, 3, x))
    for call in refused:
        with pytest.raises(TypeError, match="npssl_test_scaled: expected"):
            njit(call)(x)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "B, T, masked", [(3, 7, True), (1, 1, False), (2, 130, True), (5, 33, False)]
)
def test_equals_the_page(patch, name, B, T, masked):
    rng, model = np.random.default_rng(B + T), MODELS[name](0.0)
    p = parameters(model, rng)
    ids = rng.integers(0, 50, (B, T))
    segments = rng.integers(0, 2, (B, T)) if model.segments else None
    mask = np.arange(T) < rng.integers(1, T + 1, B)[:, None] if masked else np.ones((B, T), bool)
    dy = rng.standard_normal((B, T, model.width), dtype=np.float32) * mask[:, :, None]

    def run():
        y, back = model(p.tree, ids=ids, segments=segments, mask=mask)
        g = p.zeros()
        back(dy, g.tree)
        once = g.flat.copy()
        back(dy, g.tree)  # a second time adds the same
        near(g.flat, 2 * once)
        only = model.encode(p.tree, ids=ids, segments=segments, mask=mask)
        near(only[mask], y[mask])
        return y[mask], once

    (y, g), (y_page, g_page) = both(patch, run)
    near(y, y_page)
    near(g, g_page)
    assert not np.array_equal(g, g_page)  # two ways were taken


class Hashes:
    """A generator whose draws for dropout are those of the kernels, in the page's order."""

    def __init__(self, model, B, T, seed):
        seeds = np.random.default_rng(seed)
        H, A, rate = model.width, model.heads, model.rate
        rows = np.arange(B * T).reshape(B, T)
        flat = (rows[:, :, None] * H + np.arange(H)).astype(np.uint64)
        heads = (rows[:, None, :, None] * A + np.arange(A)[:, None, None]) * T + np.arange(T)
        self.masks = []
        for places in [[flat]] + [[heads, flat, flat]] * model.depth:
            drawn = seeds.integers(0, 1 << 32, len(places), dtype=np.uint32)
            self.masks += [kept(s, i, rate) for s, i in zip(drawn, places)]

    def random(self, shape, dtype):
        keep = self.masks.pop(0)
        assert keep.shape == shape
        return keep.astype(dtype)  # 1 is at least the rate, 0 is under it


@pytest.mark.parametrize("name", MODELS)
def test_dropout_keeps_what_the_hash_says(patch, name):
    B, T, rng, model = 3, 21, np.random.default_rng(5), MODELS[name](0.3)
    p = parameters(model, rng)
    ids = rng.integers(0, 50, (B, T))
    dy = rng.standard_normal((B, T, model.width), dtype=np.float32)

    def run(drawing):
        y, back = model(p.tree, ids=ids, rng=drawing)
        g = p.zeros()
        back(dy, g.tree)
        return y, g.flat

    y, g = run(np.random.default_rng(11))
    patch.setenv("NPSSL_NUMBA", "0")
    hashes = Hashes(model, B, T, 11)
    y_page, g_page = run(hashes)
    patch.delenv("NPSSL_NUMBA")
    assert not hashes.masks
    near(y, y_page)
    near(g, g_page)


@pytest.mark.parametrize("n", [1, 40, 1100])
def test_table_cross_entropy(patch, n):
    rng = np.random.default_rng(n)
    z, table = (rng.standard_normal(s, dtype=np.float32) for s in ((n, 32), (300, 32)))
    bias, target = rng.standard_normal(300, dtype=np.float32), rng.integers(0, 300, n)

    def run():
        value, back = table_cross_entropy(z, table, bias, target=target)
        into = np.ones_like(table), np.ones_like(bias)
        once, again = back(2.0), back(2.0, into=into)
        for a, b, start in zip(once, again, (0, 1, 1)):
            near(b - start, a, 1e-4)
        return value, *once

    for a, b in zip(*both(patch, run)):
        near(a, b)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one thread only")
@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_any_number_of_threads_gives_the_same_bytes(kind):
    rng = np.random.default_rng(0)
    if kind == "masked":
        task, t = MaskedLM(MODELS["bert"](0.1), mask_id=1), rng.integers(2, 50, (9, 150))
        t[::2, 100:] = 0
    else:
        task, t = NextToken(MODELS["gpt"](0.1)), rng.integers(0, 50, (9, 150))
    p = parameters(task, rng)

    def run(threads):
        numba.set_num_threads(threads)
        draw, g = np.random.default_rng(3), p.zeros()
        x, y = task.split(t, draw)
        value, back = task.loss(p.tree, x, y, draw)
        back(g.tree)
        return value.tobytes() + g.flat.tobytes()

    try:
        assert run(1) == run(2)
    finally:
        numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one thread only")
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("B, T", [(1, 5), (3, 30), (1, 150)])
def test_few_sequences_by_all_threads_give_the_same_bytes(name, B, T):
    rng, model = np.random.default_rng(0), MODELS[name](0.0)
    p, ids = parameters(model, rng), rng.integers(0, 50, (B, T))
    found = []
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            found.append(model.encode(p.tree, ids=ids).tobytes())
    finally:
        numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert found[0] == found[1]


@pytest.mark.parametrize("lead", [(1,), (3, 70), (200,)])
@pytest.mark.parametrize(
    "op, options",
    [(linear, {}), (layernorm, {"eps": 1e-6}), (gelu, {"form": "erf"}), (gelu, {"form": "tanh"})],
)
def test_ops_on_rows(patch, op, options, lead):
    rng = np.random.default_rng(len(lead))
    shapes = {linear: ((32, 48), (48,)), layernorm: ((32,), (32,)), gelu: ()}[op]
    x, *rest = (3 * rng.standard_normal(s, dtype=np.float32) for s in ((*lead, 32), *shapes))

    def run():
        y, back = op(x, *rest, **options)
        gradients = back(np.cos(y))
        return (y, *gradients) if isinstance(gradients, tuple) else (y, gradients)

    found, expected = both(patch, run)
    for a, b in zip(found, expected):
        assert a.shape == b.shape and a.dtype == b.dtype
        near(a, b)


@pytest.mark.parametrize("kernels", ["0", "1"])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (dict(ids=np.full((1, 2), 50)), "ids must be rows of the table, 0 to 49, found 50"),
        (dict(ids=np.full((1, 2), -1)), "ids must be rows of the table, 0 to 49, found -1"),
        (dict(ids=np.zeros((1, 2))), "ids must be whole numbers, found float64"),
        (dict(ids=np.zeros(2, int)), r"ids must be \(B, T\) .* found shape \(2,\)"),
        (dict(ids=np.zeros((1, 151), int)), "the context of 150, found shape .*151"),
        (dict(segments=np.full((1, 2), 2)), "ids must be rows of the table, 0 to 1, found 2"),
        (dict(segments=np.zeros((1, 3), int)), "segments must have the shape"),
        (dict(mask=np.ones((2, 2), bool)), "mask must have the shape"),
    ],
)
def test_bad_input_is_told_by_page_and_kernels(monkeypatch, kernels, wrong, said):
    monkeypatch.setenv("NPSSL_NUMBA", kernels)
    model = MODELS["bert"](0.0)
    p = parameters(model, np.random.default_rng(0)).tree
    given = dict(ids=np.zeros((1, 2), int)) | wrong
    for run in (model, model.encode):
        with pytest.raises(ValueError, match=said):
            run(p, **given)


@pytest.mark.parametrize("form", ["erf", "tanh"])
def test_gelu_of_few_numbers_is_the_same_each_time(form):
    """Also where x and y lie so near to each other that a loop without vectors would run."""
    rng, kept, found = np.random.default_rng(0), [], set()
    numbers = np.array([-0.11566406, 0.14305149, 0.03810004, -0.13323146], np.float32)
    dy = rng.standard_normal(4, dtype=np.float32)
    for i in range(20_000):
        if i % 7 == 0:  # so that the next lie elsewhere
            kept.append(np.empty(rng.integers(1, 9), np.float32))
        if len(kept) > 200:
            kept.pop(rng.integers(0, 200))
        y, back = gelu(numbers.copy(), form=form)
        found.add(y.tobytes() + back(dy.copy()).tobytes())
    assert len(found) == 1
