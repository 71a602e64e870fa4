"""Chapter 7, reversed: the backward is given and may be wrong; write the test that tells."""

import numpy as np

from npssl.learn import distances, first_steps, probability, shapes, words
from npssl.learn.exercise import Exercise, Reversed


def more_than_one_row(op):
    """Write a test of a bias and a scale: raise AssertionError if op is wrong, else return.

    ``y, back = op(x, scale)`` as in the exercise broadcast.  Compare dx, dscale with central
    differences of (y dy).sum().  Some mistakes cannot be seen with one row; some not with
    square shapes.

    Hints:
    - Shapes first: assert that each gradient has the shape of its argument.
    - Use at least two rows, and another number of columns.
    """
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(3, 4)), rng.normal(size=4)]
    y, back = op(*arrays)
    dy = rng.normal(size=y.shape)
    grads = back(dy)
    for k, a in enumerate(arrays):
        assert np.shape(grads[k]) == a.shape
        for place in np.ndindex(a.shape):
            step, sides = 1e-5, []
            for sign in (1, -1):
                moved = [b.copy() for b in arrays]
                moved[k][place] += sign * step
                sides.append((op(*moved)[0] * dy).sum())
            assert abs((sides[0] - sides[1]) / (2 * step) - grads[k][place]) < 1e-6


def blind_to_ones(op):
    """Write a test of softmax.  ``y, back = op(x)``.

    Most gradient checks sum the output, so that dy is all ones.  Rows of softmax sum to one
    whatever x is: such a check sees nothing but zeros.

    Hints:
    - Draw dy at random.
    """
    rng = np.random.default_rng(0)
    x, dy, step = rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), 1e-5
    dx = op(x)[1](dy)
    for place in np.ndindex(x.shape):
        one = np.zeros_like(x)
        one[place] = step
        slope = ((op(x + one)[0] - op(x - one)[0]) * dy).sum() / (2 * step)
        assert abs(slope - dx[place]) < 1e-6


def small_terms(op):
    """Write a test of layernorm.  ``y, back = op(x, gain, bias)``.

    A loose bar hides terms that are small at the point you drew: find the point, or the bar.

    Hints:
    - Gains far from one, a bias that is not zero, a dy with a large mean.
    - A relative error of 1e-2 is not "equal" but "similar".
    """
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(3, 4)), rng.normal(size=4), rng.normal(size=4)]
    dy, step = 1 + rng.normal(size=(3, 4)), 1e-5
    grads = op(*arrays)[1](dy)
    for k, a in enumerate(arrays):
        assert np.shape(grads[k]) == a.shape
        for place in np.ndindex(a.shape):
            sides = []
            for sign in (1, -1):
                moved = [b.copy() for b in arrays]
                moved[k][place] += sign * step
                sides.append((op(*moved)[0] * dy).sum())
            assert abs((sides[0] - sides[1]) / (2 * step) - grads[k][place]) < 1e-6


def repeated_ids(op):
    """Write a test of embedding.  ``y, back = op(table, ids=ids)``.

    Hints:
    - A mistake shows only if an id occurs twice.
    - And another only if some row is never looked up.
    """
    table, ids = np.arange(8.0).reshape(4, 2), np.array([1, 0, 1, 1])
    dy = np.arange(1.0, 9).reshape(4, 2)
    expected = np.zeros_like(table)
    for row, d in zip(ids, dy):
        expected[row] += d
    got = op(table, ids=ids)[1](dy)
    assert got.shape == table.shape and np.allclose(got, expected, rtol=0, atol=1e-12)


def batch_means(op):
    """Write a test of cross_entropy.  ``value, back = op(logits, target=target)``.

    Hints:
    - Divisors: rows, classes, entries. Choose numbers that tell them apart.
    - dvalue is not always 1.
    """
    rng = np.random.default_rng(0)
    logits, target, step = rng.normal(size=(3, 5)), np.array([0, 4, 2]), 1e-5
    got = op(logits, target=target)[1](1.7)
    for place in np.ndindex(logits.shape):
        one = np.zeros_like(logits)
        one[place] = step
        ends = [op(logits + sign * one, target=target)[0] for sign in (1, -1)]
        assert abs(1.7 * (ends[0] - ends[1]) / (2 * step) - got[place]) < 1e-6


