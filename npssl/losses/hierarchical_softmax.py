"""Hierarchical softmax: find a word in a tree by a few yes-or-no decisions."""

import numpy as np

from npssl.layers.activation import sigmoid, softplus
from npssl.losses.negative_sampling import _check_reduction, _check_rows


def hierarchical_softmax(x, nodes, *, code, mask=None, reduction: str = "sum"):
    r"""Surprise at a word that is predicted step by step down a binary tree.

    Parameters
    ----------
    x : (n, D) or (B, n, D)         input rows: vectors of the words that predict
    nodes : (L, D) or (B, L, D)     rows of the inner nodes from the root to the
        observed word; all n inputs share them
    code : (L,) or (B, L) in {0, 1} which way the path turns at each node
    mask : (L,) or (B, L), or (n, L) or (B, n, L), bool, optional
        True = a step of the path (or of this pair's); False = padding
    reduction : "sum" (nats over all inputs) or "mean" (nats per input; inputs all of
        whose steps are padding do not count)

    Returns
    -------
    value : ()                      nats; without inputs: 0
    back : dvalue=1.0 -> dx like x, dnodes like nodes

    Keeps
    -----
    x, nodes, error

    Derivation
    ----------
    **The model.**  The V words are the leaves of a binary tree.  Each of its V - 1
    inner nodes a has a vector and decides, given the input word v, by a biased coin
    to which child to go: code 0 with probability sigmoid(<x_v, a>), code 1 with the
    rest.  As 1 - sigmoid(s) = sigmoid(-s), with turn = 1 - 2 code = +1 or -1::

        s = <x_v, a>,   P(code | v, a) = sigmoid(turn s)                     (1)

    A word is reached by one path only, so its probability is the product of (1)
    along the path.  The two children of a node share what the node receives and
    nothing is lost: **the probabilities of the V words sum to one**, at a cost of L
    dot products, about log2 V, instead of V.

    **The objective** is the surprise at the word, -log of the product.  A mask 0
    removes a step::

        value = sum_{i,j} mask_j softplus(-turn_j s_ij),   s = x nodes^T     (2)

    **The gradient.**  d softplus(-turn s) / ds = -turn sigmoid(-turn s).  For code 0
    it is sigmoid(s) - 1, for code 1 it is sigmoid(s); in one::

        error_ij = mask_j (sigmoid(s_ij) - (1 - code_j))                     (3)
        dx = error nodes,   dnodes = error^T x                               (4)

    What the terms of (4) do in a step x -= lr dx: every node on the path pulls x
    to its side (code 0) or pushes it away (code 1) with the force of its surprise.
    Nodes that are not on the path are not touched.  All words beneath a node share
    its vector; near the root that is half of the language.

    **It is negative sampling's arithmetic**: (2) to (4) are those of
    `npssl.losses.negative_sampling.negative_sampling` with label = 1 - code.  What
    differs is the meaning: the outputs are nodes, not words, the labels are given by
    the tree, not drawn, and the result is normalised.

    **The optimum.**  Let #(v, 0) and #(v, 1) count how often the contexts of v lie
    beneath either child of a node.  In the total that node and v stand in
    #(v, 0) softplus(-s) + #(v, 1) softplus(s), which is least at::

        s = log( #(v, 0) / #(v, 1) )                                         (5)

    If the vectors are long enough for every s to be free, each coin has the observed
    odds and their products are the observed p(c | v), exactly.

    **The tree.**  Any tree will do for (5); it matters for cost, and for what short
    vectors can express.  Huffman's tree has the least mean path length, between the
    entropy H of the words in bits and H + 1.  So all vectors zero, where each step
    costs log 2, is already nearly as good as knowing the word frequencies.

    **Degenerate cases.**  A vocabulary of one word: L = 0, the word is certain, value
    0.  Two words: one node, plain logistic regression.  A child that is never taken
    sends (5) to infinity.

    A fact to check by eye: the sum of exp(-value) over all leaves is 1, for any x.

    Raises
    ------
    ValueError
        if the shapes do not fit, or a code is not 0 or 1.

    Notes
    -----
    word2vec.c has the same convention (code 0 is the positive side) but skips a step
    where |s| >= 6; this op has no such hole.

    References
    ----------
    Morin & Bengio, "Hierarchical Probabilistic Neural Network Language Model", AISTATS
    2005, PMLR R5, 246-252.
    Mikolov, Sutskever, Chen, Corrado & Dean, "Distributed Representations of Words and
    Phrases and their Compositionality", NIPS 2013, arXiv:1310.4546, section 2.1, eq. (3)
    (there [[.]] = +1 for a child that is fixed arbitrarily; here that child has code 0).
    Huffman, "A Method for the Construction of Minimum-Redundancy Codes", Proceedings of
    the IRE 40(9), 1952, 1098-1101, doi:10.1109/JRPROC.1952.273898.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> x, nodes, code = rng.normal(size=(3, 5)), rng.normal(size=(4, 5)), np.array([0, 1, 1, 0])
    >>> check(hierarchical_softmax, x, nodes, code=code) < 1e-12
    True
    """
    _check_rows("x", x, "nodes", nodes)
    _check_reduction(reduction)
    code = np.asarray(code)
    if code.shape != nodes.shape[:-1] or not np.isin(code, (0, 1)).all():
        raise ValueError(
            f"code must be 0 or 1 for each node {nodes.shape[:-1]}, found {code.shape}: {code}"
        )
    visible = _steps(mask, x, nodes)
    N = 1 if reduction == "sum" else max(1, int(visible.any(-1).sum()))
    positive = (1 - code).astype(x.real.dtype)[..., None, :]
    turn = 2 * positive - 1
    s = x @ nodes.swapaxes(-1, -2)  # (1), (..., n, L)
    value = (visible * softplus(-turn * s)[0]).sum() / N  # (2)
    error = visible * (sigmoid(s)[0] - positive)  # (3)

    def back(dvalue=1.0):
        d = error * (float(dvalue) / N)
        return d @ nodes, d.swapaxes(-1, -2) @ x  # (4)

    return value, back


def _steps(mask, x, nodes):
    """Which steps of which inputs count, (..., n, L) bool."""
    pairs = (*x.shape[:-1], nodes.shape[-2])
    if mask is None:
        return np.ones(pairs, bool)
    mask = np.asarray(mask)
    if mask.dtype != bool:
        raise ValueError(f"mask must be bool, True = a step of the path, found {mask.dtype}")
    if mask.shape == nodes.shape[:-1]:
        mask = mask[..., None, :]
    elif mask.shape != pairs:
        raise ValueError(
            f"mask must be {nodes.shape[:-1]}, one for each node, or {pairs}, one for each pair, "
            f"found {mask.shape}"
        )
    return np.broadcast_to(mask, pairs)
