"""exp and erf of float32, and a hash, for loops that Numba turns into vectors.

``math.exp`` and ``math.erf`` are calls, one number at a time.  Here they are a few
multiplications without branches, within a few units of the last place of what a
softmax or a GELU needs.  The coefficients are fitted when the module is imported.
"""

import math

import numpy as np
from numba import types
from numba.extending import intrinsic

from npssl.kernels.jit import jit
from npssl.kernels.lanes import F32, I32

f32, i32, u32 = np.float32, np.int32, np.uint32

# Not "reassoc": the order of the subtractions in `exp` is what makes it exact.
_EXACT = {"contract", "nnan", "ninf", "nsz", "arcp"}


def _polynomial(f, low, high, degree):
    """Coefficients, highest first, of the polynomial that meets f at Chebyshev nodes."""
    nodes = np.polynomial.chebyshev.chebpts1(degree + 1)
    x = (low + high) / 2 + (high - low) / 2 * nodes
    return [f32(c) for c in np.polyfit(x, [f(v) for v in x], degree)]


def _rational(f, high, above, below):
    """p and q, highest first, with q(0) = 1 and p(z) / q(z) near f(z) for 0 <= z <= high.

    Least squares of p - f q, weighted by the q found before (Sanathanan & Koerner,
    "Transfer function synthesis as a ratio of two complex polynomials", 1963).
    """
    z = high * (1 - np.cos(np.linspace(0, math.pi, 600))) / 2
    value, weight = np.array([f(v) for v in z]), np.ones(z.size)
    top, bottom = np.vander(z, above + 1), np.vander(z, below + 1)[:, :-1]
    for _ in range(20):
        terms = np.hstack([top, -bottom * value[:, None]])
        scale = np.abs(terms).max(0)
        found = np.linalg.lstsq(terms / scale * weight[:, None], value * weight, rcond=None)[0]
        found /= scale
        p, q = found[: above + 1], np.append(found[above + 1 :], 1.0)
        weight = 1 / np.polyval(q, z)
    return [f32(c) for c in p], [f32(c) for c in q]


@intrinsic
def _bits(typingctx, x):
    """The 32 bits of a float, as an integer."""

    def codegen(context, b, signature, args):
        return b.bitcast(args[0], I32)

    return types.int32(types.float32), codegen


@intrinsic
def _number(typingctx, x):
    """The float that has these 32 bits."""

    def codegen(context, b, signature, args):
        return b.bitcast(args[0], F32)

    return types.float32(types.int32), codegen


_LOG2E = f32(math.log2(math.e))
_LOG2 = f32(math.floor(math.log(2) * 512) / 512)  # few bits: times a whole number is exact
_LOG2_REST = f32(math.log(2) - float(_LOG2))
_ROUND = f32(1.5 * 2**23)  # adding it leaves the nearest whole number in the low bits
_ROUND_BITS = _ROUND.view(np.int32)
_E6, _E5, _E4, _E3, _E2, _E1, _E0 = _polynomial(math.exp, -math.log(2) / 2, math.log(2) / 2, 6)
_ERF_END = f32(3.85)  # erf is 1 to the last place from here
(_P5, _P4, _P3, _P2, _P1, _P0), (_Q5, _Q4, _Q3, _Q2, _Q1, _Q0) = _rational(
    lambda z: math.erf(math.sqrt(z)) / math.sqrt(z) if z else 2 / math.sqrt(math.pi),
    float(_ERF_END) ** 2,
    5,
    5,
)
_SHIFT, _BIAS = i32(23), i32(127)
_HALF, _ONE = f32(0.5), f32(1)
_ROOT_HALF, _DENSITY = f32(math.sqrt(0.5)), f32(1 / math.sqrt(2 * math.pi))
_TANH_IN, _TANH_CUBE = f32(2 * math.sqrt(2 / math.pi)), f32(0.044715)


@jit(fastmath=_EXACT)
def exp(x):
    """e^x, at least e^-87 and at most e^88."""
    x = min(max(x, f32(-87)), f32(88))
    n = i32(_bits(x * _LOG2E + _ROUND) - _ROUND_BITS)
    t = (x - f32(n) * _LOG2) - f32(n) * _LOG2_REST
    y = (((((_E6 * t + _E5) * t + _E4) * t + _E3) * t + _E2) * t + _E1) * t + _E0
    return y * _number(i32((n + _BIAS) << _SHIFT))


@jit(fastmath=_EXACT)
def normal(x):
    """The distribution function of the standard normal: (1 + erf(x / sqrt 2)) / 2."""
    x = min(max(x * _ROOT_HALF, -_ERF_END), _ERF_END)
    z = x * x
    p = ((((_P5 * z + _P4) * z + _P3) * z + _P2) * z + _P1) * z + _P0
    q = ((((_Q5 * z + _Q4) * z + _Q3) * z + _Q2) * z + _Q1) * z + _Q0
    return _HALF + _HALF * (x * p / q)


@jit(fastmath=_EXACT)
def gelu(x, tanh):
    """x Phi(x), or the form by tanh, which is x sigmoid(2 u), u = sqrt(2/pi) (x + c x^3)."""
    if tanh:
        return x / (_ONE + exp(-_TANH_IN * (x + _TANH_CUBE * x * x * x)))
    return x * normal(x)


@jit(fastmath=_EXACT)
def gelu_and_slope(x, tanh):
    """What `gelu` gives, and its derivative."""
    if tanh:
        e = exp(-_TANH_IN * (x + _TANH_CUBE * x * x * x))
        s = _ONE / (_ONE + e)
        inner = _TANH_IN * (_ONE + f32(3) * _TANH_CUBE * x * x)
        return x * s, s + x * s * (e * s) * inner
    s = normal(x)
    return x * s, s + x * _DENSITY * exp(-_HALF * x * x)


@jit
def hashed(x):
    """32 bits that look random, as a function of 32 bits: three xor-shifts, two products.

    The constants are "lowbias32" of Wellons' search for integer hashes, 2018
    (public domain): each bit of x changes each bit of the result about half of the time.
    """
    x = u32(x)
    x ^= x >> u32(16)
    x = u32(x * u32(0x7FEB352D))
    x ^= x >> u32(15)
    x = u32(x * u32(0x846CA68B))
    return u32(x ^ (x >> u32(16)))


def kept(seed, index, rate):
    """Which numbers dropout keeps: the page of what the kernels do with `hashed`.

    >>> int(kept(7, np.arange(100_000), 0.1).sum())
    89855
    """
    x = np.uint64(seed) + np.asarray(index, np.uint64) & np.uint64(0xFFFFFFFF)
    low = np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(16)
    x = x * np.uint64(0x7FEB352D) & low
    x ^= x >> np.uint64(15)
    x = x * np.uint64(0x846CA68B) & low
    x ^= x >> np.uint64(16)
    return x >= np.uint64(threshold(rate))


def threshold(rate):
    """Hashes below it are dropped."""
    return int(rate * 2**32)
