"""The steps from text to word ids; `npssl.data.corpus.encode` joins them.

    number     the words get ids in the order in which they come; counts
    settle     the vocabulary is chosen; each old id gets its new one, or none
    renumber   old ids become new ones, in place

Several counters may share the work, each with ids of its own.  So the ids come in
segments, each the work of one counter, and `settle` tells which words are the same.
"""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from npssl.data.blocks import SLACK, WHITESPACE, blocks
from npssl.data.counting import END, TokenCounter, counter
from npssl.data.vocabulary import Vocabulary, most_frequent
from npssl.data.words import Folder

LONGEST = 10_000  # words in a sentence; longer lines are cut, as gensim does
WINDOW = 1 << 20  # ids handled at a time
DROP = -2

C_BLANK = b" \n\t"  # what word2vec.c takes as a word boundary,
C_LONGEST = 98  # and where it cuts a word
_C_NUL = re.compile(rb"\0[^ \n\t]*")


@dataclass
class Numbered:
    """The ids of a whole text are in a store; this tells what they mean.

    counters : each with words, counts and ids of its own
    grown : (steps, counters) how many words each knew after each step, in order of the text
    segments : (counter, n) pairs; the next n ids of the store are that counter's
    """

    counters: list
    grown: list
    segments: list


def number_text(store, source, *, tokens, threads, exactly, progress, size):
    """Number the words of byte streams; ``exactly`` is as word2vec.c reads."""
    blank = C_BLANK if exactly else WHITESPACE
    counters = [counter(blank, C_LONGEST if exactly else None) for _ in range(threads)]
    numbered, carried = Numbered(counters, [], []), 0
    change = _as_c_sees_it if exactly else Folder() if tokens == "words" else lambda *block: block
    scans: list = []  # of the block before, which are running while the next one is read

    def collect():
        nonlocal carried
        for k, scan in enumerate(scans):
            ids = scan()
            if not exactly:
                ids, carried = cut_long(ids, carried)
            store.append(ids)
            numbered.segments.append((k, len(ids)))
        numbered.grown.append([len(c) for c in counters])
        if progress:
            progress(source.done, source.total)

    with ThreadPoolExecutor(threads) as pool:
        for block, n in blocks(source, size, blank=blank, whole=not exactly):
            block, n = change(block, n)
            cuts = _pieces(block, n, threads, blank)
            collect()
            scans = [partial(c.scan, block, a, b) for c, a, b in zip(counters, cuts, cuts[1:])]
            if threads > 1:
                scans = [pool.submit(scan).result for scan in scans]
        collect()
    return numbered


def number_lists(store, sentences, together=1 << 16):
    """Number the words of sentences that are lists of str; ``together`` is ids at a time."""
    tokens = TokenCounter()
    numbered, carried, waiting = Numbered([tokens], [], []), 0, []

    def store_waiting():
        nonlocal carried
        ids, carried = cut_long(tokens.count(np.array(waiting, np.int32)), carried)
        store.append(ids)
        numbered.segments.append((0, len(ids)))
        waiting.clear()

    for number, sentence in enumerate(sentences):
        waiting += tokens.ids_of(sentence, number)
        waiting.append(END)
        if len(waiting) > together:
            store_waiting()
    store_waiting()
    numbered.grown.append([len(tokens)])
    return numbered


def _as_c_sees_it(block, n):
    """The block without what word2vec.c takes out of words."""
    if block.find(b"\r", 0, n) >= 0 or block.find(b"\0", 0, n) >= 0:
        text = _C_NUL.sub(b"", bytes(memoryview(block)[:n]).replace(b"\r", b""))
        return bytearray(text) + bytes(SLACK), len(text)
    return block, n


