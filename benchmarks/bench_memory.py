"""How much memory does training take, and what if the text is larger than memory?

    python benchmarks/bench_memory.py                     about five minutes
    python benchmarks/bench_memory.py --quick

1. Peak of resident memory that training adds to a process which has already trained on a
   few words (imports and kernels are loaded), against the bound: the two tables, 4 bytes
   for each token of the text (none with the ids on disk), and 64 MiB.
2. A text twice as large as the memory limit (RLIMIT_DATA, what ``ulimit -d`` sets: all
   memory a process can write to, that of Python, Numba and LLVM included; it is set
   before anything is imported).  With the ids on disk training ends; in memory they
   do not fit.  RLIMIT_AS would also count what is reserved and never used.

Each training is a process of its own.  The first part needs Linux (/proc).
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common

MB = 1 << 20
ROOM = 64 * MB


def status(field):
    """A size of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/self/status: no {field}")


def child(o):
    """One training; prints what it took."""
    if o["limit"]:
        resource.setrlimit(resource.RLIMIT_DATA, (o["limit"], o["limit"]))
    from npssl import SkipGram

    settings = {k: o[k] for k in ("dim", "threads", "min_count", "sample", "ids_on_disk")}
    with tempfile.TemporaryDirectory() as folder:
        tiny = Path(folder) / "tiny.txt"
        tiny.write_text("red green blue\nblue green red\n" * 100)
        SkipGram(**(settings | {"min_count": 1, "sample": 0, "epochs": 2})).fit(
            tiny, progress=False
        )
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again from what is held now
    before, begun = status("VmHWM"), time.perf_counter()
    model = SkipGram(**settings, epochs=1, hold_out=100).fit(o["corpus"], progress=False)
    vocabulary = model.vocabulary
    found = {"before": before, "added": status("VmHWM") - before}
    found |= {"different": len(vocabulary), "words": int(vocabulary.counts.sum())}
    found |= {"seconds": time.perf_counter() - begun, "loss": model.history[-1]["loss"]}
    print(json.dumps(found))


def run(timeout=None, **options):
    """A child's figures, or the last line of what it said when it failed."""
    call = [sys.executable, __file__, "--child", json.dumps(options)]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            call, capture_output=True, text=True, env=environment, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {timeout} s"}
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        kind, _, why = said[-1].partition(": ")  # numpy._core._exceptions._ArrayMemoryError: ...
        return {"failed": f"{kind.rpartition('.')[2].lstrip('_')}: {why.split(' for ')[0]}"}
    return json.loads(done.stdout.splitlines()[-1])


def peaks(text, dims, threads, sample):
    """Part 1."""
    lines = sum(1 for _ in open(text, "rb"))
    base = dict(corpus=str(text), limit=0, min_count=5, sample=sample)
    run(**base, dim=16, threads=1, ids_on_disk=False)  # compile once
    for dim in dims:
        for number in threads:
            for on_disk in (False, True):
                found = run(**base, dim=dim, threads=number, ids_on_disk=on_disk)
                if "failed" in found:
                    raise SystemExit(f"training failed: {found['failed']}")
                tables = 2 * found["different"] * dim * 4
                tokens = 0 if on_disk else 4 * (found["words"] + lines)  # sentence ends are tokens
                bound = tables + tokens + ROOM
                row = {"dim": dim, "threads": number, "ids": "on disk" if on_disk else "in memory"}
                row |= {"words": found["words"], "different": found["different"]}
                row |= {"tables MB": tables / MB, "ids MB": tokens / MB, "bound MB": bound / MB}
                row |= {
                    "added MB": found["added"] / MB,
                    "process MB": (found["before"] + found["added"]) / MB,
                }
                yield row | {"held": "yes" if found["added"] <= bound else "NO"}


def repeated(text, size, folder):
    """A file of at least ``size`` bytes made of copies of a text; and how many."""
    part, path = Path(text).read_bytes(), Path(folder) / "large.txt"
    copies = -(-size // len(part))
    with open(path, "wb") as out:
        for _ in range(copies):
            out.write(part)
    return path, copies


def limited(text, limit, folder, **settings):
    """Part 2."""
    large, copies = repeated(text, 2 * limit, folder)
    base = dict(settings, corpus=str(large), limit=limit, min_count=5 * copies)
    for on_disk in (True, False):
        found = run(timeout=3600, **base, ids_on_disk=on_disk)
        row = {"text MB": large.stat().st_size / MB, "limit MB": limit / MB}
        row |= {"ids": "on disk" if on_disk else "in memory"}
        if "failed" in found:
            yield row | {"outcome": found["failed"]}
        else:
            row |= {"words": found["words"], "process MB": (found["before"] + found["added"]) / MB}
            yield row | {
                "minutes": found["seconds"] / 60,
                "loss": found["loss"],
                "outcome": "trained",
            }


def main():
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("--dims", nargs="+", type=int, default=[100, 300])
    ask.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    ask.add_argument("--sample", type=float, default=1e-4)
    ask.add_argument("--limit", type=int, default=512, help="MB")
    ask.add_argument("--folder", help="for the large text; default: the system's temporary folder")
    ask.add_argument("--quick", action="store_true")
    ask.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    a = ask.parse_args()
    if a.child:
        return child(a.child)
    limited_dim = 100
    if a.quick:
        a.dims, a.threads, a.sample, a.limit, limited_dim = [16], [1], 1e-5, 256, 16
    text = common.corpus()
    first = [*peaks(text, a.dims, a.threads, a.sample)]
    sizes = ["tables MB", "ids MB", "bound MB", "added MB", "process MB"]
    common.table(first, ["dim", "threads", "ids", "words", "different", *sizes, "held"])
    print()
    with tempfile.TemporaryDirectory(dir=a.folder) as folder:
        settings = dict(dim=limited_dim, threads=max(a.threads), sample=a.sample)
        second = [*limited(text, a.limit * MB, folder, **settings)]
    common.table(
        second, ["text MB", "limit MB", "ids", "words", "process MB", "minutes", "loss", "outcome"]
    )
    options = {k: v for k, v in vars(a).items() if k not in ("child", "folder")}
    common.save("memory", {"peak": first, "limited": second, "options": options})


if __name__ == "__main__":
    main()
