"""What the losses' pages say: the facts to check by eye, plain loops, corners, errors, optima."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from npssl.layers.embedding import embedding
from npssl.losses.binary_cross_entropy import binary_cross_entropy
from npssl.losses.cross_entropy import cross_entropy
from npssl.losses.hierarchical_softmax import hierarchical_softmax
from npssl.losses.nce import nce
from npssl.losses.negative_sampling import negative_sampling
from npssl.losses.squared_error import squared_error

INF, NAN, LOG2 = math.inf, math.nan, math.log(2)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def near(found, expected, tolerance=1e-12):
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def sigma(s):
    return 1 / (1 + math.exp(-s))


# cross-entropy ------------------------------------------------------------------------------------


def test_cross_entropy_is_a_double_loop(rng):
    logits, target = rng.normal(size=(2, 3, 4)), np.array([[0, 3, -1], [2, -1, 1]])
    value, back = cross_entropy(logits, target=target, ignore=-1, z_loss=0.3)
    total, d, N = 0.0, np.zeros_like(logits), 4
    for place in np.ndindex(2, 3):
        if target[place] == -1:
            continue
        Z = sum(math.exp(s) for s in logits[place])
        total += -math.log(math.exp(logits[place][target[place]]) / Z) + 0.3 * math.log(Z) ** 2
        for v in range(4):
            p = math.exp(logits[place][v]) / Z
            d[place][v] = (p - (v == target[place]) + 0.6 * math.log(Z) * p) / N
    near(value, total / N)
    near(back(2.0), 2 * d)


def test_cross_entropy_facts(rng):
    logits = rng.normal(size=(5, 4))
    target = rng.integers(0, 4, 5)
    value, back = cross_entropy(logits, target=target)
    near(back().sum(-1), 0)
    soft, back_soft = cross_entropy(logits, target=np.eye(4)[target])
    near(soft, value)
    near(back_soft(), back())
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    near(cross_entropy(logits, target=p)[1](), 0)
    near(cross_entropy(np.zeros((3, 8)), target=np.array([0, 5, 7]))[0], 3 * LOG2)


def test_cross_entropy_weighs_positions_not_sequences(rng):
    logits, target = rng.normal(size=(2, 3, 4)), np.array([[0, 3, 1], [2, -100, -100]])
    each = [
        cross_entropy(logits[place], target=target[place])[0]
        for place in np.ndindex(2, 3)
        if target[place] >= 0
    ]
    near(cross_entropy(logits, target=target, ignore=-100)[0], sum(each) / 4)


def test_cross_entropy_of_ignored_positions_may_be_anything(rng):
    logits = rng.normal(size=(3, 4))
    logits[1] = NAN
    value, back = cross_entropy(logits, target=np.array([0, 9, 2]), ignore=9)
    near(value, cross_entropy(logits[[0, 2]], target=np.array([0, 2]))[0])
    assert back()[1].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "logits, target", [(np.ones((0, 3)), np.ones(0, int)), (np.ones((2, 3)), np.full(2, 7))]
)
def test_cross_entropy_of_nothing_costs_nothing(logits, target):
    value, back = cross_entropy(logits, target=target, ignore=7, z_loss=1.0)
    assert value == 0 and back().shape == logits.shape and not back().any()


def test_cross_entropy_of_extreme_scores():
    logits = np.array([[1e4, -1e4, -INF], [0.0, -INF, 0.0]])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        value, back = cross_entropy(logits, target=np.array([1, 2]))
        near(value, (2e4 + LOG2) / 2)
        near(back(), [[0.5, -0.5, 0], [0.25, 0, -0.25]])
        value, _ = cross_entropy(logits[1:], target=np.array([[0.5, 0, 0.5]]))
        near(value, LOG2)


def test_cross_entropy_keeps_what_a_large_score_would_swallow():
    """log Z = top + log(total): in float32, 1e6 + log 2 - 1e6 is 0.6875 when done in that order."""
    value, _ = cross_entropy(np.full((1, 2), 1e6, np.float32), target=np.array([0]))
    near(value, LOG2, 1e-6)


@pytest.mark.parametrize(
    "target, options, message",
    [
        (np.array([0, 1, 2]), {}, r"target must be class ids of shape \(2,\), found \(3,\)"),
        (np.array([[0], [1]]), {}, "target must be class ids"),
        (np.array([0, 3]), {}, "target must be classes 0 to 2, found 0 to 3"),
        (np.array([-1, 0]), {}, "target must be classes"),
        (np.array([-1, 0]), {"ignore": -100}, "target must be classes"),
        (np.array([0.0, 1.0]), {}, "target must be distributions"),
        (np.ones((2, 3)), {}, "with sum 1"),
        (np.array([[2.0, -1, 0], [1, 0, 0]]), {}, "not negative"),
        (np.array([[NAN, 1, 0], [1, 0, 0]]), {}, "not negative"),
        (np.eye(2, 3), {"ignore": 0}, "ignore must be None"),
        (np.array([0, 1]), {"z_loss": -1.0}, "z_loss must"),
    ],
)
def test_cross_entropy_refuses(target, options, message):
    with pytest.raises(ValueError, match=message):
        cross_entropy(np.ones((2, 3)), target=target, **options)
    with pytest.raises(ValueError, match="logits must"):
        cross_entropy(np.ones((2, 0)), target=np.zeros(2, int))


# the two plain ones -------------------------------------------------------------------------------


def test_binary_cross_entropy_is_a_loop(rng):
    logits, target = rng.normal(size=(2, 3)), rng.random((2, 3))
    value, back = binary_cross_entropy(logits, target=target)
    pairs = list(zip(logits.ravel(), target.ravel()))
    near(value, sum(-t * math.log(sigma(s)) - (1 - t) * math.log(sigma(-s)) for s, t in pairs) / 6)
    near(back(3.0).ravel(), [3 * (sigma(s) - t) / 6 for s, t in pairs])


def test_binary_cross_entropy_is_the_softmax_of_two_classes(rng):
    s, t = rng.normal(size=6), rng.integers(0, 2, 6)
    value, back = binary_cross_entropy(s, target=t)
    two, back_two = cross_entropy(np.stack([0 * s, s], -1), target=t)
    near(value, two)
    near(back(), back_two()[:, 1])


def test_binary_cross_entropy_far_out():
    with np.errstate(over="raise", invalid="raise"):
        value, back = binary_cross_entropy(np.array([1e4, -1e4]), target=np.array([0, 1]))
    near(value, 1e4)
    near(back(), [0.5, -0.5])


def test_squared_error_is_a_loop(rng):
    prediction, target = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    value, back = squared_error(prediction, target=target)
    pairs = list(zip(prediction.ravel(), target.ravel()))
    near(value, sum((a - b) ** 2 for a, b in pairs) / 6)
    near(back(3.0).ravel(), [6 * (a - b) / 6 for a, b in pairs])
    mean = np.full((2, 3), target.mean())
    near(squared_error(mean, target=target)[0], target.var())
    near(squared_error(mean, target=target)[1]().sum(), 0)


@pytest.mark.parametrize("loss", [binary_cross_entropy, squared_error])
def test_plain_losses_refuse_what_would_broadcast(loss):
    with pytest.raises(ValueError, match=r"target must have the shape \(3,\) .* found \(3, 1\)"):
        loss(np.ones(3), target=np.ones((3, 1)))
    value, back = loss(np.ones((0, 2)), target=np.ones((0, 2)))
    assert value == 0 and back().shape == (0, 2)


@pytest.mark.parametrize("target", [[0.0, 1.1], [-0.1, 0.0], [NAN, 0.0]])
def test_binary_cross_entropy_refuses(target):
    with pytest.raises(ValueError, match=r"target must be in \[0, 1\], found"):
        binary_cross_entropy(np.ones(2), target=np.array(target))


@pytest.mark.parametrize("loss", [binary_cross_entropy, squared_error])
def test_integer_targets_do_not_lift_float32(loss):
    value, back = loss(np.ones(3, np.float32), target=np.array([0, 1, 1]))
    assert value.dtype == back().dtype == back(np.float64(1)).dtype == np.float32


# negative sampling --------------------------------------------------------------------------------


def loop(x, y, label, shift=None):
    """Nats, dx and dy of labelled pairs, one pair after another."""
    value, dx, dy = 0.0, np.zeros_like(x), np.zeros_like(y)
    for i, j in np.ndindex(len(x), len(y)):
        s = float(x[i] @ y[j]) - (0 if shift is None else shift[j])
        if label[i, j] == 0.5:
            continue
        value += -math.log(sigma(s) if label[i, j] == 1 else sigma(-s))
        error = sigma(s) - label[i, j]
        dx[i] += error * y[j]
        dy[j] += error * x[i]
    return value, dx, dy


def test_negative_sampling_is_a_double_loop(rng):
    x, y = rng.normal(size=(3, 4)), rng.normal(size=(6, 4))
    label = np.zeros((3, 6))
    label[:, 0] = 1
    value, back = negative_sampling(x, y)
    expected, dx, dy = loop(x, y, label)
    near(value, expected)
    near(back(2.0)[0], 2 * dx)
    near(back(2.0)[1], 2 * dy)
    mean, back_mean = negative_sampling(x, y, reduction="mean")
    near(mean, value / 3)
    near(back_mean()[1], dy / 3)


@pytest.mark.parametrize("each", ["output", "pair"])
def test_negative_sampling_with_padding(rng, each):
    x, y = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5, 4))
    label = rng.choice([0, 0.5, 1], (2, 5) if each == "output" else (2, 3, 5))
    full = np.broadcast_to(label[:, None] if each == "output" else label, (2, 3, 5))
    value, back = negative_sampling(x, y, label=label)
    parts = [loop(*one) for one in zip(x, y, full)]
    near(value, sum(p[0] for p in parts))
    for found, expected in zip(back(), zip(*(p[1:] for p in parts))):
        near(found, np.stack(expected))
    near(negative_sampling(x, y, label=label, reduction="mean")[0] * (full == 1).sum(), value)


def test_negative_sampling_padding_is_as_if_it_were_not_there(rng):
    x, y = rng.normal(size=(3, 4)), rng.normal(size=(6, 4))
    y[4:] = 1e30  # what stands in padding does not matter
    value, back = negative_sampling(x, y, label=np.array([1, 0, 0, 0, 0.5, 0.5]))
    short, back_short = negative_sampling(x, y[:4])
    near(value, short)
    near(back()[0], back_short()[0])
    near(back()[1], np.vstack([back_short()[1], np.zeros((2, 4))]))


def test_negative_sampling_batch_is_one_after_another(rng):
    x, y = rng.normal(size=(5, 3, 4)), rng.normal(size=(5, 6, 4))
    value, back = negative_sampling(x, y)
    singles = [negative_sampling(*pair) for pair in zip(x, y)]
    near(value, sum(v for v, _ in singles))
    near(back()[0], np.stack([b()[0] for _, b in singles]))


def test_negative_sampling_facts(rng):
    x, y = rng.normal(size=(3, 4)), rng.normal(size=(6, 4))
    dx, dy = negative_sampling(x, y)[1]()
    near((x * dx).sum(), (y * dy).sum())
    value, back = negative_sampling(x, 0 * y)
    near(value, 18 * LOG2)
    assert not back()[0].any()  # as word2vec starts
    with np.errstate(over="raise", invalid="raise"):
        value, back = negative_sampling(np.full((1, 1), 1e4), np.array([[-1.0], [-1], [1]]))
    near(value, 2e4)
    near(back()[1][:, 0], [-1e4, 0, 1e4])


@pytest.mark.parametrize(
    "shapes", [((0, 4), (3, 4)), ((2, 0, 4), (2, 3, 4)), ((0, 2, 4), (0, 3, 4))]
)
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_negative_sampling_of_nothing(shapes, reduction):
    x, y = map(np.ones, shapes)
    value, back = negative_sampling(x, y, reduction=reduction)
    assert value == 0 and [d.shape for d in back()] == list(shapes)
    assert not back()[1].any()


@pytest.mark.parametrize(
    "x, y, options, message",
    [
        ((3, 4), (6, 5), {}, r"x and y must be .* found \(3, 4\) and \(6, 5\)"),
        ((3, 4), (2, 6, 4), {}, "x and y must"),
        ((2, 3, 4), (6, 4), {}, "x and y must"),
        ((1, 3, 4), (2, 6, 4), {}, "x and y must"),
        ((4,), (6, 4), {}, "x and y must"),
        (
            (3, 4),
            (6, 4),
            {"label": np.ones(5)},
            r"label must be \(6,\), .* or \(3, 6\), .* found \(5,\)",
        ),
        ((3, 4), (6, 4), {"label": np.ones((1, 6))}, "label must"),
        ((3, 4), (6, 4), {"label": np.full(6, 0.9)}, "label must be 1"),
        ((3, 4), (6, 4), {"label": np.full(6, -1)}, "label must be 1"),
        ((3, 4), (6, 4), {"reduction": "none"}, "reduction must .* found 'none'"),
    ],
)
def test_negative_sampling_refuses(x, y, options, message):
    with pytest.raises(ValueError, match=message):
        negative_sampling(np.ones(x), np.ones(y), **options)


# NCE ----------------------------------------------------------------------------------------------


def test_nce_is_a_double_loop(rng):
    x, y, log_noise = rng.normal(size=(3, 4)), rng.normal(size=(6, 4)), rng.normal(size=6) - 2
    label = np.zeros((3, 6))
    label[:, 0] = 1
    value, back = nce(x, y, log_noise=log_noise)
    expected, dx, dy = loop(x, y, label, shift=log_noise + math.log(5))
    near(value, expected)
    near(back()[0], dx)
    near(back()[1], dy)
    mean, _ = nce(x, y, log_noise=log_noise, reduction="mean")
    near(mean, expected / 3)


def test_nce_with_padding_needs_k(rng):
    x, y, log_noise = rng.normal(size=(3, 4)), rng.normal(size=(6, 4)), rng.normal(size=6)
    short, _ = nce(x, y[:4], log_noise=log_noise[:4])
    value, back = nce(
        x, y, log_noise=log_noise, label=np.array([1, 0, 0, 0, 0.5, 0.5]), negatives=3
    )
    near(value, short)
    assert not back()[1][4:].any()


def test_nce_equals_negative_sampling_where_k_noise_is_one(rng):
    x, y = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 6, 4))
    value, back = nce(x, y, log_noise=np.full((2, 6), -math.log(5)))
    other, back_other = negative_sampling(x, y)
    near(value, other)
    near(back()[1], back_other()[1])


@pytest.mark.parametrize(
    "y, options, message",
    [
        ((6, 4), {"log_noise": np.zeros(5)}, r"log_noise must be \(6,\)"),
        ((6, 4), {"log_noise": np.zeros((3, 6))}, "log_noise must"),
        ((6, 4), {"log_noise": np.full(6, -INF)}, "log_noise must .* finite"),
        ((1, 4), {"log_noise": np.zeros(1)}, "negatives must be positive"),
        ((6, 4), {"log_noise": np.zeros(6), "negatives": 0}, "negatives must be positive"),
        ((6, 4), {"log_noise": np.zeros(6), "reduction": "max"}, "reduction must"),
        ((6, 4), {"log_noise": np.zeros(6), "label": np.full(6, 2)}, "label must"),
    ],
)
def test_nce_refuses(y, options, message):
    with pytest.raises(ValueError, match=message):
        nce(np.ones((3, 4)), np.ones(y), **options)


# hierarchical softmax -----------------------------------------------------------------------------


def random_tree(words, rng):
    """Paths of the leaves of a random binary tree: node numbers and turns, from the root."""
    paths, nodes, queue = [], 0, [(words, [], [])]
    while queue:
        leaves, path, code = queue.pop()
        if leaves == 1:
            paths.append((np.array(path, int), np.array(code, int)))
            continue
        left, here, nodes = int(rng.integers(1, leaves)), nodes, nodes + 1
        queue.append((left, [*path, here], [*code, 0]))
        queue.append((leaves - left, [*path, here], [*code, 1]))
    assert nodes == words - 1
    return paths


@pytest.mark.parametrize("words", [1, 2, 3, 17])
def test_hierarchical_softmax_sums_to_one(rng, words):
    table, x = rng.normal(size=(words - 1, 4)), rng.normal(size=(1, 4))
    paths = random_tree(words, rng)
    p = [math.exp(-hierarchical_softmax(x, table[path], code=code)[0]) for path, code in paths]
    assert len(p) == words
    near(sum(p), 1)


def test_hierarchical_softmax_is_a_double_loop(rng):
    x, nodes, code = rng.normal(size=(3, 4)), rng.normal(size=(5, 4)), np.array([0, 1, 1, 0, 1])
    value, back = hierarchical_softmax(x, nodes, code=code)
    expected, dx, dnodes = loop(x, nodes, np.broadcast_to(1 - code, (3, 5)))
    near(value, expected)
    near(back(2.0)[0], 2 * dx)
    near(back(2.0)[1], 2 * dnodes)
    near(hierarchical_softmax(x, nodes, code=code, reduction="mean")[0], expected / 3)


def test_hierarchical_softmax_is_the_arithmetic_of_negative_sampling(rng):
    x, nodes = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5, 4))
    code, mask = rng.integers(0, 2, (2, 5)), rng.random((2, 5)) < 0.6
    value, back = hierarchical_softmax(x, nodes, code=code, mask=mask)
    other, back_other = negative_sampling(x, nodes, label=np.where(mask, 1 - code, 0.5))
    near(value, other)
    for one, two in zip(back(), back_other()):
        near(one, two)


def test_hierarchical_softmax_of_padded_inputs(rng):
    """Inputs that do not exist, for batches of windows of different sizes."""
    x, nodes, code = rng.normal(size=(3, 4)), rng.normal(size=(5, 4)), np.array([0, 1, 1, 0, 1])
    mask = np.zeros((3, 5), bool)
    mask[:2, :4] = True
    value, back = hierarchical_softmax(x, nodes, code=code, mask=mask, reduction="mean")
    near(value, hierarchical_softmax(x[:2], nodes[:4], code=code[:4])[0] / 2)
    assert not back()[0][2].any() and not back()[1][4].any()


def test_hierarchical_softmax_starts_at_the_mean_code_length(rng):
    value, _ = hierarchical_softmax(np.zeros((2, 4)), np.zeros((5, 4)), code=np.zeros(5, int))
    near(value, 2 * 5 * LOG2)
    nothing, back = hierarchical_softmax(np.ones((2, 4)), np.ones((0, 4)), code=np.zeros(0, int))
    assert nothing == 0 and not back()[0].any() and back()[1].shape == (0, 4)


@pytest.mark.parametrize(
    "nodes, code, options, message",
    [
        ((5, 3), np.zeros(5), {}, "x and nodes must"),
        ((5, 4), np.zeros(4), {}, r"code must be 0 or 1 for each node \(5,\)"),
        ((5, 4), np.full(5, -1), {}, "code must"),
        ((5, 4), np.zeros(5), {"mask": np.ones(5)}, "mask must be bool"),
        ((5, 4), np.zeros(5), {"mask": np.ones(4, bool)}, r"mask must be \(5,\)"),
        ((5, 4), np.zeros(5), {"reduction": ""}, "reduction must"),
    ],
)
def test_hierarchical_softmax_refuses(nodes, code, options, message):
    with pytest.raises(ValueError, match=message):
        hierarchical_softmax(np.ones((3, 4)), np.ones(nodes), code=code, **options)


# optima -------------------------------------------------------------------------------------------

COUNTS = np.array([[5, 2, 1], [2, 1, 1], [1, 1, 2]])  # how often word v meets context c
N, K = COUNTS.sum(), 2
ROWS, COLUMNS = COUNTS.sum(1), COUNTS.sum(0)


def expected_pairs():
    """Every pair as often as it occurs, and as often as K noise words for each are expected."""
    noise = K * np.outer(ROWS, COLUMNS) // N
    assert noise.sum() == K * N  # the table was chosen so that nothing is lost in rounding
    pairs = np.argwhere(COUNTS >= 0)
    ids = np.concatenate([pairs.repeat(COUNTS.ravel(), 0), pairs.repeat(noise.ravel(), 0)])
    return ids, np.repeat([1, 0], [N, K * N])


def descend(gradient, arrays, lr=0.03, steps=2500, memory=0.9):
    """Gradient descent with a heavy ball, exact and without noise."""
    speeds = [np.zeros_like(a) for a in arrays]
    for _ in range(steps):
        for a, speed, g in zip(arrays, speeds, gradient(*arrays)):
            speed *= memory
            speed -= lr * g
            a += speed
    assert max(np.abs(g).max() for g in gradient(*arrays)) < 1e-9


def descended_scores(loss, **options):
    """The table of dot products at the optimum, with vectors long enough for any table."""
    rng = np.random.default_rng(0)
    words, contexts = rng.normal(size=(3, 3)), rng.normal(size=(3, 3))
    ids, label = expected_pairs()

    def gradient(words, contexts):
        x, back_x = embedding(words, ids=ids[:, :1])
        y, back_y = embedding(contexts, ids=ids[:, 1:])
        dx, dy = loss(x, y, label=label[:, None], **options)[1]()
        return back_x(dx), back_y(dy)

    descend(gradient, [words, contexts])
    return words @ contexts.T


def test_negative_sampling_factorises_pmi_minus_log_k():
    """Its equation (8), Levy & Goldberg 2014."""
    pmi = np.log(COUNTS * N / np.outer(ROWS, COLUMNS))
    scores = descended_scores(negative_sampling)
    near(scores, pmi - math.log(K), 1e-8)
    assert np.abs(np.exp(scores).sum(1) - 1).min() > 0.2  # no distribution over the contexts


def test_negative_sampling_bends_as_its_equation_10_says():
    """5 true pairs and 2 of noise with one score s, around s = log(5 / 2)."""

    def total(s):
        x, y = np.full((7, 1, 1), s), np.ones((7, 1, 1))
        return negative_sampling(x, y, label=np.array([[1]] * 5 + [[0]] * 2))[0]

    h, s = 1e-3, math.log(5 / 2)
    near((total(s + h) - 2 * total(s) + total(s - h)) / h**2, 5 * 2 / (5 + 2), 1e-5)
    near((total(s + h) - total(s - h)) / (2 * h), 0, 1e-5)


@pytest.mark.parametrize("k", [1, 3, 1000])
def test_nce_descends_along_equation_7(k):
    """Words c with p(c | v) and noise P_n; the model is off; likelihood's direction for large k."""
    p, noise, model = np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.1, 0.6, 0.2]])
    direction = []
    for c in range(3):
        x, y = np.array([[math.log(model[c])]]), np.ones((1, 1))
        options = {"log_noise": np.log(noise[c : c + 1]), "negatives": k}
        text, noisy = (nce(x, y, label=np.array([l]), **options)[1]()[0][0, 0] for l in (1, 0))
        direction.append(-(p[c] * text + k * noise[c] * noisy))
    near(direction, (p - model) * k * noise / (model + k * noise))
    if k == 1000:
        near(direction, p - model, 1e-3)


