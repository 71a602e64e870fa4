"""Recurrent layers through time: GRU and LSTM."""

import numpy as np

from npssl.kernels import fast
from npssl.layers.activation import sigmoid


def gru(x, w, u, b, c, h, *, mask=None):
    r"""Gated recurrent unit: a state that is mixed with a candidate at each step.

    Parameters
    ----------
    x : (B, T, I)       sequences
    w : (I, 3H)         from the input to: reset, update, candidate
    u : (H, 3H)         from the state to the same
    b : (3H,)           bias of the three
    c : (H,)            bias of the state's share in the candidate
    h : (B, H)          state before the first step
    mask : (B, T) bool  False: padding, the state stays as it is; default: all True

    Returns
    -------
    y : (B, T, H)       the state after each step; the last is y[:, -1], also with padding
    back : dy (B, T, H) -> dx, dw, du, db, dc, dh, like what they belong to

    Keeps
    -----
    x, y, w, u, h, steps, seen

    Derivation
    ----------
    Let a = x_t w + b and p = h_{t-1} u, each in three parts r, z, n::

        r = sigmoid(a_r + p_r)           how much of the past the candidate sees
        z = sigmoid(a_z + p_z)           how much of the past stays          (1)
        q = p_n + c,   n = tanh(a_n + r q)                                   (2)
        h_t = (1 - z) n + z h_{t-1}                                          (3)

    Let d = dL/dh_t: what the output at t deserves, and what step t + 1 sends back.
    By (3), (2), (1), with sigmoid' = s (1 - s) and tanh' = 1 - n^2::

        da_z = d (h_{t-1} - n) z (1 - z)                                     (4)
        da_n = d (1 - z) (1 - n^2)                                           (5)
        da_r = da_n q r (1 - r)                                              (6)
        dp   = (da_r, da_z, da_n r),   dc += da_n r                          (7)
        dh_{t-1} = d z + dp u^T                                              (8)

    Over all steps at once, as in `npssl.layers.linear.linear`::

        dw = sum x_t^T da,  db = sum da,  dx_t = da w^T,
        du = sum h_{t-1}^T dp                                                (9)

    At a padded step h_t = h_{t-1}: d passes through, and da = dp = 0.      (10)

    A fact to check by eye: where z = 1 the state, and d, pass unchanged: gradients
    live as long as the gate keeps what it holds.

    Raises
    ------
    ValueError
        if shapes do not fit each other, or mask is not (B, T) bool.

    Notes
    -----
    In the paper the reset gate multiplies the state before the matrix, and z weighs
    the candidate's opposite number, as here; cuDNN and PyTorch put the gate behind
    the matrix, so that p is one product: (2) is that form.  PyTorch's two biases of
    r and z are here one.

    References
    ----------
    Cho, van Merrienboer, Gulcehre, Bahdanau, Bougares, Schwenk & Bengio, "Learning Phrase
    Representations using RNN Encoder-Decoder for Statistical Machine Translation", EMNLP
    2014, arXiv:1406.1078, section 2.3, eqs. (5)-(8).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> shapes = (2, 4, 3), (3, 6), (2, 6), (6,), (2,), (2, 2)
    >>> check(gru, *(rng.normal(size=s) for s in shapes)) < 1e-12
    True
    """
    H = _fitting(x, w, u, b, 3, h=h)
    if c.shape != (H,):
        raise ValueError(f"c must have the shape ({H},) of the state, found {c.shape}")
    seen = _mask(mask, x)
    if fast(x, w, u, b, c, h) and x.size and H and H % 16 == 0:
        return _fast_gru(x, w, u, b, c, h, seen)
    B, T, _ = x.shape
    a_all = x @ w + b
    states, steps = [h], []
    for t in range(T):
        a, p, before = a_all[:, t], states[-1] @ u, states[-1]
        rz = sigmoid(a[:, : 2 * H] + p[:, : 2 * H])[0]  # (1)
        r, z, q = rz[:, :H], rz[:, H:], p[:, 2 * H :] + c
        n = np.tanh(a[:, 2 * H :] + r * q)  # (2)
        after = (1 - z) * n + z * before  # (3)
        states.append(np.where(seen[:, t, None], after, before))
        steps.append((before, r, z, q, n))
    y = np.stack(states[1:], 1) if T else np.zeros((B, 0, H), h.dtype)

    def back(dy):
        da_all, dp_all = np.zeros((2, B, T, 3 * H), y.dtype)
        d = np.zeros_like(h)
        for t in reversed(range(T)):
            before, r, z, q, n = steps[t]
            d, now = d + dy[:, t], seen[:, t, None]
            da, dp = da_all[:, t], dp_all[:, t]
            da[:, H : 2 * H] = d * (before - n) * z * (1 - z) * now  # (4), (10)
            da[:, 2 * H :] = d * (1 - z) * (1 - n * n) * now  # (5)
            da[:, :H] = da[:, 2 * H :] * q * r * (1 - r)  # (6)
            dp[:, : 2 * H], dp[:, 2 * H :] = da[:, : 2 * H], da[:, 2 * H :] * r  # (7)
            d = np.where(now, d * z, d) + dp @ u.T  # (8)
        past = np.concatenate([h[:, None], y], 1)[:, :T]
        flat = lambda v: v.reshape(B * T, v.shape[-1])
        dw, du = flat(x).T @ flat(da_all), flat(past).T @ flat(dp_all)  # (9)
        db, dc = flat(da_all).sum(0), flat(dp_all)[:, 2 * H :].sum(0)
        return da_all @ w.T, dw, du, db, dc, d

    return y, back


