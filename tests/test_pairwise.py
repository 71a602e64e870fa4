"""Losses in tiles against their pages."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npssl.kernels import pairwise
from npssl.kernels.pairwise import ALL, DIFFERENT, DOT, OTHERS, ROOT, SAME, SQUARE, Pairs
from npssl.losses.info_nce import info_nce
from npssl.losses.lifted import lifted
from npssl.losses.n_pair import n_pair
from npssl.losses.nt_xent import nt_xent
from npssl.losses.semi_hard_triplet import semi_hard_triplet
from npssl.losses.soft_nearest_neighbor import soft_nearest_neighbor
from npssl.losses.sup_con import sup_con


def _unit(n, d, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, d))
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    x[5] = x[3]  # a duplicate
    x.flags.writeable = False
    return x


def _label(n):
    label = np.random.default_rng(2).integers(0, 9, n)
    label[7] = 99  # alone
    return label


CASES = {
    "nt_xent": lambda x, y, t: nt_xent(x, y, temperature=t),
    "info_nce": lambda x, y, t: info_nce(x[: len(y) - 9], y, temperature=t),
    "clip": lambda x, y, t: info_nce(x, y, temperature=t, symmetric=True),
    "n_pair": lambda x, y, t: n_pair(x, y),
    "soft": lambda x, y, t: soft_nearest_neighbor(x, np.array(t, x.dtype), label=_label(len(x))),
    "entangle": lambda x, y, t: soft_nearest_neighbor(
        x, np.array(t, x.dtype), label=_label(len(x)), entangle=True, reduction="sum"
    ),
    "lifted": lambda x, y, t: lifted(x, label=_label(len(x)), margin=t),
    "sup_con": lambda x, y, t: sup_con(x, label=_label(len(x)), temperature=t),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("n, d, t", [(301, 19, 0.5), (531, 64, 0.07), (300, 128, 1e-4)])
def test_tiles_are_the_page(name, n, d, t):
    x, y = _unit(n, d), _unit(n, d, 1)
    value, back = CASES[name](x, y, t)
    page, page_back = CASES[name](x.astype(float), y.astype(float), t)
    assert value.dtype == np.float32
    eps = 1e-6 + 1e-7 / t  # a logit of 1 / t is rounded to 6e-8 of itself
    assert abs(value - page) <= 1e-6 * max(1, abs(page))
    ours, theirs = back(), page_back()
    for a, b in zip(*((g if isinstance(g, tuple) else (g,)) for g in (ours, theirs))):
        assert a.dtype == np.float32
        assert np.abs(a - b).max() <= eps * np.abs(b).max()


@pytest.mark.parametrize("far", [0.0, 10.0])
def test_near_rows_far_from_the_origin_keep_their_distances(far):
    rng, label = np.random.default_rng(3), np.arange(300) % 7
    centre = rng.normal(size=(7, 24))[label]
    x = (far + centre + 1e-2 * rng.normal(size=(300, 24))).astype(np.float32)
    x[9] = x[2]  # a pair at distance 0
    for loss in (
        lambda x: lifted(x, label=label),
        lambda x: soft_nearest_neighbor(x, np.array(1e-3, x.dtype), label=label),
        lambda x: soft_nearest_neighbor(x, np.array(1e-3, x.dtype), label=label % 2),
    ):
        (value, back), (page, page_back) = loss(x), loss(x.astype(float))
        assert abs(value - page) <= 2e-6 * max(page, 1e-3)
        ours, theirs = back(), page_back()
        for a, b in zip(*((g if isinstance(g, tuple) else (g,)) for g in (ours, theirs))):
            assert np.abs(a - b).max() <= 2e-5 * np.abs(b).max()


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("rows, columns", [(1, 1), (2, 2), (5, 5), (6, 6), (3, 7), (8, 1)])
def test_everybody_meets_once_and_nobody_two_at_a_time(alone, rows, columns):
    columns = rows if alone else columns
    met = []
    for t in range(max(rows, columns)):
        kth = range(rows // 2 + 1 if alone else rows)
        now = [pairwise._meeting(t, k, rows, columns, alone) for k in kth]
        now = [pair for pair in now if pair[0] >= 0]
        if alone:
            busy = [block for pair in now for block in set(pair)]
            assert len(busy) == len(set(busy))
        else:
            for side in zip(*now):
                assert len(side) == len(set(side))
        met += now
    wanted = [(i, j) for i in range(rows) for j in range(i if alone else 0, columns)]
    assert sorted(met) == wanted


def _table(x, y, kind, scale):
    if kind == DOT:
        return scale * (x @ y.T)
    square = np.square(x[:, None] - y).sum(-1)
    return -scale * (square if kind == SQUARE else np.sqrt(square))


def _counts(which, label):
    same, own = label[:, None] == label, np.eye(len(label), dtype=bool)
    return {ALL: same | True, OTHERS: ~own, SAME: same & ~own, DIFFERENT: ~same}[which]


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 70),
    d=st.integers(1, 40),
    block=st.integers(1, 40),
    kind=st.sampled_from([DOT, SQUARE, ROOT]),
    which=st.sampled_from([OTHERS, SAME, DIFFERENT]),
    scale=st.sampled_from([0.5, 7.0, 300.0]),
    classes=st.integers(1, 6),
)
def test_sums_and_pulls_of_rows_with_themselves(seed, n, d, block, kind, which, scale, classes):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    label = rng.integers(0, classes, n)
    pairs = Pairs(x, scale=scale, kind=kind, label=label, block=block)
    s, counts = _table(x.astype(float), x.astype(float), kind, scale), _counts(which, label)
    some = counts.any(1)
    shifted = np.where(counts, s, -np.inf)
    top = np.where(some, shifted.max(1), 0)
    e = np.exp(shifted - top[:, None])
    total = np.where(some, top + np.log(np.where(some, e.sum(1), 1)), 0)
    found = pairs.sums(which)[0]
    assert np.abs(found - total).max() <= 1e-6 * max(1, scale)
    w = rng.normal(size=n).astype(np.float32) * some
    ds = w[:, None] * e / np.where(some, e.sum(1), 1)[:, None]
    ds = (ds + ds.T).astype(float)
    z = x.astype(float)
    if kind == DOT:
        expected = scale * ds @ z
    else:
        D = np.sqrt(np.square(z[:, None] - z).sum(-1))
        slope = 2 if kind == SQUARE else np.where(D > 0, 1 / np.where(D > 0, D, 1), 0)
        g = -scale * ds * slope
        expected = z * g.sum(1)[:, None] - g @ z
    dx = pairs.pull(total.astype(np.float32), w, which=which)
    assert np.abs(dx - expected).max() <= 3e-6 * max(1, scale) * max(scale, np.abs(expected).max())


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 70),
    m=st.integers(1, 70),
    d=st.integers(1, 40),
    block=st.integers(1, 40),
    scale=st.sampled_from([0.5, 7.0, 300.0]),
)
def test_sums_and_pulls_of_two_sets(seed, n, m, d, block, scale):
    rng = np.random.default_rng(seed)
    x, y = (rng.normal(size=(k, d)).astype(np.float32) / np.float32(d**0.5) for k in (n, m))
    pairs = Pairs(x, y, scale=scale, block=block)
    s = _table(x.astype(float), y.astype(float), DOT, scale)
    rows, columns = (np.logaddexp.reduce(s, axis) for axis in (1, 0))
    for found, wanted in zip(pairs.sums(), (rows, columns)):
        assert np.abs(found - wanted).max() <= 1e-6 * max(1, np.abs(s).max())
    w, v = rng.normal(size=n).astype(np.float32), rng.normal(size=m).astype(np.float32)
    ds = w[:, None] * np.exp(s - rows[:, None]) + v * np.exp(s - columns)
    found = pairs.pull(rows.astype(np.float32), w, columns.astype(np.float32), v)
    for dx, wanted in zip(found, (scale * ds @ y, scale * ds.T @ x)):
        bound = 3e-6 * max(1, np.abs(s).max()) * max(scale, np.abs(wanted).max())
        assert np.abs(dx - wanted).max() <= bound


@pytest.mark.parametrize("n, d, classes", [(150, 8, 60), (128, 3, 20), (128, 5, 256)])
def test_semi_hard_tiles_are_the_page_where_arithmetic_is_exact(n, d, classes):
    """Small whole numbers with mean 0: distances are exact, and many are equal."""
    rng = np.random.default_rng(n)
    x = rng.integers(-3, 4, (n, d))
    x = np.concatenate([x, -x])
    label = rng.integers(0, classes, 2 * n)
    for reduction in ("mean", "sum"):
        options = {"label": label, "margin": 1.5, "reduction": reduction}
        value, back = semi_hard_triplet(x.astype(np.float32), **options)
        page, page_back = semi_hard_triplet(x.astype(float), **options)
        assert page > 0 and value.dtype == np.float32
        assert abs(value - page) <= 1e-6 * page
        assert np.abs(back(-2.0) - page_back(-2.0)).max() <= 2e-6 * np.abs(page_back(-2.0)).max()


def test_semi_hard_tiles_differ_by_rounding_only():
    x = _unit(300, 40)
    label = np.arange(300) % 60
    (value, back), (page, page_back) = (
        semi_hard_triplet(a, label=label) for a in (x, x.astype(float))
    )
    assert abs(value - page) <= 1e-5 * page
    assert np.linalg.norm(back() - page_back()) <= 0.05 * np.linalg.norm(page_back())


def test_threads_change_no_byte():
    x, label, before = _unit(531, 64), _label(531), numba.get_num_threads()
    found = []
    for threads in {1, min(2, numba.config.NUMBA_NUM_THREADS)}:
        numba.set_num_threads(threads)
        whole = b""
        for value, back in (
            nt_xent(x, x[::-1].copy()),
            info_nce(x, x[::-1].copy(), symmetric=True),
            lifted(x, label=label),
            semi_hard_triplet(x, label=label),
        ):
            gradient = back()
            parts = gradient if isinstance(gradient, tuple) else (gradient,)
            whole += value.tobytes() + b"".join(g.tobytes() for g in parts)
        found.append(whole)
    numba.set_num_threads(before)
    assert len(set(found)) == 1
