"""SimCSE: the loss by loops and by PyTorch under the same masks, and its ablations."""

import math
from dataclasses import replace

import numpy as np
import pytest

from npssl.models import packed
from npssl.models.transformer import bert, gpt2
from npssl.params import Params
from npssl.tasks.simcse import SimCSE

V, WIDTH, HEADS, DEPTH, RATE = 13, 8, 2, 2, 0.2


def example(dtype=np.float64, rate=RATE, width=WIDTH, sets=3, **options):
    """A task, its parameters, and so many sets of four texts with padding behind them."""
    rng = np.random.default_rng(3)
    task = SimCSE(bert(V, width, DEPTH, HEADS, 9, hidden=2 * width, rate=rate), **options)
    params = Params(task.spec(), rng, dtype=dtype)
    params.flat += (0.2 * rng.standard_normal(params.flat.size)).astype(dtype)
    t = []
    for lengths in ([7, 3, 5, 6], [4, 6, 2, 5], [3, 3, 6, 4])[:sets]:
        mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
        t.append((rng.integers(1, V, mask.shape) * mask, np.zeros(mask.shape, int), mask))
    return task, params, t


def gradient(task, params, t, seed=7):
    x, y = task.split(t)
    value, back = task.loss(params.tree, x, y, rng=np.random.default_rng(seed))
    g = params.zeros()
    back(g.tree)
    return float(value), g


@pytest.mark.parametrize("pool", ["cls", "mean"])
@pytest.mark.parametrize("hard", [0.0, 0.8])
@pytest.mark.parametrize("sets", [1, 2, 3])
def test_loss_equals_loops(sets, hard, pool):
    task, params, t = example(sets=sets, hard=hard, pool=pool, rate=0.0)
    q, B = params.tree.head, 4

    def vectors(ids, segments, mask):
        h, _ = task.encoder(params.tree.encoder, ids=ids, segments=segments, mask=mask)
        for row, n in zip(h, mask.sum(1)):
            b = np.tanh((row[0] if pool == "cls" else row[:n].mean(0)) @ q.w + q.b)
            yield b / math.sqrt(b @ b)

    x, *rest = (list(vectors(*texts)) for texts in t)
    others = [v for some in rest for v in some] or x
    nats = []
    for i in range(B):
        s = [x[i] @ v / 0.05 + hard * (j == B + i) for j, v in enumerate(others)]
        nats.append(math.log(sum(math.exp(a) for a in s)) - s[i])
    assert gradient(task, params, t)[0] == pytest.approx(np.mean(nats), abs=1e-12)


