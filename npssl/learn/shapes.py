"""Chapter 3: norms, axes and windows."""

import math

import numpy as np

from npssl.layers import attention as heads_page
from npssl.layers import batch_norm as batch_page
from npssl.layers import norm as norm_page
from npssl.layers import similarity
from npssl.learn.exercise import Exercise


def centre(x):
    """y = x - mean(x), row by row.  Return dx.

    Hints:
    - The map is linear: its gradient is its transpose. Is it symmetric?

    Derivation:
    y = (I - 11^T / D) x, and the matrix is symmetric: dx = dy - mean(dy).
    """
    y = x - x.mean(-1, keepdims=True)

    def back(dy):
        return dy - dy.mean(-1, keepdims=True)

    return y, back


def rms_norm(x, gain, *, eps=0.01):
    """y = gain x / sqrt(mean(x^2) + eps), row by row.  Return dx, dgain.

    Hints:
    - dgain is a sum over rows.
    - s = (mean(x^2) + eps)^(-1/2) depends on x: dx has a second term along x.

    Derivation:
    ds/dx_i = -s^3 x_i / D.  With u = gain dy: dx = s u - s^3 x mean(x u).
    """
    s = (np.square(x).mean(-1, keepdims=True) + eps) ** -0.5
    y = gain * s * x

    def back(dy):
        u = gain * dy
        return s * u - s**3 * x * (x * u).mean(-1, keepdims=True), (dy * s * x).sum(0)

    return y, back


def layernorm(x, gain, bias, *, eps=1e-5):
    """Standardise each row, then scale and shift it.  Return dx, dgain, dbias.

    Hints:
    - dgain and dbias are sums over rows.
    - Both the mean and the deviation move with x: dx has three terms.
    - The row's dx must sum to zero, and be nearly orthogonal to xhat.
    """
    centred = x - x.mean(-1, keepdims=True)
    s = 1 / np.sqrt(np.square(centred).mean(-1, keepdims=True) + eps)
    xhat = s * centred
    y = gain * xhat + bias

    def back(dy):
        u = gain * dy
        along = (u * xhat).mean(-1, keepdims=True)
        dx = s * (u - u.mean(-1, keepdims=True) - xhat * along)
        return dx, (dy * xhat).sum(0), dy.sum(0)

    return y, back


def batchnorm(x, gain, bias, *, eps=1e-5):
    """As layernorm, but over the batch: each column is standardised.  Return dx, dgain, dbias.

    Hints:
    - Which axis do the means of layernorm's dx run over now? And the sums of dgain?
    """
    centred = x - x.mean(0)
    s = 1 / np.sqrt(np.square(centred).mean(0) + eps)
    xhat = s * centred
    y = gain * xhat + bias

    def back(dy):
        u = gain * dy
        dx = s * (u - u.mean(0) - xhat * (u * xhat).mean(0))
        return dx, (dy * xhat).sum(0), dy.sum(0)

    return y, back


def unit(x):
    """y = x / |x|, row by row.  Return dx.

    Hints:
    - y cannot move along itself: dx has no component along y.
    - And divide by the length.
    """
    length = np.sqrt(np.square(x).sum(-1, keepdims=True))
    y = x / length

    def back(dy):
        return (dy - y * (y * dy).sum(-1, keepdims=True)) / length

    return y, back


def cosine(x, y):
    """s_ij = cos(x_i, y_j) for all pairs of rows.  Return dx, dy.

    Hints:
    - Two unit rows and a product: three gradients that you know.

    Derivation:
    With a = x / |x|, b = y / |y|: da = ds b, db = ds^T a, then back through each norm.
    """
    nx = np.sqrt(np.square(x).sum(-1, keepdims=True))
    ny = np.sqrt(np.square(y).sum(-1, keepdims=True))
    a, b = x / nx, y / ny
    s = a @ b.T

    def back(ds):
        da, db = ds @ b, ds.T @ a
        dx = (da - a * (a * da).sum(-1, keepdims=True)) / nx
        return dx, (db - b * (b * db).sum(-1, keepdims=True)) / ny

    return s, back


