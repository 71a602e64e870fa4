"""What lies on the couch: an op, or a forward and a backward, called so that nothing leaks.

Every call gets fresh copies of arrays and options, its standard output is caught, and
what it raises is told in a sentence.
"""

import contextlib
import copy
import io
import os
import traceback
from inspect import Parameter, signature

import numpy as np

from npssl.check.contract import as_tuple, names_of


class ClinicError(ValueError):
    """The functions cannot be examined: says which one, and where it went wrong."""


class Subject:
    """``ys, back = subject(*arrays)`` for an op, or for a forward with its backward."""

    def __init__(self, forward, backward, options):
        self.forward, self.backward, self.options = forward, backward, options
        self.printed: dict[str, str] = {}
        self.wrote: dict[str, str] = {}

    @property
    def title(self):
        """What the functions are called."""
        both = [f for f in (self.forward, self.backward) if f is not None]
        return " / ".join(getattr(f, "__name__", type(f).__name__) for f in both)

    def names(self, n):
        """What the forward calls its first n arguments."""
        return [name.replace("argument ", "x") for name in names_of(self.forward, n)]

    def fresh(self, **other):
        """The options, copied: a generator repeats its noise."""
        return {k: copy.deepcopy(v) for k, v in {**self.options, **other}.items()}

    def __call__(self, *arrays, **other):
        """The outputs and the way back; ``other`` stands in for options of that name."""
        options, lent = self.fresh(**other), [np.array(a, order="K") for a in arrays]
        result = self._told("the forward", self.forward, lent, options)
        self._witness("the forward", arrays, lent)
        if self.backward is None:
            if not (isinstance(result, tuple) and len(result) == 2 and callable(result[1])):
                raise ClinicError(
                    f"{self.title}: expected (y, back) from an op that comes alone, found "
                    f"{type(result).__name__}; a pair is diagnose(forward, backward, *arrays)"
                )
            return [np.asarray(out) for out in as_tuple(result[0])], self._op_back(result[1])
        y, rest = self._split(result, len(arrays))
        back = self._pair_back(rest, arrays, other)
        return [np.asarray(out) for out in as_tuple(y)], back

    def values(self, *arrays, **other):
        """The outputs alone."""
        return self(*arrays, **other)[0]

    def forward_only(self, arrays):
        """The outputs, as they come: arrays of whatever class they were made of."""
        with contextlib.redirect_stdout(io.StringIO()):
            result = self.forward(*arrays, **self.fresh())
        y = result[0] if self.backward is None else self._split(result, len(arrays))[0]
        return as_tuple(y)

    def _op_back(self, back):
        def run(dys, arrays=None):
            lent = [np.array(d)[()] for d in dys]
            found = self._told("back", back, lent, {})
            self._witness("back", dys, lent, "dy")
            return as_tuple(found)

        return run

    def _split(self, result, n):
        """(y, what the backward takes after dy): the cache, or nothing."""
        pair = isinstance(result, tuple) and len(result) == 2
        if pair and _required(self.backward) == 2:
            kept = result[1]
            if n != 1 or not isinstance(kept, np.ndarray) or kept.dtype.kind not in "fc":
                return result[0], [kept]
        return result, None

    def _pair_back(self, rest, arrays, other):
        accepted = _keywords(self.backward)

        def run(dys, arrays=arrays):
            lent = [np.array(d)[()] for d in dys]
            dy = lent[0] if len(lent) == 1 else tuple(lent)
            inputs = rest if rest is not None else [np.array(a, order="K") for a in arrays]
            options = self.fresh(**other)
            if accepted is not None:
                options = {k: v for k, v in options.items() if k in accepted}
            found = self._told("the backward", self.backward, [dy, *inputs], options)
            self._witness("the backward", dys, lent, "dy")
            if rest is None:
                self._witness("the backward", arrays, inputs)
            return tuple(found) if isinstance(found, list) else as_tuple(found)

        return run

    def _told(self, who, function, arrays, options):
        heard = io.StringIO()
        try:
            with contextlib.redirect_stdout(heard):
                return function(*arrays, **options)
        except Exception as error:
            shapes = ", ".join(str(np.shape(a)) for a in arrays)
            raise ClinicError(
                f"{who} raised {type(error).__name__}: {error} "
                f"({_place(error)}called with {shapes})"
            ) from error
        finally:
            if heard.getvalue():
                self.printed.setdefault(who, heard.getvalue())

    def _witness(self, who, before, after, name=None):
        for k, (a, b) in enumerate(zip(before, after)):
            if np.asarray(a).tobytes() != np.asarray(b).tobytes():
                self.wrote.setdefault(name or self.names(len(before))[k], who)


def subject_of(functions, options):
    """One op, or a forward and a backward, and the arrays that follow."""
    first, rest = functions[0], list(functions[1:])
    backward = rest.pop(0) if rest and callable(rest[0]) else None
    return Subject(first, backward, options), rest


def checked(name, a):
    """A floating point array, or a sentence why it cannot be one."""
    a = np.asarray(a)
    if a.dtype.kind == "c":
        raise ValueError(
            f"{name}: complex arguments have no single gradient; pass real and imaginary "
            "parts as two arguments"
        )
    if a.dtype.kind != "f":
        raise ValueError(
            f"{name}: expected floating point numbers, found {a.dtype}: integers and masks have no "
            "gradient, so pass them as keyword arguments (or as floats, if one is wanted)"
        )
    if not np.isfinite(a).all():
        raise ValueError(f"{name}: expected finite numbers, found NaN or infinity")
    return a


def _place(error):
    """Where in the functions it happened."""
    steps = [s for s in traceback.extract_tb(error.__traceback__) if s.filename != __file__]
    steps = [s for s in steps if "/numpy/" not in s.filename.replace(os.sep, "/")] or steps
    return f"{os.path.basename(steps[-1].filename)}:{steps[-1].lineno}, " if steps else ""


def _required(function):
    try:
        ps = signature(function).parameters.values()
    except (TypeError, ValueError):
        return 0
    if any(p.kind == Parameter.VAR_POSITIONAL for p in ps):
        return 0
    plain = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in plain and p.default is Parameter.empty for p in ps)


def _keywords(function):
    try:
        ps = signature(function).parameters
    except (TypeError, ValueError):
        return None
    if any(p.kind == Parameter.VAR_KEYWORD for p in ps.values()):
        return None
    return set(ps)
