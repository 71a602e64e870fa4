"""SimCSE: a sentence and itself, seen through two dropout masks.

    t : (texts,)  or  (texts, partners)  or  (texts, partners, opposites)
    x : texts                           ids, segments, mask (B, T); True: a token
    y : (texts again,)  or  the rest    what the partner of row i and the wrong answers are

    u_i = unit(tanh(W s_i + b)),   s_i the vector of [CLS] or the mean of all tokens

    loss = mean_i -log exp(<u_i, v_i> / tau) / sum_j exp(<u_i, v_j> / tau)

where v are the vectors of the partners, each text's own being right.  Without labels the
partner is the text itself, encoded a second time: the only thing that differs is which
numbers dropout has set to 0.  With labels it is a text that follows from it, and the texts
that contradict (hard negatives) are further candidates for every row; ``hard`` nats are
added to the score of the row's own.

The head (W, b) is there while training; vectors are taken before it.

What makes it learn something else: with the same mask both times (``same_mask``), or
with no dropout, the partner is the very same vector and is right whatever the text says, so
only the push between texts is left.  An encoder in training mode when it is evaluated, a
mean that counts padding, and the head left on are the usual ways to lose points.

Gao, Yao & Chen, "SimCSE: Simple Contrastive Learning of Sentence Embeddings", EMNLP 2021,
arXiv:2104.08821, sections 3 and 4, eqs. (4) and (5).
"""

from copy import deepcopy
from dataclasses import dataclass

import numpy as np

from npssl.layers.activation import tanh
from npssl.layers.similarity import unit
from npssl.losses.cross_entropy import cross_entropy
from npssl.losses.info_nce import info_nce
from npssl.models.dense import dense, dense_spec
from npssl.models.transformer import Transformer

POOLS = ("cls", "mean")


@dataclass(frozen=True)
class SimCSE:
    """Find a sentence's partner among those of the batch.

    Parameters
    ----------
    encoder : Transformer, not causal    its ``rate`` is the augmentation
    pool : "cls" or "mean"
    temperature : float > 0
    hard : float          nats added to the score of a row's own hard negative
    same_mask : bool      the same dropout both times: an ablation of the paper
    """

    encoder: Transformer
    pool: str = "cls"
    temperature: float = 0.05
    hard: float = 0.0
    same_mask: bool = False

    def __post_init__(self):
        if self.pool not in POOLS:
            raise ValueError(f"pool must be one of {', '.join(POOLS)}, found {self.pool!r}")
        if self.encoder.causal:
            raise ValueError("encoder must not be causal: [CLS] would see itself alone")
        if not 0 < self.temperature < np.inf:
            raise ValueError(f"temperature must be positive, found {self.temperature}")
        if not np.isfinite(self.hard):
            raise ValueError(f"hard must be a finite number, found {self.hard}")

    def spec(self):
        """Parameters: ``encoder`` and ``head``, which only training uses."""
        width = self.encoder.width
        return dict(encoder=self.encoder.spec(), head=dense_spec(width, width))

    def split(self, t, rng=None):
        """Texts and partners; a text alone is its own."""
        if not 1 <= len(t) <= 3:
            raise ValueError(f"t must be 1 to 3 sets of texts, found {len(t)}")
        sizes = [len(ids) for ids, _, _ in t]
        if len(set(sizes)) > 1:
            raise ValueError(f"t must have as many texts in each set, found {sizes}")
        return t[0], tuple(t[1:]) or (t[0],)

    def vectors(self, p, x, rng=None):
        """The vector s of each text, (B, D), before the head; ``back(ds, g)``."""
        ids, segments, mask = x
        h, back_encoder = self.encoder(
            p.encoder,
            ids=ids,
            segments=segments if self.encoder.segments > 1 else None,
            mask=mask,
            rng=rng,
        )
        share = np.zeros(h.shape[:2], h.real.dtype)  # of each token in s
        if self.pool == "cls":
            share[:, 0] = 1
        else:
            share[...] = mask / np.maximum(mask.sum(1, keepdims=True), 1)
        s = (h * share[:, :, None]).sum(1)
        return s, lambda ds, g: back_encoder(ds[:, None, :] * share[:, :, None], g.encoder)

    def projections(self, p, x, rng=None):
        """The unit vector u of each text, behind the head; ``back(du, g)``."""
        s, back_vectors = self.vectors(p, x, rng)
        a, back_head = dense(p.head, s)
        b, back_tanh = tanh(a)
        u, back_unit = unit(b)

        def back(du, g):
            back_vectors(back_head(back_tanh(back_unit(du)), g.head), g)

        return u, back

    def loss(self, p, x, y, rng=None):
        """Mean nats a text."""
        again = deepcopy(rng) if self.same_mask else rng
        u, back_u = self.projections(p, x, rng)
        sets = [self.projections(p, texts, again) for texts in y]
        v = np.concatenate([one for one, _ in sets])
        value, back_loss = self.measure(u, v)
        ends = np.cumsum([len(one) for one, _ in sets])[:-1]
        backs = [back_u, *(back_one for _, back_one in sets)]

        def back(g, dvalue=1.0):
            du, dv = back_loss(dvalue)
            for back_one, d in zip(backs, [du, *np.split(dv, ends)]):
                back_one(d, g)  # the same weights each time

        return value, back

    def observe(self, p, x, y, rng=None):
        """What `npssl.evaluation.alarms` looks at: vectors, the loss, partners that are one."""
        again = deepcopy(rng) if self.same_mask else rng
        u, _ = self.projections(p, x, rng)
        sets = [self.projections(p, texts, again)[0] for texts in y]
        v = np.concatenate(sets)
        # of a text that comes twice, or whose partner does, the other's partner is right too
        same = np.logical_or(*(_same(texts) for texts in (x, y[0])))
        np.fill_diagonal(same, False)
        return {
            "z": u,
            "loss": float(self.measure(u, v)[0]),
            "candidates": len(v),
            "views": (u, sets[0]),
            "false_negatives": same.sum() / (len(u) * (len(u) - 1)),
        }

    def measure(self, u, v):
        """InfoNCE of u (B, D) with the candidates v (B or 2 B, D); with ``hard``, by the page."""
        B, tau = len(u), self.temperature
        if not self.hard or len(v) == B:
            return info_nce(u, v, temperature=tau)
        own = np.arange(B)
        scores = u @ v.T / tau
        scores[own, B + own] += self.hard
        value, back_value = cross_entropy(scores, target=own)

        def back(dvalue=1.0):
            ds = back_value(dvalue) / tau
            return ds @ v, ds.T @ u

        return value, back


def _same(texts):
    """Which texts are equal, (B, B)."""
    ids = texts[0] * texts[2]
    return (ids[:, None] == ids).all(2)
