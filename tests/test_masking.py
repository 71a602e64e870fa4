"""Masking: what is hidden can be put back, and as much is hidden as was asked for."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npssl.data.masking import mask

SPECIAL = {0, 2, 3}
ASK = dict(mask_id=4, vocabulary=100, special=SPECIAL)


def batch(rng, B, T):
    """Rows ``[CLS] tokens [SEP] [PAD]...`` and their lengths."""
    lengths = rng.integers(2, T + 1, B)
    ids = rng.integers(5, 100, (B, T)).astype(np.int32)
    ids[:, 0] = 2
    ids[np.arange(B), lengths - 1] = 3
    ids[np.arange(T) >= lengths[:, None]] = 0
    return ids, lengths


@given(
    seed=st.integers(0, 2**32 - 1),
    B=st.integers(0, 5),
    T=st.integers(2, 40),
    rate=st.floats(0.01, 1),
    most=st.none() | st.integers(1, 6),
    whole=st.booleans(),
    positions=st.booleans(),
)
def test_laws(seed, B, T, rate, most, whole, positions):
    rng = np.random.default_rng(seed)
    ids, lengths = batch(rng, B, T)
    before = ids.copy()
    pieces = rng.random((B, T)) < 0.4
    never = np.isin(ids, list(SPECIAL))
    ask = ASK | dict(rate=rate, most=most, lengths=lengths, rng=rng)
    if positions:
        ask["special"] = never
    x, where, word = mask(ids, whole_words=pieces if whole else None, **ask)
    assert np.array_equal(ids, before) and x.dtype == ids.dtype and where.dtype == np.int64
    assert (np.diff(where) > 0).all()
    assert not never.flat[where].any()
    back = x.copy()
    back.flat[where] = word
    assert np.array_equal(back, ids)
    chosen = np.zeros((B, T), bool)
    chosen.flat[where] = True
    for r in range(B):
        asked = max(1, round(rate * int(lengths[r])))
        asked = min(asked, most or asked, int((~never[r]).sum()))
        if not whole:
            assert chosen[r].sum() == asked
            continue
        assert chosen[r].sum() <= asked
        sizes = []
        for t in range(T):
            if never[r, t]:
                continue
            if pieces[r, t] and not never[r, t - 1]:
                assert chosen[r, t] == chosen[r, t - 1]
                sizes[-1][0] += 1
            else:
                sizes.append([1, chosen[r, t]])
        room = asked - chosen[r].sum()  # every word left out would pass the number
        assert all(taken or size > room for size, taken in sizes)


def near(found, n, p):
    return abs(found - n * p) <= 5 * np.sqrt(n * p * (1 - p)) + 1e-9


@pytest.mark.parametrize("whole", [False, True])
def test_rates(whole):
    rng = np.random.default_rng(1)
    ids = np.full((4000, 22), 50)
    ids[:, 0], ids[:, -1] = 2, 3
    pieces = np.zeros(ids.shape, bool) if whole else None
    x, where, word = mask(ids, rng=rng, whole_words=pieces, lowest=60, **ASK)
    n = len(where)
    assert n == 4000 * 3  # round(.15 * 22) = 3
    new = x.flat[where]
    assert near((new == 4).sum(), n, 0.8)
    assert near((new >= 60).sum(), n, 0.1)
    assert near((new == 50).sum(), n, 0.1)
    for t in range(1, 21):  # every position is as likely
        assert near((where % 22 == t).sum(), 4000, 3 / 20)
    for i in range(60, 100):  # and every random id
        assert near((new == i).sum(), n, 0.1 / 40)


def test_rows_without_candidates_hide_nothing():
    ids = np.array([[2, 3, 0], [2, 9, 3]])
    for whole in None, np.zeros((2, 3), bool):
        x, where, word = mask(
            ids, rng=np.random.default_rng(0), hidden=1, swapped=0, whole_words=whole, **ASK
        )
        assert where.tolist() == [4] and word.tolist() == [9] and x[1, 1] == 4
    x, where, word = mask(ids[:0], rng=np.random.default_rng(0), **ASK)
    assert x.shape == (0, 3) and len(where) == len(word) == 0


def test_one_row_and_the_same_again():
    ids = np.arange(5, 30)
    one = mask(ids, rng=np.random.default_rng(3), **ASK)
    two = mask(ids[None], rng=np.random.default_rng(3), **ASK)
    assert np.array_equal(one[0], two[0][0]) and np.array_equal(one[1], two[1])
    fortran = np.asfortranarray(np.tile(ids, (3, 1)))
    x, where, word = mask(fortran, rng=np.random.default_rng(3), **ASK)
    x.flat[where] = word
    assert np.array_equal(x, fortran)


@pytest.mark.parametrize(
    "wrong, named",
    [
        (dict(rate=0), "rate"),
        (dict(rate=1.1), "rate"),
        (dict(rate=float("nan")), "rate"),
        (dict(hidden=0.9, swapped=0.2), "hidden, swapped"),
        (dict(swapped=-0.1), "hidden, swapped"),
        (dict(mask_id=100), "mask_id"),
        (dict(mask_id=-1), "mask_id"),
        (dict(vocabulary=20), "ids"),
        (dict(vocabulary=0), "vocabulary"),
        (dict(lowest=100), "lowest"),
        (dict(most=0), "most"),
        (dict(special=7), "special"),
        (dict(special=np.zeros(3, bool)), "special"),
        (dict(whole_words=np.zeros(4, bool)), "whole_words"),
        (dict(whole_words=np.zeros((2, 4))), "whole_words"),
        (dict(lengths=[4]), "lengths"),
        (dict(lengths=[4, 5]), "lengths"),
        (dict(ids=np.zeros((2, 4))), "ids"),
    ],
)
def test_bad_input(wrong, named):
    ask = ASK | dict(ids=np.full((2, 4), 30), rng=np.random.default_rng(0)) | wrong
    with pytest.raises(ValueError, match=f"^{named}: expected"):
        mask(ask.pop("ids"), **ask)


@pytest.mark.parametrize("whole", [False, True])
def test_a_batch_takes_a_moment(whole):
    rng = np.random.default_rng(0)
    ids, lengths = batch(rng, 32, 128)
    pieces = rng.random(ids.shape) < 0.3 if whole else None
    best = np.inf
    for _ in range(20):
        start = time.perf_counter()
        mask(ids, rng=rng, whole_words=pieces, lengths=lengths, **ASK)
        best = min(best, time.perf_counter() - start)
    assert best < 5e-3  # about 0.3 ms on a quiet machine
