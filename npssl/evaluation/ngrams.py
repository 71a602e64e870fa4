r"""Language models by counting: what a trained one must beat.

An n-gram model knows a word's last n - 1 predecessors and how often each word followed
them.  `KneserNey` is the best known of them.  With c(h w) the number of times that w
followed the history h, and h' the history without its oldest word::

    p(w | h) = (c(h w) - D(c(h w))) / c(h .) + b(h) p(w | h')                       (1)
    b(h)     = sum_w D(c(h w)) / c(h .),      c(h .) = sum_w c(h w)                 (2)
    p(w | h) = p(w | h')                      where c(h .) = 0                      (3)
    p(w)     = (c(w) - D(c(w))) / c(.) + b / V                                      (4)

Every count gives a little, D, away and the shorter history hands it out, so (1) sums to
one.  Below the full order c is not how often h w was seen but *after how many different
words*: "Francisco" is frequent, but follows one word only, so it is a poor guess elsewhere.
D(c) is 0, D1, D2, D3 for c = 0, 1, 2, 3 and more; with n_k the number of n-grams of
count k, for each order::

    D_k = k - (k + 1) Y n_(k+1) / n_k,        Y = n_1 / (n_1 + 2 n_2)               (5)

References
----------
Chen & Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling",
Computer Speech and Language 13, 1999, 359-394: modified Kneser-Ney, interpolated.  They
begin a sentence with n - 1 marks; here its first words have shorter histories.
Kneser & Ney, "Improved Backing-Off for M-gram Language Modeling", ICASSP 1995.
Heafield, Pouzyrevsky, Clark & Koehn, "Scalable Modified Kneser-Ney Language Model
Estimation", ACL 2013: KenLM, whose substitutes for discounts that cannot be had are ours.
"""

from __future__ import annotations

import numpy as np

SUBSTITUTES = (0.5, 1.0, 1.5)  # D1, D2, D3 where (5) has no value with 0 < D_k <= k
CELLS = 1 << 21  # numbers of a table of (position, word) at a time


class Unigram:
    """How often each word is, whatever stands beside it: p(w) = (c(w) + add) / (N + add V).

    Parameters
    ----------
    ids : (N,) int      the text
    vocabulary : int    V: ids are 0 .. V - 1
    add : float         what every count is raised by

    Examples
    --------
    >>> Unigram([0, 0, 1], 3).probability
    array([0.5       , 0.33333333, 0.16666667])
    """

    def __init__(self, ids, vocabulary: int, *, add: float = 1.0):
        if not add > 0:
            raise ValueError(f"add: expected a number above 0, found {add}")
        counts = np.bincount(_checked("ids", ids, vocabulary), minlength=vocabulary) + add
        self.probability = counts / counts.sum()
        self.best = int(counts.argmax())

    def nats(self, ids) -> np.ndarray:
        """(n,) -log p of each word."""
        return -np.log(self.probability[_checked("ids", ids, len(self.probability))])


