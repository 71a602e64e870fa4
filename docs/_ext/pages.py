"""A page for each module: what it holds, how its gradients check, and the source itself.

Ops and losses get a table with what `npssl check` finds; docstrings are read by numpydoc
(`api.py`), and the source follows without them.
"""

import ast
import re
from pathlib import Path

import api

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {
    "layers": "Layers",
    "losses": "Losses",
    "models": "Models",
    "tasks": "Tasks",
    "optim.py": "Optimisers",
    "params.py": "Parameters",
    "train.py": "The training loop",
    "check": "The microscope",
    "clinic": "The clinic",
    "derivations": "Derivations, executed",
    "learn": "Exercises",
    "kernels": "Kernels",
    "data": "Data",
    "evaluation": "Evaluation",
    "jobs": "Whole runs",
}
CHECKED = "layers", "losses"
EXAMPLES = 3
_LINK = re.compile(r"\]\(\.\./npssl/([\w/]*?)(\.py|/|)(#[\w-]*)?\)")


def setup(app):
    app.connect("builder-inited", _write)
    app.connect("source-read", _relink)
    return {"parallel_read_safe": True}


def _relink(app, docname, source):
    """Links to the source lead to its page here."""
    up = "../" * docname.count("/")

    def there(match):
        path = match[1].rstrip("/")
        page = f"code/{path}.md" if match[2] == ".py" else f"code/{path.split('/')[0]}.md"
        page = page.replace("/__init__.md", ".md")
        return f"]({up}{page})"

    source[0] = _LINK.sub(there, source[0].replace("](../../npssl/", "](../npssl/"))


def _write(app):
    folder = Path(app.srcdir) / "code"
    made = {}
    for room, title in ROOMS.items():
        place = ROOT / "npssl" / room
        if place.is_file():
            made[place.stem + ".md"] = _page(place, "../..")
        elif place.is_dir():
            files = sorted(f for f in place.glob("*.py") if f.name != "__init__.py")
            for file in files:
                made[f"{room}/{file.stem}.md"] = _page(file, "../../..")
            made[room + ".md"] = _room(room, title, place / "__init__.py", files)
    for name, text in made.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
    for path in folder.rglob("*.md"):
        if path.relative_to(folder).as_posix() not in made:
            path.unlink()


def _room(room, title, init, files):
    lines = [f"# {title}", "", *_first_lines(init), "", "```{toctree}", ":maxdepth: 1", ""]
    return "\n".join([*lines, *(f"{room}/{file.stem}" for file in files), "```", ""])


def _page(file, up):
    source = file.read_text("utf-8")
    tree = ast.parse(source)
    path = file.relative_to(ROOT).as_posix()
    lines = [f"# {file.stem.replace('_', ' ')}", "", f"`{path}`", "", *_first_lines(file), ""]
    public = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    if file.parent.name in CHECKED:
        lines += _checks([node.name for node in public])
    shown = []
    for node in public:
        told, nodes = api.section(node, source)
        lines, shown = lines + told, shown + nodes
    told = "Docstrings stand above; numbers behind `#` are those of the equations there."
    lines += ["## Source", "", told, "", "````python", api.without(source, shown), "````", ""]
    if file.parent.name in CHECKED:
        lines += _steps([node.name for node in public], up)
    return "\n".join(lines)


def _checks(names):
    """What the microscope says of a few examples, with the command that says more."""
    from npssl.cli.check import survey
    from npssl.jobs.cases import CASES

    cases = {op.__name__: (op, case) for op, case in CASES.items() if op.__name__ in names}
    if not cases:
        return []
    lines = ["| op | arguments | method | worst relative error | bar |", "|---|---|---|---|---|"]
    for name, (op, case) in cases.items():
        found = survey(
            name,
            lambda size, rng, op=op, case=case: (op, *case(size, rng)),
            examples=EXAMPLES,
            seed=0,
        )
        error = "" if found["error"] is None else f"{found['error']:.0e}"
        cells = found["arguments"], found["method"], error, f"{found['bar']:.0e}"
        lines.append(f"| `{name}` | " + " | ".join(map(str, cells)) + " |")
    return [*lines, "", f"More of it: `npssl check {' '.join(cases)} --examples 200`.", ""]


def _first_lines(file):
    told = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    return api.markdown(told.split("\n"))


def _steps(names, up):
    """The derivation once more, as it is executed."""
    from npssl.derivations.index import STEPS

    lines = []
    for name in names:
        if name in STEPS:
            module = STEPS[name].__module__
            path = module.replace(".", "/") + ".py"
            lines += [f"```{{literalinclude}} {up}/{path}", ":language: python"]
            lines += [f":pyobject: {name}", "```", ""]
    if not lines:
        return []
    told = "Both sides of the numbered equations, at a random point; a test runs them at many."
    return ["## The steps, executed", "", told, "", *lines]
