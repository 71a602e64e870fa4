"""Number the words of a text in one pass over its bytes.

`npssl.data.counting.PlainCounter` is the page: it splits, and looks words up in a
dict.  Here 64 bytes at a time are compared with the blanks, which gives bit masks
of where words begin and end; the first 16 bytes of a word are two numbers, which
nearly always are the whole word, so that hashing and comparing are a few
instructions; and number, length, word and count stand together in half a cache line.

A block of text must have 80 bytes of anything behind its end.  The byte order is
that of little-endian machines (`usable`).
"""

import sys

import numpy as np
from llvmlite import ir
from numba import types, uint64
from numba.extending import intrinsic

from npssl.kernels.jit import jit

usable = sys.byteorder == "little"

END = -1  # in the ids: a line ended
SLACK = 80  # bytes behind a block that are read, not used
KNOWN, USED, FOUND = range(3)  # state: words in the table, bytes of `letters`, ids written
_FIELDS = 4  # of a table entry: two of the word, length << 32 | number + 1, count
_SHORT = 16  # bytes that stand in the entry itself

I64, BYTES64 = ir.IntType(64), ir.VectorType(ir.IntType(8), 64)
_LOW = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)  # the first n bytes
_K = tuple(np.uint64(k) for k in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9))


def bytes64(b, address):
    """LLVM: the 64 bytes at an address, as one vector."""
    x = b.load(b.inttoptr(address, ir.PointerType(BYTES64)), typ=BYTES64)
    x.align = 1
    return x


def every(byte):
    """LLVM: a vector with this byte in all 64 places."""
    return ir.Constant(BYTES64, [byte] * 64)


def mask(b, lanes):
    """LLVM: 64 truth values as the bits of a number, the first one lowest."""
    return b.bitcast(lanes, I64)


@intrinsic
def _blanks(typingctx, address):
    """Bit i: the byte at address + i is one of the six blanks of `bytes.split`."""

    def codegen(context, b, signature, args):
        x = bytes64(b, args[0])
        control = b.icmp_unsigned("<=", b.sub(x, every(9)), every(4))
        return mask(b, b.or_(control, b.icmp_unsigned("==", x, every(32))))

    return types.uint64(types.intp), codegen


@intrinsic
def _blanks_of_c(typingctx, address):
    """Bit i: the byte at address + i is blank, tab or line end."""

    def codegen(context, b, signature, args):
        x = bytes64(b, args[0])
        control = b.icmp_unsigned("<=", b.sub(x, every(9)), every(1))
        return mask(b, b.or_(control, b.icmp_unsigned("==", x, every(32))))

    return types.uint64(types.intp), codegen


@intrinsic
def _line_ends(typingctx, address):
    """Bit i: the byte at address + i is a line end."""

    def codegen(context, b, signature, args):
        return mask(b, b.icmp_unsigned("==", bytes64(b, args[0]), every(10)))

    return types.uint64(types.intp), codegen


@intrinsic
def _load(typingctx, address):
    """The 8 bytes at any address as a number."""

    def codegen(context, b, signature, args):
        x = b.load(b.inttoptr(args[0], ir.PointerType(I64)), typ=I64)
        x.align = 1
        return x

    return types.uint64(types.intp), codegen


@intrinsic
def lowest(typingctx, bits):
    """The place of the lowest bit that is set; 64 where there is none."""

    def codegen(context, b, signature, args):
        return b.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), codegen


@jit(inline="always")
def _hash(low, high, length):
    h = low * _K[0] ^ (high + length) * _K[1]
    h = (h ^ h >> uint64(32)) * _K[2]
    return h ^ h >> uint64(29)


@jit(inline="always")
def _hash_long(address, length):
    """A number for the bytes of a word longer than 16."""
    h, i = uint64(0), 0
    while i < length - 8:
        h = _hash(h, _load(address + i), uint64(0))
        i += 8
    return _hash(h, _load(address + length - 8), uint64(0))  # overlaps the one before


@jit(inline="always")
def _same(a, b, length):
    """Are these bytes equal?  For 8 and more."""
    i = 0
    while i < length - 8:
        if _load(a + i) != _load(b + i):
            return False
        i += 8
    return _load(a + length - 8) == _load(b + length - 8)


@jit(inline="always")
def full(known, size):
    """Must a table of this size (its length) grow before the next word?  At 70 %."""
    return 10 * _FIELDS * known > 7 * size


BLOCK, TABLE = types.Array(types.uint8, 1, "C"), types.Array(types.uint64, 1, "C")
IDS, NUMBERS = types.Array(types.int32, 1, "C"), types.Array(types.int64, 1, "C")
INT = types.int64


