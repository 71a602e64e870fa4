"""Reading text: what is a word, what is a sentence, what is said when something is wrong."""

import bz2
import gzip
import io
import lzma
import os
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

from npssl.data.corpus import Corpus, encode
from npssl.data.readers import files
from npssl.data.vocabulary import Vocabulary
from npssl.data.words import words
from npssl.errors import FileError, UnknownWord

TEXT = b"to be or not to be\nthat is the question\nto be\n"


@pytest.fixture(params=["1", "0"], ids=["numba", "plain"], autouse=True)
def both_paths(request, monkeypatch):
    monkeypatch.setenv("NPSSL_NUMBA", request.param)


@pytest.fixture
def text(tmp_path):
    def write(data=TEXT, name="a.txt"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


def said(corpus):
    """The text again, from its ids."""
    return [" ".join(sentence) for sentence in corpus.sentences()]


def ids(corpus):
    return corpus.read(0, corpus.size).tolist()


# ------------------------------------------------------------------ words and sentences


def test_words_are_numbered_by_falling_count_then_by_first_appearance(text):
    corpus = encode(text(), min_count=1)
    assert corpus.vocabulary.words == "to be or not that is the question".split()
    assert corpus.vocabulary.counts.tolist() == [3, 3, 1, 1, 1, 1, 1, 1]
    assert ids(corpus) == [0, 1, 2, 3, 0, 1, -1, 4, 5, 6, 7, -1, 0, 1, -1]
    assert (corpus.words, corpus.raw_words, corpus.size) == (12, 12, 15)


def test_rare_words_go_and_sentences_without_words_with_them(text):
    corpus = encode(text(), min_count=2)
    assert ids(corpus) == [0, 1, 0, 1, -1, 0, 1, -1]
    assert (corpus.words, corpus.raw_words) == (6, 12)


def test_max_size_keeps_the_most_frequent(text):
    assert encode(text(), min_count=1, max_size=3).vocabulary.words == ["to", "be", "or"]


@pytest.mark.parametrize(
    "data, expected",
    [
        (b"a b\r\nc\r\n", ["a b", "c"]),
        (b"a b\nc", ["a b", "c"]),
        (b"\n\n a\t\x0bb\x0c \n\n\n", ["a b"]),
        (b"\xef\xbb\xbfa b", ["a b"]),
        (b"a\0b \0 c", ["a\0b \0 c"]),
        (b"caf\xc3\xa9 caf\xe9 caf\xe8", ["café caf\ufffd caf\ufffd"]),
        ("no\N{NO-BREAK SPACE}break".encode(), ["no\N{NO-BREAK SPACE}break"]),
    ],
    ids=["CRLF", "no final line end", "blanks", "BOM", "NUL", "not UTF-8", "other blanks"],
)
def test_policies_for_bytes(text, data, expected):
    corpus = encode(text(data), min_count=1)
    assert said(corpus) == expected
    assert len(set(corpus.vocabulary.words)) == len(corpus.vocabulary)


def test_words_that_become_equal_are_counted_together(text):
    corpus = encode(text(b"x \xff \xfe \xff x x x"), min_count=3)
    assert dict(zip(corpus.vocabulary.words, corpus.vocabulary.counts)) == {"x": 4, "\ufffd": 3}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("block", [64, 1000, 1 << 20])
def test_lines_are_cut_after_10_000_words(text, threads, block):
    line = b"a " * 10_000 + b"b " * 10_000
    corpus = encode(text(line + b"c\n" + line), threads=threads, block=block, min_count=1)
    lengths = [len(s) for s in corpus.sentences()]
    assert lengths == [10_000, 10_000, 1, 10_000, 10_000]


def test_one_huge_line_takes_no_more_memory_than_its_ids(text):
    path = text(b"anything at all " * 400_000)
    encode(path, min_count=1, block=1 << 16)
    tracemalloc.start()
    corpus = encode(path, min_count=1, block=1 << 16)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert corpus.words == 1_200_000
    assert peak < 4 * corpus.size + (24 << 20) // (4 if os.environ["NPSSL_NUMBA"] == "1" else 1)


def test_words_of_a_megabyte_and_very_many_words(text):
    long = b"x" * (1 << 20)
    corpus = encode(text(long + b" " + long + b"y b " + long), min_count=1, block=4096)
    assert [len(w) for w in corpus.vocabulary.words] == [1 << 20, (1 << 20) + 1, 1]
    many = encode(text(b"".join(b"%d\n" % i for i in range(100_000))), min_count=1)
    assert many.vocabulary.words == [str(i) for i in range(100_000)]


def test_words_that_differ_only_in_trailing_nul_are_different(text):
    # so many that some meet in the hash table, where all but the length is equal
    words = [f"{i:x}" + "\0" * n for i in range(3000) for n in range(6)]
    assert encode(text(" ".join(words).encode()), min_count=1).vocabulary.words == words


def test_long_words_with_one_hash_are_different(text):
    low, high, last = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
    size = 2**64

    def step(h, part):  # as the kernel mixes the next 8 bytes into a hash
        h = (h * low % size) ^ (part * high % size)
        h = (h ^ h >> 32) * last % size
        return h ^ h >> 29

    def number(part):
        return int.from_bytes(part, "little")

    one = b"abcdefgh" + b"ijklmnop" + b"qrstuvwx"
    aim = (step(0, number(one[:8])) * low % size) ^ (number(one[8:16]) * high % size)
    for i in range(1000):  # solve for the second 8 bytes, until they hold no blank
        begin = b"%08d" % i
        second = (aim ^ step(0, number(begin)) * low % size) * pow(high, -1, size) % size
        other = begin + second.to_bytes(8, "little") + one[16:]
        if len(other.split()) == 1 and len(other.split()[0]) == 24:
            break
    if os.environ["NPSSL_NUMBA"] == "1":
        from npssl.kernels.text import _hash_long

        bytes_of = [np.frombuffer(word + bytes(80), np.uint8) for word in (one, other)]
        assert len({_hash_long(b.ctypes.data, 24) for b in bytes_of}) == 1
    corpus = encode(text(one + b" " + other + b" " + one), min_count=1)
    assert corpus.vocabulary.counts.tolist() == [2, 1]


def test_a_file_without_any_blank_is_refused(text, monkeypatch):
    monkeypatch.setattr("npssl.data.blocks.LONGEST", 10_000)
    with pytest.raises(ValueError, match=r"a\.txt: a word of more than"):
        encode(text(b"\0" * 20_000), block=100)


# ------------------------------------------------------------------ tokens="words"


def test_lower_cased_words(text):
    data = "“Don’t,” said Zoë—the re-opened CAFE\u0301 has_been 20% better. ’Tis' ΟΔΟΣ हिन्दी 東京"
    expected = "don't said zoë the re opened café has been 20 better tis οδος हिन्दी 東京"
    corpus = encode(
        text(data.encode() + b"\n ... \nO'Neill's ''quoted'' rock'n'roll'"),
        min_count=1,
        tokens="words",
    )
    assert said(corpus) == [expected, "o'neill's quoted rock'n'roll"]
    assert " ".join(words(data)) == expected


def test_words_of_lists_are_taken_as_they_are():
    assert encode([["Don't", "STOP!"]], min_count=1, tokens="words").vocabulary.words == [
        "Don't",
        "STOP!",
    ]


# ------------------------------------------------------------------ newline="word2vec.c"


def test_every_line_end_counts_as_in_word2vec(text):
    data = b"a\rb\x0bc \n\n</s> " + b"long" * 30 + b" nul\0tail\td\nlost"
    corpus = encode(text(data), min_count=1, newline="word2vec.c")
    words = ["ab\x0bc", ("long" * 30)[:98], "nul", "d"]
    assert corpus.vocabulary.words == words
    assert ids(corpus) == [0, -1, -1, -1, 1, 2, 3, -1]
    assert corpus.raw_words == 4
    lengths = b" ".join(b"x" * n for n in range(97, 102)) + b"\n"
    corpus = encode(text(lengths), min_count=1, newline="word2vec.c")
    assert {len(w): n for w, n in zip(corpus.vocabulary.words, corpus.vocabulary.counts)} == {
        98: 4,
        97: 1,
    }


def test_nothing_is_cut_as_in_word2vec(text):
    corpus = encode(text(b"a " * 10_001 + b"b\n"), min_count=2, newline="word2vec.c")
    assert ids(corpus) == [0] * 10_001 + [-1]


@pytest.mark.parametrize("name", ["sg-neg-lines", "sg-neg-text8"])
def test_vocabulary_of_the_c_program(shared_data, tmp_path, name):
    golden = shared_data("word2vec-golden") / f"{name}.vocab"
    if name == "sg-neg-lines":
        data = lzma.decompress(shared_data("wikitext-2/wiki.valid.tokens.xz").read_bytes())
    else:
        data = lzma.decompress(shared_data("text8-head/text8.head.xz").read_bytes())
        data = b" ".join(data.split()[:200_000]) + b"\n"
    (tmp_path / "text").write_bytes(data)
    corpus = encode(tmp_path / "text", newline="word2vec.c", threads=2, block=1 << 18)
    first, *rest = golden.read_text(encoding="utf-8").splitlines()
    assert first == f"</s> {(corpus.read(0, corpus.size) == -1).sum()}"
    corpus.vocabulary.save(tmp_path / "vocab")
    assert (tmp_path / "vocab").read_text(encoding="utf-8").splitlines() == rest


# ------------------------------------------------------------------ sources

PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, "": bytes}
PACK[".lzma"] = lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE)


