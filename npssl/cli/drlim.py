"""``npssl train drlim``: a map of shifted digits on which near shifts are near."""

from __future__ import annotations

from pathlib import Path

from npssl.cli import command, say
from npssl.cli.training import add_flags, begin, how, say_signs, show

# flag: (type, choices, what it is); names and defaults are those of the job
_FLAGS: dict[str, tuple] = {
    "images": (Path, None, "IDX file of pictures"),
    "labels": (Path, None, "IDX file of their digits"),
    "digit": (int, None, "which digit to map"),
    "hidden": (int, None, "width of the hidden layer"),
    "near": (int, None, "pixels by which neighbours differ at most"),
    "margin": (float, None, "distance beyond which others are left alone"),
    "batch": (int, None, "pairs in a batch"),
    "steps": (int, None, "how many batches"),
    "lr": (float, None, "highest learning rate"),
    "probe": (int, None, "pictures kept for the score"),
    "seed": (int, None, "of all draws"),
}


def add(models):
    """Describe the command; ``models`` are the sub-commands of ``npssl train``."""
    from npssl.jobs.drlim import train_drlim

    sub = command(
        models,
        "drlim",
        run,
        help="map shifted digits so that near shifts are near (DrLIM)",
        example="npssl train drlim --digit 4 --out drlim",
    )
    add_flags(sub, _FLAGS, train_drlim, dict(images="MNIST", labels="MNIST"))


def run(args) -> dict:
    """Train, score, draw."""
    from npssl.jobs.drlim import draw, train_drlim

    given, folder = begin(args, "drlim", _FLAGS)
    say(args, f"npssl: training drlim into {folder}")
    scores = train_drlim(**given, run=folder, **how(args))
    say(
        args,
        f"rank correlation of shift with distance on the map: {scores['correlation']:.3f} "
        f"(of pixels: {scores['pixels']:.3f})",
    )
    say_signs(args, scores)
    show(args, folder, draw, scores, "map.png")
    short = {k: v for k, v in scores.items() if k not in ("points", "shifts")}
    return {"folder": str(folder), **short}
