"""A term of the gradient is missing, doubled, or has the wrong sign or factor in it."""

import numpy as np

from npssl.check.contract import peak
from npssl.clinic.causes import Cause
from npssl.clinic.numbers import spell
from npssl.clinic.wholes import ratio


def offset(scene, i):
    """Something that does not depend on dy: weight decay, or a term that forgot dy."""
    name = scene.names[i]
    with np.errstate(all="ignore"):
        still = scene.back(scene.upstream(np.zeros(scene.m)))
    if i >= len(still) or still[i] is None:
        return
    still = np.asarray(still[i], float)
    if still.shape != scene.arrays[i].shape or peak(still) <= 1e-10 * scene.scale(i):
        return
    guess = scene.truth[i] + still
    claimed = scene.claimed[i]
    if peak(claimed - claimed[0]) <= 1e-9 * peak(claimed):
        lost = f"d{name} is the same for every dy: dy itself is not in it"
        yield Cause("factor", (name,), lost, cost=0.65, key=("no dy",))
    c = ratio(still, scene.arrays[i])  # any single number is a multiple of another
    decay = still.size > 1 and peak(still - c * scene.arrays[i]) <= 1e-9 * peak(still)
    told = spell(c, scene) if decay else []
    rest = claimed - still - scene.truth[i]
    if peak(claimed - claimed[0]) > 1e-9 * peak(claimed) and peak(rest) > 1e-9 * scene.scale(i):
        lost = f"a term of d{name} has lost dy: something else stands in its place"
        yield Cause("term", (name,), lost, cost=0.75, key=("lost dy",))
    yield Cause(
        "weight decay" if decay else "offset",
        (name,),
        f"d{name} is not zero for dy = 0: it holds {c:.9g} times {name} itself, a term that the "
        "forward does not have" + (f" ({told[0][0]})" if told else "")
        if decay
        else f"d{name} is not zero for dy = 0: a term in it is not multiplied by dy",
        cost=0.7,
        exact=scene.exact(i, guess),
        explained=scene.explained(i, guess),
        value=c if decay else None,
        key=("decay", round(c, 9)) if decay else ("offset",),
    )


def branch(scene, i):
    """What is missing, or too much, is dy itself: a residual branch."""
    name, gap = scene.names[i], scene.claimed[i] - scene.truth[i]
    if len(scene.shapes) != 1 or scene.shapes[0] != scene.arrays[i].shape or scene.m < 2:
        return
    dy = scene.D.reshape(gap.shape)
    c = ratio(gap, dy)
    if c and scene.exact(i, scene.truth[i] + c * dy):
        lost = abs(c + 1) < 1e-6
        told = "dy is missing" if lost else f"{c:.9g} dy is too much"
        yield Cause(
            "residual branch" if lost else "term",
            (name,),
            f"d{name}: {told}, as from a branch past the layer",
            cost=1.6,
            value=c,
            key=(round(c, 6),),
        )


def known_gap(scene, i):
    """What is missing or too much is an array that was at hand, times dy."""
    name, gap = scene.names[i], scene.claimed[i] - scene.truth[i]
    if scene.m == 1:
        dy = scene.D.reshape(-1, *(1 for _ in gap.shape[1:]))
    elif len(scene.shapes) == 1 and scene.shapes[0] == gap.shape[1:]:
        dy = scene.D.reshape(gap.shape)
    else:
        return
    for label, q in scene.known():
        try:
            guess = q * dy + 0 * gap
        except ValueError:
            continue
        if guess.shape != gap.shape or np.ptp(q) == 0:
            continue
        c = ratio(gap, guess)
        if c and scene.exact(i, scene.truth[i] + c * guess):
            told = spell(c, scene) if abs(abs(c) - 1) > 1e-6 else []
            also = f" ({told[0][0]})" if told else ""
            yield Cause(
                "term",
                (name,),
                f"what is wrong in d{name} is {c:.9g} times {label}{also}: a term that is "
                + ("missing, or has" if c < 0 else "too much, or has")
                + " the wrong factor",
                cost=2.4,
                value=c,
                key=(label,),
            )
            return


