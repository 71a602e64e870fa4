"""The skip-gram task: split, gradients, what it learns, and its tie to the kernels' page."""

import itertools
import math
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npssl import kernels
from npssl.check import check, functional
from npssl.data.sampling import alias_table, huffman, keep_probability, noise_distribution
from npssl.jobs.epochs import in_sixes
from npssl.kernels import draws
from npssl.optim import SGD, AdamW, linear
from npssl.params import Params
from npssl.tasks import epoch
from npssl.tasks.skip_gram import EVALUATION, OBJECTIVES, SkipGram
from npssl.tasks.windows import kept
from npssl.train import gradient_step

SAMPLED = ("negative-sampling", "nce")
every_objective = pytest.mark.parametrize("objective", OBJECTIVES)


def key_of(rng):
    return EVALUATION if rng is None else int(rng.integers(2**64, dtype=np.uint64))


def a_task(V=7, objective="negative-sampling", subwords=False, **options):
    """A task on a vocabulary of V words; with sub-words up to three rows a word."""
    rng = np.random.default_rng(V)
    sizes = 1 + rng.integers(0, 3, V)
    rows = np.concatenate(
        [np.append(w, V + rng.integers(0, 4, n - 1)) for w, n in enumerate(sizes)]
    )
    options["subwords"] = (np.append(0, sizes.cumsum()), rows) if subwords else None
    settings = {"dim": 3, "window": 2, "negative": 3, "sample": 0, **options}
    return SkipGram(rng.integers(1, 20, V), objective=objective, **settings)


def a_text(rng, V=7, n=60):
    return rng.integers(-1, V, n).astype(np.int32)


# the split ----------------------------------------------------------------------------------------


def windows(task, t, key):
    """(centre, neighbours) of each kept word as places in t, word by word, in plain Python."""
    keep = np.minimum(keep_probability(task.counts, task.sample) * 2.0**32, 2.0**32 - 1)
    stays, sentence, sentences = kept(t, 0, key, keep.astype(np.uint32)), [], []
    for i, w in enumerate(t):
        if w < 0:
            sentences.append(sentence)
            sentence = []
        elif stays[i]:
            sentence.append(i)
    for one in [*sentences, sentence]:
        for a, i in enumerate(one):
            reach = 1 + (int(draws.draw(key, i, 1)) >> 32) * task.window // 2**32
            low = max(0, a - reach)
            yield i, one[low:a] + one[a + 1 : a + 1 + reach]


def shown(x):
    ids, offsets = x
    return [ids[a:b].tolist() for a, b in itertools.pairwise(offsets)]


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_split_gives_the_windows_of_the_kept_text(data):
    draw = lambda *choices: data.draw(st.sampled_from(choices))
    task = a_task(
        window=draw(1, 2, 4),
        sample=draw(0, 0.02),
        cbow=draw(True, False),
        subwords=draw(True, False),
        arrow=draw("paper", "word2vec.c"),
        objective=draw(*OBJECTIVES),
        negative=draw(1, 3),
    )
    seed = data.draw(st.integers(0, 999))
    t = a_text(np.random.default_rng(seed), n=data.draw(st.integers(0, 50)))
    x, (targets, noise) = task.split(t, np.random.default_rng(seed))
    start, rows = task.subwords or (np.arange(8), np.arange(7))
    bag = lambda places: [int(r) for i in places for r in rows[start[t[i]] : start[t[i] + 1]]]
    expected = []
    for centre, near in windows(task, t, key_of(np.random.default_rng(seed))):
        if task.cbow:
            expected += [(bag(near), t[centre])] if near else []
        elif task.arrow == "paper":
            expected += [(bag([centre]), t[i]) for i in near]
        else:
            expected += [(bag([i]), t[centre]) for i in near]
    assert [*zip(shown(x), targets.tolist())] == expected
    if task.objective in SAMPLED:
        assert noise.shape == (len(targets), task.negative)
        assert not (noise == targets[:, None]).any()
        assert noise.size == 0 or 0 <= noise.min() <= noise.max() < 7
    else:
        assert noise is None


def test_the_two_arrows_show_the_same_pairs():
    t = a_text(np.random.default_rng(1), n=300)
    (a, _), (b, _) = a_task(window=4, arrow="paper").split(t, np.random.default_rng(2))
    (c, _), (d, _) = a_task(window=4, arrow="word2vec.c").split(t, np.random.default_rng(2))
    assert len(a) > 500 and np.array_equal(a, d) and np.array_equal(b, c)


