"""Semi-hard triplets found and summed in tiles: neither distances nor triplets are stored.

Rows are sorted by class, so an anchor's mates stand together.  A strip of anchors first takes
the scores -|x_a - x_p|^2 of its mates, then goes through all rows tile by tile and keeps, for
each mate, the nearest negative that is farther.  After some strips their triplets are added to
the gradient, a few columns a thread, always in one order: threads change no byte.
"""

import numba
import numpy as np
from numba import float32, float64, int32, int64, prange, types

from npssl.kernels.gemm import PANEL, padded
from npssl.kernels.jit import jit, unwritten
from npssl.kernels.pair_rules import ALL, DIFFERENT, FEW, NONE, SQUARE, scores

STRIP, COLUMNS = 96, 192  # of a tile
_WIDTH = 32  # columns of the gradient in one task
_PAIRS = 1 << 20  # whose triplets wait together, about
_ids, _given = unwritten(int64[::1]), unwritten(float32[:, ::1])
_cube = float32[:, :, ::1]
_last = np.int32(2**31 - 1)


@jit
def _mates(x, at, kind, begin, a, b, packed, s, own):
    """own[r] = scores of the class of row a + r, in its order."""
    last = begin[kind[b - 1] + 1]
    for c in range(begin[kind[a]], last, COLUMNS):
        e = min(c + COLUMNS, last)
        scores(
            x[a:b], x[c:e], at[a:b], at[c:e], kind[a:b], kind[c:e],
            SQUARE, float32(1), ALL, False, packed, s,
        )  # fmt: skip
        for r in range(b - a):
            first, end = begin[kind[a + r]], begin[kind[a + r] + 1]
            for j in range(max(first, c), min(end, e)):
                own[r, j - first] = s[r, j - c]


@jit
def _nearest(row, number, own, me, best, pick):
    """The best score below each of ``own`` so far, and whose; of equals the lower number."""
    for p in range(len(own)):
        limit, top = own[p], NONE
        for k in range(len(row)):
            top = max(top, row[k] if row[k] < limit else NONE)
        if top > FEW and top >= best[p] and p != me:
            which = _last
            for k in range(len(row)):
                which = min(which, number[k] if row[k] == top else _last)
            pick[p] = which if top > best[p] else min(which, pick[p])
            best[p] = top


@jit
def _strip(x, at, kind, begin, number, a, b, margin, packed, s, own, best, pick):
    """Fill ``pick`` (-1 = none); their sum of gaps, and how many."""
    N = len(x)
    _mates(x, at, kind, begin, a, b, packed, s, own)
    best[: b - a] = NONE
    for c in range(0, N, COLUMNS):
        e = min(c + COLUMNS, N)
        scores(
            x[a:b], x[c:e], at[a:b], at[c:e], kind[a:b], kind[c:e],
            SQUARE, float32(1), DIFFERENT, False, packed, s,
        )  # fmt: skip
        for r in range(b - a):
            first = begin[kind[a + r]]
            n = begin[kind[a + r] + 1] - first
            _nearest(
                s[r, : e - c], number[c:e], own[r, :n], a + r - first, best[r, :n], pick[r, :n]
            )
    total, count = 0.0, 0
    for r in range(b - a):
        first = begin[kind[a + r]]
        for p in range(begin[kind[a + r] + 1] - first):
            if best[r, p] > FEW and best[r, p] > own[r, p] - margin:
                total += np.float64(best[r, p] - own[r, p]) + margin
                count += 1
            else:
                pick[r, p] = -1
    return total, count


@jit(
    types.void(
        *(_given, _given, unwritten(float32[::1]), _ids, _ids, unwritten(int32[::1]), float32),
        *(_cube, float32[:, ::1], _cube, _cube, int32[:, :, ::1], float32[:, ::1]),
        *(float64[::1], int64[::1]),
    ),
    parallel=True,
)
def _triplets(
    x, z, at, kind, begin, number, margin, tiles, packs, own, best, pick, dx, gaps, counts
):
    N, d = x.shape
    threads, together = len(tiles), len(own)
    strips = (N + STRIP - 1) // STRIP
    for start in range(0, strips, together):
        n = min(together, strips - start)
        for p in prange(threads):
            for k in range(p, n, threads):
                a = (start + k) * STRIP
                gaps[start + k], counts[start + k] = _strip(
                    z, at, kind, begin, number, a, min(a + STRIP, N), margin,
                    packs[p], tiles[p], own[k], best[k], pick[k],
                )  # fmt: skip
        for part in prange((d + _WIDTH - 1) // _WIDTH):
            left, right = part * _WIDTH, min((part + 1) * _WIDTH, d)
            for i in range(start * STRIP, min((start + n) * STRIP, N)):
                k, r = i // STRIP - start, i % STRIP
                first, end = begin[kind[i]], begin[kind[i] + 1]
                one, done = x[number[i], left:right], dx[number[i], left:right]
                for j in range(end - first):
                    q = pick[k, r, j]
                    if q >= 0:
                        p = number[first + j]
                        two, three = x[p, left:right], x[q, left:right]
                        dp, dq = dx[p, left:right], dx[q, left:right]
                        for c in range(right - left):
                            done[c] += three[c] - two[c]
                            dp[c] += two[c] - one[c]
                            dq[c] += one[c] - three[c]


def triplets(x, order, kind, margin):
    """Sum of the gaps of all semi-hard triplets, how many, and the sum of their slopes (N, d).

    ``order`` sorts the rows by class, ``kind`` are their classes in it: 0, 1, ...
    """
    N, d = x.shape
    begin = np.searchsorted(kind, np.arange(kind[-1] + 2)).astype(np.int64)
    largest = int(np.diff(begin).max())
    z = (x - x.mean(0))[order]  # short vectors keep the digits of their distances
    together = min(16, max(4, _PAIRS // (STRIP * largest)), -(-N // STRIP))
    threads = numba.get_num_threads()
    tiles = np.empty((threads, STRIP, padded(COLUMNS) + PANEL), np.float32)
    packs = np.empty((threads, d * (COLUMNS + PANEL)), np.float32)
    own, best = np.empty((2, together, STRIP, largest), np.float32)
    pick = np.empty((together, STRIP, largest), np.int32)
    strips = -(-N // STRIP)
    dx, gaps, counts = np.zeros_like(x), np.zeros(strips), np.zeros(strips, np.int64)
    _triplets(
        x, z, np.square(z).sum(1), kind, begin, order.astype(np.int32), margin,
        tiles, packs, own, best, pick, dx, gaps, counts,
    )  # fmt: skip
    return gaps.sum(), int(counts.sum()), dx
