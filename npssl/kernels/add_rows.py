"""Add rows into a table at given places: the way back from a table lookup."""

from numba import types

from npssl.kernels.jit import jit

_ROWS = types.Array(types.float32, 2, "C", readonly=True)
_IDS = types.Array(types.int64, 1, "C", readonly=True)


@jit(types.void(types.float32[:, ::1], _IDS, _ROWS))
def add_rows(table, ids, rows):
    """``table[ids[n]] += rows[n]`` for n = 0, 1, ...: as ``numpy.add.at``, in the same order.

    Parameters
    ----------
    table : (V, D) float32          changed in place
    ids : (N,) int64                0 <= ids < V: nobody checks here
    rows : (N, D) float32
    """
    for n in range(ids.size):
        to, row = table[ids[n]], rows[n]
        for j in range(row.size):
            to[j] += row[j]
