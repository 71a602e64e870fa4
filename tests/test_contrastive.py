"""Contrastive losses: plain loops, facts of the pages, degenerate geometry, another library."""

import math

import numpy as np
import pytest

from npssl.check import check
from npssl.data.mining import all_triplets, semi_hard
from npssl.data.positives import same_label
from npssl.layers.distance import distance
from npssl.layers.log_sum_exp import log_sum_exp
from npssl.layers.similarity import unit
from npssl.losses.alignment import alignment, uniformity
from npssl.losses.barlow_twins import barlow_twins
from npssl.losses.cross_entropy import cross_entropy
from npssl.losses.debiased_info_nce import debiased_info_nce
from npssl.losses.info_nce import info_nce
from npssl.losses.lifted import lifted
from npssl.losses.n_pair import n_pair
from npssl.losses.nt_xent import nt_xent
from npssl.losses.pair import pair
from npssl.losses.sampled_softmax import sampled_softmax
from npssl.losses.semi_hard_triplet import semi_hard_triplet
from npssl.losses.siglip import siglip
from npssl.losses.soft_nearest_neighbor import soft_nearest_neighbor
from npssl.losses.sup_con import sup_con
from npssl.losses.triplet import triplet
from npssl.losses.vicreg import vicreg

LABEL = np.array([0, 1, 0, 2, 1, 0, 3])  # a class of three, of two, and two alone
INDEX = np.array([[0, 1], [2, 3], [4, 5]])


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def near(found, expected, tolerance=1e-12):
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def dot(a, b):
    return sum(float(u) * float(v) for u, v in zip(a, b))


def square(a, b):
    return sum((float(u) - float(v)) ** 2 for u, v in zip(a, b))


def mean(terms):
    return sum(terms) / len(terms)


# plain loops --------------------------------------------------------------------------------------


def test_info_nce_is_a_double_loop(rng):
    q, k, tau = rng.normal(size=(4, 3)), rng.normal(size=(6, 3)), 0.3
    terms = []
    for i in range(4):
        Z = sum(math.exp(dot(q[i], k[j]) / tau) for j in range(6))
        terms.append(-math.log(math.exp(dot(q[i], k[i]) / tau) / Z))
    near(info_nce(q, k, temperature=tau)[0], mean(terms))
    near(info_nce(q, k, temperature=tau, reduction="sum")[0], sum(terms))
    for j in range(4):
        Z = sum(math.exp(dot(q[i], k[j]) / tau) for i in range(4))
        terms.append(-math.log(math.exp(dot(q[j], k[j]) / tau) / Z))
    for i in range(4):
        Z = sum(math.exp(dot(q[i], k[j]) / tau) for j in range(4))
        terms[i] = -math.log(math.exp(dot(q[i], k[i]) / tau) / Z)
    near(info_nce(q, k[:4], temperature=tau, symmetric=True)[0], mean(terms))


def test_nt_xent_is_a_double_loop(rng):
    x, y = rng.normal(size=(2, 4, 3))
    z, terms = [*x, *y], []
    for i in range(8):
        Z = sum(math.exp(dot(z[i], z[j]) / 0.3) for j in range(8) if j != i)
        terms.append(-math.log(math.exp(dot(z[i], z[(i + 4) % 8]) / 0.3) / Z))
    near(nt_xent(x, y, temperature=0.3)[0], mean(terms))
    near(nt_xent(x, y, temperature=0.3, reduction="sum")[0], sum(terms))
    both = sup_con(np.concatenate([x, y]), label=np.tile(np.arange(4), 2), temperature=0.3)
    near(both[0], mean(terms))
    near(both[1](2.0), np.concatenate(nt_xent(x, y, temperature=0.3)[1](2.0)))


def test_sup_con_is_a_double_loop(rng):
    x, terms = rng.normal(size=(7, 3)), []
    for i in range(7):
        mates = [j for j in range(7) if j != i and LABEL[j] == LABEL[i]]
        Z = sum(math.exp(dot(x[i], x[j]) / 0.5) for j in range(7) if j != i)
        if mates:
            terms.append(-mean([math.log(math.exp(dot(x[i], x[j]) / 0.5) / Z) for j in mates]))
    near(sup_con(x, label=LABEL, temperature=0.5)[0], mean(terms))


