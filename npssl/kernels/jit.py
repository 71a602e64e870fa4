"""How every kernel is compiled: once per machine, cached on disk, announced in one line."""

import sys

import numba
from numba.core import event

_SAID = []


class _Announce(event.Listener):
    """Numba fires this event only where the cache on disk has nothing to offer."""

    def on_start(self, event):
        if not _SAID:
            _SAID.append(True)
            print("npssl: compiling kernels for this machine (once, some seconds)", file=sys.stderr)

    def on_end(self, event):
        pass


event.register("numba:compile", _Announce())


def jit(signature=None, **options):
    """``numba.njit`` with the house's options.

    Give explicit signatures for what Python calls: an ``int`` where a ``float``
    was expected would otherwise compile the kernel a second time.  Numba caches
    beside the source, or in the user's cache folder where that is read-only.
    """
    options = {
        "cache": True,
        "nogil": True,
        "error_model": "numpy",
        "boundscheck": False,
        "fastmath": True,
    } | options
    return numba.njit(signature, **options) if signature else numba.njit(**options)
