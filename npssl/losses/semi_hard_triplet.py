"""FaceNet's loss: triplets whose negative is farther than the positive, but within the margin."""

import numpy as np

from npssl.data.mining import semi_hard
from npssl.kernels import fast
from npssl.losses.expected import _by_class, _classes, _embeddings, _positive, _reduction
from npssl.losses.triplet import triplet


def semi_hard_triplet(x, *, label, margin: float = 0.2, reduction: str = "mean"):
    r"""The triplet loss of each positive pair with its semi-hard negative.

    Parameters
    ----------
    x : (N, d)                  embeddings; FaceNet's are unit vectors
    label : (N,) int            rows with equal labels are positives of each other
    margin : float > 0          in squared units of x
    reduction : "mean" (over the pairs that have a semi-hard negative) or "sum"

    Returns
    -------
    value : ()                  between 0 and margin (mean); no semi-hard negative: 0
    back : dvalue=1.0 -> dx (N, d)

    Keeps
    -----
    back_triplets

    Derivation
    ----------
    Let T be the ordered pairs a != p of one label that have a row q of another label with::

        |a - p|^2 < |a - q|^2 < |a - p|^2 + margin                           (1)

    and for each let q be the nearest such row, of equally near ones that of the lower number.
    Then the hinge is open by (1), and::

        value = mean_T ( |a - p|^2 - |a - q|^2 + margin )                    (2)
        da += 2 (q - p) / |T|,  dp += 2 (p - a) / |T|,  dq += 2 (a - q) / |T|   (3)

    Where another row becomes the nearest (2) is continuous with a kink; where a row
    enters or leaves by (1) it jumps, as a mean over a set that changes; (3) is the gradient
    with the choice held fixed, as every program that mines has it.

    A fact to check by eye: the value never exceeds the margin, so a falling value says
    little; count the triplets.

    Raises
    ------
    ValueError
        if x is not (N, d) or not finite, label is not N whole numbers, or margin is not
        positive.

    Notes
    -----
    The page is `npssl.data.mining.semi_hard` and `npssl.losses.triplet.triplet`; for large
    batches of float32 the same is done in tiles, and the gradient along with the value,
    without a list of triplets.  A pair without a semi-hard negative is left out, as in the
    paper; TensorFlow's form takes the farthest negative instead.  Two negatives that are
    equally near to a are told apart by number only: programs that take another of the two
    have another gradient, which is as right.

    References
    ----------
    Schroff, Kalenichenko & Philbin, "FaceNet: A Unified Embedding for Face Recognition
    and Clustering", CVPR 2015, arXiv:1503.03832, eq. (4) and section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> x = np.random.default_rng(0).normal(size=(6, 2))
    >>> check(semi_hard_triplet, x, label=np.array([0, 1, 0, 1, 0, 1]), margin=1.0) < 1e-12
    True
    >>> x = np.array([[0.0], [1.0], [1.05]])
    >>> round(float(semi_hard_triplet(x, label=np.array([0, 0, 1]))[0]), 4)
    0.0975
    """
    _embeddings(x=x)
    label = _classes(label, x)
    _positive(margin=margin)
    _reduction(reduction)
    if len(x) >= 256 and fast(x):
        return _tiled(x, label, float(margin), reduction)
    index = semi_hard(x.real, label, margin=margin)  # (1)
    value, back_triplets = triplet(x, index=index, margin=margin, reduction=reduction)  # (2)

    def back(dvalue=1.0):
        return back_triplets(dvalue)  # (3)

    return value, back


def _tiled(x, label, margin, reduction):
    """The same in O(N d) memory."""
    from npssl.kernels.semi_hard import triplets

    order, kind, _ = _by_class(label)
    total, count, slopes = triplets(x, order, kind, margin)
    n = max(1, count) if reduction == "mean" else 1

    def back(dvalue=1.0):
        return slopes * np.float32(2 * float(dvalue) / n)

    return np.float32(total / n), back
