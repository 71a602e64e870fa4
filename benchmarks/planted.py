"""Runs of contrastive learning that are known to be right or wrong, to tune the alarms on.

A run is what is trained, on what, and how; it is bad if something was spoiled on purpose, and
that alone decides, not its figures.  `planted_measuring.py` has the runs that measure.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from npssl.data.speech import Speech
from npssl.jobs.watching import told
from npssl.layers.similarity import unit
from npssl.models.transformer import bert
from npssl.optim import AdamW, constant
from npssl.params import Params
from npssl.tasks.cpc import Cpc
from npssl.tasks.drlim import Drlim
from npssl.tasks.metric_learning import MetricLearning
from npssl.tasks.simcse import SimCSE
from npssl.train import Diverged, gradient_step, state_of, train


class Planted(NamedTuple):
    """A task, its batches ``data(seed, k)``, and what is done to them."""

    name: str
    bad: bool
    task: object
    data: Callable
    lr: float = 2e-3
    steps: int = 300
    start: Callable | None = None  # changes the first parameters
    labels: Callable | None = None  # true classes, ``labels(seed, k)``

    def __call__(self, seed: int) -> dict:
        """Train; what is told at the end.  A run that the loop itself stops is told."""
        params = Params(self.task.spec(), np.random.default_rng([seed, 3]))
        if self.start:
            self.start(params, np.random.default_rng([seed, 4]))
        batches = lambda k: self.data(seed, k)
        optimizer = AdamW(params, decay=0.0)
        step = gradient_step(self.task, batches, params, optimizer, constant(self.lr), seed=seed)
        try:
            for _ in train(step, state_of(params, optimizer), steps=self.steps):
                pass
        except Diverged as error:
            return {"alarms": [{"name": "stopped by the loop", "cause": str(error)}], "notes": []}
        label = self.labels(seed, self.steps) if self.labels else None
        return told(self.task, params, batches(self.steps), seed=seed, k=self.steps, label=label)


# data ---------------------------------------------------------------------------------------------

SIDE = 4  # a point has SIDE^2 numbers


def clusters(classes=8, each=4, noise=0.3, shared=True):
    """Points about centres; ``shared=False``: those of a class have nothing in common."""

    def data(seed, k):
        rng = np.random.default_rng([seed, k, 2])
        centres = np.random.default_rng([seed, 1]).normal(size=(classes, 1, SIDE, SIDE))
        own = centres if shared else rng.normal(size=(classes, each, SIDE, SIDE))
        return (own + noise * rng.normal(size=(classes, each, SIDE, SIDE))).astype(np.float32)

    return data


def shuffled(data):
    """The same points under wrong classes, and the true ones."""

    def order(t, seed, k):
        return np.random.default_rng([seed, k, 5]).permutation(t.shape[0] * t.shape[1])

    def spoiled(seed, k):
        t = data(seed, k)
        return t.reshape(-1, *t.shape[2:])[order(t, seed, k)].reshape(t.shape)

    def labels(seed, k):
        t = data(seed, k)
        return np.repeat(np.arange(t.shape[0]), t.shape[1])[order(t, seed, k)]

    return {"data": spoiled, "labels": labels}


def sentences(batch=16, length=8, vocab=30):
    """Texts of random tokens."""

    def data(seed, k):
        ids = np.random.default_rng([seed, k, 2]).integers(1, vocab, (batch, length))
        return ((ids, np.zeros_like(ids), np.ones(ids.shape, bool)),)

    return data


def voices(speech, batch=8, samples=1000):
    """Waves of a language."""
    draw = lambda seed, k: speech.draw(batch, samples, np.random.default_rng([seed, k, 2]))
    return lambda seed, k: draw(seed, k)[0][..., None]


def bars(batch=32, height=6, width=12):
    """Pictures of one bright bar, each with its own noise."""

    def data(seed, k):
        t = 0.2 * np.random.default_rng([seed, k, 2]).random((batch, height, width))
        t[:, :, 2:5] += 0.8
        return t.astype(np.float32)

    return data


# what goes wrong ----------------------------------------------------------------------------------


class Pull(MetricLearning):
    """A gradient without its negatives: the value is right, but nothing pushes apart."""

    def judge(self, z, y):
        value, _ = super().judge(z, y)
        u, back_unit = unit(z)
        centred = u - u.mean(0)
        return value, lambda dvalue=1.0: back_unit(centred * (2 * dvalue / len(z)))


def dead(params, rng):
    """No input ever wakes a hidden unit."""
    params.tree[0].b[:] = -100
    params.tree[1].b[:] = rng.normal(size=params.tree[1].b.shape)


# the runs -----------------------------------------------------------------------------------------


def metric(kind, task=MetricLearning, widths=(32,), miner="all", dim=16, **options):
    """A perceptron of points."""
    return task(kind, SIDE, "mlp", widths, dim=dim, miner=miner, options=options)


def simcse(**options):
    """A small encoder of texts."""
    return SimCSE(bert(30, 16, 1, 2, 16, rate=0.1), **options)


CPC = Cpc(1, (10, 8, 4), (5, 4, 2), width=16, context=24, ahead=3)

TUNING = [
    Planted("triplet, all", False, metric("triplet"), clusters()),
    Planted("triplet, semi-hard", False, metric("triplet", miner="semi-hard"), clusters()),
    Planted("triplet, batch-hard", False, metric("triplet", miner="batch-hard"), clusters(noise=0.6)),
    Planted("triplet, all, much noise", False, metric("triplet"), clusters(noise=1.5)),
    Planted("sup-con", False, metric("sup-con"), clusters()),
    Planted("sup-con, two dimensions", False, metric("sup-con", dim=2), clusters()),
    Planted("info-nce", False, metric("info-nce"), clusters(32, 2)),
    Planted("nt-xent, little noise", False, metric("nt-xent", temperature=0.2), clusters(noise=0.02)),
    Planted("n-pair", False, metric("n-pair"), clusters()),
    Planted("pair, two classes", False, metric("pair"), clusters(2, 8)),
    Planted("soft-nn", False, metric("soft-nn"), clusters(noise=0.6)),
    Planted("drlim", False, Drlim(6, 12, hidden=32, near=1), bars()),
    Planted("simcse", False, simcse(), sentences(), lr=1e-3, steps=150),
    Planted("cpc", False, CPC, voices(Speech()), steps=150),
    Planted("triplet, nothing pushes", True, metric("triplet", Pull), clusters(), lr=5e-3),
    Planted("semi-hard, nothing pushes", True, metric("triplet", Pull, miner="semi-hard"), clusters(), lr=5e-3),
    Planted("pair, nothing pushes", True, metric("pair", Pull), clusters()),
    Planted("batch-hard, much noise", True, metric("triplet", miner="batch-hard"), clusters(noise=1.5)),
    Planted("info-nce, nothing shared", True, metric("info-nce"), clusters(shared=False)),
    Planted("info-nce, one view twice", True, metric("info-nce"), clusters(noise=0)),
    Planted("nt-xent, temperature 50", True, metric("nt-xent", temperature=50.0), clusters()),
    Planted("nt-xent, dead units", True, metric("nt-xent"), clusters(), start=dead),
    Planted("soft-nn, bottleneck of one", True, metric("soft-nn", widths=(32, 1)), clusters()),
    Planted("sup-con, labels shuffled", True, metric("sup-con"), **shuffled(clusters())),
    Planted("drlim, learning rate 1", True, Drlim(6, 12, hidden=32, near=1), bars(), lr=1.0),
    Planted("simcse, same mask", True, simcse(same_mask=True), sentences(), lr=1e-3, steps=150),
    Planted("simcse, learning rate 0.3", True, simcse(), sentences(), lr=0.3, steps=150),
    Planted("cpc, constant input", True, CPC, lambda seed, k: np.ones((8, 1000, 1), np.float32), steps=100),
]  # fmt: skip
