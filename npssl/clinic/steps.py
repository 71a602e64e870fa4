"""One step of the forward is differentiated wrongly: each is cut, resized and bent in turn."""

import time
from itertools import combinations

import numpy as np

from npssl.check.contract import peak
from npssl.check.slopes import COMPLEX
from npssl.clinic.bends import bends, unary
from npssl.clinic.causes import Cause
from npssl.clinic.levels import levels
from npssl.clinic.numbers import spell
from npssl.clinic.view import View

PLAIN = 2.5  # a cause that costs no more ends the search
SECONDS = 6.0  # of the processor, for all runs of the forward with one step changed
DEEP = 2  # levels from which on only one argument is searched
PAIRS = 60  # steps among which pairs are tried
PATHS = 20  # of as many at most paths through two


def steps(scene, i):
    """One step of the forward is differentiated wrongly: cut off, of another size, or bent."""
    if scene.method[i] != COMPLEX or not scene.arrays[i].size or not scene.m:
        return
    end = time.thread_time() + (SECONDS if not scene.diagonal(i) else SECONDS / 4)
    view, name = View(scene, i), scene.names[i]
    tape = view.record()
    if tape is None or peak(view.gap) == 0:
        return
    seen = tape.steps
    parts: dict[int, np.ndarray] = {}  # step -> the slopes that come through it
    found, suspects = False, set(scene.suspects)
    for depth, level in enumerate(levels(tape)):
        if depth >= DEEP and scene.vain:  # what another argument did not show is not there
            break
        for cut, s in sorted(level.items(), key=lambda pair: pair[1].place not in suspects):
            if time.thread_time() > end or (found and suspects and s.place not in suspects):
                break
            for cause in _causes(view, name, seen, cut, s, parts):
                scene.suspects.append(s.place)
                found |= cause.cost <= PLAIN
                yield cause
        if found:
            return
    scene.vain = True
    yield from _pairs(view, name, seen, parts)
    yield from _paths(view, name, seen, parts, end)


def _causes(view, name, seen, cut, s, parts):
    """What is said if the steps ``cut`` are wrong, all in the same way."""
    n = view.first
    kept: dict[int, np.ndarray | None] = {}

    def slopes(n):
        if n not in kept:
            kept[n] = view.slopes(n, cut)
        return kept[n]

    def rest(n):
        return None if slopes(n) is None else view.scene.D @ slopes(n)

    if rest(n) is None:
        return
    through = view.truth[:, :n] - rest(n)
    if peak(through) <= 1e-12 * peak(view.truth[:, :n]):
        return
    called = isinstance(cut[0], tuple)
    one = called or len({seen[k].operation for k in cut}) == len(cut)  # operand of each operation
    if len(cut) == 1 and not called:
        parts[cut[0]] = view.right[:, :n] - slopes(n)
    everything = peak(rest(n)) <= 1e-12 * peak(view.truth[:, :n])
    if not everything:
        c = view.fit(
            lambda n: view.gap[:, :n],
            lambda n: None if rest(n) is None else view.truth[:, :n] - rest(n),
        )
        if c is not None:
            yield from _term(view.scene, name, s, c, not one)
        for times in (-1.0, 2.0, 0.5) if len(cut) > 1 else ():  # in each round once more

            def again(n, times=times):
                return view.run(n, cut, None, times)

            if view.same(again):
                yield from _term(view.scene, name, s, times - 1, not one)
        for what, D in view.weighted if one else ():
            c = view.fit(
                lambda n: None if rest(n) is None else view.claimed[:, :n] - rest(n),
                lambda n, D=D: None if slopes(n) is None else D @ (view.right[:, :n] - slopes(n)),
            )
            if c is not None and abs(c - 1) < 1e-6:
                told = f"the term of d{name} that comes through {_which(s)} is taken {what}"
                yield Cause("factor", (name,), told, cost=2.4, place=s.place, key=(s.place, what))
    if len(s.shape) > 1 and s.shape[-1] == s.shape[-2] > 1 and one:
        if view.same(lambda n: view.run(n, cut, None, lambda t: t.swapaxes(-1, -2))):
            told = f"what comes back to {_which(s)} is transposed: d{name} is right for it"
            yield Cause(
                "axes", (name,), told, cost=2.3, place=s.place, key=(s.place, s.op, "turned")
            )
    for what, bend in bends(s, view.scene, _picks(seen, cut)).items() if one else ():

        def bent(n, bend=bend):
            found = view.run(n, cut, bend)
            return None if found is None or rest(n) is None else found - rest(n)

        c = view.fit(lambda n: None if rest(n) is None else view.claimed[:, :n] - rest(n), bent)
        if c is not None and abs(c) > 1e-9:
            yield _bent(view.scene, name, s, what, c)
            return
    if called and s.shape and s.shape[-1] % 2 == 0:
        yield from _half(view, name, cut, s)
    if one and unary(s):
        yield from _polynomial(view, name, cut, s, rest)


