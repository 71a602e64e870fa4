"""Affine map."""

import math

import numpy as np

from npssl.kernels import fast


def linear(x, w, b):
    r"""Mix the features by a matrix and add a bias.

    Parameters
    ----------
    x : (..., I)        features
    w : (I, O)          weights, one column for each output
    b : (O,)            bias

    Returns
    -------
    y : (..., O)
    back : dy (..., O) -> dx (..., I), dw (I, O), db (O,)

    Keeps
    -----
    rows, w

    Derivation
    ----------
    Let n run over the rows, that is over all leading axes of x together::

        y[n, o] = sum_i x[n, i] w[i, o] + b[o]                               (1)

    y is linear in each argument, so each gradient is (1) read backwards: the
    sum runs over what the argument does not know::

        dx[n, i] = sum_o dy[n, o] w[i, o]        dx = dy w^T                 (2)
        dw[i, o] = sum_n x[n, i] dy[n, o]        dw = x^T dy                 (3)
        db[o]    = sum_n dy[n, o]                                            (4)

    A fact to check by eye: the shapes leave no other choice.  Only w^T takes
    (N, O) to (N, I), and only x^T dy is (I, O).  And with x a constant 1,
    (3) becomes (4): a bias is a weight on an input that is always 1.

    Raises
    ------
    ValueError
        if w is not (I, O) or b not (O,): NumPy would broadcast a bias of the
        wrong shape without a word.

    Notes
    -----
    Rows are stacked into one matrix, so that each step is a single matrix product
    whatever the number of leading axes.  No rows: dw and db are zero.  ``w``
    may be the transpose of an embedding table (tied weights).

    References
    ----------
    Rumelhart, Hinton & Williams, "Learning representations by back-propagating
    errors", Nature 323, 1986, 533-536, doi:10.1038/323533a0.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> x, w, b = rng.normal(size=(2, 3, 5)), rng.normal(size=(5, 4)), rng.normal(size=4)
    >>> check(linear, x, w, b) < 1e-12
    True
    """
    if w.ndim != 2 or x.shape[-1:] != w.shape[:1]:
        raise ValueError(f"w must be (I, O) with I the last axis of x {x.shape}, found {w.shape}")
    if b.shape != w.shape[1:]:
        raise ValueError(f"b must have the shape {w.shape[1:]} of one output row, found {b.shape}")
    if fast(w, b) and x.dtype == w.dtype and x.size and b.size and not len(w) % 16:
        return _fast(x, w, b)
    lead, (I, O) = x.shape[:-1], w.shape
    rows = x.reshape(math.prod(lead), I)
    y = (rows @ w + b).reshape(*lead, O)  # (1)

    def back(dy):
        drows = dy.reshape(len(rows), O)
        dx = (drows @ w.T).reshape(*lead, I)  # (2)
        dw = rows.T @ drows  # (3)
        db = drows.sum(0)  # (4)
        return dx, dw, db

    return y, back


def _fast(x, w, b):
    """The same by `npssl.kernels.rows`: its rows are whole vectors, so w may get more columns."""
    from npssl.kernels import rows as kernels

    rows, whole, O = np.ascontiguousarray(x).reshape(-1, len(w)), _widened(w), len(b)
    y, packed = np.empty((len(rows), whole.shape[1]), w.dtype), np.empty_like(whole).reshape(-1)
    kernels.affine(rows, whole.reshape(-1), _widened(b), False, packed, y)

    def back(dy):
        drows = _widened(np.ascontiguousarray(dy, w.dtype).reshape(len(rows), O))
        dx, dw = np.empty_like(rows), np.zeros_like(whole)
        kernels.affine(drows, whole.reshape(-1), b, True, np.empty_like(packed), dx)
        kernels.products(rows, drows, dw)
        return dx.reshape(x.shape), dw[:, :O], drows.sum(0)[:O]

    return y[:, :O].reshape(*x.shape[:-1], O), back


def _widened(a):
    """With zeros after its last axis, up to whole vectors of 16."""
    fill = -a.shape[-1] % 16
    return np.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, fill)]) if fill else a
