"""GRU and LSTM of float32 through time: the pages are `npssl.layers.recurrent.gru` and ``lstm``.

The matrix of the state is packed once.  Sequences of a batch do not see each other, so each
thread takes some of them through all of time: nobody waits at a step.  The product with the
state lands where the input's share already stands, and the gates are one pass over it.  What
is multiplied stands in ``near``, rows an odd number of cache lines apart: those of one step lie
a power of two apart in y and da, and would push each other out of the cache.
A number does not depend on the rows beside it: the same bytes on any number of threads.
"""

import numpy as np
from numba import boolean, float32, int64, prange, void

from npssl.kernels.elementary import exp
from npssl.kernels.gemm import ADD, STORE, address, gemm, pack, pack_transposed
from npssl.kernels.jit import jit, unwritten
from npssl.kernels.panels import GAP

_one, _two = np.float32(1), np.float32(2)
_cube, _rows = float32[:, :, ::1], float32[:, ::1]
_given_cube, _given_rows = unwritten(_cube), unwritten(_rows)
_given = unwritten(float32[::1])
_seen = unwritten(boolean[:, ::1])


@jit
def _sigmoid(x):
    return _one / (_one + exp(-x))


@jit
def _tanh(x):
    return _two / (_one + exp(-_two * x)) - _one


@jit
def _product(near, first, rows, k, packed, n, target, at, pitch, mode):
    """Rows first, ... of near (B, k + GAP), times the packed matrix (k, n), to ``target``."""
    wide = 4 * near.shape[1]
    gemm(
        address(near) + first * wide, wide, 4, address(packed), k,
        address(target) + 4 * at, 4 * pitch, rows, n, k, 0, mode,
    )  # fmt: skip


@jit
def _lstm_gates(a, before, cell, h):
    """a: shares of the four gates, which take their place."""
    H = len(h)
    I, F, G, O = a[:H], a[H : 2 * H], a[2 * H : 3 * H], a[3 * H :]
    for j in range(H):
        i, f, g, o = _sigmoid(I[j]), _sigmoid(F[j]), _tanh(G[j]), _sigmoid(O[j])  # (1)
        c = f * before[j] + i * g  # (2)
        I[j], F[j], G[j], O[j], cell[j] = i, f, g, o, c
        h[j] = o * _tanh(c)  # (3)


@jit
def _lstm_gates_back(gates, before, cell, dy, d, e, da):
    """d, e: what the step after sends back, to what goes to the step before; d without da u^T."""
    H = len(dy)
    I, F, G, O = gates[:H], gates[H : 2 * H], gates[2 * H : 3 * H], gates[3 * H :]
    dI, dF, dG, dO = da[:H], da[H : 2 * H], da[2 * H : 3 * H], da[3 * H :]
    for j in range(H):
        i, f, g, o, v = I[j], F[j], G[j], O[j], _tanh(cell[j])
        all_d = d[j] + dy[j]
        more = e[j] + all_d * o * (_one - v * v)  # (4)
        dO[j] = all_d * v * o * (_one - o)  # (5)
        dI[j] = more * g * i * (_one - i)
        dF[j] = more * before[j] * f * (_one - f)  # (6)
        dG[j] = more * i * (_one - g * g)
        e[j] = more * f  # (7)
        d[j] = 0


@jit(
    void(_cube, _given_rows, _given_rows, _given_rows, _seen, int64, _cube, _cube),
    parallel=True,
)
def lstm(a, u, h, c, seen, threads, cells, y):
    """Equations of `npssl.layers.recurrent.lstm`; a (B, T, 4H) holds x w + b, then the gates."""
    (B, T, _), H = a.shape, y.shape[2]
    packed = np.empty(u.size, np.float32)
    pack(u.reshape(-1), 0, 4 * H, H, 4 * H, packed)
    near = np.empty((B, H + GAP), np.float32)
    near[:, :H] = h
    for chunk in prange(threads):
        first, last = B * chunk // threads, B * (chunk + 1) // threads
        for t in range(T):
            at = (first * T + t) * 4 * H
            _product(near, first, last - first, H, packed, 4 * H, a, at, T * 4 * H, ADD)
            for b in range(first, last):
                cell = c[b] if t == 0 else cells[b, t - 1]
                if seen[b, t]:
                    _lstm_gates(a[b, t], cell, cells[b, t], near[b, :H])
                else:
                    cells[b, t] = cell
                y[b, t] = near[b, :H]


