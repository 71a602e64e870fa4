"""The report as a figure."""

import numpy as np

from npssl.errors import require


def draw(report, path=None):
    """Heat maps of the errors by entry, and error against step, side by side."""
    require("matplotlib", extra="plot")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [(n, e) for n, e in report.errors.items() if e.size]
    n = len(shown) + (report.curve is not None)
    figure = Figure(figsize=(4.2 * max(1, n), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, max(1, n), squeeze=False)[0]
    for ax, (name, errors) in zip(axes, shown):
        rows = np.atleast_2d(errors).reshape(-1, errors.shape[-1] if errors.ndim else 1)
        image = ax.imshow(np.log10(np.maximum(rows, 1e-17)), vmin=-16, vmax=0, cmap="magma")
        ax.set_title(f"log10 of the relative error of d{name}")
        figure.colorbar(image, ax=ax, shrink=0.8)
    if report.curve is not None:
        steps, errors = report.curve
        ax, best = axes[len(shown)], int(np.argmin(errors))
        ax.loglog(steps, np.maximum(errors, 1e-17), marker=".")
        ax.axvline(steps[best], linestyle=":", color="grey")
        ax.set(xlabel="step", ylabel="relative error of central differences")
        ax.text(0.03, 0.95, "round-off", transform=ax.transAxes, va="top")
        ax.text(0.97, 0.95, "truncation", transform=ax.transAxes, va="top", ha="right")
    figure.suptitle(f"{report.title}: {report.verdict}")
    if path is not None:
        figure.savefig(path, dpi=120)
    return figure
