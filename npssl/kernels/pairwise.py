"""Losses over all pairs of rows, in tiles: the table of scores is never stored.

Rows stand in blocks.  In round t block i of x meets block t - i (mod the number of blocks)
of y: nobody meets two, so the meetings of a round are done in parallel, and each adds to what
both blocks hold, always in the order of the rounds: the number of threads changes no byte.
With x for y each pair of blocks meets once for both of its orders, which halves the work.

A meeting makes the scores of a tile and applies a rule (`npssl.kernels.pair_rules`): forward
the sums of exponentials with a running maximum (Milakov & Gimelshein, "Online normalizer
calculation for softmax", arXiv:1805.02867); backward the slopes g, whose products with x and
y are added to the gradients.  Extra memory: a tile a thread, and some numbers a row.
"""

import math

import numba
import numpy as np
from numba import boolean, float32, float64, int64, prange, types

from npssl.kernels import pair_rules as rules
from npssl.kernels.gemm import ADD, PANEL, address, gemm, pack, padded
from npssl.kernels.jit import jit, unwritten
from npssl.kernels.pair_rules import ALL, DIFFERENT, DOT, OTHERS, ROOT, SAME, SQUARE

__all__ = ["ALL", "DIFFERENT", "DOT", "OTHERS", "ROOT", "SAME", "SQUARE", "Pairs"]

BLOCK = 192  # rows
SOFTMAX, EXCESS = 0, 1  # rules
f32, INF = np.float32, np.float32(np.inf)
_given, _rows = unwritten(float32[:, ::1]), float32[:, ::1]
_each, _held = unwritten(float32[::1]), float64[::1]
_label, _bench = unwritten(int64[::1]), float32[:, :, ::1]
_pairs = (
    *(_given, _given, _each, _each, _label, _label, boolean, int64, int64, float32, int64, int64),
    *(_bench, _rows, _bench, _each, _each),
)


