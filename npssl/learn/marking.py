"""Marking: an answer under the microscope, and what to say about it.

The seam to whatever diagnoses is `causes`: it gets an op and a point, and says in
words what is likely wrong.
"""

import contextlib
import io
import traceback
from dataclasses import dataclass

import numpy as np

from npssl.check import GradientError, Kink, inspect
from npssl.clinic import diagnose
from npssl.learn.exercise import Reversed, compiled, read_header
from npssl.learn.path import find

POINTS = 6
BAR = 1e-7  # differences reach 1e-11, wrong answers hardly 1e-4


@dataclass(frozen=True)
class Mark:
    """What `mark` found: the verdict in a sentence, and hints, mildest first."""

    name: str
    ok: bool
    says: str
    hints: tuple = ()
    points: float = 0.0

    def __str__(self):
        return f"{self.name}: {'right' if self.ok else 'not yet'}. {self.says}"


def mark_text(text, filename="<answer>") -> Mark:
    """Mark an answer by its source; its first line says which exercise it is.  Runs it."""
    tagged = read_header(text)
    if not tagged:
        raise ValueError(f"{filename}: expected a line '# npssl learn: NAME, seed N', found none")
    name, seed = tagged
    exercise = find(name)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            function = compiled(text, name, filename)
    except (Exception, SystemExit) as error:
        return Mark(name, False, f"The file does not run: {_told(error, filename)}")
    return mark(exercise, function, seed, filename)


def mark(exercise, function, seed=0, filename="<answer>") -> Mark:
    """Mark an answer that is already a function.

    Parameters
    ----------
    exercise : Exercise, Reversed or the name of one
    function : callable       the learner's
    seed : int                of the stub; draws the points, too
    """
    exercise = find(exercise) if isinstance(exercise, str) else exercise
    kind = _mark_test if isinstance(exercise, Reversed) else _mark_op
    with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        try:
            return kind(exercise, function, seed)
        except NotImplementedError:
            return Mark(exercise.name, False, "It is not written yet.", exercise.hints)
        except GradientError as error:
            says = f"The contract is broken: {error}."
            return Mark(exercise.name, False, says, exercise.hints)
        except (Exception, SystemExit) as error:
            return Mark(exercise.name, False, f"It stops: {_told(error, filename)}", exercise.hints)


def _mark_op(exercise, op, seed):
    reference = exercise.reference(seed)
    done, k, worst = 0, 0, 0.0
    while done < POINTS and k < 20 * POINTS:
        k += 1
        arrays, options = exercise.draw(np.random.default_rng([seed, k]))
        y, expected = op(*arrays, **options)[0], reference(*arrays, **options)[0]
        if not _equal(y, expected):
            return Mark(exercise.name, False, "The forward pass was changed: only back is asked.")
        try:
            report = inspect(op, *arrays, seed=seed, **options)
        except Kink:
            continue
        done, worst = done + 1, max(worst, report.error)
        wrong = [f.argument for f in report.findings if not f.error <= max(BAR, f.bar)]
        if wrong:
            return _explain(exercise, op, reference, arrays, options, wrong)
    if not done:
        return Mark(exercise.name, False, "Every point that was drawn lies at a kink.")
    return Mark(exercise.name, True, f"Worst relative error {worst:.0e}.", (), 1.0)


def _explain(exercise, op, reference, arrays, options, wrong):
    """Shape, then term, then constant."""
    y, back = op(*arrays, **options)
    rng = np.random.default_rng(1)
    dy = [rng.normal(size=np.shape(a)) for a in (y if isinstance(y, tuple) else (y,))]
    found, true = (
        g if isinstance(g, tuple) else (g,)
        for g in (back(*dy), reference(*arrays, **options)[1](*dy))
    )
    kinds = [line.split(":")[0].strip() for line in exercise.shapes.split(";")]
    where, constants = [], []
    for name, a, b in zip(kinds, found, true):
        if name not in wrong:
            continue
        off = ~np.isclose(a, b, rtol=1e-6, atol=1e-9)
        where.append(
            f"d{name} has the right shape, and {off.sum()} of its {off.size} numbers are wrong"
        )
        scale = (a * b).sum() / np.square(b).sum()
        if abs(scale) > 1e-9 and np.allclose(a, scale * b, rtol=1e-6, atol=1e-12):
            constants.append(f"d{name} is {scale:.6g} times the true gradient in every entry")
    right = [f"d{name}" for name in kinds[: len(true)] if name not in wrong]
    says = f"Wrong: {', '.join('d' + name for name in wrong)}."
    says += f" Right: {', '.join(right)}." if right else ""
    last = causes(op, arrays, options) or constants
    hints = (f"{'; '.join(where)}.", *exercise.hints, *(f"{c}." for c in last))
    return Mark(exercise.name, False, says, hints, len(right) / len(true))


def causes(op, arrays, options):
    """The likeliest cause, in the words of the clinic."""
    try:
        return tuple(cause.evidence for cause in diagnose(op, *arrays, **options).causes[:1])
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):
        return ()


def _mark_test(exercise, test, seed):
    """The right op must pass, every mutant must fail."""
    try:
        test(exercise.of.reference(seed))
    except NotImplementedError:
        raise
    except Exception as error:
        says = f"It refuses the right {exercise.of.name}: {type(error).__name__} {error}".rstrip()
        return Mark(exercise.name, False, f"{says}.", exercise.hints)
    changes, missed = (exercise.given, *exercise.hidden), []
    for change in changes:
        try:
            test(exercise.mutant(change, seed))
            missed.append(change)
        except Exception:
            pass
    caught = len(changes) - len(missed)
    says = f"{caught} of {len(changes)} wrong versions are caught."
    found = tuple(f"One that passes: {what}." for _, _, what in missed)
    return Mark(exercise.name, not missed, says, (*exercise.hints, *found), caught / len(changes))


def _equal(y, expected):
    pair = (y, expected) if isinstance(y, tuple) else ((y,), (expected,))
    return len(pair[0]) == len(pair[1]) and all(
        np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-9, atol=1e-12)
        for a, b in zip(*pair)
    )


def _told(error, filename):
    """An exception in one sentence, with the line of the answer where it came up."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == filename]
    line = getattr(error, "lineno", None) or (lines[-1] if lines else None)
    place = f" (line {line})" if line else ""
    return f"{type(error).__name__}: {error}{place}."
