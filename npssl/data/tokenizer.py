"""What every tokenizer has: a list of tokens, and texts as the places in it."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from npssl.errors import FileError

CACHED = 500_000  # words whose ids are remembered


class Tokenizer:
    """Texts to ids.  A tokenizer sets ``tokens`` and says how one text is encoded.

    Attributes
    ----------
    tokens : list of str      the id of a token is its place
    """

    tokens: list[str]

    def _encode(self, text: str) -> list[int]:
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: str) -> np.ndarray:
        """Ids of the tokens of a text, (n,) int32."""
        return np.array(self._encode(text), np.int32)

    def encode_many(self, texts: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
        """Ids of all texts in a row, (M,) int32, and where each begins, (n + 1,) int64."""
        ids, offsets = array("i"), [0]
        for text in strings(texts):
            ids.extend(self._encode(text))
            offsets.append(len(ids))
        return np.array(ids, np.int32), np.array(offsets, np.int64)

    def pieces(self, text: str) -> list[str]:
        """The tokens of a text, as they stand in the vocabulary."""
        return [self.tokens[i] for i in self._encode(text)]


def strings(texts: Iterable[str]) -> Iterable[str]:
    """The texts themselves; one text alone would be taken for many of one letter."""
    if isinstance(texts, str):
        raise ValueError("texts must be an iterable of strings, found one string: put it in a list")
    return texts


def read_text(path) -> str:
    """The whole of a file in UTF-8.

    Raises
    ------
    FileError
        if there is none, or its bytes are not UTF-8.
    """
    try:
        return Path(path).read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise FileError(path, "no such file") from None
    except UnicodeDecodeError as error:
        raise FileError(path, "is not UTF-8", place=f"byte {error.start}") from None
