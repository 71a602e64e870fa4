"""NT-Xent and SupCon in tiles against PyTorch's matrix form: time, memory, equality.

    python benchmarks/bench_contrastive.py [--sizes 4096 16384] [--alone 65536] [--threads 2]

N is the number of views.  Peers have a process each and take turns; forward and backward.
"""

import argparse
import sys
import time

import turns
from common import save, table

D = 128


def _make(name, options):
    import numpy as np

    N, loss = options["N"], options["loss"]
    rng = np.random.default_rng(0)
    z = rng.normal(size=(N, D)).astype(np.float32)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    label = np.arange(N) % (N // 2) if loss == "nt_xent" else rng.integers(0, 64, N)
    if name == "npssl":
        from npssl.losses.nt_xent import nt_xent
        from npssl.losses.sup_con import sup_con

        def call(z=z, label=label):
            half = len(z) // 2
            if loss == "nt_xent":
                value, back = nt_xent(z[:half], z[half:], temperature=0.5)
                return float(value), np.concatenate(back())
            value, back = sup_con(z, label=label, temperature=0.1)
            return float(value), back()
    else:
        import torch

        torch.set_num_threads(options["threads"])

        def call(z=z, label=label):
            n, x = len(z), torch.tensor(z, requires_grad=True)
            s = x @ x.T / (0.5 if loss == "nt_xent" else 0.1)
            s = s.masked_fill(torch.eye(n, dtype=torch.bool), -torch.inf)
            if loss == "nt_xent":
                value = torch.nn.functional.cross_entropy(s, torch.arange(n).roll(n // 2))
            else:
                kind = torch.tensor(label)
                same = (kind[:, None] == kind) & ~torch.eye(n, dtype=torch.bool)
                logs = s.log_softmax(1).masked_fill(~same, 0)
                value = -(logs.sum(1) / same.sum(1)).mean()
            value.backward()
            return value.item(), x.grad.numpy()

    few = np.arange(512) % 256 if loss == "nt_xent" else label[:512]
    call(z[:512], few)  # compiled, pools started
    before = turns.peak_mb()

    def result():
        value, gradient = call()
        probe = np.random.default_rng(1).normal(size=gradient.shape)
        return {
            "value": value,
            "norm": float(np.linalg.norm(gradient)),
            "probe": float((gradient * probe).sum()),
        }

    def once():
        begun = time.perf_counter()
        call()
        return {"seconds": time.perf_counter() - begun, "extra_mb": turns.peak_mb() - before}

    return {
        "result": result,
        "once": once,
        "burst": lambda seconds: {"times": turns.burst(call, seconds, 1)},
    }


def _row(loss, N, threads, rounds, alone):
    names = ["npssl"] if alone else ["npssl", "torch"]
    options = {"N": N, "loss": loss}
    peers, absent = turns.started(__file__, names, options, threads)
    row = {"loss": loss, "N": N}
    try:
        memory = turns.ask_all(peers, absent, "once")
        row |= {f"{n} extra MB": found["extra_mb"] for n, found in memory.items()}
        if alone:
            return row | {"npssl s": memory["npssl"]["seconds"]}
        found = turns.ask_all(peers, absent, "result")
        if "torch" in found:
            a, b = found["npssl"], found["torch"]
            row["difference"] = max(
                abs(a["value"] - b["value"]) / abs(b["value"]),
                abs(a["probe"] - b["probe"]) / b["norm"],
            )
        times = turns.alternate(peers, rounds, seconds=1)
        row |= {f"{n} s": turns.overall(t) for n, t in times.items()}
        if "torch" in times:
            row["times as fast"] = turns.ratios(times, "torch")[0]
        return row
    finally:
        for peer in peers.values():
            peer.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[4096, 16384])
    parser.add_argument("--alone", type=int, nargs="*", default=[65536])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    rows = []
    for N in args.sizes:
        rows.append(_row("nt_xent", N, args.threads, args.rounds, False))
    rows.append(_row("sup_con", 4096, args.threads, args.rounds, False))
    for N in args.alone:
        rows.append(_row("nt_xent", N, args.threads, args.rounds, True))
    for row in rows:  # three products of N x N x d
        row["GFLOP/s"] = 6 * row["N"] ** 2 * D / row["npssl s"] / 1e9
    table(rows, list(dict.fromkeys(key for row in rows for key in row)))
    save("contrastive", {"rows": rows, "threads": args.threads})


if __name__ == "__main__":
    turns.serve(_make) if "--peer" in sys.argv else main()