def test_with_window_one_the_text_can_be_read_from_the_pairs():
    t = np.array([3, 1, 4, 1, 5, -1, 2, 6, -1])
    (ids, _), (targets, _) = a_task(window=1, arrow="paper").split(t)
    pairs = {*zip(ids.tolist(), targets.tolist())}
    assert pairs == {(t[i], t[j]) for i, j in [(i, i + 1) for i in (0, 1, 2, 3, 6)]} | {
        (t[i + 1], t[i]) for i in (0, 1, 2, 3, 6)
    }


def test_who_shares_noise():
    """word2vec.c: all that guess one word; papers: nobody."""
    t = np.tile(np.arange(7), 30)
    for arrow, shared in (("word2vec.c", True), ("paper", False)):
        task = a_task(window=3, arrow=arrow, negative=6)
        x, (targets, noise) = task.split(t)
        centre = targets if arrow == "word2vec.c" else x[0]
        same = [np.array_equal(*noise[i : i + 2]) for i in np.flatnonzero(np.diff(centre) == 0)]
        assert len(same) > 300 and (all(same) if shared else np.mean(same) < 0.1)


def test_noise_follows_its_distribution():
    """Over all targets: P_n without the target, scaled to one."""
    t = np.tile(np.arange(7), 3000)
    task = a_task(window=1, arrow="paper", negative=5)
    _, (targets, noise) = task.split(t, np.random.default_rng(0))
    p = noise_distribution(task.counts)
    for w in range(7):
        drawn = noise[targets == w]
        expected = np.where(np.arange(7) == w, 0, p) / (1 - p[w])
        share = np.bincount(drawn.ravel(), minlength=7) / drawn.size
        assert (abs(share - expected) <= 5 * np.sqrt(expected / drawn.size)).all()


def test_a_generator_gives_new_draws_and_none_the_same_ones():
    task, t = a_task(sample=0.05, window=4), a_text(np.random.default_rng(3), n=400)
    same = lambda a, b: a[0][0].tobytes() == b[0][0].tobytes() and np.array_equal(a[1][1], b[1][1])
    assert same(task.split(t), task.split(t))
    assert same(task.split(t, np.random.default_rng(5)), task.split(t, np.random.default_rng(5)))
    rng = np.random.default_rng(5)
    assert not same(task.split(t, rng), task.split(t, rng))
    assert not same(task.split(t), task.split(t, np.random.default_rng(5)))


# values and gradients -----------------------------------------------------------------------------


WAYS = [*itertools.product((False, True), (False, True), ("paper", "word2vec.c"))]


@every_objective
@pytest.mark.parametrize("cbow, subwords, arrow", WAYS)
def test_every_gradient(objective, cbow, subwords, arrow):
    task = a_task(objective=objective, cbow=cbow, subwords=subwords, arrow=arrow, window=3)
    rng = np.random.default_rng(0)
    x, y = task.split(a_text(rng, n=20), rng)
    params = Params(task.spec(), rng, dtype=np.float64)
    params.flat += rng.normal(size=params.flat.shape)
    assert len(y[0]) > 5
    assert check(functional(task.loss, params), params.flat, x=x, y=y) < 1e-9


def test_tables_have_a_row_for_all_that_is_read():
    words, coins = a_task(), a_task(objective="hierarchical-softmax", subwords=True, dim=5)
    shapes = lambda task: {name: leaf.shape for name, leaf in task.spec().items()}
    assert shapes(words) == {"input": (7, 3), "output": (7, 3)}
    assert shapes(coins) == {"input": (coins.subwords[1].max() + 1, 5), "output": (6, 5)}
    start, nodes, _ = coins._tree
    assert not nodes[start[:-1]].any() and {*nodes.tolist()} == {*range(6)}, "the root is row 0"


