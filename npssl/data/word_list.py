"""Whole words as tokens, for language models over words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from npssl.data.tokenizer import Tokenizer, read_text, strings
from npssl.data.words import words
from npssl.errors import FileError
from npssl.files import whole_file

UNKNOWN, END = "<unk>", "<eos>"
CUTS = {"words": words, "blanks": str.split}


class WordList(Tokenizer):
    """Texts to ids of words, and back; the end of a line is a word too.

    Parameters
    ----------
    tokens : sequence of str     the first is ``<unk>``, for all others; the second ``<eos>``
    cut : str                    ``"words"``: lower-cased, without punctuation, as
                                 `npssl.data.words` has them; ``"blanks"``: what stands
                                 between blanks as it is, for text that is tokenised already

    Examples
    --------
    >>> known = WordList.train(["The cat.", "The dog!"], min_count=2)
    >>> known.tokens, known.encode("the end\\nthe").tolist()
    (['<unk>', '<eos>', 'the'], [2, 0, 1, 2])
    """

    def __init__(self, tokens: Sequence[str], *, cut: str = "words"):
        if cut not in CUTS:
            raise ValueError(f"cut: expected one of {', '.join(CUTS)}, found {cut!r}")
        self.tokens, self.cut = list(tokens), cut
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        if self.tokens[:2] != [UNKNOWN, END] or len(self.ids) != len(self.tokens):
            raise ValueError(
                f"tokens: expected {UNKNOWN}, {END} and then different words, "
                f"found {self.tokens[:2]} and {len(self.tokens) - len(self.ids)} twice"
            )

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        size: int | None = None,
        *,
        min_count: int = 2,
        cut: str = "words",
    ) -> WordList:
        """The words that occur ``min_count`` times or more, the most frequent first.

        Parameters
        ----------
        texts : iterable of str      read once; only the words are kept
        size : int, optional         how many tokens at most, with ``<unk>`` and ``<eos>``
        min_count : int
        cut : str                    as in `WordList`
        """
        words_of = cls([UNKNOWN, END], cut=cut)._words
        found: Counter[str] = Counter()
        for text in strings(texts):
            found.update(words_of(text))
        kept = [w for w, n in found.most_common() if n >= min_count and w not in (UNKNOWN, END)]
        if size is not None:
            if size < 3:
                raise ValueError(f"size: expected 3 or more, found {size}")
            kept = kept[: size - 2]
        return cls([UNKNOWN, END, *kept], cut=cut)

    @classmethod
    def read(cls, path, *, cut: str = "words") -> WordList:
        """What `save` wrote: one word a line."""
        try:
            return cls(read_text(path).removesuffix("\n").split("\n"), cut=cut)
        except FileError:
            raise
        except ValueError as error:
            raise FileError(path, str(error)) from None

    def save(self, path) -> None:
        """Write the words, one a line."""
        with whole_file(path) as file:
            file.write("".join(token + "\n" for token in self.tokens).encode("utf-8"))

    def decode(self, ids) -> str:
        """The words with blanks between them; lines end where they ended."""
        text = " ".join("\n" if i == 1 else self.tokens[i] for i in ids)
        return text.replace(" \n", "\n").replace("\n ", "\n")

    def _words(self, text):
        return [word for line in text.split("\n") for word in CUTS[self.cut](line)]

    def _encode(self, text):
        ids: list[int] = []
        for number, line in enumerate(text.split("\n")):
            if number:
                ids.append(1)
            ids += [self.ids.get(word, 0) for word in CUTS[self.cut](line)]
        return ids
