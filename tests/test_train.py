"""The one loop: what stops it, what it keeps, and that going on is as if it had never stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import pytest

from npssl.errors import FileError
from npssl.layers.linear import linear
from npssl.losses.squared_error import squared_error
from npssl.optim import SGD, AdamW, warmup_linear
from npssl.params import Params, normal, zeros
from npssl.train import Diverged, Run, gradient_step, state_of, train


@dataclass(frozen=True)
class Line:
    """t: points (N, 3); x is what noise leaves of two columns, y the third."""

    poison: int = -1

    def spec(self):
        return dict(w=normal(2, 1), b=zeros(1))

    def split(self, t, rng):
        return t[:, :2] + 0.1 * rng.standard_normal((len(t), 2)), t[:, 2:]

    def loss(self, p, x, y, rng=None):
        if self.poison == len(x):
            x = x * np.nan
        h, back_linear = linear(x, p.w, p.b)
        value, back_loss = squared_error(h, target=y)

        def back(g, dvalue=1.0):
            _, dw, db = back_linear(back_loss(dvalue))
            g.w += dw
            g.b += db

        return value, back


def batches(k):
    t = np.random.default_rng([7, k]).standard_normal((5 + k % 3, 3))
    t[:, 2] = t[:, 0] - 2 * t[:, 1]
    return t


def make(optimizer=AdamW, poison=-1):
    p = Params(Line().spec(), np.random.default_rng(0), dtype=np.float64)
    o = optimizer(p)
    schedule = warmup_linear(0.05, 3, 40)
    return p, gradient_step(Line(poison), batches, p, o, schedule, seed=3, clip=1.0), state_of(p, o)


def test_it_learns():
    p, step, state = make()
    losses = [m["loss"] for _, m in train(step, state, steps=400)]
    assert np.mean(losses[-20:]) < 0.3 * losses[0]


@pytest.mark.parametrize("optimizer", [AdamW, SGD])
@pytest.mark.parametrize("stop", [1, 7, 19, 20])
def test_resuming_gives_the_same_bytes(tmp_path, optimizer, stop):
    whole, step, state = make(optimizer)
    for _ in train(step, state, steps=20):
        pass
    _, step, state = make(optimizer)
    with Run(tmp_path / "r", {}) as run:
        for k, _ in train(step, state, steps=20, run=run):
            if k == stop:
                break
    again, step, state = make(optimizer)
    again.flat[:] = 99  # all must come from the checkpoint
    with Run(tmp_path / "r", {}, resume=True) as run:
        for _ in train(step, state, steps=20, run=run):
            pass
        steps = [row["step"] for row in run.rows()]
    assert again.flat.tobytes() == whole.flat.tobytes()
    assert steps == [*range(1, 21)]


CHILD = """
import sys, time
sys.path.insert(0, sys.argv[2])
from test_train import make, train, Run
p, step, state = make()
def slow(k):
    time.sleep(0.002)
    return step(k)
with Run(sys.argv[1], {}, resume=True, save_seconds=0.004) as run:
    for _ in train(slow, state, steps=300, run=run):
        pass
