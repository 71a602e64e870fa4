"""Lower-cased words: what remains of running text when case and punctuation are taken away.

A word is a run of letters and digits of any script (and the marks that belong to
them), in lower case and composed form (NFC); an apostrophe between two of them,
straight or curly, belongs to the word and becomes straight.  All else separates.
"""

import functools
import re
import sys
import unicodedata
from itertools import accumulate

import numpy as np

from npssl.data.blocks import SLACK, WHITESPACE
from npssl.data.counting import ByteCounter, counter

_ASCII = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*")


def words(text):
    """The words of a text.

    >>> words("Don\\u2019t panic: the CAFE\\u0301 (est. 1895) is re-opening!")
    ["don't", 'panic', 'the', 'café', 'est', '1895', 'is', 're', 'opening']
    """
    if text.isascii():
        return _ASCII.findall(text.lower())
    text = unicodedata.normalize("NFC", text.lower()).replace("_", " ")
    return _any_script().findall(text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))


@functools.cache
def _any_script():
    """`re` has no name for marks and does not count them as word characters: list them, once."""
    every = map(chr, range(sys.maxunicode + 1))
    marks = "".join(c for c in every if unicodedata.category(c)[0] == "M")
    word = rf"\w[\w{marks}]*"
    return re.compile(f"{word}(?:'{word})*")


def fold(text):
    """UTF-8 text (bytes) with every line reduced to its words, one blank between them.

    Bytes that are not UTF-8 count as the replacement character, which is no letter.

    >>> fold(b"The END.\\n\\nOf it")
    b'the end\\n\\nof it'
    """
    lines = text.decode("utf-8", "replace").split("\n")
    return "\n".join(" ".join(words(line)) for line in lines).encode("utf-8")


class Folder:
    """`fold` for block after block, up to the number of blanks; fast where Numba may be used.

    What stands between blanks can be folded by itself.  ASCII is left to Numba; of
    the stretches with other letters each different one is folded once, by Python.

    Examples
    --------
    >>> text = "Zoë was AT the café.".encode()
    >>> block, n = Folder()(bytearray(text) + bytes(SLACK), len(text))
    >>> bytes(block[:n]).decode().split()
    ['zoë', 'was', 'at', 'the', 'café']
    """

    KEEP = 16 << 20  # bytes of stretches to remember

    def __init__(self):
        self._forget()

    def _forget(self):
        self._stretches, self._text, self._ends = counter(WHITESPACE), b"", [0]

    def __call__(self, block, n):
        """``block[:n]``, which `SLACK` bytes of anything follow, folded: such a block again."""
        if not isinstance(self._stretches, ByteCounter):
            text = fold(bytes(memoryview(block)[:n]))
            return bytearray(text) + bytes(SLACK), len(text)
        from npssl.kernels import fold as kernel

        data = np.frombuffer(block, np.uint8)
        spans, lines = np.empty(n + 1, np.int64), np.empty(2 * n + SLACK, np.uint8)
        spans = spans[: 2 * kernel.beyond_ascii(data, n, spans, lines)]
        used = int((spans[1::2] - spans[::2] + 1).sum())
        if self._stretches.used > self.KEEP:
            self._forget()
        known = self._stretches.used
        ids = self._stretches.scan(lines, 0, used)[::2].copy()  # an END follows each
        self._learn(self._stretches.text(known))
        ends = np.array(self._ends, np.int64)
        out = bytearray(n + int((ends[ids + 1] - ends[ids]).sum()) + SLACK)
        text = np.frombuffer(bytearray(self._text), np.uint8)
        return out, kernel.fold(data, n, spans, ids, text, ends, np.frombuffer(out, np.uint8))

    def _learn(self, lines):
        folded = [fold(stretch) for stretch in lines.split(b"\n")[:-1]]
        self._text += b"".join(folded)
        self._ends += accumulate(map(len, folded), initial=self._ends.pop())
