"""What can be seen before any number is compared: shapes, writes, prints, memory, noise."""

from itertools import combinations

import numpy as np

from npssl.check.contract import peak
from npssl.clinic.causes import Cause
from npssl.clinic.places import slab
from npssl.clinic.subject import ClinicError
from npssl.clinic.wholes import ratio, rearranged


def forward_signs(scene):
    """Refuse outputs that are no numbers; is the forward the same when called again?"""
    for k, out in enumerate(scene.y):
        if out.dtype.kind not in "f":
            raise ClinicError(f"output {k}: expected floating point numbers, found {out.dtype}")
        if not np.isfinite(out).all():
            at = tuple(map(int, np.argwhere(~np.isfinite(out))[0]))
            raise ClinicError(f"output {k}: NaN or infinity at {at}, at a finite point")
    again = scene.subject.values(*scene.arrays)
    if [a.shape for a in again] != scene.shapes or any(
        a.tobytes() != b.tobytes() for a, b in zip(again, scene.y)
    ):
        gap = max((peak(a - b) for a, b in zip(again, scene.y) if a.shape == b.shape), default=0.0)
        yield Cause(
            "noise",
            tuple(scene.names),
            f"the forward called twice with the same arguments differs by {gap:.3g}: noise is "
            "drawn outside the options (pass a generator as a keyword: it is copied for each call)",
            cost=0.0,
        )


def claims(scene):
    """Fill in what ``back`` claims; yields what is broken about it, argument by argument."""
    arrays, names = scene.arrays, scene.names
    raw = [scene.subject(*arrays)[1](scene.upstream(d)) for d in scene.D]
    if len(raw[0]) != len(arrays):
        shapes = ", ".join(str(np.shape(g)) for g in raw[0])
        yield Cause(
            "count",
            tuple(names),
            f"expected one gradient for each of {', '.join(names)}, {len(arrays)} in all; found "
            f"{len(raw[0])}, of shapes {shapes}",
            cost=0.0,
        )
        found = list(zip(*raw))[: len(arrays)]
        found += [None] * (len(arrays) - len(found))
    else:
        found = list(zip(*raw))
    for name, a, rows in zip(names, arrays, found):
        if rows is None or any(r is None for r in rows):
            scene.claimed.append(np.zeros((len(scene.D), *a.shape)))
            continue
        rows = [np.asarray(r) for r in rows]
        kind, shape = rows[0].dtype, rows[0].shape
        if kind.kind not in "f":
            yield Cause(
                "dtype",
                (name,),
                f"d{name}: expected {a.dtype}, found {kind}"
                + (": the imaginary part was not dropped" if kind.kind == "c" else ""),
                cost=0.0,
            )
            rows = [
                np.real(r).astype(float) if kind.kind in "ciub" else np.full(a.shape, np.nan)
                for r in rows
            ]
        elif kind.itemsize < 8 and not scene.coarse:
            yield Cause(
                "dtype",
                (name,),
                f"d{name}: expected {a.dtype}, found {kind}: digits were lost on the way",
                cost=2.0,
                exact=False,
                explained=0.5,
            )
        if shape != a.shape:
            scene.claimed.append(np.full((len(scene.D), *a.shape), np.nan))
            scene.misshapen[len(scene.claimed) - 1] = np.stack(rows)
            continue
        claimed = np.stack([r.astype(float) for r in rows])
        if not np.isfinite(claimed).all():
            at = tuple(map(int, np.argwhere(~np.isfinite(claimed))[0][1:]))
            yield Cause("not finite", (name,), f"d{name} is NaN or infinite at {at}", cost=0.0)
            claimed = np.full(claimed.shape, np.nan)
        scene.claimed.append(claimed)


def shapes(scene):
    """Why a gradient has another shape than its argument."""
    for i, rows in scene.misshapen.items():
        name, a, truth = scene.names[i], scene.arrays[i], scene.truth[i]
        told = f"d{name} has the shape {rows.shape[1:]}, expected {a.shape}"
        for j, other in enumerate(scene.truth):
            if j != i and other.shape == rows.shape and _same(rows, other):
                yield Cause(
                    "argument order",
                    (name,),
                    f"{told}: it is d{scene.names[j]}",
                    cost=0.0,
                    key=("order",),
                )
                break
        else:
            yield Cause(*_why(name, told, rows, truth), cost=0.0)  # type: ignore[misc]


