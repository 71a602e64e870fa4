"""Losses over all pairs, in tiles, against PyTorch's matrix form and pytorch-metric-learning.

    python benchmarks/bench_contrastive.py
    python benchmarks/bench_contrastive.py --only nt_xent:16384 lifted:256 --rounds 5
    python benchmarks/bench_contrastive.py --large          65,536 and 262,144 views, npssl alone
    python benchmarks/bench_contrastive.py --pml-1024       tens of seconds and 18 GB for theirs

N rows of width 128, forward and backward.  A row's values and gradients are compared before
its times; peers have a process each and take turns; "extra MB" is how much the first call
raises the most that the process ever held.  "of GEMM" is the rate of the products that the
tiles need (their number once, by symmetry) as a share of NumPy's matmul on 2,048 squared.
"""

import argparse
import sys
import time

import turns
from common import median, save, table

D = 128
MOST = 16384  # above, a matrix takes more than most machines have
ROWS = {  # loss: (sizes, products of N x N x d that the tiles take, doubled)
    "nt_xent": ([4096, 16384], 4),
    "info_nce": ([4096], 8),
    "sup_con": ([4096], 4),
    "soft_nn": ([4096], 4),
    "n_pair": ([4096], 2),  # N/2 anchors: 8 (N/2)^2
    "semi_hard": ([4096], 2),
    "lifted": ([256], 4),
}
PML = {"nt_xent", "sup_con", "n_pair", "lifted"}


