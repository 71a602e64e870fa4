"""A causal transformer reads on: keys and values of what it has read are kept.

Position i sees those before it and itself, so what comes later changes nothing in its
keys and values.  A new token then costs one row in every matrix product and one query
over the keys so far, instead of the whole text once more.
"""

from __future__ import annotations

import numpy as np

from npssl.layers.activation import gelu
from npssl.layers.attention import attention, merge_heads, split_heads
from npssl.layers.embedding import embedding
from npssl.models.dense import norm
from npssl.models.transformer import Transformer


def extend(model: Transformer, p, ids, past=None):
    """The vectors of the tokens that come next, and the longer past.

    Parameters
    ----------
    model : Transformer, causal
    p : its parameters
    ids : (B, T) int                   what follows the S tokens of ``past``
    past : list of (2, B, H, S, d)     keys and values of each block; None: nothing was read

    Returns
    -------
    h : (B, T, D)                      as ``model.encode`` gives them for all S + T tokens
    past : list of (2, B, H, S + T, d)

    Raises
    ------
    ValueError
        if the model is not causal, or S + T is over its context.
    """
    if not model.causal:
        raise ValueError("model must be causal: else what is read changes what was read before")
    start = past[0].shape[3] if past else 0
    stop = start + ids.shape[1]
    if stop > model.context:
        raise ValueError(
            f"ids must end within the context of {model.context}, found {stop} tokens with the past"
        )
    token, _ = embedding(p.token, ids=ids)
    x = token + p.position[start:stop] + (p.segment[0] if model.segments else 0)
    if model.norm_embeddings:
        x = _norm(model, p.norm, x)
    longer = []
    for i, b in enumerate(p.blocks):
        z = _norm(model, b.norm1, x) if model.norm_first else x
        new, _ = split_heads(_dense(b.attention.qkv, z), heads=model.heads)  # (3, B, H, T, d)
        kept = np.concatenate([past[i], new[1:]], 3) if past else new[1:]
        mixed, _ = attention(new[0], *kept, causal=True)
        h = x + _dense(b.attention.out, merge_heads(mixed)[0])
        if model.norm_first:
            x = h + _feed_forward(model, b.ffn, _norm(model, b.norm2, h))
        else:
            h = _norm(model, b.norm1, h)
            x = _norm(model, b.norm2, h + _feed_forward(model, b.ffn, h))
        longer.append(kept)
    return (_norm(model, p.last, x) if model.norm_first else x), longer


def _norm(model, p, x):
    return norm(p, x, eps=model.eps)[0]


def _dense(p, x):
    """`dense`, without its kernel: for a few rows, packing the weights costs more than it saves."""
    return x @ p.w + p.b


def _feed_forward(model, p, x):
    return _dense(p.down, gelu(_dense(p.up, x), form=model.form)[0])
