r"""Analogies: a is to b as c is to ?

The answer is the word v, none of the three, for which, with cosines to unit vectors::

    3CosAdd    cos(v, b) - cos(v, a) + cos(v, c)                                    (1)
    3CosMul    c(v, b) c(v, c) / (c(v, a) + 1e-6),   c = (1 + cos) / 2              (2)

is largest.  (1) is the nearest word to b - a + c, because the length of that vector is
the same for all v.  The logarithm of (2) has the same form as (1).  So both need one
thing only: a table of the cosines of every word with the *distinct* words of all
questions.  The 19,544 questions of Google's set have 905 of them: one matrix product
with 905 rows, then three rows added for each question.

References
----------
Mikolov, Chen, Corrado & Dean, "Efficient Estimation of Word Representations in Vector
Space", 2013, arXiv:1301.3781 (the set, and its semantic and syntactic halves).
Levy & Goldberg, "Linguistic Regularities in Sparse and Explicit Word Representations",
CoNLL 2014: 3CosMul is their equation (4).
"""

from __future__ import annotations

import numpy as np

from npssl.errors import FileError
from npssl.evaluation.questions import folded, lines

BLOCK = 512  # rows of the table, and questions, at a time: the scores stay in the cache


def read(path) -> list[tuple[str, list[tuple[str, str, str, str]]]]:
    """Sections and their questions; a line ``: name`` opens a section.

    Raises
    ------
    FileError     naming the line
    """
    sections: list[tuple[str, list]] = []
    for number, text in lines(path):
        fields = text.split()
        if text.startswith(":"):
            sections.append((text.lstrip(": "), []))
        elif len(fields) != 4:
            message = f"expected four words, found {text[:60]!r}"
            raise FileError(path, message, place=f"line {number}")
        elif not sections:
            message = "a question before the first section (a line ': name')"
            raise FileError(path, message, place=f"line {number}")
        else:
            sections[-1][1].append(tuple(fields))
    if not any(questions for _, questions in sections):
        raise FileError(path, "no questions in it")
    return sections


def evaluate(
    wv,
    sections,
    *,
    method="cosadd",
    restrict_vocab=None,
    case_insensitive=True,
    dummy4unknown=False,
):
    """Ask all questions; gensim's counts, several hundred times as fast.

    Parameters
    ----------
    wv : WordVectors
    sections : what `read` returns
    method : "cosadd" or "cosmul"
    restrict_vocab : int, optional     know, and answer with, only the first words
    case_insensitive : bool            of several spellings the first in the vocabulary
                                       counts, and none of them is an answer
    dummy4unknown : bool               questions with an unknown word: False leaves them
                                       out, True counts them as wrong (gensim's name)

    Returns
    -------
    list of dict     section, questions (how many), covered, correct and incorrect: the
                     questions, in upper case if ``case_insensitive``
    """
    if method not in ("cosadd", "cosmul"):
        raise ValueError(f"method: expected cosadd or cosmul, found {method!r}")
    rows = folded(wv, restrict_vocab, case_insensitive)
    case = str.upper if case_insensitive else str
    asked = [(name, [tuple(map(case, q)) for q in questions]) for name, questions in sections]
    known = [q for _, questions in asked for q in questions if all(w in rows for w in q)]
    right = dict.fromkeys(known, False)
    if right:
        ids = np.array([[rows[w] for w in q] for q in right])
        same = np.array([rows[case(w)] for w in wv.index_to_key[:restrict_vocab]])
        right = dict(zip(right, _answers(wv, ids[:, :3], same, method) == ids[:, 3]))
    results = []
    for name, questions in asked:
        covered = [q for q in questions if q in right]
        results.append(
            {
                "section": name,
                "questions": len(questions),
                "covered": len(covered),
                "correct": [q for q in covered if right[q]],
                "incorrect": [
                    q for q in questions if (not right[q] if q in right else dummy4unknown)
                ],
            }
        )
    return results


def total(sections, name="Total accuracy", only=lambda name: True):
    """The sections that ``only`` picks by name, as one."""
    picked = [s for s in sections if only(s["section"])]
    whole: dict = {"section": name, "questions": 0, "covered": 0, "correct": [], "incorrect": []}
    for part in picked:
        whole = {k: v if k == "section" else v + part[k] for k, v in whole.items()}
    return whole


def summary(sections) -> dict:
    """Numbers only: for each section, for all, and for the semantic and syntactic halves.

    As in Google's set, sections called ``gram...`` are the syntactic ones.
    """
    syntactic = lambda name: name.startswith("gram")
    parts = {
        "total": total(sections),
        "semantic": total(sections, only=lambda name: not syntactic(name)),
        "syntactic": total(sections, only=syntactic),
    }
    numbers = lambda s: {
        "questions": s["questions"],
        "covered": s["covered"],
        "correct": len(s["correct"]),
        "accuracy": len(s["correct"]) / max(len(s["correct"]) + len(s["incorrect"]), 1),
    }
    return {name: numbers(part) for name, part in parts.items()} | {
        "sections": {s["section"]: numbers(s) for s in sections}
    }


def _answers(wv, questions, same, method):
    """The best row, or -1, for each question (n, 3) of rows a, b, c.

    ``same`` (V,): row -> row of the first spelling of its word; the answers are such.
    """
    words, places = np.unique(questions, return_inverse=True)
    places = places.reshape(questions.shape)
    units = wv.units(words).astype(wv.vectors.dtype)  # (k, D)
    top = np.full(len(questions), -np.inf, units.dtype)
    answers = np.full(len(questions), -1)
    for start in range(0, len(same), BLOCK):
        stop = min(start + BLOCK, len(same))
        cosines = units @ wv.vectors[start:stop].T / wv.norms[start:stop]  # (k, block)
        plus, minus = cosines, cosines
        if method == "cosmul":
            shifted = np.maximum((1 + cosines) / 2, 0)
            plus, minus = np.log(shifted + 1e-30), np.log(shifted + 1e-6)
        for first in range(0, len(questions), BLOCK):
            part = slice(first, first + BLOCK)
            a, b, c = places[part].T
            scores = plus[b]  # (questions, block)
            scores += plus[c]
            scores -= minus[a]
            found = _first_allowed(scores, same[start:stop], questions[part])
            value = np.take_along_axis(scores, found[:, None], 1)[:, 0]
            better = value > top[part]
            top[part][better] = value[better]
            answers[part][better] = same[start + found[better]]
    return answers


def _first_allowed(scores, same, questions):
    """(n,) best column of each row; columns of the question's own words are struck out."""
    found = scores.argmax(1)
    rows = np.arange(len(scores))
    while len(rows):
        own = (same[found[rows], None] == questions[rows]).any(1)
        rows = rows[own]
        scores[rows, found[rows]] = -np.inf
        found[rows] = scores[rows].argmax(1)
        rows = rows[scores[rows, found[rows]] > -np.inf]
    return found
