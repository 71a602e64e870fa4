"""Negative sampling: tell a true context word from a few drawn at random."""

import math

import numpy as np

from npssl.layers.activation import sigmoid, softplus


def negative_sampling(x, y, *, label=None, reduction: str = "sum"):
    r"""Skip-gram with negative sampling, for all pairs of a few inputs and outputs.

    Parameters
    ----------
    x : (n, D) or (B, n, D)         input rows: vectors of the words that predict
    y : (1+K, D) or (B, 1+K, D)     output rows: first the word that was observed (the
        positive), then K words drawn from the noise distribution (the negatives);
        all n inputs share them
    label : same leading axes as y, that is (1+K,) or (B, 1+K): for each output;
        or (n, 1+K) or (B, n, 1+K): for each pair.  1 = positive, 0 = negative,
        0.5 = padding: no loss, no gradient.  Default: 1, 0, 0, ..., 0.
    reduction : "sum" (nats over all pairs) or "mean" (nats per positive pair)

    Returns
    -------
    value : ()                      nats; without pairs: 0
    back : dvalue=1.0 -> dx like x, dy like y

    Keeps
    -----
    x, y, error

    Derivation
    ----------
    **The model.**  Someone shows us a pair (word v, context c).  With probability
    1 / (1+k) it was read in the text, else c was drawn from the noise distribution
    P_n, without a look at v.  We say "text" with log odds given by a dot product::

        s = <x_v, y_c>,   P(text | v, c) = sigmoid(s)                        (1)

    **The objective** for a pair from the text and its K noise words c_1 ... c_K is
    the surprise over these 1+K answers.  As -log sigmoid(s) = softplus(-s) and
    -log(1 - sigmoid(s)) = softplus(s)::

        value = softplus(-<x, y_0>) + sum_{j=1..K} softplus(<x, y_j>)        (2)

    With labels 1, 0, 0, ... and sign = 2 label - 1 both terms are one, and the sign
    0 of a padding pair takes it out::

        value = sum_{i,j} |sign_ij| softplus(-sign_ij s_ij),   s = x y^T     (3)

    **The gradient.**  softplus' = sigmoid, so d value / ds_ij is -(1 - sigmoid(s))
    for a positive and sigmoid(s) for a negative; both are "predicted minus
    observed"::

        error_ij = |sign_ij| (sigmoid(s_ij) - label_ij)                      (4)
        dx_i = sum_j error_ij y_j        dx = error y                        (5)
        dy_j = sum_i error_ij x_i        dy = error^T x                      (6)

    What the terms of (5) do in a step x -= lr dx: the positive pulls x towards y_0
    with force 1 - sigmoid(s), that is, strongly while the pair still surprises;
    each negative pushes x away from y_j with force sigmoid(s), that is, only if the
    noise word looks plausible.  Nothing is learnt from a pair that is already
    answered with confidence.  The pushes replace the sum over the whole vocabulary
    in the softmax's gradient, at K + 1 dot products instead of V.

    **The optimum.**  Let N pairs be read from the text, (v, c) occurring #(v, c)
    times, v and c in #(v) and #(c) of them.  In expectation over the noise, the
    pair (v, c) enters the total with::

        #(v, c) softplus(-s) + k #(v) P_n(c) softplus(s)                     (7)

    If the vectors are long enough for every s to be free, (7) is least where its
    derivative -#(v, c) (1 - sigmoid(s)) + k #(v) P_n(c) sigmoid(s) vanishes, and
    as sigmoid / (1 - sigmoid) = exp(s)::

        s = log( #(v, c) / (#(v) P_n(c)) ) - log k                           (8)

    With P_n the frequency #(c) / N of the contexts this is PMI(v, c) - log k: word
    vectors factorise the table of pointwise mutual information, shifted by log k
    (Levy & Goldberg 2014).  Seen from the conditional probability, (8) reads::

        s = log p(c | v) - log(k P_n(c))                                     (9)

    so what is learnt is not log p(c | v), and exp(s) does not sum to one over c:
    `npssl.losses.nce.nce` takes log(k P_n) off the score before it asks, and so
    learns the probability itself.  With P_n proportional to frequency^0.75, as in
    word2vec, the PMI is taken against those smoothed frequencies.

    **Short vectors** cannot have every s free.  Write a and b for the two factors in
    (7).  Its second derivative (a + b) sigmoid(s) (1 - sigmoid(s)) is, at (8), where
    sigmoid(s) = a / (a + b)::

        a b / (a + b),   a = #(v, c),   b = k #(v) P_n(c)                    (10)

    So, near the optimum, what is fitted is the table (8) by least squares with the
    weights (10): frequent words first.  Pairs that never met (a = 0) only push.

    **Degenerate cases.**  K = 0: nothing pushes, and (2) falls to 0 as all vectors
    grow along one direction.  A pair that never occurs has its optimum (8) at
    -inf, which no finite vectors reach.  A noise word may equal the positive: it
    pulls and pushes the same pair, and (7) counts such draws.  Leaving them out, as
    word2vec.c and gensim do, changes #(v) in (7) to #(v) - #(v, c) and so raises
    (8) by -log(1 - p(c | v)): little, except for contexts that nearly always
    follow; drawing again until another word comes does much the same.  Repeated
    rows in y are rows of their own; the embedding's ``back`` adds them up.  All y
    zero, as word2vec starts: dx = 0, only y moves.

    Two facts to check by eye: <x, dx> summed over x equals <y, dy> summed over y
    (both are sum error s), and the value at s = 0 is log 2 for each pair.

    Raises
    ------
    ValueError
        if the shapes do not fit, or a label is not 0, 0.5 or 1.

    Notes
    -----
    The draws are not made here: the op is a function of rows that were looked up.
    Whether x holds the centre and y the contexts (the paper) or the reverse
    (word2vec.c, where the n context words of a window share one positive and its
    negatives, drawn anew for each) is the caller's choice; (3) is the same.  With
    n > 1 the n inputs share the negatives: a mini-batch of matrix products (Ji et al.
    2016), and in expectation the same gradient.

    References
    ----------
    Mikolov, Sutskever, Chen, Corrado & Dean, "Distributed Representations of Words and
    Phrases and their Compositionality", NIPS 2013, arXiv:1310.4546, section 2.2, eq. (4).
    Goldberg & Levy, "word2vec Explained", 2014, arXiv:1402.3722 (the model behind (1)).
    Levy & Goldberg, "Neural Word Embedding as Implicit Matrix Factorization", NIPS 2014,
    section 3.1 (equations (7) and (8)).
    Ji, Satish, Li & Dubey, "Parallelizing Word2Vec in Shared and Distributed Memory",
    2016, arXiv:1604.04661 (shared negatives).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(2, 3, 5)), rng.normal(size=(2, 6, 5))
    >>> check(negative_sampling, x, y) < 1e-12
    True
    >>> value, back = negative_sampling(x[0], 0 * y[0])     # 3 inputs, 6 outputs at zero
    >>> round(float(value / np.log(2)), 12)
    18.0
    """
    _check_rows("x", x, "y", y)
    observed = _labels(label, x, y)
    _check_reduction(reduction)
    N = 1 if reduction == "sum" else max(1, int((observed == 1).sum()))
    sign = 2 * observed - 1
    weight = abs(sign)
    s = x @ y.swapaxes(-1, -2)  # (1), (..., n, 1+K)
    value = (weight * softplus(-sign * s)[0]).sum() / N  # (3)
    error = weight * (sigmoid(s)[0] - observed)  # (4)

    def back(dvalue=1.0):
        d = error * (float(dvalue) / N)
        return d @ y, d.swapaxes(-1, -2) @ x  # (5), (6)

    return value, back


