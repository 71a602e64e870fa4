"""Bags: the mean or the sum of some rows of a table."""

import numpy as np

from npssl.layers.embedding import _add_rows, _check_ids


def bag(table, *, ids, offsets, reduction: str = "mean"):
    r"""Represent a bag of words by the mean, or the sum, of their vectors.

    The context of a word (CBOW), a word's character n-grams (sub-words) and a
    sentence in a bag-of-vectors classifier are such bags.

    Parameters
    ----------
    table : (V, D)              one row for each word
    ids : (M,) int              the words of all bags, one bag after another
    offsets : (B + 1,) int      bag b is ids[offsets[b]:offsets[b + 1]], so
        offsets[0] = 0, offsets[B] = M, never falling; bags differ in size
    reduction : "mean" or "sum"

    Returns
    -------
    y : (B, D)                  an empty bag gives the zero vector
    back : dy (B, D) -> dtable (V, D)
        ``back(dy, into=g)`` adds into an existing (V, D) array and returns it.

    Keeps
    -----
    ids, weight, sizes, table

    Derivation
    ----------
    Let bag b hold the positions m of ids, and let its weight be 1 / size for
    the mean, 1 for the sum::

        y[b] = weight[b] sum_{m in b} table[ids[m]]                          (1)

    Each position belongs to one bag.  So its row receives that bag's gradient,
    weighted, and a row that stands at several positions receives the sum::

        dtable[v] = sum_b weight[b] sum_{m in b} [ids[m] = v] dy[b]          (2)

    A fact to check by eye: for the mean, the gradients that leave a bag sum to
    the dy[b] that entered it; for the sum, each word receives all of dy[b].
    word2vec.c divides the sum of the context by its size, yet adds the undivided
    gradient to each context word: the forward of the mean with the backward of the
    sum (Irsoy et al. 2021).

    Raises
    ------
    ValueError
        if ids are not rows of the table, if offsets do not cut ids into bags, or
        for another reduction.

    Notes
    -----
    From a padded matrix and a mask (True = a word), both (B, T)::

        ids, offsets = padded[mask], np.append(0, mask.sum(1).cumsum())

    The ragged form is the one implemented, because bags differ much in size and
    padding is work thrown away.

    References
    ----------
    Mikolov, Chen, Corrado & Dean, "Efficient Estimation of Word Representations in Vector
    Space", 2013, arXiv:1301.3781, section 3.1 (CBOW); Bojanowski, Grave, Joulin & Mikolov,
    "Enriching Word Vectors with Subword Information", 2017, arXiv:1607.04606, section 3.2;
    Irsoy, Benton & Stratos, "Corrected CBOW Performs as well as Skip-gram", Workshop on
    Insights from Negative Results in NLP 2021, doi:10.18653/v1/2021.insights-1.1.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> table = np.array([[1.0], [2.0], [6.0]])
    >>> bag(table, ids=np.array([0, 2, 1]), offsets=np.array([0, 2, 2, 3]))[0].tolist()
    [[3.5], [0.0], [2.0]]
    >>> check(bag, table, ids=np.array([0, 2, 2, 1]), offsets=np.array([0, 3, 4])) < 1e-12
    True
    """
    _check_ids(table, ids)
    _check_offsets(ids, offsets)
    if reduction not in ("mean", "sum"):
        raise ValueError(f'reduction must be "mean" or "sum", found {reduction!r}')
    sizes = np.diff(offsets)  # (B,)
    full = sizes > 0
    share = 1 / np.maximum(sizes, 1) if reduction == "mean" else full
    weight = share.astype(table.real.dtype)[:, None]  # (B, 1)
    y = np.zeros((len(sizes), table.shape[1]), table.dtype)
    if len(ids):
        y[full] = np.add.reduceat(table[ids], offsets[:-1][full])  # empty bags hold no rows
    y *= weight  # (1)

    def back(dy, into=None):
        rows = np.repeat(dy * weight, sizes, axis=0)  # (M, D)
        return _add_rows(table, ids, rows, into)  # (2)

    return y, back


def _check_offsets(ids, offsets):
    if ids.ndim != 1:
        raise ValueError(f"ids must be flat (M,), found shape {ids.shape}")
    if offsets.ndim != 1 or len(offsets) < 1 or not np.issubdtype(offsets.dtype, np.integer):
        raise ValueError(
            f"offsets must be (B + 1,) whole numbers, found {offsets.dtype} {offsets.shape}"
        )
    if offsets[0] != 0 or offsets[-1] != len(ids) or (offsets[1:] < offsets[:-1]).any():
        raise ValueError(
            f"offsets must rise from 0 to the {len(ids)} ids, found "
            f"{offsets[0]} to {offsets[-1]}"
            + (", falling in between" if (offsets[1:] < offsets[:-1]).any() else "")
        )