def silent_hinge(op):
    """Write a test of triplet.  ``value, back = op(anchor, positive, negative)``.

    Where the margin is kept, right and wrong gradients are both zero.

    Hints:
    - Your point needs rows on both sides of the hinge.
    - And away from the hinge itself.
    """
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(6, 3)) for _ in range(3)]
    arrays[1][:2] = arrays[0][:2] + 0.1
    arrays[2][:2] = arrays[0][:2] + 4
    arrays[2][2:4] = arrays[0][2:4] + 0.2
    grads, step = op(*arrays)[1](1.3), 1e-6
    for k, a in enumerate(arrays):
        for place in np.ndindex(a.shape):
            ends = []
            for sign in (1, -1):
                moved = [b.copy() for b in arrays]
                moved[k][place] += sign * step
                ends.append(op(*moved)[0])
            assert abs(1.3 * (ends[0] - ends[1]) / (2 * step) - grads[k][place]) < 1e-6


def both_uses(op):
    """Write a test of tied_weights.  ``scores, back = op(table, w, ids=ids)``.

    Hints:
    - Check rows that are looked up twice, once and never.
    """
    rng = np.random.default_rng(0)
    arrays, ids, step = (
        [rng.normal(size=(5, 3)), rng.normal(size=(3, 3))],
        np.array([1, 1, 4]),
        1e-5,
    )
    y, back = op(*arrays, ids=ids)
    dy = rng.normal(size=y.shape)
    grads = back(dy)
    for k, a in enumerate(arrays):
        for place in np.ndindex(a.shape):
            ends = []
            for sign in (1, -1):
                moved = [b.copy() for b in arrays]
                moved[k][place] += sign * step
                ends.append((op(*moved, ids=ids)[0] * dy).sum())
            assert abs((ends[0] - ends[1]) / (2 * step) - grads[k][place]) < 1e-6


def borrowed_arrays(op):
    """Write a test of residual that also sees bad manners.  ``y, back = op(x, w)``.

    ``back`` must not write into dy, nor into x or w, and must say the same when called twice.

    Hints:
    - Keep copies, and compare afterwards.
    """
    rng = np.random.default_rng(0)
    arrays, step = [rng.normal(size=(4, 3)), rng.normal(size=(3, 3))], 1e-5
    y, back = op(*arrays)
    dy = rng.normal(size=y.shape)
    before = [a.copy() for a in (*arrays, dy)]
    grads = [g.copy() for g in back(dy)]
    again = back(dy)
    assert all(np.array_equal(a, b) for a, b in zip((*arrays, dy), before))
    for k, a in enumerate(arrays):
        assert np.allclose(grads[k], again[k], rtol=1e-12, atol=0)
        for place in np.ndindex(a.shape):
            ends = []
            for sign in (1, -1):
                moved = [b.copy() for b in arrays]
                moved[k][place] += sign * step
                ends.append((op(*moved)[0] * dy).sum())
            assert abs((ends[0] - ends[1]) / (2 * step) - grads[k][place]) < 1e-6


def _of(chapter, name) -> Exercise:
    return next(e for e in chapter.EXERCISES if e.name == name)


