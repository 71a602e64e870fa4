"""One SGD step of n input rows against m = 6 output rows, in place: the heart of skip-gram.

    s_ij  = x_i . y_j + bias_j                                       n m dot products
    g_ij  = rate (label_j - sigmoid(s_ij))
    x_i  += sum_j g_ij y_j          y_j += sum_i g_ij x_i            (old x, old y)
    loss += sum_ij log(1 + e^-s_ij) + (1 - label_j) s_ij             nats

This is `npssl.losses.negative_sampling` and one step of SGD; its page is the
oracle.  A padding output has a zero row and label 1/2: its score is 0, its g is
exactly 0, its loss is left out.  So any number of outputs, or a Huffman path,
becomes groups of six.

Why it is fast: the n x m sums stay in registers while the rows are read once;
16 scores at a time go through one reduction, one sigmoid and one logarithm; the
update reads each row once and writes it once.  (Ji et al. 2016,
arXiv:1604.04661, are the source of the idea that the context words of a centre
share their negatives and so become a small matrix product.)

Addresses are byte addresses of rows, best on 64 bytes; ``end`` is the
length of a row in bytes, a multiple of 64.
"""

import math

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from npssl.kernels import lanes
from npssl.kernels.lanes import FAST, I8, I32, I64, LANES

OUTPUTS = 6  # rows y in a tile
INPUTS = 6  # rows x in a tile, at most
_TOGETHER = 3  # inputs whose 3 x 6 sums are in registers at a time
GROUP = 48  # floats of labels, biases or g for a group: 36, padded to whole vectors
_LOSS = 64  # bytes of scratch in which the loss is summed; then come the g of each group


def _tile(n, m=OUTPUTS):
    @intrinsic
    def tile(typingctx, inputs, outputs, groups, end, rate, labels, bias, scratch):
        """One step of n inputs against groups of six outputs, all at once.

        inputs, outputs: addresses of arrays of row addresses; labels: of an array with the
        address of each group's 36 labels; bias: of GROUP floats a group; scratch: of 16
        floats and GROUP more a group.
        """

        def codegen(context, b, signature, args):
            inputs, outputs, groups, end, rate, labels, bias, scratch = args
            x = [lanes.load_int(b, inputs, i) for i in range(n)]

            def place(g):
                """Rows of group g, and where its biases and its g stand."""
                first = b.add(outputs, b.mul(g, I64(8 * m)))
                y = [lanes.load_int(b, first, j) for j in range(m)]
                away = b.mul(g, I64(4 * GROUP))
                return y, b.add(bias, away), b.add(scratch, b.add(away, I64(_LOSS)))

            def score(g, _):
                y, biases, gs = place(g)
                label = lanes.load_int(b, b.add(labels, b.mul(g, I64(8))), 0)
                _push(b, _scores(b, x, y, end), n * m, rate, label, biases, gs, scratch)
                return []

            def update(offset, _):
                xs = [lanes.load(b, row, offset) for row in x]

                def group(g, gains):
                    y, _, gs = place(g)
                    return _gains(b, xs, y, offset, gs, gains)

                gains = lanes.loop(b, groups, [lanes.const(0.0)] * n, group, step=1)
                for row, gain in zip(x, gains):
                    _add_to_row(b, row, offset, gain)
                return []

            lanes.loop(b, groups, [], score, step=1)
            lanes.loop(b, end, [], update)
            return context.get_dummy_value()

        p = types.intp
        return types.void(p, p, p, p, types.float32, p, p, p), codegen

    return tile


