"""Mistakes written by hand that measure the clinic: none was run before the catalogue was done.

Written down as `mistakes.py` is, before the last changes of the catalogue, and first run after
them.
"""

import numpy as np
from mistakes import mistakes_into, softmax

MEASURING: list = []
mistake = mistakes_into(MEASURING)


def _softmax_back(dy, y):
    return y * (dy - (y * dy).sum(-1, keepdims=True))


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _normal(rng, *shape):
    return rng.normal(size=shape)


# scales -------------------------------------------------------------------------------------------


@mistake("scale")
def mean_of_valid_positions(rng, n):
    """The loss divides by what counts, the gradient by all positions."""
    B, T = n(2, 4), n(3, 6)
    mask = np.arange(T) < rng.integers(1, T, B)[:, None]

    def forward(x, mask):
        return (np.square(x) * mask).sum() / mask.sum()

    def backward(dy, x, mask):
        return dy * 2 * x * mask / mask.size

    return (forward, backward), [_normal(rng, B, T)], {"mask": mask}


@mistake("scale")
def focal_alpha_twice(rng, n):
    def forward(x, alpha):
        return alpha * np.log1p(np.exp(-x)).sum()

    def backward(dy, x, alpha):
        return -(alpha**2) * dy * _sigmoid(-x)

    return (forward, backward), [_normal(rng, n(3, 6), 2)], {"alpha": 0.25}


@mistake("scale")
def learned_temperature_without_its_exponential(rng, n):
    def forward(s, t):
        return s * np.exp(t)

    def backward(dy, s, t):
        return dy * np.exp(t), np.asarray((dy * s).sum())

    return (forward, backward), [_normal(rng, n(2, 4), n(3, 5)), np.array(0.7)], {}


@mistake("scale")
def accumulated_over_micro_batches_and_not_divided(rng, n):
    parts, each, D = n(2, 4), n(2, 4), n(2, 4)

    def forward(x, w):
        return np.mean([np.square(x[k * each : (k + 1) * each] @ w).mean() for k in range(parts)])

    def backward(dy, x, w):
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for k in range(parts):
            rows = slice(k * each, (k + 1) * each)
            d = dy * 2 * (x[rows] @ w) / each
            dx[rows] = d[:, None] * w
            dw += x[rows].T @ d
        return dx, dw

    return (forward, backward), [_normal(rng, parts * each, D), _normal(rng, D)], {}


@mistake("scale")
def dropout_without_inverse_scaling(rng, n):
    x = _normal(rng, n(3, 5), n(3, 5))
    noise = np.random.default_rng(int(rng.integers(99)))

    def forward(x, rate, rng):
        return x * (rng.random(x.shape) >= rate) / (1 - rate)

    def backward(dy, x, rate, rng):
        return dy * (rng.random(x.shape) >= rate)

    return (forward, backward), [x], {"rate": 0.4, "rng": noise}


@mistake("scale")
def half_the_square_forgotten(rng, n):
    return (
        (lambda x: 0.5 * np.square(x).sum(-1), lambda dy, x: 2 * dy[:, None] * x),
        [_normal(rng, n(2, 5), n(2, 4))],
        {},
    )


# axes and sums ------------------------------------------------------------------------------------


@mistake("axes")
def rotation_not_inverted(rng, n):
    """Rotary positions turned forwards on the way back: the transposed rotation is needed."""
    T, half = n(3, 5), n(2, 3)
    angle = np.arange(1, T + 1)[:, None] * 0.7 ** np.arange(half)
    cos, sin = np.cos(angle), np.sin(angle)

    def turn(x, sin):
        a, b = x[:, :half], x[:, half:]
        return np.concatenate([a * cos - b * sin, a * sin + b * cos], 1)

    return (
        (lambda x: turn(x, sin), lambda dy, x: turn(dy, sin)),
        [_normal(rng, T, 2 * half)],
        {},
    )


@mistake("axes")
def running_sum_forwards(rng, n):
    return (
        (lambda x: np.cumsum(x, 1), lambda dy, x: np.cumsum(dy, 1)),
        [_normal(rng, n(2, 3), n(3, 6))],
        {},
    )


