"""The words that a model knows, and how often each occurred."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from npssl.errors import FileError, UnknownWord
from npssl.files import whole_file


class Vocabulary:
    """Words and counts; a word's id is its place in the list.

    Parameters
    ----------
    words : V different str        usually by falling count, ties by first appearance
    counts : (V,) int64            how often each occurs in the text

    Attributes
    ----------
    words : list of str            id -> word
    counts : (V,) int64            id -> count
    index : dict                   word -> id

    Examples
    --------
    >>> v = Vocabulary.from_counts({"cat": 2, "the": 9, "once": 1}, min_count=2)
    >>> v.words, v.counts.tolist(), v.index["cat"], "once" in v
    (['the', 'cat'], [9, 2], 1, False)
    """

    def __init__(self, words: Sequence[str], counts):
        self.words = list(words)
        self.counts = np.ascontiguousarray(counts, np.int64)
        if self.counts.shape != (len(self.words),):
            raise ValueError(
                f"counts: expected shape ({len(self.words)},), one for each word, "
                f"found {self.counts.shape}"
            )
        if (self.counts < 0).any():
            raise ValueError(f"counts: expected 0 or more, found {self.counts.min()}")
        self.index = {word: i for i, word in enumerate(self.words)}
        if len(self.index) != len(self.words):
            twice = next(w for i, w in enumerate(self.words) if self.index[w] != i)
            raise ValueError(f"words: expected different words, found {twice!r} twice")

    @classmethod
    def from_counts(
        cls, counts: Mapping[str, int], min_count: int = 1, max_size: int | None = None
    ) -> Vocabulary:
        """The words that occur at least ``min_count`` times, at most ``max_size`` of them.

        Among words of one count those that come first in the mapping come first.
        """
        words = list(counts)
        values = np.fromiter(counts.values(), np.int64, len(words))
        kept = most_frequent(values, min_count, max_size)
        return cls([words[i] for i in kept], values[kept])

    def __len__(self) -> int:
        return len(self.words)

    def __iter__(self) -> Iterator[str]:
        return iter(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.index

    def __getitem__(self, word: str) -> int:
        """The id of a word, or `UnknownWord`."""
        try:
            return self.index[word]
        except KeyError:
            raise UnknownWord(word) from None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return self.words == other.words and np.array_equal(self.counts, other.counts)

    def __repr__(self) -> str:
        return f"<Vocabulary of {len(self)} words, {self.counts.sum()} tokens>"

    def save(self, path) -> None:
        """Write lines ``word count`` in UTF-8, the form of word2vec.c's ``-save-vocab``."""
        for word in self.words:
            if "\n" in word or not word:
                raise ValueError(f"words: {word!r} cannot stand on a line of its own")
        lines = [f"{word} {count}\n" for word, count in zip(self.words, self.counts.tolist())]
        with whole_file(path) as file:
            file.write("".join(lines).encode("utf-8"))

    @classmethod
    def load(cls, path) -> Vocabulary:
        """Read what `save` wrote; a word may hold blanks, its count is what follows the last.

        Raises
        ------
        FileError     no such file, not UTF-8, no word, a line without a count, a
                      count that is no integer of 0 to 2**63 - 1, a word twice
        """
        try:
            with open(path, "rb") as file:
                lines = file.read().split(b"\n")
        except OSError as error:
            raise FileError(path, error.strerror or error) from error
        if lines[-1] == b"":
            lines.pop()
        words: dict[str, int] = {}
        for number, line in enumerate(lines, 1):
            place = f"line {number}"
            try:
                word, _, count = line.removesuffix(b"\r").decode("utf-8").rpartition(" ")
            except UnicodeDecodeError as error:
                raise FileError(path, f"not UTF-8 ({error.reason})", place=place) from None
            if not (count.isascii() and count.isdigit() and len(count) < 20):
                raise FileError(path, f"expected 'word count', found {line[:60]!r}", place=place)
            if int(count) >= 2**63:
                raise FileError(path, f"the count {count} is too large", place=place)
            if not word or word in words:
                what = f"the word {word!r} for the second time" if word else "a count and no word"
                raise FileError(path, f"found {what}", place=place)
            words[word] = int(count)
        if not words:
            raise FileError(path, "holds no words")
        return cls(list(words), list(words.values()))


def most_frequent(counts, min_count: int = 1, max_size: int | None = None):
    """Ids of the words to keep, by falling count, ties in the order given.

    Parameters
    ----------
    counts : (N,) int64
    min_count : int            words that occur less often are left out
    max_size : int or None     at most so many words are kept

    Returns
    -------
    kept : (V,) int64

    Raises
    ------
    ValueError     nothing is left; says how many types there were and the largest count

    Examples
    --------
    >>> most_frequent(np.array([1, 5, 2, 5]), min_count=2).tolist()
    [1, 3, 2]
    """
    check_limits(min_count, max_size)
    kept = np.flatnonzero(counts >= min_count)
    if not len(kept):
        most = counts.max() if len(counts) else 0
        raise ValueError(
            f"min_count: no word occurs {min_count} times or more: found {len(counts)} "
            f"different words, the most frequent occurs {most} times"
        )
    return kept[np.argsort(-counts[kept], kind="stable")][:max_size]


def check_limits(min_count: int, max_size: int | None) -> None:
    """Raise ``ValueError`` unless these can limit a vocabulary."""
    for name, value, least in ("min_count", min_count, 0), ("max_size", max_size, 1):
        if value is None and name == "max_size":
            continue
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f"{name}: expected an integer, {least} or more, found {value!r}")
