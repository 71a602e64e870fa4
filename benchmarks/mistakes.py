"""Mistakes written by hand: one or more for each cause of the clinic's catalogue.

Each is a function ``(rng, n) -> (functions, arrays, options)`` with ``n(low, high)`` drawing
sizes.  All of them were looked at while the catalogue grew; `mistakes_measuring.py` has those
that were not.
"""

import math

import numpy as np

TUNING: list = []


def mistakes_into(found):
    """A decorator that puts a mistake, with the names that count as right, into the list."""
    return lambda *names: lambda make: found.append((make.__name__, set(names), make)) or make


tuning = mistakes_into(TUNING)


def softmax(x):
    e = np.exp(x - x.real.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def log_softmax(x):
    s = x - x.real.max(-1, keepdims=True)
    return s - np.log(np.exp(s).sum(-1, keepdims=True))


def matrices(rng, n):
    B, I, O = n(3, 6), n(2, 4), n(2, 4)
    return rng.normal(size=(B, I)), rng.normal(size=(I, O)), rng.normal(size=O)


# a scale ------------------------------------------------------------------------------------------


@tuning("scale")
def mean_without_its_n(rng, n):
    t = rng.normal(size=(n(3, 6), n(2, 4)))
    return (
        (lambda x, t: np.square(x - t).mean(), lambda dy, x, t: dy * 2 * (x - t)),
        [rng.normal(size=t.shape)],
        {"t": t},
    )


@tuning("scale")
def outputs_times_too_large(rng, n):
    x, w, b = matrices(rng, n)
    t = rng.normal(size=(len(x), len(b)))

    def forward(x, w, b, t):
        return np.square(x @ w + b - t).mean()

    def backward(dy, x, w, b, t):
        d = dy * 2 * (x @ w + b - t) / len(x)
        return d @ w.T, x.T @ d, d.sum(0)

    return (forward, backward), [x, w, b], {"t": t}


@tuning("scale")
def square_without_two(rng, n):
    return (lambda x: np.square(x).sum(), lambda dy, x: dy * x), [rng.normal(size=(n(3, 6), 2))], {}


@tuning("scale")
def temperature_forgotten(rng, n):
    def backward(dy, x, temperature):
        y = softmax(x / temperature)
        return y * (dy - (y * dy).sum(-1, keepdims=True))

    x = rng.normal(size=(n(2, 4), n(3, 5)))
    return (lambda x, temperature: softmax(x / temperature), backward), [x], {"temperature": 0.07}


@tuning("scale")
def batch_and_time(rng, n):
    x = rng.normal(size=(n(2, 4), n(2, 5), n(2, 4)))
    return (lambda x: np.exp(x).sum(-1).mean(), lambda dy, x: dy * np.exp(x)), [x], {}


@tuning("scale")
def n_for_n_minus_one(rng, n):
    def backward(dy, x):
        return dy * 2 * (x - x.mean()) / len(x)

    return (
        (lambda x: np.square(x - x.mean()).sum() / (len(x) - 1), backward),
        [rng.normal(size=n(4, 8))],
        {},
    )


@tuning("scale")
def sign(rng, n):
    def backward(dy, x):
        return -dy * softmax(x)

    return (lambda x: np.log(np.exp(x).sum()), backward), [rng.normal(size=n(4, 8))], {}


@tuning("scale")
def root_of_the_width(rng, n):
    def forward(q, k):
        return q @ k.T / math.sqrt(q.shape[1])

    return (
        (forward, lambda dy, q, k: (dy @ k, dy.T @ q)),
        [rng.normal(size=(3, 5)), rng.normal(size=(4, 5))],
        {},
    )


# axes ---------------------------------------------------------------------------------------------


@tuning("axes")
def weight_not_transposed(rng, n):
    d = n(3, 5)
    return (
        (lambda x, w: x @ w, lambda dy, x, w: (dy @ w, x.T @ dy)),
        [rng.normal(size=(n(2, 6), d)), rng.normal(size=(d, d))],
        {},
    )


@tuning("axes")
def dw_transposed(rng, n):
    d = n(3, 5)
    return (
        (lambda x, w: x @ w, lambda dy, x, w: (dy @ w.T, dy.T @ x)),
        [rng.normal(size=(n(2, 6), d)), rng.normal(size=(d, d))],
        {},
    )


@tuning("axes")
def reshape_for_transpose(rng, n):
    B, T, D = n(2, 3), n(2, 4), n(2, 4)
    return (
        (lambda x: x.transpose(0, 2, 1), lambda dy, x: dy.reshape(x.shape)),
        [rng.normal(size=(B, T, D))],
        {},
    )


@tuning("axes")
def reversed_time(rng, n):
    return (
        (lambda x: np.cumsum(x, 0), lambda dy, x: np.cumsum(dy, 0)),
        [rng.normal(size=(n(3, 6), 2))],
        {},
    )


@tuning("axes", "shape")
def heads_merged_wrongly(rng, n):
    B, H, T, d = n(2, 3), n(2, 3), n(2, 4), n(2, 3)

    def forward(x):
        return np.tanh(x).transpose(0, 2, 1, 3).reshape(B, T, H * d)

    def backward(dy, x):
        return dy.reshape(B, H, T, d) * (1 - np.tanh(x) ** 2)

    return (forward, backward), [rng.normal(size=(B, H, T, d))], {}


# sums ---------------------------------------------------------------------------------------------


@tuning("sum", "shape")
def bias_not_summed(rng, n):
    x, w, b = matrices(rng, n)
    return (lambda x, w, b: x @ w + b, lambda dy, x, w, b: (dy @ w.T, x.T @ dy, dy)), [x, w, b], {}


@tuning("sum", "shape")
def gain_not_summed_over_time(rng, n):
    x, g = rng.normal(size=(n(2, 3), n(2, 4), n(2, 4))), None
    g = rng.normal(size=x.shape[-1])
    return (lambda x, g: x * g, lambda dy, x, g: (dy * g, (dy * x).sum(0))), [x, g], {}


@tuning("sum")
def bias_over_the_wrong_axis(rng, n):
    d = n(3, 5)
    x, b = rng.normal(size=(d, d)), rng.normal(size=d)
    return (lambda x, b: x + b, lambda dy, x, b: (dy, dy.sum(1))), [x, b], {}


@tuning("sum", "scale")
def summed_twice(rng, n):
    def backward(dy, x, b):
        return dy, np.broadcast_to(dy.sum(0).sum(), b.shape)

    x = rng.normal(size=(n(3, 5), n(2, 4)))
    return (lambda x, b: x + b, backward), [x, rng.normal(size=x.shape[1])], {}


# terms --------------------------------------------------------------------------------------------


@tuning("term")
def softmax_without_its_sum(rng, n):
    return (softmax, lambda dy, x: softmax(x) * dy), [rng.normal(size=(n(2, 4), n(3, 5)))], {}


@tuning("term")
def softmax_as_sigmoid(rng, n):
    return (
        (softmax, lambda dy, x: softmax(x) * (1 - softmax(x)) * dy),
        [rng.normal(size=(n(2, 4), n(3, 5)))],
        {},
    )


def _norm(x, gain, bias, eps):
    c = x - x.mean(-1, keepdims=True)
    s = 1 / np.sqrt(np.square(c).mean(-1, keepdims=True) + eps)
    return gain * (s * c) + bias


def _norm_back(dy, x, gain, bias, eps, mean=1, along=1, eps_back=None):
    eps = eps if eps_back is None else eps_back
    c = x - x.mean(-1, keepdims=True)
    s = 1 / np.sqrt(np.square(c).mean(-1, keepdims=True) + eps)
    u, hat = gain * dy, s * c
    dx = s * (
        u - mean * u.mean(-1, keepdims=True) - along * hat * (hat * u).mean(-1, keepdims=True)
    )
    return dx, (dy * hat).sum(tuple(range(x.ndim - 1))), dy.sum(tuple(range(x.ndim - 1)))


def _norm_with(rng, n, **wrong):
    D = n(3, 6)
    x = rng.normal(size=(n(2, 3), n(2, 3), D))
    back = lambda dy, x, gain, bias, eps: _norm_back(dy, x, gain, bias, eps, **wrong)
    return (_norm, back), [x, rng.normal(size=D), rng.normal(size=D)], {"eps": 1e-5}


@tuning("term")
def norm_without_mean(rng, n):
    return _norm_with(rng, n, mean=0)


@tuning("term")
def norm_without_projection(rng, n):
    return _norm_with(rng, n, along=0)


@tuning("term")
def norm_with_projection_of_wrong_sign(rng, n):
    return _norm_with(rng, n, along=-1)


@tuning("epsilon")
def norm_with_other_eps(rng, n):
    return _norm_with(rng, n, eps_back=1e-12)


@tuning("epsilon")
def unit_with_other_eps(rng, n):
    def forward(x, eps=1e-6):
        return x / np.sqrt(np.square(x).sum(-1, keepdims=True) + eps)

    def backward(dy, x, eps=1e-8):
        r = np.sqrt(np.square(x).sum(-1, keepdims=True) + eps)
        y = x / r
        return (dy - y * (y * dy).sum(-1, keepdims=True)) / r

    return (forward, backward), [rng.normal(size=(n(2, 4), n(3, 5)))], {}


@tuning("term")
def cross_entropy_without_log_sum_exp(rng, n):
    V = n(3, 5)
    t = rng.integers(0, V, n(3, 5))

    def forward(x, t):
        return -log_softmax(x)[np.arange(len(t)), t].mean()

    def backward(dy, x, t):
        d = np.zeros_like(x)
        d[np.arange(len(t)), t] = -1
        return dy * d / len(t)

    return (forward, backward), [rng.normal(size=(len(t), V))], {"t": t}


@tuning("weight decay", "offset")
def decay_in_the_backward(rng, n):
    x, w, _ = matrices(rng, n)
    return (
        (lambda x, w, decay: x @ w, lambda dy, x, w, decay: (dy @ w.T, x.T @ dy + decay * w)),
        [x, w],
        {"decay": 0.01},
    )


@tuning("term")
def decay_forgotten(rng, n):
    x, w, _ = matrices(rng, n)

    def forward(x, w, decay):
        return np.square(x @ w).sum() + 0.5 * decay * np.square(w).sum()

    def backward(dy, x, w, decay):
        d = 2 * dy * (x @ w)
        return d @ w.T, x.T @ d

    return (forward, backward), [x, w], {"decay": 0.1}


@tuning("term", "no gradient")
def target_detached(rng, n):
    """An autoencoder whose target is the input itself, treated as a constant."""
    x, w, _ = matrices(rng, n)

    def forward(x, w):
        return np.square(np.tanh(x @ w) @ w.T - x).sum()

    def backward(dy, x, w):
        h = np.tanh(x @ w)
        d = 2 * dy * (h @ w.T - x)
        dh = (d @ w) * (1 - h * h)
        return dh @ w.T, x.T @ dh + d.T @ h

    return (forward, backward), [x, w], {}


@tuning("tied weight", "term")
def tied_decoder_credited_once(rng, n):
    x, w, _ = matrices(rng, n)

    def forward(x, w):
        return np.tanh(x @ w) @ w.T

    def backward(dy, x, w):
        h = np.tanh(x @ w)
        dh = (dy @ w) * (1 - h * h)
        return dh @ w.T, x.T @ dh

    return (forward, backward), [x, w], {}


@tuning("tied weight", "term")
def tied_embedding_credited_once(rng, n):
    V, D = n(4, 6), n(2, 4)
    ids = rng.permutation(V)[: n(3, 4)]

    def forward(table, ids):
        return np.tanh(table[ids]) @ table.T

    def backward(dy, table, ids):
        return dy.T @ np.tanh(table[ids])

    return (forward, backward), [rng.normal(size=(V, D))], {"ids": ids}


@tuning("residual branch")
def residual_lost(rng, n):
    d = n(3, 5)

    def backward(dy, x, w):
        h = np.tanh(x @ w)
        return (dy * (1 - h * h)) @ w.T, x.T @ (dy * (1 - h * h))

    return (
        (lambda x, w: x + np.tanh(x @ w), backward),
        [rng.normal(size=(n(2, 5), d)), rng.normal(size=(d, d))],
        {},
    )


@tuning("residual branch")
def residual_of_a_norm_lost(rng, n):
    def forward(x, gain, bias, eps):
        return x + _norm(x, gain, bias, eps)

    functions, arrays, options = _norm_with(rng, n)
    return (forward, functions[1]), arrays, options


# indices ------------------------------------------------------------------------------------------


def _repeated(rng, V):
    return np.append(rng.integers(0, V - 1, 4), [0, 0])


@tuning("repeated ids")
def rows_written(rng, n):
    V, D = n(4, 6), n(2, 4)

    def backward(dy, table, ids):
        d = np.zeros_like(table)
        d[ids] = dy
        return d

    return (
        (lambda table, ids: table[ids], backward),
        [rng.normal(size=(V, D))],
        {"ids": _repeated(rng, V)},
    )


@tuning("repeated ids")
def rows_added_by_fancy_index(rng, n):
    V, D = n(4, 6), n(2, 4)
    ids = np.append(_repeated(rng, V), V - 1)

    def backward(dy, table, ids):
        d = np.zeros_like(table)
        d[ids] += dy * (1 - np.tanh(table[ids]) ** 2)
        return d

    return (
        (lambda table, ids: np.tanh(table[ids]), backward),
        [rng.normal(size=(V, D))],
        {"ids": ids},
    )


# memory -------------------------------------------------------------------------------------------


@tuning("stale cache")
def one_cache_for_all(rng, n):
    box = {}

    def forward(x):
        box["y"] = np.tanh(x)
        return box["y"]

    return (
        (lambda x: (forward(x), lambda dy: dy * (1 - box["y"] ** 2)),),
        [rng.normal(size=n(3, 6))],
        {},
    )


@tuning("stale cache")
def gradient_grows(rng, n):
    def op(x):
        total = np.zeros_like(x)

        def back(dy):
            np.add(total, 2 * x * dy, out=total, casting="unsafe")
            return total

        return x * x, back

    return (op,), [rng.normal(size=n(3, 6))], {}


@tuning("mutated dy")
def dy_changed(rng, n):
    def backward(dy, x):
        dy *= 2 * x
        return dy

    return (lambda x: x * x, backward), [rng.normal(size=(n(3, 6), 2))], {}


@tuning("mutated input")
def input_changed(rng, n):
    def forward(x):
        x -= x.mean()
        return x * 1.0

    return (forward, lambda dy, x: dy - dy.mean()), [rng.normal(size=(n(3, 6), 2))], {}


@tuning("mutated input")
def weight_changed_in_the_backward(rng, n):
    x, w, _ = matrices(rng, n)

    def backward(dy, x, w):
        dx, dw = dy @ w.T, x.T @ dy
        w -= 0.1 * dw
        return dx, dw

    return (lambda x, w: x @ w, backward), [x, w], {}


# masks and noise ----------------------------------------------------------------------------------


@tuning("mask")
def mask_forgotten(rng, n):
    x = rng.normal(size=(n(3, 5), n(3, 5)))
    mask = rng.random(x.shape) < 0.6
    return (
        (lambda x, mask: np.where(mask, x * x, 0), lambda dy, x, mask: 2 * x * dy),
        [x],
        {"mask": mask},
    )


@tuning("mask")
def attention_mask_forgotten(rng, n):
    x = rng.normal(size=(n(3, 4), n(4, 5)))
    mask = rng.random(x.shape) < 0.7
    mask[:, 0] = True

    def forward(x, mask):
        return softmax(np.where(mask, x, -30.0))

    def backward(dy, x, mask):
        y = softmax(x)
        return y * (dy - (y * dy).sum(-1, keepdims=True))

    return (forward, backward), [x], {"mask": mask}


def _drop(x, rate, rng=None):
    if rng is None:
        return x
    return np.where(rng.random(x.shape) >= rate, x / (1 - rate), 0)


@tuning("noise")
def another_mask_of_dropout(rng, n):
    noise = np.random.default_rng(int(rng.integers(99)))

    def backward(dy, x, rate, rng):
        rng.random(7)
        return np.where(rng.random(x.shape) >= rate, dy / (1 - rate), 0)

    return (_drop, backward), [rng.normal(size=(n(4, 6), n(4, 6)))], {"rate": 0.4, "rng": noise}


@tuning("train or evaluation")
def evaluated_in_the_backward(rng, n):
    noise = np.random.default_rng(int(rng.integers(99)))
    return (
        (_drop, lambda dy, x, rate, rng: dy),
        [rng.normal(size=(n(4, 6), n(4, 6)))],
        {"rate": 0.4, "rng": noise},
    )


@tuning("noise")
def noise_of_its_own(rng, n):
    own = np.random.default_rng(int(rng.integers(99)))

    def backward(dy, x):
        return 2 * x * dy * (own.random(x.shape) > 0.5)

    return (lambda x: x * x, backward), [rng.normal(size=(n(4, 6), 3))], {}


@tuning("noise")
def forward_draws(rng, n):
    own = np.random.default_rng(int(rng.integers(99)))
    return (
        (lambda x: x + own.normal(size=x.shape), lambda dy, x: dy),
        [rng.normal(size=(n(4, 6), 3))],
        {},
    )


# activations --------------------------------------------------------------------------------------


@tuning("activation")
def tanh_gelu_under_erf(rng, n):
    from npssl.layers.activation import gelu as op

    return (
        (lambda x: op(x)[0], lambda dy, x: op(x, form="tanh")[1](dy)),
        [rng.normal(size=(n(3, 5), 2))],
        {},
    )


@tuning("activation")
def tanh_at_the_output(rng, n):
    return (
        (np.tanh, lambda dy, x: dy * (1 - np.tanh(np.tanh(x)) ** 2)),
        [rng.normal(size=(n(3, 5), 2))],
        {},
    )


@tuning("activation")
def sigmoid_of_the_output(rng, n):
    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    return (sigmoid, lambda dy, x: dy * x * (1 - x)), [rng.normal(size=(n(3, 5), 2))], {}


@tuning("activation")
def silu_in_a_layer(rng, n):
    """The derivative of the sigmoid, not of x sigmoid(x), within a layer."""
    x, w, _ = matrices(rng, n)

    def sigmoid(s):
        return 1 / (1 + np.exp(-s))

    def backward(dy, x, w):
        s = x @ w
        d = dy * sigmoid(s) * (1 - sigmoid(s))
        return d @ w.T, x.T @ d

    return (lambda x, w: (x @ w) * sigmoid(x @ w), backward), [x, w], {}


@tuning("activation", "factor")
def tanh_in_a_layer(rng, n):
    x, w, _ = matrices(rng, n)

    def backward(dy, x, w):
        d = dy * (1 - np.tanh(x @ w))
        return d @ w.T, x.T @ d

    return (lambda x, w: np.tanh(x @ w), backward), [x, w], {}


# places and order ---------------------------------------------------------------------------------


@tuning("argument order")
def returns_in_wrong_order(rng, n):
    d = n(3, 5)
    a, b = rng.normal(size=(d, d)), rng.normal(size=(d, d))
    return (lambda a, b: a * b * b, lambda dy, a, b: (2 * a * b * dy, b * b * dy)), [a, b], {}


@tuning("argument order", "shape")
def bias_before_weight(rng, n):
    x, w, b = matrices(rng, n)
    return (
        (lambda x, w, b: x @ w + b, lambda dy, x, w, b: (dy @ w.T, dy.sum(0), x.T @ dy)),
        [x, w, b],
        {},
    )


@tuning("argument order")
def gain_and_bias(rng, n):
    functions, arrays, options = _norm_with(rng, n)
    back = functions[1]

    def backward(*args, **options):
        dx, dgain, dbias = back(*args, **options)
        return dx, dbias, dgain

    return (functions[0], backward), arrays, options


@tuning("part")
def last_step_forgotten(rng, n):
    def backward(dy, x):
        d = 2 * x * dy
        d[:, -1] = 0
        return d

    return (lambda x: x * x, backward), [rng.normal(size=(n(2, 4), n(3, 5)))], {}


@tuning("part")
def one_head_forgotten(rng, n):
    x = rng.normal(size=(2, n(2, 3), n(2, 3), 3))

    def backward(dy, x):
        d = dy * (1 - np.tanh(x) ** 2)
        d[:, 1] *= 0.5
        return d

    return (np.tanh, backward), [x], {}


@tuning("part")
def one_channel_summed_wrongly(rng, n):
    x, g = rng.normal(size=(n(3, 5), 4)), rng.normal(size=4)

    def backward(dy, x, g):
        dg = (dy * x).sum(0)
        dg[2] = -dg[2]
        return dy * g, dg

    return (lambda x, g: x * g, backward), [x, g], {}


@tuning("dtype")
def integers_returned(rng, n):
    return (lambda x: 3.0 * x, lambda dy, x: (3 * dy).astype(int)), [rng.normal(size=4)], {}


@tuning("count")
def gradient_forgotten(rng, n):
    x, w, b = matrices(rng, n)
    return (lambda x, w, b: x @ w + b, lambda dy, x, w, b: (dy @ w.T, x.T @ dy)), [x, w, b], {}


@tuning("not finite")
def nan_returned(rng, n):
    return (
        (lambda x: np.sqrt(np.square(x)) ** 3, lambda dy, x: dy * np.log(-np.square(x))),
        [rng.normal(size=(3, 2))],
        {},
    )


# weights and other functions ----------------------------------------------------------------------


@tuning("weight", "factor")
def rebalanced_backward(rng, n):
    w = rng.choice([0.5, 2.0, 7.0], n(4, 6))
    return (
        (lambda x, w: np.square(x).sum(), lambda dy, x, w: dy * 2 * x * w[:, None]),
        [rng.normal(size=(len(w), 3))],
        {"w": w},
    )


@tuning("weight", "factor")
def rebalanced_classes(rng, n):
    V = n(3, 5)
    t, w = rng.integers(0, V, n(4, 6)), rng.uniform(0.2, 5, V)

    def forward(x, t):
        return -log_softmax(x)[np.arange(len(t)), t].sum()

    def backward(dy, x, t):
        d = softmax(x)
        d[np.arange(len(t)), t] -= 1
        return dy * d * w[t][:, None]

    return (forward, backward), [rng.normal(size=(len(t), V))], {"t": t}


@tuning("different functions")
def another_loss(rng, n):
    def forward(x):
        return np.square(np.square(x).sum() - 1).sum()

    def backward(dy, x):
        return dy * np.cos(x.sum()) * x.sum() * np.ones_like(x) + dy * np.sin(3 * x)

    return (forward, backward), [rng.normal(size=n(4, 7))], {}


@tuning("different functions")
def absolute_for_square(rng, n):
    t = rng.normal(size=(n(3, 5), 3))

    def forward(x, t):
        return np.log(np.cosh(x - t).sum(-1)).sum()

    def backward(dy, x, t):
        return dy * (x - t) ** 3 / np.square(x).sum(-1, keepdims=True)

    return (forward, backward), [rng.normal(size=t.shape)], {"t": t}


@tuning("not linear")
def clipped_upstream(rng, n):
    return (
        (np.sin, lambda dy, x: np.clip(dy, -0.5, 0.5) * np.cos(x)),
        [rng.normal(size=(n(3, 5), 2))],
        {},
    )
