"""Retrieval against plain loops, Omniglot's archives, and runs that can be resumed."""

import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npssl.check import check, functional
from npssl.cli import main
from npssl.data.omniglot import read_omniglot, read_one_shot
from npssl.errors import FileError
from npssl.evaluation.retrieval import clustering, nearest, nmi, one_shot, pairwise_f1, retrieval
from npssl.jobs.metric_learning import Drawings, train_metric
from npssl.params import Params
from npssl.tasks.metric_learning import LOSSES, MetricLearning, active_share

seeds = st.integers(0, 10**6)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, n=st.integers(3, 14), k=st.integers(1, 2))
def test_nearest_is_a_sort(seed, n, k):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 3, (n, 2)).astype(float)  # with ties
    index, distance = nearest(x, x, k, skip_own=True)
    for i in range(n):
        D = np.sqrt(np.square(x[i] - x).sum(1))
        order = [j for j in np.argsort(D, kind="stable") if j != i][:k]
        assert index[i].tolist() == order
        assert np.allclose(distance[i], D[order])


@settings(max_examples=25, deadline=None)
@given(seed=seeds, n=st.integers(10, 20))
def test_retrieval_is_a_loop(seed, n):
    rng = np.random.default_rng(seed)
    x, label = rng.normal(size=(n, 3)), rng.integers(0, 4, n)
    recall, precise = {1: [], 2: [], 4: []}, []
    for i in range(n):
        R = int((label == label[i]).sum()) - 1
        if not R:
            continue
        order = [j for j in np.argsort(np.square(x[i] - x).sum(1)) if j != i]
        right = [label[j] == label[i] for j in order]
        for k in recall:
            recall[k].append(any(right[:k]))
        precise.append(sum(right[m] * sum(right[: m + 1]) / (m + 1) for m in range(R)) / R)
    found = retrieval(x, label, ks=(1, 2, 4))
    assert [found[f"recall@{k}"] for k in recall] == pytest.approx(
        [np.mean(v) for v in recall.values()]
    )
    assert found["map@r"] == pytest.approx(np.mean(precise))


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_clusters_are_counted_as_elsewhere(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 4, (2, 20))
    assert nmi(a, b) == pytest.approx(metrics.normalized_mutual_info_score(a, b), abs=1e-12)
    (_, false), (missed, right) = metrics.pair_confusion_matrix(b, a)
    expected = 2 * right / (2 * right + false + missed) if right else 0
    assert pairwise_f1(a, b) == pytest.approx(expected)


def test_corners_of_retrieval():
    assert retrieval(np.eye(3), [0, 1, 2], ks=(1,)) == {"recall@1": 0.0, "map@r": 0.0}
    assert nmi([1, 1], [0, 0]) == 1.0
    assert clustering(np.array([[0.0], [0.1], [9.0], [9.1]]), np.array([0, 0, 1, 1]))["nmi"] == 1.0
    assert one_shot(np.eye(2), np.eye(2)[::-1].copy(), [1, 0]) == 1.0
    with pytest.raises(ValueError, match="k: expected 1 to 2, found 3"):
        nearest(np.eye(3), np.eye(3), 3, skip_own=True)
    with pytest.raises(ValueError, match="label: expected 3 whole numbers"):
        retrieval(np.eye(3), [0, 1])
    with pytest.raises(ValueError, match="x: expected finite"):
        retrieval(np.full((3, 2), np.nan), [0, 1, 1])


# Omniglot -----------------------------------------------------------------------------------------


def png(size=12, seed=0):
    image = pytest.importorskip("PIL.Image")
    rng, out = np.random.default_rng(seed), io.BytesIO()
    pixels = np.where(rng.random((size, size)) < 0.3, 0, 255).astype(np.uint8)
    image.fromarray(pixels).convert("1").save(out, "PNG")
    return out.getvalue()


def write_zip(path, members):
    with zipfile.ZipFile(path, "w") as box:
        for name, content in members.items():
            box.writestr(name, content)
    return path


