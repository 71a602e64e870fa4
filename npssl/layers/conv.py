"""Convolution in one and two dimensions, channels last."""

import math

import numpy as np

from npssl.kernels import fast


def conv2d(x, weight, bias, *, stride=1, padding=0):
    r"""Slide one small affine map over an image.

    Parameters
    ----------
    x : (B, h, w, C)                images, channels last
    weight : (kh, kw, C, O)         a matrix (C, O) for each offset in the window
    bias : (O,)
    stride : int or (int, int)      steps of the window, down and across
    padding : int or (int, int)     rows and columns of zeros around the image

    Returns
    -------
    y : (B, H, W, O)    H = (h + 2 padding - kh) // stride + 1, W likewise
    back : dy (B, H, W, O) -> dx (B, h, w, C), dweight (kh, kw, C, O), dbias (O,)

    Keeps
    -----
    padded, weight

    Derivation
    ----------
    Let X be x within its frame of zeros, and s the stride.  At each place (m, n) the
    window sees kh kw pixels, and each of them goes through a matrix of its own::

        y[m, n] = bias + sum_{i, j} X[s m + i, s n + j] weight[i, j]         (1)

    For one offset (i, j) the pixels X[s m + i, s n + j] of all (m, n) are a window
    on X that is a view: X_ij.  So (1) is kh kw times `npssl.layers.linear.linear`, and
    each gradient is that of the linear map, added up over the offsets::

        y = bias + sum_{i, j} X_ij weight[i, j]                              (2)
        dX_ij        += dy weight[i, j]^T                                    (3)
        dweight[i, j] = sum over images and places of X_ij^T dy              (4)
        dbias         = sum over images and places of dy                     (5)

    Windows overlap, hence "+=" in (3): a pixel collects what all windows that saw
    it send back.  dx is dX without its frame.

    A fact to check by eye: a window of 1 x 1 is `linear`, pixel by pixel.

    Raises
    ------
    ValueError
        if weight or bias does not fit x, the stride is not positive, the padding is
        negative, or the window is larger than the padded image.

    Notes
    -----
    As in all libraries, the window is not flipped: strictly this is a correlation.
    The products in (2) read X where it stands; the matrix of all windows ("im2col"),
    kh kw times as large as the image, is never made.

    References
    ----------
    LeCun, Bottou, Bengio & Haffner, "Gradient-Based Learning Applied to Document
    Recognition", Proceedings of the IEEE 86(11), 1998, section II.A,
    doi:10.1109/5.726791.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> x, w, b = rng.normal(size=(2, 5, 4, 3)), rng.normal(size=(3, 2, 3, 2)), rng.normal(size=2)
    >>> check(conv2d, x, w, b, stride=2, padding=1) < 1e-12
    True
    """
    stride, padding = _two("stride", stride, 1), _two("padding", padding, 0)
    _fitting(x, weight, bias, padding)
    if fast(x, weight, bias) and x.size and weight.size:
        return _fast(x, weight, bias, stride, padding)
    (kh, kw, C, O), (ph, pw) = weight.shape, padding
    padded = np.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)))
    (sh, sw), B = stride, len(x)
    H, W = (padded.shape[1] - kh) // sh + 1, (padded.shape[2] - kw) // sw + 1
    y = np.zeros((B, H, W, O), np.result_type(x, weight)) + bias
    for i, j in np.ndindex(kh, kw):
        y += _view(padded, i, j, H, W, sh, sw) @ weight[i, j]  # (2)

    def back(dy):
        dpadded, dweight = np.zeros_like(padded), np.empty_like(weight)
        rows = dy.reshape(B * H * W, O)
        for i, j in np.ndindex(kh, kw):
            dwindow = _view(dpadded, i, j, H, W, sh, sw)
            dwindow += dy @ weight[i, j].T  # (3)
            window = _view(padded, i, j, H, W, sh, sw)
            dweight[i, j] = window.reshape(B * H * W, C).T @ rows  # (4)
        dx = dpadded[:, ph : padded.shape[1] - ph, pw : padded.shape[2] - pw]
        return dx, dweight, rows.sum(0)  # (5)

    return y, back


def _fast(x, weight, bias, stride, padding):
    """The same by `npssl.kernels.conv`."""
    from numba import get_num_threads

    from npssl.kernels import conv as kernels
    from npssl.kernels.workspace import give_back, give_back_with

    B, C, (kh, kw, _, O), (ph, pw) = len(x), x.shape[3], weight.shape, padding
    framed = _frame(x, ph, pw)
    H, W = (framed.shape[1] - kh) // stride[0] + 1, (framed.shape[2] - kw) // stride[1] + 1

    def back(dy):
        d = np.ascontiguousarray(dy, x.dtype)
        dweight, dbias = np.empty_like(weight), np.empty_like(bias)
        kernels.weights_back(framed, d, *stride, get_num_threads(), dweight, dbias)
        if stride == (1, 1) and C >= 16 and ph < kh and pw < kw:
            # read backwards, (3) is a convolution too: with the window turned round
            turned = np.ascontiguousarray(weight[::-1, ::-1].swapaxes(2, 3))
            around = _frame(d, kh - 1 - ph, kw - 1 - pw)
            dx = _forward(around, turned, np.zeros(C, x.dtype), stride, x.shape)
            if around is not d:
                give_back(around)
        else:
            dx = np.empty(x.shape, x.dtype)
            kernels.images_back(d, weight, *stride, ph, pw, *framed.shape[1:3], dx)
        return dx, dweight, dbias

    if framed is not x:
        give_back_with(back, framed)
    return _forward(framed, weight, bias, stride, (B, H, W, O)), back


