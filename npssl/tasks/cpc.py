"""Contrastive predictive coding: from what was heard so far, tell what comes next.

    t : (B, S, C) waves or rows            observed sequences
    x : t                                  all of it; the model itself looks only back
    y : None                               the future is in x

    z = encoder(x) (B, T, D),   c_n = gru(z_1 ... z_n),
    f_k(z', c) = exp(<z', c W_k>),         a matrix for each number of steps ahead

    loss = mean over k, sequences and n of  -log f_k(z_{n+k}, c_n) / sum_j f_k(z_j, c_n)

where j runs over the true z_{n+k} and the negatives: other times of the same sequence, other
sequences of the batch, or both.  Each candidate stands in the sum once.

What makes it learn something else, and what is done against it: one matrix for all k cannot
tell how far ahead is meant; an encoder or a norm that looks along time sees the answer (here
a norm stays within its frame, and the context runs forward only); negatives from other
sequences alone can be told by the voice, without a word (``negatives="others"`` shows it).

van den Oord, Li & Vinyals, "Representation Learning with Contrastive Predictive Coding", 2018,
arXiv:1807.03748, sections 2.2 and 3.1, eqs. (3) and (4).
"""

from dataclasses import dataclass

import numpy as np

from npssl.layers.activation import relu
from npssl.layers.conv import conv1d
from npssl.layers.norm import layernorm
from npssl.layers.recurrent import gru
from npssl.losses.cross_entropy import cross_entropy
from npssl.models.dense import stack
from npssl.params import normal, ones, uniform, zeros

NEGATIVES = "mixed", "same", "others"
_NEVER = 1e9  # nats below any score


