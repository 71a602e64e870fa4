"""Pre-training jobs: ids on the disk, batches, measures, and a kill that leaves no trace."""

import inspect
import json
import math
import tracemalloc

import numpy as np
import pytest

from npssl.cli import main
from npssl.cli import pretraining as pretraining_cli
from npssl.data import token_store
from npssl.data.characters import Characters
from npssl.data.pairs import Pairs
from npssl.data.word_list import WordList
from npssl.errors import FileError
from npssl.jobs import bert, gpt, pretraining
from npssl.jobs.bert import train_bert
from npssl.jobs.gpt import train_gpt
from npssl.models.transformer import bert as bert_sizes
from npssl.models.transformer import gpt2
from npssl.params import Params, load_arrays
from npssl.tasks.next_token import NextToken
from npssl.train import Diverged

BERT = dict(
    vocabulary=60, length=24, batch=4, steps=6, held=3, save_seconds=0, progress=False, seed=3
)
GPT = dict(width=32, depth=1, heads=2, context=16, batch=3, steps=6, save_seconds=0, progress=False)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Forty documents of small sentences."""
    rng = np.random.default_rng(0)
    nouns, verbs = "cat dog bird fish".split(), "sees hears likes".split()
    said = lambda: f"The {rng.choice(nouns)} {rng.choice(verbs)} the {rng.choice(nouns)}."
    documents = ["\n".join(f"{said()} {said()}" for _ in range(3)) for _ in range(40)]
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n\n".join(documents) + "\n")
    return path


# ids on the disk ----------------------------------------------------------------------------------


def test_pieces_and_lines_give_the_text_back(tmp_path, monkeypatch):
    text = "one two\r\n\nthree é four" * 50
    (tmp_path / "a.txt").write_bytes(text.encode())
    (tmp_path / "b.txt").write_text("last")
    small = token_store.blocks
    monkeypatch.setattr(token_store, "blocks", lambda source: small(source, size=64))
    told = text.replace("\r", "") + "\nlast\n"
    assert "".join(token_store.pieces(tmp_path)) == told
    assert len(list(token_store.pieces(tmp_path))) > 5
    assert list(token_store.lines(tmp_path)) == told.removesuffix("\n").split("\n")
    monkeypatch.setattr(token_store, "LONGEST", 10)
    (tmp_path / "b.txt").write_text("word " * 50)
    cut = list(token_store.lines(tmp_path / "b.txt"))
    assert len(cut) > 1 and "".join(cut) == "word " * 50


@pytest.mark.parametrize("kind", ["ids", "documents"])
def test_memory_does_not_grow_with_the_text(tmp_path, monkeypatch, kind):
    whole = token_store.blocks
    monkeypatch.setattr(token_store, "blocks", lambda source: whole(source, size=1 << 16))
    letters = Characters("the cat.\n")
    peaks = []
    for lines in (8_000, 32_000):
        (tmp_path / "text").write_text("the cat the cat\n" * lines)
        tracemalloc.start()
        if kind == "ids":
            token_store.write_ids(tmp_path / "ids", token_store.pieces(tmp_path / "text"), letters)
        else:
            found = token_store.articles(token_store.lines(tmp_path / "text"))
            token_store.write_documents(tmp_path, found, letters)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 10_000


def test_standard_input_is_refused():
    with pytest.raises(ValueError, match="corpus: .* standard input"):
        next(token_store.pieces("-"))


def test_long_documents_are_cut():
    assert [len(d) for d in token_store.articles(["x"] * 130)] == [64, 64, 2]


def test_documents_on_the_disk_are_those_of_the_text(tmp_path):
    letters = Characters("ab. ABc", unknown=True)
    documents = [["A a. B b.", "A"], ["B."], ["c c"]]
    token_store.write_documents(tmp_path, documents, letters)
    flat = token_store.read_documents(tmp_path)
    ids, sentences, parts = flat
    rows = [letters.decode(ids[a:b]) for a, b in zip(sentences, sentences[1:])]
    assert rows == ["A a.", "B b.", "A", "B.", "c c"] and parts.tolist() == [0, 3, 4, 5]
    learn, keep = token_store.last_documents(flat, 0.3)
    assert len(Pairs(learn)) == 2 and len(Pairs(keep)) == 1
    assert letters.decode(keep[0]) == "c c" and letters.decode(learn[0]) == "A a.B b.AB."
    with pytest.raises(ValueError, match="two documents or more, found 1"):
        token_store.last_documents(keep)


def test_broken_files_of_ids_are_told(tmp_path):
    with pytest.raises(FileError, match="no such file"):
        token_store.read_ids(tmp_path / "none")
    (tmp_path / "torn").write_bytes(b"abcde")
    with pytest.raises(FileError, match="numbers of 4 bytes, found 5"):
        token_store.read_ids(tmp_path / "torn")
    (tmp_path / "empty").touch()
    assert token_store.read_ids(tmp_path / "empty").tolist() == []


def test_words_come_back(tmp_path):
    words = WordList.train(["a <unk> , B b\nb <eos> a"], cut="blanks", min_count=1, size=5)
    assert words.tokens == ["<unk>", "<eos>", "a", "b", ","] or len(words) == 5
    words.save(tmp_path / "words.txt")
    again = WordList.read(tmp_path / "words.txt", cut="blanks")
    assert again.tokens == words.tokens
    assert again.decode(again.encode("a b\nb zzz\n")) == "a b\nb <unk>\n"
    (tmp_path / "words.txt").write_text("a\nb\n")
    with pytest.raises(FileError, match="expected <unk>, <eos>"):
        WordList.read(tmp_path / "words.txt")


@pytest.mark.parametrize("tokens", gpt.TOKENS)
def test_tokenizers_are_read_as_they_were_written(tmp_path, corpus, tokens):
    made, _, _ = gpt._read(corpus, None, (tokens, 300, 1), tmp_path, tmp_path, False)
    again = pretraining.read_tokenizer(tmp_path)
    assert type(again) is type(made) and again.tokens == made.tokens
    text = "The cat sees\nthe dog."
    assert again.encode(text).tolist() == made.encode(text).tolist()


# batches ------------------------------------------------------------------------------------------


def test_a_batch_depends_on_its_number_alone(tmp_path, corpus):
    words, learn, _ = bert._read(corpus, None, 60, True, tmp_path, tmp_path, False)
    make = lambda: bert.PairBatches(Pairs(learn, longest=24), words, batch=4, seed=1)
    first, second = make(), make()
    row = [first(k) for k in (0, 1, 63, 64, 65)]
    for k, t in zip((65, 64, 63, 1, 0), reversed(row)):
        assert all(np.array_equal(t[name], second(k)[name]) for name in t)
    assert not np.array_equal(row[0]["ids"][:, :6], row[1]["ids"][:, :6])
    assert 0.2 < np.mean([first(k)["is_next"].mean() for k in range(64)]) < 0.8


def test_pairs_grow_and_a_batch_keeps_its_tokens():
    made = []

    def make(longest, pairs):
        made.append((longest, pairs))
        return lambda k: (longest, k)

    batches = bert.growing(make, 100, 16, 32, 8)
    assert made == [(16, 200), (25, 128), (50, 64), (100, 32)]
    assert [batches(k) for k in (0, 1, 2, 5, 7)] == [(16, 0), (16, 1), (25, 2), (50, 5), (100, 7)]
    assert bert.growing(make, 12, 16, 32, 8)(0) == (12, 0) and made[-1] == (12, 32)


def test_the_first_bias_is_how_frequent_words_are(tmp_path, corpus):
    words, learn, _ = bert._read(corpus, None, 60, True, tmp_path, tmp_path, False)
    task = bert.bert_task(bert_sizes(len(words), 32, 1, 2, 24), words)
    params, frequencies = bert.begin(task, learn, len(words), seed=0)
    p = np.exp(params.tree.words.bias.astype(float))
    counts = np.bincount(learn[0], minlength=len(words)) + 1
    np.testing.assert_allclose(p / p.sum(), counts / counts.sum(), rtol=1e-5)
    assert frequencies.first == counts.argmax()


def test_fixed_copies_come_again(tmp_path, corpus):
    words, learn, _ = bert._read(corpus, None, 60, True, tmp_path, tmp_path, False)
    task = bert.bert_task(bert.sizes("bert-tiny", len(words), context=128), words)
    batches = bert.PairBatches(Pairs(learn, longest=24), words, batch=4, seed=1)
    copies = bert.FixedCopies(task, batches, 5, 1)
    (ids, _), (where, _, _) = copies(2)
    (ids7, _), (where7, _, _) = copies(7)
    assert np.array_equal(ids, ids7) and np.array_equal(where, where7)
    assert not np.array_equal(where, copies(3)[1][0])


def test_blocks_reach_the_whole_text_and_no_further():
    blocks = gpt.Blocks(np.arange(20), context=16, batch=50, seed=0)
    t = blocks(0)
    assert t.shape == (50, 17) and {*t[:, 0]} == {0, 1, 2, 3} and (np.diff(t) == 1).all()
    with pytest.raises(ValueError, match="more than 16 tokens, found 16"):
        gpt.Blocks(np.arange(16), context=16, batch=1, seed=0)


# measures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 5, 9, 10, 16, 17, 18, 40, 41, 300])
@pytest.mark.parametrize("context", [7, 8])
def test_every_token_counts_once_and_sees_half_a_context(n, context):
    """Against one window for each token: those before it, as many as its window has."""
    task = NextToken(gpt2(11, 16, 1, 1, context))
    params = Params(task.spec(), np.random.default_rng(0), dtype=np.float64)
    params.flat *= 10
    ids = np.random.default_rng(n).integers(0, 11, n)
    found = gpt.nats_per_token(task, params, ids, batch=3)
    half, total = context // 2, 0.0
    for i in range(1, n):
        window = 0 if i <= context else -(-(i - context) // (context - half))
        begin = window * (context - half)
        assert i - begin > half or begin == 0
        scores, _ = task.logits(params.tree, ids[None, begin:i])
        s = scores[0, -1]
        total += math.log(np.exp(s).sum()) - s[ids[i]]
    assert found == pytest.approx(total / (n - 1), rel=1e-9)


def test_frequencies():
    one = pretraining.Frequencies(np.array([1, 1, 0]), 3)
    assert np.exp(one.logp) == pytest.approx([2 / 6, 3 / 6, 1 / 6])
    assert one.accuracy(np.array([1, 2])) == 0.5
    assert one.nats(np.array([1, 2])) == pytest.approx((math.log(2) + math.log(6)) / 2)


# the jobs -----------------------------------------------------------------------------------------


def killed_at(monkeypatch, step):
    """The job dies after this step, as by Ctrl-C."""
    usual = pretraining.train

    def dies(*args, **options):
        for done, row in usual(*args, **options):
            yield done, row
            if done == step:
                raise KeyboardInterrupt

    monkeypatch.setattr(pretraining, "train", dies)


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


@pytest.mark.parametrize(
    "job, options",
    [(train_bert, BERT), (train_bert, {**BERT, "copies": 1}), (train_gpt, GPT)],
    ids=["bert", "bert-copies", "gpt"],
)
def test_a_kill_leaves_no_trace(tmp_path, monkeypatch, corpus, job, options):
    whole = job(corpus, run=tmp_path / "whole", **options)
    with monkeypatch.context() as patch:
        killed_at(patch, 4)
        with pytest.raises(KeyboardInterrupt):
            job(corpus, run=tmp_path / "killed", **options)
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    again = job(corpus, run=tmp_path / "killed", resume=True, **options)
    assert again.scores == whole.scores
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_another_configuration_is_refused(tmp_path, corpus):
    train_gpt(corpus, run=tmp_path / "run", **{**GPT, "steps": 1, "warmup": 0})
    with pytest.raises(FileError, match="already holds a run"):
        train_gpt(corpus, run=tmp_path / "run", **GPT)
    with pytest.raises(FileError, match="batch was 3, now 4"):
        options = {**GPT, "steps": 1, "warmup": 0, "batch": 4}
        train_gpt(corpus, run=tmp_path / "run", resume=True, **options)
    with pytest.raises(FileError, match="no run to resume"):
        train_gpt(corpus, run=tmp_path / "none", resume=True, **GPT)


@pytest.mark.parametrize("job, options", [(train_bert, BERT), (train_gpt, GPT)])
def test_a_nan_names_step_and_tensor_and_the_last_checkpoint_stands(tmp_path, corpus, job, options):
    given = options | dict(steps=8, clip=1e30, run=tmp_path / "run")
    with np.errstate(all="ignore"), pytest.raises(Diverged, match=r"step \d: .*first in \w.*\[0"):
        job(corpus, lr=1e36, **given)
    state = load_arrays(tmp_path / "run" / "training" / "checkpoint.npz")
    assert 1 <= state["steps"] < 8 and all(np.isfinite(a).all() for a in state.values())
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_bert_learns_more_than_frequencies(corpus):
    """Every sentence has one form: with both sides in view most hidden words are certain."""
    options = {**BERT, "steps": 150, "batch": 16, "shortest": 24}
    found = train_bert(corpus, valid=corpus, **options)
    scores = found.scores
    assert scores["nats"] < scores["unigram_nats"] - 0.5
    assert scores["accuracy"] > scores["unigram_accuracy"] + 0.1
    assert found.folder is None and scores["words"] > 20 and 0 <= scores["next_accuracy"] <= 1


def test_gpt_learns_more_than_frequencies(tmp_path, corpus):
    options = {**GPT, "steps": 120, "lr": 3e-3}
    scores = train_gpt(corpus, run=tmp_path, **options).scores
    assert scores["nats"] < scores["unigram_nats"] - 0.8
    assert scores["perplexity"] == pytest.approx(math.exp(scores["nats"]))
    assert json.loads((tmp_path / "scores.json").read_text()) == scores


@pytest.mark.parametrize(
    "job, options, told",
    [
        (train_bert, {"batch": 0}, "batch: expected a whole number of 1 or more, found 0"),
        (train_bert, {"copies": 0}, "copies: expected"),
        (train_bert, {"preset": "bert-huge"}, "bert-huge"),
        (train_gpt, {"tokens": "letters"}, "tokens: expected one of characters, "),
        (train_gpt, {"context": 100_000}, "corpus: expected more than 100000 tokens"),
        (train_gpt, {"valid": "nowhere.txt"}, "nowhere.txt: no such file"),
    ],
)
def test_wrong_input_is_told_and_leaves_nothing(tmp_path, corpus, job, options, told):
    given = {**(BERT if job is train_bert else GPT), **options}
    with pytest.raises(ValueError, match=told):
        job(corpus, run=tmp_path / "run", **given)
    assert not (tmp_path / "run" / "training" / "config.json").exists()


# the commands -------------------------------------------------------------------------------------


def npssl(capsys, *args):
    status = main([str(a) for a in args])
    out, err = capsys.readouterr()
    return status, out, err


SMALL = {
    "bert": "--vocabulary 60 --length 24 --batch 4 --held 2 --mask-rate 0.3 --next-weight 0",
    "gpt": "--width 32 --depth 1 --heads 2 --context 16 --batch 2 --tokens words",
}


@pytest.mark.parametrize("model", SMALL)
def test_commands_train_and_resume(tmp_path, capsys, corpus, model):
    out = tmp_path / "out"
    call = ["train", model, "--corpus", corpus, "--out", out, *SMALL[model].split(), "--steps", 3]
    status, told, err = npssl(capsys, *call)
    assert status == 0, err
    assert (
        "held out: " in told and "frequencies alone" in told and "for example: the " in told.lower()
    )
    assert (out / "config.json").exists() and (out / "model.safetensors").exists()
    status, told, _ = npssl(capsys, "train", model, "--out", out, "--resume", "--json")
    found = json.loads(told)
    assert status == 0 and found["folder"] == str(out) and found["nats"] > 0
    status, _, err = npssl(capsys, "train", model, "--out", out, "--resume", "--batch", 9)
    assert status == 2 and "now 9" in err
    status, _, err = npssl(capsys, "train", model, "--resume")
    assert status == 2 and "--resume: expected --out FOLDER" in err
    other = {"bert": "gpt", "gpt": "bert"}[model]
    status, _, err = npssl(capsys, "train", other, "--out", out, "--resume")
    assert status == 2 and f"is not the configuration of a {other}" in err


def test_flags_are_those_of_the_jobs():
    for name, job in (("bert", train_bert), ("gpt", train_gpt)):
        known = set(inspect.signature(job).parameters)
        others = {
            "corpus",
            "valid",
            "run",
            "resume",
            "save_seconds",
            "progress",
            "lowercase",
            "tied",
        }
        assert {*pretraining_cli._FLAGS[name]} == known - others
