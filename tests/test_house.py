"""The architecture, as tests over the syntax tree."""

import ast
import configparser
import importlib
import io
import os
import pathlib
import pkgutil
import re
import subprocess
import sys
import tokenize
import types
from inspect import getdoc

import numpy as np
import pytest

from npssl.check import kept
from npssl.jobs.cases import CASES

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "npssl").rglob("*.py"))
TREES = {file: ast.parse(file.read_text("utf-8")) for file in FILES}
FLOORS = (
    {"errors", "files", "kernels"},
    {"params", "check", "data"},
    {"layers", "optim", "clinic"},
    {"losses", "models", "train"},
    {"tasks", "evaluation", "derivations"},
    {"jobs"},
    {"learn"},
    {"cli"},
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
SCOPES = (*FUNCTIONS, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def name_of(file):
    """npssl/layers/norm.py -> npssl.layers.norm"""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def files_of(*rooms):
    found = [file for file in FILES if file.relative_to(ROOT / "npssl").parts[0] in rooms]
    return pytest.mark.parametrize("file", found, ids=name_of)


every_file = pytest.mark.parametrize("file", FILES, ids=name_of)


# imports ------------------------------------------------------------------------------------------


def imports(tree, package):
    """(dotted name, line) of every import, also within functions, also relative ones."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            home = node.module or ""
            if node.level:
                base = package.split(".")
                home = ".".join([*base[: len(base) - node.level + 1], *filter(None, [home])])
            yield from ((f"{home}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
            if isinstance(node.args[0], ast.Constant):
                yield node.args[0].value, node.lineno


def upstairs(tree, name, *, package=None):
    """What a module called ``name`` imports from its own floor or from above."""
    here = name.split(".")[1]
    for target, line in imports(tree, package or name.rpartition(".")[0]):
        parts = target.split(".")
        if parts[0] != "npssl" or len(parts) == 1 or parts[1].startswith("__"):
            continue
        there = parts[1]
        if there not in FLOOR:
            yield f"line {line}: npssl.{there} is no room of the house"
        elif there != here and FLOOR[there] >= FLOOR[here]:
            yield f"line {line}: {here} must not import {there}"


@pytest.mark.parametrize("file", [f for f in FILES if f.parent != ROOT / "npssl"], ids=name_of)
def test_imports_point_downstairs(file):
    package = name_of(file) if file.name == "__init__.py" else None
    assert not list(upstairs(TREES[file], name_of(file), package=package))


@pytest.mark.parametrize(
    "file",
    [f for f in FILES if f.parent == ROOT / "npssl" and not f.name.startswith("__")],
    ids=name_of,
)
def test_imports_of_single_files_point_downstairs(file):
    assert not list(upstairs(TREES[file], name_of(file)))


def test_every_room_has_a_floor():
    rooms = {name_of(f).split(".")[1] for f in FILES if name_of(f) != "npssl"} - {"__main__"}
    assert rooms <= set(FLOOR)


@pytest.mark.parametrize(
    "source",
    [
        "import npssl.train",
        "from npssl import train",
        "from npssl.train import gradient_step",
        "from npssl.models import dense",
        "from ..train import gradient_step",
        "from .. import models",
        "def f():\n    from npssl.cli import main",
        "import importlib\nimportlib.import_module('npssl.tasks.skip_gram')",
        "from npssl.attic import box",
    ],
)
def test_an_import_from_above_is_seen(source):
    assert list(upstairs(ast.parse(source), "npssl.losses.nce"))
    assert not list(upstairs(ast.parse("from npssl.layers.norm import x"), "npssl.losses.nce"))
    assert not list(upstairs(ast.parse("from .nce import x"), "npssl.losses.nce"))


def at_import(node):
    """Imports that run when the module is imported: all but those inside functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield from (name for name, _ in imports(child, "npssl"))
        elif not isinstance(child, FUNCTIONS):
            yield from at_import(child)


def test_an_import_that_runs_at_once_is_seen():
    late = "def f():\n    import torch\n\n\nclass A:\n    def f(self):\n        import torch"
    assert not list(at_import(ast.parse(late)))
    for once in ("import torch", "if True:\n    import torch", "class A:\n    import torch"):
        assert list(at_import(ast.parse(once))) == ["torch"]


@every_file
def test_extras_are_imported_when_needed(file):
    core = {"npssl", "numpy", "tqdm", *sys.stdlib_module_names}
    if "kernels" in file.parts:
        core |= {"numba", "llvmlite"}  # which Numba brings
    assert not {name.split(".")[0] for name in at_import(TREES[file])} - core


def test_core_dependencies_are_three():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    wanted = setup["options"]["install_requires"].split()
    assert {re.split(r"[<>=]", line)[0] for line in wanted} == {"numpy", "numba", "tqdm"}


def run_python(source):
    done = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_npssl_loads_neither_numba_nor_numpy():
    told = run_python("import sys, npssl; print({'numba', 'numpy'} & set(sys.modules))")
    assert told == "set()\n"


def test_the_pages_load_without_numba():
    names = [name_of(f) for f in FILES if name_of(f).split(".")[1:2] != ["kernels"]]
    pages = [n for n in names if FLOOR.get(n.split(".")[1] if "." in n else "", 9) <= 4]
    source = f"import importlib, sys\nfor n in {pages}: importlib.import_module(n)\n"
    assert run_python(source + "print('numba' in sys.modules)") == "False\n"


def test_lazy_names():
    """`npssl.check` and `npssl.train` are modules, whoever imported them first."""
    source = "import npssl; print(npssl.check.check.__name__, npssl.Params.__name__); "
    assert run_python(source + "import npssl.check; print(npssl.check.__name__)").split() == [
        "check",
        "Params",
        "npssl.check",
    ]
    import npssl

    for name in npssl.__all__:
        assert getattr(npssl, name) is not None and name in dir(npssl)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = npssl.nonsense


# closures -----------------------------------------------------------------------------------------


def outside(scope):
    """What stands in a nested scope but is evaluated in the one around it."""
    if hasattr(scope, "generators"):
        return [scope.generators[0].iter]
    a = scope.args
    defaults = [d for d in (*a.defaults, *a.kw_defaults) if d is not None]
    return [*defaults, *getattr(scope, "decorator_list", [])]


def own(node):
    """The nodes of one scope: not those of functions and comprehensions inside it."""
    parts = list(ast.iter_child_nodes(node))
    if isinstance(node, FUNCTIONS):
        parts = node.body if isinstance(node.body, list) else [node.body]
    for child in parts:
        if isinstance(node, SCOPES) and child in outside(node):
            continue
        yield child
        if isinstance(child, SCOPES):
            for part in outside(child):
                yield part
                yield from own(part)
        elif not isinstance(child, ast.ClassDef):
            yield from own(child)


def bound_by(node):
    """The names that this one node binds."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
        return [node.id]
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    if isinstance(node, ast.ExceptHandler) and node.name:
        return [node.name]
    if isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
        return [node.name]
    return []


def arguments(function):
    if not isinstance(function, FUNCTIONS):
        return []
    a = function.args
    extra = [x for x in (a.vararg, a.kwarg) if x]
    return [x.arg for x in (*a.posonlyargs, *a.args, *a.kwonlyargs, *extra)]


def captured(scope):
    """Names that a nested scope takes from outside, those of its own nested scopes included."""
    inside = {n for node in own(scope) for n in bound_by(node)} | set(arguments(scope))
    inside -= {n for node in own(scope) if isinstance(node, ast.Nonlocal) for n in node.names}
    used = {n.id for n in own(scope) if isinstance(n, ast.Name)}
    for node in own(scope):
        if isinstance(node, SCOPES):
            used |= captured(node)
    return used - inside


def times_bound(name, nodes, scope):
    """How often ``name`` may be bound on one way through ``nodes``; in a loop, twice."""
    total = 0
    for node in nodes:
        total += bound_by(node).count(name)
        if isinstance(node, ast.If):
            ways = [times_bound(name, way, scope) for way in (node.body, node.orelse)]
            total += max(ways) + times_bound(name, [node.test], scope)
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.While)):
            total += 2 * times_bound(name, ast.iter_child_nodes(node), scope)
        elif isinstance(node, SCOPES):
            writes = [n for n in ast.walk(node) if isinstance(n, ast.Nonlocal) and name in n.names]
            total += 2 * len(writes)
        elif not isinstance(node, ast.ClassDef):
            total += times_bound(name, ast.iter_child_nodes(node), scope)
    return total


def rebound(tree):
    """(function, name) for every captured name that is bound more than once."""
    for outer in ast.walk(tree):
        if not isinstance(outer, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        inner = [n for n in own(outer) if isinstance(n, FUNCTIONS)]
        for name in sorted({n for f in inner for n in captured(f)}):
            if times_bound(name, outer.body, outer) + arguments(outer).count(name) > 1:
                yield outer.name, name


@files_of("layers", "losses", "models", "tasks")
def test_what_back_remembers_is_bound_once(file):
    """A closure sees the last value of a name: so a captured name has only one."""
    assert not list(rebound(TREES[file]))


@pytest.mark.parametrize(
    "body",
    [
        "y = x\n    y = 2 * y\n    return y, lambda dy: y * dy",
        "x = x + 1\n    return x, lambda dy: x * dy",
        "y = x\n    y += 1\n    return y, lambda dy: y * dy",
        "def b(dy):\n        return dy * y\n    y = x\n    y = 3\n    return b",
        "def b(dy):\n        return (lambda z: y * z)(dy)\n    y = x\n    y = 3\n    return b",
        "def b(dy):\n        return [y * d for d in dy]\n    y = x\n    y = 3\n    return b",
        "for y in x:\n        pass\n    return y, lambda dy: y * dy",
        "while x:\n        y = x\n    return y, lambda dy: y * dy",
        "y = x\n    if y:\n        y = 2\n    return y, lambda dy: y * dy",
        "y, z = x\n    (y, w) = x\n    return y, lambda dy: y * dy",
        "y = x\n    with x as y:\n        pass\n    return y, lambda dy: y * dy",
        "y = x\n    z = (y := 2)\n    return y, lambda dy: y * dy",
        "y = x\n    del y\n    return x, lambda dy: y * dy",
        "y = x\n    def b(dy):\n        nonlocal y\n        y = 1\n        return dy\n    return b",
        "import math as y\n    y = x\n    return y, lambda dy: y * dy",
    ],
)
def test_a_rebound_name_is_seen(body):
    assert list(rebound(ast.parse(f"def op(x):\n    {body}\n")))


@pytest.mark.parametrize(
    "body",
    [
        "y = x\n    return y, lambda dy: y * dy",
        "if x:\n        y = 1\n    else:\n        y = 2\n    return y, lambda dy: y * dy",
        "y = x\n    y = 2 * y\n    z = y\n    return y, lambda dy: z * dy",
        "y = x\n    def b(dy):\n        y = 2\n        y += 1\n        return y * dy\n    return b",
        "for y in x:\n        pass\n    return x, lambda y: y * x",
        "for y in x:\n        pass\n    return x, lambda dy: [y for y in x]",
        "y = [y for y in x]\n    return x, lambda dy: y",
        "y = 1\n    y = 2\n    return x, lambda dy, y=y: dy * y",
        "y = 1\n    y = 2\n    return x, lambda dy, z=y: dy * z",
    ],
)
def test_what_is_bound_once_is_left_alone(body):
    assert not list(rebound(ast.parse(f"def op(x):\n    {body}\n")))


# docstrings ---------------------------------------------------------------------------------------


def public_definitions(tree):
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [n for n in tree.body if isinstance(n, kinds) and not n.name.startswith("_")]


@every_file
def test_everything_public_says_what_it_is(file):
    missing = [n.name for n in public_definitions(TREES[file]) if not ast.get_docstring(n)]
    if "cli" in file.parts:  # what these two do is said once, in npssl/cli/__init__.py
        missing = [name for name in missing if name not in ("add", "run")]
    if file.name != "__main__.py" and not ast.get_docstring(TREES[file]):
        missing.append("the module")
    assert not missing


NO_PAPER: set[str] = set()
SECTIONS = ("Parameters", "Returns", "Derivation", "References", "Examples")


@files_of("layers", "losses")
def test_every_op_has_the_sections(file):
    for node in public_definitions(TREES[file]):
        doc = ast.get_docstring(node) or ""
        found = {head for head, _ in re.findall(r"^(\w+)\n(-+)$", doc, re.M)}
        missing = {s for s in SECTIONS if s not in found}
        assert missing <= ({"References"} if node.name in NO_PAPER else set()), node.name
        lengths = re.findall(r"^(\w+)\n(-+)$", doc, re.M)
        assert all(len(head) == len(line) for head, line in lengths), node.name


def tagged_comments(source):
    """(line, number of an equation) for comments that begin with one, such as ``# (6)``."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and re.match(r"#+ *\(\d+\)", token.string):
            for number in re.findall(r"\((\d+)\)", token.string):
                yield token.start[0], number


def pointed_at(doc):
    """Docstrings of what a docstring names in back-quotes: the page of a kernel."""
    for name in re.findall(r"`+(npssl\.[\w.]+)`+", doc):
        module, _, attribute = name.rpartition(".")
        try:
            yield getattr(importlib.import_module(module), attribute).__doc__ or ""
        except (ImportError, AttributeError):
            try:
                yield importlib.import_module(name).__doc__ or ""
            except ImportError:
                raise AssertionError(f"a docstring points at {name}, which is not there") from None


def lost_tags(tree, source):
    """Tags whose equation no enclosing docstring has, nor one that it points at."""
    named = {n.name: ast.get_docstring(n) or "" for n in tree.body if hasattr(n, "name")}
    for line, number in tagged_comments(source):
        docs = [ast.get_docstring(tree) or ""]
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                if node.lineno <= line <= node.end_lineno:
                    docs.append(ast.get_docstring(node) or "")
        docs += [named.get(name, "") for doc in docs for name in re.findall(r"`+(\w+)`+", doc)]
        docs += [more for doc in docs for more in pointed_at(doc)]
        if not any(re.search(rf"\({number}\)", doc) for doc in docs):
            yield f"line {line}: ({number})"


@every_file
def test_equation_tags_exist(file):
    assert not list(lost_tags(TREES[file], file.read_text("utf-8")))


def test_a_lost_tag_is_seen():
    right = 'def f(x):\n    """y = x  (1)"""\n    return x  # (1)\n'
    wrong = 'def f(x):\n    """y = x  (1)"""\n    return x  # (1), (2)\n'
    other = 'def f(x):\n    """Nothing."""\n    return x  # (1)\n\n\ndef g():\n    """(1)"""\n'
    page = 'def f(x):\n    """See `npssl.optim.AdamW`."""\n    return x  # (4)\n'
    assert not list(lost_tags(ast.parse(right), right))
    assert list(lost_tags(ast.parse(wrong), wrong)) == ["line 3: (2)"]
    assert list(lost_tags(ast.parse(other), other))
    assert not list(lost_tags(ast.parse(page), page))


def example(case, seed):
    rng = np.random.default_rng(seed)
    return case(lambda low, high: int(rng.integers(low, high, endpoint=True)), rng)


@pytest.mark.parametrize("op", CASES, ids=lambda op: op.__name__)
def test_keeps_tells_what_back_remembers(op):
    """The section "Keeps" names every array in the closure, and nothing that is never there."""
    said = set(re.findall(r"\w+", re.search(r"Keeps\n-+\n(.+)", getdoc(op)).group(1)))
    seen = set()
    for seed in range(40):
        arrays, options = example(CASES[op], seed)
        seen |= {name.split(".")[0] for name in kept(op(*arrays, **options)[1])}
    assert seen <= said, f"not in Keeps: {seen - said}"
    free = set(op(*arrays, **options)[1].__code__.co_freevars)
    assert said <= seen | free, f"never kept: {said - seen - free}"


def test_rooms_are_packages():
    """Every folder of the package can be imported: it is in the wheel."""
    folders = {f.parent for f in FILES}
    found = {m.name for m in pkgutil.walk_packages([str(ROOT / "npssl")], "npssl.") if m.ispkg}
    assert {name_of(f / "__init__.py") for f in folders} == found | {"npssl"}


# benchmarks ---------------------------------------------------------------------------------------

BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))


def unknown_names(tree):
    """Names of npssl that a script imports, or takes from an imported module, and that are not."""
    modules = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "npssl":
            for alias in node.names:
                place = f"{node.module}.{alias.name}"
                try:
                    value = pkgutil.resolve_name(place)
                except (AttributeError, ModuleNotFoundError):
                    yield place
                    continue
                if isinstance(value, types.ModuleType):
                    modules[alias.asname or alias.name] = value
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = modules.get(node.value.id)
            if module is not None and not hasattr(module, node.attr):
                yield f"{module.__name__}.{node.attr}"


@pytest.mark.parametrize("file", BENCHMARKS, ids=lambda file: file.name)
def test_benchmarks_use_names_that_exist(file):
    assert [*unknown_names(ast.parse(file.read_text("utf-8")))] == []


def test_an_old_name_is_seen():
    source = "from npssl.kernels import block\nfrom npssl.files import gone\nblock._gone(1)"
    assert [*unknown_names(ast.parse(source))] == ["npssl.files.gone", "npssl.kernels.block._gone"]
