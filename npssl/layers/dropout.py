"""Dropout."""

import numpy as np


def dropout(x, *, rate: float, rng: np.random.Generator | None):
    r"""Silence each number with some probability and make up for it in the others.

    Parameters
    ----------
    x : (...)
    rate : float in [0, 1)      probability that a number is set to 0
    rng : numpy.random.Generator or None; None is evaluation: nothing happens

    Returns
    -------
    y : (...)               x itself where nothing is dropped
    back : dy (...) -> dx (...)

    Keeps
    -----
    keep

    Derivation
    ----------
    With independent draws u, uniform in [0, 1)::

        keep = [u >= rate] / (1 - rate)                                      (1)
        y    = x * keep                                                      (2)
        dx   = dy * keep                                                     (3)

    A fact to check by eye: keep has mean 1, so y has mean x, and evaluation
    needs no correction ("inverted" dropout).  Its variance is rate / (1 - rate).

    Raises
    ------
    ValueError
        if rate is not in [0, 1).

    Notes
    -----
    The paper keeps with probability p and multiplies the weights by p when it
    evaluates; we divide in training, as libraries do today.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov, "Dropout: A Simple Way to
    Prevent Neural Networks from Overfitting", JMLR 15, 2014, 1929-1958, sections 4 and 10.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> check(dropout, rng.normal(size=(4, 5)), rate=0.3, rng=rng) < 1e-12
    True
    >>> y, back = dropout(np.ones(3), rate=0.3, rng=None)
    >>> y.tolist()
    [1.0, 1.0, 1.0]
    """
    if not 0 <= rate < 1:
        raise ValueError(f"rate must be in [0, 1), found {rate}")
    if rng is None or rate == 0:
        return x, lambda dy: dy
    heard = rng.random(x.shape, dtype=np.float32) >= rate
    keep = heard.astype(x.real.dtype) * (1 / (1 - rate))  # (1)
    y = x * keep  # (2)

    def back(dy):
        return dy * keep  # (3)

    return y, back
