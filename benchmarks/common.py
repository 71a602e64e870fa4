"""What the benchmarks share: the corpus, medians, a table, a JSON file."""

import contextlib
import json
import os
import platform
import re
import statistics
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
SETS = ("enwiki-2018/enwiki.txt", "wikitext-2/train", "text8-head/text8.head")


def corpus(names=SETS, folder=None) -> Path:
    """One text file made of data sets: lower-case words of a-z, one paragraph a line."""
    from npssl.data.sets import open_any, path

    folder = Path(folder or RESULTS)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / ("-".join(n.replace("/", "-") for n in names) + ".txt")
    if not target.exists():
        word = re.compile(rb"[a-z]+")
        part = target.with_suffix(".part")
        with open(part, "wb") as out:
            for name in names:
                with open_any(path(name)) as lines:
                    for line in lines:
                        line = line if isinstance(line, bytes) else line.encode()
                        words = word.findall(line.replace(b"<unk>", b" ").lower())
                        if words:
                            out.write(b" ".join(words) + b"\n")
        part.replace(target)
    return target


def machine() -> dict:
    """Where the figures were made."""
    import numba
    import numpy as np

    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
    }


def _processor():
    try:
        text = Path("/proc/cpuinfo").read_text()
        return re.search(r"model name\s*: (.*)", text).group(1)
    except (OSError, AttributeError):
        return platform.processor()


def median(values):
    return statistics.median(values) if values else float("nan")


def in_turn(programs, rounds):
    """Seconds of each program by name, a list; in every round each has its turn."""
    seconds = {name: [] for name in programs}
    for _ in range(rounds):
        for name, run in programs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


@contextlib.contextmanager
def drawn(path, size, font=9):
    """A figure of so many inches, saved at the end; the same figures give the same bytes."""
    import matplotlib
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    settings = {"svg.hashsalt": "npssl", "svg.fonttype": "none", "font.size": font}
    nothing = {".svg": {"Date": None}, ".png": {"Software": None}}.get(path.suffix, {})
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=size, layout="constrained")
        yield figure
        figure.savefig(path, metadata=nothing, dpi=150)


def table(rows, columns):
    """Print rows (dicts) under the named columns, as Markdown."""
    cells = [[_text(row.get(c)) for c in columns] for row in rows]
    widths = [max(len(c), *(len(r[i]) for r in cells)) for i, c in enumerate(columns)]
    for line in (columns, ["-" * w for w in widths], *cells):
        print("| " + " | ".join(str(x).ljust(w) for x, w in zip(line, widths)) + " |")
    sys.stdout.flush()


def _text(value):
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def save(name, found):
    """Write a benchmark's figures to results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **found}, indent=1) + "\n")
    print(f"figures: {path.relative_to(HERE.parent)}")
