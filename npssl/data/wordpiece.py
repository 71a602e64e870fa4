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
        self._specials = {special for special in SPECIALS if special in self.ids}
        self._special = re.compile(f"({'|'.join(map(re.escape, self._specials)) or '(?!)'})")
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
        words = {word: n for word, n in counts.items() if kept.issuperset(word)}
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

    def encode_with_offsets(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Ids of the pieces of a text, (n,) int32, and where they stand, (n, 2) int64.

        The piece k is ``text[start:stop]`` with ``start, stop = offsets[k]``, whatever
        lower-casing and dropping of accents have done to it.  Two pieces of one letter have
        the same place.

        Examples
        --------
        >>> words = WordPiece(["[UNK]", "caf", "##e", "!"])
        >>> ids, offsets = words.encode_with_offsets(" CAFÉ !")
        >>> [" CAFÉ !"[start:stop] for start, stop in offsets]
        ['CAF', 'É', '!']
        """
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        at = 0
        for part in self._parts(text):
            if part in self._specials:
                ids.append(self.ids[part])
                offsets.append((at, at + len(part)))
            else:
                for chunk in _CHUNK.finditer(part):
                    base = at + chunk.start()
                    for word, places in self._words(chunk[0]):
                        first = 0
                        for i, stop in self._split(word):
                            ids.append(i)
                            offsets.append((base + places[first], base + places[stop - 1] + 1))
                            first = stop
            at += len(part)
        return np.array(ids, np.int32), np.array(offsets, np.int64).reshape(-1, 2)

    def decode(self, ids) -> str:
        """The pieces of a text put together, a blank between words."""
        return " ".join(self.tokens[i] for i in ids).replace(" ##", "")

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = []
        for part in self._parts(text):
            ids += (self.ids[part],) if part in self._specials else self._plain(part)
        return ids

    def _parts(self, text):
        """A text as specials and what is between them."""
        return filter(None, self._special.split(text)) if "[" in text else [text]

    def _plain(self, text):
        known, ids = self._known, []
        for chunk in _CHUNK.findall(text):
            found = known.get(chunk)
            if found is None:
                words = self._words(chunk)
                found = tuple(i for word, _ in words for i, _ in self._split(word))
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
            for word, _ in self._words(chunk):
                if len(word) <= self.max_letters:
                    counts[word] += n
        return counts

    def _words(self, text):
        """BERT's basic tokenizer: cleaned words and punctuation, each with its letters' places."""
        if text.isascii() and text.isprintable():
            letters, places = text.lower() if self.lowercase else text, range(len(text))
        else:
            found = [(d, i) for i, c in enumerate(text) for d in _clean(c)]
            if self.lowercase:  # letter by letter: a final sigma is a sigma
                found = [(d, i) for c, i in found for d in unicodedata.normalize("NFD", c)]
                found = [(c.lower(), i) for c, i in found if unicodedata.category(c) != "Mn"]
            letters, places = "".join(c for c, _ in found), [i for _, i in found]
        start = 0
        for i, c in enumerate(letters + " "):
            if c == " " or _punctuation(c):
                if start < i:
                    yield letters[start:i], places[start:i]
                if c != " ":
                    yield c, places[i : i + 1]
                start = i + 1

    def _split(self, word):
        """The longest pieces from the left, or the unknown token: ids, and where each ends."""
        if len(word) > self.max_letters:
            return [(self.unk_id, len(word))]
        found: list[tuple[int, int]] = []
        start = 0
        while start < len(word):
            mark = "##" if start else ""
            for stop in range(min(len(word), start + self._longest), start, -1):
                i = self.ids.get(mark + word[start:stop])
                if i is not None:
                    break
            else:
                return [(self.unk_id, len(word))]
            found.append((i, stop))
            start = stop
        return found


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
