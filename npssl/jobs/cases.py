"""What to feed every op, loss, model and task: the registry of the microscope.

``case(size, rng)`` draws one example.  ``size(low, high)`` draws an integer with
both ends included (NumPy's generator in ``npssl check``, hypothesis in the
tests), so let 0, 1 and odd sizes in wherever they are legal; ``rng`` draws the
values.  Arrays are float64: the callers cast them and change their strides.

- ``CASES[op] = case`` with ``case(size, rng) -> (arrays, options)``;
- ``MODELS[name] = case`` with ``case(size, rng) -> (op, arrays, options)``, where
  ``op`` is usually ``functional(net, params)``.

An op with variants draws the variant too: ``("erf", "tanh")[size(0, 1)]``.
A public op or loss that is missing here fails the tests.
"""

from dataclasses import replace

import numpy as np

from npssl.check import functional
from npssl.layers.activation import gelu, relu, sigmoid, softplus, tanh
from npssl.layers.attention import attention, merge_heads, split_heads
from npssl.layers.bag import bag
from npssl.layers.batch_norm import batch_norm
from npssl.layers.conv import conv1d, conv2d
from npssl.layers.distance import distance, squared_distance
from npssl.layers.dropout import dropout
from npssl.layers.embedding import embedding
from npssl.layers.gaussian import normal_cdf
from npssl.layers.group_norm import group_norm
from npssl.layers.linear import linear
from npssl.layers.log_sum_exp import log_sum_exp
from npssl.layers.norm import layernorm
from npssl.layers.pool import global_pool, max_pool, mean_pool
from npssl.layers.recurrent import gru, lstm
from npssl.layers.similarity import unit
from npssl.layers.softmax import log_softmax, softmax
from npssl.losses.alignment import alignment, uniformity
from npssl.losses.barlow_twins import barlow_twins
from npssl.losses.binary_cross_entropy import binary_cross_entropy
from npssl.losses.cross_entropy import cross_entropy
from npssl.losses.debiased_info_nce import debiased_info_nce
from npssl.losses.hierarchical_softmax import hierarchical_softmax
from npssl.losses.info_nce import info_nce
from npssl.losses.lifted import lifted
from npssl.losses.mutual_information import (
    donsker_varadhan,
    info_nce_bound,
    interpolated,
    js,
    nwj,
    smile,
    tuba,
)
from npssl.losses.n_pair import n_pair
from npssl.losses.nce import nce
from npssl.losses.negative_sampling import negative_sampling
from npssl.losses.nt_xent import nt_xent
from npssl.losses.pair import pair
from npssl.losses.sampled_softmax import sampled_softmax
from npssl.losses.semi_hard_triplet import semi_hard_triplet
from npssl.losses.siglip import siglip
from npssl.losses.soft_nearest_neighbor import soft_nearest_neighbor
from npssl.losses.squared_error import squared_error
from npssl.losses.sup_con import sup_con
from npssl.losses.table_cross_entropy import table_cross_entropy
from npssl.losses.triplet import triplet
from npssl.losses.vicreg import vicreg
from npssl.models.bag import bag_classifier, bag_classifier_spec
from npssl.models.convnet import conv_encoder, conv_encoder_spec
from npssl.models.dense import dense, dense_spec, mlp, mlp_spec, norm, norm_spec
from npssl.models.transformer import Transformer
from npssl.params import Params
from npssl.tasks.classify import Classify
from npssl.tasks.cpc import NEGATIVES, Cpc
from npssl.tasks.drlim import Drlim
from npssl.tasks.fine_tune import Sentence, Similarity, Span, Tags
from npssl.tasks.fine_tune_causal import CausalSentence
from npssl.tasks.masked_lm import MaskedLM
from npssl.tasks.metric_learning import LOSSES, MetricLearning
from npssl.tasks.mutual_information import CRITICS, ESTIMATES, MutualInformation
from npssl.tasks.neural_ngram import NeuralNgram
from npssl.tasks.next_sentence import Bert
from npssl.tasks.next_token import NextToken
from npssl.tasks.simcse import SimCSE
from npssl.tasks.skip_gram import OBJECTIVES, SkipGram