def test_nce_learns_the_probabilities_themselves():
    """Its equation (6): the same pairs, the same noise, and normalised without being told."""
    ids, _ = expected_pairs()
    log_noise = np.log(COLUMNS / N)[ids[:, 1:]]
    scores = descended_scores(nce, log_noise=log_noise, negatives=K)
    near(scores, np.log(COUNTS / ROWS[:, None]), 1e-8)
    near(np.exp(scores).sum(1), 1, 1e-8)


def test_hierarchical_softmax_learns_the_probabilities_too():
    """Its equation (5); the tree is (0, (1, 2))."""
    rng = np.random.default_rng(0)
    words, nodes = rng.normal(size=(3, 2)), rng.normal(size=(2, 2))
    path, code = np.array([[0, 0], [0, 1], [0, 1]]), np.array([[0, 0], [1, 0], [1, 1]])
    mask = np.array([[True, False], [True, True], [True, True]])
    v, c = np.argwhere(COUNTS >= 0).repeat(COUNTS.ravel(), 0).T

    def gradient(words, nodes):
        x, back_x = embedding(words, ids=v[:, None])
        rows, back_rows = embedding(nodes, ids=path[c])
        dx, drows = hierarchical_softmax(x, rows, code=code[c], mask=mask[c])[1]()
        return back_x(dx), back_rows(drows)

    descend(gradient, [words, nodes], lr=0.05, steps=4000)
    for i, j in np.ndindex(3, 3):
        steps = nodes[path[j]]
        cost, _ = hierarchical_softmax(words[i : i + 1], steps, code=code[j], mask=mask[j])
        near(math.exp(-cost), COUNTS[i, j] / ROWS[i], 1e-8)


