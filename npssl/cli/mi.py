"""``npssl train mi``: a critic that estimates mutual information, up a staircase."""

from __future__ import annotations

import argparse

from npssl.cli import command, say
from npssl.cli.training import add_flags, begin, how, show
from npssl.jobs.mi import PAIRS
from npssl.tasks.mutual_information import CRITICS, ESTIMATES

# flag: (type, choices, what it is); names and defaults are those of the job
_FLAGS: dict[str, tuple] = {
    "estimate": (str, tuple(ESTIMATES), "what the critic makes large"),
    "critic": (str, CRITICS, "two networks and a dot product, or one that sees both halves"),
    "pairs": (str, PAIRS, "Gaussians, or bits that are flipped or lost on their way"),
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
    add_flags(sub, _FLAGS, train_mi)
    sub.add_argument(
        "--cubic", action="store_true", default=argparse.SUPPRESS, help="cube the second half"
    )


def run(args) -> dict:
    """Train, read, write the figures and a picture."""
    from npssl.jobs.mi import draw, train_mi

    given, folder = begin(args, "mi", (*_FLAGS, "cubic"), config="")
    say(args, f"npssl: training mi into {folder}")
    scores = train_mi(**given, run=folder, **how(args))
    for level in scores["levels"]:
        told = "{nats:g} nats: trained {mean:.2f} +- {std:.2f}, optimal critic {best_mean:.2f}"
        say(args, (told + " +- {best_std:.2f}").format(**level))
    show(args, folder, draw, scores, "staircase.png")
    return {"folder": str(folder), **scores}
