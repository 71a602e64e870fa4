"""Word vectors on disk: the formats of word2vec, GloVe and fastText, and safetensors.

===================  ==============================================================
format               what the file holds
===================  ==============================================================
``word2vec-text``    a line ``V D``, then V lines: word, blank, D numbers.  Also the
                     ``.vec`` of fastText, whose blank before the line end is ignored
``glove``            the same without the first line
``word2vec-binary``  a line ``V D``, then V times: word, blank, D little-endian
                     float32, as gensim writes it
``word2vec-c``       the same with a line end after each vector, as word2vec.c writes
                     it; in reading the two are one
``safetensors``      ``vectors`` (V, D) float32, ``words`` uint8: each word in UTF-8
                     with a line end behind it, and ``counts`` (V,) int64 if known
===================  ==============================================================

The text and binary formats may be packed: ``.gz``, ``.bz2``, ``.xz`` by suffix.
Numbers are float32, in text the shortest that reads back as the same; files are
byte for byte those of gensim's ``save_word2vec_format``.

Policies
--------
* Words are UTF-8.  Other bytes are an error, or with ``unicode_errors="replace"``
  U+FFFD: word2vec.c cuts words at 100 bytes, sometimes inside a letter.
* A word that comes twice keeps its first vector; the later ones are dropped and
  counted in one warning.  NaN and infinity are refused.
* In text the last D fields of a line are the numbers and what stands before them is
  the word, so words with blanks (``. . .`` in GloVe 840B) are read.  They are not
  written: other programs could not read them.  CR LF, empty lines and a missing last
  line end are accepted.  No format can show that a text file without first line was
  cut between two lines.
* A first line is believed only as far as the size of the file allows.
* ``mmap=True`` leaves the vectors on disk until they are used (and checked).  Only
  safetensors has the rows side by side: convert once, ``npssl vectors convert``.
"""

from __future__ import annotations

import os
import re
import warnings
import zlib
from contextlib import contextmanager
from lzma import LZMAError
from pathlib import Path

import numpy as np

from npssl.data.readers import PACKED
from npssl.errors import FileError

FORMATS = ("word2vec-text", "word2vec-binary", "word2vec-c", "glove", "safetensors")
SUFFIXES = {
    ".bin": "word2vec-binary",
    ".txt": "word2vec-text",
    ".vec": "word2vec-text",
    ".safetensors": "safetensors",
}
WIDEST = 1 << 20  # numbers in a vector; nobody has more, a broken first line may


def read_vectors(path, format=None, limit=None, mmap=False, *, unicode_errors="strict"):
    """Read words and their vectors from a file in any of the formats.

    Parameters
    ----------
    path : path
    format : str, optional   one of `FORMATS`; found out from the content if not given
    limit : int, optional    only the first so many rows of the file
    mmap : bool              leave the vectors on disk (safetensors only)
    unicode_errors : str     "strict" or "replace": words that are not UTF-8

    Returns
    -------
    words : list of str, all different
    vectors : (len(words), D) float32

    Raises
    ------
    FileError     whatever is wrong with the file, and at which line, byte or vector

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "two.txt.gz")
    ...     write_vectors(path, ["one", "two"], np.eye(2))
    ...     read_vectors(path)
    (['one', 'two'], array([[1., 0.],
           [0., 1.]], dtype=float32))
    """
    return read_table(path, format, limit, mmap, unicode_errors=unicode_errors)[:2]


def read_table(path, format=None, limit=None, mmap=False, *, unicode_errors="strict"):
    """As `read_vectors`, and the counts of the words: (V,) int64, or None."""
    from npssl.data import vector_binary, vector_tensors, vector_text

    _check_format(format)
    if limit is not None and limit < 0:
        raise ValueError(f"limit: expected 0 or more, found {limit}")
    path = Path(path)
    with opened(path) as file:
        looks = _looks_like(path, file.read(1 << 20))
    format = format or looks
    if format == "safetensors":
        return vector_tensors.read(path, limit, mmap)
    if mmap:
        raise FileError(
            path,
            f"mmap: {format} does not keep its rows side by side; convert it once: "
            f"npssl vectors convert {path.name} {path.name}.safetensors",
        )
    with opened(path) as file:
        size = None if path.suffix.lower() in PACKED else os.fstat(file.fileno()).st_size
        try:
            if format in ("word2vec-text", "glove"):
                table = vector_text.read(file, path, size, format, limit, unicode_errors)
            else:
                table = vector_binary.read(file, path, size, limit, unicode_errors)
        except Broken as error:
            if looks == format or {looks, format} == {"word2vec-binary", "word2vec-c"}:
                raise
            message = f"{error.reason} (it looks like {looks})"
            raise Broken(path, message, place=error.place) from None
    return *table.finish(), None


