"""Does pre-training learn what counting cannot?

    python benchmarks/bench_pretraining.py bert                 against uni- and bigrams
    python benchmarks/bench_pretraining.py bert --torch         and PyTorch on the same batches
    python benchmarks/bench_pretraining.py bert --ablate        one setting changed at a time
    python benchmarks/bench_pretraining.py bert --ablate "as above" "all [MASK]"    some of them
    python benchmarks/bench_pretraining.py characters words     GPT against Kneser-Ney

All are measured on text held out.  Options: --seeds 0 1 2, --steps, --preset and sizes.
What is trained stays in results/pretraining and is not trained again; the seconds are those
of the steps done now.
"""

import argparse
import math
import re
import tempfile
import time
from itertools import chain
from pathlib import Path

import common
import numpy as np

HELD = 20  # every so many-th article of the encyclopedia is held out
ABLATIONS = {
    "as above": {},  # 30 % asked, 80/10/10, both tasks, tied, pairs that grow
    "all [MASK]": {"hidden": 1.0, "swapped": 0.0},
    "no [MASK]": {"hidden": 0.0, "swapped": 1.0},
    "5 % asked": {"mask_rate": 0.05},
    "15 % asked": {"mask_rate": 0.15},
    "45 % asked": {"mask_rate": 0.45},
    "60 % asked": {"mask_rate": 0.6},
    "words only": {"next_weight": 0.0},
    "untied": {"tied": False},
    "no growth": {"shortest": 512},
    "1 fixed copy": {"copies": 1},
    "10 fixed copies": {"copies": 10},
}
_SIGNS = re.compile(r" @(.)@ ")


def articles() -> tuple[Path, Path]:
    """Articles of enwiki-2018 and WikiText-2: a text to learn from and one to measure on."""
    from npssl.data import sets

    common.RESULTS.mkdir(parents=True, exist_ok=True)
    learn, keep = (common.RESULTS / f"articles-{part}.txt" for part in ("learn", "keep"))
    if not keep.exists():
        parts = [part.with_suffix(".part") for part in (learn, keep)]
        with open(parts[0], "wb") as first, open(parts[1], "wb") as second:
            out, number = first, 0
            with sets.open_any(sets.path("enwiki-2018/enwiki.txt")) as lines:
                for line in lines:
                    if re.match(rb"= [^=]+ =\s*$", line):
                        number += 1
                        out = first if number % HELD else second
                    out.write(line)
            for role, out in (("train", first), ("valid", second)):
                with sets.open_any(sets.path(f"wikitext-2/{role}")) as lines:
                    for line in lines:
                        text = _SIGNS.sub(r"\1", line.decode()).replace("<unk>", "[UNK]")
                        out.write(text.strip().encode() + b"\n")
        for part, path in zip(parts, (learn, keep)):
            part.replace(path)
    return learn, keep


def trained(job, name, corpus, **options):
    """The model of a run, trained or gone on with if need be."""
    folder = common.RESULTS / "pretraining" / name
    resume = (folder / "training" / "config.json").exists()
    return job(corpus, run=folder, resume=resume, **options)


# BERT ---------------------------------------------------------------------------------------------


def bert_options(a, **changes):
    given = {"preset": a.preset, "steps": a.steps or 6000, "vocabulary": a.vocabulary}
    given |= {"batch": a.batch or 64, "length": a.length, "held": a.held}
    return given | {"lr": a.lr, "mask_rate": a.mask_rate} | changes


def bert_rows(a, label, seeds, **changes):
    from npssl.jobs.bert import train_bert

    learn, keep = articles()
    options = bert_options(a, valid=keep, **changes)
    for seed in seeds:
        told = ("bert", a.preset, options["steps"], options["batch"], a.length, a.vocabulary, seed)
        name = "-".join(map(str, told))
        name += "".join(f"-{k}-{v}" for k, v in changes.items())
        found = trained(train_bert, name, learn, seed=seed, **options)
        yield found, {"model": label, "seed": seed, "seconds": found.seconds, **found.scores}


def questions(a, found):
    """The hidden words on which `train_bert` measures, with the words beside them."""
    from npssl.data.pairs import Pairs
    from npssl.data.token_store import read_documents
    from npssl.jobs.bert import asked, bert_task, held_batches

    keep = read_documents(found.folder / "training" / "keep")
    task = bert_task(found.task.words.encoder, found.tokenizer, hidden=1.0, swapped=0.0)
    pairs = Pairs(keep, longest=a.length)
    batches = held_batches(pairs, found.tokenizer, batch=a.batch or 64, most=a.held)
    return task, [(t["ids"].reshape(-1), x, y) for t, (x, y) in zip(batches, asked(task, batches))]


