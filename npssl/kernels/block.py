"""A transformer's block, forward and backward, over tiles of whole sequences.

The page is `npssl.models.transformer`: the same sums in the same places.  Here rows are
packed: the tokens of all sequences one after another, no padding, x (M, H), and
``starts`` says where each sequence begins.  A tile is some whole sequences, about 128
rows; each thread carries a tile through the whole block, so that what lies between two
products of matrices stays in its cache.  Between two products there is one pass: bias,
GELU; dropout, residual, norm; scale, softmax, dropout.

Kept for the way back: queries, keys, values; what attention found; both normalised
inputs; the input of the GELU; of each softmax only the logarithm of its sum, from which
it is computed again (Dao et al. 2022, arXiv:2205.14135, section 3.1).  Dropout keeps nothing: its
mask is a hash of (seed, index).  Sums over rows (of biases, gains, weights) are taken by
tiles and in their order, so the result has the same bytes on any number of threads.
"""

import math

import numpy as np
from numba import boolean, float32, int64, prange, uint32, void

from npssl.kernels import panels
from npssl.kernels.elementary import exp, gelu, gelu_and_slope, hashed
from npssl.kernels.gemm import ADD, BIAS, PANEL, STORE, address, gemm, pack, pack_transposed
from npssl.kernels.jit import by_name, jit
from npssl.kernels.norm_row import norm_row, norm_row_back
from npssl.kernels.panels import COLUMNS, DEPTH, GAP

TILE = 128  # rows of a tile, about
_BLOCK = 48  # queries that are answered together
f32, u32 = np.float32, np.uint32
_vector, _places = float32[::1], int64[::1]


@jit
def _round(n, to):
    return (n + to - 1) // to * to


@jit
def add_kept(o, x, y, seed, limit, scale):
    """y = x + dropout(o), a row; ``seed`` is that of its first number."""
    if limit == u32(0):
        for j in range(y.size):
            y[j] = x[j] + o[j]
    else:
        for j in range(y.size):
            t = o[j] * scale
            y[j] = x[j] + (t if hashed(seed + u32(j)) >= limit else f32(0))


@jit
def _drop_back(dy, do, dbias, seed, limit, scale):
    """Through `add_kept` to o, whose bias gets the sum."""
    if limit == u32(0):
        for j in range(do.size):
            do[j] = dy[j]
            dbias[j] += dy[j]
    else:
        for j in range(do.size):
            t = dy[j] * scale
            t = t if hashed(seed + u32(j)) >= limit else f32(0)
            do[j] = t
            dbias[j] += t


@jit
def _softmax(s, whole, visible, c, seed, limit, scale):
    """Scores of one query to its weights, with dropout; returns the log of the sum."""
    x = s[:visible]
    top = f32(-np.inf)
    for j in range(visible):
        top = max(top, x[j])
    top *= c
    total = f32(0)
    for j in range(visible):
        t = exp(x[j] * c - top)
        x[j] = t
        total += t
    inverse = f32(1) / total
    if limit == u32(0):
        for j in range(visible):
            x[j] *= inverse
    else:
        inverse *= scale
        for j in range(visible):
            t = x[j] * inverse
            x[j] = t if hashed(seed + u32(j)) >= limit else f32(0)
    for j in range(visible, whole):
        s[j] = 0
    return top + f32(math.log(total))


@jit
def _softmax_back(s, db, b, whole, visible, c, logsum, seed, limit, scale):
    """s: scores to their gradient; db: gradient of the weights; b: weights after dropout."""
    x, d, kept = s[:visible], db[:visible], b[:visible]
    total = f32(0)
    if limit == u32(0):
        for j in range(visible):
            p = exp(x[j] * c - logsum)
            kept[j] = p
            x[j] = p
            total += p * d[j]
    else:
        for j in range(visible):
            p = exp(x[j] * c - logsum)
            through = scale if hashed(seed + u32(j)) >= limit else f32(0)
            kept[j] = p * through
            t = d[j] * through
            d[j] = t
            x[j] = p
            total += p * t
    for j in range(visible):
        x[j] = x[j] * (d[j] - total) * c
    for j in range(visible, whole):
        s[j] = 0
        b[j] = 0


