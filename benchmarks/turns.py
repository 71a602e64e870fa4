"""Programs that take turns in one run, each in a process of its own.

A peer is ``python FILE --peer NAME OPTIONS`` with its own number of threads.  It reads one
JSON object a line and answers each with another: ``{"do": "burst", ...}`` calls the
function of that name.  What a library prints goes to standard error.  Nothing is forked:
libraries that hold threads do not survive it.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from common import median

THREADS = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"


class Absent(Exception):
    """A peer that is not installed, or cannot run here."""


class Peer:
    """A process that waits for its turn."""

    def __init__(self, file, name, options, threads, **environment):
        self.name = name
        environment = os.environ | dict.fromkeys(THREADS, str(threads)) | environment
        call = [
            sys.executable,
            str(file),
            "--peer",
            name,
            json.dumps(options | {"threads": threads}),
        ]
        self.process = subprocess.Popen(
            call,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("BENCH_LOUD") else subprocess.DEVNULL,
            text=True,
            env=environment,
            cwd=Path(file).parent,
        )
        try:
            self.told = self._answer()
        except BaseException:
            self.stop()
            raise

    def ask(self, do, **options):
        """Its answer; `Absent` with the reason when it failed."""
        try:
            self.process.stdin.write(json.dumps({"do": do, **options}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Absent(f"ended with status {self.process.wait()}") from None
        return self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Absent(f"ended with status {self.process.wait()}")
        found = json.loads(line)
        if "failed" in found:
            raise Absent(found["failed"])
        return found

    def stop(self):
        """End it: an empty input is the end of its loop."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def started(file, names, options, threads, environments=None):
    """(peers by name, why others are absent); one starts after the other."""
    peers, absent = {}, {}
    for name in names:
        try:
            peers[name] = Peer(file, name, options, threads, **(environments or {}).get(name, {}))
        except Absent as why:
            absent[name] = str(why)
            print(f"{name}: absent ({why})", file=sys.stderr)
    return peers, absent


def ask_all(peers, absent, do, **options):
    """Answers by peer; one that fails is stopped and moves to ``absent``."""
    found = {}
    for name in list(peers):
        try:
            found[name] = peers[name].ask(do, **options)
        except Absent as why:
            absent[name] = str(why)
            print(f"{name}: absent ({why})", file=sys.stderr)
            peers.pop(name).stop()
    return found


def serve(make):
    """The other end, in the peer: ``make(name, options)`` gives functions by name."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a library that prints does not disturb the answers

    def say(found):
        out.write(json.dumps(found) + "\n")
        out.flush()

    name, options = sys.argv[2], json.loads(sys.argv[3])
    if hasattr(os, "sched_setaffinity"):  # what takes no number of threads takes this
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options["threads"]])
    try:
        functions = make(name, options)
    except Exception as error:
        say({"failed": f"{type(error).__name__}: {error}".splitlines()[0]})
        return
    functions["peak"] = lambda: {"mb": peak_mb()}
    say({"ready": True})
    for line in sys.stdin:
        order = json.loads(line)
        try:
            say(functions[order.pop("do")](**order))
        except Exception as error:
            say({"failed": f"{type(error).__name__}: {error}".splitlines()[0]})


def burst(call, seconds, least=2):
    """Seconds of each call, until ``seconds`` have passed."""
    times, end = [], time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return times


def peak_mb():
    """The most resident memory that this process has held."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    import resource

    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def alternate(peers, rounds, **order):
    """Times of ``burst`` by peer and round, the peers in turn, in reverse every second round."""
    times = {name: [] for name in peers}
    for i in range(rounds):
        for name in list(peers)[:: -1 if i % 2 else 1]:
            times[name].append(peers[name].ask("burst", **order)["times"])
    return times


def overall(rounds):
    """The median over all rounds."""
    return median([seconds for times in rounds for seconds in times])


def ratios(times, name, to="npssl"):
    """How many times as long as ``to``: of all medians, and the least and most of a round."""
    each = [median(a) / median(b) for a, b in zip(times[name], times[to])]
    return overall(times[name]) / overall(times[to]), min(each), max(each)
