"""The loops of the C program word2vec, in its own order of float32 operations.

Everything that can be seen in the trained bytes is kept: sums run from left to
right, no product is fused with a sum (``fastmath=False``), the sigmoid comes
from a table, and all draws come from one linear congruential generator of 64
bits.  ``NPSSL_NUMBA=0`` runs the same functions as plain Python on NumPy
scalars: hundreds of times slower, the same bytes.

The tables that go in are made by `npssl.jobs.word2vec_c`; what differs from
the papers is told in ``docs/word2vec_c.md``.

References
----------
T. Mikolov, word2vec (C program), https://github.com/tmikolov/word2vec, commit
d83ccfb, 2015.
"""

import math

import numpy as np

from npssl.kernels import enabled

MULTIPLIER, INCREMENT = np.uint64(25214903917), np.uint64(11)
LOW_BITS, UNIT = np.uint64(0xFFFF), np.float32(65536)
NOISE_SHIFT, NOISE_SIZE = np.uint64(16), np.uint64(100_000_000)
BOUND, PER_UNIT = np.float32(6), np.float32(83)  # 83 = 1000 // 6 // 2, a division of integers
NONE, ONE = np.float32(0), np.float32(1)
LONGEST, EVERY = 1000, 10_000  # kept words of a sentence; words between two learning rates
READ, SEEN, TOLD, DONE = 0, 1, 2, 3  # the entries of `clock`

if enabled():
    from npssl.kernels.jit import jit

    def strict(signature=None):
        """Compile without any freedom to reorder or fuse."""
        return jit(signature, fastmath=False)
else:

    def strict(signature=None):
        """Leave it to Python."""
        return lambda function: function


@strict()
def _draw(random):
    """The next number of the generator, modulo 2^64."""
    random[0] = random[0] * MULTIPLIER + INCREMENT
    return random[0]


@strict()
def _dot(a, b):
    """Left to right, rounded to float32 after every product and every sum."""
    total = NONE
    for i in range(a.shape[0]):
        total += a[i] * b[i]
    return total


@strict()
def _descend(gain, x, y, error):
    """Collect the gradient of x in ``error``, then move y; ``gain`` holds the learning rate."""
    for i in range(x.shape[0]):
        error[i] += gain * y[i]
        y[i] += gain * x[i]


@strict()
def _nats(score):
    """-log sigmoid(score), exact and in float64: for the report, never for the update."""
    s = np.float64(score)
    return math.log1p(math.exp(-s)) if s > 0 else math.log1p(math.exp(s)) - s


@strict()
def _hierarchy(x, error, nodes, path, code, rate, sigmoid):
    """All turns from the root to a word; a score outside +-6 is left as it is."""
    nats = 0.0
    for j in range(path.shape[0]):
        y = nodes[path[j]]
        score = _dot(x, y)
        nats += _nats(-score if code[j] else score)
        if not (-BOUND < score < BOUND):
            continue
        f = sigmoid[int((score + BOUND) * PER_UNIT)]
        _descend((np.float32(1 - code[j]) - f) * rate, x, y, error)
    return nats


@strict()
def _negatives(x, error, words, word, negative, random, last, rate, sigmoid):
    """The word itself, then ``negative`` draws of noise; a draw equal to the word is lost."""
    nats = 0.0
    for j in range(negative + 1):
        label, target = ONE, word
        if j > 0:
            label = NONE
            draw = _draw(random)
            # the first word whose last place in the program's table is not before the draw
            target = np.searchsorted(last, np.int64((draw >> NOISE_SHIFT) % NOISE_SIZE))
            if target == 0:  # the sentence end is no noise word
                target = np.int64(draw % np.uint64(words.shape[0] - 1)) + 1
            if target == word:
                continue
        y = words[target]
        score = _dot(x, y)
        nats += _nats(score if j == 0 else -score)
        f = ONE if score > BOUND else NONE
        if -BOUND <= score <= BOUND:
            f = sigmoid[int((score + BOUND) * PER_UNIT)]
        _descend((label - f) * rate, x, y, error)
    return nats


@strict()
def _predict(x, error, word, nodes, words, tree, last, sigmoid, negative, random, rate):
    """One positive pair: hidden vector x must foretell ``word``."""
    start, path, code = tree
    nats = 0.0
    if path.shape[0]:
        a, b = start[word], start[word + 1]
        nats += _hierarchy(x, error, nodes, path[a:b], code[a:b], rate, sigmoid)
    if negative:
        nats += _negatives(x, error, words, word, negative, random, last, rate, sigmoid)
    return nats


@strict()
def _position(at, sentence, cbow, reach, inputs, hidden, error, *rest):
    """Train one place of a sentence; the nats and the number of positive pairs."""
    nats, pairs, word = 0.0, 0, sentence[at]
    low, high = max(at - reach, 0), min(at + reach + 1, sentence.shape[0])
    if cbow:
        hidden[:] = NONE
        for other in range(low, high):
            if other != at:
                pairs += 1
                row = inputs[sentence[other]]
                for i in range(row.shape[0]):
                    hidden[i] += row[i]
        if pairs == 0:
            return nats, pairs
        for i in range(hidden.shape[0]):
            hidden[i] /= np.float32(pairs)
        error[:] = NONE
        nats += _predict(hidden, error, word, *rest)
    for other in range(low, high):
        if other == at:
            continue
        row = inputs[sentence[other]]  # the context is the input, the centre is foretold
        if not cbow:
            pairs += 1
            error[:] = NONE
            nats += _predict(row, error, word, *rest)
        for i in range(row.shape[0]):
            row[i] += error[i]
    return nats, 1 if cbow else pairs


