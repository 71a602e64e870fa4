"""Supervised contrastive loss: all of one's class are positives."""

import numpy as np

from npssl.kernels import fast
from npssl.layers.log_sum_exp import log_sum_exp
from npssl.losses.expected import _by_class, _classes, _embeddings, _positive, _reduction


def sup_con(x, *, label, temperature: float = 0.1, reduction: str = "mean"):
    r"""Mean surprise at the others of one's class among all others.

    Parameters
    ----------
    x : (N, d)
    label : (N,) int            rows with equal labels are positives of each other
    temperature : float > 0     divides the dot products
    reduction : "mean" (nats per anchor that has a positive) or "sum"

    Returns
    -------
    value : ()          nats; no anchor with a positive: 0
    back : dvalue=1.0 -> dx (N, d)

    Keeps
    -----
    x, pull, counted, back_total

    Derivation
    ----------
    With P_i the others of i's class, and A the anchors whose P_i is not empty::

        s_ij  = <x_i, x_j> / temperature                                     (1)
        value = mean_{i in A} ( log sum_{j != i} exp(s_ij)
                                - sum_{p in P_i} s_ip / |P_i| )              (2)
        ds_ij = (p_ij - [j in P_i] / |P_i|) / |A|,   i in A, j != i          (3)
        dx    = (ds + ds^T) x / temperature                                  (4)

    (2) is the form of the paper with the mean outside the logarithm ("out"), which
    it found better: inside, positives that are already near take all the gradient.

    A fact to check by eye: with all s equal the value is log(N - 1); with two views of
    each instance and their number as label it is `npssl.losses.nt_xent.nt_xent`.

    Raises
    ------
    ValueError
        if x is not (N, d) or not finite, label is not N whole numbers, or temperature
        is not positive.

    Notes
    -----
    An anchor alone in its class is left out of the mean (but remains a negative of
    the others); the authors' program divides by its zero.  That program also
    multiplies by temperature / .07, which moves no optimum.  One class only: all
    others are positives, and the value is least, log(N - 1), where all s are equal.

    References
    ----------
    Khosla, Teterwak, Wang, Sarna, Tian, Isola, Maschinot, Liu & Krishnan, "Supervised
    Contrastive Learning", NeurIPS 2020, arXiv:2004.11362, eq. (2).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> x = np.random.default_rng(0).normal(size=(5, 4))
    >>> check(sup_con, x, label=np.array([0, 1, 0, 0, 1])) < 1e-12
    True
    >>> float(sup_con(x, label=np.arange(5))[0])
    0.0
    """
    _embeddings(x=x)
    label = _classes(label, x)
    _positive(temperature=temperature)
    _reduction(reduction)
    tau = float(temperature)
    if len(x) >= 256 and fast(x):
        return _tiled(x, label, tau, reduction)
    other = ~np.eye(len(x), dtype=bool)
    same = (label[:, None] == label) & other
    mates = same.sum(1, dtype=x.real.dtype)
    counted = mates > 0
    pull = same / np.maximum(mates, 1)[:, None]  # 1 / |P_i| for those in P_i
    n = max(1, int(counted.sum())) if reduction == "mean" else 1
    s = x @ x.T / tau  # (1)
    total, back_total = log_sum_exp(s, mask=other)
    value = (total[counted].sum() - (pull * s).sum()) / n  # (2)

    def back(dvalue=1.0):
        w = float(dvalue) / n
        ds = back_total(counted.astype(x.dtype)) - pull  # (3)
        return (ds + ds.T) @ x * (w / tau)  # (4)

    return value, back


def _tiled(x, label, tau, reduction):
    """The same in O(N d) memory; what pulls is a matter of the sums of classes."""
    from npssl.kernels.pairwise import OTHERS, Pairs

    order, kind, size = _by_class(label)
    z = x[order]
    mates = size[kind] - 1
    counted = mates > 0
    n = max(1, int(counted.sum())) if reduction == "mean" else 1
    of_class = np.add.reduceat(z, np.cumsum(size) - size, dtype=float)
    mean = ((of_class[kind] - z) / np.maximum(mates, 1)[:, None]).astype(x.dtype)
    pairs = Pairs(z, scale=1 / tau)
    total = pairs.sums(OTHERS)[0]
    pulled = np.einsum("ij,ij->i", z, mean) / np.float32(tau)
    value = np.float32((total - pulled)[counted].sum(dtype=float) / n)

    def back(dvalue=1.0):
        w = counted * np.float32(float(dvalue) / n)
        dz = pairs.pull(total, w, which=OTHERS)
        dz -= (2 / tau * w)[:, None] * mean
        dx = np.empty_like(x)
        dx[order] = dz
        return dx

    return value, back
