"""Layer normalisation."""

import numpy as np

from npssl.kernels import fast


def layernorm(x, gain, bias, *, eps: float = 1e-5):
    r"""Standardise each feature vector, then scale and shift it.

    Parameters
    ----------
    x : (..., D)          features
    gain, bias : (D,)     learned scale and shift
    eps : float > 0       keeps the denominator away from zero

    Returns
    -------
    y : (..., D)
    back : dy (..., D) -> dx (..., D), dgain (D,), dbias (D,)

    Keeps
    -----
    xhat, s, gain

    Derivation
    ----------
    Forward, for one feature vector x of length D::

        mu   = mean(x),  s = 1 / sqrt(mean((x - mu)^2) + eps)                (1)
        xhat = s (x - mu)                                                    (2)
        y    = gain * xhat + bias                                            (3)

    By (3), writing u = dL/dxhat::

        dbias = sum dy,   dgain = sum dy * xhat,   u = gain * dy             (4)

    Perturb x by v.  (1) gives ds = -s^2 mean(xhat v), and (2) gives::

        dxhat = s (v - mean(v) - xhat mean(xhat v))                          (5)

    The map in (5) is symmetric: swapping v and u leaves <u, dxhat> unchanged.
    So it is its own transpose and the gradient is the same map applied to u::

        dx = s (u - mean(u) - xhat mean(xhat u))                             (6)

    Two facts to check by eye: dx has no component along the constant vector,
    and (as eps -> 0) none along xhat.  A shift or a rescaling of x cannot
    change y, so neither can carry gradient.

    Raises
    ------
    ValueError
        if gain or bias is not (D,), if D is 0, or if eps is not positive.

    Notes
    -----
    A constant vector has xhat = 0: y is the bias, and dx is the centred u
    times 1 / sqrt(eps), finite but large.  D = 1 is always that case.  The
    variance is the mean square (divisor D, not D - 1), as in the paper.
    Common choices of eps: 1e-5 (GPT, PyTorch), 1e-12 (BERT).

    References
    ----------
    Ba, Kiros & Hinton, "Layer Normalization", 2016, arXiv:1607.06450, section 3, eqs. (3)-(4).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> check(layernorm, rng.normal(size=(2, 3, 5)), rng.normal(size=5), rng.normal(size=5)) < 1e-12
    True
    """
    D = x.shape[-1:]
    if D in ((), (0,)):
        raise ValueError(
            f"x must have at least one feature in its last axis, found shape {x.shape}"
        )
    for name, a in (("gain", gain), ("bias", bias)):
        if a.shape != D:
            raise ValueError(
                f"{name} must have the shape {D} of one feature vector, found {a.shape}"
            )
    if not eps > 0:
        raise ValueError(f"eps must be positive, found {eps}")
    if fast(x, gain, bias) and x.size:
        return _fast(x, gain, bias, eps)
    centred = x - x.mean(-1, keepdims=True)
    s = 1 / np.sqrt(np.square(centred).mean(-1, keepdims=True) + eps)  # (1)
    xhat = s * centred  # (2)
    y = gain * xhat + bias  # (3)

    def back(dy):
        rows = tuple(range(dy.ndim - 1))
        dbias = dy.sum(rows)  # (4)
        dgain = (dy * xhat).sum(rows)
        u = gain * dy
        along = (xhat * u).mean(-1, keepdims=True)
        dx = s * (u - u.mean(-1, keepdims=True) - xhat * along)  # (6)
        return dx, dgain, dbias

    return y, back


def _fast(x, gain, bias, eps):
    """The same by `npssl.kernels.rows`."""
    from npssl.kernels import rows as kernels

    rows = x.reshape(-1, len(gain))
    y, hat, inverse = np.empty_like(rows), np.empty_like(rows), np.empty(len(rows), x.dtype)
    kernels.norm(rows, gain, bias, eps, hat, inverse, y)

    def back(dy):
        drows, dx = np.ascontiguousarray(dy, x.dtype).reshape(rows.shape), np.empty_like(rows)
        sums = np.zeros((-(-len(rows) // kernels.ROWS), 2 * len(gain)), x.dtype)
        kernels.norm_back(drows, hat, inverse, gain, sums, dx)
        dgain, dbias = np.split(sums.sum(0), 2)
        return dx.reshape(x.shape), dgain, dbias

    return y.reshape(x.shape), back
