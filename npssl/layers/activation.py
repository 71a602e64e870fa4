"""Functions of one number, applied to each element.

All of them take any shape, also the empty one, and pass NaN on.
"""

import math

import numpy as np

from npssl.kernels import fast
from npssl.layers.gaussian import normal_cdf


def relu(x):
    r"""Cut off what is negative.

    Parameters
    ----------
    x : (...)

    Returns
    -------
    y : (...)
    back : dy (...) -> dx (...)

    Keeps
    -----
    off

    Derivation
    ----------
    ::

        y  = x if x > 0 else 0                                               (1)
        dx = dy if x > 0 else 0                                              (2)

    At x = 0 the function has a corner; as everywhere in practice, the slope
    there is taken to be 0.

    A fact to check by eye: y = x step(x), and back is multiplication by the
    same step(x): a unit that is off learns nothing.

    References
    ----------
    Glorot, Bordes & Bengio, "Deep Sparse Rectifier Neural Networks", AISTATS 2011,
    PMLR 15, 315-323.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> y, back = relu(np.array([-2.0, 0.0, 3.0]))
    >>> back(np.ones(3)).tolist()
    [0.0, 0.0, 1.0]
    >>> check(relu, np.array([[-1.5, 0.5], [2.0, -0.1]])) < 1e-12
    True
    """
    off = x.real <= 0  # False for NaN, which must not be hidden
    y = np.where(off, 0, x)  # (1)

    def back(dy):
        return np.where(off, 0, dy)  # (2)

    return y, back


def tanh(x):
    r"""Squash to (-1, 1).

    Parameters
    ----------
    x : (...)

    Returns
    -------
    y : (...)
    back : dy (...) -> dx (...)

    Keeps
    -----
    y

    Derivation
    ----------
    With e = exp(x) and f = exp(-x), y = (e - f) / (e + f)                   (1)

    The derivatives of numerator and denominator are each other, so::

        y' = ((e + f)^2 - (e - f)^2) / (e + f)^2 = 1 - y^2                   (2)

    A fact to check by eye: the slope is 1 at 0, where y looks like x, and
    vanishes where y saturates at -1 or 1.

    References
    ----------
    LeCun, Bottou, Orr & Mueller, "Efficient BackProp", in Neural Networks: Tricks of
    the Trade, Springer 1998, section 4.4, doi:10.1007/3-540-49430-8_2.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> check(tanh, np.random.default_rng(0).normal(size=(2, 3))) < 1e-12
    True
    """
    y = np.tanh(x)  # (1)

    def back(dy):
        return dy * (1 - y * y)  # (2)

    return y, back


def sigmoid(x):
    r"""Turn log odds into a probability.

    Parameters
    ----------
    x : (...)               log odds, in nats

    Returns
    -------
    y : (...)               in [0, 1]
    back : dy (...) -> dx (...)

    Keeps
    -----
    y

    Derivation
    ----------
    ::

        y  = 1 / (1 + exp(-x)) = exp(x) / (1 + exp(x))                       (1)
        y' = exp(-x) / (1 + exp(-x))^2 = y (1 - y)                           (2)

    With e = exp(-|x|), which never overflows, (1) is 1 / (1 + e) right of zero
    and e / (1 + e) left of it: full relative precision on both sides.

    A fact to check by eye: x and -x are the odds for and against, so
    y(-x) = 1 - y(x), and the slope (2) is even.

    References
    ----------
    Cox, "The Regression Analysis of Binary Sequences", Journal of the Royal
    Statistical Society B 20(2), 1958, 215-242.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))[0].tolist()
    [0.0, 0.5, 1.0]
    >>> check(sigmoid, np.random.default_rng(0).normal(size=(2, 3))) < 1e-12
    True
    """
    right = x.real > 0
    e = np.exp(np.where(right, -x, x))
    y = np.where(right, 1, e) / (1 + e)  # (1)

    def back(dy):
        return dy * (y * (1 - y))  # (2)

    return y, back


