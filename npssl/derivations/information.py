"""Steps of the estimates of mutual information."""

import itertools

import numpy as np

from npssl.derivations.steps import FACT, gradient, sigmoid, softplus
from npssl.losses import mutual_information as pages

N = 4
OWN = np.eye(N)
OFF = 1 - OWN


def _world(rng, rows=2):
    """A table p(x, c), its product, its information, and any critic of it."""
    joint = rng.dirichlet(np.ones(3 * rows)).reshape(rows, 3)
    product = joint.sum(1)[:, None] * joint.sum(0)
    nats = (joint * np.log(joint / product)).sum()
    return joint, product, nats, rng.normal(size=joint.shape)


def _expected(op, joint, critic, pairs=2):
    """The mean of an op over all batches of so many pairs."""
    places = list(np.ndindex(joint.shape))
    total = 0.0
    for batch in itertools.product(places, repeat=pairs):
        x, c = np.array(batch).T
        total += np.prod(joint[x, c]) * op(critic[x[:, None], c])[0]
    return total


def info_nce_bound(rng):
    """(1)-(4)."""
    s = rng.normal(size=(N, N))

    def shown(s):
        return np.log(N) + np.mean(np.diag(s) - np.log(np.exp(s).sum(1)))

    value, back = pages.info_nce_bound(s)
    ds = (OWN - np.exp(s) / np.exp(s).sum(1, keepdims=True)) / N
    yield 1, value, "=", shown(s)
    yield 2, back(), "=", ds
    yield 2, gradient(shown, s), "=", ds
    yield 3, pages.info_nce_bound(9 * s)[0], "<=", np.log(N)
    joint, product, nats, critic = _world(rng)
    yield 4, _expected(pages.info_nce_bound, joint, critic), "<=", nats
    yield 4, _expected(pages.info_nce_bound, joint, np.log(joint / product)), "<=", nats


def tuba(rng):
    """(1)-(5)."""
    s, b = rng.normal(size=(N, N)), rng.normal(size=N)

    def bound(s, b):
        product = (OFF * np.exp(s - b[:, None])).sum() / (N * (N - 1))
        return 1 + np.mean(np.diag(s) - b) - product

    z, a = rng.exponential(size=2)
    value, back = pages.tuba(s, b)
    ds = OWN / N - OFF * np.exp(s - b[:, None]) / (N * (N - 1))
    yield 1, np.log(z), "<=", z / a + np.log(a) - 1
    yield 2, value, "=", bound(s, b)
    joint, product, nats, critic = _world(rng)
    base = rng.normal(size=len(joint))[:, None]
    yield 3, 1 + (joint * (critic - base) - product * np.exp(critic - base)).sum(), "<=", nats
    best = np.log(joint / product)
    yield FACT, _expected(lambda s: pages.tuba(s, np.zeros(2)), joint, best), "=", nats
    yield 4, back()[0], "=", ds
    yield 4, gradient(lambda s: bound(s, b), s), "=", ds
    yield 5, back()[1], "=", -ds.sum(1)
    yield 5, gradient(lambda b: bound(s, b), b), "=", -ds.sum(1)


def nwj(rng):
    """(1)-(3)."""
    s = rng.normal(size=(N, N))

    def bound(s):
        return np.diag(s).mean() - (OFF * np.exp(s - 1)).sum() / (N * (N - 1))

    value, back = pages.nwj(s)
    yield 1, value, "=", bound(s)
    joint, product, nats, critic = _world(rng)
    yield 2, _expected(pages.nwj, joint, critic), "<=", nats
    yield FACT, _expected(pages.nwj, joint, 1 + np.log(joint / product)), "=", nats
    yield 3, back(), "=", OWN / N - OFF * np.exp(s - 1) / (N * (N - 1))
    yield 3, gradient(bound, s), "=", back()


