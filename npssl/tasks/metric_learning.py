"""Metric learning: drawings of one character near each other, of two characters apart.

    t : (P, K, h, w)        K drawings of each of P classes
    x : t as (P K, h, w)    class after class
    y : (P K,) int          the class
    z = encoder(x) (P K, dim)

    loss = one of `LOSSES` of z, each with its own idea of who is to be told apart from whom

Losses of two views (N-pair, InfoNCE, NT-Xent) see drawings 2 j and 2 j + 1 of each class as
the views, for each j.  All others see every drawing; all but N-pair, whose lengths are its own
matter, see unit vectors.  A triplet's negative is mined from z itself: the miner is not part
of the gradient.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from npssl.data.mining import all_triplets, batch_hard, semi_hard
from npssl.data.positives import same_label
from npssl.layers.similarity import unit
from npssl.losses.info_nce import info_nce
from npssl.losses.lifted import lifted
from npssl.losses.n_pair import n_pair
from npssl.losses.nt_xent import nt_xent
from npssl.losses.pair import pair
from npssl.losses.soft_nearest_neighbor import soft_nearest_neighbor
from npssl.losses.sup_con import sup_con
from npssl.losses.triplet import triplet
from npssl.models.convnet import conv_encoder, conv_encoder_spec
from npssl.models.dense import mlp, mlp_spec

MINERS = {"semi-hard": semi_hard, "batch-hard": batch_hard, "all": all_triplets}
VIEWS = {"n-pair": n_pair, "info-nce": info_nce, "nt-xent": nt_xent}
LOSSES = ("pair", "triplet", "lifted", "soft-nn", "sup-con", *VIEWS)


@dataclass(frozen=True)
class MetricLearning:
    """Learn distances from classes.

    Parameters
    ----------
    kind : str              one of `LOSSES`
    size : int              height and width of the images
    encoder : "mlp" or "conv"
    widths : tuple of int   of hidden layers, or channels of the blocks
    dim : int               of the embedding
    miner : "semi-hard", "batch-hard" or "all"      triplets that the triplet loss takes
    options : dict          handed to the loss: margin, temperature, ...
    """

    kind: str = "triplet"
    size: int = 28
    encoder: str = "mlp"
    widths: tuple[int, ...] = (256,)
    dim: int = 64
    miner: str = "semi-hard"
    options: dict = field(default_factory=dict)

    def __post_init__(self):
        for name, known in (("kind", LOSSES), ("encoder", ("mlp", "conv")), ("miner", MINERS)):
            if getattr(self, name) not in known:
                told = ", ".join(known)
                raise ValueError(f"{name}: expected one of {told}, found {getattr(self, name)!r}")

    def spec(self):
        """The parameters: those of the encoder."""
        if self.encoder == "conv":
            return conv_encoder_spec(1, *self.widths, out=self.dim)
        return mlp_spec(self.size**2, *self.widths, self.dim)

    def split(self, t, rng=None):
        """The drawings, and the class of each."""
        if t.ndim != 4 or t.shape[0] < 2 or t.shape[1] < 2 or t.shape[1] % 2:
            raise ValueError(
                f"t must be (2 or more classes, an even number of drawings, h, w), found {t.shape}"
            )
        P, K, *shape = t.shape
        return t.reshape(P * K, *shape), np.repeat(np.arange(P), K)

    def embed(self, p, x):
        """Embeddings (N, dim) of images (N, h, w); not of unit length."""
        if self.encoder == "conv":
            return conv_encoder(p, x[..., None])
        return mlp(p, x.reshape(len(x), -1))

    def loss(self, p, x, y, rng=None):
        """What the loss of this kind says of the embeddings."""
        z, back_embed = self.embed(p, x)
        value, back_loss = self.judge(z, y)

        def back(g, dvalue=1.0):
            back_embed(back_loss(dvalue), g)

        return value, back

    def observe(self, p, x, y, rng=None):
        """What `npssl.evaluation.alarms` looks at: embeddings, the loss, and what bounds it."""
        z, _ = self.embed(p, x)
        N, P = len(y), int(y[-1]) + 1
        seen = {"z": z, "loss": float(self.judge(z, y)[0]), "classes": P}
        if self.kind == "triplet":
            margin = self.options.get("margin", 0.2)
            seen["margin"] = margin
            if self.options.get("form", "hinge") == "hinge":
                index = MINERS[self.miner](unit(z)[0], y)
                seen["active"] = active_share(z, y, margin=margin, index=index)
                seen["violated"] = active_share(z, y, margin=margin)
            else:
                seen["margin"] = math.log1p(math.exp(margin))
        elif self.kind in ("pair", "lifted"):
            seen["margin"] = float(self.judge(np.ones_like(z), y)[0])
        else:
            many = {"nt-xent": 2 * P - 1, "sup-con": N - 1, "soft-nn": (N - 1) / (N // P - 1)}
            seen["candidates"] = many.get(self.kind, P)
        if self.kind in VIEWS:
            u, _ = unit(z)
            seen["views"] = u[::2], u[1::2]
        return seen

    def judge(self, z, y):
        """The loss of embeddings z (P K, dim) with classes y; ``back(dvalue)`` gives dz."""
        if self.kind == "n-pair":
            return _views(n_pair, z, y, self.options)
        u, back_unit = unit(z)
        if self.kind in VIEWS:
            value, back_value = _views(VIEWS[self.kind], u, y, self.options)
            return value, lambda dvalue=1.0: back_unit(back_value(dvalue))
        if self.kind == "pair":
            index = np.argwhere(np.triu(np.ones((len(y), len(y)), bool), 1))
            same = y[index[:, 0]] == y[index[:, 1]]
            # both kinds weigh alike: of the different pairs as many as there are alike
            D = np.square(u.real[index[:, 0]] - u.real[index[:, 1]]).sum(1)
            nearest = np.argsort(np.where(same, np.inf, D), kind="stable")[: same.sum()]
            chosen = np.concatenate([np.flatnonzero(same), nearest[~same[nearest]]])
            value, back_same = pair(u, index=index[chosen], same=same[chosen], **self.options)
        elif self.kind == "triplet":
            index = MINERS[self.miner](np.ascontiguousarray(u.real), y)
            value, back_same = triplet(u, index=index, **self.options)
        elif self.kind == "soft-nn":
            options = {"temperature": 0.1, **self.options}
            tau = np.asarray(options.pop("temperature"), u.real.dtype)
            value, back_both = soft_nearest_neighbor(u, tau, label=y, **options)
            return value, lambda dvalue=1.0: back_unit(back_both(dvalue)[0])
        else:
            loss = {"lifted": lifted, "sup-con": sup_con}[self.kind]
            value, back_same = loss(u, label=y, **self.options)
        return value, lambda dvalue=1.0: back_unit(back_same(dvalue))


def _views(loss, z, y, options):
    """The mean of a loss of two views over the pairs of drawings of each class."""
    K = len(y) // (int(y[-1]) + 1)
    parts = [
        (j, loss(np.ascontiguousarray(z[j::K]), np.ascontiguousarray(z[j + 1 :: K]), **options))
        for j in range(0, K, 2)
    ]

    def back(dvalue=1.0):
        dz = np.empty_like(z)
        for j, (_, back_one) in parts:
            dz[j::K], dz[j + 1 :: K] = back_one(dvalue / len(parts))
        return dz

    return sum(value for _, (value, _) in parts) / len(parts), back


def active_share(z, y, *, margin: float = 0.2, index=None) -> float:
    """Of triplets of embeddings z, made unit vectors, the share that violates the margin.

    ``index``: triplets from a miner, by default all that there are; where there are none, 0.
    """
    u, _ = unit(z)
    D = 2 - 2 * u @ u.T
    if index is not None:
        a, p, n = index.T
        return float((D[a, p] - D[a, n] + margin > 0).sum() / max(1, len(index)))
    a, p = same_label(y).T
    negative = y[a, None] != y
    active = negative & (D[a, p, None] - D[a] + margin > 0)
    return float(active.sum() / max(1, negative.sum()))
