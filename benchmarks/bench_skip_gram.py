"""How fast are word vectors made?  npssl against its peers, side by side.

    python benchmarks/bench_skip_gram.py                  the table of the README
    python benchmarks/bench_skip_gram.py --quick          one setting, one repetition

Each training is a process of its own (benchmarks/trainers.py); programs take turns, and
the table shows medians.  Training: words of raw text per second, reading excluded.
Whole: from the start of the interpreter to vectors on disk.  gensim runs in both of its
input modes, the faster counts.  C and C++ programs take part where an environment
variable names their binaries: NPSSL_WORD2VEC, NPSSL_PWORD2VEC, NPSSL_PSGNSCC,
NPSSL_FASTTEXT.  That all compute the same thing is shown by bench_quality.py.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common
from trainers import BINARIES

GENSIM = ("gensim", "gensim lines")


def run(program, options):
    """One training; what it told, and the wall time of the whole process."""
    with tempfile.TemporaryDirectory() as folder:
        o = json.dumps({**options, "out": str(Path(folder) / "vectors.bin")})
        call = [sys.executable, str(common.HERE / "trainers.py"), program, o]
        begun = time.perf_counter()
        done = subprocess.run(call, capture_output=True, text=True)
        whole = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(f"{program} failed:\n{done.stderr[-2000:]}")
    told = json.loads(done.stdout.splitlines()[-1])
    told["whole_seconds"] = told["whole_seconds"] or whole
    told["train"] = options["words"] * options["epochs"] / told["train_seconds"]
    told["whole"] = options["words"] * options["epochs"] / told["whole_seconds"]
    return told


def programs(wanted, model):
    here, missing = ["npssl"], []
    try:
        import gensim  # noqa: F401

        here += GENSIM
    except ImportError:
        missing.append("gensim")
    for name, variable in BINARIES.items():
        if name in ("pWord2Vec", "pSGNScc") and model == "cbow":
            continue
        (here if os.environ.get(variable) else missing).append(name)
    return [p for p in here if p in wanted], missing


def main():
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    every = ["npssl", *GENSIM, *BINARIES]
    ask.add_argument("--programs", nargs="+", default=every, choices=every)
    ask.add_argument("--model", default="skip-gram", choices=["skip-gram", "cbow"])
    ask.add_argument("--objective", default="negative-sampling")
    ask.add_argument("--subwords", nargs=2, type=int)
    ask.add_argument("--dims", nargs="+", type=int, default=[100, 300])
    ask.add_argument("--samples", nargs="+", type=float, default=[1e-4, 1e-3])
    ask.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    ask.add_argument("--repeat", type=int, default=3)
    ask.add_argument("--epochs", type=int, default=1)
    ask.add_argument("--corpus", help="default: enwiki-2018, 6.5 million words")
    ask.add_argument("--quick", action="store_true")
    ask.add_argument("--name", default="skip_gram", help="of the file of figures")
    a = ask.parse_args()
    if a.quick:
        a.dims, a.samples, a.threads, a.repeat = [100], [1e-4], [2], 1
    text = Path(a.corpus) if a.corpus else common.corpus(common.SETS[:1])
    with open(text, "rb") as lines:  # line by line: a child's peak memory begins with ours
        words = sum(len(line.split()) for line in lines)
    here, missing = programs(a.programs, a.model)
    if missing:
        print("not installed, so not shown: " + ", ".join(missing))
    print(f"{words:,} words; {a.model}, {a.objective}, window 5, negative 5, {a.epochs} epoch(s)")
    base = dict(model=a.model, window=5, negative=5, min_count=5, epochs=a.epochs, words=words)
    base |= dict(alpha=0.05 if a.model == "cbow" or a.subwords else 0.025, corpus=str(text))
    base |= dict(objective=a.objective, subwords=a.subwords)
    small = dict(base, dim=16, sample=1e-4, threads=1, seed=1)
    run("npssl", small)  # compile once
    rows = []
    for dim in a.dims:
        for sample in a.samples:
            for threads in a.threads:
                setting = dict(dim=dim, sample=sample, threads=threads)
                found = {p: [] for p in here}
                for seed in range(1, a.repeat + 1):
                    for p in here:
                        found[p].append(run(p, base | setting | {"seed": seed}))
                rows += summary(found, setting)
                for row in rows[-len(found) :]:
                    print(row, file=sys.stderr, flush=True)
    columns = [
        "dim",
        "sample",
        "threads",
        "program",
        "train",
        "whole",
        "train x",
        "whole x",
        "peak MB",
    ]
    common.table(rows, columns)
    common.save(a.name, {"rows": rows, "options": vars(a), "words": words})


def summary(found, setting):
    """Medians, and how many times as fast npssl is."""
    rows = []
    middle = {
        p: {k: common.median([f[k] for f in runs]) for k in runs[0]} for p, runs in found.items()
    }
    faster = [p for p in GENSIM if p in middle]
    if len(faster) == 2:  # its faster mode counts
        del middle[min(faster, key=lambda p: middle[p]["train"])]
    for p, m in middle.items():
        row = dict(setting, sample=f"{setting['sample']:g}", program=p)
        row |= {"train": m["train"], "whole": m["whole"], "peak MB": m["peak_mb"]}
        if "npssl" in middle:
            row["train x"] = middle["npssl"]["train"] / m["train"]
            row["whole x"] = middle["npssl"]["whole"] / m["whole"]
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
