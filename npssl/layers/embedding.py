"""Table lookup."""

import numpy as np

from npssl.kernels import fast


def embedding(table, *, ids):
    r"""Read one row of a table for each id.

    Parameters
    ----------
    table : (V, D)          one row for each word
    ids : (...) int         which rows; 0 <= ids < V

    Returns
    -------
    y : (..., D)
    back : dy (..., D) -> dtable (V, D)
        ``back(dy, into=g)`` adds into an existing (V, D) array and returns it:
        a table of 100,000 rows need not be written anew for a few words.

    Keeps
    -----
    ids, table

    Derivation
    ----------
    Let n run over the positions in ids.  Reading is multiplication by the
    one-hot matrix of the ids::

        y[n, :] = table[ids[n], :] = sum_v [ids[n] = v] table[v, :]          (1)

    It is linear in the table; read (1) backwards, the sum now over n::

        dtable[v, :] = sum_n [ids[n] = v] dy[n, :]                           (2)

    A fact to check by eye: every dy[n] is credited exactly once, so the rows of
    dtable sum to the rows of dy.  A word that occurs three times is credited
    three times.  ``dtable[ids] += dy`` would break this: NumPy keeps only one of
    the repetitions.

    Raises
    ------
    ValueError
        if ids are not whole numbers or not rows of the table (NumPy would read
        -1 as the last row, and train it); if into has not the table's shape.

    Notes
    -----
    float32 gradients are added by `npssl.kernels.add_rows`, in the same order.

    References
    ----------
    Bengio, Ducharme, Vincent & Jauvin, "A Neural Probabilistic Language Model",
    JMLR 3, 2003, 1137-1155, section 2 (the matrix C).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> y, back = embedding(np.zeros((3, 1)), ids=np.array([2, 0, 2]))
    >>> back(np.ones((3, 1)))[:, 0].tolist()
    [1.0, 0.0, 2.0]
    >>> check(embedding, np.ones((4, 3)), ids=np.array([[1, 1], [3, 0]])) < 1e-12
    True
    """
    _check_ids(table, ids)
    y = table[ids]  # (1)

    def back(dy, into=None):
        return _add_rows(table, ids, dy, into)  # (2)

    return y, back


def _add_rows(table, ids, rows, into):
    """Equation (2): the sum of the rows of each id, in ``into`` or in a new table."""
    total = np.zeros_like(table, order="C") if into is None else into
    if total.shape != table.shape:
        raise ValueError(f"into must have the shape {table.shape} of table, found {total.shape}")
    if rows.dtype == np.float32 and fast(total):
        from npssl.kernels.add_rows import add_rows

        flat = np.array(ids, np.int64, order="C").reshape(-1)  # a slice, or frozen, may come in
        add_rows(total, flat, np.ascontiguousarray(rows.reshape(len(flat), table.shape[1])))
    else:
        np.add.at(total, ids, rows)
    return total


def _check_ids(table, ids):
    """Raise unless ``ids`` are whole numbers of rows of ``table``."""
    if table.ndim != 2:
        raise ValueError(f"table must be (V, D), found shape {table.shape}")
    if not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(f"ids must be whole numbers, found {ids.dtype}")
    if ids.size and not 0 <= ids.min() <= ids.max() < len(table):
        raise ValueError(
            f"ids must be rows of the table, 0 to {len(table) - 1}, "
            f"found {ids.min()} to {ids.max()}"
        )
