"""Every op, loss, model and task under the microscope, at sizes that hypothesis draws."""

import importlib
import inspect as python_inspect
import pkgutil

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import npssl.layers
import npssl.losses
from npssl.check import COMPLEX, Kink, inspect
from npssl.jobs.cases import CASES, MODEL_BAR, MODELS
from npssl.losses import mutual_information
from npssl.losses.alignment import uniformity
from npssl.losses.soft_nearest_neighbor import soft_nearest_neighbor


def public(room):
    """Every public function that is defined in a room: name -> function."""
    found = {}
    for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if python_inspect.isfunction(value) and value.__module__ == module.name:
                if not name.startswith("_"):
                    found[f"{module.name}.{name}"] = value
    return found


OPS = {**public(npssl.layers), **public(npssl.losses)}
LOSSES = set(public(npssl.losses).values())
ESTIMATES = {f for f in LOSSES if f.__module__ == mutual_information.__name__}  # to be made large
SIGNED = {soft_nearest_neighbor, uniformity, *ESTIMATES}  # that may be negative
by_name = pytest.mark.parametrize("op", CASES, ids=lambda op: op.__name__)


@st.composite
def examples(draw, case):
    """What a case draws, with hypothesis behind its sizes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return case(lambda low, high: draw(st.integers(low, high)), rng)


@st.composite
def layouts(draw, a):
    """The same values in other memory: transposed, backwards, with gaps."""
    how = draw(st.sampled_from(["plain", "transposed", "backwards", "gaps"]))
    step = {"backwards": -1, "gaps": 3}.get(how, 1)
    room = np.full(tuple(abs(step) * n for n in a.shape), np.nan, a.dtype)
    if how in ("transposed", "backwards"):
        room = np.full(room.shape[::-1], np.nan, a.dtype).T
    window = room[(..., *(slice(None, None, step) for _ in a.shape))]
    window[...] = a
    return window


def test_every_op_and_loss_has_a_case():
    missing = [name for name, op in OPS.items() if op not in CASES]
    assert not missing, f"without a case in npssl/jobs/cases.py: {missing}"
    assert set(CASES) <= set(OPS.values())


@by_name
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_back_inverts_the_forward(op, data):
    """Every entry of every gradient: 1e-12 by the complex step, 1e-9 by differences."""
    arrays, options = data.draw(examples(CASES[op]))
    arrays = [data.draw(layouts(a)) for a in arrays]
    try:
        report = inspect(op, *arrays, seed=data.draw(st.integers(0, 99)), **options)
    except Kink:
        assume(False)
    assert report.ok, report
    assert report.method == COMPLEX, f"{report}\nwhere all forwards take complex numbers"


@by_name
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_float32_in_float32_out(op, data):
    """Outputs and gradients keep the dtype, and agree with float64 to its precision."""
    arrays, options = data.draw(examples(CASES[op]))
    small = [data.draw(layouts(a.astype(np.float32))) for a in arrays]
    try:
        report = inspect(op, *small, **options)
    except Kink:
        assume(False)
    assert report.ok, report
    arrays = [a.astype(np.float64) for a in small]
    y = op(*small, **options)[0]
    if options.get("rng") is None:
        np.testing.assert_allclose(y, op(*arrays, **options)[0], rtol=1e-4, atol=1e-4)
    assert np.asarray(y).dtype == np.float32


@pytest.mark.parametrize("op", [op for op in CASES if op in LOSSES], ids=lambda op: op.__name__)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_a_loss_is_one_number_and_its_back_may_be_called_with_nothing(op, data):
    arrays, options = data.draw(examples(CASES[op]))
    value, back = op(*arrays, **options)
    assert np.ndim(value) == 0 and (value >= 0 or op in SIGNED)
    one, two = back(), back(1.0)
    for a, b in zip(*(g if isinstance(g, tuple) else (g,) for g in (one, two))):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("name", MODELS)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_models_and_tasks(name, data):
    op, arrays, options = data.draw(examples(MODELS[name]))
    try:
        report = inspect(op, *arrays, **options)
    except Kink:
        assume(False)
    assert report.error <= MODEL_BAR, report


@pytest.mark.parametrize("name", MODELS)
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_models_and_tasks_in_float32(name, data):
    op, arrays, options = data.draw(examples(MODELS[name]))
    try:
        report = inspect(op, *(a.astype(np.float32) for a in arrays), **options)
    except Kink:
        assume(False)
    assert report.ok, report
