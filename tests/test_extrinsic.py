"""The extrinsic test of word vectors: readers, task, and the 2 x 2 table."""

import argparse
import itertools
import json
import lzma

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npssl.check import check, functional
from npssl.data import labelled_text
from npssl.data.bags import encode, take
from npssl.data.labelled_text import Labelled, load, read_sst2, read_trec
from npssl.errors import FileError
from npssl.jobs import extrinsic as job
from npssl.optim import AdamW, constant
from npssl.params import Params
from npssl.tasks.classify import Classify
from npssl.train import gradient_step

# ---- readers


def test_sst2(tmp_path):
    path = tmp_path / "dev.tsv"
    path.write_bytes(b'sentence\tlabel\na "fine " film \t1\r\n\t0\nwith\ttab\t1\nno end\t0')
    data = read_sst2(path)
    assert data.texts == [["a", '"fine', '"', "film"], [], ["with", "tab"], ["no", "end"]]
    assert data.labels.tolist() == [1, 0, 1, 0] and data.classes == ("negative", "positive")


def test_trec(tmp_path):
    path = tmp_path / "x.label.xz"
    path.write_bytes(
        lzma.compress("NUM:dist How far ?\nLOC:city Where is Malmö ?\n".encode("latin-1"))
    )
    data = read_trec(path)
    assert data.texts[1] == ["Where", "is", "Malmö", "?"] and data.classes == ("LOC", "NUM")
    assert data.labels.tolist() == [1, 0]
    fine = read_trec(path, fine=True, classes=("NUM:dist", "LOC:city"))
    assert fine.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    "reader, content, said",
    [
        (read_sst2, b"", "line 1: expected the header"),
        (read_sst2, b"index\tsentence\n0\tno labels here\n", "line 1: expected the header"),
        (read_sst2, b"sentence\tlabel\n", "holds no sentences"),
        (read_sst2, b"sentence\tlabel\nfine\t1\nfine\t2\n", "line 3: expected 0 or 1, found '2'"),
        (read_sst2, b"sentence\tlabel\nfine\n", "line 2: expected 0 or 1"),
        (read_sst2, b"sentence\tlabel\n\xff\t1\n", "not utf-8 .* at byte 15"),
        (read_trec, b"", "holds no sentences"),
        (read_trec, b"NUM:dist How ?\n\n", "line 2: expected 'COARSE:fine question'"),
        (read_trec, b"NUM How ?\n", "line 1: expected"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, reader, content, said):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(FileError, match=said):
        reader(path)
    with pytest.raises(FileError, match="no such file"):
        reader(tmp_path / "absent")
    (tmp_path / "cut.xz").write_bytes(lzma.compress(content)[:-9])
    with pytest.raises(FileError, match="cannot be read"):
        reader(tmp_path / "cut.xz")


def test_a_class_that_training_does_not_have(tmp_path):
    (tmp_path / "test").write_text("ODD:one What ?\n")
    with pytest.raises(FileError, match="unknown class 'ODD:one'"):
        read_trec(tmp_path / "test", classes=("NUM",))
    with pytest.raises(ValueError, match="task: expected one of sst2, trec, trec-50"):
        load("imdb")


@given(st.binary(max_size=60))
@settings(max_examples=60, deadline=None)
def test_readers_give_data_or_one_clear_error(tmp_path_factory, junk):
    path = tmp_path_factory.getbasetemp() / "junk"
    for reader, head in (read_sst2, b"sentence\tlabel\n"), (read_trec, b""):
        path.write_bytes(head + junk)
        try:
            data = reader(path)
            assert len(data.texts) == len(data.labels) > 0
        except FileError as error:
            assert str(path) in str(error)


def test_the_real_sets(shared_data):
    folder = shared_data("trec").parent
    parts = load("sst2", folder)
    assert [len(parts[part].texts) for part in parts] == [67_349, 872, 1_821]
    assert [int(parts[part].labels.sum()) for part in parts] == [37_569, 444, 904]
    parts = load("trec", folder)
    assert [len(parts[part].texts) for part in parts] == [4_952, 500, 500]
    assert parts["test"].classes == ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")
    assert np.bincount(parts["test"].labels).tolist() == [9, 138, 94, 65, 81, 113]
    assert len(load("trec-50", folder)["train"].classes) == 50
    again = load("trec", folder)
    assert again["dev"].texts == parts["dev"].texts
    train, whole = parts["train"], read_trec(folder / "trec" / "train_5500.label.xz")
    both = sorted(map(tuple, train.texts + parts["dev"].texts))
    assert both == sorted(map(tuple, whole.texts))


# ---- the task

BAGS = (np.array([1, 4, 4, 0]), np.array([0, 3, 3, 4])), np.array([2, 0, 1])


def params_of(task, **options):
    params = Params(task.spec(), np.random.default_rng(0), dtype=np.float64, **options)
    params.flat += 0.1 * np.random.default_rng(1).normal(size=params.flat.shape)
    return params


@pytest.mark.parametrize("hidden, rate", [((), 0.0), ((4,), 0.0), ((4, 3), 0.4)])
def test_the_gradient_of_the_task(hidden, rate):
    task = Classify(words=6, width=3, classes=3, hidden=hidden, rate=rate, std=0.5)
    params = params_of(task)
    x, y = task.split(BAGS)
    rng = np.random.default_rng(5)

    def loss(p, *, rng):
        return task.loss(p, x, y, rng=rng)

    assert check(functional(loss, params), params.flat, rng=rng) < 1e-9


def test_frozen_is_the_same_gradient_without_the_table():
    tasks = [Classify(words=6, width=3, classes=3, hidden=(4,), frozen=f) for f in (False, True)]
    params = params_of(tasks[0])
    values, grads = [], []
    for task in tasks:
        g = params.zeros()
        value, back = task.loss(params.tree, *task.split(BAGS))
        back(g.tree)
        values.append(value)
        grads.append(g)
    whole, frozen = (g.views for g in grads)
    assert values[0] == values[1] and whole["table"].any() and not frozen["table"].any()
    assert all((whole[n] == frozen[n]).all() for n in whole if n != "table")


def test_no_generator_no_noise():
    task = Classify(words=6, width=3, classes=3, rate=0.5)
    p = params_of(task).tree
    assert task.loss(p, *BAGS)[0] == task.loss(p, *BAGS)[0]
    assert (task.predict(p, BAGS[0]) == task.logits(p, BAGS[0])[0].argmax(1)).all()
    noisy = task.loss(p, *BAGS, rng=np.random.default_rng(0))[0]
    assert noisy != task.loss(p, *BAGS)[0]


# ---- the job


def test_encode():
    vectors = np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 9.0], [7.0, 7.0]])
    texts = [["The", "cat", "the", "unseen"], ["odd"], ["cat"]]
    parts = {"train": Labelled(texts, np.array([0, 1, 1]), ("a", "b"))}
    bags, table, coverage = encode(["cat", "the", "never", "cat"], vectors, parts)
    (ids, offsets), labels = bags["train"]
    assert ids.tolist() == [0, 1, 0, 1] and offsets.tolist() == [0, 3, 3, 4]
    assert labels.tolist() == [0, 1, 1] and coverage == 4 / 6
    np.testing.assert_allclose(table, np.array([[1, 0], [3, 4]]) / np.sqrt(26 / 4), rtol=1e-6)
    assert np.mean(table**2) == pytest.approx(1) and table.dtype == np.float32
    with pytest.raises(ValueError, match="none of the words"):
        encode(["else"], vectors[:1], parts)
    for bad in (0.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="not all 0"):
            encode(["cat"], np.full((1, 2), bad), parts)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_take(sizes, seed):
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    ids, labels = rng.integers(0, 9, offsets[-1]), rng.integers(0, 3, len(sizes))
    rows = rng.integers(0, len(sizes), rng.integers(0, 6))
    (found, cuts), y = take(((ids, offsets), labels), rows)
    wanted = [ids[offsets[r] : offsets[r + 1]].tolist() for r in rows]
    assert [found[a:b].tolist() for a, b in itertools.pairwise(cuts)] == wanted
    assert cuts[0] == 0 and cuts[-1] == len(found) and y.tolist() == labels[rows].tolist()