def _picks(seen, cut):
    """Which entries each step picks, if all of them are indexings."""
    if isinstance(cut[0], tuple) or not all(seen[k].picks for k in cut):
        return []
    return [np.frombuffer(p, int) for p in dict.fromkeys(seen[k].picks for k in cut)]


def _half(view, name, cut, s):
    """A function of two gates at once, of which one has a wrong derivative."""
    half = s.shape[-1] // 2
    for which, part in (("first", slice(half)), ("second", slice(half, None))):
        for what, bend in bends(s, view.scene).items():
            if view.same(lambda n, bend=bend, part=part: view.run(n, cut, bend, 0.0, part)):
                told = f"d{name} goes back through the {which} half of {_which(s)} {what}"
                key = s.place, s.op, which, what
                yield Cause("activation", (name,), told, cost=2.45, place=s.place, key=key)
                return


def _polynomial(view, name, cut, s, rest):
    """The local derivative as a polynomial in the step's output, or in its input."""
    for whose, at in (("output", lambda p, y: y.real), ("input", lambda p, y: p[0])):
        powers = [lambda k, p, t, y, d=d, at=at: t * at(p, y) ** d for d in range(3)]
        for n in (view.first, len(view.V)):
            terms = [view.run(n, cut, bend) for bend in powers]
            if any(t is None for t in terms) or rest(n) is None:
                break
            A = np.stack([(t - rest(n)).ravel() for t in terms], 1)
            c = np.linalg.lstsq(A, (view.claimed[:, :n] - rest(n)).ravel(), rcond=1e-9)[0]
            if not view.close(view.claimed[:, :n] - rest(n) - (A @ c).reshape(-1, n)):
                break
        else:
            if peak(c) < 1e-9:  # nothing comes through: then a term is missing
                return
            plain = np.allclose(4 * c, np.round(4 * c), 0, 1e-5)
            some = " + ".join(f"{v:.6g} {whose}^{d}" for d, v in enumerate(c) if abs(v) > 1e-7)
            told = f"d{name} goes back through {_which(s)} with the derivative {some}"
            yield Cause(
                "activation",
                (name,),
                told,
                cost=2.45 if plain else 3.0,
                place=s.place,
                key=(s.place, s.op, "polynomial", whose),
            )
            return


def _which(s):
    place = f" ({s.place})" if s.place else ""
    operand = f"operand {s.operand + 1} of " if s.operands > 1 and s.op != "indexing" else ""
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
    key = (s.place, s.op, s.operand, round(factor, 6))
    yield Cause(kind, (name,), what, cost=cost, value=factor, place=s.place, key=key)
    if s.op == "indexing" and s.direct and abs(factor) < 1e-6:
        what += ", or it was written over by what came back through another"
        yield Cause("repeated ids", (name,), what, cost=cost + 0.1, place=s.place, key=key)


