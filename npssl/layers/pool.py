"""Pooling: fewer places, channels last."""

import numpy as np

from npssl.kernels import fast


def max_pool(x, *, size=2, stride=None):
    r"""The largest number in each window, channel by channel.

    Parameters
    ----------
    x : (B, h, w, C)
    size : int or (int, int)        height and width of the window
    stride : int or (int, int)      steps of the window; default: its size

    Returns
    -------
    y : (B, H, W, C)    H = (h - size) // stride + 1, W likewise
    back : dy (B, H, W, C) -> dx (B, h, w, C)

    Keeps
    -----
    wins

    Derivation
    ----------
    Let x_ij be the view of x that offset (i, j) of the window sees::

        y = max_{i, j} x_ij                                                  (1)

    A small change of x moves y only where the maximum stands, one for one::

        wins_ij = [x_ij is the first of the window's largest numbers]        (2)
        dx_ij  += dy wins_ij                                                 (3)

    A fact to check by eye: the sum of dx is the sum of dy; nothing is lost and
    nothing is made.

    Raises
    ------
    ValueError
        if the window is empty or larger than the image, or the stride not positive.

    Notes
    -----
    Of equal numbers the first wins, row by row, as in PyTorch: the whole gradient
    goes there.  Rows and columns at the far end that fill no window are not seen.
    NaN wins over all numbers.

    References
    ----------
    Riesenhuber & Poggio, "Hierarchical models of object recognition in cortex", Nature
    Neuroscience 2, 1999, 1019-1025, doi:10.1038/14819 (the maximum as pooling).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> check(max_pool, np.random.default_rng(0).normal(size=(2, 5, 4, 3)), size=2) < 1e-12
    True
    """
    window, step = _window(x, size, stride)
    if fast(x) and x.size and np.prod(window) < 128:
        return _fast_max(x, *window, *step)
    views = [_view(x, i, j, window, step) for i, j in np.ndindex(*window)]
    y, wins = views[0].copy(), np.zeros(views[0].shape, np.int32)
    for k, view in enumerate(views[1:], 1):
        larger = ~(view.real <= y.real) & (y.real == y.real)  # also a NaN, which stays
        np.copyto(y, view, where=larger)  # (1)
        np.copyto(wins, k, where=larger)
    shape, dtype = x.shape, x.dtype

    def back(dy):
        dx = np.zeros(shape, dtype)
        for k, (i, j) in enumerate(np.ndindex(*window)):
            dview = _view(dx, i, j, window, step)
            dview += dy * (wins == k)  # (2), (3)
        return dx

    return y, back


def mean_pool(x, *, size=2, stride=None):
    r"""The mean of each window, channel by channel.

    Parameters
    ----------
    x : (B, h, w, C)
    size : int or (int, int)        height and width of the window
    stride : int or (int, int)      steps of the window; default: its size

    Returns
    -------
    y : (B, H, W, C)    H = (h - size) // stride + 1, W likewise
    back : dy (B, H, W, C) -> dx (B, h, w, C)

    Keeps
    -----
    shape

    Derivation
    ----------
    With n numbers in a window, and x_ij as in `max_pool`::

        y      = (1 / n) sum_{i, j} x_ij                                     (1)
        dx_ij += dy / n                                                      (2)

    A fact to check by eye: this is `npssl.layers.conv.conv2d` with the identity over n
    as the matrix of every offset.

    Raises
    ------
    ValueError
        if the window is empty or larger than the image, or the stride not positive.

    References
    ----------
    LeCun, Bottou, Bengio & Haffner, "Gradient-Based Learning Applied to Document
    Recognition", Proceedings of the IEEE 86(11), 1998, section II.A ("sub-sampling"),
    doi:10.1109/5.726791.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> check(mean_pool, np.random.default_rng(0).normal(size=(2, 5, 4, 3)), size=2) < 1e-12
    True
    """
    window, step = _window(x, size, stride)
    if fast(x) and x.size:
        return _fast_mean(x, *window, *step)
    shape, dtype, n = x.shape, x.dtype, window[0] * window[1]
    y = sum(_view(x, i, j, window, step) for i, j in np.ndindex(*window)) / n  # (1)

    def back(dy):
        dx, share = np.zeros(shape, dtype), dy / n
        for i, j in np.ndindex(*window):
            dview = _view(dx, i, j, window, step)
            dview += share  # (2)
        return dx

    return y, back


