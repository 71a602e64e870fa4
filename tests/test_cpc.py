"""CPC: what it may see, what counts as a candidate, and that a run goes on to the same bytes."""

import json

import numpy as np
import pytest

from npssl.data.idx import read_idx
from npssl.data.speech import Speech
from npssl.errors import FileError
from npssl.evaluation.linear_probe import linear_probe
from npssl.jobs.cpc import train_cpc
from npssl.params import Params
from npssl.tasks.cpc import NEGATIVES, Cpc

SMALL = Cpc(1, (4, 3), (2, 2), width=5, context=4, ahead=2)


def drawn(task, seed=0):
    rng = np.random.default_rng(seed)
    params = Params(task.spec(), rng, dtype=np.float64)
    params.flat += 0.2 * rng.normal(size=params.flat.shape)
    return params, rng


def test_the_context_does_not_see_the_future():
    """A change from some sample on leaves all frames before it as they are."""
    params, rng = drawn(SMALL)
    x = rng.normal(size=(2, 60, 1))
    other = x.copy()
    other[:, 30:] = rng.normal(size=(2, 30, 1))
    (z, c, _), (z2, c2, _) = (SMALL.encode(params.tree, a) for a in (x, other))
    size, step = SMALL.field()
    before = (30 - size) // step + 1
    assert before > 3
    np.testing.assert_array_equal(z[:, :before], z2[:, :before])
    np.testing.assert_array_equal(c[:, :before], c2[:, :before])
    assert abs(c[:, before:] - c2[:, before:]).min() > 0


@pytest.mark.parametrize("negatives", NEGATIVES)
def test_loss_equals_two_loops(negatives):
    task = Cpc(1, (4, 3), (2, 2), width=5, context=4, ahead=2, negatives=negatives)
    params, rng = drawn(task)
    x = rng.normal(size=(3, 30, 1))
    z, c, _ = task.encode(params.tree, x)
    B, T, _ = z.shape
    total, sizes = [], []
    for k in (1, 2):
        nats = []
        for b in range(B):
            for n in range(T - k):
                guess = c[b, n] @ params.tree.ahead[k - 1]
                right = guess @ z[b, n + k]
                rivals = [
                    guess @ z[i, m]
                    for i in range(B)
                    for m in range(k, T)
                    if (i, m) != (b, n + k)
                    and (negatives == "mixed" or (i == b) == (negatives == "same"))
                ]
                sizes.append(1 + len(rivals))
                nats.append(np.log(np.exp([right, *rivals]).sum()) - right)
        total.append(np.mean(nats))
    assert task.loss(params.tree, x)[0] == pytest.approx(np.mean(total), abs=1e-9)
    by_step = np.log(task.candidates(B, 30))
    assert by_step == pytest.approx(np.mean([np.log(sizes[0]), np.log(sizes[-1])]))


def test_chance_is_the_loss_of_no_knowledge():
    params, rng = drawn(SMALL)
    params.tree.ahead[:] = 0
    value, _ = SMALL.loss(params.tree, rng.normal(size=(3, 30, 1)))
    assert value == pytest.approx(np.log(SMALL.candidates(3, 30)))


def test_speech_is_a_function_of_its_seed():
    speech = Speech(phones=4, speakers=3, seed=5)
    one, two = (speech.draw(3, 900, np.random.default_rng(1)) for _ in range(2))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(one, two))
    waves, phones, speakers = one
    assert np.isfinite(waves).all() and set(phones.ravel()) <= set(range(4))
    assert 0.3 < waves.std() < 3 and speakers.max() < 3


def test_formants_stand_where_they_should():
    """The spectrum of a phone of noise peaks near its first formant, moved by the tract."""
    speech = Speech(phones=6, noise=0.0, seed=1)
    formants, _, voiced, _ = speech.language()
    phone = int(np.flatnonzero(~voiced)[0])
    pitch, tract, gain = (a[0] for a in speech.voices())
    said = np.full(1 << 15, phone)
    wave = speech._wave(speech.language(), (pitch, tract, gain), said, np.random.default_rng(0))
    power = (np.abs(np.fft.rfft(wave.reshape(-1, 512), axis=1)) ** 2).mean(0)
    at = np.fft.rfftfreq(512, 1 / speech.rate)
    peak = at[power.argmax()]
    assert np.abs(formants[phone] / tract - peak).min() < 40


def test_a_run_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    from npssl.train import Run

    small = dict(steps=6, width=8, context=16, ahead=2, batch=3, samples=600, probe=6)
    whole = train_cpc(**small, run=tmp_path / "whole", progress=False)
    calls = []

    def due(self):  # save after the first step, stop in the second
        calls.append(self)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return True

    monkeypatch.setattr(Run, "due", due)
    with pytest.raises(KeyboardInterrupt):
        train_cpc(**small, run=tmp_path / "cut", progress=False)
    monkeypatch.undo()
    again = train_cpc(**small, run=tmp_path / "cut", resume=True, progress=False)
    assert json.dumps(again) == json.dumps(whole)
    assert json.loads((tmp_path / "cut" / "scores.json").read_text()) == whole


def test_command(tmp_path, capsys):
    from npssl.cli import main

    options = "--steps 2 --width 8 --context 16 --batch 2 --samples 800 --probe 4 --json"
    assert main(["train", "cpc", *options.split(), "--out", str(tmp_path / "a")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["probes"]) == {"phone", "speaker"} and (tmp_path / "a/scores.json").exists()
    assert main(["train", "cpc", "--samples", "100", "--out", str(tmp_path / "b")]) == 2
    assert "samples must make more than" in capsys.readouterr().err


def test_probe_finds_classes_and_refuses_what_does_not_fit():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 200)
    x = np.eye(3)[y] + 0.1 * rng.normal(size=(200, 3))
    assert linear_probe(x[:100], y[:100], x[100:], y[100:]) == 1.0
    with pytest.raises(ValueError, match="x must be"):
        linear_probe(x[:0], y[:0], x, y)


def test_idx(tmp_path, shared_data):
    whole = b"\0\0\x08\x02\0\0\0\x02\0\0\0\x03" + bytes(range(6))
    (tmp_path / "a").write_bytes(whole)
    assert read_idx(tmp_path / "a").tolist() == [[0, 1, 2], [3, 4, 5]]
    for bad in (whole[:-1], whole + b"x", whole[:7], b"\x89PNG", b""):
        (tmp_path / "b").write_bytes(bad)
        with pytest.raises(FileError):
            read_idx(tmp_path / "b")
    assert read_idx(shared_data("mnist") / "t10k-labels-idx1-ubyte.gz")[:4].tolist() == [7, 2, 1, 0]


def test_bad_input():
    with pytest.raises(ValueError, match="negatives must be one of"):
        Cpc(negatives="all")
    with pytest.raises(ValueError, match="as many"):
        Cpc(kernels=(3,), strides=(1, 2))
    with pytest.raises(ValueError, match="more than 2 frames"):
        params, rng = drawn(SMALL)
        SMALL.loss(params.tree, rng.normal(size=(1, 12, 1)))
