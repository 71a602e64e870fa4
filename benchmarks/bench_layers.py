"""Convolution, pooling, norms, GRU and LSTM, there and back, against PyTorch.

    python benchmarks/bench_layers.py
    python benchmarks/bench_layers.py --parts conv2d lstm --threads 1

Each row is one layer at one size: y, and the gradients of all that it takes.  Equal first, to
1e-4 of the largest number; then in turn, each in its own process, medians.  PyTorch's
convolution, pooling and norms are measured in both of its layouts, and the better one counts.
``GEMM`` is the share of the rate of NumPy's or PyTorch's product of 1024 x 1024 matrices, the
faster one, that npssl reaches; what it pads counts as nothing.
"""

import argparse
import tempfile

import common
import numpy as np
import turns
from bench_block_parts import same

# conv2d: B, side, channels in, out, window, stride; conv1d: B, T and the same;
# pooling and norms: B, side, channels; gru and lstm: B, T, input width, state width
PARTS = {
    "conv2d 32x28x28 64-64": ("conv2d", 32, 28, 64, 64, 3, 1),
    "conv2d 32x14x14 64-64": ("conv2d", 32, 14, 64, 64, 3, 1),
    "conv2d 16x28x28 128-128": ("conv2d", 16, 28, 128, 128, 3, 1),
    "conv2d 32x14x14 128-128": ("conv2d", 32, 14, 128, 128, 3, 1),
    "conv2d 32x28x28 64-128, stride 2": ("conv2d", 32, 28, 64, 128, 3, 2),
    "conv2d 32x28x28 128-128, 1x1": ("conv2d", 32, 28, 128, 128, 1, 1),
    "conv2d 32x14x14 64-64, 5x5": ("conv2d", 32, 14, 64, 64, 5, 1),
    "conv2d 64x28x28 1-64": ("conv2d", 64, 28, 1, 64, 3, 1),
    "conv1d 16x2048 1-64, 10, stride 5": ("conv1d", 16, 2048, 1, 64, 10, 5),
    "conv1d 16x408 64-64, 8, stride 4": ("conv1d", 16, 408, 64, 64, 8, 4),
    "conv1d 16x101 64-64, 4, stride 2": ("conv1d", 16, 101, 64, 64, 4, 2),
    "max_pool 32x28x28x64": ("max_pool", 32, 28, 64),
    "mean_pool 32x28x28x64": ("mean_pool", 32, 28, 64),
    "batch_norm 32x28x28x64": ("batch_norm", 32, 28, 64),
    "group_norm 32x28x28x64": ("group_norm", 32, 28, 64),
    "gru 16x32x64": ("gru", 16, 32, 64, 64),
    "gru 64x128x128": ("gru", 64, 128, 128, 128),
    "gru 32x64x256": ("gru", 32, 64, 256, 256),
    "lstm 16x32x64": ("lstm", 16, 32, 64, 64),
    "lstm 64x128x128": ("lstm", 64, 128, 128, 128),
    "lstm 32x64x256": ("lstm", 32, 64, 256, 256),
}
RECURRENT = {"gru": 3, "lstm": 4}
GROUPS = 8


