"""``variant="word2vec.c"``: the C program of 2015, one thread, bit for bit.

What the program does differently from the papers and from npssl's own default
is told in ``docs/word2vec_c.md``.  Equality holds where the program's float32
arithmetic is strict (compiled without ``-Ofast``) and for its passes as of
commit d83ccfb: later versions make one effective pass only.

References
----------
T. Mikolov, word2vec (C program), https://github.com/tmikolov/word2vec, commit
d83ccfb, 2015.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from npssl.train import train

PLACES = 100_000_000  # of the program's noise table
END = "</s>"
PIECE = 100_000  # words and sentence ends in a step of the training loop


@dataclass
class Options:
    """The program's options, with its defaults but for CBOW, which it has on."""

    dim: int = 100
    window: int = 5
    negative: int | None = None
    hierarchical: bool = False
    cbow: bool = False
    alpha: float | None = None
    sample: float = 1e-3
    epochs: int = 5

    def __post_init__(self):
        if self.negative is None:
            self.negative = 0 if self.hierarchical else 5
        if self.alpha is None:
            self.alpha = 0.05 if self.cbow else 0.025
        least = {"dim": 1, "window": 1, "negative": 0, "epochs": 1}
        for name in least:
            value = getattr(self, name)
            if not isinstance(value, (int, np.integer)) or value < least[name]:
                raise ValueError(
                    f"{name}: expected an integer, {least[name]} or more, found {value!r}"
                )
        if not 0 <= self.sample < math.inf:
            raise ValueError(f"sample: expected 0 or more, found {self.sample!r}")
        if not 0 < self.alpha < math.inf:
            raise ValueError(f"alpha: expected a positive number, found {self.alpha!r}")
        if not (self.hierarchical or self.negative):
            raise ValueError("negative: expected 1 or more where hierarchical is False, found 0")


def fit(
    source,
    *,
    dim: int = 100,
    window: int = 5,
    negative: int | None = None,
    hierarchical: bool = False,
    cbow: bool = False,
    alpha: float | None = None,
    sample: float = 1e-3,
    min_count: int = 5,
    epochs: int = 5,
    run=None,
    progress=None,
):
    """Train word vectors as the C program does with one thread.

    Parameters
    ----------
    source : path, or whatever `npssl.data.corpus.encode` reads
        Words stand between blanks, tabs and newlines; a newline ends a sentence.  Or
        a `Corpus` that was encoded with ``newline="word2vec.c"``; then ``min_count``
        has done its work already.
    dim, window, min_count, epochs : int
        ``-size``, ``-window``, ``-min-count``, ``-iter``.
    negative : int, optional
        ``-negative``: 5, or 0 where the hierarchical softmax is on.
    hierarchical : bool
        ``-hs``.  Both may be on, as in the program.
    cbow : bool
        ``-cbow``; the program's default is 1.
    alpha : float, optional
        First learning rate: .025, and .05 for CBOW.
    sample : float
        ``-sample``; 0 keeps every word.
    run : npssl.train.Run, optional
        Checkpoints and metrics; training goes on from them to the same bytes.
    progress : callable, optional
        ``progress(step, steps, metrics)`` after each piece of text; metrics are
        ``loss`` (mean nats per positive pair, a pair being a centre for CBOW; 0 where
        nothing was trained), ``pairs``, ``words``, ``rate``, ``epoch``, and
        ``epoch_loss`` with the last piece of a pass.

    Returns
    -------
    words : list of str
    counts : (V,) int64
    inputs : (V, D) float32
        The vectors, which are all that the program writes.
    outputs : (V, D) float32
        Those of output words; with ``negative=0`` those of inner nodes, whose
        last row is not used.

    Raises
    ------
    ValueError
        An option out of range; what `encode` says of the text.
    npssl.train.Diverged
        A loss that is no longer finite, where the program would crash.
    """
    from npssl.data.corpus import Corpus, encode

    options = Options(dim, window, negative, hierarchical, cbow, alpha, sample, epochs)
    corpus = source
    if not isinstance(source, Corpus):
        corpus = encode(source, min_count=min_count, newline="word2vec.c")
    step, state, steps, words, counts = prepare(corpus, options)
    for k, metrics in train(step, state, steps=steps, run=run):
        if progress is not None:
            progress(k, steps, metrics)
    return words, counts, state["inputs"], state["words" if len(state["words"]) else "nodes"]


