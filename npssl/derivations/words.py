"""Steps of the ways around the sum over all words."""

import numpy as np

from npssl.derivations.steps import FACT, gradient, sigmoid, slope, softplus
from npssl.losses import hierarchical_softmax as tree_page
from npssl.losses import nce as nce_page
from npssl.losses import negative_sampling as sampling_page
from npssl.losses import sampled_softmax as sampled_page


def negative_sampling(rng):
    """(1)-(10): the model, the gradient, and where the optimum lies."""
    x, y = rng.normal(size=(3, 5)), rng.normal(size=(4, 5))
    value, back = sampling_page.negative_sampling(x, y)
    s, label = x @ y.T, np.eye(4)[0]
    sign = 2 * label - 1
    yield 1, -np.log(sigmoid(s)), "=", softplus(-s)
    yield 1, -np.log(1 - sigmoid(s)), "=", softplus(s)
    yield 2, value, "=", softplus(-s[:, 0]).sum() + softplus(s[:, 1:]).sum()
    yield 3, value, "=", (abs(sign) * softplus(-sign * s)).sum()
    error = abs(sign) * (sigmoid(s) - label)
    yield 4, gradient(lambda s: softplus(-sign * s).sum(), s), "=", error
    yield 5, back(1.0)[0], "=", error @ y
    yield 6, back(1.0)[1], "=", error.T @ x
    yield FACT, (x * back(1.0)[0]).sum(), "=", (y * back(1.0)[1]).sum()

    # a text: counts of pairs, noise from the counts of contexts
    count, k = rng.integers(1, 9, (3, 4)).astype(float), int(rng.integers(1, 6))
    of_word, noise = count.sum(1, keepdims=True), rng.dirichlet(np.ones(4))
    a, b = count, k * of_word * noise

    def total(s):
        return (a * softplus(-s) + b * softplus(s)).sum()

    best = np.log(count / (of_word * noise)) - np.log(k)
    yield 7, gradient(total, s[:, :4]), "=", -a * (1 - sigmoid(s)) + b * sigmoid(s)
    yield 8, gradient(total, best), "=", np.zeros((3, 4))
    yield 8, total(best), "<=", total(best + rng.normal(size=(3, 4)))
    p_context = count.sum(0) / count.sum()
    pmi = np.log(count * count.sum() / (of_word * count.sum(0)))
    yield 8, np.log(count / (of_word * p_context)) - np.log(k), "=", pmi - np.log(k)
    yield 9, best, "=", np.log(count / of_word) - np.log(k * noise)
    yield 10, (a + b) * sigmoid(best) * (1 - sigmoid(best)), "=", a * b / (a + b)
    curve = slope(lambda s: -a * (1 - sigmoid(s)) + b * sigmoid(s), best, 1)
    yield 10, curve, "=", a * b / (a + b)


def nce(rng):
    """(1)-(7): the question, the gradient, the optimum, what k does, the normaliser."""
    x, y, log_noise = rng.normal(size=(3, 5)), rng.normal(size=(4, 5)), rng.normal(size=4)
    value, back = nce_page.nce(x, y, log_noise=log_noise)
    odds, label = x @ y.T - np.log(3) - log_noise, np.eye(4)[0]
    sign = 2 * label - 1
    P, Q, k = rng.random(), rng.random(), 3
    yield 1, np.log(P / (P + k * Q) / (1 - P / (P + k * Q))), "=", np.log(P) - np.log(k * Q)
    yield 2, value, "=", (abs(sign) * softplus(-sign * odds)).sum()
    error = abs(sign) * (sigmoid(odds) - label)
    yield 3, gradient(lambda s: softplus(-sign * s).sum(), odds), "=", error
    yield 4, back(1.0)[0], "=", error @ y
    yield 4, back(1.0)[1], "=", error.T @ x

    # a distribution over four words, and noise
    p, noise, s = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(4)), rng.normal(size=4)

    def expected(s):
        odds = s - np.log(k * noise)
        return (p * softplus(-odds) + k * noise * softplus(odds)).sum()

    h = sigmoid(s - np.log(k * noise))
    yield 5, -gradient(expected, s), "=", p * (1 - h) - k * noise * h
    yield 6, gradient(expected, np.log(p)), "=", np.zeros(4)
    yield 6, expected(np.log(p)), "<=", expected(s)
    model = np.exp(s)
    yield 7, h, "=", model / (model + k * noise)
    yield 7, p * (1 - h) - k * noise * h, "=", (p - model) * k * noise / (model + k * noise)
    large = 1e9
    yield 7, large * noise / (model + large * noise), ">=", 1 - model / (large * noise)
    score = rng.normal(size=4)  # a model with a normaliser of its own
    p_score = np.exp(score) / np.exp(score).sum()

    def normaliser(c):
        odds = score + c - np.log(k * noise)
        return (p_score * softplus(-odds) + k * noise * softplus(odds)).sum()

    log_z = np.log(np.exp(score).sum())
    yield FACT, slope(normaliser, -log_z, 1.0), "=", 0
    yield FACT, normaliser(-log_z), "<=", normaliser(-log_z + rng.normal())
    same = nce_page.nce(x, y, log_noise=np.full(4, -np.log(3)))
    yield FACT, same[0], "=", sampling_page.negative_sampling(x, y)[0]