@jit
def attend(qkv, row, T, H, A, h, mixed, logsums, work, causal, stride, first, seed, limit, scale):
    """One head of one sequence: rows row to row + T of the tile's qkv (R, 3 H) to mixed (R, H).

    ``first``: the tile's first row among all; ``stride``: length of the longest sequence.
    """
    D, W = H // A, 3 * H
    c = f32(1 / math.sqrt(D))
    ld = _round(T, 16)
    keys = work[: D * ld]
    values = work[D * ld :][: T * D]
    scores = work[D * (ld + T) :][: _BLOCK * ld]
    pack_transposed(qkv, row * W + H + h * D, W, D, T, keys)
    pack(qkv, row * W + 2 * H + h * D, W, T, D, values)
    for r in range(0, T, _BLOCK):
        rows = min(_BLOCK, T - r)
        seen = r + rows if causal else T
        gemm(
            address(qkv) + 4 * ((row + r) * W + h * D),
            4 * W,
            4,
            address(keys),
            D,
            address(scores),
            4 * ld,
            rows,
            min(_round(seen, PANEL), T),
            D,
            0,
            STORE,
        )
        for i in range(rows):
            place = first + row + r + i
            logsums[(row + r + i) * A + h] = _softmax(
                scores[i * ld :][:ld],
                seen,
                r + i + 1 if causal else T,
                c,
                seed + u32((place * A + h) * stride),
                limit,
                scale,
            )
        gemm(
            address(scores),
            4 * ld,
            4,
            address(values),
            T,
            address(mixed) + 4 * ((row + r) * H + h * D),
            4 * H,
            rows,
            D,
            seen,
            0,
            STORE,
        )


@jit
def _attend_back(
    qkv, dmixed, dqkv, row, T, H, A, h, logsums, work, causal, stride, first, seed, limit, scale
):
    """The way back through `attend`: dmixed (R, H) to dqkv (R, 3 H)."""
    D, W = H // A, 3 * H
    c = f32(1 / math.sqrt(D))
    ld = _round(T, 16)
    size = D * ld
    keys, keys_t, values_t = work[:size], work[size:][:size], work[2 * size :][:size]
    queries, dm = work[3 * size :][: _BLOCK * D], work[3 * size + _BLOCK * D :][: _BLOCK * D]
    rest = work[3 * size + 2 * _BLOCK * D :]
    block = _BLOCK * ld
    scores, db, b = rest[:block], rest[block:][:block], rest[2 * block :][:block]
    q0, k0, v0 = row * W + h * D, row * W + H + h * D, row * W + 2 * H + h * D
    pack(qkv, k0, W, T, D, keys)
    pack_transposed(qkv, k0, W, D, T, keys_t)
    pack_transposed(qkv, v0, W, D, T, values_t)
    a, m = address(qkv), address(dmixed)
    for r in range(0, T, _BLOCK):
        rows = min(_BLOCK, T - r)
        seen = r + rows if causal else T
        wide = min(_round(seen, PANEL), T)
        q, dm_at = a + 4 * (q0 + r * W), (row + r) * H + h * D
        gemm(q, 4 * W, 4, address(keys_t), D, address(scores), 4 * ld, rows, wide, D, 0, STORE)
        gemm(
            m + 4 * dm_at,
            4 * H,
            4,
            address(values_t),
            D,
            address(db),
            4 * ld,
            rows,
            wide,
            D,
            0,
            STORE,
        )
        for i in range(rows):
            place = first + row + r + i
            _softmax_back(
                scores[i * ld :][:ld],
                db[i * ld :][:ld],
                b[i * ld :][:ld],
                seen,
                r + i + 1 if causal else T,
                c,
                logsums[(row + r + i) * A + h],
                seed + u32((place * A + h) * stride),
                limit,
                scale,
            )
        to = address(dqkv)
        gemm(
            address(scores), 4 * ld, 4, address(keys), T,
            to + 4 * (q0 + r * W), 4 * W, rows, D, seen, 0, STORE,
        )  # fmt: skip
        pack(qkv, q0 + r * W, W, rows, D, queries)
        pack(dmixed, dm_at, H, rows, D, dm)
        # Rows before ``old`` have sums of earlier queries; the others begin here.
        old = (r if causal else T) if r else 0
        for begin, end, mode in ((0, old, ADD), (old, seen, STORE)):
            at = 4 * begin
            gemm(
                address(scores) + at, 4, 4 * ld, address(queries), rows,
                to + 4 * (k0 + begin * W), 4 * W, end - begin, D, rows, 0, mode,
            )  # fmt: skip
            gemm(
                address(b) + at, 4, 4 * ld, address(dm), rows,
                to + 4 * (v0 + begin * W), 4 * W, end - begin, D, rows, 0, mode,
            )  # fmt: skip


