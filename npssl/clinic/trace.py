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
    site: tuple = ()  # where in the code, and from where that was called
    shape: tuple = ()  # of the operand
    picks: bytes = b""  # of an indexing: which entries


@dataclass
class Call:
    """A function that the forward calls: its first operation, its last, and their shapes."""

    name: str
    place: str
    site: tuple
    first: int
    last: int
    given: tuple
    returned: tuple
    frame: object


class Tape:
    """What is seen and done on one run."""

    def __init__(self, cut=(), bend=None, times=0.0, part=None):
        # a cut is the number of a step, or (first, last) operation of a call; ``times`` is what
        # is left of the tangent there, or a function that rearranges it; ``part`` of the last
        # axis of what a call returns is all that is bent
        self.cut, self.bend = frozenset(c for c in cut if not isinstance(c, tuple)), bend
        spans = [c for c in cut if isinstance(c, tuple)]
        self.entered, self.left = {first for first, _ in spans}, {last for _, last in spans}
        self.recording, self.entry, self.times, self.part = not cut, None, times, part
        self.steps: list[Step] = []
        self.calls: dict[int, Call] = {}
        self.complex_arrays: list[tuple[str, np.ndarray]] = []
        self.picked: list[tuple[str, np.ndarray, bool]] = []  # (place, entries, of the argument?)
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
        frames = _frames() if self.recording else []
        for k, x in enumerate(inputs):
            if isinstance(x, Traced) and x.dtype.kind == "c":
                if self.recording:
                    direct = np.may_share_memory(plain[k], _plain(self.owner))
                    if name == "indexing":
                        whole = direct and plain[0].shape == self.owner.shape
                        self.picked.append((_place(frames), plain[1], whole))
                    self.steps.append(
                        Step(
                            name,
                            k,
                            len(inputs),
                            _place(frames),
                            direct,
                            self.operations,
                            tuple((id(f.f_code), f.f_lasti) for f in frames),
                            np.shape(plain[k]),
                            np.asarray(plain[1]).tobytes() if name == "indexing" else b"",
                        )
                    )
                if self.count in self.cut:
                    given[k], here = plain[k].real + 1j * self._left_of(plain[k].imag), k
                if self.operations in self.entered and (k == 0 or self.entry is None):
                    self.entry = plain[k]
                self.count += 1
        out = call(given)
        if here is not None and self.bend is not None:
            values = [np.real(p) for p in plain]
            out = out + 1j * self.bend(here, values, plain[here].imag, out)
        if self.operations in self.left:
            x, self.entry, right = self.entry, None, out
            out = out.real + 1j * self._left_of(out.imag)
            if self.bend is not None:
                out = out + 1j * self.bend(0, [x.real], x.imag, out)
            if self.part is not None:
                right[..., self.part] = out[..., self.part]
                out = right
        if self.recording and isinstance(out, np.ndarray) and out.dtype.kind in "fc":
            self.complex_arrays.append((f"{name} ({_place(frames)})", out.copy()))
            self._remember_calls(frames, plain, out)
        self.operations += 1
        return out

    def _left_of(self, tangent):
        return self.times(tangent) if callable(self.times) else self.times * tangent

    def _remember_calls(self, frames, plain, out):
        """Which functions are open now, but for the forward itself."""
        entry = next((np.shape(p) for p in plain if np.iscomplexobj(p)), ())
        for k, frame in enumerate(frames[:-1]):
            name = frame.f_code.co_name
            if name in ("<genexpr>", "<listcomp>"):
                continue
            call = self.calls.get(id(frame))
            if call is None:
                site = tuple((id(f.f_code), f.f_lasti) for f in frames[k + 1 :])
                self.calls[id(frame)] = Call(
                    name,
                    _place(frames[k + 1 :]),
                    (id(frame.f_code), *site),
                    self.operations,
                    self.operations,
                    entry,
                    out.shape,
                    frame,
                )
            else:
                call.last, call.returned = self.operations, out.shape


class Traced(np.ndarray):
    """An array that tells its tape what is done with it."""

    tape: Tape | None

    def __array_finalize__(self, parent):
        self.tape = getattr(parent, "tape", None)

    def __getitem__(self, key):
        got = super().__getitem__(key)
        if (
            self.tape is None
            or not isinstance(got, np.ndarray)
            or np.may_share_memory(_plain(got), _plain(self))
        ):
            return got
        which = np.arange(self.size).reshape(self.shape)[key]  # for those who ask what was picked
        plain = self.tape.run("indexing", [self, which], lambda values: values[0][key])
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


def _frames():
    """The frames of the forward and of what it calls, innermost first; not NumPy's."""
    frame, found = sys._getframe(2), []
    while frame and frame.f_code.co_filename.startswith((HERE, NUMPY)):
        frame = frame.f_back
    while frame and not frame.f_code.co_filename.startswith(HERE):
        if not frame.f_code.co_filename.startswith(NUMPY):
            found.append(frame)
        frame = frame.f_back
    return found


def _place(frames):
    """The file and line of the innermost one."""
    if not frames:
        return ""
    return f"{os.path.basename(frames[0].f_code.co_filename)}:{frames[0].f_lineno}"
