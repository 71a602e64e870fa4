"""Matrix products of float32, from registers up: C = A B, or C += A B, on one thread.

A block of 12 x 32 sums stays in 24 vector registers of 16 numbers while k runs: each step
reads two vectors of B and twelve numbers of A, and does 24 fused multiply-adds.  Where
there are 16 registers of 8 numbers the block is 6 x 16.  For that B stands packed, in
panels of 32 columns, row after row, so that a panel is read from front to back.  A is read
where it stands, by two strides, so that A or its transpose cost the same.  What is packed
once (weights, keys) serves many rows.

Rows that are left over take smaller blocks; columns are padded to 16.  The
sum over k always runs in one order, so a product has the same bytes on any number of
threads.  (Goto & van de Geijn, "Anatomy of high-performance matrix multiplication",
ACM TOMS 34(3), 2008, are the source of the packed panels; here all blocks are small
enough that one level of packing does.)
"""

from llvmlite import ir
from numba import int64, types
from numba.core import cgutils
from numba.extending import intrinsic

from npssl.kernels import lanes
from npssl.kernels.jit import jit, unwritten
from npssl.kernels.lanes import I64, LANES, VEC

PANEL = 2 * LANES  # columns of a panel
WIDE = lanes.WIDE  # 32 registers of 16 numbers: a block is 12 x 32; else 16 of 8: 6 x 16
ROWS = (12, 8, 4, 2, 1) if WIDE else (6, 4, 3, 2, 1)  # rows of a block of sums
STORE, ADD, BIAS = 0, 1, 2  # C = A B;  C += A B;  C = A B + a row of biases


@intrinsic
def address(typingctx, array):
    """Where the numbers of an array begin."""

    def codegen(context, b, signature, args):
        data = context.make_array(signature.args[0])(context, b, args[0]).data
        return b.ptrtoint(data, I64)

    return types.int64(array), codegen


def _block(rows, vectors, width):
    """The innermost loop, for so many rows and vectors of columns of panels ``width`` wide."""

    @intrinsic
    def block(typingctx, a, a_row, a_k, panel, k, c, c_row, bias, mode):
        """Addresses and strides in bytes; ``k`` steps; ``bias`` is read when mode is BIAS."""

        def codegen(context, b, signature, args):
            a, a_row, a_k, panel, k, c, c_row, bias, mode = args
            fma = cgutils.get_or_insert_function(
                b.module, ir.FunctionType(VEC, [VEC] * 3), f"llvm.{lanes.FMA}.v{LANES}f32"
            )
            a_rows = [b.add(a, b.mul(a_row, I64(i))) for i in range(rows)]
            c_rows = [b.add(c, b.mul(c_row, I64(i))) for i in range(rows)]
            before, zero = b.block, lanes.const(0.0)
            top, done = b.append_basic_block("k"), b.append_basic_block("sums")
            b.cbranch(b.icmp_signed(">", k, I64(0)), top, done)
            b.position_at_end(top)
            step, at, there = b.phi(I64), b.phi(I64), b.phi(I64)
            sums = [[b.phi(VEC) for _ in range(vectors)] for _ in range(rows)]
            right = [lanes.load(b, there, I64(4 * LANES * j)) for j in range(vectors)]
            new = []
            for i in range(rows):
                left = lanes.load_splat(b, a_rows[i], at)
                new.append([b.call(fma, [left, right[j], sums[i][j]]) for j in range(vectors)])
            following = b.add(step, I64(1))
            for phi, first, then in (
                (step, I64(0), following),
                (at, I64(0), b.add(at, a_k)),
                (there, panel, b.add(there, I64(4 * width))),
            ):
                phi.add_incoming(first, before)
                phi.add_incoming(then, b.block)
            for i in range(rows):
                for j in range(vectors):
                    sums[i][j].add_incoming(zero, before)
                    sums[i][j].add_incoming(new[i][j], b.block)
            b.cbranch(b.icmp_signed("<", following, k), top, done)
            b.position_at_end(done)
            total = []
            for i in range(rows):
                for j in range(vectors):
                    phi = b.phi(VEC)
                    phi.add_incoming(zero, before)
                    phi.add_incoming(new[i][j], top)
                    total.append((i, j, phi))
            adds, other, biased, stored, end = (
                b.append_basic_block(n) for n in ("adds", "other", "biased", "stored", "end")
            )
            b.cbranch(b.icmp_signed("==", mode, I64(ADD)), adds, other)
            b.position_at_end(other)
            b.cbranch(b.icmp_signed("==", mode, I64(BIAS)), biased, stored)
            for begin in (adds, biased, stored):
                b.position_at_end(begin)
                for i, j, x in total:
                    offset = I64(4 * LANES * j)
                    if begin is not stored:
                        x = b.fadd(x, lanes.load(b, c_rows[i] if begin is adds else bias, offset))
                    lanes.store(b, x, c_rows[i], offset)
                b.branch(end)
            b.position_at_end(end)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 9), codegen

    return block


