"""The neural n-gram model against PyTorch, against its window, and against frequencies."""

import numpy as np
import pytest

from npssl.optim import AdamW
from npssl.params import Params
from npssl.tasks.neural_ngram import NeuralNgram
from npssl.train import gradient_step


def _made(direct):
    task = NeuralNgram(7, order=4, width=3, hidden=5, direct=direct)
    params = Params(task.spec(), np.random.default_rng(0), dtype=np.float64)
    params.flat += 0.5 * np.random.default_rng(1).normal(size=params.flat.size)
    return task, params, np.random.default_rng(2).integers(0, 7, (2, 6))


@pytest.mark.parametrize("direct", [False, True])
def test_equals_pytorch(direct):
    torch = pytest.importorskip("torch", reason="needs PyTorch to compare with")
    task, params, t = _made(direct)
    x, y = task.split(t)
    value, back = task.loss(params.tree, x, y)
    g = params.zeros()
    back(g.tree)
    theirs = {k: torch.tensor(v, requires_grad=True) for k, v in params.views.items()}
    ids = np.concatenate([np.full((2, 2), 7), x], 1)
    loss = 0
    for b in range(2):
        for i in range(x.shape[1]):
            e = theirs["token"][torch.tensor(ids[b, i : i + 3])].reshape(-1)
            a = torch.tanh(e @ theirs["hidden.w"] + theirs["hidden.b"])
            scores = a @ theirs["out.w"] + theirs["out.b"]
            if direct:
                scores = scores + e @ theirs["direct"]
            loss = loss - scores.log_softmax(-1)[y[b, i]] / y.size
    loss.backward()
    assert value == pytest.approx(loss.item(), abs=1e-12)
    for name, tensor in theirs.items():
        np.testing.assert_allclose(g.views[name], tensor.grad.numpy(), atol=1e-12)


def test_only_the_window_counts():
    task, params, t = _made(True)
    x, _ = task.split(t)
    scores, _ = task.logits(params.tree, x)
    other = x.copy()
    other[:, 0] = (other[:, 0] + 1) % 7
    moved = abs(task.logits(params.tree, other)[0] - scores).max((0, 2)) > 0
    assert moved.tolist() == [True, True, True, False, False]


def test_it_learns_what_depends_on_two_tokens():
    rng = np.random.default_rng(0)
    task = NeuralNgram(4, order=3, width=8, hidden=32)

    def batch(k):
        t = rng.integers(0, 4, (16, 20))
        for i in range(2, 20):
            t[:, i] = (t[:, i - 1] + 2 * t[:, i - 2]) % 4
        return t

    params = Params(task.spec(), np.random.default_rng(1))
    step = gradient_step(task, batch, params, AdamW(params), lambda k: 1e-2)
    losses = [step(k)["loss"] for k in range(250)]
    assert np.mean(losses[-10:]) < 0.2  # log 4 / 19 of it cannot be known


@pytest.mark.parametrize("name", ["vocab", "order", "width", "hidden"])
def test_sizes_are_checked(name):
    with pytest.raises(ValueError, match=name):
        NeuralNgram(**{"vocab": 5, name: 0})
