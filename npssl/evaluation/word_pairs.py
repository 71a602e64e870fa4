"""Do the cosines of pairs of words agree with what people say of their similarity?

WordSim-353 (Finkelstein et al. 2002), its two parts (Agirre et al. 2009), SimLex-999
(Hill, Reichart & Korhonen 2015) and the like.  The score is Spearman's: people's scale
has no unit.
"""

from __future__ import annotations

import math

import numpy as np

from npssl.errors import FileError
from npssl.evaluation.correlation import p_value, pearson, spearman
from npssl.evaluation.questions import folded, lines


def read(path, delimiter=None) -> list[tuple[str, str, float]]:
    """Pairs and scores: two words and a number on each line.

    The fields are parted by ``delimiter``; without one by tabs if the line has any, else
    by commas, else by blanks.  Lines that begin with # are left out, and so is the first
    line if its third field is no number (names of columns).

    Raises
    ------
    FileError     naming the line
    """
    pairs = []
    for k, (number, text) in enumerate(lines(path, comments=True)):
        mark = delimiter or next((mark for mark in "\t," if mark in text), None)
        fields = [field.strip() for field in text.split(mark)]
        try:
            first, second, score = fields[0], fields[1], float(fields[2])
            if len(fields) != 3 or not first or not second or not math.isfinite(score):
                raise ValueError
        except (ValueError, IndexError):
            if k == 0 and len(fields) == 3:
                continue
            message = f"expected two words and a finite number, found {text[:60]!r}"
            raise FileError(path, message, place=f"line {number}") from None
        pairs.append((first, second, score))
    if not pairs:
        raise FileError(path, "no pairs of words in it")
    return pairs


def evaluate(wv, pairs, *, restrict_vocab=None, case_insensitive=True, dummy4unknown=False):
    """Correlate cosines with people's scores.

    Parameters
    ----------
    wv : WordVectors
    pairs : list of (word, word, score)
    restrict_vocab : int, optional     know only the first words
    case_insensitive : bool            of several spellings the first in the vocabulary counts
    dummy4unknown : bool               pairs with an unknown word: False leaves them out,
                                       True gives them cosine 0 (gensim's name)

    Returns
    -------
    dict with pairs (all), covered (both words known), pearson and spearman: each
    (correlation, p value)
    """
    rows = folded(wv, restrict_vocab, case_insensitive)
    case = str.upper if case_insensitive else str
    found, people, covered = [], [], 0
    for first, second, score in pairs:
        i, j = rows.get(case(first)), rows.get(case(second))
        if i is None or j is None:
            if dummy4unknown:
                found.append(0.0)
                people.append(score)
            continue
        a, b = wv.units([i, j])
        covered += 1
        found.append(float(a @ b))
        people.append(score)
    both = np.array(people), np.array(found)
    r, rho = pearson(*both), spearman(*both)
    return {
        "pairs": len(pairs),
        "covered": covered,
        "pearson": (r, p_value(r, len(found))),
        "spearman": (rho, p_value(rho, len(found))),
    }
