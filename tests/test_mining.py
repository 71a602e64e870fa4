"""Miners and pairs satisfy their definitions, which plain loops spell out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npssl.data import mining
from npssl.data.memory_queue import MemoryQueue
from npssl.data.mining import (
    all_triplets,
    batch_hard,
    distance_weighted,
    false_negative_rate,
    hardest,
    in_batch,
    random_negatives,
    semi_hard,
    squared_distances,
)
from npssl.data.positives import partners, same_label, time_shifted
from npssl.evaluation.kmeans import kmeans


@st.composite
def batches(draw):
    """Points on a small grid, so that distances are exact and often equal; labels; pairs."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(0, 9))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    x = rng.integers(-2, 3, (n, draw(st.integers(1, 3)))).astype(dtype)
    label = rng.integers(0, draw(st.integers(1, 5)), n)
    pairs = rng.integers(0, n, (draw(st.integers(0, 6)), 2)) if n and draw(st.booleans()) else None
    return x, label, pairs


def rows_of(index):
    assert index.dtype == np.int64 and index.ndim == 2
    return index.tolist()


def loop(x, label, pairs):
    """(anchor, positive, the negatives) and the table of squared distances."""
    if pairs is None:
        n = len(x)
        pairs = [(i, j) for i in range(n) for j in range(n) if i != j and label[i] == label[j]]
    D = [[float(sum((u - v) ** 2 for u, v in zip(a, b))) for b in x] for a in x]
    found = []
    for a, p in pairs:
        negatives = [q for q in range(len(x)) if label[q] not in (label[a], label[p])]
        found.append((int(a), int(p), negatives))
    return found, D


@pytest.fixture(autouse=True)
def several_blocks(monkeypatch):
    """Few pairs at a time, so that these small batches take several turns."""
    monkeypatch.setattr(mining, "BLOCK", 20)


several = settings(max_examples=30, deadline=None)


@given(batches())
@several
def test_all_triplets_and_in_batch(given):
    x, label, pairs = given
    found, _ = loop(x, label, pairs)
    assert rows_of(all_triplets(x, label, pairs=pairs)) == [
        [a, p, q] for a, p, negatives in found for q in negatives
    ]
    positives = {p for _, p, _ in found}
    assert rows_of(in_batch(x, label, pairs=pairs)) == [
        [a, p, q] for a, p, negatives in found for q in negatives if q in positives
    ]


@given(batches(), st.integers(1, 9))
@several
def test_hardest_and_random(given, k):
    x, label, pairs = given
    found, D = loop(x, label, pairs)
    k = max(1, min(k, len(x)))
    rng = np.random.default_rng(0)
    if not len(x):
        return
    nearest = [[a, p, q] for a, p, qs in found for q in sorted(qs, key=lambda q: D[a][q])[:k]]
    assert rows_of(hardest(x, label, pairs=pairs, k=k)) == nearest
    drawn = rows_of(random_negatives(x, label, pairs=pairs, rng=rng, k=k))
    for a, p, negatives in found:
        while drawn and drawn[0][:2] == [a, p] and drawn[0][2] in negatives:
            negatives.remove(drawn.pop(0)[2])
    assert not drawn
    total = len(random_negatives(x, label, pairs=pairs, rng=rng, k=k))
    assert total == len(nearest)


@given(batches(), st.sampled_from([0.5, 1.0, 4.0]))
@several
def test_semi_hard(given, margin):
    x, label, pairs = given
    found, D = loop(x, label, pairs)
    expected = []
    for a, p, negatives in found:
        some = [q for q in negatives if D[a][p] < D[a][q] < D[a][p] + margin]
        if some:
            expected.append([a, p, min(some, key=lambda q: (D[a][q], q))])
    assert rows_of(semi_hard(x, label, pairs=pairs, margin=margin)) == expected


