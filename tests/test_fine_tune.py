"""Fine-tuning: the heads, layer-wise rates, and from a folder of weights to scores."""

import numpy as np
import pytest

from npssl.optim import AdamW
from npssl.params import Params, normal

# layer-wise learning rates ------------------------------------------------------------------------


def _blocks():
    spec = dict(
        table=normal(4, 3, std=1.0),
        blocks=[dict(w=normal(3, 3, std=1.0), b=normal(3, std=1.0)) for _ in range(11)],
        head=dict(w=normal(3, 2, std=1.0)),
    )
    return Params(spec, np.random.default_rng(0), dtype=np.float64)


SHARES = {"table": 0.1, "blocks": 0.5, "blocks.1": 0.25, "blocks.10.b": 0.0}


def test_shares_of_the_rate_are_pytorchs_groups():
    torch = pytest.importorskip("torch", reason="needs PyTorch to compare with")
    p, rng = _blocks(), np.random.default_rng(1)
    leaves = {name: torch.tensor(view.copy()) for name, view in p.views.items()}

    def share(name):
        if name == "table" or name.startswith("head"):
            return 0.1 if name == "table" else 1.0
        return 0.0 if name == "blocks.10.b" else 0.25 if name.startswith("blocks.1.") else 0.5

    groups = [
        dict(params=[t], weight_decay=0.1 * (t.ndim >= 2), name=name) for name, t in leaves.items()
    ]
    theirs = torch.optim.AdamW(groups, lr=1.0)
    ours, g = AdamW(p, decay=0.1, shares=SHARES), p.zeros()
    for _ in range(20):
        g.flat[:] = rng.standard_normal(g.flat.size)
        for group in theirs.param_groups:
            group["lr"] = 0.01 * share(group["name"])
        for name, t in leaves.items():
            t.grad = torch.tensor(g.views[name].copy())
        theirs.step()
        ours.step(p, g, 0.01)
    for name, t in leaves.items():
        np.testing.assert_allclose(p.views[name], t.numpy(), rtol=1e-12, atol=1e-12)


def test_what_is_frozen_stays_whatever_its_share():
    p = _blocks()
    p = Params(p.spec, flat=p.flat, frozen=["blocks.1", "table"])
    before, g = p.flat.copy(), p.zeros()
    g.flat[:] = 1
    AdamW(p, shares=SHARES).step(p, g, 0.1)
    moved = {name for name, view in p.over(before).views.items() if (view != p.views[name]).any()}
    left = {"table", "blocks.1.w", "blocks.1.b", "blocks.10.b"}
    assert moved == set(p.views) - left


@pytest.mark.parametrize("shares", [{"blocks.12": 1.0}, {"block": 1.0}, {"head": -1.0}])
def test_wrong_shares_are_named(shares):
    with pytest.raises(ValueError, match="shares"):
        AdamW(_blocks(), shares=shares)
