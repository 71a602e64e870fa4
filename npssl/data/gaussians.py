"""Correlated Gaussians, whose mutual information is known."""

import math

import numpy as np

_CUBED = math.sqrt(15.0)  # standard deviation of a cubed standard normal number


def information(rho, width):
    """Nats that ``width`` independent pairs of correlation rho share: -width/2 log(1 - rho^2).

    >>> round(information(0.5, 20), 4)
    2.8768
    """
    if not -1 < rho < 1:
        raise ValueError(f"rho must be between -1 and 1, found {rho}")
    return -width / 2 * math.log1p(-rho * rho)


def correlation(nats, width):
    """The correlation rho >= 0 at which `information` is so many nats.

    >>> round(information(correlation(6.0, 20), 20), 12)
    6.0
    """
    if not (nats >= 0 and math.isfinite(nats)):
        raise ValueError(f"nats must be a number from 0 on, found {nats}")
    if width < 1:
        raise ValueError(f"width must be at least 1, found {width}")
    return math.sqrt(-math.expm1(-2 * nats / width))


def draw(pairs, width, rho, rng, cubic=False):
    """Pairs (x, c), each (pairs, width) and normal, coordinate by coordinate correlated.

    ``cubic`` gives c^3, scaled to variance 1, in place of c: another critic, the same
    information, as the cube is one to one.

    >>> x, c = draw(20000, 1, 0.8, np.random.default_rng(0))
    >>> round(float((x * c).mean()), 1)
    0.8
    """
    information(rho, width)  # refuses what is no correlation
    x, noise = rng.normal(size=(2, pairs, width))
    c = rho * x + math.sqrt(1 - rho * rho) * noise
    return x, c**3 / _CUBED if cubic else c


def best_critic(x, c, rho, cubic=False):
    """Scores (N, M) of the optimal critic, log p(c_j | x_i) / p(c_j).

    Of a pair from the joint distribution its mean is the mutual information; of a pair
    from the product, the mean of its exponential is 1.

    >>> rho = correlation(1.0, 2)
    >>> x, c = draw(400, 2, rho, np.random.default_rng(0), cubic=True)
    >>> s = best_critic(x, c, rho, cubic=True)
    >>> s.shape, bool(abs(s.diagonal().mean() - 1) < 0.2)
    ((400, 400), True)
    """
    nats = information(rho, x.shape[1])
    c = np.cbrt(_CUBED * c) if cubic else c
    squares = (x * x).sum(1)[:, None] + (c * c).sum(1)
    return nats + (rho * (x @ c.T) - rho * rho * squares / 2) / (1 - rho * rho)
