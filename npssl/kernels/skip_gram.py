"""Skip-gram with shared negatives over a piece of text: tiles, row after row, in place.

For each kept word t (the centre, an output row) and its n neighbours (input
rows), as in word2vec.c: the positive t and K negatives form m = K + 1 outputs,
in groups of six; the neighbours come in parts of at most six; each part x group
is one tile (`npssl.kernels.tile`).  The page that does the same is
`npssl.tasks.skip_gram.epoch_page`.
"""

import numpy as np
from numba import types

from npssl.kernels.draws import _MIX1, _MIX2, _STEP, SLOTS
from npssl.kernels.jit import jit
from npssl.kernels.tile import (
    OUTPUTS,
    SCRATCH,
    prefetch,
    tile1,
    tile2,
    tile3,
    tile4,
    tile5,
    tile6,
)

AHEAD = 2  # positions between a prefetch and its use
RING = 4  # positions whose outputs are held; a power of two above AHEAD
LINE = 64

u64, i64 = np.uint64, np.int64


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
    if (z & u64(0xFFFFFFFF)) < (entry >> u64(32)):
        return i64(word)
    return i64(entry & u64(0xFFFFFFFF))


@jit(inline="always")
def negative_word(key, position, k, negative, alias, positive):
    """The k-th negative at this position: redrawn while it is the positive."""
    slot = 2 + k
    word = noise_word(key, position, slot, alias)
    while word == positive and slot < (1 << SLOTS) - negative:
        slot += negative
        word = noise_word(key, position, slot, alias)
    return word


@jit(inline="always")
def step(inputs, n, outputs, row, rate, label, bias, scratch):
    """All tiles of n inputs against six outputs: parts of at most six, as even as can be."""
    here = inputs
    while n > 0:
        if n > 11 or n == 6:
            part = 6
        elif n > 6:
            part = n - n // 2
        else:
            part = n
        if part == 6:
            tile6(here, outputs, row, rate, label, bias, scratch)
        elif part == 5:
            tile5(here, outputs, row, rate, label, bias, scratch)
        elif part == 4:
            tile4(here, outputs, row, rate, label, bias, scratch)
        elif part == 3:
            tile3(here, outputs, row, rate, label, bias, scratch)
        elif part == 2:
            tile2(here, outputs, row, rate, label, bias, scratch)
        else:
            tile1(here, outputs, row, rate, label, bias, scratch)
        here += 8 * part
        n -= part


@jit(inline="always")
def fetch(address, row):
    """Prefetch a row."""
    for line in range(address, address + row, LINE):
        prefetch(line)


@jit(inline="always")
def take_loss(scratch):
    """Empty the lanes in which the tiles sum the loss."""
    total = 0.0
    for q in range(SCRATCH - 16, SCRATCH):
        total += np.float64(scratch[q])
        scratch[q] = 0
    return total


@jit(inline="always")
def merge(shared, mine, before):
    """Add what changed in my copy of the hottest rows to everybody's, and take theirs."""
    for r in range(mine.shape[0]):
        a, b, c = shared[r], mine[r], before[r]
        for d in range(a.size):
            new = a[d] + (b[d] - c[d])
            a[d] = new
            b[d] = new
            c[d] = new


_f2 = types.Array(types.float32, 2, "C")
_f3 = types.Array(types.float32, 3, "C")
_f1 = types.Array(types.float32, 1, "C")
_i1 = types.Array(types.int32, 1, "C", readonly=True)
_w1 = types.Array(types.uint32, 1, "C", readonly=True)
_u1 = types.Array(types.uint64, 1, "C", readonly=True)
_n1 = types.Array(types.float32, 1, "C", readonly=True)
_k = types.int64


