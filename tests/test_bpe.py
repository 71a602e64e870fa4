"""Byte-level pairs equal the reference encodings and the tokenizers package."""

import json
import lzma

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npssl.data.bpe import BytePairs, letters
from npssl.errors import FileError

SMALL = BytePairs([("t", "h"), ("th", "e"), ("Ġ", "the"), ("Ã", "©")])


@pytest.fixture
def files(shared_data, tmp_path):
    for name in ("encoder.json", "vocab.bpe"):
        packed = shared_data("gpt2-bpe") / f"{name}.xz"
        (tmp_path / name).write_bytes(lzma.decompress(packed.read_bytes()))
    return tmp_path / "encoder.json", tmp_path / "vocab.bpe"


def test_reference_encodings(files, shared_data):
    pairs = BytePairs.read(*files)
    assert (len(pairs), pairs.end_id) == (50257, 50256)
    cases = json.loads((shared_data("gpt2-bpe") / "reference.json").read_text("utf-8"))
    assert len(cases) == 15
    for case in cases:
        assert pairs.encode(case["text"]).tolist() == case["ids"]


@given(st.text())
def test_every_text_comes_back(text):
    assert SMALL.decode(SMALL.encode(text)) == text
    flat, offsets = SMALL.encode_many([text, "", text])
    assert np.array_equal(flat[offsets[2] :], SMALL.encode(text))


def test_pairs_are_joined_in_the_order_learnt():
    assert SMALL.pieces("the the th é") == ["the", "Ġthe", "Ġ", "th", "Ġ", "Ã©"]
    assert len(set(letters())) == 256


def test_files_and_faults(tmp_path):
    SMALL.save(tmp_path)
    vocabulary, merges = tmp_path / "vocab.json", tmp_path / "merges.txt"
    again = BytePairs.read(vocabulary, merges)
    assert (again.merges, again.ids) == (SMALL.merges, SMALL.ids)
    whole = merges.read_bytes()
    for content, place in (
        (whole + b"a b c\n", "line 6"),
        (whole + b"z q\n", "zq"),
        (whole + b"t h\n", "distinct"),
        (b"\xff", "byte 0"),
    ):
        merges.write_bytes(content)
        with pytest.raises(FileError, match=place):
            BytePairs.read(vocabulary, merges)
    merges.write_bytes(whole)
    for content, place in ((b"{", "not JSON"), (b"[1]", "JSON object"), (b'{"a": 0}', "id for")):
        vocabulary.write_bytes(content)
        with pytest.raises(FileError, match=place):
            BytePairs.read(vocabulary, merges)
    with pytest.raises(FileError, match="no such file"):
        BytePairs.read(tmp_path / "nowhere", merges)