@every_objective
def test_the_value_at_zero_is_known(objective):
    """All output vectors are zero at first: each objective then costs what its docstring says."""
    task = a_task(objective=objective, dim=4, negative=6)
    x, y = task.split(a_text(np.random.default_rng(0)))
    params = Params(task.spec(), np.random.default_rng(0))
    value, _ = task.loss(params.tree, x, y)
    start, _, _ = huffman(task.counts)
    expected = {
        "softmax": math.log(7),
        "hierarchical-softmax": np.diff(start)[y[0]].mean() * math.log(2),
        "negative-sampling": 7 * math.log(2),
        "nce": math.log(7) + 6 * math.log(1 + 1 / 6),
    }
    assert value.dtype == np.float32 and abs(value - expected[objective]) < 1e-5
    assert abs(params.tree.input).max() <= 0.5 / 4


def test_the_softmaxes_are_normalised():
    """The sum of exp(-value) over all words is 1."""
    for objective in ("softmax", "hierarchical-softmax"):
        task = a_task(objective=objective)
        rng = np.random.default_rng(0)
        p = Params(task.spec(), dtype=np.float64)
        p.flat[:] = rng.normal(size=p.flat.size)
        x = np.array([4]), np.array([0, 1])
        values = [task.loss(p.tree, x, (np.array([w]), None))[0] for w in range(7)]
        assert abs(np.exp(-np.array(values)).sum() - 1) < 1e-12


@every_objective
@pytest.mark.parametrize("cbow", [True, False])
@pytest.mark.parametrize("t", [[], [-1], [2], [2, -1, 3, -1]])
def test_a_text_without_pairs_costs_nothing(objective, cbow, t):
    task = a_task(objective=objective, cbow=cbow, subwords=True)
    x, y = task.split(np.array(t, np.int32), np.random.default_rng(0))
    params = Params(task.spec(), np.random.default_rng(0))
    value, back = task.loss(params.tree, x, y)
    g = params.zeros()
    back(g.tree)
    assert value == 0 and not g.flat.any()


@pytest.mark.parametrize("objective", [o for o in OBJECTIVES if o != "softmax"])
def test_no_table_is_written_anew_for_a_few_words(objective):
    V = 20_000
    task = SkipGram(np.ones(V, np.int64), dim=50, objective=objective)
    x, y = task.split(np.arange(40))
    params = Params(task.spec())
    g, _ = params.zeros(), task._tree
    tracemalloc.start()
    _, back = task.loss(params.tree, x, y)
    back(g.tree)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < params.tree.input.nbytes / 2


@pytest.mark.parametrize(
    "options, message",
    [
        ({"objective": "adaptive"}, "objective: expected one of .*, found 'adaptive'"),
        ({"arrow": "both"}, "arrow: expected one of .*, found 'both'"),
        ({"dim": 0}, "dim: expected 1 or more, found 0"),
        ({"window": 0}, "window: expected 1 or more, found 0"),
        ({"negative": 0}, "negative: expected 1 or more, found 0"),
        ({"counts": np.array([3, 0])}, "counts: expected two words or more that occur, .* found 1"),
        ({"subwords": (np.array([0, 1]), np.array([0]))}, r"subwords: expected start \(4,\) from"),
    ],
)
def test_settings_that_train_nonsense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SkipGram(**{"counts": np.array([3, 2, 1]), **options})


def test_negative_is_not_asked_for_where_nothing_is_drawn():
    t = np.array([0, 0])
    for objective in ("softmax", "hierarchical-softmax"):  # one word is certain
        task = SkipGram(np.array([5]), dim=2, sample=0, negative=0, objective=objective)
        x, y = task.split(t)
        p = Params(task.spec(), np.random.default_rng(0)).tree
        assert len(y[0]) == 2 and task.loss(p, x, y)[0] == 0


@pytest.mark.parametrize("t", [[7], [0, -2], [[0, 1]], [0.0, 1.0]])
def test_words_out_of_the_vocabulary_are_refused(t):
    with pytest.raises(ValueError, match="t: expected words 0 to 6, and -1, in one dimension"):
        a_task().split(np.array(t))


# what it learns -----------------------------------------------------------------------------------


def two_topics():
    """400 sentences of six words, each about one topic: words 0 to 4, or words 5 to 9."""
    rng = np.random.default_rng(0)
    topic = rng.integers(2, size=400)
    words = 5 * topic[:, None] + rng.choice(5, (400, 6), p=[0.4, 0.25, 0.15, 0.1, 0.1])
    return np.column_stack([words, np.full(400, -1)])


TEXT = two_topics()
COUNTS = np.bincount(TEXT[TEXT >= 0])


