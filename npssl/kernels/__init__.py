"""Numba loops over plain arrays: the same arithmetic as the page, in fewer passes.

Nothing here knows of closures or parameters.  A page imports its kernel inside
the function that uses it, so that Numba is loaded when first needed, and asks
`fast` whether the kernel may stand in.  ``NPSSL_NUMBA=0`` turns all kernels off.
"""

import os

import numpy as np


def enabled():
    """False when the environment says ``NPSSL_NUMBA=0``."""
    return os.environ.get("NPSSL_NUMBA", "1") != "0"


def fast(*arrays):
    """May a kernel stand in for the page?  Only for contiguous float32 arrays.

    >>> fast(np.zeros(3))
    False
    """
    return enabled() and all(a.dtype == np.float32 and a.flags.c_contiguous for a in arrays)