@mistake("axes", "part")
def rolled_the_same_way(rng, n):
    return (
        (lambda x: np.sin(np.roll(x, 1, 1)), lambda dy, x: np.cos(x) * np.roll(dy, 1, 1)),
        [_normal(rng, n(2, 3), n(4, 6))],
        {},
    )


@mistake("axes", "shape")
def bilinear_form_the_wrong_way_round(rng, n):
    D = n(3, 5)

    def forward(a, m, b):
        return ((a @ m) * b).sum(-1)

    def backward(dy, a, m, b):
        d = dy[:, None]
        return d * (b @ m.T), b.T @ (d * a), d * (a @ m)

    B = n(2, 4)
    return (forward, backward), [_normal(rng, B, D), _normal(rng, D, D), _normal(rng, B, D)], {}


@mistake("sum", "shape")
def bias_of_a_convolution_kept_along_time(rng, n):
    x = _normal(rng, n(2, 3), n(3, 5), n(2, 4))
    b = _normal(rng, x.shape[-1])

    def backward(dy, x, b):
        return dy * np.exp(b), (dy * x * np.exp(b)).sum(0)

    return (lambda x, b: x * np.exp(b), backward), [x, b], {}


@mistake("sum", "term")
def softmax_over_the_batch_on_the_way_back(rng, n):
    def backward(dy, x):
        y = softmax(x)
        return y * (dy - (y * dy).sum(0, keepdims=True))

    return (softmax, backward), [_normal(rng, n(3, 4), n(3, 5))], {}


@mistake("sum", "scale", "term", "part")
def upsampling_takes_one_of_each_pair(rng, n):
    """The nearest neighbour is repeated forwards, and not summed backwards."""
    x = _normal(rng, n(2, 3), n(3, 5))
    return (
        (lambda x: np.repeat(x, 2, 1) * np.arange(1, 2 * x.shape[1] + 1),
         lambda dy, x: (dy * np.arange(1, dy.shape[1] + 1))[:, ::2]),
        [x],
        {},
    )  # fmt: skip


# terms --------------------------------------------------------------------------------------------


@mistake("term", "activation")
def swish_by_its_gate_alone(rng, n):
    B, I, O = n(2, 4), n(2, 4), n(2, 4)

    def forward(x, w):
        h = x @ w
        return h * _sigmoid(h)

    def backward(dy, x, w):
        d = dy * _sigmoid(x @ w)
        return d @ w.T, x.T @ d

    return (forward, backward), [_normal(rng, B, I), _normal(rng, I, O)], {}


@mistake("term")
def cosine_without_the_norms(rng, n):
    """The similarity's norms are taken for constants."""

    def forward(a, b):
        return (a * b).sum(-1) / np.sqrt(np.square(a).sum(-1) * np.square(b).sum(-1))

    def backward(dy, a, b):
        s = np.sqrt(np.square(a).sum(-1) * np.square(b).sum(-1))
        d = (dy / s)[:, None]
        return d * b, d * a

    size = n(2, 4), n(3, 5)
    return (forward, backward), [_normal(rng, *size), _normal(rng, *size)], {}


@mistake("term")
def weight_norm_without_its_projection(rng, n):
    """w = g v / |v|, with the length taken for a constant in dv."""

    def forward(x, v, g):
        return x @ (g * v / np.sqrt(np.square(v).sum(0)))

    def backward(dy, x, v, g):
        length = np.sqrt(np.square(v).sum(0))
        dw = x.T @ dy
        return dy @ (g * v / length).T, g * dw / length, (dw * v).sum(0) / length

    I, O = n(3, 5), n(2, 4)
    return (forward, backward), [_normal(rng, n(2, 4), I), _normal(rng, I, O), _normal(rng, O)], {}


@mistake("term", "tied weight")
def self_similarity_from_one_side(rng, n):
    """Every row is compared with every row; only the rows that ask are credited."""

    def forward(x):
        return np.exp(x @ x.T)

    def backward(dy, x):
        return (dy * np.exp(x @ x.T)) @ x

    return (forward, backward), [0.5 * _normal(rng, n(3, 5), n(2, 4))], {}