def _scores(b, x, y, end):
    """All dot products, as vectors whose lanes are still to be summed."""
    sums, n, m = [], len(x), len(y)
    parts = -(-n // _TOGETHER)
    start = 0
    for part in range(parts):
        stop = start + (n - start) // (parts - part)
        group, start = x[start:stop], stop

        def body(offset, carried, group=group):
            ys = [lanes.load(b, row, offset) for row in y]
            new = []
            for row in group:
                xs = lanes.load(b, row, offset)
                new += [lanes.mul_add(b, xs, ys[j], carried[len(new) + j]) for j in range(m)]
            return new

        sums += lanes.loop(b, end, [lanes.const(0.0)] * (len(group) * m), body)
    return sums


def _push(b, sums, count, rate, label, bias, gs, scratch):
    """scores -> g, written to ``gs``; adds the loss of these pairs to the scratch."""
    speed, product, linear = lanes.splat(b, rate), None, None
    for q in range(0, count, LANES):
        here = I64(4 * q)
        wanted = lanes.load(b, label, here)
        score = lanes.sum_lanes(b, sums[q : q + LANES])
        score = b.fadd(score, lanes.load(b, bias, here), flags=FAST)
        score = lanes.clamp(b, score, -27.0, 27.0)
        e = lanes.exp2(b, b.fmul(score, lanes.const(-1 / math.log(2.0)), flags=FAST))
        one_e = b.fadd(e, lanes.const(1.0), flags=FAST)
        sigmoid = b.fdiv(lanes.const(1.0), one_e, flags=FAST)
        g = b.fmul(speed, b.fsub(wanted, sigmoid, flags=FAST), flags=FAST)
        real = b.fcmp_ordered("!=", wanted, lanes.const(0.5))
        g = b.select(real, g, lanes.const(0.0))  # some machines' quick division misses 1/2
        lanes.store(b, g, gs, here)
        # log(1 + e) + (1 - label) score, summed over chunks: the logarithm of a product,
        # which stays below 2^120 because of the clamp
        if q + LANES > count:
            inside = [int(q + i < count) for i in range(LANES)]
            real = b.and_(real, ir.Constant(ir.VectorType(ir.IntType(1), LANES), inside))
        factor = b.select(real, one_e, lanes.const(1.0))
        term = b.fmul(b.fsub(lanes.const(1.0), wanted), score, flags=FAST)
        term = b.select(real, term, lanes.const(0.0))
        product = factor if product is None else b.fmul(product, factor, flags=FAST)
        linear = term if linear is None else b.fadd(linear, term, flags=FAST)
    loss = b.fadd(lanes.log(b, product), linear, flags=FAST)
    loss = b.fadd(loss, lanes.load(b, scratch, I64(0)), flags=FAST)
    lanes.store(b, loss, scratch, I64(0))


def _gains(b, xs, y, offset, gs, gains):
    """One chunk of one group: y += g' x in place; returns the gains of x with g y added.

    Each g is read once and used twice.  A row is read again before it is added to, so a
    row that stands twice in a group gets both its gradients.
    """
    ys, gains = [lanes.load(b, row, offset) for row in y], list(gains)
    for j, row in enumerate(y):
        gain = None
        for i, x in enumerate(xs):
            g = lanes.load_splat(b, gs, I64(4 * (i * len(y) + j)))
            gains[i] = lanes.mul_add(b, g, ys[j], gains[i])
            gain = b.fmul(g, x, flags=FAST) if gain is None else lanes.mul_add(b, g, x, gain)
        _add_to_row(b, row, offset, gain)
    return gains


def _add_to_row(b, row, offset, gain):
    lanes.store(b, b.fadd(lanes.load(b, row, offset), gain, flags=FAST), row, offset)


tile1, tile2, tile3, tile4, tile5, tile6 = (_tile(n) for n in range(1, INPUTS + 1))


@intrinsic
def add_row(typingctx, to, row, scale, end):
    """to += scale row, for rows at two addresses, ``end`` bytes long."""

    def codegen(context, b, signature, args):
        to, row, scale, end = args
        factor = lanes.splat(b, scale)

        def body(offset, _):
            x = b.fmul(factor, lanes.load(b, row, offset), flags=FAST)
            _add_to_row(b, to, offset, x)
            return []

        lanes.loop(b, end, [], body)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.float32, types.intp), codegen


@intrinsic
def prefetch(typingctx, address):
    """Ask for the cache line at ``address``; where the machine cannot, nothing happens."""

    def codegen(context, b, signature, args):
        pointer = ir.PointerType(I8)
        function = cgutils.get_or_insert_function(
            b.module,
            ir.FunctionType(ir.VoidType(), [pointer, I32, I32, I32]),
            "llvm.prefetch.p0",
        )
        b.call(function, [b.inttoptr(args[0], pointer), I32(0), I32(3), I32(1)])
        return context.get_dummy_value()

    return types.void(types.intp), codegen
