"""Measures: hand-worked values, other people's programs, and what is refused."""

import collections
import re
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npssl.evaluation.metrics import accuracy, answers, entities, entity_f1, f1, matthews, plain

BITS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=30)


@pytest.mark.filterwarnings("ignore:A single label")
@given(BITS)
@settings(deadline=None)
def test_equal_to_scikit_learn(pairs):
    theirs = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn to compare with")
    a, b = map(np.array, zip(*pairs))
    assert accuracy(a, b) == pytest.approx(theirs.accuracy_score(b, a))
    assert f1(a, b) == pytest.approx(theirs.f1_score(b, a, zero_division=0))
    assert matthews(a, b) == pytest.approx(theirs.matthews_corrcoef(b, a))


def test_matthews_by_its_formula():
    """(TP TN - FP FN) / sqrt((TP + FP)(TP + FN)(TN + FP)(TN + FN)), 5, 3, 2, 1 of each."""
    a = np.repeat([1, 0, 1, 0], [5, 3, 2, 1])
    b = np.repeat([1, 0, 0, 1], [5, 3, 2, 1])
    assert matthews(a, b) == pytest.approx((5 * 3 - 2 * 1) / np.sqrt(7 * 6 * 5 * 4))
    with pytest.raises(ValueError, match="found: expected classes 0 and 1"):
        matthews([0, 2], [0, 1])


def test_entities():
    assert entities([]) == set() and entities(["O", "O"]) == set()
    assert entities(["B-a", "B-a", "I-a"]) == {(0, 1, "a"), (1, 3, "a")}
    assert entities(["B-a", "I-b", "I-b"]) == {(0, 1, "a"), (1, 3, "b")}
    assert entities(["I-a", "O", "I-a"]) == {(0, 1, "a"), (2, 3, "a")}


def test_entity_f1_wants_borders_and_type():
    true = [["B-a", "I-a", "O", "B-b"], ["O"]]
    assert entity_f1(true, true)["f1"] == 1
    assert entity_f1([["B-a", "O", "O", "B-b"], ["O"]], true)["f1"] == 0.5
    assert entity_f1([["B-b", "I-b", "O", "B-b"], ["B-b"]], true) == {
        "precision": pytest.approx(1 / 3),
        "recall": 0.5,
        "f1": pytest.approx(0.4),
    }
    assert entity_f1([["O"] * 4, ["O"]], true) == {"precision": 0, "recall": 0, "f1": 0}
    with pytest.raises(ValueError, match="expected 4 tags in sentence 0, found 1"):
        entity_f1([["O"], ["O"]], true)


def published(s):
    """The rules of SQuAD's scorer, one after the other."""
    s = "".join(c for c in s.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", s).split())


def published_f1(a, b):
    x, y = published(a).split(), published(b).split()
    same = sum((collections.Counter(x) & collections.Counter(y)).values())
    if not x or not y:
        return float(x == y)
    if not same:
        return 0.0
    precision, recall = same / len(x), same / len(y)
    return 2 * precision * recall / (precision + recall)


TEXTS = st.lists(st.sampled_from("the A an red Red. house, u.s. é".split()), max_size=5)


@settings(deadline=None)
@given(st.lists(st.tuples(TEXTS, st.lists(TEXTS, min_size=1, max_size=3)), min_size=1, max_size=4))
def test_answers(rows):
    found = [" ".join(a) for a, _ in rows]
    true = [[" ".join(b) for b in many] for _, many in rows]
    score = answers(found, true)
    best = [max(published_f1(a, b) for b in many) for a, many in zip(found, true)]
    exact = [any(published(a) == published(b) for b in many) for a, many in zip(found, true)]
    assert score["f1"] == pytest.approx(np.mean(best))
    assert score["exact"] == pytest.approx(np.mean(exact))


def test_no_answer_is_met_by_nothing_only():
    assert answers(["", "x"], [[], []]) == {"exact": 0.5, "f1": 0.5}
    assert plain("The") == "" and plain("another theme") == "another theme"


@pytest.mark.parametrize("measure", [accuracy, f1, matthews])
def test_what_does_not_fit_is_refused(measure):
    with pytest.raises(ValueError, match=r"expected the shape \(2,\), found \(1,\)"):
        measure([1], [1, 0])
    with pytest.raises(ValueError, match="found none"):
        measure([], [])
    with pytest.raises(ValueError, match="found none"):
        answers([], [])