def trained(optimizer="AdamW", steps=300, **options):
    """A trained task, its parameters, and its loss before and after, on the same split."""
    task = SkipGram(COUNTS, **{"dim": 8, "window": 3, "sample": 0, **options})
    params = Params(task.spec(), np.random.default_rng(1))
    if optimizer == "AdamW":
        optimizer, rate = AdamW(params, decay=0), 0.05
    else:
        optimizer, rate = SGD(params, momentum=0.9), 2.0
    batches = lambda k: TEXT[40 * k % 400 :][:40].ravel()
    step = gradient_step(task, batches, params, optimizer, linear(rate, steps), seed=2)
    loss = lambda: float(task.loss(params.tree, *task.split(TEXT.ravel()))[0])
    before = loss()
    for k in range(steps):
        step(k)
    return task, params.tree, before, loss()


def how_often(rngs=(None,), **options):
    """The share of each (input, target) among all pairs, (10, 10)."""
    task, joint = SkipGram(COUNTS, window=3, sample=0, **options), np.zeros((10, 10))
    for rng in rngs:
        (ids, _), (targets, _) = task.split(TEXT.ravel(), rng)
        np.add.at(joint, (ids, targets), 1)
    return joint / joint.sum()


def entropy(p):
    return -(p[p > 0] * np.log(p[p > 0])).sum()


