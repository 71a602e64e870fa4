"""variant="word2vec.c" equals the C program byte for byte, from any stop, with or without Numba."""

import importlib.util
import lzma
import re
from types import SimpleNamespace

import numpy as np
import pytest

from npssl.jobs import word2vec_c as job
from npssl.kernels import word2vec_c as kernel

GOLDEN = {
    "sg-neg-lines": dict(epochs=2),
    "sg-hs-lines": dict(hierarchical=True, epochs=2),
    "cbow-neg-lines": dict(cbow=True, epochs=2),
    "cbow-hs-lines": dict(cbow=True, hierarchical=True, sample=0, epochs=1),
    "sg-neg-text8": dict(sample=1e-4, epochs=2),
}


def read(text):
    """What `npssl.data.corpus.encode` makes of bytes, in three lines of Python."""
    tokens = re.findall(rb"[^ \t\n]+|\n", text.replace(b"\r", b""))
    counts = {}
    for token in tokens:
        if token != b"\n":
            counts[token] = counts.get(token, 0) + 1
    words = sorted(counts, key=lambda w: -counts[w])  # stable: ties in order of appearance
    index = {word: i for i, word in enumerate(words)} | {b"\n": -1}
    ids = np.array([index[token] for token in tokens], np.int32)

    class Words(list):
        words = property(list)

    vocabulary = Words(word.decode() for word in words)
    vocabulary.counts = np.array([counts[word] for word in words], np.int64)
    return SimpleNamespace(
        vocabulary=vocabulary, size=len(ids), read=lambda start, stop: ids[start:stop]
    )


def text_of(name, shared_data):
    if name.endswith("text8"):
        text = lzma.open(shared_data("text8-head") / "text8.head.xz").read()
        return b" ".join(text.split()[:200_000]) + b"\n"
    return lzma.open(shared_data("wikitext-2") / "wiki.valid.tokens.xz").read()


def trained(corpus, **options):
    step, state, steps, words, counts = job.prepare(corpus, **options)
    losses = [step(k)["loss"] for k in range(steps)]
    return state, words, counts, losses


def as_written(words, vectors):
    """The program's binary format."""
    rows = (w.encode() + b" " + v.tobytes() + b"\n" for w, v in zip(words, vectors, strict=True))
    return b"%d %d\n" % vectors.shape + b"".join(rows)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name, shared_data):
    folder = shared_data("word2vec-golden")
    corpus = read(text_of(name, shared_data))
    state, words, counts, losses = trained(corpus, dim=24, **GOLDEN[name])
    told = "".join(f"{word} {count}\n" for word, count in zip(words, counts, strict=True))
    assert told.encode() == (folder / f"{name}.vocab").read_bytes()
    assert as_written(words, state["inputs"]) == (folder / f"{name}.bin").read_bytes()
    if len(losses) == 6:  # three pieces a pass
        assert all(0 < after < before for before, after in zip(losses[:3], losses[3:], strict=True))


SMALL = (
    b"the cat sat on the mat\n\nthe dog and the cat ran </s> a mat\n"
    b"the dog sat and the cat sat on a dog and ran\n\nunfinished the cat"
)
WAYS = {
    "skip-gram": dict(),
    "skip-gram hs": dict(hierarchical=True),
    "both": dict(hierarchical=True, negative=2),
    "cbow": dict(cbow=True),
    "cbow hs": dict(cbow=True, hierarchical=True, sample=0),
}


@pytest.mark.parametrize("way", WAYS)
def test_stop_and_go_on_anywhere(way):
    """Pieces of any length, and a state that was on disk, give the same bytes."""
    options = dict(dim=5, window=3, min_count=2, epochs=3, sample=0.5, alpha=0.5) | WAYS[way]
    corpus = read(SMALL)
    whole, *_ = trained(corpus, **options)
    for piece in (1, 7):
        step, state, steps, *_ = job.prepare(corpus, piece=piece, **options)
        for k in range(steps):
            step(k)
            if k % 3 == 0:
                kept = {name: array.tobytes() for name, array in state.items()}
                step, state, *_ = job.prepare(corpus, piece=piece, **options)
                for name, raw in kept.items():
                    state[name][...] = np.frombuffer(raw, state[name].dtype).reshape(
                        state[name].shape
                    )
        for name in ("inputs", "nodes", "words", "random", "rate", "clock"):
            assert whole[name].tobytes() == state[name].tobytes(), name


