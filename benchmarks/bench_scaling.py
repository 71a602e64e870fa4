"""What does training cost when there are more words, longer vectors, more negatives?

    python benchmarks/bench_scaling.py                    table, and docs/figures/skip_gram_scaling.svg
    python benchmarks/bench_scaling.py --quick            small, the figure goes to results/

One of the three varies while the others are fixed; seconds of one epoch, medians, programs
in turn; a line by least squares with its R^2.  Rows are stored in whole vectors of 16
floats and outputs are handled in groups of six, so a dim between multiples of 16 costs as
much as the next of them, and K negatives as much as 5, 11, 17, ... : such values are shown
hollow, and the line goes through the others.
"""

import argparse
import itertools
import time
from pathlib import Path

import common
import numpy as np

from npssl import SkipGram
from npssl.data.corpus import Corpus, encode
from npssl.jobs.epochs import Epochs

FIGURE = common.HERE.parent / "docs" / "figures" / "skip_gram_scaling.svg"
NOBODY = np.empty(0, np.int32)  # nothing is held out


def seconds(text, share, dim, negative, threads, sample):
    """Time of one epoch over the first part of the text, its number of words."""
    model = SkipGram(dim=dim, negative=negative, threads=threads, sample=sample, epochs=1)
    cuts = text.cuts(max(1, round(text.size * share)))
    part = Corpus(text.vocabulary, text.read(0, int(cuts[1])))
    epochs = Epochs(part, NOBODY, model)
    epochs.draw()
    epochs.output[:] = 0  # touched: its pages exist
    begun = time.perf_counter()
    for k in range(epochs.steps):
        epochs.step(k)
    took = time.perf_counter() - begun
    epochs.close()
    return took, part.words


def line(x, y):
    """slope, intercept, R^2 of the least-squares line."""
    x, y = np.array(x, float), np.array(y, float)
    slope, intercept = np.polyfit(x, y, 1)
    rest = y - (slope * x + intercept)
    return (
        float(slope),
        float(intercept),
        float(1 - rest @ rest / ((y - y.mean()) @ (y - y.mean()))),
    )


def fills(name, value):
    """Does this value waste nothing?"""
    return name == "words" or (value % 16 if name == "dim" else (value + 1) % 6) == 0


def measure(text, panels, fixed, repeat, options):
    """Medians for each panel: name -> (x, seconds)."""
    found = {name: {v: [] for v in values} for name, values in panels.items()}
    words = {}
    for _ in range(repeat):
        for name, values in panels.items():
            for value in values:
                took, words[value] = seconds(text, **(fixed | {name: value}), **options)
                found[name][value].append(took)
    for name, runs in found.items():
        x = [words[v] if name == "share" else v for v in runs]
        yield ("words" if name == "share" else name), x, [common.median(r) for r in runs.values()]


def plot(panels, lines, path):
    """Three panels; the same figures give the same bytes."""
    with common.drawn(path, (9, 2.8)) as figure:
        for axes, (name, x, y) in zip(figure.subplots(1, len(panels)), panels):
            slope, intercept, r2 = lines[name]
            unit = 1e6 if name == "words" else 1
            ends = np.array([0, max(x)])
            axes.plot(ends / unit, slope * ends + intercept, color="0.6", lw=1, zorder=1)
            for whole in (True, False):
                some = [(u / unit, v) for u, v in zip(x, y) if fills(name, u) == whole]
                face = "C0" if whole else "white"
                axes.scatter(
                    *(zip(*some) if some else ([], [])), 18, face, edgecolors="C0", zorder=2
                )
            axes.set(
                xlabel="millions of words" if unit > 1 else name, xlim=(0, None), ylim=(0, None)
            )
            axes.set_title(f"R² = {r2:.4f}", fontsize=9)
            axes.spines[["top", "right"]].set_visible(False)
        figure.axes[0].set_ylabel("seconds of an epoch")
    return path


def main():
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("--threads", type=int, default=1)
    ask.add_argument("--sample", type=float, default=1e-4)
    ask.add_argument("--repeat", type=int, default=5)
    ask.add_argument("--figure", type=Path, default=FIGURE)
    ask.add_argument("--quick", action="store_true")
    a = ask.parse_args()
    fixed = {"share": 0.4, "dim": 128, "negative": 5}
    panels = {
        "share": [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0],
        "dim": [32, 64, 100, 128, 192, 256, 300, 320, 384, 448, 512],
        "negative": [2, 5, 8, 11, 14, 17, 20, 23, 26, 29],
    }
    if a.quick:
        a.repeat, a.figure = 1, common.RESULTS / FIGURE.name
        panels = {name: values[1::3] for name, values in panels.items()}
    with open(common.corpus()) as lines:
        text = encode(itertools.islice(lines, 20_000 if a.quick else None))
    options = dict(threads=a.threads, sample=a.sample)
    seconds(text, **(fixed | {"share": 0.01}), **options)  # compiled, loaded
    panels = [*measure(text, panels, fixed, a.repeat, options)]
    lines, rows = {}, []
    for name, x, y in panels:
        lines[name] = line(*zip(*[(u, v) for u, v in zip(x, y) if fills(name, u)]))
        for u, v in zip(x, y):
            slope, intercept, r2 = lines[name]
            row = {
                "varies": name,
                "value": u,
                "seconds": v,
                "line": slope * u + intercept,
                "R^2": f"{r2:.5f}",
            }
            rows.append(
                row
                | {
                    "note": ""
                    if fills(name, u)
                    else "not on the line: costs as the next that fills"
                }
            )
    some = f"{round(fixed['share'] * text.words):,}"
    print(
        f"fixed: {some} words, dim {fixed['dim']}, negative {fixed['negative']}; sample {a.sample:g},"
    )
    print(
        f"{len(text.vocabulary):,} different words, {a.threads} thread(s), medians of {a.repeat}\n"
    )
    common.table(rows, ["varies", "value", "seconds", "line", "R^2", "note"])
    common.save(
        "scaling",
        {
            "rows": rows,
            "lines": lines,
            "fixed": fixed,
            "options": vars(a) | {"figure": str(a.figure.name)},
        },
    )
    print(f"figure: {plot(panels, lines, a.figure)}")


if __name__ == "__main__":
    main()
