"""More mistakes written by hand: they measured the catalogue once, and are tuning data since.

Written down as `mistakes.py` is.
"""

import math

import numpy as np
from mistakes import mistakes_into, softmax

MORE: list = []
mistake = mistakes_into(MORE)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _two_layers(rng, n):
    B, I, H, O = n(2, 5), n(2, 4), n(3, 5), n(2, 4)
    return [rng.normal(size=s) for s in ((B, I), (I, H), (H, O))]


def _two(x, v, w):
    return np.tanh(x @ v) @ w


def _two_back(dy, x, v, w):
    h = np.tanh(x @ v)
    ds = (dy @ w.T) * (1 - h * h)
    return ds @ v.T, x.T @ ds, h.T @ dy


# scales -------------------------------------------------------------------------------------------


@mistake("scale")
def mean_over_all_entries(rng, n):
    """The loss is a mean over rows, the gradient one over all entries."""
    t = rng.normal(size=(n(3, 6), n(2, 4)))
    return (
        (lambda x, t: np.square(x - t).sum(-1).mean(), lambda dy, x, t: dy * 2 * (x - t) / x.size),
        [rng.normal(size=t.shape)],
        {"t": t},
    )


@mistake("scale")
def temperature_squared(rng, n):
    def backward(dy, q, k, temperature):
        return dy @ k / temperature**2, dy.T @ q / temperature**2

    d = n(2, 4)
    return (
        (lambda q, k, temperature: q @ k.T / temperature, backward),
        [rng.normal(size=(n(2, 4), d)), rng.normal(size=(n(3, 5), d))],
        {"temperature": 0.2},
    )


@mistake("scale")
def momentum_in_the_gradient(rng, n):
    def backward(dy, a, b, rate):
        return (1 - rate) * dy, rate * rate * dy

    size = 3, n(2, 4)
    return (
        (lambda a, b, rate: (1 - rate) * a + rate * b, backward),
        [rng.normal(size=size), rng.normal(size=size)],
        {"rate": 0.3},
    )


# axes and sums ------------------------------------------------------------------------------------


@mistake("axes", "shape")
def queries_and_heads(rng, n):
    B, T, H, d = n(2, 3), n(2, 4), n(2, 3), n(2, 3)

    def forward(x):
        return np.sin(x).reshape(B, T, H, d).transpose(0, 2, 1, 3)

    def backward(dy, x):
        return dy.reshape(B, T, H * d) * np.cos(x)

    return (forward, backward), [rng.normal(size=(B, T, H * d))], {}


@mistake("axes")
def time_reversed_in_a_bidirectional_layer(rng, n):
    def forward(x):
        return np.exp(0.3 * x[:, ::-1])

    return (
        (forward, lambda dy, x: dy * 0.3 * np.exp(0.3 * x)),
        [rng.normal(size=(n(2, 3), n(3, 5), 2))],
        {},
    )


@mistake("sum", "shape")
def gain_summed_over_channels(rng, n):
    C = n(3, 5)
    x, g = rng.normal(size=(C, C)), rng.normal(size=(1, C))
    return (
        (lambda x, g: np.exp(g) * x, lambda dy, x, g: (
            np.exp(g) * dy, (np.exp(g) * x * dy).sum(1)[None]
        )),
        [x, g],
        {},
    )  # fmt: skip


@mistake("sum", "scale", "shape")
def bias_averaged_over_time(rng, n):
    x, b = rng.normal(size=(n(2, 3), n(2, 4), n(2, 4))), None
    b = rng.normal(size=x.shape[-1])
    return (
        (lambda x, b: np.tanh(x + b), lambda dy, x, b: (
            dy * (1 - np.tanh(x + b) ** 2), (dy * (1 - np.tanh(x + b) ** 2)).mean(1).sum(0)
        )),
        [x, b],
        {},
    )  # fmt: skip


# terms --------------------------------------------------------------------------------------------


@mistake("term")
def rms_norm_without_projection(rng, n):
    def forward(x):
        return x / np.sqrt(np.square(x).mean(-1, keepdims=True) + 1e-6)

    def backward(dy, x):
        return dy / np.sqrt(np.square(x).mean(-1, keepdims=True) + 1e-6)

    return (forward, backward), [rng.normal(size=(n(2, 4), n(3, 5)))], {}