@pytest.mark.parametrize("suffix", PACK)
def test_compressed_files_are_opened_by_suffix(text, suffix):
    packed = text(PACK[suffix](TEXT), name=f"a.txt{suffix}")
    assert ids(encode(packed, min_count=1)) == ids(encode(text(), min_count=1))
    assert ids(encode(str(packed), min_count=1)) == ids(encode(text(), min_count=1))


def test_members_of_a_zip_follow_each_other(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/", b"")
        archive.writestr("z", b"one")
        archive.writestr("folder/a.txt", b"two three")
        archive.writestr("__MACOSX/a.txt", b"junk")
    assert said(encode(tmp_path / "a.zip", min_count=1)) == ["one", "two three"]


def test_a_folder_gives_its_texts_sorted(tmp_path):
    for name, data in {
        "b.txt": b"b",
        "a/wiki_00": b"a",
        "c.md.gz": gzip.compress(b"c"),
        "image.png": b"no",
        "data.json.gz": gzip.compress(b"no"),
        "x.tar.gz": b"no",
        ".hidden": b"no",
        ".git/config": b"no",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    assert said(encode(tmp_path, min_count=1)) == ["a", "b", "c"]
    assert [p.name for p in files(tmp_path)] == ["wiki_00", "b.txt", "c.md.gz"]


def test_lists_of_paths_and_of_sentences(text, tmp_path):
    a, b = text(b"a", "1"), text(b"b c", "2")
    assert said(encode([a, b], min_count=1)) == ["a", "b c"]
    assert said(encode([str(b), str(a)], min_count=1)) == ["b c", "a"]
    assert said(encode([str(tmp_path), str(a)], min_count=1)) == ["a", "b c", "a"]
    assert said(encode([str(a), "and more"], min_count=1)) == [str(a), "and more"]
    assert said(encode([".", "and more"], min_count=1)) == [".", "and more"]


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT)))
    assert encode("-", min_count=1).words == 12


