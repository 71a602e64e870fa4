"""Alarms of contrastive learning: in the metrics while a run trains, and of its end.

Any task can be watched that says what there is to see, ``observe(p, x, y, rng=None)``: a dict
with the embeddings ``z`` of different instances, perhaps their ``scale`` and the two ``views``
of each, and what else `npssl.evaluation.alarms.signs` takes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from npssl.evaluation.alarms import equal_pairs, false_negatives, look, signs
from npssl.params import Params

_TIMES, _LOOKS = 20, 61  # looks a run; the end of the seed of their draws


def told(task, params: Params, t, *, seed: int = 0, k: int = 0, label=None) -> dict:
    """The ``alarms`` and the ``notes`` of one batch, each a dict of name, figure and cause.

    ``label``: the true class of each row that ``task.split`` makes, where it is known.
    """
    rng = np.random.default_rng([seed, k, _LOOKS])
    x, y = task.split(t, rng)
    seen = task.observe(params.tree, x, y, rng=rng)
    if "views" in seen:
        seen["equal_views"] = equal_pairs(*seen.pop("views"))
    if label is not None:
        seen["false_negatives"] = false_negatives(y, label)
    found: dict[str, list] = {"alarms": [], "notes": []}
    for sign in signs(look(seen.pop("z"), seen.pop("scale", None)), **seen):
        row = sign._asdict()
        found["alarms" if row.pop("bad") else "notes"].append(row)
    return found


def watching(
    task, batches: Callable, params: Params, *, steps: int, seed: int, labels=None
) -> Callable[[int], dict]:
    """What `npssl.train.gradient_step` is to add to its metrics: `told`, twenty times a run.

    ``labels(k)``: the true classes of batch k.
    """
    every = max(1, steps // _TIMES)

    def watch(k):
        if (k + 1) % every:
            return {}
        label = labels(k) if labels else None
        return told(task, params, batches(k), seed=seed, k=k, label=label)

    return watch