# what cases draw ----------------------------------------------------------------------------------


def shape(size, axes=3):
    """Any number of axes up to ``axes``, of any length from 0 to 4."""
    return tuple(size(0, 4) for _ in range(size(0, axes)))


def one_of(size, *choices):
    """One of the choices."""
    return choices[size(0, len(choices) - 1)]


def numbers(size, rng, *dims):
    """Normal numbers, now small, now large."""
    return np.asarray(one_of(size, 1.0, 0.1, 5.0) * rng.normal(size=dims))


def _elementwise(size, rng):
    return (numbers(size, rng, *shape(size)),), {}


# layers -------------------------------------------------------------------------------------------


def _gelu(size, rng):
    return (numbers(size, rng, *shape(size)),), {"form": one_of(size, "erf", "tanh")}


def _rows(size, rng):
    """Rows of at least one number."""
    return (numbers(size, rng, *shape(size), size(1, 5)),), {}


def _dropout(size, rng):
    noise = np.random.default_rng(int(rng.integers(2**32))) if size(0, 3) else None
    return (numbers(size, rng, *shape(size)),), {"rate": one_of(size, 0.3, 0.0, 0.9), "rng": noise}


def _embedding(size, rng):
    rows, ids = size(1, 5), shape(size)
    return (numbers(size, rng, rows, size(0, 4)),), {"ids": rng.integers(0, rows, ids)}


def _bag(size, rng):
    rows, sizes = size(1, 5), rng.integers(0, 4, size(0, 4))
    offsets = np.append(0, np.cumsum(sizes)).astype(np.int64)
    ids = rng.integers(0, rows, offsets[-1])
    options = {"ids": ids, "offsets": offsets, "reduction": one_of(size, "mean", "sum")}
    return (numbers(size, rng, rows, size(0, 4)),), options


def _linear(size, rng):
    lead, n_in, n_out = shape(size, 2), size(0, 5), size(0, 5)
    return (
        numbers(size, rng, *lead, n_in),
        numbers(size, rng, n_in, n_out),
        numbers(size, rng, n_out),
    ), {}


def _layernorm(size, rng):
    width = size(1, 6)
    x = numbers(size, rng, *shape(size, 2), width)
    return (x, rng.normal(size=width), rng.normal(size=width)), {"eps": one_of(size, 1e-5, 0.1)}


def _unit(size, rng):
    x = rng.normal(size=(*shape(size), size(1, 5)))
    return (one_of(size, 1.0, 0.1, 5.0) * (x + np.copysign(0.5, x)),), {}  # away from no direction


def _attention(size, rng):
    lead, T, S, d, e = shape(size, 2), size(0, 4), size(1, 4), size(1, 4), size(0, 4)
    noise = np.random.default_rng(int(rng.integers(2**32))) if size(0, 1) else None
    options = {"causal": bool(size(0, 1)), "rate": one_of(size, 0.0, 0.4), "rng": noise}
    options["mask"] = rng.random(one_of(size, (*lead, T, S), (T, S), (S,))) < 0.7
    q, k = numbers(size, rng, *lead, T, d), rng.normal(size=(*lead, S, d))
    return (q, k, rng.normal(size=(*lead, S, e))), options


def _split_heads(size, rng):
    heads = size(1, 3)
    x = numbers(size, rng, size(0, 3), size(0, 3), 3 * heads * size(1, 3))
    return (x,), {"heads": heads}


def _merge_heads(size, rng):
    return (numbers(size, rng, *(size(0, 3) for _ in range(4))),), {}


def _conv2d(size, rng):
    kh, kw, stride = size(1, 3), size(1, 3), (size(1, 3), size(1, 2))
    h, w, C, O = size(kh, 6), size(kw, 6), size(0, 3), size(0, 3)
    x = numbers(size, rng, size(0, 2), h, w, C)
    options = {"stride": stride, "padding": (size(0, 2), size(0, 2))}
    return (x, rng.normal(size=(kh, kw, C, O)), rng.normal(size=O)), options


