"""variant="word2vec.c" equals the C program byte for byte, from any stop, with or without Numba."""

import hashlib
import importlib.util
import lzma
import math

import numpy as np
import pytest

from npssl.data.corpus import encode
from npssl.jobs import word2vec_c as job
from npssl.kernels import enabled
from npssl.kernels import word2vec_c as kernel
from npssl.train import Diverged, Run

GOLDEN = {
    "sg-neg-lines": dict(epochs=2),
    "sg-hs-lines": dict(hierarchical=True, epochs=2),
    "cbow-neg-lines": dict(cbow=True, epochs=2),
    "cbow-hs-lines": dict(cbow=True, hierarchical=True, sample=0, epochs=1),
    "sg-neg-text8": dict(sample=1e-4, epochs=2),
}


quick = pytest.mark.skipif(not enabled(), reason="hours of plain Python; smaller texts are tested")


@pytest.fixture(scope="session")
def read(tmp_path_factory):
    """``read(text)``: bytes as a corpus."""
    path = tmp_path_factory.mktemp("texts") / "text"

    def encoded(text, min_count=1):
        path.write_bytes(text)
        return encode(path, min_count=min_count, newline="word2vec.c")

    return encoded


def text_of(name, shared_data):
    if name.endswith("text8"):
        text = lzma.open(shared_data("text8-head") / "text8.head.xz").read()
        return b" ".join(text.split()[:200_000]) + b"\n"
    return lzma.open(shared_data("wikitext-2") / "wiki.valid.tokens.xz").read()


def prepared(corpus, *, piece=job.PIECE, **options):
    return job.prepare(corpus, job.Options(**options), piece=piece)


def trained(corpus, **options):
    step, state, steps, words, counts = prepared(corpus, **options)
    losses = [step(k)["loss"] for k in range(steps)]
    return state, words, counts, losses


def as_written(words, vectors):
    """The program's binary format."""
    rows = (w.encode() + b" " + v.tobytes() + b"\n" for w, v in zip(words, vectors, strict=True))
    return b"%d %d\n" % vectors.shape + b"".join(rows)


@quick
@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name, shared_data, tmp_path):
    folder, told, losses = shared_data("word2vec-golden"), [], []
    (tmp_path / "text").write_bytes(text_of(name, shared_data))
    words, counts, inputs, _ = job.fit(
        tmp_path / "text",
        dim=24,
        progress=lambda k, steps, metrics: losses.append(metrics["loss"]),
        **GOLDEN[name],
    )
    told = "".join(f"{word} {count}\n" for word, count in zip(words, counts, strict=True))
    assert told.encode() == (folder / f"{name}.vocab").read_bytes()
    assert as_written(words, inputs) == (folder / f"{name}.bin").read_bytes()
    if len(losses) > 3:  # three pieces a pass
        assert 0 < losses[3] < losses[0]


def drawn(n, words=400):
    """A text of n words of falling frequency, with lines of all lengths."""
    x, out = 7, []
    for _ in range(n):
        x = (x * 6364136223846793005 + 1442695040888963407) % 2**64
        out.append(b"w%d" % min(int(1 / ((x >> 33) / 2**31 + 1e-9) ** 0.8), words))
        out.append(b"\n" if (x >> 20) % 300 == 0 else b" \t " if (x >> 20) % 7 == 0 else b" ")
    return b"".join(out)


def filled(text, tokens):
    """The text, made up to so many words and sentence ends by empty lines."""
    return text + b"\n" * (tokens - len(text.replace(b"\n", b" x ").split()))


