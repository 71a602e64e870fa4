"""What a transformer's step is made of: each part's ladder, and where the time of a step goes.

    python benchmarks/bench_block_parts.py
    python benchmarks/bench_block_parts.py --config tiny --threads 1 --parts gelu adamw

1. Attention, layernorm, GELU, cross-entropy over a vocabulary and AdamW, there and back, at
   the sizes of a configuration: NumPy page, kernel, PyTorch; equal first, then in turn,
   each in its own process.  The limit is, for what multiplies matrices, those products
   alone (the better of PyTorch and NumPy; what a kernel computes twice counts once); for
   the others, copies between arrays of the same size that move as many bytes as must be
   read and written at least (for AdamW, a multiplication in place).
   Attention's kernel is a part of the block's; here it is called alone.
2. The step of `bench_transformer.py` in npssl, by kernel; "rest" is NumPy and Python.
"""

import argparse
import math
import sys
import tempfile
import time

import common
import numpy as np
import turns
from bench_transformer import CONFIGS, given

PARTS = "attention", "layernorm", "gelu", "cross-entropy", "adamw"
TOLERANCE = 1e-4
KERNELS = {
    "block.pack_weights": "weights packed",
    "block.forward": "blocks, forward",
    "block.backward": "blocks, backward",
    "block.weight_gradients": "blocks, gradients of weights",
    "decoder.forward": "decoder, forward",
    "decoder.backward": "decoder, backward",
    "embedding.embed": "embedding, forward",
    "embedding.embed_back": "embedding, backward",
    "embedding.add_to_rows": "embedding, into the tables",
    "adamw.square_sum": "length of the gradient",
    "adamw.adamw": "AdamW",
}


def sizes(c):
    """Rows, width, hidden positions and parameters of a configuration."""
    M, H = c["B"] * c["T"], c["H"]
    return M, H, round(0.15 * M), (c["V"] + c["T"]) * H + 12 * c["L"] * H * H


def inputs(part, c):
    """The same random arrays for all."""
    rng = np.random.default_rng(PARTS.index(part))
    draw = lambda *shape: rng.standard_normal(shape, np.float32)
    M, H, N, count = sizes(c)
    if part == "attention":
        return draw(M, 3 * H), draw(M, H)
    if part == "layernorm":
        return draw(M, H), draw(H), draw(H), draw(M, H)
    if part == "gelu":
        return draw(M, 4 * H), draw(M, 4 * H)
    if part == "cross-entropy":
        return draw(N, H), 0.02 * draw(c["V"], H), draw(c["V"]), rng.integers(0, c["V"], N)
    return draw(count), draw(count)


# What a peer is: a function of no arguments that does a part and returns its results.


