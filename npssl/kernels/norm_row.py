"""Layer norm of one row, there and back, for the kernels that pass over rows."""

import math

import numpy as np

from npssl.kernels.jit import jit

f32 = np.float32


@jit
def norm_row(x, hat, y, gain, bias, eps):
    """hat = (x - mean) / deviation, y = gain hat + bias, a row; returns 1 / deviation.

    y may be x: so that no loop reads the one and writes the other, there are two loops.
    """
    total, n = f32(0), f32(x.size)
    for j in range(x.size):
        total += x[j]
    mean, square = total / n, f32(0)
    for j in range(x.size):
        t = x[j] - mean
        square += t * t
    inverse = f32(1) / f32(math.sqrt(square / n + eps))
    for j in range(x.size):
        hat[j] = (x[j] - mean) * inverse
    for j in range(x.size):
        y[j] = hat[j] * gain[j] + bias[j]
    return inverse


@jit
def norm_row_back(dy, hat, inverse, gain, dgain, dbias, dx, add):
    """The way back through `norm_row`; ``add``: dx is added to, else written."""
    n, one, two = f32(hat.size), f32(0), f32(0)
    for j in range(hat.size):
        t = dy[j]
        dgain[j] += t * hat[j]
        dbias[j] += t
        t *= gain[j]
        one += t
        two += t * hat[j]
    one, two = one / n, two / n
    if add:
        for j in range(hat.size):
            dx[j] += inverse * (dy[j] * gain[j] - one - hat[j] * two)
    else:
        for j in range(hat.size):
            dx[j] = inverse * (dy[j] * gain[j] - one - hat[j] * two)
