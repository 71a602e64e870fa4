"""N-pair loss: one pair of each class, all other pairs' positives as negatives."""

import math

import numpy as np

from npssl.kernels import fast
from npssl.layers.log_sum_exp import log_sum_exp
from npssl.losses.expected import _alike, _reduction
from npssl.losses.info_nce import _tiled as _info_nce


def n_pair(anchor, positive, *, penalty: float = 5e-4, reduction: str = "mean"):
    r"""Surprise at one's positive among those of N classes, and a rein on lengths.

    Parameters
    ----------
    anchor, positive : (N, d)   row i of both is of class i: one pair of each class
    penalty : float >= 0        weight of the squared lengths
    reduction : "mean" (per anchor) or "sum"

    Returns
    -------
    value : ()          nats, and squared units times penalty; no pairs: 0
    back : dvalue=1.0 -> danchor (N, d), dpositive (N, d)

    Keeps
    -----
    anchor, positive, own, back_total

    Derivation
    ----------
    Dot products, not cosines::

        s_ij  = <anchor_i, positive_j>                                       (1)
        value = mean_i log(1 + sum_{j != i} exp(s_ij - s_ii))
                + penalty mean_i (|anchor_i|^2 + |positive_i|^2)
              = mean_i ( log sum_j exp(s_ij) - s_ii ) + penalty ...          (2)
        ds_ij = (p_ij - [i = j]) / N                                         (3)
        danchor   = ds positive + 2 penalty anchor / N                       (4)
        dpositive = ds^T anchor + 2 penalty positive / N                     (5)

    A fact to check by eye: without the penalty it is `npssl.losses.info_nce.info_nce` at
    temperature 1, and falls to 0 as vectors grow; that is what the penalty is for.

    Raises
    ------
    ValueError
        if anchor and positive are not (N, d) of one shape or not finite, or penalty is
        negative.

    Notes
    -----
    The default is a weight of .002 with a factor 1/4, as in the widespread programs
    (TensorFlow's contrib, Paddle); pytorch-metric-learning has none, and takes
    unit vectors by default.  The
    paper's many-negatives form is meant, not its one-against-one form.

    References
    ----------
    Sohn, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective",
    NIPS 2016, section 3 (the loss, and its remark on the L2 norm of embeddings).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> check(n_pair, rng.normal(size=(3, 4)), rng.normal(size=(3, 4))) < 1e-12
    True
    """
    _alike(anchor=anchor, positive=positive)
    _reduction(reduction)
    if not 0 <= penalty < math.inf:
        raise ValueError(f"penalty must be a number of 0 or more, found {penalty}")
    N = len(anchor)
    n = max(1, N) if reduction == "mean" else 1
    rein = float(penalty)
    own = np.arange(N)
    if N >= 256 and fast(anchor, positive):
        return _tiled(anchor, positive, rein, n)
    s = anchor @ positive.T  # (1)
    total, back_total = log_sum_exp(s)
    lengths = np.square(anchor).sum() + np.square(positive).sum()
    value = ((total - s[own, own]).sum() + rein * lengths) / n  # (2)

    def back(dvalue=1.0):
        w = float(dvalue) / n
        ds = back_total(np.full(N, w, anchor.dtype))
        ds[own, own] -= w  # (3)
        danchor = ds @ positive + (2 * rein * w) * anchor  # (4)
        return danchor, ds.T @ anchor + (2 * rein * w) * positive  # (5)

    return value, back


def _tiled(anchor, positive, rein, n):
    """The same in O(N d) memory: InfoNCE at temperature 1, and the rein."""
    value, back_value = _info_nce(anchor, positive, 1.0, False, n)
    lengths = np.square(anchor).sum() + np.square(positive).sum()

    def back(dvalue=1.0):
        danchor, dpositive = back_value(dvalue)
        pace = 2 * rein * float(dvalue) / n
        return danchor + pace * anchor, dpositive + pace * positive

    return np.float32(value + rein * lengths / n), back
