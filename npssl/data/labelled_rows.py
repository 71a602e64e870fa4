"""Labelled texts as rows of ids, framed as BERT and GPT read them, and batches of rows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from npssl.data.labelled import Questions, Sentences, Tagged
from npssl.data.tokenizer import Tokenizer
from npssl.data.wordpiece import WordPiece

QUESTION = 64  # pieces of a question that are read, as in the published code of BERT


@dataclass
class Rows:
    """Texts as rows of ids.

    Parameters
    ----------
    ids, segments : list of a list of (T_n,) int32     a list for each side: two where the texts
                                                       of a pair stand apart, else one
    y : what is asked of each row: (n,), (n, 2), or a list of (T_n,)
    of : (n,) int64          the example that a row belongs to
    places : list            of a passage: where in it each piece of the row stands, (T_n, 2)
    """

    ids: list[list[np.ndarray]]
    segments: list[list[np.ndarray]]
    y: np.ndarray | list[np.ndarray]
    of: np.ndarray
    places: list[np.ndarray] = field(default_factory=list)

    def __len__(self):
        return len(self.of)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row, of both sides together, (n,)."""
        return np.array([[len(a) for a in side] for side in self.ids], np.int64).sum(0)

    def batch(self, which):
        """``(x, y)`` of these rows, as the tasks take them: x is ids, segments and mask."""
        x = []
        for ids, segments in zip(self.ids, self.segments):
            mask = padded([np.ones(len(ids[n]), np.int32) for n in which], 0) == 1
            x.append((padded([ids[n] for n in which]), padded([segments[n] for n in which]), mask))
        if isinstance(self.y, list):
            return x[0], padded([self.y[n] for n in which], -1)
        return x[0] if len(x) == 1 else tuple(x), self.y[which]


def padded(rows, fill: int = 0) -> np.ndarray:
    """Rows of ids beside each other, (B, longest) int32.

    >>> padded([np.array([5, 6]), np.array([7])]).tolist()
    [[5, 6], [7, 0]]
    """
    out = np.full((len(rows), max(map(len, rows), default=0)), fill, np.int32)
    for into, row in zip(out, rows):
        into[: len(row)] = row
    return out


def sentences(data: Sentences, words: WordPiece, *, longest: int, apart: bool = False) -> Rows:
    """``[CLS] a [SEP]`` or ``[CLS] a [SEP] b [SEP]``; ``apart``: both of a pair for itself."""
    if apart and any(len(text) != 2 for text in data.texts):
        raise ValueError("texts must be pairs to be compared, found a single text")
    sides = [[(text[i],) for text in data.texts] for i in (0, 1)] if apart else [data.texts]
    rows = [[words.encode_pair(*text, longest=longest) for text in side] for side in sides]
    return Rows(
        [[ids for ids, _ in side] for side in rows],
        [[segments for _, segments in side] for side in rows],
        data.y,
        np.arange(len(data)),
    )


def prompts(data: Sentences, words: Tokenizer, *, longest: int) -> Rows:
    """GPT's frames: start, text, extract; or start, a, delimiter, b, extract.

    The three have the ids that follow those of the vocabulary.
    """
    start, delimiter, extract = (len(words) + n for n in range(3))
    rows = []
    if longest < 4:
        raise ValueError(f"longest must be at least 4, found {longest}")
    for text in data.texts:
        parts = [words.encode(t).tolist() for t in text]
        while sum(map(len, parts)) > longest - 1 - len(parts):
            max(reversed(parts), key=len).pop()
        framed = [start, *parts[0]]
        for part in parts[1:]:
            framed += [delimiter, *part]
        rows.append(np.array([*framed, extract], np.int32))
    segments = [np.zeros(len(ids), np.int32) for ids in rows]
    return Rows([rows], [segments], data.y, np.arange(len(data)))


