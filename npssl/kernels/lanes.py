"""Explicit vectors of 16 floats, as LLVM instructions.

Numba vectorises simple loops by itself, but not a block of many dot products
that should stay in registers.  The functions here write such code down: each
takes an LLVM builder ``b`` and emits a few instructions.  ``<16 x float>`` is
one AVX-512 register, two of AVX2, four of SSE or Neon: LLVM splits it for the
machine it runs on.
"""

import math

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba.core import cgutils, config


def _features():
    """What the processor that Numba compiles for can do; all false for a generic one."""
    if config.CPU_NAME == "generic":
        return {}
    told = config.CPU_FEATURES
    if told is None:
        return dict(llvm.get_host_cpu_features())
    return {name[1:]: name[0] == "+" for name in told.split(",") if name}


LANES = 16
F32, I8, I32, I64 = ir.FloatType(), ir.IntType(8), ir.IntType(32), ir.IntType(64)
VEC = ir.VectorType(F32, LANES)
INTS = ir.VectorType(I32, LANES)
_FEATURES = _features()
WIDE = _FEATURES.get("avx512f", False)  # 32 registers of 16 floats
FMA = "fma" if _FEATURES.get("fma") or _FEATURES.get("neon") else "fmuladd"  # never a call
UNDEF = ir.Constant(VEC, ir.Undefined)
FAST = ("fast",)  # the order of additions is ours to choose


def _fit(f, low, high, degree):
    """Coefficients, highest first, of the polynomial that meets f at Chebyshev nodes."""
    nodes = np.polynomial.chebyshev.chebpts1(degree + 1)
    x = (low + high) / 2 + (high - low) / 2 * nodes
    return [float(c) for c in np.polyfit(x, [f(v) for v in x], degree)]


_EXP2 = _fit(lambda x: 2.0**x, -0.5, 0.5, 6)
_LOG1P = _fit(lambda x: math.log1p(x) / x if x else 1.0, math.sqrt(0.5) - 1, math.sqrt(2) - 1, 9)


def const(x):
    """The same number in all lanes."""
    return ir.Constant(VEC, [float(np.float32(x))] * LANES)


def splat(b, scalar):
    """A scalar register copied to all lanes."""
    one = b.insert_element(UNDEF, scalar, I32(0))
    return b.shuffle_vector(one, UNDEF, ir.Constant(INTS, [0] * LANES))


def load(b, address, offset):
    """16 floats from ``address + offset`` bytes: fast on a cache line, right anywhere."""
    x = b.load(b.inttoptr(b.add(address, offset), ir.PointerType(VEC)), typ=VEC)
    x.align = 4
    return x


def store(b, x, address, offset):
    """16 floats to ``address + offset`` bytes."""
    b.store(x, b.inttoptr(b.add(address, offset), ir.PointerType(VEC))).align = 4


def prefetch(b, address):
    """Ask for the cache line of an address, which need not exist, into the second cache."""
    pointer = ir.PointerType(I8)
    ask = cgutils.get_or_insert_function(
        b.module, ir.FunctionType(ir.VoidType(), [pointer, I32, I32, I32]), "llvm.prefetch.p0"
    )
    b.call(ask, [b.inttoptr(address, pointer), I32(0), I32(2), I32(1)])  # reading; near; data


def load_splat(b, address, offset):
    """One float from memory, copied to all lanes."""
    return splat(b, b.load(b.inttoptr(b.add(address, offset), ir.PointerType(F32)), typ=F32))


def load_int(b, address, index):
    """The ``index``-th 64-bit integer at ``address``."""
    return b.load(b.inttoptr(b.add(address, I64(8 * index)), ir.PointerType(I64)), typ=I64)


def mul_add(b, x, y, z):
    """x y + z, fused where the machine can."""
    return b.fadd(b.fmul(x, y, flags=FAST), z, flags=FAST)


def clamp(b, x, low, high):
    """low <= x <= high."""
    x = b.select(b.fcmp_ordered("<", x, const(high)), x, const(high))
    return b.select(b.fcmp_ordered(">", x, const(low)), x, const(low))


