"""Matrix products of float32, from registers up: C = A B, or C += A B, on one thread.

A block of 12 x 32 sums stays in 24 vector registers of 16 numbers while k runs: each step
reads two vectors of B and twelve numbers of A, and does 24 fused multiply-adds.  Where
there are 16 registers of 8 numbers the block is 6 x 16.  For that B stands packed, in
panels as wide as the block, row after row, so that a panel is read from front to back.  A is
read where it stands, by two strides, so that A or its transpose cost the same.  What is packed
once (weights, keys) serves many rows.  While one panel is read the next one is asked for: a
few rows of A cost what it costs to read B.

Rows that do not fill blocks are dealt out evenly; columns are padded to 16.  The
sum over k always runs in one order, so a product has the same bytes on any number of
threads.  (Goto & van de Geijn, "Anatomy of high-performance matrix multiplication",
ACM TOMS 34(3), 2008, are the source of the packed panels; here all blocks are small
enough that one level of packing does.)

The product is compiled once, and the kernels call it by its name, ``npssl_gemm``.
"""

from llvmlite import ir
from numba import int64, types
from numba.core import cgutils
from numba.extending import intrinsic

from npssl.kernels import lanes
from npssl.kernels.jit import by_name, jit, unwritten
from npssl.kernels.lanes import I64, LANES, VEC

WIDE = lanes.WIDE  # 32 registers of 16 numbers: a block is 12 x 32; else 16 of 8: 6 x 16
PANEL = 2 * LANES if WIDE else LANES  # columns of a panel
ROWS = 12 if WIDE else 6  # of a block of sums
STORE, ADD, BIAS = 0, 1, 2  # C = A B;  C += A B;  C = A B + a row of biases


@intrinsic
def address(typingctx, array):
    """Where the numbers of an array begin."""

    def codegen(context, b, signature, args):
        data = context.make_array(signature.args[0])(context, b, args[0]).data
        return b.ptrtoint(data, I64)

    return types.int64(array), codegen


def _block(vectors):
    """The innermost loop, for blocks of so many vectors: as wide as their panel."""

    @intrinsic
    def block(typingctx, rows, a, a_row, a_k, runs, run, panel, k, c, c_row, bias, mode):
        """Addresses and strides in bytes; 1 to `ROWS` rows; ``bias`` is read when mode is BIAS."""

        def codegen(context, b, signature, args):
            rows, *rest = args
            end = b.append_basic_block("end")
            choice = b.switch(rows, end)
            for n in range(1, ROWS + 1):
                choice.add_case(I64(n), b.append_basic_block(f"rows{n}"))
                b.position_at_end(b.function.blocks[-1])
                _sums(b, n, vectors, end, *rest)
            b.position_at_end(end)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 12), codegen

    return block


def _sums(b, rows, vectors, end, a, a_row, a_k, runs, run, panel, k, c, c_row, bias, mode):
    """Emit the loop over ``runs`` runs of ``k`` steps, and what becomes of its sums."""
    fma = cgutils.get_or_insert_function(
        b.module, ir.FunctionType(VEC, [VEC] * 3), f"llvm.{lanes.FMA}.v{LANES}f32"
    )
    places = [(i, j) for i in range(rows) for j in range(vectors)]
    a_rows = [b.add(a, b.mul(a_row, I64(i))) for i in range(rows)]
    c_rows = [b.add(c, b.mul(c_row, I64(i))) for i in range(rows)]
    ahead = b.mul(b.mul(runs, k), I64(4 * LANES * vectors))  # the next panel: a panel further
    before = b.block
    top, turn, done = (b.append_basic_block(name) for name in ("k", "run", "sums"))
    b.cbranch(b.icmp_signed(">", b.mul(k, runs), I64(0)), top, done)

    b.position_at_end(top)
    left, start, step, at, there = (b.phi(I64) for _ in range(5))
    sums = {place: b.phi(VEC) for place in places}
    right = [lanes.load(b, there, I64(4 * LANES * j)) for j in range(vectors)]
    for j in range(vectors):
        lanes.prefetch(b, b.add(b.add(there, ahead), I64(4 * LANES * j)))
    new = {}
    for i in range(rows):
        one = lanes.load_splat(b, a_rows[i], at)
        for j in range(vectors):
            new[i, j] = b.call(fma, [one, right[j], sums[i, j]])
    onward, beyond = b.add(step, I64(1)), b.add(there, I64(4 * LANES * vectors))
    following = b.add(at, a_k)
    b.cbranch(b.icmp_signed("<", onward, k), top, turn)

    b.position_at_end(turn)
    fewer, next_start = b.sub(left, I64(1)), b.add(start, run)
    b.cbranch(b.icmp_signed(">", fewer, I64(0)), top, done)
    for phi, first, inner, outer in (
        (left, runs, left, fewer),
        (start, I64(0), start, next_start),
        (step, I64(0), onward, I64(0)),
        (at, I64(0), following, next_start),
        (there, panel, beyond, beyond),
        *((sums[place], lanes.const(0.0), new[place], new[place]) for place in places),
    ):
        for value, block in (first, before), (inner, top), (outer, turn):
            phi.add_incoming(value, block)

    b.position_at_end(done)
    total = {place: b.phi(VEC) for place in places}
    for place in places:
        total[place].add_incoming(lanes.const(0.0), before)
        total[place].add_incoming(new[place], turn)
    adds, other, biased, stored = (
        b.append_basic_block(name) for name in ("adds", "other", "biased", "stored")
    )
    b.cbranch(b.icmp_signed("==", mode, I64(ADD)), adds, other)
    b.position_at_end(other)
    b.cbranch(b.icmp_signed("==", mode, I64(BIAS)), biased, stored)
    for begin in (adds, biased, stored):
        b.position_at_end(begin)
        for (i, j), x in total.items():
            offset = I64(4 * LANES * j)
            if begin is not stored:
                x = b.fadd(x, lanes.load(b, c_rows[i] if begin is adds else bias, offset))
            lanes.store(b, x, c_rows[i], offset)
        b.branch(end)


