"""Fine-tuning of GPT: the class of a text from its last token, and still the next token.

    t : (x, y)                        the split is given
    x : ids (B, T), None, mask (B, T)     "start text extract" or "start a delimiter b extract"
    y : (B,) int                      classes

    L = -1/B sum_b log softmax(W h_last + c)[y_b]  -  w/N sum_n log softmax(E h_n)[t_{n+1}]

where N counts the tokens that have a next one.  Start, delimiter and extract are three new
rows of the table E.

Radford, Narasimhan, Salimans & Sutskever, "Improving Language Understanding by Generative
Pre-Training", 2018, section 3.2, eqs. (3)-(5), with w = .5, and figure 1 (the inputs).  Their
published code takes the mean of each text's words first and then that of the texts; here
every word counts alike, as in eq. (1).  For symmetric pairs they add both orders; here a
pair is read once.
"""

from dataclasses import dataclass

import numpy as np

from npssl.layers.dropout import dropout
from npssl.layers.linear import linear
from npssl.losses.cross_entropy import cross_entropy
from npssl.models.dense import dense, dense_spec
from npssl.models.transformer import Transformer


@dataclass(frozen=True)
class CausalSentence:
    """A class for each text or pair, from a decoder.

    Parameters
    ----------
    decoder : Transformer, causal
    classes : int
    weight : float >= 0     of the language model's loss; 0 leaves it out
    frozen : bool           the decoder is a constant: no dropout in it, no gradient for it
    """

    decoder: Transformer
    classes: int = 2
    weight: float = 0.5
    frozen: bool = False

    def __post_init__(self):
        if not self.decoder.causal:
            raise ValueError("decoder must be causal: its last token is to have read all others")
        if self.classes < 1:
            raise ValueError(f"classes must be at least 1, found {self.classes}")
        if not self.weight >= 0:
            raise ValueError(f"weight must not be negative, found {self.weight}")

    def spec(self):
        """Parameters: ``decoder`` and ``head``."""
        return dict(decoder=self.decoder.spec(), head=dense_spec(self.decoder.width, self.classes))

    def split(self, t, rng=None):
        """The texts and their classes; nothing is drawn."""
        return t

    def forward(self, p, x, rng=None):
        """Vectors h (B, T, D), scores of the classes (B, classes), and the way back."""
        ids, _, mask = x
        h, back_decoder = self.decoder(
            p.decoder, ids=ids, mask=mask, rng=None if self.frozen else rng
        )
        last = np.arange(len(ids)), mask.sum(1) - 1
        kept, back_drop = dropout(h[last], rate=self.decoder.rate, rng=rng)
        scores, back_head = dense(p.head, kept)

        def back(dh, dscores, g):
            dh[last] += back_drop(back_head(dscores, g.head))
            if not self.frozen:
                back_decoder(dh, g.decoder)

        return (h, scores), back

    def loss(self, p, x, y, rng=None):
        """Mean nats a text, plus ``weight`` times mean nats a token."""
        ids, _, mask = x
        (h, scores), back_model = self.forward(p, x, rng)
        value, back_loss = cross_entropy(scores, target=y)
        if not self.weight or self.frozen:

            def back_class(g, dvalue=1.0):
                back_model(np.zeros_like(h), back_loss(dvalue), g)

            return value, back_class
        known = np.nonzero(mask[:, 1:])  # a token that has one before it
        table = p.decoder.token
        words, back_decode = linear(h[known], table.T, np.zeros(len(table), h.dtype))  # tied
        text, back_text = cross_entropy(words, target=ids[:, 1:][known])

        def back(g, dvalue=1.0):
            dh = np.zeros_like(h)
            drows, dtable, _ = back_decode(back_text(dvalue * self.weight))
            dh[known] = drows
            g.decoder.token += dtable.T
            back_model(dh, back_loss(dvalue), g)

        return value + self.weight * text, back

    def predict(self, p, x) -> np.ndarray:
        """The most probable class of each text, (B,)."""
        return self.forward(p, x)[0][1].argmax(-1)
