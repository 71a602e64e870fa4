"""How much can be read off a frozen representation by a linear map?

A softmax regression is fitted to features of some instances and scored on others.  Alain &
Bengio, "Understanding intermediate layers using linear classifier probes", 2016,
arXiv:1610.01644.
"""

import numpy as np

from npssl.layers.linear import linear
from npssl.losses.cross_entropy import cross_entropy
from npssl.optim import AdamW
from npssl.params import Params, zeros


def linear_probe(x, y, x_test, y_test, *, steps: int = 150, decay: float = 1e-3) -> float:
    """The share of test rows whose class a softmax regression on x finds.

    Parameters
    ----------
    x, x_test : (n, D)      features; standardised by the mean and deviation of x
    y, y_test : (n,) int    classes from 0
    steps : int             of AdamW on all rows at once, from zero: nothing is drawn
    decay : float

    Raises
    ------
    ValueError
        if there are no rows, or not as many classes as rows.

    Examples
    --------
    >>> x, y = np.array([[0.0], [1.0], [4.0], [5.0]]), np.array([0, 0, 1, 1])
    >>> linear_probe(x, y, x, y)
    1.0
    """
    for name, a, b in (("x", x, y), ("x_test", x_test, y_test)):
        if a.ndim != 2 or not len(a) or np.shape(b) != a.shape[:1]:
            raise ValueError(f"{name} must be (n, D) with n classes, found {a.shape}, {b.shape}")
    mean, deviation = x.mean(0), x.std(0) + 1e-6
    scaled = ((x - mean) / deviation).astype(np.float32)
    D, classes = x.shape[1], int(y.max()) + 1
    params = Params(dict(w=zeros(D, classes), b=zeros(classes)))
    g, optimizer = params.zeros(), AdamW(params, decay=decay)
    p = params.tree
    for k in range(steps):
        scores, back_scores = linear(scaled, p.w, p.b)
        _, back = cross_entropy(scores, target=y)
        _, g.tree.w[:], g.tree.b[:] = back_scores(back())
        optimizer.step(params, g, 0.05 * (1 - k / steps))
    found = linear(((x_test - mean) / deviation).astype(np.float32), p.w, p.b)[0].argmax(-1)
    return float((found == y_test).mean())
