"""Alignment and uniformity: what a contrastive loss pulls together and what it spreads."""

import math

import numpy as np

from npssl.layers.distance import squared_distance
from npssl.layers.log_sum_exp import log_sum_exp
from npssl.losses.expected import _alike, _embeddings, _positive


def alignment(x, y, *, power: float = 2.0):
    r"""Mean distance of partners, to a power.

    Parameters
    ----------
    x, y : (N, d)       row i of both are partners; unit vectors in the paper
    power : float > 0

    Returns
    -------
    value : ()          in units of x to that power; no rows: 0
    back : dvalue=1.0 -> dx (N, d), dy (N, d)

    Keeps
    -----
    u, slope

    Derivation
    ----------
    With u = x - y, row by row::

        value = mean_i |u_i|^power                                           (1)
        dx_i  = power |u_i|^(power - 2) u_i / N,   dy = -dx                  (2)

    A fact to check by eye: for unit vectors and power 2 it is 2 - 2 mean cosine.

    Raises
    ------
    ValueError
        if x and y are not (N, d) of one shape or not finite, or power is not positive.

    Notes
    -----
    Partners that are equal give no gradient, whatever the power.

    References
    ----------
    Wang & Isola, "Understanding Contrastive Representation Learning through Alignment
    and Uniformity on the Hypersphere", ICML 2020, arXiv:2005.10242, section 4.1.1.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> check(alignment, rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), power=1.5) < 1e-12
    True
    """
    _alike(x=x, y=y)
    _positive(power=power)
    N = max(1, len(x))
    u = x - y
    s = np.square(u).sum(1)
    zero = s == 0
    there = np.where(zero, 1, s)
    value = np.where(zero, 0, there ** (float(power) / 2)).sum() / N  # (1)
    slope = np.where(zero, 0, float(power) * there ** (float(power) / 2 - 1))

    def back(dvalue=1.0):
        dx = slope[:, None] * u * (float(dvalue) / N)  # (2)
        return dx, -dx

    return value, back


def uniformity(x, *, sharpness: float = 2.0):
    r"""Logarithm of the mean Gaussian potential of all pairs: low where they are spread.

    Parameters
    ----------
    x : (N, d)              unit vectors in the paper
    sharpness : float > 0   t, per squared unit of x

    Returns
    -------
    value : ()              nats, at most 0: 0 where all rows are equal, or fewer than two
    back : dvalue=1.0 -> dx (N, d)

    Keeps
    -----
    x, back_total, back_distance

    Derivation
    ----------
    With D_ij = |x_i - x_j|^2, over the P = N (N - 1) ordered pairs::

        value = log( (1 / P) sum_{i != j} exp(-t D_ij) )                     (1)
        dD_ij = -t exp(-t D_ij) / sum exp(-t D)                              (2)

    and dx by `npssl.layers.distance.squared_distance`, for both of its arguments.

    A fact to check by eye: D is at most 4 on the unit sphere and its mean at most
    2 N / (N - 1), so by Jensen's inequality the value is at least -2 t N / (N - 1): about
    -4 for t = 2.

    Raises
    ------
    ValueError
        if x is not (N, d) or not finite, or sharpness is not positive.

    Notes
    -----
    Collapse is the largest value and has no gradient.  Each pair once or twice is the
    same mean.

    References
    ----------
    Wang & Isola, "Understanding Contrastive Representation Learning through Alignment
    and Uniformity on the Hypersphere", ICML 2020, arXiv:2005.10242, section 4.1.2.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> check(uniformity, np.random.default_rng(0).normal(size=(4, 3))) < 1e-12
    True
    >>> uniformity(np.ones((5, 3)))[0].item()
    0.0
    """
    _embeddings(x=x)
    _positive(sharpness=sharpness)
    N, t = len(x), float(sharpness)
    other = ~np.eye(N, dtype=bool)
    D, back_distance = squared_distance(x, x)
    total, back_total = log_sum_exp((-t * D).ravel(), mask=other.ravel())
    value = total - math.log(N * (N - 1)) if N > 1 else np.zeros((), x.dtype)[()]  # (1)

    def back(dvalue=1.0):
        dD = -t * back_total(np.asarray(float(dvalue), x.dtype)).reshape(N, N)  # (2)
        one, two = back_distance(dD)
        return one + two

    return value, back
