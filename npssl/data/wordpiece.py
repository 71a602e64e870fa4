"""WordPiece: BERT's tokenizer.

A text is cleaned, cut into words and punctuation, and each word into the longest
pieces of a vocabulary; a piece within a word begins with ``##``.  Devlin et al. 2019,
arXiv:1810.04805, section 3, and the published code of the paper; checked against the
``tokenizers`` package.  What is punctuation or a mark is Unicode's, as Python knows it;
another program with an older table differs at letters that are newer than it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from npssl.data.merging import learn
from npssl.data.tokenizer import CACHED, Tokenizer, read_text, strings
from npssl.errors import FileError
from npssl.files import whole_file

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_CHUNK = re.compile(r"[^ \t\n\r]+")
_IDEOGRAPHS = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)  # as in the published code: each is a word by itself


class WordPiece(Tokenizer):
    """Texts to ids of pieces, and back.

    Parameters
    ----------
    tokens : sequence of str      the vocabulary; the id of a token is its place
    lowercase : bool              "Café" and "cafe" are the same
    unknown : str                 the token of words that cannot be made of pieces
    max_letters : int             longer words are unknown

    Examples
    --------
    >>> words = WordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##happi", "##ly", "!"])
    >>> words.pieces("Unhappily!")
    ['un', '##happi', '##ly', '!']
    >>> words.encode_pair("unhappily", "!")[0].tolist()
    [2, 4, 5, 6, 3, 7, 3]
    """

    def __init__(
        self,
        tokens: Sequence[str],
        *,
        lowercase: bool = True,
        unknown: str = "[UNK]",
        max_letters: int = 100,
    ):
        self.tokens = list(tokens)
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        if len(self.ids) != len(self.tokens):
            twice = next(t for i, t in enumerate(self.tokens) if self.ids[t] != i)
            raise ValueError(f"tokens must be distinct, found {twice!r} twice")
        if unknown not in self.ids:
            raise ValueError(f"tokens must contain the unknown token {unknown!r}")
        if max_letters < 1:
            raise ValueError(f"max_letters must be at least 1, found {max_letters}")
        self.lowercase, self.unknown, self.max_letters = lowercase, unknown, max_letters
        self.unk_id = self.ids[unknown]
        self.pad_id, self.cls_id, self.sep_id, self.mask_id = (
            self.ids.get(f"[{name}]") for name in ("PAD", "CLS", "SEP", "MASK")
        )
        self._longest = max(map(len, self.tokens))
        self._special = re.compile(
            "(" + "|".join(re.escape(s) for s in SPECIALS if s in self.ids) + ")"
        )
        self._known: dict[str, tuple[int, ...]] = {}

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        size: int,
        *,
        lowercase: bool = True,
        min_count: int = 2,
        characters: int = 1000,
    ) -> WordPiece:
        """Learn a vocabulary from texts: specials, characters, then the pieces as learnt.

        The code published with the paper lacks its learner.  Here the pair of pieces that
        occurs most often becomes a piece, as in `npssl.data.merging`, which is also what the
        ``tokenizers`` package does; Schuster & Nakajima, "Japanese and Korean Voice Search",
        ICASSP 2012, section 3, joined the pair that raises the likelihood most.  Pieces join
        within words only.  The texts are read once, and only their words are kept.

        Parameters
        ----------
        texts : iterable of str      lines, paragraphs, documents or words
        size : int                   how many tokens; fewer if the texts have no more pairs
        lowercase : bool             as in `WordPiece`
        min_count : int              rarer pairs do not become pieces
        characters : int             the rarer characters are left out, with the words they are in

        Examples
        --------
        >>> words = WordPiece.train(["in on tin tint into", "in a tin"], 100)
        >>> words.tokens[5:]
        ['a', 'i', 'n', 'o', 't', '##i', '##n', '##o', '##t', 'in', 'ti', 'tin']
        >>> words.pieces("Tint")
        ['tin', '##t']
        """
        counts = cls(SPECIALS, lowercase=lowercase)._count(strings(texts))
        letters: Counter[str] = Counter()
        for word, n in counts.items():
            for letter in word:
                letters[letter] += n
        kept = set(sorted(letters, key=lambda c: (-letters[c], c))[:characters])
        words = {word: n for word, n in sorted(counts.items()) if kept.issuperset(word)}
        inner = {f"##{c}" for word in words for c in word[1:]}
        tokens = [*SPECIALS, *sorted(kept), *sorted(inner)]
        if size < len(tokens):
            raise ValueError(
                f"size must be at least {len(tokens)}, the specials and the characters (which "
                f"the option characters={characters} bounds), found {size}"
            )
        ids = {token: i for i, token in enumerate(tokens)}
        tokens, _ = learn(
            (([ids[w[0]], *(ids[f"##{c}"] for c in w[1:])], n) for w, n in words.items()),
            tokens,
            size,
            joined=lambda left, right: left + right[2:],
            min_count=min_count,
        )
        return cls(tokens, lowercase=lowercase)

    @classmethod
    def read(cls, path, **options) -> WordPiece:
        """A ``vocab.txt``: one token a line.

        Raises
        ------
        FileError
            if a line is empty or a token comes twice, or the file is not UTF-8.
        """
        lines = [line.removesuffix("\r") for line in read_text(path).removesuffix("\n").split("\n")]
        seen: set[str] = set()
        for number, token in enumerate(lines, 1):
            if not token or token in seen:
                fault = f"the token {token!r} for the second time" if token else "an empty token"
                raise FileError(path, fault, place=f"line {number}")
            seen.add(token)
        try:
            return cls(lines, **options)
        except ValueError as error:
            raise FileError(path, str(error)) from None

    def save(self, path) -> None:
        """Write the vocabulary, one token a line."""
        with whole_file(path) as file:
            file.write("".join(token + "\n" for token in self.tokens).encode("utf-8"))

    def encode_pair(self, a: str, b: str | None = None, *, longest: int = 512):
        """``[CLS] a [SEP]`` or ``[CLS] a [SEP] b [SEP]``: ids and segments, int32.

        Too long ones lose pieces at the end, the longer text first.
        """
        parts = [self._encode(a)] + ([] if b is None else [self._encode(b)])
        if self.cls_id is None or self.sep_id is None:
            raise ValueError("the vocabulary must contain [CLS] and [SEP] to frame texts")
        room = longest - 1 - len(parts)
        if room < 0:
            raise ValueError(f"longest must be at least {1 + len(parts)}, found {longest}")
        while sum(map(len, parts)) > room:
            max(reversed(parts), key=len).pop()
        ids, segments = [self.cls_id], [0]
        for segment, part in enumerate(parts):
            ids += [*part, self.sep_id]
            segments += [segment] * (len(part) + 1)
        return np.array(ids, np.int32), np.array(segments, np.int32)

    def encode_words(self, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Ids of pieces, and for each piece which of the words it is part of."""
        parts = [self._encode(word) or [self.unk_id] for word in words]
        which = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        return np.array([i for part in parts for i in part], np.int32), which.astype(np.int64)

    def decode(self, ids) -> str:
        """The pieces of a text put together, a blank between words."""
        return " ".join(self.tokens[i] for i in ids).replace(" ##", "")

    def _encode(self, text: str) -> list[int]:
        if "[" in text and self._special.pattern != "()":
            ids: list[int] = []
            for i, part in enumerate(self._special.split(text)):
                ids += [self.ids[part]] if i % 2 else self._plain(part)
            return ids
        return self._plain(text)

    def _plain(self, text):
        known, ids = self._known, []
        for chunk in _CHUNK.findall(text):
            found = known.get(chunk)
            if found is None:
                found = tuple(i for word in self._words(chunk) for i in self._split(word))
                if len(known) < CACHED:
                    known[chunk] = found
            ids += found
        return ids

    def _count(self, texts):
        """How often each word occurs, without those that are too long."""
        chunks: Counter[str] = Counter()
        for text in texts:
            chunks.update(_CHUNK.findall(text))
        counts: Counter[str] = Counter()
        for chunk, n in chunks.items():
            for word in self._words(chunk):
                if 0 < len(word) <= self.max_letters:
                    counts[word] += n
        return counts

    def _words(self, text):
        """Cleaned words and punctuation of a text: BERT's basic tokenizer."""
        if not text.isascii() or not text.isprintable():
            text = "".join(map(_clean, text))
        if self.lowercase:
            if not text.isascii():
                text = unicodedata.normalize("NFD", text)
                text = "".join(c for c in text if unicodedata.category(c) != "Mn")
            text = "".join(map(str.lower, text))  # letter by letter: a final sigma is a sigma
        return "".join(f" {c} " if _punctuation(c) else c for c in text).split(" ")

    def _split(self, word):
        """Ids of the longest pieces from the left, or of the unknown token."""
        if len(word) > self.max_letters:
            return [self.unk_id]
        ids: list[int] = []
        start = 0
        while start < len(word):
            mark = "##" if start else ""
            for stop in range(min(len(word), start + self._longest), start, -1):
                found = self.ids.get(mark + word[start:stop])
                if found is not None:
                    break
            else:
                return [self.unk_id]
            ids.append(found)
            start = stop
        return ids


def _clean(c):
    if c in "\0\ufffd":
        return ""
    if c in "\t\n\r" or (c.isspace() and unicodedata.category(c) != "Cc"):
        return " "
    if unicodedata.category(c) in ("Cc", "Cf", "Co"):
        return ""
    if any(low <= ord(c) <= high for low, high in _IDEOGRAPHS):
        return f" {c} "
    return c


def _punctuation(c):
    if c.isascii():
        return c.isprintable() and not c.isalnum() and c != " "
    return unicodedata.category(c).startswith("P")
