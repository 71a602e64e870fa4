"""Language models by counting: sums to one, and the formula written out with dictionaries."""

import lzma
import re
from collections import Counter, defaultdict

import numpy as np
import pytest

from npssl.evaluation.ngrams import (
    BidirectionalBigram,
    KneserNey,
    Unigram,
    discounts,
)

V = 12


def text(n, seed=0):
    """Words drawn like Zipf's, each after its predecessor's fashion; the last is never seen."""
    rng = np.random.default_rng(seed)
    table = rng.dirichlet(0.3 / np.arange(1, V), size=V - 1)
    ids = [0]
    for _ in range(n - 1):
        ids.append(int(rng.choice(V - 1, p=table[ids[-1]])))
    return np.array(ids, np.int32)


class Slow:
    """Modified Kneser-Ney, from the page: n-grams are tuples in dictionaries."""

    def __init__(self, documents, order, vocabulary):
        self.order, self.vocabulary = order, vocabulary
        raw = [Counter() for _ in range(order + 1)]
        for words in documents:
            for k in range(1, order + 1):
                for i in range(len(words) - k + 1):
                    raw[k][tuple(words[i : i + k])] += 1
        self.count = [Counter() for _ in range(order + 1)]
        self.count[order] = raw[order]
        for k in range(1, order):
            for longer in raw[k + 1]:
                self.count[k][longer[1:]] += 1
        self.discount = [None]
        self.followers = [None]
        for k in range(1, order + 1):
            n = Counter(self.count[k].values())
            try:
                y = n[1] / (n[1] + 2 * n[2])
                d = (1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3])
                usable = all(0 < x <= i for i, x in enumerate(d, 1))
            except ZeroDivisionError:
                usable = False
            self.discount.append(d if usable else (0.5, 1.0, 1.5))
            followers = defaultdict(list)
            for gram, c in self.count[k].items():
                followers[gram[:-1]].append(c)
            self.followers.append(followers)

    def away(self, k, c):
        return self.discount[k][min(c, 3) - 1] if c else 0.0

    def p(self, word, history):
        if history is None:
            return 1 / self.vocabulary
        history = tuple(history)[max(0, len(history) - self.order + 1) :]
        k = len(history) + 1
        shorter = self.p(word, history[1:] if history else None)
        counts = self.followers[k].get(history)
        if not counts:
            return shorter
        c = self.count[k][(*history, word)]
        rest = sum(self.away(k, n) for n in counts)
        return (c - self.away(k, c) + rest * shorter) / sum(counts)


