"""Sampled softmax: cross-entropy over a few words, corrected for how they were drawn."""

import math

import numpy as np

from npssl.layers.log_sum_exp import log_sum_exp
from npssl.losses.expected import _reduction
from npssl.losses.negative_sampling import _check_rows, _labels, _log_noise


def sampled_softmax(
    x,
    y,
    *,
    log_noise,
    label=None,
    negatives: float | None = None,
    z_loss: float = 0.0,
    reduction: str = "sum",
):
    r"""Surprise at the observed word among it and K drawn ones, for each input.

    Parameters
    ----------
    x : (n, D) or (B, n, D)         input rows
    y : (1+K, D) or (B, 1+K, D)     output rows: first the observed word, then K words
        drawn from the noise distribution; all n inputs share them
    log_noise : (1+K,) or (B, 1+K)  log Q of these outputs, in nats
    label : as in `npssl.losses.negative_sampling.negative_sampling`: 1 = observed, 0 =
        noise, 0.5 = padding (and accidental hits); at most one 1 for each input, and an
        input that has none does not count
    negatives : K, the number of draws for each observed word; default K
    z_loss : float >= 0             weight of (log Z)^2: above 0 for self-normalised scores
    reduction : "sum" (nats) or "mean" (nats per input that counts)

    Returns
    -------
    value : ()                      nats; without inputs: 0
    back : dvalue=1.0 -> dx like x, dy like y

    Keeps
    -----
    x, y, own, counted, log_z, back_all, back_drawn

    Derivation
    ----------
    The full softmax needs Z = sum_c exp(s_c) over all words.  A word drawn from Q
    stands for 1 / (K Q(c)) words, so with the corrected score::

        s'_j = <x, y_j> - log(K Q(c_j))                                      (1)
        Z is about sum_{j drawn} exp(s'_j), with that expectation            (2)

    The objective is cross-entropy over the observed word o and the drawn, in s'::

        value = sum_i ( log sum_j exp(s'_ij) - s'_io )
                + z_loss sum_i (log Z_i)^2                                   (3)
        ds    = p - [j = o] + 2 z_loss log Z q                               (4)
        dx    = ds y,   dy = ds^T x                                          (5)

    with p and q the softmax of s' over all that count and over the drawn.

    As K grows (3) becomes the cross-entropy of the full softmax; without the
    correction it would have its optimum at log p(c | v) - log Q(c), as negative
    sampling has, up to a constant for each input.

    **Self-normalised scores.**  The penalty draws log Z to 0, so that exp(s) itself can
    be read as the probability, without any sum, when the model is used.  With z_loss = 0
    a constant for each input is free; in `npssl.losses.nce.nce` it never is.

    A fact to check by eye: a constant added to log_noise changes nothing at z_loss = 0, for
    each row of p - [j = o] sums to 0.

    Raises
    ------
    ValueError
        if the shapes do not fit, a label is not 0, 0.5 or 1 or an input has two 1, log_noise
        is not finite, K is not positive, or z_loss is negative.

    References
    ----------
    Bengio & Senecal, "Adaptive Importance Sampling to Accelerate Training of a Neural
    Probabilistic Language Model", IEEE Transactions on Neural Networks 19(4), 2008.
    Jean, Cho, Memisevic & Bengio, "On Using Very Large Target Vocabulary for Neural
    Machine Translation", ACL 2015, arXiv:1412.2007, section 3.
    Devlin, Zbib, Huang, Lamar, Schwartz & Makhoul, "Fast and Robust Neural Network Joint
    Models for Statistical Machine Translation", ACL 2014 (the penalty on log Z).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(3, 5)), rng.normal(size=(7, 5))
    >>> log_noise = np.log(np.arange(1, 8) / 28)
    >>> check(sampled_softmax, x, y, log_noise=log_noise, z_loss=0.1) < 1e-12
    True
    """
    _check_rows("x", x, "y", y)
    shift = _log_noise(log_noise, y, negatives)
    if not 0 <= z_loss < math.inf:
        raise ValueError(f"z_loss must be a number of 0 or more, found {z_loss}")
    _reduction(reduction)
    observed = _labels(label, x, y)
    own, drawn = observed == 1, observed == 0
    if (own.sum(-1) > 1).any():
        raise ValueError("label must have at most one 1 for each input, found more")
    counted = own.any(-1)
    n = max(1, int(counted.sum())) if reduction == "mean" else 1
    s = x @ y.swapaxes(-1, -2) - shift  # (1)
    total, back_all = log_sum_exp(s, mask=own | drawn)
    estimate, back_drawn = log_sum_exp(s, mask=drawn)
    log_z = np.where(counted & drawn.any(-1), estimate, 0)  # (2)
    surprise = np.where(counted, total, 0).sum() - (own * s).sum()
    value = (surprise + float(z_loss) * np.square(log_z).sum()) / n  # (3)

    def back(dvalue=1.0):
        w = counted.astype(x.dtype)
        ds = back_all(w) - own + back_drawn(2 * float(z_loss) * log_z)  # (4)
        ds *= float(dvalue) / n
        return ds @ y, ds.swapaxes(-1, -2) @ x  # (5)

    return value, back
