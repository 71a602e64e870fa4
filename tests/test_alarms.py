"""Alarms: each is raised by what it is for and by nothing else, and every job tells them."""

import json
import math

import numpy as np
import pytest

from npssl.evaluation.alarms import equal_pairs, false_negatives, look, signs
from npssl.jobs.watching import told, watching
from npssl.losses.pair import pair
from npssl.models.transformer import bert
from npssl.params import Params
from npssl.tasks.cpc import Cpc
from npssl.tasks.drlim import Drlim
from npssl.tasks.metric_learning import LOSSES, MetricLearning
from npssl.tasks.simcse import SimCSE

RNG = np.random.default_rng(0)
GOOD = RNG.normal(size=(64, 16))
LINE = GOOD[:, :1] * np.ones(16) + 1e-3 * GOOD
CHANCE = math.log(64)


def names(x, scale=None, **facts):
    return {sign.name for sign in signs(look(x, scale), **facts)}


@pytest.mark.parametrize(
    "name, x, facts",
    [
        ("collapse", 1 + 0.1 * GOOD, {}),
        ("collapse to a line", LINE, {}),
        ("loss at the margin", GOOD, dict(loss=0.2, margin=0.2)),
        ("loss at the margin", GOOD, dict(loss=0.9, margin=0.2)),  # worse than collapse
        ("loss at log N", GOOD, dict(loss=CHANCE - 0.02, candidates=64)),
        ("loss at log N", GOOD, dict(loss=99.0, candidates=64)),
        ("no active triplet", GOOD, dict(active=0.0, violated=0.3)),
        ("no active triplet", GOOD, dict(active=0.0)),
        ("nothing left to mine", GOOD, dict(active=0.0, violated=0.0)),
        ("false negatives", GOOD, dict(false_negatives=0.06)),
        ("equal views", GOOD, dict(equal_views=1.0)),
        ("equal embeddings", np.concatenate([GOOD, GOOD[:4]]), {}),
        ("equal embeddings", np.where(np.arange(64)[:, None] < 5, 0, GOOD), {}),
        ("equal embeddings", np.where(np.arange(12)[:, None] < 1, 0, GOOD[:12]), {}),
        ("dead columns", np.where(np.arange(16) < 4, 0, GOOD), {}),
        ("dead columns", np.where(np.arange(16) < 4, 0.7, GOOD), {}),
    ],
)
def test_each_is_raised_by_its_own_fault_alone(name, x, facts):
    assert names(x, **facts) == {name}


def test_nothing_is_raised_by_what_is_right():
    fine = dict(loss=0.1, margin=0.2, active=0.1, violated=0.001, false_negatives=0.04)
    assert names(GOOD, **fine, equal_views=0.1) == set()
    assert names(GOOD, loss=0.9 * CHANCE, candidates=64) == set()
    assert names(LINE, classes=2) == set()  # two classes can be no more than a line
    assert names(np.concatenate([GOOD, GOOD[:1]])) == set()
    assert names(np.where(np.arange(16) < 3, 0, GOOD)) == set()


def test_a_run_that_has_learnt_all_is_noted_and_not_alarmed():
    (note,) = signs(look(GOOD), active=0.0, violated=0.0)
    assert not note.bad and "all is learnt" in note.cause
    (alarm,) = signs(look(GOOD), active=0.0, violated=0.02)
    assert alarm.bad and "before its end" in alarm.cause


def test_where_distances_matter_the_origin_does_not():
    far = 100 + GOOD[:, :2]
    assert names(far) == {"collapse"}
    assert names(far, scale=1.0) == set()
    assert names(0.01 * far, scale=1.0) == {"collapse"}


def test_measures():
    found = look(GOOD)
    u = GOOD / np.linalg.norm(GOOD, axis=1, keepdims=True)
    share = np.linalg.svd(np.cov(u.T), compute_uv=False)
    share /= share.sum()
    assert found["spread"] == pytest.approx(math.sqrt(u.var(0).sum()))
    assert found["rank"] == pytest.approx(math.exp(-(share * np.log(share)).sum()))
    with pytest.raises(ValueError, match="x: expected finite"):
        look(np.full((3, 2), np.nan))


def test_false_negatives_are_a_count():
    y, label = RNG.integers(0, 4, 20), RNG.integers(0, 3, 20)
    pairs = [(i, j) for i in range(20) for j in range(20) if y[i] != y[j]]
    assert false_negatives(y, label) == pytest.approx(
        np.mean([label[i] == label[j] for i, j in pairs])
    )
    assert false_negatives(y, y) == false_negatives([1, 1], [2, 2]) == 0
    assert equal_pairs(GOOD[:4], np.concatenate([GOOD[:1], GOOD[5:8]])) == 0.25


# tasks --------------------------------------------------------------------------------------------


def drawn(task, seed=0):
    return Params(task.spec(), np.random.default_rng(seed))


def alarmed(task, params, t, **given):
    return {a["name"] for a in told(task, params, t, **given)["alarms"]}


POINTS = RNG.normal(size=(6, 4, 3, 3)).astype(np.float32)


