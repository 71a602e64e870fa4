"""Where word ids are kept: in memory, or in a file when a corpus is larger than memory.

Both stores append, read and write windows, and shorten.  So a corpus can be
changed in place from front to back, and no second copy of it is ever made.
"""

import os

import numpy as np


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

    def shorten(self, size):
        self.array.resize(size, refcheck=False)
        self.size = size

    def close(self):
        """Nothing is held."""


class Disk:
    """int32 ids in a file, in this machine's byte order, and nothing else in it."""

    def __init__(self, file):
        self.file = file
        self.size = file.seek(0, os.SEEK_END) // 4

    def append(self, ids):
        self.write(self.size, ids)
        self.size += len(ids)

    def read(self, start, stop):
        start, stop = min(start, self.size), min(stop, self.size)
        ids = np.empty(max(0, stop - start), np.int32)
        self.file.seek(4 * start)
        if self.file.readinto(ids.view(np.uint8)) != ids.nbytes:
            raise OSError(f"{self.file.name}: shorter than it was")
        return ids

    def write(self, start, ids):
        self.file.seek(4 * start)
        self.file.write(np.ascontiguousarray(ids, np.int32).data)

    def shorten(self, size):
        self.file.truncate(4 * size)
        self.size = size

    def close(self):
        self.file.close()
