"""How good are predictions?  The measures of GLUE, of named entities and of SQuAD, from 0 to 1.

Correlations are in `npssl.evaluation.correlation`.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from npssl.evaluation.correlation import pearson


def accuracy(found, expected) -> float:
    """The share that is right.

    >>> accuracy([1, 0, 2], [1, 1, 2])
    0.6666666666666666
    """
    found, expected = _alike(found, expected)
    return float((found == expected).mean())


def f1(found, expected, *, positive=1) -> float:
    """Harmonic mean of precision and recall of one class; 0 where it is never hit.

    >>> f1([1, 0, 1, 1], [1, 1, 0, 1])
    0.6666666666666666
    """
    found, expected = _alike(found, expected)
    hits = int(((found == positive) & (expected == positive)).sum())
    return _f1(hits, int((found == positive).sum()), int((expected == positive).sum()))


def matthews(found, expected) -> float:
    """Matthews' correlation of two classes, 0 and 1: Pearson's of the two rows of numbers.

    0 where all predictions are the same, as chance would be.  Matthews, "Comparison of the
    predicted and observed secondary structure of T4 phage lysozyme", Biochimica et Biophysica
    Acta 405, 1975, 442-451.

    >>> round(matthews([1, 1, 0, 0], [1, 0, 0, 0]), 6), matthews([1, 1], [1, 0])
    (0.57735, 0.0)
    """
    found, expected = _alike(found, expected)
    for name, values in (("found", found), ("expected", expected)):
        if not np.isin(values, (0, 1)).all():
            raise ValueError(f"{name}: expected classes 0 and 1, found {np.unique(values)[:5]}")
    return pearson(found, expected)


def entities(tags: Sequence[str]) -> set[tuple[int, int, str]]:
    """The entities of one sentence: first word, the word after the last, type.

    As in the scorer of CoNLL-2003, an I- that follows neither B- nor I- of its type begins an
    entity too.

    >>> sorted(entities(["B-per", "I-per", "O", "I-loc", "B-loc"]))
    [(0, 2, 'per'), (3, 4, 'loc'), (4, 5, 'loc')]
    """
    found, start, kind = set(), 0, ""
    for n, tag in enumerate([*tags, "O"]):
        if kind and tag != f"I-{kind}":
            found.add((start, n, kind))
            kind = ""
        if not kind and tag != "O":
            start, kind = n, tag[2:]
    return found


def entity_f1(found: Iterable[Sequence[str]], expected: Iterable[Sequence[str]]) -> dict:
    """Precision, recall and F1 of whole entities: borders and type must be right.

    Tjong Kim Sang & De Meulder, "Introduction to the CoNLL-2003 Shared Task", CoNLL 2003.

    >>> entity_f1([["B-per", "O"]], [["B-per", "B-loc"]])
    {'precision': 1.0, 'recall': 0.5, 'f1': 0.6666666666666666}
    """
    hits = answers = there = 0
    for n, (ours, true) in enumerate(zip(found, expected, strict=True)):
        if len(ours) != len(true):
            raise ValueError(f"found: expected {len(true)} tags in sentence {n}, found {len(ours)}")
        a, b = entities(ours), entities(true)
        hits, answers, there = hits + len(a & b), answers + len(a), there + len(b)
    return {
        "precision": hits / max(1, answers),
        "recall": hits / max(1, there),
        "f1": _f1(hits, answers, there),
    }


def plain(answer: str) -> str:
    """An answer as SQuAD compares it: small letters, no punctuation, no articles, single blanks.

    >>> plain("The Duke's  U.S. army!")
    'dukes us army'
    """
    kept = "".join(c for c in answer.lower() if c not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", kept).split())


_PUNCTUATION = frozenset(string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def answers(found: Iterable[str], expected: Iterable[Sequence[str]]) -> dict:
    """SQuAD's exact match and F1 over words, each with the best of the true answers.

    No true answer, or one that is empty, is met by the empty string only.  Rajpurkar, Zhang,
    Lopyrev & Liang, "SQuAD: 100,000+ Questions for Machine Comprehension of Text", 2016,
    arXiv:1606.05250, section 6.1, and the published scorer.

    >>> answers(["the red house"], [["a red car", "red"]])
    {'exact': 0.0, 'f1': 0.6666666666666666}
    """
    pairs = [
        (plain(a), [plain(b) for b in true] or [""])
        for a, true in zip(found, expected, strict=True)
    ]
    if not pairs:
        raise ValueError("found: expected at least one answer, found none")
    exact = [float(a in true) for a, true in pairs]
    shared = [max(_overlap(a, b) for b in true) for a, true in pairs]
    return {"exact": sum(exact) / len(pairs), "f1": sum(shared) / len(pairs)}


def _overlap(a, b):
    if not a or not b:
        return float(a == b)
    x, y = a.split(), b.split()
    return _f1((Counter(x) & Counter(y)).total(), len(x), len(y))


def _f1(hits, found, there):
    return 2 * hits / (found + there) if hits else 0.0


def _alike(found, expected):
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape or found.ndim != 1:
        raise ValueError(f"found: expected the shape {expected.shape}, found {found.shape}")
    if not len(found):
        raise ValueError("found: expected at least one prediction, found none")
    return found, expected
