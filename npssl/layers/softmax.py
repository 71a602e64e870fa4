"""Scores to probabilities, over the last axis."""

import math

import numpy as np


def _shifted(x):
    """x minus the largest score of its row: the same softmax, no overflow."""
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"x must have at least one score in its last axis, found shape {x.shape}")
    top = x.real.max(-1, keepdims=True)
    return x - np.where(top == -math.inf, 0, top)


def softmax(x):
    r"""Probabilities in proportion to exp(score).

    Parameters
    ----------
    x : (..., V)        scores in nats; -inf means "impossible"

    Returns
    -------
    y : (..., V)        each row sums to 1; a row in which all is impossible is all 0
    back : dy (..., V) -> dx (..., V)

    Keeps
    -----
    y

    Derivation
    ----------
    For one row, with any constant m (we take the largest score)::

        y_i = exp(x_i - m) / sum_j exp(x_j - m)                              (1)

    Perturb x by v: the numerator of (1) changes by the factor v_i, the
    denominator by the mean of v under y::

        dy_i = y_i (v_i - sum_j y_j v_j)                                     (2)

    This map is symmetric (its matrix is diag(y) - y y^T), hence its own
    transpose: the gradient is the same map applied to the incoming gradient::

        dx = y * (dy - sum_j y_j dy_j)                                       (3)

    A fact to check by eye: dx sums to 0, and constant dy gives dx = 0, because
    adding a constant to all scores changes nothing.

    Raises
    ------
    ValueError
        if there are no scores (V = 0): no distribution over nothing.

    References
    ----------
    Bridle, "Probabilistic Interpretation of Feedforward Classification Network Outputs,
    with Relationships to Statistical Pattern Recognition", in Neurocomputing, Springer
    1990, 227-236, doi:10.1007/978-3-642-76153-9_28.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> softmax(np.array([[1000.0, 1000.0], [-np.inf, 0.0]]))[0].tolist()
    [[0.5, 0.5], [0.0, 1.0]]
    >>> check(softmax, np.random.default_rng(0).normal(size=(2, 3, 5))) < 1e-12
    True
    """
    e = np.exp(_shifted(x))
    total = e.sum(-1, keepdims=True)
    y = e / np.where(total == 0, 1, total)  # (1)

    def back(dy):
        return y * (dy - (y * dy).sum(-1, keepdims=True))  # (3)

    return y, back


def log_softmax(x):
    r"""Logarithm of the softmax, without ever forming a probability that is 0.

    Parameters
    ----------
    x : (..., V)        scores in nats

    Returns
    -------
    y : (..., V)        log probabilities in nats; a row that is all -inf stays so
    back : dy (..., V) -> dx (..., V)

    Keeps
    -----
    y

    Derivation
    ----------
    ::

        y_i = x_i - log sum_j exp(x_j)                                       (1)

    The derivative of the log-sum with respect to x_j is softmax(x)_j, so for a
    perturbation v of x::

        dy_i = v_i - sum_j exp(y_j) v_j                                      (2)
        dx_j = dy_j - exp(y_j) sum_i dy_i                                    (3)

    A fact to check by eye: dx sums to 0, as sum_j exp(y_j) = 1; and for dy one-hot
    at the target, -dx is "probability minus one-hot": the gradient of
    cross-entropy.

    Raises
    ------
    ValueError
        if there are no scores (V = 0).

    References
    ----------
    Blanchard, Higham & Higham, "Accurately computing the log-sum-exp and softmax
    functions", IMA Journal of Numerical Analysis 41(4), 2021, 2311-2330,
    doi:10.1093/imanum/draa038.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> log_softmax(np.array([0.0, -2000.0]))[0].tolist()
    [0.0, -2000.0]
    >>> check(log_softmax, np.random.default_rng(0).normal(size=(2, 3, 5))) < 1e-12
    True
    """
    shifted = _shifted(x)
    total = np.exp(shifted).sum(-1, keepdims=True)
    y = shifted - np.log(np.where(total == 0, 1, total))  # (1)

    def back(dy):
        return dy - np.exp(y) * dy.sum(-1, keepdims=True)  # (3)

    return y, back
