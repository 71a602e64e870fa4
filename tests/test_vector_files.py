"""Files of word vectors: gensim's bytes both ways, and whatever else may be in a file."""

import gzip
import json
import lzma
import os
import struct
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from npssl.data.vector_files import FORMATS, read_table, read_vectors, write_vectors
from npssl.errors import FileError

WORDS = ["the", "naïve", "日本", "e\u0301", "a-b", "0.5", "7"]
VECTORS = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
VECTORS[0] = [0, -0.0, 1e-5]
VECTORS[1] = [16777216, 1e16, 3.4028235e38]
VECTORS[2] = [1e-45, 1 / 3, -1]
SUFFIX = {
    "word2vec-text": ".txt",
    "word2vec-binary": ".bin",
    "word2vec-c": ".bin",
    "glove": ".txt",
    "safetensors": ".safetensors",
}
PACKED = ("", ".gz", ".bz2", ".xz")


@pytest.fixture
def folder(tmp_path):
    return tmp_path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("vectors")


@pytest.fixture(scope="module")
def contents(place):
    """The bytes of the same vectors in each format."""
    found = {}
    for format in FORMATS:
        write_vectors(place / "whole", WORDS, VECTORS, format)
        found[format] = (place / "whole").read_bytes()
    return found


def same(found, words=WORDS, vectors=VECTORS):
    assert found[0] == list(words)
    assert found[1].dtype == np.float32
    np.testing.assert_array_equal(found[1], vectors)
    np.testing.assert_array_equal(np.signbit(found[1]), np.signbit(vectors))


# ---- both ways


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("format", FORMATS)
def test_round_trip(folder, format, packed):
    if format == "safetensors" and packed:
        pytest.skip("not packed")
    file = folder / f"v{SUFFIX[format]}{packed}"
    write_vectors(file, WORDS, VECTORS, format)
    same(read_vectors(file))
    same(read_vectors(file, format))
    same(read_vectors(file, limit=2), WORDS[:2], VECTORS[:2])
    same(read_vectors(file, limit=0), [], VECTORS[:0])
    before = file.read_bytes()
    assert packed != ".gz" or before[4:8] == bytes(4)  # no time in it
    write_vectors(file, WORDS, VECTORS, format)
    assert file.read_bytes() == before
    assert os.listdir(folder) == [file.name]


def gensim_vectors(words, vectors):
    keyed = pytest.importorskip("gensim.models").KeyedVectors(vectors.shape[1])
    keyed.add_vectors(words, vectors)
    return keyed


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("format", ["word2vec-text", "word2vec-binary", "glove"])
def test_the_same_bytes_as_gensim(folder, format, packed):
    options = {"binary": format == "word2vec-binary", "write_header": format != "glove"}
    theirs, ours = [folder / f"{who}{SUFFIX[format]}{packed}" for who in ("theirs", "ours")]
    gensim_vectors(WORDS, VECTORS).save_word2vec_format(theirs, **options)
    write_vectors(ours, WORDS, VECTORS, format)
    content = [
        gzip.decompress(f.read_bytes()) if packed else f.read_bytes() for f in (ours, theirs)
    ]
    assert content[0] == content[1]
    same(read_vectors(theirs))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    vectors=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=4),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    )
)
def test_all_numbers_as_gensim(place, vectors):
    words = WORDS[: len(vectors)]
    keyed = gensim_vectors(words, vectors)
    for binary in (False, True):
        file = place / "numbers"
        keyed.save_word2vec_format(file, binary=binary)
        theirs = file.read_bytes()
        format = "word2vec-binary" if binary else "word2vec-text"
        same(read_vectors(file, format), words, vectors)
        write_vectors(file, words, vectors, format)
        assert file.read_bytes() == theirs


def test_what_word2vec_c_wrote(folder, shared_data):
    gensim = pytest.importorskip("gensim.models").KeyedVectors
    for file in sorted(shared_data("word2vec-golden").glob("*.bin")):
        words, vectors = read_vectors(file)
        theirs = gensim.load_word2vec_format(file, binary=True)
        assert words == theirs.index_to_key and words[0] == "</s>"
        np.testing.assert_array_equal(vectors, theirs.vectors)
        write_vectors(folder / "again", words, vectors, "word2vec-c")
        assert (folder / "again").read_bytes() == file.read_bytes()


