"""VICReg: variance, invariance, covariance."""

import math

import numpy as np

from npssl.losses.expected import _alike, _positive


def vicreg(
    x,
    y,
    *,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
    spread: float = 1.0,
    eps: float = 1e-4,
):
    r"""Views should agree, every feature should vary, and no two should vary together.

    Parameters
    ----------
    x, y : (N, d)           two views, N >= 2: row i of both is the same instance
    invariance, variance, covariance : float >= 0   weights of the three terms
    spread : float > 0      the standard deviation that each feature should have
    eps : float > 0         added to the variances

    Returns
    -------
    value : ()
    back : dvalue=1.0 -> dx (N, d), dy (N, d)

    Keeps
    -----
    apart, back_x, back_y

    Derivation
    ----------
    With c = x less its column means, C = c^T c / (N - 1) and the standard deviations
    sd_k = sqrt(C_kk + eps), and the same for y::

        s     = mean_i |x_i - y_i|^2                                         (1)
        v(x)  = mean_k max(0, spread - sd_k)                                 (2)
        c(x)  = (1 / d) sum_{k != l} C_kl^2                                  (3)
        value = invariance s + variance (v(x) + v(y))
                + covariance (c(x) + c(y))                                   (4)

    d sd_k / dC_kk = 1 / (2 sd_k), so in terms of C, which is symmetric::

        dC_kk = -variance [sd_k < spread] / (2 d sd_k)                       (5)
        dC_kl = 2 covariance C_kl / d,   k != l                              (6)
        dc    = 2 c dC / (N - 1)                                             (7)

    The columns of (7) already have mean 0, so centring passes them as they are.

    A fact to check by eye: shifting all of x by a constant moves (1) only.

    Raises
    ------
    ValueError
        if x and y are not (N, d) of one shape or not finite, N is below 2, a weight is
        negative, or spread or eps is not positive.

    Notes
    -----
    A feature without any spread has the value of (2) but no direction to go: c = 0, and
    so dc = 0.  The authors' program takes the mean over features in (1) too, and half of
    v(x) + v(y): give ``invariance / d`` and ``variance / 2``.

    References
    ----------
    Bardes, Ponce & LeCun, "VICReg: Variance-Invariance-Covariance Regularization for
    Self-Supervised Learning", ICLR 2022, arXiv:2105.04906, eqs. (1)-(6).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> check(vicreg, rng.normal(size=(5, 3)), rng.normal(size=(5, 3))) < 1e-12
    True
    """
    _alike(x=x, y=y)
    N, d = x.shape
    if N < 2 or not d:
        raise ValueError(f"x must have at least 2 rows and a feature, found {x.shape}")
    _positive(spread=spread, eps=eps)
    for name, a in (("invariance", invariance), ("variance", variance), ("covariance", covariance)):
        if not 0 <= a < math.inf:
            raise ValueError(f"{name} must be a number of 0 or more, found {a}")
    weights = float(variance) / d, float(covariance) / d
    apart = x - y
    s = np.square(apart).sum() / N  # (1)
    of_x, back_x = _spread_out(x, *weights, float(spread), float(eps))
    of_y, back_y = _spread_out(y, *weights, float(spread), float(eps))
    value = float(invariance) * s + of_x + of_y  # (4)

    def back(dvalue=1.0):
        w = float(dvalue)
        pull = apart * (2 * float(invariance) * w / N)
        return pull + back_x(w), back_y(w) - pull

    return value, back


def _spread_out(x, variance, covariance, spread, eps):
    """(2) and (3) of `vicreg`, weighed, for one view."""
    c = x - x.mean(0)
    C = c.T @ c / (len(x) - 1)
    on = np.arange(len(C))
    sd = np.sqrt(C[on, on] + eps)
    short = sd.real < spread
    off = C.copy()
    off[on, on] = 0
    value = variance * np.where(short, spread - sd, 0).sum()  # (2)
    total = value + covariance * np.square(off).sum()  # (3)

    def back(w):
        dC = 2 * covariance * off  # (6)
        dC[on, on] = np.where(short, -variance / (2 * sd), 0)  # (5)
        return c @ dC * (2 * w / (len(x) - 1))  # (7)

    return total, back