_SIGNATURE = (
    "UniTuple(float64, 2)(int32[::1], int32[::1], int64[::1], uint64[::1], float32[::1],"
    " float32[:,::1], float32[:,::1], float32[:,::1],"
    " Tuple((int64[::1], int32[::1], int8[::1])), int64[::1], float32[::1], float32[::1],"
    " int64, int64, boolean, float32, float32)"
)


@strict(_SIGNATURE)
def train(
    ids,
    sentence,
    clock,
    random,
    rate,
    inputs,
    nodes,
    words,
    tree,
    last,
    keep,
    sigmoid,
    window,
    negative,
    cbow,
    start,
    total,
):
    """Read on through ``ids``, training each sentence as soon as it is whole.

    Parameters
    ----------
    ids : (n,) int32
        Known words; 0 ends a sentence.
    sentence : (1000,) int32
        Kept words of the sentence that is being read.
    clock : (4,) int64
        Words in ``sentence``; words read in this pass; of these, words that the
        learning rate knows; words of all passes that it knows.
    random : (1,) uint64
        The generator.
    rate : (1,) float32
        The learning rate.
    inputs, nodes, words : (V, D) float32
        Input vectors; vectors of inner nodes (V may be 0) and of output words
        (may be 0 too).
    tree : (V + 1,) int64, (L,) int32, (L,) int8
        As `huffman` gives it; L = 0 switches the hierarchical softmax off.
    last : (V,) int64
        The last place of each word in the noise table of 10^8 places.
    keep : (V,) float32
        Chance of keeping a word; empty: no subsampling, nothing drawn.
    sigmoid : (1000,) float32
    window, negative : int
    cbow : bool
    start, total : float32
        First learning rate; words of all passes, plus one.

    Returns
    -------
    nats, pairs : float64
        Sum of -log p over positive pairs (CBOW: over centres), and their number.
    """
    nats, pairs = 0.0, 0.0
    hidden, error = np.empty_like(inputs[0]), np.empty_like(inputs[0])
    for n in range(ids.shape[0]):
        word = ids[n]
        clock[SEEN] += 1
        if word != 0:
            if keep.shape[0]:
                if keep[word] < np.float32(_draw(random) & LOW_BITS) / UNIT:
                    continue
            sentence[clock[READ]] = word
            clock[READ] += 1
            if clock[READ] < LONGEST:
                continue
        whole = sentence[: clock[READ]]
        clock[READ] = 0
        for at in range(max(whole.shape[0], 1)):  # an empty sentence draws a window too
            reach = window - np.int64(_draw(random) % np.uint64(window))
            if whole.shape[0]:
                a, b = _position(
                    at, whole, cbow, reach, inputs, hidden, error,
                    nodes, words, tree, last, sigmoid, negative, random, rate[0],
                )  # fmt: skip
                nats += a
                pairs += b
            if clock[SEEN] - clock[TOLD] > EVERY:
                clock[DONE] += clock[SEEN] - clock[TOLD]
                clock[TOLD] = clock[SEEN]
                rate[0] = start * (ONE - np.float32(clock[DONE]) / total)
                floor = np.float64(start) * 0.0001
                if np.float64(rate[0]) < floor:
                    rate[0] = np.float32(floor)
    return nats, pairs


@strict("Tuple((int64[::1], int32[::1], int8[::1]))(int64[::1])")
def huffman(counts):
    """Paths of a Huffman tree, built by the program's two pointers.

    Parameters
    ----------
    counts : (V,) int64
        In the vocabulary's order: falling, save for the first, the sentence end,
        which stands where it stands.

    Returns
    -------
    start : (V + 1,) int64
        Word w owns places ``start[w] .. start[w + 1]`` of the other two.
    path : (L,) int32
        Inner nodes from the root, which is V - 2.
    code : (L,) int8
        The turn taken at each.
    """
    size = counts.shape[0]
    weight = np.full(2 * size, 10**15, np.int64)
    weight[:size] = counts
    parent, turn = np.zeros(2 * size, np.int64), np.zeros(2 * size, np.int8)
    leaf, inner = size - 1, size
    for new in range(size, 2 * size - 1):
        joined = np.int64(0)
        for side in range(2):
            child = inner
            if leaf >= 0 and weight[leaf] < weight[inner]:  # ties go to the inner node
                child = leaf
                leaf -= 1
            else:
                inner += 1
            parent[child], turn[child] = new, side
            joined += weight[child]
        weight[new] = joined
    depth = np.zeros(2 * size, np.int64)
    for node in range(2 * size - 3, -1, -1):
        depth[node] = depth[parent[node]] + 1
    start = np.zeros(size + 1, np.int64)
    start[1:] = np.cumsum(depth[:size])
    path, code = np.empty(start[size], np.int32), np.empty(start[size], np.int8)
    for word in range(size):
        node = word
        for place in range(start[word + 1] - 1, start[word] - 1, -1):
            code[place] = turn[node]
            node = parent[node]
            path[place] = node - size
    return start, path, code
