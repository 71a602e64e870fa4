"""Word vectors and their tests: against gensim, scipy and published definitions."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npssl import WordVectors
from npssl.data.vector_files import read_table
from npssl.errors import FileError, UnknownWord
from npssl.evaluation import (
    analogies,
    categorization,
    correlation,
    intrinsic,
    outliers,
    synonyms,
    word_pairs,
)
from npssl.evaluation.kmeans import kmeans
from npssl.evaluation.word_map import draw, project
from npssl.evaluation.word_vectors import best


@pytest.fixture(scope="module")
def glove(shared_data):
    with np.load(shared_data("glove-50d-20k") / "glove.npz", allow_pickle=False) as file:
        words, vectors = [str(w) for w in file["words"]], file["vectors"]
    return WordVectors(words, vectors.astype(np.float32))


@pytest.fixture(scope="module")
def expected(shared_data):
    return json.loads((shared_data("glove-50d-20k") / "expected.json").read_text())


def peer(wv, dtype=np.float32):
    keyed = pytest.importorskip("gensim.models").KeyedVectors
    other = keyed(wv.vector_size, dtype=dtype)
    other.add_vectors(wv.index_to_key, wv.vectors.astype(dtype))
    return other


@pytest.fixture(scope="module")
def gensim(glove):
    return peer(glove)


def small(seed=0, n=60, dim=7, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return WordVectors([f"w{i}" for i in range(n)], rng.normal(size=(n, dim)).astype(dtype))


def same_answers(ours, theirs):
    assert [w for w, _ in ours] == [w for w, _ in theirs]
    np.testing.assert_allclose([s for _, s in ours], [s for _, s in theirs], atol=2e-6)


# ---- neighbours


def test_neighbours_are_those_of_gensim(glove, gensim):
    for word in glove.index_to_key[5:4000:97]:
        same_answers(glove.most_similar(word), gensim.most_similar(word))


QUESTIONS = [
    dict(positive=["king", "woman"], negative=["man"]),
    dict(positive=["paris", "germany"], negative="france", topn=3),
    dict(positive=[("tea", 2.0), "milk"], negative=[("coffee", -0.5)], restrict_vocab=5000),
    dict(positive="dog", topn=1),
    dict(positive=["dog", 77], restrict_vocab=50),
    dict(negative=["war"]),
    dict(positive=["dog"], topn=0),
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_questions_of_words_weights_and_rows_as_gensim(glove, gensim, question):
    same_answers(glove.most_similar(**question), gensim.most_similar(**question))


def test_vectors_in_questions_as_gensim(glove, gensim):
    vector = glove["dog"] + glove["car"]
    same_answers(glove.similar_by_vector(vector), gensim.similar_by_vector(vector))
    mixed = dict(positive=[vector, "boat"], negative=[(glove["cat"], -0.3)])
    same_answers(glove.most_similar(**mixed), gensim.most_similar(**mixed))
    ours, theirs = [wv.most_similar("dog", topn=None) for wv in (glove, gensim)]
    np.testing.assert_allclose(ours, theirs, atol=2e-6)


@pytest.mark.filterwarnings("ignore:Call to deprecated")
def test_products_of_cosines_as_gensim(glove, gensim):
    for words in (["king", "woman"], ["man"]), (["paris", "japan"], ["france"]), ("dog", None):
        same_answers(glove.most_similar_cosmul(*words), gensim.most_similar_cosmul(*words))


def test_single_figures_as_gensim(glove, gensim):
    groups = ["breakfast cereal dinner lunch".split(), "red green blue car".split(), ["dog"]]
    for group in groups:
        assert glove.doesnt_match(group) == gensim.doesnt_match(group)
    for a, b in ("dog", "cat"), ("dog", "dog"), ("sun", "paris"):
        assert glove.similarity(a, b) == pytest.approx(gensim.similarity(a, b), abs=1e-6)
        assert glove.distance(a, b) == pytest.approx(gensim.distance(a, b), abs=1e-6)
        assert glove.rank(a, b) == gensim.rank(a, b)
    several = groups[:2]
    assert glove.n_similarity(*several) == pytest.approx(gensim.n_similarity(*several), abs=1e-6)
    for norm in (False, True):
        ours, theirs = [wv.get_vector("dog", norm=norm) for wv in (glove, gensim)]
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    np.testing.assert_array_equal(glove[["dog", "cat"]], gensim[["dog", "cat"]])


def test_table_is_not_copied():
    vectors = np.eye(3, dtype=np.float32)
    wv = WordVectors("abc", vectors)
    wv.most_similar("a")
    assert wv.vectors is vectors and np.shares_memory(wv["a"], vectors)
    assert len(wv) == 3 and "b" in wv and "x" not in wv and wv.vector_size == 3


def test_norms_follow_when_asked():
    wv = small()
    before = wv.most_similar("w0", topn=None)
    wv.vectors *= 3
    wv.fill_norms()
    np.testing.assert_allclose(wv.most_similar("w0", topn=None), before, atol=1e-6)


def test_zero_vectors_have_cosine_zero():
    wv = WordVectors("abc", np.array([[1.0, 0], [0, 0], [1, 1]]))
    assert wv.similarity("a", "b") == 0
    assert dict(wv.most_similar("a"))["b"] == 0
    assert [s for _, s in wv.most_similar("b")] == [0, 0]


def test_unknown_words():
    wv = small()
    for ask in (
        lambda: wv["x"],
        lambda: wv[["w1", "x"]],
        lambda: wv.most_similar("x"),
        lambda: wv.most_similar_cosmul("w1", ["x"]),
        lambda: wv.doesnt_match(["w1", "x"]),
        lambda: wv.similarity("w1", "x"),
        lambda: wv.rank("w1", "x"),
        lambda: wv[60],
    ):
        with pytest.raises(UnknownWord):
            ask()


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: WordVectors("ab", np.eye(3)), "vectors: expected shape"),
        (lambda: WordVectors("aba", np.eye(3)), "'a' twice"),
        (lambda: WordVectors("abc", np.eye(3), [1, 2]), "counts"),
        (lambda: small().most_similar(), "at least one"),
        (lambda: small().most_similar_cosmul(), "at least one"),
        (lambda: small().most_similar_cosmul([("w1", 2.0)]), "no weights"),
        (lambda: small().doesnt_match([]), "at least one"),
        (lambda: small().n_similarity([], ["w1"]), "at least one"),
        (lambda: small().similar_by_vector(np.zeros(3)), "shape"),
        (lambda: small().similar_by_vector(np.full(7, np.nan)), "finite"),
        (lambda: small().most_similar("w1", restrict_vocab=0), "restrict_vocab"),
        (lambda: WordVectors("ab", np.array([[1.0], [np.inf]])).most_similar("a"), "'b'"),
        (lambda: WordVectors("ab", np.full((2, 9), 3e38, np.float32)).most_similar("a"), "'a'"),
    ],
)
def test_what_cannot_be_is_said(make, says):
    with pytest.raises(ValueError, match=says):
        make()


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(0, 45))
def test_best_is_a_stable_sort(scores, n):
    scores = np.array(scores, float)
    np.testing.assert_array_equal(best(scores, n), np.argsort(-scores, kind="stable")[:n])


@pytest.mark.parametrize("name", ["a.safetensors", "a.bin", "a.txt.gz"])
def test_saved_and_loaded(tmp_path, name):
    wv = small()
    wv.counts = np.arange(60)[::-1]
    wv.save(tmp_path / name)
    back = WordVectors.load(tmp_path / name)
    assert back.index_to_key == wv.index_to_key
    np.testing.assert_array_equal(back.vectors, wv.vectors)
    counts = read_table(tmp_path / name)[2]
    assert (counts is None) == (name != "a.safetensors")
    if counts is not None:
        np.testing.assert_array_equal(back.counts, wv.counts)


# ---- correlation


numbers = st.integers(-5, 5) | st.floats(-1e3, 1e3).map(lambda x: round(x, 6))


@settings(deadline=None)
@given(st.lists(st.tuples(numbers, numbers), min_size=4, max_size=40))
def test_correlations_are_those_of_scipy(pairs):
    stats = pytest.importorskip("scipy.stats")
    x, y = np.array(pairs, float).T
    np.testing.assert_array_equal(correlation.ranks(x), stats.rankdata(x))
    if np.ptp(x) < 1e-2 or np.ptp(y) < 1e-2:
        assert np.ptp(x) > 0 < np.ptp(y) or correlation.pearson(x, y) == 0
        return
    for ours, theirs in (
        (correlation.pearson, stats.pearsonr),
        (correlation.spearman, stats.spearmanr),
    ):
        r = ours(x, y)
        found = theirs(x, y)
        assert r == pytest.approx(found.statistic, abs=1e-12)
        if abs(r) < 1 - 1e-6:  # near 1 the p value has no digits left
            assert correlation.p_value(r, len(x)) == pytest.approx(found.pvalue, rel=1e-7)


def test_p_values_of_few_pairs_and_of_certainty():
    assert correlation.p_value(1.0, 2) == 1 and correlation.p_value(1.0, 10) == 0
    assert correlation.p_value(0.0, 10) == pytest.approx(1)


def test_p_values_over_the_whole_range():
    special = pytest.importorskip("scipy.special")
    for a, b, x in itertools.product((0.5, 3, 500), (0.5, 2, 40), (1e-9, 0.2, 0.9, 1 - 1e-9)):
        theirs = special.betainc(a, b, x)
        assert correlation.incomplete_beta(a, b, x) == pytest.approx(theirs, rel=1e-11, abs=1e-300)


# ---- pairs of words


def test_expected_similarity(glove, expected, shared_data):
    for name, scores in expected["similarity"].items():
        pairs = word_pairs.read(shared_data("word-similarity") / f"{name}.txt")
        found = word_pairs.evaluate(glove, pairs)
        assert (found["pairs"], found["covered"]) == (scores["pairs"], scores["covered"])
        assert round(found["spearman"][0], 4) == scores["spearman"]


@pytest.mark.parametrize("options", [{}, {"restrict_vocab": 3000}, {"dummy4unknown": True}])
def test_pairs_to_the_last_digit_of_gensim(glove, shared_data, options):
    wv = WordVectors(glove.index_to_key, glove.vectors.astype(np.float64))
    other = peer(wv, np.float64)
    file = shared_data("word-similarity") / "EN-SIMLEX-999.txt"
    ours = wv.evaluate_word_pairs(file, **options)
    theirs = other.evaluate_word_pairs(str(file), **options)
    for a, b in zip(ours[:2], theirs[:2]):
        assert a[0] == pytest.approx(b[0], abs=1e-12)
        assert a[1] == pytest.approx(b[1], rel=1e-9)
    assert ours[2] == theirs[2]


def test_pairs_of_several_spellings(tmp_path):
    rng = np.random.default_rng(1)
    words = ["Tea", "tea", "COFFEE", "milk", "Milk", "sun"]
    wv = WordVectors(words, rng.normal(size=(6, 4)))
    file = tmp_path / "pairs.tsv"
    file.write_text("tea\tcoffee\t9\nTEA\tmilk\t7\nMilk\tsun\t1\nsun\tmoon\t5\ncoffee\tSun\t2\n")
    for case in (True, False):
        options = {"case_insensitive": case}
        ours = wv.evaluate_word_pairs(file, **options)
        theirs = peer(wv, np.float64).evaluate_word_pairs(str(file), **options) if case else None
        if case:
            assert ours[0][0] == pytest.approx(theirs[0][0], abs=1e-12)
            assert ours[2] == pytest.approx(theirs[2]) == 20
        else:
            assert ours[2] == pytest.approx(80)


def test_no_pair_is_known(tmp_path):
    file = tmp_path / "pairs.tsv"
    file.write_text("sun\tmoon\t5\n")
    with pytest.raises(ValueError, match=r"pairs\.tsv: not one pair"):
        small().evaluate_word_pairs(file)
    found = word_pairs.evaluate(small(), word_pairs.read(file))
    assert found["covered"] == 0 and found["spearman"] == (0.0, 1.0)


# ---- analogies


def test_expected_analogies(glove, expected, shared_data):
    questions = analogies.read(shared_data("word-analogy") / "questions-words.txt.xz")
    found = analogies.summary(analogies.evaluate(glove, questions))
    for name, scores in expected["analogy_3cosadd"]["sections"].items():
        section = found["sections"][name]
        assert {key: section[key] for key in scores} == scores
    assert found["total"]["covered"] == expected["analogy_3cosadd"]["total_covered"]
    assert found["total"]["correct"] == expected["analogy_3cosadd"]["total_correct"]
    halves = found["semantic"]["correct"] + found["syntactic"]["correct"]
    assert halves == found["total"]["correct"] and found["syntactic"]["questions"] == 10675


@pytest.mark.parametrize(
    "options",
    [
        {"restrict_vocab": 2000},
        {"restrict_vocab": 1500, "dummy4unknown": True},
        {"restrict_vocab": 1500, "case_insensitive": False},
    ],
)
def test_analogies_answer_as_gensim(glove, shared_data, tmp_path, options):
    """Also with several spellings of a word: two in five words appear in capitals too."""
    words, rows, rng = [], [], np.random.default_rng(0)
    for i, word in enumerate(glove.index_to_key[:6000]):
        spellings = [word.upper(), word] if i % 5 == 0 else [word, word.title()]
        for spelling in spellings if i % 5 < 2 else [word]:
            words.append(spelling)
            rows.append(glove.vectors[i] + rng.normal(0, 0.02, glove.vector_size))
    words, rows = zip(*dict(zip(words, rows)).items())
    wv = WordVectors(words, np.array(rows))
    file = tmp_path / "questions.txt"
    sections = analogies.read(shared_data("word-analogy") / "questions-words.txt.xz")
    with open(file, "w") as out:
        for name, questions in sections:
            out.writelines([f": {name}\n", *(" ".join(q) + "\n" for q in questions[::3])])
    score, ours = wv.evaluate_word_analogies(file, **options)
    other, theirs = peer(wv).evaluate_word_analogies(str(file), **options)
    assert sum(len(section["correct"]) for section in ours) > 10
    for mine, gensims in zip(ours, theirs, strict=True):
        assert {key: mine[key] for key in gensims} == gensims
    assert score == other


@pytest.mark.filterwarnings("ignore:Call to deprecated")
def test_products_answer_as_most_similar_cosmul(glove, shared_data):
    questions = analogies.read(shared_data("word-analogy") / "questions-words.txt.xz")
    some = [(name, qs[::97]) for name, qs in questions]
    found = analogies.total(analogies.evaluate(glove, some, method="cosmul", restrict_vocab=5000))
    assert found["covered"] > 30
    low = WordVectors(glove.index_to_key[:5000], glove.vectors[:5000])
    other = peer(low)
    for question in found["correct"] + found["incorrect"]:
        a, b, c, d = map(str.lower, question)
        answer = other.most_similar_cosmul([b, c], [a], topn=1)[0][0]
        assert (answer == d) == (question in found["correct"])


@pytest.mark.parametrize("method", ["cosadd", "cosmul"])
def test_analogies_by_their_formula(method):
    """In two dimensions, where some cosines are -1 and the small number below matters."""
    wv = small(n=40, dim=2, dtype=np.float64)
    wv.vectors[20:] = -2 * wv.vectors[:20]
    wv.fill_norms()
    cosines = wv.units(range(40)) @ wv.units(range(40)).T
    moved = np.maximum((1 + cosines) / 2, 0)
    rng = np.random.default_rng(4)
    questions = []
    for a, b, c in (rng.choice(40, 3, replace=False) for _ in range(300)):
        scores = cosines[b] - cosines[a] + cosines[c]
        if method == "cosmul":
            scores = moved[b] * moved[c] / (moved[a] + 1e-6)
        scores[[a, b, c]] = -9
        second, first = np.sort(scores)[-2:]
        if first - second > 1e-6 * abs(first):
            questions.append(tuple(f"w{i}" for i in (a, b, c, scores.argmax())))
    found = analogies.evaluate(wv, [("all", questions)], method=method)
    assert len(questions) > 200 and found[0]["incorrect"] == []


def test_no_answer_is_left():
    wv = WordVectors("abc", np.eye(3))
    questions = [("all", [("a", "b", "c", "a"), ("a", "b", "c", "c")])]
    for method in ("cosadd", "cosmul"):
        assert analogies.evaluate(wv, questions, method=method)[0]["correct"] == []


def test_analogies_across_blocks(monkeypatch):
    wv = small(n=300, dim=5)
    rng = np.random.default_rng(2)
    draw = lambda: tuple(f"w{i}" for i in rng.integers(0, 300, 4))
    questions = [("all", [draw() for _ in range(100)])]
    questions[0][1].extend(
        (a, b, c, wv.most_similar([b, c], [a], 1)[0][0]) for a, b, c, _ in questions[0][1][:20]
    )
    whole = analogies.evaluate(wv, questions)
    assert len(whole[0]["correct"]) >= 20
    monkeypatch.setattr(analogies, "BLOCK", 7)
    assert analogies.evaluate(wv, questions) == whole


# ---- categories, outliers, synonyms


def test_categories(glove, shared_data):
    for name, words, classes, least in ("ap", 402, 21, 0.55), ("bless", 200, 17, 0.6):
        items = categorization.read(shared_data("word-categorization") / f"{name}.csv")
        found = categorization.evaluate(glove, items)
        assert (found["words"], found["categories"]) == (words, classes)
        assert found["purity"] > least
        assert categorization.evaluate(glove, items) == found


def test_purity_counts_clusters_not_categories():
    assert categorization.purity([0, 0, 0, 0], ["a", "a", "b", "b"]) == 0.5
    assert categorization.purity([0, 1, 2, 3], ["a", "a", "b", "b"]) == 1
    with pytest.raises(ValueError, match="categories"):
        categorization.purity([], [])


def test_clusters_that_are_plain():
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(8), 25)
    points = rng.normal(size=(8, 20))[truth] * 5 + rng.normal(size=(200, 20))
    which, cost = kmeans(points, 8)
    assert categorization.purity(which, truth) == 1
    centres = np.array([points[truth == k].mean(0) for k in range(8)])
    assert cost == pytest.approx(np.square(points - centres[truth]).sum())


@pytest.mark.parametrize("k", [1, 3, 5])
def test_clusters_of_equal_points(k):
    which, cost = kmeans(np.ones((5, 2)), k)
    assert cost == 0 and which.shape == (5,)
    with pytest.raises(ValueError, match="k: expected 1 to 5"):
        kmeans(np.ones((5, 2)), 6)


def test_outliers_by_the_papers_formula():
    """Compactness as in the paper: mean pairwise similarity of the set without the word."""
    wv = small(n=40, dim=4)
    sets = [(f"set {i}", [f"w{j}" for j in range(i, i + 6)], ["w30", "w31"]) for i in range(5)]
    found = outliers.evaluate(wv, sets)
    places = []
    for _, words, odd in sets:
        for outlier in odd:
            names = [*words, outlier]
            compact = []
            for name in names:  # the set is the more compact, the less its missing word belongs
                rest = [other for other in names if other != name]
                compact.append(
                    np.mean([wv.similarity(a, b) for a, b in itertools.combinations(rest, 2)])
                )
            order = np.argsort(compact, kind="stable")  # least outlying first
            places.append(int(np.flatnonzero(order == len(words))[0]))
    assert found["cases"] == found["covered"] == 10
    assert found["accuracy"] == np.mean([place == 6 for place in places])
    assert found["opp"] == pytest.approx(np.mean(places) / 6)


def test_outliers_of_the_known_set(glove, shared_data):
    sets = outliers.read(shared_data("word-outlier") / "8-8-8.csv")
    assert [len(words) for _, words, _ in sets] == [len(odd) for _, _, odd in sets] == [8] * 8
    found = outliers.evaluate(glove, sets)
    assert found["cases"] == 64 and found["covered"] > 15 and found["opp"] > 0.9


def test_names_of_several_words():
    wv = WordVectors(["new", "york", "a_b", "a"], np.eye(4))
    find = outliers.finder(wv)
    vector = lambda name: outliers._vector(wv, find, name)
    np.testing.assert_array_equal(vector("New_York"), [0.5, 0.5, 0, 0])
    np.testing.assert_array_equal(vector("new_jersey"), [1, 0, 0, 0])
    np.testing.assert_array_equal(vector("a_b"), [0, 0, 1, 0])
    assert vector("x_y") is None and vector("x") is None


def test_synonyms(tmp_path):
    wv = WordVectors(
        ["big", "large", "tea", "sun", "small"],
        np.array([[1, 0, 0], [1, 0.1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0.01]]),
    )
    file = tmp_path / "items.txt"
    file.write_text(
        "# ours\nbig | large | tea | sun | none\nbig,large,tea,small,sun\nlarge\tbig\ttea\tsun\tx\n"
        "what | big | tea | sun | small\n"
    )
    items = synonyms.read(file)
    assert items[2] == ("large", "big", "tea", "sun", "x")
    found = synonyms.evaluate(wv, items)
    assert found == {
        "questions": 4,
        "covered": 3,
        "correct": 2,
        "accuracy": 2 / 3,
        "score": (2 + 1 / 4) / 4,
    }


# ---- readers

READERS = {kind: module.read for kind, module in intrinsic.KINDS.items()}
BROKEN = [
    ("pairs", "a\tb\t1\na\tb\n", "line 2"),
    ("pairs", "a\tb\t1\na\tb\tc\n", "line 2"),
    ("pairs", "a\tb\t1\na\tb\tnan\n", "line 2"),
    ("pairs", "", "no pairs"),
    ("pairs", "# nothing\n\n", "no pairs"),
    ("pairs", b"a b 1\n\xff b 1\n", "line 2: not UTF-8"),
    ("analogies", "a b c d\n", "line 1: a question before"),
    ("analogies", ": x\na b c d\n\na b c\n", "line 4: expected four"),
    ("analogies", ": x\n", "no questions"),
    ("categories", "category,word\nx\n", "line 2: expected 2 cells"),
    ("categories", "what,word\nx,y\n", "line 1: expected columns category and word"),
    ("categories", "category,word\n", "no rows"),
    ("categories", 'category,word\n"x,y\n', "line 2: not CSV"),
    ("outliers", "category,words,outliers\nx,\"['a']\",\"['b']\"\n", "line 2: expected at least"),
    ("outliers", "category,words,outliers\nx,1,2\n", "line 2: expected a list"),
    ("synonyms", "a | b | c\na | b\n", "line 2"),
    ("synonyms", "a | b | c | b\n", "line 1"),
    ("synonyms", "", "no questions"),
]


@pytest.mark.parametrize("kind, text, says", BROKEN)
def test_readers_name_file_and_line(tmp_path, kind, text, says):
    file = tmp_path / "questions"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FileError, match=says) as caught:
        READERS[kind](file)
    assert str(file) in str(caught.value)


def test_readers_take_windows_files_and_names_of_columns(tmp_path):
    file = tmp_path / "pairs.csv"
    file.write_bytes("\ufeffWord 1,Word 2,Score\r\ntea,Milk,7.5\r\n\r\nsun,a b,1".encode())
    assert word_pairs.read(file) == [("tea", "Milk", 7.5), ("sun", "a b", 1.0)]


LINES = st.lists(
    st.sampled_from([b"a", b"b", b"1", b" ", b"\t", b",", b"|", b"\n", b": x", b"#", b'"', b"\r"])
    | st.sampled_from([b"category", b"word", b"words", b"outliers", b"['a','b']", b"\xff", b"\0"])
    | st.binary(max_size=4),
    max_size=30,
).map(b"".join)


@settings(deadline=None, max_examples=150)
@given(content=LINES, kind=st.sampled_from(sorted(READERS)))
def test_readers_of_anything(tmp_path_factory, content, kind):
    file = tmp_path_factory.getbasetemp() / "anything"
    file.write_bytes(content)
    try:
        assert READERS[kind](file)
    except FileError as error:
        assert str(error).startswith(str(file))


# ---- the map


def test_map_keeps_the_plane():
    """Points of a plane keep their distances in the map."""
    rng = np.random.default_rng(3)
    flat = rng.normal(size=(12, 2)) @ np.linalg.qr(rng.normal(size=(9, 2)))[0].T
    points = project(flat)
    gaps = lambda x: np.square(x[:, None] - x[None]).sum(-1)
    np.testing.assert_allclose(gaps(points), gaps(flat), atol=1e-12)
    for seed in range(5):
        points = project(np.random.default_rng(seed).normal(size=(12, 9)))
        assert (points.max(0) == np.abs(points).max(0)).all()  # the larger end is positive


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_equal_maps_are_equal_bytes(tmp_path, suffix):
    pytest.importorskip("matplotlib")
    files = [tmp_path / f"{i}{suffix}" for i in range(2)]
    for file in files:
        draw(file, ["one", "$x<&", "été"], np.array([[0, 0], [1, 2], [2.0, 1]]), "a title")
    assert files[0].read_bytes() == files[1].read_bytes()
    with pytest.raises(ValueError, match="png or"):
        draw(tmp_path / "map.bmp", [], [])
