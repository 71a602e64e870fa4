"""Single characters as tokens: the smallest vocabulary, and nothing to learn."""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np

from npssl.data.tokenizer import Tokenizer, read_text
from npssl.errors import FileError
from npssl.files import whole_file

UNKNOWN = "\ufffd"  # Unicode's replacement character


class Characters(Tokenizer):
    """Texts to ids of characters, and back.

    The tokens are the characters that occur, in order of code point.  If U+FFFD is one of
    them, it stands for every character that is not.

    Parameters
    ----------
    texts : str, or iterable of str      where the characters are taken from
    unknown : bool                       have U+FFFD even if no text has it

    Examples
    --------
    >>> letters = Characters("banana")
    >>> letters.tokens, letters.encode("nab").tolist(), letters.decode([1, 0, 2])
    (['a', 'b', 'n'], [2, 0, 1], 'ban')
    >>> letters = Characters(["banana", "bandana"], unknown=True)
    >>> letters.decode(letters.encode("bend"))
    'b\ufffdnd'
    """

    def __init__(self, texts: str | Iterable[str], *, unknown: bool = False):
        found = set().union(*texts) | ({UNKNOWN} if unknown else set())
        if not found:
            raise ValueError("texts must have at least one character, found none")
        self.tokens = sorted(found)
        self.unk_id = self.tokens.index(UNKNOWN) if UNKNOWN in found else None
        self._codes = _codes("".join(self.tokens))

    @classmethod
    def read(cls, path) -> Characters:
        """What `save` wrote.

        Raises
        ------
        FileError
            if there is none, or it is no such file as `save` writes.
        """
        try:
            found = json.loads(read_text(path))
        except (json.JSONDecodeError, RecursionError) as error:
            raise FileError(path, f"is not JSON ({error})") from None
        text = found.get("characters") if isinstance(found, dict) else None
        if not isinstance(text, str) or not text or list(text) != sorted(set(text)):
            raise FileError(
                path, 'expected {"characters": "..."}, each once and in order of code point'
            )
        return cls(text)

    def save(self, path) -> None:
        """Write ``{"characters": "..."}``."""
        with whole_file(path) as file:
            file.write(json.dumps({"characters": "".join(self.tokens)}).encode() + b"\n")

    def encode(self, text: str) -> np.ndarray:
        """Ids of the characters of a text, (n,) int32.

        Raises
        ------
        ValueError
            if a character is not one of the tokens, and U+FFFD is not either.
        """
        codes = _codes(text)
        ids = np.searchsorted(self._codes[:-1], codes).astype(np.int32)
        strange = self._codes[ids] != codes
        if strange.any():
            if self.unk_id is None:
                place = int(strange.argmax())
                raise ValueError(
                    f"text: character {text[place]!r} at place {place} is not one of the "
                    f"{len(self)} known; unknown=True has an id for such"
                )
            ids[strange] = self.unk_id
        return ids

    def decode(self, ids) -> str:
        """The characters of these ids."""
        return "".join([self.tokens[i] for i in ids])

    def _encode(self, text):
        return self.encode(text).tolist()


def _codes(text):
    """The code points of a text, (n,) uint32."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
