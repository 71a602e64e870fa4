"""The whole gradient is right but for a number, an order of axes, or the place it stands in."""

import time
from itertools import combinations, permutations, product

import numpy as np

from npssl.check.contract import peak
from npssl.clinic.causes import Cause
from npssl.clinic.numbers import spell

SECONDS = 2.0  # for the search of `crossed`


def ratio(claimed, guess):
    """The number that takes ``guess`` nearest to ``claimed``."""
    below = float(np.vdot(guess, guess))
    return float(np.vdot(guess, claimed)) / below if below else 0.0


def scale(scene, i):
    """Every entry is the same number times the truth."""
    name, truth = scene.names[i], scene.truth[i]
    c = ratio(scene.claimed[i], truth)
    if not peak(truth) or abs(c) < 1e-9:
        if not peak(scene.claimed[i]) and peak(truth):
            yield Cause(
                "no gradient",
                (name,),
                f"d{name} is zero everywhere, and should not be: the graph was cut there "
                "(a stop-gradient, a forgotten term)",
                cost=0.8,
                value=0.0,
                key=("zero",),
            )
        return
    guess = c * truth
    if not scene.exact(i, guess):
        return
    # only a number that is clearly not 1 is a scale; near 1 something else was done
    told = spell(c, scene)
    text, cost = told[0] if told else (f"{c:.9g}", 1.2)
    yield Cause(
        "scale",
        (name,),
        f"d{name} is {c:.9g} times the true gradient in every entry; that is {text}"
        if told
        else f"d{name} is {c:.9g} times the true gradient in every entry",
        cost=1 + cost,
        value=c,
        key=(round(c, 6),),
        explained=scene.explained(i, guess),
    )


def order(scene, i):
    """It is the gradient of another argument."""
    for j, other in enumerate(scene.truth):
        if j != i and other.shape == scene.claimed[i].shape and scene.exact(i, other):
            yield Cause(
                "argument order",
                (scene.names[i],),
                f"what was returned as d{scene.names[i]} is d{scene.names[j]}",
                cost=0.5 if scene.error(j) > scene.bar else 2.4,
                key=("order",),
            )


def axes(scene, i):
    """Permuted, reversed or shifted along an axis, or reshaped where it should be transposed."""
    name, truth, claimed = scene.names[i], scene.truth[i], scene.claimed[i]
    shape, n = truth.shape[1:], truth.ndim - 1
    for what, guess in rearranged(truth, n):
        for c, sign in ((1.0, ""), (ratio(claimed, guess), " (and scaled)")):
            if scene.exact(i, c * guess) and abs(c) > 1e-6:
                told = f": d{name} is {c:.9g} times it" if sign else ""
                yield Cause(
                    "axes",
                    (name,),
                    f"d{name} {shape} is the true gradient {what}{told}",
                    cost=1.2 + bool(sign),
                    key=(what,),
                )
                break
    entries = _one_to_one(scene.jacobian[i])
    if entries is not None and n > 1:
        slopes, dy = entries.reshape(shape), scene.D.reshape(truth.shape)
        for what, moved in (("as it comes", dy), *rearranged(dy, n)):
            if scene.exact(i, slopes * moved):
                told = f"d{name} reads dy as {shape}, {what}, which is another order than y's"
                yield Cause("axes", (name,), told, cost=1.45, key=("order", what))
    for k, dims in enumerate(scene.shapes):
        if len(scene.shapes) > 1 or len(dims) < 2:
            continue
        upstream = scene.D.reshape(-1, *dims)
        for what, moved in rearranged(upstream, len(dims)):
            guess = (moved.reshape(len(moved), -1) @ scene.jacobian[i]).reshape(truth.shape)
            told = f"d{name} is right for dy {what}"
            if dims == shape and "reversed" in what and not scene.exact(i, guess):
                axis = int(what.split()[-1]) + 1
                guess = np.flip(guess, axis)
                told = f"d{name} runs through axis {axis - 1} forwards, and should backwards"
            if scene.exact(i, guess):
                yield Cause("axes", (name,), told, cost=1.4, key=(k, what))


def _one_to_one(J):
    """The slopes by entry of the argument if each goes into one output, and no two into one."""
    live = peak(J) * 1e-9 < np.abs(J)
    if J.shape[0] != J.shape[1] or (live.sum(0) > 1).any() or (live.sum(1) > 1).any():
        return None
    return J.sum(0)


def rearranged(a, n):
    """(how, the same numbers elsewhere), by axes after the first."""
    shape = a.shape[1:]
    for perm in list(permutations(range(n)))[1:] if n <= 4 else ():
        turned = a.transpose(0, *(p + 1 for p in perm))
        if turned.shape[1:] == shape:
            yield f"with its axes permuted to {perm}", turned
        yield f"with its axes permuted to {perm} and read as {shape}", turned.reshape(a.shape)
        squeezed = a.reshape(len(a), *(shape[p] for p in perm))
        inverse = [list(perm).index(q) + 1 for q in range(n)]
        yield f"read as {squeezed.shape[1:]} and permuted back", squeezed.transpose(0, *inverse)
    for axis in range(1, n + 1):
        if a.shape[axis] > 1:
            yield f"reversed along axis {axis - 1}", np.flip(a, axis)
            for step in (1, -1):
                yield f"moved by {step} along axis {axis - 1}", np.roll(a, step, axis)


