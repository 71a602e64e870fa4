"""One input vector made of several rows: CBOW, sub-words, and skip-gram in the papers' direction.

The input h is the mean of a bag of rows:

- CBOW: the bag is the neighbours of the centre t, the only target is t;
- skip-gram from t: the bag is t itself (with sub-words: its row and those of its
  n-grams), each neighbour is a target, with negatives of its own.

h meets the outputs of a target six at a time (`npssl.kernels.tile`, n = 1); what
h has gained at the end goes to the rows of the bag: all of it to each row as
word2vec.c and fastText do (``share`` false), or divided by their number, which
is the gradient of the mean (``share`` true).  The page that does the same is
`npssl.tasks.epoch`.
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
    i64,
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
from npssl.kernels.tile import GROUP, OUTPUTS, add_row, tile1


@jit(inline="always")
def widest(bag_start):
    """Rows of the word that has most."""
    most = 1
    for w in range(bag_start.size - 1):
        most = max(most, bag_start[w + 1] - bag_start[w])
    return most


@jit(inline="always")
def add_word(w, bag, n, bag_start, bag_rows, row, hot, mine, shared):
    """Append the addresses of the rows of word w to the bag; returns how many there are now."""
    if bag_start.size == 1:
        bag[n] = address(w, row, hot, mine, shared)
        return n + 1
    for r in range(bag_start[w], bag_start[w + 1]):
        bag[n] = address(i64(bag_rows[r]), row, hot, mine, shared)
        n += 1
    return n


@jit(
    pair(
        i1,
        k,
        f2,
        f2,
        f3,
        f3,
        w1,
        u1,
        r1,
        l1,
        i1,
        i1,
        k,
        l1,
        i1,
        k,
        k,
        k,
        k,
        *[types.uint64],
        d,
        d,
        d,
        k,
    )
)
def train(
    ids,
    first,
    input,
    output,
    hot_input,
    hot_output,
    keep,
    alias,
    shift,
    start,
    nodes,
    kinds,
    groups,
    bag_start,  # (V + 1,) where the rows of a word begin in bag_rows, else (1,): its own row
    bag_rows,
    cbow,
    share,
    window,
    negative,
    key,
    rate,
    slope,
    floor,
    every,
):
    """As `npssl.kernels.skip_gram.train`; a pair is one (input, target)."""
    row, width, hot = input.shape[1] * 4, input.shape[1], hot_input.shape[1]
    tree = start.size > 1
    table = (row, hot_output.ctypes.data, output.ctypes.data)
    noise = (key, alias, shift)
    pad = output.ctypes.data + (output.shape[0] - 1) * row
    label = all_labels()
    p_label = label.ctypes.data
    rows = np.full(groups * OUTPUTS, pad, np.int64)
    labels = np.empty(groups, np.int64)
    for g in range(groups):
        labels[g] = p_label + 4 * GROUP * kind_of_negatives(g, negative)
    bias = np.zeros(groups * GROUP, np.float32)
    scratch = np.zeros(16 + groups * GROUP, np.float32)
    words, places = np.empty(longest(ids) + 1, np.int64), np.empty(longest(ids) + 1, np.int64)
    bag = np.empty(2 * window * widest(bag_start), np.int64)
    x, hot_x = input.ctypes.data, hot_input.ctypes.data
    room = np.zeros(2 * width + 16, np.float32)
    begin = (-(room.ctypes.data // 4)) % 16
    h, h_before = room[begin : begin + width], np.empty(width, np.float32)
    one = np.empty(1, np.int64)
    p_h = room.ctypes.data + 4 * begin
    p_one, p_rows, p_scratch = one.ctypes.data, rows.ctypes.data, scratch.ctypes.data
    p_labels, p_bias = labels.ctypes.data, bias.ctypes.data
    loss, pairs, since, p = 0.0, 0.0, 0, 0
    while p < ids.size:
        now = np.float32(max(floor, rate - slope * p))
        p, n_words = read_sentence(ids, p, first, keep, key, words, places)
        for i in range(n_words):
            reach = reach_of(key, places[i], window)
            low, high = max(0, i - reach), min(n_words, i + reach + 1)
            targets = high - low - 1
            if targets == 0:
                continue
            n = 0
            for j in range(low, high):
                if (j != i) == (cbow != 0):
                    n = add_word(words[j], bag, n, bag_start, bag_rows, row, hot, hot_x, x)
            if i + window + 1 < n_words:
                fetch(address(words[i + window + 1], row, hot, hot_x, x), row)
            h[:] = 0
            part = np.float32(1.0 / n)
            for r in range(n):
                add_row(p_h, bag[r], part, row)
            h_before[:] = h
            one[0] = p_h  # an array lives as long as its name is used, not its address
            at = 0
            for j in range(low, high):
                if cbow:
                    if j != low:
                        break
                    t = words[i]
                elif j == i:
                    continue
                else:
                    t = words[j]
                used, together = groups, 1
                if tree:
                    used = path(rows, 0, labels, 0, t, start, nodes, kinds, p_label, hot, table)
                    together = used  # groups that take their step at once
                else:
                    turn, stride, where = at * negative, 2 * window * negative, places[i]
                    negatives(rows, 0, bias, 0, t, where, turn, negative, stride, hot, noise, table)
                at += 1
                for g in range(0, used, together):
                    here, bias_here = p_rows + 8 * OUTPUTS * g, p_bias + 4 * GROUP * g
                    tile1(p_one, here, together, row, now, p_labels + 8 * g, bias_here, p_scratch)
            pairs += at
            for c in range(width):
                h[c] -= h_before[c]
            for r in range(n):
                add_row(bag[r], p_h, part if share else np.float32(1.0), row)
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
