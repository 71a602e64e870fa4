"""Proofs that the field teaches, step by step: the pages are in docs/proofs.

Every expectation is a sum over a small table, hence exact.
"""

import numpy as np

from npssl.derivations.steps import FACT, gradient, sigmoid, slope, softplus
from npssl.layers import norm as layers
from npssl.losses import cross_entropy as losses

N, K = 3, 3  # samples of which one belongs to the context; values of x and of c
PLACES = np.stack(np.meshgrid(*[np.arange(K)] * N, indexing="ij"), -1).reshape(-1, N)


class Table:
    """A random joint distribution of x and c, and sums over all N samples and contexts."""

    def __init__(self, rng):
        self.joint = rng.dirichlet(np.full(K * K, 0.5)).reshape(K, K) * 0.98 + 0.02 / K**2
        self.p_x, self.p_c = self.joint.sum(1), self.joint.sum(0)
        self.w = self.joint / np.outer(self.p_x, self.p_c)  # p(x | c) / p(x)
        self.information = (self.joint * np.log(self.w)).sum()
        free = self.p_x[PLACES].prod(1)  # all samples from p(x)
        self.apart = free[:, None] * self.p_c
        self.first = self.apart * self.w[PLACES[:, 0]]  # the first from p(x | c)

    def each(self, f):
        """f[x, c] at all samples: (samples, N, contexts)."""
        return f[PLACES]

    def mean(self, values):
        """Expectation where the first sample belongs to the context."""
        return (self.first * values).sum()


def slide(rng):
    """InfoNCE and mutual information as slides have it: (3) and (5) do not hold."""
    t = Table(rng)
    w = t.each(t.w)
    own, others = w[:, 0], w[:, 1:].sum(1)
    loss = t.mean(-np.log(own / (own + others)))
    yield 1, loss, "=", t.mean(np.log((own + others) / own))
    yield 2, loss, "=", t.mean(np.log(1 + others / own))
    after = t.mean(np.log(1 + (N - 1) / own * (t.p_x @ t.w)))
    yield 3, loss, ">=", after
    yield 4, after, "=", t.mean(np.log(1 + (N - 1) / own))
    yield 5, np.log(1 + (N - 1) / t.w), ">=", np.log(N / t.w)
    yield 6, t.mean(np.log(N / own)), "=", np.log(N) - t.information


def information(rng):
    """InfoNCE and mutual information: I >= log N - L, for every score; (1)-(7)."""
    t = Table(rng)
    score = rng.normal(size=(K, K))
    s, w = t.each(score), t.each(t.w)

    def loss(s):
        return t.mean(np.log(np.exp(s).sum(1)) - s[:, 0])

    m = w.mean(1)
    best = loss(np.log(w))
    yield 1, loss(s), ">=", best
    yield 2, best, "=", t.mean(np.log(N) - np.log(w[:, 0]) + np.log(m))
    yield 3, t.mean(np.log(w[:, 0])), "=", t.information
    anyone = (t.apart[:, None] * w).mean(1)  # the one that belongs stands anywhere
    yield 4, t.mean(np.log(m)), "=", (anyone * np.log(m)).sum()
    yield 5, (anyone * np.log(m)).sum(), "=", (t.apart * m * np.log(m)).sum()
    yield 6, (t.apart * m).sum(), "=", 1
    yield 6, (t.apart * m * np.log(m)).sum(), ">=", 0
    yield 7, t.information, ">=", np.log(N) - loss(s)
    yield FACT, np.log(N) - loss(s), "<=", np.log(N)
    free = t.joint / t.w  # p(x) p(c)
    convex = t.w * np.log((t.w + N - 1) / N)
    yield FACT, (t.joint * np.log(1 + (N - 1) / t.w)).sum(), ">=", np.log(N) - t.information
    yield FACT, (free * convex).sum(), ">=", 0
    yield FACT, (t.joint * np.log((t.w + N - 1) / N)).sum(), "=", (free * convex).sum()


