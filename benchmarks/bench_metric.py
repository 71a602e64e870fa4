"""All losses of metric learning on Omniglot: trained on some alphabets, judged on others.

    NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/bench_metric.py
    python benchmarks/bench_metric.py --losses triplet pair --seeds 1 --steps 100

Recall@1/2/4/8, MAP@R, NMI, F1 of unseen characters, and the 20-way one-shot runs; per cent,
mean and deviation over seeds.  Beside it: the pixels themselves and the encoder as first drawn.
"""

import argparse
import json

import numpy as np

from npssl.jobs.metric_learning import judge, table, train_metric
from npssl.params import Params
from npssl.tasks.metric_learning import LOSSES, MetricLearning


class Pixels(MetricLearning):
    """The pictures as they are."""

    def embed(self, p, x):
        return x.reshape(len(x), -1), None


def main():
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given.add_argument("--losses", nargs="+", default=list(LOSSES), choices=LOSSES)
    given.add_argument("--seeds", type=int, default=5)
    given.add_argument("--steps", type=int, default=1000)
    given.add_argument("--encoder", default="mlp", choices=("mlp", "conv"))
    given.add_argument("--json", metavar="FILE")
    args = given.parse_args()
    first = MetricLearning(
        encoder=args.encoder, widths=(256,) if args.encoder == "mlp" else (32, 64)
    )
    untrained = []
    for seed in range(args.seeds):
        params = Params(first.spec(), np.random.default_rng(seed))
        untrained.append(judge(first, params))
    found = {"pixels": [judge(Pixels(), params)], "untrained": untrained}
    for loss in args.losses:
        found[loss] = [
            train_metric(loss, encoder=args.encoder, steps=args.steps, seed=seed, progress=False)
            for seed in range(args.seeds)
        ]
        print(table(found).splitlines()[-1], flush=True)
    print(table(found))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)


if __name__ == "__main__":
    main()
