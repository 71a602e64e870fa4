"""Who is to be told apart: triplets (anchor, positive, negative) of a batch of embeddings.

Every miner is ``miner(x, label, *, pairs=None, ...) -> (T, 3)`` int64: rows of x, in the
order of the pairs, then of the negatives' choice.  ``pairs`` are those of
`npssl.data.positives`, by default `same_label`; a *negative* of a pair is a row whose label is
neither the anchor's nor the positive's.  A pair without one gives no triplet.  Where two rows
are equally near the one with the lower number is taken, and equal rows are exactly equally
near.  Distances are squared Euclidean, and are held for some rows at a time: the memory is
O(N d), and the triplets.

all_triplets        every negative of every pair
in_batch            only rows that are somebody's positive (N-pair, InfoNCE)
random_negatives    k drawn uniformly
hardest             the k nearest
semi_hard           the nearest that is farther than the positive, within a margin (FaceNet)
batch_hard          for each anchor its farthest positive and its nearest negative
distance_weighted   drawn so that all distances come equally often

Negatives from elsewhere: `npssl.data.memory_queue` (MoCo's), and words by
``count ** 0.75`` with `npssl.data.sampling.noise_distribution` and its alias table.  False
negatives are corrected for in `npssl.losses`, `debiased_info_nce`; `false_negative_rate` counts.
"""

import numpy as np

from npssl.data.positives import _whole, same_label
from npssl.kernels import fast

BLOCK = 1 << 20  # distances at a time


def squared_distances(x, rows):
    """|x[rows[i]] - x[j]|^2, (len(rows), N); 0 and equal where the rows of x are equal.

    >>> squared_distances(np.array([[0.0], [1.0], [3.0]]), [2]).tolist()
    [[9.0, 4.0, 0.0]]
    """
    rows = np.asarray(rows, np.int64)
    out = np.empty((len(rows), len(x)), x.dtype)
    if fast(x) and out.size:
        from npssl.kernels.distance import squared

        squared(x, np.ascontiguousarray(rows), out)
        return out
    for i, row in enumerate(rows):
        out[i] = np.square(x[row] - x).sum(1)
    return out


def all_triplets(x, label, *, pairs=None):
    """Every negative of every pair: up to P N triplets.

    >>> all_triplets(np.zeros((3, 1)), [0, 0, 1]).tolist()
    [[0, 1, 2], [1, 0, 2]]
    """
    x, label, pairs = _given(x, label, pairs)
    return _gather(_with(part, np.nonzero(negative)) for part, negative in _negatives(label, pairs))


def in_batch(x, label, *, pairs=None):
    """Every negative that is the positive of some pair.

    >>> in_batch(np.zeros((4, 1)), [0, 1, 2, 3], pairs=[[0, 1], [2, 3]]).tolist()
    [[0, 1, 3], [2, 3, 1]]
    """
    x, label, pairs = _given(x, label, pairs)
    positive = np.zeros(len(x), bool)
    positive[pairs[:, 1]] = True
    return _gather(
        _with(part, np.nonzero(negative & positive)) for part, negative in _negatives(label, pairs)
    )


def random_negatives(x, label, *, rng, pairs=None, k=1):
    """k negatives of each pair, all equally likely, none twice; all where there are fewer.

    >>> rng = np.random.default_rng(0)
    >>> random_negatives(np.zeros((3, 1)), [0, 0, 1], rng=rng).tolist()
    [[0, 1, 2], [1, 0, 2]]
    """
    x, label, pairs = _given(x, label, pairs)
    _check_k(k, x)
    return _gather(
        _best(part, rng.random(negative.shape), negative, k)
        for part, negative in _negatives(label, pairs)
    )


def hardest(x, label, *, pairs=None, k=1):
    """The k negatives nearest to the anchor, nearest first; all where there are fewer.

    >>> hardest(np.array([[0.0], [1.0], [3.0], [-2.0]]), [0, 0, 1, 2], k=2).tolist()
    [[0, 1, 3], [0, 1, 2], [1, 0, 2], [1, 0, 3]]
    """
    x, label, pairs = _given(x, label, pairs)
    _check_k(k, x)
    return _gather(
        _best(part, _from_anchor(x, part), negative, k)
        for part, negative in _negatives(label, pairs)
    )


