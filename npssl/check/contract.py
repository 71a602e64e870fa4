"""What an op promises, apart from the numbers: refused here with the name of the argument."""

import copy
import math
from inspect import Parameter, signature

import numpy as np


class GradientError(AssertionError):
    """The op breaks the contract: says which argument, what was expected, what was found."""


def contract(run, names, arrays, rng):
    """The outputs, a random dy and the gradients; refuses what breaks a promise."""
    lent = {**dict(zip(names, arrays)), **run.options}
    witness = Witness(lent)
    with witness:
        result = run(*arrays)
    if not (isinstance(result, tuple) and len(result) == 2 and callable(result[1])):
        raise GradientError(f"expected (y, back) from the op, found {type(result).__name__}")
    first, back = result
    dtype = np.result_type(*arrays)
    ys = as_tuple(first)
    for k, out in enumerate(ys):
        if np.asarray(out).dtype != dtype and not isinstance(out, float):
            raise GradientError(f"output {k}: expected {dtype}, found {np.asarray(out).dtype}")
        if not np.isfinite(out).all():
            raise GradientError(f"output {k}: expected finite numbers, found NaN or infinity")
    before = [np.array(out) for out in ys]
    with witness:
        again, back_again = run(*arrays)
    if not _same(before, as_tuple(again)):
        raise GradientError("the op called twice gives two results: is noise drawn outside rng?")

    draw = lambda: [_like(out, rng.standard_normal(np.shape(out))) for out in ys]
    dy, other = draw(), draw()
    mixed = [_like(out, a - 2 * b) for out, a, b in zip(ys, dy, other)]
    witness = Witness({**lent, **{f"dy {k}" if k else "dy": d for k, d in enumerate(dy)}})
    with witness:
        grads = gradients_of(back(*dy), names, arrays)
        saved = [g.copy() for g in grads]
        grads_other = [g.copy() for g in gradients_of(back(*other), names, arrays)]
        grads_mixed = [g.copy() for g in gradients_of(back(*mixed), names, arrays)]
        overwritten = [not _same([a], [b]) for a, b in zip(saved, grads)]
        repeated = gradients_of(back(*dy), names, arrays)
    for name, over, one, two in zip(names, overwritten, saved, repeated):
        if over:
            raise GradientError(f"{name}: a second call of back overwrites the first gradient")
        if not _same([one], [two]):
            raise GradientError(f"{name}: back called twice gives two gradients")
    if not _same(before, ys):
        raise GradientError("back writes to the output y")
    with witness:
        strided = gradients_of(back_again(*(_strided(d) for d in dy)), names, arrays)
    near = 1e-11 if dtype == np.float64 else 1e-3
    size = size_of(dy, before)
    for name, a, g, h, mix, odd in zip(names, arrays, saved, grads_other, grads_mixed, strided):
        scale = max(peak(g), peak(h), size / unit_of(a))
        if (gap := peak(mix - (g - 2 * h))) > near * scale:
            raise GradientError(
                f"{name}: back is not linear: back(a - 2 b) misses back(a) - 2 back(b) by {gap:.3g}"
            )
        if (gap := peak(odd - g)) > near * scale:
            raise GradientError(f"{name}: dy in another memory layout moves it by {gap:.3g}")
    return before, dy, saved


def gradients_of(found, names, arrays):
    """What ``back`` returned, as arrays: one for each argument, alike in shape and dtype."""
    found = as_tuple(found)
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


class Run:
    """The op with its options, which are the same at every call: frozen, or copied."""

    def __init__(self, op, options):
        self.op = op
        self.options = {k: read_only(v) for k, v in options.items()}

    def __call__(self, *arrays):
        return self.op(*arrays, **{k: _fresh(v) for k, v in self.options.items()})

    def values(self, *arrays):
        """The outputs alone, as a tuple of arrays."""
        return [np.asarray(out) for out in as_tuple(self(*arrays)[0])]


class Witness:
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


def names_of(op, n):
    """What the op calls its first n arguments."""
    if n == 0:
        raise ValueError("expected at least one positional array, found none")
    try:
        kinds = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
        known = [p.name for p in signature(op).parameters.values() if p.kind in kinds]
    except (TypeError, ValueError):
        known = []
    return [known[i] if i < len(known) else f"argument {i}" for i in range(n)]


def point(name, a):
    """An argument that can be checked: float and finite; read-only from here on."""
    a = np.asarray(a)
    if a.dtype not in (np.float32, np.float64):
        raise ValueError(
            f"{name}: expected float32 or float64, found {a.dtype}; "
            "integers, masks and other things without a gradient are keyword arguments"
        )
    if not np.isfinite(a).all():
        raise ValueError(f"{name}: expected finite numbers, found NaN or infinity")
    return read_only(a)


def read_only(a):
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
    return read_only(np.array(values, np.asarray(out).dtype))[()]


def _strided(a):
    """The same values, in memory that runs backwards with gaps, last axis first."""
    if not isinstance(a, np.ndarray) or a.ndim == 0:
        return a
    room = np.empty(tuple(2 * n for n in reversed(a.shape)), a.dtype).T
    window = room[tuple(slice(None, None, -2) for _ in a.shape)]
    window[...] = a
    return read_only(window)


def size_of(dy, y):
    """What rounding in the op is relative to: |dy| times |y|, or 1 where y is small."""
    weighted = (np.square(d * np.maximum(np.abs(out), 1)).sum() for d, out in zip(dy, y))
    return math.sqrt(sum(weighted)) or 1.0


def unit_of(a):
    """The size of a step that is neither small nor large for these numbers."""
    return max(float(np.max(np.abs(a), initial=0)) or 1.0, 1e-3)


def peak(a):
    """The largest absolute value; 0 for an empty array."""
    return float(np.max(np.abs(a), initial=0))


def _same(one, two):
    pairs = [(np.asarray(a), np.asarray(b)) for a, b in zip(one, two)]
    return len(one) == len(two) and all(
        (a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes()) for a, b in pairs
    )


def as_tuple(x):
    """One thing, or a tuple of them, as a tuple."""
    return x if isinstance(x, tuple) else (x,)