def tagged(data: Tagged, words: WordPiece, *, longest: int, tags: tuple[str, ...]) -> Rows:
    """``[CLS] pieces [SEP]``, and y: the tag of a word at its first piece, -1 elsewhere.

    Words beyond ``longest`` pieces have no tag asked.

    Raises
    ------
    ValueError
        if a tag is none of ``tags``, or there are not as many as words.
    """
    number_of = {tag: n for n, tag in enumerate(tags)}
    rows: list[np.ndarray] = []
    asked: list[np.ndarray] = []
    for n, (sentence, names) in enumerate(zip(data.words, data.tags)):
        if len(sentence) != len(names):
            raise ValueError(
                f"tags: expected {len(sentence)} in sentence {n}, one a word, found {len(names)}"
            )
        for name in names:
            if name not in number_of:
                raise ValueError(
                    f"tags: expected one of {', '.join(tags)}, found {name!r} in sentence {n}"
                )
        pieces, which = words.encode_words(sentence)
        pieces, which = pieces[: longest - 2], which[: longest - 2]
        y = np.full(len(pieces) + 2, -1, np.int32)
        first = np.flatnonzero(np.diff(which, prepend=-1))
        y[1 + first] = [number_of[names[w]] for w in which[first]]
        rows.append(np.array([words.cls_id, *pieces, words.sep_id], np.int32))
        asked.append(y)
    return Rows([rows], [[np.zeros_like(ids) for ids in rows]], asked, np.arange(len(data)))


def questions(
    data: Questions, words: WordPiece, *, longest: int, stride: int, outside: str
) -> Rows:
    """``[CLS] question [SEP] passage [SEP]``; a long passage is read in windows.

    Parameters
    ----------
    data : Questions
    words : WordPiece
    longest : int        tokens of a row
    stride : int         pieces from the beginning of a window to that of the next
    outside : str        a window without the answer is left out ("drop"), or its answer is
                         [CLS] ("cls"), as in the published code of BERT

    Returns
    -------
    Rows
        y : (n, 2), the first and last token of the first answer.

    Raises
    ------
    ValueError
        if an answer is not within its passage, or nothing is left of it in pieces.
    """
    if outside not in ("drop", "cls"):
        raise ValueError(f"outside must be 'drop' or 'cls', found {outside!r}")
    if stride < 1:
        raise ValueError(f"stride must be at least 1, found {stride}")
    rows: list[np.ndarray] = []
    segments, asked, of, places = [], [], [], []
    for n, q in enumerate(data.rows):
        head = np.array([words.cls_id, *words.encode(q.question)[:QUESTION], words.sep_id])
        room = longest - len(head) - 1
        if room < 1:
            raise ValueError(f"longest must leave room for the passage, found {longest}")
        ids, where = words.encode_with_offsets(q.passage)
        span = _pieces(q, where) if q.answers else None
        step = min(stride, room)
        for start in range(0, max(1, len(ids) - room + step), step):
            part = ids[start : start + room]
            inside = span and start <= span[0] and span[1] < start + len(part)
            if not inside and outside == "drop":
                continue
            shift = len(head) - start
            rows.append(np.concatenate([head, part, [words.sep_id]]).astype(np.int32))
            segments.append((np.arange(len(rows[-1])) >= len(head)).astype(np.int32))
            asked.append((span[0] + shift, span[1] + shift) if span and inside else (0, 0))
            of.append(n)
            place = np.zeros((len(rows[-1]), 2), np.int64)
            place[len(head) : -1] = where[start : start + room]
            places.append(place)
    y = np.array(asked, np.int64).reshape(-1, 2)
    return Rows([rows], [segments], y, np.array(of, np.int64), places)


def _pieces(q, where) -> tuple[int, int]:
    """The first and last piece that share a sign with the first answer."""
    text, start = q.answers[0]
    stop = start + len(text)
    if not text or not 0 <= start < stop <= len(q.passage):
        raise ValueError(
            f"answers: expected a span within the {len(q.passage)} signs of the passage of "
            f"question {q.id!r}, found {start} to {stop}"
        )
    touched = np.flatnonzero((where[:, 1] > start) & (where[:, 0] < stop))
    if not len(touched):
        raise ValueError(f"answers: nothing of {text!r} is left in pieces in question {q.id!r}")
    return int(touched[0]), int(touched[-1])