@jit(INT(BLOCK, INT, INT, INT, TABLE, BLOCK, IDS, NUMBERS))
def scan(block, start, stop, longest, table, letters, ids, state):
    """Write the ids of the words in ``block[start:stop]``, and `END` for each line end.

    Parameters
    ----------
    longest : int      0: blanks as `bytes.split` has them, and one `END` for line ends
                       that follow each other; otherwise as word2vec.c reads: other blanks,
                       every line end counts, words are cut to so many bytes
    table : (4 * 2**k,) uint64       words, numbers and counts
    letters : uint8                  the words themselves, a line end after each
    ids : (stop - start + 1,) int32
    state : (3,) int64               see `KNOWN`, `USED`, `FOUND`; changed

    Returns
    -------
    place : int        where it stopped: at ``stop``, or at a word for which ``table`` or
                       ``letters`` must become larger first
    """
    base, store = block.ctypes.data, letters.ctypes.data
    last = uint64(table.size // _FIELDS - 1)
    known, used, n = state[KNOWN], state[USED], state[FOUND]
    begin, inside = start, uint64(0)
    for at in range(start, stop, 64):
        line = _line_ends(base + at)
        blank = _blanks_of_c(base + at) if longest else _blanks(base + at)
        if stop - at < 64:
            valid = (uint64(1) << uint64(stop - at)) - uint64(1)
            blank |= ~valid
            line &= valid
        before = ~blank << uint64(1) | inside  # bit i: the byte before i belongs to a word
        begins, ends = ~blank & ~before, blank & before
        if not inside:
            begin = at + lowest(begins)
            begins &= begins - uint64(1)
        inside = ~blank >> uint64(63)
        events = ends | line
        while events:
            bit = events & (~events + uint64(1))
            events ^= bit
            if ends & bit:
                length = at + lowest(bit) - begin
                if longest and length > longest:
                    length = longest
                word = base + begin
                low = _load(word)
                high = uint64(0)
                if length <= 8:
                    low &= _LOW[length]
                elif length <= _SHORT:
                    high = _load(word + 8) & _LOW[length - 8]
                else:
                    low = _hash_long(word, length)
                place = _hash(low, high, uint64(length)) & last
                while True:
                    e = place * uint64(_FIELDS)
                    tag = table[e + uint64(2)]
                    if tag == 0:
                        if full(known, table.size) or used + length + 1 > letters.size:
                            state[KNOWN], state[USED], state[FOUND] = known, used, n
                            return begin
                        table[e] = low
                        table[e + uint64(1)] = high if length <= _SHORT else uint64(used)
                        known += 1
                        tag = uint64(length) << uint64(32) | uint64(known)
                        table[e + uint64(2)] = tag
                        for i in range(length):
                            letters[used + i] = block[begin + i]
                        letters[used + length] = 10
                        used += length + 1
                        break
                    if table[e] == low and tag >> uint64(32) == uint64(length):
                        if length <= _SHORT:
                            if table[e + uint64(1)] == high:
                                break
                        elif _same(word, store + np.int64(table[e + uint64(1)]), length):
                            break
                    place = (place + uint64(1)) & last
                table[e + uint64(3)] += uint64(1)
                ids[n] = np.int32(tag & uint64(0xFFFFFFFF)) - 1
                n += 1
                begin = at + lowest(begins)
                begins &= begins - uint64(1)
            if line & bit and (longest or n == 0 or ids[n - 1] != END):
                ids[n] = END
                n += 1
    state[KNOWN], state[USED], state[FOUND] = known, used, n
    return stop


@jit(types.void(TABLE, TABLE))
def rehash(table, larger):
    """Copy the entries of a table into an empty, larger one."""
    last = uint64(larger.size // _FIELDS - 1)
    for e in range(0, table.size, _FIELDS):
        if table[e + 2]:
            length = table[e + 2] >> uint64(32)
            high = table[e + 1] if length <= _SHORT else uint64(0)
            place = _hash(table[e], high, length) & last
            while larger[place * uint64(_FIELDS) + uint64(2)]:
                place = (place + uint64(1)) & last
            for i in range(_FIELDS):
                larger[place * uint64(_FIELDS) + uint64(i)] = table[e + i]


@jit(types.void(TABLE, NUMBERS))
def counts(table, out):
    """How often each word was found, by number."""
    for e in range(0, table.size, _FIELDS):
        if table[e + 2]:
            out[np.int64(table[e + 2] & uint64(0xFFFFFFFF)) - 1] = np.int64(table[e + 3])
