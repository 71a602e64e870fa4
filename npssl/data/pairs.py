"""Pairs of sentences from documents, for a model that tells whether one follows the other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np

_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st mt rev gen col lt capt sgt sen rep gov hon pres messrs jr sr vs no nos "
    "vol fig figs eq sec ch pp ed eds cf al etc e.g i.e u.s u.k inc ltd co corp dept univ approx "
    "jan feb mar apr jun jul aug sep sept oct nov dec".split()
)
_END = re.compile(
    r"""(?<![.!?\u2026])[.!?\u2026]+ (?:\s?["'\u201d\u2019)\]]+)?  # stop, closed quotes
        \s+ (?=["'\u201c\u2018(\[]*\s?[^\W_a-z])""",  # then a capital or a digit
    re.VERBOSE,
)
_WORD = re.compile(r"[\w.]*\Z")


def documents(lines: Iterable[str]) -> Iterator[list[str]]:
    """The documents of a text with one sentence on a line and empty lines between documents.

    Parameters
    ----------
    lines : iterable of str        such as an open file; blanks at the ends are dropped

    Yields
    ------
    list of str                    the sentences of one document, at least one

    Examples
    --------
    >>> list(documents(["One.\\n", "Two.\\n", "\\n", "\\n", "Three."]))
    [['One.', 'Two.'], ['Three.']]
    """
    if isinstance(lines, str):
        raise ValueError("lines: expected an iterable of lines, found one str; use splitlines()")
    document: list[str] = []
    for line in lines:
        line = line.strip()
        if line:
            document.append(line)
        elif document:
            yield document
            document = []
    if document:
        yield document


def sentences(paragraph: str) -> list[str]:
    """Split an English paragraph into sentences, by rule.

    A sentence ends at ``.``, ``!``, ``?`` or an ellipsis, with the quotes and brackets
    that close after it, where blanks and then a capital, a digit or a letter without
    case follow; but not at the full stop of an initial or of a usual abbreviation.

    Notes
    -----
    Limits: a sentence that ends in an abbreviation (``made by Acme Inc.``) or in a single
    capital (``plan B.``) is joined to the next; one that begins with a small letter to
    the one before; an abbreviation that is not in the list splits before a capital; there
    are no sentences within quotes or brackets other than by the same rule; a semicolon or
    a line break ends nothing.  Nothing but the blanks between sentences is lost.

    Examples
    --------
    >>> sentences('Dr. J. Smith came at 3.15 p.m. today. "Why?" he said. It was late! Was it?')
    ['Dr. J. Smith came at 3.15 p.m. today.', '"Why?" he said.', 'It was late!', 'Was it?']
    """
    found, start = [], 0
    for end in _END.finditer(paragraph):
        stop = end.start()
        if end.group().rstrip() == ".":
            word = _WORD.search(paragraph, max(start, stop - 12), stop).group()  # type: ignore[union-attr]
            if word.lower() in _ABBREVIATIONS or (len(word) == 1 and word.isupper()):
                if word != "I":
                    continue
        found.append(paragraph[start : end.end()].strip())
        start = end.end()
    found.append(paragraph[start:].strip())
    return [sentence for sentence in found if sentence]


class Pairs:
    """Draws pairs (A, B) from documents: B is what follows A, or from another document.

    Parameters
    ----------
    documents : list of documents, or flat storage
        A document is a list of sentences, a sentence an array of ids.  Flat storage is
        ``(ids, sentences, documents)``: all ids in one array, which may be a
        ``numpy.memmap`` and stays where it is; the S + 1 offsets of the sentences in it;
        the D + 1 offsets of the documents in the list of sentences.
    longest : int >= 5       tokens of a pair at most, with one [CLS] and two [SEP]
    short : float            share of the documents whose pairs aim at a random shorter length
    next : float             share of the pairs in which B follows A
    one_segment : str        what becomes of a chunk of one sentence, see Notes

    Notes
    -----
    An epoch takes the documents in random order.  Sentences are gathered into a chunk up
    to the length aimed at; A is a random number of its first sentences; B the rest, or,
    from a random sentence of another document on, as many as fill the length, and then
    the unused sentences are put back.  What is longer than ``longest`` loses tokens of
    the longer part, each from its front or its back at random.

    A chunk of one sentence has no rest.  The authors' code then always takes a random B
    (``one_segment="original"``), so that more pairs are random than was asked for.  With
    ``"relabel"`` the sentence is cut at a random token: A is what stands before, B what
    follows, so that the share is as asked.  As B begins within a sentence, a random B
    does so too here, and what A left of its sentence is put back: the cut does not tell
    the label.  A rest of one token is left out, whatever its label would be.

    The authors' code may find a random B in A's own document; here it is never so, unless
    there is only one document: B is then any place but the one that follows A.

    References
    ----------
    Devlin, Chang, Lee & Toutanova, "BERT: Pre-training of Deep Bidirectional
    Transformers for Language Understanding", 2019, arXiv:1810.04805, section 3.1 and
    appendix A.2.

    Examples
    --------
    >>> import numpy as np
    >>> documents = [[np.array([5, 6]), np.array([7])], [np.array([8, 9]), np.array([10, 11])]]
    >>> pairs = Pairs(documents, longest=16, short=0, next=1)
    >>> sorted((a.tolist(), b.tolist(), label) for a, b, label in pairs.draw(
    ...     np.random.default_rng(0)))
    [([5, 6], [7], True), ([8, 9], [10, 11], True)]
    """

    def __init__(
        self,
        documents,
        *,
        longest: int = 128,
        short: float = 0.1,
        next: float = 0.5,
        one_segment: str = "relabel",
    ):
        if longest < 5:
            raise ValueError(f"longest: expected 5 or more (3 are special), found {longest}")
        for name, share in (("short", short), ("next", next)):
            if not 0 <= share <= 1:
                raise ValueError(f"{name}: expected a share of 0 to 1, found {share}")
        if one_segment not in ("relabel", "original"):
            raise ValueError(
                f"one_segment: expected 'relabel' or 'original', found {one_segment!r}"
            )
        self.longest, self.short, self.next = int(longest), short, next
        self.one_segment = one_segment
        flat = isinstance(documents, tuple) and len(documents) == 3
        if not (flat and all(isinstance(part, np.ndarray) for part in documents)):
            documents = _flat(documents)
        self.ids = documents[0]
        if self.ids.ndim != 1 or self.ids.dtype.kind not in "iu":
            raise ValueError(
                f"documents: expected one row of integer ids, "
                f"found {self.ids.dtype} of shape {self.ids.shape}"
            )
        self.sentences = _offsets("sentence", documents[1], len(self.ids))
        self.documents = _offsets("document", documents[2], len(self.sentences) - 1)

    def __len__(self) -> int:
        """The number of documents."""
        return len(self.documents) - 1

    def draw(self, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray, bool]]:
        """Iterate over the pairs of one epoch: (a, b, is_next), copies of the ids."""
        most = self.longest - 3
        for document in rng.permutation(len(self)):
            aim = most
            if rng.random() < self.short:
                aim = int(rng.integers(2, most + 1))
            for a, b, is_next in self._of(int(document), aim, rng):
                yield *self._cut(a, b, most, rng), is_next

    def _of(self, document, aim, rng):
        """The pairs of one document as ranges of tokens."""
        offsets, last = self.sentences, int(self.documents[document + 1])
        first = int(self.documents[document])
        begin, end = int(offsets[first]), int(offsets[last])  # tokens not used so far
        while begin < end:
            # The chunk is what is left of sentence `first` and all up to `stop`.
            stop = first + 1 + int(np.searchsorted(offsets[first + 1 : last], begin + aim))
            to, parts, within = int(offsets[stop]), stop - first, False
            if parts > 1:
                after = first + int(rng.integers(1, parts))
                middle = int(offsets[after])
            elif self.one_segment == "original":
                after, middle = stop, to
            elif to - begin > 1:
                after, within = first, True
                middle = begin + int(rng.integers(1, to - begin))
            else:
                first, begin = stop, to
                continue
            if middle < to and rng.random() < self.next:
                yield (begin, middle), (middle, to), True
                first, begin = stop, to
            else:
                b = self._elsewhere(document, middle, aim - (middle - begin), within, rng)
                yield (begin, middle), b, False
                first, begin = after, middle

    def _elsewhere(self, document, middle, length, within, rng):
        """A place of another document: from a sentence on, or from within a sentence."""
        offsets = self.sentences
        if len(self) > 1:
            other = int(rng.integers(len(self) - 1))
            other += other >= document
        else:
            other = document
        first, last = int(self.documents[other]), int(self.documents[other + 1])
        sentence = int(rng.integers(first, last))
        if other == document and last - first > 1 and int(offsets[sentence]) == middle:
            sentence = first + (sentence - first + 1) % (last - first)
        begin, to = int(offsets[sentence]), int(offsets[sentence + 1])
        if within and to - begin > 1:
            begin += int(rng.integers(1, to - begin))
            if other == document and begin == middle:
                begin = int(offsets[sentence])
        stop = int(np.searchsorted(offsets[sentence + 1 : last], begin + max(length, 1)))
        return begin, int(offsets[sentence + 1 + stop])

    def _cut(self, a, b, most, rng):
        """Take tokens from the longer part, from its front or back, until both fit."""
        (a0, a1), (b0, b1) = a, b
        excess = (a1 - a0) + (b1 - b0) - most
        if excess > 0:
            longer = (a1 - a0) - (b1 - b0)
            apart = min(excess, abs(longer))
            from_b = (excess - apart + 1) // 2  # equal parts lose in turn, B first
            from_a = excess - apart - from_b
            if longer > 0:
                from_a += apart
            else:
                from_b += apart
            front = int(rng.binomial(from_a, 0.5))
            a0, a1 = a0 + front, a1 - (from_a - front)
            front = int(rng.binomial(from_b, 0.5))
            b0, b1 = b0 + front, b1 - (from_b - front)
        return np.array(self.ids[a0:a1]), np.array(self.ids[b0:b1])


def _flat(documents):
    """Lists of lists of ids as one array and two arrays of offsets."""
    rows, starts = [], [0]
    for d, document in enumerate(documents):
        for sentence in document:
            row = np.asarray(sentence)
            if row.ndim != 1 or (row.size and row.dtype.kind not in "iu"):
                raise ValueError(
                    f"documents: expected sentences as rows of integer ids, found {row.dtype} "
                    f"of shape {row.shape} in document {d}"
                )
            rows.append(row if row.size else row.astype(np.int64))
        starts.append(len(rows))
    ends = np.cumsum([0] + [len(row) for row in rows])
    ids = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    return ids, ends, np.array(starts)


def _offsets(name, offsets, end):
    """Offsets in memory, from 0 to ``end`` and rising."""
    offsets = np.array(offsets)
    if offsets.ndim != 1 or offsets.dtype.kind not in "iu" or len(offsets) < 2:
        raise ValueError(
            f"documents: expected at least one document, as the integer offsets of each {name} "
            f"and of the end, found {offsets.dtype} of shape {offsets.shape}"
        )
    offsets = offsets.astype(np.int64)
    if offsets[0] != 0 or offsets[-1] != end:
        raise ValueError(
            f"documents: expected {name} offsets from 0 to {end}, "
            f"found {offsets[0]} to {offsets[-1]}"
        )
    bad = np.flatnonzero(np.diff(offsets) <= 0)
    if len(bad):
        raise ValueError(f"documents: expected no empty {name}, found {name} {bad[0]} empty")
    return offsets


def pair_batch(pairs, *, cls_id: int, sep_id: int, pad_id: int, longest: int) -> dict:
    """Lay pairs as rows ``[CLS] a [SEP] b [SEP]``, padded to the longest of the batch.

    Parameters
    ----------
    pairs : sequence of (a, b, is_next)      as `Pairs.draw` yields them
    cls_id, sep_id, pad_id : int
    longest : int                            no row may be longer

    Returns
    -------
    dict of
        ids (B, T) int32; segments (B, T) int32, 0 up to the first [SEP], 1 up to the
        second, 0 in the padding; lengths (B,) int64; is_next (B,) int64, 1 where b
        follows a (the authors' code writes 0 there).

    Examples
    --------
    >>> batch = pair_batch([([7, 8], [9], True), ([7], [9], False)],
    ...                    cls_id=2, sep_id=3, pad_id=0, longest=8)
    >>> batch["ids"].tolist(), batch["is_next"].tolist()
    ([[2, 7, 8, 3, 9, 3], [2, 7, 3, 9, 3, 0]], [1, 0])
    >>> batch["segments"].tolist()
    [[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 0]]
    """
    pairs = list(pairs)
    if not pairs:
        raise ValueError("pairs: expected at least one pair, found none")
    if longest < 5:
        raise ValueError(f"longest: expected 5 or more (3 are special), found {longest}")
    ends = np.array([(len(a) + 2, len(a) + len(b) + 3) for a, b, _ in pairs])
    lengths = ends[:, 1]
    if lengths.max() > longest:
        raise ValueError(
            f"pairs: expected rows of at most {longest} tokens, found {lengths.max()} "
            f"in pair {lengths.argmax()}"
        )
    T = lengths.max()
    ids = np.full((len(pairs), T), pad_id, np.int32)
    for row, (a, b, _), (middle, end) in zip(ids, pairs, ends.tolist()):
        row[0] = cls_id
        row[1 : middle - 1] = a
        row[middle - 1] = sep_id
        row[middle : end - 1] = b
        row[end - 1] = sep_id
    t = np.arange(T)
    segments = ((t >= ends[:, :1]) & (t < ends[:, 1:])).astype(np.int32)
    is_next = np.array([bool(label) for _, _, label in pairs], np.int64)
    return dict(ids=ids, segments=segments, lengths=lengths.astype(np.int64), is_next=is_next)


def by_length(lengths, *, tokens: int, rng: np.random.Generator | None = None) -> list[np.ndarray]:
    """Batches of about ``tokens`` tokens, of rows that are of nearly one length.

    Parameters
    ----------
    lengths : (N,) int       tokens of each row
    tokens : int             a batch holds at most so many, padding counted; a longer row
                             is a batch of its own
    rng : numpy.random.Generator
        Shuffles the rows of one length and the order of the batches; without it the
        batches come by rising length, and the rows of one length in their order.

    Returns
    -------
    list of (n,) int64       rows of each batch; every row is in one of them

    Examples
    --------
    >>> [batch.tolist() for batch in by_length([3, 9, 2, 3, 8], tokens=9)]
    [[2, 0, 3], [4], [1]]
    """
    lengths = np.asarray(lengths)
    if lengths.ndim != 1 or (lengths.size and lengths.dtype.kind not in "iu"):
        raise ValueError(
            f"lengths: expected one row of integers, found {lengths.dtype} of shape {lengths.shape}"
        )
    if lengths.size and lengths.min() < 1:
        raise ValueError(f"lengths: expected 1 or more, found {lengths.min()}")
    if tokens < 1:
        raise ValueError(f"tokens: expected 1 or more, found {tokens}")
    N = len(lengths)
    if rng is None:
        order = np.argsort(lengths, kind="stable")
    else:
        order = np.lexsort((rng.random(N), lengths))
    width = lengths[order].astype(np.int64)
    batches, start = [], 0
    while start < N:
        near = width[start : start + max(1, int(tokens // width[start]))]
        padded = near * np.arange(1, len(near) + 1)  # rising, as the widths are
        stop = start + max(1, int(np.searchsorted(padded, tokens, "right")))
        batches.append(order[start:stop])
        start = stop
    if rng is not None:
        batches = [batches[i] for i in rng.permutation(len(batches))]
    return batches
