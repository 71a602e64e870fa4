"""``npssl train simcse``: what it reads, measures, keeps and writes."""

import json

import numpy as np
import pytest

from npssl.cli import main
from npssl.data.labelled import Sentences, read_stsb
from npssl.data.wordpiece import SPECIALS, WordPiece
from npssl.errors import FileError
from npssl.evaluation.correlation import spearman
from npssl.jobs.pretrained import save_pretrained
from npssl.jobs.sentences import SentenceEncoder, save_pool
from npssl.jobs.simcse import measure, read_texts, train_simcse
from npssl.models.transformer import bert
from npssl.params import Params
from npssl.train import Run

pytest.importorskip("safetensors", reason="needs the extra 'weights'")

SMALL = dict(batch=4, epochs=2, every=3, longest=10, lr=1e-3, progress=False)


def sentence(rng):
    return " ".join(rng.choice(list("abcdefgh"), 6))


@pytest.fixture
def place(tmp_path):
    """A small encoder, running text, triples, and an STS-B of the same letters."""
    rng = np.random.default_rng(0)
    words = WordPiece([*SPECIALS, *"abcdefgh", "."])
    model = bert(len(words), 16, 1, 2, 16)
    params = Params(model.spec(), rng)
    params.flat += 0.3 * rng.standard_normal(params.flat.shape)  # vectors that differ
    save_pretrained(tmp_path / "model", model, params)
    words.save(tmp_path / "model" / "vocab.txt")
    (tmp_path / "text.txt").write_text("".join(f"{sentence(rng)}.\n" for _ in range(20)))
    rows = ["\t".join(sentence(rng) for _ in range(3)) for _ in range(20)]
    (tmp_path / "triples.tsv").write_text("\n".join(rows) + "\n")
    for part in ("dev", "test"):
        pairs = [f"{sentence(rng)},{sentence(rng)},{n % 6}\n" for n in range(12)]
        (tmp_path / "data" / "stsb").mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "stsb" / f"stsb-en-{part}.csv").write_text("".join(pairs))
    return tmp_path


def go(place, corpus="text.txt", **options):
    given = dict(SMALL, where=place / "data") | options
    return train_simcse(place / corpus, place / "model", **given)


@pytest.mark.parametrize("pool", ["mean", "cls"])
def test_the_folder_is_opened_by_embed_and_has_the_scores_that_were_told(place, pool):
    found = go(place, pool=pool, keep="last", run=place / "out")
    assert set(found["before"]) == set(found["after"]) == {"dev", "test"}
    assert [row["step"] for row in found["history"]] == [3, 6, 9, 10] and found["step"] == 10
    assert found["before"] != found["after"]
    assert json.loads((place / "out" / "scores.json").read_text()) == found
    encoder = SentenceEncoder(place / "out", longest=16)
    assert encoder.pool == pool
    rows = (place / "data" / "stsb" / "stsb-en-test.csv").read_text().splitlines()
    a, b, score = zip(*(row.split(",") for row in rows))
    u, v = (encoder.embed(side).astype(float) for side in (a, b))
    told = spearman((u * v).sum(1), np.array(score, float))
    assert told == pytest.approx(found["after"]["test"]["spearman"], abs=1e-6)


def test_the_best_by_dev_is_kept(place):
    found = go(place, run=place / "best")
    best = max(found["history"], key=lambda row: row["spearman"])
    assert found["after"]["dev"]["spearman"] == pytest.approx(best["spearman"])
    assert found["step"] == best["step"]
    dev = read_stsb(place / "data" / "stsb" / "stsb-en-dev.csv")
    again = measure(SentenceEncoder(place / "best", longest=16), dev)
    assert again == pytest.approx(found["after"]["dev"], abs=1e-6)


def test_a_run_goes_on_to_the_same_bytes(place, monkeypatch):
    whole = go(place, "triples.tsv", columns=3, hard=0.5, run=place / "whole")
    calls = []

    def due(self):  # save after the fourth step, stop in the sixth
        calls.append(self)
        if len(calls) > 5:
            raise KeyboardInterrupt
        return len(calls) == 4

    monkeypatch.setattr(Run, "due", due)
    with pytest.raises(KeyboardInterrupt):
        go(place, "triples.tsv", columns=3, hard=0.5, run=place / "cut")
    monkeypatch.undo()
    again = go(place, "triples.tsv", columns=3, hard=0.5, run=place / "cut", resume=True)
    assert json.dumps(again) == json.dumps(whole)
    rows = (place / "cut" / "training" / "metrics.jsonl").read_text().splitlines()
    assert all("alarms" in json.loads(row) for row in rows) and "alarms" in whole
    one, two = (place / d / "model.safetensors" for d in ("whole", "cut"))
    assert one.read_bytes() == two.read_bytes()


