"""A transformer's block forward for a few sequences, one tile, by all threads together.

`npssl.kernels.block` gives each thread tiles of its own, which leaves threads idle where there
is one tile: a sentence to embed.  Here its columns and heads are shared out instead.  A module
of its own, so that training does not wait for it to be compiled.
"""

import numpy as np
from numba import boolean, float32, int64, prange, void

from npssl.kernels.block import add_kept, attend, gelu_numbers, work_size
from npssl.kernels.gemm import BIAS, PANEL, address, gemm
from npssl.kernels.jit import jit
from npssl.kernels.norm_row import norm_row

f32, u32 = np.float32, np.uint32
_vector, _places = float32[::1], int64[::1]


@jit
def _some_columns(x, k, packed, bias, y, n, R, threads, chunk):
    """A thread's columns, in whole panels, of y (R, n) = x (R, k) W + bias; returns which."""
    count = (n + PANEL - 1) // PANEL
    first, end = count * chunk // threads * PANEL, min(n, count * (chunk + 1) // threads * PANEL)
    if end > first:
        gemm(
            address(x), 4 * k, 4, address(packed) + 4 * first * k, k,
            address(y) + 4 * first, 4 * n, R, end - first, k, address(bias) + 4 * first, BIAS,
        )  # fmt: skip
    return first, end


@jit(
    void(
        int64, *[_vector] * 2, _places, *[int64] * 3, *[_vector] * 8,
        *[boolean] * 3, int64, float32,
    ),
    parallel=True,
)  # fmt: skip
def forward_together(
    threads, x, y, starts, H, F, A, packed, qkv_b, out_b, up_b, down_b, gains, shifts, work,
    norm_first, tanh, causal, longest, eps,
):  # fmt: skip
    """`npssl.kernels.block.forward` of one tile by all threads; nothing is kept.

    Shared out are columns of qkv, heads, columns of the output, of up, and of down.
    ``work``: `together_size` numbers.
    """
    R, sequences = starts[starts.size - 1], starts.size - 1
    gain1, gain2, shift1, shift2 = gains[:H], gains[H:], shifts[:H], shifts[H:]
    z, o, h, hat = work[: R * H], work[R * H :], work[2 * R * H :], work[3 * R * H :][:H]
    work = work[3 * R * H + H :]
    qkv, mixed, u, a = work, work[3 * R * H :], work[4 * R * H :], work[R * (4 * H + F) :]
    logsums, rest = work[R * (4 * H + 2 * F) :], work[R * (4 * H + 2 * F + A) :]
    each, zero = rest.size // threads, u32(0)
    into = z if norm_first else x
    if norm_first:
        for r in range(R):
            i, j = r * H, (r + 1) * H
            norm_row(x[i:j], hat, z[i:j], gain1, shift1, eps)
    for chunk in prange(threads):
        _some_columns(into, H, packed, qkv_b, qkv, 3 * H, R, threads, chunk)
    for chunk in prange(threads):
        mine = rest[chunk * each :][:each]
        for task in range(sequences * A * chunk // threads, sequences * A * (chunk + 1) // threads):
            row, T = starts[task // A], starts[task // A + 1] - starts[task // A]
            attend(
                qkv, row, T, H, A, task % A, mixed, logsums, mine,
                causal, longest, 0, zero, zero, f32(1),
            )  # fmt: skip
    for chunk in prange(threads):
        _some_columns(mixed, H, packed[3 * H * H :], out_b, o, H, R, threads, chunk)
    for r in range(R):
        i, j = r * H, (r + 1) * H
        add_kept(o[i:j], x[i:j], h[i:j], zero, zero, f32(1))
        if norm_first:
            norm_row(h[i:j], hat, z[i:j], gain2, shift2, eps)
        else:
            norm_row(h[i:j], hat, h[i:j], gain1, shift1, eps)
    into = z if norm_first else h
    for chunk in prange(threads):
        first, end = _some_columns(into, H, packed[4 * H * H :], up_b, u, F, R, threads, chunk)
        for r in range(R):
            gelu_numbers(u[r * F + first : r * F + end], a[r * F + first : r * F + end], tanh)
    for chunk in prange(threads):
        _some_columns(a, F, packed[4 * H * H + H * F :], down_b, o, H, R, threads, chunk)
    for r in range(R):
        i, j = r * H, (r + 1) * H
        add_kept(o[i:j], h[i:j], y[i:j], zero, zero, f32(1))
        if not norm_first:
            norm_row(y[i:j], hat, y[i:j], gain2, shift2, eps)


def together_size(R, H, F, A, threads, longest):
    """Numbers of scratch for `forward_together`."""
    return R * (7 * H + 2 * F + A) + H + threads * work_size(longest, H // A)
