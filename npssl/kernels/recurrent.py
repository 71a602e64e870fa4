"""GRU and LSTM of float32 through time: the pages are `npssl.layers.recurrent.gru` and ``lstm``.

The matrix of the state is packed once.  Sequences of a batch do not see each other, so each
thread takes some of them through all of time: nobody waits at a step.  The product with the
state lands where the input's share already stands, and the gates are one pass over it.
A number does not depend on the rows beside it: the same bytes on any number of threads.
"""

import numpy as np
from numba import boolean, float32, int64, prange, void

from npssl.kernels.elementary import exp
from npssl.kernels.gemm import ADD, STORE, address, gemm, pack, pack_transposed
from npssl.kernels.jit import jit, unwritten

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
def _fill(a, first, rows, t, T, width, state, t_state, T_state, packed, H, mode):
    """Rows first, ... of a[:, t] (+)= state[:, t_state] times the packed matrix."""
    gemm(
        address(state) + 4 * (first * T_state + t_state) * H, 4 * T_state * H, 4,
        address(packed), H, address(a) + 4 * (first * T + t) * width, 4 * T * width,
        rows, width, H, 0, mode,
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
    for chunk in prange(threads):
        first, last = B * chunk // threads, B * (chunk + 1) // threads
        for t in range(T):
            if t == 0:
                _fill(a, first, last - first, t, T, 4 * H, h, 0, 1, packed, H, ADD)
            else:
                _fill(a, first, last - first, t, T, 4 * H, y, t - 1, T, packed, H, ADD)
            for b in range(first, last):
                cell = c[b] if t == 0 else cells[b, t - 1]
                if seen[b, t]:
                    _lstm_gates(a[b, t], cell, cells[b, t], y[b, t])
                else:
                    cells[b, t] = cell
                    y[b, t] = h[b] if t == 0 else y[b, t - 1]


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
            gemm(
                address(da) + 4 * (first * T + t) * 4 * H, 4 * T * 4 * H, 4, address(packed), 4 * H,
                address(d) + 4 * first * H, 4 * H, last - first, H, 4 * H, 0, ADD,
            )  # fmt: skip


@jit
def _gru_gates(a, p, c, before, q, h):
    """a: the input's shares, which give way to r, z and n; p: those of the state."""
    H = len(h)
    R, Z, N = a[:H], a[H : 2 * H], a[2 * H :]
    pr, pz, pn = p[:H], p[H : 2 * H], p[2 * H :]
    for j in range(H):
        r, z = _sigmoid(R[j] + pr[j]), _sigmoid(Z[j] + pz[j])  # (1)
        q[j] = pn[j] + c[j]
        n = _tanh(N[j] + r * q[j])  # (2)
        R[j], Z[j], N[j] = r, z, n
        h[j] = (_one - z) * n + z * before[j]  # (3)


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
    shares = np.empty((B, 1, 3 * H), np.float32)
    for chunk in prange(threads):
        first, last = B * chunk // threads, B * (chunk + 1) // threads
        for t in range(T):
            if t == 0:
                _fill(shares, first, last - first, 0, 1, 3 * H, h, 0, 1, packed, H, STORE)
            else:
                _fill(shares, first, last - first, 0, 1, 3 * H, y, t - 1, T, packed, H, STORE)
            for b in range(first, last):
                before = h[b] if t == 0 else y[b, t - 1]
                if seen[b, t]:
                    _gru_gates(a[b, t], shares[b, 0], c, before, q[b, t], y[b, t])
                else:
                    y[b, t] = before


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
            gemm(
                address(dp) + 4 * (first * T + t) * 3 * H, 4 * T * 3 * H, 4, address(packed), 3 * H,
                address(d) + 4 * first * H, 4 * H, last - first, H, 3 * H, 0, ADD,
            )  # fmt: skip
