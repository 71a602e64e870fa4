"""Mutual information from a matrix of scores: the bounds and estimates that a critic gives.

Entry (i, j) of the scores is critic(x_i, c_j), where (x_i, c_i) were drawn together: the
diagonal holds N pairs from the joint distribution p(x, c), all else N (N - 1) pairs from the
product p(x) p(c).  Every op is to be made large: a loss is ``-value``.
"""

import math

import numpy as np

from npssl.layers.activation import sigmoid, softplus
from npssl.layers.log_sum_exp import log_sum_exp


def info_nce_bound(scores):
    r"""How many nats InfoNCE shows: log N minus the surprise at the partner.

    Parameters
    ----------
    scores : (N, N)     critic of row i and column j, N >= 1; pairs on the diagonal

    Returns
    -------
    value : ()          nats, at most log N
    back : dvalue=1.0 -> dscores (N, N)

    Keeps
    -----
    back_rows

    Derivation
    ----------
    ::

        value = log N + mean_i ( s_ii - log sum_j exp(s_ij) )                (1)
        ds_ij = ( [i = j] - exp(s_ij) / sum_k exp(s_ik) ) / N                (2)

    Every term of the mean is negative, so whatever the critic and the data::

        value <= log N                                                       (3)

    and in expectation over batches it is no more than the mutual information::

        E value <= I(x; c)                                                   (4)

    Raises
    ------
    ValueError
        if scores is not a square matrix of finite numbers, N >= 1.

    References
    ----------
    van den Oord, Li & Vinyals, "Representation Learning with Contrastive Predictive
    Coding", 2018, arXiv:1807.03748, section 2.3.
    Poole, Ozair, van den Oord, Alemi & Tucker, "On Variational Bounds of Mutual
    Information", ICML 2019, arXiv:1905.06922.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> check(info_nce_bound, np.random.default_rng(0).normal(size=(4, 4))) < 1e-12
    True
    >>> round(float(info_nce_bound(99 * np.eye(8))[0] / np.log(2)), 12)
    3.0
    """
    _square(scores, 1)
    N, dtype = len(scores), scores.dtype
    total, back_rows = log_sum_exp(scores)
    value = math.log(N) + (np.diagonal(scores) - total).mean()  # (1)

    def back(dvalue=1.0):
        w = np.full(N, float(dvalue) / N, dtype)
        return np.diag(w) - back_rows(w)  # (2)

    return value, back


def tuba(scores, log_baseline):
    r"""A bound with a baseline for each row, which may be learnt.

    Parameters
    ----------
    scores : (N, N)     critic of row i and column j, N >= 2; pairs on the diagonal
    log_baseline : (N,)     a guess of log E exp(s_ij) over the columns j of row i

    Returns
    -------
    value : ()          nats
    back : dvalue=1.0 -> dscores (N, N), dlog_baseline (N,)

    Keeps
    -----
    push

    Derivation
    ----------
    The tangent of the logarithm at a > 0 lies above it::

        log z <= z / a + log a - 1                                           (1)

    With it the logarithm of a mean (see `donsker_varadhan`) becomes a mean, of which a
    batch gives an estimate without bias.  With b the logarithms of the baselines::

        value = 1 + mean_i (s_ii - b_i) - mean_{i != j} exp(s_ij - b_i)      (2)
        E value <= I(x; c)                                                   (3)
        ds_ij = [i = j] / N - [i != j] exp(s_ij - b_i) / (N (N - 1))         (4)
        db_i  = - sum_j ds_ij                                                (5)

    (3) is an equality at s = log p(x | c) / p(x), b = 0.

    Raises
    ------
    ValueError
        if scores is not a square matrix of finite numbers, N >= 2, or log_baseline not
        N finite numbers.

    Notes
    -----
    With one number, the logarithm of a moving average of mean exp(s), as baseline, ds is
    the gradient that MINE puts in place of the one of `donsker_varadhan`.  exp may
    overflow: value is then -inf.  The variance grows with the exponential of I.

    References
    ----------
    Poole, Ozair, van den Oord, Alemi & Tucker, "On Variational Bounds of Mutual
    Information", ICML 2019, arXiv:1905.06922 (TUBA).
    Belghazi et al., "Mutual Information Neural Estimation", ICML 2018, arXiv:1801.04062
    (the moving average).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> check(tuba, rng.normal(size=(4, 4)), rng.normal(size=4)) < 1e-12
    True
    """
    off = _square(scores, 2)
    N = len(scores)
    _baseline(log_baseline, N)
    gap = scores - log_baseline[:, None]
    push = np.where(off, np.exp(np.where(off, gap, 0)), 0) / (N * (N - 1))
    value = 1 + np.diagonal(gap).mean() - push.sum()  # (2)

    def back(dvalue=1.0):
        d = float(dvalue)
        ds = np.diag(np.full(N, d / N, push.dtype)) - d * push  # (4)
        return ds, -ds.sum(1)  # (5)

    return value, back