def work_size(T, D):
    """Numbers of scratch that one head of a sequence of length T needs, there and back."""
    ld = -(-T // 16) * 16
    return 3 * D * ld + 2 * _BLOCK * D + 3 * _BLOCK * ld


@jit
def gelu_numbers(u, a, tanh):
    """a = gelu(u), number by number."""
    if tanh:
        for i in range(u.size):
            a[i] = gelu(u[i], True)
    else:
        for i in range(u.size):
            a[i] = gelu(u[i], False)


@jit
def _gelu_back(u, da, du, db, tanh):
    """One row: da to du, whose sum goes to db."""
    if tanh:
        for i in range(u.size):
            d = da[i] * gelu_and_slope(u[i], True)[1]
            du[i] = d
            db[i] += d
    else:
        for i in range(u.size):
            d = da[i] * gelu_and_slope(u[i], False)[1]
            du[i] = d
            db[i] += d


@jit
def _normed_near(hat, gain, shift, H, begin, end, near, pitch):
    """What a norm gave, made again from its ``hat``; else as `panels.bring_near`."""
    for i in range(end - begin):
        row, y = hat[(begin + i) * H :][:H], near[i * pitch :][:H]
        for j in range(H):
            y[j] = row[j] * gain[j] + shift[j]


@jit
def _gelu_near(u, F, begin, end, where, near, pitch, tanh):
    """What the GELU gave, made again; else as `panels.bring_near`."""
    top, _first, rows, _width = where
    for i in range(end - begin):
        gelu_numbers(u[(begin + i) * F + top :][:rows], near[i * pitch :][:rows], tanh)


@jit(void(*[_vector] * 4, int64, int64, _vector, boolean), parallel=True)
def pack_weights(qkv, out, up, down, H, F, packed, transposed):
    """The four matrices of a block, or their transposes, in panels, one after another."""
    wide, one, hidden = 3 * H, H, F  # columns of the four, or, transposed, of their transposes
    if transposed:
        wide, hidden = H, H
    a = (wide + PANEL - 1) // PANEL
    b = a + (one + PANEL - 1) // PANEL
    c = b + (hidden + PANEL - 1) // PANEL
    last = F if transposed else H
    d = c + (last + PANEL - 1) // PANEL
    for i in prange(d):
        if i < a:
            panels.pack_panel(qkv, 3 * H * H // wide, wide, packed, i, transposed)
        elif i < b:
            panels.pack_panel(out, H, H, packed[3 * H * H :], i - a, transposed)
        elif i < c:
            panels.pack_panel(up, H * F // hidden, hidden, packed[4 * H * H :], i - b, transposed)
        else:
            to = packed[4 * H * H + H * F :]
            panels.pack_panel(down, H * F // last, last, to, i - c, transposed)


# Numbers kept of each row, by name; H, F and A are width, hidden and heads.
def _kept_sizes(H, F, A):
    return 3 * H, H, H, H, F, 1, 1, A


def kept_size(M, H, F, A):
    """Numbers that the forward pass of a block keeps for M rows."""
    return M * sum(_kept_sizes(H, F, A))


@jit
def _parts(kept, M, H, F, A, r0, r1):
    """Views of rows r0 to r1: qkv, mixed, both normalised, GELU's input, 1/deviations, sums."""
    R, at = r1 - r0, 0
    qkv = kept[at + r0 * 3 * H :][: R * 3 * H]
    at += M * 3 * H
    mixed = kept[at + r0 * H :][: R * H]
    at += M * H
    hat1 = kept[at + r0 * H :][: R * H]
    at += M * H
    hat2 = kept[at + r0 * H :][: R * H]
    at += M * H
    u = kept[at + r0 * F :][: R * F]
    at += M * F
    inverse1 = kept[at + r0 :][:R]
    at += M
    inverse2 = kept[at + r0 :][:R]
    at += M
    logsums = kept[at + r0 * A :][: R * A]
    return qkv, mixed, hat1, hat2, u, inverse1, inverse2, logsums


_FORWARD = (
    int64, *[_vector] * 2, *[_places] * 2, *[int64] * 3, *[_vector] * 9,
    *[boolean] * 4, int64, *[uint32] * 4, float32, float32,
)  # fmt: skip


@by_name("npssl_block_forward")
@jit(void(int64, *_FORWARD))
def _forward_tiles(
    chunk, threads, x, y, starts, tiles, H, F, A, packed, qkv_b, out_b, up_b, down_b, gains, shifts,
    kept, work, keep, norm_first, tanh, causal, stride, seed1, seed2, seed3, limit, scale, eps,
):  # fmt: skip
    """A thread's tiles of `forward`."""
    count = tiles.size - 1
    gain1, gain2, shift1, shift2 = gains[:H], gains[H:], shifts[:H], shifts[H:]
    w_out, w_up, w_down = 3 * H * H, 4 * H * H, 4 * H * H + H * F
    M = starts[starts.size - 1]
    each = work.size // threads
    mine = work[chunk * each :][:each]
    for t in range(count * chunk // threads, count * (chunk + 1) // threads):
        r0, r1 = starts[tiles[t]], starts[tiles[t + 1]]
        R = r1 - r0
        X, Y = x[r0 * H :][: R * H], y[r0 * H :][: R * H]
        z, o, h, a = (
            mine[: R * H],
            mine[R * H :][: R * H],
            mine[2 * R * H :][: R * H],
            mine[3 * R * H :][: R * F],
        )
        rest = mine[3 * R * H + R * F :]
        if keep:
            parts = _parts(kept, M, H, F, A, r0, r1)
        else:
            parts = _parts(rest, R, H, F, A, 0, R)
            rest = rest[R * (6 * H + F + 2 + A) :]
        qkv, mixed, hat1, hat2, u, inverse1, inverse2, logsums = parts
        into = X
        if norm_first:
            for r in range(R):
                i, j = r * H, (r + 1) * H
                inverse1[r] = norm_row(X[i:j], hat1[i:j], z[i:j], gain1, shift1, eps)
            into = z
        p = address(packed)
        gemm(
            address(into), 4 * H, 4, p, H, address(qkv), 12 * H, R, 3 * H, H,
            address(qkv_b), BIAS,
        )  # fmt: skip
        for s in range(tiles[t], tiles[t + 1]):
            row, T = starts[s] - r0, starts[s + 1] - starts[s]
            for head in range(A):
                attend(
                    qkv, row, T, H, A, head, mixed, logsums, rest,
                    causal, stride, r0, seed1, limit, scale,
                )  # fmt: skip
        gemm(
            address(mixed), 4 * H, 4, p + 4 * w_out, H, address(o), 4 * H, R, H, H,
            address(out_b), BIAS,
        )  # fmt: skip
        for r in range(R):
            i, j = r * H, (r + 1) * H
            seed = seed2 + u32((r0 + r) * H)
            add_kept(o[i:j], X[i:j], h[i:j], seed, limit, scale)
            if norm_first:
                inverse2[r] = norm_row(h[i:j], hat2[i:j], z[i:j], gain2, shift2, eps)
            else:
                inverse1[r] = norm_row(h[i:j], hat1[i:j], h[i:j], gain1, shift1, eps)
        into = z if norm_first else h
        gemm(
            address(into), 4 * H, 4, p + 4 * w_up, H, address(u), 4 * F, R, F, H,
            address(up_b), BIAS,
        )  # fmt: skip
        gelu_numbers(u, a, tanh)
        gemm(
            address(a), 4 * F, 4, p + 4 * w_down, F, address(o), 4 * H, R, H, F,
            address(down_b), BIAS,
        )  # fmt: skip
        for r in range(R):
            i, j = r * H, (r + 1) * H
            seed = seed3 + u32((r0 + r) * H)
            add_kept(o[i:j], h[i:j], Y[i:j], seed, limit, scale)
            if not norm_first:
                inverse2[r] = norm_row(Y[i:j], hat2[i:j], Y[i:j], gain2, shift2, eps)


@jit(void(*_FORWARD), parallel=True)
def forward(
    threads, x, y, starts, tiles, H, F, A, packed, qkv_b, out_b, up_b, down_b, gains, shifts,
    kept, work, keep, norm_first, tanh, causal, stride, seed1, seed2, seed3, limit, scale, eps,
):  # fmt: skip
    """x (M, H) to y (M, H), flat.

    starts : where each sequence begins, and the end; tiles : which sequences, likewise
    packed : `pack_weights`;  gains, shifts : of both norms, one after the other
    kept : see `kept_size`, for all M rows, or, unless ``keep``, not used
    work : scratch, a part for each thread;  limit : hashes below it are dropped
    """
    for chunk in prange(threads):
        _forward_tiles(
            chunk, threads, x, y, starts, tiles, H, F, A, packed, qkv_b, out_b, up_b, down_b,
            gains, shifts, kept, work, keep, norm_first, tanh, causal, stride, seed1, seed2,
            seed3, limit, scale, eps,
        )  # fmt: skip


def sides_size(M, H, F):
    """Numbers that the backward pass of a block hands to `weight_gradients`, for M rows."""
    return M * (F + 5 * H)


@jit
def _sides(sides, M, H, F):
    """What follows du (M, F) among them: df, do (M, H) and dqkv (M, 3 H)."""
    rest = sides[M * F :]
    return rest[: M * H], rest[M * H :][: M * H], rest[2 * M * H :]


def sums_size(H, F):
    """Numbers that a tile adds up: of four biases, two gains, two shifts."""
    return 9 * H + F


_BACKWARD = (
    int64, *[_vector] * 2, *[_places] * 2, *[int64] * 3, *[_vector] * 6,
    *[boolean] * 3, int64, *[uint32] * 4, float32,
)  # fmt: skip


@by_name("npssl_block_backward")
@jit(void(int64, *_BACKWARD))
def _backward_tiles(
    chunk, threads, dy, dx, starts, tiles, H, F, A, packed, gains, kept, sides, sums, work,
    norm_first, tanh, causal, stride, seed1, seed2, seed3, limit, scale,
):  # fmt: skip
    """A thread's tiles of `backward`."""
    count = tiles.size - 1
    gain1, gain2 = gains[:H], gains[H:]
    w_out, w_up, w_down = 3 * H * H, 4 * H * H, 4 * H * H + H * F
    M = starts[starts.size - 1]
    each, wide = work.size // threads, 9 * H + F
    mine = work[chunk * each :][:each]
    for t in range(count * chunk // threads, count * (chunk + 1) // threads):
        r0, r1 = starts[tiles[t]], starts[tiles[t + 1]]
        R = r1 - r0
        DY, DX = dy[r0 * H :][: R * H], dx[r0 * H :][: R * H]
        qkv, _mixed, hat1, hat2, u, inverse1, inverse2, logsums = _parts(kept, M, H, F, A, r0, r1)
        du = sides[r0 * F :][: R * F]
        df, do, dqkv = _sides(sides, M, H, F)
        df, do = df[r0 * H :][: R * H], do[r0 * H :][: R * H]
        dqkv = dqkv[3 * r0 * H :][: 3 * R * H]
        mean = sums[t * wide :][:wide]
        d_qkv_b, d_out_b, d_up_b, d_down_b = (
            mean[: 3 * H],
            mean[3 * H :][:H],
            mean[4 * H :][:F],
            mean[4 * H + F :][:H],
        )
        mean = mean[5 * H + F :]
        d_gain1, d_gain2, d_shift1, d_shift2 = (
            mean[:H],
            mean[H:][:H],
            mean[2 * H :][:H],
            mean[3 * H :][:H],
        )
        dh, dm, da = mine[: R * H], mine[R * H :][: R * H], mine[2 * R * H :][: R * F]
        rest = mine[2 * R * H + R * F :]
        p = address(packed)
        for r in range(R):
            i, j = r * H, (r + 1) * H
            if norm_first:
                dh[i:j] = DY[i:j]
            else:
                norm_row_back(
                    DY[i:j], hat2[i:j], inverse2[r], gain2, d_gain2, d_shift2, dh[i:j], False
                )
            seed = seed3 + u32((r0 + r) * H)
            _drop_back(dh[i:j], df[i:j], d_down_b, seed, limit, scale)
        gemm(address(df), 4 * H, 4, p + 4 * w_down, H, address(da), 4 * F, R, F, H, 0, STORE)
        for r in range(R):
            i, j = r * F, (r + 1) * F
            _gelu_back(u[i:j], da[i:j], du[i:j], d_up_b, tanh)
        to, mode = (dm, STORE) if norm_first else (dh, ADD)
        gemm(address(du), 4 * F, 4, p + 4 * w_up, F, address(to), 4 * H, R, H, F, 0, mode)
        for r in range(R):
            i, j = r * H, (r + 1) * H
            if norm_first:
                norm_row_back(
                    dm[i:j], hat2[i:j], inverse2[r], gain2, d_gain2, d_shift2, dh[i:j], True
                )
                DX[i:j] = dh[i:j]
            else:
                norm_row_back(
                    dh[i:j], hat1[i:j], inverse1[r], gain1, d_gain1, d_shift1, DX[i:j], False
                )
            seed = seed2 + u32((r0 + r) * H)
            _drop_back(DX[i:j], do[i:j], d_out_b, seed, limit, scale)
        gemm(address(do), 4 * H, 4, p + 4 * w_out, H, address(dm), 4 * H, R, H, H, 0, STORE)
        for s in range(tiles[t], tiles[t + 1]):
            row, T = starts[s] - r0, starts[s + 1] - starts[s]
            for head in range(A):
                _attend_back(
                    qkv, dm, dqkv, row, T, H, A, head, logsums, rest,
                    causal, stride, r0, seed1, limit, scale,
                )  # fmt: skip
        for r in range(R):
            d = dqkv[r * 3 * H :][: 3 * H]
            for j in range(3 * H):
                d_qkv_b[j] += d[j]
        to, mode = (dm, STORE) if norm_first else (DX, ADD)
        gemm(address(dqkv), 12 * H, 4, p, 3 * H, address(to), 4 * H, R, H, 3 * H, 0, mode)
        if norm_first:
            for r in range(R):
                i, j = r * H, (r + 1) * H
                norm_row_back(
                    dm[i:j], hat1[i:j], inverse1[r], gain1, d_gain1, d_shift1, DX[i:j], True
                )


@jit(void(*_BACKWARD), parallel=True)
def backward(
    threads, dy, dx, starts, tiles, H, F, A, packed, gains, kept, sides, sums, work,
    norm_first, tanh, causal, stride, seed1, seed2, seed3, limit, scale,
):  # fmt: skip
    """dy (M, H) to dx (M, H).

    packed : the transposes, `pack_weights`
    sides : written: for all M rows du, df, do, dqkv; see `weight_gradients`
    sums : added to: of each tile qkv_b, out_b, up_b, down_b, both gains, both shifts
    """
    for chunk in prange(threads):
        _backward_tiles(
            chunk, threads, dy, dx, starts, tiles, H, F, A, packed, gains, kept, sides, sums,
            work, norm_first, tanh, causal, stride, seed1, seed2, seed3, limit, scale,
        )  # fmt: skip


@by_name("npssl_block_weight_gradients")
@jit(void(*[int64] * 5, *[_vector] * 10, boolean, boolean))
def _weight_tasks(
    chunk, threads, M, H, F, x, kept, gains, shifts, sides, d_qkv, d_out, d_up, d_down, work,
    norm_first, tanh,
):  # fmt: skip
    """A thread's tasks of `weight_gradients`."""
    _, mixed, hat1, hat2, u, _, _, _ = _parts(kept, M, H, F, 1, 0, M)
    df, do, dqkv = _sides(sides, M, H, F)
    hat, gain, shift = hat1, gains[:H], shifts[:H]
    if norm_first:
        hat, gain, shift = hat2, gains[H:], shifts[H:]
    wide, one, hidden = (
        (3 * H + COLUMNS - 1) // COLUMNS,
        (H + COLUMNS - 1) // COLUMNS,
        (F + COLUMNS - 1) // COLUMNS,
    )
    count = wide + one + hidden + one * ((F + H - 1) // H)
    each, pitch = work.size // threads, H + GAP
    panel = work[chunk * each :][: DEPTH * COLUMNS]
    near = work[chunk * each + DEPTH * COLUMNS :][: DEPTH * pitch]
    start, stop = count * chunk // threads, count * (chunk + 1) // threads
    for r in range(0, M, DEPTH):
        end = min(M, r + DEPTH)
        for task in range(start, stop):
            if task < wide:
                where = panels.place(task, H, 3 * H, H)
                if task == start or not where[1]:
                    if norm_first:
                        _normed_near(hat1, gains, shifts, H, r, end, near, pitch)
                    else:
                        panels.bring_near(x, H, r, end, where, near, pitch)
                right, n, into = dqkv, 3 * H, d_qkv
            elif task < wide + one:
                where = panels.place(task - wide, H, H, H)
                if task == start or not where[1]:
                    panels.bring_near(mixed, H, r, end, where, near, pitch)
                right, n, into = do, H, d_out
            elif task < wide + one + hidden:
                where = panels.place(task - wide - one, H, F, H)
                if task == start or not where[1]:
                    _normed_near(hat, gain, shift, H, r, end, near, pitch)
                right, n, into = sides, F, d_up
            else:
                where = panels.place(task - wide - one - hidden, F, H, H)
                if task == start or not where[1]:
                    _gelu_near(u, F, r, end, where, near, pitch, tanh)
                right, n, into = df, H, d_down
            panels.gradient_task(near, pitch, right, n, r, end, into, where, panel)


@jit(void(*[int64] * 4, *[_vector] * 10, boolean, boolean), parallel=True)
def weight_gradients(
    threads, M, H, F, x, kept, gains, shifts, sides, d_qkv, d_out, d_up, d_down, work,
    norm_first, tanh,
):  # fmt: skip
    """Adds to the gradients of the four matrices, all threads through the same rows together.

    What stands left in a product is read or, if it is a norm or a GELU of what was kept, made
    again: that costs less than to write and to read it.
    """
    for chunk in prange(threads):
        _weight_tasks(
            chunk, threads, M, H, F, x, kept, gains, shifts, sides, d_qkv, d_out, d_up, d_down,
            work, norm_first, tanh,
        )  # fmt: skip
