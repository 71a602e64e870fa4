"""Skip-gram and CBOW by the epoch kernels: a step is one piece of the text, in place.

`npssl.train.train` drives it like any other training: step k goes through piece
``k % pieces`` of epoch ``k // pieces``; all draws are functions of (seed, epoch,
position), so with one thread step k is a function of the tables and k alone.
With several threads each takes a part of the piece and writes to the tables
without locks (Hogwild: Niu et al. 2011, arXiv:1106.5730), apart from the rows
of the most frequent words: those it copies, and merges now and then, because
two cores that write to one row wait for each other.
"""

from __future__ import annotations

import importlib
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from npssl import kernels
from npssl.data.corpus import Corpus
from npssl.data.sampling import alias_table, huffman, keep_probability, noise_distribution
from npssl.kernels import draws
from npssl.params import Params, zeros
from npssl.tasks import epoch

HOT, EVERY = 64, 250  # rows that each thread copies, kept words between merges
PIECE = 1_000_000  # ids in a step, at most
LANES = 16  # floats: rows are padded to whole vectors

EVALUATION = 2**63  # an epoch number that no training reaches


class Epochs:
    """What `npssl.train.train` needs: ``step``, ``state``, ``steps``.

    Parameters
    ----------
    corpus : Corpus
    held : (n,) int32          held-out sentences, or empty
    model : npssl.SkipGram     the settings
    bags : (start, rows), optional
        Sub-words: rows of the input table for each word.
    rows : int, optional
        Rows of the input table; default one for each word.
    """

    def __init__(self, corpus: Corpus, held, model, *, bags=None, rows=None):
        self.corpus, self.held, self.model, self.threads = corpus, held, model, model.threads
        counts = corpus.vocabulary.counts
        V, width = len(counts), -(-model.dim // LANES) * LANES
        tree = model.objective == "hierarchical-softmax"
        outputs = V - 1 if tree else V
        self.params = Params(dict(input=zeros(rows or V, width), output=zeros(outputs + 1, width)))
        self.input, self.output = self.params.tree.input, self.params.tree.output
        self.tally = np.zeros(2)  # loss and pairs of this epoch so far
        self.state = {"input": self.input, "output": self.output, "tally": self.tally}
        form = "paper" if model.variant == "paper" else "word2vec.c"
        keep = keep_probability(counts, model.sample, form)
        noise = noise_distribution(counts, model.noise_power)
        start, nodes, code = np.zeros(1, np.int64), *[np.zeros(1, np.int32)] * 2
        shift, groups = np.zeros(1, np.float32), -(-(model.negative + 1) // 6)
        if tree:
            start, nodes, code = huffman(counts)
            start, nodes, code = in_sixes(start, V - 2 - nodes, code, pad=V - 1)  # root first
            groups = int(np.diff(start).max())
        elif model.objective == "nce":
            # log odds x . y + log P_n - log(K P_n): the model's prior cancels the noise
            shift = np.full(V, -math.log(model.negative), np.float32)
        self._tables = (
            np.minimum(keep * 2.0**32, 2.0**32 - 1).astype(np.uint32),
            alias_table(noise),
            *(shift, start, nodes, code, groups),
        )
        self._bags: tuple = ()
        as_bag = model.cbow or bags is not None or model.variant == "paper"
        if as_bag:
            start, rows = bags or (np.zeros(1, np.int64), np.zeros(1, np.int32))
            self._bags = (start, rows, int(model.cbow), int(model.share))
        if kernels.enabled():
            kernel = "bag_gram" if as_bag else "skip_gram"
            self._train = importlib.import_module(f"npssl.kernels.{kernel}").train
        else:
            self._train, self.threads = epoch.bag_gram if as_bag else epoch.skip_gram, 1
        piece = min(PIECE, max(20_000, corpus.size // 20))
        self._cuts = corpus.cuts(piece)
        self.pieces = len(self._cuts) - 1
        self.steps = self.pieces * model.epochs
        self._pool = ThreadPoolExecutor(self.threads) if self.threads > 1 else None

    def draw(self, rows=None, seed=None) -> None:
        """First values: inputs even in [-1/2, 1/2) / dim, outputs zero; ``rows``: only those."""
        rng, dim = np.random.default_rng(self.model.seed if seed is None else seed), self.model.dim
        some = self.input if rows is None else self.input[rows]
        for block in np.array_split(some, max(1, len(some) // 4096)):
            block[:, :dim] = (rng.random((len(block), dim), dtype=np.float32) - 0.5) / dim

    def step(self, k: int) -> dict:
        """One piece of the text."""
        number, piece = divmod(k, self.pieces)
        if piece == 0:
            self.tally[:] = 0
        start, stop = (int(i) for i in self._cuts[piece : piece + 2])
        ids = self.corpus.read(start, stop)
        whole = self.corpus.size * self.model.epochs
        done = (number * self.corpus.size + start) / whole
        rate, floor = self.model.alpha * (1 - done), self.model.alpha * self.model.floor
        slope = self.model.alpha / whole * self.threads
        jobs = [
            (ids[a:b], start + a, number, max(rate, floor), slope, floor)
            for a, b in _parts(ids, self.threads)
        ]
        if self._pool is None:
            results = [self._pass(*job) for job in jobs]
        else:
            results = list(self._pool.map(lambda job: self._pass(*job), jobs))
        loss, pairs = np.sum(results, 0)
        if not self._finite(HOT if piece < self.pieces - 1 else None):
            loss = math.nan  # the kernel clamps its scores, so its loss would not show it
        self.tally += loss, pairs
        words = int((ids >= 0).sum())
        row = {"epoch": number + 1, "loss": loss / max(pairs, 1), "pairs": int(pairs)}
        row |= {"words": words, "rate": max(rate, floor)}
        if piece == self.pieces - 1:
            row["epoch_loss"] = self.tally[0] / max(self.tally[1], 1)
            if len(self.held):
                row["held_out_loss"] = self.evaluate(self.held)
        return {name: v if isinstance(v, int) else float(v) for name, v in row.items()}

    def _finite(self, rows):
        """Are the first rows of both tables numbers?  NaN spreads through the frequent words."""
        with np.errstate(all="ignore"):
            return math.isfinite(self.input[:rows].sum() + self.output[:rows].sum())

    def evaluate(self, ids) -> float:
        """Mean nats per positive pair on other text: the same pass at learning rate 0."""
        loss, pairs = self._pass(ids, 0, EVALUATION, 0.0, 0.0, 0.0)
        return loss / max(pairs, 1)

    def _pass(self, ids, first, number, rate, slope, floor):
        hot = HOT if self.threads > 1 and rate > 0 else 0
        ids = np.ascontiguousarray(ids)
        key = np.uint64(draws.key(self.model.seed, number))
        mine = [np.repeat(table[None, :hot], 2, axis=0) for table in (self.input, self.output)]
        tables = (self.input, self.output, *mine, *self._tables, *self._bags)
        window, negative = self.model.window, self.model.negative
        return self._train(ids, first, *tables, window, negative, key, rate, slope, floor, EVERY)

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()


def in_sixes(start, nodes, code, pad):
    """Huffman paths in groups of six nodes, as the kernels take them.

    Parameters
    ----------
    start, nodes, code     of `npssl.data.sampling.huffman`
    pad : int              what fills up the last group of a path

    Returns
    -------
    start : (V + 1,) int64     word w has groups start[w] .. start[w + 1] - 1
    nodes : (6 groups,) int32
    kinds : (groups,) int32    the turns of a group as digits in base 3, 2 = padding

    Examples
    --------
    >>> start, nodes, kinds = in_sixes(np.array([0, 2]), np.array([7, 8]), np.array([1, 0]), 9)
    >>> start.tolist(), nodes.tolist(), kinds.tolist()
    ([0, 1], [7, 8, 9, 9, 9, 9], [721])
    """
    lengths = np.diff(start)
    first = np.append(0, (-(-lengths // 6)).cumsum())
    at = np.repeat(6 * first[:-1] - start[:-1], lengths) + np.arange(start[-1])
    grouped, digits = np.full(6 * first[-1], pad), np.full(6 * first[-1], 2)
    grouped[at], digits[at] = nodes, code
    kinds = digits.reshape(-1, 6) @ 3 ** np.arange(6)
    return first.astype(np.int64), grouped.astype(np.int32), kinds.astype(np.int32)


def _parts(ids, threads):
    """Cut a piece for the threads, at sentence ends.

    >>> _parts(np.array([1, 2, -1, 3, -1]), 2)
    [(0, 3), (3, 5)]
    """
    if threads == 1:
        return [(0, len(ids))]
    ends = np.flatnonzero(ids < 0) + 1
    wanted = np.searchsorted(ends, np.arange(1, threads) * (len(ids) // threads))
    inner = ends[np.minimum(wanted, len(ends) - 1)] if len(ends) else [len(ids)] * (threads - 1)
    cuts = [0, *(int(i) for i in inner), len(ids)]
    return [*zip(cuts, cuts[1:])]