def trained(frozen, factor, steps=20):
    """A table and a head after some steps on texts of the words 0 to 4 out of 6."""
    task = Classify(words=6, width=3, classes=3, hidden=(4,), frozen=frozen)
    params = Params(task.spec(), np.random.default_rng(0), frozen=["table"] if frozen else [])
    before = params.views["table"].copy()
    optimizer = job._TwoRates(params, factor)
    step = gradient_step(task, lambda k: BAGS, params, optimizer, constant(0.01))
    for k in range(steps):
        step(k)
    return before, params


def test_frozen_vectors_do_not_move_and_of_the_others_only_those_seen():
    before, params = trained(frozen=True, factor=1.0)
    assert params.views["table"].tobytes() == before.tobytes()
    before, params = trained(frozen=False, factor=1.0)
    moved = (params.views["table"] != before).any(1)
    assert moved.tolist() == [True, True, False, False, True, False]


def test_the_table_has_a_learning_rate_of_its_own():
    before, params = trained(frozen=False, factor=0.0)
    _, frozen = trained(frozen=True, factor=1.0)
    assert (params.flat == frozen.flat).all()  # rate 0 is frozen
    _, fast = trained(frozen=False, factor=7.0, steps=1)
    moved = np.abs(fast.views["table"] - before)[[0, 1, 4]]
    np.testing.assert_allclose(moved, 0.07, rtol=1e-3)  # the first step of Adam
    _, same = trained(frozen=False, factor=1.0)
    task = Classify(words=6, width=3, classes=3, hidden=(4,))
    plain = Params(task.spec(), np.random.default_rng(0))
    step = gradient_step(task, lambda k: BAGS, plain, AdamW(plain, decay=0.0), constant(0.01))
    for k in range(20):
        step(k)
    np.testing.assert_allclose(same.flat, plain.flat, rtol=1e-5, atol=1e-6)


