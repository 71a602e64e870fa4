"""Negatives from earlier batches."""

import numpy as np


class MemoryQueue:
    """The last ``size`` embeddings, first in, first out.

    What is in it was made by an encoder of some steps ago: MoCo makes it with one that follows
    slowly.  It is part of the state of a run: save ``rows()``.  Momentum Contrast: He, Fan, Wu,
    Xie & Girshick, CVPR 2020, arXiv:1911.05722, section 3.2.

    Parameters
    ----------
    size : int > 0      rows that are kept
    width : int

    Examples
    --------
    >>> queue = MemoryQueue(3, width=1)
    >>> queue.add(np.array([[1.0], [2.0]]))
    >>> queue.add(np.array([[3.0], [4.0]]))
    >>> queue.rows().ravel().tolist()
    [2.0, 3.0, 4.0]
    """

    def __init__(self, size, width, dtype=np.float32):
        if size < 1:
            raise ValueError(f"size: expected 1 row or more, found {size}")
        self._ring = np.zeros((size, width), dtype)
        self._seen = 0

    def __len__(self):
        return min(self._seen, len(self._ring))

    def add(self, x):
        """Put the rows of x (n, width) in; as many of the oldest go as must."""
        x = np.asarray(x)
        if x.ndim != 2 or x.shape[1] != self._ring.shape[1]:
            raise ValueError(f"x: expected (n, {self._ring.shape[1]}), found {x.shape}")
        size = len(self._ring)
        last = x[-size:]
        places = (self._seen + len(x) - len(last) + np.arange(len(last))) % size
        self._ring[places] = last
        self._seen += len(x)

    def rows(self):
        """A copy, (len, width), oldest first."""
        n = len(self)
        return self._ring[(self._seen - n + np.arange(n)) % len(self._ring)]