def test_soft_nearest_neighbor_is_a_double_loop(rng):
    x, terms = rng.normal(size=(7, 3)), []
    for i in range(7):
        every = {j: math.exp(-square(x[i], x[j]) / 2.5) for j in range(7) if j != i}
        mates = sum(e for j, e in every.items() if LABEL[j] == LABEL[i])
        if mates:
            terms.append(-math.log(mates / sum(every.values())))
    near(soft_nearest_neighbor(x, 2.5, label=LABEL)[0], mean(terms))
    there = soft_nearest_neighbor(x, np.array(2.5), label=LABEL)[1]()
    back_again = soft_nearest_neighbor(x, np.array(2.5), label=LABEL, entangle=True)[1]()
    near(there[0], -back_again[0])
    near(there[1], -back_again[1])


def test_lifted_is_a_loop_over_pairs(rng):
    x, terms = rng.normal(size=(7, 3)), []
    for j in range(7):
        for i in range(j):
            if LABEL[i] == LABEL[j]:
                push = 0.0
                for k in range(7):
                    if LABEL[k] != LABEL[i]:
                        push += math.exp(0.7 - math.sqrt(square(x[i], x[k])))
                        push += math.exp(0.7 - math.sqrt(square(x[j], x[k])))
                J = math.log(push) + math.sqrt(square(x[i], x[j]))
                terms.append(max(0, J) ** 2)
    near(lifted(x, label=LABEL, margin=0.7)[0], sum(terms) / (2 * len(terms)))


def test_n_pair_is_a_double_loop(rng):
    a, p = rng.normal(size=(2, 4, 3))
    total = 0.0
    for i in range(4):
        s = sum(math.exp(dot(a[i], p[j]) - dot(a[i], p[i])) for j in range(4) if j != i)
        total += math.log(1 + s) + 0.3 * (dot(a[i], a[i]) + dot(p[i], p[i]))
    near(n_pair(a, p, penalty=0.3)[0], total / 4)


def test_triplet_and_pair_are_loops(rng):
    x = rng.normal(size=(7, 3))
    index = all_triplets(x, LABEL)
    gaps = [square(x[a], x[p]) - square(x[a], x[q]) + 0.2 for a, p, q in index]
    active = [g for g in gaps if g > 0]
    assert 0 < len(active) < len(gaps)
    near(triplet(x, index=index)[0], sum(active) / len(gaps))
    near(triplet(x, index=index, reduction="active")[0], mean(active))
    near(triplet(x, index=index, reduction="sum")[0], sum(active))
    soft = [math.log1p(math.exp(g)) for g in gaps]
    near(triplet(x, index=index, form="softplus")[0], mean(soft))

    same, terms, old = [True, False, False], [], []
    for (i, j), s in zip(INDEX, same):
        D, E = math.sqrt(square(x[i], x[j])), sum(abs(x[i] - x[j]))
        terms.append(D * D / 2 if s else max(0, 3 - D) ** 2 / 2)
        old.append(2 / 9 * E * E if s else 2 * 9 * math.exp(-2.77 / 9 * E))
    near(pair(x, index=INDEX, same=same, margin=3)[0], mean(terms))
    near(pair(x, index=INDEX, same=same, margin=9, form="chopra")[0], mean(old))


def test_siglip_is_a_double_loop(rng):
    x, y = rng.normal(size=(2, 4, 3))
    total = 0.0
    for i in range(4):
        for j in range(4):
            s = math.exp(0.4) * dot(x[i], y[j]) - 1
            total += math.log1p(math.exp(-s if i == j else s))
    near(siglip(x, y, 0.4, -1.0)[0], total / 4)


def test_alignment_and_uniformity_are_loops(rng):
    x, y = rng.normal(size=(2, 5, 3))
    near(alignment(x, y, power=1)[0], mean([math.sqrt(square(a, b)) for a, b in zip(x, y)]))
    pairs = [math.exp(-3 * square(x[i], x[j])) for j in range(5) for i in range(j)]
    near(uniformity(x, sharpness=3)[0], math.log(mean(pairs)))


