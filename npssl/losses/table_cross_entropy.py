"""Cross-entropy of a softmax over a whole vocabulary."""

import numpy as np

from npssl.kernels import fast
from npssl.layers.linear import linear
from npssl.losses.cross_entropy import cross_entropy


def table_cross_entropy(z, table, bias, *, target):
    r"""Mean surprise, in nats, when a vector predicts a word by its product with each row.

    Parameters
    ----------
    z : (N, D)          what predicts
    table : (V, D)      a row for each word, often that of the embeddings (tied)
    bias : (V,)
    target : (N,) int   the right words

    Returns
    -------
    value : ()          mean nats; 0 for N = 0
    back : dvalue=1.0, into=None -> dz (N, D), dtable (V, D), dbias (V,);
        ``into``: two arrays that get the last two added

    Keeps
    -----
    table, bias, again

    Derivation
    ----------
    ::

        s = z table^T + bias                                                 (1)
        value = mean cross-entropy of softmax(s) and target                  (2)

    With ds = (softmax(s) - onehot(target)) / N, the way back of (2), the product gives::

        dz = ds table,   dtable = ds^T z,   dbias = sum_n ds                 (3)

    A fact to check by eye: dbias sums to 0, "predicted minus observed" over all words.

    Raises
    ------
    ValueError
        if shapes do not fit or a target is no row of the table.

    Notes
    -----
    With float32 and D a multiple of 16, `npssl.kernels.decoder` does all of it in tiles
    of words, and s is never copied.

    References
    ----------
    Press & Wolf, "Using the Output Embedding to Improve Language Models", EACL 2017,
    arXiv:1608.05859 (the tied table).

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> rng = np.random.default_rng(0)
    >>> z, table, bias = rng.normal(size=(3, 4)), rng.normal(size=(5, 4)), rng.normal(size=5)
    >>> check(table_cross_entropy, z, table, bias, target=np.array([0, 4, 0])) < 1e-12
    True
    """
    if z.ndim != 2 or table.ndim != 2 or z.shape[1] != table.shape[1]:
        raise ValueError(
            f"z and table must be (N, D) and (V, D), found {z.shape} and {table.shape}"
        )
    if bias.shape != table.shape[:1]:
        raise ValueError(f"bias must be {table.shape[:1]}, found {bias.shape}")
    if target.shape != z.shape[:1] or not np.issubdtype(target.dtype, np.integer):
        raise ValueError(
            f"target must be {len(z)} whole numbers, found {target.dtype} {target.shape}"
        )
    if target.size and not 0 <= target.min() <= target.max() < len(table):
        raise ValueError(
            f"target must be rows of table, 0 to {len(table) - 1}, "
            f"found {target.min()} to {target.max()}"
        )
    run = _fast if fast(z, table, bias) and len(z) and not z.shape[1] % 16 else _page
    value, again = run(z, table, bias, target)

    def back(dvalue=1.0, into=None):
        dtable, dbias = (np.zeros_like(table), np.zeros_like(bias)) if into is None else into
        return again(dvalue, dtable, dbias), dtable, dbias

    return value, back


def _page(z, table, bias, target):
    """Equations (1), (2) and (3)."""
    s, back_linear = linear(z, table.T, bias)  # (1)
    value, back_loss = cross_entropy(s, target=target)  # (2)

    def again(dvalue, dtable, dbias):
        dz, dtable_t, d = back_linear(back_loss(dvalue))  # (3)
        dtable += dtable_t.T
        dbias += d
        return dz

    return value, again


def _fast(z, table, bias, target):
    """The same by `npssl.kernels.decoder`."""
    from npssl.kernels import decoder
    from npssl.kernels.workspace import borrow, give_back_with

    word = target.astype(np.int64)
    scores = borrow(decoder.scores_size(len(z), len(table)))
    nats, log_z = decoder.forward(z, table, bias, word, scores)
    fresh = [True]

    def again(dvalue, dtable, dbias):
        if not fresh:  # the scores have become gradients: back to scores
            decoder.forward(z, table, bias, word, scores)
        fresh.clear()
        scale = float(dvalue) / len(z)
        return decoder.backward(z, table, word, scores, log_z, scale, dtable, dbias)

    give_back_with(again, scores)
    return nats.mean(), again
