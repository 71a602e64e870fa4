"""Parts of products of matrices, as tasks for threads: a panel packed, a gradient's block."""

from npssl.kernels.gemm import ADD, PANEL, address, gemm, pack, pack_transposed
from npssl.kernels.jit import jit

DEPTH = 128  # rows that a weight's gradient takes in at a time
COLUMNS = 128  # of a weight, in one task


@jit
def pack_panel(weight, k, n, packed, panel, transposed):
    """One panel of a weight (k, n), or of the transpose of one that lies as (n, k)."""
    first = panel * PANEL
    width = min(PANEL, n - first)
    if transposed:
        pack_transposed(weight, first * k, k, k, width, packed[first * k :])
    else:
        pack(weight, first, n, k, width, packed[first * k :])


@jit
def gradient_task(task, left, k, right, n, M, into, tall, panel):
    """``tall`` rows and some columns of into (k, n) += left^T right, left (M, k), right (M, n)."""
    down = (k + tall - 1) // tall
    first, top = task // down * COLUMNS, task % down * tall
    width, rows = min(COLUMNS, n - first), min(tall, k - top)
    for r in range(0, M, DEPTH):
        deep = min(DEPTH, M - r)
        pack(right, r * n + first, n, deep, width, panel)
        gemm(
            address(left) + 4 * (r * k + top), 4, 4 * k, address(panel), deep,
            address(into) + 4 * (top * n + first), 4 * n, rows, width, deep, 0, ADD,
        )  # fmt: skip