def _strip(vectors, width):
    """All rows of A against so many vectors of a panel, in blocks of 12, 8, ... or 6, 4, ..."""
    first, second, third, fourth, last = (_block(rows, vectors, width) for rows in ROWS)
    most, more, some = ROWS[:3]

    @jit(cache=False)
    def strip(a, a_row, a_k, panel, k, c, c_row, bias, mode, m):
        row = 0
        while m - row >= most:
            first(a, a_row, a_k, panel, k, c, c_row, bias, mode)
            row, a, c = row + most, a + most * a_row, c + most * c_row
        while m - row >= more:
            second(a, a_row, a_k, panel, k, c, c_row, bias, mode)
            row, a, c = row + more, a + more * a_row, c + more * c_row
        while m - row >= some:
            third(a, a_row, a_k, panel, k, c, c_row, bias, mode)
            row, a, c = row + some, a + some * a_row, c + some * c_row
        while m - row >= 2:
            fourth(a, a_row, a_k, panel, k, c, c_row, bias, mode)
            row, a, c = row + 2, a + 2 * a_row, c + 2 * c_row
        if m - row >= 1:
            last(a, a_row, a_k, panel, k, c, c_row, bias, mode)

    return strip


_thin, _half, _whole = _strip(1, LANES), _strip(1, PANEL), _strip(2, PANEL)


@jit(types.void(*[int64] * 12))
def gemm(a, a_row, a_k, packed, pitch, c, c_row, m, n, k, bias, mode):
    """C (m, n) of A (m, k) and packed B: addresses, and strides in bytes.

    ``pitch`` is the number of rows that B was packed with, at least k.  C is written in
    whole vectors: its rows must have room for n rounded up to 16.
    """
    for first in range(0, n, PANEL):
        panel, right, to = packed + 4 * first * pitch, bias + 4 * first, c + 4 * first
        if n - first <= LANES:
            _thin(a, a_row, a_k, panel, k, to, c_row, right, mode, m)
        elif WIDE:
            _whole(a, a_row, a_k, panel, k, to, c_row, right, mode, m)
        else:  # the two halves of a panel in turn
            for half in range(0, 8 * LANES, 4 * LANES):
                _half(a, a_row, a_k, panel + half, k, to + half, c_row, right + half, mode, m)


def padded(n):
    """n rounded up to whole vectors: columns that a packed matrix and its product take.

    >>> padded(17)
    32
    """
    return -(-n // LANES) * LANES


_flat = types.float32[::1]
_given = unwritten(_flat)


@jit(types.void(_given, int64, int64, int64, int64, _flat))
def pack(source, start, row, k, n, packed):
    """Panels of B (k, n), which stands at source[start:], ``row`` numbers a row."""
    for first in range(0, n, PANEL):
        width = min(PANEL, n - first)
        whole = PANEL if n - first > LANES else LANES
        to = packed[first * k :]
        for i in range(k):
            x = source[start + i * row + first :][:width]
            y = to[i * whole :][:whole]
            for j in range(width):
                y[j] = x[j]
            for j in range(width, whole):
                y[j] = 0


@jit(types.void(_given, int64, int64, int64, int64, _flat))
def pack_transposed(source, start, row, k, n, packed):
    """Panels of B (k, n), whose transpose stands at source[start:], ``row`` numbers a row."""
    for first in range(0, n, PANEL):
        width = min(PANEL, n - first)
        whole = PANEL if n - first > LANES else LANES
        to = packed[first * k :]
        for j in range(width):
            x = source[start + (first + j) * row :][:k]
            for i in range(k):
                to[i * whole + j] = x[i]
        for j in range(width, whole):
            for i in range(k):
                to[i * whole + j] = 0