def _polynomial(b, coefficients, x):
    """Estrin's scheme: neighbours join with x, then with x^2, x^4, ...: few steps in a row."""
    terms = [const(c) for c in reversed(coefficients)]
    while len(terms) > 1:
        pairs = [mul_add(b, high, x, low) for low, high in zip(terms[::2], terms[1::2])]
        terms = pairs + terms[len(pairs) * 2 :]
        x = b.fmul(x, x, flags=FAST)
    return terms[0]


def exp2(b, t):
    """2^t for |t| <= 40: the whole part goes into the exponent, the rest through a polynomial."""
    rint = cgutils.get_or_insert_function(
        b.module, ir.FunctionType(VEC, [VEC]), f"llvm.rint.v{LANES}f32"
    )
    whole = b.call(rint, [t])
    part = _polynomial(b, _EXP2, b.fsub(t, whole, flags=FAST))
    shift = b.shl(b.fptosi(whole, INTS), ir.Constant(INTS, [23] * LANES))
    return b.bitcast(b.add(b.bitcast(part, INTS), shift), VEC)


def log(b, x):
    """Natural logarithm of normal x >= 1/2: x = m 2^e with m near 1, log x = e log 2 + log m."""
    near = ir.Constant(INTS, [_bits(math.sqrt(0.5))] * LANES)
    offset = b.sub(b.bitcast(x, INTS), near)
    exponent = b.ashr(offset, ir.Constant(INTS, [23] * LANES))
    mantissa = b.sub(b.bitcast(x, INTS), b.shl(exponent, ir.Constant(INTS, [23] * LANES)))
    f = b.fsub(b.bitcast(mantissa, VEC), const(1.0))
    whole = b.fmul(b.sitofp(exponent, VEC), const(math.log(2.0)), flags=FAST)
    return mul_add(b, f, _polynomial(b, _LOG1P, f), whole)


def _bits(x):
    return int(np.float32(x).view(np.int32))


def sum_lanes(b, vectors):
    """Up to 16 vectors -> one vector of their 16 sums over lanes.

    A merge takes two vectors, puts half of the lanes of both beside each other, the other
    half likewise, and adds: 15 merges instead of 16 separate reductions.  The first two
    rounds stay within four lanes, where shuffles are quickest.
    """
    current = [*vectors, *[None] * (LANES - len(vectors))]
    for halves in _MERGES:
        merged = []
        for x, y in zip(current[::2], current[1::2]):
            if x is None:
                merged.append(None)
                continue
            other = UNDEF if y is None else y
            parts = [b.shuffle_vector(x, other, ir.Constant(INTS, half)) for half in halves]
            merged.append(b.fadd(*parts, flags=FAST))
        current = merged
    return current[0]


_MERGES = (
    [
        [q + i for q in range(0, LANES, 4) for i in (h, LANES + h, 1 + h, LANES + 1 + h)]
        for h in (0, 2)
    ],
    [
        [q + i for q in range(0, LANES, 4) for i in (h, 1 + h, LANES + h, LANES + 1 + h)]
        for h in (0, 2)
    ],
    [[q + i for q in (h, 4 + h, LANES + h, LANES + 4 + h) for i in range(4)] for h in (0, 8)],
    [[q + i for q in (h, 8 + h, LANES + h, LANES + 8 + h) for i in range(4)] for h in (0, 4)],
)


def loop(b, end, initial, body, *, step=4 * LANES):
    """``for offset in range(0, end, step)``: carries the vectors ``initial`` through ``body``.

    ``body(offset, carried) -> carried``; ``end`` > 0.  Returns what was carried last.
    """
    before = b.block
    top, after = b.append_basic_block("loop"), b.append_basic_block("done")
    b.branch(top)
    b.position_at_end(top)
    offset = b.phi(I64)
    offset.add_incoming(I64(0), before)
    carried = []
    for x in initial:
        phi = b.phi(x.type)
        phi.add_incoming(x, before)
        carried.append(phi)
    new = body(offset, carried)
    following = b.add(offset, I64(step))
    offset.add_incoming(following, b.block)
    for phi, x in zip(carried, new):
        phi.add_incoming(x, b.block)
    b.cbranch(b.icmp_unsigned("<", following, end), top, after)
    b.position_at_end(after)
    return new
