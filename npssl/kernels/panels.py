"""Parts of products of matrices, as tasks for threads: a panel packed, a gradient's block."""

from numba import boolean, float32, int64, types, void

from npssl.kernels.gemm import ADD, PANEL, address, gemm, pack, pack_transposed
from npssl.kernels.jit import by_name, jit, unwritten

DEPTH = 128  # rows that a weight's gradient takes in at a time
COLUMNS = 128  # of a weight, in one task
GAP = 16  # numbers between the rows of what is brought near: one cache line
_vector = float32[::1]
_given = unwritten(_vector)


@by_name("npssl_pack_panel")
@jit(void(_given, int64, int64, _vector, int64, boolean))
def pack_panel(weight, k, n, packed, panel, transposed):
    """One panel of a weight (k, n), or of the transpose of one that lies as (n, k)."""
    first = panel * PANEL
    width = min(PANEL, n - first)
    if transposed:
        pack_transposed(weight, first * k, k, k, width, packed[first * k :])
    else:
        pack(weight, first, n, k, width, packed[first * k :])


@jit
def place(task, k, n, tall):
    """Of a task of a weight's gradient (k, n): its first row and column, and how many of both."""
    across = (n + COLUMNS - 1) // COLUMNS
    top, first = task // across * tall, task % across * COLUMNS
    return top, first, min(tall, k - top), min(COLUMNS, n - first)


@jit
def bring_near(left, k, begin, end, where, near, pitch):
    """Copy the columns of left (M, k) that a `place` needs, rows ``begin`` to ``end``."""
    top, _first, rows, _width = where
    for i in range(end - begin):
        source, target = left[(begin + i) * k + top :][:rows], near[i * pitch :][:rows]
        for j in range(rows):
            target[j] = source[j]


@by_name("npssl_gradient_task")
@jit(void(_vector, int64, _given, *[int64] * 3, _vector, types.UniTuple(int64, 4), _vector))
def gradient_task(near, pitch, right, n, begin, end, into, where, panel):
    """A `place` of into (k, n) += left^T right, over rows ``begin`` to ``end`` of both.

    ``near`` holds that part of left (M, k), rows ``pitch`` numbers apart: an odd number of cache
    lines.  Rows a power of two apart would push each other out of the cache.
    """
    deep, (top, first, rows, width) = end - begin, where
    pack(right, begin * n + first, n, deep, width, panel)
    gemm(
        address(near), 4, 4 * pitch, address(panel), deep,
        address(into) + 4 * (top * n + first), 4 * n, rows, width, deep, 0, ADD,
    )  # fmt: skip


def scratch_size(tall):
    """Numbers that a thread needs for tasks of so many rows: a panel, and a part of left."""
    return DEPTH * (COLUMNS + tall + GAP)