def sums(scene, i):
    """Summed or averaged over an axis that should have been kept, or over the wrong one."""
    name, truth, claimed = scene.names[i], scene.truth[i], scene.claimed[i]
    n = truth.ndim - 1
    for many in range(1, n + 1):
        for over in combinations(range(1, n + 1), many):
            length = int(np.prod([truth.shape[k] for k in over]))
            if length < 2:
                continue
            total = truth.sum(over, keepdims=True) + 0 * truth
            for how, guess in (("summed", total), ("averaged", total / length)):
                if scene.exact(i, guess):
                    where = ", ".join(str(k - 1) for k in over)
                    apart = peak(guess - ratio(guess, truth) * truth)  # no more than a scale?
                    yield Cause(
                        "sum",
                        (name,),
                        f"d{name} is {how} over axis {where}, which {name} has of its own",
                        cost=1.2 if apart > 1e-9 * peak(guess) else 2.0,
                        key=(how, over),
                    )
    if len(scene.shapes) != 1:
        return
    dims = scene.shapes[0]
    dy = scene.D.reshape(-1, *dims)
    for many in range(1, len(dims) + 1):
        for over in combinations(range(1, len(dims) + 1), many):
            guess = dy.sum(over)
            if guess.shape == claimed.shape and scene.exact(i, guess):
                where = ", ".join(str(k - 1) for k in over)
                plain = over == tuple(range(1, 1 + dy.ndim - claimed.ndim))
                what = "the factor behind dy is missing" if plain else "the wrong one"
                yield Cause(
                    "factor" if plain else "sum",
                    (name,),
                    f"d{name} is dy summed over axis {where}: {what}",
                    cost=1.3,
                    key=("dy", over),
                )
    yield from wrong_axis(scene, i, dy)


def wrong_axis(scene, i, dy):
    """The broadcast sum of dy times something over other axes than the right ones."""
    name, claimed = scene.names[i], scene.claimed[i]
    lengths = [n for n in claimed.shape[1:] if n > 1]  # an axis of length 1 was summed over too
    if len(lengths) + 1 >= dy.ndim:
        return
    for label, q in scene.known():
        try:
            product = dy * q
        except ValueError:
            continue
        if product.shape != dy.shape:
            continue
        for over in combinations(range(1, dy.ndim), dy.ndim - 1 - len(lengths)):
            for how in ("sum", "mean"):
                guess = getattr(product, how)(over)
                if list(guess.shape[1:]) != lengths:
                    continue
                if scene.exact(i, guess.reshape(claimed.shape)):
                    where = ", ".join(str(k - 1) for k in over)
                    plain = over == tuple(range(1, dy.ndim - len(lengths))) and how == "sum"
                    yield Cause(
                        "factor" if plain else "sum",
                        (name,),
                        f"d{name} is the {how} of dy times {label} over "
                        f"axis {where}, not the true one",
                        cost=1.8,
                        key=("q", label, over),
                    )
                    return


def crossed(scene, i):
    """A term that holds a sum, with the sum over another axis, or without it."""
    name, shape = scene.names[i], scene.arrays[i].shape
    if len(scene.shapes) != 1 or scene.shapes[0] != shape or not shape:
        return
    gap, dy = scene.claimed[i] - scene.truth[i], scene.D.reshape(-1, *shape)
    some = _weights(scene, shape)
    axes = range(1, len(shape) + 1)
    y, square = gap.ravel(), float(np.vdot(gap, gap))
    end = time.thread_time() + SECONDS
    for (one, a), (two, b) in product(some, repeat=2):
        if time.thread_time() > end:
            return
        sums = {k - 1: a * (b * dy).sum(k, keepdims=True) for k in axes} | {"no": a * b * dy}
        for right, wrong in permutations(sums, 2):
            if right == "no":
                continue
            p, q = sums[wrong].ravel(), sums[right].ravel()
            pp, qq, pq = p @ p, q @ q, p @ q
            if pp * qq - pq * pq <= 1e-9 * pp * qq:
                continue
            c = np.linalg.solve([[pp, pq], [pq, qq]], [p @ y, q @ y])
            if square - c @ [p @ y, q @ y] > 1e-8 * square:
                continue
            if min(c[0] ** 2 * pp, c[1] ** 2 * qq) < 1e-9 * square:
                continue
            if scene.exact(i, scene.truth[i] + (c[0] * p + c[1] * q).reshape(gap.shape)):
                found = "no sum" if wrong == "no" else f"its sum over axis {wrong}"
                yield Cause(
                    "sum",
                    (name,),
                    f"the term {c[0]:.6g} * {one} * sum({two} * dy) of d{name} has {found}: "
                    f"it should be summed over axis {right}",
                    cost=2.2,
                    key=(one, two, right, wrong),
                )
                return


def _weights(scene, shape):
    """(label, array) of what may stand before and behind a sum: known arrays and products."""
    known, ones = list(scene.known()), ("1", np.ones(shape))
    full = [ones, *((k, q) for k, q in known if q.shape == shape)]
    if len(scene.y) == 1 and peak(scene.y[0]) < 50:
        full.append(("exp(y)", np.exp(scene.y[0])))
    rows = [(k, q) for k, q in known if q.shape in ((*shape[:-1], 1), shape[-1:])]
    both = [(f"{k} * {l}", q * r) for k, q in full[:10] for l, r in rows[:14]]
    distinct: list = []
    for label, q in [*full[:24], *both]:
        if not any(np.allclose(q, p, 1e-9, 0) for _, p in distinct):
            distinct.append((label, q))
    return distinct[:60]
