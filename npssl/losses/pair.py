"""Pair loss: same near, different far."""

import numpy as np

from npssl.losses.expected import _embeddings, _index, _positive, _reduction


def pair(x, *, index, same, margin: float = 1.0, form: str = "hadsell", reduction: str = "mean"):
    r"""Draw the pairs of one kind together and push the others beyond a margin.

    Parameters
    ----------
    x : (N, d)
    index : (P, 2) int      rows of x: the two of each pair
    same : (P,) bool        True = similar (to be near), False = different
    margin : float > 0      in units of x; "chopra": the largest possible distance, Q
    form : "hadsell" (Euclidean, margin) or "chopra" (L1, exponential)
    reduction : "mean" (over all pairs) or "sum"

    Returns
    -------
    value : ()              no pairs: 0
    back : dvalue=1.0 -> dx (N, d)

    Keeps
    -----
    x, a, b, pull

    Derivation
    ----------
    "hadsell", with D = |x_a - x_b|::

        same:       D^2 / 2                                                  (1)
        different:  max(0, margin - D)^2 / 2                                 (2)

    The derivatives D and -max(0, margin - D) along D act along the unit vector
    (x_a - x_b) / D, so with u = x_a - x_b the gradient for x_a is u, or::

        -max(0, margin - D) u / D                                            (3)

    "chopra", with E = sum_k |u_k| and Q = margin::

        same:       (2 / Q) E^2,        slope  (4 / Q) E                     (4)
        different:  2 Q exp(-2.77 E / Q),  slope  -5.54 exp(-2.77 E / Q)     (5)

    and dE/du = sign(u).  The gradient for x_b is minus that for x_a.

    A fact to check by eye: springs.  (1) is one of rest length 0, (2) one that only
    pushes and is slack beyond the margin; their forces on the two ends cancel.

    Raises
    ------
    ValueError
        if x is not (N, d) or not finite, index is not (P, 2) rows of x, same is not (P,) of
        True and False (or 1 and 0), or margin is not positive.

    Notes
    -----
    Different at distance 0: the value is margin^2 / 2 and the gradient, which has no
    direction there, is 0; the same holds for the components of u that are 0 in (5).
    2.77 is 4 log 2, which makes E = Q / 4 the half-way point of (5).  Lectures leave out the
    halves of (1) and (2).  pytorch-metric-learning's ContrastiveLoss penalises D and not
    D^2, of unit vectors, and averages over the terms that are not 0.

    References
    ----------
    Hadsell, Chopra & LeCun, "Dimensionality Reduction by Learning an Invariant
    Mapping", CVPR 2006, eq. (4) (where Y = 0 is "similar").
    Chopra, Hadsell & LeCun, "Learning a Similarity Metric Discriminatively, with
    Application to Face Verification", CVPR 2005.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> x = np.random.default_rng(0).normal(size=(4, 3))
    >>> options = {"index": np.array([[0, 1], [2, 3]]), "same": np.array([True, False])}
    >>> check(pair, x, margin=9.0, **options) < 1e-12
    True
    >>> pair(np.array([[0.0, 0], [0.6, 0.8]]), index=[[0, 1]], same=[False], margin=3.0)[0].item()
    2.0
    """
    _embeddings(x=x)
    index = _index(index, x, 2)
    same = np.asarray(same)
    if same.shape != index.shape[:1] or not np.isin(same, (0, 1)).all():
        raise ValueError(
            f"same must be {len(index)} times True or False, one for each pair, "
            f"found {same.dtype} {same.shape}"
        )
    _positive(margin=margin)
    _reduction(reduction)
    if form not in ("hadsell", "chopra"):
        raise ValueError(f'form must be "hadsell" or "chopra", found {form!r}')
    a, b = index.T
    near, u, m = same.astype(bool), x[a] - x[b], float(margin)
    n = max(1, len(index)) if reduction == "mean" else 1
    if form == "hadsell":
        D = np.sqrt(np.square(u).sum(1))
        short = np.where(D.real < m, m - D, 0)
        value = np.square(np.where(near, D, short)).sum() / (2 * n)  # (1), (2)
        zero = D == 0
        push = np.where(zero, 0, -short / np.where(zero, 1, D))
        pull = np.where(near, 1, push)[:, None] * u  # (3)
    else:
        sign = np.sign(u.real)
        E = (u * sign).sum(1)
        far = np.exp(-2.77 / m * E)
        value = np.where(near, 2 / m * np.square(E), 2 * m * far).sum() / n  # (4), (5)
        pull = np.where(near, 4 / m * E, -5.54 * far)[:, None] * sign

    def back(dvalue=1.0):
        dx = np.zeros_like(x)
        du = pull * (float(dvalue) / n)
        np.add.at(dx, a, du)
        np.add.at(dx, b, -du)
        return dx

    return value, back