def npssl_part(part, c, o):
    """The public calls, which take the page where the environment says NPSSL_NUMBA=0."""
    from npssl.kernels import enabled
    from npssl.layers.activation import gelu
    from npssl.layers.attention import attention
    from npssl.layers.norm import layernorm
    from npssl.losses.table_cross_entropy import table_cross_entropy
    from npssl.optim import AdamW
    from npssl.params import Params, normal

    arrays = inputs(part, c)
    if part == "attention":
        if enabled():
            return attention_kernel(*arrays, c, o["threads"])
        A, H, B, T = c["A"], c["H"], c["B"], c["T"]
        qkv = arrays[0].reshape(B, T, 3, A, H // A).transpose(2, 0, 3, 1, 4).copy()
        dy = arrays[1].reshape(B, T, A, H // A).swapaxes(1, 2).copy()
        turn = lambda y: y.swapaxes(1, 2).reshape(B * T, H)

        def call():
            y, back = attention(*qkv)
            return y, *back(dy)

        return call, lambda y, *d: (turn(y), np.concatenate([turn(a) for a in d], 1))
    if part == "layernorm":
        *given, dy = arrays

        def call():
            y, back = layernorm(*given)
            return y, *back(dy)

    elif part == "gelu":
        x, dy = arrays

        def call():
            y, back = gelu(x)
            return y, back(dy)

    elif part == "cross-entropy":
        *given, target = arrays
        into = np.zeros_like(given[1]), np.zeros_like(given[2])

        def call():
            value, back = table_cross_entropy(*given, target=target)
            for a in into:
                a[:] = 0
            return value, *back(into=into)

    else:
        params = Params({"w": normal(1, len(arrays[0]))})
        grads, optimizer = params.zeros(), AdamW(params)
        params.flat[:], grads.flat[:] = arrays

        def call():
            optimizer.step(params, grads, 1e-3)
            return (params.flat,)

    return call, lambda *found: found


def attention_kernel(qkv, dy, c, threads):
    """Attention as the block's kernel does it."""
    import numba
    from numba import prange

    from npssl.kernels import block

    forward, backward = block.attend, block._attend_back
    none, one = np.uint32(0), np.float32(1)

    @numba.njit(parallel=True, fastmath=True, error_model="numpy")
    def both(qkv, dy, y, dqkv, logsums, work, threads, B, T, H, A):
        each = work.size // threads
        for chunk in prange(threads):
            mine = work[chunk * each :][:each]
            for b in range(B * chunk // threads, B * (chunk + 1) // threads):
                r, R = b * T, T * H
                part, out = qkv[3 * r * H :][: 3 * R], y[r * H :][:R]
                sums = logsums[r * A :][: T * A]
                for h in range(A):
                    forward(
                        *(part, 0, T, H, A, h, out, sums, mine),
                        *(False, T, r, none, none, one),
                    )
        for chunk in prange(threads):
            mine = work[chunk * each :][:each]
            for b in range(B * chunk // threads, B * (chunk + 1) // threads):
                r, R = b * T, T * H
                part, d = qkv[3 * r * H :][: 3 * R], dy[r * H :][:R]
                to, sums = dqkv[3 * r * H :][: 3 * R], logsums[r * A :][: T * A]
                for h in range(A):
                    backward(
                        *(part, d, to, 0, T, H, A, h, sums, mine),
                        *(False, T, r, none, none, one),
                    )

    B, T, H, A = c["B"], c["T"], c["H"], c["A"]
    y, dqkv, logsums = np.empty_like(dy), np.empty_like(qkv), np.empty(B * T * A, np.float32)
    work = np.empty(threads * block.work_size(T, H // A), np.float32)
    flat = [a.reshape(-1) for a in (qkv, dy, y, dqkv)]

    def call():
        both(*flat, logsums, work, threads, B, T, H, A)
        return y, dqkv

    return call, lambda *found: found


def torch_part(part, c, o):
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(o["threads"])
    arrays = [torch.from_numpy(a) for a in inputs(part, c)]
    if part == "adamw":
        from peers_transformer import faster_adamw

        p = torch.nn.Parameter(arrays[0])
        p.grad = arrays[1]
        optimizer = torch.optim.AdamW([p], lr=1e-3, **faster_adamw(torch))

        def call():
            optimizer.step()
            return (p.detach(),)

        return call, lambda p: (p.numpy(),)
    *leaves, last = arrays
    for leaf in leaves:
        leaf.requires_grad_()

    def forward():
        if part == "attention":
            B, T, A, D = c["B"], c["T"], c["A"], c["H"] // c["A"]
            qkv = leaves[0].view(B, T, 3, A, D).permute(2, 0, 3, 1, 4)
            y = F.scaled_dot_product_attention(*qkv.unbind(0))
            return y.transpose(1, 2).reshape(B * T, A * D)
        if part == "layernorm":
            return F.layer_norm(leaves[0], (c["H"],), *leaves[1:], 1e-5)
        if part == "gelu":
            return F.gelu(leaves[0])
        z, table, bias = leaves
        return F.cross_entropy(F.linear(z, table, bias), last)

    def call():
        for leaf in leaves:
            leaf.grad = None
        y = forward()
        y.backward(None if part == "cross-entropy" else last)
        return y.detach(), *(leaf.grad for leaf in leaves)

    return call, lambda *found: tuple(a.numpy() for a in found)


def limit_part(part, c, o, library):
    """The products, or a copy of as many bytes."""
    M, H, N, count = sizes(c)
    B, T, A, D, V = c["B"], c["T"], c["A"], c["H"] // c["A"], c["V"]
    products = {
        "attention": [((B * A, T, D), (B * A, D, T))] * 2 + [((B * A, T, T), (B * A, T, D))] * 4,
        "cross-entropy": [((N, H), (H, V)), ((N, V), (V, H)), ((V, N), (N, H))],
    }.get(part, [])
    size, moved = {"layernorm": (M * H, 5), "gelu": (4 * M * H, 5), "adamw": (count, 7)}.get(
        part, (0, 0)
    )  # numbers of an array, and how many arrays are read or written
    if library == "torch":
        import torch

        torch.set_num_threads(o["threads"])
        full = lambda *shape: torch.full(shape, 0.01)
        multiply = lambda a, b, c: torch.matmul(a, b, out=c)
        copy = lambda to, a: to.copy_(a)
        scale = lambda a: a.mul_(1.0)
    else:
        full = lambda *shape: np.full(shape, 0.01, np.float32)
        multiply = lambda a, b, c: np.matmul(a, b, out=c)
        copy = np.copyto
        scale = lambda a: np.multiply(a, np.float32(1), out=a)
    work = [(full(*a), full(*b), full(*a[:-1], b[-1])) for a, b in products]
    pairs = [(full(size), full(size)) for _ in range(2)] if size else []
    moves = [(*pairs[i // 2 % 2], min(2, moved - i)) for i in range(0, moved, 2)]

    def call():
        for arrays in work:
            multiply(*arrays)
        for to, a, halves in moves:
            n = size * halves // 2
            if part == "adamw":  # in place, as AdamW: a copy would fetch what it overwrites
                scale(to[:n])
            else:
                copy(to[:n], a[:n])

    return call, None


def step_by_part(o):
    """The step, with every kernel that Python calls under a clock."""
    import importlib

    import peers_transformer

    functions = peers_transformer.npssl(o)
    spent = dict.fromkeys(KERNELS.values(), 0.0)

    def clocked(function, name):
        def call(*args, **options):
            begun = time.perf_counter()
            found = function(*args, **options)
            spent[name] += time.perf_counter() - begun
            return found

        return call

    functions["steps"](3)  # everything is loaded
    for place, name in KERNELS.items():
        module, function = place.split(".")
        module = importlib.import_module(f"npssl.kernels.{module}")
        if hasattr(module, function):
            setattr(module, function, clocked(getattr(module, function), name))

    def by_part(number):
        spent.update(dict.fromkeys(spent, 0.0))
        begun = time.perf_counter()
        functions["steps"](number)
        whole = time.perf_counter() - begun
        count = number * o["batches"]
        return {"whole": whole / count} | {n: s / count for n, s in spent.items()}

    return dict(by_part=by_part)


def peer(name, o):
    """The functions by which a peer is asked."""
    if name == "step":
        return step_by_part(o)
    made = {}
    for part in o["parts"]:
        if name.startswith("limit"):
            made[part] = limit_part(part, o["sizes"], o, name.split()[1])
        else:
            made[part] = (torch_part if name == "torch" else npssl_part)(part, o["sizes"], o)

    def check(part, file):
        call, tidy = made[part]
        np.savez(file, *tidy(*call()))
        return {}

    def burst(part, seconds):
        return {"times": turns.burst(made[part][0], seconds, least=3)}

    return dict(check=check, burst=burst)


def same(part, files):
    """Results of all peers agree, relative to the largest number of each array."""
    found = {}
    for name, file in files.items():
        with np.load(file) as arrays:
            found[name] = [arrays[n] for n in arrays.files]
    for name, theirs in found.items():
        for a, b in zip(found["page"], theirs):
            apart = abs(a - b).max() / abs(a).max()
            if not apart <= TOLERANCE:
                raise SystemExit(f"{part}: {name} computes something else, {apart:.1e} apart")


def ladder(c, threads, o, folder):
    """Part 1."""
    options = {"sizes": c, "parts": list(o.parts)}
    names = ["page", "kernel", "torch", "limit torch", "limit numpy"]
    switch = {"page": {"NPSSL_NUMBA": "0"}, "kernel": {"NPSSL_NUMBA": "1"}}
    peers, absent = turns.started(__file__, names, options, threads, switch)
    for name in ("page", "kernel"):
        if name in absent:
            raise SystemExit(f"{name} failed: {absent[name]}")
    try:
        for part in o.parts:
            files = {}
            for name in [n for n in peers if not n.startswith("limit")]:
                files[name] = f"{folder}/{name}.npz"
                peers[name].ask("check", part=part, file=files[name])
            same(part, files)
            turns.alternate(peers, 1, part=part, seconds=0.05)
            times = turns.alternate(peers, o.rounds, part=part, seconds=o.seconds)
            took = {name: turns.overall(t) for name, t in times.items()}
            limit = min((took[n] for n in took if n.startswith("limit")), default=math.nan)
            row = {"threads": threads, "part": part}
            row |= {f"{n} ms": took[n] * 1e3 for n in ("page", "kernel", "torch") if n in took}
            row |= {"limit ms": limit * 1e3}
            row["limit"] = "products" if part in ("attention", "cross-entropy") else "copy"
            row["page/kernel"] = took["page"] / took["kernel"]
            if "torch" in took:
                row["torch/kernel"], least, most = turns.ratios(times, "torch", "kernel")
                row["range"] = f"{least:.2f}-{most:.2f}"
            yield row | {"share": limit / took["kernel"]}
    finally:
        for one in peers.values():
            one.stop()


def step(name, threads, dropout, o, folder):
    """Part 2."""
    options = given(name, False, folder) | {"dropout": dropout}
    one = turns.Peer(__file__, "step", options, threads)
    try:
        rounds = [one.ask("by_part", number=o.steps) for _ in range(o.rounds)]
    finally:
        one.stop()
    took = {part: common.median([r[part] for r in rounds]) for part in rounds[0]}
    whole = took.pop("whole")
    took["rest"] = common.median([2 * r["whole"] - sum(r.values()) for r in rounds])
    for part, seconds in [*took.items(), ("whole step", whole)]:
        row = {"config": name, "threads": threads, "dropout": dropout, "part": part}
        yield row | {"ms": seconds * 1e3, "share": seconds / whole}


def main():
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ask.add_argument("--config", choices=CONFIGS, default="mini8k")
    ask.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    ask.add_argument("--dropout", nargs="+", type=float, default=[0.1, 0.0], help="of the step")
    ask.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    ask.add_argument("--rounds", type=int, default=5)
    ask.add_argument("--seconds", type=float, default=0.3, help="of a burst")
    ask.add_argument("--steps", type=int, default=5, help="a round, by part; 0: leave them out")
    ask.add_argument("--save", default="block_parts", help="name of the file of figures")
    o = ask.parse_args()
    found, steps = [], []
    with tempfile.TemporaryDirectory() as folder:
        for threads in o.threads:
            if o.parts:
                part = list(ladder(CONFIGS[o.config], threads, o, folder))
                common.table(part, list(part[0]))
                print(flush=True)
                found += part
            for dropout in o.dropout if o.steps else ():
                part = list(step(o.config, threads, dropout, o, folder))
                common.table(part, list(part[0]))
                print(flush=True)
                steps += part
            common.save(o.save, {"setting": vars(o), "ladder": found, "step": steps})
    lost = [r for r in found if r.get("torch/kernel", 1) < 1]
    for r in lost:
        print(f"LOST: {r['part']}, {r['threads']} threads: {r['torch/kernel']:.2f} times PyTorch")
    if not lost:
        print("no part is slower than PyTorch's" if found else "")


if __name__ == "__main__":
    turns.serve(peer) if sys.argv[1:2] == ["--peer"] else main()