def nwj(scores):
    r"""The bound of Nguyen, Wainwright and Jordan: `tuba` with baseline e.

    Parameters
    ----------
    scores : (N, N)     critic of row i and column j, N >= 2; pairs on the diagonal

    Returns
    -------
    value : ()          nats
    back : dvalue=1.0 -> dscores (N, N)

    Keeps
    -----
    back_tuba

    Derivation
    ----------
    ::

        value = mean_i s_ii - mean_{i != j} exp(s_ij - 1)                    (1)
        E value <= I(x; c)                                                   (2)
        ds_ij = [i = j] / N - [i != j] exp(s_ij - 1) / (N (N - 1))           (3)

    (2) is an equality at s = 1 + log p(x | c) / p(x): note the 1.

    Raises
    ------
    ValueError
        if scores is not a square matrix of finite numbers, N >= 2.

    References
    ----------
    Nguyen, Wainwright & Jordan, "Estimating divergence functionals and the likelihood
    ratio by convex risk minimization", IEEE Transactions on Information Theory 56(11),
    2010, arXiv:0809.0853.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> check(nwj, np.random.default_rng(0).normal(size=(4, 4))) < 1e-12
    True
    >>> float(nwj(np.ones((3, 3)))[0])
    0.0
    """
    _square(scores, 2)
    value, back_tuba = tuba(scores, np.ones(len(scores), scores.dtype))

    def back(dvalue=1.0):
        return back_tuba(dvalue)[0]

    return value, back


def smile(scores, *, clip: float = 5.0):
    r"""`donsker_varadhan` with the scores of the product cut off: less variance, some bias.

    Parameters
    ----------
    scores : (N, N)     critic of row i and column j, N >= 2; pairs on the diagonal
    clip : float > 0    nats: largest size of a score off the diagonal; may be infinite

    Returns
    -------
    value : ()          nats; no bound, as the cut may lower the mean that is taken off
    back : dvalue=1.0 -> dscores (N, N)

    Keeps
    -----
    inside, back_mean

    Derivation
    ----------
    With c_ij = min(max(s_ij, -clip), clip)::

        value = mean_i s_ii - log mean_{i != j} exp(c_ij)                    (1)
        q_ij  = [i != j] exp(c_ij) / sum_{k != l} exp(c_kl)                  (2)
        ds_ij = [i = j] / N - [|s_ij| < clip] q_ij                           (3)

    Raises
    ------
    ValueError
        if scores is not a square matrix of finite numbers, N >= 2, or clip not positive.

    Notes
    -----
    The authors train the critic by `js` and read the information with (1).

    References
    ----------
    Song & Ermon, "Understanding the Limitations of Variational Mutual Information
    Estimators", ICLR 2020, arXiv:1910.06222.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> s = 3 * np.random.default_rng(0).normal(size=(4, 4))
    >>> check(smile, s, clip=2.0) < 1e-12
    True
    >>> bool(smile(s, clip=99.0)[0] == donsker_varadhan(s)[0])
    True
    """
    off = _square(scores, 2)
    if not clip > 0:
        raise ValueError(f"clip must be positive, found {clip}")
    N, dtype, clip = len(scores), scores.dtype, float(clip)
    inside = abs(scores.real) < clip
    cut = np.where(inside, scores, np.clip(scores.real, -clip, clip))
    total, back_mean = log_sum_exp(cut.reshape(-1), mask=off.reshape(-1))
    value = np.diagonal(scores).mean() - (total - math.log(N * (N - 1)))  # (1)

    def back(dvalue=1.0):
        d = np.asarray(float(dvalue), dtype)
        return np.diag(np.full(N, d / N)) - inside * back_mean(d).reshape(N, N)  # (3)

    return value, back


