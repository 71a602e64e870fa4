"""Word vectors as safetensors: read and written here, so that rows can stay on disk.

The format is a length (8 bytes, little-endian), so many bytes of JSON that give each
tensor's type, shape and place, and the tensors.  See
https://github.com/huggingface/safetensors, section "Format".
"""

import json
import math
import os

import numpy as np

from npssl.data.vector_files import WIDEST, Broken, first_not_finite, opened

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "U8": "|u1"}
HEAVIEST = 100_000_000  # bytes of JSON, as the original has it


def read(path, limit, mmap):
    """words, vectors, counts or None; see `npssl.data.vector_files`."""
    size = os.stat(path).st_size
    with opened(path) as file:
        n = int.from_bytes(file.read(8), "little")
        if not 2 <= n <= min(size - 8, HEAVIEST):
            message = f"a description of {n} bytes in a file of {size} bytes: not safetensors"
            raise Broken(path, message, place="byte 0")
        try:
            entries = json.loads(file.read(n).decode("utf-8"))
        except (ValueError, RecursionError) as error:
            message = f"the description is not JSON ({error})"
            raise Broken(path, message, place="byte 8") from None
        find = lambda name, *types: _place(path, entries, name, types, size - 8 - n)
        kind, (rows, dim), start = find("vectors", "F64", "F32", "F16", 2)
        _, (length,), begin = find("words", "U8", 1)
        if not 1 <= dim <= WIDEST:
            raise Broken(path, f"{dim} dimensions; expected 1 to {WIDEST}", place="vectors")
        take = rows if limit is None else min(rows, limit)
        words = _words(path, _get(file, 8 + n + begin, length), rows, take)
        counts = None
        if "counts" in entries:
            _, (known,), where = find("counts", "I64", 1)
            if known != rows:
                raise Broken(path, f"{known} counts of {rows} words", place="counts")
            counts = np.frombuffer(_get(file, 8 + n + where, 8 * take), "<i8")
        if mmap and take:
            return words, np.memmap(path, TYPES[kind], "r", 8 + n + start, (take, dim)), counts
        itemsize = np.dtype(TYPES[kind]).itemsize
        vectors = np.frombuffer(_get(file, 8 + n + start, take * dim * itemsize), TYPES[kind])
    with np.errstate(over="ignore"):
        vectors = vectors.reshape(take, dim).astype(np.float32, copy=False)
    if (bad := first_not_finite(vectors)) is not None:
        place = f"vector {bad + 1}, {words[bad]!r}"
        raise Broken(path, "a number that is not finite", place=place)
    return words, vectors, counts


def _get(file, start, length):
    file.seek(start)
    data = bytearray(length)
    file.readinto(data)
    return data


def _place(path, entries, name, types, room):
    """Type, shape and first byte of a tensor, if they make sense and lie within the file."""
    *kinds, ndim = types
    try:
        entry = entries[name]
        kind, shape, (start, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
        whole = all(type(k) is int and k >= 0 for k in (*shape, start, stop))
    except (KeyError, TypeError, ValueError):
        raise Broken(path, f"no tensor {name!r} with dtype, shape and place", place=name) from None
    if not whole or kind not in kinds or len(shape) != ndim:
        message = f"expected {ndim}-D of {' or '.join(kinds)}, found {kind} {shape}"
        raise Broken(path, message, place=name)
    if stop - start != math.prod(shape) * np.dtype(TYPES[kind]).itemsize or stop > room:
        message = f"{kind} {shape} does not fit at {start} to {stop} (is the file cut off?)"
        raise Broken(path, message, place=name)
    return kind, shape, start


def _words(path, code, rows, take):
    try:
        words = bytes(code).decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        message = f"{bytes(code[error.start : error.start + 20])!r} is not UTF-8"
        raise Broken(path, message, place="words") from None
    if words.pop() or len(words) != rows:
        raise Broken(
            path, f"expected {rows} words with line ends, found {len(words)}", place="words"
        )
    if len(set(words)) < rows or "" in words:
        raise Broken(path, "expected words that are all different and not empty", place="words")
    return words[:take]


def write(file, words, vectors, counts):
    """``words`` as bytes.  The vectors come first, on a cache line."""
    code = np.frombuffer(b"".join(word + b"\n" for word in words), np.uint8)
    tensors = {"vectors": ("F32", vectors.astype("<f4", copy=False))}
    if counts is not None:
        tensors["counts"] = ("I64", np.asarray(counts).astype("<i8", copy=False))
        if tensors["counts"][1].shape != (len(words),):
            shape = tensors["counts"][1].shape
            raise ValueError(f"counts: expected shape ({len(words)},), found {shape}")
    tensors["words"] = ("U8", code)
    entries, stop = {"__metadata__": {"format": "np", "npssl": "word vectors"}}, 0
    for name, (kind, array) in tensors.items():
        start, stop = stop, stop + array.nbytes
        entries[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [start, stop]}
    text = json.dumps(entries).encode()
    text += b" " * (-(8 + len(text)) % 64)
    file.write(len(text).to_bytes(8, "little") + text)
    for _, array in tensors.values():
        for start in range(0, len(array), 4096):
            file.write(np.ascontiguousarray(array[start : start + 4096]).data)
