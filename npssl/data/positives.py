"""Who belongs together: pairs (anchor, positive) as rows of one batch of embeddings.

Every function returns ``(P, 2)`` int64, sorted by anchor, then by positive, both orders of
each pair, and never a row with itself.

same_label      equal labels: classes, or pseudo-labels from clusters, made anew between epochs
partners        row i of one view and row i of another: augmented, or of another sense
time_shifted    the same sequence some steps later or earlier
"""

import numpy as np


def same_label(label):
    """All pairs of equal labels.

    Parameters
    ----------
    label : (N,) int    classes; or pseudo-labels, such as
        ``npssl.evaluation.kmeans.kmeans(x, k)[0]``

    Examples
    --------
    >>> same_label([0, 1, 0]).tolist()
    [[0, 2], [2, 0]]
    """
    label = _whole("label", label)
    order = np.argsort(label, kind="stable")
    ends = np.flatnonzero(np.diff(label[order], append=label[order[-1:]] + 1 if len(order) else 0))
    pairs, first = [np.empty((0, 2), np.int64)], 0
    for end in ends + 1:
        rows = order[first:end]
        n, first = len(rows), end
        a, b = np.divmod(np.flatnonzero(~np.eye(n, dtype=bool)), n)
        pairs.append(np.stack([rows[a], rows[b]], 1))
    return _sorted(np.concatenate(pairs))


def partners(n, views=2):
    """Rows of two or more views stacked one below the other: i, n + i, 2 n + i, ...

    Parameters
    ----------
    n : int         instances
    views : int     at least 2

    Examples
    --------
    >>> partners(2).tolist()
    [[0, 2], [1, 3], [2, 0], [3, 1]]
    """
    if n < 0 or views < 2:
        raise ValueError(f"n and views: expected 0 or more and 2 or more, found {n} and {views}")
    return same_label(np.tile(np.arange(n), views))


def time_shifted(sequence, shift):
    """Rows that stand ``shift`` steps apart in one sequence.

    Parameters
    ----------
    sequence : (N,) int     to which sequence each row belongs; rows of one sequence stand in
        the order of time, next to each other
    shift : int or sequence of int      steps, each at least 1

    Examples
    --------
    >>> time_shifted([0, 0, 0, 7, 7], shift=2).tolist()
    [[0, 2], [2, 0]]
    """
    sequence = _whole("sequence", sequence)
    runs = 1 + np.count_nonzero(np.diff(sequence))
    if len(sequence) and runs != len(np.unique(sequence)):
        raise ValueError("sequence: expected the rows of each sequence next to each other")
    shifts = np.unique(np.atleast_1d(_whole("shift", np.atleast_1d(shift))))
    if not (shifts >= 1).all():
        raise ValueError(f"shift: expected 1 or more steps, found {shifts.min()}")
    pairs = [np.empty((0, 2), np.int64)]
    for step in shifts:
        a = np.flatnonzero(sequence[:-step] == sequence[step:]) if step < len(sequence) else []
        a = np.asarray(a, np.int64)
        pairs += [np.stack([a, a + step], 1), np.stack([a + step, a], 1)]
    return _sorted(np.concatenate(pairs))


def _whole(name, a):
    a = np.asarray(a)
    if a.ndim != 1 or (a.size and a.dtype.kind not in "iub"):
        raise ValueError(
            f"{name}: expected whole numbers in one dimension, found {a.dtype} {a.shape}"
        )
    return a.astype(np.int64)


def _sorted(pairs):
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