def _check_rows(name_x, x, name_y, y):
    """Both (rows, D) or both (B, rows, D): a missing axis would broadcast."""
    fit = x.ndim == y.ndim and x.ndim in (2, 3)
    if not fit or x.shape[:-2] != y.shape[:-2] or x.shape[-1] != y.shape[-1]:
        raise ValueError(
            f"{name_x} and {name_y} must be (n, D) and (m, D), or (B, n, D) and (B, m, D), "
            f"found {x.shape} and {y.shape}"
        )


def _check_reduction(reduction):
    if reduction not in ("sum", "mean"):
        raise ValueError(f'reduction must be "sum" or "mean", found {reduction!r}')


def _labels(label, x, y):
    """Labels of all pairs, (..., n, 1+K), in the dtype of the rows."""
    pairs = (*x.shape[:-1], y.shape[-2])
    if label is None:
        label = np.zeros(y.shape[:-1])
        label[..., :1] = 1
    label = np.asarray(label)
    if label.shape == y.shape[:-1]:
        label = label[..., None, :]
    elif label.shape != pairs:
        raise ValueError(
            f"label must be {y.shape[:-1]}, one for each output, or {pairs}, one for each pair, "
            f"found {label.shape}"
        )
    if not np.isin(label, (0, 0.5, 1)).all():
        raise ValueError("label must be 1 (positive), 0 (negative) or 0.5 (padding), found others")
    return np.broadcast_to(label, pairs).astype(x.real.dtype)


def _log_noise(log_noise, y, negatives):
    """log(K Q) of each output, (..., 1, 1+K): what the drawn words are corrected by."""
    log_noise = np.asarray(log_noise)
    if log_noise.shape != y.shape[:-1] or not np.isfinite(log_noise).all():
        raise ValueError(
            f"log_noise must be {y.shape[:-1]}, one finite number for each output, "
            f"found {log_noise.shape}: {log_noise}"
        )
    K = y.shape[-2] - 1 if negatives is None else negatives
    if not K > 0:
        raise ValueError(f"negatives must be positive: something must be drawn, found {K}")
    return (log_noise + math.log(K)).astype(y.real.dtype)[..., None, :]
