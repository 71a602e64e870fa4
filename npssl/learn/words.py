"""Chapter 4: words: tables, repeated ids, and the ways around the sum over all words."""

import numpy as np

from npssl.layers import embedding as embedding_page
from npssl.learn.exercise import Exercise
from npssl.losses import hierarchical_softmax as tree_page
from npssl.losses import nce as nce_page
from npssl.losses import negative_sampling as sampling_page


def embedding(table, *, ids):
    """y = table[ids]: look rows up.  Return dtable.

    Hints:
    - An id that occurs three times gets three gradients.
    - grad[ids] += dy writes a repeated row once only. NumPy has an unbuffered addition.
    """
    y = table[ids]

    def back(dy):
        dtable = np.zeros_like(table)
        np.add.at(dtable, ids, dy)
        return dtable

    return y, back


def bag_of_words(table, *, ids, seen):
    """The mean of the vectors of the words that are seen (0 if none is).  Return dtable.

    Hints:
    - Each seen word gets dy over the number of seen words of its text.
    - Unseen places get nothing. Repeated ids add up.

    Derivation:
    y_b = sum_t m_bt table[ids_bt] / n_b with n_b = max(1, sum_t m_bt), so
    dtable[v] = sum over (b, t) with ids_bt = v of m_bt dy_b / n_b.
    """
    share = seen / np.maximum(1, seen.sum(1, keepdims=True))
    y = (share[..., None] * table[ids]).sum(1)

    def back(dy):
        dtable = np.zeros_like(table)
        np.add.at(dtable, ids, share[..., None] * dy[:, None])
        return dtable

    return y, back


def tied_weights(table, w, *, ids):
    """One table reads and writes: h = tanh(table[ids] w), scores = h table^T.  Return dtable, dw.

    Hints:
    - The table is used twice, so two gradients are added.
    - As decoder: a product of dscores and h. As encoder: added at ids.

    Derivation:
    The decoder's part is ds^T h.  Going on: dh = ds table, du = dh (1 - h^2), dw = e^T du
    with e = table[ids], and de = du w^T is added to the rows ids.
    """
    e = table[ids]
    h = np.tanh(e @ w)
    scores = h @ table.T

    def back(dscores):
        dtable = dscores.T @ h
        du = dscores @ table * (1 - h * h)
        np.add.at(dtable, ids, du @ w.T)
        return dtable, e.T @ du

    return scores, back


def full_softmax(x, table, *, target):
    """Skip-gram as it is meant: summed -log p(target | x) with p = softmax(x table^T).

    Return dx, dtable.

    Hints:
    - Predicted minus observed at the scores, then two matrix products.

    Derivation:
    d = p - onehot(target); s = x table^T gives dx = d table and dtable = d^T x.
    Every row of the table gets a gradient: this is what the next exercises avoid.
    """
    s = x @ table.T
    z = s - s.max(-1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
    rows = np.arange(len(x))
    value = -log_p[rows, target].sum()

    def back(dvalue=1.0):
        d = np.exp(log_p)
        d[rows, target] -= 1
        return dvalue * d @ table, dvalue * d.T @ x

    return value, back


def negative_sampling(x, y):
    """n inputs, one observed output y[0] and K drawn ones y[1:], all pairs summed.

    value = sum_i [softplus(-x_i y_0) + sum_j softplus(x_i y_j)].  Return dx, dy.

    Hints:
    - Predicted minus observed: sigmoid(s) - 1 for the positive, sigmoid(s) for the others.
    - s = x y^T: two matrix products.
    """
    s = x @ y.T
    sign = np.where(np.arange(len(y)) == 0, -1, 1)
    value = np.log(1 + np.exp(sign * s)).sum()

    def back(dvalue=1.0):
        error = dvalue * sign / (1 + np.exp(-sign * s))
        return error @ y, error.T @ x

    return value, back


def nce(x, y, *, log_noise):
    """Noise-contrastive estimation: as negative sampling, with log(K P_n) taken off the score.

    Output 0 was observed, the K others drawn; log_noise is log P_n of each.  Return dx, dy.

    Hints:
    - What is taken off does not depend on x or y.
    - But it is inside the sigmoid.
    """
    K = len(y) - 1
    s = x @ y.T - np.log(K) - log_noise
    sign = np.where(np.arange(len(y)) == 0, -1, 1)
    value = np.log(1 + np.exp(sign * s)).sum()

    def back(dvalue=1.0):
        error = dvalue * sign / (1 + np.exp(-sign * s))
        return error @ y, error.T @ x

    return value, back


def hierarchical_softmax(x, nodes, *, code):
    """A word as a path down a binary tree: at node j, go by code_j.

    p(code_j = 0) = sigmoid(<x, node_j>); value = -sum_ij log p.  Return dx, dnodes.

    Hints:
    - Each node asks a yes-no question: predicted minus observed.
    - Observed is 1 - code.
    """
    s = x @ nodes.T
    sign = 2 * code - 1
    value = np.log(1 + np.exp(sign * s)).sum()

    def back(dvalue=1.0):
        error = dvalue * (1 / (1 + np.exp(-s)) - (1 - code))
        return error @ nodes, error.T @ x

    return value, back


def sampled_softmax(x, y, *, log_noise):
    """Softmax over one observed output y[0] and K drawn ones, each score less log P_n.

    value = -sum_i log p_i0 with p = softmax(x y^T - log_noise).  Return dx, dy.

    Hints:
    - The correction shifts the scores and has no gradient of its own.

    Derivation:
    d = p - onehot(0); dx = d y, dy = d^T x.
    """
    s = x @ y.T - log_noise
    z = s - s.max(-1, keepdims=True)
    p = np.exp(z)
    p = p / p.sum(-1, keepdims=True)
    value = -np.log(p[:, 0]).sum()

    def back(dvalue=1.0):
        d = dvalue * (p - np.eye(p.shape[1])[0])
        return d @ y, d.T @ x

    return value, back


EXERCISES = (
    Exercise(embedding, "table: V D; ids: 2*B T < V", embedding_page.embedding),
    Exercise(bag_of_words, "table: V D; ids: B 2*T < V; seen: B 2*T bool"),
    Exercise(tied_weights, "table: V D; w: D D; ids: 2*B < V"),
    Exercise(full_softmax, "x: n D; table: V D; target: n < V"),
    Exercise(negative_sampling, "x: n D; y: K+1 D", sampling_page.negative_sampling),
    Exercise(nce, "x: n D; y: K+1 D; log_noise: K+1", nce_page.nce),
    Exercise(
        hierarchical_softmax, "x: n D; nodes: K D; code: K < 2", tree_page.hierarchical_softmax
    ),
    Exercise(sampled_softmax, "x: n D; y: K+1 D; log_noise: K+1"),
)