def smile(rng):
    """(1)-(3)."""
    s, clip = 3 * rng.normal(size=(N, N)), 2.0

    def estimate(s):
        c = np.where(abs(s.real) < clip, s, clip * np.sign(s.real))
        return np.diag(s).mean() - np.log((OFF * np.exp(c)).sum() / (N * (N - 1)))

    value, back = pages.smile(s, clip=clip)
    weights = OFF * np.exp(np.clip(s, -clip, clip))
    q = weights / weights.sum()
    yield 1, value, "=", estimate(s)
    yield 2, q.sum(), "=", 1
    yield 3, back(), "=", OWN / N - (abs(s) < clip) * q
    yield 3, gradient(estimate, s), "=", back()


def donsker_varadhan(rng):
    """(1)-(3)."""
    s = rng.normal(size=(N, N))

    def estimate(s):
        return np.diag(s).mean() - np.log((OFF * np.exp(s)).sum() / (N * (N - 1)))

    value, back = pages.donsker_varadhan(s)
    yield 1, value, "=", estimate(s)
    yield 2, back(), "=", OWN / N - OFF * np.exp(s) / (OFF * np.exp(s)).sum()
    yield 2, gradient(estimate, s), "=", back()
    joint, product, nats, critic = _world(rng)
    best = np.log(joint / product) + 3
    yield 3, (joint * critic).sum() - np.log((product * np.exp(critic)).sum()), "<=", nats
    yield 3, (joint * best).sum() - np.log((product * np.exp(best)).sum()), "=", nats


def js(rng):
    """(1)-(3)."""
    s = rng.normal(size=(N, N))

    def bound(s):
        away = (OFF * softplus(s)).sum() / (N * (N - 1))
        return np.log(2) - softplus(-np.diag(s)).mean() / 2 - away / 2

    value, back = pages.js(s)
    ds = OWN * sigmoid(-s) / (2 * N) - OFF * sigmoid(s) / (2 * N * (N - 1))
    yield 1, value, "=", bound(s)
    yield 2, back(), "=", ds
    yield 2, gradient(bound, s), "=", ds
    joint, product, _, critic = _world(rng)
    middle = (joint + product) / 2
    both = (joint * np.log(joint / middle) + product * np.log(product / middle)).sum() / 2
    yield 3, _expected(pages.js, joint, critic), "<=", both
    yield 3, _expected(pages.js, joint, np.log(joint / product)), "=", both
    yield 3, both, "<=", np.log(2)


def interpolated(rng):
    """(1)-(5)."""
    s, b, alpha = rng.normal(size=(N, N)), rng.normal(size=N), rng.random()

    def parts(s, b):
        e, rest = np.exp(s), (1 - alpha) * np.exp(b)
        u = np.log(alpha * e.mean(1) + rest)
        v = np.log(alpha * (OFF * e).sum(1) / (N - 1) + rest)
        return u, v, (OFF * np.exp(s - v[:, None])).sum(1) / (N - 1)

    def bound(s, b):
        u, _, r = parts(s, b)
        return 1 + np.mean(np.diag(s) - u) - r.mean()

    value, back = pages.interpolated(s, b, alpha=alpha)
    u, v, r = parts(s, b)
    e = np.exp(s)
    yield 1, np.exp(u), "=", alpha * e.mean(1) + (1 - alpha) * np.exp(b)
    yield 2, np.exp(u) - np.exp(v), "=", alpha * (e.mean(1) - (OFF * e).sum(1) / (N - 1))
    yield 3, r * np.exp(v), "=", (OFF * e).sum(1) / (N - 1)
    yield 4, value, "=", bound(s, b)
    free = (OFF * np.exp(s)).sum(1) / (N - 1)
    yield 5, gradient(lambda v: -(free * np.exp(-v)).mean(), v), "=", r / N
    yield 5, gradient(lambda u: np.mean(np.diag(s) - u), u), "=", np.full(N, -1 / N)
    yield 5, back()[0], "=", gradient(lambda s: bound(s, b), s)
    yield 5, back()[1], "=", gradient(lambda b: bound(s, b), b)
    yield FACT, value, "<=", 1 + np.log(N / alpha)
    yield FACT, pages.interpolated(s, b, alpha=0)[0], "=", pages.tuba(s, b)[0]


STEPS = (info_nce_bound, tuba, nwj, smile, donsker_varadhan, js, interpolated)