def write_vectors(path, words, vectors, format=None, *, counts=None):
    """Write words and vectors, whole or not at all.

    Parameters
    ----------
    path : path              the suffix says the format: ``.bin``, ``.txt``, ``.vec``,
                             ``.safetensors``; and ``.gz``, ``.bz2``, ``.xz`` behind it pack
    words : list of str      all different; no whitespace in them (safetensors: no line end)
    vectors : (V, D) float   finite; written as float32
    format : str, optional   one of `FORMATS`
    counts : (V,) int, optional     kept by safetensors only

    Raises
    ------
    ValueError     the words or vectors cannot be written so
    OSError        the folder or the disk does not take the file
    """
    from npssl.data import vector_binary, vector_tensors, vector_text

    path = Path(path)
    _check_format(format)
    format = format or _by_suffix(path)
    if not format:
        raise ValueError(f"path: {path.name!r} says no format: one of {' '.join(SUFFIXES)}")
    packed = path.suffix.lower() in PACKED
    if packed and format == "safetensors":
        raise ValueError(f"path: safetensors are not packed, found {path.name!r}")
    words, encoded, vectors = _checked(words, vectors, safe=format == "safetensors")
    with written(path) as file, _packer(path, file) as out:
        if format == "safetensors":
            vector_tensors.write(out, encoded, vectors, counts)
        elif format in ("word2vec-text", "glove"):
            vector_text.write(out, encoded, vectors, header=format != "glove")
        else:
            vector_binary.write(out, encoded, vectors, b"\n" * (format == "word2vec-c"))


@contextmanager
def written(path):
    """A binary file that appears when all of it is there; errors name ``path`` itself."""
    from npssl.files import whole_file

    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(2, "there is no such folder", str(path.parent))
    try:
        with whole_file(path) as file:
            yield file
    except OSError as error:
        raise type(error)(error.errno, error.strerror or str(error), str(path)) from error


@contextmanager
def opened(path):
    """A file's bytes, unpacked by suffix; what goes wrong in reading is a `FileError`."""
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise FileError(path, "is not a regular file")
        with PACKED.get(path.suffix.lower(), open)(path, "rb") as file:
            yield file
    except FileError:
        raise
    except FileNotFoundError:
        raise FileError(path, "no such file") from None
    except (OSError, EOFError, zlib.error, LZMAError) as error:
        message = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise FileError(path, message) from error


class Broken(FileError):
    """A `FileError` that still knows its message without file and place."""

    def __init__(self, path, message, *, place=None):
        super().__init__(path, message, place=place)
        self.reason = message