@every_objective
@pytest.mark.parametrize("optimizer", ["AdamW", "SGD"])
@pytest.mark.parametrize("cbow", [False, True])
def test_training_lowers_the_loss_and_finds_the_topics(objective, optimizer, cbow):
    _, p, before, after = trained(optimizer, objective=objective, cbow=cbow)
    assert after < before - 0.5
    vectors = p.input / np.linalg.norm(p.input, axis=1, keepdims=True)
    nearest = np.argsort(-(vectors @ vectors.T), axis=1)[:, 1:5]
    assert (nearest // 5 == np.arange(10)[:, None] // 5).all()


@pytest.mark.parametrize("arrow", ["paper", "word2vec.c"])
@pytest.mark.parametrize("objective", ["softmax", "hierarchical-softmax"])
def test_softmax_lies_between_the_best_unigram_model_and_the_truth(objective, arrow):
    joint = how_often(arrow=arrow)
    unigram, conditional = entropy(joint.sum(0)), entropy(joint) - entropy(joint.sum(1))
    *_, before, after = trained(objective=objective, arrow=arrow)
    assert conditional < after < conditional + 0.01 < unigram - 0.5 < before - 0.5


@pytest.mark.parametrize("objective, scale", [("nce", 1), ("negative-sampling", 5)])
def test_what_the_scores_of_sampled_objectives_mean(objective, scale):
    """P_n exp(score) is p, for negative sampling p / K; up to p / (1 - p), see the page.

    Exactly, as the noise for a target w is P_n / (1 - P_n(w)) on the other words.
    """
    task, params, _, _ = trained(objective=objective, steps=600, dim=16)
    joint = how_often([np.random.default_rng([2, k]) for k in range(40)])
    p = joint / joint.sum(1, keepdims=True)
    noise = noise_distribution(COUNTS)
    drawn = (p / (1 - noise)) @ (1 - np.eye(10)) * noise
    expected = p / drawn * noise
    found = scale * noise * np.exp(params.input @ params.output.T)
    assert found[expected == 0].max() < 0.02
    by_topic = lambda a: a.reshape(2, 5, 10).mean(1)
    for topic in (0, 1):
        words = slice(5 * topic, 5 * topic + 5)
        one, other = by_topic(found)[topic, words], by_topic(expected)[topic, words]
        np.testing.assert_allclose(one, other, rtol=0.1)
    np.testing.assert_allclose(found.sum(1), expected.sum(1), rtol=0.05)
    assert (expected.sum(1) > 1.2).all(), "ten words: here drawing again is no small matter"


# the page of the kernels is this task, and SGD ----------------------------------------------------


def arguments(task, t, params, key, rate):
    """What `npssl.tasks.epoch` and the kernels take."""
    tree = task._tree or (np.zeros(1, np.int64), np.zeros(1, np.int32), np.zeros(1, np.int32))
    groups = -(-(1 + task.negative) // 6)
    if len(tree[0]) > 1:
        tree = in_sixes(*tree, pad=0)
        groups = int(np.diff(tree[0]).max())
    is_nce = task.objective == "nce"
    shift = np.full(len(task.counts) if is_nce else 1, -math.log(task.negative), np.float32)
    noise = alias_table(noise_distribution(task.counts))
    hot = [np.zeros((2, 0, params.input.shape[1]), params.input.dtype)] * 2
    tables = params.input, params.output, *hot, task._keep, noise, shift
    bags = ()
    if task.cbow or task.arrow == "paper":
        none = np.zeros(1, np.int64), np.zeros(1, np.int32)
        bags = (*(task.subwords or none), int(task.cbow), 1)
    rates = task.window, task.negative, np.uint64(key), rate, 0.0, 0.0, 100
    return t.astype(np.int32), 0, *tables, *tree, groups, *bags, *rates


def text_of_one_tile(task):
    """A generator and two words whose two tiles share no row, so that their order is no matter."""
    t = np.array([1, 4, -1])
    for seed in range(1000):
        _, (targets, noise) = task.split(t, np.random.default_rng(seed))
        if len({*targets, *noise[0]} & {targets[1], *noise[1]}) == 1:  # targets[1] itself
            return t, seed
    raise AssertionError("no such text")


@pytest.mark.parametrize("objective", SAMPLED)
def test_one_tile_is_the_gradient_of_the_task_and_one_step_of_sgd(objective):
    V, rate = 50, 0.3
    task = SkipGram(np.ones(V, int), dim=16, window=1, negative=4, sample=0, objective=objective)
    t, seed = text_of_one_tile(task)
    params = Params(task.spec())
    params.flat[:] = np.random.default_rng(0).normal(size=params.flat.size)
    x, y = task.split(t, np.random.default_rng(seed))
    value, back = task.loss(params.tree, x, y)
    g = params.zeros()
    back(g.tree, 2.0)  # two pairs: the sum is twice the mean
    stepped = params.over(params.flat.copy())
    SGD(stepped).step(stepped, g, rate)
    passes = [epoch.skip_gram]
    if kernels.enabled():
        from npssl.kernels.skip_gram import train

        passes.append(train)
    for one_pass in passes:
        input, output = params.tree.input.copy(), np.zeros((V + 1, 16), np.float32)
        output[:V] = params.tree.output  # the kernel's last row pads
        tables = SimpleNamespace(input=input, output=output)
        key = key_of(np.random.default_rng(seed))
        loss, pairs = one_pass(*arguments(task, t, tables, key, rate))
        assert pairs == 2 and abs(loss - 2 * value) < 1e-4
        np.testing.assert_allclose(input, stepped.tree.input, atol=1e-5)
        np.testing.assert_allclose(output[:V], stepped.tree.output, atol=1e-5)
        assert abs(input - params.tree.input).max() > 0.1


CARRIED_OUT = [  # what the epochs do: the neighbours guess, or a bag does
    *itertools.product([False], [False], ["word2vec.c"]),
    *itertools.product([False, True], [False, True], ["paper"]),
]


@pytest.mark.parametrize("objective", [o for o in OBJECTIVES if o != "softmax"])
@pytest.mark.parametrize("cbow, subwords, arrow", CARRIED_OUT)
def test_an_epoch_at_a_small_rate_follows_the_gradient_of_the_task(
    objective, cbow, subwords, arrow
):
    """Many steps, so small that their order is no matter, are one: a whole text, all draws."""
    rate = 1e-7
    task = a_task(
        objective=objective, cbow=cbow, subwords=subwords, arrow=arrow, window=3, sample=0.1
    )
    rng = np.random.default_rng(7)
    t = a_text(rng, n=200)
    params = Params(task.spec(), dtype=np.float64)
    params.flat[:] = rng.normal(size=params.flat.size)
    key = key_of(np.random.default_rng(8))
    x, y = task.split(t, np.random.default_rng(8))
    N = len(y[0])
    value, back = task.loss(params.tree, x, y)
    g, moved = params.zeros(), params.over(params.flat.copy())
    back(g.tree, N)
    run = epoch.skip_gram if arrow == "word2vec.c" else epoch.bag_gram
    loss, pairs = run(*arguments(task, t, moved.tree, key, rate))
    assert pairs == N > 50
    assert abs(loss / N - value) < 1e-4
    gone = (params.flat - moved.flat) / rate
    np.testing.assert_allclose(gone, g.flat, atol=1e-4 * abs(g.flat).max())
