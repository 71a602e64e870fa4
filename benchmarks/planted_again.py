"""A second fresh set that measures the alarms, of handwritten digits where it can be.

Written after the first (`planted_measuring.py`) was run and without a change of the alarms:
there two kinds of SimCSE had been called right that had learnt next to nothing in their 150
steps.  Here texts differ from their partners by one token, and are trained for longer.
"""

from dataclasses import replace
from functools import cache

import numpy as np
from planted import Planted, Pull, dead, sentences, simcse, voices
from planted_measuring import AllNear, Ascent, Friends, Muted, Weak, one_point, partners, walks

from npssl.data.idx import read_idx
from npssl.data.sets import path
from npssl.data.speech import Speech
from npssl.tasks.cpc import Cpc
from npssl.tasks.drlim import Drlim
from npssl.tasks.metric_learning import MetricLearning


@cache
def mnist():
    """Pictures from 0 to 1, and the rows of each digit."""
    label = read_idx(path("mnist/train-labels-idx1-ubyte"))
    images = read_idx(path("mnist/train-images-idx3-ubyte"))
    return images, [np.flatnonzero(label == c) for c in range(10)]


def digits(classes=10, each=4, related=True):
    """Pictures of each digit, or a class of any digits."""

    def data(seed, k):
        rng = np.random.default_rng([seed, k, 9])
        images, rows = mnist()
        if related:
            chosen = [rng.choice(rows[c], each, replace=False) for c in range(classes)]
        else:
            chosen = rng.choice(len(images), (classes, each), replace=False)
        return images[np.array(chosen)].astype(np.float32) / 255

    return data


def right(seed, k):
    """The true digits of `digits`."""
    return np.repeat(np.arange(10), 4)


def mixed(seed, k):
    """`digits`, each under any class."""
    t = digits()(seed, k)
    return t.reshape(-1, 28, 28)[_order(seed, k)].reshape(t.shape)


def _order(seed, k):
    return np.random.default_rng([seed, k, 10]).permutation(40)


def moved(seed, k):
    """No classes: any digits, each twice, moved by up to two pixels."""
    rng = np.random.default_rng([seed, k, 11])
    t = np.repeat(digits(24, 1, related=False)(seed, k), 2, 1)
    shift = rng.integers(-2, 3, (24, 2, 2))
    return np.stack([[np.roll(a, s, (0, 1)) for a, s in zip(*row)] for row in zip(t, shift)])


def fours(seed, k):
    """Pictures of one digit."""
    rng = np.random.default_rng([seed, k, 9])
    images, rows = mnist()
    return images[rng.choice(rows[4], 48, replace=False)].astype(np.float32) / 255


def scans(blank=False):
    """Pictures as rows from top to bottom."""
    return lambda seed, k: (0 if blank else 1) * digits(16, 1, related=False)(seed, k)[:, 0] - 0.13


def near_texts(seed, k):
    """Texts, and the same with one token changed."""
    rng = np.random.default_rng([seed, k, 12])
    ((ids, none, mask),) = sentences()(seed, k)
    partner = ids.copy()
    partner[np.arange(len(ids)), rng.integers(0, ids.shape[1], len(ids))] = rng.integers(1, 30)
    return (ids, none, mask), (partner, none, mask)


def mlp(kind, task=MetricLearning, widths=(64,), miner="all", dim=32, **options):
    """A perceptron of digits."""
    return task(kind, 28, "mlp", widths, dim=dim, miner=miner, options=options)


LONG = dict(lr=1e-3, steps=600)
TEXTS = simcse()
RING = Drlim(28, 28, hidden=64, near=3)
ROWS = Cpc(28, (4,), (2,), width=16, context=32, ahead=3)
WAVES = Cpc(1, (10, 8, 4), (5, 4, 2), width=24, context=32, ahead=4)
VOICES = voices(Speech(phones=8, speakers=10, seed=5), samples=1200)

