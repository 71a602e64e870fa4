"""Wrong local derivatives: what a hand makes of one step of the forward."""

import numpy as np


def _partner(k, plain):
    return plain[1 - k]


def bends(step, scene, picks=()):
    """name -> tangent of the output, for mistakes that people make at this kind of step.

    ``picks`` are the entries that each of several indexings picks, which are bent together.
    """
    op, k = step.op, step.operand
    if op == "indexing" and len(picks) > 1:
        return {"writing over what came back to the same rows before": _written_over(picks[0])}
    if op == "indexing":
        return {"writing into rows that are asked for twice, not adding to them": _written}
    if op == "multiply":
        return {
            "without the other factor": lambda k, p, t, y: t + 0 * _partner(k, p),
            "times itself instead of the other factor": lambda k, p, t, y: t * p[k],
            "divided by the other factor": lambda k, p, t, y: t / _partner(k, p),
            "times the product instead of the other factor": lambda k, p, t, y: t * y.real,
            "times the other factor squared": lambda k, p, t, y: t * _partner(k, p) ** 2,
            "times 1 + z for a factor 1 - z": lambda k, p, t, y: t * (2 - _partner(k, p)),
            "times 1 - 2 z for a factor 1 - z": lambda k, p, t, y: t * (2 * _partner(k, p) - 1),
        }
    if op == "matmul":
        return {
            "with the other matrix transposed": _transposed_partner,
            "with what comes back to it transposed": _transposed,
            **{
                f"with {label} instead of the other matrix": _instead(q)
                for label, q in scene.given()
            },
        }
    if op in ("divide", "true_divide"):
        if k == 0:
            return {
                "without the denominator": lambda k, p, t, y: t + 0 * p[1],
                "times the denominator": lambda k, p, t, y: t * p[1],
                "divided by the denominator twice": lambda k, p, t, y: t / p[1] ** 2,
                "times the quotient": lambda k, p, t, y: t * y.real,
            }
        return {
            "without the square of the denominator": lambda k, p, t, y: t / p[1] * p[0],
            "without the denominator": lambda k, p, t, y: t * p[0],
            "without the numerator": lambda k, p, t, y: -t / p[1] ** 2 + 0 * p[0],
            "times the quotient only": lambda k, p, t, y: -t * y.real,
            "divided by the denominator, without the numerator": lambda k, p, t, y: (
                -t / p[1] + 0 * p[0]
            ),
        }
    if op == "add.reduce":
        return {
            "without the sum": lambda k, p, t, y: _whole(t, y, t),
            **{
                f"summed over axis {axis}": lambda k, p, t, y, axis=axis: _over(t, y, axis)
                for axis in range(4)
            },
        }
    if unary(step):
        return {
            "times the output and 1 + output": lambda k, p, t, y: t * y.real * (1 + y.real),
            "times the output and 1 - output": lambda k, p, t, y: t * y.real * (1 - y.real),
            "times the output and 1 - twice the output": lambda k, p, t, y: (
                t * y.real * (1 - 2 * y.real)
            ),
            "times 1 - twice the output squared": lambda k, p, t, y: t * (1 - 2 * y.real**2),
            "as if it were the identity": lambda k, p, t, y: t,
            "times the output": lambda k, p, t, y: t * y.real,
            "times the input": lambda k, p, t, y: t * p[0],
            "times 1 - output": lambda k, p, t, y: t * (1 - y.real),
            "times 1 + output squared": lambda k, p, t, y: t * (1 + y.real**2),
            "times 1 - input squared": lambda k, p, t, y: t * (1 - p[0] ** 2),
            "divided by the output": lambda k, p, t, y: t / y.real,
            "divided by the input": lambda k, p, t, y: t / p[0],
            "times the output squared": lambda k, p, t, y: t * y.real**2,
            "times minus the output squared": lambda k, p, t, y: -t * y.real**2,
            "times the output divided by 1 - output": lambda k, p, t, y: t * y.real / (1 - y.real),
            "times 1 - output divided by the output": lambda k, p, t, y: t * (1 - y.real) / y.real,
            **_by_its_slope(op),
        }
    return {}


UNARY = {"exp", "log", "tanh", "sqrt", "square", "log1p", "expm1", "sin", "cos", "arctan"}
UNARY |= {"reciprocal", "sinh", "cosh", "log2", "exp2"}


def unary(step):
    """Is it a function of one array, entry by entry as far as we know?"""
    return step.operands == 1 and (step.op in UNARY or step.op.endswith("()"))


def _whole(tangent, y, like):
    """Only where the sum kept its axis can something else stand in its place."""
    return tangent if y.ndim == like.ndim else np.full(y.shape, np.nan)


def _over(tangent, y, axis):
    if axis >= tangent.ndim or y.ndim != tangent.ndim or y.shape[axis] == 1:
        return np.full(y.shape, np.nan)
    return tangent.sum(axis, keepdims=True) + np.zeros(y.shape)


def _by_its_slope(op):
    if op not in UNARY:
        return {}
    slope = lambda x: getattr(np, op)(x + 1e-30j).imag / 1e-30
    return {
        "at the output instead of the input": lambda k, p, t, y: t * slope(y.real),
        "divided by its derivative": lambda k, p, t, y: t / slope(p[0]),
        "times its derivative squared": lambda k, p, t, y: t * slope(p[0]) ** 2,
    }


def _written(k, plain, tangent, y):
    """Of an entry that was picked several times only the last pick counts."""
    picked = plain[1].real.astype(int).ravel()
    last = picked.size - 1 - np.unique(picked[::-1], return_index=True)[1]
    if len(last) == picked.size:
        return np.full(y.shape, np.nan)
    kept = np.zeros(picked.size)
    kept[last] = tangent.ravel()[picked[last]]
    return kept.reshape(y.shape)


def _written_over(ids):
    """What another indexing brings back to entries that ``ids`` pick is lost; see `_written`."""

    def bend(k, plain, tangent, y):
        picked = plain[1].real.astype(int)
        if picked.size == ids.size and (picked.ravel() == ids).all():
            once = len(np.unique(ids)) == ids.size
            return tangent.ravel()[ids].reshape(y.shape) if once else _written(k, plain, tangent, y)
        return np.where(np.isin(picked, ids), 0, tangent.ravel()[picked])

    return bend


def _instead(q):
    """The product with another matrix of that shape, upright or lying."""

    def bend(k, plain, tangent, y):
        other = plain[1 - k]
        for matrix in (q, q.swapaxes(-1, -2) if q.ndim > 1 else q):
            if matrix.shape == other.shape and (matrix != other.real).any():
                return tangent @ matrix if k == 0 else matrix @ tangent
        return np.full(y.shape, np.nan)

    return bend


def _transposed(k, plain, tangent, y):
    out = tangent @ plain[1] if k == 0 else plain[0] @ tangent
    if out.ndim < 2 or out.shape[-1] != out.shape[-2]:
        return np.full(y.shape, np.nan)
    return out.swapaxes(-1, -2)


def _transposed_partner(k, plain, tangent, y):
    other = plain[1 - k]
    if other.ndim < 2 or other.shape[-1] != other.shape[-2]:
        return np.full(y.shape, np.nan)
    turned = other.swapaxes(-1, -2)
    return tangent @ turned if k == 0 else turned @ tangent
