"""What the clinic found, for people in a terminal or a notebook, and for programs."""

import html
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from npssl.clinic.causes import Cause

RIGHT, WRONG, KINK = "right", "wrong", "at a kink"
PRECISION, NOISE = "limited by precision", "not deterministic"
SHADES = " .:-=+*#%@"


@dataclass(frozen=True)
class Report:
    """The verdict, the causes ranked, and the figures behind them.

    ``relative_error`` maps each argument to its worst error, relative to the largest entry
    of the true gradient; ``errors`` to the same by entry; ``curve`` holds steps and the
    relative errors that central differences would make with them.
    """

    title: str
    verdict: str
    causes: tuple[Cause, ...] = ()
    relative_error: dict[str, float] = field(default_factory=dict)
    bar: float = 0.0
    method: dict[str, str] = field(default_factory=dict)
    worst: dict[str, str] = field(default_factory=dict)
    errors: dict[str, np.ndarray] = field(default_factory=dict)
    measure: Callable | None = field(default=None, repr=False, compare=False)
    notes: tuple[str, ...] = ()

    @cached_property
    def curve(self):
        """Steps and errors; measured when first asked for."""
        return self.measure() if self.measure is not None else None

    @property
    def ok(self):
        """Is it right?"""
        return self.verdict == RIGHT

    def __str__(self):
        lines = [f"{self.title}: {self.verdict}"]
        for name, error in self.relative_error.items():
            mark = "ok   " if error <= self.bar else "WRONG"
            how = f", {self.method[name]}" if name in self.method else ""
            lines.append(f"  {mark} d{name}: relative error {error:.1e} (bar {self.bar:.0e}{how})")
            if error > self.bar and name in self.worst:
                lines.append(f"        {self.worst[name]}")
        if self.causes:
            lines.append("likeliest causes:" if len(self.causes) > 1 else "likeliest cause:")
            lines += [f"  {k}. {cause}" for k, cause in enumerate(self.causes[:5], 1)]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)

    def text(self):
        """All of it: with the heat maps of the errors, and the curve of error against step."""
        parts = [str(self)]
        for name, errors in self.errors.items():
            if self.relative_error.get(name, 0) > self.bar and errors.size > 1:
                parts.append(f"error of d{name} by entry\n{heat_map(errors)}")
        if self.curve is not None:
            parts.append(v_curve(*self.curve))
        return "\n\n".join(parts)

    def _repr_html_(self):
        colour = {RIGHT: "#2a7f2a", WRONG: "#b22222"}.get(self.verdict, "#b07000")
        rows = "".join(
            f"<tr><td>d{html.escape(n)}</td><td>{e:.1e}</td>"
            f"<td>{html.escape(self.worst.get(n, ''))}</td></tr>"
            for n, e in self.relative_error.items()
        )
        causes = "".join(
            f"<li><b>{html.escape(c.name)}</b>: {html.escape(c.evidence)}</li>"
            for c in self.causes[:5]
        )
        notes = "".join(f"<p>{html.escape(n)}</p>" for n in self.notes)
        return (
            f"<div><b>{html.escape(self.title)}</b>: <b style='color:{colour}'>{self.verdict}</b>"
            f"<table><tr><th>gradient</th><th>relative error</th><th>worst</th></tr>{rows}</table>"
            f"<ol>{causes}</ol>{notes}</div>"
        )

    def plot(self, path=None):
        """The heat maps and the curve as a matplotlib figure; needs the extra ``plot``."""
        from npssl.clinic.picture import draw

        return draw(self, path)


def heat_map(errors):
    """Errors as shades, in powers of ten; leading axes are laid under each other.

    >>> print(heat_map(np.array([[0.0, 1.0], [1e-3, 0.0]])))
      |  @|
      |*  |
      (@ = 1.0e+00, each shade a factor of ten)
    """
    rows = np.atleast_2d(errors).reshape(-1, errors.shape[-1] if errors.ndim else 1)
    top = float(rows.max(initial=0))
    lines = []
    for row in rows[:24]:
        marks = [
            " " if not e > 0 else SHADES[max(0, len(SHADES) - 1 + math.floor(math.log10(e / top)))]
            for e in row[:60]
        ]
        lines.append(f"  |{' '.join(marks)}|")
    if len(rows) > 24 or rows.shape[1] > 60:
        lines.append(f"  (a corner of {rows.shape})")
    return "\n".join([*lines, f"  (@ = {top:.1e}, each shade a factor of ten)"])


def v_curve(steps, errors, height=10):
    """Error of central differences against their step: truncation, round-off, the valley."""
    with np.errstate(divide="ignore"):
        levels = np.clip(np.round(np.log10(np.maximum(errors, 1e-16))), -16, 2)
    low, high = int(levels.min()), int(levels.max())
    high = max(high, low + 1)
    stride = max(1, -(-(high - low + 1) // height))
    lines = ["error of central differences against the step"]
    for bottom in range(high - (high - low) % stride, low - 1, -stride):
        marks = "".join("*" if bottom <= v < bottom + stride else " " for v in levels)
        lines.append(f"  1e{bottom:+03d} |{marks}")
    lines.append("        +" + "-" * len(steps))
    best = int(np.argmin(errors))
    left, right = f"{steps[0]:.0e}", f"{steps[-1]:.0e}"
    lines.append(f"         {left}{right:>{max(1, len(steps) - len(left))}}  step")
    lines.append(
        f"  best at {steps[best]:.0e}: {errors[best]:.0e}; right of it truncation (h squared), "
        "left of it round-off (1/h)"
    )
    return "\n".join(lines)
