"""The page of the epoch kernels: one pass of skip-gram or CBOW over a text, in NumPy.

Each tile is an op of `npssl.losses` and one step of SGD on the rows that it
touched.  `skip_gram` and `bag_gram` take the arguments of
`npssl.kernels.skip_gram.train` and `npssl.kernels.bag_gram.train` and make the
same draws, so both give the same tables up to float32 rounding; the tests hold
them together, and ``NPSSL_NUMBA=0`` runs the page.
"""

import math

import numpy as np

from npssl.layers.bag import bag
from npssl.losses.hierarchical_softmax import hierarchical_softmax
from npssl.losses.nce import nce
from npssl.losses.negative_sampling import negative_sampling
from npssl.tasks.windows import kept, neighbours, noise_words

TOGETHER = 6  # outputs, and at most so many inputs, that take one step at a time


def parts(n):
    """Cut n inputs into parts of at most six, the last two as even as can be.

    >>> [list(range(7))[s] for s in parts(7)], [s.stop - s.start for s in parts(14)]
    ([[0, 1, 2, 3], [4, 5, 6]], [6, 4, 4])
    """
    found, start = [], 0
    while n - start > 0:
        left = n - start
        size = 6 if left > 11 or left == 6 else left - left // 2 if left > 6 else left
        found.append(slice(start, start + size))
        start += size
    return found


def sentences(ids, first, key, keep):
    """The kept words of each sentence, and their positions in the text."""
    ends = np.append(np.flatnonzero(ids < 0), len(ids))
    stays = kept(ids, first, key, keep)
    start = 0
    for end in ends:
        at = start + np.flatnonzero(stays[start:end])
        if len(at):
            yield start, ids[at].astype(np.int64), first + at
        start = end + 1


def outputs_of(t, place, objective, *, first=0, stride=None):
    """The outputs of target t that take a step at once: rows of the output table, and the op."""
    negative, key, alias, shift, start, nodes, kinds = objective
    if len(start) > 1:  # all of a path at once: its nodes differ
        digits = kinds[start[t] : start[t + 1], None] // 3 ** np.arange(TOGETHER) % 3
        rows = nodes[TOGETHER * start[t] : TOGETHER * start[t + 1]].astype(np.int64)
        real = digits.ravel() < 2
        code = digits.ravel()[real]
        yield rows[real], lambda x, y: hierarchical_softmax(x, y, code=code)
        return
    noise = noise_words(
        [t], [place], key, alias, first=first, count=negative, stride=stride or negative
    )
    rows = np.append(t, noise[0])
    label = np.zeros(len(rows))
    label[0] = 1
    for g in range(0, len(rows), TOGETHER):
        some, l = rows[g : g + TOGETHER], label[g : g + TOGETHER]
        if len(shift) > 1:
            log_noise = -shift[some] - math.log(negative)
            op = lambda x, y, l=l, n=log_noise: nce(x, y, log_noise=n, label=l, negatives=negative)
        else:
            op = lambda x, y, l=l: negative_sampling(x, y, label=l)
        yield some, op


def skip_gram(
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
    window,
    negative,
    key,
    rate,
    slope,
    floor,
    every,
):
    """As `npssl.kernels.skip_gram.train`; one thread, so the hot rows are not used."""
    loss = pairs = 0
    objective = negative, key, alias, shift, start, nodes, kinds
    for at, words, places in sentences(ids, first, key, keep):
        now = max(floor, rate - slope * at)
        near, offsets = neighbours(words, places, key, window)
        for i, t in enumerate(words):
            inputs = words[near[offsets[i] : offsets[i + 1]]]
            pairs += len(inputs)
            for rows, op in outputs_of(t, places[i], objective):
                for part in parts(len(inputs)):
                    value, back = op(input[inputs[part]], output[rows])
                    dx, dy = back()
                    np.subtract.at(input, inputs[part], now * dx)
                    np.subtract.at(output, rows, now * dy)
                    loss += float(value)
    return loss, pairs


def bag_gram(
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
    bag_start,
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
    """As `npssl.kernels.bag_gram.train`; one thread, so the hot rows are not used."""
    loss = pairs = 0
    objective = negative, key, alias, shift, start, nodes, kinds
    whole = np.float32(1.0)

    def rows_of(words):
        if len(bag_start) == 1:
            return words
        return np.concatenate([bag_rows[bag_start[w] : bag_start[w + 1]] for w in words])

    for at, words, places in sentences(ids, first, key, keep):
        now = max(floor, rate - slope * at)
        near, offsets = neighbours(words, places, key, window)
        for i, t in enumerate(words):
            others = words[near[offsets[i] : offsets[i + 1]]]
            if not len(others):
                continue
            members = rows_of(others if cbow else np.array([t])).astype(np.int64)
            h, back_bag = bag(input[members], ids=np.arange(len(members)), offsets=_all(members))
            before = h.copy()
            targets = [t] if cbow else others
            for j, target in enumerate(targets):
                for rows, op in outputs_of(
                    target,
                    places[i],
                    objective,
                    first=j * negative,
                    stride=2 * window * negative,
                ):
                    value, back = op(h, output[rows])
                    dh, dy = back()
                    h -= now * dh
                    np.subtract.at(output, rows, now * dy)
                    loss += float(value)
            pairs += len(targets)
            gain = back_bag(h - before)  # divided by the number of rows, as the mean's gradient
            np.add.at(input, members, gain * (whole if share else np.float32(len(members))))
    return loss, pairs


def _all(members):
    return np.array([0, len(members)])
