"""A term of the gradient is missing, doubled, or has the wrong sign or factor in it."""

import time
from itertools import combinations

import numpy as np

from npssl.check.contract import peak
from npssl.check.slopes import COMPLEX
from npssl.clinic.causes import Cause
from npssl.clinic.numbers import spell
from npssl.clinic.scene import STEP
from npssl.clinic.trace import Tape, bends
from npssl.clinic.wholes import ratio

DIRECTIONS = 8
SECONDS = 6.0  # for all runs of the forward with one step changed
PAIRS = 60  # steps among which pairs are tried


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
    c = ratio(still, scene.arrays[i])
    decay = peak(still - c * scene.arrays[i]) <= 1e-9 * peak(still)
    told = spell(c, scene) if decay else []
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


def steps(scene, i):
    """One step of the forward is differentiated wrongly: cut off, of another size, or bent."""
    if scene.method[i] != COMPLEX or not scene.arrays[i].size or not scene.m:
        return
    end = time.monotonic() + (SECONDS if not scene.diagonal(i) else SECONDS / 4)
    a, name = scene.arrays[i], scene.names[i]
    rng = np.random.default_rng(1)
    V = rng.standard_normal((DIRECTIONS, *a.shape))
    flat_v = V.reshape(DIRECTIONS, -1)

    def look(slopes):  # (directions, outputs) -> (upstream, directions)
        return scene.D @ slopes.T

    claimed = scene.claimed[i].reshape(len(scene.D), -1) @ flat_v.T
    truth = scene.truth[i].reshape(len(scene.D), -1) @ flat_v.T
    gap = claimed - truth
    if peak(gap) == 0:
        return

    def close(left):
        return peak(left) <= max(1e-5 * peak(gap), 5e-14 * (peak(truth) + peak(claimed)))

    try:
        record = Tape()
        scene.follow(i, record, a + 1j * STEP * V[0])
    except Exception:  # this forward does not let itself be followed
        return
    seen = record.steps
    parts = {}
    groups = [((k,), s) for k, s in enumerate(seen)]
    for operation in dict.fromkeys(s.operation for s in seen):
        same = tuple(k for k, s in enumerate(seen) if s.operation == operation)
        if len(same) > 1:
            groups.append((same, seen[same[0]]))

    def run(cut, bend=None):
        rows = []
        for v in V:
            outs = scene.follow(i, Tape(cut, bend), a + 1j * STEP * v)
            rows.append(scene.flat(outs).imag / STEP)
        return look(np.array(rows))

    with np.errstate(all="ignore"):
        for cut, s in groups:
            if time.monotonic() > end:
                break
            try:
                rest = run(cut)
            except Exception:
                continue
            through = truth - rest
            if peak(through) <= 1e-12 * peak(truth) or not np.isfinite(through).all():
                continue
            if len(cut) == 1:
                parts[cut[0]] = through
            everything = peak(rest) <= 1e-12 * peak(truth)
            c = ratio(gap, through)
            if close(gap - c * through) and not everything:
                yield _term(scene, name, s, c, len(cut) > 1)
            for what, bend in bends(s).items() if len(cut) == 1 else ():
                try:
                    bent = run(cut, lambda *x, bend=bend: bend(*x)) - rest
                except Exception:
                    continue
                if not np.isfinite(bent).all() or not peak(bent):
                    continue
                c = ratio(claimed - rest, bent)
                if close(claimed - rest - c * bent) and abs(c) > 1e-9:
                    yield _bent(scene, name, s, what, c)
        yield from _pairs(scene, name, seen, parts, gap, close)


def _which(s):
    place = f" ({s.place})" if s.place else ""
    operand = f"operand {s.operand + 1} of " if s.operands > 1 else ""
    return f"{operand}{s.op}{place}"


PRODUCTS = {"matmul", "indexing", "dot", "einsum", "tensordot"}


def _term(scene, name, s, c, both):
    which = f"{s.op} ({s.place})" if both else _which(s)
    factor, cost = 1 + c, 1.9
    if abs(factor) < 1e-6:
        what = f"the term of d{name} that comes through {which} is missing"
    elif abs(factor + 1) < 1e-6:
        what = f"the term of d{name} that comes through {which} has the wrong sign"
    else:
        told = spell(factor, scene)
        cost = 2.1 + (told[0][1] if told else 0.9)
        what = f"the term of d{name} that comes through {which} is {factor:.9g} times too large"
        what += f"; that is {told[0][0]}" if told else ""
    kind = "term"
    if abs(factor) < 1e-6 and s.direct and s.op in PRODUCTS:
        kind = "tied weight"
        what += f": {name} is used more than once, and this use is not credited"
    return Cause(
        kind,
        (name,),
        what,
        cost=cost,
        value=factor,
        place=s.place,
        key=(s.place, s.op, s.operand, round(factor, 6)),
    )


def _bent(scene, name, s, what, c):
    plain = abs(c - 1) < 1e-6
    told = [] if plain else spell(c, scene)
    factor = "" if plain else f", times {c:.9g}" + (f" ({told[0][0]})" if told else "")
    kind = "activation" if s.operands == 1 else "factor"
    kind = "axes" if "transposed" in what else "sum" if s.op == "add.reduce" else kind
    cost = 2.3 + (0 if plain else 0.3 + (told[0][1] if told else 1.0))
    return Cause(
        kind,
        (name,),
        f"d{name} goes back through {_which(s)} {what}{factor}",
        cost=cost,
        value=c,
        place=s.place,
        key=(s.place, s.op, s.operand, what),
    )


def _pairs(scene, name, seen, parts, gap, close):
    """Two terms that are both wrong, each by its own factor."""
    some = list(parts)[:PAIRS]
    if gap.size < 6:
        return
    y = gap.ravel()
    for a, b in combinations(some, 2):
        A = np.stack([parts[a].ravel(), parts[b].ravel()], 1)
        G = A.T @ A
        if np.linalg.det(G) <= 1e-10 * G[0, 0] * G[1, 1]:
            continue
        c = np.linalg.solve(G, A.T @ y)
        if not close(y - A @ c):
            continue
        told = [spell(1 + x, scene) if abs(1 + x) > 1e-6 else [("missing", 0)] for x in c]
        cost = 3.2 + sum(0.0 if t else 0.6 for t in told)
        what = [
            f"through {_which(seen[k])} "
            + ("is missing" if abs(1 + x) < 1e-6 else f"is {1 + x:.9g} times")
            for k, x in zip((a, b), c)
        ]
        yield Cause(
            "term",
            (name,),
            f"two terms of d{name} are wrong: {what[0]}, {what[1]}",
            cost=cost,
            key=(seen[a].place, seen[b].place, "pair"),
        )
        return
