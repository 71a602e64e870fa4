"""Any bytes, cut anywhere: the fast path, the plain path and a few lines of Python agree,
and damaged files give a `FileError` or their text, never another exception."""

import bz2
import gzip
import io
import lzma
import os
import re
import zipfile
from collections import Counter
from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from npssl.data.blocks import SLACK, blocks, last_blank
from npssl.data.corpus import encode
from npssl.data.numbering import cut_long
from npssl.data.vocabulary import Vocabulary
from npssl.data.words import Folder, fold
from npssl.errors import FileError

settings.register_profile(
    "files",
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("files")

BOM = b"\xef\xbb\xbf"

# bytes that make words, ends, and trouble at the borders of 8, 16 and 64 bytes
WORD = st.one_of(
    st.sampled_from([b"a", b"b", b"\0", b"a\0", b"\xff", b"\xfe", b"</s>", b"'", b"A's", b"_"]),
    st.sampled_from(["é", "E\u0301", "ΑΣ", "İ", "’", "ǅ", "\u0301", "\u2028", "字"]).map(
        str.encode
    ),
    st.builds(lambda c, n: c * n, st.sampled_from([b"x", b"y", b"\xe9"]), st.integers(1, 150)),
    st.binary(min_size=1, max_size=20),
)
BLANK = st.sampled_from(
    [b" ", b"\n", b" ", b"\n", b"\t", b"\r\n", b"\r", b"\v", b"\f", b"", b"\x1f", b"\n\n"]
)
TEXT = st.one_of(
    st.lists(st.builds(bytes.__add__, WORD, BLANK), max_size=60).map(b"".join),
    st.binary(max_size=400),
)
OPTIONS = {
    "block": st.integers(64, 300),
    "threads": st.integers(1, 3),
    "min_count": st.integers(1, 3),
    "max_size": st.one_of(st.none(), st.integers(1, 5)),
}


def expected(data, min_count, max_size, tokens="whitespace", newline="sentence"):
    """Words, counts and ids, as one would write it for a small text."""
    exactly = newline == "word2vec.c"
    if exactly:
        data = data[: max(data.rfind(c) for c in (b" ", b"\t", b"\n")) + 1].replace(b"\r", b"")
        data = re.sub(rb"\0[^ \t\n]*", b"", data)
        split = lambda line: [word[:98] for word in re.split(rb"[ \t]", line) if word]
    else:
        data = fold(data.removeprefix(BOM)) if tokens == "words" else data.removeprefix(BOM)
        split = bytes.split
    lines = [[w.decode("utf-8", "replace") for w in split(line)] for line in data.split(b"\n")]
    end = "</s>" if exactly else None
    counts = Counter(word for line in lines for word in line if word != end)
    kept = [word for word, n in counts.most_common() if n >= min_count][:max_size]
    ids = []
    for number, line in enumerate(lines, 1):
        for word in line:
            ids += [-1] if word == end else [kept.index(word)] if word in kept else []
        if number < len(lines) if exactly else ids and ids[-1] != -1:
            ids.append(-1)
    return kept, [counts[word] for word in kept], ids


def found(source, **options):
    with encode(source, **options) as corpus:
        words, counts = corpus.vocabulary.words, corpus.vocabulary.counts.tolist()
        return words, counts, corpus.read(0, corpus.size).tolist()


@contextmanager
def numba(on):
    with mock.patch.dict(os.environ, NPSSL_NUMBA="1" if on else "0"):
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.parametrize("on", [True, False], ids=["numba", "plain"])
@pytest.mark.parametrize(
    "tokens, newline",
    [("whitespace", "sentence"), ("words", "sentence"), ("whitespace", "word2vec.c")],
)
@given(data=TEXT, options=st.fixed_dictionaries(OPTIONS), on_disk=st.booleans())
def test_any_bytes_give_what_a_few_lines_of_python_give(
    folder, on, tokens, newline, data, options, on_disk
):
    (folder / "text").write_bytes(data)
    limits = {k: options[k] for k in ("min_count", "max_size")}
    words, counts, ids = expected(data, tokens=tokens, newline=newline, **limits)
    options |= {"tokens": tokens, "newline": newline}
    options |= {"ids_file": folder / "ids"} if on_disk else {}
    with numba(on):
        if words:
            assert found(folder / "text", **options) == (words, counts, ids)
        else:
            with pytest.raises(ValueError, match="holds no words|no word occurs"):
                found(folder / "text", **options)


@pytest.mark.parametrize("on", [True, False], ids=["numba", "plain"])
@given(sentences=st.lists(st.text(max_size=30), max_size=20), block=st.integers(64, 200))
def test_sentences_read_like_the_file_with_them(folder, on, sentences, block):
    lines = [s.replace("\n", " ").encode("utf-8", "surrogatepass") for s in sentences]
    (folder / "lines").write_bytes(b"\n".join(lines))
    sentences = ["", *sentences]  # so that it is not a list of existing folders, as ["/"] is
    with numba(on):
        try:
            from_file = found(folder / "lines", min_count=1)
        except ValueError:
            with pytest.raises(ValueError):
                found(sentences, min_count=1, block=block)
        else:
            assert found(sentences, min_count=1, block=block) == from_file
            tokens = [[w.decode("utf-8", "replace") for w in line.split()] for line in lines]
            assert found(tokens, min_count=1) == from_file


@given(data=TEXT | TEXT.map(lambda data: data + b"a'"), behind=st.sampled_from([b"a", b"\xe9"]))
def test_folding_blocks_changes_nothing_but_blanks(data, behind):
    with numba(True):
        folder = Folder()
    folder.KEEP = 10  # so that it forgets
    for part in data, data[::-1], data:
        block = bytearray(part) + behind * SLACK  # must not matter
        out, n = folder(block, len(part))
        lines = [line.split() for line in bytes(out[:n]).split(b"\n")]
        assert lines == [line.split() for line in fold(part).split(b"\n")]


@given(
    runs=st.lists(st.integers(0, 9), min_size=1, max_size=20),
    longest=st.integers(1, 4),
    pieces=st.integers(1, 5),
)
def test_long_sentences_are_cut_alike_however_the_ids_come(runs, longest, pieces):
    ids = [i for run in runs for i in [*range(run), -1]]
    cut, want = [], []
    for run in runs:
        for start in range(0, run, longest):
            want += [*range(run)[start : start + longest], -1]
    carried = 0
    for piece in np.array_split(np.array(ids, np.int32), pieces):
        piece, carried = cut_long(piece, carried, longest)
        cut += piece.tolist()
    assert cut == want and carried == 0


PACK = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
}


