"""The one training loop.  Every task in `npssl.tasks` is trained by it.

Law 5: step k is a function of (state, seed, k) and of nothing else.  The state
is a handful of named arrays that a step changes in place; so a checkpoint is
those arrays and one number, and going on from it gives the same bytes as never
having stopped.

A run folder holds::

    config.json        the resolved configuration
    metrics.jsonl      one JSON object a step
    checkpoint.npz     the state by name, and the number of steps done
    lock               held while a process trains here
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from npssl.errors import FileError
from npssl.files import whole_file, write_json
from npssl.optim import clip as shorten
from npssl.params import Params, load_arrays, save_arrays

State = dict[str, np.ndarray]


class Diverged(ArithmeticError):
    """The loss, or what it is computed from, is no longer a finite number."""


def train(
    step: Callable[[int], dict], state: State, *, steps: int, run: Run | None = None
) -> Iterator[tuple[int, dict]]:
    """Yield ``(k, metrics)`` after each step; the caller's ``for`` is the callback.

    Parameters
    ----------
    step : callable
        ``step(k)`` does step k = 0, 1, ... : it changes the arrays of ``state``
        in place and returns metrics, among them ``"loss"``.
    state : dict of arrays
        All that a step reads and an earlier step wrote.
    steps : int
        Train until this many steps are done.
    run : Run, optional
        Where checkpoints and metrics go, and where training goes on from.

    Raises
    ------
    Diverged
        At the first loss that is not finite; the last checkpoint stands.

    Examples
    --------
    >>> x = np.array([4.0])
    >>> def halve(k):
    ...     x[:] /= 2
    ...     return {"loss": float(x[0])}
    >>> for k, metrics in train(halve, {"x": x}, steps=2):
    ...     print(k, metrics["loss"])
    1 2.0
    2 1.0
    """
    done = run.restore(state) if run else 0
    while done < steps:
        metrics = step(done)
        done += 1
        if not math.isfinite(metrics.get("loss", 0.0)):
            raise Diverged(f"step {done}: loss is {metrics['loss']}; {culprit(state)}")
        if run:
            run.log({"step": done, **metrics})
        try:
            yield done, metrics
        except GeneratorExit:  # the caller has seen enough: what is done is kept
            if run:
                run.save(state, done)
            raise
        if run and (done == steps or run.due()):
            run.save(state, done)


def gradient_step(
    task,
    batches: Callable[[int], Any],
    params: Params,
    optimizer,
    schedule: Callable[[int], float],
    *,
    seed: int = 0,
    clip: float | None = None,
    watch: Callable[[int], dict] | None = None,
) -> Callable[[int], dict]:
    """The usual step: split, loss, back, update.

    The generator of step k is made from ``[seed, k]``, its batch is
    ``batches(k)``.  Where ``clip`` is given, a gradient longer than that is
    shortened to it.  A gradient that is not finite raises `Diverged` before it
    can touch a parameter.  ``watch(k)``, called after the update, gives further
    metrics.
    """
    g = params.zeros()

    def gradient(k):  # a function, so that activations die on return
        rng = np.random.default_rng([seed, k])
        x, y = task.split(batches(k), rng)  # self-supervision is this line
        value, back = task.loss(params.tree, x, y, rng=rng)
        g.flat[:] = 0
        back(g.tree)
        return float(value)

    def step(k):
        value = gradient(k)
        norm = shorten(g, clip or math.inf)
        if not math.isfinite(value + norm):
            where = culprit({f"gradient of {name}": a for name, a in g.views.items()})
            raise Diverged(f"step {k + 1}: loss is {value}, gradient norm is {norm}; {where}")
        optimizer.step(params, g, schedule(k))
        metrics = {"loss": value, "norm": norm, "lr": schedule(k)}
        return metrics | watch(k) if watch else metrics

    return step


def state_of(params: Params, optimizer) -> State:
    """All that `gradient_step` changes, by name: parameters and optimiser."""
    state = {f"params.{name}": view for name, view in params.views.items()}
    for key, array in optimizer.state.items():
        if array.shape == params.flat.shape:
            views = params.over(array).views
            state |= {f"{key}.{name}": view for name, view in views.items()}
        else:
            state[key] = array
    return state


def culprit(arrays: State) -> str:
    """Name the first array that holds a NaN or an infinity, and where.

    >>> culprit({"w": np.array([0.0, math.nan])})
    'first in w[1] = nan'
    """
    for name, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            return f"first in {name}{list(index)} = {array[index]}"
    return "all arrays of the state are finite"


class Run:
    """A folder in which a run lives, so that it can be stopped at any instant.

    Parameters
    ----------
    folder : path
    config : dict
        What the run is; resuming with another one is an error.
    resume : bool
        Go on with what the folder holds.  Without it a folder that holds a run
        is refused.
    save_seconds : float
        Time between checkpoints.

    Every file is replaced in one step: a kill, a full disk or Ctrl-C loses at
    most the steps since the last checkpoint, never a file.
    """

    def __init__(self, folder, config: dict, *, resume: bool = False, save_seconds: float = 60.0):
        self.folder, self.save_seconds = Path(folder), save_seconds
        self.config = json.loads(json.dumps(config))
        if self.folder.exists() and not self.folder.is_dir():
            raise FileError(folder, "expected a folder, found a file")
        self._made = not self.folder.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._metrics: Any = None
        self._lock = _lock(self.folder / "lock")
        try:
            self._open(resume)
        except BaseException:
            self.close()
            raise
        self._saved = time.monotonic()

    def _open(self, resume):
        for part in self.folder.glob(".*.part"):  # what a kill left of a file being written
            part.unlink()
        path = self.folder / "config.json"
        self._new = not path.exists()
        if not self._new:
            if not resume:
                raise FileError(
                    self.folder, "already holds a run: resume it, or name another folder"
                )
            try:
                before = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise FileError(path, f"not a readable configuration ({error})") from error
            keys = {k for k in {*before, *self.config} if before.get(k) != self.config.get(k)}
            if keys:
                told = ", ".join(
                    f"{k} was {before.get(k)!r}, now {self.config.get(k)!r}" for k in sorted(keys)
                )
                raise FileError(self.folder, f"holds a run with another configuration: {told}")
        else:
            write_json(path, self.config)

    def restore(self, state: State) -> int:
        """Fill ``state`` from the checkpoint, if there is one; the number of steps done."""
        path = self.folder / "checkpoint.npz"
        done = 0
        if path.exists():
            found = load_arrays(path)
            done = int(found.pop("steps", np.array(-1)))
            for name in {*found, *state}:
                here, there = (
                    (a.shape, str(a.dtype)) if a is not None else None
                    for a in (state.get(name), found.get(name))
                )
                if here != there:
                    raise FileError(path, f"expected {here}, found {there}", place=name)
            for name, array in state.items():
                array[...] = found[name]
        self._forget_after(done)
        return done

    def _forget_after(self, done):
        """Drop the metrics of steps that the checkpoint does not know, and a torn last line."""
        if self._metrics:
            self._metrics.close()
        path = self.folder / "metrics.jsonl"
        kept = [row for row in self.rows() if row["step"] <= done]
        with whole_file(path) as file:
            file.writelines(json.dumps(row).encode() + b"\n" for row in kept)
        self._metrics = open(path, "a", encoding="utf-8")

    def rows(self) -> list[dict]:
        """The metrics so far, a dict a step."""
        path, found = self.folder / "metrics.jsonl", []
        if path.exists():
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    row = json.loads(line)
                except ValueError:
                    break
                if not isinstance(row, dict) or "step" not in row:
                    break
                found.append(row)
        return found

    def log(self, row: dict) -> None:
        """Append one row of metrics."""
        self._metrics.write(json.dumps(row) + "\n")
        self._metrics.flush()

    def due(self) -> bool:
        """Is it time for the next checkpoint?"""
        return time.monotonic() - self._saved >= self.save_seconds

    def save(self, state: State, done: int) -> None:
        """Write the checkpoint, unless it would hold a NaN or an infinity."""
        told = culprit(state)
        if told.startswith("first"):
            raise Diverged(f"step {done}: {told}; the last checkpoint stands")
        save_arrays(self.folder / "checkpoint.npz", {**state, "steps": np.array(done)})
        self._saved = time.monotonic()

    def close(self) -> None:
        """Release the folder."""
        if self._metrics:
            self._metrics.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is not None and self._new and not self.rows():
            self._discard()
        self.close()

    def _discard(self):
        """What failed before its first step was no run: the folder is left as it was found."""
        for name in ("config.json", "metrics.jsonl", "lock"):
            (self.folder / name).unlink(missing_ok=True)
        if self._made and not any(self.folder.iterdir()):
            self.folder.rmdir()


def recorded(folder, config: dict, *, resume: bool = False, save_seconds: float = 60.0):
    """A block with a `Run` in this folder, or with None where there is no folder."""
    if not folder:
        return nullcontext()
    return Run(folder, config, resume=resume, save_seconds=save_seconds)


def _lock(path):
    """Hold ``path`` until the process ends, however it ends."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise FileError(path.parent, f"cannot be written to ({error.strerror})") from error
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # Windows has its own word for it
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            os.close(handle)
            raise FileError(path.parent, "is in use by another process") from None
    except OSError:
        os.close(handle)
        raise FileError(path.parent, "is in use by another process") from None
    return handle