def test_safetensors_are_those_of_the_library(folder):
    library = pytest.importorskip("safetensors.numpy")
    file = folder / "v.safetensors"
    write_vectors(file, WORDS, VECTORS, counts=np.arange(7))
    found = library.load_file(file)
    np.testing.assert_array_equal(found["vectors"], VECTORS)
    np.testing.assert_array_equal(found["counts"], np.arange(7))
    assert bytes(found["words"]).decode().split("\n") == [*WORDS, ""]
    library.save_file(found, file)
    same(read_vectors(file))
    for kind in (np.float16, np.float64):
        library.save_file(found | {"vectors": VECTORS[3:].astype(kind)}, file)
        with pytest.raises(FileError, match="expected 4 words"):
            read_vectors(file)
        code = np.frombuffer("".join(w + "\n" for w in WORDS[3:]).encode(), np.uint8)
        library.save_file({"vectors": VECTORS[3:].astype(kind), "words": code}, file)
        same(read_vectors(file), WORDS[3:], VECTORS[3:].astype(kind).astype(np.float32))


def test_vectors_stay_on_the_disk(folder):
    file = folder / "v.safetensors"
    many = np.ones((50_000, 64), np.float32)
    write_vectors(file, [f"w{i}" for i in range(50_000)], many)
    tracemalloc.start()
    words, vectors, _ = read_table(file, mmap=True)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(vectors, np.memmap) and used < many.nbytes
    assert vectors.ctypes.data % 64 == 0  # rows begin on a cache line
    np.testing.assert_array_equal(vectors, many)
    assert read_vectors(file, mmap=True, limit=5)[1].shape == (5, 64)
    write_vectors(folder / "v.bin", words[:5], many[:5])
    with pytest.raises(FileError, match="npssl vectors convert"):
        read_vectors(folder / "v.bin", mmap=True)


# ---- what is accepted


