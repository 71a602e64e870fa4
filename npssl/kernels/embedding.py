"""Token, position and segment added, normalised and thinned out in one pass; and back."""

import numpy as np
from numba import boolean, float32, int64, prange, uint32, void

from npssl.kernels.elementary import hashed
from npssl.kernels.jit import jit
from npssl.kernels.norm_row import norm_row, norm_row_back

_vector, _table, _places = float32[::1], float32[:, ::1], int64[::1]
ROWS = 64  # whose sums are taken together
_STRIPE = 32  # columns of the tables that one task adds to
f32, u32 = np.float32, np.uint32


@jit
def _drop(x, seed, limit, scale):
    """Dropout of a row, in place; ``seed`` is that of its first number."""
    for j in range(x.size):
        t = x[j] * scale
        x[j] = t if hashed(seed + u32(j)) >= limit else f32(0)


@jit(
    void(
        *[_places] * 3, *[_table] * 3, *[_vector] * 2, *[_table] * 2, _vector,
        boolean, uint32, uint32, float32, float32,
    ),
    parallel=True,
)  # fmt: skip
def embed(
    ids, places, segments, token, position, segment, gain, shift, hat, y, inverse,
    norm, seed, limit, scale, eps,
):  # fmt: skip
    """y = dropout(norm(token[ids] + position[places] + segment[segments])), rows (M, H)."""
    M, H = y.shape
    for chunk in prange((M + ROWS - 1) // ROWS):
        for r in range(chunk * ROWS, min(M, (chunk + 1) * ROWS)):
            a, b, c = token[ids[r]], position[places[r]], segment[segments[r]]
            to = y[r]
            for j in range(H):
                to[j] = a[j] + b[j] + c[j]
            if norm:
                inverse[r] = norm_row(to, hat[r], to, gain, shift, eps)
            if limit:
                _drop(to, seed + u32(r * H), limit, scale)


@jit(
    void(_table, _table, *[_vector] * 2, _table, boolean, uint32, uint32, float32),
    parallel=True,
)
def embed_back(dy, hat, inverse, gain, sums, norm, seed, limit, scale):
    """dy to the gradient of the sum, in place; ``sums`` (chunks, 2 H): of gain and shift."""
    M, H = dy.shape
    for chunk in prange(sums.shape[0]):
        d_gain, d_shift, row = sums[chunk, :H], sums[chunk, H:], np.empty(H, np.float32)
        for r in range(chunk * ROWS, min(M, (chunk + 1) * ROWS)):
            d = dy[r]
            if limit:
                _drop(d, seed + u32(r * H), limit, scale)
            if norm:
                norm_row_back(d, hat[r], inverse[r], gain, d_gain, d_shift, row, False)
                d[:] = row


@jit(void(_table, _places, _table), parallel=True)
def add_to_rows(rows, which, table):
    """table[which[r]] += rows[r], row by row in order, stripes of columns side by side."""
    H = rows.shape[1]
    for stripe in prange((H + _STRIPE - 1) // _STRIPE):
        c0, c1 = stripe * _STRIPE, min(H, (stripe + 1) * _STRIPE)
        for r in range(rows.shape[0]):
            to, x = table[which[r], c0:c1], rows[r, c0:c1]
            for j in range(c1 - c0):
                to[j] += x[j]
