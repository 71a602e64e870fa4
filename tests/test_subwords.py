"""Sub-words: against gensim and by hand, page against kernel, composition, errors."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from npssl.data.subwords import bags, compact, compose, fnv1a, ngram_rows, ngrams
from npssl.layers.bag import bag

WORDS = ["where", "", "a", "naïve", "Zürich", "漢字", "😀😀x", "e\u0301t", "<b>", "a\nb", "x" * 40]
LENGTHS = [(3, 6), (1, 1), (1, 3), (2, 50), (4, 4), (39, 60), (70, 80)]


@pytest.fixture(params=["page", "kernel"])
def both(request, monkeypatch):
    monkeypatch.setenv("NPSSL_NUMBA", "0" if request.param == "page" else "1")


def split(start, rows):
    return [rows[a:b].tolist() for a, b in zip(start, start[1:])]


# ---- which n-grams, which hash


@pytest.mark.parametrize("minn, maxn", LENGTHS)
def test_rows_are_those_of_gensim(both, minn, maxn):
    gensim = pytest.importorskip("gensim.models.fasttext")
    start, rows = bags(WORDS, minn=minn, maxn=maxn, buckets=1999)
    expected = [
        [w] + [len(WORDS) + h for h in gensim.ft_ngram_hashes(word, minn, maxn, 1999)]
        for w, word in enumerate(WORDS)
    ]
    assert split(start, rows) == expected
    assert start.dtype == np.int64 and rows.dtype == np.int32 and start[-1] == len(rows)


@given(word=st.text(max_size=12), minn=st.integers(1, 8), more=st.integers(0, 8))
@settings(max_examples=60, deadline=None)
def test_ngrams_are_those_of_gensim(word, minn, more):
    inner = pytest.importorskip("gensim.models.fasttext_inner")
    theirs = inner.compute_ngrams_bytes(word, minn, minn + more)
    ours = ngrams(word, minn, minn + more)
    if word != "</s>":
        assert [gram.encode() for gram in ours] == theirs
    assert [fnv1a(gram) for gram in ours] == [inner.ft_hash_bytes(g.encode()) for g in ours]


def test_hash_of_bytes_from_128_on_carries_the_sign():
    assert fnv1a("a") == 0xE40C292C and fnv1a("foobar") == 0xBF9CF968  # RFC 9923
    h = 0x811C9DC5
    for byte in (0xFFFFFFC3, 0xFFFFFFA9):  # "é" is C3 A9
        h = (h ^ byte) * 0x01000193 % 2**32
    assert fnv1a("é") == h


def test_bare_brackets_and_sentence_ends(both):
    assert ngrams("", 1, 2) == ["<>"] and ngrams("a", 1, 1) == ["a"]
    assert ngrams("<", 1, 1) == ["<"]  # a word of its own, not the bracket
    start, rows = bags(["</s>", "a", "</s>"], minn=1, maxn=1, buckets=10**6)
    assert split(start, rows) == [[0], [1, 3 + fnv1a("a") % 10**6], [2]]
    assert len(ngram_rows("</s>", 1)) == 0


@given(
    words=st.lists(st.one_of(st.text(max_size=9), st.sampled_from(WORDS)), max_size=6),
    minn=st.integers(1, 7),
    more=st.integers(0, 7),
    buckets=st.one_of(st.integers(1, 50), st.integers(1, 2**31 - 6)),
)
@example(words=["\ud83d\ude00a", "</s>", "b"], minn=2, more=1, buckets=9999)  # lone surrogates
@settings(max_examples=100, deadline=None)
def test_kernel_and_page_agree(words, minn, more, buckets):
    options = dict(minn=minn, maxn=minn + more, buckets=buckets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NPSSL_NUMBA", "0")
        page = bags(words, **options)
        patch.setenv("NPSSL_NUMBA", "1")
        kernel = bags(words, **options)
    for a, b in zip(page, kernel):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    start, rows = page
    for w, word in enumerate(words):
        own = rows[start[w] : start[w + 1]]
        assert own[0] == w
        np.testing.assert_array_equal(ngram_rows(word, len(words), **options), own[1:])


def test_no_words(both):
    start, rows = bags([])
    assert start.tolist() == [0] and rows.shape == (0,) and rows.dtype == np.int32
    assert compose(np.ones((3, 2), np.float32), start, rows).shape == (0, 2)


def test_largest_table(both):
    start, rows = bags(["where"], buckets=2**31 - 1)
    assert rows[1:].tolist() == [1 + fnv1a(g) % (2**31 - 1) for g in ngrams("where")]


@pytest.mark.parametrize(
    "options, says",
    [
        (dict(minn=0), "minn: expected at least 1, found 0"),
        (dict(minn=4, maxn=3), "maxn: expected at least minn = 4, found 3"),
        (dict(buckets=0), "buckets: expected at least 1, found 0"),
        (dict(buckets=2**31), "2147483648 buckets are more rows"),
        (dict(minn=2.5), "minn: expected a whole number, found 2.5"),
        (dict(buckets="many"), "buckets: expected a whole number, found 'many'"),
    ],
)
def test_bad_options(both, options, says):
    with pytest.raises(ValueError, match=says):
        bags(["a"], **options)
    with pytest.raises(ValueError, match=says):
        ngram_rows("a", 1, **options)


def test_bad_words(both):
    for words, says in [
        (["a", b"b"], "expected str, found bytes b'b' at place 1"),
        (["a", None], "found NoneType None at place 1"),
        ("where", "expected a list of str, found 'where'"),
    ]:
        with pytest.raises(ValueError, match=says):
            bags(words)
    with pytest.raises(ValueError, match="found int"):
        ngram_rows(3, 1)


# ---- only the buckets that occur


@given(
    V=st.integers(0, 5),
    rows=st.lists(st.one_of(st.integers(0, 30), st.integers(2**31 - 9, 2**31 - 1)), max_size=20),
)
@settings(max_examples=80, deadline=None)
def test_compact(V, rows):
    rows = np.array(rows, np.int32)
    new, used = compact(rows, V)
    assert new.dtype == used.dtype == np.int32
    assert used.tolist() == sorted({row - V for row in rows.tolist() if row >= V})
    back = [V + used[row - V] if row >= V else row for row in new]
    assert back == rows.tolist()


def test_compact_refuses_negative_rows():
    with pytest.raises(ValueError, match="expected 0 or more, found -1"):
        compact(np.array([0, -1], np.int32), 1)


def test_unknown_words_find_the_used_buckets():
    V, options = len(WORDS), dict(minn=2, maxn=4, buckets=5000)
    start, rows = bags(WORDS, **options)
    new, used = compact(rows, V)
    assert new.max() == V + len(used) - 1
    for w, word in enumerate(WORDS):
        np.testing.assert_array_equal(
            ngram_rows(word, V, used=used, **options), new[start[w] + 1 : start[w + 1]]
        )
    there = ngram_rows("there", V, **options)
    known = [row for row in there if row - V in set(used.tolist())]
    assert 0 < len(known) < len(there)
    found = ngram_rows("there", V, used=used, **options)
    assert (V + used[found - V]).tolist() == known
    assert len(ngram_rows("there", V, used=[], **options)) == 0


# ---- composition


@given(
    sizes=st.lists(st.integers(0, 6), max_size=8),
    D=st.integers(0, 5),
    block=st.integers(1, 12),
    seed=st.integers(0, 99),
)
@settings(max_examples=80, deadline=None)
def test_compose_is_the_layer_bag(sizes, D, block, seed):
    rng = np.random.default_rng(seed)
    table = rng.standard_normal((7, D))
    start = np.append(0, np.cumsum(sizes, dtype=np.int64))
    rows = rng.integers(0, 7, start[-1]).astype(np.int32)
    expected, _ = bag(table, ids=rows, offsets=start)
    np.testing.assert_allclose(compose(table, start, rows, block=block), expected, atol=1e-14)
    for switch in "01":
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("NPSSL_NUMBA", switch)
            y = compose(table.astype(np.float32), start, rows, block=block)
        assert y.dtype == np.float32
        np.testing.assert_allclose(y, expected, atol=1e-6)


def test_compose_reads_only_and_takes_any_layout(both):
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    table.flags.writeable = False
    start, rows = np.array([0, 2, 3]), np.array([0, 2, 1])
    expected = [[3, 4, 5], [3, 4, 5]]
    assert compose(table, start, rows).tolist() == expected
    assert compose(np.asfortranarray(table), start, rows).tolist() == expected
    crooked = np.frombuffer(b"." + table.tobytes(), np.float32, offset=1).reshape(4, 3)
    assert compose(crooked, start, rows).tolist() == expected


def test_compose_needs_room_for_one_block_only(monkeypatch):
    monkeypatch.setenv("NPSSL_NUMBA", "0")
    start, rows = np.arange(0, 100_001, 50), np.zeros(100_000, np.int32)  # 40 MB if all at once
    tracemalloc.start()
    try:
        compose(np.ones((1, 100), np.float32), start, rows, block=1000)
        assert tracemalloc.get_traced_memory()[1] < 4e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "table, start, rows, block, says",
    [
        (np.ones(3), [0], [], 1, "table: expected"),
        (np.ones((3, 1), int), [0], [], 1, "table: expected"),
        (np.ones((3, 1)), [0, 2], [0], 1, "start: expected a rise from 0 to the 1 rows"),
        (np.ones((3, 1)), [0, 2, 1], [0], 1, "start: expected"),
        (np.ones((3, 1)), [1, 1], [0], 1, "start: expected"),
        (np.ones((3, 1)), [], [], 1, "start: expected"),
        (np.ones((3, 1)), [0, 1], [3], 1, "rows: expected 0 to 2, found 3 to 3"),
        (np.ones((3, 1)), [0, 1], [-1], 1, "rows: expected 0 to 2, found -1 to -1"),
        (np.ones((3, 1)), [0, 1], [0], 0, "block: expected at least 1, found 0"),
    ],
)
def test_bad_bags(both, table, start, rows, block, says):
    for dtype in (table.dtype, np.float32) if table.dtype == float else (table.dtype,):
        with pytest.raises(ValueError, match=says):
            compose(table.astype(dtype), start, rows, block=block)


def test_vectors_of_a_trained_fasttext_model(both):
    """gensim's own tables through our bags give gensim's own vectors, known words and unknown."""
    gensim = pytest.importorskip("gensim.models.fasttext")
    text = [["the", "cat", "sät", "on", "the", "mat"], ["the", "漢字", "cats", "mats"]] * 4
    options = dict(min_n=2, max_n=4, bucket=300)
    model = gensim.FastText(
        text, vector_size=8, min_count=1, epochs=1, workers=1, seed=1, **options
    )
    words, options = model.wv.index_to_key, dict(minn=2, maxn=4, buckets=300)
    V, table = len(words), np.vstack([model.wv.vectors_vocab, model.wv.vectors_ngrams])
    start, rows = bags(words, **options)
    np.testing.assert_allclose(compose(table, start, rows), model.wv.vectors, atol=1e-7)
    new, used = compact(rows, V)
    small = np.vstack([table[:V], table[V + used]])
    np.testing.assert_allclose(compose(small, start, new), model.wv.vectors, atol=1e-7)
    for word in ("catmat", "字漢", "zzz"):
        rows = ngram_rows(word, V, **options)
        np.testing.assert_allclose(table[rows].mean(0), model.wv[word], atol=1e-7)
