"""A learner's folder: answers as files, progress in one of them, nothing outside.

``npssl-learn.json`` holds the seed, what is done, and how many hints were shown.
"""

import json
import re
import textwrap
from pathlib import Path

from npssl.errors import FileError
from npssl.files import whole_file
from npssl.learn.exercise import Reversed
from npssl.learn.marking import mark_text
from npssl.learn.path import CHAPTERS, PATH, find

PROGRESS = "npssl-learn.json"


class Folder:
    """The answers and the progress in one folder.

    Parameters
    ----------
    path : folder, made when the first stub is written
    seed : int, optional       of a folder that is new
    """

    def __init__(self, path, seed=0):
        self.path = Path(path)
        self.state = {"seed": seed, "done": [], "hints": {}, "solved": []}
        file = self.path / PROGRESS
        if file.exists():
            try:
                self.state |= json.loads(file.read_text("utf-8"))
            except ValueError as error:
                raise FileError(file, f"expected JSON, found {error}") from error

    def save(self):
        """Write the progress."""
        with whole_file(self.path / PROGRESS) as out:
            out.write(json.dumps(self.state, indent=1).encode())

    def file(self, name):
        """Where the answer to an exercise stands."""
        return self.path / filename(name)

    def path_lines(self):
        """The path and the progress, as lines of text."""
        done = self.state["done"]
        for number, chapter in enumerate(CHAPTERS, 1):
            title = (chapter.__doc__ or "").split(":", 1)[1].strip().rstrip(".")
            marks = [f"{'[x]' if e.name in done else '[ ]'} {e.name}" for e in chapter.EXERCISES]
            yield f"{number}. {title}"
            text = textwrap.fill(
                "  ".join(m.replace(" ", "\xa0") for m in marks), 96, break_long_words=False
            )
            yield textwrap.indent(text.replace("\xa0", " "), "   ")
        yield f"{len(done)} of {len(PATH)} done; next: {self.first_open() or 'nothing, well done'}"

    def first_open(self):
        """The first exercise that is not done."""
        return next((name for name in PATH if name not in self.state["done"]), None)

    def write(self, name):
        """Write the stub of an exercise, never over an answer; returns its file."""
        file = self.file(name)
        if not file.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            file.write_text(find(name).stub(self.state["seed"]), "utf-8")
            self.save()
        return file

    def current(self):
        """The exercise whose answer was saved last."""
        files = [f for f in map(self.file, PATH) if f.exists()]
        if not files:
            raise ValueError(f"{self.path}: expected an answer, found none; try npssl learn next")
        return next(n for n in PATH if self.file(n) == max(files, key=lambda f: f.stat().st_mtime))

    def check(self, name, more=False):
        """(mark, hints shown so far); ``more`` shows the next one."""
        file = self.file(name)
        if not file.exists():
            raise FileError(file, f"expected an answer, found none; try npssl learn next {name}")
        found = mark_text(file.read_text("utf-8"), str(file))
        shown = min(len(found.hints), self.state["hints"].get(name, 0) + more)
        self.state["hints"][name] = shown
        if found.ok and name not in self.state["done"]:
            self.state["done"].append(name)
        self.save()
        return found, found.hints[:shown]

    def solution(self, name):
        """The derivation page and the reference answer, and a note that it was shown."""
        if name not in self.state["solved"] and self.path.exists():
            self.state["solved"].append(name)
            self.save()
        return solution(find(name), self.state["seed"])


def filename(name):
    """01_product.py: the place on the path, and the name."""
    return f"{list(PATH).index(name) + 1:02d}_{name}.py"


def solution(exercise, seed=0):
    """Derivation and reference answer, as text."""
    if isinstance(exercise, Reversed):
        wrong = [f"- {what}" for _, _, what in (exercise.given, *exercise.hidden)]
        return "\n".join(["The wrong versions:", *wrong, "", exercise.source(seed)])
    text = exercise.part("Derivation")
    if exercise.oracle is not None:
        document = exercise.oracle.__doc__
        text = document.split("Derivation", 1)[1].split("----------\n", 1)[1]
        text = (
            text.split("\n    Raises\n")[0].split("\n    Notes\n")[0].split("\n    References\n")[0]
        )
        text = text.rstrip() + f"\n\n(The page of {exercise.oracle.__module__}.)"
    source = re.sub(r' *""".*?"""\n', "", exercise.source(seed), count=1, flags=re.S)
    return f"{text}\n\n{source}"
