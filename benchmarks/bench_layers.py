"""Convolution, GRU and LSTM, there and back, against PyTorch.

    python benchmarks/bench_layers.py
    python benchmarks/bench_layers.py --parts lstm --threads 1

Each row is one layer at one size: y, and the gradients of all that it takes.  Equal first, to
1e-4 of the largest number; then in turn, each in its own process, medians.  PyTorch's
convolution is measured in both of its layouts, and the better one counts.
"""

import argparse
import tempfile

import common
import numpy as np
import turns
from bench_block_parts import same

# kind: B, side, channels in, channels out, window, stride; or B, T, input width, state width
PARTS = {
    "conv 64 28x28": ("conv", 32, 28, 64, 64, 3, 1),
    "conv 128 14x14": ("conv", 32, 14, 128, 128, 3, 1),
    "conv 64-128 stride 2": ("conv", 32, 32, 64, 128, 3, 2),
    "conv 1-64 28x28": ("conv", 64, 28, 1, 64, 3, 1),
    "gru 32x64x256": ("gru", 32, 64, 256, 256),
    "lstm 32x64x256": ("lstm", 32, 64, 256, 256),
    "lstm 32x128x128": ("lstm", 32, 128, 128, 128),
}


def inputs(part):
    """The same random arrays for all, dy last."""
    kind, *size = PARTS[part]
    rng = np.random.default_rng(len(part))
    draw = lambda *shape: rng.standard_normal(shape, np.float32) * np.float32(shape[-1] ** -0.5)
    if kind == "conv":
        B, side, C, O, k, s = size
        after = (side - 1) // s + 1
        return draw(B, side, side, C), draw(k, k, C, O), draw(O), draw(B, after, after, O)
    B, T, I, H = size
    n = {"gru": 3, "lstm": 4}[kind] * H
    first = draw(H) if kind == "gru" else draw(B, H)
    return draw(B, T, I), draw(I, n), draw(H, n), draw(n), first, draw(B, H), draw(B, T, H)


def npssl_part(part):
    from npssl.layers.conv import conv2d
    from npssl.layers.recurrent import gru, lstm

    kind, *size = PARTS[part]
    *given, dy = inputs(part)
    op = {"conv": conv2d, "gru": gru, "lstm": lstm}[kind]
    options = {"stride": size[5], "padding": 1} if kind == "conv" else {}

    def call():
        y, back = op(*given, **options)
        return y, *back(dy)

    return call, lambda *found: found


def torch_part(part, threads, layout):
    import torch

    torch.set_num_threads(threads)
    kind, *size = PARTS[part]
    *given, dy = (torch.from_numpy(a) for a in inputs(part))
    if kind == "conv":
        x, w, b = given[0].movedim(-1, 1), given[1].permute(3, 2, 0, 1), given[2]
        dy = dy.movedim(-1, 1)
        form = torch.channels_last if layout == "last" else torch.contiguous_format
        x, w, dy = (a.contiguous(memory_format=form) for a in (x, w, dy))
        leaves = [a.detach().requires_grad_() for a in (x, w, b)]
        forward = lambda: torch.nn.functional.conv2d(*leaves, stride=size[5], padding=1)
        tidy = lambda y, dx, dw, db: [
            a.detach().numpy()
            for a in (y.movedim(1, -1), dx.movedim(1, -1), dw.permute(2, 3, 1, 0), db)
        ]
    else:
        x, w, u, b, first, h = given
        net = (torch.nn.GRU if kind == "gru" else torch.nn.LSTM)(size[2], size[3], batch_first=True)
        idle = torch.zeros_like(b)
        if kind == "gru":
            idle[2 * size[3] :] = first
        values = w.mT, u.mT, b, idle
        with torch.no_grad():
            for to, a in zip(net.parameters(), values):
                to.copy_(a)
        states = [h[None]] if kind == "gru" else [first[None], h[None]]
        states = [a.clone().requires_grad_() for a in states]
        leaves = [x.clone().requires_grad_(), *net.parameters(), *states]
        forward = lambda: net(leaves[0], states[0] if kind == "gru" else tuple(states))[0]

        def tidy(y, dx, dw, du, db, idle, *dstates):
            more = [idle[2 * size[3] :]] if kind == "gru" else []
            found = [y, dx, dw.mT, du.mT, db, *more, *(d[0] for d in dstates)]
            return [a.detach().numpy() for a in found]

    def call():
        for leaf in leaves:
            leaf.grad = None
        y = forward()
        y.backward(dy)
        return y, *(leaf.grad for leaf in leaves)

    return call, tidy


def peer(name, o):
    """The functions by which a peer is asked."""
    made = {}

    def part_of(part):
        if part not in made:
            layout = name.split()[-1]
            made[part] = (
                torch_part(part, o["threads"], layout) if "torch" in name else npssl_part(part)
            )
        return made[part]

    def check(part, file):
        call, tidy = part_of(part)
        np.savez(file, *tidy(*call()))
        return {}

    def burst(part, seconds):
        return {"times": turns.burst(part_of(part)[0], seconds, least=3)}

    return dict(check=check, burst=burst)


def main():
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ask.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    ask.add_argument("--parts", nargs="*", default=list(PARTS), help="beginnings of their names")
    ask.add_argument("--rounds", type=int, default=5)
    ask.add_argument("--seconds", type=float, default=0.5, help="of a burst")
    o = ask.parse_args()
    chosen = [p for p in PARTS if p.startswith(tuple(o.parts))]
    rows = []
    switch = {"page": {"NPSSL_NUMBA": "0"}, "npssl": {"NPSSL_NUMBA": "1"}}
    with tempfile.TemporaryDirectory() as folder:
        for threads in o.threads:
            names = ["page", "npssl", "torch first", "torch last"]
            peers, absent = turns.started(__file__, names, {}, threads, switch)
            if {"page", "npssl"} & set(absent):
                raise SystemExit(f"failed: {absent}")
            try:
                for part in chosen:
                    files = {n: f"{folder}/{n}.npz" for n in peers}
                    for name, file in files.items():
                        peers[name].ask("check", part=part, file=file)
                    same(part, files)
                    turns.alternate(peers, 1, part=part, seconds=0.05)
                    times = turns.alternate(peers, o.rounds, part=part, seconds=o.seconds)
                    row = {"threads": threads, "part": part}
                    row |= {f"{n} ms": turns.overall(t) * 1e3 for n, t in times.items()}
                    theirs = [n for n in times if n.startswith("torch")]
                    if theirs:
                        best = min(theirs, key=lambda n: turns.overall(times[n]))
                        row["torch/npssl"], least, most = turns.ratios(times, best)
                        row["range"] = f"{least:.2f}-{most:.2f}"
                    rows.append(row)
            finally:
                for one in peers.values():
                    one.stop()
            common.table(rows, list(rows[0]))
            common.save("layers", {"setting": vars(o), "rows": rows})
    for r in rows:
        bar = 0.7 if r["part"].startswith("conv") else 0.75
        if r.get("torch/npssl", 1) < bar:
            print(
                f"LOST: {r['part']}, {r['threads']} threads: {r['torch/npssl']:.2f} times PyTorch"
            )


if __name__ == "__main__":
    import sys

    turns.serve(peer) if sys.argv[1:2] == ["--peer"] else main()