def _conv1d(size, rng):
    k, C, O = size(1, 4), size(0, 3), size(0, 3)
    x = numbers(size, rng, size(0, 2), size(k, 9), C)
    options = {"stride": size(1, 3), "padding": size(0, 2)}
    return (x, rng.normal(size=(k, C, O)), rng.normal(size=O)), options


def _pool(size, rng):
    window, stride = (size(1, 3), size(1, 3)), (size(1, 3), size(1, 3))
    x = numbers(size, rng, size(0, 2), size(window[0], 6), size(window[1], 6), size(0, 3))
    return (x,), {"size": window, "stride": one_of(size, None, stride)}


def _global_pool(size, rng):
    return (numbers(size, rng, size(0, 3), size(1, 4), size(1, 3), size(0, 4)),), {}


def _group_norm(size, rng):
    groups, each = size(1, 3), size(1, 3)
    C, middle = groups * each, one_of(size, (), (3,), (2, 3))
    x = numbers(size, rng, size(0, 3), *middle, C)
    options = {"groups": groups, "eps": one_of(size, 1e-5, 0.1)}
    return (x, rng.normal(size=C), rng.normal(size=C)), options


def _batch_norm(size, rng):
    C, given = size(0, 4), size(0, 1)
    x = numbers(size, rng, size(1, 4), *one_of(size, (), (3,), (2, 3)), C)
    options = {"eps": one_of(size, 1e-5, 0.1)}
    if given:
        options |= {"mean": rng.normal(size=C), "variance": rng.uniform(0.1, 2, C)}
    return (x, rng.normal(size=C), rng.normal(size=C)), options


def _recurrent(gates, states):
    def case(size, rng):
        B, T, I, H = size(0, 3), size(0, 4), size(0, 3), size(0, 3)
        x = numbers(size, rng, B, T, I)
        rest = [(I, gates * H), (H, gates * H), (gates * H,), (H,), (B, H)]
        if states == 2:
            rest[3] = B, H
        mask = one_of(size, None, rng.random((B, T)) < 0.7)
        return (x, *(rng.normal(size=s) for s in rest)), {"mask": mask}

    return case


def _log_sum_exp(size, rng):
    x = numbers(size, rng, *shape(size), size(1, 5))
    mask = rng.random(x.shape) < 0.7
    mask[..., 0] = True  # a row of which nothing counts is -inf
    return (x,), {"mask": one_of(size, None, mask)}


def _two_sets(size, rng):
    width = size(1, 4)
    return (numbers(size, rng, size(0, 4), width), rng.normal(size=(size(0, 4), width))), {}


# losses -------------------------------------------------------------------------------------------


def _cross_entropy(size, rng):
    lead, V = shape(size, 2), size(1, 6)
    logits = numbers(size, rng, *lead, V)
    options = {"z_loss": one_of(size, 0.0, 0.1)}
    form = one_of(size, "ids", "soft", "ignore", "ignore a class")
    if form == "soft":
        return (logits,), {"target": rng.dirichlet(np.ones(V), lead), **options}
    target = rng.integers(-1 if form == "ignore" else 0, V, lead)
    if form != "ids":
        options["ignore"] = -1 if form == "ignore" else 0
    return (logits,), {"target": target, **options}


def _table_cross_entropy(size, rng):
    n, width, words = size(0, 5), size(1, 5), size(1, 6)
    arrays = [rng.normal(size=shape) for shape in ((n, width), (words, width), (words,))]
    return tuple(arrays), {"target": rng.integers(0, words, n)}


def _binary_cross_entropy(size, rng):
    dims = shape(size)
    target = rng.random(dims) if size(0, 1) else rng.integers(0, 2, dims)
    return (numbers(size, rng, *dims),), {"target": target}


def _squared_error(size, rng):
    dims = shape(size)
    return (numbers(size, rng, *dims),), {"target": rng.normal(size=dims)}


def _pairs(size, rng, least):
    """Inputs (n, D) and outputs (m, D), or batches of them."""
    lead, n, m, D = one_of(size, (), (size(0, 3),)), size(0, 4), size(least, 5), size(0, 5)
    return rng.normal(size=(*lead, n, D)), numbers(size, rng, *lead, m, D)


