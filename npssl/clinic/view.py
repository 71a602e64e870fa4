"""One gradient along a few directions: true, claimed, and as it would be after a mistake."""

from functools import cached_property

import numpy as np

from npssl.check.contract import peak
from npssl.clinic.scene import STEP
from npssl.clinic.trace import Tape
from npssl.clinic.wholes import ratio

WEIGHTS = 16  # arrays that a dy may have been multiplied by
DIRECTIONS = 3, 8  # with many outputs, and with few
FIRST = 1, 3  # of these tried first; the others only if a hypothesis passes


class View:
    """The gradient of one argument along a few directions, true, claimed, and with a change."""

    def __init__(self, scene, i):
        self.scene, self.i = scene, i
        a, few = scene.arrays[i], scene.m < 4
        self.V = np.random.default_rng(1).standard_normal((DIRECTIONS[few], *a.shape))
        self.first = FIRST[few]
        flat = self.V.reshape(len(self.V), -1).T
        self.claimed = scene.claimed[i].reshape(len(scene.D), -1) @ flat
        self.truth = scene.truth[i].reshape(len(scene.D), -1) @ flat
        self.gap = self.claimed - self.truth

    def record(self):
        """The tape of the forward, or None if it does not let itself be followed."""
        tape = Tape()
        try:
            self.scene.follow(self.i, tape, self._moved(self.V[0]))
        except Exception:
            return None
        return tape

    def run(self, n, cut, bend=None, times=0.0, part=None):
        """The gradient along the first n directions with some steps cut or bent; or None."""
        slopes = self.slopes(n, cut, bend, times, part)
        return None if slopes is None else self.scene.D @ slopes

    def slopes(self, n, cut, bend=None, times=0.0, part=None):
        """The outputs' slopes along the first n directions, likewise: (outputs, n)."""
        rows = []
        try:
            with np.errstate(all="ignore"):
                for v in self.V[:n]:
                    outs = self.scene.follow(self.i, Tape(cut, bend, times, part), self._moved(v))
                    rows.append(self.scene.flat(outs).imag / STEP)
        except Exception:  # what was tried does not fit there
            return None
        found = np.array(rows).T
        return found if np.isfinite(found).all() else None

    @cached_property
    def right(self):
        """The true slopes of the outputs along all directions: (outputs, directions)."""
        return self.scene.jacobian[self.i] @ self.V.reshape(len(self.V), -1).T

    @cached_property
    def weighted(self):
        """(how, upstream gradients) after a factor that is at hand: an input, a step."""
        scene, found = self.scene, []
        if len(scene.shapes) != 1 or scene.m < 2:
            return found
        dims, distinct = scene.shapes[0], []
        for label, q in scene.known():
            if q.ndim > len(dims) or np.ptp(q) <= 1e-9 * peak(q) or len(distinct) == WEIGHTS:
                continue
            if any(a not in (1, b) for a, b in zip(q.shape[::-1], dims[::-1])):
                continue
            q = np.broadcast_to(q, dims).ravel()
            if any(np.allclose(q, p, 1e-9, 0) for p in distinct):
                continue
            distinct.append(q)
            found.append((f"times {label} once too often", scene.D * q))
            if q.all():
                found.append((f"without {label}", scene.D / q))
        return found

    def _moved(self, v):
        return self.scene.arrays[self.i] + 1j * STEP * v

    def close(self, left):
        """Is nothing left of the gap along the first directions, as many as ``left`` has?"""
        n = left.shape[1]
        size = peak(self.truth[:, :n]) + peak(self.claimed[:, :n])
        return peak(left) <= max(1e-5 * peak(self.gap[:, :n]), 5e-14 * size)

    def fit(self, want, guess):
        """The number c with which c * guess is what is wanted, first along few directions.

        ``want(n)`` and ``guess(n)`` are along the first n; None if there is no such number.
        """
        for n in (self.first, len(self.V)):
            given, found = want(n), guess(n)
            if given is None or found is None or not peak(found):
                return None
            c = ratio(given, found)
            if not self.close(given - c * found):
                return None
        return c

    def same(self, guess):
        """Is ``guess`` what was claimed?"""
        for n in (self.first, len(self.V)):
            found = guess(n)
            if found is None or not self.close(self.claimed[:, :n] - found):
                return False
        return True
