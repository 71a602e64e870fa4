"""The staircase of mutual information by every estimate, as tables for docs/mutual_information.md.

python benchmarks/figure_mi.py --steps 500 [--critic concatenated] [--cubic | --pairs erasure]
"""

import argparse

from npssl.jobs.mi import PAIRS, train_mi
from npssl.tasks.mutual_information import CRITICS, ESTIMATES


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500, help="at each level")
    parser.add_argument("--critic", choices=CRITICS, default="separable")
    parser.add_argument("--estimates", nargs="+", choices=ESTIMATES, default=list(ESTIMATES))
    parser.add_argument("--cubic", action="store_true")
    parser.add_argument("--pairs", choices=PAIRS, default=PAIRS[0])
    args = parser.parse_args()
    print("| nats | | 2 | 4 | 6 | 8 | 10 |\n|---|---|---|---|---|---|---|", flush=True)
    for name in args.estimates:
        found = train_mi(
            name,
            critic=args.critic,
            pairs=args.pairs,
            cubic=args.cubic,
            steps=args.steps,
            progress=False,
        )
        for who, key in (("trained", ""), ("optimal", "best_")):
            cells = [f"{x[key + 'mean']:.2f} ± {x[key + 'std']:.2f}" for x in found["levels"]]
            print(f"| {name} | {who} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