SENTENCES = TEXT.decode().splitlines()


@pytest.mark.parametrize(
    "source",
    [
        SENTENCES,
        tuple(SENTENCES),
        lambda: (s for s in SENTENCES),
        [s.split() for s in SENTENCES],
        lambda: (tuple(s.split()) for s in SENTENCES),
        [np.array(s.split()) for s in SENTENCES],
        lambda: io.StringIO(TEXT.decode()),
    ],
    ids=["list", "tuple", "generator", "lists", "tuples", "arrays", "open file"],
)
def test_sentences_of_any_kind(text, source):
    source = source() if callable(source) else source
    corpus, expected = encode(source, min_count=1), encode(text(), min_count=1)
    assert ids(corpus) == ids(expected)
    assert corpus.vocabulary == expected.vocabulary
    assert all(type(word) is str for word in corpus.vocabulary)


def test_words_in_lists_may_hold_blanks_and_lone_surrogates():
    corpus = encode([["New York", "", "\ud800"], [], ["New York"]], min_count=1)
    assert said(corpus) == ["New York \ufffd\ufffd\ufffd", "New York"]
    assert corpus.raw_words == 3
    assert said(encode(["New York \ud800", "two\nlines"], min_count=1)) == [
        "New York \ufffd\ufffd\ufffd",
        "two lines",
    ]


