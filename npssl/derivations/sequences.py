"""Steps of attention and of the gates of recurrence."""

import math

import numpy as np

from npssl.derivations.steps import FACT, gradient, sigmoid
from npssl.layers import attention as attention_page
from npssl.layers import recurrent


def _softmax(s):
    e = np.exp(s)
    return e / e.sum(-1, keepdims=True)


def attention(rng):
    """(1)-(7), with a key that is hidden; dropout by its mask."""
    q, k, v = rng.normal(size=(3, 4)), rng.normal(size=(5, 4)), rng.normal(size=(5, 2))
    visible, dy = np.arange(5) < 4, rng.normal(size=(3, 2))
    y, back = attention_page.attention(q, k, v, mask=visible)
    dq, dk, dv = back(dy)
    c = 1 / math.sqrt(4)
    s = c * q @ k.T
    a = np.zeros((3, 5))
    a[:, :4] = _softmax(s[:, :4])
    yield 1, s, "=", np.einsum("td,sd->ts", q, k) / 2
    yield 2, a.sum(1), "=", np.ones(3)
    yield 3, attention_page.attention(q, k, v, mask=visible, rate=0.5)[0], "=", y
    noise = int(rng.integers(1000))
    noisy = attention_page.attention(q, k, np.eye(5), rate=0.5, rng=np.random.default_rng(noise))[0]
    yield 3, np.minimum(abs(noisy), abs(noisy - 2 * _softmax(s))), "=", np.zeros((3, 5))
    yield 4, y, "=", a @ v
    yield 5, dv, "=", a.T @ dy
    yield 5, gradient(lambda a: a @ v, a, dy), "=", dy @ v.T
    db = dy @ v.T
    ds = a * (db - (a * db).sum(1, keepdims=True))
    yield 6, gradient(_softmax, s[:, :4], db[:, :4]), "=", ds[:, :4]
    yield 6, ds[:, 4], "=", np.zeros(3)
    yield 7, dq, "=", c * ds @ k
    yield 7, dk, "=", c * ds.T @ q
    yield FACT, ds.sum(1), "=", np.zeros(3)
    moved = attention_page.attention(q, k + rng.normal(size=4), v, mask=visible)[0]
    yield FACT, moved, "=", y
    yield FACT, dk.sum(0), "=", np.zeros(4)


def gru(rng):
    """(1)-(10), for two steps of two texts; the second step of the second text is padding."""
    B, T, n, H = 2, 2, 3, 2
    x, w, u = rng.normal(size=(B, T, n)), rng.normal(size=(n, 3 * H)), rng.normal(size=(H, 3 * H))
    b, c, h = rng.normal(size=3 * H), rng.normal(size=H), rng.normal(size=(B, H))
    dy, mask = rng.normal(size=(B, T, H)), np.array([[True, True], [True, False]])
    y, back = recurrent.gru(x, w, u, b, c, h, mask=mask)
    found = back(dy)

    def parts(x, h):
        a, p = x @ w + b, h @ u
        r, z = (sigmoid((a + p)[:, k * H : (k + 1) * H]) for k in range(2))
        q = p[:, 2 * H :] + c
        return r, z, q, np.tanh(a[:, 2 * H :] + r * q)

    dw, du, dx, d, dc = 0, 0, np.zeros_like(x), np.zeros((B, H)), 0
    states = [h, y[:, 0], y[:, 1]]
    for t in (1, 0):
        past, seen = states[t], mask[:, t : t + 1]
        r, z, q, N = parts(x[:, t], past)
        yield (
            1,
            z[:, :1] + sigmoid(-(x[:, t] @ w + b + past @ u)[:, H : H + 1]),
            "=",
            np.ones((B, 1)),
        )
        yield 2, np.arctanh(N), "=", (x[:, t] @ w + b)[:, 2 * H :] + r * q
        yield 3, states[t + 1], "=", np.where(seen, (1 - z) * N + z * past, past)
        d = d + dy[:, t]
        yield 4, gradient(lambda z: (1 - z) * N + z * past, z, d), "=", d * (past - N)  # noqa: B023
        da_z = d * (past - N) * z * (1 - z)
        da_n = d * (1 - z) * (1 - N * N)
        yield 5, gradient(lambda a: (1 - z) * np.tanh(a), np.arctanh(N), d), "=", da_n  # noqa: B023
        da_r = da_n * q * r * (1 - r)
        yield 6, gradient(lambda r: r * q, r, da_n) * r * (1 - r), "=", da_r  # noqa: B023
        da = np.concatenate([da_r, da_z, da_n], 1) * seen
        dp = np.concatenate([da_r, da_z, da_n * r], 1) * seen
        dc = dc + (da_n * r * seen).sum(0)
        dx[:, t] = da @ w.T
        dw, du = dw + x[:, t].T @ da, du + past.T @ dp
        step = np.where(seen, d * z, d) + dp @ u.T
        yield 10, step[~seen[:, 0]], "=", d[~seen[:, 0]]
        d = step
    yield 7, found[4], "=", dc
    yield 8, found[5], "=", d
    for got, expected in zip((found[0], found[1], found[2]), (dx, dw, du)):
        yield 9, got, "=", expected


