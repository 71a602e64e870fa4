"""``npssl train mi``: a critic that estimates mutual information, up a staircase."""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path

from npssl.cli import command, run_config, say
from npssl.tasks.mutual_information import CRITICS, ESTIMATES

# flag: (type, choices, what it is); names and defaults are those of the job
_FLAGS: dict[str, tuple] = {
    "estimate": (str, tuple(ESTIMATES), "what the critic makes large"),
    "critic": (str, CRITICS, "two networks and a dot product, or one that sees both halves"),
    "width": (int, None, "of each half of a pair"),
    "batch": (int, None, "pairs in a batch"),
    "hidden": (int, None, "width of the networks"),
    "steps": (int, None, "batches at each level of 2, 4, 6, 8, 10 nats"),
    "read": (int, None, "batches to read at the end of a level"),
    "lr": (float, None, "learning rate"),
    "seed": (int, None, "of all draws"),
}


def add(models):
    """Describe the command; ``models`` are the sub-commands of ``npssl train``."""
    from npssl.jobs.mi import train_mi

    sub = command(
        models,
        "mi",
        run,
        help="train a critic to estimate mutual information",
        example="npssl train mi --estimate nwj --out mi-nwj",
    )
    defaults = inspect.signature(train_mi).parameters
    for flag, (kind, choices, what) in _FLAGS.items():
        sub.add_argument(
            "--" + flag,
            type=kind,
            choices=choices,
            default=argparse.SUPPRESS,
            metavar=None if choices else kind.__name__.upper(),
            help=f"{what} (default: {defaults[flag].default})",
        )
    sub.add_argument(
        "--cubic", action="store_true", default=argparse.SUPPRESS, help="cube the second half"
    )
    sub.add_argument("--out", metavar="FOLDER", help="default: a new folder in runs")
    sub.add_argument("--resume", action="store_true", help="go on with the run in --out")


def run(args) -> dict:
    """Train, read, write the figures and a picture."""
    from npssl.cli.train import free
    from npssl.jobs.mi import draw, train_mi

    given = {flag: getattr(args, flag) for flag in (*_FLAGS, "cubic") if hasattr(args, flag)}
    if args.resume:
        if args.out is None:
            raise ValueError("--resume: expected --out FOLDER, the run to go on with")
        given = run_config(args.out, "mi") | given
    folder = Path(args.out) if args.out else free(Path("runs") / "mi")
    say(args, f"npssl: training mi into {folder}")
    scores = train_mi(**given, run=folder, resume=args.resume, progress=not args.json)
    for level in scores["levels"]:
        told = "{nats:g} nats: trained {mean:.2f} +- {std:.2f}, optimal critic {best_mean:.2f}"
        say(args, (told + " +- {best_std:.2f}").format(**level))
    try:
        draw(scores, folder / "staircase.png")
        say(args, f"{folder}: scores.json, model.npz, staircase.png")
    except ImportError as error:
        say(args, f"{folder}: scores.json, model.npz; no picture: {error}")
    return {"folder": str(folder), **scores}
