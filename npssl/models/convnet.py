"""A small convolutional encoder of images: blocks of convolution, norm, relu and pooling."""

import math

import numpy as np

from npssl.layers.activation import relu
from npssl.layers.batch_norm import batch_norm
from npssl.layers.conv import conv2d
from npssl.layers.group_norm import group_norm
from npssl.layers.pool import global_pool, max_pool
from npssl.models.dense import dense, dense_spec, stack
from npssl.params import normal, ones, zeros


def conv_encoder_spec(channels: int, *widths: int, out: int):
    """Parameters of `conv_encoder`: ``blocks``, one for each width, and ``head``.

    Parameters
    ----------
    channels : int      of the images
    *widths : int       channels behind each block; each halves height and width
    out : int           width of the embedding

    Weights have the deviation sqrt(2 / numbers in a window), as in `mlp_spec`.

    Raises
    ------
    ValueError
        without widths, or for one that is not positive.
    """
    if not widths or min(channels, out, *widths) < 1:
        raise ValueError(f"channels, widths, out must be positive, found {channels, widths, out}")
    blocks = [
        dict(
            weight=normal(3, 3, i, o, std=math.sqrt(2 / (9 * i))),
            bias=zeros(o),
            gain=ones(o),
            shift=zeros(o),
        )
        for i, o in zip((channels, *widths), widths)
    ]
    return dict(blocks=blocks, head=dense_spec(widths[-1], out, std=math.sqrt(1 / widths[-1])))


def conv_encoder(p, x, *, norm: str = "group", groups: int = 8, moments=None):
    """Images to embeddings: (conv 3 x 3, norm, relu, max-pool 2) for each block, mean, linear.

    Parameters
    ----------
    p : as from `conv_encoder_spec`
    x : (B, h, w, channels)     halved in each block, so at least 2^blocks high and wide
    norm : "group", "batch" or "none"
    groups : int                of channels, for "group"; where it does not divide a
        width, the largest number below it that does
    moments : list of (mean, variance), one for each block
        evaluation with norm="batch": what `conv_moments` gives; None takes the batch's

    Returns
    -------
    y : (B, out)
    back : dy (B, out), g -> dx (B, h, w, channels)

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.params import Params
    >>> rng = np.random.default_rng(0)
    >>> params = Params(conv_encoder_spec(1, 8, 16, out=5), rng)
    >>> y, back = conv_encoder(params.tree, rng.normal(size=(3, 8, 8, 1)).astype(np.float32))
    >>> y.shape
    (3, 5)
    """
    if norm not in ("group", "batch", "none"):
        raise ValueError(f'norm must be "group", "batch" or "none", found {norm!r}')
    if x.ndim != 4 or min(x.shape[1:3]) < 2 ** len(p.blocks):
        least = 2 ** len(p.blocks)
        raise ValueError(f"x must be (B, h, w, C) with h, w >= {least}, found {x.shape}")
    given = iter([None] * len(p.blocks) if moments is None else moments)

    def block(q, h):
        a, back_conv = conv2d(h, q.weight, q.bias, padding=1)
        n, back_norm = _norm(q, a, norm, groups, next(given))
        r, back_relu = relu(n)
        y, back_pool = max_pool(r, size=2)

        def back(dy, g):
            da, dgain, dshift = back_norm(back_relu(back_pool(dy)))
            dh, dweight, dbias = back_conv(da)
            g.gain += dgain
            g.shift += dshift
            g.weight += dweight
            g.bias += dbias
            return dh

        return y, back

    h, back_blocks = stack(block, p.blocks, x)
    pooled, back_mean = global_pool(h)
    y, back_head = dense(p.head, pooled)

    def back(dy, g):
        return back_blocks(back_mean(back_head(dy, g.head)), g.blocks)

    return y, back


def conv_moments(p, batches):
    """Mean and variance of what enters each batch norm, over all images of ``batches``.

    Block after block, each pass with the moments of the blocks before it fixed: what
    evaluation sees.  ``batches`` is a list of image arrays (B, h, w, channels).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.params import Params
    >>> params = Params(conv_encoder_spec(1, 8, out=5), np.random.default_rng(0))
    >>> [(mean, variance)] = conv_moments(params.tree, [np.ones((3, 8, 8, 1), np.float32)])
    >>> mean.shape, variance.shape
    ((8,), (8,))
    """
    found, images = [], list(batches)
    if not sum(len(b) for b in images):
        raise ValueError("batches must hold at least one image, found none")
    for q in p.blocks:
        before = [conv2d(h, q.weight, q.bias, padding=1)[0] for h in images]
        rows = [a.reshape(-1, a.shape[-1]).astype(np.float64) for a in before]
        count = sum(map(len, rows))
        mean = sum(r.sum(0) for r in rows) / count
        variance = sum(np.square(r - mean).sum(0) for r in rows) / count
        moments = mean.astype(q.gain.dtype), variance.astype(q.gain.dtype)
        found.append(moments)
        images = [max_pool(relu(_norm(q, a, "batch", 1, moments)[0])[0], size=2)[0] for a in before]
    return found


def _norm(q, a, norm, groups, moments):
    """One of the norms with ``q.gain`` and ``q.shift``."""
    if norm == "group":
        C = a.shape[-1]
        divisor = max(n for n in range(1, min(groups, C) + 1) if C % n == 0)
        return group_norm(a, q.gain, q.shift, groups=divisor)
    if norm == "batch":
        mean, variance = moments or (None, None)
        return batch_norm(a, q.gain, q.shift, mean=mean, variance=variance)
    return batch_norm(a, q.gain, q.shift, mean=np.zeros_like(q.gain), variance=np.ones_like(q.gain))
