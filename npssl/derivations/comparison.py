"""Steps of distances and of the losses that compare."""

import numpy as np

from npssl.data.mining import semi_hard
from npssl.derivations.steps import FACT, gradient, sigmoid, softplus
from npssl.layers import distance as distance_page
from npssl.losses import info_nce as info_page
from npssl.losses import lifted as lifted_page
from npssl.losses import n_pair as n_pair_page
from npssl.losses import nt_xent as nt_xent_page
from npssl.losses import semi_hard_triplet as semi_hard_page
from npssl.losses import soft_nearest_neighbor as neighbor_page
from npssl.losses import sup_con as sup_con_page
from npssl.losses import triplet as triplet_page

LABEL = np.array([0, 0, 1, 1, 1, 2])  # two mates, three, and one alone
MATE = (LABEL[:, None] == LABEL) & ~np.eye(6, dtype=bool)
OTHER = 1 - np.eye(6)
ANCHOR = MATE.any(1)


def _rows(s, weight=1.0):
    e = weight * np.exp(s)
    return e / e.sum(-1, keepdims=True)


def _lse(s, weight=1.0):
    return np.log((weight * np.exp(s)).sum(-1))


def squared_distance(rng):
    """(1)-(3)."""
    x, y, ds = rng.normal(size=(3, 4)), rng.normal(size=(5, 4)), rng.normal(size=(3, 5))
    s, back = distance_page.squared_distance(x, y)
    dx, dy = back(ds)
    v = x[:, None] - y
    yield 1, s, "=", (v * v).sum(-1)
    yield 2, dx, "=", 2 * np.einsum("ij,ijk->ik", ds, v)
    yield 2, dx, "=", 2 * (x * ds.sum(1, keepdims=True) - ds @ y)
    yield 2, dx, "=", gradient(lambda x: ((x[:, None] - y) ** 2).sum(-1), x, ds)
    yield 3, dy, "=", 2 * (y * ds.sum(0)[:, None] - ds.T @ x)
    yield FACT, dx.sum(0) + dy.sum(0), "=", np.zeros(4)


def distance(rng):
    """(1)."""
    x, y, dD = rng.normal(size=(3, 4)), rng.normal(size=(5, 4)), rng.normal(size=(3, 5))
    D, back = distance_page.distance(x, y)
    s, below = distance_page.squared_distance(x, y)
    yield 1, D, "=", np.sqrt(s)
    yield 1, gradient(np.sqrt, s), "=", 1 / (2 * D)
    for found, expected in zip(back(dD), below(dD / (2 * D))):
        yield 1, found, "=", expected
    one = np.zeros((3, 5))
    one[1, 2] = 1
    yield FACT, np.linalg.norm(back(one)[0][1]), "=", 1


def info_nce(rng):
    """(1)-(4); the proof about information is `npssl.derivations.information`."""
    query, key = rng.normal(size=(2, 4, 3))
    T = 0.7
    value, back = info_page.info_nce(query, key, temperature=T)
    s = query @ key.T / T

    def surprise(s):
        return (_lse(s) - np.diagonal(s)).mean()

    p = _rows(s)
    ds = (p - np.eye(4)) / 4
    yield 1, s[1, 2], "=", query[1] @ key[2] / T
    yield 2, value, "=", surprise(s)
    yield 3, gradient(surprise, s), "=", ds
    yield 4, back(1.0)[0], "=", ds @ key / T
    yield 4, back(1.0)[1], "=", ds.T @ query / T
    both = info_page.info_nce(query, key, temperature=T, symmetric=True)[0]
    yield FACT, both, "=", (surprise(s) + surprise(s.T)) / 2
    yield FACT, info_page.info_nce(0 * query, key, temperature=T)[0], "=", np.log(4)
    yield FACT, ds.sum(1), "=", np.zeros(4)


def nt_xent(rng):
    """(1)-(4)."""
    x, y = rng.normal(size=(2, 3, 4))
    T = 0.7
    value, back = nt_xent_page.nt_xent(x, y, temperature=T)
    z, view = np.concatenate([x, y]), np.roll(np.arange(6), 3)
    s, partner = z @ z.T / T, np.eye(6)[view]

    def surprise(s):
        return (_lse(s, OTHER) - (partner * s).sum(1)).mean()

    ds = (_rows(s, OTHER) - partner) / 6
    yield 1, s, "=", s.T
    yield 2, value, "=", surprise(s)
    yield 3, gradient(surprise, s), "=", ds
    yield 4, np.concatenate(back(1.0)), "=", (ds + ds.T) @ z / T
    yield 4, gradient(lambda z: surprise(z @ z.T / T), z), "=", (ds + ds.T) @ z / T
    yield FACT, nt_xent_page.nt_xent(0 * x, 0 * y, temperature=T)[0], "=", np.log(5)


