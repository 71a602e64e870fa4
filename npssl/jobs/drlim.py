"""DrLIM on shifted digits: a map of two dimensions, and how well it keeps the shifts in order."""

from __future__ import annotations

import numpy as np

from npssl.data.idx import read_idx
from npssl.data.sets import path as find_set
from npssl.errors import require
from npssl.evaluation.correlation import spearman
from npssl.jobs import results
from npssl.jobs.pretraining import fit, positive
from npssl.jobs.watching import told, watching
from npssl.params import Params
from npssl.tasks.drlim import Drlim, rolled
from npssl.train import recorded

_BATCHES, _FIRST = 41, 42  # ends of seeds, which keep the streams of draws apart


def train_drlim(
    images=None,
    labels=None,
    *,
    digit: int = 4,
    hidden: int = 128,
    near: int = 2,
    margin: float = 1.0,
    batch: int = 128,
    steps: int = 1500,
    lr: float = 2e-3,
    probe: int = 40,
    seed: int = 0,
    run=None,
    resume: bool = False,
    save_seconds: float = 60.0,
    progress: bool = True,
) -> dict:
    """Train on pictures of one digit, then map others, each at every shift.

    Parameters
    ----------
    images, labels : IDX files, optional    default: the training part of MNIST
    digit : int
    hidden, near, margin        see `npssl.tasks.drlim.Drlim`
    batch : int                 pairs a step
    steps, lr                   of AdamW, with a tenth of warm-up and a straight line to 0
    probe : int                 pictures kept from training, for the score
    seed : int
    run, resume, save_seconds, progress     as in `npssl.jobs.gpt.train_gpt`

    Returns
    -------
    dict
        ``correlation``: Spearman's, of the difference of two shifts (the shorter way round)
        with the distance on the map, over pairs of different pictures; ``pixels``: the same
        with distances of the pixels; ``map``, the mean place of each shift; ``shifts``; ``alarms``
        and ``notes``.
    """
    positive(batch=batch, steps=steps, probe=probe)
    x = read_idx(images or find_set("mnist/train-images-idx3-ubyte"))
    y = read_idx(labels or find_set("mnist/train-labels-idx1-ubyte"))
    if x.ndim != 3 or y.shape != x.shape[:1]:
        raise ValueError(f"labels: expected one for each of {x.shape}, found {y.shape}")
    t = x[y == digit].astype(np.float32) / 255
    if len(t) < probe + 2:
        raise ValueError(f"probe: expected at most {len(t) - 2} of digit {digit}, found {probe}")
    kept, t = t[:probe], t[probe:]
    task = Drlim(t.shape[1], t.shape[2], hidden=hidden, near=near, margin=margin)
    config = {
        "job": "drlim", "digit": digit, "hidden": hidden, "near": near, "margin": margin,
        "batch": batch, "steps": steps, "lr": lr, "probe": probe, "seed": seed,
    }  # fmt: skip

    def batches(k):
        rng = np.random.default_rng([seed, k, _BATCHES])
        return t[rng.integers(0, len(t), batch)]

    params = Params(task.spec(), np.random.default_rng([seed, _FIRST]))
    with recorded(run, config, resume=resume, save_seconds=save_seconds) as log:
        fit(
            task, batches, params, steps=steps, lr=lr, warmup=None, decay=0.0, clip=1.0,
            seed=seed, tokens=len, run=log,
            progress=progress, watch=watching(task, batches, params, steps=steps, seed=seed),
        )  # fmt: skip
        scores = judge(task, params, kept)
        scores |= told(task, params, batches(steps), seed=seed, k=steps)
        results.write(run, params, scores)
    return scores


def judge(task: Drlim, params: Params, pictures) -> dict:
    """The score of pictures that training has not seen, each at every shift."""
    n, w = len(pictures), task.width
    shifts = np.tile(np.arange(w), n)
    which = np.repeat(np.arange(n), w)
    x = rolled(pictures[which], shifts).reshape(n * w, -1)
    z, _ = task.embed(params.tree, x)
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, len(x), (2, 5000))
    a, b = a[which[a] != which[b]], b[which[a] != which[b]]
    turn = np.abs(shifts[a] - shifts[b])
    turn = np.minimum(turn, w - turn)
    return {
        "correlation": spearman(turn, np.linalg.norm(z[a] - z[b], axis=1)),
        "pixels": spearman(turn, np.linalg.norm(x[a] - x[b], axis=1)),
        "map": z.reshape(n, w, -1).mean(0).tolist(),
        "points": z.tolist(),
        "shifts": shifts.tolist(),
    }


def draw(scores: dict, path) -> None:
    """The map: a point a picture, its colour the shift; a line through the means."""
    require("matplotlib", extra="plot")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4.4), layout="constrained")
    axes = figure.subplots()
    points, ring = np.array(scores["points"]), np.array(scores["map"])
    dots = axes.scatter(points[:, 0], points[:, 1], c=scores["shifts"], cmap="twilight", s=6)
    closed = np.concatenate([ring, ring[:1]])
    axes.plot(closed[:, 0], closed[:, 1], color="grey", linewidth=1)
    axes.set(title=f"rank correlation of shift and distance: {scores['correlation']:.3f}")
    axes.set_aspect("equal")
    figure.colorbar(dots, label="shift, pixels")
    results.picture(figure, path)