def semi_hard(x, label, *, pairs=None, margin=0.2):
    """For each pair the nearest negative that is farther than the positive, if within the margin.

    |a - p|^2 < |a - n|^2 < |a - p|^2 + margin, so each triplet is active and none is
    beyond hope.  Schroff, Kalenichenko & Philbin, "FaceNet", CVPR 2015, arXiv:1503.03832,
    section 3.2, eq. (4), with unit vectors and margin .2; which of several such negatives is
    taken they leave open.

    >>> semi_hard(np.array([[0.0], [1.0], [1.2], [1.1]]), [0, 0, 1, 2], margin=1).tolist()
    [[0, 1, 3]]
    """
    x, label, pairs = _given(x, label, pairs)
    if not 0 < margin < np.inf:
        raise ValueError(f"margin: expected a positive number, found {margin}")
    if fast(x) and len(pairs):
        return _semi_hard(x, label, pairs, margin)

    def choose(part, negative):
        D = _from_anchor(x, part)
        own = np.take_along_axis(D, part[:, 1:], 1)
        return _best(part, D, negative & (D > own) & (D < own + x.dtype.type(margin)), 1)

    return _gather(choose(part, negative) for part, negative in _negatives(label, pairs))


def _semi_hard(x, label, pairs, margin):
    """The same by `npssl.kernels.distance`: a row of distances at a time, each once."""
    from npssl.kernels import distance as kernels

    order = np.argsort(pairs[:, 0], kind="stable")
    start = np.searchsorted(pairs[order, 0], np.arange(len(x) + 1))
    found, negative = np.empty(len(pairs), np.int64), np.empty(len(pairs), np.int64)
    kernels.semi_hard(x, label, start, pairs[order, 1], margin, found)
    negative[order] = found
    return np.column_stack([pairs, negative])[negative >= 0]


def batch_hard(x, label, *, pairs=None):
    """For each anchor its farthest positive and its nearest negative.

    Hermans, Beyer & Leibe, "In Defense of the Triplet Loss for Person Re-Identification",
    2017, arXiv:1703.07737, eq. (5).

    >>> batch_hard(np.array([[0.0], [1.0], [2.0], [-3.0]]), [0, 0, 0, 1]).tolist()
    [[0, 2, 3], [1, 0, 3], [2, 0, 3]]
    """
    x, label, pairs = _given(x, label, pairs)
    D = np.square(x[pairs[:, 0]] - x[pairs[:, 1]]).sum(1)
    order = np.lexsort((pairs[:, 1], -D, pairs[:, 0]))  # farthest, then lowest, first
    first = np.unique(pairs[order, 0], return_index=True)[1]
    return hardest(x, label, pairs=pairs[order[first]])


