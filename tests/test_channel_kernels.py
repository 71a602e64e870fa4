"""Norms of channels and pooling by kernels against their pages; the same bytes on any threads."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npssl.layers.batch_norm import batch_norm
from npssl.layers.group_norm import group_norm
from npssl.layers.pool import max_pool, mean_pool


def both_ways(op, *given, **options):
    """y and all gradients for one random dy."""
    y, back = op(*given, **options)
    found = back(np.random.default_rng(1).standard_normal(y.shape, dtype=np.float32))
    return y, *(found if isinstance(found, tuple) else (found,))


def page(op, *given, **options):
    with pytest.MonkeyPatch.context() as m:
        m.setenv("NPSSL_NUMBA", "0")
        return both_ways(op, *given, **options)


def equal(found, expected, exact=False):
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype == np.float32 and a.shape == b.shape
        assert abs(a - b).max() <= (0 if exact else 2e-5 * abs(b).max() + 2e-6)


def images(*shape):
    rng = np.random.default_rng(sum(shape))
    draw = lambda *s: rng.standard_normal(s, dtype=np.float32)
    return draw(*shape), draw(shape[-1]), draw(shape[-1])


sides = st.tuples(st.integers(1, 3), st.integers(3, 9), st.integers(3, 9), st.integers(1, 40))
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(shape=sides, size=pairs, stride=pairs, whole=st.booleans())
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("op", [max_pool, mean_pool])
def test_pooling_equals_the_page(op, shape, size, stride, whole):
    x = images(*shape)[0]
    x = x.round() if whole else x  # many are equal
    options = dict(size=size, stride=stride)
    y, dx = both_ways(op, x, **options)
    other = page(op, x, **options)
    equal((y,), other[:1], exact=op is max_pool)
    equal((dx,), other[1:])


@pytest.mark.parametrize("at", [0, 1, 3])
def test_the_largest_of_a_window_with_nan_is_nan(at):
    x = np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1)
    x.reshape(-1)[at] = np.nan
    (y, dx), (y0, dx0) = both_ways(max_pool, x), page(max_pool, x)
    assert np.isnan(y).all() and np.isnan(y0).all()
    assert dx.tolist() == dx0.tolist() and np.flatnonzero(dx).tolist() == [at]


@given(shape=st.tuples(st.integers(1, 9), st.integers(1, 130), st.integers(1, 40)))
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("moments", ["of the batch", "given"])
def test_batch_norm_equals_the_page(moments, shape):
    given, options = images(*shape), {"eps": 1e-3}
    if moments == "given":
        options |= {"mean": given[1], "variance": np.square(given[2])}
    equal(both_ways(batch_norm, *given, **options), page(batch_norm, *given, **options))


@given(shape=sides, groups=st.integers(1, 4), per=st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_group_norm_equals_the_page(shape, groups, per):
    given = images(*shape[:3], groups * per)
    options = dict(groups=groups, eps=1e-3)
    equal(both_ways(group_norm, *given, **options), page(group_norm, *given, **options))


def test_moments_far_from_zero_keep_their_digits():
    x = images(40, 30, 5)[0]
    one, zero = np.ones(5, np.float32), np.zeros(5, np.float32)
    expected = batch_norm(x.astype(float), one, zero)[0]
    assert abs(batch_norm(x + np.float32(100), one, zero)[0] - expected).max() < 1e-4


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")
@pytest.mark.parametrize(
    "op, options",
    [(max_pool, {}), (mean_pool, {}), (batch_norm, {}), (group_norm, {"groups": 4})],
)
def test_same_bytes_on_any_number_of_threads(op, options):
    given, found = images(5, 17, 16, 20), []
    given = given[:1] if "pool" in op.__name__ else given
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            found.append(both_ways(op, *given, **options))
    finally:
        numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(*found))
