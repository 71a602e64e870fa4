"""SimCSE from end to end: an encoder and sentences to an encoder of sentences, and its scores.

The folder that is written holds weights, tokenizer and ``1_Pooling/config.json``, as
`npssl.jobs.sentences.SentenceEncoder` and ``npssl embed`` open it; the head of the training
is left out.  Gao, Yao & Chen, EMNLP 2021, arXiv:2104.08821.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from npssl.data import sets
from npssl.data.labelled import Sentences, read_stsb
from npssl.data.labelled_rows import padded
from npssl.data.pairs import sentences as split_sentences
from npssl.data.token_store import lines
from npssl.data.wordpiece import WordPiece
from npssl.errors import FileError, require
from npssl.evaluation.correlation import spearman
from npssl.files import write_json
from npssl.jobs import results
from npssl.jobs.pretrained import save_pretrained
from npssl.jobs.pretraining import names, positive, read_model, save_tokenizer
from npssl.jobs.sentences import SentenceEncoder, save_pool
from npssl.jobs.watching import told, watching
from npssl.losses.alignment import alignment, uniformity
from npssl.models.transformer import Transformer
from npssl.optim import AdamW, warmup_linear
from npssl.params import Params
from npssl.tasks.simcse import SimCSE
from npssl.train import gradient_step, recorded, state_of, train

_ORDER, _FIRST = 21, 22  # ends of seeds, which keep the streams of draws apart
_FIGURES = ("spearman", "alignment", "uniformity", "cosine", "singular")
SHORTEST, LONGEST = 5, 60  # words of a sentence that is taken from running text


def train_simcse(
    corpus,
    folder,
    *,
    columns: int = 1,
    limit: int = 20_000,
    pool: str = "mean",
    temperature: float = 0.05,
    hard: float = 0.0,
    same_mask: bool = False,
    rate: float = 0.1,
    batch: int = 64,
    epochs: int = 1,
    lr: float = 3e-5,
    warmup: float = 0.0,
    decay: float = 0.0,
    clip: float = 1.0,
    longest: int = 32,
    every: int = 125,
    keep: str = "best",
    where=None,
    seed: int = 0,
    run=None,
    resume: bool = False,
    save_seconds: float = 60.0,
    progress: bool = True,
) -> dict:
    """Train an encoder of sentences, and measure it before and after.

    Parameters
    ----------
    corpus : path, or list of paths
        Running text, with ``columns=1``; sentences are split by rule.  With 2 or 3, lines of
        so many texts with tabs between them: a text, one that follows from it, and perhaps
        one that contradicts it.
    folder : path          weights and tokenizer of an encoder of the BERT kind
    limit : int            sentences or lines at most, drawn once for all seeds
    pool : "mean" or "cls"
    temperature, hard, same_mask     see `npssl.tasks.simcse.SimCSE`
    rate : float           dropout: the augmentation
    batch, epochs, lr, warmup, decay, clip
        of AdamW; warm-up is a share of the steps, then a straight line to 0
    longest : int          tokens of a text that are read in training
    every : int            steps from one measurement on the dev part to the next
    keep : "best" or "last"
        the parameters that are kept: the best by STS-B dev, as in the paper, or the last;
        without STS-B it is the last
    where : path, optional       the folder of data sets; see `npssl.data.sets.path`
    seed : int                   of the head, the order and the dropout
    run, resume, save_seconds, progress     as in `npssl.jobs.finetune.fine_tune`

    Returns
    -------
    dict
        ``before`` and ``after``: for each part of STS-B that is at hand the figures of
        `measure`; ``history``: those of dev by step; ``step``: which one was kept;
        ``alarms`` and ``notes`` of what was kept.
    """
    positive(batch=batch, epochs=epochs, limit=limit, every=every, longest=longest)
    if columns not in (1, 2, 3):
        raise ValueError(f"columns must be 1, 2 or 3, found {columns!r}")
    if keep not in ("best", "last"):
        raise ValueError(f"keep must be best or last, found {keep!r}")
    if not 0 <= warmup < 1:
        raise ValueError(f"warmup must be a share, 0 or more and below 1, found {warmup}")
    if same_mask and columns > 1:
        raise ValueError("same_mask is for texts that are their own partners: columns=1")
    if hard and columns < 3:
        raise ValueError("hard is for lines with a third text: columns=3")
    encoder, inner, words = _open(folder, longest)
    texts = read_texts(corpus, columns=columns, limit=limit)
    if len(texts) < batch or batch < 2:
        raise ValueError(f"batch must be 2 to the {len(texts)} texts, found {batch}")
    task = SimCSE(replace(encoder, rate=rate), pool, temperature, hard, same_mask)
    params = Params(task.spec(), np.random.default_rng([seed, _FIRST]))
    for name, a in inner.views.items():
        params.views[f"encoder.{name}"][...] = a
    parts = {part: read_stsb(place) for part, place in _stsb(where).items()}
    here = lambda: _encoder(task, params, words)
    before = {part: measure(here(), data) for part, data in parts.items()}
    batches = _Batches(texts, words, batch, longest, seed)
    steps = batches.steps * epochs
    optimizer = AdamW(params, decay=decay)
    schedule = warmup_linear(lr, int(warmup * steps), steps)
    watch = watching(task, batches, params, steps=steps, seed=seed)
    step = gradient_step(
        task, batches, params, optimizer, schedule, seed=seed, clip=clip, watch=watch
    )
    marks = sorted({*range(every, steps, every), steps})
    seen = np.full((len(marks), len(_FIGURES)), -9.0)  # no figure of dev is as low
    best = params.flat.copy()
    state = state_of(params, optimizer) | {"dev.seen": seen, "dev.best": best}
    config = dict(
        job="simcse",
        corpus=names(corpus),
        folder=str(folder),
        columns=columns,
        limit=limit,
        pool=pool,
        temperature=temperature,
        hard=hard,
        same_mask=same_mask,
        rate=rate,
        batch=batch,
        epochs=epochs,
        lr=lr,
        warmup=warmup,
        decay=decay,
        clip=clip,
        longest=longest,
        every=every,
        keep=keep,
        seed=seed,
    )
    place = run and Path(run) / "training"
    how: dict[str, Any] = dict(resume=resume, save_seconds=save_seconds)
    with recorded(place, config, **how) as log, tqdm(total=steps, disable=not progress) as bar:
        for done, row in train(step, state, steps=steps, run=log):
            if "dev" in parts and done in marks:
                n = marks.index(done)
                found = measure(here(), parts["dev"])
                seen[n] = [found[name] for name in _FIGURES]
                if seen[n, 0] > seen[:n, 0].max(initial=-2.0):
                    best[:] = params.flat
            bar.update(done - bar.n)
            bar.set_postfix(loss=f"{row['loss']:.3f}", refresh=False)
    n, after = len(marks) - 1, {}
    if "dev" in parts:
        if keep == "best":
            n = int(seen[:, 0].argmax())
            params.flat[:] = best
        after["dev"] = dict(zip(_FIGURES, seen[n].tolist()))
    if "test" in parts:
        after["test"] = measure(here(), parts["test"])
    rows = zip(marks, seen.tolist()) if "dev" in parts else ()
    scores = {
        "texts": len(texts),
        "before": before,
        "after": after,
        "step": marks[n],
        "history": [{"step": k, **dict(zip(_FIGURES, found))} for k, found in rows],
        **told(task, params, batches(steps), seed=seed, k=steps),
    }
    if run:
        _save(Path(run), task, params, words, scores)
    return scores


def measure(encoder: SentenceEncoder, data: Sentences) -> dict[str, float]:
    """What the vectors of pairs with scores from 0 to 5 are worth.

    Returns
    -------
    dict
        ``spearman`` of cosine and score, over all pairs at once; ``alignment`` of the pairs
        with a score above 4 and ``uniformity`` of all different texts (see
        `npssl.losses.alignment`; less is better); ``cosine``, the mean of all pairs of
        different texts, and ``singular``, the share of the largest squared singular value:
        both near 1 where all vectors point one way.
    """
    different = list(dict.fromkeys(text for pair in data.texts for text in pair))
    number = {text: n for n, text in enumerate(different)}
    u = encoder.embed(different).astype(np.float64)
    a, b = (u[[number[pair[i]] for pair in data.texts]] for i in (0, 1))
    close, N = data.y > 4, len(u)
    total = u.sum(0)
    return {
        "spearman": spearman((a * b).sum(1), data.y),
        "alignment": float(alignment(a[close], b[close])[0]),
        "uniformity": float(uniformity(u)[0]),
        "cosine": float((total @ total - np.square(u).sum()) / max(1, N * (N - 1))),
        "singular": float(np.linalg.eigvalsh(u.T @ u)[-1] / np.square(u).sum()),
    }


def read_texts(corpus, *, columns: int = 1, limit: int = 20_000) -> list[tuple[str, ...]]:
    """Different sentences of running text, or lines of so many texts, in an order drawn once.

    Headings and what is shorter than 5 words or longer than 60 is no sentence here.
    """
    found: dict[tuple[str, ...], None] = {}
    every = list(lines(corpus))
    for n in np.random.default_rng(0).permutation(len(every)).tolist():
        line = every[n].strip("\r\n")
        if columns > 1:
            texts = tuple(line.split("\t"))
            if not line.strip():
                continue
            if len(texts) != columns or not all(text.strip() for text in texts):
                message = f"expected {columns} texts with tabs between them, found {len(texts)}"
                raise FileError(names(corpus)[0], message, place=f"line {n + 1}")
            found[texts] = None
        elif not line.lstrip().startswith("="):
            for text in split_sentences(line.strip()):
                if SHORTEST <= len(text.split()) <= LONGEST:
                    found[(text,)] = None
        if len(found) >= limit:
            break
    if not found:
        raise FileError(names(corpus)[0], "expected sentences, found none")
    return list(found)[:limit]


class _Batches:
    """Batch k, as `SimCSE.split` takes it: a function of (seed, k) alone."""

    def __init__(self, texts, words, batch, longest, seed):
        self.ids = [
            [words.encode_pair(text, longest=longest)[0] for text in side] for side in zip(*texts)
        ]
        self.batch, self.seed = batch, seed
        self.steps = len(texts) // batch
        self._epoch, self._order = -1, np.empty(0, int)

    def __call__(self, k):
        epoch, place = divmod(k, self.steps)
        if epoch != self._epoch:
            rng = np.random.default_rng([self.seed, epoch, _ORDER])
            self._epoch, self._order = epoch, rng.permutation(len(self.ids[0]))
        which = self._order[place * self.batch : (place + 1) * self.batch]
        found = []
        for side in self.ids:
            ids = padded([side[n] for n in which])
            lengths = np.array([len(side[n]) for n in which])
            mask = np.arange(ids.shape[1]) < lengths[:, None]
            found.append((ids, np.zeros_like(ids), mask))
        return tuple(found)


def _encoder(task, params, words) -> SentenceEncoder:
    longest = min(128, task.encoder.context)
    p = params.tree.encoder
    return SentenceEncoder.of(task.encoder, p, words, longest=longest, pool=task.pool)


def _stsb(where) -> dict[str, Path]:
    """The dev and the test part, where they are at hand; nothing is fetched."""
    found = {part: sets.find(f"stsb/{part}", where) for part in ("dev", "test")}
    return {part: places[0] for part, places in found.items() if places}


def _open(folder, longest) -> tuple[Transformer, Params, WordPiece]:
    model, params, words = read_model(folder)
    if model.causal:
        raise FileError(folder, "expected an encoder of the BERT kind, with vocab.txt")
    if not 3 <= longest <= model.context:
        raise ValueError(
            f"longest must be 3 to the model's context of {model.context}, found {longest}"
        )
    return model, params, words


def _save(folder, task, params, words, scores):
    save_pretrained(folder, task.encoder, params.part("encoder"))
    save_tokenizer(folder, words)
    save_pool(folder, task.pool, task.encoder.width)
    write_json(folder / "scores.json", scores)


def draw(scores: dict, path) -> None:
    """What STS-B dev says along training: Spearman, alignment and uniformity, anisotropy."""
    require("matplotlib", extra="plot")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.2), layout="constrained")
    steps = [row["step"] for row in scores["history"]]
    groups = ("spearman",), ("alignment", "uniformity"), ("cosine", "singular")
    for axes, shown in zip(figure.subplots(1, len(groups)), groups):
        for name in shown:
            axes.plot(steps, [row[name] for row in scores["history"]], marker=".", label=name)
        axes.axvline(scores["step"], linestyle=":", color="grey")
        axes.set(xlabel="step (dots: the one kept)")
        axes.legend()
    results.picture(figure, path)
