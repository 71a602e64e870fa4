"""Runs that measure the alarms: none was run before the thresholds were chosen.

Written down as `planted.py` is, after the last change of a threshold, and first run after that.
Other data, other encoders, other losses and options, and other ways to spoil a run than there.
"""

from dataclasses import replace

import numpy as np
from planted import Planted, bars, dead, sentences, shuffled, simcse, voices

from npssl.data.speech import Speech
from npssl.layers.similarity import unit
from npssl.losses.pair import pair
from npssl.tasks.cpc import Cpc
from npssl.tasks.drlim import Drlim
from npssl.tasks.metric_learning import MetricLearning
from npssl.tasks.simcse import SimCSE

# data ---------------------------------------------------------------------------------------------

SIDE = 8


def gratings(classes=8, each=4, noise=0.3, shared=True):
    """Waves whose direction and length are those of the class; the phase is any."""

    def data(seed, k):
        rng = np.random.default_rng([seed, k, 7])
        own = np.random.default_rng([seed, 8]).uniform(-1.5, 1.5, (classes, 1, 2, 1, 1))
        if not shared:
            own = rng.uniform(-1.5, 1.5, (classes, each, 2, 1, 1))
        i, j = np.mgrid[:SIDE, :SIDE]
        phase = rng.uniform(0, 1, (classes, each, 1, 1))
        t = np.sin(own[:, :, 0] * i + own[:, :, 1] * j + phase)
        return (t + noise * rng.normal(size=t.shape)).astype(np.float32)

    return data


def templates(classes=8, each=4, flip=0.05):
    """Black and white pictures of which some pixels are turned over."""

    def data(seed, k):
        rng = np.random.default_rng([seed, k, 7])
        own = np.random.default_rng([seed, 8]).random((classes, 1, SIDE, SIDE)) < 0.5
        turned = rng.random((classes, each, SIDE, SIDE)) < flip
        return (2.0 * (own ^ turned) - 1).astype(np.float32)

    return data


def instances(many=32, noise=0.3):
    """No classes: new points in each batch, and two noisy views of each."""

    def data(seed, k):
        rng = np.random.default_rng([seed, k, 7])
        own = rng.normal(size=(many, 1, SIDE, SIDE))
        return (own + noise * rng.normal(size=(many, 2, SIDE, SIDE))).astype(np.float32)

    return data


def one_class(seed, k):
    """Points of a single class that is taken for eight."""
    return gratings(1, 32)(seed, k).reshape(8, 4, SIDE, SIDE)


def twice(seed, k):
    """Each picture stands in the batch under two classes."""
    return np.repeat(templates(4)(seed, k), 2, 0)


