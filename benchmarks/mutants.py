"""Mistakes planted by machine: mutation operators over the backward passes of the house.

What is mutated: the nested ``back`` of every public op and loss, the helpers that it calls
(`HELPERS`), and the statements of the forward whose results only ``back`` uses.  A mutant is
the module compiled anew with one node of its syntax tree changed.
"""

import ast
import copy
import inspect
import types
from dataclasses import dataclass
from functools import partial
from itertools import chain

import slips

HELPERS = {"_add_rows", "again"}
AXES = {"swapaxes", "transpose", "reshape", "sum", "mean", "range", "arange", "astype"}
FUNCTIONS = (ast.FunctionDef, ast.Lambda)

# What a mutation operator does is known; these are the names of causes that say so.  What
# breaks openly (a crash, a wrong shape, NaN) is named by what is seen, whatever was done.
SEEN = {"crash", "shape", "not finite", "count", "dtype"}
# "offset", "not linear": the factor that was dropped is dy; "option": the forward has an
# option that takes the same factor or term away
FACTOR = {"factor", "scale", "activation", "weight", "mask", "term", "train or evaluation"}
FACTOR |= {"noise", "option", "offset", "not linear"}
TERM = {"term", "activation", "residual branch", "factor", "no gradient", "offset", "option"}
TERM |= {"tied weight"}  # a term, of an argument that has several
# "scale": of two equal terms one is half of the whole, and a function of one number is a number;
# "not linear": the other array holds dy, which is then there twice
NAMES = {
    "factor dropped": FACTOR,
    "divided, not multiplied": FACTOR,
    "denominator dropped": FACTOR,
    "constant changed": {"scale", "term", "factor", "activation", "weight", "option", "epsilon"},
    "term dropped": TERM | {"scale"},
    "sign of a term": TERM | {"scale"},
    "sign of the result": {"scale"},
    "transpose dropped": {"axes"},
    "mean for sum": {"scale", "sum", "term"},
    "sum for mean": {"scale", "sum", "term"},
    "sum dropped": {"sum", "term"},
    "keepdims dropped": {"sum", "term", "axes"},
    "other axis": {"sum", "axes", "term"},
    "returns exchanged": {"argument order"},
    "written, not added": {"repeated ids"},
    "statement dropped": {"term", "scale", "no gradient", "factor", "mask"},
    "where exchanged": {"activation", "mask", "weight", "part", "no gradient", "factor", "term"},
    "function dropped": {"activation", "factor", "term", "scale"},
    "other array": {
        *("activation", "factor", "weight", "axes", "argument order", "term", "not linear")
    },
}


@dataclass(frozen=True)
class Mutant:
    """One mistake: which op, what was done, in which line, and the op with it."""

    op: str
    kind: str
    line: int
    before: str
    after: str
    make: object

    @property
    def function(self):
        """The op with the mistake in it."""
        return self.make()

    @property
    def names(self):
        """The causes that count as a right diagnosis."""
        return {**NAMES, **slips.NAMES}[self.kind] | SEEN

    @property
    def label(self):
        return f"{self.op}:{self.line} {self.kind}: {self.before} -> {self.after}"

    @property
    def measuring(self):
        """Is it of the measuring set?  Drawn by its text, wherever it stands."""
        text = f"{self.op} {self.kind}: {self.before} -> {self.after}"
        return self.kind in slips.NAMES and slips.measures(text)


def mutants(op):
    """All mutants of one op, each but once."""
    module = inspect.getmodule(op)
    file = inspect.getsourcefile(op)
    source = inspect.getsource(module)
    tree, seen = ast.parse(source), set()
    for path, kind, before, new in _changes(tree, op.__name__):
        new = ast.copy_location(copy.deepcopy(new) or ast.Pass(), before)
        ast.fix_missing_locations(new)
        text = path, ast.unparse(new)
        if text in seen:
            continue
        seen.add(text)
        dropped = isinstance(new, ast.Pass)
        after = "(nothing)" if dropped else " ".join(ast.unparse(new).split())
        yield Mutant(
            op.__name__,
            kind,
            before.lineno,
            " ".join(ast.unparse(before).split()),
            after,
            partial(_compiled, op.__name__, module.__name__, file, source, path, new),
        )