def fit_gaussian(loss, count=400, k=2, **options):
    """log p~(u) = -a u^2 / 2 + c for numbers from N(0, 1), noise from N(0, 2): the fitted (a, c).

    The samples are quantiles, so that there is no luck in the result.
    """
    rng, noise = np.random.default_rng(0), NormalDist(0, 2)
    grid = lambda law, n: np.array([law.inv_cdf((i + 0.5) / n) for i in range(n)])
    drawn = rng.permutation(grid(noise, count * k)).reshape(count, k)
    u = np.column_stack([grid(NormalDist(), count), drawn])
    y = np.stack([-0.5 * u * u, np.ones_like(u)], -1)  # (count, 1 + k, 2): c is a coordinate
    if loss is nce:
        options["log_noise"] = -0.5 * (u / 2) ** 2 - math.log(2 * math.sqrt(2 * math.pi))
    x = np.array([0.5, 0.0])

    def gradient(x):
        rows = np.broadcast_to(x, (count, 1, 2))
        return [loss(rows, y, reduction="mean", **options)[1]()[0].sum((0, 1))]

    descend(gradient, [x], lr=0.3, steps=400)
    return x


def test_nce_recovers_the_log_partition_and_negative_sampling_does_not():
    a, c = fit_gaussian(nce)
    assert abs(a - 1) < 0.01 and abs(c + 0.5 * math.log(2 * math.pi)) < 0.01
    a, c = fit_gaussian(negative_sampling)
    assert abs(c + 0.5 * math.log(2 * math.pi)) > 0.4
    near([a, c], [1 - 1 / 4, LOG2 - LOG2], 0.02)  # log of the ratio of the densities, minus log k
