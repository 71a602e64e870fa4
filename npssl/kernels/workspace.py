"""Large arrays that are used again: fresh ones cost a page fault every 4 kB.

An array is borrowed for as long as an owner lives, most often the closure that is a
way back, and returns to the shelf when the owner is collected.  Batches of all lengths ask
for all sizes; so an array up to twice as large will do, and what lies on the shelf makes room
for what is new: all together are never more than a quarter above the most ever lent at once.
"""

import weakref

import numpy as np

_SHELF: dict[int, np.ndarray] = {}  # by `id`, the one given back first in front
_ALL: weakref.WeakValueDictionary[int, np.ndarray] = weakref.WeakValueDictionary()
_most = 0  # numbers that were lent at once


def borrow(size, owner=None):
    """A float32 vector of ``size`` numbers, not zeroed; return it with `give_back`, or own it.

    >>> borrow(10).size
    10
    """
    whole, found = _whole(size), None
    for array in tuple(_SHELF.values()):
        if whole <= array.size <= 2 * whole and (found is None or array.size < found.size):
            found = array
    if found is None or _SHELF.pop(id(found), None) is None:  # none, or just taken by a thread
        _make_room(whole)
        found = np.empty(whole, np.float32)
        _ALL[id(found)] = found
    if owner is not None:
        give_back_with(owner, found)
    return found[:size]


def give_back_with(owner, *arrays):
    """When ``owner`` is collected, these go back on the shelf."""
    for array in arrays:
        weakref.finalize(owner, give_back, array).atexit = False


def give_back(array):
    """Now: nobody may use the array any more."""
    whole = array if array.base is None else array.base
    _SHELF[id(whole)] = whole


def clear():
    """Forget the arrays on the shelf."""
    _SHELF.clear()


def held():
    """Numbers on the shelf, and numbers lent."""
    shelf = sum(array.size for array in tuple(_SHELF.values()))
    return shelf, sum(array.size for array in tuple(_ALL.values())) - shelf


def _make_room(more):
    """Let the oldest on the shelf go, where ``more`` numbers would be too many."""
    global _most
    shelf, lent = held()
    _most = max(_most, lent + more)
    for key in tuple(_SHELF):
        if shelf + lent + more <= _most + _most // 4:
            break
        array = _SHELF.pop(key, None)
        shelf -= 0 if array is None else array.size


def _whole(size):
    """Sizes in steps of an eighth, so that batches of like size share."""
    step = 1 << max(10, int(size).bit_length() - 4)
    return -(-int(size) // step) * step
