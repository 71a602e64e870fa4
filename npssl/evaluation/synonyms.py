"""Synonym tests in the form of TOEFL's: which of four words means the same?

The answer is the candidate with the largest cosine.  The 80 items that Landauer & Dumais
used may not be passed on; this reads them, and any other, in this form, one on a line::

    question | right answer | wrong | wrong | wrong

with ``|``, tabs or commas between the words.

References
----------
Landauer & Dumais, "A Solution to Plato's Problem", Psychological Review 104(2), 1997.
"""

from __future__ import annotations

from npssl.errors import FileError
from npssl.evaluation.questions import finder, lines


def read(path) -> list[tuple[str, ...]]:
    """(question, right, wrong, ...) of each line; lines that begin with # are left out.

    Raises
    ------
    FileError     naming the line
    """
    items = []
    for number, text in lines(path, comments=True):
        mark = next((mark for mark in "|\t," if mark in text), None)
        words = tuple(word.strip() for word in text.split(mark))
        if len(words) < 3 or not all(words) or len(set(words[1:])) < len(words) - 1:
            message = f"expected a word, its synonym and others, all different, found {text[:60]!r}"
            raise FileError(path, message, place=f"line {number}")
        items.append(words)
    if not items:
        raise FileError(path, "no questions in it")
    return items


def evaluate(wv, items, *, case_insensitive=True):
    """Answer all items; an unknown candidate is never chosen.

    Returns
    -------
    dict     questions; covered: question and right answer are known; correct; accuracy:
             correct / covered (None if none is covered); score: over all questions, with
             chance for those that are not covered
    """
    find = finder(wv, case_insensitive)
    covered, correct, chance = 0, 0, 0.0
    for question, *candidates in items:
        rows = [find(word) for word in (question, *candidates)]
        if rows[0] is None or rows[1] is None:
            chance += 1 / len(candidates)
            continue
        first, *others = wv.units([row for row in rows if row is not None])
        cosines = [first @ other for other in others]
        covered += 1
        correct += all(cosines[0] > other for other in cosines[1:])
    return {
        "questions": len(items),
        "covered": covered,
        "correct": correct,
        "accuracy": correct / covered if covered else None,
        "score": (correct + chance) / len(items) if items else None,
    }
