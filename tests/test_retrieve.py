"""``npssl retrieve``: neighbours, and what it says of bad input."""

import json
import sys

import numpy as np
import pytest

from npssl.cli import main
from npssl.evaluation.retrieval import nearest, nearly_nearest


def test_neighbours(tmp_path, capsys):
    x = np.array([[1.0, 0], [0.9, 0.1], [0, 5], [-1, 0]])
    np.save(tmp_path / "v.npy", x)
    np.save(tmp_path / "q.npy", np.array([[0.0, 0.1]]))
    (tmp_path / "l.txt").write_text("one\ntwo\nthree\nfour\n", encoding="utf-8")
    many = ["retrieve", str(tmp_path / "v.npy"), "--json", "--lines", str(tmp_path / "l.txt")]
    assert main([*many, "--row", "0", "3", "-k", "2"]) == 0
    one, four = json.loads(capsys.readouterr().out)["results"]
    assert one["query"] == "one" and [r["line"] for r in one["nearest"]] == ["two", "three"]
    assert four["nearest"][0]["row"] == 2
    assert main([*many, "--queries", str(tmp_path / "q.npy"), "-k", "1"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["results"][0]["nearest"]
    assert row["line"] == "three" and abs(row["cosine"] - 1) < 1e-6
    far = ["--queries", str(tmp_path / "q.npy"), "-k", "1", "--metric", "euclidean"]
    assert main([*many, *far]) == 0  # by length the long one is far
    assert json.loads(capsys.readouterr().out)["results"][0]["nearest"][0]["line"] == "two"


def test_bad_input_is_told(tmp_path, capsys):
    np.save(tmp_path / "v.npy", np.eye(3))
    (tmp_path / "no.npy").write_bytes(b"no")
    (tmp_path / "l.txt").write_text("one\n", encoding="utf-8")
    many = ["retrieve", str(tmp_path / "v.npy")]
    for wrong, told in (
        ([*many, "--row", "7"], "--row: expected 0 to 2, found 7"),
        ([*many, "--text", "a"], "--text: expected --model"),
        ([*many, "--row", "0", "--lines", str(tmp_path / "l.txt")], "--lines: expected 3"),
        ([*many, "--row", "0", "-k", "0"], "-k: expected 1"),
        (["retrieve", str(tmp_path / "no.npy"), "--row", "0"], "not a readable .npy"),
        (["retrieve", str(tmp_path / "none.npy"), "--row", "0"], "no such file"),
    ):
        assert main(wrong) == 2
        assert told in capsys.readouterr().err


def test_a_graph_finds_nearly_the_same(tmp_path, capsys):
    pytest.importorskip("usearch", reason="needs the extra 'index'")
    x = np.random.default_rng(0).standard_normal((1500, 16), dtype=np.float32)
    exact, far = nearest(x[:200].astype(float), x.astype(float), 10)
    found, near = nearly_nearest(x[:200], x, 10)
    same = [len({*a} & {*b}) for a, b in zip(exact, found)]
    assert np.mean(same) > 9.8 and (found[:, 0] == np.arange(200)).all()
    assert (np.diff(near, axis=1) >= 0).all()
    agree = exact == found
    np.testing.assert_allclose(near[agree], far[agree], atol=1e-5)
    again, _ = nearly_nearest(x[:200], x, 10)
    assert np.array_equal(found, again)
    assert nearly_nearest(x[:1], x[:3], 3)[0].shape == (1, 3)
    assert sorted(nearly_nearest(np.ones((1, 2)), np.ones((5, 2)), 5)[0][0]) == [0, 1, 2, 3, 4]
    for wrong, told in (((x, x, 0), "k"), ((x, x[:, :3], 1), "width")):
        with pytest.raises(ValueError, match=told):
            nearly_nearest(*wrong)
    np.save(tmp_path / "v.npy", x)
    many = ["retrieve", str(tmp_path / "v.npy"), "--row", "3", "7", "--json"]
    assert main(many) == 0
    expected = json.loads(capsys.readouterr().out)["results"]
    assert main([*many, "--index", "hnsw"]) == 0
    by_graph = json.loads(capsys.readouterr().out)["results"]
    rows = lambda found: [[r["row"] for r in q["nearest"]] for q in found]
    assert rows(by_graph) == rows(expected)


def test_the_extra_is_named(tmp_path, capsys, monkeypatch):
    np.save(tmp_path / "v.npy", np.eye(3))
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    assert main(["retrieve", str(tmp_path / "v.npy"), "--row", "0", "--index", "hnsw"]) == 2
    assert "npssl[index]" in capsys.readouterr().err
