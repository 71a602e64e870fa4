"""``npssl finetune``: from published or own weights and labelled text to a model of a task."""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path

from npssl.cli import command, say

# flag: (type, what it is); names and defaults are those of npssl.jobs.finetune.fine_tune
FLAGS: dict[str, tuple] = {
    "epochs": (int, "passes over the training part, at most"),
    "lr": (float, "highest learning rate"),
    "batch": (int, "texts in a batch"),
    "pool": (str, "mean, cls or cosine: what stands for a text"),
    "longest": (int, "tokens of a text that are read"),
    "warmup": (float, "share of the steps up to the highest rate; then down to 0"),
    "decay": (float, "weight decay"),
    "layer_decay": (float, "a block's learning rate, as a share of that of the block above"),
    "rate": (float, "dropout"),
    "weight": (float, "of the language model in the loss of a decoder"),
    "scorings": (int, "how often the dev part is scored in an epoch"),
    "patience": (int, "epochs without a better dev score until it stops"),
    "limit": (int, "train on so many examples only"),
}
_USUAL = {
    "epochs": "the task's, else 3",
    "lr": "the task's, else 5e-05",
    "pool": "cosine for pairs with scores, else mean",
    "longest": "128, for questions 384",
    "layer_decay": "one rate for all",
    "scorings": "the task's, else 1",
    "limit": "all",
}


def add(commands):
    """Describe ``npssl finetune``."""
    sub = command(
        commands,
        "finetune",
        run,
        help="teach a task to an encoder of the BERT kind, or to a GPT",
        example="npssl finetune --task sst2 --model all-MiniLM-L6-v2 --out sst2-minilm; "
        "npssl finetune --train my.tsv --dev my-dev.tsv --model all-MiniLM-L6-v2 --out mine",
    )
    sub.add_argument("--task", help="a public set: sst2, cola, stsb, trec, wnut17, squad-mini, ...")
    for part in ("train", "dev", "test"):
        sub.add_argument(
            f"--{part}", metavar="FILE", help=f"own {part} part: .tsv, .conll, or .json as SQuAD's"
        )
    sub.add_argument(
        "--model",
        required=True,
        metavar="FOLDER",
        help="weights and tokenizer, or all-MiniLM-L6-v2",
    )
    sub.add_argument("--data", metavar="FOLDER", help="of data sets, instead of NPSSL_DATA")
    sub.add_argument("--out", metavar="FOLDER", help="default: a new folder in runs")
    sub.add_argument("--resume", action="store_true", help="go on with the run in --out")
    sub.add_argument(
        "--save-seconds", type=float, default=60.0, help="time between two checkpoints"
    )
    sub.add_argument("--seed", type=int, default=0, help="of all draws")
    add_arguments(sub)


def add_arguments(sub):
    """The options that a training has; those not given are the job's."""
    from npssl.jobs.finetune import fine_tune

    defaults = inspect.signature(fine_tune).parameters
    for flag, (kind, what) in FLAGS.items():
        sub.add_argument(
            "--" + flag.replace("_", "-"),
            type=kind,
            default=argparse.SUPPRESS,
            metavar=kind.__name__.upper(),
            help=f"{what} (default: {_USUAL.get(flag, defaults[flag].default)})",
        )
    sub.add_argument("--freeze", action="store_true", help="only the head moves")
    sub.add_argument("--random-weights", action="store_true", help="forget the weights of --model")


def run(args) -> dict:
    """Train, keep what was best on the dev part, show the scores."""
    from npssl.cli.train import free
    from npssl.jobs.finetune import fine_tune

    if args.resume and args.out is None:
        raise ValueError("--resume: expected --out FOLDER, the run to go on with")
    data, name = parts(args), args.task or "own"
    folder = Path(args.out) if args.out else free(Path("runs") / name)
    say(args, f"npssl: fine-tuning {args.model} on {name} into {folder}")
    found = fine_tune(
        data,
        args.model,
        where=args.data,
        run=folder,
        resume=args.resume,
        save_seconds=args.save_seconds,
        progress=not args.json,
        seed=args.seed,
        **given(args),
    )
    for part, scores in found.taught["scores"].items():
        say(args, f"{part}: {told(scores)}")
    say(args, f"{folder}: at its best on dev after {found.taught['epoch']:g} epochs")
    return {"folder": str(folder), **found.taught["scores"], "epoch": found.taught["epoch"]}


def given(args) -> dict:
    """The options of `add_arguments` that were given."""
    flags = {flag: getattr(args, flag) for flag in FLAGS if hasattr(args, flag)}
    return {**flags, "freeze": args.freeze, "random_weights": args.random_weights}


def parts(args):
    """The name of a public set, or one's own parts."""
    from npssl.data.labelled import Sentences, read

    own = {part: getattr(args, part) for part in ("train", "dev", "test")}
    if args.task:
        if any(own.values()):
            raise ValueError("--task: expected a public set or --train and --dev, found both")
        return args.task
    if not own["train"] or not own["dev"]:
        raise ValueError("--task: expected a public set, or own files by --train and --dev")
    train = read(own["train"])
    classes = train.classes if isinstance(train, Sentences) else None
    others = {part: read(own[part], classes=classes) for part in ("dev", "test") if own[part]}
    return {"train": train, **others}


def told(scores) -> str:
    """Scores in one line.

    >>> told({"accuracy": 0.91234, "f1": 0.9})
    'accuracy .912, f1 .900'
    """
    return ", ".join(f"{name} {short(value)}" for name, value in scores.items())


def short(value) -> str:
    """Three digits, without the 0 before the point.

    >>> short(0.5), short(-0.25), short(1.0)
    ('.500', '-.250', '1.000')
    """
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 0.9995 else f"{value:.3f}"
