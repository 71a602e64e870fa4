"""How long until something happens?  The first start ever, later starts, bare imports.

    python benchmarks/bench_start.py
    python benchmarks/bench_start.py --quick
    python benchmarks/bench_start.py --bert --quick     a transformer's kernels

Seconds from the start of the interpreter to its end, medians, programs in turn.  The
training is of a few words, so that only starting counts.  First start: the kernels' cache
(NUMBA_CACHE_DIR) is an empty folder, so everything is compiled; later: the same folder
again.  Bars: the first start at most 8 s; a later one at most 1.5 s over NumPy's own, for
two steps of BERT 30 s and 2 s; ``import npssl`` below half a second.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common
import numpy as np

TRAIN = "import npssl, sys; npssl.SkipGram(dim=100).fit(sys.argv[1])"
BERT = "import npssl, sys; npssl.train_bert(sys.argv[1], vocabulary=200, steps=2, progress=False)"
FIRST, LATER, IMPORT = 8.0, 1.5, 0.5  # seconds
FIRST_BERT, LATER_BERT = 30.0, 2.0


def seconds(call, cache):
    """Wall time of a Python process."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, *call], env=environment, capture_output=True, text=True)
    took = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(f"{' '.join(call)} failed:\n{done.stderr[-2000:]}")
    return took, done.stderr.count("compiling kernels")


def articles():
    """Forty articles of made-up sentences."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("aeiorstln"), 5)) for _ in range(300)]
    sentence = lambda: " ".join(rng.choice(words, 12)).capitalize() + "."
    for n in range(40):
        yield f"= Article {n} =\n" + "\n".join(sentence() for _ in range(20)) + "\n"


def once(found, folder, number, bert):
    """Each program once, with a cache that nobody used; appends to found[program]."""
    text = folder / "tiny.txt"
    text.write_text("red green blue\nblue green red\n" * 100)
    cache = {name: folder / f"{name}-{number}" for name in ("fit", "command", "bert")}
    out = lambda start: str(folder / f"run-{number}-{start}")
    command = ["-m", "npssl", "train", "skip-gram", "--corpus", str(text), "--out"]
    calls = {
        "import numpy": (["-c", "import numpy"], cache["fit"], 0),
        "import npssl": (["-c", "import npssl"], cache["fit"], 0),
        "SkipGram.fit, first start": (["-c", TRAIN, str(text)], cache["fit"], 1),
        "SkipGram.fit, later": (["-c", TRAIN, str(text)], cache["fit"], 0),
        "npssl train, first start": ([*command, out("first")], cache["command"], 1),
        "npssl train, later": ([*command, out("later")], cache["command"], 0),
    }
    if bert:
        corpus = folder / "articles.txt"
        corpus.write_text("".join(articles()))
        for start, compiles in (("first start", 1), ("later", 0)):
            calls[f"train_bert, {start}"] = (["-c", BERT, str(corpus)], cache["bert"], compiles)
    for name, (call, where, wanted) in calls.items():
        took, announced = seconds(call, where)
        if announced != wanted:
            raise SystemExit(
                f"{name}: expected {wanted} announcement(s) of compiling, found {announced}"
            )
        found.setdefault(name, []).append(took)


def main():
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("--repeat", type=int, default=5)
    ask.add_argument("--quick", action="store_true", help="once")
    ask.add_argument("--bert", action="store_true", help="two steps of BERT as well")
    a = ask.parse_args()
    repeat = 1 if a.quick else a.repeat
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        seconds(
            ["-c", "import numba, npssl.jobs.word2vec"], Path(folder) / "warm"
        )  # files are read once
        for number in range(repeat):
            once(found, Path(folder), number, a.bert)
    middle = {name: common.median(runs) for name, runs in found.items()}
    numpy, rows = middle["import numpy"], []
    for name, took in middle.items():
        row = {
            "program": name,
            "seconds": took,
            "least": min(found[name]),
            "most": max(found[name]),
        }
        row["over NumPy"] = took - numpy
        bar, value = None, took
        first, later = (FIRST_BERT, LATER_BERT) if "bert" in name else (FIRST, LATER)
        if "first" in name:
            bar, row["bar"] = first, f"{first:g} s"
        elif "later" in name:
            bar, value, row["bar"] = later, took - numpy, f"NumPy + {later:g} s"
        elif name == "import npssl":
            bar, row["bar"] = IMPORT, f"{IMPORT:g} s"
        if bar is not None:
            row["held"] = "yes" if value <= bar else "NO"
        rows.append(row)
    common.table(rows, ["program", "seconds", "least", "most", "over NumPy", "bar", "held"])
    common.save("start", {"rows": rows, "repeat": repeat})


if __name__ == "__main__":
    main()
