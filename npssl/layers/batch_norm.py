"""Batch normalisation."""

import numpy as np

from npssl.kernels import fast


def batch_norm(x, gain, bias, *, mean=None, variance=None, eps: float = 1e-5):
    r"""Standardise each channel over the batch, or by moments that are given.

    Parameters
    ----------
    x : (..., C)                rows, sequences or images, channels last
    gain, bias : (C,)           learned scale and shift
    mean, variance : (C,)       evaluation: moments of the data, which are constants;
        None, the usual way to train: those of the batch
    eps : float > 0             keeps the denominator away from zero

    Returns
    -------
    y : (..., C)
    back : dy (..., C) -> dx (..., C), dgain (C,), dbias (C,)

    Keeps
    -----
    xhat, s, gain

    Derivation
    ----------
    Let n run over the N places of one channel, over all leading axes together::

        mu   = mean_n(x),  s = 1 / sqrt(mean_n((x - mu)^2) + eps)            (1)
        xhat = s (x - mu)                                                    (2)
        y    = gain * xhat + bias                                            (3)

    The N numbers of a channel are one vector that is standardised: (1) and (2) are
    those of `npssl.layers.norm.layernorm`, down the columns instead of along the rows.
    So with u = gain * dy the gradient is the one derived there::

        dbias = sum_n dy,   dgain = sum_n dy * xhat                          (4)
        dx = s (u - mean_n(u) - xhat mean_n(xhat u))                         (5)

    With moments that are given, mu and s are constants and (5) is dx = s u  (6)

    A fact to check by eye: with the batch's moments, the columns of dx sum to zero:
    moving a whole channel changes nothing.  So a bias before a batch norm is idle.

    Raises
    ------
    ValueError
        if gain, bias or a moment is not (C,), only one moment is given, the variance is
        negative, eps is not positive, or there are no rows to take moments of.

    Notes
    -----
    The variance has the divisor N in both uses.  No running means are kept: a model is
    a function of its parameters, and moments for evaluation are taken by a pass over
    data (`moments`).  With the batch's moments the rows of a batch see each other,
    which a contrastive task can use to cheat: negatives leak what the positive is.
    One row alone has xhat = 0.

    References
    ----------
    Ioffe & Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing
    Internal Covariate Shift", ICML 2015, arXiv:1502.03167, algorithm 1 (training) and
    algorithm 2 (moments for inference, there by a pass over the data too; it scales the
    variance by N / (N - 1), we do not).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> x, gain, bias = rng.normal(size=(5, 2, 3)), rng.normal(size=3), rng.normal(size=3)
    >>> check(batch_norm, x, gain, bias) < 1e-12
    True
    >>> check(batch_norm, x, gain, bias, mean=np.zeros(3), variance=np.ones(3)) < 1e-12
    True
    """
    C = x.shape[-1:]
    given = mean is not None
    names = (("mean", mean), ("variance", variance)) if given or variance is not None else ()
    for name, a in (("gain", gain), ("bias", bias), *names):
        if np.shape(a) != C:
            raise ValueError(f"{name} must have the shape {C} of the channels, found {np.shape(a)}")
    if given and not (np.asarray(variance) >= 0).all():
        raise ValueError(f"variance must not be negative, found {np.min(variance)}")
    if not eps > 0:
        raise ValueError(f"eps must be positive, found {eps}")
    rows = tuple(range(x.ndim - 1))
    N = x.size // C[0] if C[0] else 1
    if not N and not given:
        raise ValueError(f"x must have rows to take the mean of, found shape {x.shape}")
    if fast(x, gain, bias) and x.size:
        return _fast(x, gain, bias, mean, variance, eps)
    mu = np.asarray(mean, x.dtype) if given else x.sum(rows) / N
    centred = x - mu
    power = np.asarray(variance, x.dtype) if given else np.square(centred).sum(rows) / N
    s = 1 / np.sqrt(power + eps)  # (1)
    xhat = s * centred  # (2)
    y = gain * xhat + bias  # (3)

    def back(dy):
        dbias, dgain = dy.sum(rows), (dy * xhat).sum(rows)  # (4)
        u = gain * dy
        if given:
            return s * u, dgain, dbias  # (6)
        dx = s * (u - gain * dbias / N - xhat * (gain * dgain / N))  # (5)
        return dx, dgain, dbias

    return y, back


def _fast(x, gain, bias, mean, variance, eps):
    """The same by `npssl.kernels.channels`."""
    from npssl.kernels import channels

    given, flat = mean is not None, x.reshape(-1, x.shape[-1])
    (N, C), rows = flat.shape, channels.ROWS
    pieces = -(-N // rows)
    if given:
        mu, power = (np.asarray(a, x.dtype) for a in (mean, variance))
    else:
        means, powers = np.empty((2, pieces, C), x.dtype)
        channels.moments(flat, rows, means, powers)
        weight = np.full((pieces, 1), rows / N)
        weight[-1] = (N - (pieces - 1) * rows) / N
        mu = (weight * means).sum(0)
        power = (weight * (powers + np.square(means - mu))).sum(0)
    s = 1 / np.sqrt(power + eps)
    one = lambda a: np.ascontiguousarray(a, x.dtype).reshape(1, C)
    y, centre = np.empty_like(flat), one(mu)
    channels.normalise(flat, rows, centre, one(s * gain), bias, y)

    def back(dy):
        d = np.ascontiguousarray(dy, x.dtype).reshape(N, C)
        sums, along = np.empty((2, pieces, C), x.dtype)
        channels.sums_back(d, flat, rows, centre, sums, along)
        dbias, dgain = sums.sum(0), s * along.sum(0)
        share = 0 if given else 1 / N
        shift, tilt = share * gain * dbias, -share * gain * s * s * dgain
        dx = np.empty_like(flat)
        channels.normalise_back(d, flat, rows, centre, one(s), gain, one(shift), one(tilt), dx)
        return dx.reshape(x.shape), dgain.astype(x.dtype), dbias

    return y.reshape(x.shape), back