@pytest.mark.parametrize(
    "source, says",
    [
        (3, "source: expected a path, '-' or sentences, found int"),
        ([3], "sentence 0: expected a list of str, found int"),
        (b"text", "sentence 0: expected a list of str, found int"),
        (["a b", ["c"]], "sentence 1: expected a str as the ones before it, found list"),
        ([["a"], "b c"], "sentence 1: expected a list of str, found str"),
        ([["a"], ["b", 7]], "sentence 1, word 1: expected a str .* found int 7"),
        ([["a", ["b"]]], "sentence 0, word 1: expected a str .* found list"),
        ([[b"a"]], "sentence 0, word 0: expected a str .* found bytes b'a'"),
    ],
)
def test_sentences_of_other_types_are_named(source, says):
    with pytest.raises(TypeError, match=says):
        encode(source)


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: encode([["a\nb"]]), "sentence 0, word 0: expected a str without line end"),
        (lambda: encode([]), "source: expected sentences, found none"),
        (lambda: encode([[]]), "the sentences: holds no words"),
        (lambda: encode([" "]), "the sentences: holds no words"),
        (lambda: encode(["a b a"], min_count=3), "3 times or more: found 2 .* occurs 2 times"),
        (lambda: encode(["a"], vocabulary=Vocabulary(["b"], [1])), "none of its 1 words"),
        (lambda: encode(["a"], min_count=-1), "min_count: expected an integer"),
        (lambda: encode(["a"], min_count=1, max_size=0), "max_size: expected an integer"),
        (lambda: encode(["a"], tokens="letters"), "tokens: expected 'whitespace'"),
        (lambda: encode(["a"], newline="\n"), "newline: expected 'sentence'"),
        (
            lambda: encode(["a"], tokens="words", newline="word2vec.c"),
            "tokens: with newline=.word2vec.c",
        ),
        (lambda: encode(["a"], threads=0), "threads: expected an integer, 1 or more, found 0"),
        (lambda: encode(["a"], block=1), "block: expected an integer, 64"),
    ],
)
def test_what_cannot_be_done_is_said(call, says):
    with pytest.raises(ValueError, match=says):
        call()


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("newline", ["sentence", "word2vec.c"])
def test_a_file_without_words_is_named(text, data, newline):
    if newline == "word2vec.c" and data.startswith(b"\xef"):
        data = b"unfinished"
    with pytest.raises(ValueError, match=r"a\.txt: holds no words"):
        encode(text(data), min_count=1, newline=newline)


@pytest.mark.parametrize(
    "name, data, says",
    [
        ("a.gz", b"no gzip", r"a\.gz: Not a gzipped file"),
        ("a.gz", gzip.compress(TEXT)[:-3], r"a\.gz: Compressed file ended before"),
        ("a.xz", lzma.compress(TEXT)[:-3], r"a\.xz: Compressed file ended before"),
        ("a.bz2", bz2.compress(TEXT)[:-3], r"a\.bz2: Compressed file ended before"),
        ("a.zip", b"PK", r"a\.zip: File is not a zip file"),
        ("a.tar.gz", b"", r"a\.tar\.gz: tar archives are not read"),
        ("a.tgz", b"", r"a\.tgz: tar archives are not read"),
    ],
)
def test_broken_files_are_named(text, name, data, says):
    with pytest.raises(FileError, match=says):
        encode(text(data, name))


