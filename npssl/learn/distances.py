"""Chapter 6: learning by comparison."""

import numpy as np

from npssl.learn.exercise import Exercise
from npssl.losses import n_pair as n_pair_page


def pair_loss(x, y, *, same, margin=2.0):
    """Pull pairs of the same kind together, push others out to a margin.

    With d = |x - y| for each row: d^2 if same, else max(0, margin - d)^2; summed.
    Return dx, dy.

    Hints:
    - dy = -dx.
    - The push ends at the margin. d|v| = v / |v|.

    Derivation:
    v = x - y.  Same: 2 v.  Else, with h = max(0, margin - d): -2 h v / d.
    """
    v = x - y
    d = np.sqrt(np.square(v).sum(-1))
    h = np.where(margin > d, margin - d, 0)
    value = np.where(same, d * d, h * h).sum()

    def back(dvalue=1.0):
        factor = np.where(same, 2, -2 * h / d)
        dx = dvalue * factor[:, None] * v
        return dx, -dx

    return value, back


def triplet(anchor, positive, negative, *, margin=1.0):
    """Nearer to the positive than to the negative, by a margin: mean over rows of
    max(0, |a - p|^2 - |a - n|^2 + margin).  Return danchor, dpositive, dnegative.

    Hints:
    - Only rows that violate the margin carry gradient.
    - The anchor's a cancels in the difference of squares: 2 (n - p).

    Derivation:
    For an active row: da = 2 (a - p) - 2 (a - n) = 2 (n - p), dp = -2 (a - p),
    dn = 2 (a - n); each over the number of rows, active or not.
    """
    ap, an = anchor - positive, anchor - negative
    gap = np.square(ap).sum(-1) - np.square(an).sum(-1) + margin
    value = np.where(gap > 0, gap, 0).mean()

    def back(dvalue=1.0):
        active = (2 * dvalue / len(gap)) * (gap > 0)[:, None]
        return active * (ap - an), -active * ap, active * an

    return value, back


def lifted(x, y, *, margin=1.0):
    """Lifted structure, for N pairs (x_i, y_i) where every other y_k is a negative.

    J_i = d_ii + log sum_{k != i} exp(margin - d_ik) with d_ik = |x_i - y_k|;
    value = mean of max(0, J_i)^2 / 2.  Return dx, dy.

    Hints:
    - First find dd, an N x N matrix: positive on the diagonal, negative off it.
    - Off the diagonal: minus a softmax over the negatives.
    - Then each d_ik sends v / |v| to x_i and its opposite to y_k.

    Derivation:
    j_i = max(0, J_i) / N.  dd_ii = j_i, dd_ik = -j_i w_ik with w the softmax of -d over
    k != i.  With v_ik = x_i - y_k: dx_i = sum_k dd_ik v_ik / d_ik, and
    dy_k = -sum_i dd_ik v_ik / d_ik.
    """
    N, v = len(x), x[:, None] - y[None]
    d = np.sqrt(np.square(v).sum(-1))
    off = 1 - np.eye(N)
    e = off * np.exp(margin - d)
    J = np.diagonal(d) + np.log(e.sum(1))
    active = np.where(J > 0, J, 0)
    value = 0.5 * np.square(active).mean()

    def back(dvalue=1.0):
        dd = (dvalue * active / N)[:, None] * (np.eye(N) - e / e.sum(1, keepdims=True))
        flow = (dd / d)[..., None] * v
        return flow.sum(1), -flow.sum(0)

    return value, back


def n_pair(x, y, *, weight=0.1):
    """N-pair loss: mean of log(1 + sum_{k != i} exp(<x_i, y_k> - <x_i, y_i>)), and weight
    times the mean squared length of all x and y together.  Return dx, dy.

    Hints:
    - log(1 + sum exp(s_k - s_i)) is a cross-entropy in disguise.
    - The penalty: weight (sum x^2 + sum y^2) / N.
    """
    N, s = len(x), x @ y.T
    z = np.exp(s - s.max(1, keepdims=True))
    p = z / z.sum(1, keepdims=True)
    value = (weight * (np.square(x).sum() + np.square(y).sum()) - np.log(np.diagonal(p)).sum()) / N

    def back(dvalue=1.0):
        d = dvalue * (p - np.eye(N)) / N
        pull = 2 * weight * dvalue / N
        return d @ y + pull * x, d.T @ x + pull * y

    return value, back


