"""One submission in a process of its own: ``python -m npssl.learn.submission FILE``.

Prints one line of JSON on what was standard output; the submission's own output goes
nowhere.
"""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from npssl.learn.marking import mark_text


def main(file):
    """Mark a file, and say so."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    found = mark_text(Path(file).read_text("utf-8", "replace"), file)
    answer.write(json.dumps(asdict(found)))
    answer.flush()
    os._exit(0)  # whatever threads the submission has started


if __name__ == "__main__":
    main(sys.argv[1])
