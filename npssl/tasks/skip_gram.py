"""Skip-gram: guess the words that stand around a word.  CBOW: guess it from them.

    t : (n,) token ids, -1 ends a sentence         an observed text
    x : ids (M,), offsets (N + 1,)                 N inputs; each is a bag of rows of ``input``
    y : targets (N,), noise (N, K) or None         the word that each one has to guess, and
                                                   words drawn at random to tell it from

Each word c and each word o within its window make a pair.  c has a vector u_c, a row of
the table ``input``; o has v_o, a row of ``output``; a score says how well they go together::

    p(o | c) = exp(v_o . u_c) / Z_c,     Z_c = sum_w exp(v_w . u_c)              (1)
    value    = mean over the pairs of -log p(o | c)                              (2)

**Z is the problem.**  It needs the scores of all V words: with V = 100,000 and vectors of
length 100, 10 million multiplications for a pair whose own score takes 100; and a text has
billions of pairs.  There are four ways to deal with it, below side by side, on one interface:

``softmax``               pay: compute (1).  The oracle of the other three.        V scores
``hierarchical-softmax``  make Z disappear: guess a leaf of a binary tree by coin
                          flips; then the sum over all leaves is 1 as it is.       log2 V
``negative-sampling``     ask another question: was o read in the text, or drawn
                          from a distribution P_n?  The answer needs no Z.         1 + K
``nce``                   the same question; but P_n is known, and so the answers
                          tell p(o | c) itself, with Z = 1 nearly.                 1 + K

The first two are -log p(o | c) and may be compared with each other; the values of the
last two are nats for K + 1 answers to another question.

**The prior of NCE.**  With the score as log p itself, s would have to reach about -8 for
each of 3,000 words, yet begins at 0: every probability e^8 too high, and the vectors first
learn how frequent words are.  Here the model starts from what is known, the noise::

    log p(o | c) = v_o . u_c + log P_n(o)                                        (3)
    log odds that o was read = log p(o | c) - log(K P_n(o)) = v_o . u_c - log K  (4)

so P_n cancels: it is a bias for each word that need not be learnt (Mnih & Kavukcuoglu learn
one).  Zero vectors mean p = P_n, and v_o . u_c becomes log p(o | c) / P_n(o).  Negative
sampling is (4) without log K, so it finds the same number, less log K: then the sum of
P_n exp(v . u) is 1 / K and not 1.

**Which way the arrow points.**  In the papers a word guesses its neighbours; in word2vec.c,
as in `npssl.kernels.skip_gram`, each neighbour guesses the word in the middle, and all of
them against the same K noise words.  The pairs are the same but for who is input, and over
a text each of two words is in the other's window equally often.  In CBOW the mean of all
neighbours guesses the word in the middle.  With sub-words (fastText) a word's vector is the
mean of its own row and those of its character n-grams.

**Where this page differs.**  Each gradient is that of the value, also through the mean
of a bag; word2vec.c and fastText give each row of a bag the whole gradient.  A noise word
that equals its target is drawn again, so that NCE finds p / (1 - p) in the place of
p = p(o | c) where P_n is small: next to nothing, unless o nearly always stands by c.  Tokens
of frequent words are dropped by word2vec.c's formula.  Pair after pair, with a step of SGD for
each and with the same draws: `npssl.tasks.epoch`, the page of the kernels that `npssl.SkipGram`
runs.

Mikolov, Chen, Corrado & Dean, "Efficient Estimation of Word Representations in Vector Space",
2013, arXiv:1301.3781 (CBOW, skip-gram, random windows); Mikolov, Sutskever, Chen, Corrado &
Dean, "Distributed Representations of Words and Phrases and their Compositionality", NIPS 2013,
arXiv:1310.4546 ((1) is its equation 2; negative sampling, Huffman tree, subsampling); Morin &
Bengio, "Hierarchical Probabilistic Neural Network Language Model", AISTATS 2005; Gutmann &
Hyvarinen, "Noise-contrastive estimation", AISTATS 2010; Mnih & Kavukcuoglu, "Learning word
embeddings efficiently with noise-contrastive estimation", NIPS 2013; Bojanowski, Grave, Joulin
& Mikolov, "Enriching Word Vectors with Subword Information", TACL 5, 2017, arXiv:1607.04606.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from npssl.data.sampling import alias_table, huffman, keep_probability, noise_distribution
from npssl.kernels import draws
from npssl.layers.bag import bag
from npssl.layers.embedding import embedding
from npssl.losses.cross_entropy import cross_entropy
from npssl.losses.hierarchical_softmax import hierarchical_softmax
from npssl.losses.nce import nce
from npssl.losses.negative_sampling import negative_sampling
from npssl.params import uniform, zeros
from npssl.tasks.windows import kept, neighbours, noise_words

EVALUATION = draws.key(2**63)  # the key of all draws where there is no generator


# Four ways to deal with Z: h (N, D), table (V, D), ... -> mean nats a pair, back.
# back(dvalue, g) adds into g, the gradient of the table, and returns dh.


def by_softmax(h, table, targets, noise, tree):
    """All V words: the exact (1)."""
    scores = h @ table.T  # (N, V)
    value, back_loss = cross_entropy(scores, target=targets)

    def back(dvalue, g):
        dscores = back_loss(dvalue)
        g += dscores.T @ h
        return dscores @ table

    return value, back


def by_hierarchical_softmax(h, table, targets, noise, tree):
    """The coins on the way from the root to the target; the rows of the table are coins."""
    start, nodes, code = tree
    first, length = start[targets][:, None], np.diff(start)[targets][:, None]
    step = np.arange(length.max(initial=0))
    mask = step < length  # (N, L)
    at = np.where(mask, first + step, 0)
    return _against(hierarchical_softmax, h, table, nodes[at], code=code[at], mask=mask)


def by_negative_sampling(h, table, targets, noise, tree):
    """The target and K noise words: which one was read?"""
    return _against(negative_sampling, h, table, np.column_stack([targets, noise]))


def by_nce(h, table, targets, noise, tree):
    """The same with log odds v . u - log K, equation (4): the prior cancels the noise's P_n."""
    words = np.column_stack([targets, noise])
    return _against(nce, h, table, words, log_noise=np.zeros(words.shape))  # (4)


