"""Mutual information: the optimal critic on known answers, bounds, corners, errors."""

import json
import math

import numpy as np
import pytest

from npssl.cli import main
from npssl.data import channels, gaussians
from npssl.jobs.mi import train_mi
from npssl.losses.mutual_information import (
    donsker_varadhan,
    info_nce_bound,
    interpolated,
    js,
    nwj,
    smile,
    tuba,
)
from npssl.params import Params
from npssl.tasks.mutual_information import CRITICS, ESTIMATES, MutualInformation
from npssl.train import Run

N, WIDTH, DRAWS = 128, 20, 200


def staircase(nats, op, cubic=False, draws=DRAWS):
    """Values of an estimate over batches, by the optimal critic."""
    rng = np.random.default_rng(int(nats))
    rho = gaussians.correlation(nats, WIDTH)
    values = []
    for _ in range(draws):
        x, c = gaussians.draw(N, WIDTH, rho, rng, cubic)
        values.append(op(gaussians.best_critic(x, c, rho, cubic))[0])
    return np.array(values)


@pytest.mark.parametrize(("nats", "mean"), [(2, 1.88), (4, 3.36), (6, 4.23), (8, 4.62), (10, 4.78)])
def test_info_nce_saturates_at_log_n(nats, mean):
    values = staircase(nats, info_nce_bound)
    error = values.std(ddof=1) / math.sqrt(len(values))
    assert abs(values.mean() - mean) < 3 * error + 0.005  # the mean is given with two decimals
    assert values.max() <= math.log(N)


@pytest.mark.parametrize("cubic", [False, True])
def test_estimates_without_ceiling_find_the_information(cubic):
    ops = (lambda s: tuba(s, np.zeros(N)), lambda s: nwj(s + 1), donsker_varadhan)
    for op in ops:
        values = staircase(2, op, cubic)
        assert abs(values.mean() - 2) < 4 * values.std() / math.sqrt(DRAWS)


def test_interpolation_trades_variance_for_bias():
    zero = np.zeros(N)
    found = [staircase(6, lambda s, a=a: interpolated(s, zero, alpha=a)[:1]) for a in (0.01, 1)]
    assert found[0].mean() > found[1].mean() + 0.3
    assert found[0].std() > found[1].std()


def test_the_critic_of_gaussians_is_the_ratio_of_densities():
    rho, rng = gaussians.correlation(1.5, 3), np.random.default_rng(0)
    x, c = gaussians.draw(4, 3, rho, rng)
    s = gaussians.best_critic(x, c, rho)
    for i, j in np.ndindex(s.shape):
        v = 1 - rho * rho
        told = -0.5 * ((c[j] - rho * x[i]) ** 2 / v + math.log(v)) + 0.5 * c[j] ** 2
        assert abs(s[i, j] - told.sum()) < 1e-12
    cubed = gaussians.best_critic(x, c**3 / 15**0.5, rho, cubic=True)
    np.testing.assert_allclose(cubed, s, atol=1e-10)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5])
def test_channels(p):
    entropy = -sum(q * math.log(q) for q in (p, 1 - p) if q)
    symmetric, erasure = channels.symmetric_channel(p), channels.erasure_channel(p)
    assert abs(channels.information(symmetric) - (math.log(2) - entropy)) < 1e-12
    assert abs(channels.information(erasure) - (1 - p) * math.log(2)) < 1e-12
    rng = np.random.default_rng(1)
    for joint in (symmetric, erasure):
        values = []
        for _ in range(50):
            x, c = channels.draw(joint, 64, rng)
            values.append(tuba(channels.best_critic(joint, x, c), np.zeros(64))[0])
        error = np.std(values) / math.sqrt(50)
        assert abs(np.mean(values) - channels.information(joint)) < 4 * error + 1e-12


def test_extremes_stay_finite():
    s = np.random.default_rng(0).normal(size=(5, 5)) * 1e4
    for op in (info_nce_bound, donsker_varadhan, smile, js):
        value, back = op(s)
        assert np.isfinite(value) and np.isfinite(back()).all()
    big = 1e4 * np.eye(5)  # a large score of a pair must not enter the exponentials
    assert nwj(big)[0] == 1e4 - math.exp(-1) and np.isfinite(nwj(big)[1]()).all()
    for alpha in (0.01, 0.5, 1):
        value, back = interpolated(s, np.zeros(5), alpha=alpha)
        assert np.isfinite(value) and all(np.isfinite(d).all() for d in back())


def test_one_pair_shows_nothing():
    value, back = info_nce_bound(np.array([[7.0]]))
    assert value == 0 and back() == 0


@pytest.mark.parametrize("op", [info_nce_bound, nwj, js, donsker_varadhan, smile])
def test_bad_scores(op):
    with pytest.raises(ValueError, match=r"scores must be \(N, N\).*found shape \(2, 3\)"):
        op(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"finite, found NaN or infinity in 1 places.*\(1, 0\)"):
        op(np.array([[0, 1], [np.nan, 0]]))


def test_bad_options():
    s = np.zeros((3, 3))
    with pytest.raises(ValueError, match=r"N >= 2, found shape \(1, 1\)"):
        nwj(s[:1, :1])
    with pytest.raises(ValueError, match="log_baseline must be 3 finite numbers"):
        tuba(s, np.zeros(2))
    with pytest.raises(ValueError, match="clip must be positive, found 0"):
        smile(s, clip=0)
    with pytest.raises(ValueError, match="alpha must be between 0 and 1, found 2"):
        interpolated(s, np.zeros(3), alpha=2)
    with pytest.raises(ValueError, match="rho must be between -1 and 1"):
        gaussians.draw(3, 2, 1.0, np.random.default_rng(0))
    with pytest.raises(ValueError, match="nats must be"):
        gaussians.correlation(-1, 2)
    with pytest.raises(ValueError, match="flip must be a probability"):
        channels.symmetric_channel(2)


