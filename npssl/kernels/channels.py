"""Norms of channels and pooling of float32 images, channels last.

The pages are `npssl.layers.batch_norm`, `group_norm` and `pool`.  Both norms are the same
four passes over pieces of rows: a piece is an image for one, and `ROWS` rows of the batch
for the other.  What lies between the passes, some numbers for each piece and channel, stays
with NumPy.  Pieces do not depend on threads: the same bytes on any number of them.
"""

from numba import float32, int8, int64, prange, void

from npssl.kernels.jit import jit, unwritten

ROWS = 256  # of a piece of a batch
_rows, _images = float32[:, ::1], float32[:, :, :, ::1]
_given, _given_rows, _given_images = map(unwritten, (float32[::1], _rows, _images))
_wins, _given_wins = int8[:, :, :, ::1], unwritten(int8[:, :, :, ::1])


@jit(void(_given_rows, int64, _rows, _rows), parallel=True)
def moments(x, rows, mean, power):
    """Mean and mean square distance from it, of each piece of ``rows`` rows and each channel."""
    (N, C), pieces = x.shape, len(mean)
    for piece in prange(pieces):
        first, end = piece * rows, min(N, (piece + 1) * rows)
        m, p, share = mean[piece], power[piece], float32(1) / float32(end - first)
        m[:] = 0
        p[:] = 0
        for r in range(first, end):
            for c in range(C):
                m[c] += x[r, c]
        for c in range(C):
            m[c] *= share
        for r in range(first, end):
            for c in range(C):
                t = x[r, c] - m[c]
                p[c] += t * t
        for c in range(C):
            p[c] *= share


@jit(void(_given_rows, int64, _given_rows, _given_rows, _given, _rows), parallel=True)
def normalise(x, rows, mean, scale, bias, y):
    """y = (x - mean) scale + bias; mean and scale have a row for each piece, or one for all."""
    N, C = x.shape
    for piece in prange((N + rows - 1) // rows):
        k = int64(piece) if len(mean) > 1 else 0
        m, s = mean[k], scale[k]
        for r in range(piece * rows, min(N, (piece + 1) * rows)):
            for c in range(C):
                y[r, c] = (x[r, c] - m[c]) * s[c] + bias[c]


@jit(void(_given_rows, _given_rows, int64, _given_rows, _rows, _rows), parallel=True)
def sums_back(dy, x, rows, mean, sums, along):
    """For each piece and channel the sums of dy and of dy (x - mean)."""
    (N, C), pieces = x.shape, len(sums)
    for piece in prange(pieces):
        m, one, two = mean[int64(piece) if len(mean) > 1 else 0], sums[piece], along[piece]
        one[:] = 0
        two[:] = 0
        for r in range(piece * rows, min(N, (piece + 1) * rows)):
            for c in range(C):
                d = dy[r, c]
                one[c] += d
                two[c] += d * (x[r, c] - m[c])


# what is equal must cancel: no product is kept unrounded
@jit(
    void(
        _given_rows, _given_rows, int64, _given_rows, _given_rows, _given, *[_given_rows] * 2, _rows
    ),
    parallel=True,
    fastmath=False,
)
def normalise_back(dy, x, rows, mean, s, gain, shift, tilt, dx):
    """dx = s (gain dy - shift) + tilt (x - mean); gain has a number for each channel."""
    N, C = x.shape
    for piece in prange((N + rows - 1) // rows):
        k = int64(piece) if len(mean) > 1 else 0
        m, a, b, t = mean[k], s[k], shift[k], tilt[k]
        for r in range(piece * rows, min(N, (piece + 1) * rows)):
            for c in range(C):
                dx[r, c] = a[c] * (gain[c] * dy[r, c] - b[c]) + t[c] * (x[r, c] - m[c])


@jit(void(_given_images, *[int64] * 4, _images, _wins), parallel=True, fastmath=False)
def largest(x, kh, kw, sh, sw, y, wins):
    """The largest number of each window, and which of its places won; NaN wins over all."""
    B, H, W, C = y.shape
    for task in prange(B * H):
        b, m = task // H, task % H
        for n in range(W):
            to, win = y[b, m, n], wins[b, m, n]
            to[:] = x[b, sh * m, sw * n]
            win[:] = 0
            for k in range(1, kh * kw):
                here = x[b, sh * m + k // kw, sw * n + k % kw]
                for c in range(C):
                    new, old = here[c], to[c]
                    larger = (not new <= old) and old == old
                    to[c] = new if larger else old
                    win[c] = int8(k) if larger else win[c]


@jit(void(_given_images, _given_wins, *[int64] * 4, _images), parallel=True)
def largest_back(dy, wins, kh, kw, sh, sw, dx):
    """dx: dy at the places that won."""
    B, H, W, C = dy.shape
    for b in prange(B):
        dx[b].reshape(-1)[:] = 0
        for m in range(H):
            for n in range(W):
                d, win = dy[b, m, n], wins[b, m, n]
                for k in range(kh * kw):
                    to = dx[b, sh * m + k // kw, sw * n + k % kw]
                    for c in range(C):
                        to[c] += d[c] if win[c] == k else float32(0)


@jit(void(_given_images, *[int64] * 4, _images), parallel=True)
def average(x, kh, kw, sh, sw, y):
    """The mean of each window."""
    B, H, W, C = y.shape
    share = float32(1) / float32(kh * kw)
    for task in prange(B * H):
        b, m = task // H, task % H
        for n in range(W):
            to = y[b, m, n]
            to[:] = 0
            for k in range(kh * kw):
                here = x[b, sh * m + k // kw, sw * n + k % kw]
                for c in range(C):
                    to[c] += here[c]
            for c in range(C):
                to[c] *= share


@jit(void(_given_images, *[int64] * 4, _images), parallel=True)
def average_back(dy, kh, kw, sh, sw, dx):
    """dx: each place of a window gets the same share of dy."""
    B, H, W, C = dy.shape
    share = float32(1) / float32(kh * kw)
    for b in prange(B):
        dx[b].reshape(-1)[:] = 0
        for m in range(H):
            for n in range(W):
                d = dy[b, m, n]
                for k in range(kh * kw):
                    to = dx[b, sh * m + k // kw, sw * n + k % kw]
                    for c in range(C):
                        to[c] += share * d[c]
