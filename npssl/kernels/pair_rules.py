"""What happens to one tile of scores between blocks of rows: the rules of `pairwise`.

A tile is made by `scores`, and then either read by a rule that adds to two numbers that each
row, and each column, holds (`log_sum`, `excess`), or turned into the slopes of a loss in its
place (`softmax_slopes`, `excess_slopes`).  Vectors of float32 throughout, and one exponential
an entry wherever the scores of a tile are less than e^60 apart.
"""

import math

import numpy as np

from npssl.kernels import elementary
from npssl.kernels.gemm import STORE, address, gemm, pack_transposed
from npssl.kernels.jit import jit

ALL, OTHERS, SAME, DIFFERENT = 0, 1, 2, 3  # which j count for i; the last two by label
DOT, SQUARE, ROOT = 0, 1, 2  # scale <x, y>;  -scale |x - y|^2;  -scale |x - y|
NONE = np.float32(-3e38)  # the score of what does not count
FEW = np.float32(-1e38)  # any that counts is above
_NEAR = np.float32(0.1)  # of both squared lengths: below, differences keep more digits
_TINY = np.float32(1e-36)  # smaller slopes count as 0: products of theirs would be subnormal
_APART = np.float32(60)  # exponents of float32 end at 87
f32 = np.float32


@jit
def _blend(label, other):
    """Do these two lists, each within its least and most, overlap?"""
    a, b, c, e = label[0], label[0], other[0], other[0]
    for k in range(len(label)):
        a, b = min(a, label[k]), max(b, label[k])
    for k in range(len(other)):
        c, e = min(c, other[k]), max(e, other[k])
    return a <= e and c <= b


@jit
def scores(x, y, at, to, label, other, kind, scale, which, diagonal, packed, s):
    """Fill a tile, s (m, at least n), for rows x (m, d) and y (n, d), of squared lengths at, to.

    Does anything count?  And is the tile raw: products of which all count, not yet scaled?
    """
    (m, d), n = x.shape, len(y)
    mixed = which >= SAME and _blend(label, other)
    if which == SAME and not mixed:
        return False, False
    pack_transposed(y.reshape(-1), 0, d, d, n, packed)
    gemm(address(x), 4 * d, 4, address(packed), d, address(s), 4 * s.shape[1], m, n, d, 0, STORE)
    masked = mixed or (diagonal and which != ALL)
    if kind == DOT and not masked:
        return True, True
    for r in range(m):
        row = s[r, :n]
        if kind == DOT:
            for k in range(n):
                row[k] *= scale
        else:
            own, near = at[r], f32(0)
            for k in range(n):
                both = own + to[k]
                square = max(both - f32(2) * row[k], f32(0))
                near = max(near, f32(1) if square < _NEAR * both else f32(0))
                row[k] = square
            if near > 0:
                _again(x[r], y, own, to, row)
            if kind == ROOT:
                for k in range(n):
                    row[k] = -scale * math.sqrt(row[k])
            else:
                for k in range(n):
                    row[k] *= -scale
        if mixed:
            kin = label[r]
            if which == SAME:
                for k in range(n):
                    row[k] = row[k] if other[k] == kin else NONE
            else:
                for k in range(n):
                    row[k] = NONE if other[k] == kin else row[k]
        if diagonal and which != ALL:
            row[r] = NONE
    return True, False


@jit
def _again(x, y, own, to, row):
    """Small squared distances of a row, from the differences."""
    for k in range(len(row)):
        if row[k] < _NEAR * (own + to[k]):
            near, total = y[k], f32(0)
            for c in range(len(x)):
                u = x[c] - near[c]
                total += u * u
            row[k] = total


