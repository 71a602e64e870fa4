"""Do clusters of word vectors find the categories that people made?

The sets are nouns with a category each: AP (Almuhareb & Poesio), BLESS (Baroni & Lenci
2011).  Unit vectors are clustered by k-means, as many clusters as categories, and::

    purity = 1/n sum_k max_c |cluster k and category c|

1 for a perfect clustering; it never falls below the share of the largest category.

References
----------
Manning, Raghavan & Schuetze, "Introduction to Information Retrieval", 2008, section 16.3.
Baroni, Dinu & Kruszewski, "Don't count, predict!", ACL 2014 (categorization by purity).
"""

from __future__ import annotations

import numpy as np

from npssl.evaluation.kmeans import kmeans
from npssl.evaluation.questions import finder, table


def read(path) -> list[tuple[str, str]]:
    """(category, word) from a CSV file whose first line names these two columns.

    Raises
    ------
    FileError     naming the line
    """
    return [(row["category"], row["word"]) for _, row in table(path, "category", "word")]


def purity(clusters, categories) -> float:
    """Share of items that are in the largest category of their cluster.

    >>> purity([0, 0, 0, 0, 1], ["a", "a", "a", "b", "b"])
    0.8
    """
    clusters = np.unique(np.asarray(clusters), return_inverse=True)[1].ravel()
    categories = np.unique(np.asarray(categories), return_inverse=True)[1].ravel()
    if clusters.shape != categories.shape or not len(clusters):
        raise ValueError(f"categories: expected one for each of {len(clusters)} items, at least 1")
    both = np.zeros((clusters.max() + 1, categories.max() + 1), np.int64)
    np.add.at(both, (clusters, categories), 1)
    return int(both.max(1).sum()) / len(clusters)


def evaluate(wv, items, *, case_insensitive=True, seed=0, restarts=10):
    """Purity of k-means clusters of the known words' unit vectors.

    Parameters
    ----------
    wv : WordVectors
    items : list of (category, word)
    case_insensitive : bool     if a word is not known as written, take it in any case
    seed, restarts : int        of `npssl.evaluation.kmeans.kmeans`

    Returns
    -------
    dict     words, covered, categories (of covered words), purity (None if none is covered)
    """
    find = finder(wv, case_insensitive)
    known = [(category, find(word)) for category, word in items if find(word) is not None]
    categories = [category for category, _ in known]
    k = len(set(categories))
    score = None
    if known:
        which, _ = kmeans(wv.units([i for _, i in known]), k, seed=seed, restarts=restarts)
        score = purity(which, categories)
    return {"words": len(items), "covered": len(known), "categories": k, "purity": score}
