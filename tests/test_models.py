"""Dense models: what they compute, that they credit with +=, and that a name may be used twice."""

import numpy as np
import pytest

from npssl.check import check, functional
from npssl.layers.activation import gelu, relu, tanh
from npssl.layers.dropout import dropout
from npssl.losses.cross_entropy import cross_entropy
from npssl.models.bag import bag_classifier, bag_classifier_spec
from npssl.models.dense import dense, dense_spec, mlp, mlp_spec, norm, norm_spec, stack
from npssl.params import Params


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def params(spec, rng):
    p = Params(spec, rng, dtype=np.float64)
    p.flat += 0.1 * rng.normal(size=p.flat.shape)
    return p


def near(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("net, spec", [(dense, dense_spec(4, 4)), (norm, norm_spec(4))])
def test_back_adds(rng, net, spec):
    p, x = params(spec, rng), rng.normal(size=(3, 4))
    _, back = net(p.tree, x)
    once, twice = p.zeros(), p.zeros()
    back(np.ones((3, 4)), once.tree)
    for _ in range(2):
        back(np.ones((3, 4)), twice.tree)
    assert once.flat.all()
    near(twice.flat, 2 * once.flat)


def test_a_name_used_twice_is_tied(rng):
    def tied(p, x):
        y, back_one = dense(p, x)
        z, back_two = dense(p, y)
        return z, lambda dz, g: back_one(back_two(dz, g), g)

    p = params(dense_spec(4, 4, std=0.5), rng)
    assert check(functional(tied, p), p.flat, rng.normal(size=(3, 4))) < 1e-12


def test_stack_is_one_after_another_and_empty_is_nothing(rng):
    p, x = params([dense_spec(4, 4, std=0.5) for _ in range(3)], rng), rng.normal(size=(2, 4))
    y, _ = stack(dense, p.tree, x)
    by_hand = x
    for layer in p.tree:
        by_hand = by_hand @ layer.w + layer.b
    near(y, by_hand)
    op = functional(lambda q, h: stack(dense, q, h), p)
    assert check(op, p.flat, x) < 1e-12
    y, back = stack(dense, [], x)
    assert y is x and back(x, []) is x


@pytest.mark.parametrize("activation", [relu, tanh, gelu])
def test_mlp_has_no_activation_at_its_end(rng, activation):
    p, x = params(mlp_spec(4, 5, 3, 2), rng), rng.normal(size=(6, 4))
    y, _ = mlp(p.tree, x, activation=activation)
    h = x @ p.tree[0].w + p.tree[0].b
    for layer in p.tree[1:]:
        h = activation(h)[0] @ layer.w + layer.b
    near(y, h)
    linear = params(mlp_spec(4, 2), rng)
    near(mlp(linear.tree, x, rate=0.5, rng=rng)[0], x @ linear.tree[0].w + linear.tree[0].b)


def test_mlp_drops_after_each_activation(rng):
    p, x = params(mlp_spec(4, 50, 2), rng), rng.normal(size=(6, 4))
    y, _ = mlp(p.tree, x, rate=0.4, rng=np.random.default_rng(3))
    a, _ = relu(x @ p.tree[0].w + p.tree[0].b)
    a, _ = dropout(a, rate=0.4, rng=np.random.default_rng(3))
    near(y, a @ p.tree[1].w + p.tree[1].b)


def test_mlp_keeps_the_size_of_what_passes(rng):
    p = Params(mlp_spec(256, 256, 256, 256, 256), rng, dtype=np.float64)
    x = rng.normal(size=(200, 256))
    y, _ = mlp(p.tree, x)
    assert (
        0.7 < y.std() / (np.sqrt(2) * x.std()) < 1.4
    )  # the last map has no relu before it to halve


@pytest.mark.parametrize("widths", [(), (3,), (3, 0), (-1, 2)])
def test_mlp_spec_refuses(widths):
    with pytest.raises(ValueError, match="widths must be"):
        mlp_spec(*widths)


def test_bag_classifier(rng):
    p = params(bag_classifier_spec(7, 4, 5, classes=3, std=0.5), rng)
    ids, offsets = np.array([0, 6, 6, 2]), np.array([0, 3, 3, 4])
    logits, back = bag_classifier(p.tree, ids=ids, offsets=offsets)
    means = np.stack([p.tree.table[[0, 6, 6]].mean(0), np.zeros(4), p.tree.table[2]])
    near(logits, mlp(p.tree.head, means)[0])
    g = p.zeros()
    back(np.ones((3, 3)), g.tree)
    assert sorted(np.flatnonzero(g.tree.table.any(1))) == [0, 2, 6]
    frozen = p.zeros()
    bag_classifier(p.tree, ids=ids, offsets=offsets, frozen=True)[1](np.ones((3, 3)), frozen.tree)
    assert not frozen.tree.table.any()
    near(frozen.tree.head[0].w, g.tree.head[0].w)


def test_bag_classifier_learns_which_word_decides(rng):
    """Ten words, bags of one to five; the class is whether word 3 is among them."""
    sizes = rng.integers(1, 6, 300)
    offsets = np.append(0, sizes.cumsum())
    ids = rng.integers(0, 10, offsets[-1])
    target = np.array([int(3 in ids[a:b]) for a, b in zip(offsets, offsets[1:])])
    p = Params(bag_classifier_spec(10, 4, classes=2, std=0.3), rng, dtype=np.float64)
    g = p.zeros()
    for _ in range(300):
        logits, back = bag_classifier(p.tree, ids=ids, offsets=offsets)
        _, back_loss = cross_entropy(logits, target=target)
        g.flat[:] = 0
        back(back_loss(), g.tree)
        p.flat -= 2.0 * g.flat
    assert (logits.argmax(-1) == target).mean() > 0.95