@mistake("term")
def batch_norm_without_its_mean(rng, n):
    def forward(x):
        c = x - x.mean(0)
        return c / np.sqrt(np.square(c).mean(0) + 1e-5)

    def backward(dy, x):
        c = x - x.mean(0)
        s = 1 / np.sqrt(np.square(c).mean(0) + 1e-5)
        return s * (dy - s * s * c * (dy * c).mean(0))

    return (forward, backward), [rng.normal(size=(n(4, 6), n(2, 3)))], {}


@mistake("term")
def gate_without_its_candidate(rng, n):
    """A gated unit, of which only one way back is taken."""

    def forward(x, v, w):
        return _sigmoid(x @ v) * np.tanh(x @ w)

    def backward(dy, x, v, w):
        s, t = _sigmoid(x @ v), np.tanh(x @ w)
        ds, dt = dy * t * s * (1 - s), dy * s * (1 - t * t)
        return dt @ w.T, x.T @ ds, x.T @ dt

    d, h = n(2, 4), n(2, 4)
    return (
        (forward, backward),
        [rng.normal(size=(n(2, 4), d)), rng.normal(size=(d, h)), rng.normal(size=(d, h))],
        {},
    )


@mistake("term", "no gradient", "residual branch")
def stop_gradient_of_the_target(rng, n):
    def forward(x, t):
        return np.square(np.tanh(x) - np.tanh(t)).sum()

    def backward(dy, x, t):
        d = 2 * dy * (np.tanh(x) - np.tanh(t))
        return d * (1 - np.tanh(x) ** 2), np.zeros_like(t)

    size = n(2, 4), n(2, 4)
    return (forward, backward), [rng.normal(size=size), rng.normal(size=size)], {}


@mistake("tied weight", "term")
def weight_of_two_steps_credited_once(rng, n):
    def forward(x, w):
        return np.tanh(np.tanh(x @ w) @ w)

    def backward(dy, x, w):
        h = np.tanh(x @ w)
        y = np.tanh(h @ w)
        d = dy * (1 - y * y)
        dh = (d @ w.T) * (1 - h * h)
        return dh @ w.T, h.T @ d

    d = n(3, 4)
    return (forward, backward), [rng.normal(size=(n(2, 4), d)), rng.normal(size=(d, d))], {}


@mistake("weight decay", "offset")
def decay_of_a_matrix_of_two_layers(rng, n):
    def backward(dy, x, v, w, decay):
        dx, dv, dw = _two_back(dy, x, v, w)
        return dx, dv + decay * v, dw + decay * w

    forward = lambda x, v, w, decay: _two(x, v, w)
    return (forward, backward), _two_layers(rng, n), {"decay": 0.05}


@mistake("epsilon", "option")
def another_epsilon_in_the_batch(rng, n):
    def forward(x, eps=1e-3):
        c = x - x.mean(0)
        return c / np.sqrt(np.square(c).mean(0) + eps)

    def backward(dy, x, eps=1e-5):
        c = x - x.mean(0)
        s = 1 / np.sqrt(np.square(c).mean(0) + eps)
        return s * (dy - dy.mean(0) - s * s * c * (dy * c).mean(0))

    return (forward, backward), [rng.normal(size=(n(4, 6), n(2, 3)))], {}


# indices, memory, masks, noise --------------------------------------------------------------------


@mistake("repeated ids")
def bags_written(rng, n):
    V, D = n(4, 6), n(2, 3)
    ids = np.array([[0, 1], [2, 0], [1, 3]])

    def backward(dy, table, ids):
        d = np.zeros_like(table)
        d[ids] += dy[:, None]
        return d

    return (
        (lambda table, ids: table[ids].sum(1), backward),
        [rng.normal(size=(V, D))],
        {"ids": ids},
    )


@mistake("stale cache")
def the_first_output_is_kept(rng, n):
    kept = []

    def op(x):
        y = _sigmoid(x)
        kept.append(y)
        return y, lambda dy: dy * kept[-1] * (1 - kept[-1])

    return (op,), [rng.normal(size=(n(2, 4), n(2, 4)))], {}


