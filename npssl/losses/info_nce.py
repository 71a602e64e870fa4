"""InfoNCE: find the partner among N candidates."""

import numpy as np

from npssl.kernels import fast
from npssl.layers.log_sum_exp import log_sum_exp
from npssl.losses.expected import _embeddings, _positive, _reduction


def info_nce(
    query, key, *, temperature: float = 0.07, symmetric: bool = False, reduction: str = "mean"
):
    r"""Surprise at each query's own key among all keys, the own one included.

    Parameters
    ----------
    query : (N, d)      what looks for its partner
    key : (M, d)        candidates, M >= N: row i is the partner of query i, rows N and
        on are nobody's (a queue of older keys, hard negatives)
    temperature : float > 0     divides the dot products
    symmetric : bool    True: half of this plus half of each key's surprise at its own
        query (CLIP); then M = N
    reduction : "mean" (nats per query) or "sum"

    Returns
    -------
    value : ()          nats; no queries: 0
    back : dvalue=1.0 -> dquery (N, d), dkey (M, d)

    Keeps
    -----
    query, key, own, back_rows, back_columns

    Derivation
    ----------
    ::

        s_ij  = <query_i, key_j> / temperature                               (1)
        value = mean_i ( log sum_j exp(s_ij) - s_ii )                        (2)

    With p_ij = exp(s_ij) / sum_k exp(s_ik), "predicted minus observed"::

        ds_ij  = (p_ij - [i = j]) / N                                        (3)
        dquery = ds key / temperature,   dkey = ds^T query / temperature     (4)

    The symmetric form averages (2) with the same for the columns of s.

    **What it says about information.**  Where keys are drawn from the pairs'
    distribution, the best s is log p(key | query) / p(key) plus anything that
    depends on the query alone, and the mutual information of a pair is at least
    log M - value: so no more than log M can ever be shown, and the own key must be
    among the M that are counted.

    A fact to check by eye: the value is log M where nothing is known (all s equal),
    and dkey sums to a multiple of nothing but p - 1: rows of ds sum to 0.

    Raises
    ------
    ValueError
        if an argument is not (rows, d) of one width or not finite, there are fewer
        keys than queries (or, symmetric, not as many), or temperature is not positive.

    Notes
    -----
    Unit vectors are another op: `npssl.layers.similarity.unit`.  A temperature that
    is learnt: give ``scale * query`` and temperature 1.  The 2N - 1 candidates of
    SimCLR are `npssl.losses.nt_xent.nt_xent`.  Equal keys share the probability.
    Logits of 1e4 (temperature .01) are safe: the largest of a row is taken out.

    References
    ----------
    van den Oord, Li & Vinyals, "Representation Learning with Contrastive Predictive
    Coding", 2018, arXiv:1807.03748, eq. (4), and the bound in section 2.3.
    Radford et al., "Learning Transferable Visual Models From Natural Language
    Supervision", ICML 2021, arXiv:2103.00020, figure 3 (symmetric).
    He, Fan, Wu, Xie & Girshick, "Momentum Contrast for Unsupervised Visual
    Representation Learning", CVPR 2020, arXiv:1911.05722 (temperature .07, the queue).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> check(info_nce, rng.normal(size=(3, 4)), rng.normal(size=(5, 4))) < 1e-12
    True
    >>> round(float(info_nce(np.zeros((2, 4)), np.zeros((8, 4)))[0] / np.log(2)), 12)
    3.0
    """
    _embeddings(query=query, key=key)
    _positive(temperature=temperature)
    _reduction(reduction)
    N, M = len(query), len(key)
    if M < N or (symmetric and M != N):
        wanted = "exactly" if symmetric else "at least"
        raise ValueError(f"key must have {wanted} {N} rows, one for each query, found {M}")
    n = max(1, N) if reduction == "mean" else 1
    own = np.arange(N)
    tau = float(temperature)
    if N >= 256 and fast(query, key):
        return _tiled(query, key, tau, symmetric, n)
    s = query @ key.T / tau  # (1)
    rows, back_rows = log_sum_exp(s)
    columns, back_columns = log_sum_exp(s.T) if symmetric else (rows, None)
    value = ((rows + columns) / 2 - s[own, own]).sum() / n  # (2)

    def back(dvalue=1.0):
        w = np.full(N, float(dvalue) / n, query.dtype)
        ds = back_rows(w)
        if back_columns is not None:
            ds = (ds + back_columns(w).T) / 2
        ds[own, own] -= w  # (3)
        ds /= tau
        return ds @ key, ds.T @ query  # (4)

    return value, back


def _tiled(query, key, tau, symmetric, n):
    """The same in O((N + M) d) memory."""
    from npssl.kernels.pairwise import Pairs

    N, M = len(query), len(key)
    pairs = Pairs(query, key, scale=1 / tau)
    rows, columns = pairs.sums()
    own = np.einsum("ij,ij->i", query, key[:N]) / np.float32(tau)
    surprise = (rows + columns) / 2 if symmetric else rows
    value = np.float32((surprise - own).sum(dtype=float) / n)

    def back(dvalue=1.0):
        w = float(dvalue) / n
        one = np.full(N, w / 2 if symmetric else w, np.float32)
        two = np.full(M, w / 2 if symmetric else 0, np.float32)
        dquery, dkey = pairs.pull(rows, one, columns, two)
        dquery -= (w / tau) * key[:N]
        dkey[:N] -= (w / tau) * query
        return dquery, dkey

    return value, back