@jit(
    void(_given_cube, _given_rows, _given_rows, _seen, int64, _given_cube, _given_cube,
         _cube, _rows, _rows),
    parallel=True,
)  # fmt: skip
def lstm_back(gates, u, c, seen, threads, cells, dy, da, d, e):
    """da (B, T, 4H); d and e, zero at first, become the gradients of h and c."""
    B, T, H = dy.shape
    packed = np.empty(u.size, np.float32)
    pack_transposed(u.reshape(-1), 0, 4 * H, 4 * H, H, packed)
    near = np.empty((B, 4 * H + GAP), np.float32)
    for chunk in prange(threads):
        first, last = B * chunk // threads, B * (chunk + 1) // threads
        for back in range(T):
            t = T - 1 - back
            for b in range(first, last):
                if seen[b, t]:
                    before = c[b] if t == 0 else cells[b, t - 1]
                    _lstm_gates_back(
                        gates[b, t], before, cells[b, t], dy[b, t], d[b], e[b], da[b, t]
                    )
                else:
                    da[b, t] = 0  # (9)
                    d[b] += dy[b, t]
                near[b, : 4 * H] = da[b, t]
            _product(near, first, last - first, 4 * H, packed, H, d, first * H, H, ADD)


@jit
def _gru_gates(a, p, c, q, h):
    """a: the input's shares, which give way to r, z and n; p: those of the state h."""
    H = len(h)
    R, Z, N = a[:H], a[H : 2 * H], a[2 * H :]
    pr, pz, pn = p[:H], p[H : 2 * H], p[2 * H :]
    for j in range(H):
        r, z = _sigmoid(R[j] + pr[j]), _sigmoid(Z[j] + pz[j])  # (1)
        q[j] = pn[j] + c[j]
        n = _tanh(N[j] + r * q[j])  # (2)
        R[j], Z[j], N[j] = r, z, n
        h[j] = (_one - z) * n + z * h[j]  # (3)


@jit
def _gru_gates_back(gates, q, before, dy, d, da, dp):
    H = len(dy)
    R, Z, N = gates[:H], gates[H : 2 * H], gates[2 * H :]
    dR, dZ, dN = da[:H], da[H : 2 * H], da[2 * H :]
    pR, pZ, pN = dp[:H], dp[H : 2 * H], dp[2 * H :]
    for j in range(H):
        r, z, n = R[j], Z[j], N[j]
        all_d = d[j] + dy[j]
        az = all_d * (before[j] - n) * z * (_one - z)  # (4)
        an = all_d * (_one - z) * (_one - n * n)  # (5)
        ar = an * q[j] * r * (_one - r)  # (6)
        dR[j], dZ[j], dN[j] = ar, az, an
        pR[j], pZ[j], pN[j] = ar, az, an * r  # (7)
        d[j] = all_d * z  # (8)


@jit(
    void(_cube, _given_rows, _given, _given_rows, _seen, int64, _cube, _cube),
    parallel=True,
)
def gru(a, u, c, h, seen, threads, q, y):
    """Equations of `npssl.layers.recurrent.gru`; a (B, T, 3H) holds x w + b, then r, z, n."""
    (B, T, _), H = a.shape, y.shape[2]
    packed = np.empty(u.size, np.float32)
    pack(u.reshape(-1), 0, 3 * H, H, 3 * H, packed)
    near, shares = np.empty((B, H + GAP), np.float32), np.empty((B, 3 * H), np.float32)
    near[:, :H] = h
    for chunk in prange(threads):
        first, last = B * chunk // threads, B * (chunk + 1) // threads
        for t in range(T):
            at = first * 3 * H
            _product(near, first, last - first, H, packed, 3 * H, shares, at, 3 * H, STORE)
            for b in range(first, last):
                if seen[b, t]:
                    _gru_gates(a[b, t], shares[b], c, q[b, t], near[b, :H])
                y[b, t] = near[b, :H]


@jit(
    void(_given_cube, _given_rows, _given_rows, _seen, int64, _given_cube, _given_cube,
         _given_cube, _cube, _cube, _rows),
    parallel=True,
)  # fmt: skip
def gru_back(gates, u, h, seen, threads, q, y, dy, da, dp, d):
    """da and dp (B, T, 3H); d, zero at first, becomes the gradient of h."""
    B, T, H = dy.shape
    packed = np.empty(u.size, np.float32)
    pack_transposed(u.reshape(-1), 0, 3 * H, 3 * H, H, packed)
    near = np.empty((B, 3 * H + GAP), np.float32)
    for chunk in prange(threads):
        first, last = B * chunk // threads, B * (chunk + 1) // threads
        for back in range(T):
            t = T - 1 - back
            for b in range(first, last):
                if seen[b, t]:
                    before = h[b] if t == 0 else y[b, t - 1]
                    _gru_gates_back(
                        gates[b, t], q[b, t], before, dy[b, t], d[b], da[b, t], dp[b, t]
                    )
                else:
                    da[b, t] = 0  # (10)
                    dp[b, t] = 0
                    d[b] += dy[b, t]
                near[b, : 3 * H] = dp[b, t]
            _product(near, first, last - first, 3 * H, packed, H, d, first * H, H, ADD)
