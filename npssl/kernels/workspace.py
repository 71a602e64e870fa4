"""Large arrays that are used again: fresh ones cost a page fault every 4 kB.

An array is borrowed for as long as an owner lives, most often the closure that is a
way back, and returns to the shelf when the owner is collected.
"""

import weakref

import numpy as np

_SHELF: dict[int, list[np.ndarray]] = {}
_MOST = 8  # arrays of one size that are kept


def borrow(size, owner=None):
    """A float32 vector of ``size`` numbers, not zeroed; return it with `lend`, or own it.

    >>> borrow(10).size
    10
    """
    shelf = _SHELF.get(_whole(size))
    array = shelf.pop() if shelf else np.empty(_whole(size), np.float32)
    if owner is not None:
        give_back_with(owner, array)
    return array[:size]


def give_back_with(owner, *arrays):
    """When ``owner`` is collected, these go back on the shelf."""
    for array in arrays:
        weakref.finalize(owner, give_back, array).atexit = False


def give_back(array):
    """Now: nobody may use the array any more."""
    whole = array if array.base is None else array.base
    shelf = _SHELF.setdefault(whole.size, [])
    if len(shelf) < _MOST:
        shelf.append(whole)


def clear():
    """Forget the arrays on the shelf."""
    _SHELF.clear()


def _whole(size):
    """Sizes in steps of an eighth, so that batches of like size share."""
    step = 1 << max(10, int(size).bit_length() - 4)
    return -(-int(size) // step) * step