def _pieces(block, n, parts, blank):
    """Cut ``block[:n]`` just after blanks into parts of about one size."""
    cuts = [0]
    after = re.compile(b"[" + blank + b"]")
    for k in range(1, parts):
        found = after.search(block, max(cuts[-1], n * k // parts), n)
        cuts.append(found.end() if found else n)
    return [*cuts, n]


def cut_long(ids, carried, longest=LONGEST):
    """Set a sentence end after every ``longest`` words in a row; drop ends of empty sentences.

    Parameters
    ----------
    ids : (n,) int32       `END` ends a sentence
    carried : int          words that the sentence already had before these
    longest : int          1 or more

    Returns
    -------
    ids : (m,) int32
    carried : int          words of the unfinished sentence at the end

    Examples
    --------
    >>> ids, carried = cut_long(np.array([1, 2, 3, -1, -1, 4]), 1, longest=2)
    >>> ids.tolist(), carried
    ([1, -1, 2, 3, -1, 4], 1)
    """
    ends = np.flatnonzero(ids == END)
    starts = np.concatenate([[-carried], ends + 1])  # of each run of words, before 0 if carried
    lengths = np.concatenate([ends, [len(ids)]]) - starts
    if lengths.max() > longest:
        more = np.maximum(lengths - 1, 0) // longest  # ends to set in each run
        nth = np.arange(more.sum()) - np.repeat(np.cumsum(more) - more, more) + 1
        where = np.repeat(starts, more) + nth * longest
        return cut_long(np.insert(ids, where, END), carried, longest)
    empty = ends[lengths[:-1] == 0]
    return (np.delete(ids, empty) if len(empty) else ids), int(lengths[-1])


def settle(numbered, vocabulary, min_count, max_size, end=None):
    """Choose the vocabulary, or take the one given, and say what becomes of each old id.

    Parameters
    ----------
    numbered : Numbered
    vocabulary : Vocabulary or None
    min_count, max_size         see `most_frequent`
    end : str or None           a word that is a sentence end

    Returns
    -------
    vocabulary : Vocabulary
    lookups : list of (types + 1,) int32     for each counter: old id -> new id, `DROP` or
                                             `END`; the last entry, index -1, is `END`
    words : int                              words counted, whether kept or not
    """
    names, counts, slots = _joined(numbered)
    nothing = [names.index(word) for word in ("", end) if word in names]
    counts[nothing] = 0
    lookup = np.full(len(names), DROP, np.int32)
    words = int(counts.sum())
    if vocabulary is not None:
        find = vocabulary.index.get
        lookup[:] = [find(name, DROP) for name in names]
    elif words:
        kept = most_frequent(counts, max(min_count, 1), max_size)
        vocabulary = Vocabulary([names[i] for i in kept.tolist()], counts[kept])
        lookup[kept] = np.arange(len(kept))
    lookup[nothing] = DROP
    if end in names:
        lookup[names.index(end)] = END
    return vocabulary, [np.append(lookup[slot], np.int32(END)) for slot in slots], words


def _joined(numbered):
    """What all counters found, in order of appearance: names, counts, each one's id -> place."""
    counters = numbered.counters
    steps = np.array(numbered.grown, np.int64).reshape(-1, len(counters))
    counts, text = [c.counts() for c in counters], counters[0].text()
    places = [np.arange(len(counts[0]))]
    if len(counters) > 1:
        # the first counter numbers the words of the others, too
        for other in counters[1:]:
            more = other.text() + bytes(SLACK)
            ids = counters[0].scan(more, 0, len(more) - SLACK)
            places.append(ids[::2].astype(np.int64))  # an END stands after each word
        text = counters[0].text()
        when = np.full(len(counters[0]), np.iinfo(np.int64).max)
        for k, place in enumerate(places):
            grown = np.diff(steps[:, k], prepend=0)
            step = np.repeat(np.arange(len(steps)) * len(counters) + k, grown)
            when[place] = np.minimum(when[place], step << 32 | np.arange(len(place)))
        order = np.argsort(when)
    else:
        order = places[0]
    names, same = _decoded(text, order)
    total = np.zeros(len(names), np.int64)
    places = [same[place] for place in places]
    for place, count in zip(places, counts):
        np.add.at(total, place, count)
    return names, total, places


def _decoded(text, order):
    """Lines of bytes as str, in the order given, equal ones once; and where each one went."""
    same = np.empty(len(order), np.int64)
    try:
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        lines = text.decode("utf-8", "replace").split("\n")
        names: dict[str, int] = {}
        same[order] = [names.setdefault(lines[i], len(names)) for i in order.tolist()]
        return list(names), same
    same[order] = np.arange(len(order))
    return [lines[i] for i in order.tolist()], same


def renumber(store, segments, lookups, exactly):
    """Turn old ids into new ones, in place; returns how many words are left.

    Sentences of which nothing is left lose their end, except when ``exactly``.
    """
    place = begin = words = 0
    after_end = True
    for k, n in segments:
        for start in range(begin, begin + n, WINDOW):
            ids = lookups[k][store.read(start, min(start + WINDOW, begin + n))]
            ids = ids[ids != DROP]
            ends = ids == END
            if not exactly and len(ids):
                before = np.concatenate([[after_end], ends[:-1]])
                after_end = bool(ends[-1])
                ids, ends = ids[~(ends & before)], ends[~(ends & before)]
            store.write(place, ids)
            place += len(ids)
            words += len(ids) - int(ends.sum())
        begin += n
    store.shorten(place, nobody_reads=True)
    return words
