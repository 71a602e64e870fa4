"""Whose contribution is missing?  The forward, run with one of its steps cut or bent.

A `Traced` array counts the operations of NumPy that it passes through.  It carries a
complex step, and at one chosen place (operation, operand) the tangent is cut off, or
goes on by a wrong local derivative.  What comes out is the gradient that somebody gets
who forgot that term, or a factor in it: if it is what was claimed, the mistake is found,
with the line of the forward to which it belongs.
"""

import os
import sys
from dataclasses import dataclass

import numpy as np

HERE = os.path.dirname(__file__)
NUMPY = os.path.dirname(np.__file__)


@dataclass(frozen=True)
class Step:
    """One operand of one operation."""

    op: str
    operand: int
    operands: int
    place: str
    direct: bool  # the operand is the argument itself, or a view of it
    operation: int  # steps of one operation have the same number


class Tape:
    """What is seen and done on one run."""

    def __init__(self, cut=(), bend=None):
        self.cut, self.bend = frozenset(cut), bend
        self.steps: list[Step] = []
        self.complex_arrays: list[tuple[str, np.ndarray]] = []
        self.count, self.operations, self.owner = 0, 0, None

    @property
    def arrays(self):
        """(label, values) of every step's output."""
        return [(label, a.real) for label, a in self.complex_arrays]

    def watch(self, a):
        """``a`` as an array whose way is followed."""
        a = np.array(a).view(Traced)
        a.tape = self
        self.owner = self.owner if self.owner is not None else a
        return a

    def run(self, name, inputs, call):
        """Do one operation; cut or bend the tangent if it is the chosen one."""
        plain = [_plain(x) for x in inputs]
        given, here = list(plain), None
        for k, x in enumerate(inputs):
            if isinstance(x, Traced) and x.dtype.kind == "c":
                if not self.cut:
                    direct = np.may_share_memory(np.asarray(x), np.asarray(self.owner))
                    self.steps.append(Step(name, k, len(inputs), _place(), direct, self.operations))
                if self.count in self.cut:
                    given[k], here = plain[k].real.astype(complex), k
                self.count += 1
        self.operations += 1
        out = call(given)
        if here is not None and self.bend is not None:
            values = [np.real(p) for p in plain]
            out = out + 1j * self.bend(here, values, plain[here].imag, out)
        if not self.cut and isinstance(out, np.ndarray) and out.dtype.kind in "fc":
            self.complex_arrays.append((f"{name} ({_place()})", out.copy()))
        return out


class Traced(np.ndarray):
    """An array that tells its tape what is done with it."""

    tape: Tape | None

    def __array_finalize__(self, parent):
        self.tape = getattr(parent, "tape", None)

    def __getitem__(self, key):
        got = super().__getitem__(key)
        if self.tape is None or not isinstance(got, np.ndarray) or np.may_share_memory(got, self):
            return got
        plain = self.tape.run("indexing", [self], lambda values: values[0][key])
        return _wrap(plain, self.tape)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        tape = self.tape or next((x.tape for x in inputs if getattr(x, "tape", None)), None)
        into = tuple(_plain(o) for o in out) if out else None
        if method == "at" or tape is None:
            return getattr(ufunc, method)(*map(_plain, inputs), **options)

        def call(plain):
            return getattr(ufunc, method)(*plain, **options)

        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        result = tape.run(name, inputs, call)
        if out:
            if np.shape(result) != into[0].shape:  # a bent step may be larger than its place
                return _wrap(result, tape)
            into[0][...] = result
            return out[0]
        return _wrap(result, tape)

    def __array_function__(self, function, types, args, options):
        tape = self.tape
        flat, rebuild = _flatten(args)
        options = {k: _plain(v) for k, v in options.items()}
        if tape is None or function.__name__ in PASSIVE:
            return _wrap(function(*rebuild([_plain(x) for x in flat]), **options), tape)
        result = tape.run(
            function.__name__, flat, lambda plain: function(*rebuild(plain), **options)
        )
        return _wrap(result, tape)


PASSIVE = {"zeros_like", "empty_like", "ones_like", "reshape", "transpose", "swapaxes", "shape"}
PASSIVE |= {"broadcast_to", "moveaxis", "expand_dims", "squeeze", "ravel", "size", "ndim", "copyto"}
PASSIVE |= {"isfinite", "real", "imag", "full_like", "result_type", "shares_memory", "iscomplexobj"}


def _plain(x):
    return x.view(np.ndarray) if isinstance(x, Traced) else x


def _wrap(x, tape):
    if isinstance(x, np.ndarray) or (isinstance(x, np.generic) and x.dtype.kind == "c"):
        x = np.asarray(x).view(Traced)
        x.tape = tape
    elif isinstance(x, (tuple, list)):
        return type(x)(_wrap(part, tape) for part in x)
    return x


def _flatten(args):
    """Arguments laid flat (one level of lists), and how to fold them again."""
    flat, shape = [], []
    for a in args:
        many = isinstance(a, (list, tuple)) and any(isinstance(x, np.ndarray) for x in a)
        shape.append(len(a) if many else None)
        flat.extend(a if many else [a])

    def rebuild(values):
        values, folded = iter(values), []
        for n in shape:
            folded.append(next(values) if n is None else [next(values) for _ in range(n)])
        return folded

    return flat, rebuild


def _place():
    """The file and line outside NumPy and this room."""
    frame = sys._getframe(1)
    while frame and frame.f_code.co_filename.startswith((HERE, NUMPY)):
        frame = frame.f_back
    if frame is None:
        return ""
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