@mistake("term", "residual branch")
def block_without_its_skip(rng, n):
    def forward(x, v, w):
        return x + np.tanh(x @ v) @ w

    def backward(dy, x, v, w):
        h = np.tanh(x @ v)
        d = (dy @ w.T) * (1 - h * h)
        return d @ v.T, x.T @ d, h.T @ dy

    D, H = n(2, 4), n(2, 4)
    return (
        (forward, backward),
        [_normal(rng, n(2, 4), D), _normal(rng, D, H), _normal(rng, H, D)],
        {},
    )


@mistake("term")
def penalty_left_out(rng, n):
    """The loss has a penalty on the weights, the gradient has not."""

    def forward(x, w, decay):
        return np.square(np.tanh(x @ w)).sum() + 0.5 * decay * np.square(w).sum()

    def backward(dy, x, w, decay):
        h = np.tanh(x @ w)
        d = 2 * dy * h * (1 - h * h)
        return d @ w.T, x.T @ d

    D = n(2, 4)
    return (
        (forward, backward),
        [_normal(rng, n(3, 5), D), _normal(rng, D, n(2, 4))],
        {"decay": 0.1},
    )


@mistake("term")
def divergence_with_one_side_held(rng, n):
    """KL(p || q) by the logits of p, as if log p did not move inside the logarithm."""

    def forward(a, q):
        p = softmax(a)
        return (p * np.log(p / q)).sum(-1)

    def backward(dy, a, q):
        p = softmax(a)
        return _softmax_back(dy[:, None] * np.log(1 / q), p)

    V = n(3, 5)
    q = rng.dirichlet(np.ones(V), n(2, 4))
    return (forward, backward), [_normal(rng, *q.shape)], {"q": q}


@mistake("term", "factor", "activation")
def product_rule_with_one_half(rng, n):
    def forward(x):
        return np.sin(x) * np.exp(0.5 * x)

    return (
        (forward, lambda dy, x: dy * np.cos(x) * np.exp(0.5 * x)),
        [_normal(rng, n(3, 5), n(2, 4))],
        {},
    )


@mistake("term")
def last_state_and_all_outputs(rng, n):
    """A recurrence h = a h + x whose backward does not carry the gradient from step to step."""
    B, T = n(2, 3), n(3, 5)

    def forward(x, a):
        h, out = 0, []
        for t in range(T):
            h = a * h + x[:, t]
            out.append(h)
        return np.stack(out, 1)

    def backward(dy, x, a):
        h, da = np.zeros_like(x[:, 0]), np.zeros_like(a)
        for t in range(T):
            da += (dy[:, t] * h).sum(0)
            h = a * h + x[:, t]
        return dy, da

    D = n(2, 3)
    return (forward, backward), [_normal(rng, B, T, D), rng.uniform(0.3, 0.9, D)], {}


@mistake("offset", "weight decay", "term")
def a_penalty_that_forgets_its_upstream_gradient(rng, n):
    def forward(x, w):
        return (x @ w).sum() + 0.05 * np.square(w).sum()

    def backward(dy, x, w):
        return dy * np.tile(w, (len(x), 1)), dy * x.sum(0) + 0.1 * w

    D = n(3, 5)
    return (forward, backward), [_normal(rng, n(2, 4), D), _normal(rng, D)], {}


@mistake("epsilon", "option")
def epsilon_inside_and_outside_of_the_root(rng, n):
    def forward(x, eps=1e-2):
        return x / np.sqrt(np.square(x).mean(-1, keepdims=True) + eps)

    def backward(dy, x, eps=1e-2):
        m = np.square(x).mean(-1, keepdims=True)
        s = 1 / np.sqrt(m + eps * eps)
        return s * (dy - x * s * s * (dy * x).mean(-1, keepdims=True))

    return (forward, backward), [_normal(rng, n(2, 4), n(3, 5))], {}


# indices, masks, memory, noise --------------------------------------------------------------------