def inputs(part):
    """The same random arrays for all, dy last."""
    kind, *size = PARTS[part]
    rng = np.random.default_rng(len(part))
    draw = lambda *shape: rng.standard_normal(shape, np.float32) * np.float32(shape[-1] ** -0.5)
    if kind in RECURRENT:
        B, T, I, H = size
        n = RECURRENT[kind] * H
        first = draw(H) if kind == "gru" else draw(B, H)
        return draw(B, T, I), draw(I, n), draw(H, n), draw(n), first, draw(B, H), draw(B, T, H)
    B, side, C, *rest = size
    image = (side,) if kind == "conv1d" else (side, side)
    if not rest:
        x = draw(B, *image, C)
        if "pool" in kind:
            return x, draw(B, side // 2, side // 2, C)
        return x, draw(C), draw(C), draw(B, *image, C)
    O, k, stride = rest
    after = [(n + 2 * padding(part) - k) // stride + 1 for n in image]
    return draw(B, *image, C), draw(*[k] * len(image), C, O), draw(O), draw(B, *after, O)


def padding(part):
    """Zeros around an image; none around a sequence."""
    return PARTS[part][5] // 2 if PARTS[part][0] == "conv2d" else 0


def products(part):
    """Additions and multiplications in products of matrices, there and back; 0 without any."""
    kind, *size = PARTS[part]
    if kind in RECURRENT:
        B, T, I, H = size
        return 6 * B * T * (I + H) * RECURRENT[kind] * H
    if not kind.startswith("conv"):
        return 0
    *_, weight, _, dy = inputs(part)
    return 6 * dy.size * weight.size // dy.shape[-1]


def npssl_part(part):
    from npssl.layers.batch_norm import batch_norm
    from npssl.layers.conv import conv1d, conv2d
    from npssl.layers.group_norm import group_norm
    from npssl.layers.pool import max_pool, mean_pool
    from npssl.layers.recurrent import gru, lstm

    kind, *size = PARTS[part]
    *given, dy = inputs(part)
    ops = conv1d, conv2d, max_pool, mean_pool, batch_norm, group_norm, gru, lstm
    op, options = {op.__name__: op for op in ops}[kind], {}
    if kind.startswith("conv"):
        options = {"stride": size[5], "padding": padding(part)}
    elif kind == "group_norm":
        options = {"groups": GROUPS}

    def call():
        y, back = op(*given, **options)
        found = back(dy)
        return y, *(found if isinstance(found, tuple) else (found,))

    return call, lambda *found: found


def torch_part(part, threads, layout):
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(threads)
    kind, *size = PARTS[part]
    *given, dy = (torch.from_numpy(a) for a in inputs(part))
    if kind not in RECURRENT:
        turned = lambda a: a.movedim(1, -1)
        x, dy = given[0].movedim(-1, 1), dy.movedim(-1, 1)
        form = torch.contiguous_format
        if layout == "last" and kind != "conv1d":
            form = torch.channels_last
        weights = given[1:]
        if kind.startswith("conv"):
            weight = given[1].movedim((-1, -2), (0, 1))
            weights = weight.contiguous(memory_format=form), given[2]
        x, dy = x.contiguous(memory_format=form), dy.contiguous(memory_format=form)
        leaves = [a.detach().requires_grad_() for a in (x, *weights)]
        x, *weights = leaves
        forward = {
            "conv1d": lambda: F.conv1d(x, *weights, stride=size[5]),
            "conv2d": lambda: F.conv2d(x, *weights, stride=size[5], padding=padding(part)),
            "max_pool": lambda: F.max_pool2d(x, 2),
            "mean_pool": lambda: F.avg_pool2d(x, 2),
            "batch_norm": lambda: F.batch_norm(x, None, None, *weights, training=True),
            "group_norm": lambda: F.group_norm(x, GROUPS, *weights),
        }[kind]

        def tidy(y, dx, *dweights):
            more = [d.movedim((0, 1), (-1, -2)) if d.ndim > 1 else d for d in dweights]
            return [a.detach().numpy() for a in (turned(y), turned(dx), *more)]

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

    def rate():
        """Additions and multiplications a second in a product of matrices."""
        n = 1024
        if "torch" in name:
            import torch

            torch.set_num_threads(o["threads"])
            a, b = torch.rand(2, n, n)
        else:
            a, b = np.random.default_rng(0).random((2, n, n), np.float32)
        a @ b
        return {"rate": 2 * n**3 / min(turns.burst(lambda: a @ b, 0.3))}

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

    return dict(check=check, burst=burst, rate=rate)


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
                rate = max(one.ask("rate")["rate"] for one in peers.values())
                print(f"{threads} threads: a product of matrices at {rate / 1e9:.0f} GFLOP/s")
                for part in chosen:
                    files = {n: f"{folder}/{n}.npz" for n in peers}
                    for name, file in files.items():
                        peers[name].ask("check", part=part, file=file)
                    same(part, files)
                    print(f"{part}: {', '.join(files)} agree")
                    turns.alternate(peers, 1, part=part, seconds=0.05)
                    times = turns.alternate(peers, o.rounds, part=part, seconds=o.seconds)
                    row = {"threads": threads, "part": part}
                    row |= {f"{n} ms": turns.overall(t) * 1e3 for n, t in times.items()}
                    theirs = [n for n in times if n.startswith("torch")]
                    if theirs:
                        best = min(theirs, key=lambda n: turns.overall(times[n]))
                        row["torch/npssl"], least, most = turns.ratios(times, best)
                        row["range"] = f"{least:.2f}-{most:.2f}"
                    if products(part):
                        took = turns.overall(times["npssl"])
                        row["GEMM"] = f"{products(part) / took / rate:.0%}"
                    rows.append(row)
            finally:
                for one in peers.values():
                    one.stop()
            common.table(rows, list({c: None for r in rows for c in r}))
            common.save("layers", {"setting": vars(o), "rows": rows})
    for r in rows:
        bar = 0.75 if r["part"].startswith(tuple(RECURRENT)) else 0.7
        if r.get("torch/npssl", 1) < bar:
            print(
                f"LOST: {r['part']}, {r['threads']} threads: {r['torch/npssl']:.2f} times PyTorch"
            )


if __name__ == "__main__":
    import sys

    turns.serve(peer) if sys.argv[1:2] == ["--peer"] else main()
