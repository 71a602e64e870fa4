"""One training of a transformer in a process of its own, for bench_transformer.py.

All read one .npz: the initial weights under the names of `npssl.params.Params`, and the
batches.  Each answers ``check`` (loss and gradient's norm, without dropout), ``steps``,
``burst`` (seconds a step, over whole cycles of the batches) and ``peak``.

PyTorch stands at its best: fused attention and GELU, one qkv product, masked positions
gathered before the decoder, the faster of the two AdamWs.
"""

import turns


def read(o):
    """(weights by name, batches as dicts)."""
    import numpy as np

    with np.load(o["file"]) as file:
        weights = {n[2:]: file[n] for n in file.files if n.startswith("w/")}
        batches = [
            {key: file[f"{i}/{key}"] for key in o["keys"]} for i in range(o["batches"])
        ]  # fmt: skip
    return weights, batches


def answers(step, check, count):
    """The functions of a peer, from ``step(k) -> loss`` and ``check(k) -> loss, norm``."""
    done = [0]

    def cycle():
        for _ in range(count):
            loss = step(done[0])
            done[0] += 1
        return float(loss)

    def steps(number):
        for _ in range(number):
            loss = cycle()
        return {"loss": loss}

    def burst(seconds):
        return {
            "times": [t / count for t in turns.burst(cycle, seconds, least=1 if count > 1 else 2)]
        }

    def first():
        loss, norm = check(0)
        return {"loss": float(loss), "norm": float(norm)}

    return dict(steps=steps, burst=burst, check=first)


def npssl(o):
    import math

    import numpy as np

    from npssl.models.transformer import bert, gpt2
    from npssl.optim import AdamW, clip
    from npssl.params import Params
    from npssl.tasks.masked_lm import MaskedLM
    from npssl.tasks.next_token import NextToken
    from npssl.train import gradient_step

    class Given(MaskedLM):
        """Of text whose words are already hidden."""

        def split(self, t, rng):
            return t["ids"], (t["where"], t["word"])

    c = o["sizes"]
    sizes = dict(context=c["T"], rate=o["dropout"])
    make = gpt2 if o["causal"] else bert
    model = make(c["V"], c["H"], c["L"], c["A"], **sizes)
    task = NextToken(model) if o["causal"] else Given(model, mask_id=4)
    params = Params(task.spec())
    weights, batches = read(o)
    for name, view in params.views.items():
        view[...] = weights[name]
    del weights
    if o["causal"]:
        batches = [b["ids"] for b in batches]
    batch = lambda k: batches[k % len(batches)]
    step = gradient_step(task, batch, params, AdamW(params, decay=0.01), lambda k: o["lr"])

    def check(k):
        g = params.zeros()
        value, back = task.loss(params.tree, *task.split(batch(k), None))
        back(g.tree)
        return value, clip(g, math.inf)

    assert all(np.isfinite(v).all() for v in params.views.values())
    return answers(lambda k: step(k)["loss"], check, len(batches))