def pmi(rng):
    """Negative sampling at its optimum is PMI - log k; (1)-(5)."""
    count, k = rng.integers(1, 9, (3, 4)).astype(float), int(rng.integers(1, 8))
    total, of_word, of_context = count.sum(), count.sum(1, keepdims=True), count.sum(0)
    noise = of_context / total
    s, best = rng.normal(size=(3, 4)), np.log(count * total / (of_word * of_context)) - np.log(k)

    def objective(s):
        return (count * softplus(-s) + k * of_word * noise * softplus(s)).sum()

    # as it is drawn: for each pair read, k noise words of which each is c with P_n(c)
    read = (count * softplus(-s)).sum() + k * (of_word * (softplus(s) @ noise)[:, None]).sum()
    yield 1, read, "=", objective(s)
    error = -count * (1 - sigmoid(s)) + k * of_word * noise * sigmoid(s)
    yield 2, gradient(objective, s), "=", error
    second = (count + k * of_word * noise) * sigmoid(s) * (1 - sigmoid(s))
    yield (
        3,
        slope(lambda s: -count * (1 - sigmoid(s)) + k * of_word * noise * sigmoid(s), s, 1),
        "=",
        second,
    )
    yield 3, second, ">=", np.zeros((3, 4))
    yield 4, sigmoid(best) / (1 - sigmoid(best)), "=", count / (k * of_word * noise)
    yield 4, gradient(objective, best), "=", np.zeros((3, 4))
    yield 4, objective(best), "<=", objective(s)
    joint = count / total
    table = np.log(joint / np.outer(joint.sum(1), joint.sum(0)))
    yield 5, best, "=", table - np.log(k)


def log_partition(rng):
    """Noise-contrastive estimation finds the log-partition; (1)-(5)."""
    score, noise, k = rng.normal(size=5), rng.dirichlet(np.ones(5)), int(rng.integers(1, 8))
    Z = np.exp(score).sum()
    p = np.exp(score) / Z

    def objective(c):
        odds = score + c - np.log(k * noise)
        return (p * softplus(-odds) + k * noise * softplus(odds)).sum()

    c = rng.normal()
    model = np.exp(score + c)
    h = sigmoid(score + c - np.log(k * noise))
    yield 1, h, "=", model / (model + k * noise)
    yield 2, slope(objective, c, 1), "=", (k * noise * h - p * (1 - h)).sum()
    yield 3, slope(objective, c, 1), "=", ((model - p) * k * noise / (model + k * noise)).sum()
    factor = np.exp(c) * Z - 1
    yield 4, model - p, "=", factor * p
    yield 4, slope(objective, c, 1) * factor, ">=", 0
    yield 5, slope(objective, -np.log(Z), 1), "=", 0
    yield 5, objective(-np.log(Z)), "<=", objective(c)


def cross_entropy(rng):
    """Predicted minus observed."""
    s, q = rng.normal(size=5), rng.dirichlet(np.ones(5))
    value, back = losses.cross_entropy(s, target=q)
    Z = np.exp(s).sum()
    p = np.exp(s) / Z
    yield 1, p.sum(), "=", 1
    yield 2, value, "=", -(q @ np.log(p))
    yield 2, -(q @ np.log(p)), "=", np.log(Z) - q @ s
    yield 3, gradient(lambda s: np.log(np.exp(s).sum()) - q @ s, s), "=", p - q
    yield 3, back(1.0), "=", p - q
    dp = -q / p
    yield FACT, p * (dp - p @ dp), "=", p - q


def layernorm(rng):
    """The gradient has no part along the constant vector, and next to none along xhat."""
    x, gain, bias, dy = rng.normal(size=(4, 6))
    eps = 1e-3
    dx = layers.layernorm(x, gain, bias, eps=eps)[1](dy)[0]
    s = 1 / np.sqrt(x.var() + eps)
    xhat, u = s * (x - x.mean()), gain * dy
    yield 1, dx, "=", s * (u - u.mean() - xhat * (xhat * u).mean())
    yield 2, dx.sum(), "=", s * (6 * u.mean() - 6 * u.mean() - xhat.sum() * (xhat * u).mean())
    yield 2, dx.sum(), "=", 0
    yield 3, np.square(xhat).mean(), "=", 1 - eps * s**2
    yield 4, xhat @ dx, "=", s * (xhat @ u) * eps * s**2


def language_model(rng):
    """The surprise of a text is the sum of those of its tokens; the product is no loss."""
    joint = rng.dirichlet(np.ones(8)).reshape(2, 2, 2)  # of all texts of three tokens
    first = joint.sum((1, 2))
    second = joint.sum(2) / first[:, None]
    third = joint / joint.sum(2, keepdims=True)
    yield 1, joint, "=", first[:, None, None] * second[:, :, None] * third
    terms = -np.log(first)[:, None, None] - np.log(second)[:, :, None] - np.log(third)
    yield 2, -np.log(joint), "=", terms
    yield FACT, -np.log(joint), ">=", 0
    yield FACT, -joint, "<=", 0


STEPS = (information, pmi, log_partition, cross_entropy, layernorm, language_model)
