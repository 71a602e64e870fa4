"""Steps of maps that are linear, or choose: products, look-ups, windows, heads."""

import numpy as np

from npssl.derivations.steps import FACT, gradient
from npssl.layers import attention, conv, pool
from npssl.layers import bag as bag_page
from npssl.layers import embedding as embedding_page
from npssl.layers import linear as linear_page


def linear(rng):
    """(1)-(4): sums over indices, and the same as products."""
    x, w, b, dy = (rng.normal(size=s) for s in ((4, 3), (3, 2), 2, (4, 2)))
    y, back = linear_page.linear(x, w, b)
    dx, dw, db = back(dy)
    yield 1, y, "=", np.einsum("ni,io->no", x, w) + b
    yield 2, np.einsum("no,io->ni", dy, w), "=", dy @ w.T
    yield 2, dx, "=", gradient(lambda x: x @ w + b, x, dy)
    yield 3, np.einsum("ni,no->io", x, dy), "=", x.T @ dy
    yield 3, dw, "=", gradient(lambda w: x @ w + b, w, dy)
    yield 4, db, "=", gradient(lambda b: x @ w + b, b, dy)
    yield FACT, linear_page.linear(np.ones((4, 1)), w[:1], b)[1](dy)[1][0], "=", db


def embedding(rng):
    """(1)-(2): looking up is a product with one-hot rows."""
    table, ids, dy = rng.normal(size=(4, 3)), rng.integers(0, 4, 6), rng.normal(size=(6, 3))
    y, back = embedding_page.embedding(table, ids=ids)
    hot = np.eye(4)[ids]
    yield 1, y, "=", hot @ table
    yield 2, back(dy), "=", hot.T @ dy
    yield FACT, back(dy).sum(0), "=", dy.sum(0)


def bag(rng):
    """(1)-(2): bags of 2, 0 and 3 positions."""
    table, ids, dy = rng.normal(size=(4, 3)), rng.integers(0, 4, 5), rng.normal(size=(3, 3))
    offsets, member = np.array([0, 2, 2, 5]), np.repeat(np.eye(3), [2, 0, 3], axis=0)
    weight = np.array([1 / 2, 0, 1 / 3])
    y, back = bag_page.bag(table, ids=ids, offsets=offsets)
    hot = np.eye(4)[ids]
    yield 1, y, "=", weight[:, None] * (member.T @ hot @ table)
    yield 2, back(dy), "=", hot.T @ member @ (weight[:, None] * dy)
    yield FACT, back(dy).sum(0), "=", dy[weight > 0].sum(0)


def split_heads(rng):
    """(1)-(2): index by index."""
    B, T, H, d = 2, 3, 2, 2
    x, dy = rng.normal(size=(B, T, 3 * H * d)), rng.normal(size=(3, B, H, T, d))
    y, back = attention.split_heads(x, heads=H)
    dx = back(dy)
    for i, b, h, t, j in np.ndindex(dy.shape):
        if i == h or t == j:  # a part of them, to save time
            yield 1, y[i, b, h, t, j], "=", x[b, t, (i * H + h) * d + j]
            yield 2, dx[b, t, (i * H + h) * d + j], "=", dy[i, b, h, t, j]


def merge_heads(rng):
    """(1)-(2): index by index."""
    B, H, T, d = 2, 2, 3, 2
    x, dy = rng.normal(size=(B, H, T, d)), rng.normal(size=(B, T, H * d))
    y, back = attention.merge_heads(x)
    for b, h, t, j in np.ndindex(x.shape):
        yield 1, y[b, t, h * d + j], "=", x[b, h, t, j]
        yield 2, back(dy)[b, h, t, j], "=", dy[b, t, h * d + j]


