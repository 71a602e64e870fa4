"""Pre-training BERT from a text: hidden words, and whether one text follows the other.

Devlin, Chang, Lee & Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for
Language Understanding", 2019, arXiv:1810.04805, section 3.1 and appendix A.2.  The published
code writes its instances once, each text with 10 fixed draws of hidden words
(``dupe_factor``); here each step draws anew, unless ``copies`` says how many.

BERT saw 128 tokens first and 512 in the last tenth of its steps.  Small models gain more by the
same thought: among 128 vectors that say little yet, attention finds no neighbour for thousands
of steps, among 16 within hundreds.  So pairs grow from `SHORTEST` tokens to ``length``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from npssl.data.pairs import Pairs, pair_batch
from npssl.data.token_store import (
    articles,
    last_documents,
    lines,
    read_documents,
    write_documents,
)
from npssl.data.wordpiece import SPECIALS, WordPiece
from npssl.jobs.pretraining import (
    FIRST,
    HELD_OUT,
    PAIRS,
    Frequencies,
    Pretrained,
    fit,
    names,
    positive,
    read_tokenizer,
    save_tokenizer,
    workplace,
)
from npssl.losses.cross_entropy import cross_entropy
from npssl.models.transformer import preset as sizes
from npssl.params import Params
from npssl.tasks.masked_lm import MaskedLM
from npssl.tasks.next_sentence import Bert

STRETCH = 64  # batches whose pairs are drawn and shuffled together
SHORTEST = 16  # tokens of the first pairs


def train_bert(
    corpus,
    *,
    valid=None,
    preset: str = "bert-tiny",
    vocabulary: int = 8000,
    lowercase: bool = True,
    length: int = 64,
    batch: int = 64,
    steps: int = 1500,
    lr: float = 3e-3,
    warmup: int | None = None,
    decay: float = 0.01,
    clip: float | None = 1.0,
    shortest: int = SHORTEST,
    dropout: float = 0.0,
    mask_rate: float = 0.15,
    hidden: float = 0.8,
    swapped: float = 0.1,
    next_weight: float = 1.0,
    tied: bool = True,
    copies: int | None = None,
    held: int = 50,
    seed: int = 0,
    run=None,
    resume: bool = False,
    save_seconds: float = 60.0,
    progress: bool = True,
) -> Pretrained:
    """Learn a vocabulary and a BERT from a text, which may be larger than memory.

    Parameters
    ----------
    corpus : path, or list of paths      one paragraph a line; documents as
                                         `npssl.data.token_store.articles` finds them
    valid : path or list, optional       the text to measure on; without it the last 5 % of
                                         the documents are held out
    preset : str                         sizes, as in `npssl.models.transformer.preset`
    vocabulary : int                     pieces to learn
    lowercase : bool
    length, batch, steps : int           tokens of a pair at most, pairs a step, steps
    lr, warmup, decay, clip              see `npssl.optim`; warmup in steps, None: a tenth
    shortest : int                       tokens of the first pairs; they double, in equal parts
                                         of the steps, up to ``length``, and a batch has fewer,
                                         so that its tokens stay as many.  ``length``: no growth
    dropout : float                      0: a small model does not learn much text by heart
    mask_rate, hidden, swapped : float   as in `npssl.data.masking.mask`
    next_weight : float                  of the second task
    tied : bool                          hidden words are told by the table of the embeddings
    copies : int, optional               go through the text in so many fixed draws of pairs
                                         and of hidden words, as the published code does
    held : int                           batches to measure on, at most
    seed : int                           of all draws
    run : path, optional                 the folder for the model and its training
    resume : bool                        go on with the run in this folder
    save_seconds : float                 time between checkpoints
    progress : bool                      show a bar

    Returns
    -------
    Pretrained
        whose ``scores`` are ``accuracy`` and ``nats`` a hidden word, ``next_accuracy``, and
        ``unigram_accuracy`` and ``unigram_nats`` on the same words.

    Notes
    -----
    For the scores 15 % of the tokens are hidden, each by [MASK], whatever was trained: so
    nothing can be copied, and models trained in different ways answer the same questions.

    With one thread the same settings give the same bytes, also after a kill and a resume.
    """
    positive(length=length, batch=batch, steps=steps, held=held, shortest=shortest)
    if copies is not None:
        positive(copies=copies)
    config = {
        "job": "bert",
        "corpus": names(corpus),
        "valid": valid and names(valid),
        "preset": preset,
        "vocabulary": vocabulary,
        "lowercase": lowercase,
        "length": length,
        "batch": batch,
        "steps": steps,
        "lr": lr,
        "warmup": warmup,
        "decay": decay,
        "clip": clip,
        "shortest": shortest,
        "dropout": dropout,
        "mask_rate": mask_rate,
        "hidden": hidden,
        "swapped": swapped,
        "next_weight": next_weight,
        "tied": tied,
        "copies": copies,
        "seed": seed,
    }
    with workplace(run, config, resume=resume, save_seconds=save_seconds) as (log, folder, place):
        words, learn, keep = _read(corpus, valid, vocabulary, lowercase, folder, place, resume)
        encoder = sizes(preset, len(words), context=max(length, 128), rate=dropout)
        form = dict(weight=next_weight, tied=tied)
        task = bert_task(encoder, words, rate=mask_rate, hidden=hidden, swapped=swapped, **form)
        params, frequencies = begin(task, learn, len(words), seed)

        def make(longest, pairs):
            batches = PairBatches(Pairs(learn, longest=longest), words, batch=pairs, seed=seed)
            if copies is None:
                return batches
            return FixedCopies(task, batches, copies * len(learn[0]) // (pairs * longest), seed)

        batches = growing(make, length, shortest, batch, steps)
        seconds = fit(
            task if copies is None else Given(task),
            batches,
            params,
            steps=steps,
            lr=lr,
            warmup=warmup,
            decay=decay,
            clip=clip,
            seed=seed,
            tokens=lambda t: int((_ids(t) != words.pad_id).sum()),
            run=log,
            progress=progress,
        )
        measured = held_batches(Pairs(keep, longest=length), words, batch=batch, most=held)
        asks = bert_task(encoder, words, hidden=1.0, swapped=0.0, **form)
        scores = score(asks, params, measured, frequencies)
        found = Pretrained(task, params, words, scores, run and Path(run), seconds)
        if run is not None:
            found.save(run)
    return found


def bert_task(
    encoder, words: WordPiece, *, rate=0.15, hidden=0.8, swapped=0.1, weight=1.0, tied=True
) -> Bert:
    """Both tasks for an encoder and a vocabulary with BERT's five specials."""
    special = {name: words.ids[name] for name in SPECIALS}
    return Bert(
        MaskedLM(
            encoder,
            mask_id=special["[MASK]"],
            pad_id=special["[PAD]"],
            special=tuple(special.values()),
            rate=rate,
            hidden=hidden,
            swapped=swapped,
            tied=tied,
        ),
        weight,
    )