class Table:
    """Rows as they come.  The array grows with what the file proves to hold."""

    def __init__(self, path, dim, rows, limit, unicode_errors):
        """``rows``: as many as the size of the file allows, or None if that is not known."""
        self.path, self.unicode_errors = path, unicode_errors
        self.limit = limit if limit is not None else float("inf")
        room = max(1, (1 << 20) // (4 * dim)) if rows is None else int(min(rows, self.limit))
        self.array = np.empty((room, dim), np.float32)
        self.words: dict[str, None] = {}
        self.taken = 0  # rows read, those of words that came before among them

    def full(self):
        return self.taken >= self.limit

    def add(self, word: bytes, row, place):
        if not word:
            raise Broken(self.path, "a vector without a word", place=place)
        try:
            name = word.decode("utf-8", self.unicode_errors)
        except UnicodeDecodeError:
            raise Broken(self.path, f"{word[:50]!r} is not UTF-8", place=place) from None
        self.taken += 1
        n = len(self.words)
        if name in self.words:
            return
        if n == len(self.array):
            self.array.resize((max(2 * n, 1), self.array.shape[1]), refcheck=False)
        self.array[n] = row
        self.words[name] = None

    def finish(self):
        n = len(self.words)
        self.array.resize((n, self.array.shape[1]), refcheck=False)
        words = list(self.words)
        if (bad := first_not_finite(self.array)) is not None:
            place = f"vector {bad + 1}, {words[bad]!r}"
            raise Broken(self.path, "a number that is not finite", place=place)
        if self.taken > n:
            warnings.warn(
                f"{self.path}: {self.taken - n} vectors of words that came before were dropped",
                stacklevel=4,
            )
        return words, self.array


def first_not_finite(vectors):
    """The first row with NaN or infinity, or None.

    >>> first_not_finite(np.array([[0.0], [np.inf]]))
    1
    """
    for start in range(0, len(vectors), 4096):
        bad = ~np.isfinite(vectors[start : start + 4096]).all(1)
        if bad.any():
            return start + int(bad.argmax())
    return None


HEADER = re.compile(rb"[ \t]*([0-9]{1,18})[ \t]+([0-9]{1,18})[ \t]*\r?\n?\Z")
LIKE_HEADER = re.compile(rb"\s*[+-]?[0-9]+\s+[+-]?[0-9]{1,4000}\s*\Z")


def read_header(file, path, size, per_row):
    """V and D from the first line; ``per_row(D)``: the least bytes that a row can take."""
    line = file.readline(100)
    if not line:
        raise Broken(path, "the file is empty", place="line 1")
    found = HEADER.match(line)
    if not found:
        raise Broken(
            path, f"expected the numbers of words and dimensions, found {line!r}", place="line 1"
        )
    rows, dim = map(int, found.groups())
    if not 1 <= dim <= WIDEST:
        raise Broken(path, f"{dim} dimensions; expected 1 to {WIDEST}", place="line 1")
    if size is not None and rows * per_row(dim) > size - len(line) + 1:
        raise Broken(
            path,
            f"{rows} vectors of {dim} numbers do not fit in the file's {size} bytes "
            "(is it cut off?)",
            place="line 1",
        )
    return rows, dim


def _looks_like(path, head):
    if head[:4] == b"\xba\x16\x4f\x2f":
        raise FileError(path, "fastText's own model; its vectors are in the .vec file beside it")
    if head[:1] == b"\x80" and b"gensim" in head[:1000]:
        raise FileError(path, "a pickle, which is never loaded: use gensim's save_word2vec_format")
    if head[8:9] == b"{" and head[:8] > bytes(8) and head[5:8] == bytes(3):
        return "safetensors"
    by_suffix = _by_suffix(path)
    end = head.find(b"\n") + 1 or len(head)
    if not LIKE_HEADER.match(head[:end]):
        return by_suffix if by_suffix in ("safetensors", "word2vec-binary") else "glove"
    dim = abs(int(head[:end].split()[1]))
    row = head[end : (head.find(b"\n", end) + 1 or len(head))].split()
    if len(row) > dim and all(map(_is_number, row[len(row) - dim :])):
        return "word2vec-text"
    odd = head[end:].translate(None, bytes(range(32, 256)) + b"\t\n\v\f\r")
    return "word2vec-binary" if odd or by_suffix == "word2vec-binary" else "word2vec-text"


def _is_number(field):
    try:
        float(field)
    except ValueError:
        return False
    return True


def _by_suffix(path):
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return SUFFIXES.get(suffixes[-1]) if suffixes else None


def _check_format(format):
    if format is not None and format not in FORMATS:
        raise ValueError(f"format: expected one of {', '.join(FORMATS)}, found {format!r}")


def _checked(words, vectors, safe):
    words, vectors = list(words), np.asarray(vectors)
    if vectors.ndim != 2 or len(vectors) != len(words) or vectors.shape[1] < 1:
        raise ValueError(f"vectors: expected shape ({len(words)}, D), found {vectors.shape}")
    if vectors.dtype.kind != "f":
        raise ValueError(f"vectors: expected floating numbers, found {vectors.dtype}")
    with np.errstate(over="ignore"):
        vectors = vectors.astype(np.float32, copy=False)
    if (bad := first_not_finite(vectors)) is not None:
        raise ValueError(f"vectors: the one of {words[bad]!r} is not finite in float32")
    if len(set(words)) < len(words):
        raise ValueError("words: expected all different")
    encoded = []
    for word in words:
        try:
            code = word.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError(f"words: {word!r} cannot be written in UTF-8") from None
        if not code or b"\n" in code or (not safe and code.split() != [code]):
            what = "a line end" if safe else "whitespace"
            hint = "" if safe else "; safetensors can hold it"
            raise ValueError(f"words: {word!r} is empty or has {what} in it{hint}")
        encoded.append(code)
    return words, encoded, vectors


@contextmanager
def _packer(path, file):
    """Write through this to pack by suffix; the same content gives the same bytes."""
    import bz2
    import gzip
    import lzma

    suffix = path.suffix.lower()
    if suffix == ".gz":
        with gzip.GzipFile("", "wb", 6, file, mtime=0) as out:
            yield out
    elif suffix in PACKED:
        with (bz2.open if suffix == ".bz2" else lzma.open)(file, "wb") as out:
            yield out
    else:
        yield file
