"""SimCSE without labels: by dropout rate, and with the same mask twice; and with labels.

    python benchmarks/bench_simcse.py --model FOLDER
    python benchmarks/bench_simcse.py --model FOLDER --seeds 0 1 2 --rates 0 0.05 0.1 0.2 0.4
    python benchmarks/bench_simcse.py --model FOLDER --pairs snli --epochs 3 --seeds 0 1 2
    python benchmarks/bench_simcse.py --layers 4 --limit 20000 --lr 3e-5 --pool mean --torch

Every run is what ``npssl train simcse`` does on sentences of Wikipedia.  FOLDER is an encoder
of the BERT kind that was trained on text alone, such as one of ``npssl train bert``; one that
was trained for sentences already has nothing to gain; ``--pairs`` is a folder with SNLI's s1.dev,
s2.dev, labels.dev and the like, from which come triples: a premise, what follows from it and what
contradicts it; ``--layers 4`` takes its first four blocks alone (without --model, of MiniLM's
weights).  ``--torch`` trains the same in PyTorch too: same weights, head, batches, rates; its own
dropout.  STS-B before and after, mean over seeds: Spearman of dev and test, and of test alignment,
uniformity, the mean cosine and the share of the largest singular value.  The last parameters are
kept unless ``--keep best``.
"""

import argparse
import statistics
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import common
from bench_embed import minilm

from npssl.data.sets import path
from npssl.jobs.pretrained import save_pretrained
from npssl.jobs.pretraining import read_model, save_tokenizer
from npssl.jobs.simcse import read_texts, train_simcse
from npssl.params import Params

FIGURES = ("alignment", "uniformity", "cosine", "singular")


def row(name, found):
    """The figures of some seeds, as means; the range of test's."""
    of = lambda part, figure: [f[part][figure] for f in found]
    test = of("test", "spearman")
    told = {"setting": name, "dev": statistics.mean(of("dev", "spearman"))}
    told["test"] = statistics.mean(test)
    told["range"] = f"{min(test):.3f}-{max(test):.3f}"
    return told | {figure: statistics.mean(of("test", figure)) for figure in FIGURES}


def triples(folder, place):
    """Files of premises with what follows, and with what contradicts too, of those that have both."""
    told = defaultdict(lambda: defaultdict(list))
    for part in ("dev", "test"):
        files = (folder / f"{name}.{part}" for name in ("s1", "s2", "labels"))
        columns = (file.read_text("utf-8").split("\n") for file in files)
        for premise, text, label in zip(*columns, strict=True):
            told[premise.strip()][label.strip()].append(text.strip())
    rows = [
        (premise, *pair)
        for premise, found in told.items()
        for pair in zip(found["entailment"], found["contradiction"])
    ]
    print(f"{len(rows):,} triples")
    for columns in (2, 3):
        lines = ("\t".join(row[:columns]) + "\n" for row in rows)
        out = place / f"{columns}.tsv"
        out.write_text("".join(lines), encoding="utf-8")
        yield columns, str(out)


def first_layers(source, layers, folder):
    """An encoder of the first blocks alone."""
    model, params, words = read_model(source)
    model = replace(model, depth=layers)
    fewer = Params(model.spec())
    for name, a in fewer.views.items():
        a[...] = params.views[name]
    save_pretrained(folder, model, fewer)
    save_tokenizer(folder, words)
    return folder


