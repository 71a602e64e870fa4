"""The gradient at a step in the middle is wrong, and all that lies before it is right.

If every claimed gradient is the true backward of the first steps, applied to one and the
same upstream gradient at some step, then the mistake lies behind that step: solve for what
came back there, and compare it with what should have.
"""

import numpy as np

from npssl.check.contract import peak
from npssl.check.slopes import COMPLEX
from npssl.clinic.causes import Cause
from npssl.clinic.numbers import spell
from npssl.clinic.scene import STEP
from npssl.clinic.trace import Tape
from npssl.clinic.wholes import ratio

LARGEST = 400  # entries of a step


def adjoint(scene, i):
    """At which step is what comes back wrong, how, and since where?"""
    if scene.method[i] != COMPLEX or not scene.arrays[i].size:
        return
    name, n = scene.names[i], scene.arrays[i].size
    claimed = scene.claimed[i].reshape(len(scene.D), n)
    truth = scene.truth[i].reshape(len(scene.D), n)
    for label, S in _jacobians(scene, i).items():
        if S.shape[0] > LARGEST or S.shape[0] == scene.m == 1:
            continue
        rank = np.linalg.matrix_rank(S)
        if rank >= n or not rank:  # then any gradient could have come through it
            continue
        inverse = np.linalg.pinv(S)
        found, should = claimed @ inverse, truth @ inverse
        if peak(found @ S - claimed) > 1e-8 * peak(claimed):
            continue
        kind, told = _how(scene, found, should)
        yield Cause(
            kind,
            (name,),
            f"d{name} goes back rightly from {label}, but what comes back to that step is wrong: "
            + told,
            cost=2.5,
            place=label,
            key=(label,),
        )
        return


def _jacobians(scene, i):
    """Step -> its Jacobian by the entries of argument i, last steps first."""
    a, rows = scene.arrays[i], []
    for k in range(a.size):
        unit = np.zeros(a.size)
        unit[k] = 1
        tape = Tape()
        try:
            scene.follow(i, tape, a + 1j * STEP * unit.reshape(a.shape))
        except Exception:  # this forward does not let itself be followed
            return {}
        rows.append(tape.complex_arrays)
    if len({len(r) for r in rows}) != 1:
        return {}
    steps = {}
    for column in reversed(list(zip(*rows))):
        label = column[0][0]
        S = np.stack([np.ravel(values.imag) / STEP for _, values in column], 1)
        if label not in steps and S.shape[0] > 1:
            steps[label] = S
    return steps


def _how(scene, found, should):
    """(name of the cause, evidence) for a gradient at a step."""
    gap = found - should
    c = ratio(found, should)
    if peak(found - c * should) <= 1e-7 * peak(found):
        told = spell(c, scene)
        return "scale", f"it is {c:.9g} times the true one" + (f" ({told[0][0]})" if told else "")
    same = gap / scene.D[:, :1] if scene.m == 1 else None
    if same is not None and peak(same - same[0]) <= 1e-7 * (1 + peak(same)):
        values = np.unique(np.round(same[0], 7))
        if len(values) <= 2 or _known(scene, same[0]):
            what = _known(scene, same[0]) or "a constant (0 or the same number everywhere)"
            return "term", f"the difference is {what}: a term is missing or has the wrong sign"
    k = np.unravel_index(int(np.argmax(np.abs(gap))), gap.shape)
    return "factor", f"for example it is {found[k]:.6g} where it should be {should[k]:.6g}"


def _known(scene, row):
    for label, q in scene.known():
        for what, v in ((label, q), (f"1 - {label}", 1 - q)):
            if v.size == row.size and peak(v):
                c = ratio(row, np.ravel(v))
                if peak(row - c * np.ravel(v)) <= 1e-6 * peak(row):
                    return f"{c:.6g} times {what}"
    return ""
