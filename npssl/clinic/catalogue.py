"""The catalogue of causes: small hypotheses, each tried on every argument that is wrong.

A hypothesis is ``fit(scene, i)``; it yields a `Cause` for each way in which it explains
the gradient that was claimed for argument i, or nothing.
"""

import time

import numpy as np

from npssl.check.contract import peak
from npssl.clinic import adjoints, elsewhere, factors, places, steps, terms, wholes
from npssl.clinic.causes import Cause, ranked
from npssl.clinic.subject import ClinicError

QUICK = (
    wholes.scale,
    wholes.order,
    wholes.axes,
    wholes.sums,
    places.repeated,
    places.mask,
    places.picked,
    places.part,
    terms.offset,
    terms.branch,
    elsewhere.options,
    elsewhere.noise,
    elsewhere.points,
    factors.activation,
    factors.known_factor,
    factors.weight,
    terms.known_gap,
    terms.product_gap,
    terms.shape_of_gap,
)
SECONDS = 15.0  # of the processor, after which no further hypothesis is begun
CROOKED = {"offset", "not linear"}  # then it is no matrix times dy, as all steps are
# these search long: only where nothing that fits exactly costs less than the number
SLOW = ((steps.steps, 1.65), (adjoints.adjoint, 2.3), (wholes.crossed, 2.3))


def explain(scene, wrong, signs):
    """Causes for the arguments in ``wrong``, the likeliest first."""
    found, end = list(signs), time.thread_time() + SECONDS
    for i in wrong:
        if not np.isfinite(scene.claimed[i]).all():
            continue
        scene.remember_steps(i)
        for fit in QUICK:
            if time.thread_time() < end:
                found += tried(fit, scene, i)
        for fit, plain in SLOW:
            mine = [c for c in found if scene.names[i] in c.arguments]
            if any(c.name in CROOKED or (c.exact and c.cost < plain) for c in mine):
                continue
            if time.thread_time() < end:
                found += tried(fit, scene, i)
        if not any(c.exact and scene.names[i] in c.arguments for c in found):
            found.append(nothing_fits(scene, i))
    return ranked(found, [scene.names[i] for i in wrong])


def tried(fit, scene, i):
    """What one hypothesis says; nothing if the functions refuse what it tries."""
    try:
        with np.errstate(all="ignore"):
            return list(fit(scene, i))
    except (ClinicError, np.linalg.LinAlgError):
        return []


def nothing_fits(scene, i):
    """No hypothesis explains it: is it a gradient of anything?"""
    name, a = scene.names[i], scene.arrays[i]
    told = "nothing in the catalogue explains it"
    if 2 <= a.size <= 40:
        try:
            H = _derivative_of_claim(scene, i)
            if a.size > 2 and scene.m == 1 and _apart(scene, i, H):
                told = "the slope at each entry depends on that entry alone, and is the wrong one"
                return Cause("activation", (name,), f"d{name}: {told}", cost=3.5)
            odd = peak(H - H.T) / (peak(H) or 1)
            told += (
                ", but it is the gradient of some function: forward and backward describe two "
                "different functions"
                if odd < 1e-4
                else ", and it is no function's gradient (its derivative is not symmetric)"
            )
        except Exception:  # the backward does not like to be moved
            pass
    return Cause("different functions", (name,), f"d{name}: {told}", 0.0, False, 9.0)


def _apart(scene, i, H):
    """Is the loss a sum over entries, by what was claimed (derivative H) and in truth?"""
    if peak(H - np.diag(np.diag(H))) > 1e-6 * peak(H):
        return False
    moved = scene.arrays[i].copy()
    moved.reshape(-1)[::2] += 0.05
    arrays = [moved if j == i else b for j, b in enumerate(scene.arrays)]
    there, here = scene.jacobian_of(i, arrays=arrays), scene.jacobian[i]
    return peak((there - here)[:, 1::2]) <= 1e-9 * peak(here)


def _derivative_of_claim(scene, i):
    a, rows, h = scene.arrays[i], [], 1e-5
    for k in range(a.size):
        ends = []
        for sign in (1, -1):
            moved = a.copy()
            moved.reshape(-1)[k] += sign * h
            arrays = [moved if j == i else b for j, b in enumerate(scene.arrays)]
            ends.append(np.asarray(scene.subject(*arrays)[1](scene.upstream(scene.D[0]))[i], float))
        rows.append((ends[0] - ends[1]).ravel() / (2 * h))
    return np.array(rows)
