"""How much does one half of a pair tell about the other?  A critic is trained to say.

    t : (x, c)              N observed pairs, each half (N, width)
    x : (N, width)          one half
    y : (N, width)          the other half, c

    scores_ij = critic(x_i, c_j),   loss = -estimate(scores)

A separable critic is a dot product of two networks, <g(x_i), h(c_j)> / sqrt(width of both),
N + N passes: so scores are near 1 to begin with, and their exponentials are numbers.  A
concatenated one sees both halves at once, f([x_i, c_j]): N^2 passes.  What the critic has
learnt is read in nats by ``read``, on pairs that it was not trained on.

Poole, Ozair, van den Oord, Alemi & Tucker, "On Variational Bounds of Mutual Information",
ICML 2019, arXiv:1905.06922.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from npssl.losses.mutual_information import (
    donsker_varadhan,
    info_nce_bound,
    interpolated,
    js,
    nwj,
    smile,
    tuba,
)
from npssl.models.dense import mlp, mlp_spec

# name: (what the critic makes large, what reads it in nats)
ESTIMATES: dict[str, tuple[Callable, Callable]] = {
    "info-nce": (info_nce_bound, info_nce_bound),
    "nwj": (nwj, nwj),
    "js": (js, lambda s: nwj(s + 1)),
    "dv": (donsker_varadhan, donsker_varadhan),
    "smile": (js, smile),
    "tuba": (tuba, tuba),
    "interpolated": (interpolated, interpolated),
}
BASELINES = "tuba", "interpolated"  # that learn one
CRITICS = "separable", "concatenated"


@dataclass(frozen=True)
class MutualInformation:
    """Estimate the information between two halves of pairs.

    Parameters
    ----------
    width : int         of each half
    hidden : int        of the two hidden layers of every network
    out : int           width of g(x) and h(c) of a separable critic
    critic : str        "separable" or "concatenated"
    estimate : str      one of `ESTIMATES`
    """

    width: int = 20
    hidden: int = 128
    out: int = 32
    critic: str = "separable"
    estimate: str = "info-nce"

    def __post_init__(self):
        for name, known in (("critic", CRITICS), ("estimate", tuple(ESTIMATES))):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be one of {', '.join(known)}, found {getattr(self, name)!r}"
                )

    def spec(self):
        """Parameters: ``x`` and ``c``, or ``both``; ``baseline`` where one is learnt."""
        D, H = self.width, self.hidden
        if self.critic == "separable":
            found = dict(x=mlp_spec(D, H, H, self.out), c=mlp_spec(D, H, H, self.out))
        else:
            found = dict(both=mlp_spec(2 * D, H, H, 1))
        if self.estimate in BASELINES:
            found["baseline"] = mlp_spec(D, H, 1)
        return found

    def split(self, t, rng=None):
        """One half, and the other."""
        return t

    def scores(self, p, x, c):
        """Scores (N, N) of all halves with all; ``back(ds, g)``."""
        N = len(x)
        if self.critic == "separable":
            u, back_u = mlp(p.x, x)
            v, back_v = mlp(p.c, c)
            scale = self.out**-0.5

            def back(ds, g):
                back_u(scale * (ds @ v), g.x)
                back_v(scale * (ds.T @ u), g.c)

            return scale * (u @ v.T), back
        both = np.concatenate([np.repeat(x, N, 0), np.tile(c, (N, 1))], 1)
        s, back_mlp = mlp(p.both, both)
        return s.reshape(N, N), lambda ds, g: back_mlp(ds.reshape(-1, 1), g.both)

    def loss(self, p, x, y, rng=None):
        """Minus the estimate that is trained, nats."""
        s, back_scores = self.scores(p, x, y)
        op = ESTIMATES[self.estimate][0]
        if self.estimate in BASELINES:
            b, back_baseline = mlp(p.baseline, x)
            value, back_value = op(s, b[:, 0])
        else:
            value, back_value = op(s)

        def back(g, dvalue=1.0):
            found = back_value(-dvalue)
            if self.estimate in BASELINES:
                ds, db = found
                back_baseline(db[:, None], g.baseline)
                back_scores(ds, g)
            else:
                back_scores(found, g)

        return -value, back

    def read(self, p, x, c) -> float:
        """What the critic shows on these pairs, nats."""
        s, op = self.scores(p, x, c)[0], ESTIMATES[self.estimate][1]
        more = (mlp(p.baseline, x)[0][:, 0],) if self.estimate in BASELINES else ()
        return float(op(s, *more)[0])
