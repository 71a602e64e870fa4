"""Squared distances of some rows from all: the page is `npssl.data.mining.squared_distances`."""

from numba import float32, int64, prange, void

from npssl.kernels.jit import jit, unwritten

_given, _rows = unwritten(float32[:, ::1]), float32[:, ::1]


@jit(void(_given, unwritten(int64[::1]), _rows), parallel=True)
def squared(x, rows, out):
    """out[i, j] = |x[rows[i]] - x[j]|^2; equal rows of x give equal numbers."""
    for i in prange(len(rows)):
        a = rows[i]
        for j in range(len(x)):
            s = float32(0)
            for k in range(x.shape[1]):
                u = x[a, k] - x[j, k]
                s += u * u
            out[i, j] = s
