"""Contrastive predictive coding, trained and probed: synthetic speech, or images as rows.

What is learnt is measured by linear probes on data that training has not seen: phone and
speaker (or digit) from the context c, the frames z, and the raw spectrum (or pixels), and from
c and z as first drawn, which is what the shape of the network alone is worth.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from npssl.data.idx import read_idx
from npssl.data.sets import path as find_set
from npssl.data.speech import Speech, spectrum
from npssl.errors import require
from npssl.evaluation.linear_probe import linear_probe
from npssl.jobs import results
from npssl.jobs.pretraining import fit, positive
from npssl.jobs.watching import told, watching
from npssl.params import Params
from npssl.tasks.cpc import Cpc
from npssl.train import recorded

_BATCHES, _PROBES, _FIRST = 11, 12, 13  # ends of seeds, which keep the streams of draws apart
_SKIP = 8  # frames at the beginning, before which there is little context


def train_cpc(
    data: str = "speech",
    *,
    negatives: str = "mixed",
    ahead: int | None = None,
    width: int = 64,
    context: int = 96,
    batch: int = 16,
    samples: int = 2048,
    steps: int = 1000,
    lr: float = 2e-3,
    phones: int = 10,
    speakers: int = 8,
    noise: float = 0.1,
    probe: int = 200,
    seed: int = 0,
    run=None,
    resume: bool = False,
    save_seconds: float = 60.0,
    progress: bool = True,
) -> dict:
    """Train on sequences, then probe.

    Parameters
    ----------
    data : "speech" (made from ``seed``) or "mnist" (images as rows of pixels, top to bottom)
    negatives : "mixed", "same" or "others"     see `npssl.tasks.cpc.Cpc`
    ahead : int, optional       steps to predict; default: 8 for speech, 5 for images
    width, context : int        of z and c
    batch : int                 sequences a step
    samples : int               of a sequence of speech
    steps, lr                   of AdamW, with a tenth of warm-up and a straight line to 0
    phones, speakers : int      of the language
    noise : float               deviation of the noise in speech
    probe : int                 utterances for the probes, half of them to fit (20 times as
                                many images)
    seed : int
    run, resume, save_seconds, progress     as in `npssl.jobs.gpt.train_gpt`

    Returns
    -------
    dict
        ``nats`` held out and ``chance_nats``, both also by step ahead, and for each probe
        the share that is right by representation; ``alarms`` and ``notes``; with a folder also
        in ``scores.json``.
    """
    if data not in ("speech", "mnist"):
        raise ValueError(f'data must be "speech" or "mnist", found {data!r}')
    ahead = (8 if data == "speech" else 5) if ahead is None else ahead
    positive(batch=batch, steps=steps, probe=probe, samples=samples, ahead=ahead)
    config = {
        "job": "cpc", "data": data, "negatives": negatives, "ahead": ahead, "width": width,
        "context": context, "batch": batch, "samples": samples, "steps": steps, "lr": lr,
        "phones": phones, "speakers": speakers, "noise": noise, "seed": seed,
    }  # fmt: skip
    sizes: dict[str, Any] = dict(width=width, context=context, ahead=ahead, negatives=negatives)
    source: Voices | Rows
    if data == "speech":
        source, task = (
            Voices(Speech(phones, speakers, noise=noise, seed=seed), batch, samples, seed),
            Cpc(**sizes),
        )
    else:
        source, task = Rows(batch, seed), Cpc(28, (4,), (2,), **sizes)
    source.check(task)
    params = Params(task.spec(), np.random.default_rng([seed, _FIRST]))
    first = params.over(params.flat.copy())
    with recorded(run, config, resume=resume, save_seconds=save_seconds) as log:
        fit(
            task, source, params, steps=steps, lr=lr, warmup=None, decay=0.01, clip=1.0,
            seed=seed, tokens=lambda t: t.shape[0] * task.frames(t.shape[1]), run=log,
            progress=progress, watch=watching(task, source, params, steps=steps, seed=seed),
        )  # fmt: skip
    scores = held_out(task, params, source) | {"probes": source.probes(task, params, first, probe)}
    scores |= told(task, params, source(steps), seed=seed, k=steps)
    results.write(run, params, scores)
    return scores


class Voices:
    """Batch k of speech, (batch, samples, 1): a function of (seed, k) alone."""

    def __init__(self, speech: Speech, batch: int, samples: int, seed: int):
        self.speech, self.batch, self.samples, self.seed = speech, batch, samples, seed

    def __call__(self, k: int) -> np.ndarray:
        return self._draw(self.batch, np.random.default_rng([self.seed, k, _BATCHES]))[0]

    def _draw(self, n, rng):
        waves, phones, speakers = self.speech.draw(n, self.samples, rng)
        return waves[..., None], phones, speakers

    def check(self, task):
        """Are there frames enough?"""
        if (T := task.frames(self.samples)) <= max(_SKIP, task.ahead):
            raise ValueError(
                f"samples must make more than {max(_SKIP, task.ahead)} frames, not {T}"
            )

    def probes(self, task, params, first, n):
        """Phone and speaker of single frames, on utterances that nobody has heard."""
        x, phones, speakers = self._draw(n, np.random.default_rng([self.seed, 0, _PROBES]))
        T, (size, step) = task.frames(self.samples), task.field()
        centre = np.arange(T) * step + size // 2
        features = _features(task, params, first, x)
        features["spectrum"] = spectrum(x[..., 0], size, step, T)
        targets = {"phone": phones[:, centre], "speaker": np.repeat(speakers[:, None], T, 1)}
        half = n // 2
        rows = lambda a: a[:, _SKIP:].reshape(-1, *a.shape[2:])
        return {
            name: {
                kind: linear_probe(rows(f[:half]), rows(y[:half]), rows(f[half:]), rows(y[half:]))
                for kind, f in features.items()
            }
            for name, y in targets.items()
        }


class Rows:
    """Batch k of images, (batch, 28 rows, 28 pixels): a function of (seed, k) alone."""

    def __init__(self, batch: int, seed: int):
        self.batch, self.seed = batch, seed
        self.train = read_idx(find_set("mnist/train-images-idx3-ubyte"))

    def __call__(self, k: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, k, _BATCHES])
        return _pixels(self.train[rng.integers(0, len(self.train), self.batch)])

    def check(self, task):
        """Are there frames enough?"""
        if (T := task.frames(28)) <= task.ahead:
            raise ValueError(
                f"ahead must be less than the {T} rows of an image, found {task.ahead}"
            )

    def probes(self, task, params, first, n):
        """The digit, from all of an image."""
        n *= 10
        parts = []
        for role, images in (("train", self.train), ("t10k", None)):
            if images is None:
                images = read_idx(find_set(f"mnist/{role}-images-idx3-ubyte"))
            x = _pixels(images[:n])
            found = {k: a.mean(1) for k, a in _features(task, params, first, x).items()}
            found["pixels"] = x.reshape(len(x), -1)
            labels = read_idx(find_set(f"mnist/{role}-labels-idx1-ubyte"))[:n].astype(int)
            parts.append((found, labels))
        (fitted, y), (tested, y_test) = parts
        return {"digit": {k: linear_probe(fitted[k], y, tested[k], y_test) for k in fitted}}


def _pixels(images):
    return images.astype(np.float32) / 255 - 0.13


def _features(task, params, first, x):
    """c and z, as trained and as first drawn."""
    found = {}
    for name, p in (("", params), (" untrained", first)):
        parts = [task.encode(p.tree, x[i : i + 32])[:2] for i in range(0, len(x), 32)]
        z, c = (np.concatenate(a) for a in zip(*parts))
        found["c" + name], found["z" + name] = c, z
    return {k: found[k] for k in sorted(found, key=len)}


def held_out(task: Cpc, params: Params, source, batches: int = 4) -> dict:
    """Nats of batches that training did not draw, and those of an even guess."""
    rows = []
    for k in range(batches):
        x = source(2**31 + k)
        rows.append([float(v) for v in task.losses(params.tree, x)[0]])
    by_step = np.mean(rows, 0)
    chance = math.log(task.candidates(source.batch, x.shape[1]))
    return {"nats": float(by_step.mean()), "chance_nats": chance, "by_step": by_step.tolist()}


def draw(scores: dict, path) -> None:
    """Nats by step ahead, and the probes as bars."""
    require("matplotlib", extra="plot")
    from matplotlib.figure import Figure

    probes = scores["probes"]
    figure = Figure(figsize=(4 * (1 + len(probes)), 3.6), layout="constrained")
    nats, *others = figure.subplots(1, 1 + len(probes))
    nats.plot(range(1, 1 + len(scores["by_step"])), scores["by_step"], marker="o")
    nats.axhline(scores["chance_nats"], linestyle=":", color="grey")
    nats.set(xlabel="steps ahead", ylabel="nats held out (dots: chance)", ylim=(0, None))
    for axes, (name, found) in zip(others, probes.items()):
        axes.barh(list(found)[::-1], list(found.values())[::-1])
        axes.set(title=f"{name}, linear probe", xlabel="share right", xlim=(0, 1))
    results.picture(figure, path)
