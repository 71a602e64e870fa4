"""The microscope: does ``back`` agree with the forward it claims to invert?

Anything that keeps the contract ``y, back = op(*arrays, **options)`` fits under
it: an op, a loss, and, with its parameters laid flat (`functional`), a model or
a task.  Three instruments:

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

import copy
import math
import warnings
from dataclasses import dataclass
from inspect import Parameter, signature

import numpy as np

COMPLEX, DIFFERENCES = "complex step", "differences"
BARS = {COMPLEX: 1e-12, DIFFERENCES: 1e-9}
FLOAT32_BAR = 1e-3


class Kink(ValueError):
    """The point sits on a corner of the function, where no derivative is: draw another."""


class GradientError(AssertionError):
    """The op breaks the contract: says which argument, what was expected, what was found."""


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


@dataclass(frozen=True)
class Report:
    """What `inspect` saw: one `Finding` for each positional argument."""

    op: str
    findings: tuple[Finding, ...]

    @property
    def error(self):
        """The worst relative error over all arguments."""
        return max(f.error for f in self.findings)

    @property
    def method(self):
        """The instruments that were used, in the order of the arguments."""
        return ", ".join(dict.fromkeys(f.method for f in self.findings))

    @property
    def ok(self):
        """Is every argument within its bar?"""
        return all(f.error <= f.bar for f in self.findings)

    def __str__(self):
        return "\n".join([self.op, *(f"  {f}" for f in self.findings)])


def check(op, *arrays, seed: int = 0, method: str = "auto", every: int = 300, **options) -> float:
    """Worst relative error of the gradients that ``back`` returns.

    Parameters
    ----------
    op : callable
        ``y, back = op(*arrays, **options)``; ``back`` takes one dy for each output.
    *arrays : float32 or float64 arrays
        The point, finite.  With float32 the gradients of the float32 op are compared
        with the derivative that the same op has in float64.
    seed : int
        Draws dy, the directions and, in large arguments, the entries.
    method : "auto", "complex step" or "differences"
    every : int
        Arguments of at most so many entries are checked at every entry; larger ones
        along 8 random directions and at 32 random entries.
    **options
        Handed to ``op``, copied for each call, so that a generator repeats its noise.

    Returns
    -------
    float
        About 1e-15 where the op is right and the complex step applies, 1e-11 elsewhere.

    Raises
    ------
    Kink
        At or next to a corner of the function: draw another point.
    GradientError
        A broken contract: an input, option or dy was written to; two calls differ; a
        gradient is missing, or has the wrong shape or dtype, or is not finite; ``back``
        is not linear.

    Examples
    --------
    >>> def square(x):
    ...     return x * x, lambda dy: 2 * x * dy
    >>> check(square, np.array([1.0, -2.0])) < 1e-12
    True
    >>> check(lambda x: (x * x, lambda dy: x * dy), np.array([1.0, -2.0]))
    0.5
    """
    return inspect(op, *arrays, seed=seed, method=method, every=every, **options).error


def inspect(
    op, *arrays, seed: int = 0, method: str = "auto", every: int = 300, **options
) -> Report:
    """As `check`, but returns the whole `Report`.

    >>> print(inspect(lambda x: (x * x, lambda dy: x * dy), np.array([1.0])))  # doctest: +ELLIPSIS
    <lambda>
      WRONG x: relative error 5.0e-01 (bar 1e-12, complex step); worst at (0,): expected ...
    """
    if method not in ("auto", *BARS):
        raise ValueError(f"method: expected 'auto', {COMPLEX!r} or {DIFFERENCES!r}, got {method!r}")
    names = _names(op, len(arrays))
    points = [_point(name, a) for name, a in zip(names, arrays)]
    rng = np.random.default_rng(seed)
    run = _Run(op, options)
    y, dy, grads = _contract(run, names, points, rng)
    findings = []
    with np.errstate(all="ignore"):
        slopes = _Slopes(run, points, y, dy)
        for i, (name, g) in enumerate(zip(names, grads)):
            findings.append(_compare(slopes, i, name, g, rng, method, every))
    return Report(getattr(op, "__name__", type(op).__name__), tuple(findings))


def functional(net, params):
    """``net`` as an op whose first positional argument is its flat parameters.

    ``net`` is a model, ``y, back = net(p, *inputs, **options)`` with ``back(dy, g)``, or
    a task's loss, whose ``back(g, dvalue)`` takes the gradients first; ``params`` is a
    `npssl.params.Params` that knows the names.

    >>> from npssl.params import Params, ones
    >>> def scale(p, x):
    ...     def back(dy, g):
    ...         g.a += (dy * x).sum(0)
    ...         return dy * p.a
    ...     return p.a * x, back
    >>> params = Params({"a": ones(3)}, np.random.default_rng(0), dtype=np.float64)
    >>> check(functional(scale, params), params.flat, np.eye(3) + 1) < 1e-12
    True
    """

    def op(flat, *inputs, **options):
        y, back = net(params.over(flat).tree, *inputs, **options)
        task = next(iter(signature(back).parameters), "") == "g"

        def whole(*dy):
            g, full = params.over(np.zeros_like(flat)), params.over(np.ones_like(flat))
            for into in (full, g):
                dinputs = back(into.tree, *dy) if task else back(*dy, into.tree)
            near = 1e-12 if flat.dtype == np.float64 else 1e-4
            if not np.allclose(full.flat - g.flat, 1, near, near * (1 + _peak(g.flat))):
                raise GradientError("back must add (+=) to what stands in g: it does not")
            return (g.flat, *_tuple(dinputs)) if inputs else g.flat

        return y, whole

    op.__name__ = getattr(net, "__name__", type(net).__name__)
    op.__signature__ = signature(net)  # type: ignore[attr-defined]
    return op


def kept(back) -> dict[str, int]:
    """What ``back`` remembers: name -> bytes, through nested backs; a buffer counts once.

    >>> def double(x):
    ...     factor = np.full(3, 2.0)
    ...     return factor * x, lambda dy: factor * dy
    >>> kept(double(np.ones(3))[1])
    {'factor': 24}
    """
    found: dict[str, int] = {}
    seen: set[int] = set()

    def walk(name, value):
        if isinstance(value, np.ndarray):
            while isinstance(value.base, np.ndarray):
                value = value.base
            if id(value) not in seen:
                seen.add(id(value))
                found[name] = value.nbytes
        elif isinstance(value, dict):
            for key, item in value.items():
                walk(f"{name}.{key}", item)
        elif isinstance(value, (list, tuple)):
            for k, item in enumerate(value):
                walk(f"{name}.{k}", item)
        elif getattr(value, "__closure__", None) and id(value) not in seen:
            seen.add(id(value))
            for key, cell in zip(value.__code__.co_freevars, value.__closure__):
                walk(f"{name}.{key}" if name else key, cell.cell_contents)

    walk("", back)
    return found


# the contract -------------------------------------------------------------------------------------


class _Run:
    """The op with its options, which are the same at every call: frozen, or copied."""

    def __init__(self, op, options):
        self.op = op
        self.options = {k: _read_only(v) for k, v in options.items()}

    def __call__(self, *arrays):
        return self.op(*arrays, **{k: _fresh(v) for k, v in self.options.items()})

    def values(self, *arrays):
        """The outputs alone, as a tuple of arrays."""
        return [np.asarray(out) for out in _tuple(self(*arrays)[0])]


def _contract(run, names, arrays, rng):
    """The outputs, a random dy and the gradients; refuses what breaks a promise."""
    lent = {**dict(zip(names, arrays)), **run.options}
    witness = _Witness(lent)
    with witness:
        result = run(*arrays)
    if not (isinstance(result, tuple) and len(result) == 2 and callable(result[1])):
        raise GradientError(f"expected (y, back) from the op, found {type(result).__name__}")
    first, back = result
    dtype = np.result_type(*arrays)
    ys = _tuple(first)
    for k, out in enumerate(ys):
        if np.asarray(out).dtype != dtype and not isinstance(out, float):
            raise GradientError(f"output {k}: expected {dtype}, found {np.asarray(out).dtype}")
        if not np.isfinite(out).all():
            raise GradientError(f"output {k}: expected finite numbers, found NaN or infinity")
    before = [np.array(out) for out in ys]
    with witness:
        again, back_again = run(*arrays)
    if not _same(before, _tuple(again)):
        raise GradientError("the op called twice gives two results: is noise drawn outside rng?")

    draw = lambda: [_like(out, rng.standard_normal(np.shape(out))) for out in ys]
    dy, other = draw(), draw()
    mixed = [_like(out, a - 2 * b) for out, a, b in zip(ys, dy, other)]
    witness = _Witness({**lent, **{f"dy {k}" if k else "dy": d for k, d in enumerate(dy)}})
    with witness:
        grads = _gradients(back(*dy), names, arrays)
        saved = [g.copy() for g in grads]
        grads_other = [g.copy() for g in _gradients(back(*other), names, arrays)]
        grads_mixed = [g.copy() for g in _gradients(back(*mixed), names, arrays)]
        overwritten = [not _same([a], [b]) for a, b in zip(saved, grads)]
        repeated = _gradients(back(*dy), names, arrays)
    for name, over, one, two in zip(names, overwritten, saved, repeated):
        if over:
            raise GradientError(f"{name}: a second call of back overwrites the first gradient")
        if not _same([one], [two]):
            raise GradientError(f"{name}: back called twice gives two gradients")
    if not _same(before, ys):
        raise GradientError("back writes to the output y")
    with witness:
        strided = _gradients(back_again(*(_strided(d) for d in dy)), names, arrays)
    near = 1e-11 if dtype == np.float64 else 1e-3
    size = _size(dy, before)
    for name, a, g, h, mix, odd in zip(names, arrays, saved, grads_other, grads_mixed, strided):
        scale = max(_peak(g), _peak(h), size / _unit(a))
        if (gap := _peak(mix - (g - 2 * h))) > near * scale:
            raise GradientError(
                f"{name}: back is not linear: back(a - 2 b) misses back(a) - 2 back(b) by {gap:.3g}"
            )
        if (gap := _peak(odd - g)) > near * scale:
            raise GradientError(f"{name}: dy in another memory layout moves it by {gap:.3g}")
    return before, dy, saved


def _gradients(found, names, arrays):
    found = _tuple(found)
    if len(found) != len(arrays):
        raise GradientError(
            f"expected {len(arrays)} gradients, one for each of {', '.join(names)}; "
            f"found {len(found)}"
        )
    for name, a, g in zip(names, arrays, found):
        if not isinstance(g, (np.ndarray, np.generic, float)):
            raise GradientError(f"{name}: expected an array, found {type(g).__name__}")
        if np.shape(g) != a.shape:
            raise GradientError(f"{name}: expected a gradient {a.shape}, found {np.shape(g)}")
        if np.asarray(g).dtype != a.dtype:
            raise GradientError(f"{name}: expected {a.dtype}, found {np.asarray(g).dtype}")
        if not np.isfinite(g).all():
            raise GradientError(f"{name}: expected a finite gradient, found NaN or infinity")
    return [np.asarray(g) for g in found]


class _Witness:
    """Sees to it that nobody writes to the arrays while the ``with`` block runs."""

    def __init__(self, arrays):
        self.arrays = {k: a for k, a in arrays.items() if isinstance(a, np.ndarray)}
        self.before = {k: a.copy() for k, a in self.arrays.items()}

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is ValueError and "read-only" in str(error):
            names = ", ".join(self.arrays)
            raise GradientError(f"writes to an array that it was lent: one of {names}") from error
        for name, a in self.arrays.items():
            if kind is None and a.tobytes() != self.before[name].tobytes():
                raise GradientError(f"{name}: expected it untouched, found it changed")


# the numbers --------------------------------------------------------------------------------------


class _Slopes:
    """Derivatives of ``<dy, op>`` in float64, along any direction in any argument."""

    def __init__(self, run, arrays, y, dy):
        self.run = run
        self.arrays = [np.asarray(a, np.float64) for a in arrays]
        self.dy = [np.asarray(d, np.float64) for d in dy]
        single = any(a.dtype != np.float64 for a in arrays)
        self.single = single
        self.y = run.values(*self.arrays) if single else y
        self.size = _size(self.dy, self.y)
        self.units = [_unit(a) for a in self.arrays]

    def values(self, i, move):
        moved = [a + move if j == i else a for j, a in enumerate(self.arrays)]
        return self.run.values(*moved)

    def dot(self, outs):
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

    def differences(self, i, v, scale):
        """Ridders' table: the slope, and how far its neighbours in the table are."""
        best, doubt, tried, row = math.nan, math.inf, 0, []
        for level in range(6, 23):
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
        def bend(h):
            there, back = self.values(i, h * v), self.values(i, -h * v)
            return abs(self.dot([(a - o) + (b - o) for a, b, o in zip(there, back, self.y)])) / h

        wide, narrow = (bend(self.units[i] * 2.0**-k) for k in (20, 23))
        if narrow > 1e-6 * scale and narrow > wide / 2:
            raise Kink(f"the slope jumps by {narrow:.3g} at this point: draw another")


