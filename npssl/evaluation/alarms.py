"""Is a run of contrastive learning going wrong?  Signs in the embeddings and in the loss.

`look` takes the measures; `alarms` says which of them are bad, and why that mostly happens.
Both are cheap beside a step: a product of the batch with itself, and singular values of its
covariance.
"""

import math
from typing import NamedTuple

import numpy as np

SPREAD, RANK, TOLERANCE, FALSE, EQUAL, DEAD = 0.05, 1.5, 0.02, 0.05, 0.05, 0.5


class Alarm(NamedTuple):
    """What is bad, the figure that says so, and the likely cause in words."""

    name: str
    figure: float
    cause: str


def look(x) -> dict:
    """Measures of embeddings.

    Parameters
    ----------
    x : (N, d)      of different instances, N at least 2

    Returns
    -------
    dict
        ``spread``: root mean square distance of the unit vectors from their mean, from 0 (one
        point) to 1; ``rank``: the effective rank of the unit vectors about their mean;
        ``equal``: the share of rows that are another row again (unit vectors nearer than
        1e-4), rows of no length included; ``dead``: the share of columns that never change.

    References
    ----------
    Roy & Vetterli, "The Effective Rank: A Measure of Effective Dimensionality", EUSIPCO 2007.

    Examples
    --------
    >>> {name: round(float(v), 3) for name, v in look(np.eye(4)).items()}
    {'spread': 0.866, 'rank': 3.0, 'equal': 0.0, 'dead': 0.0}
    """
    x = np.asarray(x, np.float64)
    if x.ndim != 2 or len(x) < 2 or not np.isfinite(x).all():
        raise ValueError(f"x: expected finite embeddings (2 or more, d), found {x.shape} or NaN")
    length = np.linalg.norm(x, axis=1, keepdims=True)
    u = x / np.where(length > 0, length, 1)
    centred = u - u.mean(0)
    spread = math.sqrt(np.square(centred).sum(1).mean())
    size = np.sqrt(np.maximum(np.linalg.eigvalsh(centred.T @ centred), 0))
    share = size / size.sum() if size.sum() > 1e-9 else np.ones(1)
    share = share[share > 0]
    squared = 2 - 2 * u @ u.T
    np.fill_diagonal(squared, np.inf)
    equal = (squared.min(1) < 1e-8) | (length[:, 0] == 0)
    return {
        "spread": spread,
        "rank": float(np.exp(-(share * np.log(share)).sum())),
        "equal": float(equal.mean()),
        "dead": float((np.ptp(x, axis=0) <= 1e-6 * max(1e-30, float(np.abs(x).max()))).mean()),
    }


def alarms(
    figures: dict,
    *,
    loss: float | None = None,
    margin: float | None = None,
    candidates: int | None = None,
    active: float | None = None,
    false_negatives: float | None = None,
) -> list[Alarm]:
    """What is bad.

    Parameters
    ----------
    figures : dict                  of `look`
    loss : float, optional          the mean of late steps
    margin : float, optional        the value of a triplet or pair loss where all rows are one
    candidates : int, optional      of InfoNCE, the right one included
    active : float, optional        the share of triplets that are active
    false_negatives : float, optional   the share of negatives of the anchor's class

    Examples
    --------
    >>> one = look(np.ones((4, 3)))
    >>> [a.name for a in alarms(one, loss=0.2, margin=0.2)]
    ['collapse', 'loss at the margin', 'equal embeddings', 'dead columns']
    >>> alarms(look(np.eye(4)), loss=0.1, margin=0.2, active=0.3)
    []
    """
    found = []

    def tell(bad, name, figure, cause):
        if bad:
            found.append(Alarm(name, float(figure), cause))

    spread, rank = figures["spread"], figures["rank"]
    tell(
        spread < SPREAD,
        "collapse",
        spread,
        "all embeddings are nearly one point: the learning rate is too high, the negatives are "
        "too hard from the start, or nothing pushes apart",
    )
    tell(
        spread >= SPREAD and rank < RANK,
        "collapse to a line",
        rank,
        "the embeddings vary along one direction only: nothing asks for different dimensions, "
        "or the learning rate is too high",
    )
    if margin is not None and loss is not None:
        tell(
            abs(loss - margin) <= TOLERANCE * margin,
            "loss at the margin",
            loss,
            "positives and negatives are equally far: collapse, or nothing learnt yet",
        )
    if candidates is not None and loss is not None:
        chance = math.log(candidates)
        tell(
            loss >= (1 - TOLERANCE) * chance,
            "loss at log N",
            loss,
            "no better than a guess among the candidates: collapse, a temperature that is too "
            "high, views that share nothing, or nothing learnt yet",
        )
    tell(
        active == 0,
        "no active triplet",
        0.0,
        "every negative is beyond the margin: learning has stopped; mine harder negatives, "
        "or the run is done",
    )
    tell(
        false_negatives is not None and false_negatives > FALSE,
        "false negatives",
        false_negatives or 0.0,
        "negatives are of the anchor's class and are pushed away all the same: draw them by "
        "label, or use a debiased loss",
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
