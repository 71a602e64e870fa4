"""Values and gradients equal PyTorch's, in float64, wherever PyTorch has the op."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npssl.jobs.cases import CASES
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

torch = pytest.importorskip("torch", reason="needs PyTorch to compare with")
F = torch.nn.functional
BAR = 1e-10


def _bag(table, *, ids, offsets, reduction):
    offsets = torch.tensor(offsets)
    if not len(ids):  # embedding_bag refuses, so: as many zero rows as there are bags
        return torch.zeros(len(offsets) - 1, table.shape[1], dtype=table.dtype) + 0 * table.sum()
    last = {"mode": reduction, "include_last_offset": True}
    return F.embedding_bag(torch.tensor(ids), table, offsets, **last)


def _cross_entropy(logits, *, target, ignore=None, z_loss=0.0):
    V, target = logits.shape[-1], torch.tensor(target)
    soft = target.is_floating_point()
    target, rows = target.reshape(-1, *([V] if soft else [])), logits.reshape(-1, V)
    if ignore is not None:
        rows, target = rows[target != ignore], target[target != ignore]
    if not len(rows):
        return 0 * logits.sum()
    return F.cross_entropy(rows, target) + z_loss * rows.logsumexp(-1).square().mean()


def _decisions(s, positive, weight, reduction, counted):
    """Sum over pairs of binary cross-entropies; PyTorch has this loss, not the models."""
    if not s.numel():
        return 0 * s.sum()
    total = F.binary_cross_entropy_with_logits(s, positive, weight, reduction="sum")
    return total / (1 if reduction == "sum" else max(1, counted))


def _attention(q, k, v, *, mask, causal, rate, rng):
    T, S = q.shape[-2], k.shape[-2]
    visible = torch.tensor(mask)
    if causal:
        visible = visible & torch.ones(T, S, dtype=torch.bool).tril(S - T)
    if q.numel() and (rng is None or not rate):  # a query that sees nothing gets zeros there too
        visible = visible.expand(*q.shape[:-2], T, S)
        return F.scaled_dot_product_attention(q, k, v, visible)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~visible, -math.inf)
    seen = visible.expand(scores.shape).any(-1, keepdim=True)
    weight = torch.where(seen, scores, 0.0).softmax(-1) * seen
    return _dropout(weight, rate=rate, rng=rng) @ v


def _split_heads(x, *, heads):
    return torch.stack([a.unflatten(-1, (heads, -1)).transpose(1, 2) for a in x.chunk(3, -1)])


def _negative_sampling(x, y, *, label=None, reduction, shift=0.0):
    s = x @ y.mT - shift
    if label is None:
        label = np.zeros(y.shape[:-1])
        label[..., 0] = 1
    label = torch.tensor(label)
    label = (label if label.shape == s.shape else label[..., None, :]).expand(s.shape)
    weight = (label != 0.5).double()
    return _decisions(s, label, weight, reduction, int((label == 1).sum()))


def _nce(x, y, *, log_noise, **options):
    shift = torch.tensor(log_noise + math.log(y.shape[-2] - 1))[..., None, :]
    return _negative_sampling(x, y, shift=shift, **options)


def _hierarchical_softmax(x, nodes, *, code, mask=None, reduction):
    s = x @ nodes.mT
    mask = torch.tensor(np.ones(nodes.shape[:-1], bool) if mask is None else mask)
    mask = (mask if mask.shape == s.shape else mask[..., None, :]).expand(s.shape)
    turn = torch.tensor(1.0 - code)[..., None, :].expand(s.shape)
    return _decisions(s, turn, mask.double(), reduction, int(mask.any(-1).sum()))


def _dropout(x, *, rate, rng):
    if rng is None or not rate:
        return x * 1
    keep = rng.random(x.shape, dtype=np.float32) >= rate  # the same draw, PyTorch's arithmetic
    return x * torch.tensor(keep) / (1 - rate)


def _conv(x, weight, bias, *, stride, padding):
    if not (x.numel() and weight.numel()):  # PyTorch refuses these: nothing but the bias
        (*k, _, _), n = weight.shape, x.ndim - 2
        pairs = [np.broadcast_to(a, n) for a in (stride, padding)]
        size = [(m + 2 * p - j) // s + 1 for m, j, s, p in zip(x.shape[1:], k, *pairs)]
        return bias.expand(len(x), *size, len(bias)) * 1
    turn = weight.movedim((-1, -2), (0, 1)).contiguous()
    theirs = F.conv1d if x.ndim == 3 else F.conv2d
    return theirs(x.movedim(-1, 1), turn, bias, stride, padding).movedim(1, -1)


def _pool(theirs):
    def pool(x, *, size, stride):
        if not x.numel():  # PyTorch refuses these
            step = stride or size
            places = [(m - k) // s + 1 for m, k, s in zip(x.shape[1:3], size, step)]
            return x.reshape(-1)[:0].reshape(len(x), *places, x.shape[3])
        return theirs(x.movedim(-1, 1), size, stride).movedim(1, -1)

    return pool


def _group_norm(x, gain, bias, *, groups, eps):
    apart = x.reshape(len(x), -1 if len(x) else 1, groups, len(gain) // groups)
    if not len(x):
        return x * gain + bias
    if apart.shape[1] == 1:  # PyTorch wants more than one place
        apart = apart.transpose(1, 2)
        return F.layer_norm(apart, apart.shape[2:], eps=eps).reshape(x.shape) * gain + bias
    return F.group_norm(x.movedim(-1, 1), groups, gain, bias, eps).movedim(1, -1)


def _batch_norm(x, gain, bias, *, mean=None, variance=None, eps):
    rows = x.flatten(0, -2)
    if mean is None:  # PyTorch refuses a single row in training
        mean = rows.mean(0)
        variance = (rows - mean).square().mean(0)
        return (x - mean) / (variance + eps).sqrt() * gain + bias
    moments = torch.tensor(mean), torch.tensor(variance)
    if not rows.numel():
        return x * 1
    return F.batch_norm(rows, *moments, gain, bias, eps=eps).reshape(x.shape)


def _through_time(cell):
    def run(x, w, u, b, *rest, mask):
        B, T, _ = x.shape
        state, out = rest[-1:] if cell is _gru_cell else rest, []
        bias = [rest[0]] if cell is _gru_cell else []
        for t in range(T):
            then = cell(x[:, t], state, w, u, b, *bias)
            seen = torch.tensor(True if mask is None else mask[:, t, None])
            state = [torch.where(seen, a, s) for a, s in zip(then, state)]
            out.append(state[0])
        return torch.stack(out, 1) if out else x.new_zeros(B, 0, len(u)) + 0 * u.sum()

    return run


def _gru_cell(x, state, w, u, b, c):
    if not (len(x) and len(u)):
        return state
    idle = torch.cat([c.new_zeros(2 * len(c)), c])
    return [torch.gru_cell(x, state[0], w.mT, u.mT, b, idle)]


def _lstm_cell(x, state, w, u, b):
    if not (len(x) and len(u)):
        return state
    return torch.lstm_cell(x, state, w.mT, u.mT, b, torch.zeros_like(b))


def _mean(each, reduction):
    """PyTorch's reductions, but 0 for nothing."""
    total = each.sum()
    return total / max(1, each.numel()) if reduction == "mean" else total