def made_up(width=8, words=400, texts=400):
    """Texts whose class only the vectors know: test words never occur in training."""
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(words, width)).astype(np.float32)
    names = [f"w{n}" for n in range(words)]
    parts = {}
    for part, pool in zip(("train", "dev", "test"), np.split(np.arange(words), [200, 300])):
        kind = vectors[pool, 0] > 0
        labels = rng.integers(0, 2, texts)
        drawn = [rng.choice(pool[kind == bool(label)], 3) for label in labels]
        parts[part] = Labelled([[names[n] for n in ids] for ids in drawn], labels, ("a", "b"))
    return names, vectors, parts


def test_the_table_shows_what_vectors_know():
    names, vectors, parts = made_up()
    lines = []
    found = job.extrinsic(names, vectors, parts, seeds=[1, 2], epochs=12, progress=lines.append)
    mean = found["mean"]
    assert mean["pre-trained"]["frozen"] > 90 and mean["pre-trained"]["fine-tuned"] > 90
    assert mean["random"]["frozen"] < 70 and mean["random"]["fine-tuned"] < 70
    assert len(lines) == 8 and "seed 2 pre-trained frozen: test" in lines[6]
    assert found["coverage"] == 1 and 40 < found["majority"] < 60
    for name, (one, other) in {
        "pre-trained, frozen": (("random", "frozen"), ("pre-trained", "frozen")),
        "fine-tuned, random": (("random", "frozen"), ("random", "fine-tuned")),
    }.items():
        gap = mean[other[0]][other[1]] - mean[one[0]][one[1]]
        assert found["gain"][name]["mean"] == pytest.approx(gap)
    again = job.extrinsic(names, vectors, parts, seeds=[2], epochs=12)
    for kind, mode in itertools.product(job.VECTORS, job.MODES):  # a seed is all that counts
        assert again["accuracy"][kind][mode][0] == found["accuracy"][kind][mode][1]
    with pytest.raises(ValueError, match="seeds"):
        job.extrinsic(names, vectors, parts, seeds=[])


def test_the_test_part_is_used_once_and_dev_chooses(monkeypatch):
    names, vectors, parts = made_up(texts=50)
    bags, table, _ = encode(names, vectors, parts)
    asked, scores, seen = [], iter([50.0, 70.0, 60.0, 70.0, 65.0, 99.0]), []

    def accuracy(task, p, part):
        asked.append(part is bags["test"])
        seen.append(p.head[0].w.copy())
        return 12.5 if asked[-1] else next(scores)

    monkeypatch.setattr(job, "_accuracy", accuracy)
    task = Classify(words=len(table), width=8, classes=2)
    options = {"seed": 1, "rates": (1e-3, 1e-3), "batch": 20, "epochs": 6, "patience": 3}
    assert job._run(task, bags, table, **options) == (12.5, 70.0, 2)
    assert asked == [False] * 5 + [True]  # patience ended it before the 99
    assert (seen[-1] == seen[1]).all() and (seen[-1] != seen[4]).any()  # those of epoch 2