EXERCISES = (
    Reversed(
        more_than_one_row,
        _of(first_steps, "broadcast"),
        ("(dy * x).sum(0)", "(dy * x).mean(0)", "the mean over rows instead of the sum"),
        (
            ("(dy * x).sum(0)", "dy * x", "the sum over rows is missing"),
            ("(dy * x).sum(0)", "(dy * x).sum(1)", "the sum runs over the wrong axis"),
            ("(dy * x).sum(0)", "dy[0] * x[0]", "only the first row counts"),
            ("dy * scale", "dy", "the scale is forgotten"),
        ),
    ),
    Reversed(
        blind_to_ones,
        _of(probability, "softmax"),
        ("(dy - (y * dy).sum(-1, keepdims=True))", "dy", "the second term is missing"),
        (
            (
                "(y * dy).sum(-1, keepdims=True)",
                "dy.sum(-1, keepdims=True) * y",
                "y at the wrong place",
            ),
            ("(y * dy).sum(-1, keepdims=True)", "(y * dy).sum(0)", "the sum runs over the batch"),
            ("y * (dy -", "y * (1 - y) * (dy -", "the diagonal alone, twice"),
            ("y * (dy", "-y * (dy", "the sign"),
        ),
    ),
    Reversed(
        small_terms,
        _of(shapes, "layernorm"),
        ("u - u.mean(-1, keepdims=True) - ", "u - ", "the mean's term is missing"),
        (
            (" - xhat * along", "", "the deviation's term is missing"),
            ("u = gain * dy", "u = dy", "the gain is forgotten"),
            ("(u * xhat).mean", "(u * centred).mean", "the deviation's term is not standardised"),
            ("xhat * along)", "xhat * along * 0.98)", "one term is 2 % too small"),
            ("dx = s *", "dx = s * s *", "the inverse deviation twice"),
        ),
    ),
    Reversed(
        repeated_ids,
        _of(words, "embedding"),
        ("np.add.at(dtable, ids, dy)", "dtable[ids] += dy", "repeated ids are written once"),
        (
            ("np.add.at(dtable, ids, dy)", "dtable[ids] = dy", "the last one wins"),
            ("np.zeros_like(table)", "np.ones_like(table)", "rows that were not looked up move"),
            ("ids, dy)", "ids, -dy)", "the sign"),
            ("ids, dy)", "ids, dy / ids.size)", "a mean that nobody asked for"),
        ),
    ),
    Reversed(
        batch_means,
        _of(probability, "cross_entropy"),
        ("error / B", "error", "the mean over rows is missing"),
        (
            ("error / B", "error / error.size", "the mean is over entries"),
            ("dvalue * error", "error", "dvalue is ignored"),
            ("target] -= 1", "target] -= 1 / B", "observed is scaled, predicted is not"),
            ("error[np.arange(B), target] -= 1", "pass", "observed is missing"),
        ),
    ),
    Reversed(
        silent_hinge,
        _of(distances, "triplet"),
        ("(gap > 0)[:, None]", "(gap > -1e9)[:, None]", "kept margins carry gradient too"),
        (
            ("len(gap)", "max(1, (gap > 0).sum())", "the mean is over active rows"),
            ("(2 * dvalue", "(dvalue", "the 2 of the square is missing"),
            ("active * (ap - an)", "active * (an - ap)", "the anchor's sign"),
            ("active * (ap - an)", "active * ap", "the anchor feels only the positive"),
        ),
    ),
    Reversed(
        both_uses,
        _of(words, "tied_weights"),
        ("np.add.at(dtable, ids, du @ w.T)", "pass", "the table is credited as decoder only"),
        (
            ("np.add.at(dtable, ids, du @ w.T)", "dtable[ids] += du @ w.T", "repeated ids"),
            ("dtable = dscores.T @ h", "dtable = np.zeros_like(table)", "as encoder only"),
            (" * (1 - h * h)", "", "tanh's slope is missing"),
            ("du @ w.T)", "du @ w)", "a transpose is missing, and square shapes hide it"),
        ),
    ),
    Reversed(
        borrowed_arrays,
        _of(first_steps, "residual"),
        ("dy + du @ w.T", "du @ w.T", "the identity's gradient is lost"),
        (
            ("du = dy * (1 - t * t)", "dy *= 1 - t * t; du = dy", "dy is overwritten"),
            ("du = dy * (1 - t * t)", "du = dy * (1 - t * t); x[:] = 0", "x is overwritten"),
            ("du = dy * (1 - t * t)", "t[:] = t * t; du = dy * (1 - t)", "right once, not twice"),
            ("x.T @ du", "w.T @ du.T @ x", "a product of the right shape"),
        ),
    ),
)
