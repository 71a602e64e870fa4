"""The ladder of the skip-gram kernel: what each step from Python to explicit vectors brings.

    python benchmarks/bench_ladder.py                     one thread, about a minute
    python benchmarks/bench_ladder.py --quick

1. Python loops     lists of floats, one multiplication at a time (draws by NumPy)
2. NumPy page       npssl.tasks.epoch: an op and its `back` for each tile
3. Numba loop       the source of 1, compiled over arrays (draws by npssl.kernels.gram)
4. tile             npssl.kernels.skip_gram: what `npssl train` runs

All make the same draws and the same steps of SGD; "differs" is the largest difference of
any table entry from the page's after the same words, beside the largest change that those
words make.  Words are those of the text, before frequent ones are thinned out.  A pair of
a neighbour and its K + 1 outputs costs 3 (K + 1) D multiply-adds: a dot product and two
updates; their share of the machine's peak, which is measured here, is the last column.
"""

import argparse
import itertools
import math
import time

import common
import numpy as np
from numba import types
from numba.extending import intrinsic

from npssl import SkipGram
from npssl.data.corpus import encode
from npssl.jobs.epochs import Epochs
from npssl.kernels import lanes, skip_gram
from npssl.kernels.gram import bits, negative_word, reach_of
from npssl.kernels.jit import jit
from npssl.tasks import epoch
from npssl.tasks.windows import neighbours, noise_words

NOBODY = np.empty(0, np.int32)  # nothing is held out


# 1 and 3: the same loops ------------------------------------------------------------------


def step(x, y, inputs, start, stop, outputs, rate, g, gain):
    """One step of SGD of some inputs against all outputs, the first of which is the positive."""
    zero, loss = rate * 0, 0.0  # zero of rate's type: float in Python, float32 in Numba
    for i in range(start, stop):
        xi, gi = x[inputs[i]], g[i - start]
        for j in range(len(outputs)):
            yj, score = y[outputs[j]], zero
            for c in range(len(xi)):
                score += xi[c] * yj[c]
            e, label = math.exp(-score), 1 if j == 0 else 0
            gi[j] = rate * (label - 1 / (1 + e))
            loss += math.log(1 + e) + (1 - label) * score
    for i in range(start, stop):  # what x gains, before y changes
        gi, new = g[i - start], gain[i - start]
        for c in range(len(new)):
            new[c] = zero
        for j in range(len(outputs)):
            yj, gij = y[outputs[j]], gi[j]
            for c in range(len(new)):
                new[c] += gij * yj[c]
    for i in range(start, stop):
        xi, gi = x[inputs[i]], g[i - start]
        for j in range(len(outputs)):
            yj, gij = y[outputs[j]], gi[j]
            for c in range(len(xi)):
                yj[c] += gij * xi[c]
    for i in range(start, stop):
        xi, new = x[inputs[i]], gain[i - start]
        for c in range(len(xi)):
            xi[c] += new[c]
    return loss


class Rows(dict):
    """Rows of a table as lists of Python's floats, made when first needed."""

    def __init__(self, table):
        self.table = table

    def __missing__(self, row):
        self[row] = self.table[row].tolist()
        return self[row]

    def write(self):
        for row, values in self.items():
            self.table[row] = values


def python_loops(ids, first, input, output, *rest):
    keep, alias = rest[2:4]
    window, negative, key, rate, slope, floor = rest[9:15]
    x, y, width, loss, pairs = Rows(input), Rows(output), input.shape[1], 0.0, 0
    g, gain = ([[0.0] * n for _ in range(epoch.TOGETHER)] for n in (negative + 1, width))
    for at, words, places in epoch.sentences(ids, first, key, keep):
        now = max(floor, rate - slope * at)
        near, offsets = neighbours(words, places, key, window)
        noise = noise_words(words, places, key, alias, count=negative, stride=negative)
        for i, t in enumerate(words.tolist()):
            inputs = words[near[offsets[i] : offsets[i + 1]]].tolist()
            outputs = [t, *noise[i].tolist()]
            for part in epoch.parts(len(inputs)):
                loss += step(x, y, inputs, part.start, part.stop, outputs, now, g, gain)
            pairs += len(inputs)
    x.write()
    y.write()
    return loss, pairs


compiled_step = jit(step, cache=False)  # Numba would not notice when what it inlines changes


@jit(cache=False)
def numba_loop(
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
    code,
    groups,
    window,
    negative,
    key,
    rate,
    slope,
    floor,
    every,
):
    words, places = np.empty(ids.size, np.int64), np.empty(ids.size, np.int64)
    inputs, outputs = np.empty(2 * window, np.int64), np.empty(negative + 1, np.int64)
    g = np.empty((6, negative + 1), np.float32)
    gain = np.empty((6, input.shape[1]), np.float32)
    loss, pairs, p = 0.0, 0, 0
    while p < ids.size:
        now = np.float32(max(floor, rate - slope * p))
        n_words = 0
        while p < ids.size and ids[p] >= 0:
            if bits(key, first + p, 0) >> np.uint64(32) <= keep[ids[p]]:
                words[n_words], places[n_words] = ids[p], first + p
                n_words += 1
            p += 1
        p += 1  # the sentence's end
        for i in range(n_words):
            outputs[0] = words[i]
            for k in range(negative):
                outputs[1 + k] = negative_word(key, places[i], k, negative, alias, words[i])
            reach, n = reach_of(key, places[i], window), 0
            for j in range(max(0, i - reach), min(n_words, i + reach + 1)):
                if j != i:
                    inputs[n] = words[j]
                    n += 1
            at = 0
            while at < n:  # parts of at most six, as the page has them
                left = n - at
                part = 6 if left > 11 or left == 6 else left - left // 2 if left > 6 else left
                loss += compiled_step(input, output, inputs, at, at + part, outputs, now, g, gain)
                at += part
            pairs += n
    return loss, pairs


