"""Random draws as a function of (key, position, slot): no state, no order, no threads.

A counter goes through a mixer whose every output bit depends on every input bit
(the finaliser of SplitMix64: Steele, Lea & Flood, "Fast splittable pseudorandom
number generators", OOPSLA 2014).  So the word at position 7 of epoch 2 draws the
same negatives whatever was drawn before it, in whatever thread; NumPy computes
the same numbers for a whole text at once, and that is how the page checks the
kernel.
"""

import numpy as np

_STEP = 0x9E3779B97F4A7C15
_MIX1 = 0xBF58476D1CE4E5B9
_MIX2 = 0x94D049BB133111EB
_ALL = (1 << 64) - 1
SLOTS = 20  # bits of the counter that number the draws at one position


def key(*parts):
    """Mix whole numbers (seed, epoch, ...) into one 64-bit key.

    >>> hex(key(1, 0)), key(1, 0) != key(0, 1)
    ('0x5e41ab087439611e', True)
    """
    z = 0
    for part in parts:
        z = (z + (int(part) & _ALL) + _STEP) & _ALL
        z = ((z ^ (z >> 30)) * _MIX1) & _ALL
        z = ((z ^ (z >> 27)) * _MIX2) & _ALL
        z ^= z >> 31
    return z


def draw(key, position, slot):
    """64 random bits, the page: arrays of positions and slots broadcast.

    >>> int(draw(key(1, 0), 7, 2)) == int(draw(key(1, 0), np.arange(9), 2)[7])
    True
    """
    counter = (np.asarray(position, np.uint64) << np.uint64(SLOTS)) | np.asarray(slot, np.uint64)
    with np.errstate(over="ignore"):
        z = np.uint64(key) + counter * np.uint64(_STEP)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(_MIX1)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(_MIX2)
    return z ^ (z >> np.uint64(31))


def high(bits, n=None):
    """The upper 32 bits; with ``n``, a number below n made of them."""
    top = bits >> np.uint64(32)
    return top if n is None else (top * np.uint64(n)) >> np.uint64(32)


def from_alias(bits, alias):
    """Words drawn from an alias table (`npssl.data.sampling.alias_table`)."""
    word = high(bits, len(alias))
    entry = alias[word.astype(np.int64)]
    low = np.uint64(0xFFFFFFFF)
    return np.where((bits & low) < (entry >> np.uint64(32)), word, entry & low).astype(np.int64)
