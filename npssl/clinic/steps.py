"""One step of the forward is differentiated wrongly: each is cut, resized and bent in turn."""

import time
from itertools import combinations

import numpy as np

from npssl.check.contract import peak
from npssl.check.slopes import COMPLEX
from npssl.clinic.bends import bends
from npssl.clinic.causes import Cause
from npssl.clinic.numbers import spell
from npssl.clinic.scene import STEP
from npssl.clinic.trace import Tape
from npssl.clinic.wholes import ratio

DIRECTIONS = 3, 8  # with many outputs, and with few
SECONDS = 6.0  # for all runs of the forward with one step changed
PAIRS = 60  # steps among which pairs are tried


def steps(scene, i):
    """One step of the forward is differentiated wrongly: cut off, of another size, or bent."""
    if scene.method[i] != COMPLEX or not scene.arrays[i].size or not scene.m:
        return
    end = time.monotonic() + (SECONDS if not scene.diagonal(i) else SECONDS / 4)
    a, name = scene.arrays[i], scene.names[i]
    rng = np.random.default_rng(1)
    V = rng.standard_normal((DIRECTIONS[scene.m < 4], *a.shape))
    flat_v = V.reshape(len(V), -1)

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
    groups = _groups(seen, scene.suspects)

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
            one = len({seen[k].operation for k in cut}) == len(cut)  # operand of each operation
            if len(cut) == 1:
                parts[cut[0]] = through
            everything = peak(rest) <= 1e-12 * peak(truth)
            c = ratio(gap, through)
            if close(gap - c * through) and not everything:
                scene.suspects.append(s.place)
                yield _term(scene, name, s, c, not one)
            for what, bend in bends(s).items() if one else ():
                try:
                    bent = run(cut, lambda *x, bend=bend: bend(*x)) - rest
                except Exception:
                    continue
                if not np.isfinite(bent).all() or not peak(bent):
                    continue
                c = ratio(claimed - rest, bent)
                if close(claimed - rest - c * bent) and abs(c) > 1e-9:
                    scene.suspects.append(s.place)
                    yield _bent(scene, name, s, what, c)
        yield from _pairs(scene, name, seen, parts, gap, close)


def _groups(seen, suspects):
    """(steps to change together, one of them): the rounds of a loop, one operand, both.

    Lines that were found wrong for another argument come first.
    """
    found = {}
    for key in (
        lambda s: (s.place, s.op, s.operand),
        lambda s: (s.place, s.op, s.operand, s.operation),
        lambda s: s.operation,
    ):
        for label in dict.fromkeys(map(key, seen)):
            cut = tuple(k for k, s in enumerate(seen) if key(s) == label)
            found.setdefault(cut, seen[cut[0]])
    return sorted(found.items(), key=lambda pair: pair[1].place not in suspects)


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