def test_barlow_twins_and_vicreg_are_loops(rng):
    x, y = rng.normal(size=(2, 6, 3))
    a, b = ((z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5) for z in (x, y))
    total = 0.0
    for i in range(3):
        for j in range(3):
            C = mean([a[n, i] * b[n, j] for n in range(6)])
            total += (1 - C) ** 2 if i == j else 0.1 * C**2
    near(barlow_twins(x, y, weight=0.1)[0], total)

    total = 25 * mean([square(u, v) for u, v in zip(x, y)])
    for z in (x / 2, y):
        C = np.cov(z, rowvar=False)
        total += 25 * mean([max(0, 1 - math.sqrt(C[k, k] + 1e-4)) for k in range(3)])
        total += sum(C[i, j] ** 2 for i in range(3) for j in range(3) if i != j) / 3
    shrunk = 25 * mean([square(u / 2, v) - square(u, v) for u, v in zip(x, y)])
    near(vicreg(x / 2, y)[0], total + shrunk)


def test_debiased_info_nce_is_a_double_loop(rng):
    q, k = unit(rng.normal(size=(4, 3)))[0], unit(rng.normal(size=(6, 3)))[0]
    terms = []
    for i in range(4):
        e = [math.exp(dot(q[i], k[j]) / 0.5) for j in range(6)]
        free = (sum(e) - e[i] - 5 * 0.1 * e[i]) / 0.9
        terms.append(-math.log(e[i] / (e[i] + max(free, 5 * math.exp(-2)))))
    near(debiased_info_nce(q, k)[0], mean(terms))
    near(debiased_info_nce(q, k, prior=0)[0], info_nce(q, k, temperature=0.5)[0])


# sampled softmax ----------------------------------------------------------------------------------


def test_sampled_softmax_of_all_words_is_the_softmax(rng):
    """Each word drawn once from the uniform distribution: the sum over draws is the sum."""
    x, table = rng.normal(size=(3, 4)), rng.normal(size=(6, 4))
    for i, word in enumerate([2, 0, 5]):
        order = [word, *(w for w in range(6) if w != word)]
        value, back = sampled_softmax(x[i : i + 1], table[order], log_noise=np.zeros(6))
        logits = x[i : i + 1] @ table.T
        near(value, cross_entropy(logits, target=np.array([word]))[0])
        near(back()[0], cross_entropy(logits, target=np.array([word]))[1]() @ table)


def test_the_estimate_of_z_is_exact_where_all_words_are_drawn(rng):
    """K words, each once, under the uniform Q = 1 / K: a forgotten log K is seen."""
    x, table = rng.normal(size=(1, 3)), rng.normal(size=(8, 3))
    y, options = table[[0, *range(8)]], {"log_noise": np.full(9, -math.log(8))}
    penalty = sampled_softmax(x, y, z_loss=1, **options)[0] - sampled_softmax(x, y, **options)[0]
    near(penalty, math.log(np.exp(x @ table.T).sum()) ** 2)


def test_the_correction_makes_the_estimate_of_z_right_on_average(rng):
    """Over many draws; log Q forgotten or wrong is seen."""
    x, table = rng.normal(size=(1, 3)), rng.normal(size=(8, 3))
    q = rng.dirichlet(np.ones(8))
    found = []
    for _ in range(3000):
        words = np.append(0, rng.choice(8, 5, p=q))
        plain = sampled_softmax(x, table[words], log_noise=np.log(q[words]))[0]
        s = dot(x[0], table[0]) - math.log(5 * q[0])
        found.append(math.exp(plain + s) - math.exp(s))  # the sum over the drawn
    Z = np.exp(x @ table.T).sum()
    assert abs(np.mean(found) - Z) < 4 * np.std(found) / math.sqrt(3000)


# facts --------------------------------------------------------------------------------------------


def test_values_where_nothing_is_known():
    z = np.zeros((5, 3))
    near(info_nce(z, z)[0], math.log(5))
    near(info_nce(z, np.zeros((8, 3)))[0], math.log(8))
    near(nt_xent(z, z)[0], math.log(9))
    near(sup_con(z, label=np.array([0, 0, 1, 1, 1]))[0], math.log(4))
    near(n_pair(z, z)[0], math.log(5))
    near(siglip(z, z, 0.0, 0.0)[0], 5 * math.log(2))
    mates = soft_nearest_neighbor(z, 1.0, label=np.array([0, 0, 1, 1, 1]))[0]
    near(mates, (2 * math.log(4) + 3 * math.log(2)) / 5)


