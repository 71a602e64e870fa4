"""Labelled text for fine-tuning: sentences and pairs, words with tags, questions with answers.

``load("cola")`` gives the parts of a well-known set, `read` one file of one's own.  What a
part holds is told by its class: `Sentences`, `Tagged` or `Questions`.
"""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from npssl.data import labelled_text, sets
from npssl.errors import FileError


@dataclass(frozen=True)
class Sentences:
    """Texts or pairs, and what is told of each.

    Parameters
    ----------
    texts : list of tuples of 1 or 2 str
    y : (n,) int64, numbers of classes, or float64, scores
    classes : tuple of str, or None for scores
    """

    texts: list[tuple[str, ...]]
    y: np.ndarray
    classes: tuple[str, ...] | None

    def __len__(self):
        return len(self.texts)

    def take(self, rows) -> Sentences:
        """Those of these numbers."""
        return replace(self, texts=[self.texts[n] for n in rows], y=self.y[rows])


@dataclass(frozen=True)
class Tagged:
    """Sentences as words, each with a tag: ``O``, or ``B-`` or ``I-`` and a type."""

    words: list[list[str]]
    tags: list[list[str]]

    def __len__(self):
        return len(self.words)

    def take(self, rows) -> Tagged:
        """Those of these numbers."""
        return Tagged([self.words[n] for n in rows], [self.tags[n] for n in rows])


class Question(NamedTuple):
    """A question on a passage; each answer is a text and where in the passage it begins."""

    id: str
    question: str
    passage: str
    answers: tuple[tuple[str, int], ...]  # none: the passage does not say


@dataclass(frozen=True)
class Questions:
    """Questions whose answers are pieces of passages."""

    rows: list[Question]

    def __len__(self):
        return len(self.rows)

    def take(self, rows) -> Questions:
        """Those of these numbers."""
        return Questions([self.rows[n] for n in rows])


Data = Sentences | Tagged | Questions


def load(task: str, folder=None) -> dict[str, Data]:
    """The parts ``train``, ``dev`` and, where there is one, ``test`` of a well-known set.

    Parameters
    ----------
    task : str         one of `TASKS`
    folder : path      of data sets, instead of the usual ones; see `npssl.data.sets.path`

    Notes
    -----
    ``test`` of CoLA is its out-of-domain dev part.  TREC's dev part is taken out of its
    training part, see `npssl.data.labelled_text.load`.  ``squad-mini`` trains on the
    answerable questions of five articles; every other article of XQuAD's English part is
    dev, the rest test, without those five.
    """
    if task not in TASKS:
        raise ValueError(f"task: expected one of {', '.join(TASKS)}, found {task!r}")
    if task in labelled_text.TASKS:
        return {
            part: Sentences([(" ".join(t),) for t in found.texts], found.labels, found.classes)
            for part, found in labelled_text.load(task, folder).items()
        }
    if task == "squad-mini":
        return _squad_mini(folder)
    reader, files = _FILES[task]
    return {part: reader(sets.path(file, folder)) for part, file in files.items()}


def read(path, *, classes: tuple[str, ...] | None = None) -> Data:
    """One file of one's own.

    - ``.tsv``: a header, ``sentence TAB label`` or ``sentence1 TAB sentence2 TAB label``, and
      a line for each text; ``score`` in place of ``label`` says that it is a number;
    - ``.conll``: ``word TAB tag`` a line, and an empty line between sentences;
    - ``.json``: questions as SQuAD has them.

    Each of them plain or with ``.xz``, ``.gz`` or ``.bz2`` behind.

    Parameters
    ----------
    path : path
    classes : tuple of str, optional
        Those of the training part, so that numbers agree; else those found, sorted.
    """
    path = Path(path)
    kind = (path.with_suffix("") if path.suffix in sets.OPENERS and path.suffix else path).suffix
    if kind == ".tsv":
        return read_tsv(path, classes=classes)
    if kind == ".conll":
        return read_conll(path)
    if kind == ".json":
        return read_squad(path)
    raise ValueError(f"path: expected a name in .tsv, .conll or .json, found {path.name!r}")


def read_tsv(path, *, classes: tuple[str, ...] | None = None) -> Sentences:
    """Texts or pairs with labels or scores, as in `read`."""
    lines = _text(path).split("\n")
    header = lines[0].split("\t")
    if header[:-1] not in (["sentence"], ["sentence1", "sentence2"]) or (
        header[-1] not in ("label", "score")
    ):
        raise FileError(
            path,
            "expected the header 'sentence TAB label' or 'sentence1 TAB sentence2 TAB label', "
            f"or 'score' in place of 'label', found {lines[0][:60]!r}",
            place="line 1",
        )
    texts: list[tuple[str, ...]] = []
    found: list = []
    for number, line in enumerate(lines[1:], 2):
        *text, last = line.split("\t")
        if len(text) != len(header) - 1:
            message = f"expected {len(header)} columns, found {len(text) + 1}"
            raise FileError(path, message, place=_line(number))
        if not last:
            raise FileError(path, f"expected a {header[-1]}, found none", place=_line(number))
        texts.append(tuple(text))
        found.append(last if header[-1] == "label" else _score(path, last, number))
    return _sentences(path, texts, found, classes)


def read_cola(path) -> Sentences:
    """CoLA: source, label 0 or 1, the author's mark, sentence; no header."""
    texts: list[tuple[str, ...]] = []
    labels: list[int] = []
    for number, line in enumerate(_text(path).split("\n"), 1):
        columns = line.split("\t")
        if len(columns) != 4 or columns[1] not in ("0", "1"):
            raise FileError(
                path, f"expected 4 columns, the second 0 or 1, found {columns}", place=_line(number)
            )
        texts.append((columns[3],))
        labels.append(int(columns[1]))
    return Sentences(texts, np.array(labels, np.int64), ("unacceptable", "acceptable"))


