"""Convolution of float32 images, channels last, by matrix products on the framed image.

The page is `npssl.layers.conv.conv2d`.  A row of the window, kw pixels of C channels, is
one run of kw C numbers in the framed image, and the runs of neighbouring places begin
stride * C numbers apart: a matrix that is read where it stands.  So a row of outputs is
kh products, and the matrix of all windows is never made.

What runs in parallel writes to different places, and sums are taken in one order: the
same bytes on any number of threads.
"""

import numpy as np
from numba import float32, int64, prange, void

from npssl.kernels.gemm import ADD, BIAS, STORE, address, gemm, pack, pack_transposed
from npssl.kernels.jit import jit, unwritten

_images = float32[:, :, :, ::1]
_given = unwritten(_images)
_bias = unwritten(float32[::1])
TALL = 48  # rows of a task of the weights' gradient


@jit(void(_given, int64, int64, _images), parallel=True)
def frame(x, ph, pw, framed):
    """x within zeros: ``framed`` (B, h', w', C) with x from row ph and column pw on."""
    B, h, w, C = x.shape
    rows, row = framed.shape[1], framed.shape[2] * C
    for task in prange(B * rows):
        b, m = task // rows, task % rows
        to = framed[b, m].reshape(-1)
        if m < ph or m >= ph + h:
            for i in range(row):
                to[i] = 0
            continue
        here = x[b, m - ph].reshape(-1)
        inside = to[pw * C :][: w * C]
        for i in range(pw * C):
            to[i] = 0
        for i in range(w * C):
            inside[i] = here[i]
        for i in range((pw + w) * C, row):
            to[i] = 0


@jit(void(_given, _given, _bias, int64, int64, _images), parallel=True)
def forward(framed, weight, bias, sh, sw, y):
    """y (B, H, W, O'), O' the channels rounded up to whole vectors; bias has O' numbers."""
    (kh, kw, C, O), (B, H, W, wide) = weight.shape, y.shape
    k = kw * C
    packed = np.empty((kh, k * wide), np.float32)
    for i in prange(kh):
        pack(weight[i].reshape(-1), 0, O, k, O, packed[i])
    for task in prange(B * H):
        b, m = task // H, task % H
        to = address(y) + 4 * task * W * wide
        for i in range(kh):
            start = address(framed) + 4 * ((b * framed.shape[1] + sh * m + i) * framed.shape[2] * C)
            gemm(
                start, 4 * sw * C, 4, address(packed) + 4 * i * k * wide, k,
                to, 4 * wide, W, wide, k, address(bias), BIAS if i == 0 else ADD,
            )  # fmt: skip


@jit(void(_given, _given, int64, int64, int64, int64, int64, int64, _images), parallel=True)
def images_back(dy, weight, sh, sw, ph, pw, rows, columns, dx):
    """dx (B, h, w, C) of a framed image that is ``rows`` x ``columns``."""
    (B, H, W, O), (kh, kw, C, _) = dy.shape, weight.shape
    h, w = dx.shape[1:3]
    k = kw * C
    wide = (k + 15) // 16 * 16
    packed = np.empty((kh, O * wide), np.float32)
    for i in prange(kh):
        pack_transposed(weight[i].reshape(-1), 0, O, O, k, packed[i])
    for b in prange(B):
        dframed = np.zeros(rows * columns * C + wide, np.float32)
        for m in range(H):
            for i in range(kh):
                # runs overlap: a row of sums is read only after the one before it is written
                gemm(
                    address(dy) + 4 * (b * H + m) * W * O, 4 * O, 4,
                    address(packed) + 4 * i * O * wide, O,
                    address(dframed) + 4 * (sh * m + i) * columns * C, 4 * sw * C,
                    W, k, O, 0, ADD,
                )  # fmt: skip
        for m in range(h):
            here = dframed[((m + ph) * columns + pw) * C :][: w * C]
            to = dx[b, m].reshape(-1)
            for i in range(w * C):
                to[i] = here[i]


@jit(void(_given, _given, int64, int64, _images, _bias.copy(readonly=False)), parallel=True)
def weights_back(framed, dy, sh, sw, dweight, dbias):
    """dweight (kh, kw, C, O') and dbias (O'), O' the channels rounded up to whole vectors."""
    (B, H, W, O), (kh, kw, C, wide) = dy.shape, dweight.shape
    k = kw * C
    packed = np.empty((B * H, W * wide), np.float32)
    sums = np.zeros((B, O), np.float32)
    for b in prange(B):
        total = sums[b]
        for m in range(H):
            pack(dy[b, m].reshape(-1), 0, O, W, O, packed[b * H + m])
            for n in range(W):
                here = dy[b, m, n]
                for o in range(O):
                    total[o] += here[o]
    tall = (k + TALL - 1) // TALL
    for task in prange(kh * tall):
        i, first = task // tall, task % tall * TALL
        to = address(dweight) + 4 * (i * k + first) * wide
        for row in range(B * H):
            b, m = row // H, row % H
            start = address(framed) + 4 * (
                (b * framed.shape[1] + sh * m + i) * framed.shape[2] * C + first
            )
            gemm(
                start, 4, 4 * sw * C, address(packed) + 4 * row * W * wide, W,
                to, 4 * wide, min(TALL, k - first), wide, W, 0, STORE if row == 0 else ADD,
            )  # fmt: skip
    dbias[:O] = sums.sum(0)
