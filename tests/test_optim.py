"""Optimisers: against PyTorch, page against kernel, what they must leave alone."""

import importlib.util
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npssl.optim import SGD, AdamW, clip, constant, linear, warmup_cosine, warmup_linear
from npssl.params import Params, normal

SPEC = dict(w=normal(5, 3, std=1.0), table=normal(4, 2, std=1.0), b=normal(3, std=1.0))


def params(dtype=np.float64, frozen=(), seed=0):
    return Params(SPEC, np.random.default_rng(seed), dtype=dtype, frozen=frozen)


def walk(optimizer, p, steps, seed=1):
    """Some steps with random gradients of very different sizes and a moving rate."""
    rng, g = np.random.default_rng(seed), p.zeros()
    for k in range(steps):
        g.flat[:] = rng.standard_normal(p.flat.size) * 10.0 ** rng.integers(-4, 3)
        optimizer.step(p, g, 0.01 * (1 + k % 7))
    return p


@pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="needs torch")
@pytest.mark.parametrize(
    "ours, theirs",
    [
        (lambda p: AdamW(p, (0.8, 0.95), 1e-6, 0.1), ("AdamW", dict(betas=(0.8, 0.95), eps=1e-6))),
        (lambda p: AdamW(p, decay=0.1), ("AdamW", {})),
        (lambda p: SGD(p, decay=0.1), ("SGD", {})),
        (lambda p: SGD(p, 0.9, 0.1), ("SGD", dict(momentum=0.9))),
    ],
    ids=["adamw", "adamw defaults", "sgd", "momentum"],
)
def test_200_steps_agree_with_pytorch(ours, theirs):
    torch = pytest.importorskip("torch")
    p = params()
    leaves = {name: torch.tensor(view.copy()) for name, view in p.views.items()}
    name, options = theirs
    groups = [
        dict(params=[t for t in leaves.values() if t.ndim >= 2], weight_decay=0.1),
        dict(params=[t for t in leaves.values() if t.ndim < 2], weight_decay=0.0),
    ]
    other = getattr(torch.optim, name)(groups, lr=1.0, **options)
    mine, rng, g = ours(p), np.random.default_rng(3), p.zeros()
    for k in range(200):
        g.flat[:] = rng.standard_normal(p.flat.size) * 10.0 ** rng.integers(-4, 2)
        for key, t in leaves.items():
            t.grad = torch.tensor(g.views[key].copy())
        for group in other.param_groups:
            group["lr"] = 0.01 * (1 + k % 7)
        other.step()
        mine.step(p, g, 0.01 * (1 + k % 7))
    for key, t in leaves.items():
        np.testing.assert_allclose(p.views[key], t.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("bias_correction", [True, False])
def test_the_kernel_is_the_page_bit_for_bit(monkeypatch, bias_correction):
    pytest.importorskip("numba")
    ends = []
    for switch in ("1", "0"):
        monkeypatch.setenv("NPSSL_NUMBA", switch)
        p = params(np.float32, frozen=["table"])
        adam = AdamW(p, decay=0.1, bias_correction=bias_correction)
        walk(adam, p, 200)
        ends.append([p.flat.tobytes(), *(a.tobytes() for a in adam.state.values())])
    assert ends[0] == ends[1]


def test_float32_calls_the_kernel(monkeypatch):
    monkeypatch.setenv("NPSSL_NUMBA", "1")
    monkeypatch.setattr("npssl.optim._adamw", None)
    p = params(np.float32)
    walk(AdamW(p), p, 1)
    with pytest.raises(TypeError):
        p = params(np.float64)
        walk(AdamW(p), p, 1)


def test_without_bias_correction_as_bert():
    """The rule of google-research/bert: update = m / (sqrt(v) + eps) + decay p."""
    p = params()
    rng, g = np.random.default_rng(5), p.zeros()
    q, m, v = p.flat.copy(), np.zeros(p.flat.size), np.zeros(p.flat.size)
    decay = np.where(np.arange(p.flat.size) < p.decayed, 0.01, 0.0)
    adam = AdamW(p, eps=1e-6, decay=0.01, bias_correction=False)
    for _ in range(20):
        g.flat[:] = rng.standard_normal(p.flat.size)
        m, v = 0.9 * m + 0.1 * g.flat, 0.999 * v + 0.001 * g.flat**2
        q -= 0.02 * (m / (np.sqrt(v) + 1e-6) + decay * q)
        adam.step(p, g, 0.02)
    np.testing.assert_allclose(p.flat, q, rtol=1e-12)


@pytest.mark.parametrize("make", [lambda p: AdamW(p, decay=0.5), lambda p: SGD(p, 0.9, 0.5)])
def test_decay_touches_matrices_only(make):
    p = params()
    before = {name: view.copy() for name, view in p.views.items()}
    make(p).step(p, p.zeros(), 0.1)
    np.testing.assert_allclose(p.views["w"], 0.95 * before["w"])
    np.testing.assert_array_equal(p.views["b"], before["b"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", [lambda p: AdamW(p, decay=0.5), lambda p: SGD(p, 0.9, 0.5)])
@pytest.mark.parametrize("frozen", [["w"], ["table"], ["b"], ["w", "b"], ["w", "table", "b"]])
def test_frozen_parts_stay_and_the_rest_moves_as_ever(make, frozen, dtype):
    first, free, held = params(dtype), params(dtype), params(dtype, frozen=frozen)
    walk(make(free), free, 3)
    walk(make(held), held, 3)
    for name, view in held.views.items():
        wanted = (first if name in frozen else free).views[name]
        assert view.tobytes() == wanted.tobytes(), name


@pytest.mark.parametrize("make", [AdamW, SGD, lambda p: SGD(p, 0.9)])
def test_state_is_all_there_is(make):
    """Copying the state's arrays in place continues a run bit for bit."""
    p, q = params(np.float32), params(np.float32)
    one, two = make(p), make(q)
    walk(one, p, 3)
    q.flat[:] = p.flat
    for name, array in two.state.items():
        array[...] = one.state[name]
    walk(one, p, 4, seed=9)
    walk(two, q, 4, seed=9)
    assert p.flat.tobytes() == q.flat.tobytes()
    assert int(one.state["t"]) == 7


@given(st.integers(0, 9), st.floats(1e-3, 1e3), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_clip(exponent, norm, seed):
    g = params(seed=seed)
    g.flat *= 10.0 ** (exponent - 4)
    before = g.flat.copy()
    length = clip(g, norm)
    assert math.isclose(length, np.linalg.norm(before), rel_tol=1e-12)
    assert np.linalg.norm(g.flat) <= norm * (1 + 1e-12) or length <= norm
    np.testing.assert_allclose(g.flat, before * min(1, norm / length))


def test_clip_counts_what_is_trained_and_survives_overflow():
    g = params(np.float32, frozen=["w"])
    g.flat[:] = 1e30
    assert math.isclose(clip(g, 1.0), 1e30 * math.sqrt(11), rel_tol=1e-6)
    assert (g.views["w"] == np.float32(1e30)).all()
    g.views["b"][0] = np.inf
    before = g.flat.copy()
    assert clip(g, 1.0) == math.inf
    np.testing.assert_array_equal(g.flat, before)


def test_schedules():
    assert constant(0.3)(10**6) == 0.3
    falls = linear(1.0, 10, floor=0.1)
    assert (falls(0), falls(10), falls(11)) == (1.0, 0.1, 0.1)
    for schedule in (warmup_linear(2.0, 5, 20), warmup_cosine(2.0, 5, 20)):
        values = [schedule(k) for k in range(25)]
        assert values[4] == values[5] == max(values) == 2.0
        assert values[0] == 0.4 and values[20:] == [0.0] * 5
        assert all(a >= b for a, b in zip(values[5:], values[6:]))
        assert all(value > 0 for value in values[:20])
    assert warmup_cosine(2.0, 0, 20, floor=0.5)(20) == 0.5
    assert warmup_linear(2.0, 0, 20)(0) == 2.0


@pytest.mark.parametrize(
    "wrong, name",
    [
        (lambda p: AdamW(p, betas=(1.0, 0.9)), "betas"),
        (lambda p: AdamW(p, betas=(0.9, -1)), "betas"),
        (lambda p: AdamW(p, eps=-1e-8), "eps"),
        (lambda p: AdamW(p, decay=math.nan), "decay"),
        (lambda p: SGD(p, momentum=1.0), "momentum"),
        (lambda p: SGD(p, decay=-1), "decay"),
        (lambda p: clip(p, 0), "norm"),
        (lambda p: linear(1.0, 0), "steps"),
        (lambda p: warmup_linear(1.0, 5, 5), "warmup"),
        (lambda p: AdamW(p).step(p, params(np.float32), 0.1), "grads"),
        (lambda p: AdamW(params(np.float32)).step(p, p, 0.1), "state"),
    ],
)
def test_what_is_wrong_is_named(wrong, name):
    with pytest.raises(ValueError, match=name):
        wrong(params())


@pytest.mark.parametrize("make", [lambda p: AdamW(p, decay=0.5), lambda p: SGD(p, 0.9, 0.5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_only_reads_the_gradient(make, dtype):
    p = params(dtype)
    g = params(dtype, seed=4)
    before = g.flat.tobytes()
    make(p).step(p, g, 0.1)
    assert g.flat.tobytes() == before
