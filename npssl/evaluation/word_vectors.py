"""Words and their vectors: neighbours, analogies, the odd one out.

Names and conventions are those of gensim's ``KeyedVectors``.  Where we differ:

* an unknown word is always an `UnknownWord` (gensim's ``doesnt_match`` leaves it out);
* a vector of length 0 has cosine 0 with everything (gensim: NaN);
* single cosines (``similarity``, ``n_similarity``, word pairs) are taken in float64.

The table is never copied.  Only the lengths of its rows are kept beside it, so a query
is one pass over the table: ``vectors @ query / norms``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from npssl.errors import UnknownWord

BLOCK = 4096  # rows that are turned into float64 at a time


class WordVectors:
    """A table of word vectors that answers questions.

    Parameters
    ----------
    words : iterable of str, all different; usually the most frequent first
    vectors : (V, D) float     float32 and float64 are kept as they are, without a copy
    counts : (V,) int, optional     how often each word was seen

    Attributes
    ----------
    index_to_key : list of str      the words
    key_to_index : dict             word -> row
    vectors : (V, D)
    norms : (V,)                    lengths of the rows, computed when first needed;
                                    after changing ``vectors`` call `fill_norms`

    Examples
    --------
    >>> wv = WordVectors(["tea", "coffee", "train"], np.array([[2, 1], [3, 1], [-1, 2.0]]))
    >>> wv.most_similar("tea", topn=1)[0][0]
    'coffee'
    >>> wv.doesnt_match(["tea", "coffee", "train"])
    'train'
    """

    def __init__(self, words: Iterable[str], vectors, counts=None):
        self.index_to_key = list(words)
        vectors = np.asarray(vectors)
        if vectors.dtype not in (np.float32, np.float64):
            vectors = vectors.astype(np.float32)
        if vectors.ndim != 2 or len(vectors) != len(self.index_to_key):
            expected = f"({len(self.index_to_key)}, D)"
            raise ValueError(f"vectors: expected shape {expected}, found {vectors.shape}")
        self.vectors: np.ndarray = vectors
        self.key_to_index = {word: i for i, word in enumerate(self.index_to_key)}
        if len(self.key_to_index) < len(vectors):
            twice = next(w for i, w in enumerate(self.index_to_key) if self.key_to_index[w] != i)
            raise ValueError(f"words: expected all different, found {twice!r} twice")
        self.counts = None if counts is None else np.asarray(counts, np.int64)
        if self.counts is not None and self.counts.shape != (len(vectors),):
            raise ValueError(f"counts: expected ({len(vectors)},), found {self.counts.shape}")
        self._norms: np.ndarray | None = None

    @classmethod
    def load(cls, path, format=None, limit=None, mmap=False) -> WordVectors:
        """From a file in any format of `npssl.data.vector_files`."""
        from npssl.data.vector_files import read_table

        return cls(*read_table(path, format, limit, mmap))

    def save(self, path, format=None) -> None:
        """To a file; its suffix, or ``format``, says in which of the formats."""
        from npssl.data.vector_files import write_vectors

        write_vectors(path, self.index_to_key, self.vectors, format, counts=self.counts)

    @classmethod
    def load_word2vec_format(cls, path, binary=False, limit=None, no_header=False):
        """gensim's name for `load`."""
        text = "glove" if no_header else "word2vec-text"
        return cls.load(path, "word2vec-binary" if binary else text, limit)

    def save_word2vec_format(self, path, binary=False, write_header=True):
        """gensim's name for `save`; the same bytes."""
        text = "word2vec-text" if write_header else "glove"
        self.save(path, "word2vec-binary" if binary else text)

    # ---- words and rows

    @property
    def vector_size(self) -> int:
        return self.vectors.shape[1]

    def __len__(self) -> int:
        return len(self.vectors)

    def __contains__(self, word) -> bool:
        return word in self.key_to_index

    def __getitem__(self, word) -> np.ndarray:
        """``wv["tea"]``: (D,), a window; ``wv[["tea", "coffee"]]``: (2, D), a copy."""
        if isinstance(word, (str, int, np.integer)):
            return self.vectors[self.get_index(word)]
        return self.vectors[self.get_indices(word)]

    def __repr__(self) -> str:
        return f"<WordVectors: {len(self)} words, {self.vector_size} dimensions>"

    def get_index(self, word) -> int:
        """The row of a word (or of a row number, if there is such a row)."""
        found = self.key_to_index.get(word)
        if found is None and isinstance(word, (int, np.integer)) and 0 <= word < len(self):
            found = int(word)
        if found is None:
            raise UnknownWord(word)
        return found

    def get_indices(self, words) -> list[int]:
        return [self.get_index(word) for word in words]

    def get_vector(self, word, norm=False) -> np.ndarray:
        """The vector of a word; with ``norm`` its unit vector."""
        i = self.get_index(word)
        return self.vectors[i] / self.norms[i] if norm else self.vectors[i]

    @property
    def norms(self) -> np.ndarray:
        """Lengths of the rows, 1 for a row of zeros, in the type of the table."""
        if self._norms is None:
            self.fill_norms()
        assert self._norms is not None
        return self._norms

    def fill_norms(self, force=True) -> None:
        """Measure the rows (again); do so after changing ``vectors``."""
        if self._norms is not None and not force:
            return
        norms = np.empty(len(self), self.vectors.dtype)
        for i in range(0, len(self), BLOCK):
            rows = self.vectors[i : i + BLOCK].astype(np.float64)
            with np.errstate(over="ignore"):
                norms[i : i + BLOCK] = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        if not np.isfinite(norms).all():
            word = self.index_to_key[int(np.isfinite(norms).argmin())]
            raise ValueError(f"vectors: the one of {word!r} is not finite, or too long")
        norms[norms == 0] = 1
        self._norms = norms

    def units(self, indices) -> np.ndarray:
        """(n, D) float64 unit vectors of some rows."""
        return unit_rows(self.vectors[np.asarray(indices, np.int64)])

    # ---- neighbours

    def most_similar(self, positive=None, negative=None, topn=10, restrict_vocab=None):
        """The words nearest to a weighted mean of unit vectors, by cosine (3CosAdd).

        Parameters
        ----------
        positive, negative : word, vector (D,), (word or vector, weight), or a list of them
            Weights are +1 and -1 if not given.  Words count as unit vectors, vectors as
            they are.  Words in the question are no answers.
        topn : int or None      how many; None: the cosines of all rows
        restrict_vocab : int, optional     look only among the first rows

        Returns
        -------
        list of (word, cosine), best first; or (V,) cosines

        References
        ----------
        Mikolov, Yih & Zweig, "Linguistic Regularities in Continuous Space Word
        Representations", NAACL 2013 (the vector offset method).
        """
        keys, weights = _weighted(positive, negative)
        if topn is not None and topn < 1:
            return []
        query = np.zeros(self.vector_size)
        for key, weight in zip(keys, weights):
            query += weight * (self._row(key) if isinstance(key, np.ndarray) else self._unit(key))
        scores = self._cosines(query, restrict_vocab)
        return scores if topn is None else self._best(scores, topn, keys)

    def most_similar_cosmul(self, positive=None, negative=None, topn=10, restrict_vocab=None):
        """As `most_similar`, by products of cosines instead of sums (3CosMul).

        The score of v is ``prod_p c(v, p) / (prod_n c(v, n) + 1e-6)`` with the cosines
        moved into [0, 1]: ``c = (1 + cos) / 2``.  Weights are not defined for it.

        References
        ----------
        Levy & Goldberg, "Linguistic Regularities in Sparse and Explicit Word
        Representations", CoNLL 2014, equation (4), footnote 7.
        """
        positive, negative = _listed(positive), _listed(negative)
        if topn is not None and topn < 1:
            return []
        if not positive:
            raise ValueError("positive: expected at least one word")
        if any(isinstance(key, tuple) for key in positive + negative):
            raise ValueError("positive, negative: products take no weights")
        above, below = [
            [(1 + self._cosines(self._unit(key), restrict_vocab)) / 2 for key in keys]
            for keys in (positive, negative)
        ]
        scores = np.prod(above, axis=0)
        if below:
            scores = scores / (np.prod(below, axis=0) + 1e-6)
        else:
            scores = scores / (1 + 1e-6)
        return scores if topn is None else self._best(scores, topn, positive + negative)

    def similar_by_word(self, word, topn=10, restrict_vocab=None):
        return self.most_similar([word], None, topn, restrict_vocab)

    similar_by_key = similar_by_word

    def similar_by_vector(self, vector, topn=10, restrict_vocab=None):
        return self.most_similar([np.asarray(vector)], None, topn, restrict_vocab)

    def similarity(self, w1, w2) -> float:
        """Cosine of two words' vectors."""
        a, b = self.units([self.get_index(w1), self.get_index(w2)])
        return float(a @ b)

    def distance(self, w1, w2) -> float:
        """1 - cosine."""
        return 1 - self.similarity(w1, w2)

    def n_similarity(self, ws1, ws2) -> float:
        """Cosine of the mean vectors of two sets of words."""
        if not len(ws1) or not len(ws2):
            raise ValueError("ws1, ws2: expected at least one word in each")
        means = [self.vectors[self.get_indices(ws)].mean(0, dtype=np.float64) for ws in (ws1, ws2)]
        a, b = unit_rows(np.array(means))
        return float(a @ b)

    def doesnt_match(self, words) -> str:
        """The word whose unit vector is farthest from the mean of all of them."""
        words = list(words)
        if not words:
            raise ValueError("words: expected at least one")
        rows = self.units(self.get_indices(words))
        return min(zip(rows @ rows.mean(0), words))[1]

    def closer_than(self, key1, key2) -> list[str]:
        """All words that are nearer to ``key1`` than ``key2`` is."""
        i, j = self.get_index(key1), self.get_index(key2)
        cosines = self._cosines(self._unit(i))
        return [self.index_to_key[k] for k in np.flatnonzero(cosines > cosines[j]) if k != i]

    def rank(self, key1, key2) -> int:
        """1 if ``key2`` is the nearest neighbour of ``key1``, and so on."""
        return len(self.closer_than(key1, key2)) + 1

    # ---- evaluation: see the files beside this one

    def evaluate_word_pairs(
        self,
        pairs,
        delimiter=None,
        restrict_vocab=300000,
        case_insensitive=True,
        dummy4unknown=False,
    ):
        """Agreement with people's scores of similarity.

        Returns
        -------
        (pearson, p value), (spearman, p value), per cent of pairs with an unknown word

        See `npssl.evaluation.word_pairs.evaluate`, which tells more.
        """
        from npssl.evaluation import word_pairs

        found = word_pairs.evaluate(
            self,
            word_pairs.read(pairs, delimiter),
            restrict_vocab=restrict_vocab,
            case_insensitive=case_insensitive,
            dummy4unknown=dummy4unknown,
        )
        if not found["covered"] and not dummy4unknown:
            raise ValueError(f"{pairs}: not one pair has both words in the vocabulary")
        unknown = (found["pairs"] - found["covered"]) / max(found["pairs"], 1) * 100
        return found["pearson"], found["spearman"], unknown

    def evaluate_word_analogies(
        self,
        analogies,
        restrict_vocab=300000,
        case_insensitive=True,
        dummy4unknown=False,
        similarity_function="most_similar",
    ):
        """Questions a : b = c : ?

        ``similarity_function`` may be "most_similar_cosmul" (gensim has the parameter
        but always adds).

        Returns
        -------
        share of right answers, list of dict with section, correct, incorrect; the last is the total

        See `npssl.evaluation.analogies.evaluate`.
        """
        from npssl.evaluation.analogies import evaluate, read, total

        methods = {"most_similar": "cosadd", "most_similar_cosmul": "cosmul"}
        if similarity_function not in methods:
            expected = " or ".join(methods)
            raise ValueError(
                f"similarity_function: expected {expected}, found {similarity_function!r}"
            )
        sections = evaluate(
            self,
            read(analogies),
            method=methods[similarity_function],
            restrict_vocab=restrict_vocab,
            case_insensitive=case_insensitive,
            dummy4unknown=dummy4unknown,
        )
        whole = total(sections)
        right, wrong = len(whole["correct"]), len(whole["incorrect"])
        return right / max(right + wrong, 1), [*sections, whole]

    # ---- inside

    def _unit(self, key) -> np.ndarray:
        """(D,) float64"""
        return unit_rows(self._row(key)[None])[0]

    def _row(self, key) -> np.ndarray:
        row = key if isinstance(key, np.ndarray) else self.vectors[self.get_index(key)]
        if row.shape != (self.vector_size,):
            raise ValueError(f"vector: expected shape ({self.vector_size},), found {row.shape}")
        if not np.isfinite(row).all():
            raise ValueError("vector: expected finite numbers, found NaN or infinity")
        return row

    def _cosines(self, query, stop=None) -> np.ndarray:
        """(V,) cosines of the first rows with a vector."""
        stop = _stop(stop, len(self))
        query = unit_rows(np.asarray(query)[None])[0].astype(self.vectors.dtype)
        norms = self.norms[:stop]  # first: they refuse what would overflow
        return self.vectors[:stop] @ query / norms

    def _best(self, scores, topn, question) -> list[tuple[str, float]]:
        words = [k[0] if isinstance(k, tuple) else k for k in question]
        known = {self.get_index(w) for w in words if not isinstance(w, np.ndarray)}
        rows = best(scores, topn + len(known))
        found = [(self.index_to_key[i], float(scores[i])) for i in rows if i not in known]
        return found[:topn]


