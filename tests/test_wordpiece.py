"""WordPiece equals the reference encodings and the tokenizers package."""

import json
import lzma

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npssl.data.wordpiece import SPECIALS, WordPiece
from npssl.errors import FileError

SMALL = WordPiece([*SPECIALS, "a", "b", "##b", "##c", "ab", "!", "é"])


@pytest.fixture
def vocabulary(shared_data, tmp_path):
    packed = shared_data("bert-vocab") / "vocab.txt.xz"
    path = tmp_path / "vocab.txt"
    path.write_bytes(lzma.decompress(packed.read_bytes()))
    return path


def test_reference_encodings(vocabulary, shared_data):
    words = WordPiece.read(vocabulary)
    cases = json.loads((shared_data("bert-vocab") / "reference.json").read_text("utf-8"))
    cases = cases["cases"] if isinstance(cases, dict) else cases
    assert len(cases) == 15
    for case in cases:
        ids, segments = words.encode_pair(case["text"])
        assert ids.tolist() == case["ids"]
        assert not segments.any()


@given(st.text())
def test_every_text_has_ids_and_chunks_may_be_joined(text):
    assert SMALL.encode(text).dtype == np.int32
    ids, offsets = SMALL.encode_with_offsets(text)
    assert np.array_equal(ids, SMALL.encode(text)) and offsets.shape == (len(ids), 2)
    assert (offsets[:, 0] < offsets[:, 1]).all() and (np.diff(offsets, axis=0) >= 0).all()
    assert SMALL.encode(text + " ab").tolist() == [*SMALL.encode(text), SMALL.ids["ab"]]


def test_framing_and_truncation():
    ids, segments = SMALL.encode_pair("a a a a", "b", longest=6)
    assert SMALL.decode(ids) == "[CLS] a a [SEP] b [SEP]"
    assert segments.tolist() == [0, 0, 0, 0, 1, 1]
    with pytest.raises(ValueError, match="longest"):
        SMALL.encode_pair("a", "b", longest=2)
    with pytest.raises(ValueError, match=r"\[CLS\]"):
        WordPiece(["[UNK]"]).encode_pair("a")


def test_offsets_where_the_text_changes_its_length():
    words = WordPiece([*SPECIALS, "caf", "##e", "x", "中", "ᄒ", "##ᅡ"])
    for text, expected in (
        ("CAFÉ x", ["CAF", "É", "x"]),
        ("cafe\u0301x", ["cafe\u0301x"]),  # unknown
        ("cafe\u0301 x", ["caf", "e", "x"]),
        (" c\u200baf\x00e", ["c\u200baf", "e"]),
        ("x中[MASK]\t[mask]", ["x", "中", "[MASK]", "[", "mask", "]"]),
        ("\ud558", ["\ud558", "\ud558"]),  # one syllable, two letters
    ):
        ids, offsets = words.encode_with_offsets(text)
        assert [text[start:stop] for start, stop in offsets] == expected
        assert ids.tolist() == words.encode(text).tolist()


def test_specials_that_the_vocabulary_lacks_are_text():
    words = WordPiece(["?", "[", "]", "mask"], unknown="?")
    for text in ("[MASK]", "[MASK] [PAD]"):
        assert words.pieces(text) == ["[", "mask", "]", "[", "?", "]"][: 3 * text.count("[")]
        assert np.array_equal(words.encode_with_offsets(text)[0], words.encode(text))


def test_words_and_texts():
    ids, which = SMALL.encode_words(["ab", "", "abbc", "!a"])
    assert SMALL.decode(ids) == "ab [UNK] abbc ! a"
    assert which.tolist() == [0, 1, 2, 2, 2, 3, 3]
    flat, offsets = SMALL.encode_many(["a b", "", "zz"])
    assert flat.tolist() == [5, 6, SMALL.unk_id]
    assert offsets.tolist() == [0, 2, 2, 3]


def test_files_and_faults(tmp_path):
    path = tmp_path / "vocab.txt"
    SMALL.save(path)
    assert WordPiece.read(path).tokens == SMALL.tokens
    for content, place in (
        (b"[UNK]\n\na\n", "line 2"),
        (b"[UNK]\na\na\n", "line 3"),
        (b"a\xff\n", "byte 1"),
        (b"a\n", "unknown token"),
    ):
        path.write_bytes(content)
        with pytest.raises(FileError, match=place):
            WordPiece.read(path)
    with pytest.raises(FileError, match="no such file"):
        WordPiece.read(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="distinct"):
        WordPiece(["[UNK]", "a", "a"])
