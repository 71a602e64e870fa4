"""Tables made from word counts, used whenever a random word or a code for a word is needed.

keep_probability     which tokens subsampling leaves in the text
noise_distribution   where negative examples are drawn from
alias_table          one random number -> one word of any distribution, at one table entry
huffman              a short code of yes/no questions for each word
"""

import numpy as np


def keep_probability(counts, sample, form="word2vec.c"):
    """With what probability each token of a word stays in the text.

    Parameters
    ----------
    counts : (V,) int      how often each word occurs
    sample : float         share of the text above which a word is thinned, such as
                           1e-3 to 1e-5; 0 keeps everything
    form : str             ``"word2vec.c"`` or ``"paper"``, see below

    Returns
    -------
    keep : (V,) float64    in [0, 1]

    Derivation
    ----------
    With f the word's share of the text and t = ``sample``

        paper:       keep = sqrt(t/f)                                         (1)
        word2vec.c:  keep = sqrt(t/f) + t/f                                   (2)

    both cut off at 1.  (1) is the article's "discard with 1 - sqrt(t/f)"; (2) is
    what the authors' program computes, as ``(sqrt(f/t) + 1) * t/f``.  A word with
    f = t stays for certain under both; one with f = 100 t stays with .1 and .11.

    References
    ----------
    Mikolov, Sutskever, Chen, Corrado, Dean, Distributed representations of words
    and phrases and their compositionality, arXiv:1310.4546, section 2.3, equation 5.

    Examples
    --------
    >>> keep_probability([100, 1], sample=1 / 101)
    array([0.11, 1.  ])
    >>> keep_probability([100, 1], sample=1 / 101, form="paper")
    array([0.1, 1. ])
    """
    counts = _counts(counts)
    if not 0 <= sample < float("inf"):
        raise ValueError(f"sample: expected a share of the text, 0 or more, found {sample!r}")
    if form not in ("word2vec.c", "paper"):
        raise ValueError(f"form: expected 'word2vec.c' or 'paper', found {form!r}")
    if sample == 0 or not counts.any():
        return np.ones(len(counts))
    share = sample * counts.sum(dtype=np.float64) / np.maximum(counts, 1)  # t/f
    keep = np.sqrt(share) if form == "paper" else np.sqrt(share) + share
    return np.minimum(keep, 1.0)


def noise_distribution(counts, power=0.75):
    """Where negatives are drawn from: p(w) proportional to count(w) ** power.

    Parameters
    ----------
    counts : (V,) int      how often each word occurs; a word with 0 is never drawn
    power : float          1 is the text's own distribution, 0 the uniform one; the
                           article's section 2.2 found 3/4 best (arXiv:1310.4546)

    Returns
    -------
    p : (V,) float64       sums to 1

    Examples
    --------
    >>> noise_distribution([16, 1])
    array([0.88888889, 0.11111111])
    """
    counts = _counts(counts)
    if not np.isfinite(power):
        raise ValueError(f"power: expected a finite number, found {power!r}")
    if not counts.any():
        raise ValueError("counts: expected at least one word that occurs, found none")
    p = np.zeros(len(counts))
    seen = counts > 0
    p[seen] = (counts[seen] / counts.max()) ** power  # in [0, 1]: no overflow, whatever the power
    return p / p.sum()


def alias_table(p):
    """Draw from any distribution over V words in constant time.

    Parameters
    ----------
    p : (V,) float         weights, 0 or more; need not sum to 1; V below 2**32

    Returns
    -------
    table : (V,) uint64    entry i holds ``threshold << 32 | alias``

    Derivation
    ----------
    Cut V bins of width 1/V.  A word with p below 1/V leaves part of its bin empty;
    the part is given to a word that has more than it can hold.  So each bin has at
    most two words: its own below the threshold, its alias above.  To draw from a
    64-bit random number z:

        i = ((z >> 32) * V) >> 32                                              (1)
        word = i if (z & 0xffffffff) < table[i] >> 32 else table[i] & 0xffffffff

    Thresholds are multiples of 2**-32, so each probability is off by at most
    about 2**-32; a full bin has its own word as alias.  A word of weight 0 has
    threshold 0 and is nobody's alias: it is never drawn.

    References
    ----------
    A. J. Walker, An efficient method for generating discrete random variables with
    general distributions, ACM Transactions on Mathematical Software 3 (1977);
    M. D. Vose, A linear algorithm for generating random numbers with a given
    distribution, IEEE Transactions on Software Engineering 17 (1991).

    Examples
    --------
    >>> [(int(e >> 32) / 2**32, int(e & 0xFFFFFFFF)) for e in alias_table([3, 1]).tolist()]
    [(0.9999999997671694, 0), (0.5, 0)]
    """
    p = np.asarray(p, np.float64)
    if p.ndim != 1 or not len(p) or not np.isfinite(p).all() or (p < 0).any() or not p.any():
        raise ValueError("p: expected weights of 0 or more, not all 0, in one dimension")
    p = p / p.max()  # so that the sum cannot overflow
    share = p * (len(p) / p.sum())  # 1 = exactly one bin
    alias = list(range(len(p)))
    small = np.flatnonzero(share < 1).tolist()
    large = np.flatnonzero(share >= 1).tolist()
    share = share.tolist()
    while small and large:
        i, j = small.pop(), large[-1]
        alias[i] = j
        share[j] -= 1 - share[i]
        if share[j] < 1:
            small.append(large.pop())
    for i in small:  # what these lack is rounding, and their alias is themselves
        if p[i] == 0:
            alias[i] = int(p.argmax())
    threshold = np.minimum(np.array(share) * 2.0**32, 2.0**32 - 1).astype(np.uint64)
    return threshold << np.uint64(32) | np.array(alias, np.uint64)