@mistake("repeated ids")
def positions_of_a_graph_written(rng, n):
    """Messages gathered along edges; a node that sends twice is credited once."""
    V, D = n(4, 6), n(2, 3)
    source, sink = np.array([0, 1, 0, 2, 3]), np.array([1, 2, 3, 0, 1])

    def forward(x, source, sink):
        return np.tanh(x[source]) * np.cos(0.1 * sink)[:, None]

    def backward(dy, x, source, sink):
        dx = np.zeros_like(x)
        dx[source] = dy * np.cos(0.1 * sink)[:, None] * (1 - np.tanh(x[source]) ** 2)
        return dx

    return (forward, backward), [_normal(rng, V, D)], {"source": source, "sink": sink}


@mistake("repeated ids", "term")
def the_last_token_and_all_tokens(rng, n):
    """A vector picked twice under one index in a product of both picks."""
    i, j = np.array([0, 2, 1, 0]), np.array([1, 1, 3, 2])

    def forward(x, i, j):
        return (x[i] * x[j]).sum(-1)

    def backward(dy, x, i, j):
        dx, d = np.zeros_like(x), dy[:, None]
        dx[i] += d * x[j]
        np.add.at(dx, j, d * x[i])
        return dx

    return (forward, backward), [_normal(rng, n(4, 6), n(2, 3))], {"i": i, "j": j}


@mistake("mask")
def causal_mask_not_applied(rng, n):
    T, d = n(3, 4), n(2, 4)
    keep = np.tril(np.ones((T, T), bool))

    def forward(s, keep):
        return np.where(keep, np.tanh(s), 0)

    return (
        (forward, lambda dy, s, keep: dy * (1 - np.tanh(s) ** 2)),
        [_normal(rng, d, T, T)],
        {"keep": keep},
    )


@mistake("mask", "activation")
def clipped_values_let_through(rng, n):
    x = _normal(rng, n(3, 5), n(3, 5)) * 2
    x = np.where(np.abs(np.abs(x) - 1) < 0.05, 0.5, x)
    return (
        (lambda x: np.where(np.abs(x.real) < 1, x, np.sign(x.real)), lambda dy, x: dy),
        [x],
        {},
    )


@mistake("stale cache")
def buffer_shared_by_all_calls(rng, n):
    size = n(2, 4), n(2, 4)
    buffer = np.empty(size)

    def op(x):
        if np.isrealobj(x):
            np.exp(x, out=buffer)
            return buffer.copy(), lambda dy: dy * buffer
        return np.exp(x), None

    return (op,), [_normal(rng, *size)], {}


@mistake("stale cache", "noise")
def gradients_added_to_those_of_the_last_call(rng, n):
    def op(x):
        total = np.zeros(x.shape)

        def back(dy):
            total[...] += dy * np.cos(x.real)
            return total.copy()

        return np.sin(x), back

    return (op,), [_normal(rng, n(2, 4), n(2, 4))], {}


@mistake("mutated input")
def activation_undone_in_place(rng, n):
    def backward(dy, x):
        np.tanh(x, out=x)
        return dy * (1 - x * x)

    return (np.tanh, backward), [_normal(rng, n(2, 4), n(2, 4))], {}


@mistake("noise")
def another_dropout_mask(rng, n):
    x, noise = _normal(rng, n(4, 5), n(4, 5)), np.random.default_rng(int(rng.integers(99)))

    def forward(x, rng):
        return np.sin(x) * (rng.random(x.shape) < 0.5) * 2

    def backward(dy, x, rng):
        rng.random(3)
        return dy * np.cos(x) * (rng.random(x.shape) < 0.5) * 2

    return (forward, backward), [x], {"rng": noise}


@mistake("not linear")
def gradient_clipped_inside(rng, n):
    def backward(dy, x):
        d = dy * np.cos(x)
        return d / max(1.0, 3 * np.linalg.norm(d))

    return (np.sin, backward), [_normal(rng, n(2, 4), n(2, 4))], {}


@mistake("not linear")
def sign_of_the_gradient(rng, n):
    return (
        (np.sin, lambda dy, x: np.sign(dy) * np.cos(x)),
        [_normal(rng, n(2, 4), n(2, 4))],
        {},
    )


