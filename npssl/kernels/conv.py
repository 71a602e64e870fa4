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

from npssl.kernels.gemm import (
    ADD,
    BIAS,
    PANEL,
    address,
    copy,
    gemm,
    gemm_runs,
    pack,
    pack_transposed,
)
from npssl.kernels.jit import jit, unwritten
from npssl.kernels.lanes import LANES

_images = float32[:, :, :, ::1]
_given = unwritten(_images)
_bias = unwritten(float32[::1])
PLACES = 112  # of the output that are taken together, about
DEEP = 256  # rows of packed weights that stay in the first cache, about
TALL, BROAD = 96, 64  # rows and columns of a task of the weights' gradient


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
    k, pitch = kw * C, framed.shape[2] * C
    packed = np.empty(kh * k * wide, np.float32)
    for panel in prange((O + PANEL - 1) // PANEL):
        first = panel * PANEL
        pack(weight.reshape(-1), first, O, kh * k, min(PANEL, O - first), packed[first * kh * k :])
    together = max(1, DEEP // k)  # rows of the window whose products are summed in registers
    some = max(1, PLACES // W)
    groups = (H + some - 1) // some
    for task in prange(B * groups):
        b, m0 = task // groups, task % groups * some
        for first in range(0, O, PANEL):
            n = min(PANEL, O - first)
            column = 4 * (PANEL if n > LANES else LANES)
            for i in range(0, kh, together):
                runs, mode = min(together, kh - i), BIAS if i == 0 else ADD
                panel_i = address(packed) + 4 * first * kh * k + i * k * column
                for m in range(m0, min(H, m0 + some)):
                    start = address(framed) + 4 * (b * framed.shape[1] + sh * m + i) * pitch
                    gemm_runs(
                        start, 4 * sw * C, 4, runs, 4 * pitch, panel_i, kh * k,
                        address(y) + 4 * (((b * H + m) * W) * wide + first), 4 * wide,
                        W, n, k, address(bias) + 4 * first, mode,
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


@jit
def _columns(framed, b, i, left, step, first, tall, places, to):
    """Channels of a row of the window, ``tall`` of them from ``first`` on, place under place."""
    row = framed[b, i].reshape(-1)[left * step + first :]
    whole = tall // LANES * LANES
    for n in range(places):
        source, target = address(row) + 4 * n * step, address(to) + 4 * n * tall
        for r in range(0, whole, LANES):
            copy(source + 4 * r, target + 4 * r)
        for r in range(whole, tall):
            to[n * tall + r] = row[n * step + r]


@jit(void(_given, _given, int64, int64, int64, _images, float32[::1]), parallel=True)
def weights_back(framed, dy, sh, sw, threads, dweight, dbias):
    """dweight (kh, kw, C, O) and dbias (O).

    A task is some rows of all kh matrices, and some columns: how many does not change a
    sum.  What it multiplies it first copies together, about `PLACES` places of the output
    at a time, which go by in one order.
    """
    (B, H, W, O), (kh, kw, C, _) = dy.shape, dweight.shape
    k, dys = kw * C, dy.reshape(-1)
    units, blocks = (k + LANES - 1) // LANES, (O + BROAD - 1) // BROAD
    tasks = ((k + TALL - 1) // TALL * blocks + threads - 1) // threads * threads
    parts = min(units, (tasks + blocks - 1) // blocks)
    some, across = max(1, PLACES // W), min(W, PLACES)
    for task in prange(parts * blocks):
        part, column = task % parts, task // parts * BROAD
        first, last = units * part // parts * LANES, min(k, units * (part + 1) // parts * LANES)
        tall, n = last - first, min(BROAD, O - column)
        left = np.empty((sh * (some - 1) + kh) * across * tall, np.float32)
        right = np.empty(some * across * BROAD, np.float32)
        sums = np.zeros((kh, tall, BROAD), np.float32)
        total = np.zeros(n, np.float32)
        for b in range(B):
            for m in range(0, H, some):
                runs = min(some, H - m)
                for place in range(0, W, across):
                    run = min(across, W - place)
                    start = ((b * H + m) * W + place) * O + column
                    pack(dys, start, O, runs * run, n, right)
                    if part == 0:
                        for r in range(runs * run):
                            here = dys[start + r * O :][:n]
                            for o in range(n):
                                total[o] += here[o]
                    for i in range(sh * (runs - 1) + kh):
                        to = left[i * run * tall :]
                        _columns(framed, b, sh * m + i, place, sw * C, first, tall, run, to)
                    for i in range(kh):
                        gemm_runs(
                            address(left) + 4 * i * run * tall, 4, 4 * tall,
                            runs, 4 * sh * run * tall, address(right), runs * run,
                            address(sums) + 4 * i * tall * BROAD, 4 * BROAD,
                            tall, n, run, 0, ADD,
                        )  # fmt: skip
        for i in range(kh):
            to = dweight[i].reshape(-1)[first * O + column :]
            for r in range(tall):
                for o in range(n):
                    to[r * O + o] = sums[i, r, o]
        if part == 0:
            for o in range(n):
                dbias[column + o] = total[o]
