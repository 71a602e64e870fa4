"""The gradient is right, but of another function: other options, another point, other noise."""

import copy

import numpy as np

from npssl.check.contract import peak
from npssl.clinic.causes import Cause
from npssl.clinic.wholes import ratio

EPSILONS = (0.0, 1e-12, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1)


def _gradient(scene, i, arrays=None, **other):
    """What a right backward would give there, for all upstream gradients; or None."""
    try:
        with np.errstate(all="ignore"):
            J = scene.jacobian_of(i, None, arrays, **other)
        if J.shape[0] != scene.m or not np.isfinite(J).all():
            return None
        return (scene.D @ J).reshape(scene.truth[i].shape)
    except Exception:  # the forward refuses what was tried
        return None


def _screened(scene, i, arrays=None, **other):
    """As `_gradient`, but looks along one direction first: None if it cannot be it."""
    v = np.random.default_rng(2).standard_normal(scene.arrays[i].shape)
    try:
        with np.errstate(all="ignore"):
            slope = scene.D @ scene.slope(i, v, scene.method[i], arrays, **other)
    except Exception:
        return None
    have = (scene.claimed[i].reshape(len(scene.D), -1) @ v.ravel()).ravel()
    want = (scene.truth[i].reshape(len(scene.D), -1) @ v.ravel()).ravel()
    c = ratio(have, slope)
    if peak(have - c * slope) > 1e-3 * peak(have - want) + 1e-9 * peak(have):
        return None
    return _gradient(scene, i, arrays, **other)


def alternatives(scene):
    """(name of the cause, what it would mean, options, cost)"""
    for key, value in scene.options_of_forward().items():
        if isinstance(value, np.random.Generator):
            yield (
                "train or evaluation",
                f"{key} = None: backward and forward are in different modes",
                {key: None},
                1.1,
            )
            later = copy.deepcopy(value)
            later.random()
            for n in (scene.m, scene.arrays[0].size):
                after = copy.deepcopy(value)
                after.random(n)
                yield "noise", "the noise drawn afresh, not that of the forward", {key: after}, 1.1
                after = copy.deepcopy(value)
                after.random(n, dtype=np.float32)
                yield "noise", "the noise drawn afresh, not that of the forward", {key: after}, 1.1
        elif isinstance(value, np.ndarray) and value.dtype == bool:
            yield (
                "mask",
                f"{key} all True: the mask is not applied in the backward",
                {key: np.ones_like(value)},
                1.2,
            )
            yield "mask", f"{key} inverted", {key: ~value}, 1.3
            if value.ndim >= 2 and value.shape[-1] == value.shape[-2]:
                yield "mask", f"{key} transposed", {key: value.swapaxes(-1, -2)}, 1.3
        elif isinstance(value, (bool, np.bool_)):
            yield "option", f"{key} = {not value}, not {value}", {key: not value}, 1.3
        elif isinstance(value, (float, int)) and not isinstance(value, bool):
            tries = {
                0.0,
                1.0,
                -float(value),
                2.0 * value,
                0.5 * value,
                float(value) ** 2,
                1.0 - value,
            }
            if value:
                tries.add(1 / value)
            small = 0 < abs(value) < 0.2
            tries |= set(EPSILONS) if small else set()
            for other in sorted(tries - {float(value)}):
                what = "epsilon" if small and "eps" in key else "option"
                other = int(other) if isinstance(value, int) and other == int(other) else other
                yield what, f"{key} = {other:g}, where the forward has {value:g}", {key: other}, 1.5
        elif isinstance(value, str):
            for other in scene.strings_of_forward():
                if other != value:
                    kind = "activation" if scene.diagonal(0) else "option"
                    yield (
                        kind,
                        f"{key} = {other!r}, where the forward has {value!r}",
                        {key: other},
                        1.2,
                    )
        elif isinstance(value, np.ndarray) and value.dtype.kind == "f" and np.ptp(value):
            yield (
                "weight",
                f"{key} all ones: the backward does not apply it",
                {key: np.ones_like(value)},
                1.5,
            )


def options(scene, i):
    """The gradient of the same forward with another option."""
    for what, told, other, cost in alternatives(scene):
        guess = _screened(scene, i, **other)
        if guess is not None and scene.exact(i, guess):
            yield Cause(
                what,
                (scene.names[i],),
                f"d{scene.names[i]} is the gradient of the forward with {told}",
                cost=cost,
                key=(told,),
            )


def points(scene, i):
    """The gradient at another point: at y, at a transposed matrix, at a changed argument."""
    name = scene.names[i]
    for what, kind, moved in _other_points(scene):
        guess = _screened(scene, i, moved)
        if guess is None:
            continue
        if scene.exact(i, guess):
            yield Cause(kind, (name,), f"d{name} is the gradient at {what}", cost=1.7, key=(what,))
        else:
            c = ratio(scene.claimed[i], guess)
            if c and scene.exact(i, c * guess):
                told = f"d{name} is {c:.9g} times the gradient at {what}"
                yield Cause(kind, (name,), told, cost=2.5, key=(what,))


def _other_points(scene):
    for j, a in enumerate(scene.arrays):
        name = scene.names[j]

        def at(value, j=j):
            return [value if k == j else b for k, b in enumerate(scene.arrays)]

        if len(scene.shapes) == 1 and scene.shapes[0] == a.shape and a.ndim:
            yield f"{name} = y, the output instead of the input", "activation", at(scene.y[0])
        if a.ndim >= 2 and a.shape[-1] == a.shape[-2] and a.shape[-1] > 1:
            yield f"{name} with its last two axes swapped", "axes", at(a.swapaxes(-1, -2).copy())
        for what, value in (
            ("ones", np.ones_like(a)),
            ("zeros", np.zeros_like(a)),
            ("minus itself", -a),
        ):
            yield (
                f"{name} = {what}: the backward does not use {name} as the forward does",
                "factor",
                at(value),
            )
        if a.ndim >= 1 and a.shape[0] > 1:
            yield f"{name} with its first axis reversed", "axes", at(np.flip(a, 0).copy())
        for k, b in enumerate(scene.arrays):
            if k > j and b.shape == a.shape:
                both = list(scene.arrays)
                both[j], both[k] = b, a
                yield f"{name} and {scene.names[k]} exchanged", "argument order", both
                yield (
                    f"{scene.names[k]} = {name}",
                    "factor",
                    [a if q == k else c for q, c in enumerate(scene.arrays)],
                )
                yield f"{name} = {scene.names[k]}", "factor", at(b)


def noise(scene, i):
    """Zeros where the truth has none and the reverse: the noise of another draw."""
    name, truth, claimed = scene.names[i], scene.truth[i], scene.claimed[i]
    if not any(isinstance(v, np.random.Generator) for v in scene.subject.options.values()):
        return
    lost = (claimed == 0).all(0) & (truth != 0).any(0)
    found = (claimed != 0).any(0) & (truth == 0).all(0)
    if lost.any() and found.any():
        yield Cause(
            "noise",
            (name,),
            f"d{name} is zero in {lost.sum()} entries where it should not be, and not zero in "
            f"{found.sum()} where it should: the backward draws its own noise",
            cost=1.3,
            exact=scene.diagonal(i),  # elsewhere zeros may come from other mistakes too
            explained=0.6,
            key=("noise",),
        )