def best(scores: np.ndarray, n: int) -> np.ndarray:
    """Places of the n largest scores, largest first; of equals the first comes first.

    Only the n are sorted.

    >>> best(np.array([1.0, 3.0, 2.0, 3.0]), 3)
    array([1, 3, 2])
    """
    n = min(n, len(scores))
    if n == 0:
        return np.empty(0, np.int64)
    cut = np.partition(scores, len(scores) - n)[len(scores) - n]
    rows = np.flatnonzero(scores >= cut)
    return rows[np.argsort(-scores[rows], kind="stable")][:n]


def unit_rows(rows) -> np.ndarray:
    """(n, D) float64 rows of length 1; rows of zeros stay zeros.

    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    rows = np.asarray(rows, np.float64)
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    return rows / np.where(norms == 0, 1, norms)[:, None]


def _listed(keys: Any) -> list:
    """A lone word, row, vector or (key, weight) as a list."""
    if keys is None:
        return []
    lone = isinstance(keys, (str, int, np.integer)) or (
        isinstance(keys, np.ndarray) and keys.ndim == 1 and keys.dtype.kind == "f"
    )
    return [keys] if lone else list(keys)


def _weighted(positive, negative):
    keys, weights = [], []
    for sign, given in ((1.0, _listed(positive)), (-1.0, _listed(negative))):
        for key in given:
            key, weight = key if isinstance(key, tuple) else (key, sign)
            keys.append(key)
            weights.append(weight)
    if not keys:
        raise ValueError("positive, negative: expected at least one word or vector")
    return keys, weights


def _stop(restrict_vocab, rows) -> int:
    if restrict_vocab is None:
        return rows
    if restrict_vocab < 1:
        raise ValueError(f"restrict_vocab: expected 1 or more, found {restrict_vocab}")
    return min(restrict_vocab, rows)