def conv1d(rng):
    """(1), and that it is conv2d of an image of one row."""
    x, w, b = rng.normal(size=(2, 6, 3)), rng.normal(size=(3, 3, 2)), rng.normal(size=2)
    y, back = conv.conv1d(x, w, b, stride=2, padding=1)
    X = np.pad(x, ((0, 0), (1, 1), (0, 0)))
    for n in range(y.shape[1]):
        yield 1, y[:, n], "=", b + sum(X[:, 2 * n + j] @ w[j] for j in range(3))
    image, image_back = conv.conv2d(x[:, None], w[None], b, stride=(1, 2), padding=(0, 1))
    dy = rng.normal(size=y.shape)
    yield 1, y, "=", image[:, 0]
    for a, c in zip(back(dy), image_back(dy[:, None])):
        yield 1, a, "=", c.reshape(a.shape)
    flat = conv.conv1d(np.ones((1, 5, 1)), np.array([1.0, -1]).reshape(2, 1, 1), np.zeros(1))[0]
    yield FACT, flat, "=", 0


def conv2d(rng):
    """(1)-(5), with stride 2 down and 1 across."""
    x, w, b = rng.normal(size=(2, 5, 4, 2)), rng.normal(size=(2, 2, 2, 3)), rng.normal(size=3)
    y, back = conv.conv2d(x, w, b, stride=(2, 1), padding=1)
    dy = rng.normal(size=y.shape)
    dx, dw, db = back(dy)
    X = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    M, N = y.shape[1:3]

    def seen(a, i, j):
        return a[:, i : i + 2 * M - 1 : 2, j : j + N]

    m, n = int(rng.integers(M)), int(rng.integers(N))
    offsets = [(i, j) for i in range(2) for j in range(2)]
    yield 1, y[:, m, n], "=", b + sum(X[:, 2 * m + i, n + j] @ w[i, j] for i, j in offsets)
    yield 2, y, "=", b + sum(seen(X, i, j) @ w[i, j] for i, j in offsets)
    dX = np.zeros_like(X)
    for i, j in offsets:
        seen(dX, i, j)[...] += dy @ w[i, j].T
        yield 4, dw[i, j], "=", np.einsum("bmni,bmno->io", seen(X, i, j), dy)
    yield 3, dx, "=", dX[:, 1:-1, 1:-1]
    yield 5, db, "=", dy.sum((0, 1, 2))
    one = conv.conv2d(x, w[:1, :1], b)[0]
    yield FACT, one, "=", linear_page.linear(x, w[0, 0], b)[0]


def _windows(x):
    """The four views of windows of 2 x 2."""
    return [x[:, i::2, j::2] for i in range(2) for j in range(2)]


def max_pool(rng):
    """(1)-(3)."""
    x, dy = rng.normal(size=(2, 4, 6, 3)), rng.normal(size=(2, 2, 3, 3))
    y, back = pool.max_pool(x)
    dx, views = back(dy), _windows(x)
    yield 1, y, "=", np.max(views, 0)
    wins = [view == y for view in views]
    yield 2, np.sum(wins, 0), "=", np.ones_like(y)
    for d, win in zip(_windows(dx), wins):
        yield 3, d, "=", dy * win
    yield FACT, dx.sum(), "=", dy.sum()


def mean_pool(rng):
    """(1)-(2)."""
    x, dy = rng.normal(size=(2, 4, 6, 3)), rng.normal(size=(2, 2, 3, 3))
    y, back = pool.mean_pool(x)
    yield 1, y, "=", sum(_windows(x)) / 4
    for d in _windows(back(dy)):
        yield 2, d, "=", dy / 4
    identity = np.broadcast_to(np.eye(3) / 4, (2, 2, 3, 3)).copy()
    yield FACT, y, "=", conv.conv2d(x, identity, np.zeros(3), stride=2)[0]


def global_pool(rng):
    """(1)-(2)."""
    x, dy = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 5))
    y, back = pool.global_pool(x)
    yield 1, y, "=", np.einsum("bhwc->bc", x) / 12
    yield 2, back(dy), "=", np.broadcast_to(dy[:, None, None] / 12, x.shape)
    yield FACT, y, "=", pool.global_pool(rng.permutation(x, axis=1))[0]


STEPS = (
    linear,
    embedding,
    bag,
    split_heads,
    merge_heads,
    conv1d,
    conv2d,
    max_pool,
    mean_pool,
    global_pool,
)