def test_an_encrypted_zip_is_named(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("secret.txt", TEXT)
    data = bytearray(path.read_bytes())
    data[data.find(b"PK\3\4") + 6] |= 1
    data[data.find(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(FileError, match=r"a\.zip: member 'secret\.txt': is encrypted"):
        encode(path)


def test_missing_files_and_folders_without_text_are_named(tmp_path):
    with pytest.raises(FileError, match="nowhere: no such file"):
        encode(tmp_path / "nowhere")
    with pytest.raises(FileError, match="gone: no such file"):
        encode([__file__, str(tmp_path / "gone")])
    with pytest.raises(FileError, match="no text in this folder"):
        encode(tmp_path)
    for sentence in "x" * 5000, "nul\0":
        with pytest.raises(FileError):
            encode(sentence)


# ------------------------------------------------------------------ corpus


def test_ids_in_a_file_are_the_ids_in_memory(text, tmp_path):
    path = text(TEXT * 100)
    memory = encode(path, min_count=2)
    with encode(path, min_count=2, ids_file=tmp_path / "ids", block=64) as disk:
        assert np.array_equal(np.fromfile(tmp_path / "ids", np.int32), ids(memory))
        assert ids(disk) == ids(memory)
        assert disk.read(3, 7).tolist() == ids(memory)[3:7]
        assert disk.read(disk.size - 1, disk.size + 9).tolist() == [-1]
        assert disk.cuts(50).tolist() == memory.cuts(50).tolist()
        assert (disk.words, disk.raw_words) == (memory.words, memory.raw_words)
    again = Corpus(memory.vocabulary, tmp_path / "ids")
    assert (again.words, ids(again)) == (memory.words, ids(memory))
    again.close()


def test_a_failure_leaves_no_file_behind(text, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match="min_count"):
        encode(text(), ids_file=tmp_path / "out" / "ids", min_count=99)
    with pytest.raises(FileError):
        encode(text(b"\x1f\x8b", "b.gz"), ids_file=tmp_path / "out" / "ids")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_disk_is_named_and_leaves_nothing(text, tmp_path):
    resource = pytest.importorskip("resource")
    path, limit = text(TEXT * 1000), resource.getrlimit(resource.RLIMIT_FSIZE)
    (tmp_path / "out").mkdir()
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
    try:
        with pytest.raises(FileError, match=r"ids: File too large"):
            encode(path, ids_file=tmp_path / "out" / "ids")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert list((tmp_path / "out").iterdir()) == []


def test_ids_that_were_cut_off_are_named(text, tmp_path):
    with encode(text(), min_count=1, ids_file=tmp_path / "ids") as corpus:
        os.truncate(tmp_path / "ids", 16)
        with pytest.raises(FileError, match="ids: ends before its 15 ids do"):
            ids(corpus)
    with pytest.raises(FileError, match="No such file"):
        Corpus(corpus.vocabulary, tmp_path / "none")


@pytest.mark.parametrize("size", [1, 2, 7, 10**6])
def test_cuts_fall_between_sentences(text, size):
    corpus = encode(text(), min_count=1)
    cuts = corpus.cuts(size).tolist()
    assert cuts[0] == 0 and cuts[-1] == corpus.size
    for a, b in zip(cuts, cuts[1:]):
        piece = corpus.read(a, b).tolist()
        assert piece[-1] == -1 and -1 not in piece[size - 1 : -1]
        assert len(piece) >= size or b == corpus.size


def test_a_corpus_without_sentence_ends_is_one_piece():
    assert Corpus(Vocabulary(["a"], [3]), np.zeros(30_000, np.int32)).cuts(5).tolist() == [
        0,
        30_000,
    ]


@pytest.mark.parametrize("on_disk", [False, True])
def test_held_out_sentences_are_every_nth(text, tmp_path, on_disk, monkeypatch):
    monkeypatch.setattr("npssl.data.corpus.WINDOW", 7)
    sentences = [f"a{i} b{i} c{i}" for i in range(10)]
    store = tmp_path / "ids" if on_disk else None
    corpus = encode(text("\n".join(sentences).encode()), min_count=1, ids_file=store)
    before = corpus.read(0, corpus.size)
    train, held = corpus.hold_out(every=3)
    named = lambda some: [" ".join(train.vocabulary.words[i] for i in s) for s in some]
    parts = np.split(held, np.flatnonzero(held == -1)[:-1] + 1)
    assert named(p[:-1] for p in parts) == sentences[2::3]
    assert said(train) == [s for i, s in enumerate(sentences) if i % 3 != 2]
    assert (train.words, held.size) == (21, 12)
    assert before.base is None or before.base.nbytes >= before.nbytes  # its memory is still there
    train.close()


def test_unknown_words_are_dropped_with_a_vocabulary_given(text):
    given = Vocabulary(["be", "nothing", "to"], [7, 6, 5])
    corpus = encode(text(), vocabulary=given)
    assert corpus.vocabulary is given
    assert ids(corpus) == [2, 0, 2, 0, -1, 2, 0, -1]
    assert (corpus.words, corpus.raw_words) == (6, 12)


def test_progress_is_in_bytes_on_the_disk(text):
    plain, packed = text(TEXT * 1000), text(gzip.compress(TEXT), "b.gz")
    calls = []
    encode([plain, packed], block=4096, progress=lambda *call: calls.append(call))
    done = [d for d, _ in calls]
    assert done == sorted(done) and len(done) > 10
    assert {t for _, t in calls} == {plain.stat().st_size + packed.stat().st_size}
    assert calls[-1][0] == calls[-1][1]
    calls.clear()
    encode([TEXT.decode()] * 1000, progress=lambda *call: calls.append(call))
    assert calls[-1] == (1000 * (len(TEXT) + 1), None)


# ------------------------------------------------------------------ vocabulary


def test_a_vocabulary_is_saved_as_lines(tmp_path):
    v = Vocabulary(["the", "New York", "naïve", "\ufffd\0"], [9, 9, 2, 1])
    v.save(tmp_path / "v")
    assert (tmp_path / "v").read_bytes() == "the 9\nNew York 9\nnaïve 2\n\ufffd\0 1\n".encode()
    assert Vocabulary.load(tmp_path / "v") == v
    assert v["naïve"] == 2 and "x" not in v and list(v) == v.words
    with pytest.raises(UnknownWord):
        v["x"]


@pytest.mark.parametrize(
    "data, says",
    [
        (b"", "holds no words"),
        (b"a 1\nb\n", "line 2: expected 'word count', found b'b'"),
        (b"a -1", "line 1: expected 'word count'"),
        (b"a 1\n\nb 2", "line 2"),
        (b"a 1e3", "line 1"),
        ("a ²".encode(), "line 1"),
        (b"a 9223372036854775808", "line 1: the count .* too large"),
        (b"a " + b"9" * 5000, "line 1"),
        (b"a 1\na 2", "line 2: found the word 'a' for the second time"),
        (b" 1", "line 1: found a count and no word"),
        (b"\xff 1", "line 1: not UTF-8"),
    ],
)
def test_broken_vocabularies_are_named(text, data, says):
    with pytest.raises(FileError, match=rf"a\.txt: {says}"):
        Vocabulary.load(text(data))


def test_vocabularies_that_cannot_be(tmp_path):
    with pytest.raises(FileError, match="No such file"):
        Vocabulary.load(tmp_path / "none")
    with pytest.raises(ValueError, match="found 'a' twice"):
        Vocabulary(["a", "b", "a"], [1, 1, 1])
    with pytest.raises(ValueError, match="counts: expected shape"):
        Vocabulary(["a"], [1, 2])
    with pytest.raises(ValueError, match="counts: expected 0 or more"):
        Vocabulary(["a"], [-1])
    with pytest.raises(ValueError, match="cannot stand on a line"):
        Vocabulary(["a\nb"], [1]).save(tmp_path / "v")
    assert not (tmp_path / "v").exists()
