"""The rules by which others tell a right gradient from a wrong one, on NumPy functions.

Numbers as in the sources of the releases named; each rule is told what its library is told:
the outputs, the gradients that ``back`` returns, and nothing else.  An exception, a wrong
shape or NaN counts as caught for all of them.  ``run(*arrays) -> (ys, back)``.
"""

import numpy as np


def torch_gradcheck(run, arrays, rng):
    """`torch.autograd.gradcheck` (2.13): eps=1e-6, atol=1e-5, rtol=1e-3, nondet_tol=0.

    All entries of the Jacobian by central differences, allclose(analytical, numerical); the
    backward is run twice for every output and must repeat itself.
    """
    ys, back = run(*arrays)
    m = sum(y.size for y in ys)
    numerical = np.concatenate([_columns(run, arrays, i, 1e-6) for i in range(len(arrays))], 0)
    rows = []
    for k in range(m):
        dys = _units(ys, k)
        one, two = _flat(back(dys), arrays), _flat(back(dys), arrays)
        if not np.array_equal(one, two):
            return False
        rows.append(one)
    analytical = np.array(rows).reshape(m, -1).T
    return np.allclose(analytical, numerical, rtol=1e-3, atol=1e-5)


def jax_check_grads(run, arrays, rng):
    """`jax.test_util.check_grads` (0.10), reverse mode, first order, float64.

    One random direction through all arguments, one random upstream gradient, eps=1e-4,
    atol = rtol = 1e-5.
    """
    ys, back = run(*arrays)
    v = [rng.standard_normal(a.shape) for a in arrays]
    dys = [rng.standard_normal(y.shape) for y in ys]
    found = _flat(back(dys), arrays) @ np.concatenate([np.ravel(d) for d in v])
    want = _along(run, arrays, v, dys, 1e-4)
    return np.allclose(found, want, rtol=1e-5, atol=1e-5)


def autograd_check_grads(run, arrays, rng):
    """`autograd.test_util.check_grads`, reverse mode, first order (all arguments at once).

    One random direction, (f(x + v eps/2) - f(x - v eps/2)) / eps with eps=1e-6, and then
    |a - b| < 1e-6 or |a - b| / |a + b| < 1e-6.
    """
    ys, back = run(*arrays)
    v = [rng.standard_normal(a.shape) for a in arrays]
    dys = [rng.standard_normal(y.shape) for y in ys]
    a = _flat(back(dys), arrays) @ np.concatenate([np.ravel(d) for d in v])
    b = _along(run, arrays, v, dys, 5e-7)
    with np.errstate(all="ignore"):
        return bool(abs(a - b) < 1e-6 or abs(a - b) / abs(a + b) < 1e-6)


def one_element(run, arrays, rng):
    """What courses teach: one random entry of each argument, step 1e-5, relative error 1e-2."""
    ys, back = run(*arrays)
    dys = [rng.standard_normal(y.shape) for y in ys]
    grads = back(dys)
    if len(grads) != len(arrays):
        return False
    for i, (a, g) in enumerate(zip(arrays, grads)):
        g = np.asarray(g)
        if g.shape != a.shape:
            return False
        at = int(rng.integers(a.size))
        v = [np.zeros_like(b) for b in arrays]
        v[i].reshape(-1)[at] = 1
        want, found = _along(run, arrays, v, dys, 1e-5), float(g.reshape(-1)[at])
        if not abs(found - want) <= 1e-2 * max(abs(found) + abs(want), 1e-8):
            return False
    return True


RULES = {
    "PyTorch gradcheck": torch_gradcheck,
    "JAX check_grads": jax_check_grads,
    "autograd check_grads": autograd_check_grads,
    "one element at 1e-2": one_element,
}


def caught(rule, run, arrays, seed):
    """Does the rule refuse this backward?"""
    try:
        with np.errstate(all="ignore"):
            return not rule(run, arrays, np.random.default_rng(seed))
    except Exception:
        return True


def _flat(grads, arrays):
    if len(grads) != len(arrays):
        raise ValueError("wrong number of gradients")
    for g, a in zip(grads, arrays):
        if np.shape(g) != a.shape:
            raise ValueError("wrong shape")
    return np.concatenate([np.ravel(g) for g in grads])


def _units(ys, k):
    flat = np.zeros(sum(y.size for y in ys))
    flat[k] = 1
    parts = np.split(flat, np.cumsum([y.size for y in ys])[:-1])
    return [p.reshape(y.shape) for p, y in zip(parts, ys)]


def _columns(run, arrays, i, eps):
    rows = []
    for k in range(arrays[i].size):
        ends = []
        for sign in (1, -1):
            moved = [a.copy() for a in arrays]
            moved[i].reshape(-1)[k] += sign * eps
            ends.append(np.concatenate([np.ravel(y) for y in run(*moved)[0]]))
        rows.append((ends[0] - ends[1]) / (2 * eps))
    return np.array(rows)


def _along(run, arrays, v, dys, h):
    ends = [run(*(a + s * h * d for a, d in zip(arrays, v)))[0] for s in (1, -1)]
    return sum(float(np.sum(dy * (p - m))) for dy, p, m in zip(dys, *ends)) / (2 * h)
