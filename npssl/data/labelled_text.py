"""Labelled sentences for classification: SST-2 (sentiment) and TREC (questions).

Both come tokenised, with blanks between the tokens; they are read as they are.
"""

from typing import NamedTuple

import numpy as np

from npssl.data import sets
from npssl.errors import FileError

TREC_DEV = 500  # questions held out of TREC's training part, which has no dev part of its own


class Labelled(NamedTuple):
    """Texts and what they are: ``classes[labels[n]]`` is the class of ``texts[n]``."""

    texts: list[list[str]]
    labels: np.ndarray
    classes: tuple[str, ...]


def load(task: str, folder=None) -> dict[str, Labelled]:
    """The parts ``train``, ``dev`` and ``test`` of ``"sst2"``, ``"trec"`` or ``"trec-50"``.

    Parameters
    ----------
    task : str
    folder : path, optional
        The folder of data sets; see `npssl.data.sets.path`.

    TREC has no dev part: 500 of its 5,452 training questions, the same ones always,
    are taken for it.
    """
    if task == "sst2":
        return {part: read_sst2(sets.path(f"sst2/{part}", folder)) for part in TASKS["sst2"]}
    if task not in TASKS:
        raise ValueError(f"task: expected one of {', '.join(TASKS)}, found {task!r}")
    fine = task == "trec-50"
    every = read_trec(sets.path("trec/train", folder), fine=fine)
    test = read_trec(sets.path("trec/test", folder), fine=fine, classes=every.classes)
    order = np.random.default_rng(0).permutation(len(every.texts))
    train, dev = (_take(every, np.sort(rows)) for rows in np.split(order, [-TREC_DEV]))
    return {"train": train, "dev": dev, "test": test}


TASKS = {name: ("train", "dev", "test") for name in ("sst2", "trec", "trec-50")}


def read_sst2(path) -> Labelled:
    """SST-2 in GLUE form: a header, then ``sentence TAB label`` with label 0 or 1.

    Raises
    ------
    FileError
        Also for GLUE's own test part, which comes without labels.
    """
    rows = _lines(path, "utf-8")
    if not rows or rows[0].split("\t") != ["sentence", "label"]:
        raise FileError(path, "expected the header 'sentence TAB label'", place="line 1")
    texts, labels = [], []
    for number, row in enumerate(rows[1:], 2):
        sentence, _, label = row.rpartition("\t")
        if label not in ("0", "1"):
            raise FileError(path, f"expected 0 or 1, found {label!r}", place=f"line {number}")
        texts.append(sentence.split())
        labels.append(int(label))
    return _labelled(path, texts, labels, ("negative", "positive"))


def read_trec(path, *, fine: bool = False, classes: tuple[str, ...] | None = None) -> Labelled:
    """TREC questions: ``COARSE:fine question`` a line, in latin-1.

    Parameters
    ----------
    path : path
    fine : bool
        The 50 fine classes instead of the 6 coarse ones.
    classes : tuple of str, optional
        Those of the training part, so that numbers agree; else those found, sorted.
    """
    texts, names = [], []
    for number, row in enumerate(_lines(path, "latin-1"), 1):
        label, _, question = row.partition(" ")
        coarse, colon, rest = label.partition(":")
        if not (coarse and colon and rest):
            raise FileError(
                path, f"expected 'COARSE:fine question', found {row[:40]!r}", place=f"line {number}"
            )
        if classes and (label if fine else coarse) not in classes:
            raise FileError(path, f"unknown class {label!r}", place=f"line {number}")
        texts.append(question.split())
        names.append(label if fine else coarse)
    classes = classes or tuple(sorted(set(names)))
    number_of = {name: number for number, name in enumerate(classes)}
    return _labelled(path, texts, [number_of[name] for name in names], classes)


def _lines(path, encoding) -> list[str]:
    try:
        with sets.open_any(path) as file:
            text = file.read().decode(encoding)
    except UnicodeDecodeError as error:
        raise FileError(path, f"not {encoding} ({error.reason} at byte {error.start})") from None
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []


def _labelled(path, texts, labels, classes):
    if not texts:
        raise FileError(path, "holds no sentences")
    return Labelled(texts, np.array(labels, np.int64), classes)


def _take(data, rows):
    return Labelled([data.texts[n] for n in rows], data.labels[rows], data.classes)
