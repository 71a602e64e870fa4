"""Steps of the losses on pairs: springs, a sigmoid for each, negatives without the own kind."""

import numpy as np

from npssl.derivations.steps import FACT, gradient, sigmoid, softplus
from npssl.losses import debiased_info_nce as debiased_page
from npssl.losses import info_nce as info_page
from npssl.losses import pair as pair_page
from npssl.losses import siglip as siglip_page


def pair(rng):
    """(1)-(5), both forms, for one pair that is the same and one that is not."""
    x, margin, index = rng.normal(size=(2, 4)), 3.0, np.array([[0, 1]])
    u = x[0] - x[1]
    D, E = np.sqrt(u @ u), abs(u).sum()
    hinge = max(0.0, margin - D)
    far = np.exp(-2.77 * E / margin)
    near = {"index": index, "same": np.array([True]), "margin": margin}
    apart = near | {"same": np.array([False])}
    value, back = pair_page.pair(x, **near)
    yield 1, value, "=", D**2 / 2
    yield 1, back(1.0)[0], "=", u
    value, back = pair_page.pair(x, **apart)
    yield 2, value, "=", hinge**2 / 2
    yield 3, back(1.0)[0], "=", -hinge * u / D
    yield FACT, back(1.0).sum(0), "=", np.zeros(4)
    value, back = pair_page.pair(x, **near, form="chopra")
    yield 4, value, "=", 2 / margin * E**2
    yield 4, back(1.0)[0], "=", 4 / margin * E * np.sign(u)
    value, back = pair_page.pair(x, **apart, form="chopra")
    yield 5, value, "=", 2 * margin * far
    yield 5, back(1.0)[0], "=", -5.54 * far * np.sign(u)


def siglip(rng):
    """(1)-(5)."""
    x, y = rng.normal(size=(2, 4, 3))
    log_scale, bias = np.asarray(rng.normal()), np.asarray(rng.normal())
    value, back = siglip_page.siglip(x, y, log_scale, bias)
    scale, sign = np.exp(log_scale), 2 * np.eye(4) - 1
    s = scale * x @ y.T + bias
    ds = (sigmoid(s) - np.eye(4)) / 4
    dx, dy, dlog_scale, dbias = back(1.0)
    yield 1, s[1, 2], "=", scale * (x[1] @ y[2]) + bias
    yield 2, value, "=", softplus(-sign * s).sum() / 4
    yield 3, gradient(lambda s: softplus(-sign * s).sum() / 4, s), "=", ds
    yield 4, dx, "=", scale * ds @ y
    yield 4, dy, "=", scale * ds.T @ x
    yield 5, dlog_scale, "=", (ds * (s - bias)).sum()
    yield 5, dbias, "=", ds.sum()
    nothing = siglip_page.siglip(0 * x, y, log_scale, np.asarray(0.0))[0]
    yield FACT, nothing, "=", 4 * np.log(2)


def debiased_info_nce(rng):
    """(1)-(6), for unit vectors, on either side of the floor."""
    x, y = rng.normal(size=(2, 4, 3))
    query, key = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x, y))
    T, prior, n = 0.5, float(rng.choice([0.1, 0.4])), 3
    value, back = debiased_page.debiased_info_nce(query, key, temperature=T, prior=prior)
    s = query @ key.T / T
    floor, own = n * np.exp(-1 / T), np.eye(4)

    def free(s):
        e = np.exp(s)
        return (((1 - own) * e).sum(1) - n * prior * np.diagonal(e)) / (1 - prior)

    on = free(s) > floor
    e, G = np.exp(s), np.where(on, free(s), floor)
    total = np.diagonal(e) + G

    def surprise(s):
        mine = np.exp(np.diagonal(s))
        return (np.log(mine + np.where(on, free(s), floor)) - np.diagonal(s)).mean()

    ds = (on / ((1 - prior) * total))[:, None] * e / 4
    mine = (np.diagonal(e) * (1 - on * n * prior / (1 - prior)) / total - 1) / 4
    whole = ds * (1 - own) + np.diag(mine)
    yield 1, s[0, 1], "=", query[0] @ key[1] / T
    mixture = prior * np.diagonal(e) + (1 - prior) * free(s) / n
    yield 2, mixture, "=", ((1 - own) * e).sum(1) / n
    yield 3, G, ">=", np.full(4, floor)
    yield 3, n * e.min(), ">=", floor
    yield 4, value, "=", surprise(s)
    yield 5, gradient(surprise, s) * (1 - own), "=", ds * (1 - own)
    yield 6, np.diagonal(gradient(surprise, s)), "=", mine
    yield 6, back(1.0)[0], "=", whole @ key / T
    yield 6, back(1.0)[1], "=", whole.T @ query / T
    plain = debiased_page.debiased_info_nce(query, key, temperature=T, prior=0.0)[0]
    yield FACT, plain, "=", info_page.info_nce(query, key, temperature=T)[0]


STEPS = (pair, siglip, debiased_info_nce)
