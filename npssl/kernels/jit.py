"""How every kernel is compiled: once per machine, cached on disk, announced in one line."""

import sys
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
from numba import types
from numba.core import cgutils, event
from numba.extending import intrinsic
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


def by_name(name):
    """A decorator above `jit`: kernels call this one by its name, and hold no copy of it.

    Numba puts what a kernel calls into the kernel, and compiles a parallel one three times.
    So what is long, or has many callers, is compiled once and called by name; a call costs
    some nanoseconds more.

    Parameters
    ----------
    name : str
        Known to the whole process: ``"npssl_..."``.

    Returns
    -------
    a decorator of a function that `jit` compiled with one signature and that returns nothing;
    what comes of it is for kernels to call, with arguments that fit its types
    """

    def of(kernel):
        (made,) = kernel.overloads.values()
        llvm.add_symbol(name, made.library.get_pointer_to_function(made.fndesc.llvm_func_name))

        @intrinsic
        def call(typingctx, *given):
            wanted = made.signature.args  # `made` lives as long as its address may be called

            def codegen(context, b, signature, values):
                values = cgutils.unpack_tuple(b, values[0])
                values = [context.cast(b, *each) for each in zip(values, given, wanted)]
                kind = context.call_conv.get_function_type(types.void, wanted)
                callee = cgutils.get_or_insert_function(b.module, kind, name)
                context.call_conv.call_function(b, callee, types.void, wanted, values)
                return context.get_dummy_value()

            if len(given) == len(wanted) and all(map(typingctx.can_convert, given, wanted)):
                return types.void(types.BaseTuple.from_types(given)), codegen
            raise TypeError(f"{name}: expected {wanted}, found {given}")

        return call

    return of


def unwritten(array):
    """The type of an array that a kernel only reads: also takes one that nobody may write to.

    >>> unwritten(numba.float32[::1])
    Array(float32, 1, 'C', True, aligned=True)
    """
    return array.copy(readonly=True)