def drawings(path, characters=4, each=4):
    return write_zip(
        path,
        {
            f"top/A{c % 2}/character{c:02}/{c}_{n}.png": png(seed=10 * c)
            for c in range(characters)
            for n in range(each)
        },
    )


def shots(path, classes=3):
    members = {f"run01/training/class{c:02}.png": png(seed=c) for c in range(classes)}
    members |= {f"run01/test/item{c:02}.png": png(seed=c) for c in range(classes)}
    pairs = [f"run01/test/item{c:02}.png run01/training/class{c:02}.png" for c in range(classes)]
    return write_zip(path, {**members, "run01/class_labels.txt": "\n".join(pairs)})


def test_archives_are_read(tmp_path):
    found = read_omniglot(drawings(tmp_path / "a.zip"), size=6)
    assert found.images.shape == (16, 6, 6) and found.images.dtype == np.float32
    assert found.alphabets == ["A0", "A1"]
    assert np.bincount(found.label).tolist() == [4, 4, 4, 4]
    assert all(len(np.unique(found.alphabet[found.label == c])) == 1 for c in range(4))
    (run,) = read_one_shot(shots(tmp_path / "r.zip"))
    assert run.answer.tolist() == [0, 1, 2]
    assert (run.support == run.test).all()


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"a/A/character01/1.png": b"no"}, "a/A/character01/1.png: is not a readable PNG"),
        ({"a/A/character01/1.png": b"x" * (1 << 20) + b"y"}, "at most"),
        ({"readme": b""}, "expected drawings"),
    ],
)
def test_faulty_archives_are_told(tmp_path, members, told):
    pytest.importorskip("PIL.Image")
    with pytest.raises(FileError, match=told):
        read_omniglot(write_zip(tmp_path / "a.zip", members))


def test_faulty_runs_are_told(tmp_path):
    pytest.importorskip("PIL.Image")
    (tmp_path / "no.zip").write_bytes(b"PK")
    with pytest.raises(FileError, match="not a readable zip"):
        read_omniglot(tmp_path / "no.zip")
    with pytest.raises(FileError, match="no such file"):
        read_omniglot(tmp_path / "none.zip")
    lost = write_zip(tmp_path / "l.zip", {"run01/class_labels.txt": "\nrun01/a.png run01/b.png"})
    with pytest.raises(FileError, match=r"run01/class_labels.txt, line 2"):
        read_one_shot(lost)


def test_real_omniglot(shared_data):
    pytest.importorskip("PIL.Image")
    runs = read_one_shot(shared_data("omniglot/all_runs.zip"))
    assert len(runs) == 20 and all(sorted(r.answer) == list(range(20)) for r in runs)
    # Lake's baseline by raw pixels is far above chance, which is 5 %
    flat = lambda a: a.reshape(len(a), -1)
    right = [one_shot(flat(r.support), flat(r.test), r.answer) for r in runs]
    assert 0.1 < np.mean(right) < 0.5


# the task -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("encoder", ["mlp", "conv"])
def test_gradient(kind, encoder):
    task = MetricLearning(kind, 4, encoder, (3,), dim=3, miner="all")
    rng = np.random.default_rng(1)
    params = Params(task.spec(), rng, dtype=np.float64)
    params.flat += 0.3 * rng.normal(size=params.flat.shape)
    x, y = task.split(rng.normal(size=(3, 2, 4, 4)))
    assert check(functional(task.loss, params), params.flat, x=x, y=y) < 1e-8


@pytest.mark.parametrize("miner", ["semi-hard", "batch-hard", "all"])
@pytest.mark.parametrize("kind", LOSSES)
def test_float32_stays(kind, miner):
    task = MetricLearning(kind, 4, "mlp", (5,), dim=3, miner=miner)
    params = Params(task.spec(), np.random.default_rng(0))
    x, y = task.split(np.random.default_rng(1).normal(size=(3, 4, 4, 4)).astype(np.float32))
    value, back = task.loss(params.tree, x, y)
    assert np.asarray(value).dtype == np.float32
    g = params.zeros()
    back(g.tree)
    assert g.flat.dtype == np.float32 and np.isfinite(g.flat).all()


