"""Unit vectors: cosine similarity is a matrix product of them."""

import numpy as np


def unit(x):
    r"""Keep the direction of each vector, forget its length.

    Parameters
    ----------
    x : (..., D)

    Returns
    -------
    y : (..., D)        length 1 in the last axis; the zero vector stays zero
    back : dy (..., D) -> dx (..., D)

    Keeps
    -----
    y, shrink

    Derivation
    ----------
    For one vector::

        l = sqrt(<x, x>),   y = x / l                                        (1)

    Perturb x by v: dl = <x, v> / l = <y, v>, and by (1)::

        dy = v / l - x dl / l^2 = (v - y <y, v>) / l                         (2)

    The map (2) projects out y and divides by l; a projection is symmetric, so
    the gradient is the same map applied to the incoming gradient::

        dx = (dy - y <y, dy>) / l                                            (3)

    Two facts to check by eye: dx has no component along x (a longer x has the
    same direction), and doubling x halves dx.

    At the zero vector there is no direction: y = 0 and dx = 0 (the factor
    1 / l is replaced by 0), so a word that was never trained stays where it is.

    Notes
    -----
    The sum of squares is taken after dividing by the largest component: no
    vector is too long or too short for its dtype.  PyTorch's ``normalize``
    divides by max(l, 1e-12) instead; the two differ only for vectors shorter
    than that.  All cosines between two sets are ``unit(a)[0] @ unit(b)[0].T``.

    References
    ----------
    Wang, Xiang, Cheng & Yuille, "NormFace: L2 Hypersphere Embedding for Face
    Verification", 2017, arXiv:1704.06369 (the gradient and its geometry).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]]))[0].tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    >>> check(unit, np.random.default_rng(0).normal(size=(2, 3, 5))) < 1e-12
    True
    """
    if x.ndim == 0:
        raise ValueError("x must have at least one axis, found a single number")
    largest = np.abs(x.real).max(-1, keepdims=True, initial=0)
    scale = np.where(largest == 0, 1, largest)
    near = x / scale  # largest component 1
    length = np.sqrt(np.square(near).sum(-1, keepdims=True))
    y = near / np.where(largest == 0, 1, length)  # (1)
    shrink = (largest != 0) / (scale * np.where(largest == 0, 1, length))  # 1 / l, or 0

    def back(dy):
        return (dy - y * (y * dy).sum(-1, keepdims=True)) * shrink  # (3)

    return y, back
