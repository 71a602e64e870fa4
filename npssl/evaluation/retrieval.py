"""Are the nearest rows of the same class?  Recall@k, MAP@R, NMI and F1 of clusters; neighbours.

Distances are taken for some rows at a time, by a matrix product: the memory is O(N d).
"""

import math

import numpy as np

from npssl.errors import require
from npssl.evaluation.kmeans import kmeans

BLOCK = 1 << 22  # similarities at a time


def nearest(query, key, k: int, *, skip_own: bool = False):
    """The k rows of ``key`` nearest to each row of ``query``, nearest first.

    Parameters
    ----------
    query : (M, d) float
    key : (N, d) float
    k : int             1 to N (N - 1 with ``skip_own``)
    skip_own : bool     query is key, and no row is its own neighbour

    Returns
    -------
    index : (M, k) int          of equally near rows the lower number first
    distance : (M, k) float     Euclidean

    Examples
    --------
    >>> x = np.array([[0.0], [1.0], [3.0]])
    >>> nearest(x, x, 1, skip_own=True)[0].ravel().tolist()
    [1, 0, 1]
    """
    query, key = _asked(query, key, k, skip_own)
    squares = np.square(key).sum(1)
    index = np.empty((len(query), k), np.int64)
    found = np.empty((len(query), k), query.dtype)
    step = max(1, BLOCK // len(key))
    for first in range(0, len(query), step):
        part = query[first : first + step]
        D = squares - 2 * part @ key.T  # |q - k|^2 without |q|^2, the same for all k
        rows = np.arange(len(part))
        if skip_own:
            D[rows, first + rows] = math.inf
        kth = np.partition(D, k - 1, 1)[:, k - 1 : k]
        for i in rows:
            near = np.flatnonzero(D[i] <= kth[i])
            index[first + i] = near[np.argsort(D[i, near], kind="stable")[:k]]
        at = index[first : first + step]
        found[first : first + step] = np.take_along_axis(D, at, 1) + np.square(part).sum(1)[:, None]
    return index, np.sqrt(np.maximum(found, 0))


def nearly_nearest(query, key, k: int, *, effort: int = 128):
    """As `nearest`, by a graph (HNSW): most of the true neighbours, without all distances.

    Parameters
    ----------
    query : (M, d) float
    key : (N, d) float
    k : int             1 to N
    effort : int        candidates that are kept while the graph is built and searched;
                        more of them find more of the true neighbours, in more time

    Returns
    -------
    index : (M, k) int
    distance : (M, k) float32     Euclidean

    Raises
    ------
    MissingExtra
        without usearch, which the extra ``index`` brings.

    Notes
    -----
    The graph is built anew at each call, by one thread, so that it is the same each time:
    it pays for many queries.  A row for which the graph has fewer than k answers gets the
    exact ones.

    References
    ----------
    Malkov & Yashunin, "Efficient and robust approximate nearest neighbor search using
    Hierarchical Navigable Small World graphs", 2016, arXiv:1603.09320.
    """
    query, key = _asked(query, key, k)
    if effort < 1:
        raise ValueError(f"effort: expected 1 or more, found {effort}")
    usearch = require("usearch.index", extra="index")
    graph = usearch.Index(
        ndim=key.shape[1],
        metric="l2sq",
        dtype="f32",
        expansion_add=effort,
        expansion_search=max(effort, k),
    )
    graph.add(np.arange(len(key)), np.ascontiguousarray(key, np.float32), threads=1)
    found = graph.search(np.ascontiguousarray(query, np.float32), k, threads=1)
    index = np.asarray(found.keys).reshape(len(query), k).astype(np.int64)
    distance = np.sqrt(np.maximum(np.asarray(found.distances).reshape(len(query), k), 0))
    short = np.flatnonzero(np.asarray(getattr(found, "counts", [k] * len(query))) < k)
    if len(short):
        index[short], distance[short] = nearest(query[short], key, k)
    return index, distance


def retrieval(x, label, *, ks=(1, 2, 4, 8)) -> dict:
    """Recall@k and MAP@R, each row a query among all others.

    Parameters
    ----------
    x : (N, d) float
    label : (N,) int
    ks : tuple of int

    Returns
    -------
    dict
        ``recall@k``: the share of queries with one of their class among the k nearest;
        ``map@r``: with R others of its class, the mean over the places 1 ... R of the
        precision up to there, counted where the place is right (0 elsewhere).

    Queries that are alone in their class are left out; if all are, the figures are 0.

    References
    ----------
    Musgrave, Belongie & Lim, "A Metric Learning Reality Check", ECCV 2020, arXiv:2003.08505,
    section 3.2 (MAP@R).

    Examples
    --------
    >>> x = np.array([[0.0], [1.0], [5.0], [5.5]])
    >>> retrieval(x, [0, 0, 1, 1], ks=(1,))
    {'recall@1': 1.0, 'map@r': 1.0}
    """
    x, label = _rows("x", x), _labels(label, x)
    _, kind, size = np.unique(label, return_inverse=True, return_counts=True)
    R = size[kind] - 1
    asked = np.flatnonzero(R > 0)
    if not len(asked):
        return {**{f"recall@{k}": 0.0 for k in ks}, "map@r": 0.0}
    deep = max(*ks, int(R.max()))
    index, _ = nearest(x, x, min(deep, len(x) - 1), skip_own=True)
    right = label[index[asked]] == label[asked, None]
    figures = {f"recall@{k}": float(right[:, :k].any(1).mean()) for k in ks}
    place = np.arange(1, right.shape[1] + 1)
    counts = place <= R[asked, None]
    precision = np.cumsum(right, 1) / place
    figures["map@r"] = float(((precision * right * counts).sum(1) / R[asked]).mean())
    return figures


def clustering(x, label, *, seed: int = 0, restarts: int = 3) -> dict:
    """NMI and pairwise F1 of k-means with as many clusters as there are classes.

    >>> x = np.array([[0.0], [1.0], [9.0], [9.5]])
    >>> clustering(x, [0, 0, 1, 1])
    {'nmi': 1.0, 'f1': 1.0}
    """
    x, label = _rows("x", x), _labels(label, x)
    which, _ = kmeans(x, len(np.unique(label)), seed=seed, restarts=restarts, steps=30)
    return {"nmi": nmi(which, label), "f1": pairwise_f1(which, label)}


def nmi(found, expected) -> float:
    """Normalised mutual information: 2 I(a; b) / (H(a) + H(b)), from 0 to 1.

    Both of one class only: 1.  Manning, Raghavan & Schutze, "Introduction to Information
    Retrieval", 2008, section 16.3.

    >>> nmi([0, 0, 1, 1], [5, 5, 3, 3]), nmi([0, 1, 0, 1], [0, 0, 1, 1])
    (1.0, 0.0)
    """
    both = _table(found, expected)
    joint = both / both.sum()
    a, b = joint.sum(1), joint.sum(0)
    sides = _entropy(a) + _entropy(b)
    if sides == 0:
        return 1.0
    shared = sides - _entropy(joint.ravel())
    return float(min(1.0, max(0.0, 2 * shared / sides)))


def pairwise_f1(found, expected) -> float:
    """F1 of "these two belong together" over all pairs; 0 where no pair is right.

    >>> pairwise_f1([0, 0, 0, 1], [0, 0, 1, 1])
    0.4
    """
    both = _table(found, expected).astype(np.int64)
    pairs = lambda n: int((n * (n - 1) // 2).sum())
    hits, a, b = pairs(both), pairs(both.sum(1)), pairs(both.sum(0))
    return 2 * hits / (a + b) if hits else 0.0


def one_shot(support, test, answer) -> float:
    """The share of test rows whose nearest support row is the right one.

    >>> one_shot(np.array([[0.0], [4.0]]), np.array([[1.0], [3.5], [1.5]]), [0, 1, 1])
    0.6666666666666666
    """
    index, _ = nearest(test, support, 1)
    return float((index[:, 0] == np.asarray(answer)).mean())


def _entropy(p):
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def _table(found, expected):
    """How many rows have which two classes."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape or found.ndim != 1 or not len(found):
        raise ValueError(f"found: expected the shape {expected.shape}, found {found.shape}")
    a = np.unique(found, return_inverse=True)[1]
    b = np.unique(expected, return_inverse=True)[1]
    return np.bincount(a * (b.max() + 1) + b, minlength=(a.max() + 1) * (b.max() + 1)).reshape(
        a.max() + 1, b.max() + 1
    )


def _asked(query, key, k, skip_own=False):
    """The rows that ask and those that are asked, if they and k fit together."""
    query, key = _rows("query", query), _rows("key", key)
    if query.shape[1] != key.shape[1]:
        raise ValueError(f"key: expected width {query.shape[1]}, found {key.shape[1]}")
    if skip_own and query.shape != key.shape:
        raise ValueError(f"skip_own: query must be key, found {query.shape} and {key.shape}")
    most = len(key) - skip_own
    if not 1 <= k <= most:
        raise ValueError(f"k: expected 1 to {most}, found {k}")
    return query, key


def _rows(name, x):
    x = np.asarray(x)
    if x.ndim != 2 or not len(x) or x.dtype.kind != "f" or not np.isfinite(x).all():
        raise ValueError(
            f"{name}: expected finite numbers (N, d), found {x.dtype} {x.shape} or NaN"
        )
    return x


def _labels(label, x):
    label = np.asarray(label)
    if label.shape != x.shape[:1] or label.dtype.kind not in "iu":
        raise ValueError(
            f"label: expected {len(x)} whole numbers, found {label.dtype} {label.shape}"
        )
    return label
