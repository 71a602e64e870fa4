"""``npssl learn``: exercises in deriving gradients, marked as one goes."""

import csv
import io
import sys
import time
from pathlib import Path

from npssl.cli import command, say
from npssl.files import whole_file

ACTIONS = ("path", "next", "check", "solution", "watch", "export", "grade")


def add(commands):
    """Describe ``npssl learn``."""
    sub = command(
        commands,
        "learn",
        run,
        help="learn to derive gradients: exercises that say what is wrong",
        example="npssl learn next, edit the file, npssl learn check --hint",
    )
    sub.add_argument(
        "action",
        nargs="?",
        default="path",
        choices=ACTIONS,
        help="path: the list and what is done; next: write the next stub; check: mark the answer "
        "that was saved last; solution: derivation and reference; watch: check at every save; "
        "export: write a set; grade: mark a folder of submissions, which runs them as you",
    )
    sub.add_argument("target", nargs="?", help="exercise; for export and grade a folder")
    sub.add_argument("--folder", default=".", metavar="DIR", help="the learner's folder")
    sub.add_argument("--hint", action="store_true", help="check: show one hint more")
    sub.add_argument("--yes", action="store_true", help="solution: do not ask again")
    sub.add_argument("--seed", type=int, default=0, help="other constants and points (not 0)")
    sub.add_argument("--only", nargs="+", metavar="NAME", help="export: these exercises")
    sub.add_argument(
        "--copies", type=int, default=1, metavar="N", help="export: one for each learner"
    )
    sub.add_argument("--notebooks", action="store_true", help="export: as notebooks (extra learn)")
    sub.add_argument(
        "--limit", type=float, default=20.0, metavar="S", help="grade: seconds for each"
    )
    sub.add_argument(
        "--memory",
        type=float,
        default=2.0,
        metavar="GIB",
        help="grade: memory for each (Linux; inf: no limit)",
    )
    sub.add_argument("--out", metavar="CSV", help="grade: file for the table")


def run(args):
    """One action."""
    if args.seed < 0:
        raise ValueError(f"--seed: expected 0 or more, found {args.seed}")
    if args.action in ("export", "grade"):
        if not args.target:
            raise ValueError(f"learn {args.action}: expected a folder, found nothing")
        return (_export if args.action == "export" else _grade)(args)
    from npssl.learn.folder import Folder
    from npssl.learn.path import find

    if args.target:
        find(args.target)
    return globals()[f"_{args.action}"](args, Folder(args.folder, args.seed))


def _path(args, folder):
    say(args, "\n".join(folder.path_lines()))
    return {"done": folder.state["done"], "next": folder.first_open()}


def _next(args, folder):
    name = args.target or folder.first_open()
    if name is None:
        say(args, "Everything is done.")
        return {"file": None}
    fresh = not folder.file(name).exists()
    file = folder.write(name)
    say(args, f"{'Written' if fresh else 'Already there'}: {file}")
    say(args, "Fill in what raises NotImplementedError, then: npssl learn check")
    return {"file": str(file)}


def _check(args, folder):
    name = args.target or folder.current()
    found, hints = folder.check(name, more=args.hint)
    say(args, found)
    for k, hint in enumerate(hints, 1):
        say(args, f"  hint {k}: {hint}")
    left = len(found.hints) - len(hints)
    if not found.ok and left:
        say(args, f"  ({left} more: npssl learn check --hint)")
    return {"name": name, "ok": found.ok, "says": found.says, "hints": list(hints)}


def _solution(args, folder):
    name = args.target or folder.current()
    if not args.yes:
        if not sys.stdin.isatty():
            raise ValueError("learn solution: nobody is there to be asked; add --yes")
        if input(f"Show the solution of {name}? [y/N] ").strip().lower() not in ("y", "yes"):
            return {"name": name, "solution": None}
    text = folder.solution(name)
    say(args, text)
    return {"name": name, "solution": text}


def _watch(args, folder):
    say(args, f"Checking in {folder.path.resolve()} whenever a file is saved; Ctrl-C ends it.")
    from npssl.learn.path import PATH

    seen: dict = {}
    while True:
        for name in PATH:
            file = folder.file(name)
            stamp = file.stat().st_mtime_ns if file.exists() else None
            if name in seen and stamp and stamp != seen[name]:
                args.target = name
                try:
                    _check(args, folder)
                except (ValueError, OSError) as error:  # half saved, or its first line is gone
                    say(args, error)
            seen[name] = stamp
        time.sleep(0.3)


def _export(args):
    from npssl.learn.path import find
    from npssl.learn.teaching import export

    if args.copies < 1:
        raise ValueError(f"--copies: expected at least 1, found {args.copies}")
    names = [find(name).name for name in args.only or ()]
    files = export(args.target, names, args.copies, args.seed, args.notebooks)
    say(args, f"{len(files)} files in {args.target}")
    return {"files": [str(f) for f in files]}


def _grade(args):
    from npssl.learn.teaching import COLUMNS, grade

    if not args.limit > 0:
        raise ValueError(f"--limit: expected more than 0 seconds, found {args.limit}")
    if not args.memory > 0:
        raise ValueError(f"--memory: expected more than 0 GiB, found {args.memory}")
    table, rows = io.StringIO(), []
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in grade(args.target, args.limit, args.memory):
        rows.append(row)
        writer.writerow(row)
    if args.out:
        with whole_file(Path(args.out)) as out:
            out.write(table.getvalue().encode())
        say(args, f"{len(rows)} answers: {args.out}")
    else:
        say(args, table.getvalue().rstrip())
    return {"rows": rows}
