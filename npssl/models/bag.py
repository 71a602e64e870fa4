"""Bags of vectors: what word vectors are worth in a text classifier."""

from npssl.layers.bag import bag
from npssl.layers.dropout import dropout
from npssl.models.dense import mlp, mlp_spec
from npssl.params import normal


def bag_classifier_spec(words: int, width: int, *hidden: int, classes: int, std: float = 0.02):
    """Parameters of `bag_classifier`.

    ``table`` (words, width), drawn with deviation std or overwritten by vectors that
    were trained before, and ``head``, the perceptron with these hidden widths (none:
    a linear classifier) and one output for each class.
    """
    return dict(table=normal(words, width, std=std), head=mlp_spec(width, *hidden, classes))


def bag_classifier(
    p, *, ids, offsets, reduction: str = "mean", frozen: bool = False, rate: float = 0.0, rng=None
):
    """Scores of the classes for each text, from the mean of its word vectors.

    Parameters
    ----------
    p : table (V, D), head
    ids : (M,) int              the words of all texts, one text after another
    offsets : (B + 1,) int      text b is ids[offsets[b]:offsets[b + 1]]
    reduction : "mean" or "sum"
    frozen : bool               True: the table is taken as it is and gets no gradient
    rate : float in [0, 1)      dropout on the mean vector and in the head
    rng : numpy.random.Generator or None; None is evaluation

    Returns
    -------
    logits : (B, classes)       a text without words is scored by the biases alone
    back : dlogits (B, classes), g -> None: there is no input with a gradient

    Notes
    -----
    The "deep averaging network". Words that do not occur in the batch get gradient 0,
    yet AdamW moves them all the same (momentum, decay).

    References
    ----------
    Iyyer, Manjunatha, Boyd-Graber & Daume, "Deep Unordered Composition Rivals Syntactic
    Methods for Text Classification", ACL 2015, P15-1162.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.params import Params
    >>> spec = bag_classifier_spec(10, 4, classes=2)
    >>> p = Params(spec, np.random.default_rng(0)).tree
    >>> logits, back = bag_classifier(p, ids=np.array([1, 7, 7]), offsets=np.array([0, 2, 3]))
    >>> logits.shape
    (2, 2)
    """
    mean, back_bag = bag(p.table, ids=ids, offsets=offsets, reduction=reduction)
    seen, back_drop = dropout(mean, rate=rate, rng=rng)
    logits, back_head = mlp(p.head, seen, rate=rate, rng=rng)

    def back(dlogits, g):
        dmean = back_drop(back_head(dlogits, g.head))
        if not frozen:
            back_bag(dmean, into=g.table)

    return logits, back