def read_stsb(path) -> Sentences:
    """STS benchmark: CSV of two sentences and a score from 0 to 5; no header."""
    texts: list[tuple[str, ...]] = []
    scores: list[float] = []
    for number, row in enumerate(csv.reader(io.StringIO(_text(path), newline="")), 1):
        if len(row) != 3:
            raise FileError(path, f"expected 3 columns, found {len(row)}", place=_line(number))
        score = _score(path, row[2], number)
        if not 0 <= score <= 5:
            raise FileError(path, f"expected 0 to 5, found {score}", place=_line(number))
        texts.append((row[0], row[1]))
        scores.append(score)
    return Sentences(texts, np.array(scores, np.float64), None)


def read_conll(path) -> Tagged:
    """Words with tags: ``word TAB tag`` a line, an empty line between sentences."""
    words: list[list[str]] = [[]]
    tags: list[list[str]] = [[]]
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line.strip():
            if words[-1]:
                words.append([])
                tags.append([])
            continue
        word, _, tag = line.partition("\t")
        if not word or not (tag == "O" or (tag[:2] in ("B-", "I-") and tag[2:])):
            raise FileError(
                path,
                f"expected 'word TAB tag' with a tag O, B-type or I-type, found {line[:60]!r}",
                place=_line(number),
            )
        words[-1].append(word)
        tags[-1].append(tag)
    if not words[-1]:
        words.pop()
        tags.pop()
    if not words:
        raise FileError(path, "holds no sentences")
    return Tagged(words, tags)


def read_squad(path) -> Questions:
    """SQuAD's JSON, 1.1 or 2.0: articles of paragraphs with questions."""
    return Questions([q for _, rows in _articles(path) for q in rows])


def _articles(path) -> list[tuple[str, list[Question]]]:
    """The questions of each article, and its title."""
    try:
        whole = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise FileError(path, f"is not JSON ({error})") from None
    articles: list[tuple[str, list[Question]]] = []
    place = "data"
    try:
        for n, article in enumerate(whole["data"]):
            rows: list[Question] = []
            place = f"article {n + 1}"
            for paragraph in article["paragraphs"]:
                for asked in paragraph["qas"]:
                    place = f"question {asked['id']!r}"
                    question, passage = asked["question"], paragraph["context"]
                    for text in (question, passage):
                        if not isinstance(text, str):
                            raise TypeError(f"expected a text, found {text!r}")
                    answers = tuple((a["text"], a["answer_start"]) for a in asked["answers"])
                    for text, start in answers:
                        if not text or start < 0 or passage[start : start + len(text)] != text:
                            raise FileError(
                                path,
                                f"expected the answer {text!r} in the passage at {start}, found "
                                f"{passage[max(start, 0) :][: len(text)]!r}",
                                place=place,
                            )
                    rows.append(Question(str(asked["id"]), question, passage, answers))
            articles.append((str(article.get("title", n)), rows))
    except (KeyError, TypeError, AttributeError) as error:
        message = f"is not as in SQuAD ({type(error).__name__}: {error})"
        raise FileError(path, message, place=place) from None
    if not any(rows for _, rows in articles):
        raise FileError(path, "holds no questions")
    return articles


def _squad_mini(folder):
    train = _articles(sets.path("squad-mini/squad2-dev-5articles.json", folder))
    seen = {title for title, _ in train}
    others = [rows for title, rows in _articles(sets.path("xquad/en", folder)) if title not in seen]
    return {
        "train": Questions([q for _, rows in train for q in rows if q.answers]),
        "dev": Questions([q for rows in others[::2] for q in rows]),
        "test": Questions([q for rows in others[1::2] for q in rows]),
    }


_FILES: dict = {
    "cola": (read_cola, {"train": "cola/train", "dev": "cola/dev", "test": "cola/dev-out"}),
    "stsb": (read_stsb, {part: f"stsb/{part}" for part in ("train", "dev", "test")}),
    "wnut17": (read_conll, {part: f"wnut17/{part}" for part in ("train", "dev", "test")}),
    "squad": (read_squad, {part: f"squad/{part}" for part in ("train", "dev")}),
}
TASKS = (*labelled_text.TASKS, *_FILES, "squad-mini")


def _text(path) -> str:
    try:
        with sets.open_any(path) as file:
            text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(path, "is not UTF-8", place=f"byte {error.start}") from None
    text = text.replace("\r\n", "\n").removesuffix("\n")
    if not text:
        raise FileError(path, "is empty")
    return text


def _line(number):
    return f"line {number}"


def _score(path, text, number) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise FileError(path, f"expected a number, found {text!r}", place=_line(number))
    return score


def _sentences(path, texts, found, classes) -> Sentences:
    """Labels as numbers of classes, scores as they are; the first is on line 2."""
    if not texts:
        raise FileError(path, "holds no sentences")
    if isinstance(found[0], float):
        return Sentences(texts, np.array(found, np.float64), None)
    classes = classes or tuple(sorted(set(found)))
    number_of = {name: number for number, name in enumerate(classes)}
    for number, name in enumerate(found, 2):
        if name not in number_of:
            known = ", ".join(classes[:10])
            raise FileError(
                path, f"expected one of the classes {known}, found {name!r}", place=_line(number)
            )
    return Sentences(texts, np.array([number_of[name] for name in found], np.int64), classes)
