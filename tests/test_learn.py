"""Every exercise has a right answer, every mutant is wrong, every mark is deserved."""

import csv
import io
import json
import os
import pathlib
import re
import sys

import numpy as np
import pytest

from npssl.check import GradientError, Kink, inspect
from npssl.cli import main
from npssl.learn.exercise import Exercise, Reversed, compiled
from npssl.learn.folder import PROGRESS, Folder, filename, solution
from npssl.learn.marking import mark, mark_text
from npssl.learn.path import PATH

DERIVE = [e for e in PATH.values() if isinstance(e, Exercise)]
TESTS = [e for e in PATH.values() if isinstance(e, Reversed)]
named = {"ids": lambda e: e.name}


def filled(name, seed=0):
    """The stub's file with the reference answer in it."""
    e = PATH[name]
    return f"{e.stub(seed).splitlines()[0]}\nimport math\nimport numpy as np\n{e.source(seed)}"


def test_enough_of_them():
    assert len(PATH) >= 40 and len(TESTS) >= 5
    assert len(set(map(filename, PATH))) == len(PATH)


@pytest.mark.parametrize("e", PATH.values(), **named)
def test_the_reference_answer_is_right(e):
    for seed in (0, 3)[: 1 + (e.source(3) != e.source(0))]:  # 3: other constants
        found = mark_text(filled(e.name, seed))
        assert found.ok and found.points == 1, (found, found.hints)


@pytest.mark.parametrize("e", PATH.values(), **named)
def test_the_stub_asks(e):
    text = e.stub(3)
    assert text.count("NotImplementedError") == 1 and e.part("").strip()
    assert "Hints:" not in text and "Derivation:" not in text
    found = mark_text(text)
    assert not found.ok and found.says == "It is not written yet." and found.hints
    assert not any("\n" in hint for hint in found.hints)
    assert len(solution(e)) > 100