def bigram_rows(a, found):
    """A word from its neighbours as the model sees them, which may be hidden; and as they were."""
    from npssl.data.token_store import read_documents
    from npssl.evaluation.ngrams import BidirectionalBigram

    ids, sentences, documents = read_documents(found.folder / "training" / "learn")
    starts = sentences[documents[:-1]]
    model = BidirectionalBigram(np.asarray(ids), len(found.tokenizer), starts=starts)
    task, asked = questions(a, found)
    for label in ("both neighbours", "both neighbours, none hidden"):
        nats, right, count = 0.0, 0, 0
        for whole, (seen, *_), (where, word, _) in asked:
            flat = seen.reshape(-1)
            flat = whole if "none" in label else np.where(flat == task.words.mask_id, -1, flat)
            before, after = flat[where - 1], flat[where + 1]
            nats += float(model.nats(before, word, after).sum())
            right += int((model.best(before, after) == word).sum())
            count += len(word)
        yield {"model": label, "accuracy": right / count, "nats": nats / count}


def torch_model(options, found, seed):
    """The model before its first step, as the job begins it."""
    from transformers import BertForPreTraining

    from npssl.data.token_store import read_documents
    from npssl.jobs.bert import begin
    from npssl.jobs.pretraining import Pretrained

    learn = read_documents(found.folder / "training" / "learn")
    params = begin(found.task, learn, len(found.tokenizer), seed)[0]
    with tempfile.TemporaryDirectory() as place:
        Pretrained(found.task, params, found.tokenizer, {}, None, 0.0).save(place)
        return BertForPreTraining.from_pretrained(place)


