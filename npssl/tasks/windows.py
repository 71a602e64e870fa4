"""The random split of a text into (centre, neighbours), and the words drawn as noise.

All draws are functions of (key, position, slot), `npssl.kernels.draws`: the same
numbers come out here, for a whole text at once, and in the epoch kernels, word
after word.  Slot 0 decides whether a token stays, slot 1 how far its window
reaches, slots from 2 on are negatives.

Mikolov et al. 2013, arXiv:1301.3781, section 3.2 (windows of random size), and
arXiv:1310.4546, section 2.3 (subsampling).  As in word2vec.c tokens are dropped
before windows are formed, so that a window reaches further in the text.
"""

import numpy as np

from npssl.kernels.draws import SLOTS, draw, from_alias, high


def kept(ids, first, key, keep):
    """Which tokens of a text survive subsampling.

    Parameters
    ----------
    ids : (n,) int             words; -1 ends a sentence and is never kept
    first : int                position of ids[0] in the whole text
    key : int                  see `npssl.kernels.draws.key`
    keep : (V,) uint32         a token stays when its 32 random bits are at most this

    Returns
    -------
    kept : (n,) bool

    Examples
    --------
    >>> kept(np.array([0, 1, -1]), 0, 7, np.array([2**32 - 1, 2**32 - 1], np.uint32)).tolist()
    [True, True, False]
    """
    chance = high(draw(key, first + np.arange(len(ids)), 0))
    return (ids >= 0) & (chance <= keep[np.maximum(ids, 0)])


def neighbours(sentence, places, key, window):
    """The neighbours of each word, in windows of random reach 1 .. ``window``.

    Parameters
    ----------
    sentence, places : (n,) int     words of one sentence, their positions in the text
    key, window : int

    Returns
    -------
    indices : (m,) int              indices of neighbours, centre after centre
    offsets : (n + 1,) int          those of centre i are indices[offsets[i]:offsets[i + 1]]

    Examples
    --------
    >>> i, o = neighbours(np.array([5, 6, 7]), np.array([0, 1, 2]), 7, window=1)
    >>> i.tolist(), o.tolist()
    ([1, 0, 2, 1], [0, 1, 3, 4])
    """
    n = len(sentence)
    reach = 1 + high(draw(key, places, 1), window).astype(np.int64)
    i, j = np.arange(n), np.arange(-window, window + 1)
    near = i[:, None] + j
    real = (j != 0) & (abs(j) <= reach[:, None]) & (near >= 0) & (near < n)
    return near[real], np.append(0, real.sum(1).cumsum())


def noise_words(positive, places, key, alias, *, first=0, count, stride):
    """``count`` negatives for each positive word: a draw equal to it is drawn again.

    Parameters
    ----------
    positive, places : (n,) int    the words to avoid, the positions where they are drawn
    key : int
    alias : (V,) uint64            `npssl.data.sampling.alias_table`
    first, stride : int            number of the first draw, and how many are drawn at a position

    Returns
    -------
    words : (n, count) int
    """
    positive, places = np.asarray(positive)[:, None], np.asarray(places)[:, None]
    slot = np.broadcast_to(2 + first + np.arange(count), (len(positive), count)).copy()
    words = from_alias(draw(key, places, slot), alias)
    while (again := (words == positive) & (slot < (1 << SLOTS) - stride)).any():
        slot[again] += stride
        rows = np.nonzero(again)[0]
        words[again] = from_alias(draw(key, places[rows, 0], slot[again]), alias)
    return words
