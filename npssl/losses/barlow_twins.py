"""Barlow Twins: features that agree across views, and say different things."""

import math

import numpy as np

from npssl.layers.norm import layernorm
from npssl.losses.expected import _alike


def barlow_twins(x, y, *, weight: float = 5e-3, eps: float = 1e-5):
    r"""How far the correlations between two views' features are from the identity.

    Parameters
    ----------
    x, y : (N, d)           two views, N >= 2: row i of both is the same instance
    weight : float >= 0     of the off-diagonal terms
    eps : float > 0         added to each feature's variance over the batch

    Returns
    -------
    value : ()              sum over d features and their pairs
    back : dvalue=1.0 -> dx (N, d), dy (N, d)

    Keeps
    -----
    a, b, dC, back_a, back_b

    Derivation
    ----------
    Standardise each feature over the batch (mean 0, mean square 1), which is
    `npssl.layers.norm.layernorm` of the transposed: a and b, (d, N).  Then::

        C     = a b^T / N                                                    (1)
        value = sum_i (1 - C_ii)^2 + weight sum_{i != j} C_ij^2              (2)
        dC_ii = -2 (1 - C_ii),   dC_ij = 2 weight C_ij                       (3)
        da    = dC b / N,   db = dC^T a / N                                  (4)

    A fact to check by eye: equal views with uncorrelated features have the value 0, up to
    eps; a feature times 10 changes nothing.

    Raises
    ------
    ValueError
        if x and y are not (N, d) of one shape or not finite, N is below 2 (nothing to
        correlate), weight is negative or eps not positive.

    Notes
    -----
    No negatives: the cost is d^2 and not N^2.  A feature that is constant (collapse) is
    standardised to 0: it costs 1 and its gradient is finite, of order 1 / sqrt(eps).

    References
    ----------
    Zbontar, Jing, Misra, LeCun & Deny, "Barlow Twins: Self-Supervised Learning via
    Redundancy Reduction", ICML 2021, arXiv:2103.03230, eqs. (1)-(2).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> check(barlow_twins, rng.normal(size=(5, 3)), rng.normal(size=(5, 3))) < 1e-12
    True
    """
    _alike(x=x, y=y)
    N = len(x)
    if N < 2:
        raise ValueError(f"x must have at least 2 rows to correlate, found {N}")
    if not 0 <= weight < math.inf:
        raise ValueError(f"weight must be a number of 0 or more, found {weight}")
    gain, bias = np.ones(N, x.real.dtype), np.zeros(N, x.real.dtype)
    a, back_a = layernorm(x.T, gain, bias, eps=eps)
    b, back_b = layernorm(y.T, gain, bias, eps=eps)
    C = a @ b.T / N  # (1)
    own = np.eye(len(C), dtype=x.real.dtype)
    miss = C - own
    cost = own + float(weight) * (1 - own)
    value = (cost * np.square(miss)).sum()  # (2)
    dC = 2 * cost * miss  # (3)

    def back(dvalue=1.0):
        d = dC * (float(dvalue) / N)
        return back_a(d @ b)[0].T, back_b(d.T @ a)[0].T  # (4)

    return value, back