# the machine's peak -----------------------------------------------------------------------


def _products(count):
    @intrinsic
    def products(typingctx, times, x, y):
        """``count`` vectors that stay in registers, each v <- v x + y, ``times`` times."""

        def codegen(context, b, signature, args):
            times, x, y = args
            x, y = lanes.splat(b, x), lanes.splat(b, y)
            begin = [lanes.const(i + 1) for i in range(count)]
            body = lambda offset, carried: [lanes.mul_add(b, v, x, y) for v in carried]
            total, *rest = lanes.loop(b, times, begin, body, step=1)
            for v in rest:
                total = b.fadd(total, v)
            return b.extract_element(lanes.sum_lanes(b, [total]), lanes.I32(0))

        return types.float32(types.int64, types.float32, types.float32), codegen

    @jit(types.float32(types.int64, types.float32, types.float32), cache=False)
    def run(times, x, y):
        return products(times, x, y)

    return run


# few enough to fit registers of any width, many enough to hide the latency
PRODUCTS = {count: _products(count) for count in (2, 3, 4, 6, 8, 10, 12, 16, 20)}


def peak(times=2_000_000):
    """Flop/s of multiply-adds that wait for nothing; the best number of vectors counts."""
    best = 0.0
    for count, products in PRODUCTS.items():
        begun = time.perf_counter()
        products(times, 0.5, 0.25)
        seconds = time.perf_counter() - begun
        best = max(best, 2 * lanes.LANES * count * times / seconds)
    return best


# the ladder -------------------------------------------------------------------------------

LADDER = {
    "Python loops": python_loops,
    "NumPy page": epoch.skip_gram,
    "Numba loop": numba_loop,
    "tile": skip_gram.train,
}


class Ladder:
    def __init__(self, text, dim, sample):
        self.model = SkipGram(dim=dim, window=5, negative=5, sample=sample, threads=1, epochs=1)
        self.ids = text.read(0, text.size)
        self.epochs = Epochs(text, NOBODY, self.model)
        self.epochs.draw()

    def run(self, name, size):
        """Train on the first ``size`` ids: seconds, words, pairs."""
        ids = self.ids[:size]
        self.epochs._train = LADDER[name]
        begun = time.perf_counter()
        _, pairs = self.epochs._pass(ids, 0, 0, self.model.alpha, 0.0, 0.0)
        return time.perf_counter() - begun, int((ids >= 0).sum()), int(pairs)

    def agree(self, size):
        """Largest difference of a table entry from the page's, and the largest change."""
        tables = self.epochs.input, self.epochs.output
        before, after = [t.copy() for t in tables], {}
        for name in LADDER:
            for table, old in zip(tables, before):
                table[:] = old
            self.run(name, size)
            after[name] = [t.copy() for t in tables]
        largest = lambda a, b: max(float(abs(s - t).max()) for s, t in zip(a, b))
        page = after["NumPy page"]
        return {n: largest(a, page) for n, a in after.items()}, largest(before, page)

    def size_for(self, name, seconds):
        """How many ids take about so long."""
        size, last = 500, len(self.ids)
        while size < last and (found := self.run(name, size)[0]) < seconds / 4:
            size *= 4
        return min(last, round(size * seconds / found)) if size < last else last


def main():
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("--dim", type=int, default=100)
    ask.add_argument("--sample", type=float, default=1e-4)
    ask.add_argument("--seconds", type=float, default=1.0, help="that a measurement takes, about")
    ask.add_argument("--repeat", type=int, default=7)
    ask.add_argument("--quick", action="store_true")
    a = ask.parse_args()
    if a.quick:
        a.seconds, a.repeat = 0.1, 1
    with open(common.corpus()) as lines:
        text = encode(itertools.islice(lines, 20_000 if a.quick else None))
    ladder = Ladder(text, a.dim, a.sample)
    for name in LADDER:
        ladder.run(name, 100)  # compiled, loaded
    ladder.run("tile", 300_000)  # so that the tables hold something to agree on
    differs, change = ladder.agree(500 if a.quick else 3000)
    sizes = {name: ladder.size_for(name, a.seconds) for name in LADDER}
    found, peaks = {name: [] for name in LADDER}, []
    for _ in range(a.repeat):
        for name, size in sizes.items():
            peaks.append(peak())
            found[name].append(ladder.run(name, size))
    top, width = max(peaks), ladder.epochs.input.shape[1]
    rows = []
    for name, runs in found.items():
        seconds, (_, words, pairs) = common.median([r[0] for r in runs]), runs[0]
        flop = 2 * 3 * pairs * (ladder.model.negative + 1) * width
        row = {
            "program": name,
            "differs": differs[name],
            "words": words,
            "words/s": words / seconds,
        }
        rows.append(
            row | {"Gflop/s": flop / seconds / 1e9, "% of peak": 100 * flop / seconds / top}
        )
    page = next(row["words/s"] for row in rows if row["program"] == "NumPy page")
    for row in rows:
        row["x page"] = row["words/s"] / page
    print(
        f"skip-gram, negative sampling: dim {a.dim} (rows of {width} floats), window 5, negative 5,"
    )
    print(f"sample {a.sample:g}, {len(text.vocabulary):,} words, one thread")
    print(f"largest change of a table entry where the programs were compared: {change:.3g}")
    print(f"peak of multiply-adds on one core, measured: {top / 1e9:.1f} Gflop/s\n")
    common.table(rows, ["program", "differs", "words", "words/s", "x page", "Gflop/s", "% of peak"])
    common.save("ladder", {"rows": rows, "peak": top, "change": change, "options": vars(a)})


if __name__ == "__main__":
    main()