def test_the_four_share_head_batches_and_noise(monkeypatch):
    names, vectors, parts = made_up(texts=50)
    heads, orders, frozen = [], [], []

    def spy(task, batches, params, optimizer, *rest, **options):
        frozen.append((task.frozen, params.frozen, [share for _, share in optimizer.groups]))
        heads.append(params.views["head.0.w"].copy())
        orders.append([batches(k)[1].tolist() for k in range(5)])
        return gradient_step(task, batches, params, optimizer, *rest, **options)

    monkeypatch.setattr(job, "gradient_step", spy)
    rates = {"lr": 1e-3, "table_lr": 4e-3}
    job.extrinsic(names, vectors, parts, seeds=[1, 2], epochs=1, batch=20, **rates)
    assert frozen == [(True, ("table",), [1.0]), (False, (), [1.0, 4.0])] * 4
    for one in (0, 4):
        assert all((heads[one] == heads[one + n]).all() for n in range(4))
        assert all(orders[one] == orders[one + n] for n in range(4))
    assert (heads[0] != heads[4]).any() and orders[0] != orders[4]
    assert orders[0][0] != orders[0][3]  # another order in the second epoch
    assert sorted(itertools.chain(*orders[0][:3])) == sorted(parts["train"].labels.tolist())


def test_paired_and_spread():
    assert job.paired([1, 2, 3, 4, 5], [2, 3, 4, 5, 6]) == {"mean": 1.0, "sd": 0.0, "p": 2 / 32}
    assert job.paired([1, 5], [5, 1])["p"] == 1.0 and job.paired([0], [1])["p"] == 1.0
    assert job.paired([0] * 30, [1] * 30)["p"] < 1e-3
    assert job.spread([1.0]) == 0 and job.spread([1.0, 3.0]) == pytest.approx(np.sqrt(2))


@pytest.fixture
def folder(tmp_path):
    """A folder of data sets with a small SST-2, and a file of vectors beside it."""
    names, vectors, parts = made_up(texts=60)
    (tmp_path / "sst2").mkdir()
    for part, data in parts.items():
        rows = [f"{' '.join(t)} \t{y}" for t, y in zip(data.texts, data.labels)]
        (tmp_path / "sst2" / f"{part}.tsv").write_text("\n".join(["sentence\tlabel", *rows]))
    rows = [f"{n} " + " ".join(map(str, v)) for n, v in zip(names, vectors)]
    (tmp_path / "vectors.txt").write_text("\n".join([f"{len(names)} 8", *rows]) + "\n")
    return tmp_path


def command(folder, *options, json=False):
    parser = argparse.ArgumentParser()
    job.add_arguments(parser)
    given = [str(folder / "vectors.txt"), "--folder", str(folder), *options]
    args = parser.parse_args(given)
    args.json = json
    return job.run(args)


def test_the_command(folder, capsys):
    found = command(folder, "--task", "sst2", "--seeds", "2", "--epochs", "2", "--hidden", "0")
    out, err = capsys.readouterr()
    assert "sst2: 60 / 60 / 60 texts" in out and len(err.splitlines()) == 8
    row = next(line for line in out.splitlines() if line.startswith("pre-trained  "))
    mean, sd = (found["sst2"][key]["pre-trained"]["frozen"] for key in ("mean", "sd"))
    assert row.split()[1:4] == [f"{mean:.1f}", "±", f"{sd:.1f}"]
    assert "fine-tuned, random" in out
    found = command(folder, "--task", "sst2", "--seeds", "1", "--epochs", "1", json=True)
    assert not capsys.readouterr().out and json.loads(json.dumps(found)) == found
    for wrong in ("--seeds", "--epochs"):
        with pytest.raises(ValueError, match=f"{wrong}: expected 1 or more, found 0"):
            command(folder, wrong, "0")


def test_tasks_are_what_load_knows(folder):
    assert list(labelled_text.TASKS) == ["sst2", "trec", "trec-50"]
    assert [len(p.texts) for p in load("sst2", folder).values()] == [60, 60, 60]