@given(batches())
@several
def test_batch_hard(given):
    x, label, pairs = given
    found, D = loop(x, label, pairs)
    expected = []
    for a in range(len(x)):
        mine = [(p, negatives) for anchor, p, negatives in found if anchor == a]
        if mine:
            p, negatives = min(mine, key=lambda m: (-D[a][m[0]], m[0]))
            if negatives:
                expected.append([a, p, min(negatives, key=lambda q: (D[a][q], q))])
    if len(x):
        assert rows_of(batch_hard(x, label, pairs=pairs)) == expected


@given(batches())
@several
def test_distances_are_those_of_a_loop_and_of_equal_rows_exactly_zero(given):
    x, label, pairs = given
    _, D = loop(x, label, pairs)
    found = squared_distances(x, np.arange(len(x)))
    assert found.dtype == x.dtype and found.tolist() == D


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_rows_are_equally_far(dtype):
    """In any rounding, so that ties are ties: the lower number is taken."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 37)).astype(dtype)
    x[20:] = x[:20]
    D = squared_distances(x, np.arange(40))
    assert (D[:, :20] == D[:, 20:]).all() and (np.diag(D[:20, 20:]) == 0).all()
    label = np.r_[np.arange(20) % 2, 2 + np.arange(20) % 2]
    index = hardest(x, label, pairs=[[0, 2]])
    assert index.tolist() == [[0, 2, 20]]


def test_kernel_and_page_find_the_same_distances():
    x = np.random.default_rng(0).normal(size=(50, 33)).astype(np.float32)
    near = squared_distances(x, [3, 7, 3])
    far = squared_distances(x.astype(np.float64), [3, 7, 3])
    np.testing.assert_allclose(near, far, rtol=1e-5)


def test_distance_weighted_draws_from_its_distribution(monkeypatch):
    monkeypatch.setattr(mining, "BLOCK", 1 << 20)
    rng = np.random.default_rng(1)
    angle = np.array([0, 0.01, 0.2, 0.6, 0.9, 1.2, 3.0])
    x = np.stack([np.cos(angle), np.sin(angle), np.zeros(7), np.zeros(7)], 1)
    label = np.array([0, 0, 1, 2, 3, 4, 5])
    D = np.maximum(np.linalg.norm(x - x[0], axis=1), 0.5)
    weight = 1 / (D**2 * (1 - D**2 / 4) ** 0.5)
    weight[[0, 1, 6]] = 0  # its own, and what is farther than 1.4
    index = distance_weighted(x, label, pairs=np.tile([[0, 1]], (20000, 1)), rng=rng)
    share = np.bincount(index[:, 2], minlength=7) / len(index)
    np.testing.assert_allclose(share, weight / weight.sum(), atol=0.015)
    far = distance_weighted(x, label, pairs=np.tile([[6, 6]], (6000, 1)), rng=rng)
    share = np.bincount(far[:, 2], minlength=7) / len(far)  # all too far: uniform
    np.testing.assert_allclose(share, [1 / 6] * 6 + [0], atol=0.02)


def test_random_negatives_are_uniform(monkeypatch):
    monkeypatch.setattr(mining, "BLOCK", 1 << 20)
    x, label = np.zeros((6, 1)), [0, 0, 1, 1, 2, 3]
    pairs = np.tile([[0, 1]], (8000, 1))
    index = random_negatives(x, label, pairs=pairs, rng=np.random.default_rng(0))
    share = np.bincount(index[:, 2], minlength=6) / 8000
    np.testing.assert_allclose(share, [0, 0, 0.25, 0.25, 0.25, 0.25], atol=0.02)


@pytest.mark.parametrize("label", [np.zeros(5, int), np.arange(5)], ids=["one class", "no pair"])
def test_nothing_to_mine_is_no_triplet(label):
    x, rng = np.ones((5, 2)) / 2**0.5, np.random.default_rng(0)
    for miner in (all_triplets, in_batch, hardest, semi_hard, batch_hard):
        assert miner(x, label).shape == (0, 3)
    for miner in (random_negatives, distance_weighted):
        assert miner(x, label, rng=rng).shape == (0, 3)


# positives ----------------------------------------------------------------------------------------


@given(st.lists(st.integers(-2, 3), max_size=9))
@several
def test_same_label(label):
    n = len(label)
    pairs = [[i, j] for i in range(n) for j in range(n) if i != j and label[i] == label[j]]
    assert rows_of(same_label(np.array(label, int))) == pairs


@given(st.integers(0, 4), st.integers(2, 4))
@several
def test_partners(n, views):
    rows = range(n * views)
    pairs = [[i, j] for i in rows for j in rows if i != j and i % n == j % n]
    assert rows_of(partners(n, views)) == pairs


@given(st.lists(st.integers(1, 4), max_size=4), st.sets(st.integers(1, 6), min_size=1))
@several
def test_time_shifted(lengths, shifts):
    sequence = np.repeat(np.arange(len(lengths))[::-1], lengths)
    rows = range(len(sequence))
    pairs = [
        [i, j] for i in rows for j in rows if sequence[i] == sequence[j] and abs(i - j) in shifts
    ]
    assert rows_of(time_shifted(sequence, sorted(shifts))) == pairs


def test_pseudo_labels_of_two_heaps():
    x = np.random.default_rng(0).normal(size=(12, 2)) + np.repeat([[0], [50]], 6, 0)
    pairs = same_label(kmeans(x, 2)[0])
    assert len(pairs) == 60 and ((pairs < 6).sum(1) != 1).all()
    assert false_negative_rate(all_triplets(x, kmeans(x, 2)[0]), np.repeat([0, 1], 6)) == 0
    assert false_negative_rate(all_triplets(x, np.arange(12) % 2), np.zeros(12, int)) == 1


# the queue ----------------------------------------------------------------------------------------


@given(st.integers(1, 6), st.lists(st.integers(0, 9), max_size=6))
@several
def test_the_queue_keeps_the_last(size, lengths):
    queue, seen = MemoryQueue(size, 1), []
    for n in lengths:
        new = np.arange(len(seen), len(seen) + n, dtype=np.float32)
        queue.add(new[:, None])
        seen += new.tolist()
        assert queue.rows()[:, 0].tolist() == seen[-size:] and len(queue) == len(seen[-size:])


# bad input ----------------------------------------------------------------------------------------

X, LABEL = np.zeros((4, 2)), np.array([0, 0, 1, 1])


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("label: expected 4, one for each row of x, found 3", lambda: all_triplets(X, [0, 0, 1])),
        ("label: expected whole numbers", lambda: hardest(X, [0.0, 0.0, 1.0, 1.0])),
        ("x: expected finite embeddings", lambda: hardest(X[0], LABEL)),
        ("x: expected finite embeddings", lambda: semi_hard(X * np.nan, LABEL)),
        ("x: expected floating-point", lambda: semi_hard(X.astype(int), LABEL)),
        ("k: expected 1 to 4, the rows of x, found 5", lambda: hardest(X, LABEL, k=5)),
        ("k: expected 1 to 4", lambda: random_negatives(X, LABEL, rng=None, k=0)),
        ("margin: expected a positive number, found 0", lambda: semi_hard(X, LABEL, margin=0)),
        ("margin: expected a positive", lambda: semi_hard(X, LABEL, margin=np.nan)),
        ("pairs: expected whole numbers", lambda: in_batch(X, LABEL, pairs=[[0, 1, 2]])),
        ("pairs: expected rows of x, 0 to 3", lambda: in_batch(X, LABEL, pairs=[[0, 4]])),
        ("x: expected unit vectors", lambda: distance_weighted(X, LABEL, rng=None)),
        ("nearest and farthest", lambda: distance_weighted(X, LABEL, rng=None, nearest=1.5)),
        ("size: expected 1 row or more, found 0", lambda: MemoryQueue(0, 2)),
        (r"x: expected \(n, 2\), found \(4, 3\)", lambda: MemoryQueue(3, 2).add(np.ones((4, 3)))),
        ("sequence: expected the rows", lambda: time_shifted([0, 1, 0], 1)),
        ("shift: expected 1 or more", lambda: time_shifted([0, 0], 0)),
        ("n and views", lambda: partners(3, 1)),
    ],
)
def test_bad_input_is_refused_by_name(message, call):
    with pytest.raises(ValueError, match=message):
        call()
