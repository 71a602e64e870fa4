"""Squared distances of rows, and choices by them: the page is `npssl.data.mining`."""

import numpy as np
from numba import float32, int64, prange, void

from npssl.kernels.jit import jit, unwritten

_given, _rows = unwritten(float32[:, ::1]), float32[:, ::1]
_ids = unwritten(int64[::1])
_NONE = np.float32(3e38)  # farther than anything


@jit
def _from(x, a, out):
    for j in range(len(x)):
        s = float32(0)
        for k in range(x.shape[1]):
            u = x[a, k] - x[j, k]
            s += u * u
        out[j] = s


@jit(void(_given, _ids, _rows), parallel=True)
def squared(x, rows, out):
    """out[i, j] = |x[rows[i]] - x[j]|^2; equal rows of x give equal numbers."""
    for i in prange(len(rows)):
        _from(x, rows[i], out[i])


@jit(void(_given, _ids, _ids, _ids, float32, int64[::1]), parallel=True)
def semi_hard(x, label, start, positive, margin, negative):
    """negative[t] of the pairs t = start[a] ... start[a + 1] - 1 of each anchor a; -1 = none."""
    for a in prange(len(x)):
        if start[a] < start[a + 1]:
            D, cost = np.empty(len(x), np.float32), np.empty(len(x), np.float32)
            _from(x, a, D)
            for t in range(start[a], start[a + 1]):
                p = positive[t]
                if t == start[a] or label[p] != label[positive[t - 1]]:
                    for j in range(len(x)):
                        own = label[j] == label[a] or label[j] == label[p]
                        cost[j] = _NONE if own else D[j]
                least = _NONE
                for j in range(len(x)):
                    least = min(least, cost[j] if cost[j] > D[p] else _NONE)
                negative[t] = -1
                if least < D[p] + margin and least < _NONE:
                    for j in range(len(x)):
                        if cost[j] == least:
                            negative[t] = j
                            break
