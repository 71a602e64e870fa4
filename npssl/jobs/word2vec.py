"""From text to word vectors: `SkipGram` and `CBOW`.

>>> text = [["red", "green", "blue"], ["green", "blue", "red"]] * 50
>>> model = SkipGram(dim=8, min_count=1, epochs=3, threads=1, seed=1).fit(text)
>>> sorted(model.vectors.index_to_key)
['blue', 'green', 'red']
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from tqdm import tqdm

from npssl.data import subwords
from npssl.data.corpus import Corpus, encode
from npssl.data.vocabulary import Vocabulary
from npssl.evaluation.word_vectors import WordVectors
from npssl.jobs.epochs import Epochs
from npssl.jobs.exact import Exact
from npssl.train import Run, train

OBJECTIVES = ("negative-sampling", "hierarchical-softmax", "nce", "softmax")
VARIANTS = ("npssl", "word2vec.c", "paper")
LARGE = 2 << 30  # bytes of text from which on the ids go to a file


@dataclass
class SkipGram:
    """Skip-gram word vectors (Mikolov et al. 2013).

    Parameters
    ----------
    dim : int
        Length of a vector.
    window : int
        Farthest neighbour; each word draws its own reach, 1 .. window.
    negative : int
        Noise words for each word and its neighbours (negative sampling, NCE).
    min_count : int
        Rarer words are left out.
    sample : float
        Words with a larger share of the text are thinned out; 0 keeps all.
    alpha : float
        First learning rate; it falls in a line over all words of all epochs.
    epochs : int
    threads : int, optional
        Default: as many as this process may use.  One thread gives the same
        bytes every time; several write without locks and differ a little.
    seed : int
    objective : str
        What stands for the softmax over all words: ``"negative-sampling"``,
        ``"hierarchical-softmax"``, ``"nce"``, or ``"softmax"`` itself (exact and
        slow: the oracle).
    variant : str
        ``"npssl"``; ``"word2vec.c"``: that program, bit for bit, one thread;
        ``"paper"``: the two papers of 2013.  docs/word2vec_c.md tells them apart.
    max_vocabulary : int, optional
        Keep at most so many words.
    tokens : str
        ``"whitespace"`` or ``"words"`` (lower-cased), see `npssl.data.corpus.encode`.
    subwords : (int, int), optional
        Add the vectors of a word's character n-grams of these lengths, (3, 6) in
        fastText; then unknown words have vectors too.
    buckets : int
        Into how many rows the n-grams are hashed.
    noise_power : float
        Negatives are drawn in proportion to count ** noise_power.
    hold_out : int
        Every so many-th sentence is kept out of training, to measure the loss
        on text that was not seen; 0: none.
    floor : float
        Least learning rate, as a share of alpha.
    share : bool
        Where an input is the mean of several rows (CBOW, sub-words): divide its
        gradient among them, as the mean's derivative says.  False: each row
        takes all of it, as in word2vec.c and fastText, which learns faster.
    ids_on_disk : bool, optional
        Keep the text's word ids in a file instead of memory.  Default: for texts
        over 2 GiB.

    Attributes
    ----------
    vectors : WordVectors
    history : list of dict
        For each epoch: ``epoch``, ``loss`` and ``held_out_loss`` (mean nats per
        positive pair, float64), ``words_per_second``.
    vocabulary : Vocabulary
    training_seconds : float
        Time that the steps took, without reading the text (variant "word2vec.c": with it).
    """

    dim: int = 100
    window: int = 5
    negative: int = 5
    min_count: int = 5
    sample: float = 1e-3
    alpha: float = 0.025
    epochs: int = 5
    threads: int | None = None
    seed: int = 1
    objective: str = "negative-sampling"
    variant: str = "npssl"
    max_vocabulary: int | None = None
    tokens: str = "whitespace"
    subwords: tuple[int, int] | None = None
    buckets: int = 2_000_000
    noise_power: float = 0.75
    hold_out: int = 100
    floor: float = 1e-4
    share: bool = False
    ids_on_disk: bool | None = None

    cbow: ClassVar[bool] = False

    def __post_init__(self):
        self.threads = _available() if self.threads is None else self.threads
        if self.subwords is not None:
            self.subwords = tuple(self.subwords)
        _check(self)
        self.history: list[dict] = []
        self.vocabulary: Vocabulary
        self._epochs: Any = None
        self._folder: Run | None = None

    def fit(
        self,
        corpus,
        *,
        run=None,
        resume: bool = False,
        save_seconds: float = 60.0,
        progress: bool | None = None,
    ):
        """Train from scratch.

        Parameters
        ----------
        corpus : path, list of paths, folder, "-", or iterable of sentences
            See `npssl.data.corpus.encode`.
        run : path, optional
            A folder for the configuration, metrics and checkpoints.
        resume : bool
            Go on with the run that the folder holds.
        save_seconds : float
            Time between checkpoints.
        progress : bool, optional
            Show bars; default: on a terminal.

        Returns
        -------
        self
        """
        with ExitStack() as stack:
            self._folder = None
            if run is not None:
                config = self.configuration(corpus)
                self._folder = stack.enter_context(
                    Run(run, config, resume=resume, save_seconds=save_seconds)
                )
            if self.variant == "word2vec.c":
                return self._fit_word2vec_c(corpus, progress)
            text = self._read(corpus, stack, progress)
            self._train(text, stack, progress, fresh=True)
        return self

    def partial_fit(self, corpus, *, progress: bool | None = None):
        """Go on with more text: new words join, old ones keep what they learnt.

        A new word joins if it occurs ``min_count`` times there; counts add up, and
        with them the chances of being kept or drawn; the learning rate starts at
        alpha again.  Not for the Huffman tree, which would be another one, and not
        for sub-words.
        """
        if self.objective != "negative-sampling" or self.subwords or self.variant == "word2vec.c":
            raise ValueError(
                "partial_fit: expected objective 'negative-sampling' without sub-words, found "
                f"{self.objective!r}, subwords={self.subwords}, variant={self.variant!r}"
            )
        if self._epochs is None:
            return self.fit(corpus, progress=progress)
        old, before = self.vocabulary, self._epochs
        self._folder = None
        with ExitStack() as stack:
            text = self._read(corpus, stack, progress, min_count=1)
            counts = dict(zip(old.words, old.counts.tolist()))
            for word, count in zip(text.vocabulary.words, text.vocabulary.counts.tolist()):
                if word in counts or count >= self.min_count:
                    counts[word] = counts.get(word, 0) + count
            joined = Vocabulary.from_counts(counts)
            place = np.array([joined.index.get(w, -2) for w in text.vocabulary.words], np.int32)
            ids = text.read(0, text.size)
            ids = np.where(ids < 0, ids, place[ids])
            text = Corpus(joined, ids[ids > -2], text.raw_words)
            rows = np.array([joined.index[w] for w in old.words])

            def carry(epochs):
                epochs.draw(seed=[self.seed, len(old)])
                epochs.input[rows] = before.input[: len(old)]
                epochs.output[rows] = before.output[: len(old)]

            self._train(text, stack, progress, fresh=False, begin=carry)
        return self

    @property
    def vectors(self) -> WordVectors:
        """The trained vectors; with sub-words, the mean of each word's rows."""
        if getattr(self, "_vectors", None) is None:
            raise ValueError("vectors: not trained yet; call fit first")
        return self._vectors

    def __getitem__(self, word: str) -> np.ndarray:
        """The vector of a word; with sub-words also of words never seen."""
        if self.subwords and word not in self.vectors:
            rows = self._ngram_rows(word)
            if len(rows):
                return self._epochs.input[rows, : self.dim].mean(0)
        return self.vectors[word]

    def configuration(self, corpus=None) -> dict:
        """All settings, as they go to ``config.json``."""
        text: Any = str(corpus) if isinstance(corpus, (str, os.PathLike)) else None
        if isinstance(corpus, list) and corpus and isinstance(corpus[0], (str, os.PathLike)):
            text = [str(c) for c in corpus]
        found = {"model": type(self).__name__, "corpus": text, **asdict(self)}
        found.pop("ids_on_disk")
        return found

    # what fit is made of ------------------------------------------------------------------

    def _read(self, corpus, stack, progress, min_count=None) -> Corpus:
        """Encode the text, on disk where it is large."""
        on_disk = self.ids_on_disk
        if on_disk is None:
            on_disk = isinstance(corpus, (str, os.PathLike)) and _bytes(corpus) > LARGE
        ids_file = None
        if on_disk:
            near = self._folder.folder if self._folder else None
            for left in near.glob("npssl-*") if near else ():  # by a run that was killed
                shutil.rmtree(left, ignore_errors=True)
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="npssl-", dir=near))
            ids_file = Path(folder) / "ids"
        bar = stack.enter_context(_bar(progress, desc="reading", unit="B", unit_scale=True))

        def show(done, total):
            bar.total = total
            bar.update(done - bar.n)

        text = encode(
            corpus,
            min_count=self.min_count if min_count is None else min_count,
            max_size=self.max_vocabulary,
            tokens=self.tokens,
            threads=1,  # one reads as fast as two here, and leaves less memory behind
            ids_file=ids_file,
            progress=show,
        )
        bar.close()
        stack.callback(text.close)
        if len(text.vocabulary) < 2:
            raise ValueError(
                f"corpus: expected at least two different words that occur {self.min_count} "
                f"times, found only {text.vocabulary.words[0]!r}: nothing to tell it from"
            )
        return text

    def _train(self, text, stack, progress, *, fresh, begin: Callable | None = None):
        held = np.empty(0, np.int32)
        if self.hold_out:
            text, held = text.hold_out(self.hold_out)
        if not _has_pairs(text):
            raise ValueError("corpus: no two words stand in one sentence, so there are no pairs")
        self.vocabulary = text.vocabulary
        bags, rows = None, None
        if self.subwords:
            start, members = subwords.bags(
                self.vocabulary.words,
                minn=self.subwords[0],
                maxn=self.subwords[1],
                buckets=self.buckets,
            )
            members, self._buckets_used = subwords.compact(members, len(self.vocabulary))
            bags, rows = (start, members), len(self.vocabulary) + len(self._buckets_used)
        kind = Exact if self.objective == "softmax" else Epochs
        epochs = kind(text, held, self, bags=bags, rows=rows)
        stack.callback(epochs.close)
        begin(epochs) if begin else epochs.draw()
        self.history = [] if fresh else self.history
        begun = time.perf_counter()
        self.history += self._steps(epochs, text, self._folder, progress)
        self.training_seconds = time.perf_counter() - begun
        if fresh and self.history and not epochs.tally[1]:
            raise ValueError(
                f"sample: {self.sample} thins the {text.words} known words of the text out so "
                "far that no two stand in one sentence, and there are no pairs"
            )
        self._epochs = epochs
        if bags is None:
            table = epochs.input[: len(self.vocabulary), : self.dim]
        else:
            table = subwords.compose(epochs.input, *bags)[:, : self.dim]
        self._vectors = WordVectors(self.vocabulary.words, table, self.vocabulary.counts)

    def _steps(self, epochs, text, run, progress) -> Iterator[dict]:
        """Train; yield the metrics of each epoch."""
        total = text.words * self.epochs
        bar = _bar(progress, total=total, desc="training", unit="word", unit_scale=True)
        begun, words, first = time.perf_counter(), 0, True
        with bar:
            for k, row in train(epochs.step, epochs.state, steps=epochs.steps, run=run):
                words += row["words"]
                if first and k > 1:  # resumed
                    bar.update(total * (k - 1) // epochs.steps)
                    yield from (_epoch_row(r) for r in run.rows()[: k - 1] if "epoch_loss" in r)
                first = False
                bar.update(row["words"])
                bar.set_postfix_str(f"loss {row['loss']:.3f}", refresh=False)
                if "epoch_loss" in row:
                    now = time.perf_counter()
                    speed = round(words / max(now - begun, 1e-9))
                    begun, words = now, 0
                    yield {**_epoch_row(row), "words_per_second": speed}
            if first and run:  # it was done before
                yield from (_epoch_row(r) for r in run.rows() if "epoch_loss" in r)

    def _ngram_rows(self, word):
        low, high = self.subwords
        size, used = len(self.vocabulary), self._buckets_used
        return subwords.ngram_rows(word, size, minn=low, maxn=high, buckets=self.buckets, used=used)

    def _fit_word2vec_c(self, corpus, progress):
        from npssl.jobs import word2vec_c

        bar = _bar(progress, desc="training", unit="piece")

        rows = []

        def show(k, steps, metrics):
            bar.total = steps
            bar.update(k - bar.n)
            bar.set_postfix_str(f"loss {metrics['loss']:.3f}", refresh=False)
            if "epoch_loss" in metrics:
                rows.append(_epoch_row(metrics))

        tree = self.objective == "hierarchical-softmax"
        begun = time.perf_counter()
        with bar:
            words, counts, table, _ = word2vec_c.fit(
                corpus,
                dim=self.dim,
                window=self.window,
                negative=0 if tree else self.negative,
                hierarchical=tree,
                cbow=self.cbow,
                alpha=self.alpha,
                sample=self.sample,
                min_count=self.min_count,
                epochs=self.epochs,
                run=self._folder,
                progress=show,
            )
        self.training_seconds = time.perf_counter() - begun  # here with reading
        self.vocabulary, self.history = Vocabulary(words, counts), rows
        self._vectors = WordVectors(words, table, counts)
        return self


@dataclass
class CBOW(SkipGram):
    """Continuous bag of words: the mean of the neighbours predicts the word between them.

    Parameters and attributes are those of `SkipGram`; alpha starts at .05.
    """

    alpha: float = 0.05

    cbow: ClassVar[bool] = True


def _has_pairs(text: Corpus) -> bool:
    """Do two words stand side by side anywhere?"""
    for start in range(0, text.size, 1 << 20):
        known = text.read(start, min(text.size, start + (1 << 20) + 1)) >= 0
        if (known[1:] & known[:-1]).any():
            return True
    return False


def _epoch_row(row):
    return {
        "epoch": row["epoch"],
        "loss": row["epoch_loss"],
        "held_out_loss": row.get("held_out_loss"),
    }


def _available() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _bytes(path) -> int:
    path = Path(path)
    if path.is_dir():
        return sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
    return path.stat().st_size if path.is_file() else 0


def _bar(progress, **options) -> tqdm:
    """A progress bar: on a terminal, unless ``progress`` says yes or no."""
    return tqdm(disable=None if progress is None else not progress, dynamic_ncols=True, **options)


def _check(m: SkipGram) -> None:
    """Settings that would train nonsense are refused by name."""
    for name, least in (
        *(("dim", 1), ("window", 1), ("min_count", 0), ("epochs", 1), ("threads", 1)),
        *(("negative", 0), ("buckets", 1), ("hold_out", 0)),
    ):
        value = getattr(m, name)
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f"{name}: expected an integer, {least} or more, found {value!r}")
    for name in ("alpha", "sample", "noise_power", "floor"):
        value = getattr(m, name)
        if not isinstance(value, (int, float, np.floating)) or not 0 <= value < float("inf"):
            raise ValueError(f"{name}: expected a finite number, 0 or more, found {value!r}")
    for name, allowed in (("objective", OBJECTIVES), ("variant", VARIANTS)):
        if getattr(m, name) not in allowed:
            raise ValueError(f"{name}: expected one of {allowed}, found {getattr(m, name)!r}")
    if m.objective in ("negative-sampling", "nce") and m.negative < 1:
        raise ValueError(f"negative: expected 1 or more with {m.objective}, found {m.negative}")
    if m.hold_out == 1:
        raise ValueError("hold_out: expected 0 or at least 2 (every second sentence), found 1")
    if m.variant == "word2vec.c" and (
        m.subwords or m.objective not in ("negative-sampling", "hierarchical-softmax")
    ):
        raise ValueError(
            "variant: 'word2vec.c' has negative sampling and hierarchical softmax on whole "
            f"words, found objective {m.objective!r}, subwords {m.subwords}"
        )