@jit
def log_sum(s, m, n, by, most, tops, totals, other_tops, other_totals, both, work):
    """Take a tile into the running sums exp(top) total of its rows, and if ``both`` columns.

    Its scores are ``by`` times its numbers, none larger than ``most``, if that is known.
    """
    highs, columns, parts, sums = work[0], work[1], work[2], work[3]
    high, low = most, -most
    if not high - low < _APART:
        high, low = NONE, f32(3e38)
        for r in range(m):
            row, top, least = s[r, :n], NONE, f32(3e38)
            for k in range(n):
                row[k] *= by
                top = max(top, row[k])
                least = min(least, row[k])
            highs[r] = top
            high, low = max(high, top), min(low, least if both else top)
        by = f32(1)
    if high < FEW:
        return
    sums[:n] = 0
    if high - low < _APART:  # one shift for all
        for r in range(m):
            row, part = s[r, :n], f32(0)
            if both:
                for k in range(n):
                    e = elementary.exp(row[k] * by - high)
                    part += e
                    sums[k] += e
            else:
                for k in range(n):
                    part += elementary.exp(row[k] * by - high)
            parts[r] = part
        highs[:m] = high
        columns[:n] = high
    else:
        columns[:n] = NONE
        for r in range(m if both else 0):
            row = s[r, :n]
            for k in range(n):
                columns[k] = max(columns[k], row[k])
        for r in range(m):
            row, part, top = s[r, :n], f32(0), max(highs[r], FEW)
            for k in range(n):
                part += elementary.exp(row[k] - top)
            parts[r] = part if highs[r] > FEW else f32(0)
            if both:
                for k in range(n):
                    e = elementary.exp(row[k] - max(columns[k], FEW))
                    sums[k] += e if columns[k] > FEW else f32(0)
    _merge(tops, totals, highs, parts, m)
    if both:
        _merge(other_tops, other_totals, columns, sums, n)


@jit
def _merge(tops, totals, highs, parts, n):
    """exp(top) total + exp(high) part, with the larger of both shifts."""
    for k in range(n):
        high = f32(tops[k])
        top = max(high, highs[k])
        old, new = elementary.exp(high - top), elementary.exp(highs[k] - top)
        totals[k] = totals[k] * old + parts[k] * new
        tops[k] = top


@jit
def softmax_slopes(s, m, n, by, kind, scale, norm, w, across, v, work):
    """s_ij becomes w_i exp(s_ij - norm_i) + v_j exp(s_ij - across_j); 0 where it does not count.

    It is ``by`` times what stands there.  For `ROOT` divided by the distance; 0 where that is 0.
    """
    low, high = f32(3e38), NONE
    for r in range(m):
        low = min(low, norm[r] if w[r] != 0 else low)
        high = max(high, norm[r] if w[r] != 0 else high)
    for k in range(n):
        low = min(low, across[k] if v[k] != 0 else low)
        high = max(high, across[k] if v[k] != 0 else high)
    shift, b, inverse = (high + low) / f32(2), work[0, :n], work[1, :n]
    for k in range(n):
        b[k] = v[k] * elementary.exp(shift - across[k])
    for r in range(m):
        row, one, two = s[r, :n], w[r], norm[r]
        if kind == ROOT:
            for k in range(n):
                z = row[k]
                inverse[k] = scale / -z if z < 0 and z > FEW else f32(0)
        if high - low < _APART:  # exp(s - shift) (a_i + b_j)
            a = one * elementary.exp(shift - two)
            for k in range(n):
                g = elementary.exp(row[k] * by - shift) * (a + b[k])
                row[k] = g if abs(g) > _TINY else f32(0)
        else:
            for k in range(n):
                z = row[k] * by
                g = one * elementary.exp(z - two) + v[k] * elementary.exp(z - across[k])
                row[k] = g if z > FEW and abs(g) > _TINY else f32(0)
        if kind == ROOT:
            for k in range(n):
                row[k] *= inverse[k]


@jit
def masses(s, m, n, mass, other_mass, both):
    """Add the sums of rows, and if ``both`` of columns."""
    for r in range(m):
        row, part = s[r, :n], f32(0)
        for k in range(n):
            part += row[k]
        mass[r] += part
        if both:
            for k in range(n):
                other_mass[k] += row[k]


@jit
def _excess(one, two, z):
    """max(0, log(e^one + e^two) - z), and the share of ``one`` in the sum."""
    far = math.exp(-abs(one - two))
    J = max(one, two) + math.log1p(far) - z
    return max(J, 0.0), (1.0 if one > two else far) / (1 + far)


@jit
def excess(s, m, n, push, other_push, energy, share, other_energy, other_share, both):
    """Squares of what exceeds 0 (`npssl.losses.lifted`), and how much each end's push bears."""
    for r in range(m):
        for k in range(n):
            if s[r, k] > FEW:
                over, part = _excess(float(push[r]), float(other_push[k]), float(s[r, k]))
                energy[r] += over * over
                share[r] += over * part
                if both:
                    other_energy[k] += over * over
                    other_share[k] += over * (1 - part)


@jit
def excess_slopes(s, m, n, push, other_push, w):
    """s_ij becomes w max(0, J_ij) / D_ij: the other half of `excess`."""
    for r in range(m):
        for k in range(n):
            z, g = s[r, k], 0.0
            if z > FEW and z < 0:
                g = w * _excess(float(push[r]), float(other_push[k]), float(z))[0] / -z
            s[r, k] = f32(g)
