"""Fine-tuning: an encoder that was trained on text alone learns a task from labels.

    t : (x, y)                          nothing supervises itself here: the split is given
    x : ids, segments, mask (B, T)      texts or pairs, framed by [CLS] and [SEP]; True: a token
    y : what the head is asked

    (a), (b) pairs, single texts    -log softmax(W s + b)[y],  or  (w s + b - y)^2
    (c) the span of an answer       -1/2 (log softmax_i(S h_i)[first] + log softmax_i(E h_i)[last])
    (d) tags                        -log softmax(W h_i + b)[y_i],  i the first pieces of words

with h_i the encoder's vectors and s = tanh(U h_0 + d) from [CLS], or the mean of all h_i.
The head is new, everything else begins where pre-training ended, and all of it moves.

Devlin et al. 2019, arXiv:1810.04805, sections 3.2, 4 and 5.3 and figure 4, whose letters these
are; the square is that of common code for STS-B.  `Similarity` is Reimers & Gurevych 2019,
arXiv:1908.10084, section 3: the texts of a pair do not see each other, the encoder is called
twice, and the cosine of their means is drawn to y.
"""

from dataclasses import dataclass

import numpy as np

from npssl.layers.activation import tanh
from npssl.layers.dropout import dropout
from npssl.layers.similarity import unit
from npssl.losses.cross_entropy import cross_entropy
from npssl.losses.squared_error import squared_error
from npssl.models.dense import dense, dense_spec
from npssl.models.transformer import Transformer

POOLS = ("cls", "mean")


@dataclass(frozen=True)
class Sentence:
    """A class or a score for each text or pair: (a) and (b).

    Parameters
    ----------
    encoder : Transformer, not causal
    classes : int or None     None: y is a number
    pool : "cls" or "mean"    what stands for the text: a dense layer with tanh on [CLS], as
                              in BERT, or the mean of the vectors of all its tokens
    frozen : bool             the encoder is a constant: no dropout in it, no gradient for it
    """

    encoder: Transformer
    classes: int | None = 2
    pool: str = "cls"
    frozen: bool = False

    def __post_init__(self):
        if self.pool not in POOLS:
            raise ValueError(f"pool must be one of {', '.join(POOLS)}, found {self.pool!r}")
        if self.classes is not None and self.classes < 1:
            raise ValueError(f"classes must be at least 1, or None, found {self.classes}")

    def spec(self):
        """Parameters: ``encoder``, ``head``, and ``pool`` if that is "cls"."""
        width = self.encoder.width
        spec = dict(encoder=self.encoder.spec(), head=dense_spec(width, self.classes or 1))
        if self.pool == "cls":
            spec["pool"] = dense_spec(width, width)
        return spec

    def split(self, t, rng=None):
        """The texts and what is told of them; nothing is drawn."""
        return t

    def scores(self, p, x, rng=None):
        """(B, classes), or (B,) where y is a number; and the way back into ``g``."""
        h, back_encoder = encode(self, p, x, rng)
        s, back_pool = (_first if self.pool == "cls" else _mean)(p, h, x[2])
        kept, back_drop = dropout(s, rate=self.encoder.rate, rng=rng)
        scores, back_head = dense(p.head, kept)
        shape = scores.shape[:1] if self.classes is None else scores.shape

        def back(dscores, g):
            dkept = back_head(dscores.reshape(len(dscores), -1), g.head)
            back_encoder(back_pool(back_drop(dkept), g), g)

        return scores.reshape(shape), back

    def loss(self, p, x, y, rng=None):
        """Mean nats a text, or mean squared distance."""
        scores, back_model = self.scores(p, x, rng)
        measure = squared_error if self.classes is None else cross_entropy
        value, back_loss = measure(scores, target=y)

        def back(g, dvalue=1.0):
            back_model(back_loss(dvalue), g)

        return value, back

    def predict(self, p, x) -> np.ndarray:
        """The most probable class of each text, or its score, (B,)."""
        scores, _ = self.scores(p, x)
        return scores if self.classes is None else scores.argmax(-1)