@jit
def _meeting(t, k, rows, columns, alone):
    """The k-th meeting of round t; (-1, -1) where there is none."""
    if not alone:
        i, j = k, (t - k) % max(rows, columns)
        return (i, j) if i < rows and j < columns else (-1, -1)
    i, j = (t // 2 - k) % rows, ((t + 1) // 2 + k) % rows
    return (min(i, j), max(i, j)) if 2 * k + t % 2 <= rows else (-1, -1)


@jit
def _tile(x, y, at, to, label, other, alone, block, kind, scale, which, t, k, packed, s):
    """Scores of the k-th meeting of round t: rows a to b, columns c to e, are they of two blocks?

    And what the numbers of a raw tile are to be multiplied by, else 1, and the largest size they
    then may have.  No rows where nobody meets or nothing counts.
    """
    N, M = len(x), len(y)
    i, j = _meeting(t, k, (N + block - 1) // block, (M + block - 1) // block, alone)
    a, c = i * block, j * block
    b, e = min(a + block, N), min(c + block, M)
    if i < 0:
        return 0, 0, 0, 0, False, f32(1), INF
    counts, raw = rules.scores(
        x[a:b], y[c:e], at[a:b], to[c:e], label[a:b], other[c:e],
        kind, scale, which, i == j, packed, s,
    )  # fmt: skip
    if not counts:
        return 0, 0, 0, 0, False, f32(1), INF
    both = not alone or i != j
    if not raw:
        return a, b, c, e, both, f32(1), INF
    most = f32(abs(scale) * math.sqrt(at[a:b].max() * to[c:e].max()))  # |<x, y>| <= |x| |y|
    return a, b, c, e, both, scale, most


@jit(types.void(*_pairs, _held, _held, _held, _held), parallel=True)
def _sums(
    x, y, at, to, label, other, alone, block, kind, scale, which, rule, tiles, packs, works,
    norm, across, first, second, other_first, other_second,
):  # fmt: skip
    N, M, threads = len(x), len(y), len(tiles)
    rows, columns = (N + block - 1) // block, (M + block - 1) // block
    for t in range(max(rows, columns)):
        for p in prange(threads):
            s, packed, work = tiles[p], packs[p], works[p]
            for k in range(p, rows // 2 + 1 if alone else rows, threads):
                a, b, c, e, both, by, most = _tile(
                    x, y, at, to, label, other, alone, block, kind, scale, which, t, k, packed, s
                )
                if a == b:
                    continue
                m, n = b - a, e - c
                one, two, three, four = (
                    first[a:b], second[a:b], other_first[c:e], other_second[c:e],
                )  # fmt: skip
                if rule == SOFTMAX:
                    rules.log_sum(s, m, n, by, most, one, two, three, four, both, work)
                else:
                    rules.excess(s, m, n, norm[a:b], across[c:e], one, two, three, four, both)


@jit
def _add(s, m, n, turned, y, to, packed):
    """to += s y, or s^T y."""
    d = y.shape[1]
    pack(y.reshape(-1), 0, d, n, d, packed)
    pitch = 4 * s.shape[1]
    row, k = (4, pitch) if turned else (pitch, 4)
    gemm(address(s), row, k, address(packed), n, address(to), 4 * to.shape[1], m, d, n, 0, ADD)


@jit(types.void(*_pairs, _each, _each, _rows, _rows, _held, _held), parallel=True)
def _pull(
    x, y, at, to, label, other, alone, block, kind, scale, which, rule, tiles, packs, works,
    norm, across, w, v, dx, dy, mass, other_mass,
):  # fmt: skip
    N, M, threads = len(x), len(y), len(tiles)
    rows, columns = (N + block - 1) // block, (M + block - 1) // block
    for t in range(max(rows, columns)):
        for p in prange(threads):
            s, packed, work = tiles[p], packs[p], works[p]
            for k in range(p, rows // 2 + 1 if alone else rows, threads):
                a, b, c, e, both, by, _most = _tile(
                    x, y, at, to, label, other, alone, block, kind, scale, which, t, k, packed, s
                )
                if a == b:
                    continue
                m, n = b - a, e - c
                if rule == SOFTMAX:
                    rules.softmax_slopes(
                        s, m, n, by, kind, scale, norm[a:b], w[a:b], across[c:e], v[c:e], work
                    )
                else:
                    rules.excess_slopes(s, m, n, norm[a:b], across[c:e], w[a])
                if kind != DOT:
                    rules.masses(s, m, n, mass[a:b], other_mass[c:e], both)
                _add(s, m, n, False, y[c:e], dx[a:b], packed)
                if both:
                    _add(s, n, m, True, x[a:b], dy[c:e], packed)


class Pairs:
    """All pairs of rows of x and y, or of x with itself, and their scores.

    kind DOT: scale <x_i, y_j>; SQUARE: -scale |x_i - y_j|^2; ROOT: -scale |x_i - y_j|.
    which counts for i: ALL; OTHERS j != i; SAME, the others of its label; DIFFERENT ones.
    Where many rows share a label it pays to have x sorted by it.
    """

    def __init__(self, x, y=None, *, scale=1.0, kind=DOT, label=None, block=BLOCK):
        self.alone = y is None
        y = x if self.alone else y
        label = np.zeros(len(x), np.int64) if label is None else label
        other = label if self.alone else np.zeros(len(y), np.int64)
        at = _lengths(x)
        to = at if self.alone else _lengths(y)
        self.x, self.y, self.kind, self.scale, self.block = x, y, kind, float(scale), block
        self.given = x, y, at, to, label, other, self.alone, block, kind, self.scale

    def _bench(self):
        """What each thread works on."""
        threads, d, B = numba.get_num_threads(), self.x.shape[1], self.block
        size = max(d * (B + PANEL), B * (d + PANEL))
        shapes = (threads, B, padded(B) + PANEL), (threads, size), (threads, 4, B)
        return tuple(np.empty(shape, np.float32) for shape in shapes)

    def sums(self, which=ALL):
        """log sum_j exp(s_ij) of rows (N,), and log sum_i of columns (M,); 0 where none counts."""
        N, M = len(self.x), len(self.y)
        none = np.zeros(0, np.float32)
        held = [np.full(N, -3e38), np.zeros(N)]
        other = held if self.alone else [np.full(M, -3e38), np.zeros(M)]
        _sums(*self.given, which, SOFTMAX, *self._bench(), none, none, *held, *other)
        return tuple(
            np.where(total > 0, top + np.log(np.where(total > 0, total, 1)), 0).astype(np.float32)
            for top, total in (held, other)
        )

    def excess(self, push, which=SAME):
        """Sums over j of max(0, J_ij)^2 and of the share of i's push in max(0, J_ij), (N,);

        of kind `ROOT`, J_ij = log(exp(push_i) + exp(push_j)) - s_ij.
        """
        energy, share = np.zeros(len(self.x)), np.zeros(len(self.x))
        _sums(*self.given, which, EXCESS, *self._bench(), push, push, energy, share, energy, share)
        return energy, share

    def pull(self, norm, w, across=None, v=None, which=ALL):
        """dx (N, d) and dy (M, d) where ds_ij = w_i exp(s_ij - norm_i) + v_j exp(s_ij - across_j).

        Of x with itself: dx, by both orders of each pair, with across = norm and v = w.
        """
        across, v = (norm, w) if self.alone else (across, v)
        return self._pull(which, SOFTMAX, norm, across, w, v)

    def excess_pull(self, push, w, which=SAME):
        """dx where dD_ij = w max(0, J_ij) for each pair, of `excess` and kind ROOT, scale 1."""
        w = np.full(len(self.x), -w, np.float32)
        return self._pull(which, EXCESS, push, push, w, w)

    def _pull(self, which, rule, norm, across, w, v):
        x, y, d = self.x, self.y, self.x.shape[1]
        dx, mass = np.zeros((len(x), padded(d)), np.float32), np.zeros(len(x))
        dy, other_mass = dx, mass
        if not self.alone:
            dy, other_mass = np.zeros((len(y), padded(d)), np.float32), np.zeros(len(y))
        _pull(
            *self.given, which, rule, *self._bench(), norm, across, w, v, dx, dy, mass, other_mass
        )
        one = self._through(x, dx[:, :d], mass)
        return one if self.alone else (one, self._through(y, dy[:, :d], other_mass))

    def _through(self, x, dx, mass):
        """From the sums of slopes and of slopes times the others to the gradient, in place."""
        if self.kind == DOT:
            dx *= self.scale
        else:
            dx -= x * mass.astype(np.float32)[:, None]
            dx *= self.scale * (2 if self.kind == SQUARE else 1)
        return np.ascontiguousarray(dx)


def _lengths(x):
    return np.square(x).sum(1)
