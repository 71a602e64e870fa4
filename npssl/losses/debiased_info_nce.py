"""InfoNCE corrected for negatives that are none."""

import math

import numpy as np

from npssl.losses.expected import _embeddings, _positive, _reduction


def debiased_info_nce(
    query, key, *, temperature: float = 0.5, prior: float = 0.1, reduction: str = "mean"
):
    r"""InfoNCE, less what a share of false negatives is expected to add.

    Parameters
    ----------
    query : (N, d)              unit vectors
    key : (M, d)                unit vectors, M >= N: row i is the partner of query i
    temperature : float > 0     divides the dot products
    prior : 0 <= float < 1      the probability that a random key is a positive
    reduction : "mean" (nats per query) or "sum"

    Returns
    -------
    value : ()                  nats; no queries: 0
    back : dvalue=1.0 -> dquery (N, d), dkey (M, d)

    Keeps
    -----
    query, key, ds

    Derivation
    ----------
    A random key is, with probability prior, of the query's own kind.  So the mean of
    exp(s) over random keys is prior times that over positives plus (1 - prior) times that
    over true negatives; solve for the last, with the partner as the one known positive
    and n = M - 1 random keys::

        s_ij   = <query_i, key_j> / temperature                              (1)
        free_i = (sum_{j != i} exp(s_ij) - n prior exp(s_ii)) / (1 - prior)  (2)
        G_i    = max(free_i, n exp(-1 / temperature))                        (3)
        value  = mean_i ( log(exp(s_ii) + G_i) - s_ii )                      (4)

    (3) is the least that n negatives on the unit sphere can have; an estimate may fall
    below.  With T = exp(s_ii) + G_i and on = [free > floor]::

        ds_ij = on exp(s_ij) / ((1 - prior) T) / N                           (5)
        ds_ii = (exp(s_ii) (1 - on n prior / (1 - prior)) / T - 1) / N       (6)

    A fact to check by eye: prior = 0 is `npssl.losses.info_nce.info_nce`, for unit vectors.

    Raises
    ------
    ValueError
        as `npssl.losses.info_nce.info_nce`, or if prior is not in [0, 1).

    References
    ----------
    Chuang, Robinson, Lin, Torralba & Jegelka, "Debiased Contrastive Learning", NeurIPS
    2020, arXiv:2007.00224, eqs. (7)-(8).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> from npssl.layers.similarity import unit
    >>> x, y = (unit(a)[0] for a in np.random.default_rng(0).normal(size=(2, 5, 3)))
    >>> check(debiased_info_nce, x, y) < 1e-12
    True
    """
    _embeddings(query=query, key=key)
    _positive(temperature=temperature)
    _reduction(reduction)
    N, M = len(query), len(key)
    if M < N:
        raise ValueError(f"key must have at least {N} rows, one for each query, found {M}")
    if not 0 <= prior < 1:
        raise ValueError(f"prior must be a probability below 1, found {prior}")
    tau, rest, own = float(temperature), 1 - float(prior), np.arange(N)
    n = max(1, N) if reduction == "mean" else 1
    s = query @ key.T / tau  # (1)
    top = np.maximum(s.real.max(1, initial=-math.inf), -1 / tau)[:, None]  # nothing overflows
    e = np.exp(s - top)
    partner = e[own, own]
    others = (M - 1) * float(prior)
    free = (e.sum(1) - partner - others * partner) / rest  # (2)
    floor = (M - 1) * np.exp(-1 / tau - top[:, 0])
    on = free.real > floor
    total = partner + np.where(on, free, floor)  # (3)
    value = (np.log(total) - (s[own, own] - top[:, 0])).sum() / n  # (4)
    ds = np.where(on, 1 / (rest * total), 0)[:, None] * e  # (5)
    ds[own, own] = partner * (1 - on * (others / rest)) / total - 1  # (6)

    def back(dvalue=1.0):
        d = ds * (float(dvalue) / (n * tau))
        return d @ key, d.T @ query

    return value, back
