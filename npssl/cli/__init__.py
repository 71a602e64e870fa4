"""The commands.  Each module here has ``add(commands)``, which describes one command
to argparse, and ``run(args)``, which does it and returns what ``--json`` prints.

Exit status: 0 done, 1 it failed while running, 2 the input or the options were wrong,
130 interrupted (what a checkpoint held is kept).
"""

import argparse
import importlib
import json
import os
import sys
from pathlib import Path

COMMANDS = (
    "train",
    "vectors",
    "fill",
    "generate",
    "embed",
    "retrieve",
    "finetune",
    "evaluate",
    "glue_mini",
    "data",
    "check",
    "learn",
    "info",
)


def parser():
    """The whole command line, as argparse sees it."""
    root = argparse.ArgumentParser(
        prog="npssl",
        description="Self-supervised learning that you can read, check and run.",
        epilog="example: npssl train skip-gram --corpus text.txt --out run; "
        "exit status: 0 done, 1 failed, 2 wrong input or options, 130 interrupted",
    )
    from npssl import __version__

    root.add_argument("--version", action="version", version=f"npssl {__version__}")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        importlib.import_module(f"npssl.cli.{name}").add(commands)
    return root


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Defaults are shown where there is something to show."""

    def _get_help_string(self, action):
        if action.default in (None, False):
            return action.help
        return super()._get_help_string(action)


def command(commands, name, run, *, help, example):
    """A sub-command as all of them are: with ``--json``, an example, and ``run``."""
    sub = commands.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=f"example: {example}",
        formatter_class=_Help,
    )
    sub.add_argument("--json", action="store_true", help="print one JSON object, for programs")
    sub.set_defaults(run=run)
    return sub


def say(args, *lines):
    """Text for people: on standard output, or nowhere when a program asked for JSON."""
    if not args.json:
        print(*lines, flush=True)


def read_lines(path) -> list[str]:
    """The lines of a file of UTF-8; only line feeds end them, as for ``wc -l``."""
    from npssl.errors import FileError

    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise FileError(path, "no such file") from None
    except UnicodeDecodeError as error:
        raise FileError(path, "is not UTF-8", place=f"byte {error.start}") from None
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []


def writable(flag, path):
    """Complain about an output for which there is no folder before anything is computed."""
    if path and not Path(path).absolute().parent.is_dir():
        raise ValueError(f"{flag}: no such folder {str(Path(path).parent)!r}")


def run_config(folder, kind, *, key="job") -> dict:
    """The configuration that a run left in ``folder``, to go on with it; it says ``key``: kind."""
    from npssl.errors import FileError

    path = Path(folder) / "config.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileError(folder, "no run to resume: there is no config.json") from None
    except ValueError as error:
        raise FileError(path, f"not a readable configuration ({error})") from error
    if not isinstance(found, dict) or found.pop(key, None) != kind:
        raise FileError(path, f"is not the configuration of a {kind} run")
    return found


def main(argv=None):
    """Run one command; returns the exit status."""
    args = parser().parse_args(argv)
    try:
        if (getattr(args, "seed", None) or 0) < 0:
            raise ValueError(f"--seed: expected 0 or more, found {args.seed}")
        result = args.run(args)
        if args.json:
            print(json.dumps(result))
        sys.stdout.flush()
        return 0
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ValueError as error:
        return _complain(error, 2)
    except (OSError, MemoryError, ArithmeticError) as error:
        return _complain(error or type(error).__name__, 1)


def _complain(message, status):
    print(f"npssl: {message}", file=sys.stderr)
    return status