# What the program (compiled as the golden vectors were) makes of corners that those leave out:
# text, options, the first half of the sha256 of its binary file.
CORNERS = {
    "both, no newline at the end": (
        drawn(9000) + b"w1 w2 w9",
        dict(hierarchical=True, negative=3),
        "ea819c2d190394640153904e102937c6",
    ),
    "cbow, both": (
        drawn(9000),
        dict(cbow=True, hierarchical=True, negative=5, window=2),
        "0d2e962fc2fcfae8b299abf815d751da",
    ),
    "one line, rare sentence end": (
        drawn(9000).replace(b"\n", b" ") + b"\n",
        dict(hierarchical=True, sample=1e-2),
        "ad6af4b86685c1e9578a91a7db1213e6",
    ),
    "no sentence end at all": (
        drawn(9000).replace(b"\n", b" "),
        dict(window=8, sample=0.1),
        "90cd9a94afceec127c28b3ae46c3f5c7",
    ),
    "sentence end as a word": (
        drawn(9000).replace(b"w5 ", b"</s> "),
        dict(alpha=0.2),
        "fa1b932a940146c693e595c0ee5951cf",
    ),
    "scores beyond the table": (
        drawn(9000),
        dict(alpha=0.5, min_count=50, epochs=9),
        "349fc942aabda83aa5892578ea193d8d",
    ),
    "empty lines, and the least rate": (
        filled(b"\n" * 10_001 + drawn(4000) + b"\n", 20_002) + b"w1 w2 w3\n",
        dict(sample=0, window=2, min_count=1),
        "bfad22e0029575cd6a810a419b6c267e",
    ),
    "CRLF": (
        b"\r\n\r\n" + drawn(9000).replace(b"\n", b"\r\n"),
        dict(sample=0, window=1),
        "4ace7d2a381a50542d41dc506caf81f8",
    ),
}


@quick
@pytest.mark.parametrize("corner", CORNERS)
def test_corners(corner, read):
    text, options, wanted = CORNERS[corner]
    options = dict(dim=6, epochs=3) | options
    corpus = read(text, options.pop("min_count", 5))
    words, _, inputs, _ = job.fit(corpus, **options)
    raw = as_written(words, inputs)
    assert hashlib.sha256(raw).hexdigest()[:32] == wanted


SMALL = (
    b"the cat sat on the mat\n\nthe dog and the cat ran </s> a mat\n"
    b"the dog sat and the cat sat on a dog and ran\n\nunfinished the cat lost"
)
WAYS = {
    "skip-gram": dict(),
    "skip-gram hs": dict(hierarchical=True),
    "both": dict(hierarchical=True, negative=2),
    "cbow": dict(cbow=True),
    "cbow hs": dict(cbow=True, hierarchical=True, sample=0),
}


@pytest.mark.parametrize("way", WAYS)
def test_stop_and_go_on_anywhere(way, read):
    """Pieces of any length, and a state that was on disk, give the same bytes."""
    options = dict(dim=5, window=3, epochs=3, sample=0.5, alpha=0.5) | WAYS[way]
    corpus = read(SMALL, 2)
    step, whole, *_ = prepared(corpus, **options)
    losses = [step(k)["epoch_loss"] for k in range(3)]
    for piece in (1, 7):
        step, state, steps, *_ = prepared(corpus, piece=piece, **options)
        told = []
        for k in range(steps):
            told.append(step(k).get("epoch_loss"))
            if k % 3 == 0:
                kept = {name: array.tobytes() for name, array in state.items()}
                step, state, *_ = prepared(corpus, piece=piece, **options)
                for name, raw in kept.items():
                    state[name][...] = np.frombuffer(raw, state[name].dtype).reshape(
                        state[name].shape
                    )
        for name in ("inputs", "nodes", "words", "random", "rate", "clock"):
            assert whole[name].tobytes() == state[name].tobytes(), name
        told = [loss for loss in told if loss is not None]
        np.testing.assert_allclose(told, losses, rtol=1e-12)


@pytest.mark.parametrize("way", WAYS)
def test_python_gives_the_same_bytes(way, read, monkeypatch):
    monkeypatch.setenv("NPSSL_NUMBA", "0")
    spec = importlib.util.spec_from_file_location("plain", kernel.__file__)
    plain = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plain)
    assert type(plain.train) is type(trained)
    options = dict(dim=4, epochs=2, sample=0.5, alpha=2.0) | WAYS[way]
    fast, _, _, losses = trained(read(SMALL), **options)
    monkeypatch.setattr("npssl.kernels.word2vec_c", plain)
    slow, _, _, told = trained(read(SMALL), **options)
    for name in fast:
        assert fast[name].tobytes() == slow[name].tobytes(), name
    np.testing.assert_allclose(losses, told, rtol=1e-12)


