"""Sub-words: a word is the bag of itself and of its character n-grams (fastText).

The table of input vectors has V rows for words and then ``buckets`` rows, each
shared by all n-grams whose hash falls there.  So related forms share vectors, and
a word never seen still has one: the mean of its n-grams.

bags         rows of every word of a vocabulary: what a bag model trains on
ngrams       the n-grams themselves, to look at
ngram_rows   rows of the n-grams of one word, in the vocabulary or not
compact      keep only the buckets that occur
compose      the vector of each word: the mean of its rows
"""

from __future__ import annotations

import operator
from collections.abc import Iterable

import numpy as np

from npssl.kernels import enabled, fast

END = "</s>"  # fastText's name for a sentence end: it has no n-grams


def bags(words: Iterable[str], *, minn=3, maxn=6, buckets=2_000_000):
    """The rows of every word: its own, then those of its hashed character n-grams.

    Parameters
    ----------
    words : V str          word w has row w
    minn, maxn : int       shortest and longest n-gram, in characters of ``<word>``
    buckets : int          rows for n-grams, behind the V rows for words

    Returns
    -------
    start : (V + 1,) int64       word w has the rows ``rows[start[w]:start[w + 1]]``
    rows : (start[V],) int32     first w, then V + hash of each n-gram, modulo buckets

    Notes
    -----
    This is the ``subwords`` list of fastText's ``dictionary.cc``, in its order, so
    its tables can be used: see `ngrams` for which n-grams, `fnv1a` for the hash.

    The table takes (V + buckets) x dim x 4 bytes: 800 MB for the 2,000,000 buckets
    of fastText at dim 100, most of them never touched by a small vocabulary.
    `compact` keeps the rows that occur.  The rows take 4 bytes for each n-gram:
    some 25 a word in English.

    Raises
    ------
    ValueError
        for words that are not str, minn < 1, maxn < minn, buckets < 1, or more
        than 2**31 rows.

    References
    ----------
    Bojanowski, Grave, Joulin & Mikolov, "Enriching Word Vectors with Subword
    Information", TACL 5, 2017, arXiv:1607.04606, section 3.2.

    Examples
    --------
    >>> start, rows = bags(["where", "her"], minn=3, maxn=3)
    >>> start.tolist(), rows[[0, 6]].tolist()       # <wh whe her ere re>, <he her er>
    ([0, 6, 10], [0, 1])
    >>> rows[3] == rows[8]                          # "her" of where is "her" of her
    np.True_
    """
    listed = _strings(words)
    V = len(listed)
    minn, maxn, buckets = _options(minn, maxn, buckets, V)
    if enabled():
        return _bags_of_bytes(listed, minn, maxn, buckets)
    start, rows = np.zeros(V + 1, np.int64), []
    for w, word in enumerate(listed):
        own = [V + fnv1a(gram) % buckets for gram in ngrams(word, minn, maxn)]
        rows.append(np.array([w, *own], np.int32))
        start[w + 1] = start[w] + len(rows[w])
    return start, np.concatenate(rows) if V else np.zeros(0, np.int32)


def ngrams(word: str, minn=3, maxn=6) -> list[str]:
    """The character n-grams of ``<word>``, in fastText's order.

    They are sorted by first character, then by length.  A character is a code
    point.  The bare ``<`` and ``>`` do not count, which matters for minn = 1 only;
    ``</s>``, fastText's sentence end, has none.  (gensim gives it some.)

    >>> ngrams("her", 3, 4)
    ['<he', '<her', 'her', 'her>', 'er>']
    >>> ngrams("ö", 1, 2)
    ['<ö', 'ö', 'ö>']
    """
    minn, maxn, _ = _options(minn, maxn, 1, 0)
    text, last = f"<{word}>", len(word) + 1
    if word == END:
        return []
    return [
        text[i : i + n]
        for i in range(len(text))
        for n in range(minn, min(maxn, len(text) - i) + 1)
        if n > 1 or i not in (0, last)
    ]