@dataclass(frozen=True)
class Similarity:
    """How alike two texts are: the cosine of their vectors, each read alone.

    Here x is a pair of what other tasks have once, and y a number for each pair.

    Parameters
    ----------
    encoder : Transformer, not causal
    """

    encoder: Transformer
    frozen = False

    def spec(self):
        """Parameters: those of the ``encoder``; there is no head."""
        return dict(encoder=self.encoder.spec())

    def split(self, t, rng=None):
        """The pairs and how alike they are; nothing is drawn."""
        return t

    def scores(self, p, x, rng=None):
        """Cosines (B,), and the way back into ``g``."""
        a, back_a = self._vector(p, x[0], rng)
        b, back_b = self._vector(p, x[1], rng)

        def back(dcosine, g):
            back_a(dcosine[:, None] * b, g)
            back_b(dcosine[:, None] * a, g)  # the same weights, a second time

        return (a * b).sum(-1), back

    def _vector(self, p, x, rng):
        h, back_encoder = encode(self, p, x, rng)
        s, back_mean = _mean(p, h, x[2])
        u, back_unit = unit(s)
        return u, lambda du, g: back_encoder(back_mean(back_unit(du), g), g)

    def loss(self, p, x, y, rng=None):
        """Mean squared distance of the cosines from y."""
        scores, back_model = self.scores(p, x, rng)
        value, back_loss = squared_error(scores, target=y)

        def back(g, dvalue=1.0):
            back_model(back_loss(dvalue), g)

        return value, back

    def predict(self, p, x) -> np.ndarray:
        """The cosine of each pair, (B,)."""
        return self.scores(p, x)[0]


@dataclass(frozen=True)
class Span:
    """Where in a passage the answer stands: (c).

    y is (B, 2), the first and the last token of the answer; position 0, [CLS], says that
    there is none.  As in the published code the softmax is over all tokens; padding, which
    counts there, is left out here, so that a loss does not depend on it.

    Parameters
    ----------
    encoder : Transformer, not causal
    frozen : bool     the encoder is a constant
    """

    encoder: Transformer
    frozen: bool = False

    def spec(self):
        """Parameters: ``encoder``, and ``head``, whose columns are S and E."""
        return dict(encoder=self.encoder.spec(), head=dense_spec(self.encoder.width, 2))

    def split(self, t, rng=None):
        """The passages and the places of the answers; nothing is drawn."""
        return t

    def scores(self, p, x, rng=None):
        """Of every token as the first and as the last, (B, T, 2); the way back into ``g``."""
        h, back_encoder = encode(self, p, x, rng)
        scores, back_head = dense(p.head, h)

        def back(dscores, g):
            back_encoder(back_head(dscores, g.head), g)

        return scores, back

    def loss(self, p, x, y, rng=None):
        """Half the mean nats of the first token and half those of the last."""
        mask = x[2]
        ends = mask.sum(1)
        bad = (y < 0).any(1) | (y[:, 1] >= ends) | (y[:, 0] > y[:, 1])
        if bad.any():
            row = int(bad.argmax())
            raise ValueError(
                f"y must be first and last tokens within the text, first <= last < {ends[row]}, "
                f"found {y[row].tolist()} in row {row}"
            )
        scores, back_model = self.scores(p, x, rng)
        shown = np.where(mask[..., None], scores, -np.inf)
        first, back_first = cross_entropy(shown[..., 0], target=y[:, 0])
        last, back_last = cross_entropy(shown[..., 1], target=y[:, 1])

        def back(g, dvalue=1.0):
            back_model(np.stack([back_first(dvalue / 2), back_last(dvalue / 2)], -1), g)

        return (first + last) / 2, back

    def predict(self, p, x, *, longest: int = 30):
        """The best answer within the second text: first <= last < first + ``longest``.

        Returns
        -------
        spans : (B, 2)     first and last token
        score : (B,)       S h_first + E h_last; -inf where the passage is empty
        none : (B,)        the same of [CLS] for both: there is no answer
        """
        _, segments, mask = x
        scores, _ = self.scores(p, x)
        inside = (segments == 1) & mask
        inside[np.arange(len(mask)), mask.sum(1) - 1] = False  # the last [SEP]
        start, end = (np.where(inside, scores[..., i], -np.inf) for i in (0, 1))
        T = mask.shape[1]
        lag = np.arange(T) - np.arange(T)[:, None]
        both = start[:, :, None] + end[:, None, :]
        both[:, (lag < 0) | (lag >= longest)] = -np.inf
        best = both.reshape(len(mask), -1).argmax(1)
        top = both.reshape(len(mask), -1)[np.arange(len(mask)), best]
        return np.stack(np.divmod(best, T), -1), top, scores[:, 0].sum(-1)


