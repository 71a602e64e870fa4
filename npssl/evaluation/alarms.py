"""Is a run of contrastive learning going wrong?  Signs in the embeddings and in the loss.

`look` takes the measures; `signs` says which of them are bad, and why that mostly happens.
Both are cheap beside a step: a product of the batch with itself, and eigenvalues of its
covariance.
"""

import math
from typing import NamedTuple

import numpy as np

SPREAD, LINE, TOLERANCE, VIOLATED, FALSE, EQUAL, DEAD = 0.15, 0.15, 0.02, 0.01, 0.05, 0.05, 0.25
NEAR = 1e-5  # rows that are nearer are equal: unit vectors, or parts of the scale


class Sign(NamedTuple):
    """What is to be told, the figure that says so, the likely cause; an alarm if bad, or a note."""

    name: str
    figure: float
    cause: str
    bad: bool = True


def look(x, scale: float | None = None) -> dict:
    """Measures of embeddings.

    Parameters
    ----------
    x : (N, d)                  of different instances, N at least 2
    scale : float, optional     what counts as far, where distances matter and not directions,
        such as a margin; by default rows are made unit vectors

    Returns
    -------
    dict
        ``spread``: root mean square distance of the unit vectors from their mean, from 0 (one
        point) to 1; ``rank``: the effective rank of their covariance; ``most``: what it could
        be, min(N - 1, d); ``equal``: the share of rows that are another row again (nearer
        than 1e-5), rows of no length included; ``dead``: the share of columns that never
        change.  With a scale the same of ``x / scale``.

    References
    ----------
    Roy & Vetterli, "The Effective Rank: A Measure of Effective Dimensionality", EUSIPCO 2007:
    the exponential of the entropy of the shares of the singular values.

    Examples
    --------
    >>> {name: round(float(v), 3) for name, v in look(np.eye(4)).items()}
    {'spread': 0.866, 'rank': 3.0, 'most': 3.0, 'equal': 0.0, 'dead': 0.0}
    """
    x = np.asarray(x, np.float64)
    if x.ndim != 2 or len(x) < 2 or not np.isfinite(x).all():
        raise ValueError(f"x: expected finite embeddings (2 or more, d), found {x.shape} or NaN")
    length = np.linalg.norm(x, axis=1, keepdims=True)
    u = x / (np.where(length > 0, length, 1) if scale is None else scale)
    centred = u - u.mean(0)
    size = np.maximum(np.linalg.eigvalsh(centred.T @ centred), 0)
    share = size / size.sum() if size.sum() > 1e-18 else np.ones(1)
    share = share[share > 0]
    squared = np.square(centred).sum(1) + np.square(centred).sum(1)[:, None]
    squared -= 2 * centred @ centred.T
    np.fill_diagonal(squared, np.inf)
    equal = squared.min(1) < NEAR**2
    if scale is None:
        equal |= length[:, 0] == 0
    return {
        "spread": math.sqrt(size.sum() / len(x)),
        "rank": float(np.exp(-(share * np.log(share)).sum())),
        "most": min(len(x) - 1, x.shape[1]),
        "equal": float(equal.mean()),
        "dead": float((np.ptp(x, axis=0) <= 1e-6 * max(1e-30, float(np.abs(x).max()))).mean()),
    }


def false_negatives(y, label) -> float:
    """Of the pairs that a loss sees as different, by y, the share of equal true labels.

    >>> round(false_negatives([0, 0, 1, 2], [5, 5, 6, 6]), 2)  # the last two, of five pairs
    0.2
    """
    y, label = np.asarray(y), np.asarray(label)
    different = y[:, None] != y
    alike = different & (label[:, None] == label)
    return float(alike.sum() / max(1, different.sum()))


def equal_pairs(u, v) -> float:
    """The share of rows of u that are the same vector as their partner in v."""
    u, v = np.asarray(u, np.float64), np.asarray(v, np.float64)
    return float((np.square(u - v).sum(1) < NEAR**2).mean())


