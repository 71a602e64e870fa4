"""Noise-contrastive estimation: learn a distribution by telling it from another."""

from npssl.layers.activation import sigmoid, softplus
from npssl.losses.negative_sampling import _check_reduction, _check_rows, _labels, _log_noise


def nce(x, y, *, log_noise, label=None, negatives: float | None = None, reduction: str = "sum"):
    r"""Noise-contrastive estimation, for all pairs of a few inputs and outputs.

    Parameters
    ----------
    x : (n, D) or (B, n, D)         input rows: vectors of the words that predict
    y : (1+K, D) or (B, 1+K, D)     output rows: first the observed word, then K words
        drawn from the noise distribution; all n inputs share them
    log_noise : (1+K,) or (B, 1+K)  log P_n of these outputs, in nats: of the
        distribution from which the noise was really drawn
    label : as in `npssl.losses.negative_sampling.negative_sampling`: 1 = observed,
        0 = noise, 0.5 = padding; for each output or for each pair
    negatives : k, the number of noise draws for each observed word; default K.  Give
        it where some of the K are padding.
    reduction : "sum" (nats over all pairs) or "mean" (nats per observed pair)

    Returns
    -------
    value : ()                      nats; without pairs: 0
    back : dvalue=1.0 -> dx like x, dy like y

    Keeps
    -----
    x, y, error

    Derivation
    ----------
    **The model** of word c after word v is log p_m(c | v) = <x_v, y_c>, without any
    sum over the vocabulary: nothing forces it to be normalised.

    **The question.**  Mix observed words, drawn from p(c | v), with k times as many
    from P_n.  By Bayes' rule a word c of the mixture was observed with probability
    p / (p + k P_n), that is, with log odds log p - log(k P_n).  Put the model in
    the place of p::

        s     = <x_v, y_c>,   odds = s - log(k P_n(c))                       (1)
        value = sum_{i,j} |sign_ij| softplus(-sign_ij odds_ij)               (2)

    with sign = 2 label - 1, as for negative sampling, which is (2) without the
    correction.  log(k P_n) is a constant, so the gradient is the familiar one::

        error = |sign| (sigmoid(odds) - label)                               (3)
        dx = error y,   dy = error^T x                                       (4)

    **The optimum.**  With p = p(c | v), the expected value for (v, c) is::

        p softplus(-odds) + k P_n softplus(odds)                             (5)

    least where sigmoid(odds) / (1 - sigmoid(odds)) = p / (k P_n), that is::

        s = log p(c | v)                                                     (6)

    if every s is free.  The scores come out normalised although nobody asked them
    to: the noise, of which we know the density, serves as the yardstick.

    **What k does.**  Let h = p_m / (p_m + k P_n) = sigmoid(odds).  The expectation of
    the descent direction along s is p (1 - h) - k P_n h, which is::

        (p - p_m) * k P_n / (p_m + k P_n)                                    (7)

    The first factor is the gradient of maximum likelihood; the second tends to 1
    as k grows.  For small k words that the noise rarely proposes learn slowly, but
    the zero of (7), hence (6), is the same for every k.

    **The normaliser.**  A model that cannot normalise itself gets one more parameter
    c, log p_m = s + c, and learns -log Z there: write it as one more coordinate,
    which is the constant 1 on the other side (so do biases).  Mnih & Teh fixed
    c = 0 for each word, and found that with many parameters nothing is lost: that
    is this op as it stands.

    **Degenerate cases.**  K = 0 compares with nothing and is refused.  Where P_n is
    0 an observed word is certain to be no noise and cannot be learnt; log_noise must
    be finite.  Forgetting log k, or correcting with another distribution than the
    one drawn from, shifts (6) by the mistake.

    A fact to check by eye: with log_noise = -log K for all outputs the correction is
    log(k P_n) = 0, and value and gradients equal those of negative sampling: P_n
    uniform over K = V words, the only case in which the two are the same.

    Raises
    ------
    ValueError
        if the shapes do not fit, a label is not 0, 0.5 or 1, log_noise is not finite,
        or k is not positive.

    References
    ----------
    Gutmann & Hyvarinen, "Noise-contrastive estimation: A new estimation principle for
    unnormalized statistical models", AISTATS 2010, PMLR 9, 297-304, section 2 (there
    with k = 1); k > 1 in JMLR 13, 2012, 307-361.
    Mnih & Teh, "A Fast and Simple Algorithm for Training Neural Probabilistic Language
    Models", ICML 2012, arXiv:1206.6426 (c = 0; the limit of (7)).
    Mnih & Kavukcuoglu, "Learning word embeddings efficiently with noise-contrastive
    estimation", NIPS 2013 (word vectors).
    Dyer, "Notes on Noise Contrastive Estimation and Negative Sampling", 2014,
    arXiv:1410.8251 (when the two are the same).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(3, 5)), rng.normal(size=(7, 5))
    >>> check(nce, x, y, log_noise=np.log(np.arange(1, 8) / 28)) < 1e-12
    True
    """
    _check_rows("x", x, "y", y)
    shift = _log_noise(log_noise, y, negatives)
    observed = _labels(label, x, y)
    _check_reduction(reduction)
    N = 1 if reduction == "sum" else max(1, int((observed == 1).sum()))
    sign = 2 * observed - 1
    weight = abs(sign)
    odds = x @ y.swapaxes(-1, -2) - shift  # (1), (..., n, 1+K)
    value = (weight * softplus(-sign * odds)[0]).sum() / N  # (2)
    error = weight * (sigmoid(odds)[0] - observed)  # (3)

    def back(dvalue=1.0):
        d = error * (float(dvalue) / N)
        return d @ y, d.swapaxes(-1, -2) @ x  # (4)

    return value, back
