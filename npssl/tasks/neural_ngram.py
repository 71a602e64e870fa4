"""The neural n-gram model: each token from the n - 1 before it, through one hidden layer.

    t : (B, T + 1) token ids       an observed batch of text
    x : (B, T) token ids           all but the last
    y : (B, T) token ids           all but the first

    e_i  = [E x_{i-n+2}; ...; E x_i]                 the vectors of n - 1 tokens side by side
    p(t_{i+1} | x) = softmax(b + W e_i + U tanh(d + H e_i))

The split is that of `npssl.tasks.next_token`; GPT sees the whole past, this model a window.
Before the first token of a row stands a token of its own, row V of the table.

Bengio, Ducharme, Vincent & Jauvin, "A Neural Probabilistic Language Model", JMLR 3, 2003,
section 2, eq. (1).  The direct connections W are optional there too.
"""

from dataclasses import dataclass

import numpy as np

from npssl.layers.activation import tanh
from npssl.layers.embedding import embedding
from npssl.layers.linear import linear
from npssl.losses.cross_entropy import cross_entropy
from npssl.models.dense import dense, dense_spec
from npssl.params import normal


@dataclass(frozen=True)
class NeuralNgram:
    """Predict each token from a window of tokens before it.

    Parameters
    ----------
    vocab : int            V
    order : int >= 2       n: the window has n - 1 tokens
    width, hidden : int    of a token's vector; of the hidden layer
    direct : bool          connections from the window to the scores, past the hidden layer
    """

    vocab: int
    order: int = 5
    width: int = 30
    hidden: int = 100
    direct: bool = False

    def __post_init__(self):
        for name, least in (("vocab", 1), ("order", 2), ("width", 1), ("hidden", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, found {getattr(self, name)}")

    def spec(self):
        """Parameters: ``token`` (V + 1, width), ``hidden``, ``out``, and ``direct`` if asked."""
        window = (self.order - 1) * self.width
        spec = dict(
            token=normal(self.vocab + 1, self.width, std=0.1),
            hidden=dense_spec(window, self.hidden, std=window**-0.5),
            out=dense_spec(self.hidden, self.vocab),
        )
        if self.direct:
            spec["direct"] = normal(window, self.vocab)
        return spec

    def split(self, t, rng=None):
        """All tokens but the last, and all but the first; nothing is drawn."""
        return t[:, :-1], t[:, 1:]

    def windows(self, x):
        """The n - 1 tokens up to each place, (B, T, n - 1), oldest first."""
        before = np.full((len(x), self.order - 2), self.vocab, x.dtype)
        row = np.concatenate([before, x], 1)
        return np.lib.stride_tricks.sliding_window_view(row, self.order - 1, axis=1)

    def logits(self, p, x, rng=None):
        """Scores (B, T, V) of every next token, and the way back into ``g``."""
        vectors, back_token = embedding(p.token, ids=self.windows(x))  # (B, T, n - 1, width)
        e = vectors.reshape(*x.shape, (self.order - 1) * self.width)
        u, back_hidden = dense(p.hidden, e)
        a, back_tanh = tanh(u)
        scores, back_out = dense(p.out, a)
        if self.direct:
            past, back_direct = linear(e, p.direct, np.zeros(self.vocab, e.dtype))
            scores = scores + past

        def back(dscores, g):
            de = back_hidden(back_tanh(back_out(dscores, g.out)), g.hidden)
            if self.direct:
                dpast, ddirect, _ = back_direct(dscores)
                g.direct += ddirect
                de = de + dpast
            back_token(de.reshape(vectors.shape), into=g.token)

        return scores, back

    def loss(self, p, x, y, rng=None):
        """Mean nats a token."""
        scores, back_model = self.logits(p, x)
        value, back_loss = cross_entropy(scores, target=y)

        def back(g, dvalue=1.0):
            back_model(back_loss(dvalue), g)

        return value, back