@dataclass(frozen=True)
class Cpc:
    """Predict the encoder's own future.

    Parameters
    ----------
    channels : int                  of the sequences
    kernels, strides : tuple of int     of the convolutions, one after the other
    width : int                     of the encoder's frames z
    context : int                   of the state c
    ahead : int                     steps to predict: 1, ..., ahead
    negatives : str                 "same" sequence, "others", or "mixed": both
    """

    channels: int = 1
    kernels: tuple[int, ...] = (10, 8, 4)
    strides: tuple[int, ...] = (5, 4, 2)
    width: int = 64
    context: int = 64
    ahead: int = 8
    negatives: str = "mixed"

    def __post_init__(self):
        if self.negatives not in NEGATIVES:
            raise ValueError(
                f"negatives must be one of {', '.join(NEGATIVES)}, found {self.negatives!r}"
            )
        if len(self.kernels) != len(self.strides) or not self.kernels:
            raise ValueError(
                f"kernels and strides must be as many, found {self.kernels} and {self.strides}"
            )
        if self.ahead < 1:
            raise ValueError(f"ahead must be positive, found {self.ahead}")

    def frames(self, samples: int) -> int:
        """How many frames z a sequence of so many samples has."""
        for k, s in zip(self.kernels, self.strides):
            samples = (samples - k) // s + 1
        return samples

    def field(self) -> tuple[int, int]:
        """Samples that a frame sees, and samples from one frame to the next."""
        seen = step = 1
        for k, s in zip(self.kernels, self.strides):
            seen, step = seen + (k - 1) * step, step * s
        return seen, step

    def spec(self):
        """Parameters: ``encoder``, ``gru``, and ``ahead`` (K, context, width)."""
        D, H = self.width, self.context
        widths = [self.channels, *[D] * len(self.kernels)]
        encoder = [
            dict(
                weight=normal(k, i, o, std=(2 / (k * i)) ** 0.5),
                bias=zeros(o),
                gain=ones(o),
                shift=zeros(o),
            )
            for k, i, o in zip(self.kernels, widths, widths[1:])
        ]
        edge = H**-0.5
        even = lambda *shape: uniform(*shape, low=-edge, high=edge)
        return dict(
            encoder=encoder,
            gru=dict(w=even(D, 3 * H), u=even(H, 3 * H), b=zeros(3 * H), c=zeros(H)),
            ahead=even(self.ahead, H, D),
        )

    def split(self, t, rng=None):
        """The sequence itself; the future is within it."""
        return t, None

    def encode(self, p, x):
        """Frames z (B, T, D) and contexts c (B, T, H); ``back(dz, dc, g)`` gives dx."""

        strides = iter(self.strides)

        def layer(q, h):
            a, back_conv = conv1d(h, q.weight, q.bias, stride=next(strides))
            n, back_norm = layernorm(a, q.gain, q.shift)  # within a frame: no look along time
            y, back_relu = relu(n)

            def back(dy, g):
                da, dgain, dshift = back_norm(back_relu(dy))
                dh, dweight, dbias = back_conv(da)
                g.gain += dgain
                g.shift += dshift
                g.weight += dweight
                g.bias += dbias
                return dh

            return y, back

        z, back_layers = stack(layer, p.encoder, x)
        q = p.gru
        first = np.zeros((len(x), self.context), z.dtype)
        c, back_gru = gru(z, q.w, q.u, q.b, q.c, first)

        def back(dz, dc, g):
            dmore, *drest, _ = back_gru(dc)
            for to, d in zip((g.gru.w, g.gru.u, g.gru.b, g.gru.c), drest):
                to += d
            return back_layers(dz + dmore, g.encoder)

        return z, c, back

    def scores(self, p, z, c, k):
        """Log f of all contexts with all frames, k steps ahead: (N, N), N = B (T - k).

        Row i is the context of its own frame i; ``back(ds, dz, dc, g)`` adds.
        """
        B, T, D = z.shape
        then = z[:, k:].reshape(B * (T - k), D)
        now = c[:, : T - k].reshape(B * (T - k), -1)
        w = p.ahead[k - 1]
        guess = now @ w

        def back(ds, dz, dc, g):
            dguess = ds @ then
            dz[:, k:] += (ds.T @ guess).reshape(B, T - k, D)
            dc[:, : T - k] += (dguess @ w.T).reshape(B, T - k, -1)
            dw = g.ahead[k - 1]
            dw += now.T @ dguess

        return guess @ then.T, back

    def barred(self, B, n):
        """Which of B n candidates do not count for which context; None: all count."""
        if self.negatives == "mixed":
            return None
        sequence = np.repeat(np.arange(B), n)
        same = sequence[:, None] == sequence
        if self.negatives == "same":
            return ~same
        np.fill_diagonal(same, False)  # the true one counts
        return same

    def candidates(self, B, samples) -> float:
        """The geometric mean of the numbers of candidates; its logarithm is chance in nats."""
        T, logs = self.frames(samples), []
        for k in range(1, self.ahead + 1):
            n = T - k
            many = {"mixed": B * n, "same": n, "others": 1 + (B - 1) * n}[self.negatives]
            logs.append(np.log(many))
        return float(np.exp(np.mean(logs)))

    def losses(self, p, x):
        """Mean nats of each step ahead, a list; ``back(dvalues, g)``."""
        T = self.frames(x.shape[1])
        if T <= self.ahead:
            raise ValueError(
                f"x must have more than {self.ahead} frames, found {T} (of {x.shape[1]} samples)"
            )
        z, c, back_encode = self.encode(p, x)
        values, backs = [], []
        for k in range(1, self.ahead + 1):
            s, back_scores = self.scores(p, z, c, k)
            barred = self.barred(len(x), T - k)
            if barred is not None:
                s = s - _NEVER * barred.astype(z.real.dtype)
            value, back_value = cross_entropy(s, target=np.arange(len(s)))
            values.append(value)
            backs.append((back_value, back_scores))

        def back(dvalues, g):
            dz, dc = np.zeros_like(z), np.zeros_like(c)
            for dvalue, (back_value, back_scores) in zip(dvalues, backs):
                back_scores(back_value(dvalue), dz, dc, g)
            return back_encode(dz, dc, g)

        return values, back

    def loss(self, p, x, y=None, rng=None):
        """Mean nats over steps ahead, sequences and times."""
        values, back_values = self.losses(p, x)
        K = self.ahead

        def back(g, dvalue=1.0):
            back_values([dvalue / K] * K, g)

        return sum(values) / K, back

    def observe(self, p, x, y=None, rng=None):
        """What `npssl.evaluation.alarms` looks at: contexts of the later half, and the loss."""
        _, c, _ = self.encode(p, x)
        T = c.shape[1]
        late = c[:, (T - 1) // 2 :: max(1, T // 8)]  # not all: neighbours are alike
        return {
            "z": late.reshape(-1, self.context),
            "loss": float(self.loss(p, x)[0]),
            "candidates": self.candidates(len(x), x.shape[1]),
        }