def _labels(loss, N, np):
    if loss in ("nt_xent", "n_pair"):
        return np.arange(N) % (N // 2)
    return np.arange(N) % 64


def _npssl(loss, np):
    from npssl.losses.info_nce import info_nce
    from npssl.losses.lifted import lifted
    from npssl.losses.n_pair import n_pair
    from npssl.losses.nt_xent import nt_xent
    from npssl.losses.semi_hard_triplet import semi_hard_triplet
    from npssl.losses.soft_nearest_neighbor import soft_nearest_neighbor
    from npssl.losses.sup_con import sup_con

    ops = {
        "nt_xent": lambda z, y: nt_xent(*np.split(z, 2), temperature=0.5),
        "info_nce": lambda z, y: info_nce(z, z, temperature=0.07),
        "sup_con": lambda z, y: sup_con(z, label=y, temperature=0.1),
        "soft_nn": lambda z, y: soft_nearest_neighbor(z, np.float32(0.5), label=y),
        "n_pair": lambda z, y: n_pair(*np.split(z, 2), penalty=0.0),
        "semi_hard": lambda z, y: semi_hard_triplet(z, label=y),
        "lifted": lambda z, y: lifted(z, label=y),
    }

    def call(z, y):
        value, back = ops[loss](z, y)
        grads = back()
        if loss in ("nt_xent", "n_pair"):
            return float(value), np.concatenate(grads)
        if loss == "info_nce":
            return float(value), sum(grads)
        return float(value), grads[0] if loss == "soft_nn" else grads

    return call


def _torch(loss, torch):
    F, inf = torch.nn.functional, torch.inf

    def form(x, y):
        n = len(x)
        if loss == "info_nce":
            return F.cross_entropy(x @ x.T / 0.07, torch.arange(n))
        if loss == "n_pair":
            return F.cross_entropy(x[: n // 2] @ x[n // 2 :].T, torch.arange(n // 2))
        own = torch.eye(n, dtype=torch.bool)
        if loss == "nt_xent":
            s = (x @ x.T / 0.5).masked_fill(own, -inf)
            return F.cross_entropy(s, torch.arange(n).roll(n // 2))
        same = (y[:, None] == y) & ~own
        if loss == "sup_con":
            logs = (x @ x.T / 0.1).masked_fill(own, -inf).log_softmax(1).masked_fill(~same, 0)
            return -(logs.sum(1) / same.sum(1)).mean()
        square = x.square().sum(1)
        square = (square[:, None] + square - 2 * x @ x.T).clamp(min=0)
        if loss == "soft_nn":
            s = -square / 0.5
            every = s.masked_fill(own, -inf).logsumexp(1)
            return (every - s.masked_fill(~same, -inf).logsumexp(1)).mean()
        if loss == "semi_hard":
            return _semi_hard(square, y, same, torch)
        D = square.masked_fill(own, 1).sqrt()  # lifted
        r = (1 - D).masked_fill(same | own, -inf).logsumexp(1)
        i, j = same.triu().nonzero().T
        return (torch.logaddexp(r[i], r[j]) + D[i, j]).relu().square().mean() / 2

    def call(z, y):
        x = torch.tensor(z, requires_grad=True)
        value = form(x, torch.tensor(y))
        value.backward()
        return value.item(), x.grad.numpy()

    return call


def _semi_hard(square, y, same, torch):
    """Some pairs at a time: the choice without gradient, then the distances by index."""
    pairs = same.nonzero()
    found = []
    with torch.no_grad():
        for part in pairs.split(max(1, (1 << 22) // len(y))):
            far, own = square[part[:, 0]], square[part[:, 0], part[:, 1]][:, None]
            allowed = ~(y[part[:, 0]][:, None] == y) & (far > own) & (far < own + 0.2)
            least, negative = far.masked_fill(~allowed, torch.inf).min(1)
            some = least < torch.inf
            found.append(torch.column_stack([part, negative])[some])
    a, p, q = torch.cat(found).T
    return (square[a, p] - square[a, q] + 0.2).mean()


def _pml(loss, torch):
    from pytorch_metric_learning import distances, losses

    dots = distances.DotProductSimilarity(normalize_embeddings=False)
    plain = distances.LpDistance(normalize_embeddings=False, power=1)
    theirs = {
        "nt_xent": lambda: losses.NTXentLoss(temperature=0.5, distance=dots),
        "sup_con": lambda: losses.SupConLoss(temperature=0.1, distance=dots),
        "n_pair": lambda: losses.NPairsLoss(distance=dots),
        "lifted": lambda: losses.LiftedStructureLoss(neg_margin=1, pos_margin=0, distance=plain),
    }[loss]()

    def call(z, y):
        x = torch.tensor(z, requires_grad=True)
        value = theirs(x, torch.tensor(y))
        value.backward()
        return value.item(), x.grad.numpy()

    return call


def _gemm_rate(np):
    a = np.random.default_rng(0).normal(size=(2048, 2048)).astype(np.float32)
    return 2 * 2048**3 / min(turns.burst(lambda: a @ a, 0.5, 5))


def _make(name, options):
    import numpy as np

    N, loss = options["N"], options["loss"]
    z = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    label = _labels(loss, N, np)
    if name == "npssl":
        op = _npssl(loss, np)
    else:
        import torch

        torch.set_num_threads(options["threads"])
        op = (_torch if name == "PyTorch" else _pml)(loss, torch)

    few = 256 if loss == "lifted" else 512
    op(z[:few].copy(), _labels(loss, few, np))  # compiled, pools started
    before = turns.peak_mb()

    def once():
        begun = time.perf_counter()
        value, gradient = op(z, label)
        seconds, extra = time.perf_counter() - begun, turns.peak_mb() - before
        probe = np.random.default_rng(1).normal(size=gradient.shape)
        return {
            "seconds": seconds,
            "extra_mb": extra,
            "value": value,
            "norm": float(np.linalg.norm(gradient)),
            "probe": float((gradient * probe).sum()),
        }

    return {
        "once": once,
        "burst": lambda seconds: {"times": turns.burst(lambda: op(z, label), seconds, 1)},
        "gemm": lambda: {"rate": _gemm_rate(np)},
    }


def _row(loss, N, threads, rounds, names):
    peers, absent = turns.started(__file__, names, {"N": N, "loss": loss}, threads)
    row = {"loss": loss, "N": N}
    try:
        first = turns.ask_all(peers, absent, "once")
        ours = first["npssl"]
        row["value"] = ours["value"]
        for name, found in first.items():
            if name != "npssl":
                away = abs(ours["probe"] - found["probe"]) / found["norm"]
                away = max(away, abs(ours["value"] - found["value"]) / abs(found["value"]))
                row["difference"] = max(away, row.get("difference", 0.0))
        if row.get("difference", 0) > (0.05 if loss == "semi_hard" else 1e-4):
            raise SystemExit(
                f"{loss} at {N}: the peers disagree by {row['difference']}: no figures"
            )
        if len(peers) > 1:
            # what takes long is timed by its first call
            long = any(found["seconds"] > 20 for found in first.values())
            times = (
                {name: [[found["seconds"]]] for name, found in first.items()}
                if long
                else turns.alternate(peers, rounds, seconds=0.5)
            )
        else:
            times = {"npssl": [[ours["seconds"]]]}
        for name, t in times.items():
            row[f"{name} ms"] = 1e3 * turns.overall(t)
        row |= {f"x {name}": turns.ratios(times, name)[0] for name in times if name != "npssl"}
        row |= {f"{name} extra MB": found["extra_mb"] for name, found in first.items()}
        rate = median([peers["npssl"].ask("gemm")["rate"] for _ in range(3)])
        row["of GEMM"] = ROWS[loss][1] * N**2 * D / (row["npssl ms"] / 1e3) / rate
        return row
    finally:
        for peer in peers.values():
            peer.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", metavar="LOSS:N", help="these rows")
    parser.add_argument("--large", action="store_true", help="65,536 and 262,144, npssl alone")
    parser.add_argument("--pml-1024", action="store_true", help="pytorch-metric-learning's NT-Xent")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    everybody = ["npssl", "PyTorch", "PML"]
    if args.only:
        pairs = [(loss, int(N)) for loss, N in (item.split(":") for item in args.only)]
        wanted = [(loss, N, everybody if N <= MOST else ["npssl"]) for loss, N in pairs]
    elif args.large:
        wanted = [("nt_xent", N, ["npssl"]) for N in (65536, 262144)]
    elif args.pml_1024:
        wanted = [("nt_xent", 1024, everybody)]
    else:
        wanted = [(loss, N, everybody) for loss, (sizes, _) in ROWS.items() for N in sizes]
    rows = []
    for loss, N, names in wanted:
        theirs = loss in PML and not (loss == "nt_xent" and not args.pml_1024)
        rows.append(
            _row(loss, N, args.threads, args.rounds, [n for n in names if n != "PML" or theirs])
        )
        table(rows[-1:], list(rows[-1]))
    columns = [c for row in rows for c in row]
    print(f"\n{args.threads} threads, medians of {args.rounds} rounds in turn")
    table(rows, sorted(set(columns), key=columns.index))
    save("contrastive", {"rows": rows, "threads": args.threads})


if __name__ == "__main__":
    turns.serve(_make) if "--peer" in sys.argv else main()
