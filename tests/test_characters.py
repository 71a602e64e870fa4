"""Characters come back from their ids; strange ones and broken files are told."""

import lzma

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npssl.data.characters import Characters
from npssl.errors import FileError

ANY = st.text(st.characters(), min_size=1)  # lone surrogates too


@given(ANY, ANY)
def test_every_text_comes_back_and_the_rest_is_unknown(text, other):
    letters = Characters(text)
    assert letters.tokens == sorted(set(text))
    assert letters.decode(letters.encode(text)) == text
    known = Characters([text, ""], unknown=True)
    expected = [known.tokens.index(c if c in {*text} else "\ufffd") for c in other]
    ids = known.encode(other)
    assert ids.dtype == np.int32 and ids.tolist() == expected
    flat, offsets = known.encode_many([other, "", text])
    assert flat[offsets[0] : offsets[1]].tolist() == expected
    assert known.decode(flat[offsets[2] :]) == text


def test_tiny_shakespeare(shared_data):
    file = next(shared_data("tinyshakespeare").glob("*.xz"))
    text = lzma.decompress(file.read_bytes()).decode()
    letters = Characters(text)
    ids = letters.encode(text)
    assert (len(letters), len(ids), letters.tokens[:3]) == (65, 1115394, ["\n", " ", "!"])
    assert letters.decode(ids) == text


def test_strange_characters_are_named():
    with pytest.raises(ValueError, match="'c' at place 2 is not one of the 2 known"):
        Characters("ab").encode("abc")
    with pytest.raises(ValueError, match="at least one"):
        Characters([])
    with pytest.raises(ValueError, match="found one string"):
        Characters("ab").encode_many("ab")


@given(ANY, st.booleans())
def test_files(tmp_path_factory, text, unknown):
    path = tmp_path_factory.getbasetemp() / "characters.json"
    letters = Characters(text, unknown=unknown)
    letters.save(path)
    again = Characters.read(path)
    assert (again.tokens, again.unk_id) == (letters.tokens, letters.unk_id)


def test_broken_files(tmp_path):
    path = tmp_path / "characters.json"
    for content in (b"[]", b'{"characters": ""}', b'{"characters": "ba"}', b'{"characters": "aa"}'):
        path.write_bytes(content)
        with pytest.raises(FileError, match="expected"):
            Characters.read(path)
    for content, message in ((b"{", "not JSON"), (b"\xff", "byte 0: is not UTF-8")):
        path.write_bytes(content)
        with pytest.raises(FileError, match=message):
            Characters.read(path)
    with pytest.raises(FileError, match="no such file"):
        Characters.read(tmp_path / "nowhere")