@pytest.mark.parametrize("way", WAYS)
def test_python_gives_the_same_bytes(way, monkeypatch):
    monkeypatch.setenv("NPSSL_NUMBA", "0")
    spec = importlib.util.spec_from_file_location("plain", kernel.__file__)
    plain = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plain)
    assert type(plain.train) is type(read)
    options = dict(dim=4, min_count=1, epochs=2, sample=0.5, alpha=2.0) | WAYS[way]
    fast, _, _, losses = trained(read(SMALL), **options)
    monkeypatch.setattr("npssl.kernels.word2vec_c", plain)
    slow, _, _, told = trained(read(SMALL), **options)
    for name in fast:
        assert fast[name].tobytes() == slow[name].tobytes(), name
    np.testing.assert_allclose(losses, told, rtol=1e-12)


def test_sentences_are_cut_at_a_thousand_kept_words():
    """A long line is as if it had been cut there, but for the sentence ends' own count."""
    line = b" ".join([b"a", b"b"] * 1250)
    step, state, steps, *_ = job.prepare(read(line + b"\n"), dim=3, sample=0, epochs=1, piece=900)
    seen = [step(k)["pairs"] for k in range(steps)]
    # the sentence read last is of 500 words; nothing is trained before a sentence is whole
    assert seen[0] == 0 and seen[1] > 0 and seen[2] > 0
    assert state["clock"].tolist() == [0, 0, 0, 2501]


def test_text_after_the_last_newline_counts_but_is_not_trained():
    closed, *_ = trained(read(SMALL + b"\n"), dim=3, min_count=1, sample=0)
    words, counts = trained(read(SMALL), dim=3, min_count=1, sample=0)[1:3]
    step, state, *_ = job.prepare(read(SMALL), dim=3, min_count=1, sample=0, epochs=1)
    assert counts[words.index("unfinished")] == 1 and counts[0] == 6
    before = state["inputs"].copy()
    step(0)
    assert not np.array_equal(before, state["inputs"])
    at = words.index("unfinished")
    assert np.array_equal(before[at], state["inputs"][at])
    assert not np.array_equal(closed["inputs"][at], before[at])


def test_noise_places_are_those_of_the_table():
    """Walk a table of the program's form, with fewer places, step by step."""
    counts = np.array([0, 900, 50, 50, 3, 1, 1], np.int64)
    places = 1000
    table, word = [], 0
    power = [n**0.75 for n in counts.tolist()]
    share = power[0] / sum(power)
    for a in range(places):
        table.append(word)
        if a / places > share:
            word += 1
            share += power[word] / sum(power) if word < len(power) else 1
        word = min(word, len(counts) - 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "PLACES", places)
        last = job.noise_places(counts)
    assert np.searchsorted(last, np.arange(places)).tolist() == table


def test_first_vectors_follow_the_generator():
    x, wanted = 1, []
    for _ in range(70_000):
        x = (x * 25214903917 + 11) % 2**64
        wanted.append(np.float32((float(x & 0xFFFF) / 65536 - 0.5) / 7))
    assert job.first_vectors(10_000, 7).tobytes() == np.array(wanted, np.float32).tobytes()


def test_huffman_paths_are_a_prefix_code_of_least_length():
    counts = np.array([2, 40, 40, 9, 5, 5, 1], np.int64)  # the sentence end is out of order
    start, path, code = kernel.huffman(counts)
    words = ["".join(map(str, code[a:b])) for a, b in zip(start[:-1], start[1:], strict=True)]
    assert all(not w.startswith(v) for v in words for w in words if v is not w)
    assert sum(2.0 ** -len(w) for w in words) == 1
    assert set(path[start[:-1]]) == {len(counts) - 2}
    assert path.max() == len(counts) - 2 and path.min() == 0


@pytest.mark.parametrize(
    "option, value",
    [("dim", 0), ("window", 0), ("negative", -1), ("epochs", 0), ("sample", -1), ("alpha", 0),
     ("alpha", float("nan")), ("min_count", 99), ("negative", 0)],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused(option, value):
    named = "nothing to learn" if (option, value) == ("negative", 0) else option
    with pytest.raises(ValueError, match=named):
        job.prepare(read(SMALL), **{option: value})
