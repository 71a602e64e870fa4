"""From text to word ids: the stream that word vectors are trained on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import chain

import numpy as np

from npssl.data import id_store, numbering
from npssl.data.blocks import BLOCK
from npssl.data.counting import END
from npssl.data.numbering import LONGEST, WINDOW
from npssl.data.readers import Files, Lines, files
from npssl.data.vocabulary import Vocabulary, check_limits
from npssl.errors import FileError
from npssl.files import whole_file


class Corpus:
    """A text as word ids; -1 ends a sentence.

    Parameters
    ----------
    vocabulary : Vocabulary
    ids : (n,) int32 array, or the path of a file of them
    raw_words : int or None      words of the text, with those the vocabulary lacks

    Attributes
    ----------
    vocabulary : Vocabulary
    words : int          words of the text that the vocabulary has
    raw_words : int      all words of the text
    size : int           words and sentence ends

    Examples
    --------
    >>> corpus = encode([["to", "be"], ["or", "not", "to", "be"]], min_count=2)
    >>> corpus.vocabulary.words, corpus.read(0, corpus.size).tolist()
    (['to', 'be'], [0, 1, -1, 0, 1, -1])
    """

    def __init__(self, vocabulary: Vocabulary, ids, raw_words: int | None = None, words=None):
        self.vocabulary = vocabulary
        self._store: id_store.Memory | id_store.Disk
        if isinstance(ids, (str, os.PathLike)):
            try:
                self._store = id_store.Disk(open(ids, "rb+", buffering=0), ids)
            except OSError as error:
                raise FileError(ids, error.strerror or error) from error
        else:
            self._store = id_store.Memory(ids)
        if words is None:
            words = sum(int((window >= 0).sum()) for window in self._windows())
        self.words = int(words)
        self.raw_words = self.words if raw_words is None else int(raw_words)

    @property
    def size(self) -> int:
        return self._store.size

    def read(self, start: int, stop: int) -> np.ndarray:
        """ids[start:stop]: a view of memory, or a copy out of the file."""
        return self._store.read(start, stop)

    def _windows(self) -> Iterator[np.ndarray]:
        for start in range(0, self.size, WINDOW):
            yield self.read(start, start + WINDOW)

    def cuts(self, size: int) -> np.ndarray:
        """Where to cut the ids into pieces of ``size`` or a little more, between sentences.

        Returns
        -------
        cuts : (pieces + 1,) int64     from 0 to `size`, rising, each just after a sentence
                                       end (or at the end of the corpus)
        """
        if size < 1:
            raise ValueError(f"size: expected 1 or more, found {size!r}")
        cuts = [0]
        while cuts[-1] < self.size:
            cuts.append(self._sentence_end(cuts[-1] + size - 1))
        return np.array(cuts, np.int64)

    def _sentence_end(self, start):
        while start < self.size:
            window = self.read(start, start + LONGEST + 1)
            ends = np.flatnonzero(window == END)
            if len(ends):
                return start + int(ends[0]) + 1
            start += len(window)
        return self.size

    def sentences(self) -> Iterator[list[str]]:
        """The sentences as lists of words; words that the vocabulary lacks are gone."""
        words = self.vocabulary.words
        sentence: list[str] = []
        for window in self._windows():
            for i in window.tolist():
                if i == END:
                    yield sentence
                    sentence = []
                else:
                    sentence.append(words[i])
        if sentence:
            yield sentence

    def hold_out(self, every: int = 100) -> tuple[Corpus, np.ndarray]:
        """Take every n-th sentence out, for a test on text that was not trained on.

        This changes the corpus in place (there may be no room for a second one); the
        vocabulary and its counts stay.

        Returns
        -------
        train : Corpus             this corpus, without those sentences
        held : (n,) int32          those sentences, each with its end
        """
        if every < 2:
            raise ValueError(f"every: expected 2 or more, found {every!r}")
        parts, sentence, place = [], 0, 0
        for start in range(0, self.size, WINDOW):
            ids = self.read(start, start + WINDOW)
            bounds = np.concatenate([[0], np.flatnonzero(ids == END) + 1, [len(ids)]])
            number = sentence + np.arange(len(bounds) - 1)
            sentence = int(number[-1])  # it may go on in the next window
            out = np.repeat(number % every == every - 1, np.diff(bounds))
            parts.append(ids[out])
            kept = ids[~out]
            self._store.write(place, kept)
            place += len(kept)
        self._store.shorten(place)
        held = np.concatenate([np.empty(0, np.int32), *parts])
        removed = int((held >= 0).sum())
        self.words -= removed
        self.raw_words -= removed
        return self, held

    def close(self) -> None:
        """Close the file of ids, if there is one; it stays on the disk."""
        self._store.close()

    def __enter__(self) -> Corpus:
        return self

    def __exit__(self, *error) -> None:
        self.close()


def encode(
    source,
    *,
    vocabulary: Vocabulary | None = None,
    min_count: int = 5,
    max_size: int | None = None,
    tokens: str = "whitespace",
    threads: int = 1,
    ids_file=None,
    newline: str = "sentence",
    progress: Callable[[int, int | None], object] | None = None,
    block: int = BLOCK,
) -> Corpus:
    """Read a text once; number, count and choose its words.

    Parameters
    ----------
    source
        a path of a file or folder, or a list of them (str are paths if all of them
        exist, or if the first is a file and none holds a blank); ``"-"``, standard input;
        or sentences: any iterable of str, or of lists of str, which is gone through once.
        See `npssl.data.readers` for what is read of a folder and an archive.
    vocabulary : Vocabulary or None
        words to look for; others are dropped.  If None, those of the text that
        ``min_count`` and ``max_size`` leave.
    min_count : int              leave out words that occur less often
    max_size : int or None       keep at most so many words, the most frequent
    tokens : str
        ``"whitespace"``: what stands between ASCII blanks; ``"words"``: lower-cased
        words, see `npssl.data.words`.  Lists of str are taken as they are.
    threads : int                the result is the same for any number
    ids_file : path or None      keep the ids in this file, not in memory
    newline : str
        ``"sentence"``: a line is a sentence; lines of more than 10,000 words are cut
        there, empty ones leave nothing.  ``"word2vec.c"``: as that program reads, each
        line end gives one -1 and nothing is cut; see the notes.
    progress : function or None  called with (bytes read, bytes in all or None)
    block : int                  bytes read at a time

    Returns
    -------
    corpus : Corpus

    Raises
    ------
    ValueError     wrong option; a source without words; no word left by ``min_count``;
                   `FileError` for files that are missing or cannot be unpacked
    TypeError      a sentence or a word of another type

    Notes
    -----
    Bytes that are not UTF-8 are counted as they are and become U+FFFD where words
    become str; words that are equal then are one word.  Control characters, NUL
    among them, are parts of words, except the six that `bytes.split` splits at.

    What word2vec.c does: words end at blank, tab and line end only; a carriage
    return vanishes; a word is cut at 98 bytes and at a NUL; what follows the last
    boundary of the file is not read; the word ``</s>`` is a line end.

    Memory: 4 bytes a word, the different words, and a few blocks; with ``ids_file``
    the last two only.
    """
    _check_options(tokens, newline, threads, block)
    check_limits(min_count, max_size)
    name, text, lists = _opened(source)
    exactly = newline == "word2vec.c"
    with nullcontext() if ids_file is None else whole_file(ids_file) as file:
        store: id_store.Memory | id_store.Disk
        store = id_store.Memory() if file is None else id_store.Disk(file.raw, ids_file)
        if text:
            numbered = numbering.number_text(
                store,
                text,
                tokens=tokens,
                threads=threads,
                exactly=exactly,
                progress=progress,
                size=block,
            )
        else:
            numbered = numbering.number_lists(store, lists)
        chosen, lookups, raw = numbering.settle(
            numbered, vocabulary, min_count, max_size, "</s>" if exactly else None
        )
        if not raw:
            raise ValueError(f"{name}: holds no words")
        words = numbering.renumber(store, numbered.segments, lookups, exactly)
        if not words:
            raise ValueError(f"{name}: none of its {raw} words is in the vocabulary given")
    ids = store.array if isinstance(store, id_store.Memory) else ids_file
    return Corpus(chosen, ids, raw, words)


def _check_options(tokens, newline, threads, block):
    if tokens not in ("whitespace", "words"):
        raise ValueError(f"tokens: expected 'whitespace' or 'words', found {tokens!r}")
    if newline not in ("sentence", "word2vec.c"):
        raise ValueError(f"newline: expected 'sentence' or 'word2vec.c', found {newline!r}")
    if newline == "word2vec.c" and tokens != "whitespace":
        raise ValueError(
            f"tokens: with newline='word2vec.c' expected 'whitespace', found {tokens!r}"
        )
    for option, value, least in ("threads", threads, 1), ("block", block, 64):
        if not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f"{option}: expected an integer, {least} or more, found {value!r}")


def _opened(source):
    """What a source is: its name, and either byte streams or sentences that are lists."""
    if isinstance(source, (str, os.PathLike)):
        text = Files(files(source))
        return str(source) if source != "-" else "standard input", text, None
    if isinstance(source, (list, tuple)) and source and _are_paths(source):
        text = Files(files(list(source)))
        return text.name, text, None
    try:
        sentences = iter(source)
    except TypeError:
        raise TypeError(
            f"source: expected a path, '-' or sentences, found {type(source).__name__}"
        ) from None
    for first in sentences:
        again = chain([first], sentences)
        return (
            "the sentences",
            *((Lines(again), None) if isinstance(first, str) else (None, again)),
        )
    raise ValueError("source: expected sentences, found none")


def _are_paths(items):
    """Paths or sentences?  Either may be str; sentences that name a file are hardly found."""
    first = items[0]
    if isinstance(first, os.PathLike):
        return True
    if all(isinstance(item, str) and os.path.exists(item) for item in items):
        return True
    one_word = lambda item: isinstance(item, str) and len(item.split()) == 1
    return isinstance(first, str) and os.path.isfile(first) and all(map(one_word, items))