@pytest.mark.parametrize("e", [e for e in DERIVE if e.oracle], **named)
def test_the_exercise_is_what_npssl_computes(e):
    for seed in range(3):
        arrays, options = e.draw(np.random.default_rng(seed))
        theirs, extra = options, {}
        if e.name == "nce":
            extra = {"log_noise": options["log_noise"]}
        if e.name == "n_pair":
            extra = {"penalty": 0.1}
        if e.name == "split_heads":
            extra = {"heads": 2}
        y, back = e.op(*arrays, **options)
        want, want_back = e.oracle(*arrays, **(theirs | extra))
        np.testing.assert_allclose(y, want, rtol=1e-10, atol=1e-12)
        dy = np.random.default_rng(9).normal(size=np.shape(y))
        pairs = [g if isinstance(g, tuple) else (g,) for g in (back(dy), want_back(dy))]
        for a, b in zip(*pairs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("e", TESTS, **named)
def test_every_mutant_is_wrong(e):
    for change in (e.given, *e.hidden):
        worst = 0.0
        for k in range(6):
            arrays, options = e.of.draw(np.random.default_rng(k))
            try:
                worst = max(worst, inspect(e.mutant(change), *arrays, **options).error)
            except Kink:
                continue
            except GradientError:
                worst = 1.0
        assert worst > 1e-4, change


def test_a_test_that_sees_nothing_gets_nothing():
    for e in TESTS:
        assert mark(e, lambda op: None).points == 0
        assert not mark(e, lambda op: 1 / 0).ok


@pytest.mark.parametrize(
    ("name", "old", "new", "word"),
    [
        ("linear", "dy.sum(0)", "dy", "(B"),
        ("linear", "dy.sum(0)", "2 * dy.sum(0)", "db is 2 times the true gradient in every"),
        ("cross_entropy", "error / B", "error", "times the true gradient"),
        ("layernorm", "u - u.mean(-1, keepdims=True) - ", "u - ", "dx has the right shape"),
        ("embedding", "np.add.at(dtable, ids, dy)", "dtable[ids] += dy", "dtable has the right"),
        ("relu", "dy * (x > 0)", "dy * y / 0", "finite"),
        ("relu", "dy * (x > 0)", "None", "expected"),
        ("relu", "dy * (x > 0)", "dx", "line 13"),
        ("relu", "return y, back", "return 2 * y, back", "forward pass was changed"),
        ("relu", "def relu", "def other", "expected a function relu"),
        ("relu", "return y, back", "raise SystemExit", "It stops"),
        ("relu", "dy * (x > 0)", "dy * (x > 0", "does not run"),
    ],
)
def test_what_is_said_about_mistakes(name, old, new, word):
    text = filled(name)
    assert text.count(old) == 1
    found = mark_text(text.replace(old, new))
    assert not found.ok
    said = " ".join([found.says, *found.hints])
    assert word in said or (word == "(B" and "expected a gradient" in said), said


def learn(capsys, *args):
    status = main(["learn", *map(str, args)])
    out = capsys.readouterr()
    return status, out.out, out.err


def test_a_learner_walks(tmp_path, capsys):
    at = ("--folder", tmp_path / "mine")
    assert learn(capsys, *at)[1].count("[ ]") == len(PATH)
    assert not (tmp_path / "mine").exists()
    for name in list(PATH)[:10]:
        status, out, _ = learn(capsys, "next", *at)
        file = tmp_path / "mine" / filename(name)
        assert status == 0 and str(file) in out
        assert "not written yet" in learn(capsys, "check", name, *at)[1]
        assert "hint 1" in learn(capsys, "check", name, "--hint", *at)[1]
        file.write_text(filled(name))
        assert "right" in learn(capsys, "check", name, *at)[1]
    assert learn(capsys, *at)[1].count("[x]") == 10
    folder = Folder(tmp_path / "mine")
    assert folder.state["done"] == list(PATH)[:10]
    names = {f.name for f in (tmp_path / "mine").iterdir()}
    assert names == {PROGRESS, *map(filename, list(PATH)[:10])}
    assert {f.name for f in tmp_path.iterdir()} == {"mine"}
    assert "Derivation" not in learn(capsys, "solution", *at)[1]
    status, out, _ = learn(capsys, "solution", "layernorm", "--yes", *at)
    assert status == 0 and "The map in (5) is symmetric" in out


def test_an_answer_is_never_overwritten(tmp_path, capsys):
    file = Folder(tmp_path).write("linear")
    file.write_text("mine")
    assert "Already there" in learn(capsys, "next", "linear", "--folder", tmp_path)[1]
    assert file.read_text() == "mine"
    assert learn(capsys, "export", tmp_path, "--only", "linear")[0] == 2


def test_watching(tmp_path, capsys, monkeypatch):
    """Each save is marked; a file that cannot be is told, and watching goes on."""
    file = Folder(tmp_path).write("relu")
    texts = iter(["no header", filled("relu")])

    def save(_):
        try:
            file.write_text(next(texts))
        except StopIteration:
            raise KeyboardInterrupt from None
        stamp = file.stat().st_mtime_ns + 10**9
        os.utime(file, ns=(stamp, stamp))

    monkeypatch.setattr("npssl.cli.learn.time.sleep", save)
    status, out, _ = learn(capsys, "watch", "--folder", tmp_path)
    assert status == 130 and "expected a line" in out and "relu: right" in out


def test_wrong_requests(tmp_path, capsys):
    for args, word in [
        (("next", "nonsense"), "nonsense"),
        (("check", "linear"), "found none"),
        (("check",), "try npssl learn next"),
        (("export",), "expected a folder"),
        (("grade", tmp_path / "nowhere"), "expected a folder"),
        (("solution", "linear"), "--yes"),
    ]:
        status, _, err = learn(capsys, *args, "--folder", tmp_path)
        assert status == 2 and word in err
    (tmp_path / PROGRESS).write_text("{")
    assert "expected JSON" in learn(capsys, "--folder", tmp_path)[2]


def test_other_seeds_are_other_questions():
    e = PATH["triplet"]
    assert "margin=1.0" in e.stub(0) and "margin=1.5" in e.stub(3)
    old = mark(e, compiled(e.source(0), e.name), seed=3)
    assert not old.ok


def test_a_class_is_graded(tmp_path, capsys):
    """One right, one wrong, one crash, one that never ends, one that prints marks."""
    end = "    return y, back"
    right = filled("relu")
    forged = 'print(\'{"ok": true, "points": 1, "says": ""}\')\nimport os; os._exit(0)'
    answers = {
        "a": right,
        "b": right.replace("(x > 0)", "(x < 0)").replace("where(x < 0)", "where(x > 0)"),
        "c": right.replace(end, f"    import os; os.abort()\n{end}"),
        "d": right.replace(end, f"    while True: pass\n{end}"),
        "e": f"{right.splitlines()[0]}\n{forged}",
        "f": "nothing of ours",
    }
    for who, text in answers.items():
        (tmp_path / who).mkdir()
        (tmp_path / who / "relu.py").write_text(text)
    (tmp_path / "broken.ipynb").write_text("{}")
    status, out, _ = learn(capsys, "grade", tmp_path, "--limit", 6)
    rows = {r["submission"]: r for r in csv.DictReader(io.StringIO(out))}
    found = {who: r["verdict"] for who, r in rows.items()}
    assert status == 0 and found == {
        "a/relu.py": "right",
        "b/relu.py": "wrong",
        "broken.ipynb": "unreadable",
        "c/relu.py": "crashed",
        "d/relu.py": "too long",
        "e/relu.py": "crashed",
    }
    assert float(rows["a/relu.py"]["points"]) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="no limit of memory there")