def _labels(size, rng, x, y):
    dims = one_of(size, y.shape[:-1], (*x.shape[:-1], y.shape[-2]))
    label = rng.choice([0.0, 0.5, 1.0], dims)
    return {"label": label} if size(0, 1) else {}


def _negative_sampling(size, rng):
    x, y = _pairs(size, rng, 1)
    return (x, y), {"reduction": one_of(size, "sum", "mean"), **_labels(size, rng, x, y)}


def _nce(size, rng):
    x, y = _pairs(size, rng, 2)
    options = {"reduction": one_of(size, "sum", "mean"), **_labels(size, rng, x, y)}
    return (x, y), {"log_noise": np.log(rng.uniform(1e-3, 1, y.shape[:-1])), **options}


def _hierarchical_softmax(size, rng):
    x, nodes = _pairs(size, rng, 0)
    options = {"reduction": one_of(size, "sum", "mean")}
    options["code"] = rng.integers(0, 2, nodes.shape[:-1])
    if size(0, 1):
        dims = one_of(size, nodes.shape[:-1], (*x.shape[:-1], nodes.shape[-2]))
        options["mask"] = rng.random(dims) < 0.7
    return (x, nodes), options


def _temperature(size):
    return {"temperature": one_of(size, 1.0, 0.1, 0.5), "reduction": one_of(size, "mean", "sum")}


def _info_nce(size, rng):
    n, width, symmetric = size(0, 5), size(1, 4), bool(size(0, 1))
    keys = rng.normal(size=(n if symmetric else n + size(0, 3), width))
    return (rng.normal(size=(n, width)), keys), {"symmetric": symmetric, **_temperature(size)}


def _views(size, rng):
    dims = size(0, 5), size(1, 4)
    return rng.normal(size=dims), rng.normal(size=dims)


def _nt_xent(size, rng):
    return _views(size, rng), _temperature(size)


def _n_pair(size, rng):
    penalty = {"penalty": one_of(size, 0.0, 0.3)}
    return _views(size, rng), {**penalty, "reduction": one_of(size, "mean", "sum")}


def _classified(size, rng):
    """Embeddings and labels: also one class only, and nobody with a mate."""
    x = rng.normal(size=(size(0, 6), size(1, 4)))
    return x, {
        "label": rng.integers(0, size(1, 6), len(x)),
        "reduction": one_of(size, "mean", "sum"),
    }


def _sup_con(size, rng):
    x, options = _classified(size, rng)
    return (x,), {**_temperature(size), **options}


def _soft_nearest_neighbor(size, rng):
    x, options = _classified(size, rng)
    options["entangle"] = bool(size(0, 1))
    return (x, np.array(one_of(size, 1.0, 0.5, 10.0))), options


def _lifted(size, rng):
    x, options = _classified(size, rng)
    return (x,), {"margin": one_of(size, 1.0, 0.1), **options}


def _triplet(size, rng):
    x = rng.normal(size=(size(3, 6), size(1, 4)))
    options = {"index": rng.integers(0, len(x), (size(0, 5), 3))}
    options["form"] = one_of(size, "hinge", "softplus")
    options["reduction"] = one_of(size, "mean", "active", "sum")
    return (x,), {"margin": one_of(size, 0.2, 2.0), **options}


def _semi_hard_triplet(size, rng):
    x, options = _classified(size, rng)
    margin, label = one_of(size, 0.2, 2.0), options["label"]
    while _near_a_jump(x, label, margin):
        x = rng.normal(size=x.shape)
    return (x,), {"margin": margin, **options}


def _near_a_jump(x, label, margin, near=0.02):
    """Whether a small step of x could make the semi-hard choice another one."""
    d = np.square(x[:, None] - x).sum(-1)
    lead = np.abs(d[:, :, None] - d[:, None, :])  # of a: between any row and a negative
    self = np.eye(len(x), dtype=bool)
    asked = (label[:, None] != label)[:, None, :] & ~self[:, :, None] & ~self
    return bool((np.minimum(lead, np.abs(lead - margin)) < near)[asked].any())


