"""Skip-gram and CBOW with the exact softmax: `npssl.tasks.skip_gram` under the usual step.

Every pair costs the scores of all words, so this is for small vocabularies, and
for comparison.  A step is some hundred words of text and one step of Adam, whose
learning rate is a tenth of ``alpha``.
"""

from __future__ import annotations

import numpy as np

from npssl.data.corpus import Corpus
from npssl.kernels import draws
from npssl.optim import AdamW, linear
from npssl.params import Params
from npssl.tasks.skip_gram import SkipGram
from npssl.train import gradient_step, state_of

PIECE = 300  # ids in a step
PART = 0.1  # of alpha: a step of Adam moves every row that it touches


class Exact:
    """What `npssl.train.train` needs; the interface of `npssl.jobs.epochs.Epochs`."""

    def __init__(self, corpus: Corpus, held, model, *, bags=None, rows=None):
        self.corpus, self.held, self.model = corpus, held, model
        self.task = SkipGram(
            counts=corpus.vocabulary.counts,
            dim=model.dim,
            window=model.window,
            sample=model.sample,
            objective="softmax",
            cbow=model.cbow,
            subwords=bags,
            arrow="paper" if model.variant == "paper" else "word2vec.c",
        )
        self.params = Params(self.task.spec())
        self.input, self.output = self.params.tree.input, self.params.tree.output
        optimizer = AdamW(self.params, decay=0.0)
        self._cuts = corpus.cuts(PIECE)
        self.pieces = len(self._cuts) - 1
        self.steps = self.pieces * model.epochs
        self.tally = np.zeros(2)
        self.state = {**state_of(self.params, optimizer), "tally": self.tally}
        self._step = gradient_step(
            self.task,
            self._batch,
            self.params,
            optimizer,
            linear(model.alpha * PART, self.steps),
            seed=draws.key(model.seed),
        )

    def draw(self) -> None:
        """First values."""
        fresh = Params(self.task.spec(), np.random.default_rng(self.model.seed))
        self.params.flat[:] = fresh.flat

    def step(self, k: int) -> dict:
        """One piece of the text."""
        number, piece = divmod(k, self.pieces)
        if piece == 0:
            self.tally[:] = 0
        row = {"epoch": number + 1, **self._step(k), "words": int((self._batch(k) >= 0).sum())}
        self.tally += row["loss"] * row["words"], row["words"]
        if piece == self.pieces - 1:
            row["epoch_loss"] = float(self.tally[0] / max(self.tally[1], 1))
            if len(self.held):
                row["held_out_loss"] = self.evaluate(self.held)
        return row

    def evaluate(self, ids) -> float:
        """Mean nats per positive pair on other text."""
        total, pairs = 0.0, 0
        for part in np.split(ids, np.flatnonzero(ids < 0)[:-1] + 1):
            x, y = self.task.split(part)
            value, _ = self.task.loss(self.params.tree, x, y)
            total, pairs = total + float(value) * len(y[0]), pairs + len(y[0])
        return total / max(pairs, 1)

    def _batch(self, k):
        start, stop = self._cuts[k % self.pieces :][:2]
        return self.corpus.read(int(start), int(stop))

    def close(self) -> None:
        """Nothing to end."""