def test_without_sts_it_trains_all_the_same(place):
    found = go(place, where=place / "nowhere")
    assert found["before"] == found["after"] == {} and found["history"] == []


def test_figures_by_loops(place):
    encoder = SentenceEncoder(place / "model", longest=16)
    texts = [("a b", "a b c"), ("a b", "h g"), ("c", "d e f"), ("c", "c")]
    y = np.array([4.5, 0.0, 4.0, 5.0])
    found = measure(encoder, Sentences(texts, y, None))
    v = {t: encoder.embed([t])[0].astype(float) for t in {t for pair in texts for t in pair}}
    near = [((v[a] - v[b]) ** 2).sum() for (a, b), s in zip(texts, y) if s > 4]
    assert found["alignment"] == pytest.approx(np.mean(near), abs=1e-5)
    pairs = [(v[a], v[b]) for a in v for b in v if a != b]
    assert found["cosine"] == pytest.approx(np.mean([a @ b for a, b in pairs]), abs=1e-5)
    spread = np.log(np.mean([np.exp(-2 * ((a - b) ** 2).sum()) for a, b in pairs]))
    assert found["uniformity"] == pytest.approx(spread, abs=1e-5)
    s = np.linalg.svd(np.stack(list(v.values())), compute_uv=False)
    assert found["singular"] == pytest.approx(s[0] ** 2 / (s**2).sum(), abs=1e-5)


def test_what_is_read(tmp_path):
    (tmp_path / "a").write_text("= Title =\nOne two three four five. Too short.\n\nA b c d e f!\n")
    expected = {("One two three four five.",), ("A b c d e f!",)}
    assert set(read_texts(tmp_path / "a")) == expected
    assert len(read_texts(tmp_path / "a", limit=1)) == 1
    (tmp_path / "b").write_text("a\tb\tc\nd\te\n")
    with pytest.raises(FileError, match="line 2.*expected 3 texts with tabs.*found 2"):
        read_texts(tmp_path / "b", columns=3)
    (tmp_path / "c").write_text("\n")
    with pytest.raises(FileError, match="expected sentences, found none"):
        read_texts(tmp_path / "c")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch": 21}, "batch must be 2 to the 20 texts, found 21"),
        ({"columns": 4}, "columns must be 1, 2 or 3, found 4"),
        ({"keep": "first"}, "keep must be best or last"),
        ({"hard": 0.5}, "columns=3"),
        ({"longest": 17}, "context of 16, found 17"),
        ({"warmup": 1.0}, "warmup must be a share"),
    ],
)
def test_what_cannot_be_is_told(place, options, said):
    with pytest.raises(ValueError, match=said):
        go(place, **options)


def test_a_pool_that_is_not_known_is_told(place):
    save_pool(place / "model", "max", 16)
    with pytest.raises(FileError, match="expected one of pooling_mode_mean_tokens"):
        SentenceEncoder(place / "model", longest=16)


def test_command(place, capsys, monkeypatch):
    monkeypatch.setenv("NPSSL_DATA", str(place / "data"))
    said = ["train", "simcse", "--batch", "4", "--longest", "10", "--out", str(place / "out")]
    said += ["--corpus", str(place / "text.txt"), "--json"]
    assert main(said) == 2 and "--model: expected one" in capsys.readouterr().err
    assert main([*said, "--model", str(place / "model")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["after"]) == {"dev", "test"}
    assert (place / "out" / "history.png").read_bytes().startswith(b"\x89PNG")
    resumed = ["train", "simcse", "--out", str(place / "out"), "--resume", "--json"]
    assert main(resumed) == 0
    assert json.loads(capsys.readouterr().out) == found
    line = ["embed", str(place / "text.txt"), "--model", str(place / "out"), "--longest", "16"]
    assert main([*line, "--out", str(place / "v.npy"), "--json"]) == 0
    assert np.load(place / "v.npy").shape == (20, 16)