def _info_nce(query, key, *, temperature, symmetric, reduction):
    s, own = query @ key.mT / temperature, torch.arange(len(query))
    if not len(query):
        return 0 * (query.sum() + key.sum())
    value = F.cross_entropy(s, own, reduction=reduction)
    return (value + F.cross_entropy(s.mT, own, reduction=reduction)) / 2 if symmetric else value


def _nt_xent(x, y, *, temperature, reduction):
    z, N = torch.cat([x, y]), len(x)
    if not N:
        return 0 * z.sum()
    s = (z @ z.mT / temperature).masked_fill(torch.eye(2 * N, dtype=torch.bool), -math.inf)
    return F.cross_entropy(s, torch.arange(2 * N).roll(N), reduction=reduction)


def _masks(label):
    other = ~torch.eye(len(label), dtype=torch.bool)
    label = torch.tensor(label)
    return other, (label[:, None] == label) & other


def _sup_con(x, *, label, temperature, reduction):
    other, same = _masks(label)
    counted = same.any(1)
    if not counted.any():
        return 0 * x.sum()
    log_p = (x @ x.mT / temperature).masked_fill(~other, -math.inf).log_softmax(1)
    each = -log_p.masked_fill(~same, 0).sum(1)[counted] / same.sum(1)[counted]
    return _mean(each, reduction)