# activations, places, order, weights, others ------------------------------------------------------


@mistake("activation")
def tanh_at_its_input(rng, n):
    B, I, O = n(2, 4), n(2, 4), n(2, 4)

    def backward(dy, x, w):
        d = dy * (1 - (x @ w) ** 2)
        return d @ w.T, x.T @ d

    return (
        (lambda x, w: np.tanh(x @ w), backward),
        [_normal(rng, B, I), _normal(rng, I, O)],
        {},
    )


@mistake("activation")
def leaky_slope_of_another_layer(rng, n):
    def backward(dy, x):
        return dy * np.where(x > 0, 1, 0.01)

    return (lambda x: np.where(x.real > 0, x, 0.2 * x), backward), [_normal(rng, n(3, 5), 4)], {}


@mistake("activation", "factor")
def logarithm_of_one_plus(rng, n):
    x = rng.uniform(0.1, 3, (n(3, 5), n(2, 4)))
    return (lambda x: np.log1p(x), lambda dy, x: dy / x), [x], {}


@mistake("argument order")
def gain_and_bias_exchanged(rng, n):
    def backward(dy, x, gain, bias):
        return dy * gain, dy.sum(0), (dy * x).sum(0)

    D = n(2, 4)
    return (
        (lambda x, gain, bias: x * gain + bias, backward),
        [_normal(rng, n(3, 5), D), _normal(rng, D), _normal(rng, D)],
        {},
    )


@mistake("part")
def heads_of_the_second_half_forgotten(rng, n):
    H = 2 * n(1, 2)

    def backward(dy, x):
        d = dy * np.exp(x)
        d[:, H // 2 :] = 0
        return d

    return (np.exp, backward), [_normal(rng, n(2, 3), H, 3)], {}


@mistake("part", "weight", "term")
def special_token_never_trained(rng, n):
    V = n(4, 6)
    ids = np.concatenate([[0, 0], rng.integers(0, V, 5)])

    def backward(dy, table, ids):
        d = np.zeros_like(table)
        np.add.at(d, ids, dy)
        d[0] = 0
        return d

    return (lambda table, ids: table[ids], backward), [_normal(rng, V, 3)], {"ids": ids}


@mistake("weight", "factor")
def classes_weigh_in_the_loss_only(rng, n):
    V = n(3, 5)
    t = rng.integers(0, V, n(4, 6))
    weight = rng.uniform(0.5, 2, V)

    def forward(x, t, weight):
        return -(weight[t] * np.log(softmax(x)[np.arange(len(t)), t])).sum()

    def backward(dy, x, t, weight):
        p = softmax(x)
        p[np.arange(len(t)), t] -= 1
        return dy * p

    return (forward, backward), [_normal(rng, len(t), V)], {"t": t, "weight": weight}


@mistake("option", "term", "different functions")
def label_smoothing_in_the_loss_only(rng, n):
    V = n(3, 5)
    t = rng.integers(0, V, n(3, 5))

    def forward(x, t, smooth):
        logs = np.log(softmax(x))
        return -((1 - smooth) * logs[np.arange(len(t)), t] + smooth * logs.mean(-1)).sum()

    def backward(dy, x, t, smooth):
        p = softmax(x)
        p[np.arange(len(t)), t] -= 1
        return dy * p

    return (forward, backward), [_normal(rng, len(t), V)], {"t": t, "smooth": 0.1}


@mistake("count", "shape", "crash")
def gradient_of_the_mask_too(rng, n):
    x = _normal(rng, n(2, 4), 3)

    def backward(dy, x, keep):
        return dy * keep, dy * x

    return (lambda x, keep: x * keep, backward), [x], {"keep": rng.random(x.shape) < 0.5}


@mistake("no gradient")
def bias_left_out(rng, n):
    B, I, O = n(2, 4), n(2, 4), n(2, 4)

    def backward(dy, x, w, b):
        return dy @ w.T, x.T @ dy, np.zeros_like(b)

    return (
        (lambda x, w, b: x @ w + b, backward),
        [_normal(rng, B, I), _normal(rng, I, O), _normal(rng, O)],
        {},
    )