def test_the_gradient_scales_with_one_over_temperature(rng):
    """The forgotten 1 / temperature: at small scores dquery is (mean key - own) / (N tau)."""
    q, k = 1e-9 * rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    near(info_nce(q, k, temperature=0.05)[1]()[0], (k.mean(0) - k) / (4 * 0.05), 1e-6)


def test_forces_on_a_pair_and_a_triplet_cancel(rng):
    x = rng.normal(size=(7, 3))
    for form in ("hadsell", "chopra"):
        dx = pair(x, index=INDEX, same=[True, False, False], margin=9, form=form)[1]()
        near(dx.sum(0), 0)
    near(triplet(x, index=all_triplets(x, LABEL))[1]().sum(0), 0)


def test_rows_in_another_order_give_the_same(rng):
    x, order = rng.normal(size=(7, 3)), rng.permutation(7)
    for loss in (sup_con, lifted):
        value, back = loss(x, label=LABEL)
        again, back_again = loss(x[order], label=LABEL[order])
        near(again, value)
        near(back_again(), back()[order])


# degenerate geometry ------------------------------------------------------------------------------

SINGLE = {
    "sup_con": lambda x, y: sup_con(x, label=y),
    "soft_nearest_neighbor": lambda x, y: soft_nearest_neighbor(x, x.dtype.type(1), label=y),
    "entangling": lambda x, y: soft_nearest_neighbor(x, x.dtype.type(1), label=y, entangle=True),
    "lifted": lambda x, y: lifted(x, label=y),
    "triplets": lambda x, y: triplet(x, index=all_triplets(x, y)),
    "active triplets": lambda x, y: triplet(x, index=all_triplets(x, y), reduction="active"),
    "semi-hard": lambda x, y: semi_hard_triplet(x, label=y),
    "soft triplets": lambda x, y: triplet(x, index=semi_hard(x, y), form="softplus"),
    "uniformity": lambda x, y: uniformity(x),
    "same": lambda x, y: pair(x, index=same_label(y), same=np.ones(len(same_label(y)))),
    "different": lambda x, y: pair(x, index=same_label(y), same=np.zeros(len(same_label(y)))),
    "chopra": lambda x, y: pair(
        x, index=same_label(y), same=np.zeros(len(same_label(y))), form="chopra"
    ),
}
DOUBLE = {
    "info_nce": info_nce,
    "clip": lambda x, y: info_nce(x, y, symmetric=True),
    "nt_xent": nt_xent,
    "n_pair": n_pair,
    "siglip": lambda x, y: siglip(x, y, x.dtype.type(0), x.dtype.type(0)),
    "alignment": alignment,
    "rooted alignment": lambda x, y: alignment(x, y, power=1),
    "barlow_twins": barlow_twins,
    "vicreg": vicreg,
    "debiased": debiased_info_nce,
}
CORNERS = {
    "all rows equal": np.ones((6, 3)),
    "all zero": np.zeros((6, 3)),
    "one zero": np.eye(6, 3),
    "duplicates": np.repeat(np.eye(3), 2, 0),
    "far": 100 * np.eye(6, 3),
    "near": 1e-12 * np.random.default_rng(0).normal(size=(6, 3)),
}
LABELS = {
    "one class": np.zeros(6, int),
    "nobody's mate": np.arange(6),
    "two": np.array([0, 0, 0, 1, 1, 1]),
    "one alone": np.array([0, 0, 0, 0, 0, 1]),
}


def finite(value, back):
    grads = back()
    for a in (value, *(grads if isinstance(grads, tuple) else (grads,))):
        assert np.isfinite(a).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("corner", CORNERS)
def test_no_corner_gives_nan(corner, dtype):
    x = CORNERS[corner].astype(dtype)
    with np.errstate(all="raise", under="ignore"):
        for label in LABELS.values():
            for loss in SINGLE.values():
                finite(*loss(x, label))
        for loss in DOUBLE.values():
            finite(*loss(x, x))
            finite(*loss(x, x[::-1]))


