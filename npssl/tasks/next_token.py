"""Next-token prediction: the language model of GPT.

    t : (B, T + 1) token ids       an observed batch of text
    x : (B, T) token ids           all but the last
    y : (B, T) token ids           all but the first

    log p(t) = sum_i log softmax(E h_i)[t_{i+1}],   h_i sees t_1 .. t_i only

The decoder is the table of the token embeddings, E.  Radford et al., "Improving Language
Understanding by Generative Pre-Training", 2018, section 3.1, eqs. (1)-(2); pre-norm blocks
in Radford et al., "Language Models are Unsupervised Multitask Learners", 2019, section 2.3.
"""

from dataclasses import dataclass

import numpy as np

from npssl.layers.linear import linear
from npssl.losses.table_cross_entropy import table_cross_entropy
from npssl.models.transformer import Transformer


@dataclass(frozen=True)
class NextToken:
    """Predict each token from those before it.

    Parameters
    ----------
    decoder : Transformer, causal
    """

    decoder: Transformer

    def __post_init__(self):
        if not self.decoder.causal:
            raise ValueError("decoder must be causal: it would read the word that it predicts")

    def spec(self):
        """Parameters: those of the ``decoder``, whose table of tokens is also the output."""
        return dict(decoder=self.decoder.spec())

    def split(self, t, rng=None):
        """All tokens but the last, and all but the first; nothing is drawn."""
        return t[:, :-1], t[:, 1:]

    def logits(self, p, x, rng=None):
        """Scores (B, T, V) of every next token, and the way back into ``g``."""
        h, back_decoder = self.decoder(p.decoder, ids=x, rng=rng)
        none = np.zeros(self.decoder.vocab, h.dtype)
        scores, back_decode = linear(h, p.decoder.token.T, none)  # tied

        def back(dscores, g):
            dh, dtable, _ = back_decode(dscores)
            g.decoder.token += dtable.T
            back_decoder(dh, g.decoder)

        return scores, back

    def loss(self, p, x, y, rng=None):
        """Mean nats a token."""
        h, back_decoder = self.decoder(p.decoder, ids=x, rng=rng)
        rows, table = h.reshape(-1, h.shape[-1]), p.decoder.token
        none = np.zeros(len(table), h.dtype)
        value, back_loss = table_cross_entropy(rows, table, none, target=y.reshape(-1))

        def back(g, dvalue=1.0):
            drows, _, _ = back_loss(dvalue, into=(g.decoder.token, np.zeros_like(none)))
            back_decoder(drows.reshape(h.shape), g.decoder)

        return value, back