def _compare(slopes, i, name, g, rng, method, every):
    """The worst gap between gradient ``g`` of argument ``i`` and the numbers."""
    n, g = g.size, np.asarray(g, np.float64)
    floor = slopes.size / slopes.units[i]
    if n == 0:
        return Finding(name, method if method != "auto" else COMPLEX, 0.0, BARS[COMPLEX])

    v = rng.standard_normal(g.shape)
    along = max(np.linalg.norm(g), floor)
    slopes.refuse_kink(i, v, along)
    rough, doubt = slopes.differences(i, v, along)
    exact = slopes.complex_step(i, v) if method != DIFFERENCES else None
    if exact is not None and abs(exact - rough) <= 1e-6 * max(along, abs(rough)) + min(
        doubt, 1e-3 * along
    ):
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
        truth[k] = slope(unit.reshape(g.shape), max(_peak(g), floor))
    found = g.ravel()[entries]
    gaps = np.abs(found - truth) / max(_peak(truth), floor)
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


# small things -------------------------------------------------------------------------------------


def _names(op, n):
    """What the op calls its first n arguments."""
    if n == 0:
        raise ValueError("expected at least one positional array, found none")
    try:
        kinds = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
        known = [p.name for p in signature(op).parameters.values() if p.kind in kinds]
    except (TypeError, ValueError):
        known = []
    return [known[i] if i < len(known) else f"argument {i}" for i in range(n)]


