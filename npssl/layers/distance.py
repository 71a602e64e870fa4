"""Distances between all rows of two sets."""

import numpy as np


def squared_distance(x, y):
    r"""Squared Euclidean distance of every row of x from every row of y.

    Parameters
    ----------
    x : (N, d)
    y : (M, d)

    Returns
    -------
    s : (N, M)      at least 0; exactly 0 for equal rows
    back : ds (N, M) -> dx (N, d), dy (M, d)

    Keeps
    -----
    x, y

    Derivation
    ----------
    ::

        s_ij = sum_k (x_ik - y_jk)^2                                         (1)

    x_i enters row i only, y_j column j only, both with the derivative
    +- 2 (x_i - y_j)::

        dx_i = 2 sum_j ds_ij (x_i - y_j) = 2 (x_i sum_j ds_ij - (ds y)_i)    (2)
        dy_j = 2 (y_j sum_i ds_ij - (ds^T x)_j)                              (3)

    A fact to check by eye: the sum of dx and of dy over all rows is 0, for moving
    everything moves no distance.

    Raises
    ------
    ValueError
        if x and y are not rows of one width.

    Notes
    -----
    Not |x|^2 + |y|^2 - 2 <x, y>, which loses all digits of the near ones, may come
    out negative, and whose root is then NaN.

    References
    ----------
    Hadsell, Chopra & LeCun, "Dimensionality Reduction by Learning an Invariant
    Mapping", CVPR 2006 (the distance that contrastive losses shape).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> squared_distance(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 0.0]]))[0].tolist()
    [[25.0, 0.0]]
    >>> rng = np.random.default_rng(0)
    >>> check(squared_distance, rng.normal(size=(3, 4)), rng.normal(size=(2, 4))) < 1e-12
    True
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"x and y must be (N, d) and (M, d), found {x.shape} and {y.shape}")
    s = np.empty((len(x), len(y)), np.result_type(x, y))
    for i, row in enumerate(x):
        s[i] = np.square(row - y).sum(1)  # (1)

    def back(ds):
        dx = 2 * (x * ds.sum(1)[:, None] - ds @ y)  # (2)
        dy = 2 * (y * ds.sum(0)[:, None] - ds.T @ x)  # (3)
        return dx, dy

    return s, back


def distance(x, y):
    r"""Euclidean distance of every row of x from every row of y.

    Parameters
    ----------
    x : (N, d)
    y : (M, d)

    Returns
    -------
    D : (N, M)
    back : dD (N, M) -> dx (N, d), dy (M, d); pairs at distance 0 give no gradient

    Keeps
    -----
    D, back_squared

    Derivation
    ----------
    With s the squared distances of `squared_distance`::

        D = sqrt(s),   dD/ds = 1 / (2 D)                                     (1)

    At D = 0 there is a cone's tip: every direction of length up to 1 is a
    subgradient, and 0 is the one that no rotation changes, so it is taken.

    A fact to check by eye: the gradient with respect to x_i of one distance is a
    vector of length 1, however far apart the two are.

    Raises
    ------
    ValueError
        if x and y are not rows of one width.

    References
    ----------
    Hadsell, Chopra & LeCun, "Dimensionality Reduction by Learning an Invariant
    Mapping", CVPR 2006, section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> distance(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 0.0]]))[0].tolist()
    [[5.0, 0.0]]
    >>> rng = np.random.default_rng(0)
    >>> check(distance, rng.normal(size=(3, 4)), rng.normal(size=(2, 4))) < 1e-12
    True
    """
    s, back_squared = squared_distance(x, y)
    D = np.sqrt(s)  # (1)

    def back(dD):
        zero = D == 0
        return back_squared(np.where(zero, 0, dD / np.where(zero, 1, 2 * D)))  # (1)

    return D, back
