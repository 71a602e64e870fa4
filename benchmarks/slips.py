"""More mutation operators: slips of the hand that the first ones (`mutants.py`) do not make.

Written down before the last round of work on the catalogue.  Half of what they make, drawn by a
salted hash of its text, is the measuring set, first run after that round; the other half is of
the tuning set.
"""

import ast
import copy
import hashlib

SALT = "slips"
PLAIN = {"factor", "scale", "activation", "weight", "mask", "term", "train or evaluation", "option"}
PLAIN |= {"offset", "not linear"}  # where the factor is dy
PARTS = {"term", "activation", "residual branch", "factor", "no gradient", "option", "tied weight"}
NAMES = {
    "multiplied, not divided": PLAIN,
    "divided twice": PLAIN,
    "n - 1 for n": {"scale", "factor", "term", "option"},
    "difference turned round": PARTS | {"scale"},
    "minus dropped": PARTS | {"scale"},
    "term twice": PARTS | {"scale"},
    "product transposed": {"axes"},
    "other axis of a sum": {"sum", "axes", "term"},
    "written over, not added": PARTS | {"repeated ids", "part"},
    "statement twice": PARTS | {"scale"},
    "round forgotten": {"part", "term", "no gradient", "tied weight", "axes"},
    "rounds in the other order": {"axes", "term", "different functions"},
    "other half": {"axes", "part", "term", "factor", "argument order", "no gradient"},
    # "no gradient": a guard that is turned round shuts everything
    "comparison turned round": {
        *("activation", "mask", "weight", "part", "factor", "term", "no gradient")
    },
    "exponent dropped": {"factor", "term", "activation", "option"},
    "dy for what became of it": PLAIN | {"residual branch", "sum", "axes"},
    "result detached": {"no gradient"},
}


def measures(text):
    """Is a mutant with this text of the measuring set?"""
    return hashlib.sha256(f"{SALT} {text}".encode()).digest()[0] % 2 == 1


def slips(node, scope):
    """(kind, what stands in the place of the node)"""
    if isinstance(node, ast.BinOp):
        yield from _operations(node)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "minus dropped", node.operand
    elif isinstance(node, ast.AugAssign) and isinstance(node.op, (ast.Add, ast.Sub)):
        target = copy.deepcopy(node.target)
        value = node.value if isinstance(node.op, ast.Add) else ast.UnaryOp(ast.USub(), node.value)
        yield "written over, not added", ast.Assign([target], value)
        twice = ast.BinOp(ast.Constant(2), ast.Mult(), node.value)
        yield "statement twice", ast.AugAssign(target, node.op, twice)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in ("sum", "mean") and node.args:
            axis = ast.unparse(node.args[0])
            if axis in ("0", "1"):
                turned = copy.deepcopy(node)
                turned.args[0] = ast.Constant(1 - int(axis))
                yield "other axis of a sum", turned
    elif isinstance(node, ast.For):
        yield from _rounds(node)
    elif isinstance(node, ast.Slice) and (node.lower is None) != (node.upper is None):
        yield "other half", ast.Slice(node.upper, node.lower, node.step)
    elif isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
        if "dtype" not in ast.unparse(node) and "shape" not in ast.unparse(node):
            other = ast.NotEq() if isinstance(node.ops[0], ast.Eq) else ast.Eq()
            yield "comparison turned round", ast.Compare(node.left, [other], node.comparators)
    elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        for k, part in enumerate(node.value.elts):
            some = list(node.value.elts)
            some[k] = ast.BinOp(ast.Constant(0), ast.Mult(), part)
            yield "result detached", ast.Return(ast.Tuple(some, ast.Load()))
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in _made(scope):
        yield "dy for what became of it", ast.Name("dy", ast.Load())


def _operations(node):
    a, b, op = node.left, node.right, node.op
    if isinstance(op, ast.Div):
        yield "multiplied, not divided", ast.BinOp(a, ast.Mult(), b)
        yield "divided twice", ast.BinOp(node, ast.Div(), b)
        if isinstance(b, ast.Name) and b.id in ("n", "N", "B"):
            yield "n - 1 for n", ast.BinOp(a, ast.Div(), ast.BinOp(b, ast.Sub(), ast.Constant(1)))
    elif isinstance(op, ast.Sub):
        yield "difference turned round", ast.BinOp(b, ast.Sub(), a)
        yield "term twice", ast.BinOp(node, ast.Sub(), b)
    elif isinstance(op, ast.Add):
        yield "term twice", ast.BinOp(node, ast.Add(), b)
        yield "term twice", ast.BinOp(node, ast.Add(), a)
    elif isinstance(op, ast.MatMult):
        turned = ast.Attribute(ast.Name("np", ast.Load()), "matrix_transpose", ast.Load())
        yield "product transposed", ast.Call(turned, [node], [])
    elif isinstance(op, ast.Pow):
        yield "exponent dropped", a


def _rounds(node):
    asked = ast.unparse(node.iter)
    tries = []
    if asked.startswith("reversed("):
        inner = asked[len("reversed(") : -1]
        tries = [
            ("round forgotten", f"list({asked})[1:]"),
            ("round forgotten", f"list({asked})[:-1]"),
            ("rounds in the other order", inner),
        ]
    elif asked.startswith("np.ndindex"):
        tries = [
            ("round forgotten", f"list({asked})[1:]"),
            ("round forgotten", f"list({asked})[:-1]"),
        ]
    for kind, text in tries:
        other = copy.deepcopy(node)
        other.iter = ast.parse(text, mode="eval").body
        yield kind, other


def _made(scope):
    """What the backward of this function makes of dy itself, if that is what it is called."""
    backs = [
        f
        for f in ast.walk(scope)
        if isinstance(f, ast.FunctionDef) and f.args.args and f.args.args[0].arg == "dy"
    ]
    made = {
        n.targets[0].id
        for f in backs
        for n in ast.walk(f)
        if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name)
        if any(isinstance(m, ast.Name) and m.id == "dy" for m in ast.walk(n.value))
    }
    return made - {"dy"}
