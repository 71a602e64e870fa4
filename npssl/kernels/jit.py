"""How every kernel is compiled: once per machine, cached on disk, announced in one line."""

import sys
from pathlib import Path
from typing import Any

import numba
from numba.core import event
from numba.misc.appdirs import AppDirs

_SAID: list[bool] = []
OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "boundscheck": False,
    "fastmath": True,
}


def _drop_stale():
    """Forget compiled kernels that are older than any source here.

    Numba compares a kernel with its own file only, not with what it inlines.
    """
    folder = Path(__file__).parent
    newest = max(source.stat().st_mtime for source in folder.glob("*.py"))
    elsewhere = AppDirs(appname="numba", appauthor=False).user_cache_dir  # if read-only here
    places = [folder / "__pycache__"]
    for cache in filter(None, (numba.config.CACHE_DIR, elsewhere)):
        places += Path(cache).glob(f"{folder.name}_*")
    for index in (index for place in places for index in place.glob("*.nbi")):
        if index.stat().st_mtime < newest:
            index.unlink(missing_ok=True)


try:
    _drop_stale()
except OSError:  # nobody may change them here
    pass


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
    options = OPTIONS | options
    return numba.njit(signature, **options) if signature else numba.njit(**options)


def unwritten(array):
    """The type of an array that a kernel only reads: also takes one that nobody may write to.

    >>> unwritten(numba.float32[::1])
    Array(float32, 1, 'C', True, aligned=True)
    """
    return array.copy(readonly=True)