def lstm(rng):
    """(1)-(9), for two steps of two texts; the second step of the second text is padding."""
    B, T, n, H = 2, 2, 3, 2
    x, w, u = rng.normal(size=(B, T, n)), rng.normal(size=(n, 4 * H)), rng.normal(size=(H, 4 * H))
    b, h, c = rng.normal(size=4 * H), rng.normal(size=(B, H)), rng.normal(size=(B, H))
    dy, mask = rng.normal(size=(B, T, H)), np.array([[True, True], [True, False]])
    y, back = recurrent.lstm(x, w, u, b, h, c, mask=mask)
    found = back(dy)
    kept, state, cell = [], h, c
    for t in range(T):
        a, seen = x[:, t] @ w + state @ u + b, mask[:, t : t + 1]
        i, f, o = (sigmoid(a[:, k * H : (k + 1) * H]) for k in (0, 1, 3))
        g = np.tanh(a[:, 2 * H : 3 * H])
        new = f * cell + i * g
        v = np.tanh(new)
        kept.append((i, f, g, o, v, state, cell))
        yield 1, np.log(i / (1 - i)), "=", a[:, :H]
        yield 2, new - i * g, "=", f * cell
        yield 3, y[:, t], "=", np.where(seen, o * v, state)
        state, cell = np.where(seen, o * v, state), np.where(seen, new, cell)
    dw, du, dx, d, e = 0, 0, np.zeros_like(x), np.zeros((B, H)), np.zeros((B, H))
    for t in (1, 0):
        (i, f, g, o, v, past, cell), seen = kept[t], mask[:, t : t + 1]
        d = d + dy[:, t]
        E = e + d * o * (1 - v * v)
        yield 4, gradient(lambda c: o * np.tanh(c), np.arctanh(v), d), "=", E - e  # noqa: B023
        da_o, da_i = d * v * o * (1 - o), E * g * i * (1 - i)
        da_f, da_g = E * cell * f * (1 - f), E * i * (1 - g * g)
        yield 5, gradient(sigmoid, np.log(i / (1 - i)), E * g), "=", da_i
        yield 5, gradient(sigmoid, np.log(o / (1 - o)), d * v), "=", da_o
        yield 6, gradient(sigmoid, np.log(f / (1 - f)), E * cell), "=", da_f
        yield 6, gradient(np.tanh, np.arctanh(g), E * i), "=", da_g
        da = np.concatenate([da_i, da_f, da_g, da_o], 1) * seen
        dx[:, t] = da @ w.T
        dw, du = dw + x[:, t].T @ da, du + past.T @ da
        step = np.where(seen, 0, d) + da @ u.T
        yield 9, step[~seen[:, 0]], "=", d[~seen[:, 0]]
        d, e = step, np.where(seen, E * f, e)
    yield 7, found[4], "=", d
    yield 7, found[5], "=", e
    for got, expected in zip((found[0], found[1], found[2]), (dx, dw, du)):
        yield 8, got, "=", expected


STEPS = (attention, gru, lstm)
