"""Softmaxes over all pairs of rows, in tiles: the similarity matrix is never stored.

    s_ij = scale <x_i, y_j> + at_i + to_j

A task has a block of rows of x and goes through y tile by tile: a product, then the sum of
exponentials with a running maximum (`sums`), or, with the sums known, the softmaxes'
weights and their product with y (`pull`).  Each row of a result is made by one task in one
order, so threads change no byte; extra memory is a tile a thread.  (The running maximum:
Milakov & Gimelshein, "Online normalizer calculation for softmax", arXiv:1805.02867.)
"""

import math

import numpy as np
from numba import float32, int64, prange, types

from npssl.kernels import elementary
from npssl.kernels.gemm import ADD, PANEL, STORE, address, gemm, pack, pack_transposed
from npssl.kernels.jit import jit, unwritten

ROWS, COLUMNS = 192, 256  # of a tile
ALL, OTHERS, SAME = 0, 1, 2  # which j count for i: all; j != i; j != i of i's label
_NONE = np.float32(-3e38)
_FEW = np.float32(-1e38)

_rows = unwritten(float32[:, ::1])
_each = unwritten(float32[::1])
_label = unwritten(int64[::1])


@jit
def _tile(x, y, i, j, m, n, scale, at, to, label, other, which, packed, s):
    """The scores of one tile; those that do not count are very low."""
    d = x.shape[1]
    pack_transposed(y.reshape(-1), j * d, d, d, n, packed)
    a, c = address(x) + 4 * i * d, address(s)
    gemm(a, 4 * d, 4, address(packed), d, c, 4 * s.shape[1], m, n, d, 0, STORE)
    for r in range(m):
        row, plus, own = s[r, :n], at[i + r], label[i + r]
        for k in range(n):
            row[k] = row[k] * scale + (plus + to[j + k])
        if which == SAME:
            for k in range(n):
                row[k] = row[k] if other[j + k] == own else _NONE
        if which != ALL and j <= i + r < j + n:
            row[i + r - j] = _NONE


@jit(
    types.void(
        _rows, _rows, float32, _each, _each, _label, _label, int64, int64, int64, float32[::1]
    ),
    parallel=True,
)
def _sums(x, y, scale, at, to, label, other, which, rows, columns, out):
    """out_i = log sum_j exp(s_ij) over the j that count; 0 where none does."""
    N, d = x.shape
    M = len(y)
    for block in prange((N + rows - 1) // rows):
        i = block * rows
        m = min(rows, N - i)
        packed = np.empty(d * (columns + PANEL), np.float32)
        s = np.empty((rows, columns + PANEL), np.float32)
        top, total = np.full(m, _NONE), np.zeros(m)
        for j in range(0, M, columns):
            n = min(columns, M - j)
            _tile(x, y, i, j, m, n, scale, at, to, label, other, which, packed, s)
            for r in range(m):
                row, high = s[r, :n], top[r]
                for k in range(n):
                    high = max(high, row[k])
                if high > _FEW:
                    part = np.float32(0)
                    for k in range(n):
                        part += elementary.exp(row[k] - high)
                    total[r] = total[r] * math.exp(np.float64(top[r]) - high) + part
                    top[r] = high
        for r in range(m):
            out[i + r] = np.float32(top[r] + math.log(total[r])) if total[r] > 0 else 0


@jit(
    types.void(
        *(_rows, _rows, float32, _each, _each, _label, _label, int64, int64, int64),
        *(_each, _each, _each, _each, float32[:, ::1], float32[::1], float32[::1]),
    ),
    parallel=True,
)
def _pull(
    x, y, scale, at, to, label, other, which, rows, columns, norm, w, across, v, dx, mass, dot
):
    """g_ij = w_i exp(s_ij - norm_i) + v_j exp(s_ij - across_j); dx = g y, mass = sum_j g."""
    N, d = x.shape
    M = len(y)
    for block in prange((N + rows - 1) // rows):
        i = block * rows
        m = min(rows, N - i)
        width = (d + PANEL - 1) // PANEL * PANEL
        packed = np.empty(max(d * (columns + PANEL), columns * width), np.float32)
        s = np.empty((rows, columns + PANEL), np.float32)
        sums = np.zeros((rows, width), np.float32)
        heavy, score = np.zeros(m), np.zeros(m)
        for j in range(0, M, columns):
            n = min(columns, M - j)
            _tile(x, y, i, j, m, n, scale, at, to, label, other, which, packed, s)
            for r in range(m):
                row, one, two = s[r, :n], w[i + r], norm[i + r]
                part, scored = np.float32(0), np.float32(0)
                for k in range(n):
                    z = row[k]
                    g = one * elementary.exp(z - two)
                    g += v[j + k] * elementary.exp(z - across[j + k])
                    g = g if z > _FEW else np.float32(0)
                    row[k] = g
                    part += g
                    scored += g * (z if z > _FEW else np.float32(0))
                heavy[r] += part
                score[r] += scored
            pack(y.reshape(-1), j * d, d, n, d, packed)
            pitch = 4 * s.shape[1]
            c = address(sums)
            gemm(address(s), pitch, 4, address(packed), n, c, 4 * width, m, d, n, 0, ADD)
        for r in range(m):
            mass[i + r], dot[i + r] = heavy[r], score[r]
            for k in range(d):
                dx[i + r, k] = sums[r, k]


def _scores(x, y, scale, at, to, label, which, tile):
    at = np.zeros(len(x), np.float32) if at is None else at
    to = np.zeros(len(y), np.float32) if to is None else to
    if label is None:
        label = np.zeros(len(x), np.int64)
    other = label if len(label) == len(y) else np.zeros(len(y), np.int64)
    return x, y, scale, at, to, label, other, which, *tile


def sums(x, y, scale, *, at=None, to=None, label=None, which=ALL, tile=(ROWS, COLUMNS)):
    """(N,) log sum_j exp(s_ij) over the j that count; 0 where none does."""
    out = np.empty(len(x), np.float32)
    _sums(*_scores(x, y, scale, at, to, label, which, tile), out)
    return out


def pull(
    x, y, scale, norm, w, across, v, *, at=None, to=None, label=None, which=ALL,
    tile=(ROWS, COLUMNS),
):  # fmt: skip
    """g y (N, d), sum_j g_ij and sum_j g_ij s_ij (N,), of two softmaxes' weights

    g_ij = w_i exp(s_ij - norm_i) + v_j exp(s_ij - across_j).
    """
    dx, mass, dot = np.empty_like(x), np.empty(len(x), np.float32), np.empty(len(x), np.float32)
    scores = _scores(x, y, scale, at, to, label, which, tile)
    _pull(*scores, norm, w, across, v, dx, mass, dot)
    return dx, mass, dot
