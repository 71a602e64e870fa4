"""Lower-case the words of a text, for as much of it as is ASCII; `npssl.data.words` is the page."""

import numpy as np
from numba import types, uint64
from numba.extending import intrinsic

from npssl.kernels.jit import jit
from npssl.kernels.text import BLOCK, IDS, INT, NUMBERS, bytes64, every, lowest, mask


@intrinsic
def _beyond_ascii(typingctx, address):
    """Bit i: the byte at address + i is 128 or more."""

    def codegen(context, b, signature, args):
        return mask(b, b.icmp_signed("<", bytes64(b, args[0]), every(0)))

    return types.uint64(types.intp), codegen


_FOLDED = np.full(256, 32, np.uint8)  # what an ASCII byte becomes in a lower-cased word
_FOLDED[10] = 10
for _c in b"abcdefghijklmnopqrstuvwxyz0123456789":
    _FOLDED[_c] = _FOLDED[ord(chr(_c).upper())] = _c


@jit(inline="always")
def _is_blank(byte):
    return byte == 32 or 9 <= byte <= 13


@jit(INT(BLOCK, INT, NUMBERS, BLOCK))
def beyond_ascii(block, stop, spans, lines):
    """Find what Python must fold: stretches between blanks that hold a byte of 128 or more.

    Parameters
    ----------
    block, stop : the text is ``block[:stop]``, 64 bytes of anything follow it
    spans : (stop + 1,) int64           for the begin and the end of each stretch
    lines : (2 * stop,) uint8           for the stretches, a line end after each

    Returns
    -------
    n : int        how many stretches there are
    """
    base, n, done, used = block.ctypes.data, 0, 0, 0
    for at in range(0, stop, 64):
        bits = _beyond_ascii(base + at)
        while bits:
            place = at + lowest(bits)
            bits &= bits - uint64(1)
            if place >= stop:
                break
            if place >= done:
                begin = place
                while begin > done and not _is_blank(block[begin - 1]):
                    begin -= 1
                done = place + 1
                while done < stop and not _is_blank(block[done]):
                    done += 1
                spans[2 * n], spans[2 * n + 1] = begin, done
                n += 1
                for i in range(begin, done):
                    lines[used] = block[i]
                    used += 1
                lines[used] = 10
                used += 1
    return n


@jit(INT(BLOCK, INT, NUMBERS, IDS, BLOCK, NUMBERS, BLOCK))
def fold(block, stop, spans, ids, text, ends, out):
    """Lower-case the words of ``block[:stop]``; all else becomes blanks, lines stay lines.

    Parameters
    ----------
    spans : (2 k,) int64       as `beyond_ascii` finds them
    ids : (k,) int32           in place of stretch k comes text number ``ids[k]``,
    text : uint8               which is ``text[ends[i] : ends[i + 1]]``
    ends : int64
    out : uint8                long enough

    Returns
    -------
    n : int                    bytes of ``out`` that were written
    """
    n = at = 0
    for k in range(len(ids) + 1):
        begin = spans[2 * k] if k < len(ids) else stop
        for i in range(at, begin):
            c = _FOLDED[block[i]]
            if block[i] == 39 and 0 < i < stop - 1:  # an apostrophe
                if _FOLDED[block[i - 1]] > 32 and _FOLDED[block[i + 1]] > 32:
                    c = 39
            out[n] = c
            n += 1
        if k < len(ids):
            for i in range(ends[ids[k]], ends[ids[k] + 1]):
                out[n] = text[i]
                n += 1
            at = spans[2 * k + 1]
    return n
