"""Softmax over a vocabulary and its cross-entropy, from vectors and a table of words.

The page is `npssl.losses.table_cross_entropy`.  Scores stand word by word, (V, n): the
table is then read as it lies, maxima and sums over the words run down columns, many
side by side, and only the few vectors z must be packed.  A tile is some words; maxima
and sums of tiles are joined in their order, so the bytes do not depend on threads.
"""

import numpy as np
from numba import float32, int64, prange, void

from npssl.kernels.elementary import exp
from npssl.kernels.gemm import ADD, STORE, address, gemm, pack, pack_transposed, padded
from npssl.kernels.jit import jit

WORDS = 64  # words of a tile
TOGETHER = 1024  # vectors that go through the table together
GROUPS = 8  # of tiles, whose gradients of z are added up apart
_vector, _places, _rows = float32[::1], int64[::1], float32[:, ::1]
f32 = np.float32


@jit(void(_rows, _vector, _vector, _vector, _rows, _rows), parallel=True)
def _scores(table, bias, z, scores, top, total):
    """Scores of one group of vectors z, packed, and their maxima and sums by tiles."""
    V, H = table.shape
    n = top.shape[1]
    ld = scores.size // V
    for tile in prange(top.shape[0]):
        v0, v1 = tile * WORDS, min(V, (tile + 1) * WORDS)
        gemm(
            address(table) + 4 * v0 * H, 4 * H, 4, address(z), H,
            address(scores) + 4 * v0 * ld, 4 * ld, v1 - v0, n, H, 0, STORE,
        )  # fmt: skip
        m, s = top[tile], total[tile]
        for j in range(n):
            m[j] = -np.inf
            s[j] = 0
        for v in range(v0, v1):
            x, c = scores[v * ld :][:n], bias[v]
            for j in range(n):
                t = x[j] + c
                x[j] = t
                m[j] = max(m[j], t)
        for v in range(v0, v1):
            x = scores[v * ld :][:n]
            for j in range(n):
                s[j] += exp(x[j] - m[j])


@jit(
    void(_rows, _vector, _vector, _places, _vector, float32, _rows, _vector, float32[:, :, ::1]),
    parallel=True,
)
def _gradients(table, z, scores, target, log_z, scale, d_table, d_bias, d_z):
    """Scores to their gradients, in place, and from those all others."""
    V, H = table.shape
    n = target.size
    ld = scores.size // V
    tiles = (V + WORDS - 1) // WORDS
    for group in prange(GROUPS):
        words = np.empty(WORDS * H, np.float32)
        to = d_z[group]
        to[:] = 0
        for tile in range(tiles * group // GROUPS, tiles * (group + 1) // GROUPS):
            v0, v1 = tile * WORDS, min(V, (tile + 1) * WORDS)
            for v in range(v0, v1):
                x, sum_ = scores[v * ld :][:n], f32(0)
                for j in range(n):
                    t = exp(x[j] - log_z[j]) * scale
                    x[j] = t
                    sum_ += t
                d_bias[v] += sum_
            for j in range(n):
                if v0 <= target[j] < v1:
                    scores[target[j] * ld + j] -= scale
                    d_bias[target[j]] -= scale
            at = address(scores) + 4 * v0 * ld
            gemm(
                at, 4 * ld, 4, address(z), n,
                address(d_table) + 4 * v0 * H, 4 * H, v1 - v0, H, n, 0, ADD,
            )  # fmt: skip
            pack(table.reshape(-1), v0 * H, H, v1 - v0, H, words)
            gemm(at, 4, 4 * ld, address(words), v1 - v0, address(to), 4 * H, n, H, v1 - v0, 0, ADD)


def forward(z, table, bias, target, scores):
    """Nats of each target, (n,), and log Z, (n,); ``scores`` (`scores_size`) is written."""
    (n, H), V = z.shape, len(table)
    nats, log_z = np.empty(n, np.float32), np.empty(n, np.float32)
    for at, first, last in _groups(n, V):
        width = last - first
        packed = np.empty(H * padded(width), np.float32)
        pack_transposed(z[first:last].reshape(-1), 0, H, H, width, packed)
        top = np.empty((-(-V // WORDS), width), np.float32)
        total = np.empty_like(top)
        part = scores[at:][: V * _pitch(width)]
        _scores(table, bias, packed, part, top, total)
        most = top.max(0)
        log_z[first:last] = most + np.log((total * np.exp(top - most)).sum(0))
        there = target[first:last] * _pitch(width) + np.arange(width)
        nats[first:last] = log_z[first:last] - part[there]
    return nats, log_z


def backward(z, table, target, scores, log_z, scale, d_table, d_bias):
    """dz; adds to ``d_table`` and ``d_bias``; ``scores`` become their own gradients."""
    (n, H), V = z.shape, len(table)
    dz = np.empty_like(z)
    for at, first, last in _groups(n, V):
        width = last - first
        packed = np.empty(H * width, np.float32)
        pack(z[first:last].reshape(-1), 0, H, width, H, packed)
        parts = np.empty((GROUPS, width, H), np.float32)
        _gradients(
            table,
            packed,
            scores[at:][: V * _pitch(width)],
            target[first:last],
            log_z[first:last],
            np.float32(scale),
            d_table,
            d_bias,
            parts,
        )
        np.sum(parts, axis=0, out=dz[first:last])
    return dz


def scores_size(n, V):
    """Numbers that the scores of n vectors over V words take."""
    return V * sum(_pitch(last - first) for _, first, last in _groups(n, V))


def _pitch(n):
    """From a word's n scores to the next's: an odd number of cache lines, which share no place."""
    return padded(n) | 16


def _groups(n, V):
    """Where scores of a group begin, its first vector, and its end."""
    at = 0
    for first in range(0, n, TOGETHER):
        last = min(n, first + TOGETHER)
        yield at, first, last
        at += V * _pitch(last - first)