def global_pool(x):
    r"""The mean over all places, channel by channel.

    Parameters
    ----------
    x : (B, ..., C)         images (B, h, w, C), sequences (B, T, C), ...

    Returns
    -------
    y : (B, C)
    back : dy (B, C) -> dx (B, ..., C)

    Keeps
    -----
    shape

    Derivation
    ----------
    With n places in an image::

        y  = (1 / n) sum over places of x                                    (1)
        dx = dy / n, at each place                                           (2)

    A fact to check by eye: where things stand does not matter; shuffled places
    give the same y.

    Raises
    ------
    ValueError
        if x has fewer than two axes, or no places.

    References
    ----------
    Lin, Chen & Yan, "Network In Network", ICLR 2014, arXiv:1312.4400, section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> check(global_pool, np.random.default_rng(0).normal(size=(2, 5, 4, 3))) < 1e-12
    True
    """
    shape, places = x.shape, tuple(range(1, x.ndim - 1))
    n = int(np.prod(shape[1:-1]))
    if x.ndim < 2 or n == 0:
        raise ValueError(f"x must be (B, ..., C) with at least one place, found shape {shape}")
    y = x.sum(places) / n  # (1)

    def back(dy):
        share = dy / n
        return np.broadcast_to(
            share.reshape(shape[0], *[1] * len(places), shape[-1]), shape
        ).copy()  # (2)

    return y, back


def _fast_max(x, *windows):
    """The same by `npssl.kernels.channels`."""
    from npssl.kernels import channels

    y, shape = _outputs(x, *windows), x.shape
    wins = np.empty(y.shape, np.int8)
    channels.largest(x, *windows, y, wins)

    def back(dy):
        dx = np.empty(shape, np.float32)
        channels.largest_back(np.ascontiguousarray(dy, np.float32), wins, *windows, dx)
        return dx

    return y, back


def _fast_mean(x, *windows):
    """The same by `npssl.kernels.channels`."""
    from npssl.kernels import channels

    y, shape = _outputs(x, *windows), x.shape
    channels.average(x, *windows, y)

    def back(dy):
        dx = np.empty(shape, np.float32)
        channels.average_back(np.ascontiguousarray(dy, np.float32), *windows, dx)
        return dx

    return y, back


def _outputs(x, kh, kw, sh, sw):
    """Room for a number for each window and channel."""
    B, h, w, C = x.shape
    return np.empty((B, (h - kh) // sh + 1, (w - kw) // sw + 1, C), x.dtype)


def _window(x, size, stride):
    """Size and stride as pairs."""
    if x.ndim != 4:
        raise ValueError(f"x must be (B, h, w, C), found shape {x.shape}")
    pairs = []
    for name, value in (("size", size), ("stride", size if stride is None else stride)):
        pair = value if isinstance(value, tuple) else (value, value)
        if len(pair) != 2 or not all(isinstance(n, (int, np.integer)) and n > 0 for n in pair):
            raise ValueError(f"{name} must be one or two positive numbers, found {value!r}")
        pairs.append(pair)
    if any(k > n for k, n in zip(pairs[0], x.shape[1:3])):
        raise ValueError(f"size must fit into the image {x.shape[1:3]}, found {size}")
    return pairs


def _view(x, i, j, size, stride):
    """What offset (i, j) of the window sees: (B, H, W, C)."""
    (h, w), (kh, kw), (sh, sw) = x.shape[1:3], size, stride
    return x[:, i : h - kh + i + 1 : sh, j : w - kw + j + 1 : sw]
