"""Every numbered equation of every derivation holds at many points, and can fail."""

import pathlib
import re
from inspect import getdoc, getsource

import numpy as np
import pytest

from npssl.derivations import proofs
from npssl.derivations.index import STEPS
from npssl.derivations.steps import WrongStep, run, verify
from npssl.jobs.cases import CASES

ROOT = pathlib.Path(__file__).resolve().parent.parent
OPS = {op.__name__: op for op in CASES}


@pytest.mark.parametrize("name", STEPS)
def test_every_step_holds(name):
    assert verify(STEPS[name], points=12) < 1e-9


@pytest.mark.parametrize("name", OPS)
def test_every_equation_of_the_docstring_has_its_step(name):
    assert name in STEPS, "an op without executed steps"
    text = re.search(r"Derivation\n-+\n(.*?)(?=\n\w[\w ]*\n-{3,}\n)", getdoc(OPS[name]), re.S)[1]
    said = {int(n) for n in re.findall(r"(?: |\D)\((\d+)\) *$", text, re.M)}
    done = {step.number for step in run(STEPS[name], points=1).values()}
    assert said == done - {0}, f"without a step: {said - done}; no equation: {done - said - {0}}"


@pytest.mark.parametrize("proof", proofs.STEPS, ids=lambda f: f.__name__)
def test_proofs_hold_and_have_a_page(proof):
    assert verify(proof) < 1e-9
    page = ROOT / "docs" / "proofs" / f"{proof.__name__}.md"
    said = {int(n) for n in re.findall(r"\\tag\{(\d+)\}", page.read_text("utf-8"))}
    done = {step.number for step in run(proof, points=1).values()} - {0}
    assert done == said, f"not on the page: {done - said}; not executed: {said - done}"


def test_every_page_of_a_proof_is_executed():
    pages = {page.stem for page in (ROOT / "docs" / "proofs").glob("*.md")}
    assert pages == {proof.__name__ for proof in proofs.STEPS}


def test_the_slide_has_two_wrong_steps():
    """Jensen's inequality points the other way in (3); (5) holds in expectation only."""
    found = {s.number: s for s in run(proofs.slide, points=200).values()}
    assert [number for number, step in found.items() if step.broken] == [3, 5]
    assert found[3].broken == 1 and found[5].broken > 0.9
    with pytest.raises(WrongStep, match=r"slide: step \(3\): left >= right fails at 100 %"):
        verify(proofs.slide)


def test_no_step_is_without_an_op():
    assert set(STEPS) <= set(OPS)


@pytest.mark.parametrize(
    ("name", "old", "new", "number"),
    [
        ("layernorm", "v - v.mean() - xhat", "v - xhat", 5),
        ("softmax", "y * (v - y @ v)\n    yield 2, y", "y * v\n    yield 2, y", 2),
        ("negative_sampling", '"=", a * b / (a + b)\n    curve', '"=", a * b\n    curve', 10),
        ("nce", "np.log(P) - np.log(k * Q)", "np.log(P) - np.log(Q)", 1),
        ("negative_sampling", 'total(best), "<="', 'total(best), ">="', 8),
        ("linear", '"=", x.T @ dy', '"=", x.T @ dy / 4', 3),
    ],
)
def test_a_wrong_step_is_named(name, old, new, number):
    function = STEPS[name]
    text = getsource(function)
    assert text.count(old) == 1
    space = dict(vars(__import__(function.__module__, fromlist=["x"])))
    exec(text.replace(old, new), space)
    with pytest.raises(WrongStep, match=rf"{name}: step \({number}\).*worst at point \d+"):
        verify(space[name], points=12)


@pytest.mark.parametrize(
    ("name", "old", "new", "number"),
    [
        ("cross_entropy", '"=", np.log(Z) - q @ s', '"=", np.log(Z) + q @ s', 2),
        ("layernorm", "1 - eps * s**2", "1", 3),
        ("language_model", "- np.log(second)[:, :, None]", "* np.log(second)[:, :, None]", 2),
    ],
)
def test_a_wrong_step_of_a_proof_is_named(name, old, new, number):
    text = getsource(getattr(proofs, name))
    assert text.count(old) == 1
    space = dict(vars(proofs))
    exec(text.replace(old, new), space)
    with pytest.raises(WrongStep, match=rf"{name}: step \({number}\)"):
        verify(space[name])


def test_infinity_and_shapes_are_no_proof():
    def infinite(rng):
        yield 1, np.inf, "=", np.inf

    def other(rng):
        yield 1, np.ones(3), "=", np.ones((3, 1))

    for wrong in (infinite, other):
        with pytest.raises(WrongStep):
            verify(wrong)
