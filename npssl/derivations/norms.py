"""Steps of what standardises: symmetric maps, which are their own transpose."""

import numpy as np

from npssl.derivations.steps import FACT, slope
from npssl.layers import batch_norm as batch_page
from npssl.layers import group_norm as group_page
from npssl.layers import norm, similarity

EPS = 1e-3


def _hat(x, eps=EPS):
    c = x - x.mean()
    return c / np.sqrt((c * c).mean() + eps)


def layernorm(rng):
    """(1)-(6), for one vector."""
    x, gain, bias, dy, v = rng.normal(size=(5, 6))
    y, back = norm.layernorm(x, gain, bias, eps=EPS)
    dx, dgain, dbias = back(dy)
    mu = x.mean()
    s = 1 / np.sqrt(np.square(x - mu).mean() + EPS)
    xhat, u = s * (x - mu), gain * dy

    def inverse(x):
        c = x - x.mean()
        return 1 / np.sqrt((c * c).mean() + EPS)

    def tilt(v):
        return s * (v - v.mean() - xhat * (xhat * v).mean())

    yield 1, slope(inverse, x, v), "=", -(s**2) * (xhat * v).mean()
    yield 2, _hat(x), "=", xhat
    yield 3, y, "=", gain * xhat + bias
    yield 4, dbias, "=", dy
    yield 4, dgain, "=", dy * xhat
    yield 5, slope(_hat, x, v), "=", tilt(v)
    yield 6, u @ tilt(v), "=", tilt(u) @ v
    yield 6, dx, "=", tilt(u)
    yield FACT, dx.sum(), "=", 0
    yield FACT, dx @ xhat, "=", s * (xhat @ u) * EPS * s**2
    near = norm.layernorm(x, gain, bias, eps=1e-14)[1](dy)[0]
    yield FACT, near @ xhat, "=", 0


def group_norm(rng):
    """(1)-(5), for one image of 3 places and 4 channels in 2 groups."""
    x, dy = rng.normal(size=(2, 1, 3, 4))
    gain, bias = rng.normal(size=(2, 4))
    y, back = group_page.group_norm(x, gain, bias, groups=2, eps=EPS)
    dx, dgain, dbias = back(dy)
    hats = np.zeros_like(x)
    for g in (slice(0, 2), slice(2, 4)):
        part = x[0, :, g]
        s = 1 / np.sqrt(np.square(part - part.mean()).mean() + EPS)
        hat = s * (part - part.mean())
        yield 1, 1 / s**2, "=", part.var() + EPS
        yield 2, hat, "=", _hat(part)
        hats[0, :, g] = hat
        u = gain[g] * dy[0, :, g]
        yield 5, dx[0, :, g], "=", s * (u - u.mean() - hat * (hat * u).mean())
    yield 3, y, "=", gain * hats + bias
    yield 4, dbias, "=", dy.sum((0, 1))
    yield 4, dgain, "=", (dy * hats).sum((0, 1))
    two = np.concatenate([x, rng.normal(size=x.shape)])
    yield FACT, group_page.group_norm(two, gain, bias, groups=2, eps=EPS)[0][:1], "=", y


def batch_norm(rng):
    """(1)-(6), for 5 rows of 3 channels."""
    x, dy = rng.normal(size=(2, 5, 3))
    gain, bias = rng.normal(size=(2, 3))
    y, back = batch_page.batch_norm(x, gain, bias, eps=EPS)
    y, back = (y[0] if isinstance(y, tuple) else y), back
    dx, dgain, dbias = back(dy)
    s = 1 / np.sqrt(np.square(x - x.mean(0)).mean(0) + EPS)
    xhat, u = s * (x - x.mean(0)), gain * dy
    yield 1, 1 / s**2, "=", x.var(0) + EPS
    yield 2, xhat.T, "=", [_hat(column) for column in x.T]
    yield 3, y, "=", gain * xhat + bias
    yield 4, dbias, "=", dy.sum(0)
    yield 4, dgain, "=", (dy * xhat).sum(0)
    yield 5, dx, "=", s * (u - u.mean(0) - xhat * (xhat * u).mean(0))
    given = {"mean": rng.normal(size=3), "variance": rng.uniform(1, 2, 3)}
    fixed = batch_page.batch_norm(x, gain, bias, eps=EPS, **given)[1](dy)[0]
    yield 6, fixed, "=", u / np.sqrt(given["variance"] + EPS)
    yield FACT, dx.sum(0), "=", np.zeros(3)


def unit(rng):
    """(1)-(3)."""
    x, v, dy = rng.normal(size=(3, 4))
    y, back = similarity.unit(x)
    length = np.sqrt(x @ x)
    yield 1, y, "=", x / length
    yield 2, slope(lambda x: np.sqrt((x * x).sum()), x, v), "=", y @ v
    yield 2, slope(lambda x: x / np.sqrt((x * x).sum()), x, v), "=", (v - y * (y @ v)) / length
    yield 2, v / length - x * (y @ v) / length**2, "=", (v - y * (y @ v)) / length
    yield 3, dy @ ((v - y * (y @ v)) / length), "=", v @ ((dy - y * (y @ dy)) / length)
    yield 3, back(dy), "=", (dy - y * (y @ dy)) / length
    yield FACT, back(dy) @ x, "=", 0
    yield FACT, similarity.unit(2 * x)[1](dy), "=", back(dy) / 2


STEPS = (layernorm, group_norm, batch_norm, unit)
