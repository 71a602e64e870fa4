"""Hide some tokens of a text, for a model that is to find them again."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def mask(
    ids,
    *,
    rng: np.random.Generator,
    mask_id: int,
    vocabulary: int,
    special,
    rate: float = 0.15,
    hidden: float = 0.8,
    swapped: float = 0.1,
    whole_words=None,
    most: int | None = None,
    lowest: int = 0,
    lengths=None,
):
    """Choose tokens of each row and replace most of them by ``[MASK]``.

    Parameters
    ----------
    ids : (..., T) int                 rows of token ids
    rng : numpy.random.Generator
    mask_id : int                      the id of ``[MASK]``
    vocabulary : int                   ids are 0 to vocabulary - 1
    special : ids, or bool like ids    ids that are never hidden, such as those of
                                       ``[CLS]``, ``[SEP]`` and ``[PAD]``; or True at the
                                       positions that are never hidden
    rate : 0 < float <= 1              share of a row's tokens that are chosen
    hidden, swapped : float            of the chosen, the share that become ``[MASK]`` and
                                       the share that become a random id; the rest stay
    whole_words : bool like ids        True where a piece continues the word before it;
                                       the pieces of a word are then chosen together
    most : int                         at most so many are chosen in a row
    lowest : int                       random ids are drawn from lowest to vocabulary - 1
    lengths : (...) int                tokens of each row, its padding not counted;
                                       without them every position counts as a token

    Returns
    -------
    x : like ids                       the rows with tokens hidden
    where : (N,) int64                 flat positions of the chosen tokens, rising
    word : (N,)                        the ids that stood there

    Raises
    ------
    ValueError
        if a rate or an id is out of its range or a shape does not fit.

    Notes
    -----
    The number chosen in a row of n tokens is ``max(1, round(rate n))``, where n counts
    the special tokens too, as in the authors' code; but never more than ``most`` or than
    there are tokens to choose from.  A row of special tokens alone hides nothing.

    With ``whole_words`` the words come in random order, and one that would pass the
    number is left out: a row may then hide fewer tokens, and none at all if each of its
    words has more pieces than the number.  A continuation after a special token begins
    a word.

    References
    ----------
    Devlin, Chang, Lee & Toutanova, "BERT: Pre-training of Deep Bidirectional
    Transformers for Language Understanding", 2019, arXiv:1810.04805, section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> ids = np.array([[2, 7, 8, 9, 3], [2, 6, 3, 0, 0]])
    >>> x, where, word = mask(ids, rng=np.random.default_rng(0), mask_id=4, vocabulary=10,
    ...                       special={0, 2, 3}, hidden=1.0, swapped=0.0, lengths=[5, 3])
    >>> len(where), x[1].tolist(), word[1].item()
    (2, [2, 4, 3, 0, 0], 6)
    >>> x.flat[where] = word
    >>> np.array_equal(x, ids)
    True
    """
    ids = np.asarray(ids)
    _check(ids, mask_id, vocabulary, rate, hidden, swapped, most, lowest)
    T = ids.shape[-1]
    free = ~_never(special, ids)
    rows = free.reshape(-1, T)
    tokens = np.full(len(rows), T)
    if lengths is not None:
        tokens = np.asarray(lengths)
        if tokens.shape != ids.shape[:-1] or tokens.dtype.kind not in "iu":
            raise ValueError(
                f"lengths: expected one integer for each row, shape {ids.shape[:-1]}, "
                f"found {tokens.dtype} of shape {tokens.shape}"
            )
        if tokens.size and (tokens.min() < 0 or tokens.max() > T):
            raise ValueError(f"lengths: expected 0 to {T}, found {tokens.min()} to {tokens.max()}")
        tokens = tokens.reshape(-1).astype(np.int64)
        rows = rows & (np.arange(T) < tokens[:, None])
    number = np.maximum(1, np.rint(rate * tokens).astype(np.int64))
    if most is not None:
        number = np.minimum(number, most)
    if whole_words is None:
        where = _positions(rows, number, rng)
    else:
        goes_on = np.asarray(whole_words)
        if goes_on.shape != ids.shape or goes_on.dtype != bool:
            raise ValueError(
                f"whole_words: expected bool of shape {ids.shape}, "
                f"found {goes_on.dtype} of shape {goes_on.shape}"
            )
        where = _words(rows, goes_on.reshape(-1, T), number, rng)
    x = ids.copy(order="C")
    flat = x.reshape(-1)
    word = flat[where]
    u = rng.random(len(where))
    other = rng.integers(lowest, vocabulary, len(where))
    flat[where] = np.where(u < hidden, mask_id, np.where(u < hidden + swapped, other, word))
    return x, where, word


def _check(ids, mask_id, vocabulary, rate, hidden, swapped, most, lowest):
    if ids.ndim < 1 or ids.dtype.kind not in "iu":
        raise ValueError(f"ids: expected rows of integers, found {ids.dtype} of shape {ids.shape}")
    if not 0 < rate <= 1:
        raise ValueError(f"rate: expected a share above 0 and at most 1, found {rate}")
    if not (hidden >= 0 and swapped >= 0 and hidden + swapped <= 1 + 1e-12):
        raise ValueError(
            f"hidden, swapped: expected shares with a sum of at most 1, found {hidden}, {swapped}"
        )
    if not 0 < vocabulary <= np.iinfo(ids.dtype).max + 1:
        raise ValueError(
            f"vocabulary: expected a size above 0 that {ids.dtype} ids can hold, found {vocabulary}"
        )
    if not 0 <= mask_id < vocabulary:
        raise ValueError(f"mask_id: expected an id of 0 to {vocabulary - 1}, found {mask_id}")
    if not 0 <= lowest < vocabulary:
        raise ValueError(f"lowest: expected an id of 0 to {vocabulary - 1}, found {lowest}")
    if most is not None and most < 1:
        raise ValueError(f"most: expected 1 or more, found {most}")
    if ids.size and (ids.min() < 0 or ids.max() >= vocabulary):
        raise ValueError(f"ids: expected 0 to {vocabulary - 1}, found {ids.min()} to {ids.max()}")


def _never(special, ids):
    """True where a token is never hidden."""
    if isinstance(special, np.ndarray) and special.dtype == bool:
        if special.shape != ids.shape:
            raise ValueError(
                f"special: expected bool of the shape {ids.shape} of ids, found {special.shape}"
            )
        return special
    if not isinstance(special, Iterable):
        raise ValueError(f"special: expected ids or a bool array, found {special!r}")
    never = np.zeros(ids.shape, bool)
    for i in special:
        never |= ids == i
    return never


def _positions(rows, number, rng):
    """Flat positions, rising: of each row ``number`` free ones, all equally likely."""
    B, T = rows.shape
    number = np.minimum(number, rows.sum(1))
    widest = int(number.max(initial=0))
    key = rng.random((B, T))
    key[~rows] = 2
    order = np.argsort(key, 1)[:, :widest] + T * np.arange(B)[:, None]
    return np.sort(order[np.arange(widest) < number[:, None]])


def _words(rows, goes_on, number, rng):
    """The same for whole words: in random order, each that still fits."""
    B, T = rows.shape
    begins = rows.copy()
    begins[:, 1:] &= ~(goes_on[:, 1:] & rows[:, :-1])
    row, _ = np.nonzero(begins)
    of = np.cumsum(begins).reshape(B, T) - 1  # the word of each free position
    W = len(row)
    size = np.bincount(of[rows], minlength=W)
    order = np.lexsort((rng.random(W), row))
    words = np.bincount(row, minlength=B)
    place = np.arange(W) - (np.cumsum(words) - words)[row]  # row is rising, order keeps it so
    widest = int(words.max(initial=0))
    sizes = np.full((widest, B), T + 1)
    sizes[place, row] = size[order]
    taken = np.zeros((widest, B), bool)
    left = np.minimum(number, rows.sum(1))
    for j in range(widest):
        fits = sizes[j] <= left
        taken[j] = fits
        left = left - sizes[j] * fits
        if not left.any():
            break
    chosen = np.zeros(W + 1, bool)
    chosen[order] = taken[place, row]
    return np.flatnonzero(rows & chosen[of])
