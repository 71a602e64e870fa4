"""Byte-level pair encoding: GPT-2's tokenizer.

A text is cut into words with the blank before them; the UTF-8 bytes of each word are
joined pair by pair, the pair that was learnt first joined first, until no learnt pair
is left.  Every text has ids and comes back from them.  Sennrich, Haddow & Birch, "Neural
Machine Translation of Rare Words with Subword Units", ACL 2016, arXiv:1508.07909
(joining pairs); Radford et al., "Language Models are Unsupervised Multitask Learners",
2019, section 2.2 (bytes).  Checked against the ``tokenizers`` package.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from npssl.data.merging import learn
from npssl.data.tokenizer import CACHED, Tokenizer, read_text, strings
from npssl.errors import FileError
from npssl.files import whole_file

_BLANK = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # White_Space


@cache
def letters() -> list[str]:
    """The sign that stands for each of the 256 bytes in files of merges.

    Bytes that print stand for themselves, the others for the signs from U+0100 on.

    >>> letters()[ord("A")], letters()[ord(" ")]
    ('A', 'Ġ')
    """
    prints = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(b) if b in prints else chr(next(others)) for b in range(256)]


@cache
def _pattern(ascii_only: bool) -> re.Pattern:
    """What a word is: a clitic, letters, digits or signs with a blank before, or blanks."""
    letter, number = ("A-Za-z", "0-9") if ascii_only else (_signs("L"), _signs("N"))
    return re.compile(
        rf"'s|'t|'re|'ve|'m|'ll|'d| ?[{letter}]+| ?[{number}]+| ?[^{_BLANK}{letter}{number}]+"
        rf"|[{_BLANK}]+(?![^{_BLANK}])|[{_BLANK}]+"
    )


def _signs(kind):
    """All characters of a general category, as ranges of a regular expression."""
    ranges: list[list[int]] = []
    for c in range(sys.maxunicode + 1):
        if unicodedata.category(chr(c))[0] == kind:
            if ranges and ranges[-1][1] == c - 1:
                ranges[-1][1] = c
            else:
                ranges.append([c, c])
    return "".join(f"{re.escape(chr(a))}-{re.escape(chr(b))}" for a, b in ranges)


class BytePairs(Tokenizer):
    """Texts to ids of byte sequences, and back.

    Parameters
    ----------
    merges : sequence of (str, str)     pairs in the order in which they were learnt, their
                                        bytes written as in `letters`
    ids : dict of str to int, or None   None: as in GPT-2, the 256 bytes by their signs, the
                                        merges in their order, then ``end``
    end : str                           the token between documents

    Examples
    --------
    >>> pairs = BytePairs([("a", "b"), ("Ġ", "ab")])
    >>> pairs.pieces("ab ab abc")
    ['ab', 'Ġab', 'Ġab', 'c']
    >>> pairs.decode(pairs.encode("ab ab abc"))
    'ab ab abc'
    """

    def __init__(
        self,
        merges: Sequence[tuple[str, str]],
        ids: dict[str, int] | None = None,
        *,
        end: str = "<|endoftext|>",
    ):
        if ids is None:
            tokens = [*sorted(letters()), *dict.fromkeys(a + b for a, b in merges), end]
            if tokens.index(end) < len(tokens) - 1:
                raise ValueError(f"end must not be what merges make of text, found {end!r}")
            ids = {token: i for i, token in enumerate(tokens)}
        self.merges, self.ids, self.end = [(a, b) for a, b in merges], dict(ids), end
        for token in (*letters(), *(p for a, b in self.merges for p in (a, b, a + b))):
            if token not in self.ids:
                raise ValueError(f"ids must have an id for {token!r}, which merges need")
        if sorted(self.ids.values()) != list(range(len(self.ids))):
            raise ValueError(f"ids must be 0 to {len(self.ids) - 1}, each of them once")
        self.end_id = self.ids.get(end)
        self.tokens = sorted(self.ids, key=self.ids.__getitem__)
        self._rank = {pair: i for i, pair in enumerate(self.merges)}
        if len(self._rank) != len(self.merges):
            raise ValueError("merges must be distinct pairs")
        byte = {sign: b for b, sign in enumerate(letters())}
        self._bytes = [
            bytes(byte[c] for c in t) if t != end and all(c in byte for c in t) else t.encode()
            for t in self.tokens
        ]
        self._known: dict[str, tuple[int, ...]] = {}

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        size: int,
        *,
        min_count: int = 2,
        end: str = "<|endoftext|>",
    ) -> BytePairs:
        """Learn the pairs to join from texts: see `npssl.data.merging`.

        The texts are read once, and only their words are kept.

        Parameters
        ----------
        texts : iterable of str      lines (with their ends, if these are to be tokens), documents
        size : int                   how many tokens, the 256 bytes and ``end`` included; fewer
                                     if the texts have no more pairs
        min_count : int              rarer pairs are not joined
        end : str                    as in `BytePairs`

        Examples
        --------
        >>> pairs = BytePairs.train(["in on tin tint into", "in a tin"], 1000)
        >>> pairs.pieces("into a tint")
        ['in', 't', 'o', 'Ġ', 'a', 'Ġtin', 't']
        """
        if size < 257:
            raise ValueError(f"size must be at least 257, the bytes and {end!r}, found {size}")
        counts: Counter[str] = Counter()
        for text in strings(texts):
            counts.update(_pattern(text.isascii()).findall(text))
        tokens = sorted(letters())
        place = [tokens.index(sign) for sign in letters()]
        words = (
            ([place[b] for b in word.encode("utf-8", "replace")], n) for word, n in counts.items()
        )
        _, pairs = learn(words, tokens, size - 1, joined=str.__add__, min_count=min_count)
        return cls(pairs, end=end)

    @classmethod
    def read(cls, vocabulary, merges, **options) -> BytePairs:
        """GPT-2's ``encoder.json`` and ``vocab.bpe``, also called vocab.json and merges.txt.

        Raises
        ------
        FileError
            if one is missing or not UTF-8, a line is no pair, or the two do not fit.
        """
        text = read_text(vocabulary)
        try:
            ids = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise FileError(vocabulary, f"is not JSON ({error})") from None
        if not isinstance(ids, dict) or not all(type(i) is int for i in ids.values()):
            raise FileError(vocabulary, "expected a JSON object of token and id")
        pairs: list[tuple[str, str]] = []
        for number, line in enumerate(read_text(merges).split("\n"), 1):
            if not line.strip() or (number == 1 and line.startswith("#version")):
                continue
            parts = line.removesuffix("\r").split(" ")
            if len(parts) != 2 or not all(parts):
                raise FileError(
                    merges, f"expected two parts, found {line!r}", place=f"line {number}"
                )
            pairs.append((parts[0], parts[1]))
        try:
            return cls(pairs, ids, **options)
        except ValueError as error:
            raise FileError(vocabulary, str(error)) from None

    def save(self, folder, names: tuple[str, str] = ("vocab.json", "merges.txt")) -> None:
        """Write both files into a folder; GPT-2's own were "encoder.json" and "vocab.bpe"."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / names[0]) as file:
            file.write(json.dumps(self.ids, ensure_ascii=False).encode("utf-8"))
        with whole_file(folder / names[1]) as file:
            lines = ["#version: 0.2", *(f"{a} {b}" for a, b in self.merges)]
            file.write("".join(line + "\n" for line in lines).encode("utf-8"))

    def decode(self, ids) -> str:
        """The text of these ids; bytes that are not UTF-8 become U+FFFD."""
        return b"".join(self._bytes[i] for i in ids).decode("utf-8", "replace")

    def _encode(self, text):
        known, ids = self._known, []
        for word in _pattern(text.isascii()).findall(text):
            found = known.get(word)
            if found is None:
                found = tuple(self.ids[part] for part in self._join(word))
                if len(known) < CACHED:
                    known[word] = found
            ids += found
        return ids

    def _join(self, word):
        """The parts of a word once every learnt pair is joined, earliest learnt first."""
        sign, rank, never = letters(), self._rank.get, len(self._rank)
        parts = [sign[b] for b in word.encode("utf-8", "replace")]
        ranks = [rank(pair, never) for pair in zip(parts, parts[1:])]
        while (first := min(ranks, default=never)) < never:
            i = 0
            while True:  # all places of this pair, from left to right
                try:
                    i = ranks.index(first, i)
                except ValueError:
                    break
                parts[i : i + 2] = [parts[i] + parts[i + 1]]
                del ranks[i]
                for j in range(max(i - 1, 0), min(i + 1, len(ranks))):
                    ranks[j] = rank((parts[j], parts[j + 1]), never)
        return parts
