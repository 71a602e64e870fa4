"""``npssl train cpc``: contrastive predictive coding, trained and probed."""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path

from npssl.cli import command, run_config, say

# flag: (type, choices, what it is); names and defaults are those of the job
_FLAGS: dict[str, tuple] = {
    "data": (str, ("speech", "mnist"), "synthetic speech, or images as rows"),
    "negatives": (str, ("mixed", "same", "others"), "sequences that the wrong answers are from"),
    "ahead": (int, None, "steps to predict"),
    "width": (int, None, "of the frames"),
    "context": (int, None, "width of the context"),
    "batch": (int, None, "sequences in a batch"),
    "samples": (int, None, "of a sequence of speech"),
    "steps": (int, None, "how many batches"),
    "lr": (float, None, "highest learning rate"),
    "phones": (int, None, "of the language"),
    "speakers": (int, None, "of the language"),
    "noise": (float, None, "in speech, whose deviation is about 1"),
    "probe": (int, None, "utterances for the probes"),
    "seed": (int, None, "of all draws"),
}


def add(models):
    """Describe the command; ``models`` are the sub-commands of ``npssl train``."""
    from npssl.jobs.cpc import train_cpc

    sub = command(
        models,
        "cpc",
        run,
        help="train an encoder to predict its own future (CPC)",
        example="npssl train cpc --negatives same --out cpc-same",
    )
    defaults = inspect.signature(train_cpc).parameters
    for flag, (kind, choices, what) in _FLAGS.items():
        default = defaults[flag].default
        sub.add_argument(
            "--" + flag,
            type=kind,
            choices=choices,
            default=argparse.SUPPRESS,
            metavar=None if choices else kind.__name__.upper(),
            help=f"{what} (default: {'8, images 5' if default is None else default})",
        )
    sub.add_argument("--out", metavar="FOLDER", help="default: a new folder in runs")
    sub.add_argument("--resume", action="store_true", help="go on with the run in --out")
    sub.add_argument(
        "--save-seconds", type=float, default=60.0, help="time between two checkpoints"
    )


def run(args) -> dict:
    """Train, probe, write the figures and a picture."""
    from npssl.cli.train import free
    from npssl.jobs.cpc import draw, train_cpc

    given = {flag: getattr(args, flag) for flag in _FLAGS if hasattr(args, flag)}
    if args.resume:
        if args.out is None:
            raise ValueError("--resume: expected --out FOLDER, the run to go on with")
        given = run_config(args.out, "cpc") | given
    folder = Path(args.out) if args.out else free(Path("runs") / "cpc")
    say(args, f"npssl: training cpc on {given.get('data', 'speech')} into {folder}")
    scores = train_cpc(
        **given,
        run=folder,
        resume=args.resume,
        save_seconds=args.save_seconds,
        progress=not args.json,
    )
    say(args, f"held out: {scores['nats']:.3f} nats (chance: {scores['chance_nats']:.3f})")
    for name, found in scores["probes"].items():
        told = ", ".join(f"{kind} {share:.1%}" for kind, share in found.items())
        say(args, f"{name} by a linear probe: {told}")
    try:
        draw(scores, folder / "probes.png")
        say(args, f"{folder}: scores.json, model.npz, probes.png")
    except ImportError as error:
        say(args, f"{folder}: scores.json, model.npz; no picture: {error}")
    return {"folder": str(folder), **scores}
