"""What the epoch kernels of the skip-gram family share.

Draws, prefetches, and the outputs of a target word: the positive and K
negatives, or the nodes on its Huffman path, as row addresses with labels, in
groups of six.
"""

import numpy as np
from numba import types

from npssl.kernels.draws import _MIX1, _MIX2, _STEP, SLOTS
from npssl.kernels.jit import jit
from npssl.kernels.lanes import LANES
from npssl.kernels.tile import GROUP, OUTPUTS, prefetch

LINE = 64  # bytes of a cache line

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
def all_labels():
    """(729, GROUP) labels of every kind of group, for all six inputs.

    Output j has digit j of the row's number, in base 3: 0 -> label 1, 1 -> label 0,
    2 -> label 1/2, padding.  For a Huffman code the digits are its turns.
    """
    label = np.zeros((3**OUTPUTS, GROUP), np.float32)
    for number in range(3**OUTPUTS):
        rest = number
        for j in range(OUTPUTS):
            for i in range(OUTPUTS):
                label[number, i * OUTPUTS + j] = (1.0, 0.0, 0.5)[rest % 3]
            rest //= 3
    return label


@jit(inline="always")
def kind_of_negatives(g, negative):
    """The number, for `all_labels`, of group g of a positive and its negatives."""
    number = 0
    for j in range(OUTPUTS - 1, -1, -1):
        place = g * OUTPUTS + j
        number = 3 * number + (0 if place == 0 else (1 if place <= negative else 2))
    return number


@jit(inline="always")
def negatives(rows, o, bias, at, t, place, first, count, stride, hot, noise, table):
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
            for i in range(OUTPUTS):
                bias[(at + j // OUTPUTS) * GROUP + i * OUTPUTS + j % OUTPUTS] = shift[w]


@jit(inline="always")
def path(rows, o, labels, at, t, start, nodes, kinds, p_label, hot, table):
    """Outputs of target t on its way from the root; returns how many groups they are."""
    row, mine, shared = table
    first = start[t]
    groups = start[t + 1] - first
    for j in range(groups * OUTPUTS):
        rows[o + j] = address(i64(nodes[first * OUTPUTS + j]), row, hot, mine, shared)
        fetch(rows[o + j], row)
    for g in range(groups):
        labels[at + g] = p_label + 4 * GROUP * kinds[first + g]
    return groups


@jit(inline="always")
def take_loss(scratch):
    """Empty the lanes in which the tiles sum the loss."""
    total = 0.0
    for q in range(LANES):
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
