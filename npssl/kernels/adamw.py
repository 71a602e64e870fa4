"""AdamW in one pass over its four vectors, where the page takes one for each operation;
and the square sum of a gradient.  Both go through blocks that do not depend on threads."""

import math

import numba
import numpy as np
from numba import prange

from npssl.kernels.jit import jit

_vector, _number = numba.float32[::1], numba.float32
_BLOCK = 1 << 15


# No fast mathematics: operation for operation, and so bit for bit, what the page does.
@jit(numba.void(*[_vector] * 4, *[_number] * 8), fastmath=False, parallel=True)
def adamw(p, g, m, v, shrink, b1, rest1, b2, rest2, rate, correct, eps):
    """See `npssl.optim.AdamW`, equations (1) to (4)."""
    for block in prange((p.size + _BLOCK - 1) // _BLOCK):
        here = slice(block * _BLOCK, min(p.size, (block + 1) * _BLOCK))
        P, G, M, V = p[here], g[here], m[here], v[here]
        for i in range(P.size):
            M[i] = b1 * M[i] + rest1 * G[i]  # (1)
            V[i] = b2 * V[i] + rest2 * (G[i] * G[i])  # (2)
            P[i] = shrink * P[i] - rate * M[i] / (math.sqrt(V[i]) * correct + eps)  # (3), (4)


@jit(numba.float64(_vector), parallel=True)
def square_sum(a):
    """Sum of squares, in float64."""
    parts = np.zeros((a.size + _BLOCK - 1) // _BLOCK)
    for block in prange(parts.size):
        x, total = a[block * _BLOCK : (block + 1) * _BLOCK], 0.0
        for i in range(x.size):
            total += numba.float64(x[i]) * numba.float64(x[i])
        parts[block] = total
    whole = 0.0
    for part in parts:
        whole += part
    return whole