def _debiased_info_nce(size, rng):
    n, width = size(0, 5), size(1, 4)
    query, key = rng.normal(size=(n, width)), rng.normal(size=(n + size(0, 3), width))
    return (query, key), {"prior": one_of(size, 0.0, 0.1, 0.4), **_temperature(size)}


def _pair(size, rng):
    x = rng.normal(size=(size(2, 6), size(1, 4)))
    index = rng.permuted(np.tile(np.arange(len(x)), (size(0, 5), 1)), axis=1)[:, :2]
    options = {"index": index, "same": rng.random(len(index)) < 0.5}
    options["form"] = one_of(size, "hadsell", "chopra")
    return (x,), {
        "margin": one_of(size, 1.0, 5.0),
        "reduction": one_of(size, "mean", "sum"),
        **options,
    }


def _siglip(size, rng):
    scalars = np.array(one_of(size, 0.0, 2.0)), np.array(one_of(size, 0.0, -3.0))
    return (*_views(size, rng), *scalars), {"reduction": one_of(size, "mean", "sum")}


def _alignment(size, rng):
    return _views(size, rng), {"power": one_of(size, 2.0, 1.0, 3.5)}


def _uniformity(size, rng):
    x = rng.normal(size=(size(0, 5), size(1, 4)))
    return (x,), {"sharpness": one_of(size, 2.0, 0.3)}


def _barlow_twins(size, rng):
    x, y = rng.normal(size=(2, size(2, 6), size(0, 4)))
    return (x, y), {"weight": one_of(size, 5e-3, 1.0), "eps": 1e-2}


def _vicreg(size, rng):
    x, y = numbers(size, rng, 2, size(2, 6), size(1, 4))
    return (x, y), {"invariance": one_of(size, 25.0, 0.0), "covariance": one_of(size, 1.0, 9.0)}


def _sampled_softmax(size, rng):
    x, y = _pairs(size, rng, 2)
    options = {"z_loss": one_of(size, 0.0, 0.1), "reduction": one_of(size, "sum", "mean")}
    if size(0, 1):  # at most one observed
        label = rng.choice([0.0, 0.5], (*x.shape[:-1], y.shape[-2]))
        label[..., size(0, y.shape[-2] - 1)] = one_of(size, 1, 0.5)
        options["label"] = label
    return (x, y), {"log_noise": np.log(rng.uniform(1e-3, 1, y.shape[:-1])), **options}


def _scores(size, rng):
    n = size(2, 5)
    return (numbers(size, rng, n, n),), {}


def _scores_of_any_number(size, rng):
    n = size(1, 5)
    return (numbers(size, rng, n, n),), {}


def _clipped(size, rng):
    """Scores away from the edges of the cut, where there is a kink."""
    (s,), _ = _scores(size, rng)
    clip = one_of(size, 1.0, 4.0)
    near = abs(abs(s) - clip) < 0.05
    return (np.where(near, 0.5 * s, s),), {"clip": clip}


def _baseline(size, rng):
    n = size(2, 5)
    return (rng.normal(size=(n, n)), rng.normal(size=n)), {}


def _interpolated(size, rng):
    return _baseline(size, rng)[0], {"alpha": one_of(size, 0.5, 0.0, 1.0, 0.01)}


