"""Soft nearest neighbours: is the neighbour that one would draw of one's own class?"""

import numpy as np

from npssl.kernels import fast
from npssl.layers.distance import squared_distance
from npssl.layers.log_sum_exp import log_sum_exp
from npssl.losses.expected import _by_class, _classes, _embeddings, _positive, _reduction


def soft_nearest_neighbor(
    x, temperature, *, label, entangle: bool = False, reduction: str = "mean"
):
    r"""Surprise that a neighbour, drawn by nearness, is of one's own class.

    Parameters
    ----------
    x : (N, d)
    temperature : () > 0        in squared units of x; it has a gradient
    label : (N,) int
    entangle : bool             True: minus this, so that descent mixes the classes
    reduction : "mean" (nats per anchor that has a mate) or "sum"

    Returns
    -------
    value : ()                  nats; no anchor with a mate: 0
    back : dvalue=1.0 -> dx (N, d), dtemperature ()

    Keeps
    -----
    D, tau, given, counted, back_all, back_mates, back_distance

    Derivation
    ----------
    Draw i's neighbour j != i with probability in proportion to exp(s_ij)::

        D_ij  = |x_i - x_j|^2,   s = -D / temperature                        (1)
        value = mean_{i in A} ( log sum_{j != i} exp(s_ij)
                                - log sum_{j in P_i} exp(s_ij) )             (2)

    with P_i the others of i's class and A the anchors that have any.  With p_ij and
    q_ij the two softmaxes of row i, over all others and over P_i::

        ds_ij = (p_ij - q_ij) / |A|                                          (3)
        dD    = -ds / temperature                                            (4)
        dtemperature = sum ds D / temperature^2                              (5)

    and dx from dD by the page of `npssl.layers.distance.squared_distance`, once for
    each of its two arguments.

    A fact to check by eye: each row of ds sums to 0; one class only: the value is 0 and
    so are the gradients.  temperature -> 0 counts, for each anchor, whether its one
    nearest neighbour is a mate: the value is then its excess distance / temperature.

    Raises
    ------
    ValueError
        if x is not (N, d) or not finite, label is not N whole numbers, or temperature is
        not one positive number.

    Notes
    -----
    No epsilon anywhere: two log-sum-exps, each with its own largest score taken out.
    An anchor without a mate is left out (log 0 otherwise).  Frosst et al. take the
    temperature at the minimum of the loss for both signs: with ``entangle``, go up in
    temperature, not down, as its gradient is that of minus the loss.

    References
    ----------
    Salakhutdinov & Hinton, "Learning a Nonlinear Embedding by Preserving Class
    Neighbourhood Structure", AISTATS 2007, PMLR 2, 412-419.
    Frosst, Papernot & Hinton, "Analyzing and Improving Representations with the Soft
    Nearest Neighbor Loss", ICML 2019, arXiv:1902.01889, eq. (1).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> x = np.random.default_rng(0).normal(size=(5, 4))
    >>> check(soft_nearest_neighbor, x, np.array(2.0), label=np.array([0, 1, 0, 0, 1])) < 1e-12
    True
    """
    _embeddings(x=x)
    label = _classes(label, x)
    _positive(temperature=temperature)
    _reduction(reduction)
    given = np.asarray(temperature)
    tau = given if np.iscomplexobj(given) else given.astype(x.real.dtype)
    if len(x) >= 256 and fast(x):
        return _tiled(x, given, label, -1 if entangle else 1, reduction)
    other = ~np.eye(len(x), dtype=bool)
    same = (label[:, None] == label) & other
    counted = same.any(1)
    n = max(1, int(counted.sum())) if reduction == "mean" else 1
    sign = -1 if entangle else 1
    D, back_distance = squared_distance(x, x)
    s = -D / tau  # (1)
    every, back_all = log_sum_exp(s, mask=other)
    mates, back_mates = log_sum_exp(s, mask=same)
    value = sign * (every[counted] - mates[counted]).sum() / n  # (2)

    def back(dvalue=1.0):
        w = counted * x.dtype.type(sign * float(dvalue) / n)
        ds = back_all(w) - back_mates(w)  # (3)
        one, two = back_distance(-ds / tau)  # (4)
        return one + two, ((ds * D).sum() / np.square(tau)).astype(given.dtype)  # (5)

    return value, back


def _tiled(x, given, label, sign, reduction):
    """The same in O(N d) memory.

    The value is a function of x / temperature^(1/2) alone, so by Euler's theorem
    dtemperature = -<x, dx> / (2 temperature).
    """
    from npssl.kernels.pairwise import OTHERS, SAME, SQUARE, Pairs

    tau = float(given)
    order, kind, size = _by_class(label)
    z = (x - x.mean(0))[order]  # short vectors keep the digits of their distances
    counted = (size > 1)[kind]
    n = max(1, int(counted.sum())) if reduction == "mean" else 1
    pairs = Pairs(z, scale=1 / tau, kind=SQUARE, label=kind)
    every, mates = pairs.sums(OTHERS)[0], pairs.sums(SAME)[0]
    value = np.float32(sign * (every - mates)[counted].sum(dtype=float) / n)

    def back(dvalue=1.0):
        w = counted * np.float32(sign * float(dvalue) / n)
        dz = pairs.pull(every, w, which=OTHERS)
        dz += pairs.pull(mates, -w, which=SAME)
        dx = np.empty_like(x)
        dx[order] = dz
        dtau = -np.einsum("ij,ij->", z, dz, dtype=float) / (2 * tau)
        return dx, np.asarray(dtau, given.dtype)

    return value, back
