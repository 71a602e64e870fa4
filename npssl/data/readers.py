"""Text as streams of bytes: from files, folders, archives, standard input, sentences.

A source is a sequence of byte streams, one for each file or member of an archive;
`npssl.data.blocks` cuts them into pieces.

What is read
------------
``.gz``, ``.bz2``, ``.xz``, ``.lzma`` and ``.zip`` are opened by suffix, whatever
stands before it; everything else is read as it is.  A zip gives its files in the
order of the archive (without folders and ``__MACOSX``).  A folder gives, sorted by
path and including its sub-folders, the files that end in one of `TEXT` or have no
suffix at all (as in ``wiki_00``), also when compressed; hidden files and folders
are left out.  ``-`` is standard input.  Tar archives are refused by name.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import sys
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from npssl.errors import FileError

TEXT = (".txt", ".text", ".tokens", ".tok", ".md", ".rst")
PACKED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".lzma": lzma.open}
TAR = (".tar", ".tgz", ".tbz2", ".txz")


class Files:
    """The byte streams of files, one after the other.

    Attributes
    ----------
    name : str             for messages
    total : int or None    bytes on the disk; None where that is not known, as in a pipe
    done : int             how many of them have been read
    read : int             bytes that came out, unpacked
    """

    def __init__(self, paths: Iterable, name=None):
        self.paths = list(paths)
        self.name = name or ", ".join(map(str, self.paths[:3])) + ", ..." * (len(self.paths) > 3)
        self._sizes = [_size(path) for path in self.paths]
        self.total = None if None in self._sizes else sum(self._sizes)
        self.read = self._before = 0
        self._file: Any = None
        self._place: str | None = None

    @property
    def done(self) -> int:
        if self.total is None:
            return self.read
        return self._before + (self._file.tell() if self._file else 0)

    @contextmanager
    def errors(self):
        """Whatever goes wrong while reading becomes a `FileError` with name and place."""
        try:
            yield
        except (FileError, MemoryError):
            raise
        except Exception as error:  # damaged files make these libraries raise nearly anything
            what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise FileError(self._path, what or type(error).__name__, place=self._place) from error

    def streams(self) -> Iterator[io.BufferedIOBase]:
        for path, size in zip(self.paths, self._sizes):
            self._path = "standard input" if path == "-" else path
            with self.errors():
                stdin = path == "-"
                self._file = sys.stdin.buffer if stdin else open(path, "rb")
            try:
                yield from self._unpacked(Path(path).suffix.lower())
                self._before += size or 0
            finally:
                file, self._file = self._file, None
                if not stdin:
                    file.close()

    def _unpacked(self, suffix):
        if suffix == ".zip":
            yield from self._members()
        elif suffix in PACKED:
            with self.errors():
                stream = PACKED[suffix](self._file)
            with stream:
                yield stream
        else:
            yield self._file

    def _members(self):
        with self.errors():
            archive = zipfile.ZipFile(self._file)
        with archive:
            for member in archive.infolist():
                if member.filename.endswith("/") or member.filename.startswith("__MACOSX/"):
                    continue
                self._place = f"member {member.filename!r}"
                with self.errors():
                    if member.flag_bits & 1:
                        raise FileError(self._path, "is encrypted", place=self._place)
                    stream = archive.open(member)
                with stream:
                    yield stream
                self._place = None


class Lines:
    """Sentences, each a str, as one byte stream with a line for each."""

    total = None
    name = "the sentences"

    def __init__(self, sentences: Iterable[str]):
        self.sentences = sentences
        self.read = 0

    @property
    def done(self) -> int:
        return self.read

    @contextmanager
    def errors(self):
        yield

    def streams(self):
        yield self

    def readinto(self, view) -> int:
        """Fill the view as far as it goes; what does not fit waits for the next call."""
        if not hasattr(self, "_parts"):
            self._parts, self._rest = self._encoded(), b""
        n = 0
        while n < len(view):
            if not self._rest:
                self._rest = next(self._parts, b"")
                if not self._rest:
                    break
            take = min(len(view) - n, len(self._rest))
            view[n : n + take] = self._rest[:take]
            self._rest = self._rest[take:]
            n += take
        return n

    def _encoded(self, together=1000):
        part = []
        for number, sentence in enumerate(self.sentences):
            if not isinstance(sentence, str):
                raise TypeError(
                    f"source: sentence {number}: expected a str as the ones before it, "
                    f"found {type(sentence).__name__}"
                )
            part.append(sentence.replace("\n", " ") if "\n" in sentence else sentence)
            if len(part) == together:
                yield _bytes(part)
                part = []
        if part:
            yield _bytes(part)


def _bytes(lines):
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")


def files(source) -> list:
    """The files that a path, or a list of paths, stands for; folders are searched.

    Raises
    ------
    FileError     no such file, a folder without text, a tar archive
    """
    paths = source if isinstance(source, (list, tuple)) else [source]
    return [file for path in paths for file in _expand(path)]


def _expand(path):
    if isinstance(path, str) and path == "-":
        return ["-"]
    path = Path(path)
    try:
        is_folder = path.is_dir()
        path.stat()
    except FileNotFoundError:
        raise FileError(_short(path), "no such file") from None
    except (OSError, ValueError) as error:
        raise FileError(_short(path), getattr(error, "strerror", None) or error) from error
    if not is_folder:
        if _tar(path.name):
            raise FileError(path, "tar archives are not read: unpack it and give the folder")
        return [path]
    found = sorted(file for file in path.rglob("*") if _is_text(file.relative_to(path), file))
    if not found:
        kinds = " ".join(TEXT)
        raise FileError(path, f"no text in this folder (looked for {kinds} and names without dot)")
    return found


def _standard_input():
    try:
        return sys.stdin.buffer
    except AttributeError:
        raise OSError("is not open for bytes") from None


def _short(path):
    text = str(path)
    return text if len(text) < 200 else text[:100] + "..."


def _tar(name):
    stem = Path(name.lower())
    return stem.suffix in TAR or (stem.suffix in PACKED and Path(stem.stem).suffix == ".tar")


def _is_text(relative, file):
    if any(part.startswith(".") for part in relative.parts) or _tar(file.name):
        return False
    suffix = file.suffix.lower()
    if suffix == ".zip":
        return file.is_file()
    if suffix in PACKED:
        suffix = Path(file.stem).suffix.lower()
    return suffix in ("", *TEXT) and file.is_file()


def _size(path):
    """Bytes of a file; None for what has no size, such as a pipe."""
    try:
        status = os.fstat(sys.stdin.buffer.fileno()) if path == "-" else os.stat(path)
    except (OSError, AttributeError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