CASES = {
    relu: _elementwise,
    tanh: _elementwise,
    sigmoid: _elementwise,
    softplus: _elementwise,
    normal_cdf: _elementwise,
    gelu: _gelu,
    softmax: _rows,
    log_softmax: _rows,
    layernorm: _layernorm,
    attention: _attention,
    split_heads: _split_heads,
    merge_heads: _merge_heads,
    unit: _unit,
    dropout: _dropout,
    linear: _linear,
    embedding: _embedding,
    bag: _bag,
    conv1d: _conv1d,
    conv2d: _conv2d,
    max_pool: _pool,
    mean_pool: _pool,
    global_pool: _global_pool,
    group_norm: _group_norm,
    batch_norm: _batch_norm,
    gru: _recurrent(3, 1),
    lstm: _recurrent(4, 2),
    cross_entropy: _cross_entropy,
    table_cross_entropy: _table_cross_entropy,
    binary_cross_entropy: _binary_cross_entropy,
    squared_error: _squared_error,
    negative_sampling: _negative_sampling,
    nce: _nce,
    hierarchical_softmax: _hierarchical_softmax,
    log_sum_exp: _log_sum_exp,
    squared_distance: _two_sets,
    distance: _two_sets,
    info_nce: _info_nce,
    nt_xent: _nt_xent,
    sup_con: _sup_con,
    soft_nearest_neighbor: _soft_nearest_neighbor,
    lifted: _lifted,
    n_pair: _n_pair,
    triplet: _triplet,
    semi_hard_triplet: _semi_hard_triplet,
    debiased_info_nce: _debiased_info_nce,
    pair: _pair,
    siglip: _siglip,
    alignment: _alignment,
    uniformity: _uniformity,
    barlow_twins: _barlow_twins,
    vicreg: _vicreg,
    sampled_softmax: _sampled_softmax,
    info_nce_bound: _scores_of_any_number,
    nwj: _scores,
    js: _scores,
    donsker_varadhan: _scores,
    smile: _clipped,
    tuba: _baseline,
    interpolated: _interpolated,
}

# models and tasks ---------------------------------------------------------------------------------


def _model(net, spec, rng, inputs=(), options=None):
    params = Params(spec, rng, dtype=np.float64)
    params.flat += 0.1 * rng.normal(size=params.flat.shape)  # biases too
    return functional(net, params), (params.flat, *inputs), options or {}


def _dense(size, rng):
    n_in, n_out = size(1, 5), size(1, 5)
    x = numbers(size, rng, *shape(size, 2), n_in)
    return _model(dense, dense_spec(n_in, n_out, std=0.5), rng, [x])


def _norm(size, rng):
    width = size(1, 6)
    return _model(norm, norm_spec(width), rng, [numbers(size, rng, *shape(size, 2), width)])


def _mlp(size, rng):
    widths = [size(1, 5) for _ in range(size(2, 4))]
    noise = np.random.default_rng(int(rng.integers(2**32)))
    options = {"activation": one_of(size, tanh, gelu), "rate": 0.3, "rng": noise}
    x = numbers(size, rng, *shape(size, 2), widths[0])
    return _model(mlp, mlp_spec(*widths), rng, [x], options)


def _conv_encoder(size, rng):
    widths = [size(1, 4) for _ in range(size(1, 2))]
    side, C = 2 ** len(widths) + size(0, 2), size(1, 2)
    options = {"norm": one_of(size, "group", "batch", "none"), "groups": size(1, 3)}
    x = rng.normal(size=(size(1, 2), side, side, C))
    return _model(conv_encoder, conv_encoder_spec(C, *widths, out=3), rng, [x], options)


def _bag_classifier(size, rng):
    (table,), options = _bag(size, rng)
    spec = bag_classifier_spec(len(table), size(1, 4), classes=size(1, 3), std=0.5)
    return _model(bag_classifier, spec, rng, options=options)


def _classify(size, rng):
    """Bags of words, relu layers with dropout, cross-entropy: from the table to the number."""
    (table,), bags = _bag(size, rng)
    hidden = [size(1, 4) for _ in range(size(0, 2))]
    task = Classify(len(table), size(1, 4), size(1, 3), hidden=tuple(hidden), rate=0.3, std=0.5)
    params = Params(task.spec(), rng, dtype=np.float64)
    params.flat += 0.3 * rng.normal(size=params.flat.shape)
    y = rng.integers(0, task.classes, len(bags["offsets"]) - 1)
    noise = np.random.default_rng(int(rng.integers(2**32)))
    options = {"x": (bags["ids"], bags["offsets"]), "y": y, "rng": noise}
    return functional(task.loss, params), (params.flat,), options


