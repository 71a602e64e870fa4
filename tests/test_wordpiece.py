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


def strange(rng, n):
    """Strings of letters, marks, ideographs, blanks, controls, emoji and special tokens."""
    letters = [chr(c) for low, high in RANGES for c in range(low, high)]
    letters.remove("\u061d")  # punctuation since Unicode 14: their table is older
    letters += ["[MASK]", "[SEP]", "[mask]", " the ", "ing ", "x" * 101, "İ", "ΑΣ ", "\U0001f600"]
    for _ in range(n):
        yield "".join(letters[i] for i in rng.integers(0, len(letters), rng.integers(0, 12)))


RANGES = [(32, 127)] * 3 + [(0, 32), (127, 0x250), (0x300, 0x370), (0x370, 0x460), (0x5D0, 0x6D0)]
RANGES += [(0x900, 0x980), (0x2000, 0x2070), (0x3000, 0x3100), (0x4E00, 0x4E80), (0xAC00, 0xAC40)]
RANGES += [(0xE000, 0xE004), (0xFB00, 0xFB07), (0xFE30, 0xFE70), (0xFFF0, 0xFFFE)]


def test_equals_tokenizers(vocabulary, shared_data):
    tokenizers = pytest.importorskip("tokenizers", reason="needs the package tokenizers")
    theirs = tokenizers.BertWordPieceTokenizer(str(vocabulary), lowercase=True)
    ours = WordPiece.read(vocabulary)
    texts = list(strange(np.random.default_rng(0), 5000))
    with lzma.open(shared_data("enwiki-2018") / "enwiki.txt.xz", "rt", encoding="utf-8") as file:
        texts += [line for line, _ in zip(file, range(2000))]
    for text, other in zip(texts, theirs.encode_batch(texts, add_special_tokens=False)):
        assert ours.encode(text).tolist() == other.ids, repr(text)


@given(st.text())
def test_every_text_has_ids_and_chunks_may_be_joined(text):
    assert SMALL.encode(text).dtype == np.int32
    assert SMALL.encode(text + " ab").tolist() == [*SMALL.encode(text), SMALL.ids["ab"]]


def test_framing_and_truncation():
    ids, segments = SMALL.encode_pair("a a a a", "b", longest=6)
    assert SMALL.decode(ids) == "[CLS] a a [SEP] b [SEP]"
    assert segments.tolist() == [0, 0, 0, 0, 1, 1]
    with pytest.raises(ValueError, match="longest"):
        SMALL.encode_pair("a", "b", longest=2)
    with pytest.raises(ValueError, match=r"\[CLS\]"):
        WordPiece(["[UNK]"]).encode_pair("a")


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
