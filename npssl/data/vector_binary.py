"""Word vectors in word2vec's binary format."""

import numpy as np

from npssl.data.vector_files import Broken, Table, read_header

CHUNK = 4 << 20
LONGEST = 1 << 16  # bytes of a word


def read(file, path, size, limit, unicode_errors):
    """Fill a `Table` from a stream of bytes; see `npssl.data.vector_files`."""
    rows, dim = read_header(file, path, size, lambda dim: 4 * dim + 2)
    table = Table(path, dim, rows if size is not None else None, limit, unicode_errors)
    data, at, before = bytearray(), 0, file.tell()  # data[at:] is not yet used
    while table.taken < rows and not table.full():
        blank = data.find(b" ", at)
        while blank < 0 or len(data) < blank + 1 + 4 * dim:
            if blank < 0 and len(data) - at > LONGEST:
                message = f"no blank within {LONGEST} bytes: no word and vector here"
                raise Broken(path, message, place=f"byte {before + at}")
            more = file.read(CHUNK)
            if not more:
                message = f"the file ends in vector {table.taken + 1} of {rows}"
                raise Broken(path, message, place=f"byte {before + len(data)}")
            del data[:at]
            before, at = before + at, 0
            data += more
            blank = data.find(b" ")
        word = bytes(data[at:blank]).lstrip(b"\n")
        row = np.frombuffer(data[blank + 1 : blank + 1 + 4 * dim], "<f4")
        table.add(word, row, f"byte {before + at}")
        at = blank + 1 + 4 * dim
    if table.taken == rows:
        rest = bytes(data[at : at + 2]) or file.read(2)
        if rest not in (b"", b"\n"):
            message = f"more bytes after the {rows} vectors that line 1 speaks of"
            raise Broken(path, message, place=f"byte {before + at}")
    return table


def write(file, words, vectors, end):
    """``words`` as bytes; ``end`` after each vector."""
    file.write(b"%d %d\n" % vectors.shape)
    for word, row in zip(words, vectors.astype("<f4", copy=False)):
        file.write(word + b" " + row.tobytes() + end)