def prepare(corpus, options: Options, *, piece: int = PIECE):
    """Make ``(step, state, steps, words, counts)`` for `npssl.train.train`.

    Step k reads the k-th ``piece`` of the corpus, counting on over all passes; what
    a sentence has gathered when a piece ends is part of the state, so that pieces
    of any length give the same vectors.  The first word is ``</s>``, however rare;
    the others stand as in the corpus.
    """
    from npssl.kernels import word2vec_c as kernel

    o: Any = options
    words = [END, *corpus.vocabulary.words]
    ends = corpus.size - corpus.words
    counts = np.concatenate([[ends], corpus.vocabulary.counts]).astype(np.int64)
    size, pieces = len(words), -(-corpus.size // piece)
    state = {
        "inputs": first_vectors(size, o.dim),
        "nodes": np.zeros((size if o.hierarchical else 0, o.dim), np.float32),
        "words": np.zeros((size if o.negative else 0, o.dim), np.float32),
        "sentence": np.zeros(kernel.LONGEST, np.int32),
        "clock": np.zeros(4, np.int64),
        "random": np.zeros(1, np.uint64),
        "rate": np.full(1, o.alpha, np.float32),
        "tally": np.zeros(2),  # nats and pairs of this pass
    }
    tree: Any = (np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int8))
    if o.hierarchical:
        tree = kernel.huffman(counts)
    settled = (
        tree,
        noise_places(counts) if o.negative else np.zeros(0, np.int64),
        keep_chances(counts, o.sample) if o.sample else np.zeros(0, np.float32),
        sigmoid_table(),
        o.window,
        o.negative,
        bool(o.cbow),
        np.float32(o.alpha),
        np.float32(o.epochs * int(counts.sum()) + 1),
    )
    changed = [
        state[n] for n in ("sentence", "clock", "random", "rate", "inputs", "nodes", "words")
    ]

    def step(k):
        at = k % pieces * piece
        ids = corpus.read(at, min(at + piece, corpus.size)) + np.int32(1)  # 0 is the sentence end
        # where NumPy stands in for Numba: the generator wraps, a score may overflow
        with np.errstate(over="ignore", invalid="ignore"):
            nats, pairs = kernel.train(ids, *changed, *settled)
        state["tally"] += nats, pairs
        row = {
            "epoch": k // pieces + 1,
            "loss": float(nats / pairs) if pairs else 0.0,
            "pairs": int(pairs),
            "words": int(np.count_nonzero(ids)),
            "rate": float(state["rate"][0]),
        }
        if (k + 1) % pieces == 0:  # the pass ends; what follows the last newline is not trained
            row["epoch_loss"] = float(state["tally"][0] / max(state["tally"][1], 1))
            state["tally"][:] = 0
            clock = state["clock"]
            clock[kernel.DONE] += clock[kernel.SEEN] - clock[kernel.TOLD]
            clock[: kernel.DONE] = 0
        return row

    return step, state, pieces * o.epochs, words, counts


def first_vectors(size: int, dim: int) -> np.ndarray:
    """Input vectors before training, (V, D) float32: even draws in +-1/(2 D).

    Only the low 16 bits of the generator are used, and those repeat after 65,536
    draws: so do the numbers in this table.

    >>> print(first_vectors(1, 2))
    [[0.20013428 0.22097015]]
    """
    draws, x = np.empty(min(size * dim, 1 << 16)), 1
    for i in range(len(draws)):
        x = (x * 25214903917 + 11) & 0xFFFF
        draws[i] = x
    first = ((draws / 65536 - 0.5) / dim).astype(np.float32)
    return np.resize(first, (size, dim))


def sigmoid_table() -> np.ndarray:
    """The sigmoid at 1000 places from -6 to 6, (1000,) float32, rounded as there."""
    x = (np.arange(1000, dtype=np.float32) / np.float32(1000) * 2 - 1) * np.float32(6)
    e = np.array([math.exp(v) for v in x], np.float32)
    return e / (e + np.float32(1))


def keep_chances(counts: np.ndarray, sample: float) -> np.ndarray:
    """Chance of keeping a word, (V,) float32: (sqrt(f / t) + 1) t / f for frequency f.

    May exceed 1.  The products and the quotient under the root are float32, the
    rest float64, as in the program.
    """
    t = np.float32(sample) * np.float32(counts.sum())
    n = np.maximum(counts, 1)  # only a sentence end can have count 0, and nobody asks for it
    root = np.sqrt((n.astype(np.float32) / t).astype(np.float64))
    return ((root + 1) * np.float64(t) / n).astype(np.float32)


def noise_places(counts: np.ndarray) -> np.ndarray:
    """Where each word's run ends in the program's noise table, (V,) int64.

    The program fills 10^8 places with word numbers, 400 MB: it goes on to the
    next word after the first place a with a / 10^8 > the share of all words so
    far (count^.75, summed in float64).  The last place of each run says the same:
    the word at a place is the first one whose last place is not before it.

    >>> noise_places(np.array([1, 16]))
    array([ 11111112, 100000000])
    """
    power = np.array([math.pow(n, 0.75) for n in counts.tolist()])
    share = np.cumsum(power / np.cumsum(power)[-1])
    last = np.maximum(np.floor(share * PLACES).astype(np.int64) - 2, 0)
    for _ in range(5):  # to the exact place, by the program's own comparison
        last += last / PLACES <= share
    order = np.arange(len(counts))
    last = np.maximum.accumulate(last - order) + order  # every word has a place
    last[-1] = PLACES
    return last
