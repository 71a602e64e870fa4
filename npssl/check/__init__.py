"""The microscope: does ``back`` agree with the forward it claims to invert?

Anything that keeps the contract ``y, back = op(*arrays, **options)`` fits under
it: an op, a loss, and, with its parameters laid flat (`functional`), a model or
a task.  `npssl.check.contract` holds it to its promises, `npssl.check.slopes` has
the instruments that find the derivative of the forward.
"""

from dataclasses import dataclass
from inspect import signature

import numpy as np

from npssl.check.contract import GradientError, Run, as_tuple, contract, names_of, peak, point
from npssl.check.slopes import BARS, COMPLEX, DIFFERENCES, Finding, Kink, Slopes, compare

__all__ = [
    "COMPLEX",
    "DIFFERENCES",
    "Finding",
    "GradientError",
    "Kink",
    "Report",
    "check",
    "functional",
    "inspect",
    "kept",
]


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
    names = names_of(op, len(arrays))
    points = [point(name, a) for name, a in zip(names, arrays)]
    rng = np.random.default_rng(seed)
    run = Run(op, options)
    y, dy, grads = contract(run, names, points, rng)
    findings = []
    with np.errstate(all="ignore"):
        slopes = Slopes(run, points, y, dy)
        for i, (name, g) in enumerate(zip(names, grads)):
            findings.append(compare(slopes, i, name, g, rng, method, every))
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
            if not np.allclose(full.flat - g.flat, 1, near, near * (1 + peak(g.flat))):
                raise GradientError("back must add (+=) to what stands in g: it does not")
            return (g.flat, *as_tuple(dinputs)) if inputs else g.flat

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