def _skip_gram(objective):
    """The whole task on a small text, which may have no pairs at all; every way to make pairs."""

    def case(size, rng):
        V = size(2, 6)
        start = np.append(0, (1 + rng.integers(0, 3, V)).cumsum())
        bags = start, rng.integers(0, V + 3, start[-1])
        task = SkipGram(
            counts=rng.integers(1, 9, V),
            dim=size(1, 4),
            window=size(1, 3),
            negative=size(1, 4),
            sample=one_of(size, 0.0, 0.1),
            objective=objective,
            cbow=one_of(size, False, True),
            subwords=one_of(size, None, bags),
            arrow=one_of(size, "word2vec.c", "paper"),
        )
        x, y = task.split(rng.integers(-1, V, size(0, 12)), rng)
        params = Params(task.spec(), rng, dtype=np.float64)
        params.flat += rng.normal(size=params.flat.shape)
        return functional(task.loss, params), (params.flat,), {"x": x, "y": y}

    return case


def _transformer(size, rng, causal):
    """A small one of any kind, with every option that changes its parameters."""
    heads, first = size(1, 3), bool(size(0, 1))
    return Transformer(
        vocab=size(3, 7),
        width=heads * size(2, 3),
        depth=size(0, 2),
        heads=heads,
        context=size(4, 6),
        hidden=one_of(size, None, 5),
        segments=size(0, 2),
        norm_first=first,
        norm_embeddings=bool(size(0, 1)),
        causal=causal,
        form=one_of(size, "erf", "tanh"),
        eps=1e-3,
        rate=0.2,
    )


def _text_task(task, rng, t):
    """The loss of a task at parameters away from their first values, with dropout."""
    x, y = task.split(t, rng)
    params = Params(task.spec(), rng, dtype=np.float64)
    params.flat += 0.3 * rng.normal(size=params.flat.shape)
    noise = np.random.default_rng(int(rng.integers(2**32)))
    return functional(task.loss, params), (params.flat,), {"x": x, "y": y, "rng": noise}


def _masked_lm(size, rng):
    encoder = _transformer(size, rng, causal=False)
    task = MaskedLM(encoder, mask_id=1, rate=0.4, tied=bool(size(0, 1)))
    return _text_task(task, rng, rng.integers(0, encoder.vocab, (size(1, 3), size(1, 4))))


def _bert(size, rng):
    encoder = replace(_transformer(size, rng, causal=False), segments=2)
    B, T = size(1, 3), size(1, 4)
    t = {
        "ids": rng.integers(0, encoder.vocab, (B, T)),
        "segments": rng.integers(0, 2, (B, T)),
        "is_next": rng.integers(0, 2, B),
    }
    return _text_task(Bert(MaskedLM(encoder, mask_id=1, rate=0.4), weight=0.7), rng, t)


def _neural_ngram(size, rng):
    task = NeuralNgram(size(1, 5), size(2, 4), size(1, 3), size(1, 4), bool(size(0, 1)))
    return _text_task(task, rng, rng.integers(0, task.vocab, (size(1, 3), size(2, 5))))


def _next_token(size, rng):
    decoder = _transformer(size, rng, causal=True)
    return _text_task(
        NextToken(decoder), rng, rng.integers(0, decoder.vocab, (size(1, 3), size(2, 5)))
    )


def _cpc(size, rng):
    kernels, strides = one_of(size, ((3,), (2,)), ((2, 3), (1, 2)))
    ahead = size(1, 3)
    task = Cpc(size(1, 2), kernels, strides, size(2, 4), size(1, 4), ahead, NEGATIVES[size(0, 2)])
    samples = next(n for n in range(1, 99) if task.frames(n) > ahead + size(0, 2))
    params = Params(task.spec(), rng, dtype=np.float64)
    params.flat += 0.3 * rng.normal(size=params.flat.shape)
    x = rng.normal(size=(size(1, 3), samples, task.channels))
    return functional(task.loss, params), (params.flat,), {"x": x, "y": None}


def _drlim(size, rng):
    task = Drlim(size(1, 2), 6, hidden=size(1, 4), dim=size(1, 2), margin=9.0)
    params = Params(task.spec(), rng, dtype=np.float64)
    params.flat += 0.3 * rng.normal(size=params.flat.shape)
    x, y = task.split(rng.normal(size=(size(2, 4), task.height, 6)), rng)
    return functional(task.loss, params), (params.flat,), {"x": x, "y": y}