def begin(task: Bert, learn, vocabulary: int, seed: int) -> tuple[Params, Frequencies]:
    """The parameters before the first step, and how frequent words are.

    The decoder's bias is the log-frequency of each word: no step is needed to learn it.
    """
    params = Params(task.spec(), np.random.default_rng([seed, 0, FIRST]))
    frequencies = Frequencies(learn[0], vocabulary)
    params.tree.words.bias[...] = frequencies.logp - frequencies.logp.mean()
    return params, frequencies


def growing(make: Callable, length: int, shortest: int, batch: int, steps: int) -> Callable:
    """Batch k of pairs that grow from ``shortest`` to ``length`` tokens, as a function of k.

    ``make(longest, pairs)`` gives the batches of one length, as a function of k too.
    """
    lengths = [length]
    while lengths[0] > shortest:
        lengths.insert(0, max(shortest, (lengths[0] + 1) // 2))
    parts = [make(longest, batch * length // longest) for longest in lengths]
    return lambda k: parts[min(k * len(parts) // steps, len(parts) - 1)](k)


class PairBatches:
    """Batch k of pairs, a function of (seed, k) alone.

    The pairs of `STRETCH` batches are drawn together from documents in random order and
    shuffled, so that those of one document are rarely in one batch.
    """

    def __init__(self, pairs: Pairs, words: WordPiece, *, batch: int, seed: int):
        self.pairs, self.words, self.batch, self.seed = pairs, words, batch, seed
        self._stretch, self._drawn = -1, []  # type: tuple[int, list]

    def __call__(self, k: int) -> dict:
        stretch, place = divmod(k, STRETCH)
        if stretch != self._stretch:
            rng = np.random.default_rng([self.seed, stretch, PAIRS])
            drawn = list(islice(_endless(self.pairs, rng), STRETCH * self.batch))
            self._drawn = [drawn[i] for i in rng.permutation(len(drawn))]
            self._stretch = stretch
        rows = self._drawn[place * self.batch : (place + 1) * self.batch]
        return _batch(rows, self.words, self.pairs.longest)


@dataclass(frozen=True)
class Given:
    """A task whose batches are split already."""

    task: Bert

    def spec(self):
        """Parameters of the task."""
        return self.task.spec()

    def split(self, t, rng=None):
        """What is there."""
        return t

    def loss(self, p, x, y, rng=None):
        """That of the task."""
        return self.task.loss(p, x, y, rng=rng)


@dataclass(frozen=True)
class FixedCopies:
    """Batches that come again after ``period`` steps, with the same words hidden."""

    task: Bert
    batches: Callable[[int], dict]
    period: int
    seed: int

    def __call__(self, k: int):
        k %= max(1, self.period)
        return self.task.split(self.batches(k), np.random.default_rng([self.seed, k, FIRST]))


def held_batches(pairs: Pairs, words: WordPiece, *, batch: int, most: int) -> list[dict]:
    """Batches of pairs to measure on: the same at every call, and for every seed of training.

    They are chosen at random from more pairs, so that no document has many of them.
    """
    rng = np.random.default_rng(0)
    drawn = list(islice(pairs.draw(rng), 8 * most * batch))
    rows = [drawn[i] for i in rng.permutation(len(drawn))[: most * batch]]
    starts = range(0, len(rows), batch)
    return [_batch(rows[i : i + batch], words, pairs.longest) for i in starts]


def asked(task: Bert, batches: Iterable[dict]) -> Iterator[tuple]:
    """The batches with words hidden, (x, y) as `Bert.split` gives them; always the same words."""
    for k, t in enumerate(batches):
        yield task.split(t, np.random.default_rng([0, k, FIRST]))


def score(task: Bert, params: Params, batches: Iterable[dict], baseline: Frequencies) -> dict:
    """How well hidden words and next sentences are told, and hidden words by a baseline."""
    p, right, nats, nexts, pairs = params.tree, 0, 0.0, 0, 0
    truth = []
    for x, (where, word, is_next) in asked(task, batches):
        h, _ = task.encode(p, x)
        guesses, _ = task.words.decode(p.words, h, where)
        right += int((guesses.argmax(-1) == word).sum())
        nats += float(cross_entropy(guesses, target=word)[0]) * len(word)
        verdict, _ = task.pair(p, h)
        nexts += int((verdict.argmax(-1) == is_next).sum())
        pairs += len(is_next)
        truth.append(word)
    words = np.concatenate(truth) if truth else np.zeros(0, np.int64)
    if not len(words):
        raise ValueError("valid: expected text with pairs of sentences, found none")
    return {
        "accuracy": right / len(words),
        "nats": nats / len(words),
        "next_accuracy": nexts / pairs,
        "unigram_accuracy": baseline.accuracy(words),
        "unigram_nats": baseline.nats(words),
        "words": len(words),
        "pairs": pairs,
    }


def _read(corpus, valid, vocabulary, lowercase, folder, place, resume):
    """The vocabulary, and the documents to learn from and to measure on, as ids on the disk."""
    if resume and (folder / "vocab.txt").exists():
        words = read_tokenizer(folder)
    else:
        words = WordPiece.train(lines(corpus), vocabulary, lowercase=lowercase)
        save_tokenizer(folder, words)
    found = []
    for name, source in (("learn", corpus), ("keep", valid)):
        if source is not None:
            path = place / name
            path.mkdir(exist_ok=True)
            if not (resume and (path / "documents").exists()):
                write_documents(path, articles(lines(source)), words)
            found.append(read_documents(path))
    learn, keep = found if len(found) == 2 else last_documents(found[0], HELD_OUT)
    return words, learn, keep


def _ids(t):
    """The ids of a batch, whether it is split already or not."""
    return t["ids"] if isinstance(t, dict) else t[0][0]


def _endless(pairs, rng):
    while True:
        some = False
        for pair in pairs.draw(rng):
            some = True
            yield pair
        if not some:
            raise ValueError("corpus: expected documents with two tokens or more, found none")


def _batch(rows, words, longest):
    return pair_batch(
        rows, cls_id=words.cls_id, sep_id=words.sep_id, pad_id=words.pad_id, longest=longest
    )
