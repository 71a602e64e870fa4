"""Character n-grams of many words, hashed; and the mean of the rows of each bag.

The page is `npssl.data.subwords`.  All words stand in one array of bytes.  From each
first character the hash is carried on, so that an n-gram costs one more character
than the n-gram before it, and nothing is ever cut out or copied.
"""

import numpy as np
from numba import types, uint64

from npssl.kernels.jit import jit

_OFFSET, _PRIME, _LOW = uint64(0x811C9DC5), uint64(0x01000193), uint64(0xFFFFFFFF)


@jit(inline="always")
def _next(text, j):
    """Where the character after the one at j begins: past its continuation bytes."""
    j += 1
    while j < text.size and text[j] < -64:  # 10xxxxxx, as a signed byte
        j += 1
    return j


_I, _BYTES = types.int64, types.Array(types.int8, 1, "C", readonly=True)
_ROWS, _START = (types.Array(t, 1, "C", readonly=True) for t in (types.int32, types.int64))
_TABLE = types.Array(types.float32, 2, "C", readonly=True)


@jit(types.void(_BYTES, _START, _START, _I, _I, _I, types.Array(types.int32, 1, "C")))
def fill(text, length, start, minn, maxn, buckets, rows):
    """Write the rows of all words.

    Parameters
    ----------
    text : int8              ``<word>`` of each word, one behind the other, as UTF-8
    length : (V,) int64      characters of each ``<word>``
    start : (V + 1,) int64   where the rows of each word go; a word with room for one
                             row only gets its own and no n-grams
    minn, maxn : int         length of n-grams
    buckets : int            1 ... 2**31 - V
    rows : int32             written
    """
    V, p = length.size, 0
    for w in range(V):
        at, last = start[w], start[w + 1]
        rows[at] = w
        at += 1
        end, tail = p, p
        for _ in range(length[w]):
            tail = end  # where the last character begins
            end = _next(text, end)
        i = p if at < last else end
        while i < end:
            h, j, n = _OFFSET, i, 0
            while j < end and n < maxn:
                alone = n == 0 and (i == p or i == tail)  # "<" or ">"
                stop = _next(text, j)
                while j < stop:
                    h = ((h ^ uint64(text[j])) * _PRIME) & _LOW  # int8 -> uint64 keeps the sign
                    j += 1
                n += 1
                if n >= minn and not alone:
                    rows[at] = V + np.int64(np.uint32(h) % np.uint32(buckets))
                    at += 1
            i = _next(text, i)
        p = end


@jit(types.void(_TABLE, _START, _ROWS, types.Array(types.float32, 2, "C")))
def mean_rows(table, start, rows, out):
    """``out[w]`` = mean of ``table[rows[start[w]:start[w + 1]]]``; zero for an empty bag."""
    for w in range(out.shape[0]):
        y = out[w]
        y[:] = 0
        n = start[w + 1] - start[w]
        for r in range(start[w], start[w + 1]):
            x = table[rows[r]]
            for c in range(y.size):
                y[c] += x[c]
        part = np.float32(1.0 / max(n, 1))
        for c in range(y.size):
            y[c] *= part