def _soft_nearest_neighbor(x, temperature, *, label, entangle, reduction):
    other, same = _masks(label)
    counted = same.any(1)
    if not counted.any():
        return 0 * (x.sum() + temperature)
    s = -(x[:, None] - x).square().sum(2)[counted] / temperature
    near = s.masked_fill(~same[counted], -math.inf).logsumexp(1)
    each = s.masked_fill(~other[counted], -math.inf).logsumexp(1) - near
    return _mean(-each if entangle else each, reduction)


def _lifted(x, *, label, margin, reduction):
    terms = []
    for j in range(len(x)):
        for i in range(j):
            if label[i] == label[j]:
                push = [x[a] - x[k] for a in (i, j) for k in range(len(x)) if label[k] != label[i]]
                if push:
                    push = (margin - torch.stack(push).norm(dim=1)).logsumexp(0)
                    terms.append(F.relu(push + (x[i] - x[j]).norm()).square() / 2)
                else:
                    terms.append(0 * x.sum())
    return _mean(torch.stack(terms), reduction) if terms else 0 * x.sum()


def _n_pair(anchor, positive, *, penalty, reduction):
    n = max(1, len(anchor)) if reduction == "mean" else 1
    rein = penalty * (anchor.square().sum() + positive.square().sum()) / n
    options = {"temperature": 1.0, "symmetric": False, "reduction": reduction}
    return _info_nce(anchor, positive, **options) + rein


def _triplet(x, *, index, margin, form, reduction):
    a, p, q = (x[torch.tensor(i)] for i in index.T)
    gap = (a - p).square().sum(1) - (a - q).square().sum(1) + margin
    each = F.relu(gap) if form == "hinge" else F.softplus(gap, threshold=1e3)
    return _mean(each[each > 0], "mean") if reduction == "active" else _mean(each, reduction)


def _semi_hard_triplet(x, *, label, margin, reduction):
    D = (x[:, None] - x).square().sum(2)
    terms = []
    for a in range(len(x)):
        for p in range(len(x)):
            if a != p and label[a] == label[p]:
                far = torch.tensor(label != label[a]) & (D[a] > D[a, p]) & (D[a] < D[a, p] + margin)
                if far.any():
                    terms.append(D[a, p] - D[a][far].min() + margin)
    return _mean(torch.stack(terms), reduction) if terms else 0 * x.sum()


def _debiased_info_nce(query, key, *, temperature, prior, reduction):
    e, n = (query @ key.mT / temperature).exp(), len(key) - 1
    own = e.diagonal()
    free = (e.sum(1) - own - n * prior * own) / (1 - prior)
    least = n * math.exp(-1 / temperature)
    return _mean(-(own / (own + free.clamp(min=least))).log() + 0 * e.sum(1), reduction)