def test_active_share_is_a_count():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(8, 3)), np.repeat(np.arange(4), 2)
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    far = lambda i, j: np.square(u[i] - u[j]).sum()
    trials = [
        far(a, p) - far(a, n) + 0.2 > 0
        for a in range(8)
        for p in range(8)
        for n in range(8)
        if a != p and y[a] == y[p] and y[a] != y[n]
    ]
    assert active_share(z, y) == pytest.approx(np.mean(trials))
    index = np.array([[0, 1, 2], [3, 2, 0]])
    some = [far(a, p) - far(a, n) + 0.2 > 0 for a, p, n in index]
    assert active_share(z, y, index=index) == pytest.approx(np.mean(some))
    assert active_share(z, y, index=index[:0]) == 0


def test_bad_settings_are_told():
    with pytest.raises(ValueError, match="kind: expected one of pair"):
        MetricLearning("none")
    with pytest.raises(ValueError, match="an even number of drawings"):
        MetricLearning().split(np.zeros((3, 3, 28, 28)))


# runs ---------------------------------------------------------------------------------------------


def archives(folder):
    return {
        "train": drawings(folder / "train.zip"),
        "test": drawings(folder / "test.zip", characters=3),
        "runs": shots(folder / "runs.zip"),
    }


def test_a_run_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    small = dict(classes=3, drawings=2, widths=(8,), dim=4, steps=6, progress=False)
    small |= archives(tmp_path)
    whole = train_metric(**small, run=tmp_path / "whole")
    judged = MetricLearning.loss

    def broken(self, *args, **options):
        if (tmp_path / "cut" / "metrics.jsonl").read_text().count("\n") == 3:
            raise KeyboardInterrupt
        return judged(self, *args, **options)

    monkeypatch.setattr(MetricLearning, "loss", broken)
    with pytest.raises(KeyboardInterrupt):
        train_metric(**small, run=tmp_path / "cut", save_seconds=0.0)
    monkeypatch.undo()
    assert train_metric(**small, run=tmp_path / "cut", resume=True) == whole
    rows = (tmp_path / "cut" / "metrics.jsonl").read_text().splitlines()
    assert all("alarms" in json.loads(row) for row in rows) and "alarms" in whole
    model = "model.npz"
    assert (tmp_path / "cut" / model).read_bytes() == (tmp_path / "whole" / model).read_bytes()
    assert set(whole) > {
        "recall@1",
        "recall@8",
        "map@r",
        "nmi",
        "f1",
        "one_shot",
        "alarms",
        "notes",
    }


def test_batches_are_of_one_class_a_row(tmp_path):
    data = read_omniglot(drawings(tmp_path / "a.zip"))
    batches = Drawings(data, 3, 2, 0, seed=1)
    t = batches(5)
    assert t.shape == (3, 2, 28, 28) and (t == batches(5)).all()
    assert (t[:, 0] == t[:, 1]).all()  # drawings of a character are equal in this archive
    with pytest.raises(ValueError, match="classes: expected 2 to 4, found 5"):
        Drawings(data, 5, 2, 0, seed=1)


def test_command(tmp_path, capsys, monkeypatch):
    from npssl.jobs import metric_learning

    found = archives(tmp_path)
    names = {"small1": "train", "small2": "test", "runs": "runs"}
    monkeypatch.setattr(metric_learning, "find_set", lambda n: found[names[n.split("/")[1]]])
    options = "--loss triplet pair --steps 2 --classes 3 --drawings 2 --dim 4 --json"
    assert main(["train", "metric", *options.split(), "--out", str(tmp_path / "o")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["scores"]) == {"triplet", "pair"}
    assert (tmp_path / "o" / "losses.png").read_bytes().startswith(b"\x89PNG")
    assert main(["train", "metric", "--steps", "0", "--out", str(tmp_path / "p")]) == 2
