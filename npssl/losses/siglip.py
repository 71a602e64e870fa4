"""SigLIP: each pair of a batch is a yes-or-no question of its own."""

import numpy as np

from npssl.layers.activation import sigmoid, softplus
from npssl.losses.expected import _alike, _reduction


def siglip(x, y, log_scale, bias, *, reduction: str = "mean"):
    r"""Are these two partners?  Asked of all N^2 pairs, without a softmax.

    Parameters
    ----------
    x, y : (N, d)       row i of both are partners (an image and its text)
    log_scale : ()      learnt; exp of it multiplies the dot products
    bias : ()           learnt; log odds of being partners before one looks
    reduction : "mean" (nats per row, summed over its N questions) or "sum"

    Returns
    -------
    value : ()          nats; no rows: 0
    back : dvalue=1.0 -> dx (N, d), dy (N, d), dlog_scale (), dbias ()

    Keeps
    -----
    x, y, cosine, scale, error, log_scale, bias

    Derivation
    ----------
    ::

        s_ij  = exp(log_scale) <x_i, y_j> + bias                             (1)
        sign  = +1 for i = j, else -1
        value = (1 / N) sum_ij softplus(-sign_ij s_ij)                       (2)
        ds    = (sigmoid(s) - [i = j]) / N                                   (3)
        dx    = scale ds y,   dy = scale ds^T x                              (4)
        dlog_scale = sum ds (s - bias),   dbias = sum ds                     (5)

    A fact to check by eye: at s = 0 the value is N log 2, nearly all of it from pairs
    that are none; the bias -log(N - 1) removes that, hence the paper's start at -10
    (log_scale: log 10).

    Raises
    ------
    ValueError
        if x and y are not (N, d) of one shape or not finite, or log_scale or bias is not a
        single finite number.

    Notes
    -----
    No log-sum-exp over rows, so a batch splits over machines and any tile of s stands
    alone.  Unit vectors are another op: `npssl.layers.similarity.unit`.

    References
    ----------
    Zhai, Mustafa, Kolesnikov & Beyer, "Sigmoid Loss for Language Image Pre-Training",
    ICCV 2023, arXiv:2303.15343, section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(2, 3, 4))
    >>> check(siglip, x, y, np.array(0.5), np.array(-1.0)) < 1e-12
    True
    """
    _alike(x=x, y=y)
    _reduction(reduction)
    for name, a in (("log_scale", log_scale), ("bias", bias)):
        if np.ndim(a) or not np.isfinite(a):
            raise ValueError(f"{name} must be one finite number, found {a}")
    n = max(1, len(x)) if reduction == "mean" else 1
    own = np.eye(len(x), dtype=x.real.dtype)
    scale = np.exp(_as(log_scale, x))
    cosine = x @ y.T
    s = scale * cosine + _as(bias, x)  # (1)
    value = softplus((1 - 2 * own) * s)[0].sum() / n  # (2)
    error = sigmoid(s)[0] - own  # (3)

    def back(dvalue=1.0):
        ds = error * (float(dvalue) / n)
        dlog_scale = (ds * cosine).sum() * scale  # (5)
        dx, dy = scale * (ds @ y), scale * (ds.T @ x)  # (4)
        return dx, dy, _as(dlog_scale, log_scale), _as(ds.sum(), bias)

    return value, back


def _as(a, like):
    """In the precision of ``like``, complex or not."""
    a, like = np.asarray(a), np.asarray(like)
    return a if np.iscomplexobj(a) else a.astype(like.real.dtype)