def fnv1a(text: str) -> int:
    """FNV-1a, 32 bits, of the UTF-8 bytes as fastText has it: bytes from 128 on are negative.

    Carrying the sign into the upper 24 bits was an accident of C's ``char``; fastText
    made it the rule, because models had been trained with it.

    References
    ----------
    Noll, Vo, Eastlake & Hansen, "The FNV Non-Cryptographic Hash Algorithm", RFC 9923, 2026.

    >>> hex(fnv1a("foobar")), hex(fnv1a(""))      # ASCII: plain FNV-1a
    ('0xbf9cf968', '0x811c9dc5')
    """
    h = 0x811C9DC5
    for byte in text.encode("utf-8", "surrogatepass"):
        signed = byte - 256 if byte > 127 else byte
        h = ((h ^ signed) & 0xFFFFFFFF) * 0x01000193 & 0xFFFFFFFF
    return h


def ngram_rows(word: str, V: int, *, minn=3, maxn=6, buckets=2_000_000, used=None):
    """Rows of the n-grams of any word: the mean of these is the vector of an unknown one.

    Parameters
    ----------
    word : str             in the vocabulary or not; the row of the word itself is not given
    V : int                words of the vocabulary
    minn, maxn, buckets    as for `bags`
    used : (U,) int        as from `compact`: n-grams of other buckets have no vector, and
                           are left out

    Returns
    -------
    rows : (n,) int32      n = 0 if the word is too short, or nothing of it was ever seen

    Examples
    --------
    >>> start, rows = bags(["where"])
    >>> (ngram_rows("where", 1) == rows[1:]).all()
    np.True_
    >>> rows, used = compact(rows, 1)
    >>> len(ngram_rows("there", 1)), len(ngram_rows("there", 1, used=used))  # her, ..., here>
    (14, 6)
    """
    [word] = _strings([word])
    minn, maxn, buckets = _options(minn, maxn, buckets, V)
    found = np.array([fnv1a(gram) % buckets for gram in ngrams(word, minn, maxn)], np.int64)
    if used is not None:
        used = np.asarray(used)
        place = np.searchsorted(used, found)
        known = place < len(used)
        known[known] = used[place[known]] == found[known]
        found = place[known]
    return (V + found).astype(np.int32)


def compact(rows, V: int):
    """Number the buckets that occur densely, so that the table needs rows for no others.

    N-grams of words that are not in the vocabulary then need ``used`` to find their row
    (`ngram_rows`), and most have none: such a bucket would still hold its first draw.

    Parameters
    ----------
    rows : (M,) int32      as from `bags`
    V : int                words of the vocabulary

    Returns
    -------
    rows : (M,) int32      words as before; V + place of the bucket in ``used``
    used : (U,) int32      the buckets that occur, rising; the table needs V + U rows

    Examples
    --------
    >>> compact(np.array([0, 9, 5, 1, 9], np.int32), 2)
    (array([0, 3, 2, 1, 3], dtype=int32), array([3, 7], dtype=int32))
    """
    rows = np.asarray(rows, np.int32)
    if V < 0 or (len(rows) and rows.min() < 0):
        raise ValueError(f"rows, V: expected 0 or more, found {min(V, rows.min(initial=0))}")
    hashed = rows >= V
    bucket = rows[hashed] - np.int32(V)
    if bucket.max(initial=0) <= 4 * len(rows) + 1024:  # a table of buckets, where it is small
        seen = np.zeros(bucket.max(initial=-1) + 1, bool)
        seen[bucket] = True
        used = np.flatnonzero(seen)
        places = np.empty(len(seen), np.int32)
        places[used] = np.arange(len(used))
        place = places[bucket]
    else:
        used, place = np.unique(bucket, return_inverse=True)
    new = rows.astype(np.int32)
    new[hashed] = V + place
    return new, used.astype(np.int32)