def _point(name, a):
    a = np.asarray(a)
    if a.dtype not in (np.float32, np.float64):
        raise ValueError(
            f"{name}: expected float32 or float64, found {a.dtype}; "
            "integers, masks and other things without a gradient are keyword arguments"
        )
    if not np.isfinite(a).all():
        raise ValueError(f"{name}: expected finite numbers, found NaN or infinity")
    return _read_only(a)


def _read_only(a):
    """The same memory, seen through a window that cannot be written to."""
    if not isinstance(a, np.ndarray):
        return a
    a = a.view()
    a.flags.writeable = False
    return a


def _fresh(option):
    return option if isinstance(option, np.ndarray) else copy.deepcopy(option)


def _like(out, values):
    """``values`` as an upstream gradient of ``out``: a scalar for a scalar."""
    if isinstance(out, float) and not isinstance(out, np.floating):
        return float(values)
    return _read_only(np.array(values, np.asarray(out).dtype))[()]


def _strided(a):
    """The same values, in memory that runs backwards with gaps, last axis first."""
    if not isinstance(a, np.ndarray) or a.ndim == 0:
        return a
    room = np.empty(tuple(2 * n for n in reversed(a.shape)), a.dtype).T
    window = room[tuple(slice(None, None, -2) for _ in a.shape)]
    window[...] = a
    return _read_only(window)


def _size(dy, y):
    """What rounding in the op is relative to: |dy| times |y|, or 1 where y is small."""
    weighted = (np.square(d * np.maximum(np.abs(out), 1)).sum() for d, out in zip(dy, y))
    return math.sqrt(sum(weighted)) or 1.0


def _unit(a):
    """The size of a step that is neither small nor large for these numbers."""
    return max(float(np.max(np.abs(a), initial=0)) or 1.0, 1e-3)


def _peak(a):
    return float(np.max(np.abs(a), initial=0))


def _same(one, two):
    pairs = [(np.asarray(a), np.asarray(b)) for a, b in zip(one, two)]
    return len(one) == len(two) and all(
        (a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes()) for a, b in pairs
    )


def _tuple(x):
    return x if isinstance(x, tuple) else (x,)
