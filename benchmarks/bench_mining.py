"""Semi-hard mining: kernel, NumPy page, PyTorch (table of all distances), in turn.

    python benchmarks/bench_mining.py
    python benchmarks/bench_mining.py --rows 1024 4096 --width 128 --classes 256 --repeats 5

Unit vectors, labels drawn at random.  A row counts only after all agree: as many triplets,
and negatives at the same distances to 1e-5 (which of two that are equal in float32 comes
first is rounding).  Medians in milliseconds; all cores.
"""

import argparse
import os
import time

import common
import numpy as np

from npssl.data.mining import semi_hard
from npssl.data.positives import same_label


def ours(numba):
    def mine(x, label, margin):
        os.environ["NPSSL_NUMBA"] = numba
        try:
            return semi_hard(x, label, margin=margin)
        finally:
            os.environ["NPSSL_NUMBA"] = "1"

    return mine


def pytorch(x, label, margin):
    """All distances at once, then some pairs at a time: what one writes without a kernel."""
    import torch

    x, label = torch.from_numpy(x), torch.from_numpy(label)
    D = torch.cdist(x, x).square()
    same = label[:, None] == label
    pairs = (same & ~torch.eye(len(x), dtype=torch.bool)).nonzero()
    found = []
    for part in pairs.split(max(1, (1 << 22) // len(x))):
        far = D[part[:, 0]]
        own = D[part[:, 0], part[:, 1]][:, None]
        allowed = ~same[part[:, 0]] & (far > own) & (far < own + margin)
        least, negative = far.masked_fill(~allowed, torch.inf).min(1)
        some = least < torch.inf
        found.append(torch.column_stack([part, negative])[some])
    return torch.cat(found).numpy()


PEERS = {"kernel": ours("1"), "page": ours("0"), "PyTorch": pytorch}


def agree(x, one, two):
    """Nearly as many, and of the pairs that both have, negatives equally near."""
    keys = [a[:, 0] * len(x) + a[:, 1] for a in (one, two)]
    _, i, j = np.intersect1d(*keys, return_indices=True)
    near = [np.square(x[a[:, 0]] - x[a[:, 2]]).sum(1) for a in (one[i], two[j])]
    close = np.isclose(*near, atol=1e-5).mean() if len(i) else 1.0
    return len(i) >= 0.999 * max(len(one), len(two)) and close >= 0.999


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1024, 4096])
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--classes", type=int, default=256)
    parser.add_argument("--margin", type=float, default=0.2)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(common.machine())
    rows = []
    for n in options.rows:
        rng = np.random.default_rng(n)
        x = rng.normal(size=(n, options.width)).astype(np.float32)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        label = rng.integers(0, options.classes, n)
        found, times = {}, {name: [] for name in PEERS}
        for turn in range(options.repeats + 1):
            for name, mine in PEERS.items():
                try:
                    begin = time.perf_counter()
                    found[name] = mine(x, label, options.margin)
                    times[name].append(time.perf_counter() - begin)
                except ImportError as error:
                    if not turn:
                        print(f"{name}: absent ({error})")
        for name, index in found.items():
            if not agree(x, found["page"], index):
                raise SystemExit(f"{name} and the page disagree at {n} rows: no figures")
        row = {"rows": n, "pairs": len(same_label(label)), "triplets": len(found["page"])}
        rows.append(row | {name: 1e3 * common.median(t[1:]) for name, t in times.items() if t})
    common.table(rows, ["rows", "pairs", "triplets", *PEERS])


if __name__ == "__main__":
    main()
