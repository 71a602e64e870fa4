"""The gradient is right in some places and wrong in others: where, and what is there."""

import numpy as np

from npssl.check.contract import peak
from npssl.clinic.causes import Cause
from npssl.clinic.numbers import spell
from npssl.clinic.wholes import ratio


def bad_entries(scene, i):
    """Boolean, of the argument's shape: wrong for some upstream gradient."""
    gap = np.abs(scene.claimed[i] - scene.truth[i])
    return (gap > max(scene.bar * scene.scale(i), 1e-5 * peak(gap))).any(0)


def part(scene, i):
    """Only some rows, heads, time steps or channels."""
    name, bad = scene.names[i], bad_entries(scene, i)
    if bad.all() or not bad.any():
        return
    place, picked = slab(bad)
    c = ratio(scene.claimed[i][:, bad], scene.truth[i][:, bad])
    guess = scene.truth[i].copy()
    guess[:, bad] *= c
    exact = scene.exact(i, guess)
    told = spell(c, scene) if exact and c else []
    what = (
        "there it is zero" if exact and abs(c) < 1e-12 else f"there it is {c:.9g} times the truth"
    )
    if told:
        what += f" ({told[0][0]})"
    count = f"{bad.sum()} of {bad.size} entries are wrong"
    yield Cause(
        "part",
        (name,),
        f"d{name}: {count}, all at {place}" + (f"; {what}" if exact else ""),
        cost=2.6 if not picked else 1.92 if exact else 2.2,
        exact=exact,
        explained=1.0 if exact else min(0.55, scene.explained(i, guess)),
        value=c if exact else None,
        place=place,
        key=(place,),
    )


def slab(bad):
    """The axis and indices that hold all that is wrong, and whether they are all wrong."""
    best = None
    for axis in range(bad.ndim):
        others = tuple(k for k in range(bad.ndim) if k != axis)
        hit = np.flatnonzero(bad.any(others))
        filled = bool(bad.take(hit, axis).all())
        if len(hit) < bad.shape[axis] or (best is None and bad.ndim == 1):
            row = (not filled, len(hit) / bad.shape[axis], axis, hit)
            best = row if best is None or row[:2] < best[:2] else best
    if best is None:
        worst = [tuple(map(int, w)) for w in np.argwhere(bad)[:6]]
        return f"entries {worst}" + (" ..." if bad.sum() > 6 else ""), False
    miss, _, axis, hit = best
    some = ", ".join(map(str, hit[:8])) + (" ..." if len(hit) > 8 else "")
    return f"index {some} of axis {axis}", not miss


def repeated(scene, i):
    """Rows whose number stands in the ids more than once, and only those."""
    name, a, bad = scene.names[i], scene.arrays[i], bad_entries(scene, i)
    if a.ndim == 0 or not bad.any():
        return
    right = ~bad & (scene.truth[i] != 0).any(0)
    hit = set(np.flatnonzero(bad.reshape(len(a), -1).any(1)).tolist())
    for label, ids in scene.subject.options.items():
        if not isinstance(ids, np.ndarray) or ids.dtype.kind not in "iu" or not ids.size:
            continue
        if ids.min() < 0 or ids.max() >= len(a):
            continue
        rows, times = np.unique(ids, return_counts=True)
        many = set(rows[times > 1].tolist())
        if many and hit <= many and len(hit) >= 0.5 * len(many):
            yield Cause(
                "repeated ids",
                (name,),
                f"d{name} is wrong in rows {sorted(hit)}, which are those that stand in {label} "
                "more than once: they were written, not added (np.add.at adds)",
                cost=2.8 if scene.picked else 0.6 if right.any() else 2.4,
                exact=not scene.picked,  # where they are, `bends` can tell for certain
                explained=0.5,
                key=(label,),
            )


def picked(scene, i):
    """Wrong in those entries, and only those, that one line of the forward picks."""
    name, bad = scene.names[i], bad_entries(scene, i)
    for place, entries, whole in scene.picked:
        reached = np.zeros(bad.size, bool)
        if whole:
            reached[entries.ravel()] = True
        if reached.all() or not (reached & bad.ravel()).any() or (bad.ravel() & ~reached).any():
            continue
        rows = sorted({int(r) for r in np.argwhere(reached.reshape(bad.shape))[:, 0]})
        yield Cause(
            "term",
            (name,),
            f"d{name} is wrong only in rows {rows}, which are those that {place} picks: what comes "
            "back through it is wrong",
            explained=0.4,
            exact=False,
            cost=2.1,
            place=place,
            key=("picked", place, tuple(rows)),
        )


def mask(scene, i):
    """Something flows where a mask says that nothing does."""
    name, truth, claimed = scene.names[i], scene.truth[i], scene.claimed[i]
    dead = (truth == 0).all(0)
    leaks = dead & (np.abs(claimed).max(0) > scene.bar * scene.scale(i))
    if not leaks.any() or dead.all():
        return
    masks = [
        k for k, m in scene.subject.options.items() if isinstance(m, np.ndarray) and m.dtype == bool
    ]
    only = not bad_entries(scene, i)[~dead].any()
    for k in masks or [""]:
        told = f"{k} hides" if k else "the forward hides"
        yield Cause(
            "mask",
            (name,),
            f"d{name} is not zero in {leaks.sum()} entries that {told} (for example at "
            f"{tuple(map(int, np.argwhere(leaks)[0]))}): the mask is not applied in the backward",
            cost=1.0 if only else 2.1,
            exact=only,
            explained=0.9,
            key=(k,),
        )
