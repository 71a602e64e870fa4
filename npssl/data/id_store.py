"""Where word ids are kept: in memory, or in a file when a corpus is larger than memory.

Both stores append, read and write windows, and shorten.  So a corpus can be
changed in place from front to back, and no second copy of it is ever made.
"""

import os
from contextlib import contextmanager

import numpy as np

from npssl.errors import FileError


class Memory:
    """int32 ids in one array that grows at its end."""

    def __init__(self, ids=()):
        self.array = np.ascontiguousarray(ids, np.int32)
        self.size = len(self.array)

    def append(self, ids):
        # `resize` is the C library's realloc: large arrays are moved by the page table, not copied
        self.array.resize(self.size + len(ids), refcheck=False)
        self.array[self.size :] = ids
        self.size += len(ids)

    def read(self, start, stop):
        return self.array[start:stop]

    def write(self, start, ids):
        self.array[start : start + len(ids)] = ids

    def shorten(self, size, *, nobody_reads=False):
        """Keep the first ``size``; the rest is given back if no view of it can exist."""
        if nobody_reads:
            self.array.resize(size, refcheck=False)
        else:
            self.array = self.array[:size]
        self.size = size

    def close(self):
        """Nothing is held."""


class Disk:
    """int32 ids in a file, in this machine's byte order, and nothing else in it.

    Parameters
    ----------
    file : raw binary file that can be read and written
    name : what to call it in messages
    """

    def __init__(self, file, name):
        self.file, self.name = file, name
        self.size = file.seek(0, os.SEEK_END) // 4

    @contextmanager
    def _at(self, place):
        try:
            self.file.seek(4 * place)
            yield
        except OSError as error:
            raise FileError(self.name, error.strerror or error) from error

    def append(self, ids):
        self.write(self.size, ids)
        self.size += len(ids)

    def read(self, start, stop):
        start, stop = min(start, self.size), min(stop, self.size)
        ids = np.empty(max(0, stop - start), np.int32)
        with self._at(start):
            if _all(self.file.readinto, ids):
                raise FileError(self.name, f"ends before its {self.size} ids do")
        return ids

    def write(self, start, ids):
        with self._at(start):
            _all(self.file.write, np.ascontiguousarray(ids, np.int32))

    def shorten(self, size, *, nobody_reads=False):
        with self._at(0):
            self.file.truncate(4 * size)
        self.size = size

    def close(self):
        self.file.close()


def _all(move, ids):
    """One call may move less than all of it; returns the bytes that could not be moved."""
    rest = memoryview(ids.view(np.uint8))
    while len(rest) and (moved := move(rest)):
        rest = rest[moved:]
    return len(rest)