@pytest.mark.parametrize("kind", LOSSES)
def test_the_loss_of_one_point_is_told_for_every_loss(kind):
    task = MetricLearning(kind, 3, "mlp", (5,), dim=4, miner="all")
    params = drawn(task)
    params.flat[:] = 0
    params.tree[1].b[:] = 1
    told_of = alarmed(task, params, POINTS)
    assert {"collapse", "equal embeddings", "dead columns"} <= told_of
    assert told_of & {"loss at the margin", "loss at log N"}


def test_collapse_that_semi_hard_mining_hides():
    """Equally far is not farther: no triplet, loss 0, and all the same nothing is learnt."""
    task = MetricLearning("triplet", 3, "mlp", (5,), dim=4, miner="semi-hard")
    params = drawn(task)
    params.flat[:] = 0
    params.tree[1].b[:] = 1
    seen = task.observe(params.tree, *task.split(POINTS))
    assert seen["loss"] == seen["active"] == 0 and seen["violated"] == 1
    assert "no active triplet" in alarmed(task, params, POINTS)


def test_labels_that_are_wrong_are_told_as_false_negatives():
    task = MetricLearning("sup-con", 3, "mlp", (5,), dim=4)
    right, wrong = np.repeat(np.arange(6), 4), np.arange(24) % 6
    assert "false negatives" not in alarmed(task, drawn(task), POINTS, label=right)
    assert "false negatives" in alarmed(task, drawn(task), POINTS, label=wrong)


def test_views_that_are_one():
    task = MetricLearning("nt-xent", 3, "mlp", (5,), dim=4)
    assert "equal views" not in alarmed(task, drawn(task), POINTS)
    assert "equal views" in alarmed(task, drawn(task), np.repeat(POINTS[:, :1], 4, 1))


def texts(rows):
    ids = np.array(rows)
    return ids, np.zeros_like(ids), np.ones(ids.shape, bool)


def test_simcse():
    rows = RNG.integers(1, 9, (8, 5))
    encoder = bert(9, 8, 1, 2, 8, rate=0.2)
    params = drawn(SimCSE(encoder))
    params.flat += 0.3 * RNG.standard_normal(params.flat.shape).astype(np.float32)
    assert "equal views" not in alarmed(SimCSE(encoder), params, (texts(rows),))
    assert "equal views" in alarmed(SimCSE(encoder, same_mask=True), params, (texts(rows),))
    partners = RNG.integers(1, 9, (8, 5))
    assert "false negatives" not in alarmed(SimCSE(encoder), params, (texts(rows), texts(partners)))
    partners[:4] = partners[0]  # one text is the right answer of four
    seen = SimCSE(encoder).observe(params.tree, texts(rows), (texts(partners),))
    assert seen["false_negatives"] == pytest.approx(4 * 3 / (8 * 7))
    assert "false negatives" in alarmed(SimCSE(encoder), params, (texts(rows), texts(partners)))


def test_cpc():
    task = Cpc(1, (4, 3), (2, 2), width=5, context=4, ahead=2)
    x = RNG.normal(size=(3, 60, 1)).astype(np.float32)
    seen = task.observe(drawn(task).tree, x, None)
    assert seen["candidates"] == task.candidates(3, 60) and len(seen["z"]) >= 6
    assert seen["loss"] == pytest.approx(float(task.loss(drawn(task).tree, x)[0]))
    assert "equal embeddings" in alarmed(task, drawn(task), np.ones_like(x[:, :, :1]))
    one = task.observe(drawn(task).tree, x[:1, :17], None)
    assert len(one["z"]) > 1  # a single short sequence can be looked at


def test_drlim():
    task = Drlim(6, 12, hidden=8, near=1)
    t = RNG.random((20, 6, 12)).astype(np.float32)
    params = drawn(task)
    (x, index), same = task.split(t, np.random.default_rng(1))
    seen = task.observe(params.tree, (x, index), same)
    one = float(pair(np.zeros((40, 2)), index=index, same=same)[0])
    assert seen["margin"] == one == 0.25 and len(seen["z"]) == 20
    params.tree[1].b[:] = 50  # where on the map is no matter
    assert not {"collapse", "equal embeddings"} & alarmed(task, params, t)
    params.flat[:] = 0
    assert {"collapse", "loss at the margin"} <= alarmed(task, params, t)


# in the loop --------------------------------------------------------------------------------------


def test_twenty_looks_a_run_that_depend_on_the_step_alone():
    task = MetricLearning("triplet", 3, "mlp", (5,), dim=4)
    watch = watching(task, lambda k: POINTS, drawn(task), steps=100, seed=0)
    looks = [k for k in range(100) if watch(k)]
    assert looks == list(range(4, 100, 5))
    assert watch(4) == watch(4) and set(watch(4)) == {"alarms", "notes"}


def rows_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_cpc_tells_in_its_metrics_its_scores_and_in_words(tmp_path, capsys):
    from npssl.cli import main

    small = "--steps 2 --width 8 --context 16 --batch 2 --samples 800 --probe 4 --lr 1e-9"
    assert main(["train", "cpc", *small.split(), "--out", str(tmp_path / "o")]) == 0
    assert all({"alarms", "notes"} <= set(row) for row in rows_of(tmp_path / "o"))
    scores = json.loads((tmp_path / "o" / "scores.json").read_text())
    said = capsys.readouterr().out
    assert "loss at log N" in {a["name"] for a in scores["alarms"]}
    for alarm in scores["alarms"]:
        assert f"alarm: {alarm['name']}: {alarm['cause']}" in said
