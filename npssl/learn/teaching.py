"""For teachers: sets with changed seeds, as files or notebooks, and their grading."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from npssl.errors import FileError, require
from npssl.learn.exercise import read_header
from npssl.learn.folder import filename
from npssl.learn.path import PATH

COLUMNS = ("submission", "exercise", "seed", "verdict", "points", "seconds", "says")


def export(folder, names=(), copies=1, seed=1, notebooks=False):
    """Write stubs of exercises, ``copies`` times with the seeds seed, seed + 1, ...

    Another seed changes the constants of the forward pass and the points at which answers
    are marked.  Returns the files.
    """
    files = []
    for k in range(copies):
        home = Path(folder) / f"copy{k + 1:03d}" if copies > 1 else Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        for name in names or PATH:
            stub = PATH[name].stub(seed + k)
            file = home / filename(name)
            file = file.with_suffix(".ipynb") if notebooks else file
            if file.exists():
                raise FileError(file, "expected nothing there, found a file: an answer?")
            file.write_text(notebook(name, stub) if notebooks else stub, "utf-8")
            files.append(file)
    return files


def notebook(name, stub):
    """One exercise as a notebook: the question, the answer, and its mark."""
    nbformat = require("nbformat", extra="learn").v4
    seed = read_header(stub)[1]
    cells = [
        nbformat.new_markdown_cell(f"# {name}\n\n{PATH[name].part('')}"),
        nbformat.new_code_cell(stub),
        nbformat.new_code_cell(
            "from npssl.learn.marking import mark\n\n"
            f'found = mark("{name}", {name}, seed={seed})\nprint(found)\n'
            "# print(found.hints[0])"
        ),
    ]
    for k, cell in enumerate(cells):  # the same bytes every time
        cell["id"] = f"{name}-{k}"
    return json.dumps(nbformat.new_notebook(cells=cells), indent=1)


def answers(file):
    """The answers in a file: its text, or the cells of a notebook that have a header."""
    text = Path(file).read_text("utf-8", "replace")
    if Path(file).suffix != ".ipynb":
        return [text] if read_header(text) else []
    try:
        cells = [
            "".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "code"
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(file, f"expected a notebook, found {error!r}") from error
    return [cell for cell in cells if read_header(cell)]


def grade(folder, limit=20.0, memory=2.0):
    """Mark everything below a folder; yields one row (`COLUMNS`) for each answer.

    Each answer runs in a process of its own, for at most ``limit`` seconds and, where the
    platform can refuse memory, with at most ``memory`` GiB: a crash, an endless loop or an
    endless list costs that one.  It runs as you, with your rights: see docs/learn.md.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileError(folder, "expected a folder of submissions, found none")
    for file in sorted(f for f in folder.rglob("*") if f.suffix in (".py", ".ipynb")):
        where = file.relative_to(folder).as_posix()
        try:
            found = answers(file)
        except FileError as error:
            yield dict.fromkeys(COLUMNS, "") | {
                "submission": where,
                "verdict": "unreadable",
                "points": 0.0,
                "says": str(error),
            }
            continue
        for text in found:
            name, seed = read_header(text)
            begin = time.monotonic()
            outcome = _apart(text, limit, memory)
            yield {
                "submission": where,
                "exercise": name,
                "seed": seed,
                **outcome,
                "seconds": round(time.monotonic() - begin, 2),
            }


def _apart(text, limit, memory):
    """The mark of one answer, made in another process."""
    with tempfile.TemporaryDirectory() as home:
        file = Path(home, "answer.py")
        file.write_text(text, "utf-8")
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        child = subprocess.Popen(
            [sys.executable, "-B", "-m", "npssl.learn.submission", str(file), str(memory)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=home,
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=os.name != "nt",
        )
        try:
            out, _ = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            return {"verdict": "too long", "points": 0.0, "says": f"more than {limit:g} seconds"}
        finally:
            _end(child)
    try:
        found = json.loads(out)
        verdict = "right" if found["ok"] else "wrong"
        return {"verdict": verdict, "points": round(found["points"], 3), "says": found["says"]}
    except (ValueError, KeyError, TypeError):
        says = f"the process ended with {child.returncode} and no mark"
        return {"verdict": "crashed", "points": 0.0, "says": says}


def _end(child):
    """End the process and what it started."""
    try:
        if os.name == "nt":
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()
    if child.stdout:
        child.stdout.close()
