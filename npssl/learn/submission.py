"""One submission in a process of its own: ``python -m npssl.learn.submission FILE [GIB]``.

Prints one line of JSON on what was standard output; the submission's own output goes
nowhere.
"""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from npssl.learn.marking import mark_text


def confine(gib):
    """Refuse this process more address space than ``gib`` GiB beyond what it has.

    Only where the platform keeps such a limit (Linux does; macOS and Windows do not).
    """
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except (ImportError, OSError):
        return
    ours = pages * resource.getpagesize() + int(gib * 2**30)
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    ours = ours if hard == resource.RLIM_INFINITY else min(ours, hard)
    resource.setrlimit(resource.RLIMIT_AS, (ours, ours))


def main(file, gib="inf"):
    """Mark a file, and say so."""
    if float(gib) < float("inf"):
        confine(float(gib))
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    found = mark_text(Path(file).read_text("utf-8", "replace"), file)
    answer.write(json.dumps(asdict(found)))
    answer.flush()
    os._exit(0)  # whatever threads the submission has started


if __name__ == "__main__":
    main(*sys.argv[1:])
