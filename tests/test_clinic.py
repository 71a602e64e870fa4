"""The clinic: what it must name, what it must not complain about, and whom it may ask."""

import numpy as np
import pytest

from npssl.clinic import ClinicError, assert_gradients, diagnose


def rng(seed=0):
    return np.random.default_rng(seed)


def softmax(x):
    e = np.exp(x - x.real.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_a_dropped_term_is_named_with_its_line():
    report = diagnose(softmax, lambda dy, x: softmax(x) * dy, rng().normal(size=(3, 4)))
    assert report.verdict == "wrong" and report.causes[0].name == "term"
    assert "test_clinic.py" in report.causes[0].place
    assert "wrong" in str(report) and "wrong" in report._repr_html_()
    assert "round-off" in report.text() and "by entry" in report.text()


def test_a_scale_is_named_with_its_number():
    def forward(x, w):
        return np.square(x @ w).mean()

    def backward(dy, x, w):
        s = 2 * dy * (x @ w)
        return s @ w.T, x.T @ s

    report = diagnose(forward, backward, rng().normal(size=(8, 3)), rng(1).normal(size=(3, 2)))
    cause = report.causes[0]
    assert cause.name == "scale" and set(cause.arguments) == {"x", "w"}
    assert abs(cause.value - 16) < 1e-6


def test_assert_gradients_passes_and_tells():
    assert_gradients(np.tanh, lambda dy, x: dy * (1 - np.tanh(x) ** 2), rng().normal(size=5))
    with pytest.raises(AssertionError, match="likeliest cause"):
        assert_gradients(np.tanh, lambda dy, x: dy * (1 - x**2), rng().normal(size=5))


@pytest.mark.parametrize(
    "bad, says",
    [
        (np.arange(3), "keyword"),
        (np.ones(3) * 1j, "complex"),
        (np.array([1.0, np.nan]), "finite"),
    ],
)
def test_arguments_without_a_gradient_are_refused(bad, says):
    with pytest.raises(ValueError, match=says):
        diagnose(lambda x: x * x, lambda dy, x: 2 * x * dy, bad)


def test_a_forward_that_raises_says_where():
    with pytest.raises(ClinicError, match=r"the forward raised ValueError.*test_clinic.py:\d+"):
        diagnose(lambda x: x @ np.ones(7), lambda dy, x: dy, np.ones((2, 3)))