def torch(o, compiled=False):
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(o["threads"])
    torch.manual_seed(0)
    c, rate, causal = o["sizes"], o["dropout"], o["causal"]
    A, H = c["A"], c["H"]
    form, eps = ("tanh", 1e-5) if causal else ("none", 1e-12)
    at = "decoder" if causal else "encoder"
    weights, batches = read(o)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name, w in weights.items():
                w = torch.from_numpy(w.T.copy() if name.endswith(".w") else w.copy())
                self.register_parameter(name.replace(".", "/"), torch.nn.Parameter(w))

        def of(self, name):
            return self._parameters[name.replace(".", "/")]

        def dense(self, name, x):
            return F.linear(x, self.of(name + ".w"), self.of(name + ".b"))

        def norm(self, name, x):
            return F.layer_norm(x, (H,), self.of(name + ".gain"), self.of(name + ".bias"), eps)

        def drop(self, x):
            return F.dropout(x, rate, self.training) if rate else x

        def attention(self, b, x, mask):
            B, T, _ = x.shape
            qkv = self.dense(b + ".attention.qkv", x).view(B, T, 3, A, H // A)
            q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
            p = rate if self.training else 0.0
            y = F.scaled_dot_product_attention(q, k, v, mask, dropout_p=p, is_causal=causal)
            return self.drop(
                self.dense(b + ".attention.out", y.transpose(1, 2).reshape(B, T, H))
            )  # fmt: skip

        def ffn(self, b, x):
            a = F.gelu(self.dense(b + ".ffn.up", x), approximate=form)
            return self.drop(self.dense(b + ".ffn.down", a))

        def forward(self, ids, mask, where, word):
            T = ids.shape[1]
            x = F.embedding(ids, self.of(at + ".token")) + self.of(at + ".position")[:T]
            if not causal:
                x = self.norm(at + ".norm", x + self.of(at + ".segment")[0])
            x = self.drop(x)
            for i in range(c["L"]):
                b = f"{at}.blocks.{i}"
                if causal:
                    x = x + self.attention(b, self.norm(b + ".norm1", x), mask)
                    x = x + self.ffn(b, self.norm(b + ".norm2", x))
                else:
                    x = self.norm(b + ".norm1", x + self.attention(b, x, mask))
                    x = self.norm(b + ".norm2", x + self.ffn(b, x))
            if causal:
                z, bias = self.norm(at + ".last", x).reshape(-1, H), None
            else:
                z = self.dense("dense", x.reshape(-1, H).index_select(0, where))
                z, bias = self.norm("norm", F.gelu(z)), self.of("bias")
            return F.cross_entropy(F.linear(z, self.of(at + ".token"), bias), word)

    net = Net()
    weights.clear()
    run = torch.compile(net, fullgraph=True, dynamic=False) if compiled else net

    def prepared(b):
        ids = torch.from_numpy(b["ids"]).long()
        if causal:
            return ids[:, :-1].contiguous(), None, None, ids[:, 1:].reshape(-1)
        mask = ids != 0
        mask = None if bool(mask.all()) else mask[:, None, None, :]
        return ids, mask, torch.from_numpy(b["where"]), torch.from_numpy(b["word"]).long()

    batches = [prepared(b) for b in batches]
    decayed = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim < 2]
    groups = [dict(params=decayed, weight_decay=0.01), dict(params=others, weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=o["lr"], **faster_adamw(torch))

    def step(k):
        optimizer.zero_grad(set_to_none=True)
        loss = run(*batches[k % len(batches)])
        loss.backward()
        optimizer.step()
        return loss.item()

    def check(k):
        net.eval()
        loss = net(*batches[k])
        loss.backward()
        norm = torch.cat([p.grad.flatten() for p in net.parameters()]).double().norm()
        net.train()
        optimizer.zero_grad(set_to_none=True)
        return loss.item(), norm.item()

    return answers(step, check, len(batches))


def faster_adamw(torch):
    """The kind of AdamW that is faster here, tried on four small matrices."""

    def took(kind):
        p = [torch.nn.Parameter(torch.zeros(256, 1024)) for _ in range(4)]
        for x in p:
            x.grad = torch.ones_like(x)
        optimizer = torch.optim.AdamW(p, **kind)
        optimizer.step()
        return min(turns.burst(optimizer.step, 0.05))

    return min(({"fused": True}, {"foreach": True}), key=took)


def compiled(o):
    return torch(o, compiled=True)


def jax(o):
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_default_prng_impl", "unsafe_rbg")  # the fastest of its generators
    c, rate, causal, lr = o["sizes"], o["dropout"], o["causal"], o["lr"]
    A, H = c["A"], c["H"]
    eps, at = (1e-5, "decoder") if causal else (1e-12, "encoder")
    weights, batches = read(o)
    p = {name: jnp.asarray(w) for name, w in weights.items()}
    weights.clear()

    def loss_of(p, batch, key):
        ids, mask, where, word = batch
        (B, T), keys = ids.shape, iter([])
        if rate and key is not None:
            keys = iter(jax.random.split(key, 1 + 3 * c["L"]))

        def drop(x):
            if not rate or key is None:
                return x
            return jnp.where(jax.random.bernoulli(next(keys), 1 - rate, x.shape), x / (1 - rate), 0)

        def dense(name, x):
            return x @ p[name + ".w"] + p[name + ".b"]

        def norm(name, x):
            mean = x.mean(-1, keepdims=True)
            x = x - mean
            x = x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + eps)
            return x * p[name + ".gain"] + p[name + ".bias"]

        def attention(b, x):
            qkv = dense(b + ".attention.qkv", x).reshape(B, T, 3, A, H // A)
            q, k, v = qkv.transpose(2, 0, 3, 1, 4)
            s = jnp.einsum("bhid,bhjd->bhij", q, k) / jnp.sqrt(H // A)
            if causal:
                s = jnp.where(jnp.tril(jnp.ones((T, T), bool)), s, -jnp.inf)
            else:
                s = jnp.where(mask[:, None, None, :], s, -jnp.inf)
            y = jnp.einsum("bhij,bhjd->bhid", drop(jax.nn.softmax(s, -1)), v)
            y = y.transpose(0, 2, 1, 3).reshape(B, T, H)
            return drop(dense(b + ".attention.out", y))

        def ffn(b, x):
            a = jax.nn.gelu(dense(b + ".ffn.up", x), approximate=causal)
            return drop(dense(b + ".ffn.down", a))

        x = p[at + ".token"][ids] + p[at + ".position"][:T]
        if not causal:
            x = norm(at + ".norm", x + p[at + ".segment"][0])
        x = drop(x)
        for i in range(c["L"]):
            b = f"{at}.blocks.{i}"
            if causal:
                x = x + attention(b, norm(b + ".norm1", x))
                x = x + ffn(b, norm(b + ".norm2", x))
            else:
                x = norm(b + ".norm1", x + attention(b, x))
                x = norm(b + ".norm2", x + ffn(b, x))
        if causal:
            z = norm(at + ".last", x).reshape(-1, H)
            s = z @ p[at + ".token"].T
        else:
            z = jax.nn.gelu(dense("dense", x.reshape(-1, H)[where]), approximate=False)
            s = norm("norm", z) @ p[at + ".token"].T + p["bias"]
        right = jnp.take_along_axis(s, word[:, None], 1)[:, 0]
        return (jax.nn.logsumexp(s, -1) - right).mean()

    def update(p, m, v, t, batch, key):
        loss, g = jax.value_and_grad(loss_of)(p, batch, key)
        b1, b2 = 0.9, 0.999
        c1, c2 = 1 - b1**t, 1 - b2**t
        for n, d in g.items():
            m[n] = b1 * m[n] + (1 - b1) * d
            v[n] = b2 * v[n] + (1 - b2) * d * d
            keep = 1 - lr * 0.01 if d.ndim > 1 else 1.0
            p[n] = keep * p[n] - lr * (m[n] / c1) / (jnp.sqrt(v[n] / c2) + 1e-8)
        return p, m, v, loss

    def prepared(b):
        ids = jnp.asarray(b["ids"])
        if causal:
            return ids[:, :-1], None, None, ids[:, 1:].reshape(-1)
        return ids, ids != 0, jnp.asarray(b["where"]), jnp.asarray(b["word"])

    batches = [prepared(b) for b in batches]
    once = jax.jit(update, donate_argnums=(0, 1, 2))
    key = jax.random.PRNGKey(0)
    state = [p, {n: jnp.zeros_like(w) for n, w in p.items()}]
    state.append({n: jnp.zeros_like(w) for n, w in p.items()})
    del p

    def step(k):
        *state[:], loss = once(
            *state, jnp.float32(k + 1), batches[k % len(batches)], jax.random.fold_in(key, k)
        )  # fmt: skip
        return loss.block_until_ready()

    def check(k):
        value, g = jax.jit(jax.value_and_grad(loss_of))(state[0], batches[k], None)
        return value, sum((d.astype(float) ** 2).sum() for d in g.values()) ** 0.5

    return answers(step, check, len(batches))


def products(o):
    """All products of matrices of a step, (m, k, n, how many at once, how often)."""
    c, M, H = o["sizes"], o["tokens"], o["sizes"]["H"]
    T = max(1, round(M / c["B"]))
    found = []
    for k, n, often in ((H, 3 * H, c["L"]), (H, H, c["L"]), (H, 4 * H, c["L"]), (4 * H, H, c["L"])):
        found += [(M, k, n, 1, often), (M, n, k, 1, often), (k, M, n, 1, often)]
    D, heads = H // c["A"], c["B"] * c["A"]
    found += [(T, D, T, heads, 2 * c["L"]), (T, T, D, heads, 4 * c["L"])]
    N, V = o["words"], c["V"]
    found += [(N, H, V, 1, 1), (N, V, H, 1, 1), (V, N, H, 1, 1)]
    return found if o["causal"] else [*found, (N, H, H, 1, 2), (H, N, H, 1, 1)]


def rate(o, multiply, empty):
    """Each product alone, again and again: what the rate of the step is measured against."""
    work = []
    for m, k, n, at_once, often in products(o):
        many = (at_once,) if at_once > 1 else ()
        a, b, c = empty((*many, m, k)), empty((*many, k, n)), empty((*many, m, n))
        work.append((a, b, c, often))
    count = sum(2 * m * k * n * at_once * often for m, k, n, at_once, often in products(o))

    def cycle():
        for a, b, c, often in work:
            for _ in range(often):
                multiply(a, b, c)

    return dict(
        burst=lambda seconds: {"times": turns.burst(cycle, seconds)},
        flops=lambda: {"flops": count},
    )


def torch_products(o):
    import torch

    torch.set_num_threads(o["threads"])

    def multiply(a, b, c):
        (torch.mm if a.ndim == 2 else torch.bmm)(a, b, out=c)

    return rate(o, multiply, lambda shape: torch.full(shape, 0.01))


def numpy_products(o):
    import numpy as np

    return rate(
        o, lambda a, b, c: np.matmul(a, b, out=c), lambda s: np.full(s, 0.01, np.float32)
    )  # fmt: skip


PEERS = {
    "npssl": npssl,
    "torch": torch,
    "compile": compiled,
    "jax": jax,
    "torch.mm": torch_products,
    "np.matmul": numpy_products,
}

if __name__ == "__main__":
    turns.serve(lambda name, options: PEERS[name](options))
