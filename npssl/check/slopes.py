"""The derivative of the forward: the complex step, extrapolated differences, kinks.

**The complex step.**  For an analytic f, ``f(x + i h v) = f(x) + i h f'(x) v + O(h^2)``,
so with h = 1e-30 the imaginary part is the derivative, to rounding: nothing was
subtracted (Squire & Trapp, "Using complex variables to estimate derivatives of real
functions", SIAM Review 40(1), 1998).  A forward that refuses complex numbers, or that
loses the imaginary part on the way (``abs``, ``.real``), is recognised by comparing it
with the second instrument.

**Extrapolated differences.**  Central differences D(h), D(h/2), ... have an error in
even powers of h; each column of the table removes one (Richardson 1911), and the
entry whose neighbours agree best is taken (Ridders, "Accurate computation of F'(x) and
F'(x)F''(x)", Advances in Engineering Software 4(2), 1982).

**The second difference** ``(f(x + hv) - 2 f(x) + f(x - hv)) / h``: it vanishes with h
where f is smooth and does not at a corner, which is a `Kink`.
"""

import math
import warnings
from dataclasses import dataclass

import numpy as np

from npssl.check.contract import peak, size_of, unit_of

COMPLEX, DIFFERENCES = "complex step", "differences"
BARS = {COMPLEX: 1e-12, DIFFERENCES: 1e-9}
FLOAT32_BAR = 1e-3


class Kink(ValueError):
    """The point sits on a corner of the function, where no derivative is: draw another."""


@dataclass(frozen=True)
class Finding:
    """The worst gap that was seen in the gradient of one argument.

    ``error`` is relative to the largest entry of the true gradient, or where that is
    larger to ``|dy| max(1, |y|) / max |x|``, the unit of rounding in the op; ``expected``
    and ``found`` are the two slopes at ``place``: an index, or a random direction.
    """

    argument: str
    method: str
    error: float
    bar: float
    place: str = "nowhere: it is empty"
    expected: float = 0.0
    found: float = 0.0

    def __str__(self):
        verdict = "ok   " if self.error <= self.bar else "WRONG"
        return (
            f"{verdict} {self.argument}: relative error {self.error:.1e} (bar {self.bar:.0e}, "
            f"{self.method}); worst at {self.place}: expected {self.expected:.17g}, "
            f"found {self.found:.17g}"
        )


class Slopes:
    """Derivatives of ``<dy, op>`` in float64, along any direction in any argument."""

    def __init__(self, run, arrays, y, dy):
        self.run = run
        self.arrays = [np.asarray(a, np.float64) for a in arrays]
        self.dy = [np.asarray(d, np.float64) for d in dy]
        single = any(a.dtype != np.float64 for a in arrays)
        self.single = single
        self.y = run.values(*self.arrays) if single else y
        self.size = size_of(self.dy, self.y)
        self.units = [unit_of(a) for a in self.arrays]

    def values(self, i, move):
        """The outputs after argument ``i`` has moved."""
        moved = [a + move if j == i else a for j, a in enumerate(self.arrays)]
        return self.run.values(*moved)

    def dot(self, outs):
        """``<dy, outs>``, over all outputs."""
        return float(sum(np.sum(d * out) for d, out in zip(self.dy, outs)))

    def complex_step(self, i, v):
        """None where the forward refuses complex numbers."""
        h = 1e-30
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                return self.dot([out.imag / h for out in self.values(i, 1j * h * v)])
        except Exception:  # whatever it is: this forward is for real numbers
            return None

    def differences(self, i, v, scale, widest=6):
        """Ridders' table: the slope, and how far its neighbours in the table are.

        The widest step is 2^-``widest`` of the argument's size.
        """
        best, doubt, tried, row = math.nan, math.inf, 0, []
        for level in range(widest, 23):
            h = self.units[i] * 2.0**-level
            ends = [self.values(i, sign * h * v) for sign in (+1, -1)]
            new = [self.dot([a - b for a, b in zip(*ends)]) / (2 * h)]
            if not math.isfinite(new[0]):
                row = []
                continue
            tried += 1
            for j, old in enumerate(row):
                new.append(new[j] + (new[j] - old) / (4.0 ** (j + 1) - 1))
                gap = max(abs(new[-1] - new[-2]), abs(new[-1] - old))
                if gap <= doubt:
                    best, doubt, tried = new[-1], gap, 0
            row = new
            if doubt <= 3e-13 * scale or (doubt <= 1e-10 * scale and tried >= 3):
                break
        return best, doubt

    def refuse_kink(self, i, v, scale):
        """Raise `Kink` if the second difference does not vanish with the step."""

        def bend(h):
            there, back = self.values(i, h * v), self.values(i, -h * v)
            return abs(self.dot([(a - o) + (b - o) for a, b, o in zip(there, back, self.y)])) / h

        wide, narrow = (bend(self.units[i] * 2.0**-k) for k in (20, 23))
        if narrow > 1e-6 * scale and narrow > wide / 2:
            raise Kink(f"the slope jumps by {narrow:.3g} at this point: draw another")


def compare(slopes, i, name, g, rng, method, every):
    """The worst gap between gradient ``g`` of argument ``i`` and the numbers."""
    n, g = g.size, np.asarray(g, np.float64)
    floor = slopes.size / slopes.units[i]
    if n == 0:
        return Finding(name, method if method != "auto" else COMPLEX, 0.0, BARS[COMPLEX])

    v = rng.standard_normal(g.shape)
    along = max(float(np.linalg.norm(g)), floor)
    slopes.refuse_kink(i, v, along)
    rough, doubt = slopes.differences(i, v, along)
    if math.isfinite(rough):  # a gradient that is too small must not set the scale
        along = max(along, abs(rough))
    exact = slopes.complex_step(i, v) if method != DIFFERENCES else None
    near = 1e-6 * along + min(doubt, 1e-3 * along)
    if exact is not None and abs(exact - rough) > near:  # something may jump within wide steps
        rough, _ = slopes.differences(i, v, along, widest=14)
    if exact is not None and abs(exact - rough) <= near:
        used = COMPLEX
    elif method == COMPLEX:
        raise ValueError(f"{name}: the forward does not take complex numbers along this argument")
    else:
        used = DIFFERENCES

    def slope(direction, scale):
        if used == COMPLEX:
            return slopes.complex_step(i, direction)
        value, doubt = slopes.differences(i, direction, scale)
        if not doubt <= 5e-10 * max(scale, abs(value)):
            raise Kink(f"{name}: no derivative to be had here, only {value:.6g} +- {doubt:.1g}")
        return value

    entries = np.arange(n) if n <= every else rng.choice(n, 32, replace=False)
    truth = np.empty(len(entries))
    for k, entry in enumerate(entries):
        unit = np.zeros(n)
        unit[entry] = 1
        truth[k] = slope(unit.reshape(g.shape), max(floor, along / math.sqrt(n)))
    found = g.ravel()[entries]
    gaps = np.abs(found - truth) / max(peak(truth), floor)
    k = int(np.argmax(gaps))
    index = tuple(int(x) for x in np.unravel_index(entries[k], g.shape))
    bar = FLOAT32_BAR if slopes.single else BARS[used]
    worst = Finding(name, used, float(gaps[k]), bar, str(index), float(truth[k]), float(found[k]))
    for k in range(8 if n > every else 0):
        v = rng.standard_normal(g.shape)
        want, have = slope(v, along), float(np.sum(g * v))
        error = abs(have - want) / max(abs(want), along)
        if error > worst.error:
            worst = Finding(name, used, error, bar, f"random direction {k}", want, have)
    return worst
