"""Attention: every position asks every other."""

import math

import numpy as np

from npssl.layers.dropout import dropout
from npssl.layers.softmax import softmax


def attention(q, k, v, *, mask=None, causal: bool = False, rate: float = 0.0, rng=None):
    r"""Mean of the values, weighted by how well each key answers the query.

    Parameters
    ----------
    q : (..., T, d)         queries
    k : (..., S, d)         keys
    v : (..., S, e)         values
    mask : bool, broadcast to (..., T, S), or None      True: the query may see the key
    causal : bool           query i sees the keys up to i + S - T only
    rate : float in [0, 1)  dropout on the weights
    rng : numpy.random.Generator or None; None is evaluation

    Returns
    -------
    y : (..., T, e)         zeros for a query that sees nothing
    back : dy (..., T, e) -> dq (..., T, d), dk (..., S, d), dv (..., S, e)

    Keeps
    -----
    kept, q, k, v, back_softmax, back_drop

    Derivation
    ----------
    With c = 1 / sqrt(d), for each leading index::

        s = c q k^T, and -inf where the key is not visible                   (1)
        a = softmax(s) by rows                                               (2)
        b = dropout(a)                                                       (3)
        y = b v                                                              (4)

    (4) is a product of matrices; (2) and (3) know their own way back::

        dv = b^T dy,   db = dy v^T                                           (5)
        ds = back of (2) applied to (back of (3) applied to db)              (6)

    (1) is a product once more.  A hidden score has a = 0, so ds = 0 by (6)::

        dq = c ds k,   dk = c ds^T q                                         (7)

    Facts to check by eye: rows of ds sum to 0 (a softmax), so a constant vector
    added to every key changes nothing, and its gradient, the sum of dk over the
    keys, is c sum ds^T q = 0.

    Raises
    ------
    ValueError
        if widths or numbers of keys and values do not agree, or mask is not boolean.

    Notes
    -----
    Much published code adds -10000 or -1e9 to hidden scores; a query that sees
    nothing then attends to everything alike.  Here it gives zeros.

    References
    ----------
    Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762,
    section 3.2.1, eq. (1).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> q, k, v = rng.normal(size=(3, 2, 4, 5))
    >>> check(attention, q, k, v, causal=True) < 1e-12
    True
    """
    if q.ndim < 2 or k.ndim < 2 or v.ndim < 2:
        raise ValueError(
            f"q, k and v must be (..., T, d), found shapes {q.shape}, {k.shape} and {v.shape}"
        )
    if q.shape[-1] != k.shape[-1] or not q.shape[-1]:
        raise ValueError(
            f"q and k must have the same width, at least 1, found {q.shape[-1]} and {k.shape[-1]}"
        )
    if k.shape[-2] != v.shape[-2] or not k.shape[-2]:
        raise ValueError(
            f"k and v must have the same number of rows, at least 1, "
            f"found {k.shape[-2]} and {v.shape[-2]}"
        )
    if not q.shape[:-2] == k.shape[:-2] == v.shape[:-2]:
        raise ValueError(
            f"q, k and v must have the same leading axes, "
            f"found shapes {q.shape}, {k.shape} and {v.shape}"
        )
    c = 1 / math.sqrt(q.shape[-1])
    s = c * (q @ k.swapaxes(-1, -2))  # (1)                                   (..., T, S)
    visible = _visible(s.shape, mask, causal)
    if visible is not None:
        s = np.where(visible, s, s.dtype.type(-math.inf))
    a, back_softmax = softmax(s)  # (2)
    kept, back_drop = dropout(a, rate=rate, rng=rng)  # (3)
    y = kept @ v  # (4)

    def back(dy):
        dv = kept.swapaxes(-1, -2) @ dy  # (5)
        ds = back_softmax(back_drop(dy @ v.swapaxes(-1, -2)))  # (6)
        ds *= c
        return ds @ k, ds.swapaxes(-1, -2) @ q, dv  # (7)

    return y, back


def _visible(shape, mask, causal):
    """Which scores count, broadcast to ``shape`` (..., T, S); None where all do."""
    if mask is not None:
        if mask.dtype != bool:
            raise ValueError(f"mask must be boolean, True where visible, found {mask.dtype}")
        try:
            fits = np.broadcast_shapes(mask.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"mask must broadcast to the scores {shape}, found shape {mask.shape}")
    if not causal:
        return mask
    T, S = shape[-2:]
    past = np.arange(S) <= np.arange(T)[:, None] + (S - T)
    return past if mask is None else mask & past


def split_heads(x, *, heads: int):
    r"""Queries, keys and values of each head, from one projection.

    Parameters
    ----------
    x : (B, T, 3 H d)       queries of all heads, then keys, then values
    heads : int             H

    Returns
    -------
    y : (3, B, H, T, d)
    back : dy (3, B, H, T, d) -> dx (B, T, 3 H d)

    Keeps
    -----
    B, T, width

    Derivation
    ----------
    ::

        y[i, b, h, t, j] = x[b, t, (i H + h) d + j]                          (1)

    A permutation of numbers: its transpose is its inverse::

        dx[b, t, (i H + h) d + j] = dy[i, b, h, t, j]                        (2)

    Raises
    ------
    ValueError
        if x is not (B, T, 3 H d).

    References
    ----------
    Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, section 3.2.2.

    Examples
    --------
    >>> import numpy as np
    >>> y, back = split_heads(np.arange(6.0).reshape(1, 1, 6), heads=2)
    >>> y.shape, back(y).tolist()
    ((3, 1, 2, 1, 1), [[[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]]])
    """
    if x.ndim != 3 or heads < 1 or x.shape[2] % (3 * heads) or not x.shape[2]:
        raise ValueError(
            f"x must be (B, T, 3 * heads * d) for {heads} heads, found shape {x.shape}"
        )
    B, T, width = x.shape
    d = width // (3 * heads)
    y = x.reshape(B, T, 3, heads, d).transpose(2, 0, 3, 1, 4)  # (1)

    def back(dy):
        return dy.transpose(1, 3, 0, 2, 4).reshape(B, T, width)  # (2)

    return y, back


def merge_heads(x):
    r"""What the heads found, side by side.

    Parameters
    ----------
    x : (B, H, T, d)

    Returns
    -------
    y : (B, T, H d)
    back : dy (B, T, H d) -> dx (B, H, T, d)

    Keeps
    -----
    B, T, H, d

    Derivation
    ----------
    ::

        y[b, t, h d + j] = x[b, h, t, j]                                     (1)
        dx[b, h, t, j]   = dy[b, t, h d + j]                                 (2)

    Raises
    ------
    ValueError
        if x has not four axes.

    References
    ----------
    Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, section 3.2.2.

    Examples
    --------
    >>> import numpy as np
    >>> y, back = merge_heads(np.arange(4.0).reshape(1, 2, 2, 1))
    >>> y.tolist(), back(y).shape
    ([[[0.0, 2.0], [1.0, 3.0]]], (1, 2, 2, 1))
    """
    if x.ndim != 4:
        raise ValueError(f"x must be (B, H, T, d), found shape {x.shape}")
    B, H, T, d = x.shape
    y = x.transpose(0, 2, 1, 3).reshape(B, T, H * d)  # (1)

    def back(dy):
        return dy.reshape(B, T, H, d).transpose(0, 2, 1, 3)  # (2)

    return y, back