def product_gap(scene, i):
    """What is missing or too much is a product of dy and a matrix that was at hand."""
    name, gap = scene.names[i], scene.claimed[i] - scene.truth[i]
    if len(scene.shapes) != 1 or len(scene.shapes[0]) < 2 or gap.ndim < 3:
        return
    dy = scene.D.reshape(-1, *scene.shapes[0])
    for label, q in scene.known():
        for what, product in _products(dy, label, q):
            if product.shape != gap.shape:
                continue
            c = ratio(gap, product)
            if c and scene.exact(i, scene.truth[i] + c * product):
                told = f"what is wrong in d{name} is {c:.9g} times {what}"
                told += f": a term that is {'missing' if c < 0 else 'too much'}, or has another "
                told += "factor or sign"
                yield Cause("term", (name,), told, cost=2.4, value=c, key=(what,))
                return
            if product.shape[-1] != product.shape[-2]:
                continue
            moved = product.swapaxes(-1, -2) - product
            c = ratio(gap, moved)
            if c and scene.exact(i, scene.truth[i] + c * moved):
                told = f"the term {c:.9g} times {what} of d{name} is transposed"
                yield Cause("axes", (name,), told, cost=2.3, value=c, key=(what,))
                return


def _products(dy, label, q):
    """(what, dy times q in each way that fits)"""
    if q.ndim < 2:
        return
    for left, a in (("dy", dy), ("dy.T", dy.swapaxes(-1, -2))):
        tries = {f"{label} * sum({left})": (np.multiply, q, a.sum(-1, keepdims=True))}
        for right, b in ((label, q), (f"{label}.T", q.swapaxes(-1, -2))):
            tries[f"{left} @ {right}"] = np.matmul, a, b
            tries[f"{right} @ {left}"] = np.matmul, b, a
        for what, (times, one, two) in tries.items():
            try:
                yield what, times(one, two)
            except ValueError:  # it does not fit
                continue


def shape_of_gap(scene, i):
    """The gap is constant along an axis (a mean or sum is wrong), or along a known vector."""
    name, gap = scene.names[i], scene.claimed[i] - scene.truth[i]
    if gap.ndim < 2:
        return
    for axis in range(1, gap.ndim):
        if gap.shape[axis] < 2:
            continue
        flat = gap.mean(axis, keepdims=True)
        if peak(gap - flat) <= 1e-7 * peak(gap):
            yield Cause(
                "term",
                (name,),
                f"what is wrong in d{name} is constant along axis {axis - 1}: a mean or a sum over "
                "it is missing or has the wrong size",
                cost=2.8,
                place=f"axis {axis - 1}",
                key=("constant", axis),
            )
            return
    if scene.m > 2:
        yield from _rank_one(name, gap)
    for label, q in scene.known():
        if q.ndim == 0 or np.ptp(q) == 0:
            continue
        try:
            q = np.broadcast_to(q, gap.shape[1:])
        except ValueError:
            continue
        below = np.square(q).sum(-1, keepdims=True)
        if q.shape[-1] < 3 or not (below > 0).all():
            continue
        fit = q * ((gap * q).sum(-1, keepdims=True) / below)
        if peak(gap - fit) <= 1e-7 * peak(gap):
            yield Cause(
                "term",
                (name,),
                f"what is wrong in d{name} lies along {label} in every row: the term that "
                "projects on it is wrong",
                cost=2.7,
                place=label,
                key=("along", label),
            )


def _rank_one(name, gap):
    """Every row is one number, which depends on dy, times one vector, which does not."""
    for axis in range(gap.ndim - 1, 0, -1):
        if gap.shape[axis] < 2:
            continue
        rows = np.moveaxis(gap, axis, -1)
        rows = np.moveaxis(rows.reshape(len(gap), -1, gap.shape[axis]), 0, 1)
        s = np.linalg.svd(rows, compute_uv=False)
        if s.shape[-1] > 1 and (s[:, 1] <= 1e-8 * s[:, 0].max()).all() and rows.shape[1] > 2:
            yield Cause(
                "term",
                (name,),
                f"what is wrong in d{name} is, in every row along axis {axis - 1}, one number "
                "times one vector: a term with a sum over that axis is wrong",
                cost=3.4,
                key=("rank one", axis),
            )
            return
