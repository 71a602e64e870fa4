"""Chapter 1: single steps, from an affine map to a residual branch."""

import math

import numpy as np

from npssl.layers import activation
from npssl.layers import linear as layers_linear
from npssl.learn.exercise import Exercise


def linear(x, w, b):
    """An affine map, y = x w + b, for every row of x.

    Return dx, dw, db.  The shapes leave little choice.

    Hints:
    - Each gradient has the shape of what it belongs to: which product of dy with w or x gives it?
    - b is added to every row: dy of every row comes back to it.
    """
    y = x @ w + b

    def back(dy):
        return dy @ w.T, x.T @ dy, dy.sum(0)

    return y, back


def product(a, b):
    """y = a b, entry by entry.  Return da, db.

    Hints:
    - The product rule: hold one factor still.

    Derivation:
    dy = a db + b da entry by entry, so what comes back to a is b dy, and to b is a dy.
    """
    y = a * b

    def back(dy):
        return dy * b, dy * a

    return y, back


def broadcast(x, scale):
    """y = x scale: one scale for each column, used in every row.  Return dx, dscale.

    Hints:
    - scale is used B times. Where a value fans out, what comes back is added.

    Derivation:
    y_ij = x_ij scale_j.  scale_j reaches y_ij for every i: dscale_j = sum_i dy_ij x_ij.
    """
    y = x * scale

    def back(dy):
        return dy * scale, (dy * x).sum(0)

    return y, back


def relu(x):
    """y = max(x, 0).  Return dx.

    Hints:
    - The slope is 1 where x > 0 and 0 where x < 0.
    """
    y = np.where(x > 0, x, 0)

    def back(dy):
        return dy * (x > 0)

    return y, back


def sigmoid(x):
    """y = 1 / (1 + exp(-x)).  Return dx, with y alone and without another exp.

    Hints:
    - y' = exp(-x) / (1 + exp(-x))^2. Write it with y.
    """
    y = 1 / (1 + np.exp(-x))

    def back(dy):
        return dy * y * (1 - y)

    return y, back


def tanh(x):
    """y = tanh(x).  Return dx, with y alone.

    Hints:
    - cosh^2 - sinh^2 = 1.
    """
    y = np.tanh(x)

    def back(dy):
        return dy * (1 - y * y)

    return y, back


def softplus(x):
    """y = log(1 + exp(x)), a soft max(x, 0).  Return dx.

    Hints:
    - You have met its derivative three exercises ago.
    """
    y = np.log(1 + np.exp(x))

    def back(dy):
        return dy / (1 + np.exp(-x))

    return y, back


def gelu_tanh(x):
    """y = x (1 + tanh(u)) / 2 with u = c (x + 0.044715 x^3), c = sqrt(2 / pi).  Return dx.

    Hints:
    - A product of two factors that both depend on x: two terms.
    - du/dx = c (1 + 3 0.044715 x^2).
    """
    c = math.sqrt(2 / math.pi)
    t = np.tanh(c * (x + 0.044715 * x**3))
    y = 0.5 * x * (1 + t)

    def back(dy):
        du = c * (1 + 3 * 0.044715 * x * x)
        return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * du)

    return y, back


def mean_pool(x):
    """The mean over time: one vector for each text.  Return dx.

    Hints:
    - dx has a time axis again; dy has none.
    - Every step gets the same share, and the shares add up to dy.

    Derivation:
    y_bd = (1/T) sum_t x_btd, so dx_btd = dy_bd / T: the same for every t.
    """
    T = x.shape[1]
    y = x.mean(1)

    def back(dy):
        return np.repeat(dy[:, None] / T, T, axis=1)

    return y, back


def residual(x, w):
    """A branch beside the identity: y = x + tanh(x w).  Return dx, dw.

    Hints:
    - x is used twice: two gradients come back to it, and are added.

    Derivation:
    With u = x w: du = (1 - tanh(u)^2) dy.  Along the branch x gets du w^T, along the
    identity dy itself, so dx = dy + du w^T and dw = x^T du.
    """
    t = np.tanh(x @ w)
    y = x + t

    def back(dy):
        du = dy * (1 - t * t)
        return dy + du @ w.T, x.T @ du

    return y, back


def squared_error(prediction, *, target):
    """Half the squared distance, meaned over all B D numbers.

    The first loss: one number comes out, so back gets one number, dvalue.  Return dprediction.

    Hints:
    - The half is there for a reason.
    - The mean is over every entry, not over rows.

    Derivation:
    value = sum_ij (p_ij - t_ij)^2 / (2 B D), so dp_ij = dvalue (p_ij - t_ij) / (B D).
    """
    difference = prediction - target
    value = 0.5 * np.square(difference).mean()

    def back(dvalue=1.0):
        return dvalue * difference / difference.size

    return value, back


EXERCISES = (
    Exercise(product, "a: B D; b: B D"),
    Exercise(broadcast, "x: B D; scale: D"),
    Exercise(linear, "x: B n; w: n m; b: m", layers_linear.linear),
    Exercise(relu, "x: B D", activation.relu),
    Exercise(sigmoid, "x: B D", activation.sigmoid),
    Exercise(tanh, "x: B D", activation.tanh),
    Exercise(softplus, "x: B D", activation.softplus),
    Exercise(mean_pool, "x: B T D"),
    Exercise(residual, "x: B D; w: D D"),
    Exercise(squared_error, "prediction: B D; target: B D"),
    Exercise(gelu_tanh, "x: B D"),
)