def torch_row(a, found, seed):
    """The same first values, batches, hidden words and schedule in PyTorch."""
    import torch
    from torch.nn.functional import cross_entropy

    from npssl.data.pairs import Pairs
    from npssl.data.token_store import read_documents
    from npssl.jobs.bert import SHORTEST, PairBatches, growing
    from npssl.optim import warmup_linear

    options, words = bert_options(a), found.tokenizer
    torch.manual_seed(seed)
    model = torch_model(options, found, seed)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    )
    schedule = warmup_linear(options["lr"], options["steps"] // 10, options["steps"])

    def answers(x, where):
        ids, segments = (torch.from_numpy(np.asarray(part, np.int64)) for part in x)
        mask = (ids != words.pad_id).long()
        h, pooled = model.bert(ids, mask, segments, return_dict=False)
        rows = h.reshape(-1, h.shape[-1])[torch.from_numpy(where)]
        return model.cls.predictions(rows), model.cls.seq_relationship(pooled)

    tensor = lambda a: torch.from_numpy(np.asarray(a, np.int64))
    learn = read_documents(found.folder / "training" / "learn")
    make = lambda n, pairs: PairBatches(Pairs(learn, longest=n), words, batch=pairs, seed=seed)
    batches = growing(make, a.length, SHORTEST, options["batch"], options["steps"])
    begin = time.perf_counter()
    model.train()
    for k in range(options["steps"]):
        x, (where, word, is_next) = found.task.split(batches(k), np.random.default_rng([seed, k]))
        guesses, verdict = answers(x, where)
        value = cross_entropy(guesses, tensor(word)) + cross_entropy(verdict, tensor(is_next))
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = schedule(k)
        optimizer.step()
    seconds = time.perf_counter() - begin
    model.eval()
    nats, right, count, nexts, pairs = 0.0, 0, 0, 0, 0
    with torch.no_grad():
        for _, x, (where, word, is_next) in questions(a, found)[1]:
            guesses, verdict = answers(x, where)
            nats += float(cross_entropy(guesses, tensor(word), reduction="sum"))
            right += int((guesses.argmax(-1).numpy() == word).sum())
            nexts += int((verdict.argmax(-1).numpy() == is_next).sum())
            count, pairs = count + len(word), pairs + len(is_next)
    scores = {"accuracy": right / count, "nats": nats / count, "next_accuracy": nexts / pairs}
    return {"model": "PyTorch", "seed": seed, "seconds": seconds, **scores}


def bench_bert(a):
    rows = []
    for found, row in bert_rows(a, f"npssl {a.preset}", a.seeds):
        if not rows:
            plain = {"accuracy": row["unigram_accuracy"], "nats": row["unigram_nats"]}
            rows += [{"model": "frequencies", **plain}, *bigram_rows(a, found)]
        rows.append(row)
        if a.torch:
            rows.append(torch_row(a, found, row["seed"]))
    columns = ("model", "seed", "accuracy", "nats", "next_accuracy", "words", "pairs", "seconds")
    common.table(rows, columns)
    return rows


def bench_ablations(a):
    labels = a.ablate or list(ABLATIONS)
    runs = (bert_rows(a, label, a.seeds, **ABLATIONS[label]) for label in labels)
    rows = [row for _, row in chain.from_iterable(runs)]
    means = []
    for label in labels:
        mine = [row for row in rows if row["model"] == label]
        row = {"model": label, "runs": len(mine)}
        for key in ("accuracy", "nats", "next_accuracy"):
            values = [r[key] for r in mine]
            row[key] = float(np.mean(values))
            row[f"{key} +-"] = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
        means.append(row)
    common.table(means, tuple(means[0]))
    return rows


# GPT ----------------------------------------------------------------------------------------------


def bench_gpt(a, name, corpus, order, **options):
    """GPT and Kneser-Ney on the same tokens, all but the first counted."""
    from npssl.data.token_store import last, read_ids
    from npssl.evaluation.ngrams import KneserNey
    from npssl.jobs.gpt import train_gpt

    sizes = {"width": a.width, "depth": a.depth, "heads": a.heads, "context": a.context}
    options = {"steps": a.steps or 5000, "batch": a.batch or 16, **sizes, **options}
    told, rows = "-".join(map(str, sizes.values())), []
    for seed in a.seeds:
        run = f"{name}-{told}-{options['steps']}-{options['batch']}-{options['dropout']}-{seed}"
        found = trained(train_gpt, run, corpus, seed=seed, **options)
        s = found.scores
        if not rows:
            place = found.folder / "training"
            learn = read_ids(place / "learn")
            learn, keep = (learn, read_ids(place / "keep")) if "valid" in options else last(learn)
            keep = np.asarray(keep)[: s["tokens"] + 1]
            for n in (1, 2, 3, order):
                model = KneserNey(np.asarray(learn), n, len(found.tokenizer))
                nats = float(model.nats(keep)[1:].mean())
                rows.append(
                    {"model": f"Kneser-Ney {n}", "nats": nats, "perplexity": math.exp(nats)}
                )
        rows.append({"model": "npssl GPT", "seed": seed, "seconds": found.seconds, **s})
    print(f"{name}: {len(found.tokenizer):,} tokens known, {len(keep) - 1:,} measured")
    common.table(rows, ("model", "seed", "nats", "perplexity", "seconds"))
    return rows


def main():
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("what", nargs="+", choices=("bert", "characters", "words"))
    ask.add_argument("--seeds", nargs="+", type=int, default=[0])
    ask.add_argument("--steps", type=int, help="default: 6,000 (BERT), 5,000 (GPT)")
    ask.add_argument("--batch", type=int, help="default: 64 (BERT), 16 (GPT)")
    ask.add_argument("--preset", default="bert-tiny")
    ask.add_argument("--vocabulary", type=int, default=8000, help="of BERT")
    ask.add_argument("--length", type=int, default=64, help="tokens of BERT's pairs at most")
    ask.add_argument("--lr", type=float, default=3e-3, help="of BERT")
    ask.add_argument("--mask-rate", type=float, default=0.3, help="of BERT's training")
    ask.add_argument("--held", type=int, default=200, help="batches of BERT's held-out pairs")
    ask.add_argument("--torch", action="store_true", help="BERT in PyTorch too")
    ask.add_argument("--ablate", nargs="*", choices=ABLATIONS, help="BERT with one setting changed")
    for name, default in (("width", 128), ("depth", 4), ("heads", 4), ("context", 128)):
        ask.add_argument(f"--{name}", type=int, default=default, help="of GPT")
    ask.add_argument("--dropout", type=float, default=0.0, help="of GPT")
    a = ask.parse_args()
    from npssl.data import sets

    rows = {}
    if "bert" in a.what:
        ablate = a.ablate is not None
        rows["ablations" if ablate else "bert"] = (bench_ablations if ablate else bench_bert)(a)
    if "characters" in a.what:
        text = sets.path("tinyshakespeare")
        rows["characters"] = bench_gpt(a, "characters", text, 5, dropout=a.dropout)
    if "words" in a.what:
        rows["words"] = bench_gpt(
            a,
            "words",
            sets.path("wikitext-2/train"),
            5,
            valid=sets.path("wikitext-2/test"),
            tokens="blanks",
            vocabulary=40_000,
            min_count=1,
            dropout=a.dropout,
        )
    common.save(f"pretraining-{'-'.join(rows)}", rows)


if __name__ == "__main__":
    main()
