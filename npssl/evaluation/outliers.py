"""Find the word that does not belong: outlier detection.

A test case is a set W of n words that belong together, and one that does not.  Each
word's compactness is its mean cosine with the n others.  The words are put in order,
the most compact first; the position OP of the outlier, from 0, is n if it comes last::

    accuracy = share of cases with OP = n          OPP = mean of OP / n

With equal scores the outlier counts as the last.  Chance: accuracy 1 / (n + 1), OPP 1/2.

Parts of a name are joined by ``_``; if the name itself is unknown, its vector is the
mean of those of its known parts, as in the authors' program.  A case with a word that is
still unknown is not covered, and left out.

References
----------
Camacho-Collados & Navigli, "Find the word that does not belong: A Framework for an
Intrinsic Evaluation of Word Vector Representations", RepEval 2016, W16-2508 (the 8-8-8 set).
"""

from __future__ import annotations

import ast

import numpy as np

from npssl.errors import FileError
from npssl.evaluation.questions import finder, table
from npssl.evaluation.word_vectors import unit_rows


def read(path) -> list[tuple[str, list[str], list[str]]]:
    """(category, words, outliers) from a CSV file with these columns, as lists of strings.

    Raises
    ------
    FileError     naming the line
    """
    sets = []
    for number, row in table(path, "category", "words", "outliers"):
        place = f"line {number}"
        words, outliers = _list(path, row["words"], place), _list(path, row["outliers"], place)
        if len(words) < 2 or not outliers:
            raise FileError(path, "expected at least two words and an outlier", place=place)
        sets.append((row["category"], words, outliers))
    return sets


def evaluate(wv, sets, *, case_insensitive=True):
    """Accuracy and OPP over all cases whose words are known.

    Parameters
    ----------
    wv : WordVectors
    sets : list of (category, words, outliers): each outlier makes a case
    case_insensitive : bool     if a word is not known as written, take it in any case

    Returns
    -------
    dict     cases, covered, accuracy and opp in [0, 1] (None if no case is covered)
    """
    find = finder(wv, case_insensitive)
    cases, places = 0, []
    for _, words, outliers in sets:
        cases += len(outliers)
        rows = [_vector(wv, find, word) for word in words]
        if any(row is None for row in rows):
            continue
        for outlier in outliers:
            row = _vector(wv, find, outlier)
            if row is not None:
                places.append(position(np.array([*rows, row])) / len(words))
    return {
        "cases": cases,
        "covered": len(places),
        "accuracy": sum(place == 1 for place in places) / len(places) if places else None,
        "opp": float(np.mean(places)) if places else None,
    }


def position(vectors) -> int:
    """OP of the last of n + 1 vectors, the outlier: how many others are at least as compact.

    >>> position(np.array([[1.0, 0.0], [1.0, 0.1], [1.0, -0.1], [0.0, 1.0]]))
    3
    """
    units = unit_rows(vectors)
    compact = units @ units.sum(0) - np.square(units).sum(1)  # n times the mean
    return int((compact[:-1] >= compact[-1]).sum())


def _vector(wv, find, name):
    """The vector of a name, or the mean of its known parts', or None."""
    row = find(name)
    if row is not None:
        return wv.vectors[row]
    known = [i for i in map(find, name.split("_")) if i is not None]
    return wv.vectors[known].mean(0, dtype=np.float64) if known and "_" in name else None


def _list(path, text, place):
    try:
        found = ast.literal_eval(text)
        if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
            raise ValueError
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        message = f"expected a list of words in quotes, found {text[:60]!r}"
        raise FileError(path, message, place=place) from None
    return [word for word in found if word]
