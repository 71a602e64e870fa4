"""Discrete channels as tables p(x, c), whose mutual information is a finite sum."""

import math

import numpy as np

KINDS = "symmetric", "erasure"


def symmetric_channel(flip):
    """A fair bit that arrives flipped with this probability: log 2 - H(flip) nats.

    >>> symmetric_channel(0.25)
    array([[0.375, 0.125],
           [0.125, 0.375]])
    """
    _probability("flip", flip)
    return np.array([[1 - flip, flip], [flip, 1 - flip]]) / 2


def erasure_channel(loss):
    """A fair bit that is lost with this probability (third column): (1 - loss) log 2 nats.

    >>> erasure_channel(0.5)
    array([[0.25, 0.  , 0.25],
           [0.  , 0.25, 0.25]])
    """
    _probability("loss", loss)
    return np.array([[1 - loss, 0, loss], [0, 1 - loss, loss]]) / 2


def information(joint):
    """Exact mutual information of a table p(x, c), in nats.

    >>> round(float(information(erasure_channel(0.25)) / np.log(2)), 12)
    0.75
    """
    product = joint.sum(1)[:, None] * joint.sum(0)
    some = joint > 0
    return (joint[some] * np.log(joint[some] / product[some])).sum()


def draw(joint, pairs, rng):
    """Pairs of ids (x, c) from the table, each (pairs,).

    >>> draw(symmetric_channel(0.0), 4, np.random.default_rng(0))
    (array([1, 0, 0, 0]), array([1, 0, 0, 0]))
    """
    return np.unravel_index(rng.choice(joint.size, pairs, p=joint.ravel()), joint.shape)


def best_critic(joint, x, c, least=-50.0):
    """Scores (N, M) of the optimal critic; what cannot happen has the score ``least``.

    >>> best_critic(symmetric_channel(0.0), np.array([0]), np.array([0, 1])).round(3)
    array([[  0.693, -50.   ]])
    """
    product = joint.sum(1)[:, None] * joint.sum(0)
    ratio = np.divide(joint, product, out=np.zeros_like(joint), where=joint > 0)
    table = np.log(ratio, out=np.full_like(joint, least), where=ratio > 0)
    return table[x[:, None], c]


def channel(kind, nats, width):
    """The table of one bit, when ``width`` bits that are sent apart share so many nats.

    >>> channel("erasure", math.log(2), 2)
    array([[0.25, 0.  , 0.25],
           [0.  , 0.25, 0.25]])
    >>> round(float(20 * information(channel("symmetric", 6.0, 20))), 12)
    6.0
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, found {kind!r}")
    if not 0 <= nats <= width * math.log(2):
        most = f"{width} log 2 = {width * math.log(2):.2f}"
        raise ValueError(f"nats must be from 0 to {most}, what the bits hold, found {nats}")
    if kind == "erasure":
        return erasure_channel(1 - nats / (width * math.log(2)))
    low, high = 0.0, 0.5
    for _ in range(100):  # the information falls from log 2 to 0
        flip = (low + high) / 2
        if width * information(symmetric_channel(flip)) > nats:
            low = flip
        else:
            high = flip
    return symmetric_channel(high)


def draw_bits(joint, pairs, width, rng):
    """Bits sent and received, both (pairs, width), as -1 and 1; what is lost is 0.

    >>> x, c = draw_bits(erasure_channel(0.0), 5, 3, np.random.default_rng(0))
    >>> bool((x == c).all())
    True
    """
    x, c = draw(joint, pairs * width, rng)
    signs = np.array([-1.0, 1.0, 0.0])
    return signs[x].reshape(pairs, width), signs[c].reshape(pairs, width)


def best_critic_of_bits(joint, x, c, least=-50.0):
    """Scores (N, M) of the optimal critic for `draw_bits`: those of the bits, added up."""
    ids = lambda a: np.where(a == 0, 2, a > 0).astype(int)
    parts = (best_critic(joint, i, j, least) for i, j in zip(ids(x).T, ids(c).T))
    return sum(parts)


def _probability(name, p):
    if not 0 <= p <= 1:
        raise ValueError(f"{name} must be a probability, found {p}")
