"""AdamW in one pass over its four vectors, where the page takes one for each operation."""

import math

import numba

from npssl.kernels.jit import jit

_vector, _number = numba.float32[::1], numba.float32


# No fast mathematics: operation for operation, and so bit for bit, what the page does.
@jit(numba.void(*[_vector] * 4, *[_number] * 8), fastmath=False)
def adamw(p, g, m, v, shrink, b1, rest1, b2, rest2, rate, correct, eps):
    """See `npssl.optim.AdamW`, equations (1) to (4)."""
    for i in range(p.size):
        m[i] = b1 * m[i] + rest1 * g[i]  # (1)
        v[i] = b2 * v[i] + rest2 * (g[i] * g[i])  # (2)
        p[i] = shrink * p[i] - rate * m[i] / (math.sqrt(v[i]) * correct + eps)  # (3), (4)