def _pair(x, *, index, same, margin, form, reduction):
    a, b = (x[torch.tensor(i)] for i in index.T)
    same = torch.tensor(same)
    if form == "hadsell":
        D = (a - b).norm(dim=1)
        each = torch.where(same, D, F.relu(margin - D)).square() / 2
    else:
        E = (a - b).abs().sum(1)
        each = torch.where(same, 2 / margin * E**2, 2 * margin * (-2.77 / margin * E).exp())
    return _mean(each, reduction)


def _siglip(x, y, log_scale, bias, *, reduction):
    s = log_scale.exp() * (x @ y.mT) + bias
    each = F.binary_cross_entropy_with_logits(s, torch.eye(len(x)).double(), reduction="none")
    return _mean(each.sum(1), reduction) + 0 * (log_scale + bias)


def _uniformity(x, *, sharpness):
    if len(x) < 2:
        return 0 * x.sum()
    return torch.pdist(x).square().mul(-sharpness).exp().mean().log()


def _barlow_twins(x, y, *, weight, eps):
    if not x.shape[1]:
        return 0 * (x.sum() + y.sum())
    a, b = (F.batch_norm(z, None, None, training=True, eps=eps) for z in (x, y))
    C, own = a.mT @ b / len(x), torch.eye(x.shape[1], dtype=torch.bool)
    return (C[own] - 1).square().sum() + weight * C[~own].square().sum()


def _vicreg(x, y, *, invariance, covariance):
    value = invariance * (x - y).square().sum(1).mean()
    for z in (x, y):
        C = (z - z.mean(0)).mT @ (z - z.mean(0)) / (len(z) - 1)
        value = value + 25 * F.relu(1 - (z.var(0) + 1e-4).sqrt()).mean()
        value = value + covariance * (C - C.diag().diag()).square().sum() / len(C)
    return value


def _sampled_softmax(x, y, *, log_noise, label=None, z_loss, reduction):
    if label is None:
        label = np.zeros((*x.shape[:-1], y.shape[-2]))
        label[..., 0] = 1
    label = torch.tensor(label)
    s = x @ y.mT - torch.tensor(log_noise + math.log(y.shape[-2] - 1))[..., None, :]
    counted = (label == 1).any(-1)
    s, label = s[counted], label[counted]
    each = s.masked_fill(label == 0.5, -math.inf).logsumexp(-1) - s[label == 1]
    some = (label == 0).any(-1)
    log_z = s[some].masked_fill(label[some] != 0, -math.inf).logsumexp(-1)
    n = max(1, len(each)) if reduction == "mean" else 1
    return (each.sum() + z_loss * log_z.square().sum()) / n


def _parts_of(s):
    """Scores of the pairs, and row by row those of the others."""
    n = len(s)
    return s.diagonal(), s[~torch.eye(n, dtype=torch.bool)].reshape(n, n - 1)


def _info_nce_bound(s):
    return math.log(len(s)) - F.cross_entropy(s, torch.arange(len(s)))


def _tuba(s, b):
    own, other = _parts_of(s)
    return 1 + (own - b).mean() - (other - b[:, None]).exp().mean()


def _js(s):
    own, other = _parts_of(s)
    both = [F.binary_cross_entropy_with_logits(own, torch.ones_like(own))]
    both.append(F.binary_cross_entropy_with_logits(other, torch.zeros_like(other)))
    return math.log(2) - sum(both) / 2


def _smile(s, *, clip=math.inf):
    own, other = _parts_of(s)
    return own.mean() - other.clamp(-clip, clip).exp().mean().log()


def _interpolated(s, b, *, alpha):
    own, other = _parts_of(s)
    rest, mean = (1 - alpha) * b.exp(), other.exp().mean(1)
    first = own - (alpha * s.exp().mean(1) + rest).log()
    return 1 + first.mean() - (mean / (alpha * mean + rest)).mean()


