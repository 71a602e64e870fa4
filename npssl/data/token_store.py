"""Texts to ids in files: a corpus of any size is read in pieces, and ids stay on the disk.

A file of ids holds int32 numbers of this machine's byte order and nothing else.  It is
opened as a `numpy.memmap`, so only what is used is in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from npssl.data.blocks import blocks
from npssl.data.pairs import sentences
from npssl.data.readers import Files, files
from npssl.data.tokenizer import Tokenizer
from npssl.errors import FileError
from npssl.files import whole_file

LONGEST = 1 << 20  # characters; a longer line is cut
PARAGRAPHS = 64  # a longer document is cut
_HEADING = re.compile(r"=.*=\Z", re.DOTALL)
_TITLE = re.compile(r"= [^=]+ =\Z")
_NAMES = ("documents", "sentences", "ids")

Flat = tuple[np.ndarray, np.ndarray, np.ndarray]


def pieces(source) -> Iterator[str]:
    """A text in pieces of a few MiB that end between words; each file ends with a line end.

    ``source`` is a path or a list of paths, as `npssl.data.readers` reads them.  Bytes that
    are not UTF-8 become U+FFFD; carriage returns are left out.
    """
    found = files(source)
    if "-" in found:
        raise ValueError("corpus: expected files, found standard input, which is read only once")
    for block, n in blocks(Files(found)):
        yield bytes(memoryview(block)[:n]).decode("utf-8", "replace").replace("\r", "")


def lines(source) -> Iterator[str]:
    """The lines of a text without their ends; those of more than a million letters are cut."""
    rest = ""
    for piece in pieces(source):
        *whole, rest = (rest + piece).split("\n")
        yield from whole
        if len(rest) > LONGEST:
            yield rest
            rest = ""
    if rest:
        yield rest


def articles(lines: Iterable[str], longest: int = PARAGRAPHS) -> Iterator[list[str]]:
    """The documents of a text with a paragraph on each line.

    A document begins at a line ``= Title =`` if the first line is one (as in WikiText), else
    after an empty line.  One with more than ``longest`` paragraphs is cut; a text without
    empty lines is cut all through.  Headings (``= = Part = =``) are left out.

    >>> list(articles(["= A =", "One.", "", "Two.", "= B =", " = = Part = = ", "Three."]))
    [['One.', 'Two.'], ['Three.']]
    >>> list(articles(["One.", "Two.", "", "Three."]))
    [['One.', 'Two.'], ['Three.']]
    """
    titled: bool | None = None
    document: list[str] = []
    for line in lines:
        line = line.strip()
        if titled is None and line:
            titled = bool(_TITLE.match(line))
        ends = _TITLE.match(line) if titled else not line
        if document and (ends or len(document) == longest):
            yield document
            document = []
        if line and not (titled and _HEADING.match(line)):
            document.append(line)
    if document:
        yield document


def write_ids(path, texts: Iterable[str], tokenizer: Tokenizer) -> None:
    """Write the ids of all texts in a row."""
    with whole_file(path) as file:
        for text in texts:
            file.write(_bytes(tokenizer.encode(text)))


def read_ids(path) -> np.ndarray:
    """Ids as `write_ids` wrote them, (N,) int32, left on the disk."""
    return _map(path, np.int32)


def write_documents(folder, documents: Iterable[list[str]], tokenizer: Tokenizer) -> None:
    """Write documents of paragraphs as ids, with the offsets of sentences and documents.

    The files are ``ids``, ``sentences`` and ``documents``, the last of which appears last.
    Sentences without a token and documents without a sentence are left out.
    """
    with ExitStack() as stack:
        docs, sents, ids = (stack.enter_context(whole_file(Path(folder, n))) for n in _NAMES)
        tokens = count = 0
        docs.write(_bytes([0], np.int64))
        sents.write(_bytes([0], np.int64))
        for document in documents:
            rows = [tokenizer.encode(s) for paragraph in document for s in sentences(paragraph)]
            rows = [row for row in rows if len(row)]
            if rows:
                ends = tokens + np.cumsum([len(row) for row in rows])
                tokens, count = int(ends[-1]), count + len(rows)
                ids.write(_bytes(np.concatenate(rows)))
                sents.write(_bytes(ends, np.int64))
                docs.write(_bytes([count], np.int64))


def read_documents(folder) -> Flat:
    """Ids, offsets of sentences, offsets of documents: what `npssl.data.pairs.Pairs` takes."""
    kinds = (np.int64, np.int64, np.int32)
    documents, sents, ids = (_map(Path(folder, n), kind) for n, kind in zip(_NAMES, kinds))
    return ids, sents, documents


def last_documents(flat: Flat, share: float = 0.05) -> tuple[Flat, Flat]:
    """The first documents, and the last ``share`` of them (at least one).

    Raises
    ------
    ValueError
        if there are fewer than two documents.
    """
    ids, sents, documents = flat
    count = len(documents) - 1
    if count < 2:
        raise ValueError(f"corpus: expected two documents or more, found {count}")
    cut = count - max(1, round(share * count))
    sentence = int(documents[cut])
    token = int(sents[sentence])
    first = ids[:token], sents[: sentence + 1], documents[: cut + 1]
    return first, (ids[token:], sents[sentence:] - token, documents[cut:] - sentence)


def last(ids, share: float = 0.05):
    """The first ids, and the last ``share`` of them.

    >>> [part.tolist() for part in last(np.arange(5), 0.4)]
    [[0, 1, 2], [3, 4]]
    """
    cut = len(ids) - round(share * len(ids))
    return ids[:cut], ids[cut:]


def counts(ids, vocabulary: int, block: int = 1 << 20) -> np.ndarray:
    """How often each id occurs, (vocabulary,) int64; read block by block.

    >>> counts(np.array([2, 0, 2]), 4).tolist()
    [1, 0, 2, 0]
    """
    found = np.zeros(vocabulary, np.int64)
    for start in range(0, len(ids), block):
        found += np.bincount(ids[start : start + block], minlength=vocabulary)
    return found


def _bytes(numbers, kind=np.int32):
    return np.ascontiguousarray(numbers, kind).tobytes()


def _map(path, kind):
    path, size = Path(path), np.dtype(kind).itemsize
    try:
        found = path.stat().st_size
    except FileNotFoundError:
        raise FileError(path, "no such file") from None
    if found % size:
        raise FileError(path, f"expected numbers of {size} bytes, found {found} bytes")
    return np.memmap(path, kind, "r") if found else np.zeros(0, kind)