def donsker_varadhan(scores):
    r"""The representation of Donsker and Varadhan, as MINE maximises it.

    Parameters
    ----------
    scores : (N, N)     critic of row i and column j, N >= 2; pairs on the diagonal

    Returns
    -------
    value : ()          nats; the logarithm of a mean over a batch makes it too large:
        a bound in the limit of many pairs only
    back : dvalue=1.0 -> dscores (N, N)

    Keeps
    -----
    inside, back_mean

    Derivation
    ----------
    ::

        value = mean_i s_ii - log mean_{i != j} exp(s_ij)                    (1)
        ds_ij = [i = j] / N - [i != j] exp(s_ij) / sum_{k != l} exp(s_kl)    (2)

    With expectations in place of the means, (1) is::

        E_{p(x, c)} s - log E_{p(x) p(c)} exp(s) <= I(x; c)                  (3)

    with equality where s is log p(x | c) / p(x) plus any constant.

    Raises
    ------
    ValueError
        if scores is not a square matrix of finite numbers, N >= 2.

    References
    ----------
    Donsker & Varadhan, "Asymptotic evaluation of certain Markov process expectations for
    large time. IV", Communications on Pure and Applied Mathematics 36(2), 1983, 183-212.
    Belghazi et al., "Mutual Information Neural Estimation", ICML 2018, arXiv:1801.04062.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> s = np.random.default_rng(0).normal(size=(4, 4))
    >>> check(donsker_varadhan, s) < 1e-12
    True
    >>> bool(abs(donsker_varadhan(s + 7)[0] - donsker_varadhan(s)[0]) < 1e-12)
    True
    """
    return smile(scores, clip=math.inf)


def js(scores):
    r"""A bound on the Jensen-Shannon divergence of joint and product: to train a critic.

    Parameters
    ----------
    scores : (N, N)     critic of row i and column j, N >= 2; pairs on the diagonal

    Returns
    -------
    value : ()          nats of Jensen-Shannon divergence, at most log 2: not of information
    back : dvalue=1.0 -> dscores (N, N)

    Keeps
    -----
    pull

    Derivation
    ----------
    Tell pairs from the joint from pairs of the product, as often the one as the other::

        value = log 2 - mean_i softplus(-s_ii) / 2 - mean_{i != j} softplus(s_ij) / 2  (1)
        ds_ij = [i = j] sigmoid(-s_ij) / (2 N) - [i != j] sigmoid(s_ij) / (2 N (N - 1))  (2)
        E value <= JSD(p(x, c), p(x) p(c)) <= log 2                          (3)

    with equality at s = log p(x | c) / p(x).

    Raises
    ------
    ValueError
        if scores is not a square matrix of finite numbers, N >= 2.

    Notes
    -----
    Its use: the gradient (2) is bounded, so a critic trains without the outliers of
    exp(s).  What the critic knows is then read in nats of mutual information from
    ``nwj(scores + 1)`` (a bound) or `smile`.

    References
    ----------
    Nowozin, Cseke & Tomioka, "f-GAN: Training Generative Neural Samplers using
    Variational Divergence Minimization", NIPS 2016, arXiv:1606.00709.
    Hjelm et al., "Learning deep representations by mutual information estimation and
    maximization", ICLR 2019, arXiv:1808.06670.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> check(js, np.random.default_rng(0).normal(size=(4, 4))) < 1e-12
    True
    >>> round(abs(float(js(np.zeros((3, 3)))[0])), 12)
    0.0
    """
    off = _square(scores, 2)
    N, sign = len(scores), np.where(off, 1, -1).astype(scores.real.dtype)
    weight = np.where(off, 0.5 / (N * (N - 1)), 0.5 / N).astype(scores.real.dtype)
    value = math.log(2) - (weight * softplus(sign * scores)[0]).sum()  # (1)
    pull = -sign * weight * sigmoid(sign * scores)[0]

    def back(dvalue=1.0):
        return float(dvalue) * pull  # (2)

    return value, back


