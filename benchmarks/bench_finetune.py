"""Fine-tuning MiniLM's weights: npssl, PyTorch on the same batches, random weights, frozen.

    python benchmarks/bench_finetune.py                              three tasks, one seed
    python benchmarks/bench_finetune.py --tasks sst2 trec --seeds 0 1 2 --limit 4000
    python benchmarks/bench_finetune.py --models npssl --tasks sst2 cola stsb trec wnut17 squad-mini

PyTorch trains the BertModel of the package transformers with the same head, learning rate,
warm-up, decay, clipping, batches and epochs; its dropout and the head's first values are its
own.  What it has learnt is scored by npssl's measures, after each epoch.  Best epoch on dev,
scores on dev and test: means over the seeds, with their standard deviations.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import common
import numpy as np
from bench_embed import minilm

MODELS = "npssl", "torch", "random", "frozen"
SHOWN = {"stsb": "spearman", "cola": "matthews", "wnut17": "f1", "squad-mini": "f1"}
BARS = {"sst2": 0.90, "trec": 0.95, "stsb": 0.86}  # of the pre-trained weights, on dev


def ours(a, task, seed, **options):
    """Scores by part, and the seconds."""
    from npssl.jobs.finetune import fine_tune

    given = dict(limit=a.limit, epochs=a.epochs, lr=a.lr, where=a.data, progress=a.progress)
    return fine_tune(task, a.model, seed=seed, scorings=1, **given, **options).taught["scores"]


def torch_scores(a, name, seed):
    """The same in PyTorch: classes of texts, tags of words, spans, and cosines of pairs."""
    import torch
    from torch.nn import functional as F
    from transformers import BertModel

    from npssl.data import labelled
    from npssl.jobs import finetune
    from npssl.optim import warmup_linear

    parts = labelled.load(name, a.data)
    encoder, _, words = finetune._open(a.model, None)
    taught = finetune._taught(name, parts["train"], False, None)
    kind = taught["kind"]
    told = {"cosine": (), "span": ("first", "last")}.get(kind)
    width = len(taught.get("classes", taught.get("tags", told)))
    if a.limit and a.limit < len(parts["train"]):
        chosen = np.random.default_rng(0).permutation(len(parts["train"]))[: a.limit]
        parts["train"] = parts["train"].take(chosen)
    taught["longest"] = min(384 if kind == "span" else 128, encoder.context)
    task = finetune._task(kind, replace(encoder, rate=0.1), taught)
    from npssl.params import Params

    params = Params(task.spec(), np.random.default_rng(seed))
    model = finetune.FineTuned(task, params, words, taught)
    rows, dev = model.rows(parts["train"], training=True), model.rows(parts["dev"])
    order, batch = finetune._Order(rows.lengths, 32, seed), 32
    steps = -(-len(rows) // batch)
    epochs = a.epochs or finetune.EPOCHS.get(name, 3)
    lr = a.lr or finetune.RATES.get(name, 5e-5)
    schedule = warmup_linear(lr, int(0.1 * steps * epochs), steps * epochs)

    torch.manual_seed(seed)
    bert = BertModel.from_pretrained(a.model, add_pooling_layer=False)
    bert.train()
    head = torch.nn.Linear(encoder.width, width or 1)
    torch.nn.init.normal_(head.weight, std=0.02)
    torch.nn.init.zeros_(head.bias)
    weights = [*bert.parameters(), *(head.parameters() if width else ())]
    groups = [
        {"params": [p for p in weights if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups)
    tensor = lambda array: torch.from_numpy(np.asarray(array, np.int64))

    def vectors(x):
        ids, segments, mask = x
        return bert(tensor(ids), tensor(mask), tensor(segments)).last_hidden_state

    def mean(x):
        shown = torch.from_numpy(np.asarray(x[2], np.float32))[..., None]
        return (vectors(x) * shown).sum(1) / shown.sum(1)

    def loss(x, y):
        if kind == "cosine":
            found = F.cosine_similarity(mean(x[0]), mean(x[1]))
            return F.mse_loss(found, torch.from_numpy(np.asarray(y, np.float32)))
        if kind == "span":
            hidden = torch.from_numpy(~np.asarray(x[2], bool))[..., None]
            scores = head(vectors(x)).masked_fill(hidden, -torch.inf)
            return sum(F.cross_entropy(scores[..., i], tensor(y[:, i])) for i in (0, 1)) / 2
        if kind == "tags":
            scores = head(F.dropout(vectors(x), 0.1))
            return F.cross_entropy(scores.flatten(0, 1), tensor(y).flatten(), ignore_index=-1)
        return F.cross_entropy(head(F.dropout(mean(x), 0.1)), tensor(y))

    best, kept = -2.0, None
    for k in range(steps * epochs):
        optimizer.zero_grad()
        loss(*rows.batch(order(k))).backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = schedule(k)
        optimizer.step()
        if not (k + 1) % steps:
            take(params, bert, head, width)
            score = model.evaluate(parts["dev"], rows=dev)[taught["measure"]]
            if score > best:
                best, kept = score, params.flat.copy()
    params.flat[:] = kept
    return {part: model.evaluate(parts[part]) for part in ("dev", "test") if part in parts}


def take(params, bert, head, with_head):
    """PyTorch's weights into npssl's parameters."""
    from npssl.jobs.pretrained import load_pretrained

    with tempfile.TemporaryDirectory() as folder:
        bert.save_pretrained(folder)
        _, inner = load_pretrained(Path(folder))
    for name, view in inner.views.items():
        params.views[f"encoder.{name}"][...] = view
    if with_head:
        params.views["head.w"][...] = head.weight.detach().numpy().T
        params.views["head.b"][...] = head.bias.detach().numpy()


def main():
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("--tasks", nargs="+", default=["trec", "cola", "stsb"])
    ask.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    ask.add_argument("--seeds", nargs="+", type=int, default=[0])
    ask.add_argument("--limit", type=int, help="training examples of a task, at most")
    ask.add_argument("--epochs", type=int, help="default: what the task usually takes")
    ask.add_argument("--lr", type=float, help="default: what the task usually takes")
    ask.add_argument("--model", help="folder of weights (default: the package's MiniLM)")
    ask.add_argument("--data", help="folder of data sets")
    ask.add_argument("--progress", action="store_true")
    a = ask.parse_args()
    a.model = a.model or str(minilm())
    run = {
        "npssl": lambda *x: ours(a, *x),
        "torch": lambda *x: torch_scores(a, *x),
        "random": lambda *x: ours(a, *x, random_weights=True),
        "frozen": lambda *x: ours(a, *x, freeze=True),
    }
    rows = []
    for task in a.tasks:
        measure = SHOWN.get(task, "accuracy")
        for model in a.models:
            if model == "frozen" and task == "stsb":  # a cosine has no head
                continue
            found = [run[model](task, seed) for seed in a.seeds]
            row = {"task": task, "measure": measure, "model": model, "runs": len(found)}
            row["scores"] = found  # all measures of all runs
            for part in found[0]:
                values = [scores[part][measure] for scores in found]
                row[part] = float(np.mean(values))
                row[f"{part} sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
            if model == "npssl" and task in BARS and not a.limit:
                row["bar"] = BARS[task]
            rows.append(row)
            common.save("finetune", {"rows": rows, "limit": a.limit})
    common.table(
        rows, ("task", "measure", "model", "runs", "dev", "dev sd", "test", "test sd", "bar")
    )


if __name__ == "__main__":
    main()