@mistake("mutated dy")
def upstream_zeroed_in_place(rng, n):
    def backward(dy, x):
        dy[x <= 0] = 0
        return dy

    return (lambda x: np.where(x > 0, x, 0 * x), backward), [rng.normal(size=(n(3, 5), 3))], {}


@mistake("mask")
def padding_in_a_mean(rng, n):
    x = rng.normal(size=(n(2, 3), n(3, 5), n(2, 3)))
    mask = np.arange(x.shape[1]) < rng.integers(1, x.shape[1], len(x))[:, None]

    def forward(x, mask):
        return (x * mask[..., None]).sum(1) / mask.sum(1)[:, None]

    def backward(dy, x, mask):
        return np.repeat(dy[:, None] / mask.sum(1)[:, None, None], x.shape[1], 1)

    return (forward, backward), [x], {"mask": mask}


@mistake("noise")
def noise_added_and_drawn_again(rng, n):
    noise = np.random.default_rng(int(rng.integers(99)))

    def forward(x, rng):
        return x * np.exp(rng.normal(size=x.shape))

    def backward(dy, x, rng):
        rng.normal(size=x.shape)
        return dy * np.exp(rng.normal(size=x.shape))

    return (forward, backward), [rng.normal(size=(n(3, 5), n(2, 4)))], {"rng": noise}


# activations, places, order, weights, others ------------------------------------------------------


@mistake("activation")
def softplus_with_the_slope_of_relu(rng, n):
    return (
        (lambda x: np.log1p(np.exp(x)), lambda dy, x: dy * (x > 0)),
        [rng.normal(size=(n(3, 5), 2))],
        {},
    )


@mistake("activation", "factor")
def sigmoid_in_a_layer_without_one_minus(rng, n):
    B, I, O = n(2, 5), n(2, 4), n(2, 4)

    def backward(dy, x, w):
        d = dy * _sigmoid(x @ w)
        return d @ w.T, x.T @ d

    return (
        (lambda x, w: _sigmoid(x @ w), backward),
        [rng.normal(size=(B, I)), rng.normal(size=(I, O))],
        {},
    )


@mistake("argument order")
def keys_and_values(rng, n):
    T, d = n(3, 4), n(2, 4)

    def forward(q, k, v):
        return softmax(q @ k.T / math.sqrt(q.shape[-1])) @ v

    def backward(dy, q, k, v):
        p = softmax(q @ k.T / math.sqrt(q.shape[-1]))
        dp = dy @ v.T
        ds = p * (dp - (p * dp).sum(-1, keepdims=True)) / math.sqrt(q.shape[-1])
        return ds @ k, p.T @ dy, ds.T @ q

    return (forward, backward), [rng.normal(size=(T, d)) for _ in range(3)], {}


@mistake("part")
def first_step_of_a_sequence_forgotten(rng, n):
    def backward(dy, x):
        d = dy * np.cos(x)
        d[:, 0] = 0
        return d

    return (np.sin, backward), [rng.normal(size=(n(2, 3), n(3, 5), 2))], {}


@mistake("weight", "factor")
def hard_examples_weigh_more(rng, n):
    """A focal weight that only the gradient has."""
    V = n(3, 5)
    t = rng.integers(0, V, n(4, 6))

    def forward(x, t):
        return -np.log(softmax(x)[np.arange(len(t)), t]).mean()

    def backward(dy, x, t):
        p = softmax(x)
        hard = (1 - p[np.arange(len(t)), t]) ** 2
        p[np.arange(len(t)), t] -= 1
        return dy * hard[:, None] * p / len(t)

    return (forward, backward), [rng.normal(size=(len(t), V))], {"t": t}


@mistake("count")
def one_gradient_too_many(rng, n):
    return (
        (_two, lambda dy, x, v, w: (*_two_back(dy, x, v, w), dy)),
        _two_layers(rng, n),
        {},
    )


@mistake("different functions")
def huber_for_square(rng, n):
    t = 3 * rng.normal(size=(n(3, 5), 3))

    def backward(dy, x, t):
        d = x - t
        return dy * (np.arctan(d) + 0.1 * d * np.roll(d, 1, -1))

    return (
        (lambda x, t: np.square(x - t).sum(), backward),
        [rng.normal(size=t.shape)],
        {"t": t},
    )
