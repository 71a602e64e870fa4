"""Lower-cased words: what remains of running text when case and punctuation are taken away.

A word is a run of letters and digits of any script (and the marks that belong to
them), in lower case and composed form (NFC); an apostrophe between two of them,
straight or curly, belongs to the word and becomes straight.  All else separates.
"""

import functools
import re
import sys
import unicodedata

import numpy as np

from npssl.data.blocks import SLACK
from npssl.kernels import enabled

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


_fold_again = functools.lru_cache(1 << 16)(fold)  # for what is short, and so comes again


def fold_block(block, n):
    """`fold` of ``block[:n]``, up to the number of blanks; fast where the text is ASCII.

    What stands between blanks can be folded by itself.  So Python sees only those
    stretches that have other letters, and Numba the rest.

    Parameters
    ----------
    block : bytearray     `npssl.kernels.text.SLACK` bytes of anything follow the n
    n : int

    Returns
    -------
    block, n : (bytearray, int)     such a block again
    """
    if not enabled():
        return _with_slack(fold(bytes(memoryview(block)[:n])))
    from npssl.kernels import fold as kernel

    data, view = np.frombuffer(block, np.uint8), memoryview(block)
    spans = np.empty(n + 1, np.int64)
    spans = spans[: kernel.beyond_ascii(data, n, spans)]
    parts = [
        (_fold_again if b - a < 64 else fold)(bytes(view[a:b]))
        for a, b in spans.reshape(-1, 2).tolist()
    ]
    ends = np.cumsum([0, *map(len, parts)])[1:]
    given = np.frombuffer(bytearray(b"".join(parts)), np.uint8)
    out = bytearray(n + len(given) + SLACK)
    return out, kernel.fold(data, n, spans, given, ends, np.frombuffer(out, np.uint8))


def _with_slack(text):
    return bytearray(text) + bytes(SLACK), len(text)