@jit(
    types.UniTuple(types.float64, 2)(
        _i1, _k, _f2, _f2, _f3, _f3, _w1, _u1, _n1, _k, _k, types.uint64, *[types.float64] * 3, _k
    )
)
def train(
    ids,  # (n,) words, -1 ends a sentence
    first,  # position of ids[0] in the whole text
    input,  # (V, D) rows x, D a multiple of 16
    output,  # (V + 1, D) rows y; the last one is zero and pads
    hot_input,  # (2, H, D) this thread's rows of the H most frequent words, and before; H may be 0
    hot_output,
    keep,  # (V,) a word is kept when 32 bits are at most this
    alias,  # (V,) noise
    shift,  # (V,) -log(K p_noise) for NCE, or all zeros
    window,
    negative,
    key,
    rate,  # learning rate at ids[0]
    slope,  # its fall per position
    floor,  # its least value
    every,  # kept words between two merges
):
    """One pass over ``ids``; returns the summed loss in nats and the number of positive pairs."""
    groups = (negative + OUTPUTS) // OUTPUTS
    slots = groups * OUTPUTS
    row = input.shape[1] * 4
    hot = hot_input.shape[1]
    x, y = input.ctypes.data, output.ctypes.data
    hot_x, hot_y = hot_input.ctypes.data, hot_output.ctypes.data
    pad = y + (output.shape[0] - 1) * row
    label = np.full((groups + 1) * 48, np.float32(0.5), np.float32)
    for j in range(negative + 1):
        for i in range(6):
            label[(j // OUTPUTS) * 48 + i * OUTPUTS + j % OUTPUTS] = 1 if j == 0 else 0
    bias = np.zeros((groups + 1) * 48, np.float32)
    scratch = np.zeros(SCRATCH, np.float32)
    words = np.empty(1024, np.int64)
    places = np.empty(1024, np.int64)
    ring = np.full(RING * slots, pad, np.int64)
    drawn = np.zeros(RING * slots, np.int32)
    inputs = np.empty(2 * window + 8, np.int64)
    p_label, p_bias, p_scratch = label.ctypes.data, bias.ctypes.data, scratch.ctypes.data
    p_ring, p_inputs = ring.ctypes.data, inputs.ctypes.data
    shifted = shift[0] != 0
    loss, pairs, since = 0.0, 0.0, 0
    p, end = 0, ids.size
    while p < end:
        n_words = 0
        now = np.float32(max(floor, rate - slope * p))
        while p < end:
            w = ids[p]
            if w < 0:
                p += 1
                break
            if (bits(key, first + p, 0) >> u64(32)) <= u64(keep[w]):
                if n_words == words.size:
                    bigger = np.empty(2 * n_words, np.int64)
                    bigger[:n_words] = words
                    words = bigger
                    further = np.empty(2 * n_words, np.int64)
                    further[:n_words] = places
                    places = further
                words[n_words] = w
                places[n_words] = first + p
                n_words += 1
            p += 1
        for i in range(-AHEAD, n_words):
            soon = i + AHEAD
            if soon < n_words:  # draw what will be needed, and ask for it
                t, place, o = words[soon], places[soon], (soon & (RING - 1)) * slots
                for k in range(negative + 1):
                    w = t if k == 0 else negative_word(key, place, k - 1, negative, alias, t)
                    a = (hot_y if w < hot else y) + w * row
                    ring[o + k] = a
                    drawn[o + k] = w
                    fetch(a, row)
                if soon + window < n_words:
                    w = words[soon + window]
                    fetch((hot_x if w < hot else x) + w * row, row)
            if i < 0:
                continue
            reach = 1 + i64(((bits(key, places[i], 1) >> u64(32)) * u64(window)) >> u64(32))
            n = 0
            for j in range(max(0, i - reach), min(n_words, i + reach + 1)):
                if j != i:
                    w = words[j]
                    inputs[n] = (hot_x if w < hot else x) + w * row
                    n += 1
            if n == 0:
                continue
            o = (i & (RING - 1)) * slots
            if shifted:
                for k in range(negative + 1):
                    for q in range(6):
                        place = (k // OUTPUTS) * 48 + q * OUTPUTS + k % OUTPUTS
                        bias[place] = shift[drawn[o + k]]
            for g in range(groups):
                step(
                    p_inputs,
                    n,
                    p_ring + 8 * (o + g * OUTPUTS),
                    row,
                    now,
                    p_label + 192 * g,
                    p_bias + 192 * g,
                    p_scratch,
                )
            pairs += n
        loss += take_loss(scratch)
        since += n_words
        if hot and since >= every:
            since = 0
            merge(input, hot_input[0], hot_input[1])
            merge(output, hot_output[0], hot_output[1])
    if hot:
        merge(input, hot_input[0], hot_input[1])
        merge(output, hot_output[0], hot_output[1])
    return loss, pairs
