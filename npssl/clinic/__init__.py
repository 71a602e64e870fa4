"""The clinic: is this gradient right, and if not, what is the mistake?

`diagnose` takes a forward and a backward (or an op of the house, ``y, back = op(...)``),
finds the true Jacobian, and fits what is wrong to a catalogue of the mistakes that people
make.  `assert_gradients` is the same as an assertion for a test suite.
"""

from functools import partial

import numpy as np

from npssl.check.contract import peak, unit_of
from npssl.check.slopes import Kink
from npssl.clinic.catalogue import explain
from npssl.clinic.causes import Cause
from npssl.clinic.report import KINK, NOISE, PRECISION, RIGHT, WRONG, Report
from npssl.clinic.scene import Scene
from npssl.clinic.signs import claims, forward_signs, memory, shapes
from npssl.clinic.subject import ClinicError, checked, subject_of

__all__ = ["Cause", "ClinicError", "Report", "assert_gradients", "diagnose"]

LOW_BARS = {2: 5e-2, 4: 1e-3}  # float16, float32


def diagnose(*functions_and_arrays, seed: int = 0, **options) -> Report:
    """Say whether a gradient is right, and if it is not, what the mistake is.

    Called as ``diagnose(op, *arrays, **options)`` or
    ``diagnose(forward, backward, *arrays, **options)``.

    Parameters
    ----------
    op : callable
        ``y, back = op(*arrays, **options)``; ``back(dy)`` returns one gradient an argument.
    forward, backward : callables
        ``y = forward(*arrays, **options)``, ``grads = backward(dy, *arrays, **options)``; or,
        with a cache, ``y, cache = forward(...)``, ``grads = backward(dy, cache)``.  Outputs
        and gradients are NumPy arrays or what ``numpy.asarray`` takes.
    *arrays : floating point arrays
        The point.  All entries of the Jacobian are computed: keep it small (tens of
        numbers an argument); odd and different lengths tell most.
    seed : int
        Draws the upstream gradients.
    **options
        Handed to the functions (to ``backward`` those that it accepts), copied at each call.

    Returns
    -------
    Report
        ``verdict``, ``causes`` ranked, ``relative_error`` by argument; prints itself.

    Raises
    ------
    ValueError
        where nothing can be said: arguments of integers or complex numbers, or that are not
        finite; a forward that raises or returns NaN (`ClinicError`).

    Examples
    --------
    >>> def mean_square(x):
    ...     return np.mean(x * x), lambda dy: 2 * x * dy
    >>> report = diagnose(mean_square, np.array([1.0, -2.0, 3.0, 0.5]))
    >>> report.verdict, report.causes[0].name, round(report.causes[0].value, 9)
    ('wrong', 'scale', 4.0)
    """
    if not functions_and_arrays or not callable(functions_and_arrays[0]):
        raise ValueError("expected a function first: diagnose(forward, backward, *arrays)")
    subject, given = subject_of(functions_and_arrays, options)
    names = subject.names(len(given))
    given = [checked(name, a) for name, a in zip(names, given)]
    low = min(a.dtype.itemsize for a in given)
    arrays = [a.astype(np.float64) for a in given]
    scene = Scene(subject, names, arrays, seed)
    noise = list(forward_signs(scene))
    if noise:
        return Report(subject.title, NOISE, tuple(noise), notes=_notes(scene))
    try:
        signs = list(claims(scene))
    except ClinicError as error:
        crash = Cause("crash", tuple(names), str(error), cost=0.0)
        return Report(subject.title, WRONG, (crash,), notes=_notes(scene))
    try:
        scene.measure()
    except Kink as error:
        return Report(subject.title, KINK, notes=(str(error), *_notes(scene)))
    with np.errstate(all="ignore"):
        try:
            signs += [*shapes(scene), *memory(scene)]
        except ClinicError as error:
            signs.append(Cause("crash", tuple(names), str(error), cost=0.0))
    return _report(scene, signs, given, low)


