"""Does the vector of a word depend on what it means here?

One word, used in two senses; a vector for each use.  With cos the cosine of two uses::

    separation = mean cos within a sense - mean cos across senses               (1)
    accuracy   = share of uses whose nearest other use has the same sense       (2)

A table of words gives every use the same vector: the separation is 0, and (2) is chance.

References
----------
Wiedemann, Remus, Chawla & Biemann, "Does BERT Make Any Sense? Interpretable Word Sense
Disambiguation with Contextualized Embeddings", KONVENS 2019, arXiv:1909.10430: senses by
the nearest use.
Ethayarajh, "How Contextual are Contextualized Word Representations?", EMNLP 2019,
arXiv:1909.00512: cosines between uses of one word, layer by layer.
"""

from __future__ import annotations

import numpy as np

BANK = {
    "money": (
        "The bank raised its interest rates again this spring.",
        "She opened an account at the bank on the high street.",
        "He owes the bank two thousand pounds.",
        "The bank refused to lend them money for a second car.",
        "I paid the cheque into the bank before lunch.",
        "Three clerks of the bank were accused of fraud.",
        "A bank must keep part of its deposits in cash.",
        "The robbers left the bank with a bag of notes.",
        "Our bank charges a fee for every transfer abroad.",
        "When the bank failed, thousands lost their savings.",
        "Her mortgage is with a bank that no longer exists.",
        "The central bank printed more notes to calm the markets.",
    ),
    "river": (
        "We sat on the bank and watched the boats go by.",
        "Willows grow along the bank of the stream.",
        "The river burst its bank after a week of rain.",
        "An otter slid down the muddy bank into the water.",
        "They pulled the canoe up on the far bank.",
        "Anglers stood on the grassy bank with their rods.",
        "The path follows the left bank of the Danube.",
        "Reeds hid the bank where the heron had its nest.",
        "He swam across and climbed out on the opposite bank.",
        "The current had washed away part of the bank.",
        "Cattle came to the bank to drink in the evening.",
        "The ferry tied up at the northern bank at dusk.",
    ),
}


def separation(vectors, senses) -> dict:
    """How far the senses of a word lie apart, equations (1) and (2).

    Parameters
    ----------
    vectors : (n, D) float      one for each use of the word; none of length 0
    senses : (n,)               of each use; at least two of them, each of two uses or more

    Returns
    -------
    dict     within, across (mean cosines), separation, accuracy; of several equally near
             uses the first is taken

    Examples
    --------
    >>> separation([[1, 0], [2, 0], [0, 1], [0, 3]], ["money", "money", "river", "river"])
    {'within': 1.0, 'across': 0.0, 'separation': 1.0, 'accuracy': 1.0}
    """
    cosine = _cosines(vectors)
    senses, uses = np.unique(np.asarray(senses), return_inverse=True, return_counts=True)[1:]
    if len(senses) != len(cosine):
        raise ValueError(f"senses: expected one for each of {len(cosine)} uses")
    if len(uses) < 2 or uses.min() < 2:
        raise ValueError(f"senses: expected two or more of two uses each, found {uses.tolist()}")
    same = senses[:, None] == senses
    others = ~np.eye(len(senses), dtype=bool)
    within, across = float(cosine[same & others].mean()), float(cosine[~same].mean())
    nearest = np.where(others, cosine, -np.inf).argmax(1)
    return {
        "within": within,
        "across": across,
        "separation": within - across,
        "accuracy": float((senses[nearest] == senses).mean()),
    }


def nearest_uses(vectors) -> np.ndarray:
    """(n, n - 1) the other uses by their cosine to each, nearest first.

    Examples
    --------
    >>> nearest_uses([[1, 0], [0, 1], [2, 1]])
    array([[2, 1],
           [2, 0],
           [0, 1]])
    """
    cosine = _cosines(vectors)
    np.fill_diagonal(cosine, -np.inf)
    return np.argsort(-cosine, axis=1, kind="stable")[:, :-1]


def _cosines(vectors):
    rows = np.asarray(vectors, np.float64)
    if rows.ndim != 2:
        raise ValueError(f"vectors: expected (n, D), found shape {rows.shape}")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not lengths.all():
        raise ValueError(f"vectors: number {int(lengths.argmin())} has the length 0")
    units = rows / lengths
    return units @ units.T
