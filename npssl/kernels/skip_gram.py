"""Skip-gram over a piece of text, in place: the neighbours of a word share its negatives.

For each kept word t (the centre, an output row) and its n neighbours (input
rows), as in word2vec.c: the outputs of t are itself and K negatives, or the
nodes on its Huffman path, in groups of six; the neighbours come in parts of at
most six; each part x group is one tile (`npssl.kernels.tile`).  The page that
does the same is `npssl.tasks.epoch`.
"""

import numpy as np
from numba import types

from npssl.kernels.gram import (
    address,
    all_labels,
    d,
    f2,
    f3,
    fetch,
    i1,
    k,
    kind_of_negatives,
    l1,
    longest,
    merge,
    negatives,
    pair,
    path,
    r1,
    reach_of,
    read_sentence,
    take_loss,
    u1,
    w1,
)
from npssl.kernels.jit import jit
from npssl.kernels.tile import GROUP, OUTPUTS, tile1, tile2, tile3, tile4, tile5, tile6

AHEAD = 2  # positions between a prefetch and its use
RING = 4  # positions whose outputs are held: a power of two above AHEAD


@jit(inline="always")
def step(inputs, n, outputs, groups, row, rate, labels, bias, scratch):
    """All tiles of n inputs against some outputs: parts of at most six, as even as can be."""
    here = inputs
    while n > 0:
        if n > 11 or n == 6:
            part = 6
        elif n > 6:
            part = n - n // 2
        else:
            part = n
        if part == 6:
            tile6(here, outputs, groups, row, rate, labels, bias, scratch)
        elif part == 5:
            tile5(here, outputs, groups, row, rate, labels, bias, scratch)
        elif part == 4:
            tile4(here, outputs, groups, row, rate, labels, bias, scratch)
        elif part == 3:
            tile3(here, outputs, groups, row, rate, labels, bias, scratch)
        elif part == 2:
            tile2(here, outputs, groups, row, rate, labels, bias, scratch)
        else:
            tile1(here, outputs, groups, row, rate, labels, bias, scratch)
        here += 8 * part
        n -= part


@jit(pair(i1, k, f2, f2, f3, f3, w1, u1, r1, l1, i1, i1, k, k, k, types.uint64, d, d, d, k))
def train(
    ids,  # (n,) words, -1 ends a sentence
    first,  # position of ids[0] in the whole text
    input,  # (V, D) rows x, D a multiple of 16
    output,  # (V + 1, D) rows y; the last one is zero and pads
    hot_input,  # (2, H, D) this thread's copy of the first H rows, and before; H may be 0
    hot_output,
    keep,  # (V,) a word is kept when its 32 bits are at most this
    alias,  # (V,) noise
    shift,  # (V,) -log(K p_noise) for NCE, else (1,)
    start,  # (V + 1,) hierarchical softmax: word w has groups start[w] .. of nodes; else (1,)
    nodes,  # six rows of ``output`` a group, the last one padded
    kinds,  # which labels a group has, see `all_labels`
    groups,  # groups of six outputs, at most
    window,
    negative,
    key,
    rate,  # learning rate at ids[0]
    slope,  # its fall per position
    floor,  # its least value
    every,  # kept words between two merges
):
    """One pass over ``ids``; returns the summed loss in nats and the number of positive pairs."""
    row, hot, tree = input.shape[1] * 4, hot_input.shape[1], start.size > 1
    x, hot_x = input.ctypes.data, hot_input.ctypes.data
    table = (row, hot_output.ctypes.data, output.ctypes.data)
    noise = (key, alias, shift)
    pad = output.ctypes.data + (output.shape[0] - 1) * row
    slots = groups * OUTPUTS
    label = all_labels()
    p_label = label.ctypes.data
    ring = np.full(RING * slots, pad, np.int64)
    labels = np.empty(RING * groups, np.int64)
    for q in range(RING * groups):
        labels[q] = p_label + 4 * GROUP * kind_of_negatives(q % groups, negative)
    used = np.full(RING, groups, np.int64)
    bias = np.zeros(RING * groups * GROUP, np.float32)
    scratch = np.zeros(16 + groups * GROUP, np.float32)
    words, places = np.empty(longest(ids) + 1, np.int64), np.empty(longest(ids) + 1, np.int64)
    inputs = np.empty(2 * window + 8, np.int64)
    p_ring, p_inputs, p_scratch = ring.ctypes.data, inputs.ctypes.data, scratch.ctypes.data
    p_labels, p_bias = labels.ctypes.data, bias.ctypes.data
    loss, pairs, since, p = 0.0, 0.0, 0, 0
    while p < ids.size:
        now = np.float32(max(floor, rate - slope * p))
        p, n_words = read_sentence(ids, p, first, keep, key, words, places)
        for i in range(-AHEAD, n_words):
            soon = i + AHEAD
            if soon < n_words:  # the outputs that will be needed, asked for now
                t, q = words[soon], soon & (RING - 1)
                o, g = q * slots, q * groups
                if tree:
                    used[q] = path(ring, o, labels, g, t, start, nodes, kinds, p_label, hot, table)
                else:
                    where = places[soon]
                    negatives(ring, o, bias, g, t, where, 0, negative, negative, hot, noise, table)
                if soon + window < n_words:
                    fetch(address(words[soon + window], row, hot, hot_x, x), row)
            if i < 0:
                continue
            reach, n = reach_of(key, places[i], window), 0
            for j in range(max(0, i - reach), min(n_words, i + reach + 1)):
                if j != i:
                    inputs[n] = address(words[j], row, hot, hot_x, x)
                    n += 1
            q = i & (RING - 1)
            together = used[q] if tree else 1  # groups that take their step at once
            for g in range(q * groups, q * groups + used[q], together):
                here = p_ring + 8 * OUTPUTS * g
                bias_here = p_bias + 4 * GROUP * g
                step(p_inputs, n, here, together, row, now, p_labels + 8 * g, bias_here, p_scratch)
            pairs += n
        loss += take_loss(scratch) + 0 * label[0, 0]  # an array lives while its name is used
        since += n_words
        if hot and since >= every:
            since = 0
            merge(input, hot_input)
            merge(output, hot_output)
    if hot:
        merge(input, hot_input)
        merge(output, hot_output)
    return loss, pairs