def after(model, history):
    """(V,) p of every word after a history."""
    rows = [[*history, w] for w in range(V)]
    starts = np.arange(V) * (len(history) + 1)
    nats = model.nats(np.concatenate(rows), starts=starts)
    return np.exp(-nats.reshape(V, -1)[:, -1])


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("n", [40, 3000])  # 40: the discounts are the substitutes
def test_kneser_ney_is_the_formula(order, n):
    ids, starts = text(n), np.array([0, n // 3, n // 3 + 1, n // 2])
    model = KneserNey(ids, order, V, starts=starts)
    slow = Slow([d.tolist() for d in np.split(ids, starts)], order, V)
    held = text(150, seed=1)
    held[::17] = V - 1
    begins = np.array([0, 60, 61, 100])
    expected = []
    for words in np.split(held, begins):
        words = words.tolist()
        expected += [slow.p(w, words[:i]) for i, w in enumerate(words)]
    np.testing.assert_allclose(np.exp(-model.nats(held, starts=begins)), expected, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("n", [1, 7, 60, 3000])
def test_kneser_ney_sums_to_one_after_any_history(order, n):
    ids = text(n)
    model = KneserNey(ids, order, V)
    histories = [[], [0], [V - 1], [0, V - 1], [V - 1, 0, 0], ids[:3], ids[-3:], ids[-1:]]
    for history in histories:
        p = after(model, [int(w) for w in history])
        assert p.min() > 0
        np.testing.assert_allclose(p.sum(), 1, rtol=1e-12)


def test_kneser_ney_below_the_full_order_counts_companions_not_uses():
    """Word 1 is more frequent than 2, but stands after 0 only, and 2 after many."""
    ids = [0, 1] * 50 + [3, 2, 4, 2, 5, 2, 6, 2, 7, 2]
    p = after(KneserNey(ids, 2, V), [V - 1])
    assert p[2] > 2 * p[1]


def test_a_history_seen_only_where_the_text_begins():
    """After how many words came 10 9?  After none, so 10 says nothing of what follows it."""
    model = KneserNey(np.r_[10, 9, text(500) % 9], 3, V)
    np.testing.assert_allclose(after(model, [3, 10]), after(model, [3, V - 1]), rtol=1e-12)


def test_no_n_gram_reaches_over_a_start():
    """Document 0 0 0, then 1 1 1: nothing says that 1 follows 0."""
    ids = np.repeat([0, 1], 300)
    over, within = KneserNey(ids, 2, V), KneserNey(ids, 2, V, starts=[300])
    assert within.keys[1].size == 2 and over.keys[1].size == 3


def test_more_words_of_history_help_text_that_has_them():
    ids, held = text(20000), text(2000, seed=0)[1000:]
    one, two = (KneserNey(ids, n, V).nats(held).mean() for n in (1, 2))
    assert two < one - 0.1


def test_discounts_are_of_chen_and_goodman():
    counts = [1] * 60 + [2] * 20 + [3] * 10 + [4] * 6 + [9] * 4
    y = 60 / 100
    expected = (1 - 2 * y * 20 / 60, 2 - 3 * y * 10 / 20, 3 - 4 * y * 6 / 10)
    np.testing.assert_allclose(discounts(counts), expected)
    assert discounts([5, 6, 7]) == (0.5, 1.0, 1.5)


def test_unigram():
    ids = text(500)
    model = Unigram(ids, V, add=0.5)
    np.testing.assert_allclose(model.probability.sum(), 1)
    counts = Counter(ids.tolist())
    expected = [-np.log((counts[w] + 0.5) / (500 + 0.5 * V)) for w in (0, 3, V - 1)]
    np.testing.assert_allclose(model.nats([0, 3, V - 1]), expected)
    assert counts[model.best] == max(counts.values())


def test_bidirectional_bigram_is_the_formula(monkeypatch):
    """Every pair of neighbours, seen or not, and tables of a few rows at a time."""
    monkeypatch.setattr("npssl.evaluation.ngrams.CELLS", 7 * V)
    ids, starts = text(400), [0, 150]
    model = BidirectionalBigram(ids, V, starts=starts)
    slow = Slow([ids[:150].tolist(), ids[150:].tolist()], 2, V)
    a, w, b = (grid.ravel() for grid in np.meshgrid(*[np.arange(V)] * 3, indexing="ij"))
    p = np.array([slow.p(j, [i]) * slow.p(k, [j]) for i, j, k in zip(a, w, b)]).reshape(V, V, V)
    p /= p.sum(1, keepdims=True)
    found = np.exp(-model.nats(a, w, b)).reshape(V, V, V)
    np.testing.assert_allclose(found, p, rtol=1e-11)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-12)
    a, b = (grid.ravel() for grid in np.meshgrid(np.arange(V), np.arange(V), indexing="ij"))
    np.testing.assert_array_equal(model.best(a, b), p.argmax(1).ravel())


def test_a_neighbour_that_is_hidden_too_tells_nothing():
    ids = text(300)
    model, slow = BidirectionalBigram(ids, V), Slow([ids.tolist()], 2, V)
    share = (np.bincount(ids, minlength=V) + 1) / (len(ids) + V)
    p = np.array([[slow.p(w, [a]) for w in range(V)] for a in range(V)])
    words, none = np.arange(V), np.full(V, -1)
    np.testing.assert_allclose(np.exp(-model.nats(none, words, none)), share, rtol=1e-11)
    for a in range(V):
        found = np.exp(-model.nats(np.full(V, a), words, none))
        np.testing.assert_allclose(found, p[a] / p[a].sum(), rtol=1e-11)
        truth = share * p[:, a]
        found = np.exp(-model.nats(none, words, np.full(V, a)))
        np.testing.assert_allclose(found, truth / truth.sum(), rtol=1e-11)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: KneserNey([0, 1], 0, 2), "order: expected at least 1, found 0"),
        (lambda: KneserNey([], 2, 2), "ids: expected at least one word, found none"),
        (lambda: KneserNey([0, 2], 2, 2), "ids: expected 0 to 1, found 0 to 2"),
        (lambda: KneserNey([0.5], 2, 2), "ids: expected one row of integers, found shape (1,)"),
        (lambda: KneserNey([0, 1], 2, 2, starts=[2]), "starts: expected 0 to 1, found 2 to 2"),
        (lambda: BidirectionalBigram([0], 2), "ids: expected two words in one document"),
        (lambda: Unigram([0], 2, add=0.0), "add: expected a number above 0, found 0.0"),
        (lambda: Unigram([0], 2).nats([-1]), "ids: expected 0 to 1, found -1 to -1"),
        (
            lambda: BidirectionalBigram([0, 1], 2).nats([0], [0, 1], [0]),
            "expected 2 words each, found 1 and 1",
        ),
        (
            lambda: BidirectionalBigram([0, 1], 2).best([-2], [0]),
            "previous: expected -1 to 1, found -2",
        ),
    ],
)
def test_bad_input_is_named(make, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        make()


def test_shakespeare_by_characters(shared_data):
    """Order 5, nine tenths of tinyshakespeare: between no context and a good network."""
    file = next(shared_data("tinyshakespeare").glob("*.xz"))
    raw = np.frombuffer(lzma.open(file).read(), np.uint8)
    letters, ids = np.unique(raw, return_inverse=True)
    split = int(0.9 * len(ids))
    held = ids[split:]
    five, one = (KneserNey(ids[:split], n, len(letters)).nats(held).mean() for n in (5, 1))
    assert 1.4 < five < 1.7 < 3.2 < one < 3.5