def _metric_learning(kind):
    """Images by a small perceptron, judged by this loss."""

    def case(size, rng):
        task = MetricLearning(kind, 2, "mlp", (size(3, 5),), dim=size(2, 4), miner="all")
        params = Params(task.spec(), rng, dtype=np.float64)
        params.flat += 0.3 * rng.normal(size=params.flat.shape)
        x, y = task.split(rng.normal(size=(size(2, 3), 2 * size(1, 2), 2, 2)))
        return functional(task.loss, params), (params.flat,), {"x": x, "y": y}

    return case


def _mutual_information(estimate):
    """Fixed networks, and any pairs."""

    def case(size, rng):
        task = MutualInformation(
            size(1, 3), size(1, 4), size(1, 3), one_of(size, *CRITICS), estimate
        )
        x, c = rng.normal(size=(2, size(2, 4), task.width))
        return _text_task(task, rng, (x, c))

    return case


def _texts(size, rng, vocab):
    """Ids, segments and mask of some texts with padding behind them."""
    lengths = rng.integers(1, 5, size(1, 3))
    mask = np.arange(lengths.max()) < lengths[:, None]
    segments = (np.arange(mask.shape[1]) > 0) & mask
    return rng.integers(0, vocab, mask.shape), segments.astype(int), mask


def _fine_tune(head):
    """A head of BERT on a small encoder, all of which moves."""

    def case(size, rng):
        encoder = _transformer(size, rng, causal=False)
        x = _texts(size, rng, encoder.vocab)
        B, mask = len(x[0]), x[2]
        if head == "classes":
            task = Sentence(encoder, size(1, 3), one_of(size, "cls", "mean"))
            y = rng.integers(0, task.classes, B)
        elif head == "score":
            task = Sentence(encoder, None, one_of(size, "cls", "mean"))
            y = rng.normal(size=B)
        elif head == "similarity":
            task, y = Similarity(encoder), rng.normal(size=B)
            x = x, tuple(a[::-1] for a in x)
        elif head == "span":
            task = Span(encoder)
            y = np.sort(rng.integers(0, mask.sum(1)[:, None], (B, 2)), 1)
        else:
            task = Tags(encoder, size(1, 3))
            asked = mask & (rng.random(mask.shape) < 0.7)
            y = np.where(asked, rng.integers(0, task.tags, mask.shape), -1)
        return _text_task(task, rng, (x, y))

    return case


def _causal_sentence(size, rng):
    decoder = _transformer(size, rng, causal=True)
    task = CausalSentence(decoder, size(1, 3), one_of(size, 0.0, 0.5))
    ids, _, mask = _texts(size, rng, decoder.vocab)
    return _text_task(task, rng, ((ids, None, mask), rng.integers(0, task.classes, len(ids))))


def _simcse(size, rng):
    encoder = _transformer(size, rng, causal=False)
    task = SimCSE(
        encoder,
        one_of(size, "cls", "mean"),
        temperature=one_of(size, 0.3, 1.0),
        hard=one_of(size, 0.0, 0.7),
        same_mask=bool(size(0, 1)),
    )
    texts = _texts(size, rng, encoder.vocab)
    turned = [tuple(np.roll(a, k, 0) for a in texts) for k in (0, 1, 2)]
    return _text_task(task, rng, turned[: size(1, 3)])


MODEL_BAR = 1e-9

MODELS: dict = {
    "dense": _dense,
    "norm": _norm,
    "mlp": _mlp,
    "conv_encoder": _conv_encoder,
    "bag_classifier": _bag_classifier,
    "classify": _classify,
    "masked_lm": _masked_lm,
    "bert": _bert,
    "neural_ngram": _neural_ngram,
    "next_token": _next_token,
    **{
        f"fine_tune[{head}]": _fine_tune(head)
        for head in ("classes", "score", "similarity", "span", "tags")
    },
    "causal_sentence": _causal_sentence,
    "cpc": _cpc,
    **{f"mutual_information[{name}]": _mutual_information(name) for name in ESTIMATES},
    "simcse": _simcse,
    "drlim": _drlim,
    **{f"metric_learning[{kind}]": _metric_learning(kind) for kind in LOSSES},
    **{f"skip_gram[{objective}]": _skip_gram(objective) for objective in OBJECTIVES},
}