def lstm(x, w, u, b, h, c, *, mask=None, last_cell=None):
    r"""Long short-term memory: a cell that gates open, fill and read.

    Parameters
    ----------
    x : (B, T, I)       sequences
    w : (I, 4H)         from the input to: input gate, forget gate, candidate, output gate
    u : (H, 4H)         from the state to the same
    b : (4H,)           bias of the four
    h, c : (B, H)       state and cell before the first step
    mask : (B, T) bool  False: padding, state and cell stay as they are; default: all True
    last_cell : (B, H)  is filled with the cell after the last step, where given: together
        with y[:, -1] it lets the next piece of a long text go on

    Returns
    -------
    y : (B, T, H)       the state after each step; the last is y[:, -1], also with padding
    back : dy (B, T, H) -> dx, dw, du, db, dh, dc, like what they belong to

    Keeps
    -----
    x, y, w, u, h, c, steps, seen

    Derivation
    ----------
    Let a = x_t w + h_{t-1} u + b, in four parts::

        i = sigmoid(a_i),  f = sigmoid(a_f),  g = tanh(a_g),  o = sigmoid(a_o)   (1)
        c_t = f c_{t-1} + i g                                                (2)
        v = tanh(c_t),   h_t = o v                                           (3)

    Let d = dL/dh_t and e = dL/dc_t without the way through h_t: what step t + 1
    sends back.  By (3) the cell gets more through h_t, then (2) and (1)::

        e' = e + d o (1 - v^2)                                               (4)
        da_o = d v o (1 - o),       da_i = e' g i (1 - i)                    (5)
        da_f = e' c_{t-1} f (1 - f),  da_g = e' i (1 - g^2)                  (6)
        dh_{t-1} = da u^T,          dc_{t-1} = e' f                          (7)

    Over all steps at once, as in `npssl.layers.linear.linear`::

        dw = sum x_t^T da,  du = sum h_{t-1}^T da,  db = sum da,  dx_t = da w^T   (8)

    At a padded step d and e pass through, and da = 0.                       (9)

    A fact to check by eye: along the cell the gradient is multiplied by f alone; where
    f = 1 it neither fades nor grows.

    Raises
    ------
    ValueError
        if shapes do not fit each other, or mask is not (B, T) bool.

    Notes
    -----
    Without peepholes, as in all libraries.  The order of the gates is PyTorch's.  A
    bias of 1 for the forget gate at first keeps early gradients alive.

    References
    ----------
    Hochreiter & Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997,
    1735-1780, doi:10.1162/neco.1997.9.8.1735; the forget gate: Gers, Schmidhuber &
    Cummins, "Learning to Forget: Continual Prediction with LSTM", Neural Computation
    12(10), 2000, 2451-2471, doi:10.1162/089976600300015015.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> shapes = (2, 4, 3), (3, 8), (2, 8), (8,), (2, 2), (2, 2)
    >>> check(lstm, *(rng.normal(size=s) for s in shapes)) < 1e-12
    True
    """
    H = _fitting(x, w, u, b, 4, h=h, c=c)
    if last_cell is not None and last_cell.shape != c.shape:
        raise ValueError(f"last_cell must have the shape {c.shape} of c, found {last_cell.shape}")
    seen = _mask(mask, x)
    if fast(x, w, u, b, h, c) and x.size and H and H % 16 == 0:
        return _fast_lstm(x, w, u, b, h, c, seen, last_cell)
    B, T, _ = x.shape
    a_all = x @ w + b
    states, cells, steps = [h], [c], []
    for t in range(T):
        a = a_all[:, t] + states[-1] @ u
        i, f, o = (sigmoid(a[:, k * H : (k + 1) * H])[0] for k in (0, 1, 3))
        g = np.tanh(a[:, 2 * H : 3 * H])  # (1)
        cell = f * cells[-1] + i * g  # (2)
        v, now = np.tanh(cell), seen[:, t, None]
        steps.append((cells[-1], i, f, g, o, v))
        states.append(np.where(now, o * v, states[-1]))  # (3)
        cells.append(np.where(now, cell, cells[-1]))
    y = np.stack(states[1:], 1) if T else np.zeros((B, 0, H), h.dtype)
    if last_cell is not None:
        last_cell[:] = cells[-1]

    def back(dy):
        da_all = np.zeros((B, T, 4 * H), y.dtype)
        d, e = np.zeros_like(h), np.zeros_like(c)
        for t in reversed(range(T)):
            before, i, f, g, o, v = steps[t]
            d, now, da = d + dy[:, t], seen[:, t, None], da_all[:, t]
            more = e + d * o * (1 - v * v)  # (4)
            da[:, 3 * H :] = d * v * o * (1 - o) * now  # (5), (9)
            da[:, :H] = more * g * i * (1 - i) * now
            da[:, H : 2 * H] = more * before * f * (1 - f) * now  # (6)
            da[:, 2 * H : 3 * H] = more * i * (1 - g * g) * now
            d, e = np.where(now, 0, d) + da @ u.T, np.where(now, more * f, e)  # (7)
        past = np.concatenate([h[:, None], y], 1)[:, :T]
        flat = lambda a: a.reshape(B * T, a.shape[-1])
        dw, du = flat(x).T @ flat(da_all), flat(past).T @ flat(da_all)  # (8)
        return da_all @ w.T, dw, du, flat(da_all).sum(0), d, e

    return y, back