def signs(
    figures: dict,
    *,
    loss: float | None = None,
    margin: float | None = None,
    candidates: float | None = None,
    classes: int | None = None,
    active: float | None = None,
    violated: float | None = None,
    false_negatives: float | None = None,
    equal_views: float | None = None,
) -> list[Sign]:
    """What is bad, and what is worth a note.

    Parameters
    ----------
    figures : dict                  of `look`
    loss : float, optional          of late steps, or of a batch
    margin : float, optional        the value of a loss with a margin where all rows are one
    candidates : float, optional    of InfoNCE, the right one included, for each right one
    classes : int, optional         that are to be told apart; two of them make a line
    active : float, optional        of the triplets that were mined, the share that is active
    violated : float, optional      of all triplets, the share that violates the margin
    false_negatives : float, optional   the share of negatives of the anchor's class
    equal_views : float, optional   the share of instances whose two views have one embedding

    Examples
    --------
    >>> one = look(np.ones((4, 3)))
    >>> [s.name for s in signs(one, loss=0.2, margin=0.2)]
    ['collapse', 'loss at the margin', 'equal embeddings', 'dead columns']
    >>> signs(look(np.eye(4)), loss=0.1, margin=0.2, active=0.3, violated=0.1)
    []
    """
    found = []

    def tell(seen, name, figure, cause, bad=True):
        if seen:
            found.append(Sign(name, float(figure), cause, bad))

    spread, rank = figures["spread"], figures["rank"]
    most = min(figures["most"], (classes or math.inf) - 1)  # two classes make a line
    tell(
        spread < SPREAD,
        "collapse",
        spread,
        "all embeddings are nearly one point: the learning rate is too high, the negatives are "
        "too hard from the start, or nothing pushes apart",
    )
    tell(
        spread >= SPREAD and most > 1 and rank < min(2, 1 + LINE * most),
        "collapse to a line",
        rank,
        "the embeddings vary along one direction only: nothing asks for different dimensions, "
        "or the learning rate is too high",
    )
    if margin is not None and loss is not None:
        tell(
            loss >= (1 - TOLERANCE) * margin,
            "loss at the margin",
            loss,
            "positives and negatives are equally far: collapse, or nothing learnt yet",
        )
    if candidates is not None and loss is not None:
        tell(
            loss >= (1 - TOLERANCE) * math.log(candidates),
            "loss at log N",
            loss,
            "no better than a guess among the candidates: collapse, a temperature that is too "
            "high, views that share nothing, or nothing learnt yet",
        )
    if active == 0:
        learnt = violated is not None and violated <= VIOLATED
        tell(
            not learnt,
            "no active triplet",
            0.0 if violated is None else violated,
            "negatives are within the margin, but the miner takes none that pulls: learning has "
            "stopped before its end; collapse, or a miner that leaves out the hard ones",
        )
        tell(
            learnt,
            "nothing left to mine",
            violated or 0.0,
            "every negative is beyond the margin: all is learnt that this miner and this margin "
            "ask for; stop here, or take harder negatives or a wider margin",
            bad=False,
        )
    tell(
        false_negatives is not None and false_negatives > FALSE,
        "false negatives",
        false_negatives or 0.0,
        "negatives are of the anchor's class and are pushed away all the same: draw them by "
        "label, or use a debiased loss",
    )
    tell(
        equal_views is not None and equal_views > 0.5,
        "equal views",
        equal_views or 0.0,
        "the two views of an instance have one embedding: no augmentation, or the same for "
        "both, so there is nothing to become invariant to",
    )
    tell(
        figures["equal"] > EQUAL,
        "equal embeddings",
        figures["equal"],
        "different instances get the same embedding: dead units, saturation, or the same "
        "instance more than once",
    )
    tell(
        figures["dead"] >= DEAD,
        "dead columns",
        figures["dead"],
        "dimensions that never change: units that are never active, or a weight of 0",
    )
    return found
