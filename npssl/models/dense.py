"""Models of one op, and stacks of them.

A model is an op with its parameters ``p`` in front; its ``back(dy, g)`` adds
what the parameters deserve into ``g``, which has the same names, and returns
the gradients of the inputs.
"""

import math

from npssl.layers.activation import relu
from npssl.layers.dropout import dropout
from npssl.layers.linear import linear
from npssl.layers.norm import layernorm
from npssl.params import normal, ones, zeros


def dense_spec(n_in: int, n_out: int, *, std: float = 0.02):
    """Parameters of `dense`: w (n_in, n_out), drawn with deviation std, and b (n_out,), zero."""
    return dict(w=normal(n_in, n_out, std=std), b=zeros(n_out))


def dense(p, x):
    """`linear` with the weights ``p.w`` and ``p.b``.

    Parameters
    ----------
    p : w (I, O), b (O,)
    x : (..., I)

    Returns
    -------
    y : (..., O)
    back : dy (..., O), g -> dx (..., I)

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check, functional
    >>> from npssl.params import Params
    >>> rng = np.random.default_rng(0)
    >>> params = Params(dense_spec(3, 2), rng, dtype=np.float64)
    >>> check(functional(dense, params), params.flat, rng.normal(size=(4, 3))) < 1e-9
    True
    """
    y, back_linear = linear(x, p.w, p.b)

    def back(dy, g):
        dx, dw, db = back_linear(dy)
        g.w += dw
        g.b += db
        return dx

    return y, back


def norm_spec(width: int):
    """Parameters of `norm`: gain (width,), one, and bias (width,), zero."""
    return dict(gain=ones(width), bias=zeros(width))


def norm(p, x, *, eps: float = 1e-5):
    """`layernorm` with ``p.gain`` and ``p.bias``.

    Parameters
    ----------
    p : gain (D,), bias (D,)
    x : (..., D)
    eps : float > 0

    Returns
    -------
    y : (..., D)
    back : dy (..., D), g -> dx (..., D)
    """
    y, back_norm = layernorm(x, p.gain, p.bias, eps=eps)

    def back(dy, g):
        dx, dgain, dbias = back_norm(dy)
        g.gain += dgain
        g.bias += dbias
        return dx

    return y, back


def stack(net, ps, x, **options):
    """``net`` once for each set of parameters, each on the output of the one before.

    Parameters
    ----------
    net : model, ``y, back = net(p, x, **options)``
    ps : list of parameters; the empty list returns x
    x : what the first one takes
    **options : handed to each; a generator draws anew for each

    Returns
    -------
    y : what the last one gives
    back : dy, gs -> dx, where gs is a list like ps
    """
    backs = []
    for p in ps:
        x, back_one = net(p, x, **options)
        backs.append(back_one)

    def back(dx, gs):
        for back_one, g in zip(reversed(backs), reversed(gs)):
            dx = back_one(dx, g)
        return dx

    return x, back


def mlp_spec(*widths: int):
    """Parameters of `mlp` with these widths, from input to output: a list of `dense_spec`.

    Each matrix has the deviation sqrt(2 / width before it), so that relu layers
    keep the size of what passes through (He, Zhang, Ren & Sun, "Delving Deep into
    Rectifiers", 2015, arXiv:1502.01852, eq. (10)); two widths make a plain linear map.

    Raises
    ------
    ValueError
        for fewer than two widths, or one that is not positive.
    """
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"widths must be at least two positive numbers, found {widths}")
    return [dense_spec(i, o, std=math.sqrt(2 / i)) for i, o in zip(widths, widths[1:])]


def mlp(p, x, *, activation=relu, rate: float = 0.0, rng=None):
    """Multi-layer perceptron: dense maps with an activation and dropout in between.

    Parameters
    ----------
    p : list of w, b, as from `mlp_spec`
    x : (..., widths[0])
    activation : op of one array
    rate : float in [0, 1)          dropout after each activation
    rng : numpy.random.Generator or None; None is evaluation

    Returns
    -------
    y : (..., widths[-1])           no activation after the last map
    back : dy, g -> dx (..., widths[0])

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check, functional
    >>> from npssl.layers.activation import tanh
    >>> from npssl.params import Params
    >>> rng = np.random.default_rng(0)
    >>> params = Params(mlp_spec(3, 5, 2), rng, dtype=np.float64)
    >>> x = rng.normal(size=(4, 3))
    >>> check(functional(mlp, params), params.flat, x, activation=tanh, rate=0.2, rng=rng) < 1e-9
    True
    """

    def layer(q, h):
        a, back_activation = activation(h)
        d, back_drop = dropout(a, rate=rate, rng=rng)
        y, back_dense = dense(q, d)
        return y, lambda dy, g: back_activation(back_drop(back_dense(dy, g)))

    h, back_first = dense(p[0], x)
    y, back_rest = stack(layer, p[1:], h)

    def back(dy, g):
        return back_first(back_rest(dy, g[1:]), g[0])

    return y, back