def torch_after(model, texts, o, rate, seed):
    """Figures of STS-B after the same training in PyTorch."""
    import numpy as np
    import torch
    from bench_finetune import take
    from transformers import BertModel

    from npssl.data.labelled import read_stsb
    from npssl.jobs import simcse
    from npssl.optim import warmup_linear
    from npssl.tasks.simcse import SimCSE

    encoder, _, words = simcse._open(model, 32)
    task = SimCSE(encoder, o.pool)
    params = Params(task.spec(), np.random.default_rng([seed, simcse._FIRST]))
    torch.manual_seed(seed)
    rates = {"hidden_dropout_prob": rate, "attention_probs_dropout_prob": rate}
    bert = BertModel.from_pretrained(model, add_pooling_layer=False, **rates).train()
    head = torch.nn.Linear(encoder.width, encoder.width)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(params.views["head.w"].T))
        head.bias.copy_(torch.from_numpy(params.views["head.b"]))
    batches = simcse._Batches(texts, words, 64, 32, seed)
    weights = [*bert.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(weights, weight_decay=0.0)
    schedule = warmup_linear(o.lr, 0, batches.steps)

    def unit(ids, segments, mask):
        h = bert(ids, mask, segments).last_hidden_state
        mask = mask.float()[..., None]
        s = h[:, 0] if o.pool == "cls" else (h * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(torch.tanh(head(s)))

    for k in range(batches.steps):
        x = [torch.from_numpy(np.asarray(a, np.int64)) for a in batches(k)[0]]
        scores = unit(*x) @ unit(*x).T / task.temperature
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(scores, torch.arange(len(scores))).backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = schedule(k)
        optimizer.step()
    take(params, bert, head, False)
    after = simcse._encoder(task, params, words)
    parts = {part: read_stsb(place) for part, place in simcse._stsb(None).items()}
    return {part: simcse.measure(after, data) for part, data in parts.items()}


def main():
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ask.add_argument("--model", help="folder of an encoder; default: the package's MiniLM")
    ask.add_argument("--layers", type=int, help="take the first of its blocks alone")
    ask.add_argument("--corpus", help="running text; default: the set enwiki-2018")
    ask.add_argument("--pairs", metavar="FOLDER", help="labelled, as SNLI's")
    ask.add_argument("--epochs", type=int, default=1)
    ask.add_argument("--rates", nargs="*", type=float, default=[0.1])
    ask.add_argument("--seeds", nargs="+", type=int, default=[0])
    ask.add_argument("--limit", type=int, default=50_000)
    ask.add_argument("--lr", type=float, default=3e-4)
    ask.add_argument("--pool", choices=("mean", "cls"), default="cls")
    ask.add_argument("--torch", action="store_true", help="the same in PyTorch too")
    ask.add_argument("--keep", choices=("best", "last"), default="last")
    o = ask.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = o.model or str(minilm())
        labelled = dict(triples(Path(o.pairs), Path(folder))) if o.pairs else {}
        run(o, first_layers(source, o.layers, folder) if o.layers else source, labelled)


def run(o, model, labelled):
    """Every setting with every seed."""
    corpus = None if labelled else o.corpus or path("enwiki-2018/enwiki.txt")
    for part in ("dev", "test"):
        path(f"stsb/{part}")  # rather now than after training
    settings = [(f"rate {rate:g}", {"rate": rate}) for rate in o.rates]
    settings.append(("same mask twice", {"same_mask": True}))
    if labelled:
        settings = [("what follows", {"columns": 2})]
        settings += [(f"contradicts, {w:g}", {"columns": 3, "hard": w}) for w in (0.0, 0.5, 1.0)]
    rows, runs = [], []
    for name, setting in settings:
        found = [
            train_simcse(
                labelled.get(setting.get("columns"), corpus),
                model,
                limit=o.limit,
                epochs=o.epochs,
                lr=o.lr,
                pool=o.pool,
                keep=o.keep,
                seed=seed,
                progress=False,
                **setting,
            )
            for seed in o.seeds
        ]
        if not rows:
            rows.append(row("before", [found[0]["before"]]))
        rows.append(row(name, [f["after"] for f in found]))
        runs.append({"setting": name, "seeds": found})
        if o.torch and "rate" in setting:
            texts = read_texts(corpus, limit=o.limit)
            theirs = [torch_after(model, texts, o, setting["rate"], seed) for seed in o.seeds]
            rows.append(row(f"{name}, PyTorch", theirs))
        common.table(rows, list(rows[0]))
        common.save("simcse", {"setting": vars(o), "rows": rows, "runs": runs})


if __name__ == "__main__":
    main()