def _strip(vectors):
    """All rows of A against so many vectors of a panel, in blocks of at most `ROWS`."""
    block = _block(vectors)

    @jit(cache=False)
    def strip(a, a_row, a_k, runs, run, panel, k, c, c_row, bias, mode, m):
        while m > 0:
            rows = ROWS
            if m < 3 * ROWS:
                blocks = (m + ROWS - 1) // ROWS
                rows = (m + blocks - 1) // blocks
            block(rows, a, a_row, a_k, runs, run, panel, k, c, c_row, bias, mode)
            m, a, c = m - rows, a + rows * a_row, c + rows * c_row

    return strip


_thin, _whole = _strip(1), _strip(PANEL // LANES)


@jit(types.void(*[int64] * 14))
def product(a, a_row, a_k, runs, run, packed, pitch, c, c_row, m, n, k, bias, mode):
    """C of A whose columns are ``runs`` runs of k each, which begin ``run`` bytes apart."""
    for first in range(0, n, PANEL):
        panel, right, to = packed + 4 * first * pitch, bias + 4 * first, c + 4 * first
        if n - first <= LANES:
            _thin(a, a_row, a_k, runs, run, panel, k, to, c_row, right, mode, m)
        else:
            _whole(a, a_row, a_k, runs, run, panel, k, to, c_row, right, mode, m)


gemm_runs = by_name("npssl_gemm")(product)


@jit
def gemm(a, a_row, a_k, packed, pitch, c, c_row, m, n, k, bias, mode):
    """C (m, n) of A (m, k) and packed B: addresses, and strides in bytes.

    ``pitch`` is the number of rows that B was packed with, at least k.  C is written in
    whole vectors: its rows must have room for n rounded up to 16.
    """
    gemm_runs(a, a_row, a_k, 1, 0, packed, pitch, c, c_row, m, n, k, bias, mode)


def padded(n):
    """n rounded up to whole vectors: columns that a packed matrix and its product take.

    >>> padded(17)
    32
    """
    return -(-n // LANES) * LANES


@intrinsic
def copy(typingctx, source, target):
    """16 numbers from one address to another."""

    def codegen(context, b, signature, args):
        lanes.store(b, lanes.load(b, args[0], I64(0)), args[1], I64(0))
        return context.get_dummy_value()

    return types.void(int64, int64), codegen


_flat = types.float32[::1]
_given = unwritten(_flat)


@jit(types.void(_given, int64, int64, int64, int64, _flat))
def pack(source, start, row, k, n, packed):
    """Panels of B (k, n), which stands at source[start:], ``row`` numbers a row."""
    for first in range(0, n, PANEL):
        width = min(PANEL, n - first)
        whole = PANEL if n - first > LANES else LANES
        to = packed[first * k :]
        if width == whole:
            for i in range(k):
                a, b = address(source) + 4 * (start + i * row + first), address(to) + 4 * i * whole
                for j in range(0, 4 * whole, 4 * LANES):
                    copy(a + j, b + j)
            continue
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
