"""BERT's two tasks at once: hidden words, and whether the second text follows the first.

    t : dict of ids, segments (B, T), lengths, is_next (B,)    pairs, as `npssl.data.pairs` makes
    x : ids, segments (B, T)                                   some words overwritten
    y : where (N,), word (N,), is_next (B,)

    L = -1/N sum_n log softmax(E z_n + b)[word_n]  -  w/B sum_i log softmax(V s_i + c)[is_next_i]
    s_i = tanh(U h_i0 + d),  h_i0 the encoder's vector at [CLS] of the i-th pair

Devlin et al. 2019, arXiv:1810.04805, section 3.1 "Task #1" and "Task #2", appendix A.2 ("the
training loss is the sum").  Here 1 is "next"; their published code writes 0 for it.
"""

from dataclasses import dataclass

from npssl.layers.activation import tanh
from npssl.losses.cross_entropy import cross_entropy
from npssl.models.dense import dense, dense_spec
from npssl.tasks.masked_lm import MaskedLM


@dataclass(frozen=True)
class Bert:
    """Masked words plus next sentence.

    Parameters
    ----------
    words : MaskedLM       with an encoder that has two segments
    weight : float >= 0    of the second task; 0 leaves it out of the loss
    """

    words: MaskedLM
    weight: float = 1.0

    def __post_init__(self):
        if self.words.encoder.segments < 2:
            raise ValueError(
                f"words.encoder must have two segments, found {self.words.encoder.segments}"
            )
        if not self.weight >= 0:
            raise ValueError(f"weight must not be negative, found {self.weight}")

    def spec(self):
        """Parameters: those of ``words``, with ``pool`` and ``next`` beside them."""
        width = self.words.encoder.width
        return dict(
            words=self.words.spec(), pool=dense_spec(width, width), next=dense_spec(width, 2)
        )

    def split(self, t, rng):
        """Hide words of both texts; what follows what is told by the data."""
        ids, (where, word) = self.words.split(t["ids"], rng)
        return (ids, t["segments"]), (where, word, t["is_next"])

    def encode(self, p, x, rng=None):
        """The encoder's vectors h (B, T, D); ``back(dh, g)``."""
        ids, segments = x
        h, back_encoder = self.words.encoder(
            p.words.encoder, ids=ids, segments=segments, mask=ids != self.words.pad_id, rng=rng
        )
        return h, lambda dh, g: back_encoder(dh, g.words.encoder)

    def pair(self, p, h):
        """Scores of "random" and "next" (B, 2) from h; ``back(dscores, g)`` gives [CLS]'s."""
        u, back_pool = dense(p.pool, h[:, 0])
        s, back_tanh = tanh(u)
        scores, back_next = dense(p.next, s)

        def back(dscores, g):
            return back_pool(back_tanh(back_next(dscores, g.next)), g.pool)

        return scores, back

    def loss(self, p, x, y, rng=None):
        """Mean nats a hidden word plus ``weight`` times mean nats a pair."""
        where, word, is_next = y
        h, back_encoder = self.encode(p, x, rng)
        first, back_first = self.words.loss_of(p.words, h, (where, word))
        scores, back_pair = self.pair(p, h)
        second, back_second = cross_entropy(scores, target=is_next)

        def back(g, dvalue=1.0):
            dh = back_first(dvalue, g.words)
            dh[:, 0] += back_pair(back_second(dvalue * self.weight), g)
            back_encoder(dh, g)

        return first + self.weight * second, back
