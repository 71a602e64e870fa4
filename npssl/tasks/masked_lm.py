"""Masked language modelling: hide some words, predict them from the rest.

    t : (B, T) token ids               an observed batch of text, padded with ``pad_id``
    x : (B, T) token ids               t, with some positions overwritten
    y : where (N,), word (N,)          which positions (of B T), and what stood there

    p(y | x) = prod_n softmax(E z_n(x) + b)[word_n],   E the token embeddings,
    z_n = norm(gelu(W h_n + c)),  h_n the encoder's vector at the n-th hidden position

The decoder is computed at hidden positions only.  Devlin et al. 2019, arXiv:1810.04805,
section 3.1 "Task #1: Masked LM" and appendix A.1; the transform before the decoder and its
bias are in their published code.
"""

from dataclasses import dataclass

import numpy as np

from npssl.data.masking import mask
from npssl.layers.activation import gelu
from npssl.layers.linear import linear
from npssl.losses.table_cross_entropy import table_cross_entropy
from npssl.models.dense import dense, dense_spec, norm, norm_spec
from npssl.models.transformer import Transformer
from npssl.params import normal, zeros


@dataclass(frozen=True)
class MaskedLM:
    """Predict hidden words from both sides.

    Parameters
    ----------
    encoder : Transformer, not causal
    mask_id, pad_id : int
    special : tuple of int     ids that are never hidden; padding is one of them anyway
    rate : float               share of the positions to hide
    hidden, swapped : float    of those: overwritten by [MASK], by any other word
    tied : bool                the decoder's table is that of the embeddings, as published;
                               else one of its own
    """

    encoder: Transformer
    mask_id: int
    pad_id: int = 0
    special: tuple[int, ...] = ()
    rate: float = 0.15
    hidden: float = 0.8
    swapped: float = 0.1
    tied: bool = True

    def spec(self):
        """Parameters: ``encoder``; ``dense``, ``norm``, ``bias`` of the head; ``table``: untied."""
        width = self.encoder.width
        own = {} if self.tied else {"table": normal(self.encoder.vocab, width)}
        return dict(
            **own,
            encoder=self.encoder.spec(),
            dense=dense_spec(width, width),
            norm=norm_spec(width),
            bias=zeros(self.encoder.vocab),
        )

    def split(self, t, rng):
        """Hide words of t; writing y back into x gives t."""
        x, where, word = mask(
            t,
            rng=rng,
            mask_id=self.mask_id,
            vocabulary=self.encoder.vocab,
            special=sorted({*self.special, self.pad_id, self.mask_id}),
            rate=self.rate,
            hidden=self.hidden,
            swapped=self.swapped,
            lengths=(t != self.pad_id).sum(-1),
        )
        return x, (where, word)

    def logits(self, p, x, where, rng=None):
        """Scores (N, V) of every word at the positions asked, and the way back into ``g``."""
        h, back_encoder = self.encoder(p.encoder, ids=x, mask=x != self.pad_id, rng=rng)
        scores, back_decode = self.decode(p, h, where)

        def back(dscores, g):
            back_encoder(back_decode(dscores, g), g.encoder)  # second use of the table, inside

        return scores, back

    def decode(self, p, h, where):
        """Scores (N, V) from the encoder's vectors h (B, T, D); ``back(dscores, g)`` gives dh."""
        z, back_transform = self.transform(p, h, where)
        scores, back_linear = linear(z, self._table(p).T, p.bias)  # tied: a name is used twice

        def back(dscores, g):
            dz, dtable, dbias = back_linear(dscores)
            self._table(g)[...] += dtable.T  # first use of the table
            g.bias += dbias
            return back_transform(dz, g)

        return scores, back

    def _table(self, p):
        return p.encoder.token if self.tied else p.table

    def transform(self, p, h, where):
        """What is compared with the table, z (N, D), from h (B, T, D); ``back(dz, g)`` gives dh."""
        u, back_dense = dense(p.dense, h.reshape(-1, h.shape[-1])[where])  # (N, D)
        a, back_gelu = gelu(u, form=self.encoder.form)
        z, back_norm = norm(p.norm, a, eps=self.encoder.eps)

        def back(dz, g):
            drows = back_dense(back_gelu(back_norm(dz, g.norm)), g.dense)
            dh = np.zeros(h.shape, drows.dtype)
            dh.reshape(-1, h.shape[-1])[where] = drows  # positions are distinct
            return dh

        return z, back

    def loss(self, p, x, y, rng=None):
        """Mean nats a hidden word."""
        h, back_encoder = self.encoder(p.encoder, ids=x, mask=x != self.pad_id, rng=rng)
        value, back_words = self.loss_of(p, h, y)

        def back(g, dvalue=1.0):
            back_encoder(back_words(dvalue, g), g.encoder)  # second use of the table, inside

        return value, back

    def loss_of(self, p, h, y):
        """The same from the encoder's vectors h (B, T, D); ``back(dvalue, g)`` gives dh."""
        where, word = y
        z, back_transform = self.transform(p, h, where)
        value, back_loss = table_cross_entropy(z, self._table(p), p.bias, target=word)

        def back(dvalue, g):
            dz, _, _ = back_loss(dvalue, into=(self._table(g), g.bias))  # first use of the table
            return back_transform(dz, g)

        return value, back