@pytest.mark.parametrize("label", ["nobody's mate"])
@pytest.mark.parametrize(
    "loss", ["sup_con", "soft_nearest_neighbor", "lifted", "triplets", "semi-hard", "same"]
)
def test_no_positive_pair_costs_nothing(loss, label, rng):
    value, back = SINGLE[loss](rng.normal(size=(6, 3)), LABELS[label])
    grads = back()
    assert value == 0
    assert not np.any(grads[0] if isinstance(grads, tuple) else grads)


def test_one_class_only(rng):
    x, y = rng.normal(size=(6, 3)), LABELS["one class"]
    for loss in ("soft_nearest_neighbor", "lifted", "triplets", "semi-hard"):
        value, back = SINGLE[loss](x, y)
        grads = back()
        near(value, 0)
        near(grads[0] if isinstance(grads, tuple) else grads, 0)
    near(sup_con(np.ones((6, 3)), label=y)[0], math.log(5))


def test_no_active_triplet_is_zero_whatever_the_mean(rng):
    x = np.array([[0.0, 0], [0.1, 0], [9, 9]])
    for reduction in ("mean", "active", "sum"):
        value, back = triplet(x, index=np.array([[0, 1, 2]]), reduction=reduction)
        assert value == 0 and not back().any()


def test_collapse_stands_at_the_margin():
    """Schroff's loss of equal rows is the margin, without a gradient to leave it."""
    value, back = triplet(np.ones((6, 3)), index=all_triplets(np.ones((6, 3)), LABELS["two"]))
    near(value, 0.2)
    assert not back().any()


def test_different_at_distance_zero(rng):
    for form, value in (("hadsell", 4.5), ("chopra", 6.0)):
        found, back = pair(np.ones((2, 3)), index=[[0, 1]], same=[0], margin=3, form=form)
        near(found, value)
        assert not back().any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_of_ten_thousand(dtype, rng):
    """Temperature .01 and vectors of length 10: nothing overflows, the winner takes all."""
    x = (10 * unit(rng.normal(size=(6, 8)))[0]).astype(dtype)
    with np.errstate(all="raise", under="ignore"):
        for loss in (info_nce, nt_xent, debiased_info_nce):
            near(loss(x, x, temperature=0.01)[0], 0, 1e-6)
            value, back = loss(x, np.roll(x, 1, 0), temperature=0.01)
            assert 0 < value < 2e4
            finite(value, back)
        for label in LABELS.values():
            finite(*sup_con(x, label=label, temperature=0.01))
            finite(*soft_nearest_neighbor(x, dtype(0.01), label=label))


def test_one_instance_has_nobody_to_be_told_from(rng):
    x, y = rng.normal(size=(2, 1, 3))
    for value, back in (nt_xent(x, y), info_nce(x, y), n_pair(x, y, penalty=0)):
        assert value == 0 and not any(d.any() for d in back())
    assert uniformity(x)[0] == 0 and not uniformity(x)[1]().any()


def test_log_sum_exp_of_nothing_and_of_infinities():
    x = np.array([[1.0, np.nan], [-np.inf, 700.0]])
    value, back = log_sum_exp(x, mask=np.array([[False, False], [True, True]]))
    assert value.tolist() == [-np.inf, 700.0]
    assert back(np.ones(2)).tolist() == [[0, 0], [0, 1]]
    assert log_sum_exp(np.zeros((2, 0)))[0].tolist() == [-np.inf, -np.inf]


def test_distance_between_equal_rows_has_no_gradient():
    x = np.ones((3, 2))
    dx, dy = distance(x, x)[1](np.ones((3, 3)))
    assert not dx.any() and not dy.any()


def test_large_ones_are_checked_too(rng):
    """At 40 rows, where the cases of the registry draw at most 6."""
    x, label = rng.normal(size=(40, 8)), rng.integers(0, 12, 40)
    assert check(lifted, x, label=label) < 1e-12
    assert check(sup_con, x, label=label) < 1e-12
    assert check(soft_nearest_neighbor, x, np.array(3.0), label=label) < 1e-12
    assert check(info_nce, x[:20], x[20:], temperature=0.5) < 1e-12


# pytorch-metric-learning --------------------------------------------------------------------------


