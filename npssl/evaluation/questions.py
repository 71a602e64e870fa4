"""What the readers of test sets share: lines with numbers, and words looked up."""

import csv

from npssl.data.vector_files import opened
from npssl.errors import FileError

LONGEST = 1 << 20  # bytes of a line


def lines(path, comments=False):
    """(number, text) of each line that is not empty (with ``comments``: nor begins with #)."""
    with opened(path) as file:
        number = 0
        while line := file.readline(LONGEST):
            number += 1
            if len(line) == LONGEST:
                raise FileError(path, f"more than {LONGEST} bytes", place=f"line {number}")
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError:
                raise FileError(path, "not UTF-8", place=f"line {number}") from None
            if text and not (comments and text.startswith("#")):
                yield number, text


def table(path, *columns):
    """(number, dict) of each line of a CSV file with a line of names.

    Rows with an empty cell in one of the ``columns`` are left out (AP ends each category with one).

    Raises
    ------
    FileError     naming the line
    """
    names, found = None, False
    for number, text in lines(path):
        try:
            cells = next(csv.reader([text], strict=True))
        except (csv.Error, StopIteration) as error:
            raise FileError(path, f"not CSV ({error})", place=f"line {number}") from None
        if names is None:
            names = [name.strip() for name in cells]
            if missing := set(columns) - set(names):
                message = f"expected columns {' and '.join(columns)}, found {text[:60]!r}"
                raise FileError(
                    path, f"{message} (missing: {', '.join(sorted(missing))})", place="line 1"
                )
            continue
        row = dict(zip(names, map(str.strip, cells)))
        if len(cells) != len(names):
            message = f"expected {len(names)} cells, found {text[:60]!r}"
            raise FileError(path, message, place=f"line {number}")
        if all(row[name] for name in columns):
            found = True
            yield number, row
    if not found:
        raise FileError(path, f"no rows with {' and '.join(columns)}")


def folded(wv, restrict_vocab=None, case_insensitive=True) -> dict:
    """word -> row of the first rows; upper-cased, the first of several spellings wins.

    That is gensim's way: a question's words must be looked up in the same case.
    """
    words = wv.index_to_key[:restrict_vocab]
    if not case_insensitive:
        return {word: i for i, word in enumerate(words)}
    found: dict[str, int] = {}
    for i, word in enumerate(words):
        found.setdefault(word.upper(), i)
    return found


def finder(wv, case_insensitive=True):
    """A function word -> row or None: as it is written if possible, else in any case."""
    others = folded(wv) if case_insensitive else {}
    return lambda word: wv.key_to_index.get(word, others.get(word.upper()))