def by_pytorch(task, params, t, seed):
    """The same from scratch in PyTorch, which asks the same generator for its masks."""
    torch = pytest.importorskip("torch", reason="needs PyTorch to compare with")
    w = {n: torch.tensor(a.copy(), requires_grad=True) for n, a in params.views.items()}
    F, first = torch.nn.functional, np.random.default_rng(seed)

    def projections(texts, rng):
        ids, segments, mask = (torch.tensor(a) for a in texts)
        B, T = ids.shape

        def drop(x):
            kept = rng.random(tuple(x.shape), dtype=np.float32) >= RATE
            return x * torch.tensor(kept / (1 - RATE))

        def norm(name, x):
            return F.layer_norm(x, (WIDTH,), w[name + ".gain"], w[name + ".bias"], 1e-12)

        def dense(name, x):
            return x @ w[name + ".w"] + w[name + ".b"]

        e = w["encoder.token"][ids] + w["encoder.position"][:T] + w["encoder.segment"][segments]
        h = drop(norm("encoder.norm", e))
        for n in range(DEPTH):
            b = f"encoder.blocks.{n}."
            qkv = dense(b + "attention.qkv", h).reshape(B, T, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
            scores = qkv[0] @ qkv[1].transpose(-1, -2) / math.sqrt(WIDTH / HEADS)
            scores = scores.masked_fill(~mask[:, None, None, :], -math.inf)
            mixed = drop(scores.softmax(-1)) @ qkv[2]
            merged = mixed.transpose(1, 2).reshape(B, T, WIDTH)
            h = norm(b + "norm1", h + drop(dense(b + "attention.out", merged)))
            inner = F.gelu(dense(b + "ffn.up", h))
            h = norm(b + "norm2", h + drop(dense(b + "ffn.down", inner)))
        means = (h * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        s = h[:, 0] if task.pool == "cls" else means
        return F.normalize(torch.tanh(dense("head", s)), dim=-1)

    u = projections(t[0], first)
    again = np.random.default_rng(seed) if task.same_mask else first
    v = torch.cat([projections(texts, again) for texts in t[1:] or t])
    scores = F.cosine_similarity(u[:, None], v[None], dim=-1) / task.temperature
    if len(t) == 3:
        scores = scores + task.hard * torch.tensor(np.eye(len(u), len(v), len(u)))
    loss = F.cross_entropy(scores, torch.arange(len(u)))
    loss.backward()
    return float(loss.detach()), {n: a.grad.numpy() for n, a in w.items()}


@pytest.mark.parametrize(
    ("sets", "options"),
    [(1, {}), (1, {"pool": "mean"}), (1, {"same_mask": True}), (3, {}), (3, {"hard": 0.8})],
)
def test_equals_pytorch_under_the_same_masks(sets, options):
    task, params, t = example(sets=sets, **options)
    value, g = gradient(task, params, t)
    expected, slopes = by_pytorch(task, params, t, 7)
    assert value == pytest.approx(expected, abs=1e-10)
    for name, found in g.views.items():
        np.testing.assert_allclose(found, slopes[name], rtol=1e-9, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_the_fused_path_agrees_with_the_page(pool):
    """float32 goes through the kernels over packed rows; without dropout it is the page."""
    task, params, t = example(rate=0.0, width=32, pool=pool, hard=0.5)
    small = Params(task.spec(), flat=params.flat.astype(np.float32))
    assert packed.fits(small.tree.encoder, HEADS)
    value, g = gradient(task, params, t)
    near, h = gradient(task, small, t)
    assert h.flat.dtype == np.float32
    assert near == pytest.approx(value, rel=1e-3)
    np.testing.assert_allclose(h.flat, g.flat, atol=2e-3 * abs(g.flat).max())


class Watched(SimCSE):
    """Keeps the unit vectors it makes."""

    def projections(self, p, x, rng=None):
        u, back = super().projections(p, x, rng)
        self.__dict__.setdefault("seen", []).append(u)
        return u, back


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_mask_gives_the_same_vector(dtype):
    """So the partner's cosine is 1, whatever the text: what the ablation is about."""
    for same in (True, False):
        task, params, t = example(dtype, width=32, sets=1)
        task = Watched(task.encoder, same_mask=same)
        task.loss(params.tree, *task.split(t), rng=np.random.default_rng(0))
        one, two = task.__dict__["seen"]
        assert np.array_equal(one, two) == same


def test_padding_and_the_head_do_not_reach_the_vectors():
    for pool in ("cls", "mean"):
        task, params, (x, *_) = example(pool=pool)
        wide = tuple(np.pad(a, ((0, 0), (0, 2))) for a in x)
        s, _ = task.vectors(params.tree, x)
        np.testing.assert_allclose(task.vectors(params.tree, wide)[0], s, atol=1e-12)
        params.tree.head.w[:] = 0
        assert np.array_equal(task.vectors(params.tree, x)[0], s)


def test_what_cannot_be_is_told():
    encoder = bert(V, WIDTH, 1, HEADS, 9)
    for wrong, said in (
        ({"pool": "max"}, "pool must be one of cls, mean, found 'max'"),
        ({"temperature": 0.0}, "temperature must be positive, found 0.0"),
        ({"hard": math.nan}, "hard must be a finite number"),
    ):
        with pytest.raises(ValueError, match=said):
            replace(SimCSE(encoder), **wrong)
    with pytest.raises(ValueError, match="must not be causal"):
        SimCSE(gpt2(V, WIDTH, 1, HEADS, 9))
    task, _, t = example()
    with pytest.raises(ValueError, match="1 to 3 sets of texts, found 0"):
        task.split(())
    with pytest.raises(ValueError, match=r"as many texts in each set, found \[4, 2\]"):
        task.split((t[0], tuple(a[:2] for a in t[1])))