@pytest.fixture
def theirs():
    pytest.importorskip("torch", reason="needs PyTorch")
    reason = "needs pytorch-metric-learning: pip install 'npssl[bench]'"
    pytest.importorskip("pytorch_metric_learning", reason=reason)
    from pytorch_metric_learning import distances, losses

    return losses, distances


def agrees(loss, value, dx, x, label):
    import torch

    t = torch.tensor(x, requires_grad=True)
    found = loss(t, torch.tensor(label))
    found.backward()
    near(value, found.item(), 1e-10)
    near(dx, t.grad.numpy(), 1e-10)


def test_where_the_formulas_are_the_same(theirs, rng):
    losses, distances = theirs
    x, label = rng.normal(size=(7, 3)), LABEL
    dots = distances.DotProductSimilarity(normalize_embeddings=False)
    value, back = sup_con(x, label=label, temperature=0.5)
    agrees(losses.SupConLoss(temperature=0.5, distance=dots), value, back(), x, label)

    z, twice = rng.normal(size=(6, 3)), np.tile(np.arange(3), 2)
    value, back = nt_xent(z[:3], z[3:], temperature=0.5)
    ntx = losses.NTXentLoss(temperature=0.5, distance=dots)
    agrees(ntx, value, np.concatenate(back()), z, twice)

    u, back_unit = unit(z)  # by default theirs takes cosines: `unit` before ours
    value, back = nt_xent(u[:3], u[3:], temperature=0.5)
    dz = back_unit(np.concatenate(back()))
    agrees(losses.NTXentLoss(temperature=0.5), value, dz, z, twice)

    squared = distances.LpDistance(normalize_embeddings=False, power=2)
    value, back = triplet(x, index=all_triplets(x, label), margin=0.2, reduction="active")
    agrees(losses.TripletMarginLoss(margin=0.2, distance=squared), value, back(), x, label)


def test_lifted_is_theirs_if_nothing_is_normalised(theirs, rng):
    """Theirs takes both orders of each pair, which has the same mean."""
    losses, distances = theirs
    x = rng.normal(size=(7, 3))
    plain = distances.LpDistance(normalize_embeddings=False)
    value, back = lifted(x, label=LABEL, margin=1.0)
    theirs_loss = losses.LiftedStructureLoss(neg_margin=1, pos_margin=0, distance=plain)
    agrees(theirs_loss, value, back(), x, LABEL)


def test_where_the_pair_loss_differs(theirs, rng):
    """Theirs of similar pairs is the mean D, not D^2 / 2: the page's form cannot be had."""
    import torch

    losses, distances = theirs
    x = rng.normal(size=(4, 3))
    plain = distances.LpDistance(normalize_embeddings=False)
    found = losses.ContrastiveLoss(distance=plain)(torch.tensor(x), torch.zeros(4)).item()
    pairs = same_label(np.zeros(4, int))
    D = np.linalg.norm(x[pairs[:, 0]] - x[pairs[:, 1]], axis=1)
    near(found, D.mean(), 1e-10)
    near(pair(x, index=pairs, same=np.ones(12))[0], (D**2 / 2).mean())


def test_where_n_pair_differs(theirs, rng):
    """Theirs has no rein on lengths, and takes unit vectors unless told otherwise."""
    losses, distances = theirs
    dots = distances.DotProductSimilarity(normalize_embeddings=False)
    x, label = rng.normal(size=(6, 3)), np.repeat(np.arange(3), 2)
    value, back = n_pair(x[::2], x[1::2], penalty=0)
    dx = np.stack(back(), 1).reshape(6, 3)
    agrees(losses.NPairsLoss(distance=dots), value, dx, x, label)
    near(n_pair(x[::2], x[1::2], penalty=0.1)[0] - value, 0.1 * np.square(x).sum() / 3)


# bad input ----------------------------------------------------------------------------------------