class KneserNey:
    """Interpolated Kneser-Ney with three discounts for each order, equations (1) to (5).

    N-grams are numbered: one of k words is the number of its first k - 1 words, times V,
    plus its last word, looked up in a sorted array.  So no n-gram is ever a Python object.

    Parameters
    ----------
    ids : (N,) int            the text
    order : int               words of the longest n-gram, the predicted one counted
    vocabulary : int          V: ids are 0 .. V - 1
    starts : (n,) int, optional
        where documents begin; no n-gram reaches over such a place

    Examples
    --------
    >>> text = np.arange(1000) % 3
    >>> model = KneserNey(text, 3, 3)
    >>> np.exp(-model.nats([0, 1, 2, 1])).round(2)  # the last is a surprise
    array([0.33, 0.67, 1.  , 0.  ])
    """

    def __init__(self, ids, order: int, vocabulary: int, *, starts=()):
        if order < 1:
            raise ValueError(f"order: expected at least 1, found {order}")
        ids = _checked("ids", ids, vocabulary)
        if not len(ids):
            raise ValueError("ids: expected at least one word, found none")
        before = _predecessors(len(ids), starts)
        self.vocabulary = vocabulary
        keys: list[np.ndarray] = []
        counts: list[np.ndarray] = []
        here = np.zeros(len(ids) + 1, np.int64)
        for k in range(order):
            places = np.flatnonzero(before >= k)
            if not len(places):
                break  # every document is shorter
            # here[i] is the number of the k words that end before i
            found, first, which, often = np.unique(
                here[places] * vocabulary + ids[places], True, True, True
            )
            if k:  # after how many different words: once for each longer n-gram
                counts[-1] = np.bincount(here[places[first] + 1], minlength=len(keys[-1]))
            here = np.full(len(ids) + 1, -1, np.int64)
            here[places + 1] = which
            keys.append(found)
            counts.append(often)
        self.keys, self.gives, self.rest = keys, [], []
        for k, (key, c) in enumerate(zip(keys, counts)):
            history, histories = key // vocabulary, len(keys[k - 1]) if k else 1
            away = np.array([0.0, *discounts(c)])[np.minimum(c, 3)]
            total = np.bincount(history, c, histories)
            some = np.maximum(total, 1)
            self.gives.append((c - away) / some[history])  # (1), first term
            rest = np.bincount(history, away, histories) / some  # (2)
            self.rest.append(np.where(total > 0, rest, 1.0))  # (3)

    def nats(self, ids, *, starts=()) -> np.ndarray:
        """(n,) -log p of each word of a text, given those before it in its document."""
        ids = _checked("ids", ids, self.vocabulary)
        before = _predecessors(len(ids), starts)
        p = np.full(len(ids), 1 / self.vocabulary)
        here = np.zeros(len(ids) + 1, np.int64)
        for k, (keys, gives, rest) in enumerate(zip(self.keys, self.gives, self.rest)):
            places = np.flatnonzero((before >= k) & (here[:-1] >= 0))
            history = here[places]
            which, seen = _find(keys, history * self.vocabulary + ids[places])
            p[places] = np.where(seen, gives[which], 0.0) + rest[history] * p[places]  # (1)
            here = np.full(len(ids) + 1, -1, np.int64)
            here[places + 1] = np.where(seen, which, -1)
        return -np.log(p)


