"""Group normalisation."""

import math

import numpy as np

from npssl.kernels import fast


def group_norm(x, gain, bias, *, groups: int, eps: float = 1e-5):
    r"""Standardise each group of channels over the places of each image, then scale and shift.

    Parameters
    ----------
    x : (B, ..., C)         images (B, h, w, C), sequences (B, T, C), or vectors (B, C)
    gain, bias : (C,)       learned scale and shift of each channel
    groups : int            divides C; 1: "layer norm" of an image, C: instance norm
    eps : float > 0         keeps the denominator away from zero

    Returns
    -------
    y : (B, ..., C)
    back : dy (B, ..., C) -> dx (B, ..., C), dgain (C,), dbias (C,)

    Keeps
    -----
    xhat, s, gain

    Derivation
    ----------
    Take the numbers of one image and one group, n = places * C / groups of them, as
    one vector.  Then this is `npssl.layers.norm.layernorm` of that vector::

        mu   = mean(x),  s = 1 / sqrt(mean((x - mu)^2) + eps)                (1)
        xhat = s (x - mu)                                                    (2)
        y    = gain * xhat + bias, gain and bias those of the channel        (3)

    and with u = gain * dy the gradient is the one derived there::

        dbias = sum dy,   dgain = sum dy * xhat, over images and places      (4)
        dx = s (u - mean(u) - xhat mean(xhat u))                             (5)

    A fact to check by eye: images do not see each other, so a batch may have any
    size, and evaluation is no other than training.

    Raises
    ------
    ValueError
        if gain or bias is not (C,), groups does not divide C, an image has no numbers,
        or eps is not positive.

    Notes
    -----
    A group in which all numbers are equal has xhat = 0: y is the bias.  On sequences
    the mean runs over time: what comes later is seen.

    References
    ----------
    Wu & He, "Group Normalization", ECCV 2018, arXiv:1803.08494, section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> x, gain, bias = rng.normal(size=(2, 3, 3, 4)), rng.normal(size=4), rng.normal(size=4)
    >>> check(group_norm, x, gain, bias, groups=2) < 1e-12
    True
    """
    shape = x.shape
    if x.ndim < 2 or 0 in shape[1:]:
        raise ValueError(f"x must be (B, ..., C) with something in each image, found shape {shape}")
    C = shape[-1]
    for name, a in (("gain", gain), ("bias", bias)):
        if a.shape != (C,):
            raise ValueError(f"{name} must have the shape ({C},) of the channels, found {a.shape}")
    if groups < 1 or C % groups:
        raise ValueError(f"groups must divide the {C} channels, found {groups}")
    if not eps > 0:
        raise ValueError(f"eps must be positive, found {eps}")
    if fast(x, gain, bias) and x.size:
        return _fast(x, gain, bias, groups, eps)
    axes = (1, 3)  # of (B, places, groups, channels of a group)
    apart = (shape[0], math.prod(shape[1:-1]), groups, C // groups)
    n = apart[1] * apart[3]
    a = x.reshape(apart)
    centred = a - a.sum(axes, keepdims=True) / n
    s = 1 / np.sqrt(np.square(centred).sum(axes, keepdims=True) / n + eps)  # (1)
    xhat = s * centred  # (2)
    y = gain * xhat.reshape(shape) + bias  # (3)

    def back(dy):
        d = dy.reshape(apart)
        dbias = d.sum((0, 1)).reshape(C)  # (4)
        dgain = (d * xhat).sum((0, 1)).reshape(C)
        u = gain.reshape(apart[2:]) * d
        along = (xhat * u).sum(axes, keepdims=True) / n
        dx = s * (u - u.sum(axes, keepdims=True) / n - xhat * along)  # (5)
        return dx.reshape(shape), dgain, dbias

    return y, back


def _fast(x, gain, bias, groups, eps):
    """The same by `npssl.kernels.channels`."""
    from npssl.kernels import channels

    B, C = x.shape[0], x.shape[-1]
    flat = x.reshape(-1, C)
    places = len(flat) // B

    def grouped(a):
        """The mean of a (B, C) over each group's channels, for each of them."""
        means = a.reshape(B, groups, -1).mean(2)
        return np.repeat(means, C // groups, 1)

    means, powers = np.empty((2, B, C), x.dtype)
    channels.moments(flat, places, means, powers)
    mu = grouped(means)
    s = 1 / np.sqrt(grouped(powers + np.square(means - mu)) + x.dtype.type(eps))
    y, scale = np.empty_like(flat), s * gain
    channels.normalise(flat, places, mu, scale, bias, y)

    def back(dy):
        d = np.ascontiguousarray(dy, x.dtype).reshape(flat.shape)
        sums, along = np.empty((2, B, C), x.dtype)
        channels.sums_back(d, flat, places, mu, sums, along)
        along *= s
        shift = grouped(gain * sums / places)
        tilt = -s * s * grouped(gain * along / places)
        dx = np.empty_like(flat)
        channels.normalise_back(d, flat, places, mu, s, gain, shift, tilt, dx)
        return dx.reshape(x.shape), along.sum(0), sums.sum(0)

    return y.reshape(x.shape), back