def _report(scene, signs, given, low):
    wrong = scene.wrong()
    broken = {c.name for c in signs} - {"dtype"}
    firm = [c for c in signs if c.name != "dtype" or c.exact]
    notes = list(_notes(scene))
    errors = {name: scene.error(i) for i, name in enumerate(scene.names)}
    bar = scene.bar
    if scene.coarse and not wrong and not broken:
        verdict = PRECISION
        notes.append(
            f"the forward answers float64 with fewer digits: errors below {bar:.0e} cannot be seen"
        )
    elif any(c.name == "noise" for c in signs):
        verdict = NOISE
    elif wrong or firm:
        only_digits = not firm and signs and all(errors[scene.names[i]] < 1e-5 for i in wrong)
        verdict = PRECISION if only_digits else WRONG
    elif low < 8:
        verdict, bar = RIGHT, LOW_BARS[low]
        found, mismatched = _low_errors(scene, given)
        errors, signs = found, [*signs, *mismatched]
        if mismatched:
            verdict = WRONG
        elif max(errors.values(), default=0.0) > bar:
            verdict = PRECISION
            notes.append(f"right in float64; in {min(g.dtype for g in given)} digits are lost")
    else:
        verdict = RIGHT
    causes = explain(scene, wrong, signs) if verdict in (WRONG, NOISE) else tuple(signs)
    return Report(
        scene.subject.title,
        verdict,
        tuple(causes),
        errors,
        bar,
        dict(zip(scene.names, scene.method)),
        {name: _worst(scene, i) for i, name in enumerate(scene.names) if i in wrong},
        {n: _by_entry(scene, i) for i, n in enumerate(scene.names)},
        partial(_curve, scene),
        tuple(notes),
    )


def _low_errors(scene, given):
    """Errors of the gradients in the precision that was asked about."""
    y, back = scene.subject(*given)
    dys = [d.astype(out.dtype) for d, out in zip(scene.upstream(scene.D[0]), y)]
    errors, broken = {}, []
    for i, (name, a, g) in enumerate(zip(scene.names, given, back(dys))):
        g = np.asarray(0 * a if g is None else g)
        if g.dtype != a.dtype:
            told = f"d{name}: expected {a.dtype}, found {g.dtype}"
            broken.append(Cause("dtype", (name,), told, cost=0.0))
        gap = peak(g.astype(float) - scene.truth[i][0]) / scene.scale(i)
        errors[name] = gap if np.isfinite(gap) else float("inf")
    return errors, broken


def _notes(scene):
    for who, text in scene.subject.printed.items():
        yield (
            f"{who} prints: {text.strip().splitlines()[0][:60]!r}"
            if text.strip()
            else f"{who} prints"
        )


def _worst(scene, i):
    if i in scene.misshapen or not np.isfinite(scene.claimed[i]).all():
        return "nothing to compare"
    gap = np.abs(scene.claimed[i] - scene.truth[i])
    at = np.unravel_index(int(np.argmax(gap)), gap.shape)
    place = tuple(int(k) for k in at[1:])
    return f"worst at {place}: expected {scene.truth[i][at]:.9g}, found {scene.claimed[i][at]:.9g}"


def _by_entry(scene, i):
    return np.abs(scene.claimed[i] - scene.truth[i]).max(0) / scene.scale(i)


def _curve(scene):
    """Steps, and the errors that central differences make with them, along one direction."""
    if not scene.m or not scene.arrays[0].size:
        return None
    v = np.random.default_rng(3).standard_normal(scene.arrays[0].shape)
    want = float(np.sum(scene.truth[0][0] * v))
    steps, errors = 10.0 ** np.arange(-15, 0.01, 0.5) * unit_of(scene.arrays[0]), []
    for h in steps:
        with np.errstate(all="ignore"):
            ends = [
                scene.flat(scene.subject.values(scene.arrays[0] + s * h * v, *scene.arrays[1:]))
                for s in (1, -1)
            ]
            errors.append(abs(scene.D[0] @ (ends[0] - ends[1]) / (2 * h) - want) / (abs(want) or 1))
    return steps, np.nan_to_num(np.array(errors), nan=1e2, posinf=1e2)


def assert_gradients(*functions_and_arrays, seed: int = 0, tolerance=None, **options) -> None:
    """Raise an AssertionError that carries the diagnosis, unless the gradients are right.

    Takes what `diagnose` takes.  ``tolerance``, a relative error, lets gradients pass that are
    as near as that, for functions that compute in float32.

    >>> assert_gradients(lambda x: x * x, lambda dy, x: 2 * x * dy, np.array([1.0, -2.0]))
    >>> assert_gradients(lambda x: x * x, lambda dy, x: x * dy, np.array([1.0, -2.0]))
    Traceback (most recent call last):
    AssertionError: <lambda> / <lambda>: wrong
      WRONG dx: relative error 5.0e-01 (bar 1e-12, complex step)
            worst at (1,): expected ...
    """
    report = diagnose(*functions_and_arrays, seed=seed, **options)
    if report.ok:
        return
    if tolerance is not None and report.relative_error:
        hard = [c for c in report.causes if c.name in ("count", "not finite", "crash", "shape")]
        if not hard and max(report.relative_error.values()) <= tolerance:
            return
    raise AssertionError(report.text())