@dataclass(frozen=True)
class Tags:
    """A tag for each word: (d).

    y is (B, T), the tag of a word at its first piece, and -1 wherever nothing is asked.

    Parameters
    ----------
    encoder : Transformer, not causal
    tags : int        how many there are
    frozen : bool     the encoder is a constant
    """

    encoder: Transformer
    tags: int
    frozen: bool = False

    def __post_init__(self):
        if self.tags < 1:
            raise ValueError(f"tags must be at least 1, found {self.tags}")

    def spec(self):
        """Parameters: ``encoder`` and ``head``."""
        return dict(encoder=self.encoder.spec(), head=dense_spec(self.encoder.width, self.tags))

    def split(self, t, rng=None):
        """The words and their tags; nothing is drawn."""
        return t

    def scores(self, p, x, rng=None):
        """Scores (B, T, tags), and the way back into ``g``."""
        h, back_encoder = encode(self, p, x, rng)
        kept, back_drop = dropout(h, rate=self.encoder.rate, rng=rng)
        scores, back_head = dense(p.head, kept)

        def back(dscores, g):
            back_encoder(back_drop(back_head(dscores, g.head)), g)

        return scores, back

    def loss(self, p, x, y, rng=None):
        """Mean nats a word."""
        scores, back_model = self.scores(p, x, rng)
        value, back_loss = cross_entropy(scores, target=y, ignore=-1)

        def back(g, dvalue=1.0):
            back_model(back_loss(dvalue), g)

        return value, back

    def predict(self, p, x) -> np.ndarray:
        """The most probable tag at every position, (B, T)."""
        return self.scores(p, x)[0].argmax(-1)


def encode(task, p, x, rng=None):
    """The encoder's vectors h (B, T, D) of x; ``back(dh, g)`` stops where it is frozen."""
    ids, segments, mask = x
    h, back_encoder = task.encoder(
        p.encoder,
        ids=ids,
        segments=segments if task.encoder.segments > 1 else None,
        mask=mask,
        rng=None if task.frozen else rng,
    )

    def back(dh, g):
        if not task.frozen:
            back_encoder(dh, g.encoder)

    return h, back


def _first(p, h, mask):
    """tanh of a dense layer on the vector of the first token, [CLS]."""
    u, back_pool = dense(p.pool, h[:, 0])
    s, back_tanh = tanh(u)

    def back(ds, g):
        dh = np.zeros(h.shape, ds.dtype)
        dh[:, 0] = back_pool(back_tanh(ds), g.pool)
        return dh

    return s, back


def _mean(p, h, mask):
    """The mean of the vectors of all tokens; padding is none."""
    share = (mask / np.maximum(mask.sum(1, keepdims=True), 1)).astype(h.real.dtype)[:, :, None]
    return (h * share).sum(1), lambda ds, g: ds[:, None, :] * share
