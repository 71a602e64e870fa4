"""Logistic loss: independent yes-or-no decisions."""

import numpy as np

from npssl.layers.activation import sigmoid, softplus


def binary_cross_entropy(logits, *, target):
    r"""Mean surprise, in nats, when each yes or no is predicted by sigmoid(logits).

    Parameters
    ----------
    logits : (...)              log odds of yes
    target : (...) in [0, 1]    1 = yes, 0 = no, in between = probability of yes

    Returns
    -------
    value : ()                  mean nats per decision; no decisions: 0
    back : dvalue=1.0 -> dlogits (...)

    Keeps
    -----
    p, t

    Derivation
    ----------
    For one decision with log odds s, p = sigmoid(s) and target t::

        value = -t log p - (1 - t) log(1 - p)
              = t softplus(-s) + (1 - t) softplus(s)                         (1)

    Since softplus' = sigmoid and sigmoid(-s) = 1 - p::

        ds = -t (1 - p) + (1 - t) p = p - t                                  (2)

    The value is the mean of (1), so (2) is divided by their number.

    A fact to check by eye: "predicted minus observed", as for the softmax; two
    classes with scores (s, 0) give the same value and the same gradient for s.

    Raises
    ------
    ValueError
        if target has not the shape of logits, or is outside [0, 1].

    Notes
    -----
    From logits, never from probabilities: log(1 - p) is lost when p rounds to 1,
    (1) is exact for any s.

    References
    ----------
    Cox, "The Regression Analysis of Binary Sequences", Journal of the Royal
    Statistical Society B 20(2), 1958, 215-242.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> target = np.array([1.0, 0.0, 0.25])
    >>> check(binary_cross_entropy, np.array([0.3, -1.0, 2.0]), target=target) < 1e-12
    True
    >>> float(binary_cross_entropy(np.array([1000.0, -1000.0]), target=np.array([1, 1]))[0])
    500.0
    """
    target = np.asarray(target)
    if target.shape != logits.shape:
        raise ValueError(
            f"target must have the shape {logits.shape} of logits, found {target.shape}"
        )
    if not ((target >= 0) & (target <= 1)).all():
        raise ValueError(f"target must be in [0, 1], found {target.min()} to {target.max()}")
    t = target.astype(logits.real.dtype)
    N = max(1, t.size)
    p = sigmoid(logits)[0]
    value = (t * softplus(-logits)[0] + (1 - t) * softplus(logits)[0]).sum() / N  # (1)

    def back(dvalue=1.0):
        return (p - t) * (float(dvalue) / N)  # (2)

    return value, back