def compose(table, start, rows, *, block=65536):
    """The vector of each word: the mean of its rows.

    Parameters
    ----------
    table : (R, D) float         words first, then n-grams; float32 and contiguous is fast
    start : (V + 1,) int64       as from `bags`
    rows : (start[V],) int32     as from `bags` or `compact`, each below R
    block : int                  rows that the NumPy form gathers at a time

    Returns
    -------
    vectors : (V, D)             of the table's dtype; an empty bag gives the zero vector

    Examples
    --------
    >>> compose(np.array([[1.0], [2.0], [6.0]]), np.array([0, 2, 3]), np.array([0, 2, 1]))
    array([[3.5],
           [2. ]])
    """
    table = np.asarray(table)
    start, rows = np.ascontiguousarray(start, np.int64), np.ascontiguousarray(rows, np.int32)
    _check_bags(table, start, rows, block)
    V = len(start) - 1
    vectors = np.empty((V, table.shape[1]), table.dtype)
    if fast(table) and table.flags.aligned:
        from npssl.kernels.subwords import mean_rows

        mean_rows(table, start, rows, vectors)
        return vectors
    a = 0
    while a < V:
        b = max(a + 1, int(np.searchsorted(start, start[a] + block, "right")) - 1)
        first, size = start[a:b] - start[a], np.diff(start[a : b + 1])
        sums = np.zeros((b - a, table.shape[1]), table.dtype)
        if size.any():  # reduceat knows no empty bags
            sums[size > 0] = np.add.reduceat(table[rows[start[a] : start[b]]], first[size > 0])
        vectors[a:b] = sums * (1 / np.maximum(size, 1)).astype(table.dtype)[:, None]
        a = b
    return vectors


def _bags_of_bytes(words, minn, maxn, buckets):
    """`bags` by the kernel: the number of n-grams follows from the number of characters."""
    from npssl.kernels.subwords import fill

    length = np.fromiter(map(len, words), np.int64, len(words)) + 2
    longest = np.minimum(length, maxn)
    kinds = np.maximum(longest - minn + 1, 0)  # minn, ..., longest
    size = 1 + kinds * (2 * length + 2 - minn - longest) // 2  # 1 + sum of length - n + 1
    if minn == 1:
        size -= 2  # "<" and ">"
    size[np.flatnonzero([word == END for word in words])] = 1
    start = np.concatenate([[0], np.cumsum(size)])
    rows = np.empty(start[-1], np.int32)
    text = ("<" + "><".join(words) + ">").encode("utf-8", "surrogatepass")
    fill(np.frombuffer(text, np.int8), length, start, minn, maxn, buckets, rows)
    return start, rows


def _strings(words):
    if isinstance(words, (str, bytes)):
        raise ValueError(f"words: expected a list of str, found {words!r:.60}")
    words = list(words)
    for w, word in enumerate(words):
        if not isinstance(word, str):
            raise ValueError(
                f"words: expected str, found {type(word).__name__} {word!r:.60} at place {w}"
            )
    return words


def _options(minn, maxn, buckets, V):
    found = []
    for name, value, least in (("minn", minn, 1), ("maxn", maxn, minn), ("buckets", buckets, 1)):
        try:
            found.append(operator.index(value))
        except TypeError:
            raise ValueError(f"{name}: expected a whole number, found {value!r}") from None
        if value < least:
            least = f"minn = {minn}" if name == "maxn" else least
            raise ValueError(f"{name}: expected at least {least}, found {value}")
    if V + buckets > 2**31:
        raise ValueError(
            f"buckets: {V} words and {buckets} buckets are more rows than int32 can number"
        )
    return found


def _check_bags(table, start, rows, block):
    if table.ndim != 2 or not np.issubdtype(table.dtype, np.floating):
        raise ValueError(f"table: expected (R, D) float, found {table.dtype} {table.shape}")
    if block < 1:
        raise ValueError(f"block: expected at least 1, found {block}")
    rises = start.ndim == 1 and len(start) and (start[1:] >= start[:-1]).all()
    if not rises or rows.ndim != 1 or start[0] != 0 or start[-1] != len(rows):
        raise ValueError(
            f"start: expected a rise from 0 to the {rows.size} rows, found shape {start.shape}"
            + (f" from {start[0]} to {start[-1]}" if start.size and start.ndim == 1 else "")
        )
    if len(rows) and not 0 <= rows.min() <= rows.max() < len(table):
        raise ValueError(
            f"rows: expected 0 to {len(table) - 1}, found {rows.min()} to {rows.max()}"
        )
