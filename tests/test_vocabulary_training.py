"""Vocabularies are learnt as by counting anew at each step, and as by other packages."""

import itertools
import lzma
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npssl.data.bpe import BytePairs
from npssl.data.merging import learn
from npssl.data.wordpiece import SPECIALS, WordPiece

WORDS = st.dictionaries(st.text("abc", min_size=1, max_size=9), st.integers(1, 9), max_size=6)


def join(parts, pair):
    """The parts with a pair joined wherever it stands, from the left."""
    joined = []
    while parts:
        n = 2 if tuple(parts[:2]) == pair else 1
        joined.append("".join(parts[:n]))
        parts = parts[n:]
    return joined


@given(WORDS, st.integers(0, 12), st.integers(1, 4))
def test_learn_equals_counting_anew(words, more, min_count):
    tokens, expected = ["a", "b", "c"], []
    parts = {word: list(word) for word in words}
    while len(expected) < more:
        counts = Counter()
        for word, n in words.items():
            for pair in itertools.pairwise(parts[word]):
                counts[pair] += n
        best = min(counts, key=lambda p: (-counts[p], *map(tokens.index, p)), default=None)
        if best is None or counts[best] < min_count:
            break
        expected.append(best)
        tokens.append("".join(best))
        parts = {word: join(ps, best) for word, ps in parts.items()}
    ids = ((["abc".index(c) for c in word], n) for word, n in words.items())
    found = learn(ids, "abc", 3 + more, joined=str.__add__, min_count=min_count)
    assert found == (tokens, expected)
    pairs = BytePairs(expected)  # and who encodes finds the words as they were cut
    assert all(pairs.pieces(word) == ps for word, ps in parts.items())


@pytest.fixture(scope="module")
def lines(shared_data):
    """Real text with accents and other scripts: every 10th line of the articles."""
    with lzma.open(shared_data("enwiki-2018") / "enwiki.txt.xz", "rt", encoding="utf-8") as file:
        return [*itertools.islice(file, 0, 60_000, 10)]


def test_pairs_equal_tokenizers(lines, tmp_path):
    tokenizers = pytest.importorskip("tokenizers", reason="needs the package tokenizers")
    ours = BytePairs.train(iter(lines), 3001)
    theirs = tokenizers.ByteLevelBPETokenizer()
    theirs.train_from_iterator(lines, 3000, min_frequency=2, show_progress=False)
    theirs.save_model(str(tmp_path))
    there = (tmp_path / "merges.txt").read_text("utf-8").splitlines()[1:]
    assert [" ".join(pair) for pair in ours.merges] == there
    assert ours.ids.items() - {("<|endoftext|>", 3000)} == theirs.get_vocab().items()


def test_pairs_in_gpt2_files(lines, tmp_path):
    transformers = pytest.importorskip("transformers", reason="needs the package transformers")
    ours = BytePairs.train(lines, 1000)
    ours.save(tmp_path, ("encoder.json", "vocab.bpe"))
    names = tmp_path / "encoder.json", tmp_path / "vocab.bpe"
    assert BytePairs.read(*names).merges == ours.merges
    ours.save(tmp_path)
    theirs = transformers.GPT2Tokenizer.from_pretrained(str(tmp_path))
    for line in lines[1::20]:
        assert ours.encode(line).tolist() == theirs.encode(line, add_special_tokens=False)


def test_pieces_equal_tokenizers(lines, tmp_path):
    tokenizers = pytest.importorskip("tokenizers", reason="needs the package tokenizers")
    for lowercase in (True, False):
        ours = WordPiece.train(iter(lines), 5000, lowercase=lowercase, characters=9999)
        theirs = tokenizers.BertWordPieceTokenizer(lowercase=lowercase)
        theirs.train_from_iterator(
            lines, 5000, min_frequency=2, limit_alphabet=9999, show_progress=False
        )
        both = {*ours.tokens} & {*theirs.get_vocab()}
        assert len(both) >= 0.99 * 5000  # they number ##a, ##b, ... in no fixed order: ties
    path = tmp_path / "vocab.txt"
    ours.save(path)
    again = tokenizers.BertWordPieceTokenizer(str(path), lowercase=False)
    for line in lines[1::20]:
        assert ours.encode(line).tolist() == again.encode(line, add_special_tokens=False).ids


def test_the_order_of_texts_does_not_matter(lines):
    few = lines[:300]
    for train in (WordPiece.train, BytePairs.train):
        assert train(few, 1200).tokens == train(few[::-1], 1200).tokens


def test_options():
    texts = ["Aab aab xyz!", "aab xyz éé " + "q" * 101]
    words = WordPiece.train(texts, 99)
    assert words.tokens == [
        *SPECIALS, *"!abexyz", "##a", "##b", "##e", "##y", "##z", "aa", "aab", "xy", "xyz"
    ]  # fmt: skip
    assert WordPiece.train(texts, 19).tokens == words.tokens[:19]
    assert "é" in WordPiece.train(texts, 99, lowercase=False).ids
    assert "ee" in WordPiece.train(texts, 99, min_count=1).ids
    few = WordPiece.train(texts, 99, characters=2)
    assert few.tokens == [*SPECIALS, "a", "b", "##a", "##b", "aa", "aab"]
    texts = ["aab aab xyz", "aab xyz"]
    pairs = BytePairs.train(texts, 999, end="END")
    assert pairs.tokens[256:] == ["aa", "aab", "xy", "Ġxy", "Ġxyz", "END"]
    assert len(BytePairs.train(texts, 257)) == len(BytePairs.train([], 999)) == 257
    assert BytePairs.train(texts, 258).merges == [("a", "a")]


def test_faults():
    for train in (WordPiece.train, BytePairs.train):
        with pytest.raises(ValueError, match="found one string"):
            train("a text", 999)
    with pytest.raises(ValueError, match="size must be at least 9, .*found 8"):
        WordPiece.train(["aab"], 8)
    with pytest.raises(ValueError, match="size must be at least 257"):
        BytePairs.train(["aab"], 256)
    with pytest.raises(ValueError, match="end must not"):
        BytePairs.train(["END END"], 300, end="END")