def sup_con(rng):
    """(1)-(4)."""
    x, T = rng.normal(size=(6, 3)), 0.7
    value, back = sup_con_page.sup_con(x, label=LABEL, temperature=T)
    s, A = x @ x.T / T, ANCHOR.sum()
    share = MATE / np.maximum(1, MATE.sum(1, keepdims=True))

    def surprise(s):
        return ((_lse(s, OTHER) - (share * s).sum(1)) * ANCHOR).sum() / A

    ds = ANCHOR[:, None] * (_rows(s, OTHER) - share) / A
    dx = back(1.0)
    yield 1, s[0, 1], "=", x[0] @ x[1] / T
    yield 2, value, "=", surprise(s)
    yield 3, gradient(surprise, s), "=", ds
    yield 4, dx, "=", (ds + ds.T) @ x / T
    yield FACT, sup_con_page.sup_con(0 * x, label=LABEL, temperature=T)[0], "=", np.log(5)
    twice = np.array([0, 1, 2, 0, 1, 2])
    same = nt_xent_page.nt_xent(x[:3], x[3:], temperature=T)[0]
    yield FACT, sup_con_page.sup_con(x, label=twice, temperature=T)[0], "=", same


def soft_nearest_neighbor(rng):
    """(1)-(5)."""
    x, T = rng.normal(size=(6, 3)), np.asarray(rng.uniform(0.5, 2))
    value, back = neighbor_page.soft_nearest_neighbor(x, T, label=LABEL)
    dx, dT = back(1.0)
    D = distance_page.squared_distance(x, x)[0]
    s, A = -D / T, ANCHOR.sum()

    def surprise(s):
        return (_lse(s, OTHER)[ANCHOR] - _lse(s[ANCHOR], MATE[ANCHOR])).sum() / A

    ds = np.zeros((6, 6))
    ds[ANCHOR] = (_rows(s, OTHER)[ANCHOR] - _rows(s[ANCHOR], MATE[ANCHOR])) / A
    dD = -ds / T
    yield 1, D, "=", ((x[:, None] - x) ** 2).sum(-1)
    yield 2, value, "=", surprise(s)
    yield 3, gradient(surprise, s), "=", ds
    yield 4, gradient(lambda D: surprise(-D / T), D), "=", dD
    yield 4, dx, "=", sum(distance_page.squared_distance(x, x)[1](dD))
    yield 5, dT, "=", (ds * D).sum() / T**2
    yield 5, dT, "=", gradient(lambda T: surprise(-D / T), T)
    yield FACT, ds.sum(1), "=", np.zeros(6)
    alone = neighbor_page.soft_nearest_neighbor(x, T, label=np.zeros(6, int))[0]
    yield FACT, alone, "=", 0


def lifted(rng):
    """(1)-(6)."""
    x, margin = 2 * rng.normal(size=(6, 3)), 1.0
    value, back = lifted_page.lifted(x, label=LABEL, margin=margin)
    D, below = distance_page.distance(x, x)
    foreign = (LABEL[:, None] != LABEL).astype(float)
    i, j = np.nonzero(np.triu(MATE))

    def r(D):
        return _lse(margin - D, foreign)

    def J(D):
        return np.log(np.exp(r(D)[i]) + np.exp(r(D)[j])) + D[i, j]

    hinge = np.maximum(0, J(D))
    yield 1, r(D), ">=", np.where(foreign > 0, margin - D, -np.inf).max(1)
    yield 2, J(D), ">=", np.maximum(r(D)[i], r(D)[j]) + D[i, j]
    yield 3, value, "=", (hinge**2).sum() / (2 * len(i))
    dJ = hinge / len(i)
    dD, dr = np.zeros((6, 6)), np.zeros(6)
    np.add.at(dD, (i, j), dJ)
    yield (
        4,
        gradient(lambda J: (np.where(J.real > 0, J, 0) ** 2).sum() / (2 * len(i)), J(D)),
        "=",
        dJ,
    )
    share = sigmoid(r(D)[i] - r(D)[j])
    np.add.at(dr, i, dJ * share)
    np.add.at(dr, j, dJ * (1 - share))
    yield 5, dr.sum(), "=", dJ.sum()
    yield 5, gradient(lambda r: np.log(np.exp(r[i]) + np.exp(r[j])), r(D), dJ), "=", dr
    yield 6, gradient(r, D, dr), "=", -dr[:, None] * _rows(margin - D, foreign)
    dD -= dr[:, None] * _rows(margin - D, foreign)
    yield 6, back(1.0), "=", sum(below(dD))


