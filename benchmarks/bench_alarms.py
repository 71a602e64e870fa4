"""Do the alarms tell runs that collapse from runs that learn?  40 planted runs, half of them bad.

    NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/bench_alarms.py

Each run trains a small perceptron on points of 8 clusters for some hundred steps of the
library's loop.  What is planted is known from how the run was made, not from its figures; a run
counts as told if an alarm is raised at its end, other than "no active triplet": that one is also
the end of a run that has learnt all there is, which is how the triplet loss ends on clusters
this easy.  Sensitivity: of the bad runs, those told; specificity: of the others, those not told.
With that alarm counted as well, the last line says what becomes of the specificity.
"""

import argparse

import numpy as np

from npssl.jobs.metric_learning import signs
from npssl.layers.similarity import unit
from npssl.optim import AdamW, constant
from npssl.params import Params
from npssl.tasks.metric_learning import MetricLearning
from npssl.train import gradient_step, state_of, train

STOPPED = "no active triplet"
SIDE = 4  # a point has SIDE^2 numbers

# name: (loss, its options, miner, learning rate, what else is wrong)
GOOD = {
    "triplet": ("triplet", {}, "all", 2e-3, ""),
    "sup-con": ("sup-con", {}, "all", 2e-3, ""),
    "info-nce": ("info-nce", {}, "all", 2e-3, ""),
    "nt-xent": ("nt-xent", {"temperature": 0.2}, "all", 2e-3, ""),
    "pair": ("pair", {}, "all", 2e-3, ""),
}
BAD = {
    "triplet, nothing but pull": ("triplet", {}, "all", 5e-3, "pull"),
    "sup-con, nothing but pull": ("sup-con", {}, "all", 5e-3, "pull"),
    "info-nce, views that share nothing": ("info-nce", {}, "all", 2e-3, "views"),
    "nt-xent, temperature 50": ("nt-xent", {"temperature": 50.0}, "all", 2e-3, ""),
    "pair, dead units": ("pair", {}, "all", 2e-3, "dead"),
}


class Pull(MetricLearning):
    """What is left of a loss whose negatives are lost: the mean squared distance from the mean."""

    def judge(self, z, y):
        u, back_unit = unit(z)
        centred = u - u.mean(0)
        value = np.square(centred).sum() / len(z)
        return value, lambda dvalue=1.0: back_unit(centred * (2 * dvalue / len(z)))


def one(kind, options, miner, lr, wrong, seed, steps):
    """Train; the alarms at the end."""
    task = (Pull if wrong == "pull" else MetricLearning)(
        kind, SIDE, "mlp", (32,), dim=16, miner=miner, options=options
    )
    centres = np.random.default_rng([seed, 1]).normal(size=(8, SIDE, SIDE))

    def batches(k):
        rng = np.random.default_rng([seed, k, 2])
        own = centres[:, None]
        if wrong == "views":
            own = rng.normal(size=(8, 4, SIDE, SIDE))
        return (own + 0.3 * rng.normal(size=(8, 4, SIDE, SIDE))).astype(np.float32)

    params = Params(task.spec(), np.random.default_rng([seed, 3]))
    if wrong == "dead":
        params.tree[0].b[:] = -100  # no input ever wakes a unit
        params.tree[1].b[:] = np.random.default_rng(seed).normal(size=16)
    optimizer = AdamW(params, decay=0.0)
    step = gradient_step(task, batches, params, optimizer, constant(lr), seed=seed)
    late = [
        row["loss"]
        for k, row in train(step, state_of(params, optimizer), steps=steps)
        if k > 0.9 * steps
    ]
    judged = MetricLearning(kind, SIDE, "mlp", (32,), dim=16, miner=miner, options=options)
    loss = float(np.mean(late))
    if wrong == "pull":  # the loss that the run believes in, on the embeddings that it made
        x, y = task.split(batches(steps))
        loss = float(judged.loss(params.tree, x, y)[0])
    return signs(judged, params, batches(steps), loss)


def main():
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given.add_argument("--seeds", type=int, default=4, help="of each kind; 4 make 40 runs")
    given.add_argument("--steps", type=int, default=300)
    args = given.parse_args()
    told, strict = {True: 0, False: 0}, {True: 0, False: 0}
    print(f"{'run':<38}{'told':>6}  alarms")
    for bad, runs in ((False, GOOD), (True, BAD)):
        for name, settings in runs.items():
            found = [one(*settings, seed, args.steps) for seed in range(args.seeds)]
            hits = sum(any(a.name != STOPPED for a in alarms) for alarms in found)
            told[bad] += hits
            strict[bad] += sum(map(bool, found))
            names = sorted({a.name for alarms in found for a in alarms})
            print(f"{name:<38}{hits:>3}/{len(found)}  {', '.join(names)}", flush=True)
    total = args.seeds * len(GOOD)
    print(f"sensitivity {told[True] / total:.1%}, specificity {1 - told[False] / total:.1%}")
    counted = f"sensitivity {strict[True] / total:.1%}, specificity {1 - strict[False] / total:.1%}"
    print(f"with {STOPPED!r} counted: {counted}")


if __name__ == "__main__":
    main()
