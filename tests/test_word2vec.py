"""`npssl.SkipGram` and `npssl.CBOW` from text to vectors, and their command."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from npssl import CBOW, SkipGram
from npssl.cli import main, run_config
from npssl.errors import FileError
from npssl.train import Diverged

OBJECTIVES = ["negative-sampling", "hierarchical-softmax", "nce", "softmax"]
ONE = dict(threads=1, dim=12, window=2, min_count=1, sample=0, hold_out=0)


def two_topics(n=1500, seed=0):
    """A toy language: sentences are about fruit or about tools, with some common words."""
    rng = np.random.default_rng(seed)
    topics = [["apple", "pear", "plum", "grape"], ["saw", "drill", "nail", "screw"]]
    for _ in range(n):
        words = topics[rng.integers(2)]
        yield [*rng.choice(words, 5), *rng.choice(["the", "of", "and"], 2)]


def topics_apart(model):
    near = lambda word: {w for w, _ in model.vectors.most_similar(word, topn=3)}
    return near("apple") == {"pear", "plum", "grape"} and near("saw") == {"drill", "nail", "screw"}


@pytest.mark.parametrize("kind", [SkipGram, CBOW])
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("variant", ["npssl", "paper"])
@pytest.mark.parametrize("subwords", [None, (3, 4)])
def test_it_learns_what_goes_together(kind, objective, variant, subwords):
    more = dict(epochs=8, alpha=0.05 if objective != "softmax" else 0.2)
    model = kind(**ONE | more, objective=objective, variant=variant, subwords=subwords, buckets=999)
    model.fit(two_topics())
    losses = [row["loss"] for row in model.history]
    assert len(losses) == 8 and losses[-1] < losses[0]
    assert topics_apart(model)
    assert model.vectors.vectors.shape == (11, 12) and model.vectors.vectors.dtype == np.float32


@pytest.mark.parametrize("objective", ["negative-sampling", "hierarchical-softmax"])
def test_word2vec_c_variant(objective):
    model = SkipGram(**ONE | dict(epochs=8), objective=objective, variant="word2vec.c")
    model.fit(two_topics())
    assert topics_apart(model) and model.vectors.index_to_key[0] == "</s>"
    assert len(model.history) == 8 and model.training_seconds > 0


def test_one_thread_gives_the_same_bytes_and_seeds_differ():
    made = [SkipGram(**ONE, seed=s).fit(two_topics()).vectors.vectors for s in (1, 1, 2)]
    assert made[0].tobytes() == made[1].tobytes() != made[2].tobytes()


def test_several_threads_learn_the_same():
    model = SkipGram(**ONE | dict(threads=3, epochs=10)).fit(two_topics(6000))
    assert topics_apart(model)


def test_numba_off_gives_the_same_vectors(monkeypatch):
    fast = SkipGram(**ONE).fit(two_topics(200))
    monkeypatch.setenv("NPSSL_NUMBA", "0")
    slow = SkipGram(**ONE).fit(two_topics(200))
    np.testing.assert_allclose(fast.vectors.vectors, slow.vectors.vectors, rtol=1e-3, atol=1e-5)
    for a, b in zip(fast.history, slow.history):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)


def test_held_out_loss_is_of_text_that_was_not_trained_on():
    kept = [["a", "b"]] * 400
    for i in range(3, 400, 4):
        kept[i] = ["a", "c"]
    seen = SkipGram(**ONE | dict(epochs=9)).fit(kept)
    unseen = SkipGram(**ONE | dict(epochs=9, hold_out=4)).fit(kept)
    assert "c" in unseen.vocabulary
    assert (
        not unseen._epochs.output[unseen.vocabulary["c"]].dot(
            unseen._epochs.input[unseen.vocabulary["a"]]
        )
        > 0
    ), "a and c were never seen together"
    assert unseen.history[-1]["held_out_loss"] > unseen.history[-1]["loss"] + 0.5
    assert seen.history[-1]["held_out_loss"] is None


def test_loss_is_nats_per_pair():
    """Before anything is learnt each of the 1 + K questions costs log 2."""
    model = SkipGram(**ONE | dict(alpha=0.0, epochs=1, negative=7)).fit(two_topics(100))
    assert model.history[0]["loss"] == pytest.approx(8 * np.log(2), rel=1e-6)


@pytest.mark.parametrize("kind", [SkipGram, CBOW])
@pytest.mark.parametrize("threads", [1, 2])
def test_vectors_that_blow_up_stop_the_training(kind, threads, tmp_path):
    model = kind(**ONE | dict(alpha=1e30, threads=threads, epochs=9))
    with pytest.raises(Diverged, match=r"step \d+: loss is nan; first in (in|out)put\[\d+, \d+\]"):
        model.fit(two_topics(), run=tmp_path / "run", save_seconds=0)
    with pytest.raises(ValueError, match="not trained yet"):
        _ = model.vectors


def test_more_text_with_new_words():
    model = SkipGram(**ONE | dict(epochs=12)).fit(two_topics())
    before = model.vectors["apple"].copy()
    rng = np.random.default_rng(1)
    animals = ["cat", "dog", "mouse", "bird"]
    model.partial_fit([[*rng.choice(animals, 5), "the"] for _ in range(900)])
    assert topics_apart(model), "what was learnt stays"
    assert {w for w, _ in model.vectors.most_similar("cat", topn=3)} == {*animals[1:]}
    cosine = before @ model.vectors["apple"] / np.linalg.norm(before)
    assert cosine / np.linalg.norm(model.vectors["apple"]) > 0.9
    assert model.vocabulary.counts[model.vocabulary["the"]] > 800


def test_known_words_go_on_learning_however_rare_they_are_in_the_new_text():
    model = SkipGram(**ONE | dict(epochs=2, min_count=5)).fit(two_topics(300))
    count = model.vocabulary.counts[model.vocabulary["apple"]]
    model.partial_fit([["new", "words"]] * 9 + [["apple", "once"]])
    assert "new" in model.vocabulary and "once" not in model.vocabulary
    assert model.vocabulary.counts[model.vocabulary["apple"]] == count + 1


@pytest.mark.parametrize(
    "settings", [dict(variant="word2vec.c"), dict(objective="nce"), dict(subwords=(3, 4))]
)
def test_what_cannot_go_on_says_so_and_keeps_what_it_has(settings):
    model = SkipGram(**ONE, **settings, buckets=99).fit(two_topics(50))
    before = model.vectors
    with pytest.raises(ValueError, match="partial_fit: expected objective"):
        model.partial_fit(two_topics(50))
    assert model.vectors is before


def test_subwords_know_words_never_seen():
    text = [["walking", "walked", "walks"], ["singing", "sang", "sings"]] * 300
    model = SkipGram(**ONE | dict(epochs=3), subwords=(3, 5), buckets=5000).fit(text)
    unknown = model["walker"]
    cosine = lambda w: unknown @ model[w] / np.linalg.norm(unknown) / np.linalg.norm(model[w])
    assert cosine("walked") > cosine("sings")
    with pytest.raises(KeyError, match="unknown word 'walker'"):
        model.vectors["walker"]
    with pytest.raises(KeyError, match="unknown word 'xyz'"):
        model["xyz"]


def test_ids_on_disk_change_nothing(tmp_path):
    path = tmp_path / "text"
    path.write_text("\n".join(" ".join(s) for s in two_topics()))
    made = [SkipGram(**ONE, ids_on_disk=d).fit(path).vectors.vectors for d in (False, True)]
    assert made[0].tobytes() == made[1].tobytes()
    assert [f.name for f in tmp_path.iterdir()] == ["text"]


BAD = [
    (dict(dim=0), "dim: expected an integer, 1 or more, found 0"),
    (dict(window=2.5), "window: expected an integer"),
    (dict(threads=0), "threads: expected"),
    (dict(negative=0), "negative: expected 1 or more with negative-sampling"),
    (dict(alpha=float("nan")), "alpha: expected a finite number"),
    (dict(sample=-1), "sample: expected a finite number, 0 or more, found -1"),
    (dict(objective="magic"), "objective: expected one of .* found 'magic'"),
    (dict(variant="word2vec.c", objective="nce"), "variant: 'word2vec.c' has negative sampling"),
    (dict(hold_out=1), "hold_out"),
    (dict(subwords=(5, 3)), "maxn|subwords"),
    (dict(subwords=(0, 3)), "minn|subwords"),
]


@pytest.mark.parametrize("settings, said", BAD, ids=str)
def test_bad_settings_are_named(settings, said):
    with pytest.raises(ValueError, match=said):
        SkipGram(**settings).fit([["a", "b"]] * 9)


TEXTS = [
    ([], "no words|none"),
    ([[]] * 3, "no words"),
    ([["a"] * 9], "at least two different words"),
    ([["a"], ["b"]] * 9, "no two words stand in one sentence"),
    ([["a", "b", "c"]], "no word occurs 5 times"),
]


@pytest.mark.parametrize("text, said", TEXTS, ids=range(len(TEXTS)))
def test_texts_without_anything_to_learn(text, said):
    with pytest.raises(ValueError, match=said):
        SkipGram(hold_out=0).fit(text)


# the command ------------------------------------------------------------------------------


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(" ".join(s) for s in two_topics()) + "\n")
    return str(path)


FLAGS = ["--dim", "12", "--window", "2", "--threads", "1", "--epochs", "3", "--sample", "0"]


def npssl(*arguments, **options):
    call = [sys.executable, "-m", "npssl", *map(str, arguments)]
    return subprocess.run(call, capture_output=True, text=True, **options)


def test_train_leaves_a_folder_that_others_can_read(text, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["train", "skip-gram", "--corpus", text, "--out", str(out), "--json", *FLAGS]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["words"] == 11 and len(told["history"]) == 3 and told["vectors"].endswith(".bin")
    names = {f.name for f in out.iterdir()}
    assert names == {
        *("vectors.bin", "vocabulary.txt", "config.json", "metrics.jsonl", "checkpoint.npz", "lock")
    }
    config = json.loads((out / "config.json").read_text())
    assert config["dim"] == 12 and config["negative"] == 5 and config["corpus"] == text
    gensim = pytest.importorskip("gensim.models.keyedvectors")
    wv = gensim.KeyedVectors.load_word2vec_format(str(out / "vectors.bin"), binary=True)
    assert wv.vectors.shape == (11, 12) and {"pear", "plum"} < set(wv.index_to_key)


@pytest.mark.parametrize("model", ["skip-gram", "cbow"])
def test_killed_and_resumed_is_as_if_never_stopped(text, tmp_path, model):
    flags = [*FLAGS, "--corpus", text, "--epochs", "60", "--dim", "100"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert npssl("train", model, *flags, "--out", whole).returncode == 0
    call = [sys.executable, "-m", "npssl", "train", model, *flags, "--out", broken]
    child = subprocess.Popen([*map(str, call), "--save-seconds", "0"], stdout=subprocess.DEVNULL)
    while child.poll() is None and not (broken / "checkpoint.npz").exists():
        pass
    child.send_signal(signal.SIGKILL)
    assert child.wait() != 0, "it must have been killed before its end"
    done = len((broken / "metrics.jsonl").read_text().splitlines())
    steps = len((whole / "metrics.jsonl").read_text().splitlines())
    assert 0 < done < steps
    result = npssl("train", model, "--out", broken, "--resume", "--json")
    assert result.returncode == 0, result.stderr
    assert len(json.loads(result.stdout)["history"]) == 60
    again = npssl("train", model, "--out", broken, "--resume", "--json")
    assert len(json.loads(again.stdout)["history"]) == 60, "nothing was left to do"
    assert {f.name for f in broken.iterdir()} == {f.name for f in whole.iterdir()}
    for name in ("vectors.bin", "vocabulary.txt", "config.json", "metrics.jsonl"):
        assert (whole / name).read_bytes() == (broken / name).read_bytes(), name


def test_faults_of_the_command_are_one_line(text, tmp_path):
    out = tmp_path / "out"
    junk = tmp_path / "junk"
    junk.write_bytes(bytes(range(256)) * 40)
    (tmp_path / "empty").write_text("")
    single = tmp_path / "single"
    single.write_text("one\ntwo\n" * 9)
    for arguments, status, said in (
        (["--corpus", tmp_path / "none"], 2, "none: no such file"),
        (["--corpus", tmp_path / "empty"], 2, "empty"),
        (["--corpus", text, "--dim", "0"], 2, "dim: expected an integer"),
        (["--corpus", single, "--min-count", "1", "--hold-out", "0"], 2, "no two words stand"),
        (["--corpus", text, "--min-count", "99999"], 2, "min_count: no word occurs"),
        (["--corpus", text, "--out", text], 2, "expected a folder, found a file"),
        (["--resume"], 2, "no run to resume"),
    ):
        result = npssl("train", "skip-gram", "--out", out, *arguments)
        assert result.returncode == status and said in result.stderr, result.stderr
        assert "Traceback" not in result.stderr and len(result.stderr.splitlines()) <= 2
        assert not out.exists()
    assert npssl("train", "skip-gram", "--corpus", junk, "--out", out, *FLAGS).returncode in (0, 2)
    assert "--resume: expected --out" in npssl("train", "skip-gram", "--resume").stderr
    wrong = npssl("train", "skip-gram", "--dim", "many")
    assert wrong.returncode == 2 and "invalid int" in wrong.stderr


def test_an_existing_run_is_not_overwritten(text, tmp_path):
    out = str(tmp_path / "run")
    assert main(["train", "cbow", "--corpus", text, "--out", out, *FLAGS]) == 0
    before = {f.name: f.read_bytes() for f in (tmp_path / "run").iterdir()}
    assert main(["train", "cbow", "--corpus", text, "--out", out, *FLAGS]) == 2
    assert main(["train", "skip-gram", "--out", out, "--resume"]) == 2
    assert main(["train", "cbow", "--out", out, "--resume", "--dim", "13"]) == 2
    assert {f.name: f.read_bytes() for f in (tmp_path / "run").iterdir()} == before


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_ctrl_c_is_quiet(text, tmp_path):
    out = tmp_path / "run"
    call = [sys.executable, "-m", "npssl", "train", "skip-gram", "--corpus", text, "--out", out]
    call += ["--epochs", "1000000", "--threads", "2", "--save-seconds", "0"]
    # heard even where the tests run in the background of a shell, which shuts it out
    heard = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        [*map(str, call)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heard
    ) as child:
        try:
            while child.poll() is None and not (out / "checkpoint.npz").exists():
                pass
            child.send_signal(signal.SIGINT)
            _, err = child.communicate(timeout=60)
        finally:
            child.kill()
    assert child.returncode == 130 and b"Traceback" not in err and b"interrupted" in err


def test_unknown_run_configuration_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model": "Transformer"}')
    assert main(["train", "skip-gram", "--out", str(tmp_path), "--resume"]) == 2
    with pytest.raises(FileError, match="not the configuration"):
        run_config(tmp_path, "SkipGram", key="model")