class BidirectionalBigram:
    """A word from its two neighbours: what a masked language model must beat.

    With p the `KneserNey` model of order 2, and as if a and b knew of each other only by the
    word between them::

        p(w | a, b) = p(w | a) p(b | w) / sum_v p(v | a) p(b | v)                   (6)

    The sum goes over the whole vocabulary, so there is nothing approximate in it.  A neighbour
    that is hidden too is -1: then p(b | w) is left out, or p(w | a) is the share p(w) of the
    word in the text, counted once more.

    Parameters
    ----------
    ids, vocabulary, starts     as for `KneserNey`

    Examples
    --------
    >>> model = BidirectionalBigram([0, 1, 2, 0, 1, 2, 0, 1, 2], 3)
    >>> model.best([0, 1], [2, 0])
    array([1, 2])
    >>> np.exp(-model.nats([0, 0], [1, 1], [2, -1])).round(2)
    array([0.89, 0.67])
    """

    def __init__(self, ids, vocabulary: int, *, starts=()):
        self.share = np.exp(-Unigram(ids, vocabulary, add=1.0).nats(np.arange(vocabulary)))
        model = KneserNey(ids, 2, vocabulary, starts=starts)
        if len(model.keys) < 2:
            raise ValueError("ids: expected two words in one document, found none")
        words, pairs = model.keys
        first, self.second = words[pairs // vocabulary], pairs % vocabulary
        self.gives = model.gives[1]
        self.rest = np.ones(vocabulary)
        self.rest[words] = model.rest[1]
        self.alone = np.full(vocabulary, model.rest[0][0] / vocabulary)  # (4)
        self.alone[words] += model.gives[0]
        edges = np.arange(vocabulary + 1)
        self.after = np.searchsorted(first, edges)  # pairs after[a] : after[a + 1] begin with a
        self.by_second = np.argsort(self.second, kind="stable")
        self.before = np.searchsorted(self.second[self.by_second], edges)
        self.first = first[self.by_second]

    def probability(self, previous, following) -> np.ndarray:
        """(n, V) equation (6), every word between each two neighbours."""
        before, after = np.maximum(previous, 0), np.maximum(following, 0)
        forward = self.rest[before][:, None] * self.alone
        row, pair = _ranges(self.after, before)
        forward[row, self.second[pair]] += self.gives[pair]
        forward[previous < 0] = self.share
        backward = self.alone[after][:, None] * self.rest
        row, pair = _ranges(self.before, after)
        backward[row, self.first[pair]] += self.gives[self.by_second[pair]]
        backward[following < 0] = 1.0
        forward *= backward
        forward /= forward.sum(1, keepdims=True)
        return forward

    def nats(self, previous, word, following) -> np.ndarray:
        """(n,) -log p of each word between its neighbours."""
        word = _checked("word", word, len(self.rest))
        out = np.empty(len(word))
        for part, p in self._tables(previous, following, len(word)):
            out[part] = -np.log(p[np.arange(len(p)), word[part]])
        return out

    def best(self, previous, following) -> np.ndarray:
        """(n,) the likeliest word between each two neighbours."""
        out = np.empty(len(previous), np.int64)
        for part, p in self._tables(previous, following, len(previous)):
            out[part] = p.argmax(1)
        return out

    def _tables(self, previous, following, n):
        previous = _checked("previous", previous, len(self.rest), least=-1)
        following = _checked("following", following, len(self.rest), least=-1)
        if not len(previous) == len(following) == n:
            found = f"{len(previous)} and {len(following)}"
            raise ValueError(f"previous, following: expected {n} words each, found {found}")
        step = max(1, CELLS // len(self.rest))
        for start in range(0, n, step):
            part = slice(start, start + step)
            yield part, self.probability(previous[part], following[part])


def discounts(counts) -> tuple[float, float, float]:
    """D1, D2, D3 of equation (5); `SUBSTITUTES` where one of them has no value in (0, k].

    Examples
    --------
    >>> [round(d, 3) for d in discounts([1, 1, 1, 1, 2, 2, 3, 4])]
    [0.5, 1.25, 1.0]
    """
    n = np.bincount(np.minimum(counts, 5), minlength=6).tolist()
    if not all(n[1:4]):
        return SUBSTITUTES
    y = n[1] / (n[1] + 2 * n[2])
    one, two, three = (k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3))
    return (one, two, three) if 0 < one <= 1 and 0 < two <= 2 and 0 < three <= 3 else SUBSTITUTES


def _checked(name, ids, vocabulary, *, least=0):
    """(N,) int64, every one of them a word; -1, where that is the least, is none."""
    ids = np.asarray(ids)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        found = f"shape {ids.shape} of {ids.dtype}"
        raise ValueError(f"{name}: expected one row of integers, found {found}")
    if ids.size and not (least <= ids.min() and ids.max() < vocabulary):
        found = f"{ids.min()} to {ids.max()}"
        raise ValueError(f"{name}: expected {least} to {vocabulary - 1}, found {found}")
    return ids.astype(np.int64)


def _predecessors(n, starts):
    """(n,) how many words of the same document stand before each."""
    starts = _checked("starts", starts, n)
    begin = np.zeros(n, np.int64)
    begin[starts] = starts
    return np.arange(n) - np.maximum.accumulate(begin)


def _find(keys, wanted):
    """Where each stands in sorted keys (any place if it does not), and whether it does."""
    which = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return which, keys[which] == wanted


def _ranges(edges, which):
    """All of edges[w] : edges[w + 1] for each w, with the place of w: (row, element)."""
    lengths = edges[which + 1] - edges[which]
    row = np.repeat(np.arange(len(which)), lengths)
    offset = np.repeat(edges[which] - (np.cumsum(lengths) - lengths), lengths)
    return row, offset + np.arange(len(row))
