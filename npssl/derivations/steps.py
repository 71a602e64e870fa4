"""The machine: run the steps of a derivation at many points, and name the one that fails."""

from dataclasses import dataclass

import numpy as np

FACT = 0  # "a fact to check by eye" bears no number
TINY = 1e-30


@dataclass(frozen=True)
class Step:
    """One step at the worst of all points.

    ``gap`` is how far the relation is from holding, relative to the larger of 1 and the
    sides; ``broken`` the share of points where it fails, ``point`` the seed of the worst.
    """

    number: object
    relation: str
    gap: float
    broken: float
    point: int
    left: object
    right: object

    def __str__(self):
        how = f"fails at {100 * self.broken:.3g} % of the points, worst at point {self.point}"
        return (
            f"step ({self.number}): left {self.relation} right {how}: {self.left} and {self.right}"
        )


class WrongStep(AssertionError):
    """A step of a derivation does not hold: says which, and where it is worst."""


def run(derivation, points=50, bar=1e-9):
    """Every step of a derivation at its worst point, in order.

    Parameters
    ----------
    derivation : callable   rng -> yields (number, left, relation, right)
    points : int            how many
    bar : float             gap that rounding is allowed

    Returns
    -------
    dict : place in the derivation -> Step

    Examples
    --------
    >>> def square(rng):
    ...     a, b = rng.normal(size=2)
    ...     yield 1, (a + b) ** 2, "=", a * a + 2 * a * b + b * b
    ...     yield 2, a * b, "<=", (a * a + b * b) / 2
    ...     yield 3, (a + b) ** 2, "<=", a * a + b * b
    >>> [bool(step.broken) for step in run(square).values()]
    [False, False, True]
    """
    worst: dict[int, Step] = {}
    broken: dict[int, int] = {}
    for seed in range(points):
        for place, (number, left, relation, right) in enumerate(
            derivation(np.random.default_rng([seed, 7]))
        ):
            left, right = np.asarray(left, float), np.asarray(right, float)
            gap = _gap(left, relation, right)
            broken[place] = broken.get(place, 0) + (not gap <= bar)
            if place not in worst or not gap <= worst[place].gap:
                worst[place] = Step(number, relation, gap, 0.0, seed, left, right)
    return {
        place: Step(s.number, s.relation, s.gap, broken[place] / points, s.point, s.left, s.right)
        for place, s in worst.items()
    }


def verify(derivation, points=50, bar=1e-9):
    """As `run`, but a step that fails anywhere raises `WrongStep`; returns the worst gap.

    >>> def slip(rng):
    ...     x = rng.normal()
    ...     yield 1, np.cosh(x), ">=", 1
    ...     yield 2, np.cosh(x), "=", 1 + x * x / 2
    >>> verify(slip)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    npssl.derivations.steps.WrongStep: slip: step (2): left = right fails at ...
    """
    found = run(derivation, points, bar)
    for step in found.values():
        if step.broken:
            raise WrongStep(f"{derivation.__name__}: {step}")
    return max(step.gap for step in found.values())


def _gap(left, relation, right):
    if relation not in ("=", "<=", ">="):
        raise ValueError(f"relation: expected '=', '<=' or '>=', found {relation!r}")
    if left.shape != right.shape and left.ndim and right.ndim:
        raise WrongStep(f"the sides have the shapes {left.shape} and {right.shape}")
    if not left.size:
        return 0.0
    if not np.isfinite(left).all() or np.isnan(right).any():
        return np.inf
    off = {"=": abs(left - right), "<=": left - right, ">=": right - left}[relation]
    return max(0.0, float((off / np.maximum(1, np.maximum(abs(left), abs(right)))).max()))


def slope(f, x, v):
    """The derivative of f at x along v, by the complex step.

    >>> float(slope(np.square, 3.0, 1.0))
    6.0
    """
    return np.imag(f(x + 1j * TINY * v)) / TINY


def gradient(f, x, dy=1.0):
    """d <dy, f(x)> / dx, entry by entry, by the complex step.

    >>> gradient(lambda x: (x * x).sum(), np.array([1.0, 2.0]))
    array([2., 4.])
    """
    out = np.zeros(np.shape(x))
    for place in np.ndindex(out.shape):
        v = np.zeros(out.shape)
        v[place] = 1
        out[place] = np.sum(dy * slope(f, x, v))
    return out


def sigmoid(x):
    """1 / (1 + exp(-x)), for complex x too."""
    return 1 / (1 + np.exp(-x))


def softplus(x):
    """log(1 + exp(x)), for complex x too."""
    return np.log(1 + np.exp(x))
