"""Pairs of sentences: the labels are true, the shares as asked, and nothing is too long."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npssl.data.pairs import Pairs, by_length, documents, pair_batch, sentences

texts = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=8), min_size=1, max_size=5)


def numbered(shape):
    """Documents with sentences of these lengths; the ids count 0, 1, 2..., so they tell
    the place.  Also the sentence and the document of each id."""
    made, ids, of_sentence, of_document = [], 0, [], []
    for d, lengths in enumerate(shape):
        made.append([])
        for n in lengths:
            made[-1].append(np.arange(ids, ids + n))
            of_sentence += [of_sentence[-1] + 1 if of_sentence else 0] * n
            of_document += [d] * n
            ids += n
    return made, np.array(of_sentence), np.array(of_document)


def near(found, n, p):
    return abs(found - n * p) <= 5 * np.sqrt(n * p * (1 - p)) + 1e-9


@given(
    shape=texts,
    longest=st.integers(5, 40),
    short=st.sampled_from([0, 0.5, 1]),
    next=st.sampled_from([0, 0.5, 1]),
    mode=st.sampled_from(["relabel", "original"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_laws(shape, longest, short, next, mode, seed):
    made, of_sentence, of_document = numbered(shape)
    pairs = Pairs(made, longest=longest, short=short, next=next, one_segment=mode)
    for a, b, is_next in pairs.draw(np.random.default_rng(seed)):
        assert len(a) and len(b) and len(a) + len(b) + 3 <= longest
        assert (np.diff(a) == 1).all() and (np.diff(b) == 1).all()
        same = of_document[a[0]] == of_document[b[0]]
        cut = len(a) + len(b) + 3 == longest  # tokens may be gone between the two
        if is_next:
            assert same and (b[0] > a[-1] if cut else b[0] == a[-1] + 1)
            assert next > 0
        elif len(made) > 1:
            assert not same
        elif len(made[0]) > 1 and not cut:
            assert b[0] != a[-1] + 1


@given(shape=texts, seed=st.integers(0, 2**32 - 1), mode=st.sampled_from(["relabel", "original"]))
def test_all_sentences_are_used_once(shape, seed, mode):
    shape = [[n + 1 for n in lengths] for lengths in shape]
    made, of_sentence, _ = numbered(shape)
    pairs = Pairs(made, longest=1000, one_segment=mode)
    used = []
    for a, b, is_next in pairs.draw(np.random.default_rng(seed)):
        used += [*a, *(b if is_next else ())]
    assert len(used) == len(set(used))
    assert set(of_sentence[used]) == set(of_sentence)
    if mode == "original":
        assert sorted(used) == list(range(len(of_sentence)))


def test_the_share_is_as_asked_and_in_the_original_too_random():
    shape = np.random.default_rng(0).integers(1, 30, (300, 7)).tolist()
    made, of_sentence, _ = numbered(shape)
    for next in 0.5, 0.2:
        labels = []
        rng = np.random.default_rng(1)
        pairs = Pairs(made, longest=40, short=0.3, next=next)
        for _ in range(4):
            labels += [label for _, _, label in pairs.draw(rng)]
        assert near(sum(labels), len(labels), next)
    pairs = Pairs(made, longest=40, one_segment="original")
    labels = [label for _, _, label in pairs.draw(rng)]
    assert np.mean(labels) < 0.45


def test_where_a_sentence_is_cut_does_not_tell_the_label():
    """Documents of one sentence: each pair is cut, and no B begins a sentence."""
    made, of_sentence, _ = numbered([[20]] * 400)
    firsts = {document[0][0] for document in made}
    seen = {True: 0, False: 0}
    for _, b, label in Pairs(made, longest=100).draw(np.random.default_rng(2)):
        assert b[0] not in firsts
        seen[label] += 1
    assert near(seen[True], sum(seen.values()), 0.5)


def test_truncation_takes_front_and_back_alike():
    made, *_ = numbered([[50, 50]] * 500)
    front = 0
    for a, b, _ in Pairs(made, longest=23, short=0, next=1).draw(np.random.default_rng(0)):
        assert len(a) + len(b) == 20
    made, *_ = numbered([[5, 5]] * 500)
    for a, b, _ in Pairs(made, longest=12, short=0, next=1).draw(np.random.default_rng(0)):
        assert len(a) == 5 and len(b) == 4  # of equal parts the second loses first
        front += b[0] % 10 == 6
    assert near(front, 500, 0.5)


def test_short_is_a_share_of_the_documents():
    made, *_ = numbered([[1] * 60] * 1000)
    longest = {}
    pairs = Pairs(made, longest=63, short=0.25, next=1)
    for a, b, _ in pairs.draw(np.random.default_rng(0)):
        d = a[0] // 60
        longest[d] = max(longest.get(d, 0), len(a) + len(b))
    assert near(sum(n < 60 for n in longest.values()), 1000, 0.25 * 58 / 59)


def test_flat_storage_gives_the_same_pairs_and_stays_on_disk(tmp_path):
    made, of_sentence, of_document = numbered([[3, 4, 5], [6, 2], [1, 1, 9, 3]])
    ids = np.memmap(tmp_path / "ids", np.uint16, "w+", shape=len(of_sentence))
    ids[:] = np.arange(len(ids))
    ends = np.cumsum([0, 3, 4, 5, 6, 2, 1, 1, 9, 3])
    flat = Pairs((ids, ends, np.array([0, 3, 5, 9])), longest=12)
    lists = Pairs(iter(made), longest=12)
    assert flat.ids is ids and len(flat) == len(lists) == 3
    one, two = (list(p.draw(np.random.default_rng(5))) for p in (flat, lists))
    assert len(one) == len(two)
    for (a, b, label), (c, d, other) in zip(one, two):
        assert a.tolist() == c.tolist() and b.tolist() == d.tolist() and label == other
        assert type(a) is np.ndarray and a.base is None


def test_a_tuple_of_three_documents_is_no_flat_storage():
    made, *_ = numbered([[3], [4], [5]])
    assert len(Pairs(tuple(made))) == 3


@pytest.mark.parametrize(
    "wrong, named",
    [
        (dict(longest=4), "longest"),
        (dict(short=1.1), "short"),
        (dict(next=-0.1), "next"),
        (dict(next=float("nan")), "next"),
        (dict(one_segment="other"), "one_segment"),
        (dict(documents=[]), "documents"),
        (dict(documents=[[]]), "documents"),
        (dict(documents=[[[1]], []]), "documents"),
        (dict(documents=[[[1], []]]), "documents"),
        (dict(documents=[[[1.5]]]), "documents"),
        (dict(documents=[[[[1]]]]), "documents"),
        (dict(documents=(np.arange(4.0), np.array([0, 4]), np.array([0, 1]))), "documents"),
        (dict(documents=(np.arange(4), np.array([0, 5]), np.array([0, 1]))), "documents"),
        (dict(documents=(np.arange(4), np.array([0, 3, 2, 4]), np.array([0, 3]))), "documents"),
        (dict(documents=(np.arange(4), np.array([0, 4]), np.array([0, 2]))), "documents"),
    ],
)
def test_bad_input(wrong, named):
    with pytest.raises(ValueError, match=f"^{named}: expected"):
        Pairs(**(dict(documents=[[[1, 2]]]) | wrong))


@given(shape=texts, longest=st.integers(5, 40), seed=st.integers(0, 2**32 - 1))
def test_batch(shape, longest, seed):
    made, *_ = numbered([[n + 1 for n in lengths] for lengths in shape])
    made = [[s + 10 for s in document] for document in made]
    drawn = list(Pairs(made, longest=longest).draw(np.random.default_rng(seed)))
    batch = pair_batch(drawn, cls_id=2, sep_id=3, pad_id=0, longest=longest)
    ids, segments = batch["ids"], batch["segments"]
    assert ids.dtype == segments.dtype == np.int32 and batch["is_next"].dtype == np.int64
    assert ids.shape == segments.shape == (len(drawn), batch["lengths"].max())
    assert ids.shape[1] <= longest
    for (a, b, label), row, part, n, is_next in zip(
        drawn, ids, segments, batch["lengths"], batch["is_next"]
    ):
        assert row[:n].tolist() == [2, *a, 3, *b, 3] and not row[n:].any()
        assert part[:n].tolist() == [0] * (len(a) + 2) + [1] * (len(b) + 1)
        assert not part[n:].any() and is_next == label


def test_bad_batches():
    ask = dict(cls_id=2, sep_id=3, pad_id=0)
    with pytest.raises(ValueError, match="^pairs: .* none"):
        pair_batch([], longest=8, **ask)
    with pytest.raises(ValueError, match="^pairs: .* 5 tokens, found 6 in pair 1"):
        pair_batch([([1], [1], True), ([1], [1, 1], True)], longest=5, **ask)
    with pytest.raises(ValueError, match="^longest"):
        pair_batch([([1], [1], True)], longest=4, **ask)


@given(
    lengths=st.lists(st.integers(1, 60), max_size=80),
    tokens=st.integers(1, 300),
    seed=st.none() | st.integers(0, 99),
)
def test_by_length(lengths, tokens, seed):
    rng = None if seed is None else np.random.default_rng(seed)
    lengths = np.array(lengths, int)
    batches = by_length(lengths, tokens=tokens, rng=rng)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    batches.sort(key=lambda batch: (lengths[batch].min(), lengths[batch].max()))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= tokens
    for batch, after in zip(batches, batches[1:]):
        assert lengths[batch].max() <= lengths[after].min()
    if rng is None:  # each is as full as it can be
        for batch, after in zip(batches, batches[1:]):
            assert (len(batch) + 1) * lengths[after[0]] > tokens


def test_by_length_shuffles():
    lengths = np.repeat(np.arange(1, 101), 10)
    rng = np.random.default_rng(0)
    one, two = (by_length(lengths, tokens=200, rng=rng) for _ in range(2))
    assert [b.tolist() for b in one] != [b.tolist() for b in two]
    for wrong in dict(lengths=[0, 1]), dict(lengths=[1.5]), dict(lengths=[[1]]), dict(tokens=0):
        with pytest.raises(ValueError, match=f"^{next(iter(wrong))}: expected"):
            by_length(**(dict(lengths=[1], tokens=5) | wrong))


def test_documents():
    assert list(documents([])) == list(documents(["", " \n"])) == []
    assert list(documents(["\n", " a\n", "b", "\t\n", "\n", "c\r\n", ""])) == [["a", "b"], ["c"]]
    with pytest.raises(ValueError, match="^lines"):
        list(documents("a\nb"))


@pytest.mark.parametrize(
    "expected",
    [
        ["It rained.", "We left."],
        ["Mr. Hill met J. R. Smith.", "They spoke."],
        ["He said “Go!”", "“No,” she said."],
        ["See Fig. 3 for pi = 3.14.", "2 of 3 agree."],
        ["Wait... what?", "Yes!"],
        ["So do I.", "Good."],
        ["It was late .", "The text is tokenized ."],
        ["The U.S. Senate met.", "Élan was high."],
        ["no capital. here it goes on"],
    ],
)
def test_sentences(expected):
    assert sentences(" ".join(expected)) == expected


@given(st.text(alphabet="aA .!?\"'1\n", max_size=40))
def test_sentences_lose_nothing_but_blanks(text):
    found = sentences(text)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(s == s.strip() and s for s in found)


def test_sentences_of_long_runs_take_no_long_time():
    for run in (
        "." * 100_000,
        "a" * 100_000 + ". A",
        ". " * 50_000,
        "." + " " * 100_000,
        "'" * 99_999,
    ):
        assert "".join("".join(sentences(run)).split()) == run.replace(" ", "")
