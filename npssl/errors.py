"""What can go wrong with other people's input, said in one sentence.

All are ``ValueError``s, so that the command line can turn every one of them
into a single line and exit status 2.
"""

import importlib


class FileError(ValueError):
    """A file is not what it should be: names the file and the place."""

    def __init__(self, path, message, *, place=None):
        where = f"{path}: {place}" if place else f"{path}"
        super().__init__(f"{where}: {message}")
        self.path, self.place = str(path), place


class UnknownWord(KeyError, ValueError):
    """A word that the vocabulary does not hold."""

    def __init__(self, word):
        self.word = word
        super().__init__(word)

    def __str__(self):
        return f"unknown word {self.word!r}: it is not in the vocabulary"


class MissingExtra(ImportError, ValueError):
    """A package that only some users need is not installed."""


def require(package, *, extra):
    """Import an optional ``package``, or say which extra of npssl brings it.

    >>> require("json", extra="none").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingExtra(
            f"this needs the package {package!r}: pip install 'npssl[{extra}]'"
        ) from error
