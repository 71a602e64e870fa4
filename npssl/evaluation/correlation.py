"""Pearson's and Spearman's correlation, with p values, in NumPy alone."""

import math

import numpy as np


def ranks(x) -> np.ndarray:
    """Ranks from 1; equals share the average of their ranks.

    >>> ranks([10, 30, 20, 30])
    array([1. , 3.5, 2. , 3.5])
    """
    _, which, counts = np.unique(np.asarray(x), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[which.ravel()]


def pearson(x, y) -> float:
    """Linear correlation in [-1, 1]; 0 where a side is constant or there are fewer than 2 pairs.

    >>> round(pearson([1, 2, 3], [1, 2, 4]), 6)
    0.981981
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"y: expected the shape of x, {x.shape}, found {y.shape}")
    if len(x) < 2 or x.min() == x.max() or y.min() == y.max():
        return 0.0
    x, y = x - x.mean(), y - y.mean()
    r = float((x / np.linalg.norm(x)) @ (y / np.linalg.norm(y)))
    return max(-1.0, min(1.0, r))


def spearman(x, y) -> float:
    """Pearson's correlation of the ranks.

    >>> round(spearman([1, 2, 3], [1, 2, 4]), 6)
    1.0
    """
    return pearson(ranks(x), ranks(y))


def p_value(r: float, n: int) -> float:
    r"""How often |correlation| >= |r| comes by chance, for n pairs without any (two-sided).

    ``t = r sqrt((n - 2) / (1 - r^2))`` has Student's distribution with n - 2 degrees of
    freedom, so p is the regularised incomplete beta function::

        p = I_{1 - r^2}((n - 2) / 2, 1/2)

    exact for Pearson's r of Gaussian data, the usual approximation for Spearman's.  1 for
    fewer than 3 pairs.

    >>> round(p_value(0.5, 12), 6)
    0.097855
    """
    if n < 3:
        return 1.0
    return incomplete_beta((n - 2) / 2, 0.5, (1 - r) * (1 + r))


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised I_x(a, b), by its continued fraction.

    References
    ----------
    NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov/8.17, equations
    8.17.4 (symmetry) and 8.17.22; evaluated from the front by Lentz's method.
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    log = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(log + a * math.log(x) + b * math.log1p(-x)) / a
    tiny = 1e-300
    c, d = 1.0, 1 / ((1 - (a + b) * x / (a + 1)) or tiny)
    value = d
    for m in range(1, 1000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1 / ((1 + step * d) or tiny)
            c = (1 + step / c) or tiny
            value *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return front * value