AGAIN = [
    Planted("triplet, semi-hard", False, mlp("triplet", miner="semi-hard"), digits()),
    Planted("triplet, all, right labels", False, mlp("triplet"), digits(), labels=right),
    Planted("triplet, margin 1", False, mlp("triplet", miner="semi-hard", margin=1.0), digits()),
    Planted("sup-con", False, mlp("sup-con"), digits()),
    Planted("sup-con, three digits", False, mlp("sup-con"), digits(3, 8)),
    Planted("soft-nn", False, mlp("soft-nn"), digits()),
    Planted("lifted", False, mlp("lifted"), digits()),
    Planted("n-pair", False, mlp("n-pair"), digits()),
    Planted("pair", False, mlp("pair"), digits()),
    Planted("pair, two digits", False, mlp("pair"), digits(2, 12)),
    Planted("nt-xent, temperature 0.1", False, mlp("nt-xent", temperature=0.1), digits()),
    Planted("nt-xent, moved digits", False, mlp("nt-xent"), moved),
    Planted("info-nce, both ways, moved digits", False, mlp("info-nce", symmetric=True), moved),
    Planted("info-nce, eight dimensions", False, mlp("info-nce", dim=8), digits()),
    Planted("conv, sup-con", False, MetricLearning("sup-con", 28, "conv", (8, 16), dim=16), digits(), steps=150),
    Planted("drlim, fours", False, RING, fours),
    Planted("simcse, partners", False, TEXTS, near_texts, **LONG),
    Planted("simcse, dropout 0.2", False, replace(TEXTS, encoder=replace(TEXTS.encoder, rate=0.2)), sentences(), **LONG),
    Planted("cpc, rows of digits", False, ROWS, scans()),
    Planted("cpc, speech", False, WAVES, VOICES),
    Planted("sup-con, hardly pushes", True, mlp("sup-con", Weak), digits()),
    Planted("n-pair, nothing pushes", True, mlp("n-pair", Pull), digits()),
    Planted("pair, all are positive", True, mlp("pair", Friends), digits()),
    Planted("drlim, all are near", True, AllNear(28, 28, hidden=64, near=3), fours),
    Planted("soft-nn, wrong sign", True, mlp("soft-nn", Ascent), digits()),
    Planted("n-pair, labels shuffled", True, mlp("n-pair"), mixed, labels=lambda seed, k: right(seed, k)[_order(seed, k)]),
    Planted("info-nce, classes of any digits", True, mlp("info-nce"), digits(related=False)),
    Planted("triplet, classes of any digits", True, mlp("triplet"), digits(related=False)),
    Planted("nt-xent, temperature 200", True, mlp("nt-xent", temperature=200.0), digits()),
    Planted("sup-con, dead units", True, mlp("sup-con"), digits(), start=dead),
    Planted("pair, dead columns", True, mlp("pair", Muted), digits()),
    Planted("triplet, bottleneck of one", True, mlp("triplet", widths=(64, 1)), digits()),
    Planted("soft-nn, blank pictures", True, mlp("soft-nn"), lambda seed, k: np.zeros((10, 4, 28, 28), np.float32)),
    Planted("semi-hard, begins as one point", True, mlp("triplet", miner="semi-hard"), digits(), start=one_point),
    Planted("lifted, pictures twice", True, mlp("lifted"), lambda seed, k: np.repeat(digits(5)(seed, k), 2, 0)),
    Planted("info-nce, one view twice", True, mlp("info-nce"), lambda seed, k: np.repeat(digits(24, 1, related=False)(seed, k), 2, 1)),
    Planted("simcse, unrelated partners", True, TEXTS, partners(related=False), **LONG),
    Planted("simcse, same mask, temperature 0.1", True, simcse(same_mask=True, temperature=0.1), sentences(), **LONG),
    Planted("cpc, noise for rows", True, ROWS, walks(moves=False, batch=16, length=28, width=28)),
    Planted("cpc, blank rows", True, ROWS, scans(blank=True)),
]  # fmt: skip