"""


def written(folder):
    path = folder / "checkpoint.npz"
    return path.stat().st_mtime_ns if path.exists() else None


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_kill_at_any_instant_loses_no_file(tmp_path):
    whole, step, state = make()
    for _ in train(step, state, steps=300):
        pass
    here = os.path.dirname(__file__)
    folder, kills = tmp_path / "r", 0
    for delay in (0.11, 0.05, 0.03, 0.12, 0.001, 0.0, 60):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(folder), here])
        end = time.time() + 60
        while (
            child.poll() is None and time.time() < end and not (folder / "metrics.jsonl").exists()
        ):
            time.sleep(0.005)
        try:
            child.wait(delay)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
            kills += 1
        for row in (folder / "metrics.jsonl").read_text().splitlines()[:-1]:
            json.loads(row)
    assert child.returncode == 0 and kills >= 3
    p, step, state = make()
    with Run(folder, {}, resume=True) as run:
        assert run.restore(state) == 300
        assert [row["step"] for row in run.rows()] == [*range(1, 301)]
    assert p.flat.tobytes() == whole.flat.tobytes()
    names = {"config.json", "metrics.jsonl", "checkpoint.npz", "lock"}
    assert {f.name for f in folder.iterdir()} == names


def test_half_a_file_that_a_kill_left_is_removed(tmp_path):
    with Run(tmp_path / "r", {}):
        pass
    (tmp_path / "r" / ".checkpoint.npz.abc.part").write_bytes(b"half")
    with Run(tmp_path / "r", {}, resume=True):
        assert not [*(tmp_path / "r").glob(".*")]


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path):
    resource = pytest.importorskip("resource")
    p, step, state = make()
    with Run(tmp_path / "r", {}) as run:
        for k, _ in train(step, state, steps=20, run=run):
            if k == 5:
                break
    kept = (tmp_path / "r" / "checkpoint.npz").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with Run(tmp_path / "r", {}, resume=True, save_seconds=0) as run:
            steps = train(step, state, steps=20, run=run)
            next(steps)
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(kept) // 2, limits[1]))
            with pytest.raises(OSError):
                next(steps)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert (tmp_path / "r" / "checkpoint.npz").read_bytes() == kept
    names = {f.name for f in (tmp_path / "r").iterdir()}
    assert names == {"config.json", "metrics.jsonl", "checkpoint.npz", "lock"}


def test_nan_stops_and_says_where(tmp_path):
    p, step, state = make(poison=6)  # the batch of step 2 has six points
    with Run(tmp_path / "r", {}, save_seconds=0) as run:
        with pytest.raises(Diverged, match=r"step 2: loss is nan.*gradient of w\[0, 0\] = nan"):
            for _ in train(step, state, steps=20, run=run):
                pass
        assert run.restore(state) == 1
    assert np.isfinite(p.flat).all()


def test_nan_that_no_gradient_shows(tmp_path):
    x = np.ones(3)

    def step(k):
        x[1] = np.inf if k == 3 else k
        return {"loss": 1.0}

    with Run(tmp_path / "r", {}, save_seconds=0) as run:
        with pytest.raises(Diverged, match=r"step 4: first in x\[1\] = inf"):
            for _ in train(step, {"x": x}, steps=9, run=run):
                pass
        assert run.restore({"x": x}) == 3 and x[1] == 2
    with pytest.raises(Diverged, match=r"step 1: loss is inf; all arrays of the state are finite"):
        next(train(lambda k: {"loss": np.inf}, {"x": x}, steps=1))


def test_a_folder_belongs_to_one_process_and_one_configuration(tmp_path):
    with Run(tmp_path / "r", {"dim": 3, "seed": 1}):
        with pytest.raises(FileError, match="in use by another process"):
            Run(tmp_path / "r", {"dim": 3, "seed": 1}, resume=True)
    with pytest.raises(FileError, match="already holds a run"):
        Run(tmp_path / "r", {"dim": 3, "seed": 1})
    with pytest.raises(FileError, match="dim was 3, now 4$"):
        Run(tmp_path / "r", {"dim": 4, "seed": 1}, resume=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="found a file"):
        Run(tmp_path / "file", {})
    (tmp_path / "r" / "config.json").write_text("{")
    with pytest.raises(FileError, match="not a readable configuration"):
        Run(tmp_path / "r", {}, resume=True)


def test_a_broken_or_foreign_checkpoint_is_refused(tmp_path):
    p, step, state = make()
    with Run(tmp_path / "r", {}) as run:
        for _ in train(step, state, steps=3, run=run):
            pass
    path = tmp_path / "r" / "checkpoint.npz"
    whole = path.read_bytes()
    for cut in range(0, len(whole), 97):
        path.write_bytes(whole[:cut])
        with Run(tmp_path / "r", {}, resume=True) as run, pytest.raises(FileError, match="checkp"):
            run.restore(state)
    path.write_bytes(whole)
    p.flat[:] = 5
    with Run(tmp_path / "r", {}, resume=True) as run:
        with pytest.raises(FileError, match=r"m\.b.*expected None, found|expected .* None"):
            run.restore({k: v for k, v in state.items() if k != "m.b"})
        with pytest.raises(FileError, match=r"params\.w: expected \(\(1, 2\)"):
            run.restore({**state, "params.w": np.zeros((1, 2))})
    assert (p.flat == 5).all()


def test_a_torn_last_line_of_metrics_is_dropped(tmp_path):
    p, step, state = make()
    with Run(tmp_path / "r", {}) as run:
        for _ in train(step, state, steps=3, run=run):
            pass
    with open(tmp_path / "r" / "metrics.jsonl", "a") as file:
        file.write('{"step": 4, "loss": 0.')
    with Run(tmp_path / "r", {}, resume=True) as run:
        for _ in train(step, state, steps=5, run=run):
            pass
        assert [row["step"] for row in run.rows()] == [1, 2, 3, 4, 5]


def test_what_fails_before_its_first_step_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="no words"):
        with Run(tmp_path / "a" / "r", {}):
            raise ValueError("no words")
    assert not (tmp_path / "a" / "r").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("keep")
    with pytest.raises(ValueError, match="no words"):
        with Run(tmp_path / "mine", {}):
            raise ValueError("no words")
    assert [f.name for f in (tmp_path / "mine").iterdir()] == ["notes"]
