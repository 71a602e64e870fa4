"""Lifted structure: each positive pair against all negatives of both."""

import numpy as np

from npssl.kernels import fast
from npssl.layers.distance import distance
from npssl.layers.log_sum_exp import log_sum_exp
from npssl.losses.expected import _by_class, _classes, _embeddings, _positive, _reduction


def lifted(x, *, label, margin: float = 1.0, reduction: str = "mean"):
    r"""Every positive pair should be nearer than the negatives of both by a margin.

    Parameters
    ----------
    x : (N, d)
    label : (N,) int        rows with equal labels are positive pairs
    margin : float > 0      in units of x
    reduction : "mean" (half squared units per positive pair) or "sum"

    Returns
    -------
    value : ()              no positive pair, or no negative: 0
    back : dvalue=1.0 -> dx (N, d)

    Keeps
    -----
    x, i, j, excess, back_pairs, back_pushes, back_distance

    Derivation
    ----------
    With D_ij = |x_i - x_j|, the unordered positive pairs P (i < j), and the rows of
    another class than i as its negatives::

        r_i   = log sum_{k negative of i} exp(margin - D_ik)                 (1)
        J_ij  = log(exp(r_i) + exp(r_j)) + D_ij                              (2)
        value = sum_P max(0, J_ij)^2 / (2 |P|)                               (3)

    (1) and (2) are smooth upper bounds of the largest margin - D.  So::

        dJ_ij = max(0, J_ij) / |P|,   dD_ij += dJ_ij                         (4)
        dr    : dJ, shared between r_i and r_j by their softmax              (5)
        dD_ik -= dr_i * softmax_k(margin - D_ik)                             (6)

    and dx by `npssl.layers.distance.distance`, for both of its arguments.

    A fact to check by eye: negatives of a tight pair are pushed although each alone is
    beyond the margin: J > 0 is a matter of their sum.

    Raises
    ------
    ValueError
        if x is not (N, d) or not finite, label is not N whole numbers, or margin is not
        positive.

    Notes
    -----
    Embeddings are not put on the unit sphere in the paper.  A pair at distance 0
    pulls with no gradient (see `npssl.layers.distance.distance`); the authors' layer
    divides by that 0, takes roots of rounding errors below 0, and divides by |P| = 0.
    pytorch-metric-learning's form is the same (both orders of a pair have one mean), except
    that it normalises by default.

    References
    ----------
    Oh Song, Xiang, Jegelka & Savarese, "Deep Metric Learning via Lifted Structured
    Feature Embedding", CVPR 2016, arXiv:1511.06452, eq. (4).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> x = np.random.default_rng(0).normal(size=(6, 4))
    >>> check(lifted, x, label=np.array([0, 1, 0, 2, 1, 0])) < 1e-12
    True
    """
    _embeddings(x=x)
    label = _classes(label, x)
    _positive(margin=margin)
    _reduction(reduction)
    if len(x) >= 256 and fast(x):
        return _tiled(x, label, float(margin), reduction)
    same = label[:, None] == label
    i, j = np.nonzero(np.triu(same, 1))
    n = max(1, len(i)) if reduction == "mean" else 1
    D, back_distance = distance(x, x)
    r, back_pushes = log_sum_exp(float(margin) - D, mask=~same)  # (1)
    push, back_pairs = log_sum_exp(np.stack([r[i], r[j]], -1))
    J = push + D[i, j]  # (2)
    excess = np.where(J.real > 0, J, 0)
    value = np.square(excess).sum() / (2 * n)  # (3)

    def back(dvalue=1.0):
        dJ = excess * (float(dvalue) / n)  # (4)
        dr = np.zeros(len(x), x.dtype)
        np.add.at(dr, np.stack([i, j], -1), back_pairs(dJ))  # (5)
        dD = -back_pushes(dr)  # (6)
        dD[i, j] += dJ
        one, two = back_distance(dD)
        return one + two

    return value, back


def _tiled(x, label, margin, reduction):
    """The same in O(N d) memory; each pair is met by both of its ends."""
    from npssl.kernels.pairwise import DIFFERENT, ROOT, Pairs

    order, kind, size = _by_class(label)
    if len(size) < 2:
        return np.float32(0), lambda dvalue=1.0: np.zeros_like(x)
    z = (x - x.mean(0))[order]  # short vectors keep the digits of their distances
    n = max(1, int((size * (size - 1) // 2).sum())) if reduction == "mean" else 1
    pairs = Pairs(z, kind=ROOT, label=kind)
    near = pairs.sums(DIFFERENT)[0]
    r = near + np.float32(margin)
    squares, share = pairs.excess(r)
    value = np.float32(squares.sum() / (4 * n))

    def back(dvalue=1.0):
        w = float(dvalue) / n
        dz = pairs.pull(near, (share * w).astype(np.float32), which=DIFFERENT)
        dz += pairs.excess_pull(r, w)
        dx = np.empty_like(x)
        dx[order] = dz
        return dx

    return value, back