def _bent(scene, name, s, what, c):
    plain = abs(c - 1) < 1e-6
    told = [] if plain else spell(c, scene)
    factor = "" if plain else f", times {c:.9g}" + (f" ({told[0][0]})" if told else "")
    kind = "activation" if s.operands == 1 else "factor"
    kind = "axes" if "transposed" in what else "sum" if s.op == "add.reduce" else kind
    kind = "repeated ids" if s.op == "indexing" else kind
    cost = 2.3 if s.op != "indexing" else 1.5
    cost += 0 if plain else 0.3 + (told[0][1] if told else 1.0)
    return Cause(
        kind,
        (name,),
        f"d{name} goes back through {_which(s)} {what}{factor}",
        cost=cost,
        value=c,
        place=s.place,
        key=(s.place, s.op, s.operand, what),
    )


def _pairs(view, name, seen, parts):
    """Two terms that are both wrong, each by its own factor."""
    some, y = list(parts)[:PAIRS], view.gap[:, : view.first].ravel()
    through = {k: (view.scene.D @ parts[k]).ravel() for k in some}
    for pair in combinations(some, 2):
        c = _both(y, *(through[k] for k in pair))
        if c is None or not view.close((y - c @ [through[k] for k in pair])[:, None]):
            continue
        rest = [view.run(len(view.V), (k,)) for k in pair]
        if any(r is None for r in rest):
            continue
        c = _both(view.gap.ravel(), *((view.truth - r).ravel() for r in rest))
        if c is None or not view.close(
            view.gap - sum(x * (view.truth - r) for x, r in zip(c, rest))
        ):
            continue
        told = [spell(1 + x, view.scene) if abs(1 + x) > 1e-6 else [("missing", 0)] for x in c]
        what = [
            f"through {_which(seen[k])} "
            + ("is missing" if abs(1 + x) < 1e-6 else f"is {1 + x:.9g} times")
            for k, x in zip(pair, c)
        ]
        yield Cause(
            "term",
            (name,),
            f"two terms of d{name} are wrong: {what[0]}, {what[1]}",
            cost=3.2 + sum(0.0 if t else 0.6 for t in told),
            key=(seen[pair[0]].place, seen[pair[1]].place, "pair"),
        )
        return


def _paths(view, name, seen, parts, end):
    """A term that comes through two steps in turn, where both let other terms through too."""
    if len(parts) > PATHS:
        return
    D, apart = view.scene.D, 1e-9 * peak(view.right)
    for one, two in combinations(sorted(parts), 2):
        if time.thread_time() > end:
            return

        def through(n, one=one, two=two):
            cuts = [view.slopes(n, cut) for cut in ((one,), (two,), (one, two))]
            if any(c is None for c in cuts):
                return None
            return view.right[:, :n] - cuts[0] - cuts[1] + cuts[2]

        def term(n, D=D, through=through):
            T = through(n)
            return None if T is None else D @ T

        T = through(view.first)
        if T is None or peak(T) <= apart or any(peak(T - parts[k]) <= apart for k in (one, two)):
            continue
        which = f"{_which(seen[one])} and {_which(seen[two])}"
        key = seen[one].place, seen[two].place
        c = view.fit(lambda n: view.gap[:, :n], term)
        if c is not None:
            told = spell(1 + c, view.scene) if abs(1 + c) > 1e-6 else [("missing", 0.0)]
            what = f"the term of d{name} that comes through {which} is {1 + c:.9g} times too large"
            what = what if abs(1 + c) > 1e-6 else what.split(" is ")[0] + " is missing"
            cost = 2.4 + (told[0][1] if told else 0.9)
            yield Cause("term", (name,), what, cost=cost, value=1 + c, key=(*key, round(c, 6)))
            return
        for what, weighted in view.weighted:
            left = lambda n, term=term: None if term(n) is None else view.gap[:, :n] + term(n)
            c = view.fit(left, lambda n, E=weighted, term=term: term(n, E))
            if c is not None and abs(c - 1) < 1e-6:
                told = f"the term of d{name} that comes through {which} is taken {what}"
                yield Cause("factor", (name,), told, cost=2.6, key=(*key, what))
                return


def _both(y, a, b):
    """The two numbers that take a and b nearest to y; None where a and b are parallel."""
    A = np.stack([a, b], 1)
    G = A.T @ A
    if np.linalg.det(G) <= 1e-10 * G[0, 0] * G[1, 1]:
        return None
    return np.linalg.solve(G, A.T @ y)