def n_pair(rng):
    """(1)-(5)."""
    anchor, positive = rng.normal(size=(2, 4, 3))
    penalty = 0.1
    value, back = n_pair_page.n_pair(anchor, positive, penalty=penalty)
    s = anchor @ positive.T
    own = np.diagonal(s)
    length = penalty * ((anchor**2).sum() + (positive**2).sum()) / 4
    spread = (1 - np.eye(4)) * np.exp(s - own[:, None])
    yield 1, s[0, 1], "=", anchor[0] @ positive[1]
    yield 2, value, "=", np.log(1 + spread.sum(1)).mean() + length
    yield 2, np.log(1 + spread.sum(1)), "=", _lse(s) - own
    ds = (_rows(s) - np.eye(4)) / 4
    yield 3, gradient(lambda s: (_lse(s) - np.diagonal(s)).mean(), s), "=", ds
    yield 4, back(1.0)[0], "=", ds @ positive + 2 * penalty * anchor / 4
    yield 5, back(1.0)[1], "=", ds.T @ anchor + 2 * penalty * positive / 4
    same = info_page.info_nce(anchor, positive, temperature=1.0)[0]
    yield FACT, n_pair_page.n_pair(anchor, positive, penalty=0.0)[0], "=", same


def triplet(rng):
    """(1)-(3), for one triplet, both forms."""
    x, margin = rng.normal(size=(3, 4)), 0.2
    a, p, q = x

    def gap(x):
        return ((x[0] - x[1]) ** 2).sum() - ((x[0] - x[2]) ** 2).sum() + margin

    index = np.array([[0, 1, 2]])
    shape = 2 * np.array([q - p, p - a, a - q])
    yield 1, gap(x), "=", (a - p) @ (a - p) - (a - q) @ (a - q) + margin
    yield 3, gradient(gap, x), "=", shape
    for form, cost, slope in (
        ("hinge", max(0, gap(x)), float(gap(x) > 0)),
        ("softplus", softplus(gap(x)), sigmoid(gap(x))),
    ):
        value, back = triplet_page.triplet(x, index=index, margin=margin, form=form)
        yield 2, value, "=", cost
        yield 3, back(1.0), "=", slope * shape
        yield FACT, back(1.0).sum(0), "=", np.zeros(4)
    collapsed = triplet_page.triplet(np.ones((3, 4)), index=index, margin=margin)
    yield FACT, collapsed[0], "=", margin
    yield FACT, collapsed[1](1.0), "=", np.zeros((3, 4))


def semi_hard_triplet(rng):
    """(1)-(3): the triplets are sought by loops."""
    x, margin, rows = rng.normal(size=(len(LABEL), 2)), 1.0, range(len(LABEL))
    square = lambda x, i, j: ((x[i] - x[j]) ** 2).sum()
    chosen = []
    for a, p in [(a, p) for a in rows for p in rows if a != p and LABEL[a] == LABEL[p]]:
        positive = square(x, a, p)
        band = [q for q in rows if LABEL[q] != LABEL[a] and 0 < square(x, a, q) - positive < margin]
        chosen += [(a, p, q) for q in sorted(band, key=lambda q: square(x, a, q))[:1]]
    n = max(1, len(chosen))

    def mean(x):
        return (
            sum((square(x, a, p) - square(x, a, q) + margin for a, p, q in chosen), 0 * x.sum()) / n
        )

    dx = np.zeros_like(x)
    for a, p, q in chosen:
        dx[[a, p, q]] += 2 / n * (x[[q, p, a]] - x[[p, a, q]])
    value, back = semi_hard_page.semi_hard_triplet(x, label=LABEL, margin=margin)
    index = np.zeros((len(LABEL) ** 2, 3))
    index[: len(chosen)] = chosen or 0
    mined = np.zeros_like(index)
    found = semi_hard(x, LABEL, margin=margin)
    mined[: len(found)] = found
    yield 1, mined, "=", index
    yield 2, value, "=", mean(x)
    yield 3, dx, "=", gradient(mean, x)
    yield 3, back(1.0), "=", dx
    yield FACT, value, "<=", margin


STEPS = (
    squared_distance,
    distance,
    info_nce,
    nt_xent,
    sup_con,
    soft_nearest_neighbor,
    lifted,
    n_pair,
    triplet,
    semi_hard_triplet,
)