def dropout(x, *, keep, rate=0.25):
    """y = x / (1 - rate) where keep is True, 0 elsewhere.  Return dx.

    The draw is made outside: what was dropped on the way there is dropped on the way back.

    Hints:
    - The same mask, the same scale.

    Derivation:
    y = m x with m = keep / (1 - rate) fixed, so dx = m dy.
    """
    y = np.where(keep, x / (1 - rate), 0)

    def back(dy):
        return np.where(keep, dy / (1 - rate), 0)

    return y, back


def split_heads(x, *, heads=2):
    """(B, T, 3 H d) to queries, keys and values (3, B, H, T, d).  Return dx.

    Hints:
    - Nothing is computed, only moved: move it back.
    - The inverse of a transpose is the transpose by the inverse permutation.
    """
    B, T, _ = x.shape
    y = x.reshape(B, T, 3, heads, -1).transpose(2, 0, 3, 1, 4)

    def back(dy):
        return dy.transpose(1, 3, 0, 2, 4).reshape(x.shape)

    return y, back


def max_pool(x):
    """The largest over time, feature by feature.  Return dx.

    Hints:
    - Only the winner moves y.
    - numpy: take_along_axis has a sibling that puts.

    Derivation:
    y_bd = x_btd at t = argmax; a small move of the others changes nothing.
    """
    winner = x.argmax(1)[:, None]
    y = np.take_along_axis(x, winner, 1)[:, 0]

    def back(dy):
        dx = np.zeros_like(x)
        np.put_along_axis(dx, winner, dy[:, None], 1)
        return dx

    return y, back


def conv1d(x, w):
    """y_bto = sum_ki x_b(t+k)i w_kio: 3 taps, no padding, so y has T - 2 steps.  Return dx, dw.

    Hints:
    - x at one step reaches up to three steps of y: add what comes back.
    - Loop over the three taps, as the forward does.

    Derivation:
    y_t = sum_k x_(t+k) w_k.  So dw_k = sum_bt x_(t+k)^T dy_t, and dx_(t+k) += dy_t w_k^T.
    """
    L = x.shape[1] - 2
    y = x[:, :L] @ w[0] + x[:, 1 : L + 1] @ w[1] + x[:, 2 : L + 2] @ w[2]

    def back(dy):
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for k in range(3):
            dx[:, k : k + L] += dy @ w[k].T
            dw[k] = np.einsum("bti,bto->io", x[:, k : k + L], dy)
        return dx, dw

    return y, back


def projected_length(x, w):
    """y = |x w| / sqrt(m), one number for each row.  Return dx, dw.

    Hints:
    - d|u| = u / |u|.

    Derivation:
    With u = x w (m wide): du = dy u / (|u| sqrt(m)), then dx = du w^T, dw = x^T du.
    """
    u = x @ w
    length = np.sqrt(np.square(u).sum(-1))
    root = math.sqrt(w.shape[1])
    y = length / root

    def back(dy):
        du = (dy / (length * root))[:, None] * u
        return du @ w.T, x.T @ du

    return y, back


EXERCISES = (
    Exercise(centre, "x: B D"),
    Exercise(rms_norm, "x: B D; gain: D"),
    Exercise(layernorm, "x: B D; gain: D; bias: D", norm_page.layernorm),
    Exercise(batchnorm, "x: 2*B D; gain: D; bias: D", batch_page.batch_norm),
    Exercise(unit, "x: B D", similarity.unit),
    Exercise(cosine, "x: N D; y: M D"),
    Exercise(projected_length, "x: B D; w: D m"),
    Exercise(dropout, "x: B D; keep: B D bool"),
    Exercise(split_heads, "x: B T 6*d", heads_page.split_heads),
    Exercise(max_pool, "x: B T D"),
    Exercise(conv1d, "x: B T+2 n; w: 3 n m"),
)
