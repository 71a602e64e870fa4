"""GRU and LSTM by kernels against their pages: values, gradients, threads, long texts in pieces."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npssl.layers.recurrent import gru, lstm


def arrays(op, B, T, I, H, seed=0):
    rng, gates = np.random.default_rng(seed), {gru: 3, lstm: 4}[op]
    draw = lambda *s: rng.standard_normal(s, dtype=np.float32) * np.float32(0.5)
    first = draw(H) if op is gru else draw(B, H)
    return draw(B, T, I), draw(I, gates * H), draw(H, gates * H), draw(gates * H), first, draw(B, H)


def there_and_back(op, given, mask):
    y, back = op(*given, mask=mask)
    dy = np.random.default_rng(1).standard_normal(y.shape, dtype=np.float32)
    return y, *back(dy)


@pytest.mark.parametrize("op", [gru, lstm])
@given(
    B=st.integers(1, 9),
    T=st.integers(1, 6),
    I=st.sampled_from([1, 5, 16, 32]),
    H=st.sampled_from([16, 32, 48]),
    masked=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_equals_the_page(op, B, T, I, H, masked):
    given = arrays(op, B, T, I, H)
    mask = np.random.default_rng(2).random((B, T)) < 0.6 if masked else None
    found = there_and_back(op, given, mask)
    with pytest.MonkeyPatch.context() as m:
        m.setenv("NPSSL_NUMBA", "0")
        expected = there_and_back(op, given, mask)
    for a, b in zip(found, expected):
        assert a.dtype == np.float32 and a.shape == b.shape
        assert abs(a - b).max() <= 3e-5 * abs(b).max() + 1e-6


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")
@pytest.mark.parametrize("op", [gru, lstm])
def test_same_bytes_on_any_number_of_threads(op):
    given, found = arrays(op, 7, 5, 16, 32), []
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            found.append(there_and_back(op, given, None))
    finally:
        numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(*found))


@pytest.mark.parametrize("kernels", ["0", "1"])
def test_a_long_text_in_pieces(kernels, monkeypatch):
    """State and cell carry over: two pieces give what the whole gives; padding changes nothing."""
    monkeypatch.setenv("NPSSL_NUMBA", kernels)
    x, w, u, b, h, c = arrays(lstm, 3, 8, 16, 16)
    whole, cell = lstm(x, w, u, b, h, c)[0], np.empty_like(c)
    padded = np.concatenate([x[:, :5], np.ones((3, 2, 16), np.float32)], 1)
    mask = np.arange(7) < np.full((3, 1), 5)
    one = lstm(padded, w, u, b, h, c, mask=mask, last_cell=cell)[0]
    two = lstm(np.ascontiguousarray(x[:, 5:]), w, u, b, one[:, -1].copy(), cell)[0]
    np.testing.assert_allclose(np.concatenate([one[:, :5], two], 1), whole, atol=1e-5)


def test_bad_input():
    x, w, u, b, h, c = arrays(lstm, 3, 4, 5, 16)
    with pytest.raises(ValueError, match=r"u must be \(16, 64\)"):
        lstm(x, w, u[:, :-1], b, h, c)
    with pytest.raises(ValueError, match="mask must be bool"):
        lstm(x, w, u, b, h, c, mask=np.ones((3, 4)))
    with pytest.raises(ValueError, match=r"c must have the shape \(16,\)"):
        gru(x, w[:, :48].copy(), u[:, :48].copy(), b[:48], h, h)
    with pytest.raises(ValueError, match="last_cell"):
        lstm(x, w, u, b, h, c, last_cell=np.empty((3, 15), np.float32))