def _fast_gru(x, w, u, b, c, h, seen):
    """The same by `npssl.kernels.recurrent`."""
    from npssl.kernels import recurrent as kernels

    gates, (B, T, _), threads = _shares(x, w, b), x.shape, _threads(x)
    y, q = np.empty((2, B, T, len(u)), x.dtype)
    kernels.gru(gates, u, c, h, seen, threads, q, y)

    def back(dy):
        da, dp = np.empty((2, *gates.shape), x.dtype)
        d = np.zeros_like(h)
        dy = np.ascontiguousarray(dy, x.dtype)
        kernels.gru_back(gates, u, h, seen, threads, q, y, dy, da, dp, d)
        dx, dw = _affine_back(x, w, da)
        du = _products(_past(h, y), dp)
        return dx, dw, du, da.sum((0, 1)), dp[..., -len(u) :].sum((0, 1)), d

    return y, back


def _fast_lstm(x, w, u, b, h, c, seen, last_cell):
    """The same by `npssl.kernels.recurrent`."""
    from npssl.kernels import recurrent as kernels

    gates, (B, T, _), threads = _shares(x, w, b), x.shape, _threads(x)
    y, cells = np.empty((2, B, T, len(u)), x.dtype)
    kernels.lstm(gates, u, h, c, seen, threads, cells, y)
    if last_cell is not None:
        last_cell[:] = cells[:, -1]

    def back(dy):
        da, d, e = np.empty_like(gates), np.zeros_like(h), np.zeros_like(c)
        dy = np.ascontiguousarray(dy, x.dtype)
        kernels.lstm_back(gates, u, c, seen, threads, cells, dy, da, d, e)
        dx, dw = _affine_back(x, w, da)
        return dx, dw, _products(_past(h, y), da), da.sum((0, 1)), d, e

    return y, back


