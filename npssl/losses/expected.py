"""What losses on embeddings ask of their arguments, refused by name."""

import math

import numpy as np


def _embeddings(**arrays):
    """Each (N, d) and finite; all of one width."""
    first = next(iter(arrays))
    for name, a in arrays.items():
        if a.ndim != 2:
            raise ValueError(f"{name} must be embeddings (N, d), found shape {a.shape}")
        bad = ~np.isfinite(a).all(1)
        if bad.any():
            raise ValueError(
                f"{name} must be finite, found NaN or infinity in {bad.sum()} of {len(a)} rows, "
                f"the first of them row {bad.argmax()}"
            )
        if a.shape[1] != arrays[first].shape[1]:
            raise ValueError(
                f"{name} must be as wide as {first}, {arrays[first].shape[1]}, found {a.shape[1]}"
            )


def _alike(**arrays):
    """Embeddings of one shape: row i of each belongs to instance i."""
    _embeddings(**arrays)
    first = next(iter(arrays))
    for name, a in arrays.items():
        if a.shape != arrays[first].shape:
            raise ValueError(
                f"{name} must have the shape {arrays[first].shape} of {first}, found {a.shape}"
            )


def _classes(label, x, name="label"):
    """One whole number for each row."""
    label = np.asarray(label)
    if label.shape != x.shape[:1] or (label.size and label.dtype.kind not in "iub"):
        raise ValueError(
            f"{name} must be {len(x)} whole numbers, one for each row, "
            f"found {label.dtype} {label.shape}"
        )
    return label


def _by_class(label):
    """An order that puts classes together; in it, each row's class from 0 on; their sizes.

    >>> [a.tolist() for a in _by_class(np.array([7, 3, 7]))]
    [[1, 0, 2], [0, 1, 1], [1, 2]]
    """
    _, kind, size = np.unique(label, return_inverse=True, return_counts=True)
    order = np.argsort(kind, kind="stable")
    return order, np.ascontiguousarray(kind[order], np.int64), size


def _positive(**numbers):
    """Each a finite number above 0."""
    for name, a in numbers.items():
        if np.ndim(a) or not (np.real(a) > 0 and math.isfinite(np.real(a))):
            raise ValueError(f"{name} must be a positive number, found {a}")


def _reduction(reduction, known=("mean", "sum")):
    if reduction not in known:
        raise ValueError(f"reduction must be one of {', '.join(known)}, found {reduction!r}")


def _index(index, x, columns):
    """Rows of x: (n, columns) whole numbers."""
    index = np.asarray(index)
    if (
        index.ndim != 2
        or index.shape[1] != columns
        or (index.size and index.dtype.kind not in "iu")
    ):
        raise ValueError(
            f"index must be whole numbers (n, {columns}), found {index.dtype} {index.shape}"
        )
    if index.size and not 0 <= index.min() <= index.max() < len(x):
        raise ValueError(
            f"index must be rows of x, 0 to {len(x) - 1}, found {index.min()} to {index.max()}"
        )
    return index.astype(np.int64)
