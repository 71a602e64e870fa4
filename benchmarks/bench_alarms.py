"""Do the alarms tell runs that go wrong from runs that learn?  Three sets of planted runs.

    NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/bench_alarms.py --set measuring

The thresholds of `npssl.evaluation.alarms` were chosen on the set "tuning"; "measuring" and then
"again" were written down afterwards, and before they were run.  A run counts as told if any
alarm is raised at its end; notes do not count.  Sensitivity: of the bad runs, those told;
specificity: of the others, those not told.  The cost is that of a look, next to that of a step.
"""

import argparse
import time

import numpy as np
from planted import TUNING
from planted_again import AGAIN
from planted_measuring import MEASURING

from npssl.jobs.watching import told
from npssl.optim import AdamW, constant
from npssl.params import Params
from npssl.tasks.metric_learning import MetricLearning
from npssl.train import gradient_step

SETS = {"tuning": TUNING, "measuring": MEASURING, "again": AGAIN}


def share(hits, runs):
    """How many, and per cent."""
    return f"{hits}/{runs} ({hits / max(1, runs):.1%})"


def cost(times=20):
    """Milliseconds of a step and of a look, at the sizes of ``npssl train metric``."""
    task = MetricLearning("triplet")
    params = Params(task.spec(), np.random.default_rng(0))
    t = np.random.default_rng(1).random((16, 4, 28, 28), np.float32)
    step = gradient_step(task, lambda k: t, params, AdamW(params), constant(1e-3))
    found = []
    for act in (step, lambda k: told(task, params, t)):
        spent = []
        for k in range(times):
            begin = time.perf_counter()
            act(k)
            spent.append(time.perf_counter() - begin)
        found.append(1e3 * float(np.median(spent)))
    return found


def main():
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given.add_argument("--set", choices=SETS, default="measuring")
    given.add_argument("--seeds", type=int, default=2, help="of each kind of run")
    args = given.parse_args()
    runs = SETS[args.set]
    hits = {False: 0, True: 0}
    print(f"{'planted':<34}{'bad':>5}{'told':>7}  alarms, [notes]")
    for run in sorted(runs, key=lambda run: run.bad):
        found = [run(seed) for seed in range(args.seeds)]
        told_of = sum(bool(one["alarms"]) for one in found)
        hits[run.bad] += told_of
        names, notes = (
            ", ".join(sorted({sign["name"] for one in found for sign in one[kind]}))
            for kind in ("alarms", "notes")
        )
        line = f"{run.name:<34}{'bad' if run.bad else '':>5}{told_of:>5}/{args.seeds}  {names}"
        print(line + (f" [{notes}]" if notes else ""), flush=True)
    many = {bad: args.seeds * sum(run.bad == bad for run in runs) for bad in hits}
    print(f"sensitivity {share(hits[True], many[True])}")
    print(f"specificity {share(many[False] - hits[False], many[False])}")
    step, look = cost()
    print(f"a step {step:.1f} ms, a look {look:.1f} ms; twenty looks a run")


if __name__ == "__main__":
    main()