SMALL = dict(width=3, batch=16, hidden=16, levels=(1, 2), steps=30, read=5, progress=False)


@pytest.mark.parametrize("critic", CRITICS)
@pytest.mark.parametrize("estimate", ESTIMATES)
def test_scores_are_rows_by_columns(estimate, critic):
    task = MutualInformation(2, 8, 4, critic, estimate)
    rng = np.random.default_rng(0)
    params = Params(task.spec(), rng, dtype=np.float64)
    x, c = gaussians.draw(6, 2, 0.9, rng)
    s = task.scores(params.tree, x, c)[0]
    for i, j in ((0, 0), (1, 4), (5, 2)):  # row i is x_i, column j is c_j
        one = task.scores(params.tree, x[i : i + 1], c[j : j + 1])[0]
        assert abs(one[0, 0] - s[i, j]) < 1e-12
    assert math.isfinite(task.read(params.tree, x, c))


def test_a_trained_critic_approaches_the_optimal_one():
    sizes = dict(width=2, batch=64, hidden=16, levels=(1,), steps=300, read=40)
    found = train_mi(**sizes, lr=3e-3, progress=False)
    level = found["levels"][0]
    assert abs(level["mean"] - level["best_mean"]) < 0.15 and level["mean"] > 0.7


@pytest.mark.parametrize("kind", channels.KINDS)
@pytest.mark.parametrize("nats", [0.0, 1.0, 4 * math.log(2)])
def test_bits_share_what_is_asked(kind, nats):
    joint, rng = channels.channel(kind, nats, 4), np.random.default_rng(2)
    assert abs(4 * channels.information(joint) - nats) < 1e-12
    x, c = channels.draw_bits(joint, 200, 4, rng)
    values = channels.best_critic_of_bits(joint, x, c).diagonal()  # log p(x, c) / p(x) p(c)
    assert abs(values.mean() - nats) < 4 * values.std() / math.sqrt(200) + 1e-12
    told = sum(
        channels.best_critic(joint, (x[:3, i] > 0) * 1, np.where(c[:, i], c[:, i] > 0, 2) * 1)
        for i in range(4)
    )
    np.testing.assert_array_equal(channels.best_critic_of_bits(joint, x[:3], c), told)


@pytest.mark.parametrize("kind", channels.KINDS)
def test_the_staircase_of_a_channel(kind):
    sizes = dict(width=6, batch=64, hidden=16, levels=(1.5,), steps=300, read=100)
    found = train_mi("nwj", pairs=kind, **sizes, lr=3e-3, progress=False)["levels"][0]
    assert abs(found["best_mean"] - 1.5) < 4 * found["best_std"] / math.sqrt(100)
    assert 0.8 < found["mean"] < 1.5 + 4 * found["std"] / math.sqrt(100)


def test_a_run_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    whole = train_mi("interpolated", **SMALL, run=tmp_path / "whole")
    calls = []

    def due(self):  # saved within the second level, stopped a step later
        calls.append(self)
        if len(calls) == 41:
            raise KeyboardInterrupt
        return len(calls) == 40

    monkeypatch.setattr(Run, "due", due)
    with pytest.raises(KeyboardInterrupt):
        train_mi("interpolated", **SMALL, run=tmp_path / "cut")
    monkeypatch.undo()
    assert train_mi("interpolated", **SMALL, run=tmp_path / "cut", resume=True) == whole
    assert json.loads((tmp_path / "cut" / "scores.json").read_text()) == whole


def test_command(tmp_path, capsys):
    options = "--estimate smile --width 2 --hidden 4 --batch 8 --steps 2 --read 1 --cubic --json"
    assert main(["train", "mi", *options.split(), "--out", str(tmp_path / "a")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [level["nats"] for level in found["levels"]] == [2, 4, 6, 8, 10]
    assert main(["train", "mi", "--steps", "2", "--out", str(tmp_path / "b")]) == 2
    assert "read must be at most the 2 steps" in capsys.readouterr().err


def test_pairs_that_cannot_be(tmp_path, capsys):
    with pytest.raises(ValueError, match="pairs must be one of gaussians, symmetric, erasure"):
        train_mi(pairs="bits", **SMALL)
    with pytest.raises(ValueError, match="cubic must be False: 'erasure' has bits"):
        train_mi(pairs="erasure", cubic=True, **SMALL)
    with pytest.raises(ValueError, match=r"nats must be from 0 to 3 log 2 = 2.08.*found 3"):
        train_mi(pairs="symmetric", **SMALL | {"levels": (3,)})
    with pytest.raises(ValueError, match="kind must be one of symmetric, erasure"):
        channels.channel("lossy", 1.0, 3)
    options = "--pairs symmetric --width 2 --steps 2 --read 1"
    assert main(["train", "mi", *options.split(), "--out", str(tmp_path / "a")]) == 2
    assert "nats must be from 0 to 2 log 2" in capsys.readouterr().err


def test_unknown_names():
    with pytest.raises(ValueError, match="critic must be one of separable, concatenated"):
        MutualInformation(critic="joint")
    with pytest.raises(ValueError, match="estimate must be one of info-nce"):
        MutualInformation(estimate="mine")