def interpolated(scores, log_baseline, *, alpha: float = 0.5):
    r"""Between `tuba` (alpha 0) and `info_nce_bound` (alpha 1): bias against variance.

    Parameters
    ----------
    scores : (N, N)     critic of row i and column j, N >= 2; pairs on the diagonal
    log_baseline : (N,)     a guess of log E exp(s_ij) over the columns j of row i
    alpha : float       weight of the batch's own mean in the baseline, 0 to 1

    Returns
    -------
    value : ()          nats, at most 1 + log(N / alpha)
    back : dvalue=1.0 -> dscores (N, N), dlog_baseline (N,)

    Keeps
    -----
    ratio, back_all, back_off, back_u, back_v, push

    Derivation
    ----------
    The baseline of `tuba` may look at the other columns too.  The mean of exp(s_ij) over
    all columns, or over those that are no partner, is mixed with exp(b_i)::

        u_i = log( alpha mean_j exp(s_ij) + (1 - alpha) exp(b_i) )           (1)
        v_i = log( alpha mean_{j != i} exp(s_ij) + (1 - alpha) exp(b_i) )    (2)
        r_i = mean_{j != i} exp(s_ij - v_i)                                  (3)
        value = 1 + mean_i (s_ii - u_i) - mean_i r_i                         (4)

    As v_i depends on s, so does r_i through it::

        du_i = -1 / N,   dv_i = r_i / N                                      (5)

    and the chain rule through (1)-(3) gives ds and db.

    At alpha = 1 every r_i is 1, and (4) is InfoNCE; at alpha = 0, u = v = b.

    Raises
    ------
    ValueError
        if scores is not a square matrix of finite numbers, N >= 2, log_baseline not N
        finite numbers, or alpha not within 0 and 1.

    Notes
    -----
    The paper's bound draws N columns for both terms; a batch has only N - 1 that are
    independent of a row, hence (2).  The mean of r over N would be a little larger (a
    concave function of a mean), so between the two ends E value may exceed the paper's
    bound by that little; at both ends it does not.

    References
    ----------
    Poole, Ozair, van den Oord, Alemi & Tucker, "On Variational Bounds of Mutual
    Information", ICML 2019, arXiv:1905.06922 (the interpolated bound).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> s, b = rng.normal(size=(4, 4)), rng.normal(size=4)
    >>> check(interpolated, s, b, alpha=0.3) < 1e-12
    True
    >>> bool(abs(interpolated(s, b, alpha=1.0)[0] - info_nce_bound(s)[0]) < 1e-12)
    True
    """
    off = _square(scores, 2)
    N, dtype = len(scores), scores.dtype
    _baseline(log_baseline, N)
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be between 0 and 1, found {alpha}")
    if alpha == 0:  # nothing of the batch holds the exponentials down
        return tuba(scores, log_baseline)
    total_all, back_all = log_sum_exp(scores)
    total_off, back_off = log_sum_exp(scores, mask=off)
    mean_off = total_off - math.log(N - 1)
    u, back_u = _mix(total_all - math.log(N), log_baseline, float(alpha))  # (1)
    v, back_v = _mix(mean_off, log_baseline, float(alpha))  # (2)
    ratio = np.exp(mean_off - v)  # (3)
    value = 1 + (np.diagonal(scores) - u).mean() - ratio.mean()  # (4)

    def back(dvalue=1.0):
        w = np.full(N, float(dvalue) / N, dtype)
        d_all, db_u = back_u(-w)  # (5)
        d_off, db_v = back_v(w * ratio)
        ds = np.diag(w) + back_all(d_all) + back_off(d_off - w * ratio)
        return ds, db_u + db_v

    return value, back


def _mix(p, q, alpha):
    """log(alpha exp(p) + (1 - alpha) exp(q)), also where alpha is 1."""
    rest = math.log(1 - alpha) if alpha < 1 else 0.0
    mask = np.broadcast_to([True, alpha < 1], (len(p), 2))
    y, back_two = log_sum_exp(np.stack([p + math.log(alpha), q + rest], -1), mask=mask)
    return y, lambda dy: tuple(back_two(dy).T)


def _square(scores, least):
    """Finite (N, N), N at least as said; returns where the pairs of the product are."""
    if scores.ndim != 2 or scores.shape[0] != scores.shape[1] or len(scores) < least:
        raise ValueError(f"scores must be (N, N) with N >= {least}, found shape {scores.shape}")
    if not np.isfinite(scores).all():
        bad = np.argwhere(~np.isfinite(scores))
        raise ValueError(
            f"scores must be finite, found NaN or infinity in {len(bad)} places, the first of "
            f"them {tuple(bad[0].tolist())}"
        )
    return ~np.eye(len(scores), dtype=bool)


def _baseline(log_baseline, N):
    if log_baseline.shape != (N,) or not np.isfinite(log_baseline).all():
        raise ValueError(
            f"log_baseline must be {N} finite numbers, one for each row of scores, "
            f"found shape {log_baseline.shape}"
        )
