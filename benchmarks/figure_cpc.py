"""Contrastive predictive coding by number of steps ahead and by source of negatives.

    python benchmarks/figure_cpc.py
    python benchmarks/figure_cpc.py --seeds 0 --steps 300 --ahead 2 8

Every run is what ``npssl train cpc`` does, on speech made from the seed; the share of phones
and speakers that a linear probe finds in c, mean and range over seeds, and a picture.  The
sources are compared at 8 steps, the numbers of steps with mixed negatives.
"""

import argparse

import common

from npssl.errors import require
from npssl.jobs.cpc import train_cpc
from npssl.tasks.cpc import NEGATIVES


def row(found, **setting):
    """Mean and range over seeds."""
    told = dict(setting)
    for name in ("phone", "speaker"):
        for kind in ("c", "z", "spectrum"):
            shares = [f["probes"][name][kind] for f in found]
            told[f"{name} {kind}"] = sum(shares) / len(shares)
            if kind == "c" and len(shares) > 1:
                told[f"{name} range"] = f"{min(shares):.3f}-{max(shares):.3f}"
    return told


def main():
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ask.add_argument("--ahead", nargs="*", type=int, default=[1, 2, 4, 8, 12])
    ask.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    ask.add_argument("--steps", type=int, default=1000)
    o = ask.parse_args()
    settings = [("mixed", k) for k in o.ahead]
    settings += [(n, 8) for n in NEGATIVES if (n, 8) not in settings]
    rows = []
    for negatives, ahead in settings:
        found = [
            train_cpc(negatives=negatives, ahead=ahead, steps=o.steps, seed=s, progress=False)
            for s in o.seeds
        ]
        rows.append(row(found, negatives=negatives, ahead=ahead))
        common.table(rows, list(rows[0]))
        common.save("cpc", {"setting": vars(o), "rows": rows})
    draw(rows, common.RESULTS / "cpc.svg")


def draw(rows, path):
    """Phone against speaker, a point for each setting."""
    require("matplotlib", extra="plot")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    for r in rows:
        axes.scatter(r["speaker c"], r["phone c"], color="C0")
        axes.annotate(f"{r['negatives']}, {r['ahead']}", (r["speaker c"], r["phone c"]))
    axes.set(xlabel="speaker, share right from c", ylabel="phone, share right from c")
    figure.savefig(path)


if __name__ == "__main__":
    main()
