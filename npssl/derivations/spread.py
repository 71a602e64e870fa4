"""Steps of the losses that hold representations apart without naming negatives."""

import numpy as np

from npssl.derivations.steps import FACT, gradient
from npssl.layers import distance
from npssl.layers import norm as norm_page
from npssl.losses import alignment as pages
from npssl.losses import barlow_twins as twins_page
from npssl.losses import vicreg as vicreg_page


def alignment(rng):
    """(1)-(2)."""
    x, y = rng.normal(size=(2, 5, 3))
    power = float(rng.choice([1.5, 2.0, 3.0]))
    value, back = pages.alignment(x, y, power=power)
    u = x - y
    length = np.linalg.norm(u, axis=1, keepdims=True)
    dx = power * length ** (power - 2) * u / 5
    yield 1, value, "=", (length**power).mean()
    yield 2, gradient(lambda x: (((x - y) ** 2).sum(1) ** (power / 2)).mean(), x), "=", dx
    yield 2, back(1.0)[0], "=", dx
    yield 2, back(1.0)[1], "=", -dx
    a, b = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x, y))
    yield FACT, pages.alignment(a, b)[0], "=", 2 - 2 * (a * b).sum(1).mean()


def uniformity(rng):
    """(1)-(2), and the least value by Jensen's inequality."""
    x, t, other = rng.normal(size=(5, 3)), 0.7, 1 - np.eye(5)
    value, back = pages.uniformity(x, sharpness=t)
    D, below = distance.squared_distance(x, x)
    e = other * np.exp(-t * D)
    dD = -t * e / e.sum()
    yield 1, value, "=", np.log(e.sum() / 20)
    yield 2, gradient(lambda D: np.log((other * np.exp(-t * D)).sum() / 20), D), "=", dD
    yield 2, back(1.0), "=", sum(below(dD))
    yield FACT, value, "<=", 0
    a = x / np.linalg.norm(x, axis=1, keepdims=True)
    on_sphere = distance.squared_distance(a, a)[0].sum() / 20
    yield FACT, on_sphere, "<=", 2 * 5 / 4
    yield FACT, pages.uniformity(a)[0], ">=", -2 * on_sphere
    yield FACT, pages.uniformity(a)[0], ">=", -2 * 2 * 5 / 4


def barlow_twins(rng):
    """(1)-(4)."""
    x, y = rng.normal(size=(2, 6, 3))
    value, back = twins_page.barlow_twins(x, y, weight=0.3)
    (a, a_back), (b, b_back) = (
        norm_page.layernorm(z.T.copy(), np.ones(6), np.zeros(6), eps=1e-5) for z in (x, y)
    )
    C, eye = a @ b.T / 6, np.eye(3)

    def redundancy(C):
        return (eye * (1 - C) ** 2).sum() + 0.3 * ((1 - eye) * C**2).sum()

    dC = -2 * eye * (1 - C) + 2 * 0.3 * (1 - eye) * C
    yield 1, C[0, 1], "=", a[0] @ b[1] / 6
    yield 2, value, "=", redundancy(C)
    yield 3, gradient(redundancy, C), "=", dC
    yield 4, back(1.0)[0], "=", a_back(dC @ b / 6)[0].T
    yield 4, back(1.0)[1], "=", b_back(dC.T @ a / 6)[0].T


def vicreg(rng):
    """(1)-(7)."""
    x, y = 0.8 * rng.normal(size=(2, 6, 3))
    value, back = vicreg_page.vicreg(x, y)
    eps, other = 1e-4, 1 - np.eye(3)

    def table(z):
        c = z - z.mean(0)
        return c.T @ c / 5

    def terms(C):
        sd = np.sqrt(np.diagonal(C) + eps)
        low = np.where(sd.real < 1, 1 - sd, 0).mean()
        return low, (other * C**2).sum() / 3

    near = ((x - y) ** 2).sum(1).mean()
    (vx, cx), (vy, cy) = terms(table(x)), terms(table(y))
    yield 1, vicreg_page.vicreg(x, y, variance=0.0, covariance=0.0)[0], "=", 25 * near
    yield 2, vicreg_page.vicreg(x, y, invariance=0.0, covariance=0.0)[0], "=", 25 * (vx + vy)
    yield 3, vicreg_page.vicreg(x, y, invariance=0.0, variance=0.0)[0], "=", cx + cy
    yield 4, value, "=", 25 * near + 25 * (vx + vy) + cx + cy
    C = table(x)
    sd = np.sqrt(np.diagonal(C) + eps)
    dC = np.diag(-25 * (sd < 1) / (2 * 3 * sd)) + 2 * other * C / 3
    slopes = gradient(lambda C: 25 * terms(C)[0] + terms(C)[1], C)
    yield 5, np.diagonal(slopes), "=", np.diagonal(dC)
    yield 6, other * slopes, "=", other * dC
    dc = 2 * (x - x.mean(0)) @ dC / 5
    yield 7, back(1.0)[0], "=", dc + 25 * 2 * (x - y) / 6
    yield FACT, dc.sum(0), "=", np.zeros(3)


STEPS = (alignment, uniformity, barlow_twins, vicreg)