def _forward(framed, weight, bias, stride, shape):
    """y of (1): the kernel writes whole vectors of channels, y has no more than there are."""
    from npssl.kernels import conv as kernels
    from npssl.kernels.gemm import padded

    O = shape[-1]
    y = np.empty((*shape[:-1], padded(O)), framed.dtype)
    kernels.forward(framed, weight, np.pad(bias, (0, padded(O) - O)), *stride, y)
    return y if padded(O) == O else np.ascontiguousarray(y[..., :O])


def _frame(x, ph, pw):
    """x within ph rows and pw columns of zeros, in a borrowed place; or x itself."""
    from npssl.kernels import conv as kernels
    from npssl.kernels.workspace import borrow

    if not ph and not pw:
        return x
    B, h, w, C = x.shape
    shape = B, h + 2 * ph, w + 2 * pw, C
    framed = borrow(math.prod(shape)).reshape(shape)
    kernels.frame(x, ph, pw, framed)
    return framed


def conv1d(x, weight, bias, *, stride: int = 1, padding: int = 0):
    r"""Slide one small affine map along a sequence.

    Parameters
    ----------
    x : (B, T, C)           sequences, channels last
    weight : (k, C, O)      a matrix (C, O) for each offset in the window
    bias : (O,)
    stride : int            steps of the window
    padding : int           zeros before and behind the sequence

    Returns
    -------
    y : (B, S, O)           S = (T + 2 padding - k) // stride + 1
    back : dy (B, S, O) -> dx (B, T, C), dweight (k, C, O), dbias (O,)

    Keeps
    -----
    back_image

    Derivation
    ----------
    A sequence is an image of one row::

        y[n] = bias + sum_j X[s n + j] weight[j]                             (1)

    which is equation (1) of `npssl.layers.conv.conv2d` with kh = 1 and m = i = 0; so are
    the gradients.

    A fact to check by eye: weights 1, -1 of a window of two give differences of
    neighbours, and a sequence that is constant gives zeros.

    Raises
    ------
    ValueError
        as `conv2d`.

    Notes
    -----
    Position n sees X[s n] ... X[s n + k - 1].  For it to see nothing later than the
    place it stands for, put k - 1 zeros before the sequence and none behind.

    References
    ----------
    Waibel, Hanazawa, Hinton, Shikano & Lang, "Phoneme Recognition Using Time-Delay
    Neural Networks", IEEE Transactions on Acoustics, Speech, and Signal Processing
    37(3), 1989, 328-339, doi:10.1109/29.21701.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> x, w, b = rng.normal(size=(2, 7, 3)), rng.normal(size=(4, 3, 2)), rng.normal(size=2)
    >>> check(conv1d, x, w, b, stride=2, padding=1) < 1e-12
    True
    """
    for name, value in (("stride", stride), ("padding", padding)):
        if not isinstance(value, (int, np.integer)):
            raise ValueError(f"{name} must be a whole number, found {value!r}")
    if x.ndim != 3 or weight.ndim != 3:
        raise ValueError(
            f"x must be (B, T, C) and weight (k, C, O), found {x.shape} and {weight.shape}"
        )
    image, back_image = conv2d(
        x[:, None], weight[None], bias, stride=(1, stride), padding=(0, padding)
    )  # (1)

    def back(dy):
        dx, dweight, dbias = back_image(dy[:, None])
        return dx[:, 0], dweight[0], dbias

    return image[:, 0], back


def _two(name, value, least):
    """A whole number as a pair, or the pair."""
    pair = value if isinstance(value, tuple) else (value, value)
    if len(pair) != 2 or not all(isinstance(n, (int, np.integer)) and n >= least for n in pair):
        raise ValueError(f"{name} must be one or two whole numbers >= {least}, found {value!r}")
    return pair


def _fitting(x, weight, bias, padding):
    if x.ndim != 4:
        raise ValueError(f"x must be (B, h, w, C), found shape {x.shape}")
    if weight.ndim != 4 or weight.shape[2] != x.shape[3] or 0 in weight.shape[:2]:
        raise ValueError(
            f"weight must be (kh, kw, C, O) with C = {x.shape[3]} as in x, found {weight.shape}"
        )
    if bias.shape != weight.shape[3:]:
        raise ValueError(f"bias must have the shape {weight.shape[3:]}, found {bias.shape}")
    size = tuple(n + 2 * p for n, p in zip(x.shape[1:3], padding))
    if any(k > n for k, n in zip(weight.shape, size)):
        raise ValueError(f"weight has a window {weight.shape[:2]} larger than the image {size}")


def _view(padded, i, j, H, W, sh, sw):
    """The pixels that offset (i, j) of the window sees: (B, H, W, C)."""
    return padded[:, i : i + sh * (H - 1) + 1 : sh, j : j + sw * (W - 1) + 1 : sw]