def _against(loss, h, table, rows, **options):
    """Each of N inputs against some rows (N, m) of the table."""
    y, back_rows = embedding(table, ids=rows)  # (N, m, D)
    value, back_loss = loss(h[:, None], y, reduction="mean", **options)

    def back(dvalue, g):
        dh, dy = back_loss(dvalue)
        back_rows(dy, into=g)
        return dh[:, 0]

    return value, back


OBJECTIVES = {
    "softmax": by_softmax,
    "hierarchical-softmax": by_hierarchical_softmax,
    "negative-sampling": by_negative_sampling,
    "nce": by_nce,
}


@dataclass(frozen=True, eq=False)
class SkipGram:
    """Word vectors by guessing neighbours.

    Parameters
    ----------
    counts : (V,) int          how often each word occurs in the text
    dim : int                  length D of a vector
    window : int               the farthest neighbour; each word draws its reach, 1 .. window
    negative : int             K, noise words for each target (negative sampling, NCE)
    sample : float             words with a larger share of the text are thinned; 0 keeps all
    objective : str            ``"negative-sampling"``, ``"nce"``, ``"hierarchical-softmax"`` or
                               ``"softmax"``
    cbow : bool                the mean of the neighbours is the input, the word between them
                               the target
    subwords : (start (V + 1,), rows), optional
        the rows of each word, `npssl.data.subwords.bags`; default: word w has row w
    arrow : str                ``"paper"``: a word guesses its neighbours; ``"word2vec.c"``:
                               they guess it.  CBOW has one arrow only.
    noise_power : float        P_n is proportional to count ** noise_power

    Examples
    --------
    >>> from npssl.params import Params
    >>> text = np.array([0, 1, 2, -1, 1, 0, -1], np.int32)
    >>> task = SkipGram(counts=np.array([2, 2, 1]), dim=4, window=1, negative=2, sample=0)
    >>> (ids, offsets), (targets, noise) = task.split(text)
    >>> [*zip(ids.tolist(), targets.tolist())]  # who guesses whom
    [(1, 0), (0, 1), (2, 1), (1, 2), (0, 1), (1, 0)]
    >>> p = Params(task.spec(), np.random.default_rng(0)).tree
    >>> value, back = task.loss(p, (ids, offsets), (targets, noise))
    >>> round(float(value / np.log(2)), 6)  # 1 + K coins: all output vectors are zero
    3.0
    """

    counts: np.ndarray
    dim: int = 100
    window: int = 5
    negative: int = 5
    sample: float = 1e-3
    objective: str = "negative-sampling"
    cbow: bool = False
    subwords: tuple[np.ndarray, np.ndarray] | None = None
    arrow: str = "word2vec.c"
    noise_power: float = 0.75

    def __post_init__(self):
        for name, known in (("objective", (*OBJECTIVES,)), ("arrow", ("paper", "word2vec.c"))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}: expected one of {known}, found {getattr(self, name)!r}")
        for name in ("dim", "window", "negative"):
            if name != "negative" or self._draws_noise:
                if getattr(self, name) < 1:
                    raise ValueError(f"{name}: expected 1 or more, found {getattr(self, name)}")
        if self._draws_noise and np.count_nonzero(self.counts) < 2:
            raise ValueError(
                "counts: expected two words or more that occur, to draw noise from, "
                f"found {np.count_nonzero(self.counts)}"
            )
        if self.subwords is not None:
            start, rows = self.subwords
            if len(start) != len(self.counts) + 1 or start[0] != 0 or start[-1] != len(rows):
                raise ValueError(
                    f"subwords: expected start ({len(self.counts) + 1},) from 0 to {len(rows)} "
                    f"rows, found ({len(start)},) from {start[0]} to {start[-1]}"
                )

    def spec(self):
        """Parameters: ``input``, a row a word (or more, with sub-words), and ``output``.

        With a tree ``output`` has a row for each inner node.  As it begins with zeros all
        scores are 0 at first, and only then do the two tables pull each other.
        """
        V, D = len(self.counts), self.dim
        rows = V if self.subwords is None else int(self.subwords[1].max(initial=V - 1)) + 1
        outputs = V - 1 if self.objective == "hierarchical-softmax" else V
        return dict(input=uniform(rows, D, low=-0.5 / D, high=0.5 / D), output=zeros(outputs, D))

    def split(self, t, rng=None):
        """Make pairs of the words of a text, and draw noise.

        Parameters
        ----------
        t : (n,) int                    words; -1 ends a sentence
        rng : numpy.random.Generator    gives the key from which all draws are computed; None:
            an evaluation, which drops tokens and draws reaches and noise in the same way, but
            the same ones every time

        Returns
        -------
        x : ids (M,), offsets (N + 1,)  input i is the mean of rows ids[offsets[i]:offsets[i + 1]]
        y : targets (N,), noise (N, K)  noise is None for the two kinds of softmax

        Law: the pairs are the words of the kept text that stand within reach of each other
        in one sentence; no noise word equals its target.
        """
        t = np.asarray(t)
        in_range = not t.size or -1 <= t.min() <= t.max() < len(self.counts)
        if t.ndim != 1 or t.dtype.kind not in "iu" or not in_range:
            raise ValueError(
                f"t: expected words 0 to {len(self.counts) - 1}, and -1, in one dimension, found "
                f"{t.dtype} {t.shape}" + (f" with {t.min()} to {t.max()}" if t.size else "")
            )
        key = EVALUATION if rng is None else int(rng.integers(2**64, dtype=np.uint64))
        words, places, centre, near = self._pairs(t, key)
        K, turn = self.negative, np.zeros_like(centre)  # turn: how many targets were before at i
        stride = 2 * self.window * K  # noise words at a place
        if self.cbow:
            i, sizes = np.unique(centre, return_counts=True)
            bags, targets, turn = near, i, turn[: len(i)]
        elif self.arrow == "paper":
            i, sizes = centre, np.ones_like(centre)
            bags, targets, turn = centre, near, np.arange(len(i)) - np.searchsorted(i, i)
        else:
            i, sizes = centre, np.ones_like(centre)
            bags, targets, stride = near, centre, K
        x = self._rows(words[bags], np.append(0, sizes.cumsum()))
        if not self._draws_noise:
            return x, (words[targets], None)
        where = {"first": turn[:, None] * K, "count": K, "stride": stride}
        noise = noise_words(words[targets], places[i], key, self._alias, **where)
        return x, (words[targets], noise)

    def loss(self, p, x, y, rng=None):
        """Mean nats a positive pair; without pairs 0.  Nothing is drawn here."""
        ids, offsets = x
        targets, noise = y
        h, back_bag = bag(p.input, ids=ids, offsets=offsets)  # (N, D)
        value, back_output = OBJECTIVES[self.objective](h, p.output, targets, noise, self._tree)

        def back(g, dvalue=1.0):
            back_bag(back_output(dvalue, g.output), into=g.input)

        return value, back

    def _pairs(self, t, key):
        """Kept words, their places in t, and all (centre, near): indices of words, in order."""
        places = np.flatnonzero(kept(t, 0, key, self._keep))
        words, sentence = t[places].astype(np.int64), np.cumsum(t < 0)[places]
        near, offsets = neighbours(words, places, key, self.window)
        centre = np.repeat(np.arange(len(words)), np.diff(offsets))
        together = sentence[centre] == sentence[near]
        return words, places, centre[together], near[together]

    def _rows(self, words, offsets):
        """Bags of words as bags of rows of ``input``."""
        if self.subwords is None:
            return words, offsets
        start, rows = self.subwords
        sizes = np.diff(start)[words]
        ends = np.append(0, sizes.cumsum())
        at = np.repeat(start[words] - ends[:-1], sizes) + np.arange(ends[-1])
        return rows[at], ends[offsets]

    @property
    def _draws_noise(self):
        return self.objective in ("negative-sampling", "nce")

    @cached_property
    def _keep(self):
        keep = keep_probability(self.counts, self.sample)
        return np.minimum(keep * 2.0**32, 2.0**32 - 1).astype(np.uint32)

    @cached_property
    def _alias(self):
        return alias_table(noise_distribution(self.counts, self.noise_power))

    @cached_property
    def _tree(self):
        """Huffman's tree, where it is asked for; the root is row 0."""
        if self.objective != "hierarchical-softmax":
            return None
        start, nodes, code = huffman(self.counts)
        return start, len(self.counts) - 2 - nodes, code