def info_nce(x, y, *, temperature=0.5):
    """Which of N y belongs to x_i?  Cosines over a temperature, softmax over k, mean over i.

    Return dx, dy.

    Hints:
    - Predicted minus observed, over N and over the temperature.
    - Then through both norms: no component along the vector itself.

    Derivation:
    With a = x / |x|, b = y / |y|, p = softmax(a b^T / T): ds = (p - I) / (N T),
    da = ds b, db = ds^T a, dx = (da - a <a, da>) / |x| and so for y.
    """
    N = len(x)
    nx = np.sqrt(np.square(x).sum(-1, keepdims=True))
    ny = np.sqrt(np.square(y).sum(-1, keepdims=True))
    a, b = x / nx, y / ny
    s = a @ b.T / temperature
    e = np.exp(s - s.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    value = -np.log(np.diagonal(p)).mean()

    def back(dvalue=1.0):
        ds = dvalue * (p - np.eye(N)) / (N * temperature)
        da, db = ds @ b, ds.T @ a
        dx = (da - a * (a * da).sum(-1, keepdims=True)) / nx
        return dx, (db - b * (b * db).sum(-1, keepdims=True)) / ny

    return value, back


def symmetric_info_nce(x, y, *, temperature=0.5):
    """As CLIP asks: x for its y, and y for its x; half of each; dot products.  Return dx, dy.

    Hints:
    - One matrix of scores, one softmax over rows, one over columns.

    Derivation:
    ds = (p + q - 2 I) / (2 N T) with p the softmax over rows, q over columns.
    """
    N, s = len(x), x @ y.T / temperature
    e = np.exp(s - s.max())
    p, q = e / e.sum(1, keepdims=True), e / e.sum(0)
    value = -0.5 * (np.log(np.diagonal(p)) + np.log(np.diagonal(q))).mean()

    def back(dvalue=1.0):
        ds = dvalue * (p + q - 2 * np.eye(N)) / (2 * N * temperature)
        return ds @ y, ds.T @ x

    return value, back


def siamese(x, w, *, temperature=0.5):
    """One encoder, called twice: h = tanh(x w), and h_i should recognise h_(i+1) (the next row,
    the last the first).  InfoNCE of dot products against all rows.  Return dx, dw.

    Hints:
    - h is on both sides of the product: two gradients are added.
    - The shifted side is np.roll of h; roll its gradient back.

    Derivation:
    s = h k^T / T, k = roll(h, -1): ds = (p - I) / (N T), and h gets ds k + roll(ds^T h, 1).
    Then du = dh (1 - h^2), dx = du w^T, dw = x^T du.
    """
    N, h = len(x), np.tanh(x @ w)
    k = np.roll(h, -1, 0)
    s = h @ k.T / temperature
    e = np.exp(s - s.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    value = -np.log(np.diagonal(p)).mean()

    def back(dvalue=1.0):
        ds = dvalue * (p - np.eye(N)) / (N * temperature)
        du = (ds @ k + np.roll(ds.T @ h, 1, 0)) * (1 - h * h)
        return du @ w.T, x.T @ du

    return value, back


def soft_nearest_neighbor(x, *, label, temperature=2.0):
    """-mean_i log of the share of row i's own class among its neighbours, weighted by
    w_ik = exp(-|x_i - x_k|^2 / T), k != i.  Every row has a sibling here.  Return dx.

    Hints:
    - Two sums of the same weights: over the own class, over all. d log of each is a softmax.
    - dd_ik for the squared distance; then x_i gets 2 (x_i - x_k), and x_k the opposite.
    - d_ik comes from i's term; d_ki from k's term. Both move x_i.

    Derivation:
    value = -(1/N) sum_i [log sum_same w - log sum_all w].  So for D_ik = |x_i - x_k|^2
    dD_ik = (own_ik - all_ik) / (N T), own and all the weights normalised over same, over all.
    With S = dD + dD^T: dx_i = 2 sum_k S_ik (x_i - x_k).
    """
    N = len(x)
    label = np.concatenate([label, label])
    D = np.square(x[:, None] - x[None]).sum(-1)
    other = 1 - np.eye(N)
    w = other * np.exp(-D / temperature)
    w_own = w * (label[:, None] == label)
    own, everyone = w_own.sum(1, keepdims=True), w.sum(1, keepdims=True)
    value = -np.log(own / everyone).mean()

    def back(dvalue=1.0):
        dD = dvalue * (w_own / own - w / everyone) / (N * temperature)
        S = dD + dD.T
        return 2 * (S.sum(1, keepdims=True) * x - S @ x)

    return value, back


EXERCISES = (
    Exercise(pair_loss, "x: 2*B D; y: 2*B D; same: 2*B bool"),
    Exercise(triplet, "anchor: 2*B D; positive: 2*B D; negative: 2*B D"),
    Exercise(lifted, "x: N D; y: N D"),
    Exercise(n_pair, "x: N D; y: N D", n_pair_page.n_pair),
    Exercise(info_nce, "x: N D; y: N D"),
    Exercise(symmetric_info_nce, "x: N D; y: N D"),
    Exercise(siamese, "x: N n; w: n m"),
    Exercise(soft_nearest_neighbor, "x: 2*N D; label: N < 3"),
)