def softplus(x):
    r"""A smooth relu: log(1 + exp(x)), which is also -log sigmoid(-x).

    Parameters
    ----------
    x : (...)               log odds of being wrong, in nats

    Returns
    -------
    y : (...)               in [0, inf): nats
    back : dy (...) -> dx (...)

    Keeps
    -----
    slope

    Derivation
    ----------
    Take the larger exponential out of the logarithm::

        y  = log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))                (1)
        y' = exp(x) / (1 + exp(x)) = sigmoid(x)                              (2)

    The logistic losses are made of it: a decision with log odds s costs
    -log sigmoid(s) = softplus(-s) nats when it should have been yes, and
    softplus(s) when it should have been no.

    A fact to check by eye: y(x) - y(-x) = x.

    References
    ----------
    Dugas, Bengio, Belisle, Nadeau & Garcia, "Incorporating Second-Order Functional
    Knowledge for Better Option Pricing", NIPS 2000.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> softplus(np.array([-1000.0, 1000.0]))[0].tolist()
    [0.0, 1000.0]
    >>> check(softplus, np.random.default_rng(0).normal(size=(2, 3))) < 1e-12
    True
    """
    right = x.real > 0
    e = np.exp(np.where(right, -x, x))  # exp(-|x|)
    y = np.where(right, x, 0) + np.log1p(e)  # (1)
    slope = np.where(right, 1, e) / (1 + e)

    def back(dy):
        return dy * slope  # (2)

    return y, back


def gelu(x, *, form: str = "erf"):
    r"""Weigh a number by the share of the normal distribution below it.

    Parameters
    ----------
    x : (...)
    form : "erf" (exact; PyTorch's default) or "tanh" (GPT, and BERT's published code)

    Returns
    -------
    y : (...)
    back : dy (...) -> dx (...)

    Keeps
    -----
    x, share

    Derivation
    ----------
    Let Z be a standard normal number.  The mean of relu-like gating x [Z < x]::

        y = x P(Z < x) = x Phi(x),   Phi(x) = (1 + erf(x / sqrt 2)) / 2      (1)
        y' = Phi(x) + x exp(-x^2 / 2) / sqrt(2 pi)                           (2)

    The other form replaces Phi by a logistic curve of nearly the same shape,
    with c = sqrt(2 / pi), written with tanh::

        y  = x h,   h = (1 + tanh(v)) / 2,   v = c (x + 0.044715 x^3)        (3)
        y' = h + x dh/dv dv/dx
           = h + x 2 h (1 - h) c (1 + 3 * 0.044715 x^2)                      (4)

    as dh/dv = (1 - tanh(v)^2) / 2 = 2 h (1 - h).

    A fact to check by eye: y(x) - y(-x) = x in both forms, as for softplus, and
    y'(0) = 1/2.  The two forms differ by at most 5e-4.

    Raises
    ------
    ValueError
        for another form.

    References
    ----------
    Hendrycks & Gimpel, "Gaussian Error Linear Units (GELUs)", 2016, arXiv:1606.08415,
    section 2, which gives (1) and (3).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> x = np.random.default_rng(0).normal(size=(2, 3))
    >>> check(gelu, x) < 1e-12, check(gelu, x, form="tanh") < 1e-12
    (True, True)
    """
    if form not in ("erf", "tanh"):
        raise ValueError(f'form must be "erf" or "tanh", found {form!r}')
    if fast(x) and x.size >= 64:  # of fewer, where arrays lie would change the last bit
        return _fast_gelu(x, form == "tanh")
    c = math.sqrt(2 / math.pi)
    exact = form == "erf"
    share = normal_cdf(x)[0] if exact else sigmoid(2 * c * (x + 0.044715 * x * x * x))[0]
    y = x * share  # (1), (3)

    def back(dy):
        if exact:
            slope = np.exp(-0.5 * np.square(x)) * (c / 2)  # (2)
        else:
            slope = 2 * share * (1 - share) * (c * (1 + 3 * 0.044715 * np.square(x)))  # (4)
        return dy * (share + x * slope)

    return y, back


def _fast_gelu(x, tanh):
    """The same by `npssl.kernels.rows`."""
    from npssl.kernels import rows as kernels

    y = np.empty_like(x)
    kernels.gelu_all(x.reshape(-1), tanh, y.reshape(-1))

    def back(dy):
        d, dx = np.ascontiguousarray(dy, x.dtype), np.empty_like(x)
        kernels.gelu_back(x.reshape(-1), tanh, d.reshape(-1), dx.reshape(-1))
        return dx

    return y, back
