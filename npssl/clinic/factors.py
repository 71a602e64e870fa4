"""Entry by entry the gradient is the truth times something: what?"""

import math

import numpy as np

from npssl.check.contract import peak
from npssl.clinic.causes import Cause
from npssl.clinic.numbers import spell
from npssl.clinic.wholes import ratio


def known_factor(scene, i):
    """Times, or divided by, an array that was at hand: an input, the output, a step."""
    name, truth, claimed = scene.names[i], scene.truth[i], scene.claimed[i]
    shape = truth.shape[1:]
    for label, q in scene.known():
        for how, factor in powers(q):
            if not np.isfinite(factor).all() or np.ptp(factor) == 0:
                continue
            for side in ("dx", "dy"):
                guess = _times(scene, i, factor, shape, side)
                if guess is None:
                    continue
                c = ratio(claimed, guess)
                if not c or not scene.exact(i, c * guess):
                    continue
                plain = abs(c - 1) < 1e-6
                told = "" if plain else f" and by {c:.9g}"
                on = (
                    f"d{name} is the truth"
                    if side == "dx"
                    else f"d{name} is right for a dy that is"
                )
                yield Cause(
                    "factor",
                    (name,),
                    f"{on} {how} {label}{told}",
                    cost=2.0 + 0.5 * (not plain) + 0.2 * (side == "dy") + 0.2 * ("(" in label),
                    key=(how, label),
                )


def powers(q):
    """(how, factor)"""
    with np.errstate(all="ignore"):
        yield "multiplied by", q
        yield "divided by", 1 / q
        yield "multiplied by 1 minus", 1 - q
        yield "multiplied by the square of", q * q
        yield "divided by the square of", 1 / (q * q)
        yield "divided by 1 minus", 1 / (1 - q)


def _times(scene, i, factor, shape, side):
    if side == "dx":
        try:
            fits = np.broadcast_shapes(factor.shape, shape) == shape
        except ValueError:
            return None
        return scene.truth[i] * factor if fits else None
    if len(scene.shapes) != 1 or not scene.shapes[0]:
        return None
    dims = scene.shapes[0]
    try:
        if np.broadcast_shapes(factor.shape, dims) != dims:
            return None
    except ValueError:
        return None
    upstream = (scene.D.reshape(-1, *dims) * factor).reshape(len(scene.D), -1)
    return (upstream @ scene.jacobian[i]).reshape(len(scene.D), *shape)


def weight(scene, i):
    """Each entry has a factor of its own, whatever dy is: a weight that only one side has."""
    name, truth, claimed = scene.names[i], scene.truth[i], scene.claimed[i]
    live = (np.abs(truth) > 1e-9 * scene.scale(i)).all(0)
    if live.sum() < 2 or (scene.m == 1 and truth[0].size < 2):
        return
    with np.errstate(all="ignore"):
        each = np.where(live, (claimed * truth).sum(0) / (truth * truth).sum(0), 0)
    guess = truth * each
    if scene.m > 1 and not scene.exact(i, guess):
        return
    values = np.unique(np.round(each[live], 9))
    if scene.m == 1 and len(values) > max(2, live.sum() // 3):
        return  # one number for each entry explains anything
    if scene.m == 1 and not scene.exact(i, guess):
        return
    diagonal = scene.diagonal(i)
    if len(values) <= 1:
        return
    some = ", ".join(f"{v:.6g}" for v in values[:5]) + (" ..." if len(values) > 5 else "")
    if diagonal and len(values) > 2:
        yield Cause(
            "activation",
            (name,),
            f"an entry-wise function with a wrong derivative: d{name} is {some} times the truth, "
            "by entry, whatever dy is",
            cost=3.0,
            key=("derivative",),
        )
        return
    rows = each.ndim > 1 and each.shape[-1] > 1 and peak(np.ptp(each, -1)) <= 1e-8 * peak(each)
    whose = "row's" if rows and live.all() else "entry's"
    yield Cause(
        "weight",
        (name,),
        f"d{name} is the truth times a factor of each {whose} own ({some}), the same for every dy: "
        "a weight that only the backward applies, or only the forward",
        cost=1.95 if whose == "row's" else 2.6,
        key=("weight",),
    )


def _gelu_erf(x):
    cdf = 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
    return cdf + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _gelu_tanh(x):
    c = math.sqrt(2 / math.pi)
    t = np.tanh(c * (x + 0.044715 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


DERIVATIVES = {
    "relu": lambda x: (x > 0) * 1.0,
    "leaky relu (0.01)": lambda x: np.where(x > 0, 1, 0.01),
    "tanh": lambda x: 1 - np.tanh(x) ** 2,
    "sigmoid": lambda x: _sigmoid(x) * (1 - _sigmoid(x)),
    "softplus": _sigmoid,
    "exp": np.exp,
    "square": lambda x: 2 * x,
    "gelu (erf)": _gelu_erf,
    "gelu (tanh)": _gelu_tanh,
    "gelu (sigmoid)": lambda x: _sigmoid(1.702 * x) * (1 + 1.702 * x * (1 - _sigmoid(1.702 * x))),
    "silu": lambda x: _sigmoid(x) * (1 + x * (1 - _sigmoid(x))),
    "elu": lambda x: np.where(x > 0, 1, np.exp(np.minimum(x, 0))),
    "the normal distribution": lambda x: np.exp(-x * x / 2) / math.sqrt(2 * math.pi),
    "sin": np.cos,
    "the identity": np.ones_like,
    "log": lambda x: 1 / x,
    "square root": lambda x: 0.5 / np.sqrt(x),
    "tanh as a function of its output": lambda y: 1 - y * y,
    "sigmoid as a function of its output": lambda y: y * (1 - y),
}


def activation(scene, i):
    """An entry-wise function with another one's derivative, or its own in the wrong place."""
    name, claimed = scene.names[i], scene.claimed[i]
    if not scene.diagonal(i):
        return
    dy = scene.D.reshape(claimed.shape)
    x, y = scene.arrays[i], scene.y[0].reshape(claimed.shape[1:])
    with np.errstate(all="ignore"):
        for label, f in DERIVATIVES.items():
            for at, point in ((name, x), ("the output", y)):
                guess = dy * f(point)
                if np.isfinite(guess).all() and scene.exact(i, guess):
                    yield Cause(
                        "activation",
                        (name,),
                        f"d{name} is dy times the derivative of {label}, at {at}: that is not the "
                        "derivative of this forward",
                        cost=1.5 + 0.3 * (at != name),
                        key=(label, at),
                    )
    if peak(claimed) == 0:
        return
    with np.errstate(all="ignore"):
        each = claimed / dy
    if np.isfinite(each).all() and peak(each - each[0]) <= 1e-7 * (1 + peak(each)):
        off = each[0] - (scene.truth[i] / dy)[0]
        c = off.ravel()[0] if off.size else 0.0
        constant = peak(off - c) <= 1e-9 * (1 + abs(c)) and off.size > 1
        told = spell(c, scene) if constant and c else []
        extra = f"; it is {c:.6g} too large in every entry" if constant else ""
        extra += f" ({told[0][0]})" if told and abs(c) != 1 else ""
        k = int(np.argmax(np.abs(off)))
        yield Cause(
            "activation",
            (name,),
            f"an entry-wise function with a wrong derivative: at {name} = {x.ravel()[k]:.6g} it is "
            f"{each[0].ravel()[k]:.6g}, and should be "
            f"{(scene.truth[i] / dy)[0].ravel()[k]:.6g}{extra}",
            cost=2.9,
            key=("wrong",),
        )
