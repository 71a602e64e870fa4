"""Discrete channels as tables p(x, c), whose mutual information is a finite sum."""

import numpy as np


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


def _probability(name, p):
    if not 0 <= p <= 1:
        raise ValueError(f"{name} must be a probability, found {p}")
