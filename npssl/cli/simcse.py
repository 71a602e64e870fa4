"""``npssl train simcse``: an encoder of sentences from an encoder and a text."""

from __future__ import annotations

import argparse
from pathlib import Path

from npssl.cli import command, run_config, say
from npssl.cli.training import add_flags, begin, how, say_signs, show

# flag: (type, choices, what it is); names and defaults are those of the job
_FLAGS: dict[str, tuple] = {
    "columns": (int, (1, 2, 3), "1: running text; 2, 3: lines of texts with tabs between them"),
    "limit": (int, None, "sentences or lines at most"),
    "pool": (str, ("mean", "cls"), "what stands for a sentence"),
    "temperature": (float, None, "divides the cosines"),
    "hard": (float, None, "nats on the score of a row's own contradiction"),
    "rate": (float, None, "dropout: what makes two views of one sentence"),
    "batch": (int, None, "texts in a batch"),
    "epochs": (int, None, "passes over the texts"),
    "lr": (float, None, "highest learning rate"),
    "warmup": (float, None, "share of the steps up to it; then down to 0"),
    "decay": (float, None, "weight decay"),
    "longest": (int, None, "tokens of a text that are read"),
    "every": (int, None, "steps between two measurements on STS-B dev"),
    "keep": (str, ("best", "last"), "best by STS-B dev, or last"),
    "seed": (int, None, "of all draws"),
}


def add(models):
    """Describe the command; ``models`` are the sub-commands of ``npssl train``."""
    from npssl.jobs.simcse import train_simcse

    sub = command(
        models,
        "simcse",
        run,
        help="train an encoder of sentences by dropout noise, or by labelled partners (SimCSE)",
        example="npssl train simcse --model wiki-bert --corpus wiki.txt --out wiki-simcse",
    )
    given = argparse.SUPPRESS
    sub.add_argument(
        "--model",
        dest="encoder",  # "model" is the name of the command
        default=given,
        metavar="FOLDER",
        help="config.json, model.safetensors, vocab.txt; or all-MiniLM-L6-v2",
    )
    sub.add_argument("--corpus", nargs="+", default=given, metavar="FILE", help="files or folders")
    add_flags(sub, _FLAGS, train_simcse)
    sub.add_argument(
        "--same-mask",
        action="store_true",
        default=given,
        help="the same dropout for both views: the ablation of the paper",
    )


def run(args) -> dict:
    """Train, measure before and after, write a folder that ``npssl embed`` opens."""
    from npssl.jobs.simcse import draw, train_simcse

    given, folder = begin(args, "simcse", (*_FLAGS, "encoder", "corpus", "same_mask"))
    if args.resume:
        before = run_config(Path(args.out) / "training", "simcse")
        before["encoder"] = before.pop("folder", None)
        given = before | given
    for flag, name in (("model", "encoder"), ("corpus", "corpus")):
        if name not in given:
            raise ValueError(f"--{flag}: expected one, found none")
    model, corpus = given.pop("encoder"), given.pop("corpus")
    say(args, f"npssl: training simcse on {corpus} from {model} into {folder}")
    scores = train_simcse(corpus, model, **given, run=folder, **how(args))
    for part, after in scores["after"].items():
        before = scores["before"][part]
        told = ", ".join(f"{name} {before[name]:.3f} -> {after[name]:.3f}" for name in after)
        say(args, f"STS-B {part}: {told}")
    if not scores["after"]:
        say(args, "no STS-B here to measure on: npssl data fetch stsb")
    say_signs(args, scores)
    if scores["history"]:
        show(args, folder, draw, scores, "history.png", files="the model, scores.json")
    say(args, f"{folder}: for npssl embed --model {folder}")
    return {"folder": str(folder), **scores}
