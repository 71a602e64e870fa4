"""200 steps of training from the same weights and batches give PyTorch's losses."""

import math

import numpy as np
import pytest

from npssl.models.transformer import bert, gpt2
from npssl.optim import AdamW, warmup_linear
from npssl.params import Params
from npssl.tasks.fine_tune import Sentence
from npssl.tasks.masked_lm import MaskedLM
from npssl.tasks.next_token import NextToken
from npssl.train import gradient_step

torch = pytest.importorskip("torch", reason="needs PyTorch to compare with")
F = torch.nn.functional
STEPS, V, B, T = 200, 13, 4, 7


def their_norm(w, name, x, eps):
    return F.layer_norm(x, x.shape[-1:], w[f"{name}.gain"], w[f"{name}.bias"], eps)


def their_dense(w, name, x):
    return x @ w[f"{name}.w"] + w[f"{name}.b"]


def their_transformer(w, at, model, ids, mask=None):
    """The model in PyTorch's words, parameters by our names."""
    w = {name.removeprefix(f"{at}."): a for name, a in w.items() if name.startswith(f"{at}.")}
    gelu = "none" if model.form == "erf" else "tanh"
    x = w["token"][ids] + w["position"][: ids.shape[1]]
    if model.segments:
        x = x + w["segment"][0]
    if model.norm_embeddings:
        x = their_norm(w, "norm", x, model.eps)

    def mix(b, x):
        parts = their_dense(w, f"{b}.attention.qkv", x).chunk(3, -1)
        q, k, v = (a.unflatten(-1, (model.heads, -1)).transpose(1, 2) for a in parts)
        seen = None if mask is None else mask[:, None, None, :]
        y = F.scaled_dot_product_attention(q, k, v, seen, is_causal=model.causal)
        return their_dense(w, f"{b}.attention.out", y.transpose(1, 2).flatten(2))

    def feed(b, x):
        u = F.gelu(their_dense(w, f"{b}.ffn.up", x), approximate=gelu)
        return their_dense(w, f"{b}.ffn.down", u)

    for i in range(model.depth):
        b, first, second = f"blocks.{i}", f"blocks.{i}.norm1", f"blocks.{i}.norm2"
        if model.norm_first:
            x = x + mix(b, their_norm(w, first, x, model.eps))
            x = x + feed(b, their_norm(w, second, x, model.eps))
        else:
            x = their_norm(w, first, x + mix(b, x), model.eps)
            x = their_norm(w, second, x + feed(b, x), model.eps)
    return their_norm(w, "last", x, model.eps) if model.norm_first else x


def their_loss(task, w, x, y):
    if isinstance(task, NextToken):
        h = their_transformer(w, "decoder", task.decoder, torch.tensor(x))
        return F.cross_entropy((h @ w["decoder.token"].T).flatten(0, 1), torch.tensor(y).flatten())
    if isinstance(task, Sentence):
        ids, _, mask = map(torch.tensor, x)
        h = their_transformer(w, "encoder", task.encoder, ids, mask)
        s = (h * mask[..., None]).sum(1) / mask.sum(1)[:, None]
        return F.cross_entropy(their_dense(w, "head", s), torch.tensor(y))
    where, word = map(torch.tensor, y)
    mask = torch.tensor(x != task.pad_id)
    h = their_transformer(w, "encoder", task.encoder, torch.tensor(x), mask).flatten(0, 1)[where]
    z = their_norm(w, "norm", F.gelu(their_dense(w, "dense", h)), task.encoder.eps)
    return F.cross_entropy(z @ w["encoder.token"].T + w["bias"], word)


TASKS = {
    "masked_lm": MaskedLM(bert(V, 8, 2, 2, T, rate=0.0), mask_id=1, rate=0.4),
    "next_token": NextToken(gpt2(V, 8, 2, 2, T, rate=0.0)),
    "fine_tune": Sentence(bert(V, 8, 2, 2, T, rate=0.0), 3, "mean"),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", TASKS)
def test_losses_of_200_steps(name, dtype):
    task = TASKS[name]
    start = Params(task.spec(), np.random.default_rng(0), dtype=dtype)
    params = start.over(start.flat.copy())

    def batches(k):  # words that repeat, so that there is something to learn; some padding
        rng = np.random.default_rng([5, k])
        t = 2 + (rng.integers(0, 11, (B, 1)) + np.arange(T)) % 11
        t[0, T - int(rng.integers(0, 3)) :] = 0
        return ((t, 0 * t, t != 0), t[:, 0] % 3) if name == "fine_tune" else t

    schedule = warmup_linear(3e-3, 20, STEPS + 10)
    optimizer = AdamW(params, decay=0.01)
    step = gradient_step(task, batches, params, optimizer, schedule, clip=0.5)
    ours = [step(k)["loss"] for k in range(STEPS)]

    weights = {n: torch.tensor(a, requires_grad=True) for n, a in start.views.items()}
    groups = [
        {"params": [a for a in weights.values() if a.ndim >= 2], "weight_decay": 0.01},
        {"params": [a for a in weights.values() if a.ndim < 2], "weight_decay": 0.0},
    ]
    their_optimizer = torch.optim.AdamW(groups, lr=1.0)
    theirs = []
    for k in range(STEPS):
        x, y = task.split(batches(k), np.random.default_rng([0, k]))
        value = their_loss(task, weights, x, y)
        their_optimizer.zero_grad()
        value.backward()
        norm = math.sqrt(
            sum(float(a.grad.double().square().sum().detach()) for a in weights.values())
        )
        for a in weights.values():  # clip_grad_norm_ adds 1e-6 to the norm: not the paper's rule
            a.grad *= min(1.0, 0.5 / norm)
        for group in their_optimizer.param_groups:
            group["lr"] = schedule(k)
        their_optimizer.step()
        theirs.append(float(value.detach()))
    assert np.mean(ours[-20:]) < 0.95 * np.mean(ours[:20])  # it learns
    if dtype == np.float64:
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)
    else:  # rounding grows along the way
        np.testing.assert_allclose(ours[:20], theirs[:20], rtol=0, atol=1e-5)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-2)
