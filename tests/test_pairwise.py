"""Losses in tiles against their pages."""

import numpy as np
import pytest

from npssl.kernels import pairwise
from npssl.losses.info_nce import info_nce
from npssl.losses.n_pair import n_pair
from npssl.losses.nt_xent import nt_xent
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


def test_size_of_a_tile_changes_rounding_only():
    x, label = _unit(301, 19), _label(301)
    w = np.full(301, 1 / 301, np.float32)
    for which in (pairwise.ALL, pairwise.OTHERS, pairwise.SAME):
        found = []
        for tile in ((192, 256), (7, 32), (64, 96)):
            total = pairwise.sums(x, x, 9.0, label=label, which=which, tile=tile)
            dx = pairwise.pull(x, x, 9.0, total, w, total, w, label=label, which=which, tile=tile)
            found.append((total, dx[0]))
        for total, dx in found[1:]:
            np.testing.assert_allclose(total, found[0][0], rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(dx, found[0][1], rtol=1e-5, atol=1e-7)


def test_threads_change_no_byte():
    import numba

    x, before = _unit(531, 64), numba.get_num_threads()
    found = []
    for threads in {1, min(2, numba.config.NUMBA_NUM_THREADS)}:
        numba.set_num_threads(threads)
        value, back = nt_xent(x, x[::-1].copy())
        found.append(value.tobytes() + b"".join(g.tobytes() for g in back()))
    numba.set_num_threads(before)
    assert len(set(found)) == 1
