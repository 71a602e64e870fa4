"""Softmax cross-entropy."""

import numpy as np


def cross_entropy(logits, *, target, ignore: int | None = None, z_loss: float = 0.0):
    r"""Mean surprise, in nats, when the target is predicted by softmax(logits).

    Parameters
    ----------
    logits : (..., V)           scores
    target : (...) int          the right class of each position, 0 <= target < V
        or (..., V) float       a distribution over the classes (soft targets)
    ignore : int, optional      positions with this target do not count (padding);
        only with class ids, and need not be a class
    z_loss : float >= 0         weight of (log Z)^2, which draws Z towards 1

    Returns
    -------
    value : ()                  mean nats per counted position; none counted: 0
    back : dvalue=1.0 -> dlogits (..., V)

    Keeps
    -----
    e, total, log_z, word, q, counted

    Derivation
    ----------
    For one position with scores s and target distribution q (one-hot for a
    class id)::

        Z = sum_v exp(s_v),   p_v = exp(s_v) / Z                             (1)
        value = -sum_v q_v log p_v + z_loss (log Z)^2
              = log Z - sum_v q_v s_v + z_loss (log Z)^2                     (2)

    where sum_v q_v = 1.  As d(log Z)/ds_v = p_v::

        ds_v = p_v - q_v + 2 z_loss log Z p_v                                (3)

    Over N counted positions the value is the mean, so (3) is divided by N.

    A fact to check by eye: without z_loss each row of dlogits sums to 0, and it
    vanishes exactly where p = q: "predicted minus observed".

    Raises
    ------
    ValueError
        if the shape of target fits neither form, a class is outside [0, V), a row
        of soft targets is negative or does not sum to 1, or ignore stands with
        soft targets.

    Notes
    -----
    The mean is over positions, not over sequences: short sequences do not weigh
    more.  Nothing overflows: the largest score of each row is taken out first.
    Ignored positions are left out of the arithmetic altogether, so their scores may
    be anything, and work is done only where it counts.  Sums of soft targets may be
    off by 1e-3 (float16); what is off is divided out.

    References
    ----------
    Bridle, "Training Stochastic Model Recognition Algorithms as Networks can Lead to
    Maximum Mutual Information Estimation of Parameters", NIPS 1989 (log loss of the
    softmax); Devlin, Zbib, Huang, Lamar, Schwartz & Makhoul, "Fast and Robust Neural
    Network Joint Models for Statistical Machine Translation", ACL 2014 (the penalty on
    (log Z)^2); Chowdhery et al., "PaLM", 2022, arXiv:2204.02311, section 5 ("z-loss",
    with weight 1e-4).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> logits = np.random.default_rng(0).normal(size=(3, 4))
    >>> check(cross_entropy, logits, target=np.array([1, -1, 3]), ignore=-1, z_loss=0.1) < 1e-12
    True
    >>> round(float(cross_entropy(np.zeros((2, 8)), target=np.array([0, 5]))[0] / np.log(2)), 12)
    3.0
    """
    if logits.ndim == 0 or logits.shape[-1] == 0:
        raise ValueError(f"logits must have at least one class, found shape {logits.shape}")
    if not z_loss >= 0:
        raise ValueError(f"z_loss must not be negative, found {z_loss}")
    word, q, counted = _target(np.asarray(target), logits, ignore)
    scores = logits.reshape(-1, logits.shape[-1])[counted]  # (N, V)
    shape = logits.shape
    N = max(1, len(scores))
    top = scores.real.max(-1, keepdims=True)
    shifted = scores - top
    e = np.exp(shifted)
    total = e.sum(-1, keepdims=True)
    log_total = np.log(total)
    log_z = log_total + top  # (1)
    if q is None:
        hit = shifted[np.arange(len(scores)), word]
    else:
        hit = (q * np.where(q == 0, 0, shifted)).sum(-1)  # 0 * -inf is 0: it cannot happen
    value = ((log_total[:, 0] - hit) + z_loss * np.square(log_z[:, 0])).sum() / N  # (2)

    def back(dvalue=1.0):
        d = e * ((1 + 2 * z_loss * log_z) / total)  # (3)
        if q is None:
            d[np.arange(len(d)), word] -= 1
        else:
            d -= q
        d *= float(dvalue) / N
        if isinstance(counted, slice):
            return d.reshape(shape)
        dlogits = np.zeros(shape, d.dtype)
        dlogits.reshape(-1, shape[-1])[counted] = d
        return dlogits

    return value, back


def _target(target, logits, ignore):
    """Class ids or distribution of the counted positions, and which those are."""
    V = logits.shape[-1]
    if np.issubdtype(target.dtype, np.integer):
        if target.shape != logits.shape[:-1]:
            raise ValueError(
                f"target must be class ids of shape {logits.shape[:-1]}, found {target.shape}"
            )
        word = target.ravel()
        counted = slice(None) if ignore is None else np.flatnonzero(word != ignore)
        word = word[counted]
        if word.size and not 0 <= word.min() <= word.max() < V:
            raise ValueError(
                f"target must be classes 0 to {V - 1}, found {word.min()} to {word.max()}"
            )
        return word, None, counted
    if target.shape != logits.shape:
        raise ValueError(
            f"target must be distributions of shape {logits.shape}, or whole numbers, "
            f"found {target.dtype} {target.shape}"
        )
    if ignore is not None:
        raise ValueError(f"ignore must be None with soft targets, found {ignore}")
    mass = target.sum(-1, keepdims=True)
    if not (target >= 0).all() or not (abs(mass - 1) <= 1e-3).all():
        raise ValueError(
            "target must be distributions, not negative and with sum 1, found values from "
            f"{target.min()} and sums from {mass.min()} to {mass.max()}"
        )
    q = (target / mass).reshape(-1, V).astype(logits.real.dtype)
    return None, q, slice(None)