X, NAN = np.ones((4, 3)), np.full((4, 3), np.nan)
Y = np.array([0, 0, 1, 1])
T = np.array([[0, 1, 2]])


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (r"query must be embeddings \(N, d\), found shape \(3,\)", lambda: info_nce(X[0], X)),
        ("key must be as wide as query, 3, found 2", lambda: info_nce(X, X[:, :2])),
        ("key must have at least 4 rows", lambda: info_nce(X, X[:3])),
        ("key must have exactly 4 rows", lambda: info_nce(X[:4], np.ones((5, 3)), symmetric=True)),
        ("temperature must be a positive number, found 0", lambda: info_nce(X, X, temperature=0)),
        ("temperature must be a positive", lambda: nt_xent(X, X, temperature=np.nan)),
        ("temperature must be a positive", lambda: soft_nearest_neighbor(X, -1.0, label=Y)),
        ("temperature must be a positive", lambda: soft_nearest_neighbor(X, X[0], label=Y)),
        ("reduction must be one of mean, sum, found 'max'", lambda: nt_xent(X, X, reduction="max")),
        (r"y must have the shape \(4, 3\) of x, found \(3, 3\)", lambda: nt_xent(X, X[:3])),
        ("NaN or infinity in 4 of 4 rows, the first of them row 0", lambda: nt_xent(X, NAN)),
        ("label must be 4 whole numbers", lambda: sup_con(X, label=Y[:3])),
        ("label must be 4 whole numbers", lambda: sup_con(X, label=Y.astype(float))),
        ("label must be 4 whole numbers", lambda: lifted(X, label=Y[:, None])),
        ("margin must be a positive number, found -1", lambda: lifted(X, label=Y, margin=-1)),
        ("margin must be a positive number", lambda: semi_hard_triplet(X, label=Y, margin=0)),
        ("label must be 4 whole", lambda: semi_hard_triplet(X, label=Y[:3])),
        ("margin must be a positive number", lambda: triplet(X, index=T, margin=0)),
        ("index must be rows of x, 0 to 3, found 0 to 4", lambda: triplet(X, index=T * 2)),
        (r"index must be whole numbers \(n, 3\)", lambda: triplet(X, index=T[:, :2])),
        ("index must be whole numbers", lambda: triplet(X, index=T.astype(float))),
        ('form must be "hinge" or "softplus"', lambda: triplet(X, index=T, form="relu")),
        ("same must be 3 times True or False", lambda: pair(X, index=INDEX % 4, same=[1, 0])),
        ("same must be 3 times", lambda: pair(X, index=INDEX % 4, same=[1, 0, 2])),
        ("margin must be a positive", lambda: pair(X, index=INDEX % 4, same=[1, 0, 1], margin=0)),
        ('form must be "hadsell"', lambda: pair(X, index=INDEX % 4, same=[1, 0, 1], form="l1")),
        ("penalty must be a number of 0 or more", lambda: n_pair(X, X, penalty=-1)),
        ("log_scale must be one finite number", lambda: siglip(X, X, np.ones(2), 0.0)),
        ("bias must be one finite number", lambda: siglip(X, X, 0.0, math.nan)),
        ("power must be a positive", lambda: alignment(X, X, power=0)),
        ("sharpness must be a positive", lambda: uniformity(X, sharpness=-2)),
        ("x must have at least 2 rows", lambda: barlow_twins(X[:1], X[:1])),
        ("x must have at least 2 rows", lambda: vicreg(X[:1], X[:1])),
        ("variance must be a number of 0 or more", lambda: vicreg(X, X, variance=-1)),
        ("weight must be a number of 0 or more", lambda: barlow_twins(X, X, weight=-1)),
        ("prior must be a probability below 1, found 1", lambda: debiased_info_nce(X, X, prior=1)),
        ("log_noise must be", lambda: sampled_softmax(X, X, log_noise=np.ones(3))),
        ("negatives must be positive", lambda: sampled_softmax(X, X[:1], log_noise=np.ones(1))),
        (
            "label must have at most one 1",
            lambda: sampled_softmax(X, X, log_noise=np.ones(4), label=np.ones(4)),
        ),
        ("z_loss must be", lambda: sampled_softmax(X, X, log_noise=np.ones(4), z_loss=-1)),
        (r"x and y must be \(N, d\) and \(M, d\)", lambda: distance(X, X[:, :2])),
        ("mask must have the shape", lambda: log_sum_exp(X, mask=X[0] > 0)),
    ],
)
def test_bad_input_is_refused_by_name(message, call):
    with pytest.raises(ValueError, match=message):
        call()
