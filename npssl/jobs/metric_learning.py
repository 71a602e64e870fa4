"""Metric learning on Omniglot: trained on some alphabets, judged on others.

The figures: Recall@k and MAP@R of unseen characters, NMI and F1 of their clusters, and the
20-way one-shot runs that come with the data.  While it trains, `npssl.jobs.watching` looks.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from npssl.data.omniglot import Characters, read_omniglot, read_one_shot
from npssl.data.sets import path as find_set
from npssl.errors import require
from npssl.evaluation.retrieval import clustering, one_shot, retrieval
from npssl.jobs import results
from npssl.jobs.pretraining import fit, positive
from npssl.jobs.watching import told, watching
from npssl.layers.similarity import unit
from npssl.params import Params
from npssl.tasks.metric_learning import MetricLearning
from npssl.train import recorded

_BATCHES, _FIRST = 31, 32  # ends of seeds, which keep the streams of draws apart


def train_metric(
    loss: str = "triplet",
    *,
    encoder: str = "mlp",
    widths: tuple[int, ...] | None = None,
    dim: int = 64,
    miner: str = "semi-hard",
    classes: int = 16,
    drawings: int = 4,
    shift: int = 2,
    steps: int = 1000,
    lr: float = 1e-3,
    seed: int = 0,
    options: dict | None = None,
    train: str | Path | None = None,
    test: str | Path | None = None,
    runs: str | Path | None = None,
    run=None,
    resume: bool = False,
    save_seconds: float = 60.0,
    progress: bool = True,
) -> dict:
    """Train an encoder of drawings, then judge it on alphabets that it has not seen.

    Parameters
    ----------
    loss : str                  one of `npssl.tasks.metric_learning.LOSSES`
    encoder, widths, dim, miner, options    see `npssl.tasks.metric_learning.MetricLearning`
    classes, drawings : int     of a batch: characters, and drawings of each
    shift : int                 drawings are moved by up to so many pixels while training
    steps, lr                   of AdamW, with a tenth of warm-up and a straight line to 0
    seed : int
    train, test, runs : path, optional      archives; default: those of the set "omniglot"
    run, resume, save_seconds, progress     as in `npssl.jobs.gpt.train_gpt`

    Returns
    -------
    dict
        ``recall@1``, ``recall@2``, ``recall@4``, ``recall@8``, ``map@r``, ``nmi``, ``f1``,
        ``one_shot``, ``alarms`` and ``notes``; with a folder also in ``scores.json``.
    """
    positive(classes=classes, drawings=drawings, steps=steps, dim=dim)
    if widths is None:
        widths = (256,) if encoder == "mlp" else (32, 64)
    task = MetricLearning(
        loss, 28, encoder, tuple(widths), dim=dim, miner=miner, options=options or {}
    )
    config = {
        "job": "metric", "loss": loss, "encoder": encoder, "widths": list(widths), "dim": dim,
        "miner": miner, "classes": classes, "drawings": drawings, "shift": shift, "steps": steps,
        "lr": lr, "seed": seed, "options": options or {},
    }  # fmt: skip
    source = Drawings(
        read_omniglot(train or find_set("omniglot/small1")), classes, drawings, shift, seed
    )
    params = Params(task.spec(), np.random.default_rng([seed, _FIRST]))
    watch = watching(task, source, params, steps=steps, seed=seed, labels=source.labels)
    with recorded(run, config, resume=resume, save_seconds=save_seconds) as log:
        fit(
            task, source, params, steps=steps, lr=lr, warmup=None, decay=0.01, clip=None,
            seed=seed, tokens=lambda t: t.shape[0] * t.shape[1], run=log,
            progress=progress, watch=watch,
        )  # fmt: skip
        end = told(task, params, source(steps), seed=seed, k=steps, label=source.labels(steps))
        scores = judge(task, params, test, runs) | end
        results.write(run, params, scores)
    return scores


class Drawings:
    """Batch k, (classes, drawings, 28, 28): a function of (seed, k) alone."""

    def __init__(self, data: Characters, classes: int, drawings: int, shift: int, seed: int):
        self.images, self.label, self.seed, self.shift = data.images, data.label, seed, shift
        self.rows = [np.flatnonzero(data.label == c) for c in np.unique(data.label)]
        fewest = min(map(len, self.rows))
        if not 2 <= classes <= len(self.rows):
            raise ValueError(f"classes: expected 2 to {len(self.rows)}, found {classes}")
        if not 2 <= drawings <= fewest or drawings % 2:
            raise ValueError(f"drawings: expected an even number up to {fewest}, found {drawings}")
        if not 0 <= shift < 14:
            raise ValueError(f"shift: expected 0 to 13 pixels, found {shift}")
        self.classes, self.drawings = classes, drawings

    def __call__(self, k: int) -> np.ndarray:
        rows, rng = self._drawn(k)
        s = self.shift
        framed = np.pad(self.images[rows.ravel()], ((0, 0), (s, s), (s, s)))
        corner = rng.integers(0, 2 * s + 1, (2, len(framed), 1, 1))
        n, i, j = np.ogrid[: len(framed), :28, :28]
        moved = framed[n, i + corner[0], j + corner[1]]
        return moved.reshape(*rows.shape, 28, 28)

    def labels(self, k: int) -> np.ndarray:
        """The true character of each drawing of batch k, (classes drawings,)."""
        return self.label[self._drawn(k)[0].ravel()]

    def _drawn(self, k):
        rng = np.random.default_rng([self.seed, k, _BATCHES])
        chosen = rng.choice(len(self.rows), self.classes, replace=False)
        rows = [rng.choice(self.rows[c], self.drawings, replace=False) for c in chosen]
        return np.stack(rows), rng


def embed(task: MetricLearning, params: Params, x) -> np.ndarray:
    """Unit vectors of images (N, 28, 28), some at a time."""
    parts = [task.embed(params.tree, x[i : i + 256])[0] for i in range(0, len(x), 256)]
    return unit(np.concatenate(parts))[0]


def judge(task: MetricLearning, params: Params, test=None, runs=None) -> dict:
    """The figures on unseen alphabets, and the mean of the one-shot runs."""
    found = read_omniglot(test or find_set("omniglot/small2"))
    z = embed(task, params, found.images)
    shots = [
        one_shot(embed(task, params, r.support), embed(task, params, r.test), r.answer)
        for r in read_one_shot(runs or find_set("omniglot/runs"))
    ]
    figures = retrieval(z, found.label) | clustering(z, found.label, restarts=1)
    return figures | {"one_shot": float(np.mean(shots))}


FIGURES = ("recall@1", "recall@2", "recall@4", "recall@8", "map@r", "nmi", "f1", "one_shot")


def table(rows: dict[str, list[dict]]) -> str:
    """Mean and deviation over seeds of each figure, per cent, a line a loss."""
    lines = ["".join(["loss      ", *(f"{name:>13}" for name in FIGURES)])]
    for name, scores in rows.items():
        cells = []
        for figure in FIGURES:
            values = [100 * s[figure] for s in scores]
            deviation = np.std(values, ddof=1) if len(values) > 1 else math.nan
            cells.append(f"{np.mean(values):6.1f} ± {deviation:4.1f}")
        lines.append(f"{name:<10}" + "".join(f"{c:>13}" for c in cells))
    return "\n".join(lines)


def draw(rows: dict[str, list[dict]], path) -> None:
    """Some figures of each loss as bars: means, and deviations over seeds."""
    require("matplotlib", extra="plot")
    from matplotlib.figure import Figure

    shown = "recall@1", "map@r", "one_shot"
    figure = Figure(figsize=(4 * len(shown), 1 + 0.35 * len(rows)), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(shown)), shown):
        values = [[100 * s[name] for s in scores] for scores in rows.values()]
        axes.barh(list(rows), [np.mean(v) for v in values], xerr=[np.std(v) for v in values])
        axes.invert_yaxis()
        axes.set(xlabel=f"{name}, per cent")
    results.picture(figure, path)
