"""Convolution by kernels against its page: values, gradients, the same bytes on any threads."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npssl.layers.conv import conv2d


def arrays(seed, image, window, O):
    rng = np.random.default_rng(seed)
    draw = lambda *s: rng.standard_normal(s, dtype=np.float32)
    return draw(*image), draw(*window, image[3], O), draw(O)


def both_ways(given, **options):
    y, back = conv2d(*given, **options)
    dy = np.random.default_rng(1).standard_normal(y.shape, dtype=np.float32)
    return y, *back(dy)


sizes = st.tuples(st.integers(1, 3), st.integers(3, 9), st.integers(3, 9), st.integers(1, 40))
pairs = lambda low, high: st.tuples(st.integers(low, high), st.integers(low, high))


@given(
    image=sizes,
    window=pairs(1, 3),
    O=st.integers(1, 50),
    stride=pairs(1, 3),
    padding=pairs(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_equals_the_page(image, window, O, stride, padding):
    given = arrays(image[1], image, window, O)
    found = both_ways(given, stride=stride, padding=padding)
    with pytest.MonkeyPatch.context() as m:
        m.setenv("NPSSL_NUMBA", "0")
        expected = both_ways(given, stride=stride, padding=padding)
    for a, b in zip(found, expected):
        assert a.dtype == np.float32 and a.shape == b.shape
        assert abs(a - b).max() <= 2e-5 * abs(b).max() + 1e-6


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")
@pytest.mark.parametrize("C", [3, 20])
def test_same_bytes_on_any_number_of_threads(C):
    given, found = arrays(0, (5, 9, 8, C), (3, 3), 24), []
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            found.append(both_ways(given, padding=1))
    finally:
        numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(*found))