def _compiled(name, module, file, source, path, new):
    tree = ast.parse(source)
    _put(tree, path, new)
    space = types.ModuleType(module)
    space.__file__ = file
    exec(compile(tree, file, "exec"), space.__dict__)
    return getattr(space, name)


def _changes(tree, name):
    """(path to the node, kind, the node, what stands in its place)"""
    top = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name)
    called = {
        n.func.id for n in ast.walk(top) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    called |= {n.id for n in ast.walk(top) if isinstance(n, ast.Name) and n.id.startswith("_page")}
    called |= {
        h for h in HELPERS if any(isinstance(n, ast.FunctionDef) and n.name == h for n in tree.body)
    } & called
    tops = [top] + [
        n
        for n in tree.body
        if isinstance(n, ast.FunctionDef) and n.name in called and n.name in (*HELPERS, "_page")
    ]
    for scope in tops:
        for region in _regions(scope):
            for path, node in _walk(tree, region):
                for kind, new in chain(_operators(node, scope), slips.slips(node, scope)):
                    yield path, kind, node, new


def _regions(scope):
    """What belongs to the backward of one function."""
    inner = [n for n in scope.body if isinstance(n, ast.FunctionDef)]
    if scope.name in HELPERS:
        return [scope]
    lambdas = [n for n in ast.walk(scope) if isinstance(n, ast.Lambda)]
    used = {n.id for f in (*inner, *lambdas) for n in ast.walk(f) if isinstance(n, ast.Name)}
    rest = [n for n in scope.body if n not in inner]
    forward = {
        n.id
        for s in rest
        for n in ast.walk(s)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
    }
    only = []
    for s in rest:
        if isinstance(s, ast.Assign) and isinstance(s.targets[0], ast.Name):
            target = s.targets[0].id
            if target in used - forward:
                only.append(s)
    return [*inner, *lambdas, *only]


def _walk(tree, region):
    """(path, node) below a region; a path is a list of (field, index)."""
    stack = [(tree, ())]
    while stack:
        node, path = stack.pop()
        if node is region:
            yield from _below(node, path)
            return
        stack += [(child, (*path, step)) for child, step in _children(node)]


def _below(node, path):
    """Not the arguments that name axes, shapes and indices: there a mistake is a crash."""
    for child, step in _children(node):
        if isinstance(node, ast.Call) and step[0] in ("args", "keywords"):
            name = (
                node.func.attr
                if isinstance(node.func, ast.Attribute)
                else getattr(node.func, "id", "")
            )
            if name in AXES:
                continue
        yield (*path, step), child
        yield from _below(child, (*path, step))


def _children(node):
    for field, value in ast.iter_fields(node):
        if isinstance(value, list):
            yield from ((v, (field, k)) for k, v in enumerate(value) if isinstance(v, ast.AST))
        elif isinstance(value, ast.AST):
            yield value, (field, None)


def _put(tree, path, new):
    node = tree
    for field, index in path[:-1]:
        node = getattr(node, field) if index is None else getattr(node, field)[index]
    field, index = path[-1]
    if index is None:
        setattr(node, field, new)
    else:
        getattr(node, field)[index] = new


def _operators(node, scope):
    """(kind, what stands in its place)"""
    if isinstance(node, ast.BinOp):
        a, b, op = node.left, node.right, node.op
        if isinstance(op, ast.Mult):
            yield "factor dropped", a
            yield "factor dropped", b
            yield "divided, not multiplied", ast.BinOp(a, ast.Div(), b)
        elif isinstance(op, ast.Div):
            yield "denominator dropped", a
        elif isinstance(op, (ast.Add, ast.Sub)):
            yield "term dropped", a
            yield "term dropped", b if isinstance(op, ast.Add) else ast.UnaryOp(ast.USub(), b)
            other = ast.Sub() if isinstance(op, ast.Add) else ast.Add()
            yield "sign of a term", ast.BinOp(a, other, b)
    elif (
        isinstance(node, ast.Constant)
        and isinstance(node.value, (int, float))
        and node.value not in (0, True, False)
    ):
        if node.value != 1 or isinstance(node.value, float):
            yield "constant changed", ast.Constant(node.value * 2)
        if isinstance(node.value, float):
            yield "constant changed", ast.Constant(node.value * 1.001)
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        yield "transpose dropped", node.value
    elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        parts = node.value.elts
        for k in range(len(parts) - 1):
            turned = list(parts)
            turned[k], turned[k + 1] = parts[k + 1], parts[k]
            yield "returns exchanged", ast.Return(ast.Tuple(turned, ast.Load()))
        for k in range(len(parts)):
            some = list(parts)
            some[k] = ast.UnaryOp(ast.USub(), parts[k])
            yield "sign of the result", ast.Return(ast.Tuple(some, ast.Load()))
    elif (
        isinstance(node, ast.Return) and node.value is not None and "back" not in ast.unparse(node)
    ):
        yield "sign of the result", ast.Return(ast.UnaryOp(ast.USub(), node.value))
    elif isinstance(node, ast.AugAssign):
        target = copy.deepcopy(node.target)
        yield "statement dropped", None
        if isinstance(node.op, (ast.Add, ast.Sub)):
            other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
            yield "sign of a term", ast.AugAssign(target, other, node.value)
        if isinstance(node.op, ast.Mult):
            yield "divided, not multiplied", ast.AugAssign(target, ast.Div(), node.value)
    elif isinstance(node, ast.Expr) and ast.unparse(node).startswith("np.add.at"):
        target, index, value = node.value.args
        item = ast.Subscript(target, index, ast.Store())
        yield "written, not added", ast.Assign([item], value)
        yield "written, not added", ast.AugAssign(item, ast.Add(), value)
        yield (
            "sign of a term",
            ast.parse(ast.unparse(node).replace("np.add", "np.subtract")).body[0],
        )
    elif isinstance(node, ast.Call):
        yield from _calls(node)
    elif (
        isinstance(node, ast.Name)
        and isinstance(node.ctx, ast.Load)
        and node.id in ("x", "y", "q", "k", "w", "nodes")
    ):
        pairs = {
            "x": ("y", "nodes", "w"),
            "y": ("x",),
            "q": ("k",),
            "k": ("q",),
            "nodes": ("x",),
            "w": ("rows",),
        }
        bound = {n.id for n in ast.walk(scope) if isinstance(n, ast.Name)} | {
            a.arg for a in scope.args.args
        }
        for other in pairs[node.id]:
            if other in bound:
                yield "other array", ast.Name(other, ast.Load())


def _calls(node):
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    owner = ast.unparse(node.func.value) if name else ""
    if name in ("swapaxes", "transpose") and owner != "np":
        yield "transpose dropped", node.func.value
    if name in ("sum", "mean") and owner != "np":
        kind = "mean for sum" if name == "sum" else "sum for mean"
        turned = copy.deepcopy(node)
        turned.func.attr = "mean" if name == "sum" else "sum"
        yield kind, turned
        yield "sum dropped", node.func.value
        if node.args and ast.unparse(node.args[0]) == "-1":
            moved = copy.deepcopy(node)
            moved.args[0] = ast.Constant(0)
            yield "other axis", moved
        if any(k.arg == "keepdims" for k in node.keywords):
            flat = copy.deepcopy(node)
            flat.keywords = [k for k in flat.keywords if k.arg != "keepdims"]
            yield "keepdims dropped", flat
    if ast.unparse(node.func) == "np.where" and len(node.args) == 3:
        turned = copy.deepcopy(node)
        turned.args[1:] = [node.args[2], node.args[1]]
        yield "where exchanged", turned
        yield "where exchanged", node.args[1]
        yield "where exchanged", node.args[2]
    if ast.unparse(node.func) in ("np.square", "np.exp", "np.sqrt"):
        yield "function dropped", node.args[0]
