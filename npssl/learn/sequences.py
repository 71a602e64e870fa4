"""Chapter 5: sequences: attention, recurrence, and a whole block."""

import math

import numpy as np

from npssl.layers import attention as attention_page
from npssl.learn.exercise import Exercise


def attention(q, k, v):
    """softmax(q k^T / sqrt(d)) v, for one head.  Return dq, dk, dv.

    Hints:
    - Backwards: the product with v, the softmax over keys, the scaled product.
    - dw = dy v^T, dv = w^T dy; then softmax's gradient row by row.
    - 1 / sqrt(d) belongs to dq and to dk.
    """
    scale = 1 / math.sqrt(q.shape[-1])
    s = q @ k.T * scale
    e = np.exp(s - s.max(-1, keepdims=True))
    w = e / e.sum(-1, keepdims=True)
    y = w @ v

    def back(dy):
        dw = dy @ v.T
        ds = w * (dw - (w * dw).sum(-1, keepdims=True)) * scale
        return ds @ k, ds.T @ q, w.T @ dy

    return y, back


def causal_attention(q, k, v):
    """Each place sees itself and what came before.  Return dq, dk, dv.

    Hints:
    - The hidden weights are 0, so softmax's gradient is 0 there by itself.

    Derivation:
    As attention: w = 0 at hidden places, and ds = w (dw - sum w dw) is 0 with it.
    """
    scale = 1 / math.sqrt(q.shape[-1])
    visible = np.tril(np.ones((len(q), len(k)), bool))
    s = np.where(visible, q @ k.T * scale, -1e30)
    e = np.where(visible, np.exp(s - s.max(-1, keepdims=True)), 0)
    w = e / e.sum(-1, keepdims=True)
    y = w @ v

    def back(dy):
        dw = dy @ v.T
        ds = w * (dw - (w * dw).sum(-1, keepdims=True)) * scale
        return ds @ k, ds.T @ q, w.T @ dy

    return y, back


def positions(x, table):
    """y = x + table[:T]: where each word stands, for a whole batch.  Return dx, dtable.

    Hints:
    - Rows of the table beyond T get zeros.
    - The same row is used by every text of the batch.

    Derivation:
    dx = dy; dtable[t] = sum_b dy_bt for t < T, and 0 beyond.
    """
    T = x.shape[1]
    y = x + table[:T]

    def back(dy):
        dtable = np.zeros_like(table)
        dtable[:T] = dy.sum(0)
        return dy, dtable

    return y, back


def feed_forward(x, w1, b1, w2, b2):
    """y = relu(x w1 + b1) w2 + b2.  Return dx, dw1, db1, dw2, db2.

    Hints:
    - linear, relu, linear, in the other order.

    Derivation:
    dw2 = h^T dy, db2 = sum dy, dh = dy w2^T, du = dh [u > 0], dw1 = x^T du, db1 = sum du,
    dx = du w1^T.
    """
    u = x @ w1 + b1
    h = np.where(u > 0, u, 0)
    y = h @ w2 + b2

    def back(dy):
        du = dy @ w2.T * (u > 0)
        return du @ w1.T, x.T @ du, du.sum(0), h.T @ dy, dy.sum(0)

    return y, back


def rnn(x, h, w, u):
    """h_t = tanh(x_t w + h_(t-1) u) over T steps; y are all of them.  Return dx, dh, dw, du.

    x is (T, B, n), h (B, H) the state before the first step.

    Hints:
    - Walk time backwards, carrying what comes back to the state.
    - At step t the state gets dy_t and what the step after it sends back.
    - w and u are used at every step: add.

    Derivation:
    For t = T ... 1, with c the gradient that comes from t + 1: da_t = (dy_t + c)(1 - h_t^2),
    dx_t = da_t w^T, dw += x_t^T da_t, du += h_(t-1)^T da_t, c = da_t u^T.  At the end dh = c.
    """
    states = [h]
    for step in x:
        states.append(np.tanh(step @ w + states[-1] @ u))
    y = np.stack(states[1:])

    def back(dy):
        dx, dw, du, carry = np.zeros_like(x), np.zeros_like(w), np.zeros_like(u), 0 * h
        for t in reversed(range(len(x))):
            da = (dy[t] + carry) * (1 - states[t + 1] ** 2)
            dx[t] = da @ w.T
            dw += x[t].T @ da
            du += states[t].T @ da
            carry = da @ u.T
        return dx, carry, dw, du

    return y, back


def lstm_step(x, h, c, w):
    """One step of an LSTM: gates from [x, h] w, in the order input, forget, output, candidate.

    c' = f c + i g,  h' = o tanh(c').  Both are returned: back gets dh' and dc', and returns
    dx, dh, dc, dw.

    Hints:
    - c' gets dc' from outside and more through h': add first.
    - Each gate: the product rule, then its own squashing function's slope.
    - Put the four together in the order of the columns of w.

    Derivation:
    With t = tanh(c'): do = dh' t, and C = dc' + dh' o (1 - t^2) is all that c' gets.  Then
    df = C c, dc = C f, di = C g, dg = C i; before the squashing di i (1 - i), df f (1 - f),
    do o (1 - o), dg (1 - g^2), in one matrix da: dw = [x, h]^T da, and d[x, h] = da w^T.
    """
    H, joined = h.shape[1], np.concatenate([x, h], 1)
    a = joined @ w
    i, f, o = (1 / (1 + np.exp(-a[:, k * H : (k + 1) * H])) for k in range(3))
    g = np.tanh(a[:, 3 * H :])
    cell = f * c + i * g
    t = np.tanh(cell)
    y = o * t, cell

    def back(dh, dcell):
        C = dcell + dh * o * (1 - t * t)
        da = np.concatenate(
            [C * g * i * (1 - i), C * c * f * (1 - f), dh * t * o * (1 - o), C * i * (1 - g * g)], 1
        )
        djoined = da @ w.T
        return djoined[:, : x.shape[1]], djoined[:, x.shape[1] :], C * f, joined.T @ da

    return y, back