def split_classes(classes=8, each=4):
    """Four true classes, each taken for two."""
    labels = lambda seed, k: np.repeat(np.arange(classes) // 2, each)

    def data(seed, k):
        return gratings(classes // 2, 2 * each)(seed, k).reshape(classes, each, SIDE, SIDE)

    return {"data": data, "labels": labels}


def partners(related=True, opposites=False):
    """Texts and the same tokens in another order, or unrelated texts; perhaps opposites."""

    def data(seed, k):
        rng = np.random.default_rng([seed, k, 7])
        (ids, none, mask), *_ = sentences()(seed, k)
        partner = rng.permuted(ids, axis=1) if related else rng.integers(1, 30, ids.shape)
        sets = [ids, partner, *([rng.integers(1, 30, ids.shape)] if opposites else [])]
        return tuple((one, none, mask) for one in sets)

    return data


def walks(moves=True, batch=8, length=24, width=8):
    """Sequences of vectors that go round slowly, or that are drawn anew in each step."""

    def data(seed, k):
        rng = np.random.default_rng([seed, k, 7])
        noise = rng.normal(size=(batch, length, width))
        if not moves:
            return noise.astype(np.float32)
        speed, phase = rng.uniform(0.1, 0.6, (2, batch, 1, width))
        t = np.sin(speed * np.arange(length)[:, None] + 10 * phase)
        return (t + 0.1 * noise).astype(np.float32)

    return data


# what goes wrong ----------------------------------------------------------------------------------


class Weak(MetricLearning):
    """Negatives push a hundred times less than they should."""

    def judge(self, z, y):
        value, back_value = super().judge(z, y)
        u, back_unit = unit(z)
        pull = (u - u.mean(0)) * (2 / len(z))
        return value, lambda dvalue=1.0: back_unit(dvalue * pull) + 0.01 * back_value(dvalue)


class Ascent(MetricLearning):
    """The gradient has the wrong sign."""

    def judge(self, z, y):
        value, back = super().judge(z, y)
        return value, lambda dvalue=1.0: back(-dvalue)


class Friends(MetricLearning):
    """Pairs that are all positive."""

    def judge(self, z, y):
        u, back_unit = unit(z)
        index = np.argwhere(np.triu(np.ones((len(y), len(y)), bool), 1))
        value, back = pair(u, index=index, same=np.ones(len(index), bool))
        return value, lambda dvalue=1.0: back_unit(back(dvalue))


class Muted(MetricLearning):
    """A third of the columns is always 0."""

    def embed(self, p, x):
        z, back = super().embed(p, x)
        on = (np.arange(self.dim) % 3 > 0).astype(z.dtype)
        return z * on, lambda dz, g: back(dz * on, g)


class AllNear(Drlim):
    """Pairs that are all called near."""

    def split(self, t, rng=None):
        x, same = super().split(t, rng)
        return x, np.ones_like(same)


def dead_blocks(params, rng):
    """No picture wakes a channel of the last block."""
    params.tree.blocks[-1].shift[:] = -100
    params.tree.head.b[:] = rng.normal(size=params.tree.head.b.shape)


def one_point(params, rng):
    """All embeddings begin as one vector."""
    params.tree[1].w[:] = 0
    params.tree[1].b[:] = rng.normal(size=params.tree[1].b.shape)


# the runs -----------------------------------------------------------------------------------------


def mlp(kind, task=MetricLearning, widths=(48,), miner="all", dim=24, **options):
    """A perceptron of pictures."""
    return task(kind, SIDE, "mlp", widths, dim=dim, miner=miner, options=options)


def conv(kind, task=MetricLearning, miner="all", dim=16, **options):
    """A convolutional encoder of pictures."""
    return task(kind, SIDE, "conv", (8, 16), dim=dim, miner=miner, options=options)


SPEECH = voices(Speech(phones=6, speakers=4, seed=3))
VOICES = dict(width=16, context=24, ahead=3)
WALKER = Cpc(8, (1,), (1,), width=16, context=24, ahead=2)

NO_DROPOUT = SimCSE(replace(simcse().encoder, rate=0.0))

MEASURING = [
    Planted("conv, triplet semi-hard", False, conv("triplet", miner="semi-hard"), gratings()),
    Planted("conv, sup-con", False, conv("sup-con", temperature=0.3), gratings()),
    Planted("conv, n-pair", False, conv("n-pair"), gratings()),
    Planted("conv, nt-xent, temperature 1", False, conv("nt-xent", temperature=1.0), gratings()),
    Planted("lifted", False, mlp("lifted"), templates()),
    Planted("soft-nn, temperature 0.5", False, mlp("soft-nn", temperature=0.5), templates()),
    Planted("nt-xent, temperature 0.05", False, mlp("nt-xent", temperature=0.05), templates()),
    Planted("info-nce, both ways, 64 classes", False, mlp("info-nce", symmetric=True), templates(64, 2)),
    Planted("info-nce, instances", False, mlp("info-nce"), instances()),
    Planted("nt-xent, instances, right labels", False, mlp("nt-xent"), instances(), labels=lambda seed, k: np.arange(64) // 2),
    Planted("pair, chopra", False, mlp("pair", form="chopra", margin=4.0), templates()),
    Planted("pair, margin 0.5, 12 classes", False, mlp("pair", margin=0.5), templates(12)),
    Planted("triplet, soft-plus, batch-hard", False, mlp("triplet", miner="batch-hard", form="softplus"), templates()),
    Planted("triplet, margin 0.5, dim 64", False, mlp("triplet", margin=0.5, dim=64), templates()),
    Planted("triplet, three classes", False, mlp("triplet"), templates(3)),
    Planted("sup-con, two classes", False, mlp("sup-con"), templates(2, 8)),
    Planted("sup-con, 1,500 steps", False, mlp("sup-con"), templates(), steps=1500),
    Planted("info-nce, 40 steps", False, mlp("info-nce"), templates(), steps=40),
    Planted("drlim, near 2, margin 2", False, Drlim(4, 16, hidden=32, near=2, margin=2.0), bars(40, 4, 16)),
    Planted("simcse, [CLS], partners", False, simcse(pool="cls"), partners(), lr=1e-3, steps=150),
    Planted("simcse, opposites", False, simcse(temperature=0.1, hard=0.5), partners(opposites=True), lr=1e-3, steps=150),
    Planted("cpc, negatives same", False, Cpc(1, (10, 8, 4), (5, 4, 2), negatives="same", **VOICES), SPEECH, steps=250),
    Planted("cpc, negatives others", False, Cpc(1, (10, 8, 4), (5, 4, 2), negatives="others", **VOICES), SPEECH, steps=250),
    Planted("cpc, walks", False, WALKER, walks()),
    Planted("conv, lifted, hardly pushes", True, conv("lifted", Weak), gratings()),
    Planted("info-nce, hardly pushes", True, mlp("info-nce", Weak), templates()),
    Planted("pair, all are positive", True, mlp("pair", Friends), templates()),
    Planted("drlim, all are near", True, AllNear(4, 16, hidden=32, near=2), bars(40, 4, 16)),
    Planted("conv, n-pair, wrong sign", True, conv("n-pair", Ascent), gratings()),
    Planted("triplet, wrong sign", True, mlp("triplet", Ascent), templates()),
    Planted("conv, nt-xent, nothing shared", True, conv("nt-xent"), gratings(shared=False)),
    Planted("simcse, unrelated partners", True, simcse(), partners(related=False), lr=1e-3, steps=150),
    Planted("cpc, white noise", True, WALKER, walks(moves=False)),
    Planted("sup-con, one class for eight", True, mlp("sup-con"), one_class),
    Planted("triplet, classes split in two", True, mlp("triplet", miner="semi-hard"), **split_classes()),
    Planted("info-nce, labels shuffled", True, mlp("info-nce"), **shuffled(templates())),
    Planted("sup-con, temperature 100", True, mlp("sup-con", temperature=100.0), templates()),
    Planted("soft-nn, temperature 1,000", True, mlp("soft-nn", temperature=1000.0), templates()),
    Planted("info-nce, temperature 0.001", True, mlp("info-nce", temperature=0.001), instances(noise=2.0)),
    Planted("simcse, temperature 50", True, simcse(temperature=50.0), partners(), lr=1e-3, steps=150),
    Planted("conv, triplet, dead channels", True, conv("triplet"), gratings(), start=dead_blocks),
    Planted("lifted, dead units", True, mlp("lifted"), templates(), start=dead),
    Planted("sup-con, dead columns", True, mlp("sup-con", Muted), templates()),
    Planted("batch-hard, constant input", True, mlp("triplet", miner="batch-hard"), lambda seed, k: np.zeros((8, 4, SIDE, SIDE), np.float32)),
    Planted("semi-hard, begins as one point", True, mlp("triplet", miner="semi-hard"), templates(), start=one_point),
    Planted("n-pair, bottleneck of one", True, mlp("n-pair", widths=(48, 1)), templates()),
    Planted("nt-xent, pictures twice", True, mlp("nt-xent"), twice),
    Planted("simcse, no dropout", True, NO_DROPOUT, sentences(), lr=1e-3, steps=150),
    Planted("drlim, learning rate 5", True, Drlim(4, 16, hidden=32, near=2), bars(40, 4, 16), lr=5.0),
    Planted("cpc, learning rate 0.5", True, WALKER, walks(), lr=0.5),
]  # fmt: skip
