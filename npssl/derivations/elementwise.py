"""Steps of the functions of one number (`npssl.layers.activation`, `.gaussian`, `.dropout`)."""

import math

import numpy as np

from npssl.derivations import steps
from npssl.derivations.steps import FACT, slope
from npssl.layers import activation, gaussian
from npssl.layers import dropout as dropout_page


def relu(rng):
    """(1)-(2)"""
    x, dy = rng.normal(size=(2, 6))
    y, back = activation.relu(x)
    yield 1, y, "=", np.where(x > 0, x, 0)
    yield 2, back(dy), "=", np.where(x > 0, dy, 0)
    yield FACT, y, "=", x * np.heaviside(x, 0)


def tanh(rng):
    """(1)-(2)"""
    x, dy = rng.normal(size=(2, 6))
    y, back = activation.tanh(x)
    e, f = np.exp(x), np.exp(-x)
    yield 1, y, "=", (e - f) / (e + f)
    yield 2, slope(np.tanh, x, 1), "=", ((e + f) ** 2 - (e - f) ** 2) / (e + f) ** 2
    yield 2, ((e + f) ** 2 - (e - f) ** 2) / (e + f) ** 2, "=", 1 - y * y
    yield 2, back(dy), "=", dy * (1 - y * y)
    yield FACT, slope(np.tanh, np.zeros(1), 1), "=", 1


def sigmoid(rng):
    """(1)-(2)"""
    x, dy = rng.normal(size=(2, 6))
    y, back = activation.sigmoid(x)
    e = np.exp(-abs(x))
    yield 1, y, "=", 1 / (1 + np.exp(-x))
    yield 1, y, "=", np.exp(x) / (1 + np.exp(x))
    yield 1, y, "=", np.where(x > 0, 1, e) / (1 + e)
    yield 2, slope(steps.sigmoid, x, 1), "=", np.exp(-x) / (1 + np.exp(-x)) ** 2
    yield 2, np.exp(-x) / (1 + np.exp(-x)) ** 2, "=", y * (1 - y)
    yield 2, back(dy), "=", dy * y * (1 - y)
    yield FACT, activation.sigmoid(-x)[0], "=", 1 - y


def softplus(rng):
    """(1)-(2)"""
    x, dy = rng.normal(size=(2, 6))
    y, back = activation.softplus(x)
    yield 1, y, "=", np.log(1 + np.exp(x))
    yield 1, y, "=", np.maximum(x, 0) + np.log(1 + np.exp(-abs(x)))
    yield 2, slope(steps.softplus, x, 1), "=", np.exp(x) / (1 + np.exp(x))
    yield 2, np.exp(x) / (1 + np.exp(x)), "=", steps.sigmoid(x)
    yield 2, back(dy), "=", dy * steps.sigmoid(x)
    yield FACT, y - activation.softplus(-x)[0], "=", x


def normal_cdf(rng):
    """(1)-(5)"""
    x, dy = 3 * rng.normal(size=(2, 6))
    y, back = gaussian.normal_cdf(x)
    density = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    yield 1, y, "=", [0.5 * math.erfc(-a / math.sqrt(2)) for a in x]
    yield 2, back(dy), "=", dy * density
    length, n = 4.0, 128  # the Fourier coefficients of (3), by equal steps of the angle
    angle = 2 * math.pi * (np.arange(n) + 0.5) / n
    t = length * np.tan(angle / 2)
    a = [np.mean(np.exp(-t * t) * (length**2 + t * t) * np.cos(k * angle)) for k in range(40)]
    z = rng.normal()
    turn = (length + 1j * z) / (length - 1j * z)
    series = a[0] + 2 * sum((a[k] * turn**k).real for k in range(1, 40))
    yield 3, math.exp(-z * z) * (length**2 + z * z), "=", series
    u = abs(x) / math.sqrt(2)
    q = (length - u) / (length + u)
    inner = sum(a[k] * q ** (k - 1) for k in range(1, 40))
    r = a[0] / (length * (length + u)) + 2 / (length + u) ** 2 * inner
    yield 4, [math.exp(b * b) * math.erfc(b) for b in u], "=", r
    yield FACT, a[0] / length**2 + 2 / length**2 * sum(a[1:]), "=", 1
    yield 5, gaussian.normal_cdf(-x)[0], "=", 1 - y


def gelu(rng):
    """(1)-(4)"""
    x, dy = rng.normal(size=(2, 6))
    y, back = activation.gelu(x)
    cdf = np.array([(1 + math.erf(a / math.sqrt(2))) / 2 for a in x])
    yield 1, y, "=", x * cdf
    yield 2, back(dy), "=", dy * (cdf + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi))
    z, zback = activation.gelu(x, form="tanh")
    c = math.sqrt(2 / math.pi)

    def h(x):
        return (1 + np.tanh(c * (x + 0.044715 * x**3))) / 2

    yield 3, z, "=", x * h(x)
    prime = h(x) + x * 2 * h(x) * (1 - h(x)) * c * (1 + 3 * 0.044715 * x * x)
    yield 4, slope(lambda x: x * h(x), x, 1), "=", prime
    yield 4, zback(dy), "=", dy * prime
    yield FACT, y - activation.gelu(-x)[0], "=", x
    yield FACT, abs(y - z), "<=", 5e-4


def dropout(rng):
    """(1)-(3)"""
    x, dy = rng.normal(size=(2, 6))
    rate, seed = 0.4, int(rng.integers(1000))
    y, back = dropout_page.dropout(x, rate=rate, rng=np.random.default_rng(seed))
    kept = np.isclose(y, x / (1 - rate))
    yield 1, (kept | np.isclose(y, 0)).mean(), "=", 1
    yield 2, y, "=", x * (kept / (1 - rate))
    yield 3, back(dy), "=", dy * (kept / (1 - rate))
    mean = (1 - rate) * (1 / (1 - rate))
    yield FACT, mean, "=", 1
    yield FACT, (1 - rate) * (1 / (1 - rate) - 1) ** 2 + rate, "=", rate / (1 - rate)


STEPS = (relu, tanh, sigmoid, softplus, normal_cdf, gelu, dropout)