def zipped(data, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("a", data)
        archive.writestr("b", data)
    return file.getvalue()


PACK["zip"] = zipped
SAMPLE = b"to be or not to be\n" * 3 + bytes(range(256)) + b"\n"


@pytest.mark.parametrize("suffix", PACK)
@given(data=TEXT.filter(lambda data: data.removeprefix(BOM).split()))
def test_packed_files_read_like_plain_ones(folder, suffix, data):
    (folder / "plain").write_bytes(data)
    (folder / f"packed.{suffix}").write_bytes(PACK[suffix](data))
    twice = [folder / "plain"] * (2 if suffix == "zip" else 1)
    assert found(folder / f"packed.{suffix}", min_count=1) == found(twice, min_count=1)


def read_or_refuse(path):
    """What is read; None for a `FileError` that names the file, or for no words in it."""
    try:
        return found(path, min_count=1)
    except FileError as error:
        assert str(error).startswith(str(path))
    except ValueError as error:
        assert str(error) == f"{path}: holds no words"
    return None


@pytest.mark.parametrize("suffix", PACK)
def test_a_packed_file_cut_at_any_byte_is_refused(folder, suffix):
    packed, path = PACK[suffix](SAMPLE), folder / f"cut.{suffix}"
    for n in range(len(packed)):
        path.write_bytes(packed[:n])
        whole = suffix == "lzma" and n > len(packed) - 8  # its end mark may be missing
        assert read_or_refuse(path) is None or whole, n


@pytest.mark.parametrize("suffix", PACK)
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255), count=st.integers(1, 8))
def test_a_damaged_packed_file_is_read_or_refused(folder, suffix, place, byte, count):
    packed = bytearray(PACK[suffix](SAMPLE))
    place %= len(packed)
    packed[place : place + count] = bytes([byte]) * count
    path = folder / f"damaged.{suffix}"
    path.write_bytes(packed)
    read_or_refuse(path)


@pytest.mark.parametrize("suffix", [*PACK, "txt"])
@given(data=st.binary(max_size=300), magic=st.booleans())
def test_junk_is_read_or_refused(folder, suffix, data, magic):
    path = folder / f"junk.{suffix}"
    path.write_bytes((PACK[suffix](b"")[:10] if magic and suffix in PACK else b"") + data)
    read_or_refuse(path)


@given(
    data=st.one_of(
        st.binary(max_size=100),
        st.lists(
            st.builds("{} {}\n".format, st.text(max_size=5), st.integers(-1, 2**64)), max_size=6
        ).map(lambda lines: "".join(lines).encode("utf-8", "surrogatepass")),
    )
)
def test_a_vocabulary_is_loaded_whole_or_refused(folder, data):
    path = folder / "vocabulary"
    path.write_bytes(data)
    try:
        loaded = Vocabulary.load(path)
    except FileError as error:
        assert str(error).startswith(str(path))
    else:
        loaded.save(path)
        assert Vocabulary.load(path) == loaded


@given(
    st.dictionaries(
        st.text(st.characters(exclude_characters="\n", codec="utf-8"), min_size=1),
        st.integers(0, 2**62),
        min_size=1,
    )
)
def test_a_vocabulary_comes_back_as_it_was_saved(folder, counts):
    saved = Vocabulary.from_counts(counts, min_count=0)
    saved.save(folder / "saved")
    assert Vocabulary.load(folder / "saved") == saved
    assert saved.counts.tolist() == sorted(counts.values(), reverse=True)


@given(
    streams=st.lists(TEXT, max_size=4),
    size=st.integers(64, 100),
    whole=st.booleans(),
)
def test_a_block_stays_until_the_one_after_the_next_is_asked_for(streams, size, whole):
    class Source:
        read = 0
        errors = contextmanager(lambda self: (yield))
        streams = lambda self: map(io.BytesIO, streams)

    now, later, before = [], [], None
    for block, n in blocks(Source(), size, whole=whole):
        if before is not None:
            later.append(bytes(before[0][: before[1]]))
        now.append(bytes(block[:n]))
        before = block, n
    if before is not None:
        later.append(bytes(before[0][: before[1]]))
    assert now == later
    assert (
        b"".join(now).split()
        == b"\n".join(
            data.removeprefix(BOM) if whole else data[: last_blank(data, len(data))]
            for data in streams
        ).split()
    )
