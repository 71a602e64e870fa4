"""``npssl vectors``: what it prints, its exit status, and that nothing is half-written."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from npssl.cli import main
from npssl.data.vector_files import FORMATS, read_vectors, write_vectors

WORDS = ["tea", "coffee", "milk", "train", "car", "bus", "Rome", "Italy", "Paris", "France"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    rng = np.random.default_rng(0)
    kinds = np.repeat(np.eye(3), [3, 3, 4], axis=0)
    rows = np.hstack([4 * kinds, np.zeros((10, 2))]) + 0.1 * rng.normal(size=(10, 5))
    rows[[7, 9], 3] += 2  # countries
    rows[[8, 9], 4] += 2  # French
    write_vectors(folder / "v.bin", WORDS, rows)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("NPSSL_DATA", str(folder / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def run(capsys, *argv):
    """Exit status, standard output, standard error."""
    try:
        status = main(["vectors", *map(str, argv)])
    except SystemExit as stop:
        status = stop.code
    return status, *capsys.readouterr()


def result(capsys, *argv):
    """What ``--json`` prints; one object and nothing else."""
    status, out, err = run(capsys, *argv, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


def test_similar(folder, capsys):
    found = result(capsys, "similar", "v.bin", "tea", "--topn", "2")["similar"]
    assert {answer["word"] for answer in found} == {"coffee", "milk"}
    assert found[0]["score"] > found[1]["score"] > 0.9
    status, out, _ = run(capsys, "similar", "v.bin", "tea", "--topn", "2")
    assert status == 0
    assert out == "".join(f"{a['score']:8.4f}  {a['word']}\n" for a in found)
    away = result(capsys, "similar", "v.bin", "Paris", "--negative", "tea", "France", "--topn", "1")
    assert away["negative"] == ["tea", "France"] and away["similar"][0]["word"] == "Rome"


@pytest.mark.parametrize("method", ["cosadd", "cosmul"])
def test_analogy(folder, capsys, method):
    found = result(capsys, "analogy", "v.bin", "Italy", "Rome", "France", "--method", method)
    assert found["answers"][0]["word"] == "Paris"
    assert "Italy" not in [answer["word"] for answer in found["answers"]]
    assert run(capsys, "analogy", "v.bin", "Italy", "Rome", "France")[1].startswith("Italy is to R")


@pytest.mark.parametrize("format", FORMATS)
def test_convert(folder, capsys, format):
    found = result(capsys, "convert", "v.bin", "out.x", "--to", format)
    assert found == {"out": "out.x", "vectors": 10, "dim": 5}
    np.testing.assert_array_equal(read_vectors("out.x", format)[1], read_vectors("v.bin")[1])
    assert result(capsys, "convert", "out.x", "back.bin", "--format", format)["vectors"] == 10
    assert (folder / "back.bin").read_bytes() == (folder / "v.bin").read_bytes()
    assert result(capsys, "convert", "v.bin", "two.txt.gz", "--limit", "2")["vectors"] == 2


def test_words_that_come_twice_are_a_note(folder, capsys):
    (folder / "twice.txt").write_text("3 1\na 1\nb 2\na 3\n")
    status, out, err = run(capsys, "convert", "twice.txt", "once.bin")
    assert status == 0 and "2 vectors" in out
    assert err == "npssl: note: twice.txt: 1 vectors of words that came before were dropped\n"


def files_for_tests(folder):
    files = {
        "pairs": "tea\tcoffee\t9\ntea\tcar\t1\ntrain\tbus\t8\nx\ttea\t1\n",
        "analogies": ": capital\nItaly Rome France Paris\n: gram1\ntea x milk coffee\n",
        "categories": "category,word\n" + "".join(f"{i // 3},{w}\n" for i, w in enumerate(WORDS)),
        "outliers": "category,words,outliers\nx,\"['tea', 'milk', 'coffee']\",\"['car', '']\"\n",
        "synonyms": "tea | coffee | car | bus | Rome\n",
    }
    for kind, text in files.items():
        (folder / kind).write_text(text)
    return [part for kind in files for part in (f"--{kind}", kind)]


def test_evaluate_files(folder, capsys):
    found = result(capsys, "evaluate", "v.bin", *files_for_tests(folder))
    assert (found["vectors"], found["dim"], found["absent"]) == (10, 5, [])
    rows = {row["kind"]: row for row in found["tests"]}
    covered = {kind: (row["covered"], row["items"]) for kind, row in rows.items()}
    assert covered == {
        "pairs": (3, 4),
        "analogies": (1, 2),
        "categories": (10, 10),
        "outliers": (1, 1),
        "synonyms": (1, 1),
    }
    assert rows["pairs"]["score"] == rows["pairs"]["spearman"][0] > 0.4
    assert rows["analogies"]["syntactic"]["covered"] == 0
    assert all(rows[kind]["score"] == 1 for kind in ("analogies", "outliers", "synonyms"))
    assert rows["categories"]["score"] == 0.9  # France is the tenth
    status, out, _ = run(capsys, "evaluate", "v.bin", *files_for_tests(folder))
    assert status == 0 and "OPP 1.0000" in out and "purity" in out


def test_evaluate_known_sets(folder, capsys):
    assert run(capsys, "evaluate", "v.bin")[0] == 2
    (folder / "data" / "word-similarity").mkdir(parents=True)
    (folder / "data" / "word-similarity" / "EN-SIMLEX-999.txt").write_text("a\tb\t1\ntea\tcar\t2\n")
    found = result(capsys, "evaluate", "v.bin")
    assert [row["test"] for row in found["tests"]] == ["SimLex-999"]
    assert "analogies" in found["absent"] and "wordsim-353/all" in found["absent"]
    out = run(capsys, "evaluate", "v.bin")[1]
    assert "analogies: skipped, it is not here (npssl data fetch analogies)" in out


def test_scores_of_the_reference_vectors(folder, shared_data, capsys, monkeypatch):
    monkeypatch.setenv("NPSSL_DATA", str(shared_data("")))
    with np.load(shared_data("glove-50d-20k") / "glove.npz", allow_pickle=False) as file:
        write_vectors("g.bin", file["words"].tolist(), file["vectors"])
    expected = json.loads((shared_data("glove-50d-20k") / "expected.json").read_text())
    found = {row["test"]: row for row in result(capsys, "evaluate", "g.bin")["tests"]}
    similarity = expected["similarity"]["EN-WS-353-ALL"]
    assert round(found["WordSim-353"]["score"], 4) == similarity["spearman"]
    assert found["Google analogies"]["correct"] == expected["analogy_3cosadd"]["total_correct"]
    assert len(found) == 8


@pytest.mark.parametrize("name, begins", [("m.png", b"\x89PNG"), ("m.svg", b"<?xml")])
def test_plot(folder, capsys, name, begins):
    pytest.importorskip("matplotlib")
    found = result(capsys, "plot", "v.bin", "--out", name, "--words", "tea", "car", "Rome")
    assert [point["word"] for point in found["points"]] == ["tea", "car", "Rome"]
    assert (folder / name).read_bytes().startswith(begins)
    assert sorted(os.listdir(folder)) == sorted(["v.bin", name])


def test_plot_by_neighbourhoods(folder, capsys):
    pytest.importorskip("sklearn")
    points = result(capsys, "plot", "v.bin", "--method", "tsne")["points"]
    assert len(points) == 10 and os.path.exists("map.png")
    assert points == result(capsys, "plot", "v.bin", "--method", "tsne")["points"]


ACTIONS = ("similar", "analogy", "evaluate", "convert", "plot", "extrinsic")
WRONG = [
    (["similar", "none.bin", "tea"], 2, "none.bin: no such file"),
    (["similar", "bad.bin", "tea"], 2, "bad.bin: line 1: 10 vectors of 5 numbers do not fit"),
    (["similar", "v.bin", "Tea"], 2, "unknown word 'Tea': .*did you mean 'tea'?"),
    (["similar", "v.bin", "xyz"], 2, "unknown word 'xyz': it is not in the vocabulary$"),
    (["analogy", "v.bin", "tea", "xyz", "car"], 2, "unknown word 'xyz'"),
    (["similar", "v.bin", "tea", "--topn", "0"], 2, "--topn"),
    (["similar", "v.bin", "tea", "--format", "glove"], 2, "looks like word2vec-binary"),
    (["evaluate", "v.bin", "--pairs", "v.bin"], 2, "v.bin: line "),
    (["evaluate", "v.bin", "--pairs", "none"], 2, "none: no such file"),
    (["convert", "v.bin", "out.xyz"], 2, "'out.xyz' says no format"),
    (["convert", "v.bin", "none/out.bin"], 1, "no such folder"),
    (["convert", "bad.bin", "out.bin"], 2, "bad.bin"),
    (["convert", "v.bin", "/proc/out.bin"], 1, "/proc"),
    (["plot", "v.bin", "--out", "map.bmp"], 2, "--out: expected a name in .png or .svg"),
    (["plot", "v.bin", "--words", "xyz"], 2, "unknown word 'xyz'"),
    (["plot", "v.bin", "--words", "tea", "car", "--method", "tsne"], 2, "t-SNE needs 3"),
    (["plot", "no-words.txt"], 2, "no words in it"),
    (["similar", "v.bin"], 2, "WORD"),
    ([], 2, "ACTION"),
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("argv, status, says", WRONG)
def test_wrong_input(folder, capsys, argv, status, says):
    (folder / "bad.bin").write_bytes((folder / "v.bin").read_bytes()[:-40])
    (folder / "no-words.txt").write_text("0 5\n")
    before = sorted(os.listdir(folder))
    found, out, err = run(capsys, *argv)
    assert found == status and not out
    assert re.search(says, err.strip())
    assert "Traceback" not in err
    assert sorted(os.listdir(folder)) == before


def test_a_full_disk(folder, capsys):
    """A real one, where there is a device that is always full."""
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    command = [sys.executable, "-m", "npssl", "vectors", "similar", "v.bin", "tea", "--json"]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with open("/dev/full", "w") as full:
        found = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=env)
    assert found.returncode == 1
    assert "No space left" in found.stderr and "Traceback" not in found.stderr


@pytest.mark.parametrize("action", ACTIONS)
def test_help_has_an_example(capsys, action):
    status, out, _ = run(capsys, action, "--help")
    assert status == 0 and f"example: npssl vectors {action} " in " ".join(out.split())
