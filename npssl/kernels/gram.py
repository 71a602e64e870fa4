"""What the epoch kernels of the skip-gram family share.

Draws, prefetches, and the outputs of a target word: the positive and K
negatives, or the nodes on its Huffman path, as row addresses with labels, in
groups of six.
"""

import numpy as np
from numba import types

from npssl.kernels.draws import _MIX1, _MIX2, _STEP, SLOTS
from npssl.kernels.jit import jit
from npssl.kernels.tile import OUTPUTS, SCRATCH, prefetch

LINE = 64  # bytes of a cache line
GROUP = 48  # floats of labels for a group: 6 inputs x 6 outputs, padded to whole vectors

u64, i64 = np.uint64, np.int64

# Numba types: f = float32, i = int32, ...; the number counts dimensions
f1, f2, f3 = (types.Array(types.float32, n, "C") for n in (1, 2, 3))
r1, i1, l1, u1, w1 = (
    types.Array(t, 1, "C", readonly=True)
    for t in (types.float32, types.int32, types.int64, types.uint64, types.uint32)
)
k, d, pair = types.int64, types.float64, types.UniTuple(types.float64, 2)


@jit(inline="always")
def bits(key, position, slot):
    """`npssl.kernels.draws.draw` for one position."""
    z = key + ((u64(position) << u64(SLOTS)) | u64(slot)) * u64(_STEP)
    z = (z ^ (z >> u64(30))) * u64(_MIX1)
    z = (z ^ (z >> u64(27))) * u64(_MIX2)
    return z ^ (z >> u64(31))


@jit(inline="always")
def noise_word(key, position, slot, alias):
    """A word from the alias table."""
    z = bits(key, position, slot)
    word = ((z >> u64(32)) * u64(alias.shape[0])) >> u64(32)
    entry = alias[word]
    other = entry & u64(0xFFFFFFFF)
    own = u64((z & u64(0xFFFFFFFF)) < (entry >> u64(32)))
    return i64(other ^ ((other ^ word) & (u64(0) - own)))  # a choice without a branch


@jit(inline="always")
def negative_word(key, position, k, stride, alias, positive):
    """The k-th of ``stride`` negatives at this position: redrawn while it is the positive."""
    slot = 2 + k
    word = noise_word(key, position, slot, alias)
    while word == positive and slot < (1 << SLOTS) - stride:
        slot += stride
        word = noise_word(key, position, slot, alias)
    return word


@jit(inline="always")
def reach_of(key, position, window):
    """How far the window reaches here: 1 .. window, all equally likely."""
    return 1 + i64(((bits(key, position, 1) >> u64(32)) * u64(window)) >> u64(32))


@jit(inline="always")
def address(word, row, hot, mine, shared):
    """Where a row lies: the hottest are copied for each thread."""
    return (mine if word < hot else shared) + word * row


@jit(inline="always")
def fetch(place, row):
    """Prefetch a row."""
    for line in range(place, place + row, LINE):
        prefetch(line)


@jit(inline="always")
def longest(ids):
    """Words in the longest sentence."""
    most, n = 0, 0
    for p in range(ids.size):
        n = 0 if ids[p] < 0 else n + 1
        most = max(most, n)
    return most


@jit(inline="always")
def read_sentence(ids, p, first, keep, key, words, places):
    """Words of the sentence at p that survive subsampling, and their positions in the text.

    Returns the next p and the number of words; the buffers hold one word more than the
    longest sentence has, because each word is written before it is known to stay:
    nobody could foresee that branch.
    """
    n = 0
    while p < ids.size:
        w = ids[p]
        if w < 0:
            p += 1
            break
        words[n] = w
        places[n] = first + p
        n += i64((bits(key, first + p, 0) >> u64(32)) <= u64(keep[w]))
        p += 1
    return p, n


@jit(inline="always")
def fill(values, g, j, value):
    """Write one output's value for all six inputs of group g."""
    for i in range(OUTPUTS):
        values[g * GROUP + i * OUTPUTS + j] = value


@jit(inline="always")
def negatives(rows, o, at, label, bias, t, place, first, count, stride, hot, noise, table):
    """Outputs of target t with negatives number ``first`` .. ``first + count - 1`` here.

    Writes addresses from rows[o] on and, for NCE, biases from group ``at`` on.
    ``noise`` = (key, alias, shift), ``table`` = (row, mine, shared).
    """
    key, alias, shift = noise
    row, mine, shared = table
    for j in range(count + 1):
        w = t if j == 0 else negative_word(key, place, first + j - 1, stride, alias, t)
        rows[o + j] = address(w, row, hot, mine, shared)
        fetch(rows[o + j], row)
        if shift.size > 1:
            fill(bias, at + j // OUTPUTS, j % OUTPUTS, shift[w])
    return (count + OUTPUTS) // OUTPUTS


@jit(inline="always")
def path(rows, o, at, label, t, start, nodes, code, hot, table, pad):
    """Outputs of target t on its way from the root: label 1 - code, as in word2vec.c."""
    row, mine, shared = table
    a, length = start[t], start[t + 1] - start[t]
    groups = (length + OUTPUTS - 1) // OUTPUTS
    for j in range(groups * OUTPUTS):
        if j < length:
            rows[o + j] = address(i64(nodes[a + j]), row, hot, mine, shared)
            fetch(rows[o + j], row)
            fill(label, at + j // OUTPUTS, j % OUTPUTS, np.float32(1 - code[a + j]))
        else:
            rows[o + j] = pad
            fill(label, at + j // OUTPUTS, j % OUTPUTS, np.float32(0.5))
    return groups


@jit(inline="always")
def take_loss(scratch):
    """Empty the lanes in which the tiles sum the loss."""
    total = 0.0
    for q in range(SCRATCH - 16, SCRATCH):
        total += np.float64(scratch[q])
        scratch[q] = 0
    return total


@jit(inline="always")
def merge(shared, mine):
    """Add what changed in my copy of the hottest rows to everybody's, and take theirs.

    ``mine`` is (2, H, D): the copy, and what it was at the last merge.
    """
    for r in range(mine.shape[1]):
        ours, now, before = shared[r], mine[0, r], mine[1, r]
        for c in range(ours.size):
            new = ours[c] + (now[c] - before[c])
            ours[c] = new
            now[c] = new
            before[c] = new
