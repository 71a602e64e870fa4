"""The tables made from counts: what they promise, for any counts."""

import heapq
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npssl.data.sampling import alias_table, huffman, keep_probability, noise_distribution

COUNTS = st.lists(st.integers(1, 10**12), min_size=1, max_size=60)


def codes(counts):
    start, nodes, code = huffman(counts)
    return [(nodes[a:b].tolist(), code[a:b].tolist()) for a, b in zip(start, start[1:])]


def by_heap(counts):
    """The least cost of a prefix code, the usual way."""
    heap, cost = list(counts), 0
    heapq.heapify(heap)
    while len(heap) > 1:
        joined = heapq.heappop(heap) + heapq.heappop(heap)
        cost += joined
        heapq.heappush(heap, joined)
    return cost


@given(COUNTS)
def test_huffman_is_a_complete_and_optimal_code(counts):
    found = codes(counts)
    assert sum(Fraction(1, 2 ** len(code)) for _, code in found) == 1
    assert sum(n * len(code) for n, (_, code) in zip(counts, found)) == by_heap(counts)


@given(COUNTS)
def test_huffman_paths_are_those_of_one_tree(counts):
    child = {}
    for word, (nodes, code) in enumerate(codes(counts)):
        assert not nodes or nodes[0] == len(counts) - 2
        for node, turn, below in zip(nodes, code, [*nodes[1:], ("word", word)]):
            assert child.setdefault((node, turn), below) == below
    assert len(child) == 2 * (len(counts) - 1)


def test_huffman_breaks_ties_as_the_two_queues_of_word2vec_do():
    # by hand: 1+1 (words 4, 3) -> node 0 of 2; node 0 before word 2 on a tie: 0+2 -> node 1 of 4;
    # node 1 before word 1 ... : the later of the two always gets turn 1
    assert codes([5, 2, 2, 1, 1]) == [
        ([3], [0]),
        ([3, 2], [1, 0]),
        ([3, 2, 1], [1, 1, 1]),
        ([3, 2, 1, 0], [1, 1, 0, 1]),
        ([3, 2, 1, 0], [1, 1, 0, 0]),
    ]


def test_huffman_takes_counts_in_any_order_and_beyond_the_sentinel_of_the_c_program():
    assert codes([1, 4, 2])[1] == codes([4, 2, 1])[0]
    assert [len(c) for _, c in codes([10**16, 10**16, 10**15, 10**15])] == [1, 2, 3, 3]


def test_huffman_of_one_word_asks_nothing():
    assert codes([7]) == [([], [])]


@given(st.lists(st.floats(0, 1e300), min_size=1, max_size=50).filter(any))
def test_alias_table_gives_back_the_distribution(weights):
    table = alias_table(weights)
    assert table.dtype == np.uint64
    threshold, alias = table >> np.uint64(32), (table & np.uint64(0xFFFFFFFF)).astype(int)
    own = np.where(alias == np.arange(len(table)), 1.0, threshold / 2**32)
    p = own / len(table)
    np.add.at(p, alias, (1 - own) / len(table))
    expected = np.array(weights) / max(weights)
    expected /= expected.sum()
    np.testing.assert_allclose(p, expected, rtol=0, atol=2**-31)
    assert (p[expected == 0] == 0).all()


def test_alias_table_draws_as_documented():
    p = np.array([0.5, 0.25, 0.2, 0.05, 0.0])
    z = np.random.default_rng(0).integers(0, 2**64, 200_000, dtype=np.uint64)
    table, low = alias_table(p), np.uint64(0xFFFFFFFF)
    i = ((z >> np.uint64(32)) * np.uint64(len(p))) >> np.uint64(32)
    entry = table[i]
    word = np.where((z & low) < entry >> np.uint64(32), i, entry & low)
    drawn = np.bincount(word.astype(int), minlength=5) / len(z)
    np.testing.assert_allclose(drawn, p, atol=0.005)  # five standard errors
    assert drawn[4] == 0


@given(COUNTS, st.floats(1e-9, 1))
def test_keep_probability_is_the_formula_of_each_form(counts, sample):
    f = np.array(counts) / sum(counts)
    paper = np.minimum(1, np.sqrt(sample / f))
    program = np.minimum(1, (np.sqrt(f / sample) + 1) * sample / f)
    np.testing.assert_allclose(keep_probability(counts, sample, "paper"), paper, rtol=1e-12)
    np.testing.assert_allclose(keep_probability(counts, sample), program, rtol=1e-12)


def test_keep_probability_of_zero_keeps_all():
    assert keep_probability([5, 1], 0).tolist() == [1, 1]


@given(COUNTS, st.floats(-3, 3))
def test_noise_is_a_power_of_the_counts(counts, power):
    p = noise_distribution(counts, power)
    assert abs(p.sum() - 1) < 1e-12
    np.testing.assert_allclose(
        np.log(p[0] / p), power * (np.log(counts[0]) - np.log(counts)), atol=1e-9
    )


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: keep_probability([1], -1), "sample: expected a share"),
        (lambda: keep_probability([1], float("nan")), "sample"),
        (lambda: keep_probability([1], 0.1, "c"), "form: expected"),
        (lambda: keep_probability([-1], 0.1), "counts: expected 0 or more, found -1"),
        (lambda: keep_probability([[1]], 0.1), "one dimension"),
        (lambda: noise_distribution([0, 0]), "at least one word"),
        (lambda: noise_distribution([1], np.inf), "power"),
        (lambda: noise_distribution([1.5]), "counts: expected integers"),
        (lambda: alias_table([]), "p: expected weights"),
        (lambda: alias_table([1, np.nan]), "p: expected weights"),
        (lambda: alias_table([1, -1]), "p: expected weights"),
        (lambda: alias_table([0, 0]), "p: expected weights"),
        (lambda: huffman([]), "at least one word"),
    ],
)
def test_wrong_numbers_are_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()
