"""Labelled text: what is read, and what is refused."""

import json

import numpy as np
import pytest

from npssl.data.labelled import (
    Questions,
    Sentences,
    Tagged,
    load,
    read,
    read_cola,
    read_stsb,
)
from npssl.errors import FileError

SIZES = {
    "sst2": (67_349, 872, 1_821),
    "trec": (4_952, 500, 500),
    "cola": (8_551, 527, 516),
    "stsb": (5_749, 1_500, 1_379),
    "wnut17": (3_394, 1_009, 1_287),
    "squad-mini": (705, 579, 511),
}


def squad(**changes):
    """A small SQuAD file; changes are to its only question."""
    asked = {"id": "q1", "question": "Who?", "answers": [{"text": "Ann", "answer_start": 4}]}
    paragraph = {"context": "Now Ann sings.", "qas": [{**asked, **changes}]}
    return json.dumps({"data": [{"title": "Ann", "paragraphs": [paragraph]}]})


def write(folder, name, text):
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / name


@pytest.mark.parametrize("task", SIZES)
def test_the_real_sets(task, shared_data):
    folder = shared_data(task).parent
    parts = load(task, folder)
    assert tuple(map(len, parts.values())) == SIZES[task]
    train = parts["train"]
    if task == "stsb":
        assert train.classes is None and (train.y.min(), train.y.max()) == (0, 5)
    if task == "cola":
        assert parts["dev"].texts[0] == ("The sailors rode the breeze clear of the rocks.",)
    if task == "wnut17":
        names = {tag[2:] for tags in train.tags for tag in tags}
        assert len(names) == 7 and parts["dev"].words[0][0] == "Stabilized"
    if task == "squad-mini":
        passages = [{q.passage for q in part.rows} for part in parts.values()]
        assert not passages[1] & passages[2] and not passages[0] & (passages[1] | passages[2])


def test_own_files(tmp_path):
    plain = read(write(tmp_path, "a.tsv", "sentence\tlabel\nIt is.\tyes\nNo\tno\n\tyes\n"))
    assert plain.texts == [("It is.",), ("No",), ("",)] and plain.classes == ("no", "yes")
    assert plain.y.tolist() == [1, 0, 1] and plain.take([1]).texts == [("No",)]
    pairs = "sentence1\tsentence2\tscore\r\na\tb\t1.5\r\n"
    scored = read(write(tmp_path, "b.tsv", pairs))
    assert scored.texts == [("a", "b")] and scored.classes is None and scored.y.tolist() == [1.5]
    tagged = read(write(tmp_path, "c.conll", "\nAnn\tB-person\nsings\tO\n\n\nso\tO\n\n"))
    assert tagged.words == [["Ann", "sings"], ["so"]] and tagged.tags[0] == ["B-person", "O"]
    asked = read(write(tmp_path, "d.json", squad()))
    assert asked.rows[0].answers == (("Ann", 4),) and asked.take([0]) == asked
    assert [type(d) for d in (plain, tagged, asked)] == [Sentences, Tagged, Questions]


def test_numbers_of_classes_agree_between_parts(tmp_path):
    dev = read(write(tmp_path, "a.tsv", "sentence\tlabel\nx\tc\n"), classes=("a", "b", "c"))
    assert dev.y.tolist() == [2]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.tsv", "", "is empty"),
        ("a.tsv", "sentence\tlabel\n", "no sentences"),
        ("a.tsv", "text\tlabel\nx\ty\n", "line 1: expected the header"),
        ("a.tsv", "sentence\tlabel\nx\ty\nz\n", "line 3: expected 2 columns, found 1"),
        ("a.tsv", "sentence\tlabel\nx\td\n", "line 2: expected one of the classes a, b, found 'd'"),
        ("a.tsv", "sentence\tlabel\nx\t\n", "line 2: expected a label, found none"),
        ("a.tsv", "sentence\tscore\nx\tnan\n", "line 2: expected a number, found 'nan'"),
        ("a.tsv", b"sentence\tlabel\n\xff\ta\n", "not UTF-8"),
        ("a.conll", "Ann\n", "line 1: expected 'word TAB tag'"),
        ("a.conll", "Ann\tO\nBo\tperson\n", "line 2: .*found 'Bo"),
        ("a.conll", "Ann\tB-\n", "line 1"),
        ("a.conll", "\n\n", "no sentences"),
        ("a.json", "{", "not JSON"),
        ("a.json", "[]", "not as in SQuAD"),
        ("a.json", '{"data": []}', "no questions"),
        ("a.json", squad(answers=[{"text": "Ann", "answer_start": 5}]), "q1.*found 'nn '"),
        ("a.json", squad(answers=[{"text": "Ann", "answer_start": 40}]), "q1.*found ''"),
        ("a.json", squad(answers=[{"text": "", "answer_start": 0}]), "q1"),
        ("a.json", squad(question=5), "q1.*expected a text, found 5"),
        ("a.json", squad(answers=[{"text": "Ann"}]), "q1.*answer_start"),
        ("a.json", squad(answers=[{"text": "Ann", "answer_start": "4"}]), "q1.*TypeError"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path, name, text, said):
    with pytest.raises(FileError, match=f"(?s){said}"):
        read(write(tmp_path, name, text), **({"classes": ("a", "b")} if name == "a.tsv" else {}))


def test_what_is_wrong_in_published_forms(tmp_path):
    with pytest.raises(FileError, match="line 2: expected 4 columns"):
        read_cola(write(tmp_path, "a", "gj04\t1\t\tx\ngj04\t2\t*\ty\n"))
    with pytest.raises(FileError, match="line 1: expected 0 to 5, found 6"):
        read_stsb(write(tmp_path, "a", "a,b,6\n"))
    with pytest.raises(FileError, match="line 2: expected 3 columns"):
        read_stsb(write(tmp_path, "a", '"a, a",b,5\na,b\n'))


def test_names(tmp_path):
    with pytest.raises(ValueError, match="expected one of sst2, "):
        load("mnli")
    with pytest.raises(ValueError, match="expected a name in .tsv"):
        read(tmp_path / "a.csv")
    with pytest.raises(FileError, match="no such file"):
        read(tmp_path / "a.tsv.xz")


def test_scores_are_float_and_classes_int(tmp_path):
    for head, kind in (("label", np.int64), ("score", np.float64)):
        assert read(write(tmp_path, "a.tsv", f"sentence\t{head}\nx\t1\n")).y.dtype == kind
