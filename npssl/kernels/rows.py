"""Affine map, layer norm and GELU of float32 rows, on all threads, in one pass each.

The pages are `npssl.layers.linear`, `layernorm` and `gelu`.  Rows are cut into blocks
that do not depend on threads, and what is summed over rows is summed block by block.
"""

import numpy as np
from numba import boolean, float32, prange, void

from npssl.kernels import panels
from npssl.kernels.elementary import gelu, gelu_and_slope
from npssl.kernels.gemm import BIAS, PANEL, STORE, address, gemm
from npssl.kernels.jit import jit, unwritten
from npssl.kernels.norm_row import norm_row, norm_row_back
from npssl.kernels.panels import COLUMNS, DEPTH, GAP

ROWS = 96  # of a block
_NUMBERS = 1 << 13  # of a block, where rows do not matter
_vector, _rows = float32[::1], float32[:, ::1]
_given, _given_rows = unwritten(_vector), unwritten(_rows)


@jit(void(_given_rows, _given, _given, boolean, _vector, _rows), parallel=True)
def affine(x, w, b, transposed, packed, y):
    """y = x w + b, or, transposed, y = x w^T for w that lies as (columns of y, columns of x)."""
    (M, k), n = x.shape, y.shape[1]
    for panel in prange((n + PANEL - 1) // PANEL):
        panels.pack_panel(w, k, n, packed, panel, transposed)
    mode = STORE if transposed else BIAS
    for block in prange((M + ROWS - 1) // ROWS):
        first = block * ROWS
        gemm(
            address(x) + 4 * first * k, 4 * k, 4, address(packed), k,
            address(y) + 4 * first * n, 4 * n, min(ROWS, M - first), n, k, address(b), mode,
        )  # fmt: skip


@jit(void(_given_rows, _given_rows, _rows), parallel=True)
def products(x, dy, dw):
    """dw += x^T dy."""
    (M, k), n = x.shape, dy.shape[1]
    tall = min(k, 256)
    tasks, pitch = (n + COLUMNS - 1) // COLUMNS * ((k + tall - 1) // tall), tall + GAP
    left, right, into = x.reshape(-1), dy.reshape(-1), dw.reshape(-1)
    for task in prange(tasks):
        panel = np.empty(DEPTH * COLUMNS, np.float32)
        near = np.empty(DEPTH * pitch, np.float32)
        where = panels.place(task, k, n, tall)
        for r in range(0, M, DEPTH):
            end = min(M, r + DEPTH)
            panels.bring_near(left, k, r, end, where, near, pitch)
            panels.gradient_task(near, pitch, right, n, r, end, into, where, panel)


@jit(void(_given_rows, _given, _given, float32, _rows, _vector, _rows), parallel=True)
def norm(x, gain, bias, eps, hat, inverse, y):
    """y = gain hat + bias, hat the normalised rows, ``inverse`` 1 / deviation."""
    M = len(x)
    for block in prange((M + ROWS - 1) // ROWS):
        for r in range(block * ROWS, min(M, (block + 1) * ROWS)):
            inverse[r] = norm_row(x[r], hat[r], y[r], gain, bias, eps)


@jit(void(_given_rows, _rows, _vector, _given, _rows, _rows), parallel=True)
def norm_back(dy, hat, inverse, gain, sums, dx):
    """dx; adds to ``sums`` (blocks, 2 D) what gain and bias get."""
    M, D = dy.shape
    for block in prange(sums.shape[0]):
        d_gain, d_bias = sums[block, :D], sums[block, D:]
        for r in range(block * ROWS, min(M, (block + 1) * ROWS)):
            norm_row_back(dy[r], hat[r], inverse[r], gain, d_gain, d_bias, dx[r], False)


@jit(void(_given, boolean, _vector), parallel=True)
def gelu_all(x, tanh, y):
    """y = gelu(x)."""
    for block in prange((x.size + _NUMBERS - 1) // _NUMBERS):
        here = slice(block * _NUMBERS, min(x.size, (block + 1) * _NUMBERS))
        X, Y = x[here], y[here]
        if tanh:
            for i in range(X.size):
                Y[i] = gelu(X[i], True)
        else:
            for i in range(X.size):
                Y[i] = gelu(X[i], False)


@jit(void(_given, boolean, _given, _vector), parallel=True)
def gelu_back(x, tanh, dy, dx):
    """dx = dy gelu'(x)."""
    for block in prange((x.size + _NUMBERS - 1) // _NUMBERS):
        here = slice(block * _NUMBERS, min(x.size, (block + 1) * _NUMBERS))
        X, D, Y = x[here], dy[here], dx[here]
        if tanh:
            for i in range(X.size):
                Y[i] = D[i] * gelu_and_slope(X[i], True)[1]
        else:
            for i in range(X.size):
                Y[i] = D[i] * gelu_and_slope(X[i], False)[1]