def distance_weighted(x, label, *, rng, pairs=None, nearest=0.5, farthest=1.4):
    """One negative for each pair, drawn against the density of distances on the sphere.

    Of two random unit vectors the distance D has the density
    ``D^(d-2) (1 - D^2/4)^((d-3)/2)``, which peaks near 2^(1/2): uniform negatives are all
    equally far.  Here the weight is its inverse, with D at least ``nearest`` (else noise
    decides), over negatives at less than ``farthest``; a pair without one draws uniformly from
    all of its negatives.  Wu, Manmatha, Smola & Krahenbuhl, "Sampling Matters in Deep Embedding
    Learning", ICCV 2017, arXiv:1706.07567, section 4; the bound 1.4 is in their program.

    >>> x = np.array([[1.0, 0], [1.0, 0], [0.6, 0.8], [-1.0, 0]])
    >>> rng = np.random.default_rng(0)
    >>> distance_weighted(x, [0, 0, 1, 2], rng=rng).tolist()    # the opposite is too far
    [[0, 1, 2], [1, 0, 2]]
    """
    x, label, pairs = _given(x, label, pairs)
    if not 0 < nearest < farthest < 2:
        raise ValueError(
            f"nearest and farthest: expected 0 < nearest < farthest < 2, "
            f"found {nearest} and {farthest}"
        )
    length = np.square(x).sum(1)
    if len(x) and abs(length - 1).max() > 1e-3:
        raise ValueError(
            f"x: expected unit vectors, found lengths from {length.min() ** 0.5:.3g} "
            f"to {length.max() ** 0.5:.3g}"
        )
    d = x.shape[1]

    def choose(part, negative):
        s = _from_anchor(x, part).astype(np.float64)
        near = negative & (s < farthest**2)
        some = near.any(1, keepdims=True)
        s = np.clip(s, nearest**2, farthest**2)
        weight = -((d - 2) * np.log(s) + (d - 3) * np.log1p(-s / 4)) / 2
        noise = -np.log(rng.standard_exponential(s.shape))  # the largest sum: a draw by weight
        return _best(part, -(noise + weight * some), np.where(some, near, negative), 1)

    return _gather(choose(part, negative) for part, negative in _negatives(label, pairs))


def false_negative_rate(index, label):
    """The share of triplets whose negative has the anchor's true label; without any: 0.

    >>> false_negative_rate([[0, 1, 2], [0, 1, 3]], [5, 5, 5, 6])
    0.5
    """
    index, label = np.asarray(index).reshape(-1, 3), _whole("label", label)
    return float((label[index[:, 0]] == label[index[:, 2]]).mean()) if len(index) else 0.0


def _given(x, label, pairs):
    x = np.asarray(x)
    if x.ndim != 2 or not np.isfinite(x).all():
        raise ValueError(f"x: expected finite embeddings (N, d), found shape {x.shape} or NaN")
    if x.dtype.kind != "f":
        raise ValueError(f"x: expected floating-point numbers, found {x.dtype}")
    label = _whole("label", label)
    if len(label) != len(x):
        raise ValueError(f"label: expected {len(x)}, one for each row of x, found {len(label)}")
    if pairs is None:
        return x, label, same_label(label)
    pairs = np.asarray(pairs)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or (pairs.size and pairs.dtype.kind not in "iu"):
        raise ValueError(f"pairs: expected whole numbers (P, 2), found {pairs.dtype} {pairs.shape}")
    if pairs.size and not 0 <= pairs.min() <= pairs.max() < len(x):
        raise ValueError(
            f"pairs: expected rows of x, 0 to {len(x) - 1}, found {pairs.min()} to {pairs.max()}"
        )
    return x, label, pairs.astype(np.int64)


def _check_k(k, x):
    if not 1 <= k <= len(x):
        raise ValueError(f"k: expected 1 to {len(x)}, the rows of x, found {k}")


def _negatives(label, pairs):
    """Some pairs at a time, and which rows are their negatives."""
    step = max(1, BLOCK // max(1, len(label)))
    for first in range(0, len(pairs), step):
        part = pairs[first : first + step]
        own = label[part]
        yield part, (label != own[:, :1]) & (label != own[:, 1:])


def _from_anchor(x, part):
    """Distances of all rows from the anchor of each pair."""
    anchors, which = np.unique(part[:, 0], return_inverse=True)
    return squared_distances(x, anchors)[which]


def _best(part, cost, allowed, k):
    """The k allowed rows of least cost for each pair; of equals the lower number."""
    cost = np.where(allowed, cost, np.inf)
    if k == 1:
        chosen = cost.argmin(1)[:, None] if cost.size else np.zeros((len(part), 1), np.int64)
    else:
        chosen = np.argsort(cost, 1, kind="stable")[:, :k]
    pair, place = np.nonzero(np.take_along_axis(allowed, chosen, 1))
    return _with(part, (pair, chosen[pair, place]))


def _with(part, chosen):
    pair, negative = chosen
    return np.column_stack([part[pair], negative])


def _gather(parts):
    return np.concatenate([np.empty((0, 3), np.int64), *parts])