@pytest.mark.parametrize("cbow", [False, True])
def test_loss_is_nats_per_pair(cbow, read):
    """Outputs that stay at 0 cost ln 2 a turn, or a word that is told from noise."""
    corpus = read(drawn(3000))
    options = dict(dim=3, sample=0, epochs=1, alpha=1e-30, cbow=cbow)
    step, _, steps, words, counts = prepared(corpus, negative=4, **options)
    metrics = step(0)
    assert steps == 1 and metrics["words"] == counts[1:].sum() == 3000
    assert 3.9 * math.log(2) < metrics["loss"] < 5 * math.log(2)
    step, *_ = prepared(corpus, hierarchical=True, **options)
    metrics = step(0)
    turns = np.diff(kernel.huffman(counts)[0])
    if cbow:  # every word is a centre once, where its sentence has another word
        lines = [line.split() for line in drawn(3000).split(b"\n")[:-1]]
        centres = [word.decode() for line in lines if len(line) > 1 for word in line]
        wanted = sum(turns[words.index(word)] for word in centres) / len(centres)
        assert metrics["pairs"] == len(centres)
        assert math.isclose(metrics["loss"], wanted * math.log(2), rel_tol=1e-9)


def test_sentences_are_cut_at_a_thousand_kept_words(read):
    """A long line is as if it had been cut there, but for the sentence ends' own count."""
    line = b" ".join([b"a", b"b"] * 1250)
    step, state, steps, *_ = prepared(read(line + b"\n"), dim=3, sample=0, epochs=1, piece=900)
    seen = [step(k)["pairs"] for k in range(steps)]
    # the sentence read last is of 500 words; nothing is trained before a sentence is whole
    assert seen[0] == 0 and seen[1] > 0 and seen[2] > 0
    assert state["clock"].tolist() == [0, 0, 0, 2501]


def test_text_after_the_last_newline_counts_but_is_not_trained(read):
    closed, *_ = trained(read(SMALL + b"\n"), dim=3, sample=0)
    words, counts = trained(read(SMALL), dim=3, sample=0)[1:3]
    step, state, *_ = prepared(read(SMALL), dim=3, sample=0, epochs=1)
    assert counts[words.index("unfinished")] == 1 and counts[0] == 6
    assert "lost" not in words  # nothing follows it, so the program takes it for half a word
    before = state["inputs"].copy()
    step(0)
    assert not np.array_equal(before, state["inputs"])
    at = words.index("unfinished")
    assert np.array_equal(before[at], state["inputs"][at])
    assert not np.array_equal(closed["inputs"][at], before[at])


@pytest.mark.parametrize("places", [100, 1000])
def test_noise_places_are_those_of_the_table(places, monkeypatch):
    """Walk a table of the program's form, with fewer places, step by step."""
    counts = np.array([0, 1, 1, 1, 900, 50, 50, 3, 1, 1], np.int64)
    table, word = [], 0
    power = [n**0.75 for n in counts.tolist()]
    share = power[0] / sum(power)
    for a in range(places):
        table.append(word)
        if a / places > share:
            word += 1
            share += power[word] / sum(power) if word < len(power) else 1
        word = min(word, len(counts) - 1)
    monkeypatch.setattr(job, "PLACES", places)
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
     ("alpha", float("nan")), ("epochs", 1.5), ("negative", 0)],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused(option, value):
    with pytest.raises(ValueError, match=option):
        job.fit("no such file", **{option: value})


def test_kill_and_resume_through_a_run_folder(tmp_path, read):
    """The loop's own checkpoints: stopped after a pass, resumed to the same bytes."""
    corpus, options = read(drawn(4000)), dict(dim=4, epochs=4)
    whole = job.fit(corpus, **options)

    def stop(k, steps, metrics):
        if k == 2:
            raise KeyboardInterrupt

    with Run(tmp_path, {}, save_seconds=0) as run, pytest.raises(KeyboardInterrupt):
        job.fit(corpus, run=run, progress=stop, **options)
    with Run(tmp_path, {}, resume=True) as run:
        again = job.fit(corpus, run=run, **options)
        steps = [row["step"] for row in run.rows()]
        told = [row["epoch_loss"] for row in run.rows()]
    assert steps == [1, 2, 3, 4] and told[3] < told[0]
    assert all(a.tobytes() == b.tobytes() for a, b in zip(whole[1:], again[1:], strict=True))


def test_a_rate_that_diverges_stops_with_a_reason(read):
    with pytest.raises(Diverged, match="loss is"):
        job.fit(read(b"a b c d\n" * 300), dim=4, alpha=1e30, sample=0)


def test_keep_chances_are_rounded_as_there():
    counts, sample = np.array([3, 900, 50, 7], np.int64), np.float32(1e-2)
    t = float(sample * np.float32(960))
    for count, chance in zip(counts.tolist(), job.keep_chances(counts, 1e-2), strict=True):
        root = math.sqrt(float(np.float32(count) / np.float32(t)))
        assert chance == np.float32((root + 1) * t / count)
