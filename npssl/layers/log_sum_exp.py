"""Logarithm of a sum of exponentials."""

import math

import numpy as np


def log_sum_exp(x, *, mask=None):
    r"""The soft maximum of each row of scores.

    Parameters
    ----------
    x : (..., V)                    scores in nats
    mask : (..., V) bool, optional  True = counts; False = left out, whatever it is

    Returns
    -------
    y : (...)       nats; a row of which nothing counts: -inf
    back : dy (...) -> dx (..., V); zero in such a row

    Keeps
    -----
    e, total

    Derivation
    ----------
    For one row, with m the largest score that counts::

        y = m + log sum_j mask_j exp(x_j - m)                                (1)
        dx_j = dy mask_j exp(x_j - m) / sum_k mask_k exp(x_k - m)            (2)

    A fact to check by eye: dx sums to dy, and max(x) <= y <= max(x) + log V.

    Raises
    ------
    ValueError
        if x is a single number, or mask has not its shape.

    References
    ----------
    Blanchard, Higham & Higham, "Accurately computing the log-sum-exp and softmax
    functions", IMA Journal of Numerical Analysis 41(4), 2021, 2311-2330,
    doi:10.1093/imanum/draa038.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> log_sum_exp(np.array([[1000.0, 1000.0], [0.0, -np.inf]]))[0] - np.log([2, 1])
    array([1000.,    0.])
    >>> check(log_sum_exp, np.random.default_rng(0).normal(size=(2, 3))) < 1e-12
    True
    """
    if x.ndim == 0:
        raise ValueError("x must have at least one axis, found a single number")
    if mask is None:
        mask = np.broadcast_to(True, x.shape)
    if mask.shape != x.shape:
        raise ValueError(f"mask must have the shape {x.shape} of x, found {mask.shape}")
    top = x.real.max(-1, keepdims=True, where=mask, initial=-math.inf)
    top = np.where(top == -math.inf, 0, top)
    e = np.exp(np.where(mask, x - top, 0)) * mask
    total = e.sum(-1, keepdims=True)
    none = total == 0
    y = np.where(none, -math.inf, np.log(np.where(none, 1, total)) + top)[..., 0]  # (1)

    def back(dy):
        return e * (dy[..., None] / np.where(total == 0, 1, total))  # (2)

    return y, back
