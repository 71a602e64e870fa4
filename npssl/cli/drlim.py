"""``npssl train drlim``: a map of shifted digits on which near shifts are near."""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path

from npssl.cli import command, say

# flag: (type, what it is); names and defaults are those of the job
_FLAGS: dict[str, tuple] = {
    "images": (str, "IDX file of pictures"),
    "labels": (str, "IDX file of their digits"),
    "digit": (int, "which digit to map"),
    "hidden": (int, "width of the hidden layer"),
    "near": (int, "pixels by which neighbours differ at most"),
    "margin": (float, "distance beyond which others are left alone"),
    "batch": (int, "pairs in a batch"),
    "steps": (int, "how many batches"),
    "lr": (float, "highest learning rate"),
    "probe": (int, "pictures kept for the score"),
    "seed": (int, "of all draws"),
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
    defaults = inspect.signature(train_drlim).parameters
    for flag, (kind, what) in _FLAGS.items():
        default = defaults[flag].default
        sub.add_argument(
            "--" + flag,
            type=kind,
            default=argparse.SUPPRESS,
            metavar=kind.__name__.upper() if kind is not str else "FILE",
            help=f"{what} (default: {'MNIST' if default is None else default})",
        )
    sub.add_argument("--out", metavar="FOLDER", help="default: a new folder in runs")
    sub.add_argument("--resume", action="store_true", help="go on with the run in --out")
    sub.add_argument(
        "--save-seconds", type=float, default=60.0, help="time between two checkpoints"
    )


def run(args) -> dict:
    """Train, score, draw."""
    from npssl.cli.train import free
    from npssl.jobs.drlim import draw, train_drlim

    given = {flag: getattr(args, flag) for flag in _FLAGS if hasattr(args, flag)}
    if args.resume and args.out is None:
        raise ValueError("--resume: expected --out FOLDER, the run to go on with")
    folder = Path(args.out) if args.out else free(Path("runs") / "drlim")
    say(args, f"npssl: training drlim into {folder}")
    scores = train_drlim(
        **given,
        run=folder,
        resume=args.resume,
        save_seconds=args.save_seconds,
        progress=not args.json,
    )
    say(
        args,
        f"rank correlation of shift with distance on the map: {scores['correlation']:.3f} "
        f"(of pixels: {scores['pixels']:.3f})",
    )
    try:
        draw(scores, folder / "map.png")
        say(args, f"{folder}: scores.json, model.npz, map.png")
    except ImportError as error:
        say(args, f"{folder}: scores.json, model.npz; no picture: {error}")
    short = {k: v for k, v in scores.items() if k not in ("points", "shifts")}
    return {"folder": str(folder), **short}