def test_an_answer_that_fills_the_memory_costs_only_itself(tmp_path, capsys):
    right, end = filled("relu"), "    return y, back"
    endless = "    heap = []\n    while True: heap.append(bytearray(2**24))\n"
    (tmp_path / "a.py").write_text(right.replace(end, endless + end))
    (tmp_path / "b.py").write_text(right)
    out = learn(capsys, "grade", tmp_path, "--limit", 30, "--memory", 1)[1]
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [r["verdict"] for r in rows] == ["wrong", "right"]
    assert "MemoryError" in rows[0]["says"]
    assert learn(capsys, "grade", tmp_path, "--memory", 0)[0] == 2


def test_sets_as_files_and_notebooks(tmp_path, capsys):
    pytest.importorskip("nbformat")
    import nbformat

    only = ("--only", "relu", "triplet", "--copies", 2, "--seed", 3)
    assert learn(capsys, "export", tmp_path / "plain", *only)[0] == 0
    texts = [f.read_text() for f in sorted((tmp_path / "plain").rglob("*triplet.py"))]
    assert len(texts) == 2 and texts[0] != texts[1]
    assert learn(capsys, "export", tmp_path / "books", *only, "--notebooks")[0] == 0
    for file in sorted((tmp_path / "books").rglob("*.ipynb")):
        book = nbformat.read(file, 4)
        nbformat.validate(book)
        code = [c.source for c in book.cells if c.cell_type == "code"]
        space: dict = {}
        for cell in code:
            exec(cell, space)
        assert space["found"].says == "It is not written yet."
    table = json.loads(file.read_text())
    table["cells"][1]["source"] = filled("triplet", 4)
    file.write_text(json.dumps(table))
    capsys.readouterr()
    out = learn(capsys, "grade", file.parent)[1]
    assert [r["verdict"] for r in csv.DictReader(io.StringIO(out))] == ["wrong", "right"]


def test_the_number_of_exercises_that_the_pages_tell():
    root = pathlib.Path(__file__).resolve().parent.parent
    told = re.findall(r"exercises: (\d+) ", (root / "README.md").read_text("utf-8"))
    told += re.findall(r"\d+ of (\d+) done", (root / "docs" / "learn.md").read_text("utf-8"))
    assert len(told) > 1 and {int(n) for n in told} == {len(PATH)}
