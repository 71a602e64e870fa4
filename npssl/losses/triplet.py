"""Triplet loss: nearer to the positive than to the negative, by a margin."""

import numpy as np

from npssl.layers.activation import sigmoid, softplus
from npssl.losses.expected import _embeddings, _index, _positive, _reduction


def triplet(x, *, index, margin: float = 0.2, form: str = "hinge", reduction: str = "mean"):
    r"""By how much squared distances to positives exceed those to negatives, plus a margin.

    Parameters
    ----------
    x : (N, d)                  embeddings; FaceNet's are unit vectors
    index : (T, 3) int          rows of x: anchor, positive, negative, from a miner
    margin : float > 0          in squared units of x; 0 is legal for soft-plus only
    form : "hinge" or "softplus"
    reduction : "mean" (over all triplets), "active" (over those with a positive
        value: all of them for soft-plus) or "sum"

    Returns
    -------
    value : ()                  no triplet, or none that is active: 0
    back : dvalue=1.0 -> dx (N, d)

    Keeps
    -----
    x, a, p, q, slope

    Derivation
    ----------
    For a triplet (a, p, q) of anchor, positive and negative::

        gap   = |a - p|^2 - |a - q|^2 + margin                               (1)
        value = mean max(0, gap)   or   mean softplus(gap)                   (2)

    The slope of (2) is [gap > 0] or sigmoid(gap), and by (1)::

        da = 2 slope (q - p),   dp = 2 slope (p - a),   dq = 2 slope (a - q) (3)

    added up over the triplets in which a row occurs.

    A fact to check by eye: the three gradients of (3) sum to 0, and no root is taken, so
    equal rows are no exception: a collapsed batch has the value margin and no gradient,
    which is how a collapse looks.

    Raises
    ------
    ValueError
        if x is not (N, d) or not finite, index is not (T, 3) rows of x, or margin is not
        positive.

    Notes
    -----
    The paper sums; its best-known program averages over all triplets, inactive ones
    too.  pytorch-metric-learning takes distances that are not squared, margin .05 and
    the mean over the active ones.  At gap = 0 the hinge has slope 0.

    References
    ----------
    Schroff, Kalenichenko & Philbin, "FaceNet: A Unified Embedding for Face Recognition
    and Clustering", CVPR 2015, arXiv:1503.03832, eq. (2).
    Hermans, Beyer & Leibe, "In Defense of the Triplet Loss for Person
    Re-Identification", 2017, arXiv:1703.07737, section 2 (soft-plus).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> x = np.random.default_rng(0).normal(size=(4, 3))
    >>> check(triplet, x, index=np.array([[0, 1, 2], [3, 1, 0]]), form="softplus") < 1e-12
    True
    >>> triplet(np.zeros((3, 2)), index=np.array([[0, 1, 2]]))[0].item()
    0.2
    """
    _embeddings(x=x)
    index = _index(index, x, 3)
    _reduction(reduction, ("mean", "active", "sum"))
    if form not in ("hinge", "softplus"):
        raise ValueError(f'form must be "hinge" or "softplus", found {form!r}')
    if form == "hinge" or margin:
        _positive(margin=margin)
    a, p, q = index.T
    to_positive, to_negative = x[a] - x[p], x[a] - x[q]
    gap = np.square(to_positive).sum(1) - np.square(to_negative).sum(1) + float(margin)  # (1)
    if form == "hinge":
        slope = (gap.real > 0).astype(x.real.dtype)
        each = gap * slope  # (2)
    else:
        slope, each = sigmoid(gap)[0], softplus(gap)[0]  # (2)
    active = int((gap.real > 0).sum()) if form == "hinge" else len(gap)
    n = max(1, {"mean": len(gap), "active": active, "sum": 1}[reduction])
    value = each.sum() / n

    def back(dvalue=1.0):
        dx = np.zeros_like(x)
        w = slope[:, None] * (2 * float(dvalue) / n)
        np.add.at(dx, a, w * (x[q] - x[p]))  # (3)
        np.add.at(dx, p, w * (x[p] - x[a]))
        np.add.at(dx, q, w * (x[a] - x[q]))
        return dx

    return value, back
