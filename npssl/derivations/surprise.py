"""Steps of softmax and of the losses that are made of surprise."""

import numpy as np

from npssl.derivations.steps import FACT, gradient, slope
from npssl.layers import log_sum_exp as lse_page
from npssl.layers import softmax as pages
from npssl.losses import binary_cross_entropy as binary_page
from npssl.losses import cross_entropy as entropy_page
from npssl.losses import squared_error as square_page
from npssl.losses import table_cross_entropy as table_page


def _softmax(x):
    e = np.exp(x)
    return e / e.sum(-1, keepdims=True)


def log_sum_exp(rng):
    """(1)-(2)."""
    x, dy, mask = rng.normal(size=5), rng.normal(), np.arange(5) < 4
    y, back = lse_page.log_sum_exp(x, mask=mask)
    m = x[mask].max()
    e = mask * np.exp(x - m)
    yield 1, y, "=", m + np.log(e.sum())
    yield 2, back(np.asarray(dy)), "=", dy * e / e.sum()
    yield 2, dy * e / e.sum(), "=", gradient(lambda x: np.log((mask * np.exp(x)).sum()), x, dy)
    yield FACT, back(np.asarray(dy)).sum(), "=", dy
    yield FACT, m, "<=", y
    yield FACT, y, "<=", m + np.log(4)


def softmax(rng):
    """(1)-(3), for one row."""
    x, v, dy = rng.normal(size=(3, 5))
    m = rng.normal()
    y, back = pages.softmax(x)
    yield 1, y, "=", np.exp(x - m) / np.exp(x - m).sum()
    yield 2, slope(_softmax, x, v), "=", y * (v - y @ v)
    yield 2, y * (v - y @ v), "=", (np.diag(y) - np.outer(y, y)) @ v
    yield 3, dy @ (y * (v - y @ v)), "=", v @ (y * (dy - y @ dy))
    yield 3, back(dy), "=", y * (dy - y @ dy)
    yield FACT, back(dy).sum(), "=", 0
    yield FACT, back(np.ones(5)), "=", np.zeros(5)


def log_softmax(rng):
    """(1)-(3), for one row."""
    x, v, dy = rng.normal(size=(3, 5))
    y, back = pages.log_softmax(x)
    yield 1, y, "=", x - np.log(np.exp(x).sum())
    yield 2, slope(lambda x: x - np.log(np.exp(x).sum()), x, v), "=", v - np.exp(y) @ v
    yield 3, dy @ (v - np.exp(y) @ v), "=", v @ (dy - np.exp(y) * dy.sum())
    yield 3, back(dy), "=", dy - np.exp(y) * dy.sum()
    yield FACT, back(dy).sum(), "=", 0
    yield FACT, -back(np.eye(5)[2]), "=", np.exp(y) - np.eye(5)[2]


def cross_entropy(rng):
    """(1)-(3), for one position."""
    s, q, z_loss = rng.normal(size=5), rng.dirichlet(np.ones(5)), 0.3
    value, back = entropy_page.cross_entropy(s, target=q, z_loss=z_loss)
    Z = np.exp(s).sum()
    p = np.exp(s) / Z
    log_z = np.log(Z)
    yield 1, p.sum(), "=", 1
    yield 2, value, "=", -q @ np.log(p) + z_loss * log_z**2
    yield 2, -q @ np.log(p), "=", log_z - q @ s
    yield 3, gradient(lambda s: np.log(np.exp(s).sum()), s), "=", p
    yield 3, back(1.0), "=", p - q + 2 * z_loss * log_z * p
    rows = rng.normal(size=(3, 5))
    many = entropy_page.cross_entropy(rows, target=np.array([0, 4, 1]))[1](1.0)
    yield 3, many, "=", (_softmax(rows) - np.eye(5)[[0, 4, 1]]) / 3
    yield FACT, many.sum(-1), "=", np.zeros(3)
    yield FACT, entropy_page.cross_entropy(s, target=p)[1](1.0), "=", np.zeros(5)
    yield FACT, -q @ np.log(p), ">=", -q @ np.log(q)


def table_cross_entropy(rng):
    """(1)-(3)."""
    z, table, bias = rng.normal(size=(3, 4)), rng.normal(size=(5, 4)), rng.normal(size=5)
    target = rng.integers(0, 5, 3)
    value, back = table_page.table_cross_entropy(z, table, bias, target=target)
    s = z @ table.T + bias
    ds = (_softmax(s) - np.eye(5)[target]) / 3

    def mean_surprise(s):
        return (np.log(np.exp(s).sum(-1)) - s[np.arange(3), target]).mean()

    yield 1, s, "=", np.einsum("nd,vd->nv", z, table) + bias
    yield 2, value, "=", mean_surprise(s)
    yield 3, gradient(mean_surprise, s), "=", ds
    for found, expected in zip(back(1.0), (ds @ table, ds.T @ z, ds.sum(0))):
        yield 3, found, "=", expected
    yield FACT, ds.sum(), "=", 0


def binary_cross_entropy(rng):
    """(1)-(2), for one decision."""
    s, t = rng.normal(size=1), rng.random(1)
    value, back = binary_page.binary_cross_entropy(s, target=t)
    p = 1 / (1 + np.exp(-s))

    def cost(s):
        return t * np.log(1 + np.exp(-s)) + (1 - t) * np.log(1 + np.exp(s))

    yield 1, -t * np.log(p) - (1 - t) * np.log(1 - p), "=", cost(s)
    yield 1, value, "=", cost(s)
    yield 2, slope(cost, s, 1), "=", -t * (1 - p) + (1 - t) * p
    yield 2, -t * (1 - p) + (1 - t) * p, "=", p - t
    yield 2, back(1.0), "=", p - t
    two = entropy_page.cross_entropy(np.append(s, 0), target=np.append(t, 1 - t))
    yield FACT, value, "=", two[0]
    yield FACT, back(1.0)[0], "=", two[1](1.0)[0]


def squared_error(rng):
    """(1)-(3)."""
    prediction, target = rng.normal(size=(2, 3, 4))
    value, back = square_page.squared_error(prediction, target=target)
    miss = prediction - target
    yield 1, miss + target, "=", prediction
    yield 2, value, "=", np.square(miss).sum() / 12
    yield 3, gradient(lambda p: np.square(p - target).sum() / 12, prediction), "=", 2 * miss / 12
    yield 3, back(1.0), "=", 2 * miss / 12
    constant = np.full((3, 4), target.mean())
    best, best_back = square_page.squared_error(constant, target=target)
    yield FACT, best, "=", target.var()
    yield FACT, best_back(1.0).sum(), "=", 0


STEPS = (
    log_sum_exp,
    softmax,
    log_softmax,
    cross_entropy,
    table_cross_entropy,
    binary_cross_entropy,
    squared_error,
)