def _why(name, told, rows, truth):
    for many in range(1, rows.ndim):
        for over in combinations(range(1, rows.ndim), many):
            for keep in (False, True):
                total = rows.sum(over, keepdims=keep)
                if total.size == truth.size and _same(total.reshape(truth.shape), truth):
                    where = ", ".join(str(k - 1) for k in over)
                    return (
                        "sum",
                        (name,),
                        f"{told}: it is right once it is summed over axis {where}, "
                        f"along which {name} was broadcast",
                    )
    for many in range(1, truth.ndim):
        for over in combinations(range(1, truth.ndim), many):
            total = truth.sum(over)
            if total.size == rows.size and _same(rows.reshape(total.shape), total):
                where = ", ".join(str(k - 1) for k in over)
                return (
                    "sum",
                    (name,),
                    f"{told}: it was summed over axis {where}, which {name} has of its own",
                )
    if rows.size == truth.size:
        if _same(rows.reshape(truth.shape), truth):
            return "shape", (name,), f"{told}: the numbers are right, they lack a reshape"
        if rows.ndim == truth.ndim and rows.ndim > 1:
            for what, turned in rearranged(rows, rows.ndim - 1):
                if turned.size == truth.size and _same(turned.reshape(truth.shape), truth):
                    return "axes", (name,), f"{told}: it is right {what}"
            if rows.ndim == 3 and _same(rows.swapaxes(1, 2), truth):
                return "axes", (name,), f"{told}: it is transposed"
            c = ratio(rows.swapaxes(1, 2), truth) if rows.ndim == 3 else 0
            if c and _same(rows.swapaxes(1, 2), c * truth):
                return "axes", (name,), f"{told}: it is transposed, and {c:.9g} times too large"
    return "shape", (name,), told


def _same(a, b):
    return a.shape == b.shape and peak(a - b) <= 1e-8 * max(peak(b), 1e-300)


def memory(scene):
    """Writes to what was lent, prints, a cache that changes or goes stale, no linearity."""
    wrote = scene.subject.wrote
    for name, who in wrote.items():
        yield Cause(
            "mutated input" if name != "dy" else "mutated dy",
            (name,),
            f"{who} writes to {name}, which it was only lent",
            cost=0.2,
        )
    dys = [scene.upstream(d) for d in scene.D[:2]]
    _, back = scene.subject(*scene.arrays)
    first = [_array(g) for g in back(dys[0])]
    kept = [g.copy() for g in first]
    second = [_array(g) for g in back(dys[0])]
    for i, (name, a, b, c) in enumerate(zip(scene.names, kept, second, first)):
        if a.shape != b.shape or a.tobytes() != b.tobytes():
            again = [_array(g) for g in scene.subject(*scene.arrays)[1](dys[0])]
            fresh = any(x.tobytes() != z.tobytes() for x, z in zip(kept, again))
            if fresh:
                yield from _unset(scene, i, [a, b, again[i]])
                yield Cause(
                    "noise",
                    (name,),
                    f"d{name}: the backward called twice on fresh forwards gives two gradients: "
                    "it draws noise of its own, keeps something from call to call, or leaves "
                    "entries of an empty array unset",
                    cost=0.3,
                )
            else:
                times = ratio(b, a) if a.shape == b.shape else 0.0
                also = f" ({times:.6g} times the first)" if _same(b, times * a) else ""
                yield Cause(
                    "stale cache",
                    (name,),
                    f"d{name}: back called twice gives two gradients{also}: "
                    "the first call changed what back remembers",
                    cost=0.3,
                    key=("twice",),
                )
        elif a.tobytes() != c.tobytes():
            yield Cause(
                "stale cache",
                (name,),
                f"d{name}: a second call of back overwrites the first gradient",
                cost=0.3,
            )
    _, back = scene.subject(*scene.arrays)
    moved = [a * 1.25 + 0.125 for a in scene.arrays]
    try:
        scene.subject(*moved)
        late = [_array(g) for g in back(dys[0])]
    except Exception:
        late = kept
    for name, a, b in zip(scene.names, kept, late):
        if a.shape != b.shape or not np.allclose(a, b, 1e-9, 1e-12 * (1 + peak(a)), equal_nan=True):
            yield Cause(
                "stale cache",
                (name,),
                f"d{name} changes when the forward runs again elsewhere before back "
                "is called: the cache is shared between calls",
                cost=0.3,
                key=("shared",),
            )
    zero = scene.subject(*scene.arrays)[1](scene.upstream(0 * scene.D[0]))
    mixed = scene.subject(*scene.arrays)[1](scene.upstream(scene.D[0] - 2 * scene.D[1]))
    for i, (name, claimed, o, c) in enumerate(zip(scene.names, scene.claimed, zero, mixed)):
        a, b, o, c = claimed[0], claimed[1], _array(o), _array(c)
        if not a.shape == b.shape == c.shape == o.shape:
            continue
        gap = peak((c - o) - ((a - o) - 2 * (b - o)))
        near = 1e-2 if scene.coarse or c.dtype.itemsize < 8 else 1e-9
        if gap > near * max(peak(a), peak(b), scene.scale(i)):
            yield Cause(
                "not linear",
                (name,),
                f"d{name} is not linear in dy: back(a - 2 b) misses back(a) - 2 back(b) "
                f"by {gap:.3g} (a square, a sign or a norm of dy; dy used twice)",
                cost=1.4,
            )


def _unset(scene, i, calls):
    """Only some entries change from call to call, and all others are right?"""
    name, same = scene.names[i], np.logical_and.reduce([c == calls[0] for c in calls])
    if i in scene.misshapen or same.all() or not same.any():
        return
    if peak((calls[0] - scene.truth[i][0])[same]) <= scene.bar * scene.scale(i):
        place, _ = slab(~same)
        yield Cause(
            "part",
            (name,),
            f"d{name}: {(~same).sum()} of {same.size} entries change from call to call, all at "
            f"{place}, and the others are right: they are never written (numpy.empty)",
            cost=0.25,
            place=place,
        )


def _array(g):
    return np.asarray(0.0 if g is None else g)
