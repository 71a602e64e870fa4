"""NT-Xent: two views of each instance, 2N - 1 candidates."""

import numpy as np

from npssl.kernels import fast
from npssl.layers.log_sum_exp import log_sum_exp
from npssl.losses.expected import _alike, _positive, _reduction


def nt_xent(x, y, *, temperature: float = 0.5, reduction: str = "mean"):
    r"""Surprise at the other view of one's own instance among all other 2N - 1 views.

    Parameters
    ----------
    x, y : (N, d)       two views: row i of both is the same instance
    temperature : float > 0     divides the dot products
    reduction : "mean" (nats per view, over 2N) or "sum"

    Returns
    -------
    value : ()          nats; no instances: 0.  One instance: 0 with no gradient, as
        there is nobody else
    back : dvalue=1.0 -> dx (N, d), dy (N, d)

    Keeps
    -----
    z, view, partner, back_total

    Derivation
    ----------
    Stack the views, z = (x; y), and let i' be the other view of i::

        s_ij  = <z_i, z_j> / temperature                                     (1)
        value = mean_i ( log sum_{j != i} exp(s_ij) - s_ii' )                (2)
        ds_ij = (p_ij - [j = i']) / 2N,   p_ij = 0 for j = i                 (3)

    Both z in (1) are the same array, so the gradient comes by both::

        dz = (ds + ds^T) z / temperature                                     (4)

    A fact to check by eye: with all s equal the value is log(2N - 1), not log N; a
    view is not its own candidate, and its partner is.

    Raises
    ------
    ValueError
        if x and y are not (N, d) of one shape or not finite, or temperature is not
        positive.

    Notes
    -----
    SimCLR puts unit vectors in (`npssl.layers.similarity.unit`): then the self
    similarity, which is left out, would be the largest of all.

    References
    ----------
    Chen, Kornblith, Norouzi & Hinton, "A Simple Framework for Contrastive Learning of
    Visual Representations", ICML 2020, arXiv:2002.05709, eq. (1).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> check(nt_xent, rng.normal(size=(3, 4)), rng.normal(size=(3, 4))) < 1e-12
    True
    >>> round(float(np.exp(nt_xent(np.zeros((4, 2)), np.zeros((4, 2)))[0])), 12)
    7.0
    """
    _alike(x=x, y=y)
    _positive(temperature=temperature)
    _reduction(reduction)
    N = len(x)
    n = max(1, 2 * N) if reduction == "mean" else 1
    tau = float(temperature)
    z = np.concatenate([x, y])
    if N >= 256 and fast(z):
        return _tiled(z, tau, n)
    view = np.arange(2 * N)
    partner = np.roll(view, N)
    s = z @ z.T / tau  # (1)
    total, back_total = log_sum_exp(s, mask=~np.eye(2 * N, dtype=bool))
    value = (total - s[view, partner]).sum() / n  # (2)

    def back(dvalue=1.0):
        w = np.full(2 * N, float(dvalue) / n, z.dtype)
        ds = back_total(w)
        ds[view, partner] -= w  # (3)
        dz = (ds + ds.T) @ z / tau  # (4)
        return dz[:N], dz[N:]

    return value, back


def _tiled(z, tau, n):
    """The same in O(N d) memory."""
    from npssl.kernels.pairwise import OTHERS, Pairs

    N = len(z) // 2
    pairs = Pairs(z, scale=1 / tau)
    total = pairs.sums(OTHERS)[0]
    own = np.einsum("ij,ij->i", z[:N], z[N:]) / np.float32(tau)
    value = np.float32((total.sum(dtype=float) - 2 * own.sum(dtype=float)) / n)

    def back(dvalue=1.0):
        w = float(dvalue) / n
        dz = pairs.pull(total, np.full(2 * N, w, np.float32), which=OTHERS)
        dz[:N] -= (2 * w / tau) * z[N:]
        dz[N:] -= (2 * w / tau) * z[:N]
        return dz[:N], dz[N:]

    return value, back