def gru_step(x, h, w, u):
    """One step of a GRU: r, z = sigmoid(x w + h u) in the first 2H columns, and in the last H
    n = tanh(x w + r (h u)).  h' = (1 - z) n + z h.  Return dx, dh, dw, du.

    Hints:
    - h is used three times: in z h, and in h u for the gates and for n.
    - r multiplies h u only, not x w: da for w and for u differ in the last H columns.

    Derivation:
    dn = dy (1 - z), dz = dy (h - n).  Before the squashing: an = dn (1 - n^2),
    az = dz z (1 - z), and with m the last columns of h u, ar = an m r (1 - r).
    A = [ar, az, an] for w and B = [ar, az, an r] for u: dx = A w^T, dw = x^T A,
    du = h^T B, dh = dy z + B u^T.
    """
    H = h.shape[1]
    a, b = x @ w, h @ u
    r, z = (1 / (1 + np.exp(-(a + b)[:, k * H : (k + 1) * H])) for k in range(2))
    m = b[:, 2 * H :]
    n = np.tanh(a[:, 2 * H :] + r * m)
    y = (1 - z) * n + z * h

    def back(dy):
        an = dy * (1 - z) * (1 - n * n)
        ar, az = an * m * r * (1 - r), dy * (h - n) * z * (1 - z)
        A, B = np.concatenate([ar, az, an], 1), np.concatenate([ar, az, an * r], 1)
        return A @ w.T, dy * z + B @ u.T, x.T @ A, h.T @ B

    return y, back


def transformer_block(x, qkv, out, w1, w2, gain1, gain2):
    """A block that norms first, one head, no biases.  x (T, D).

    a = x + attention(norm(x, gain1) qkv) out,   y = a + relu(norm(a, gain2) w1) w2,
    norm(x, gain) = gain x / sqrt(mean(x^2) + eps).
    Return dx, dqkv, dout, dw1, dw2, dgain1, dgain2.

    Hints:
    - Write the backs of norm and attention as functions of their own.
    - Two residual branches: at a, and at x, two gradients are added.
    - qkv's three blocks of columns get dq, dk, dv side by side.

    Derivation:
    You have derived every part: feed_forward, rms_norm, residual, attention, linear.  From
    behind: the feed-forward branch gives dw2, dw1, dgain2 and da = dy + (through the norm);
    the attention branch gives dout, then dq, dk, dv, dqkv, dgain1 and dx = da + (through it).
    """
    D = x.shape[1]
    scale = 1 / math.sqrt(D)

    def norm(x, gain):
        s = (np.square(x).mean(-1, keepdims=True) + 1e-3) ** -0.5
        return gain * s * x, s

    n1, s1 = norm(x, gain1)
    q, k, v = np.split(n1 @ qkv, 3, -1)
    e = np.exp(q @ k.T * scale - (q @ k.T * scale).max(-1, keepdims=True))
    weight = e / e.sum(-1, keepdims=True)
    mixed = weight @ v
    a = x + mixed @ out
    n2, s2 = norm(a, gain2)
    u = n2 @ w1
    hidden = np.where(u > 0, u, 0)
    y = a + hidden @ w2

    def back(dy):
        def norm_back(dn, x, s, gain):
            v = gain * dn
            dx = s * v - s**3 * x * (x * v).mean(-1, keepdims=True)
            return dx, (dn * s * x).sum(0)

        du = dy @ w2.T * (u > 0)
        dbranch, dgain2 = norm_back(du @ w1.T, a, s2, gain2)
        da = dy + dbranch
        dmixed = da @ out.T
        dweight = dmixed @ v.T
        ds = weight * (dweight - (weight * dweight).sum(-1, keepdims=True)) * scale
        d = np.concatenate([ds @ k, ds.T @ q, weight.T @ dmixed], -1)
        dbranch, dgain1 = norm_back(d @ qkv.T, x, s1, gain1)
        return da + dbranch, n1.T @ d, mixed.T @ da, n2.T @ du, hidden.T @ dy, dgain1, dgain2

    return y, back


EXERCISES = (
    Exercise(positions, "x: B T D; table: T+2 D"),
    Exercise(feed_forward, "x: B n; w1: n m; b1: m; w2: m k; b2: k"),
    Exercise(attention, "q: T d; k: S d; v: S e", attention_page.attention),
    Exercise(causal_attention, "q: T d; k: T d; v: T e"),
    Exercise(rnn, "x: T B n; h: B H; w: n H; u: H H"),
    Exercise(lstm_step, "x: B n; h: B H; c: B H; w: n+H 4*H"),
    Exercise(gru_step, "x: B n; h: B H; w: n 3*H; u: H 3*H"),
    Exercise(
        transformer_block,
        "x: T D; qkv: D 3*D; out: D D; w1: D F; w2: F D; gain1: D; gain2: D",
    ),
)
