"""K-means clustering, enough of it for a few thousand points."""

import numpy as np


def kmeans(x, k, *, seed=0, restarts=10, steps=300):
    """Cluster rows so that the squared distances to the cluster means are small.

    Lloyd's algorithm from k-means++ starts; of ``restarts`` runs the one with the
    smallest sum of squares.  Equal seeds give equal clusters.

    Parameters
    ----------
    x : (n, D) float
    k : int     clusters, at most n

    Returns
    -------
    which : (n,) int, 0 .. k - 1
    cost : float     sum of squared distances

    References
    ----------
    Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory
    28, 1982.  Arthur & Vassilvitskii, "k-means++: The Advantages of Careful Seeding",
    SODA 2007.

    Examples
    --------
    >>> which, cost = kmeans(np.array([[0.0], [1.0], [10.0], [11.0]]), 2)
    >>> bool(which[0] == which[1] != which[2] == which[3]), cost
    (True, 1.0)
    """
    x = np.asarray(x, np.float64)
    if not 1 <= k <= len(x):
        raise ValueError(f"k: expected 1 to {len(x)} clusters, found {k}")
    rng = np.random.default_rng(seed)
    runs = [_lloyd(x, _start(x, k, rng), steps) for _ in range(restarts)]
    return min(runs, key=lambda run: run[1])


def _start(x, k, rng):
    """k-means++: each next centre is a point, drawn in proportion to its squared distance."""
    centres = [x[rng.integers(len(x))]]
    nearest = np.full(len(x), np.inf)
    for _ in range(k - 1):
        nearest = np.minimum(nearest, np.square(x - centres[-1]).sum(1))
        far = nearest.sum()
        centres.append(x[rng.choice(len(x), p=nearest / far if far > 0 else None)])
    return np.array(centres)


def _lloyd(x, centres, steps):
    which = np.full(len(x), -1)
    for _ in range(steps):
        # |x - c|^2 without |x|^2, which is the same for all c
        distance = np.square(centres).sum(1) - 2 * x @ centres.T  # (n, k)
        before, which = which, distance.argmin(1)
        if (which == before).all():
            break
        for j in range(len(centres)):
            if (which == j).any():  # an empty cluster keeps its centre
                centres[j] = x[which == j].mean(0)
    return which, float(np.square(x - centres[which]).sum())
