"""What the commands of ``npssl train`` have in common: flags of a job, and its run folder.

A table of flags is ``{name: (type, choices, what it is)}``; names and defaults are those of
the job, so a flag that was not given is not passed on.
"""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path

from npssl.cli import run_config, say


def add_flags(sub, flags: dict[str, tuple], job, usual: dict[str, str] | None = None) -> None:
    """The flags of a job, and those of its run; ``usual`` says in words what None stands for."""
    defaults = inspect.signature(job).parameters
    for flag, (kind, choices, what) in flags.items():
        default = (usual or {}).get(flag, defaults[flag].default)
        sub.add_argument(
            "--" + flag.replace("_", "-"),
            type=kind,
            choices=choices,
            default=argparse.SUPPRESS,
            metavar=None if choices else kind.__name__.upper(),
            help=f"{what} (default: {default})",
        )
    sub.add_argument("--out", metavar="FOLDER", help="default: a new folder in runs")
    sub.add_argument("--resume", action="store_true", help="go on with the run in --out")
    sub.add_argument(
        "--save-seconds", type=float, default=60.0, help="time between two checkpoints"
    )


def begin(args, name: str, flags, *, config: str | None = None) -> tuple[dict, Path]:
    """The options that were given, and the run folder.

    ``config``: where in ``--out`` the configuration of a run lies; with ``--resume`` its
    options come first.
    """
    from npssl.cli.train import free

    given = {flag: getattr(args, flag) for flag in flags if hasattr(args, flag)}
    if args.resume:
        if args.out is None:
            raise ValueError("--resume: expected --out FOLDER, the run to go on with")
        if config is not None:
            given = run_config(Path(args.out) / config, name) | given
    return given, Path(args.out) if args.out else free(Path("runs") / name)


def how(args) -> dict:
    """The options of every job that are not its own."""
    return dict(resume=args.resume, save_seconds=args.save_seconds, progress=not args.json)


def say_signs(args, scores: dict, of: str = "") -> None:
    """The alarms and the notes of the end of a run, in words."""
    for kind in ("alarm", "note"):
        for sign in scores[kind + "s"]:
            say(args, f"{of}{kind}: {sign['name']}: {sign['cause']}")


def show(
    args, folder: Path, draw, scores: dict, picture: str, files: str = "scores.json, model.npz"
) -> None:
    """Draw the scores, if there is something to draw with, and name the files of the run."""
    try:
        draw(scores, folder / picture)
        say(args, f"{folder}: {files}, {picture}")
    except ImportError as error:
        say(args, f"{folder}: {files}; no picture: {error}")