def _threads(x):
    """Parts of a batch that run side by side."""
    from numba import get_num_threads

    return min(len(x), get_num_threads())


def _shares(x, w, b):
    """x w + b (B, T, n)."""
    from npssl.kernels import rows as kernels

    if x.shape[-1] % 16:
        return x @ w + b
    a = np.empty((x.shape[0] * x.shape[1], w.shape[1]), x.dtype)
    kernels.affine(x.reshape(len(a), -1), w.reshape(-1), b, False, np.empty(w.size, w.dtype), a)
    return a.reshape(*x.shape[:2], -1)


def _affine_back(x, w, da):
    """dx and dw of x w."""
    from npssl.kernels import rows as kernels

    if x.shape[-1] % 16:
        return da @ w.T, _products(x, da)
    rows, dx = da.reshape(-1, w.shape[1]), np.empty_like(x)
    room, none = np.empty(w.size, w.dtype), np.empty(w.shape[0], w.dtype)
    kernels.affine(rows, w.reshape(-1), none, True, room, dx.reshape(len(rows), -1))
    return dx, _products(x, da)


def _products(x, da):
    """Sum over images and times of x^T da."""
    from npssl.kernels import rows as kernels

    rows, drows = x.reshape(-1, x.shape[-1]), da.reshape(-1, da.shape[-1])
    if x.shape[-1] % 16:
        return rows.T @ drows
    dw = np.zeros((rows.shape[1], drows.shape[1]), x.dtype)
    kernels.products(rows, drows, dw)
    return dw


def _past(h, y):
    """The state before each step, (B, T, H)."""
    past = np.empty_like(y)
    past[:, 0], past[:, 1:] = h, y[:, :-1]
    return past


def _fitting(x, w, u, b, gates, **states):
    """The width H of the state; refuses shapes that do not fit."""
    if x.ndim != 3:
        raise ValueError(f"x must be (B, T, I), found shape {x.shape}")
    H = len(u)
    for name, a, shape in (
        ("w", w, (x.shape[2], gates * H)),
        ("u", u, (H, gates * H)),
        ("b", b, (gates * H,)),
        *((name, a, (len(x), H)) for name, a in states.items()),
    ):
        if a.shape != shape:
            raise ValueError(f"{name} must be {shape} for x {x.shape} and H = {H}, found {a.shape}")
    return H


def _mask(mask, x):
    """What is seen, (B, T) bool."""
    if mask is None:
        return np.ones(x.shape[:2], bool)
    mask = np.asarray(mask)
    if mask.shape != x.shape[:2] or mask.dtype != bool:
        raise ValueError(
            f"mask must be bool of shape {x.shape[:2]}, found {mask.dtype} {mask.shape}"
        )
    return mask
