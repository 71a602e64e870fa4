"""Texts as bags of words: which rows of a table of vectors each text consists of.

A bag is kept ragged, as `npssl.layers.bag` takes it: all rows one after another, and
where each text begins.
"""

import numpy as np


def encode(words, vectors, parts):
    """Texts as bags of rows of a table that holds only the words needed.

    A word that has no vector is looked for in lower case, then left out.

    Returns
    -------
    bags : dict, part -> ((ids (M,), offsets (N + 1,)), labels (N,))
    table : (W, D) float32, root mean square 1
    coverage : share of the training part's tokens that have a vector
    """
    known = {word: row for row, word in reversed(list(enumerate(words)))}
    rows: dict[int, int] = {}
    bags = {}
    for part, data in parts.items():
        ids, sizes = [], []
        for text in data.texts:
            found = (known.get(word, known.get(word.lower())) for word in text)
            bag = [rows.setdefault(row, len(rows)) for row in found if row is not None]
            ids += bag
            sizes.append(len(bag))
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        bags[part] = (np.array(ids, np.int64), offsets), data.labels
    tokens = sum(map(len, parts["train"].texts))
    if not rows:
        raise ValueError("vectors: none of the words of the data have a vector")
    table = np.asarray(vectors)[list(rows)].astype(np.float32)
    size = float(np.sqrt(np.mean(np.square(table, dtype=np.float64))))
    if not 0 < size < np.inf:
        raise ValueError(f"vectors: expected finite numbers, not all 0; root mean square is {size}")
    return bags, table / np.float32(size), len(bags["train"][0][0]) / tokens


def take(bags, rows):
    """Some texts of ``(ids, offsets), labels``, in the order of ``rows``.

    >>> bags = (np.array([5, 6, 7, 8]), np.array([0, 2, 2, 4])), np.array([0, 1, 0])
    >>> (ids, offsets), labels = take(bags, np.array([2, 1, 0]))
    >>> ids.tolist(), offsets.tolist(), labels.tolist()
    ([7, 8, 5, 6], [0, 2, 2, 4], [0, 1, 0])
    """
    (ids, offsets), labels = bags
    sizes = np.diff(offsets)[rows]
    ends = np.cumsum(sizes)
    where = np.arange(ends[-1] if len(ends) else 0)
    where += np.repeat(offsets[:-1][rows] - (ends - sizes), sizes)
    return (ids[where], np.concatenate([[0], ends])), labels[rows]