def hierarchical_softmax(rng):
    """(1)-(5): a path of three nodes, and a tree of four leaves."""
    x, nodes, code = rng.normal(size=(2, 5)), rng.normal(size=(3, 5)), rng.integers(0, 2, 3)
    value, back = tree_page.hierarchical_softmax(x, nodes, code=code)
    s, turn = x @ nodes.T, 1 - 2 * code
    yield 1, sigmoid(-s), "=", 1 - sigmoid(s)
    yield 2, value, "=", softplus(-turn * s).sum()
    yield 2, value, "=", -np.log(sigmoid(turn * s).prod(1)).sum()
    error = sigmoid(s) - (1 - code)
    yield 3, gradient(lambda s: softplus(-turn * s).sum(), s), "=", error
    yield 4, back(1.0)[0], "=", error @ nodes
    yield 4, back(1.0)[1], "=", error.T @ x
    left, right = rng.integers(1, 9, 2)
    best = np.log(left / right)
    yield 5, -left * sigmoid(-best) + right * sigmoid(best), "=", 0
    paths = [([0, 1], [0, 0]), ([0, 1], [0, 1]), ([0, 2], [1, 0]), ([0, 2], [1, 1])]
    costs = [
        tree_page.hierarchical_softmax(x[:1], nodes[at], code=np.array(turns))[0]
        for at, turns in paths
    ]
    yield FACT, np.exp(-np.array(costs)).sum(), "=", 1


def sampled_softmax(rng):
    """(1)-(5)."""
    x, y, log_noise = rng.normal(size=(3, 5)), rng.normal(size=(4, 5)), rng.normal(size=4)
    value, back = sampled_page.sampled_softmax(x, y, log_noise=log_noise, z_loss=0.2)
    s = x @ y.T - np.log(3) - log_noise
    drawn = np.arange(4) > 0

    def lse(s, counts=1.0):
        return np.log((counts * np.exp(s)).sum(1))

    def objective(s):
        return (lse(s) - s[:, 0] + 0.2 * lse(s, drawn) ** 2).sum()

    yield 1, s[1, 2], "=", x[1] @ y[2] - np.log(3 * np.exp(log_noise[2]))
    Q, score = rng.dirichlet(np.ones(6)), rng.normal(size=6)
    yield 2, 3 * (Q * np.exp(score - np.log(3 * Q))).sum(), "=", np.exp(score).sum()
    yield 3, value, "=", objective(s)
    p = np.exp(s - lse(s)[:, None])
    q = drawn * np.exp(s - lse(s, drawn)[:, None])
    ds = p - np.eye(4)[0] + 2 * 0.2 * lse(s, drawn)[:, None] * q
    yield 4, gradient(objective, s), "=", ds
    yield 5, back(1.0)[0], "=", ds @ y
    yield 5, back(1.0)[1], "=", ds.T @ x
    moved = sampled_page.sampled_softmax(x, y, log_noise=log_noise + 0.7)[0]
    yield FACT, moved, "=", sampled_page.sampled_softmax(x, y, log_noise=log_noise)[0]


STEPS = (negative_sampling, nce, hierarchical_softmax, sampled_softmax)
