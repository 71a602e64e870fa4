"""DrLIM: what pairs are, that a run goes on to the same bytes, and the map of real digits."""

import json
import struct

import numpy as np
import pytest

from npssl.cli import main
from npssl.jobs.drlim import train_drlim
from npssl.tasks.drlim import Drlim, rolled


def test_rolled_is_numpy_s_roll():
    t, shift = np.random.default_rng(0).normal(size=(5, 3, 7)), np.array([0, 3, -2, 7, 12])
    expected = [np.roll(a, s, 1) for a, s in zip(t, shift)]
    assert (rolled(t, shift) == expected).all()


def test_pairs_are_near_or_not():
    """One bright column tells the shift of each picture."""
    task = Drlim(2, 12, near=2)
    t = np.zeros((40, 2, 12))
    t[:, :, 0] = 1
    for rng in (None, np.random.default_rng(3)):
        (x, index), same = task.split(t, rng)
        at = x.reshape(80, 2, 12)[:, 0].argmax(1)
        turn = np.abs(at[index[:, 0]] - at[index[:, 1]])
        assert ((np.minimum(turn, 12 - turn) <= 2) == same).all()
        assert 0 < same.mean() < 1


def test_bad_settings_are_told():
    with pytest.raises(ValueError, match="near: expected 1 to 13 pixels, found 14"):
        Drlim(near=14)
    with pytest.raises(ValueError, match="t must be"):
        Drlim().split(np.zeros((3, 4, 4)))


def idx(path, a):
    path.write_bytes(
        bytes([0, 0, 8, a.ndim])
        + struct.pack(f">{a.ndim}I", *a.shape)
        + a.astype(np.uint8).tobytes()
    )
    return str(path)


def files(folder):
    rng = np.random.default_rng(0)
    return {
        "images": idx(folder / "i", rng.integers(0, 256, (30, 6, 8))),
        "labels": idx(folder / "l", np.full(30, 4)),
    }


def test_a_run_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    small = dict(hidden=4, near=1, batch=6, steps=8, probe=3, progress=False) | files(tmp_path)
    whole = train_drlim(**small, run=tmp_path / "whole")
    before = Drlim.loss

    def broken(self, *args, **options):
        if (tmp_path / "cut" / "metrics.jsonl").read_text().count("\n") == 5:
            raise KeyboardInterrupt
        return before(self, *args, **options)

    monkeypatch.setattr(Drlim, "loss", broken)
    with pytest.raises(KeyboardInterrupt):
        train_drlim(**small, run=tmp_path / "cut", save_seconds=0.0)
    monkeypatch.undo()
    assert train_drlim(**small, run=tmp_path / "cut", resume=True) == whole
    rows = (tmp_path / "cut" / "metrics.jsonl").read_text().splitlines()
    assert all("alarms" in json.loads(row) for row in rows) and "alarms" in whole
    assert -1 <= whole["correlation"] <= 1 and len(whole["map"]) == 8


def test_command(tmp_path, capsys):
    given = files(tmp_path)
    options = "--hidden 4 --near 1 --batch 6 --steps 3 --probe 3 --json".split()
    where = ["--images", given["images"], "--labels", given["labels"], "--out"]
    assert main(["train", "drlim", *options, *where, str(tmp_path / "o")]) == 0
    assert '"correlation"' in capsys.readouterr().out
    assert (tmp_path / "o" / "scores.json").exists()
    assert main(["train", "drlim", *where, str(tmp_path / "p"), "--digit", "3"]) == 2
    assert "of digit 3" in capsys.readouterr().err
