"""Lower-cased words: what remains of running text when case and punctuation are taken away.

A word is a run of letters and digits of any script (and the marks that belong to
them), in lower case and composed form (NFC); an apostrophe between two of them,
straight or curly, belongs to the word and becomes straight.  All else separates.
"""

import functools
import re
import sys
import unicodedata

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
