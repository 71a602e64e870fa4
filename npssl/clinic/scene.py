"""Both sides of the question as numbers: the gradients claimed, and the true Jacobians.

`Scene` holds, for each argument, the Jacobian J of all outputs by all entries (complex
step where the forward takes it, else extrapolated differences), L random upstream
gradients D, what ``back`` made of them, and what it should have made: D J.  A hypothesis
about a mistake is a guess at another J; it is right if it gives what was claimed for all
L upstream gradients at once.
"""

import math
import warnings
from inspect import Parameter, signature

import numpy as np

from npssl.check.contract import peak, unit_of
from npssl.check.slopes import BARS, COMPLEX, DIFFERENCES, Kink, Slopes
from npssl.clinic.trace import Tape

STEP = 1e-30
UPSTREAM = 5  # random upstream gradients
LIMIT = 3_000_000  # entries of one Jacobian


class Ray:
    """The outputs as a function of one number, along a direction through all arguments."""

    def __init__(self, subject, arrays, v):
        self.subject, self.arrays, self.v = subject, arrays, v

    def values(self, t):
        """The outputs after a way of ``t[0]``."""
        return self.subject.values(*(a + t[0] * v for a, v in zip(self.arrays, self.v)))


class Scene:
    """The point, the upstream gradients, the claims and the truth."""

    def __init__(self, subject, names, arrays, seed):
        self.subject, self.names, self.arrays = subject, names, arrays
        self.rng = np.random.default_rng(seed)
        self.y, self.back = subject(*arrays)
        self.shapes = [out.shape for out in self.y]
        self.m = sum(out.size for out in self.y)
        self.D = self.rng.standard_normal((UPSTREAM, self.m))
        self.coarse = any(out.dtype.itemsize < 8 for out in self.y)  # float64 in, float32 out
        self.claimed: list[np.ndarray] = []
        self.misshapen: dict[int, np.ndarray] = {}
        self.jacobian: list[np.ndarray] = []
        self.truth: list[np.ndarray] = []
        self.method: list[str] = []
        self.suspects: list[str] = []  # lines of the forward that were found wrong
        self.vain = False  # were all steps tried for some argument, and none fitted?
        self.picked: list[tuple[str, np.ndarray, bool]] = []
        self.intermediates: list[tuple[str, np.ndarray]] = []

    def upstream(self, flat):
        """A row of numbers as one dy an output."""
        parts = [flat]
        if len(self.y) > 1:
            parts = np.split(flat, np.cumsum([out.size for out in self.y])[:-1])
        return [p.reshape(s).astype(out.dtype) for p, s, out in zip(parts, self.shapes, self.y)]

    def flat(self, outs):
        """One value an output as a row of numbers."""
        return np.concatenate([np.ravel(out) for out in outs]) if self.m else np.zeros(0)

    def measure(self):
        """Fill in the true Jacobians; raises `Kink` where there is none."""
        dys = self.upstream(self.D[0])
        with np.errstate(all="ignore"):
            slopes = Slopes(self.subject, self.arrays, self.y, dys)
            together = self._together(slopes)
            for i, a in enumerate(self.arrays):
                if a.size * self.m > LIMIT:
                    raise ValueError(
                        f"{self.names[i]}: its Jacobian has {a.size} x {self.m} entries, more than "
                        f"{LIMIT}: the same code on a smaller example shows the same mistake"
                    )
                used = together
                if not used:
                    used = self._instrument(slopes, i) if a.size and self.m else COMPLEX
                self.method.append(used)
                J = self.jacobian_of(i, used)
                self.jacobian.append(J)
                self.truth.append((self.D @ J).reshape(UPSTREAM, *a.shape))
        self.floor = [slopes.size / unit for unit in slopes.units]

    def _together(self, slopes):
        """The complex step, if it is right along a direction through all arguments at once."""
        if self.coarse or not self.m:
            return None
        v = [u * self.rng.standard_normal(a.shape) for u, a in zip(slopes.units, self.arrays)]
        ray = Ray(self.subject, self.arrays, v)
        try:
            used = self._instrument(Slopes(ray, [np.zeros(1)], self.y, slopes.dy), 0)
        except Kink:  # which argument is it?
            return None
        return used if used == COMPLEX else None

    def _instrument(self, slopes, i):
        if self.coarse:
            return DIFFERENCES
        v = self.rng.standard_normal(slopes.arrays[i].shape)
        scale = slopes.size / slopes.units[i]
        slopes.refuse_kink(i, v, scale)
        rough, doubt = slopes.differences(i, v, scale)
        exact = slopes.complex_step(i, v)
        size = max(scale, abs(rough))
        if exact is not None and abs(exact - rough) <= 1e-6 * size + min(doubt, 1e-3 * size):
            return COMPLEX
        if not doubt <= 5e-8 * size:
            raise Kink(f"{self.names[i]}: no derivative to be had here: {rough:.6g} +- {doubt:.1g}")
        return DIFFERENCES

    def jacobian_of(self, i, used=None, arrays=None, **other):
        """(outputs, entries of argument i), perhaps elsewhere or with other options."""
        units = np.eye(self.arrays[i].size).reshape(self.arrays[i].size, *self.arrays[i].shape)
        rows = [self.slope(i, v, used or self.method[i], arrays, **other) for v in units]
        return np.array(rows).T.reshape(self.m, len(units))

    def slope(self, i, v, used, arrays=None, **other):
        """All outputs' slopes as argument i moves along v."""
        arrays = self.arrays if arrays is None else arrays

        def at(move):
            moved = [a + move if j == i else a for j, a in enumerate(arrays)]
            with np.errstate(all="ignore"):
                return self.flat(self.subject.values(*moved, **other))

        if used == COMPLEX:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
                return at(1j * STEP * v).imag / STEP
        unit = unit_of(arrays[i])
        if self.coarse:
            h = unit * 2.0**-7
            wide, narrow = ((at(s * h * v) - at(-s * h * v)) / (2 * s * h) for s in (2, 1))
            return narrow + (narrow - wide) / 3
        return extrapolated(lambda h: at(h * v), unit)

    def follow(self, i, tape, moved):
        """The outputs, as a tape follows argument i through the forward."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            arrays = [tape.watch(moved) if j == i else a for j, a in enumerate(self.arrays)]
            return [np.asarray(out) for out in self.subject.forward_only(arrays)]

    def remember_steps(self, i):
        """Keep what the forward makes of argument i on its way, for comparison."""
        tape = Tape()
        try:
            self.follow(i, tape, self.arrays[i] + 0j)
        except Exception:  # this forward does not let itself be followed
            tape = Tape()
        self.intermediates = tape.arrays[:200]
        self.picked = tape.picked

    # what there is to compare with

    def given(self):
        """(label, array): inputs and outputs."""
        yield from zip(self.names, self.arrays)
        one = "the output" if "y" in self.names else "y"
        for k, out in enumerate(self.y):
            yield (one if len(self.y) == 1 else f"output {k}"), out

    def known(self):
        """(label, array): inputs, outputs, options, and what the forward made on its way."""
        yield from self.given()
        for name, value in self.subject.options.items():
            if isinstance(value, np.ndarray) and value.dtype.kind in "fb":
                yield name, value.astype(float)
        for label, a in self.intermediates:
            if a.size > 1:
                yield label, a

    def diagonal(self, i):
        """Is it an entry-wise function of argument i?"""
        if len(self.shapes) != 1 or self.shapes[0] != self.arrays[i].shape or self.m < 2:
            return False
        J = self.jacobian[i]
        return peak(J - np.diag(np.diag(J))) <= 1e-9 * peak(J)

    def options_of_forward(self):
        """The options, those that were left at their defaults included."""
        try:
            known = signature(self.subject.forward).parameters.values()
        except (TypeError, ValueError):
            known = []
        left = {p.name: p.default for p in known if p.default is not Parameter.empty}
        return {**left, **self.subject.options}

    def strings_of_forward(self):
        """Strings in the code of the forward: what an option might have been."""
        code = getattr(self.subject.forward, "__code__", None)
        found = []
        for const in code.co_consts if code else ():
            for part in const if isinstance(const, tuple) else (const,):
                if isinstance(part, str) and len(part) < 20 and part.isidentifier():
                    found.append(part)
        return list(dict.fromkeys(found))

    # what follows from the numbers

    @property
    def bar(self):
        """The relative error up to which a gradient counts as right."""
        if self.coarse:
            return 5e-3
        return BARS[COMPLEX] if set(self.method) == {COMPLEX} else BARS[DIFFERENCES]

    @property
    def near(self):
        """How close a hypothesis must come to count as exact."""
        return 2e-2 if self.coarse else (1e-8 if self.bar == BARS[COMPLEX] else 1e-6)

    def scale(self, i):
        """What errors in the gradient of argument i are relative to."""
        return max(peak(self.truth[i]), self.floor[i]) or 1.0

    def error(self, i):
        """The worst relative error of what was claimed for argument i."""
        error = peak(self.claimed[i] - self.truth[i]) / self.scale(i)
        return error if math.isfinite(error) else math.inf

    def wrong(self):
        """The arguments whose gradients are over the bar, and by more than rounding does."""
        over = [i for i in range(len(self.arrays)) if not self.error(i) <= self.bar]
        return [i for i in over if self.error(i) > 1e3 * self.bar or not self._rounded(i)]

    def _rounded(self, i):
        """Is so small an error of another size at some point nearby?  Then it is rounding.

        So it is where digits cancel: rows nearly equal under a norm, a loss near 0.  That of a
        mistake hardly changes.
        """
        rng, gap = np.random.default_rng(5), self.claimed[i] - self.truth[i]
        for _ in range(8):
            near = [a * (1 + 1e-3 * rng.standard_normal(a.shape)) for a in self.arrays]
            try:
                back = self.subject(*near)[1]
                claimed = np.stack([np.asarray(back(self.upstream(d))[i], float) for d in self.D])
                truth = (self.D @ self.jacobian_of(i, arrays=near)).reshape(claimed.shape)
            except Exception:  # a crash is told elsewhere
                return False
            if peak(claimed - truth - gap) > 0.5 * peak(gap):
                return True
        return False

    def explained(self, i, guess):
        """1 if ``guess`` is what was claimed, 0 if it is no nearer than the truth is."""
        before = np.linalg.norm(self.claimed[i] - self.truth[i])
        return 1 - float(np.linalg.norm(self.claimed[i] - guess) / before)

    def exact(self, i, guess):
        """Does ``guess`` give all that was claimed, and explain the gap itself to 1e-5?"""
        gap = peak(self.claimed[i] - guess)
        residual = peak(self.claimed[i] - self.truth[i])
        noise = 2e-15 * self.scale(i) if self.method[i] == COMPLEX else self.bar * self.scale(i)
        if self.coarse:
            return gap <= max(0.05 * residual, 5e-3 * peak(self.claimed[i]))
        return gap <= max(1e-5 * residual, 50 * noise) and gap <= 0.1 * residual


def extrapolated(f, unit):
    """Ridders' table for a vector: each entry from where its neighbours agree best."""
    best = doubt = None
    row: list[np.ndarray] = []
    for level in range(6, 17):
        h = unit * 2.0**-level
        new = [(f(h) - f(-h)) / (2 * h)]
        for j, old in enumerate(row):
            new.append(new[j] + (new[j] - old) / (4.0 ** (j + 1) - 1))
            gap = np.maximum(abs(new[-1] - new[-2]), abs(new[-1] - old))
            if best is None:
                best, doubt = new[-1].copy(), gap
            better = gap <= doubt
            best, doubt = np.where(better, new[-1], best), np.where(better, gap, doubt)
        row = new
    return best
