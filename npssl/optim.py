"""Optimisers move one flat vector along another; schedules say how far.

An optimiser's ``state`` is a dict of arrays that ``step`` changes in place, the
count of steps among them: with the parameters it is all that a checkpoint holds.
Weight decay touches the matrices, ``flat[:decayed]``, and frozen parts of the
parameters are left alone, decay included.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np

from npssl.kernels import fast

Schedule = Callable[[int], float]


class AdamW:
    r"""Adam with decoupled weight decay.

    Parameters
    ----------
    params : npssl.params.Params
        What will be moved; float32 or float64.
    betas : (b1, b2)
        How much of the old means is kept at each step, in [0, 1).
    eps : float
        Keeps the step finite where a gradient is always 0.
    decay : float
        Share of a matrix that a step with learning rate 1 takes away.
    bias_correction : bool
        False is BERT's published optimiser; use eps = 1e-6 and warm-up with it.
    shares : dict of str to float, optional
        What part of the learning rate some parameters have: by their names, or beginnings
        of names up to a dot, of which the longest counts.  All others have 1.

    Derivation
    ----------
    At step t = 1, 2, ... with gradient g and learning rate lr::

        m = b1 m + (1 - b1) g                                                (1)
        v = b2 v + (1 - b2) g^2                                              (2)
        p = (1 - lr decay) p                    matrices only                (3)
        p = p - lr (m / c1) / (sqrt(v / c2) + eps)                           (4)

    m and v begin at 0.  If g were always the same, (1) would give
    m = (1 - b1^t) g; so c1 = 1 - b1^t and c2 = 1 - b2^t undo the bias towards 0.
    Without bias correction c1 = c2 = 1.

    A fact to check by eye: by (4) the first step is lr times the sign of g,
    whatever the size of g.

    References
    ----------
    Kingma & Ba, "Adam: A Method for Stochastic Optimization", 2015, arXiv:1412.6980,
    algorithm 1; Loshchilov & Hutter, "Decoupled Weight Decay Regularization", 2019,
    arXiv:1711.05101, algorithm 2.  There, decay is multiplied by the schedule alone; here
    by the whole learning rate, as in PyTorch and in BERT.

    Examples
    --------
    >>> from npssl.params import Params, zeros
    >>> p = Params({"b": zeros(2)}, dtype=np.float64)
    >>> g = p.zeros()
    >>> g.flat[:] = [1e-3, -5.0]
    >>> AdamW(p, eps=0).step(p, g, lr=0.1)
    >>> p.flat.round(6).tolist()
    [-0.1, 0.1]
    """

    def __init__(
        self,
        params,
        betas=(0.9, 0.999),
        eps=1e-8,
        decay=0.01,
        *,
        bias_correction=True,
        shares=None,
    ):
        for name, value in (("betas[0]", betas[0]), ("betas[1]", betas[1])):
            _within(name, value, 1)
        _within("eps", eps)
        _within("decay", decay)
        self.betas, self.eps, self.decay = betas, eps, decay
        self.bias_correction = bias_correction
        self.shares = _shares(params, shares) if shares else [(0, params.flat.size, 1.0)]
        self.state = {
            "m": np.zeros_like(params.flat),
            "v": np.zeros_like(params.flat),
            "t": np.zeros((), np.int64),
        }

    def step(self, params, grads, lr: float) -> None:
        """Move ``params`` against ``grads`` (same windows) with learning rate ``lr``."""
        _same_layout(params, grads, self.state["m"])
        self.state["t"][...] += 1
        t, (b1, b2) = int(self.state["t"]), self.betas
        c1, c2 = (1 - b1**t, 1 - b2**t) if self.bias_correction else (1.0, 1.0)
        correct = 1 / math.sqrt(c2)
        for part, decays, share in _shared(_parts(params), self.shares):
            shrink = 1 - lr * share * self.decay if decays else 1.0
            rate = lr * share / c1
            rows = [a[part] for a in (params.flat, grads.flat, self.state["m"], self.state["v"])]
            numbers = shrink, b1, 1 - b1, b2, 1 - b2, rate, correct, self.eps
            if fast(*rows):
                from npssl.kernels.adamw import adamw
            else:
                adamw = _adamw
            adamw(*rows, *numbers)


def _adamw(p, g, m, v, shrink, b1, rest1, b2, rest2, rate, correct, eps):
    """The page of `npssl.kernels.adamw`: equations (1) to (4) of `AdamW`."""
    m *= b1
    m += rest1 * g  # (1)
    v *= b2
    v += rest2 * (g * g)  # (2)
    p *= shrink  # (3)
    p -= rate * m / (np.sqrt(v) * correct + eps)  # (4)


class SGD:
    r"""Stochastic gradient descent, with heavy-ball momentum if asked for.

    Parameters
    ----------
    params : npssl.params.Params
    momentum : float in [0, 1)
        How much of the last step's direction is kept; 0 keeps no state but the count.
    decay : float
        Adds ``decay * p`` to the gradient of the matrices (an L2 penalty).

    Derivation
    ----------
    ::

        d = g + decay p                         matrices only                (1)
        u = momentum u + d                                                   (2)
        p = p - lr u                                                         (3)

    A fact to check by eye: with a constant d, u tends to d / (1 - momentum), so
    momentum 0.9 means steps ten times as long.

    References
    ----------
    Polyak, "Some methods of speeding up the convergence of iteration methods", USSR
    Computational Mathematics and Mathematical Physics 4(5), 1964, 1-17; (2) and (3) in
    the form of Sutskever, Martens, Dahl & Hinton, "On the importance of initialization and
    momentum in deep learning", ICML 2013, with lr taken out of u, as PyTorch does.

    Examples
    --------
    >>> from npssl.params import Params, zeros
    >>> p = Params({"b": zeros(1)}, dtype=np.float64)
    >>> g = p.zeros()
    >>> g.flat[:] = 1
    >>> sgd = SGD(p, momentum=0.5)
    >>> for _ in range(2):
    ...     sgd.step(p, g, lr=1)
    >>> p.flat.tolist()
    [-2.5]
    """

    def __init__(self, params, momentum=0.0, decay=0.0):
        _within("momentum", momentum, 1)
        _within("decay", decay)
        self.momentum, self.decay = momentum, decay
        self.state = {"t": np.zeros((), np.int64)}
        if momentum:
            self.state["u"] = np.zeros_like(params.flat)

    def step(self, params, grads, lr: float) -> None:
        """Move ``params`` against ``grads`` (same windows) with learning rate ``lr``."""
        _same_layout(params, grads, self.state.get("u", params.flat))
        self.state["t"][...] += 1
        for part, decays in _parts(params):
            p, d = params.flat[part], grads.flat[part]
            if decays and self.decay:
                d = d + self.decay * p  # (1)
            if self.momentum:
                u = self.state["u"][part]
                u *= self.momentum
                u += d  # (2)
                d = u
            p -= lr * d  # (3)


def clip(grads, norm: float) -> float:
    """Shorten the gradient to length ``norm`` if it is longer; returns the length it had.

    The length is taken over all that is trained, in float64.  A length that is not
    finite is returned and nothing is changed.

    >>> from npssl.params import Params, zeros
    >>> g = Params({"b": zeros(2)}, dtype=np.float64)
    >>> g.flat[:] = [3, 4]
    >>> clip(g, 1.0), g.flat.round(6).tolist()
    (5.0, [0.6, 0.8])

    References
    ----------
    Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural networks",
    2013, arXiv:1211.5063, algorithm 1.  PyTorch adds 1e-6 to the length before dividing.
    """
    if not norm > 0:
        raise ValueError(f"norm: expected a positive length, found {norm}")
    parts = [grads.flat[part] for part in getattr(grads, "trainable", [slice(None)])]
    length = math.sqrt(sum(_square_sum(part) for part in parts))
    if norm < length < math.inf:
        for part in parts:
            part *= norm / length
    return length


def _square_sum(a, block=1 << 16):
    """Sum of squares in float64, without a float64 copy of the whole vector."""
    if fast(a):
        from npssl.kernels.adamw import square_sum

        return square_sum(a)
    blocks = (a[k : k + block].astype(np.float64, copy=False) for k in range(0, a.size, block))
    return sum(float(b @ b) for b in blocks)


# Schedules: functions of the step number k = 0, 1, ..., which return a learning rate.


def constant(lr: float) -> Schedule:
    """The same learning rate at every step.

    >>> constant(0.1)(7)
    0.1
    """
    _within("lr", lr)
    return lambda k: lr


def linear(lr: float, steps: int, floor: float = 0.0) -> Schedule:
    """In a straight line from ``lr`` at step 0 to ``floor`` at step ``steps``, then level.

    >>> [linear(1.0, 4)(k) for k in range(6)]
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """
    _spans(steps)
    _within("lr", lr)
    return lambda k: floor + (lr - floor) * (1 - _share(k, 0, steps))


def warmup_linear(lr: float, warmup: int, steps: int) -> Schedule:
    """Up to ``lr`` during ``warmup`` steps, then down to 0 at step ``steps``.

    The first step has ``lr / warmup``, not 0, so that it is not wasted.

    >>> [warmup_linear(1.0, 2, 6)(k) for k in range(7)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    _spans(steps, warmup)
    _within("lr", lr)
    return lambda k: lr * ((k + 1) / warmup if k < warmup else 1 - _share(k, warmup, steps))


def warmup_cosine(lr: float, warmup: int, steps: int, floor: float = 0.0) -> Schedule:
    """Up to ``lr`` during ``warmup`` steps, then along half a cosine to ``floor``.

    >>> [round(warmup_cosine(1.0, 2, 6)(k), 3) for k in range(7)]
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146, 0.0]

    References
    ----------
    Loshchilov & Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017,
    arXiv:1608.03983, equation (5), without restarts.
    """
    _spans(steps, warmup)
    _within("lr", lr)

    def at(k):
        if k < warmup:
            return lr * (k + 1) / warmup
        return floor + (lr - floor) * 0.5 * (1 + math.cos(math.pi * _share(k, warmup, steps)))

    return at


def _share(k, warmup, steps):
    """How much of the way down is done, from 0 to 1."""
    return min((k - warmup) / (steps - warmup), 1.0)


def _spans(steps, warmup=0):
    if not 0 <= warmup < steps:
        raise ValueError(f"expected 0 <= warmup < steps, found warmup {warmup}, steps {steps}")


def _within(name, value, below=math.inf):
    if not 0 <= value < below:
        raise ValueError(f"{name}: expected 0 <= {name} < {below}, found {value}")


def _same_layout(params, grads, state):
    for name, flat in (("grads", grads.flat), ("state", state)):
        if flat.shape != params.flat.shape or flat.dtype != params.flat.dtype:
            raise ValueError(
                f"{name}: expected {params.flat.dtype} {params.flat.shape} as the parameters, "
                f"found {flat.dtype} {flat.shape}"
            )


def _parts(params) -> Iterator[tuple[slice, bool]]:
    """The trained ranges, cut where weight decay ends: (range, does it decay)."""
    for part in getattr(params, "trainable", [slice(None)]):
        start, stop, _ = part.indices(params.flat.size)
        middle = min(max(start, params.decayed), stop)
        for low, high, decays in ((start, middle, True), (middle, stop, False)):
            if low < high:
                yield slice(low, high), decays


def _shares(params, shares) -> list[tuple[int, int, float]]:
    """Ranges of the flat vector in its order, and their parts of the learning rate."""
    ranges: list[tuple[int, int, float]] = []
    left, stop = set(shares), 0
    for name, view in params.views.items():
        start, stop = stop, stop + view.size
        fits = [s for s in shares if name == s or name.startswith(s + ".")]
        left.difference_update(fits)
        share = float(shares[max(fits, key=len)]) if fits else 1.0
        _within(f"shares[{max(fits, key=len, default=None)!r}]", share)
        if ranges and ranges[-1][2] == share:
            start = ranges.pop()[0]
        ranges.append((start, stop, share))
    if left:
        raise ValueError(f"shares: no parameter {sorted(left)}; have {[*params.views]}")
    return ranges


def _shared(parts, ranges) -> Iterator[tuple[slice, bool, float]]:
    """The parts, cut where the share of the learning rate changes."""
    for part, decays in parts:
        for start, stop, share in ranges:
            low, high = max(part.start, start), min(part.stop, stop)
            if low < high:
                yield slice(low, high), decays, share