THEIRS = {
    relu: F.relu,
    tanh: torch.tanh,
    sigmoid: torch.sigmoid,
    softplus: lambda x: F.softplus(x, threshold=1e3),
    normal_cdf: torch.special.ndtr,
    gelu: lambda x, *, form: F.gelu(x, approximate="none" if form == "erf" else "tanh"),
    softmax: lambda x: F.softmax(x, -1),
    log_softmax: lambda x: F.log_softmax(x, -1),
    layernorm: lambda x, gain, bias, *, eps: F.layer_norm(x, x.shape[-1:], gain, bias, eps),
    unit: lambda x: F.normalize(x, dim=-1),
    dropout: _dropout,
    attention: _attention,
    split_heads: _split_heads,
    merge_heads: lambda x: x.transpose(1, 2).flatten(2),
    linear: lambda x, w, b: F.linear(x, w.mT, b),
    embedding: lambda table, *, ids: F.embedding(torch.tensor(ids), table),
    bag: _bag,
    conv1d: _conv,
    conv2d: _conv,
    max_pool: _pool(F.max_pool2d),
    mean_pool: _pool(F.avg_pool2d),
    global_pool: lambda x: x.mean((1, 2)),
    group_norm: _group_norm,
    batch_norm: _batch_norm,
    gru: _through_time(_gru_cell),
    lstm: _through_time(_lstm_cell),
    cross_entropy: _cross_entropy,
    table_cross_entropy: lambda z, table, bias, *, target: _cross_entropy(
        z @ table.mT + bias, target=target
    ),
    binary_cross_entropy: lambda logits, *, target: (
        F.binary_cross_entropy_with_logits(logits, torch.tensor(target, dtype=torch.float64))
        if logits.numel()
        else 0 * logits.sum()
    ),
    squared_error: lambda x, *, target: (
        F.mse_loss(x, torch.tensor(target)) if x.numel() else 0 * x.sum()
    ),
    negative_sampling: _negative_sampling,
    nce: _nce,
    hierarchical_softmax: _hierarchical_softmax,
    log_sum_exp: lambda x, *, mask: (
        x if mask is None else x.masked_fill(~torch.tensor(mask), -math.inf)
    ).logsumexp(-1),
    squared_distance: lambda x, y: (x[:, None] - y).square().sum(2),
    distance: lambda x, y: (x[:, None] - y).norm(dim=2),
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
    alignment: lambda x, y, *, power: _mean((x - y).norm(dim=1) ** power, "mean"),
    uniformity: _uniformity,
    barlow_twins: _barlow_twins,
    vicreg: _vicreg,
    sampled_softmax: _sampled_softmax,
    info_nce_bound: _info_nce_bound,
    nwj: lambda s: _tuba(s, torch.ones(len(s))),
    js: _js,
    donsker_varadhan: _smile,
    smile: _smile,
    tuba: _tuba,
    interpolated: _interpolated,
}
ALONE: set = set()  # ops that PyTorch does not have, each with a comment that says why


def test_every_op_has_its_counterpart():
    assert set(CASES) == set(THEIRS) | ALONE


@pytest.mark.parametrize("op", THEIRS, ids=lambda op: op.__name__)
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_equals_pytorch(op, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    arrays, options = CASES[op](lambda low, high: data.draw(st.integers(low, high)), rng)
    y, back = op(*arrays, **options)
    dy = np.asarray(rng.standard_normal(np.shape(y)))
    if options.get("rng") is not None:  # both must draw the same noise
        options["rng"].bit_generator.state = type(options["rng"].bit_generator)(7).state
        y, back = op(*arrays, **options)
        options["rng"].bit_generator.state = type(options["rng"].bit_generator)(7).state
    grads = back(dy[()])

    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    z = THEIRS[op](*theirs, **options)
    z.backward(torch.tensor(dy))
    near(y, z.detach().numpy())
    for g, t in zip(grads if isinstance(grads, tuple) else (grads,), theirs):
        near(g, np.zeros(t.shape) if t.grad is None else t.grad.numpy())


def near(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=BAR, atol=BAR)