ACCEPTED = {
    "CR LF": b"2 2\r\na 1 2\r\nb 3 4\r\n",
    "no last line end": b"2 2\na 1 2\nb 3 4",
    "fastText's blanks": b"2 2\na 1 2 \nb 3 4 \n",
    "empty lines": b"2 2\na 1 2\n\nb 3 4\n\n",
    "tabs": b"2 2\na\t1\t2\nb 3\t4\n",
    "GloVe": b"a 1 2\nb 3 4\n",
    "GloVe, CR LF, no last line end": b"a 1 2\r\nb 3 4",
    "forms of numbers": b"2 2\na 1e0 +2.\nb 3.0 .4e1\n",
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(folder, name):
    (folder / "v").write_bytes(ACCEPTED[name])
    same(read_vectors(folder / "v"), "ab", [[1, 2], [3, 4]])


def test_words_with_blanks(folder):
    (folder / "v").write_bytes(b"a 1 2\n. . . 3 4\n\xc2\xa0x 5 6\n")
    same(read_vectors(folder / "v"), ["a", ". . .", "\xa0x"], [[1, 2], [3, 4], [5, 6]])
    write_vectors(folder / "v.safetensors", [". . .", "x y"], np.eye(2))
    same(read_vectors(folder / "v.safetensors"), [". . .", "x y"], np.eye(2))


@pytest.mark.parametrize("format", ["word2vec-text", "word2vec-binary", "glove"])
def test_of_equal_words_the_first_stands(folder, format, contents):
    content = contents[format].replace(WORDS[2].encode(), b"the")
    (folder / "v").write_bytes(content)
    rows = [0, 1, 3, 4, 5, 6]
    with pytest.warns(UserWarning, match="v: 1 vectors of words that came before"):
        same(read_vectors(folder / "v"), [WORDS[i] for i in rows], VECTORS[rows])


def test_letters_that_were_cut(folder):
    (folder / "v").write_bytes(b"a\xe6 1 2\nb 3 4\n")
    with pytest.raises(FileError, match=r"line 1: b'a\\xe6' is not UTF-8"):
        read_vectors(folder / "v")
    assert read_vectors(folder / "v", unicode_errors="replace")[0] == ["a\ufffd", "b"]


@pytest.mark.parametrize("content", [b"0 5\n", b"0 5"])
def test_no_words_are_legal_after_a_first_line(folder, content):
    (folder / "v").write_bytes(content)
    for format in ("word2vec-text", "word2vec-binary"):
        words, vectors = read_vectors(folder / "v", format)
        assert words == [] and vectors.shape == (0, 5)


# ---- what is refused

ROWS = b"a 1 2\nb 3 4\n"
BINARY = b"a " + struct.pack("<2f", 1, 2) + b"b " + struct.pack("<2f", 3, 4)
REFUSED = [
    (b"", "line 1: the file is empty"),
    (b"\n\n", "line 1: the file is empty"),
    (b"3 2\n" + ROWS, "line 1: 3 vectors of 2 numbers do not fit"),
    (b"3 2\n" + ROWS + b"\n" * 9, "line 13: the file ends after 2 of 3 vectors"),
    (b"1 2\n" + ROWS, "line 3: more vectors than the 1"),
    (b"9 2\n" + ROWS, "line 1: 9 vectors of 2 numbers do not fit"),
    (b"-2 2\n" + ROWS, "line 1: expected the numbers of words and dimensions, found b'-2 2"),
    (b"2 -2\n" + BINARY, "line 1: expected the numbers of words and dimensions, found b'2 -2"),
    (b"2 0\n" + ROWS, "line 1: 0 dimensions"),
    (b"1 3\n" + ROWS, "line 2: expected a word and 3 numbers, found 3"),
    (b"2 3\n" + ROWS, "line 1: 2 vectors of 3 numbers do not fit"),
    (b"999999999999999999 2\n" + ROWS, "line 1: 9+ vectors"),
    (b"2 999999999999999999\n" + ROWS, "line 1: 9+ dimensions"),
    (b"99999999999999999999999 2\n" + ROWS, "line 1: expected the numbers"),
    (b"2 2\na 1 2\nb 3 x\n", "line 3: expected a word and 2 numbers"),
    (b"2 2\na 1 2\nb 3 nan\n", "vector 2, 'b': a number that is not finite"),
    (b"2 2\na 1 2\nb 3 1e39\n", "vector 2, 'b': a number that is not finite"),
    (b"a 1 2\nb 3 inf\n", "vector 2, 'b': a number that is not finite"),
    (b"a 1 2\nb 3\n", "line 2: expected a word and 2 numbers, found 2"),
    (b"a\n", "line 1: expected a word and 1 numbers, found 1"),
    (b"some text that is\nnot a vector\n", "line 1: expected a word and 3 numbers"),
    (b"3 2\n" + BINARY, "line 1: 3 vectors of 2 numbers do not fit"),
    (b"1 2\n" + BINARY, "byte 14: more bytes after the 1"),
    (b"2 2\n" + BINARY[:-1], "byte 23: the file ends in vector 2 of 2"),
    (b"2 1\n" + BINARY, "byte "),
    (b"2 2\n" + BINARY.replace(b"b ", b"\xff "), r"byte 14: b'\\xff' is not UTF-8"),
    (b"2 2\n" + BINARY.replace(b"b ", b"\n "), "byte 14: a vector without a word"),
    (b"2 2\n" + BINARY[:-4] + struct.pack("<f", np.inf), "vector 2, 'b': a number that is not"),
    (b"\x80\x04\x95 gensim.models.keyedvectors", "a pickle, which is never loaded"),
    (b"\xba\x16\x4f\x2f\x0c\0\0\0", "fastText's own model"),
]


@pytest.mark.parametrize("content, says", REFUSED)
def test_refused(folder, content, says):
    (folder / "v").write_bytes(content)
    with pytest.raises(FileError, match=says) as caught:
        read_vectors(folder / "v")
    assert str(caught.value).startswith(str(folder / "v"))


@pytest.mark.parametrize("real", FORMATS)
@pytest.mark.parametrize("format", FORMATS)
def test_one_format_for_another(folder, contents, real, format):
    if format == real or {format, real} == {"word2vec-binary", "word2vec-c"}:
        pytest.skip("the same")
    (folder / "v").write_bytes(contents[real])
    with pytest.raises(FileError) as caught:
        read_vectors(folder / "v", format)
    if format != "safetensors":
        assert "looks like" in str(caught.value)


def test_no_file_folder_pipe(folder):
    for name, says in ("none", "no such file"), (".", "not a regular file"):
        with pytest.raises(FileError, match=says):
            read_vectors(folder / name)
    if not hasattr(os, "mkfifo"):
        return
    os.mkfifo(folder / "pipe")
    with pytest.raises(FileError, match="not a regular file"):
        read_vectors(folder / "pipe")


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_packed_and_broken(folder, suffix):
    file = folder / f"v.bin{suffix}"
    write_vectors(file, WORDS, VECTORS)
    content = file.read_bytes()
    for broken in (b"junk" + content, content[: len(content) // 2], b"3 4\nx"):
        file.write_bytes(broken)
        with pytest.raises(FileError, match=file.name):
            read_vectors(file)


@pytest.mark.parametrize("format", ["word2vec-text", "word2vec-binary"])
def test_a_first_line_that_lies_gets_no_memory(folder, format):
    """Also where the size of the content is not known beforehand."""
    content = b"900000000000 1000\n" + (b"a 1 2\n" if "text" in format else BINARY)
    for file, pack in ((folder / "v", bytes), (folder / "v.xz", lzma.compress)):
        file.write_bytes(pack(content))
        tracemalloc.start()
        with pytest.raises(FileError):
            read_vectors(file, format)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert used < 60e6  # the decompressor's own included


HEADER = {
    "vectors": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]},
    "words": {"dtype": "U8", "shape": [2], "data_offsets": [8, 10]},
}


ONE = struct.pack("<2f", 1, 2) + b"a\n"


def tensors(data=ONE, **changes):
    entries = {name: HEADER[name] | changes.get(name, {}) for name in HEADER}
    text = json.dumps(entries | {k: v for k, v in changes.items() if k not in HEADER}).encode()
    return struct.pack("<Q", len(text)) + text + data


BAD_TENSORS = [
    (struct.pack("<Q", 1 << 62) + b"{}", "4611686018427387904 bytes in a file of 10"),
    (struct.pack("<Q", 2) + b"{}", "vectors: no tensor"),
    (struct.pack("<Q", 4) + b"{{{{", "byte 8: the description is not JSON"),
    (struct.pack("<Q", 99999) + b"{" + b"[" * 99998, "byte 8"),
    (tensors(vectors={"shape": [1, 3]}), "vectors: F32 .* does not fit"),
    (tensors(vectors={"shape": [-1, -2]}), "vectors: expected 2-D"),
    (tensors(vectors={"shape": [1 << 40, 1 << 40]}), "vectors: F32 .* does not fit"),
    (tensors(vectors={"shape": 7}), "vectors: "),
    (tensors(vectors={"data_offsets": [4, 12]}), "does not fit|are all|not UTF|finite"),
    (tensors(vectors={"data_offsets": [8, 16]}), "does not fit"),
    (tensors(vectors={"data_offsets": "ab"}), "vectors: "),
    (tensors(vectors={"dtype": "BF16"}), "expected 2-D of F64 or F32 or F16"),
    (tensors(vectors={"dtype": ["F32"]}), "expected 2-D of F64 or F32 or F16"),
    (tensors(vectors={"shape": [0, 0], "data_offsets": [0, 0]}), "vectors: 0 dimensions"),
    (tensors(words={"shape": [1], "data_offsets": [8, 9]}), "words: expected 1 words"),
    (tensors(data=struct.pack("<2f", 1, 2) + b"\n\n"), "words: expected 1 words"),
    (tensors(data=struct.pack("<2f", 1, 2) + b"\xff\n"), "words: .* not UTF-8"),
    (tensors(data=struct.pack("<2f", 1, np.nan) + b"a\n"), "vector 1, 'a'"),
    (tensors(counts={"dtype": "I64", "shape": [0], "data_offsets": [0, 0]}), "counts: 0 counts"),
]


@pytest.mark.parametrize("content, says", BAD_TENSORS)
def test_refused_tensors(folder, content, says):
    (folder / "v.safetensors").write_bytes(content)
    with pytest.raises(FileError, match=says):
        read_vectors(folder / "v.safetensors")


# ---- fuzz: a valid result or one FileError


def attempt(file, content, format=None, **options):
    file.write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # words that come twice
            words, vectors = read_vectors(file, format, **options)
    except FileError as error:
        assert str(error).startswith(str(file))
        return None
    assert len(words) == len(set(words)) == len(vectors)
    assert np.isfinite(vectors).all() and vectors.dtype == np.float32
    return words, vectors


@pytest.mark.parametrize("format", FORMATS)
def test_cut_at_any_byte(place, contents, format):
    """What was cut is refused, or (text) its last number or lines are missing."""
    content = contents[format]
    for stop in range(len(content)):
        found = attempt(place / "cut", content[:stop], format)
        attempt(place / "cut", content[:stop])
        if found is not None:
            assert format == "glove" or stop >= content.rfind(b" ")
            last = len(found[0]) - 1
            if last < 1:
                continue
            same((found[0][:last], found[1][:last]), WORDS[:last], VECTORS[:last])


@pytest.mark.parametrize("suffix", PACKED[1:])
def test_packed_cut_at_any_byte(place, suffix):
    file = place / f"whole.bin{suffix}"
    write_vectors(file, WORDS, VECTORS)
    content = file.read_bytes()
    for stop in range(len(content)):
        found = attempt(file, content[:stop])
        assert found is None or found[0] == WORDS  # only the packer's own tail is missing


@settings(deadline=None, max_examples=300)
@given(data=st.data(), format=st.sampled_from(FORMATS), forced=st.booleans())
def test_changed_bytes(place, contents, data, format, forced):
    content = bytearray(contents[format])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        part = data.draw(st.binary(max_size=3) | st.sampled_from([b"\n", b" ", b"9", b"-", b"\r"]))
        content[at : at + data.draw(st.integers(0, 3))] = part
        content = content or bytearray(b"x")
    attempt(place / f"changed{SUFFIX[format]}", content, format if forced else None)


@settings(deadline=None, max_examples=200)
@given(
    content=st.binary(max_size=200)
    | st.tuples(st.sampled_from([b"1 1\n", b"2 3\n", b"a 1 2\n"]), st.binary(max_size=60)).map(
        b"".join
    ),
    format=st.sampled_from([None, *FORMATS]),
    suffix=st.sampled_from(["", ".bin", ".txt", ".vec", ".safetensors", ".bin.gz", ".txt.xz"]),
    limit=st.none() | st.integers(0, 3),
)
def test_junk(place, content, format, suffix, limit):
    attempt(place / f"junk{suffix}", content, format, limit=limit)


json_like = st.recursive(
    st.none() | st.integers() | st.sampled_from(["F32", "U8", [0, 8]]) | st.floats(),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None, max_examples=200)
@given(
    changes=st.dictionaries(
        st.sampled_from(["vectors", "words"]),
        st.dictionaries(st.sampled_from(["dtype", "shape", "data_offsets"]), json_like),
    ),
    data=st.binary(max_size=20),
    mmap=st.booleans(),
)
def test_tensors_described_wrongly(place, changes, data, mmap):
    content = tensors(data, **changes)
    file = place / "described.safetensors"
    if mmap:
        file.write_bytes(content)
        try:
            read_vectors(file, mmap=True)
        except FileError:
            pass
    else:
        attempt(file, content)


# ---- writing

UNWRITABLE = [
    (["a b"], np.ones((1, 2)), "word2vec-text", "'a b' .* whitespace.*safetensors"),
    (["\ta"], np.ones((1, 2)), "glove", "whitespace"),
    (["a\n"], np.ones((1, 2)), "safetensors", "line end"),
    ([""], np.ones((1, 2)), "word2vec-binary", "empty"),
    (["\ud800"], np.ones((1, 2)), "word2vec-binary", "UTF-8"),
    (["a", "a"], np.ones((2, 2)), "word2vec-binary", "all different"),
    (["a"], np.ones((2, 2)), "word2vec-binary", r"expected shape \(1, D\)"),
    (["a"], np.ones((1, 0)), "word2vec-binary", "expected shape"),
    (["a"], np.ones((1, 2), int), "word2vec-binary", "floating"),
    (["a"], np.full((1, 2), np.nan), "word2vec-binary", "'a' is not finite"),
    (["a"], np.full((1, 2), 1e39), "word2vec-binary", "'a' is not finite in float32"),
    (["a"], np.ones((1, 2)), "word2vec", "format: expected one of"),
    (["a"], np.ones((1, 2)), None, "says no format"),
]


@pytest.mark.parametrize("words, vectors, format, says", UNWRITABLE)
def test_not_written(folder, words, vectors, format, says):
    with pytest.raises(ValueError, match=says):
        write_vectors(folder / "v", words, vectors, format)
    assert os.listdir(folder) == []


def test_wrong_counts_leave_nothing(folder):
    with pytest.raises(ValueError, match="counts: expected shape"):
        write_vectors(folder / "v.safetensors", WORDS, VECTORS, counts=[1])
    assert os.listdir(folder) == []


@pytest.mark.parametrize("name", ["v.bin", "v.txt", "v.txt.gz", "v.safetensors"])
def test_a_full_disk_leaves_the_old_file(folder, monkeypatch, name):
    file = folder / name
    write_vectors(file, WORDS, VECTORS)
    before = file.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_vectors(file, WORDS, VECTORS * 0.5)
    assert caught.value.filename == str(file)
    assert os.listdir(folder) == [name] and file.read_bytes() == before


def test_no_folder_to_write_to(folder):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        write_vectors(folder / "none" / "v.bin", WORDS, VECTORS)
    assert os.listdir(folder) == []
