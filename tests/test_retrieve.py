"""``npssl retrieve``: neighbours, and what it says of bad input."""

import json

import numpy as np

from npssl.cli import main


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
