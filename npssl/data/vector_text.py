"""Word vectors as text, with word2vec's first line or, as GloVe, without."""

import numpy as np

from npssl.data.vector_files import WIDEST, Broken, Table, read_header

LONGEST = 32 << 20  # bytes of a line


def read(file, path, size, format, limit, unicode_errors):
    """Fill a `Table` from the lines of ``file``; see `npssl.data.vector_files`."""
    number, rows, table = 0, None, None
    if format == "word2vec-text":
        least = lambda dim: 2 * dim + 2  # a letter, D times a blank and a digit, a line end
        rows, dim = read_header(file, path, size, least)
        number, room = 1, rows if size is not None else None
        table = Table(path, dim, room, limit, unicode_errors)
    while not (table and table.full()):
        line = file.readline(LONGEST)
        number += 1
        if not line:
            break
        if len(line) == LONGEST:
            raise Broken(path, f"more than {LONGEST} bytes in a line", place=f"line {number}")
        fields = line.split()
        if not fields:
            continue
        if table is None:
            dim = len(fields) - 1
            if not 1 <= dim <= WIDEST:
                raise Broken(path, _expected(1, fields, line), place="line 1")
            room = size // len(line) + 1 if size is not None else None
            table = Table(path, dim, room, limit, unicode_errors)
            if table.full():
                break
        if rows is not None and table.taken == rows:
            message = f"more vectors than the {rows} that line 1 speaks of"
            raise Broken(path, message, place=f"line {number}")
        if len(fields) > dim + 1 and (rows is not None or dim > 1):  # a word with blanks in it
            fields = line.strip().rsplit(None, dim)
        if len(fields) != dim + 1:
            raise Broken(path, _expected(dim, fields, line), place=f"line {number}")
        try:
            with np.errstate(over="ignore"):
                row = np.array(fields[1:], np.float32)
        except ValueError:
            raise Broken(path, _expected(dim, fields, line), place=f"line {number}") from None
        table.add(fields[0], row, f"line {number}")
    if table is None:
        raise Broken(path, "the file is empty", place="line 1")
    if rows is not None and table.taken < rows and not table.full():
        message = f"the file ends after {table.taken} of {rows} vectors"
        raise Broken(path, message, place=f"line {number}")
    return table


def _expected(dim, fields, line):
    found = line[:40].strip()
    return f"expected a word and {dim} numbers, found {len(fields)} fields: {found!r}"


def write(file, words, vectors, header):
    """``words`` as bytes; float32 numbers as their shortest text."""
    if header:
        file.write(b"%d %d\n" % vectors.shape)
    for word, row in zip(words, vectors):
        file.write(word + b" " + " ".join(map(str, row)).encode() + b"\n")
