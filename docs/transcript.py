"""The first ten exercises as a learner meets them: writes the transcript into docs/learn.md.

Run from anywhere: ``python docs/transcript.py``.  The slips are those that people make.
"""

import contextlib
import io
import os
import tempfile
import textwrap
from pathlib import Path

from npssl.cli import main
from npssl.learn.folder import filename
from npssl.learn.path import PATH

PAGE = Path(__file__).resolve().parent / "learn.md"
BEGIN, END = "<!-- transcript -->\n", "<!-- end -->\n"
TODO = '        raise NotImplementedError("your turn")'
SLIPS = {  # what is typed before the right answer, and how many hints are asked for
    "product": [("return dy * a, dy * b", 3)],
    "broadcast": [("return dy * scale, dy * x", 1)],
    "linear": [("return dy @ w.T, x.T @ dy, dy.mean(0)", 4)],
    "sigmoid": [("return dy * x * (1 - x)", 1)],
    "mean_pool": [("return np.repeat(dy[:, None], T, axis=1)", 4)],
    "residual": [("du = dy * (1 - t * t)\nreturn du @ w.T, x.T @ du", 3)],
    "squared_error": [("return 2 * dvalue * difference / difference.size", 4)],
}


def body(name):
    """The reference body of back."""
    lines = PATH[name].source().split("def back(")[1].split("\n\n    return")[0]
    return textwrap.dedent(lines.split("\n", 1)[1])


def walk():
    """Type, check, ask, type again; returns what a terminal shows."""
    shown = io.StringIO()

    def npssl(*words):
        print("$ npssl", *words, file=shown)
        with contextlib.redirect_stdout(shown):
            assert main(list(words)) == 0
        print(file=shown)

    def typed(name, text):
        stub = PATH[name].stub()
        Path(filename(name)).write_text(stub.replace(TODO, textwrap.indent(text, " " * 8)), "utf-8")
        print(
            f"  (in {filename(name)}, back is now)",
            *text.splitlines(),
            sep="\n        ",
            file=shown,
        )
        print(file=shown)

    npssl("learn")
    for k, name in enumerate(list(PATH)[:10]):
        npssl("learn", "next")
        if k == 0:
            print(f"$ cat {filename(name)}\n{Path(filename(name)).read_text('utf-8')}", file=shown)
        for text, hints in SLIPS.get(name, []):
            typed(name, text)
            npssl("learn", "check")
            for _ in range(hints):
                more = io.StringIO()
                with contextlib.redirect_stdout(more):
                    main(["learn", "check", "--hint"])
                last = [line for line in more.getvalue().splitlines() if "hint " in line][-1]
                print("$ npssl learn check --hint\n  ...", last, sep="\n", file=shown)
            print(file=shown)
        typed(name, body(name))
        npssl("learn", "check")
    npssl("learn")
    return shown.getvalue()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.chdir(home)
        text = walk()
    before, rest = PAGE.read_text("utf-8").split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}```text\n{text.rstrip()}\n```\n{END}{after}", "utf-8")