def huffman(counts):
    """A prefix code for the words: frequent words are asked few questions.

    Parameters
    ----------
    counts : (V,) int      how often each word occurs, in any order

    Returns
    -------
    start : (V+1,) int64   word w owns ``nodes[start[w]:start[w+1]]``, and the same of ``code``
    nodes : int32          inner nodes from the root (V-2) down to the word's parent
    code : int8            the turn taken at each of them, 0 or 1

    Derivation
    ----------
    Join the two rarest trees until one is left.  With the words in one queue,
    rarest first, and the joined trees in another, the rarest tree always stands at
    the head of a queue, for joined trees come out in rising order: no heap needed.
    Which tree is taken when two are equally rare, and which turn is called 1 (the
    second taken), are as in word2vec.c, so that codes are the same: between a word
    and a joined tree the joined tree is taken first, and among words of one count
    the last.  One word alone has the empty code.  The codes satisfy Kraft's
    equality, sum over w of 2 ** -len(w) = 1, and no prefix code is shorter on
    average over the text.

    References
    ----------
    D. A. Huffman, A method for the construction of minimum-redundancy codes,
    Proceedings of the IRE 40 (1952); J. van Leeuwen, On the construction of Huffman
    trees, ICALP 1976 (the two queues); T. Mikolov, word2vec.c, CreateBinaryTree.

    Examples
    --------
    >>> start, nodes, code = huffman([4, 2, 1])
    >>> [code[a:b].tolist() for a, b in zip(start, start[1:])]
    [[1], [0, 1], [0, 0]]
    >>> nodes.tolist()
    [1, 1, 0, 1, 0]
    """
    counts = _counts(counts)
    V = len(counts)
    if not V:
        raise ValueError("counts: expected at least one word, found none")
    order = np.argsort(-counts, kind="stable")
    parent, turn = _join(counts[order].tolist())
    # all words climb at once, each writing its path from the end of its own slot
    depth = np.zeros(V, np.int64)
    node = np.arange(V)
    while (below := node != 2 * V - 2).any() and V > 1:
        depth[below] += 1
        node[below] = parent[node[below]]
    start = np.zeros(V + 1, np.int64)
    lengths = np.empty(V, np.int64)
    lengths[order] = depth
    np.cumsum(lengths, out=start[1:])
    nodes, code = np.empty(start[-1], np.int32), np.empty(start[-1], np.int8)
    node, place = np.arange(V), start[1:][order] - 1
    climbing = np.flatnonzero(depth)
    while len(climbing):
        here = node[climbing]
        nodes[place[climbing]] = parent[here] - V
        code[place[climbing]] = turn[here]
        node[climbing] = parent[here]
        place[climbing] -= 1
        climbing = climbing[node[climbing] != 2 * V - 2]
    return start, nodes, code


def _join(counts):
    """Parents and turns of the 2V-1 nodes: words 0..V-1 (falling counts), then joined trees."""
    V = len(counts)
    weight = counts + [0] * (V - 1)
    parent, turn = np.zeros(2 * V - 1, np.int64), np.zeros(2 * V - 1, np.int8)
    word, tree = V - 1, V  # the heads of the two queues
    for new in range(V, 2 * V - 1):
        taken = []
        for _ in range(2):
            if word >= 0 and (tree == new or weight[word] < weight[tree]):
                taken.append(word)
                word -= 1
            else:
                taken.append(tree)
                tree += 1
        first, second = taken
        weight[new] = weight[first] + weight[second]
        parent[first] = parent[second] = new
        turn[second] = 1
    return parent, turn


def _counts(counts):
    counts = np.asarray(counts)
    if counts.ndim != 1 or (len(counts) and counts.dtype.kind not in "iu"):
        raise ValueError(
            f"counts: expected integers in one dimension, found {counts.dtype} {counts.shape}"
        )
    if (counts < 0).any():
        raise ValueError(f"counts: expected 0 or more, found {counts.min()}")
    return counts.astype(np.int64)
