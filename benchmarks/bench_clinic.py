"""Does the clinic see every mistake, and does it name it?  And the checkers of others?

    python benchmarks/bench_clinic.py                        both sets, 10,000 correct checks
    python benchmarks/bench_clinic.py --sets measuring --correct 0
    python benchmarks/bench_clinic.py --sets --correct 1000000             about 15 minutes
    python benchmarks/bench_clinic.py --sets --correct 1000000 --minutes 5

Mutants are made by machine from the backward passes of the house (`mutants.py`, `slips.py`), and
written by hand for each cause (`mistakes.py`).  They fall into two sets that share none: the
catalogue was written with the tuning set in view; the measuring set (`Mutant.measuring`,
`mistakes_measuring.py`) gives the figures.  Each mutant is shown at one point.  Its sizes, its
options and the seed of its numbers are drawn by hypothesis, in an order that ``--seed`` fixes,
until the mutant's gradient differs from the right one there (lengths of 2 and more); hypothesis's
first draws, the smallest, are left out, and nothing is shrunk: a small point tells least.

"named" = the first cause (or one of the first three) is one of those that say what was done;
what was done is known from the mutation operator (`mutants.NAMES`, `slips.NAMES`), so the words
are fixed before the clinic speaks.

Of 10,000 checks of right gradients 100 are of all ops in turn at all sizes, 900 of all ops at
sizes up to 2, and 9,000 of the ops of `QUICK` at sizes up to 3: every check is a whole diagnosis
at a point and with upstream gradients of its own.
"""

import argparse
import copy
import functools
import itertools
import time

import common
import mistakes
import mistakes_measuring
import mistakes_more
import mutants
import numpy as np
import peer_rules
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from tqdm import tqdm

from npssl.check.contract import as_tuple
from npssl.clinic import diagnose
from npssl.clinic.subject import Subject
from npssl.jobs.cases import CASES

SETS = ("tuning", "measuring")
BROKEN = ("wrong", "not deterministic")
# those of which a check of a small array takes one or two milliseconds
QUICK = "relu tanh sigmoid softplus split_heads merge_heads squared_error global_pool mean_pool"
QUICK = [op for op in CASES if op.__name__ in QUICK.split()]
MIX = ((100, (), None), (900, (), 2), (9000, QUICK, 3))  # of 10,000 checks: ops, and sizes up to
BY_HAND = {
    "tuning": [*mistakes.TUNING, *mistakes_more.MORE],
    "measuring": mistakes_measuring.MEASURING,
}


def sizes(rng, top=None):
    return lambda low, high: int(rng.integers(low, max(low, min(high, top or high)) + 1))


@st.composite
def points(draw, case):
    """What ``case(size, rng)`` makes of sizes and of a seed that hypothesis draws."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return case(lambda low, high: draw(st.integers(low, high)), rng)


@functools.cache
def drawn(case, fixed, count):
    """Points of a case, without hypothesis's first draws, which are as small as can be."""
    found = []

    @seed(fixed)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(points(case))
    def collect(point):
        found.append(point)

    collect()
    return found[count // 5 :]


def example(op, mutant, fixed, start=0, draws=250):
    """(arrays, options) where the mutant differs, or None."""
    some = drawn(CASES[op], fixed, draws)
    for arrays, options in (*some[start % len(some) :], *some[: start % len(some)]):
        if any(a.ndim and (min(a.shape) < 2 or a.size < 3) for a in arrays):
            continue
        if differs(op, mutant, arrays, options):
            return arrays, options
    return None


def gradients(op, arrays, options):
    y, back = op(*(a.copy() for a in arrays), **copy.deepcopy(options))
    return as_tuple(back(np.random.default_rng(0).normal(size=np.shape(y))[()]))


def differs(op, mutant, arrays, options):
    right = gradients(op, arrays, options)
    try:
        with np.errstate(all="ignore"):
            found = gradients(mutant, arrays, options)
    except Exception:
        return True
    if len(right) != len(found):
        return True
    for a, b in zip(right, found):
        if np.shape(a) != np.shape(b):
            return True
        if not np.allclose(a, b, 1e-11, 1e-13 * (1 + np.abs(a).max(initial=0)), equal_nan=True):
            return True
    return False


def examples(which, fixed, every=1, ops=(), kinds=()):
    """(label, names, functions, arrays, options) of one set, and the equivalent mutants."""
    equivalent, found = [], []
    for op in CASES:
        if ops and op.__name__ not in ops:
            continue
        mine = [m for m in mutants.mutants(op) if m.measuring == (which == "measuring")]
        for k, m in enumerate([m for m in mine if not kinds or m.kind in kinds][::every]):
            function = m.function
            point = example(op, function, fixed, 7 * k)
            if point is None:
                equivalent.append(m.label)
            else:
                found.append((m.label, m.names, [function], *point))
    for k, (name, names, make) in enumerate(() if ops or kinds else BY_HAND[which]):
        some = drawn(lambda size, rng, make=make: make(rng, size), fixed + 1000 * k, 20)
        found.append((f"by hand: {name}", names, *some[0]))
    return found, equivalent


def judged(label, names, functions, arrays, options, seed=0, peers=True):
    """One row: what the clinic and the rules of others say."""
    report = diagnose(*functions, *arrays, seed=seed, **options)
    said = [cause.name for cause in report.causes]
    backward = functions[1] if len(functions) > 1 else None
    subject = Subject(functions[0], backward, options)
    row = {
        "label": label,
        "said": said[:3],
        "caught": report.verdict in BROKEN,
        "open": bool(set(said[:1]) & mutants.SEEN),
        "first": bool(said) and said[0] in names,
        "three": bool(set(said[:3]) & names),
        "evidence": report.causes[0].evidence if report.causes else "",
    }
    for rule, check in peer_rules.RULES.items() if peers else ():
        row[rule] = peer_rules.caught(check, subject, arrays, seed)
    return row


def correct(count, seed, ops=(), top=None, seconds=float("inf")):
    """(checks, false alarms): the house's own ops in turn, all of which are right.

    ``top`` bounds the sizes that are drawn; points at kinks are not counted.
    """
    alarms, done, k = [], 0, 0
    ops, end = list(ops or CASES), time.process_time() + seconds
    while done < count and time.process_time() < end:
        rng = np.random.default_rng([seed, k])
        op = ops[k % len(ops)]
        k += 1
        arrays, options = CASES[op](sizes(rng, top), rng)
        report = diagnose(op, *arrays, seed=k, **options)
        if report.verdict == "at a kink":
            continue
        done += 1
        if not report.ok:
            alarms.append(f"{op.__name__} [{seed}, {k - 1}]: {report}")
    return done, alarms


def mixed(count, seed, seconds=float("inf")):
    """(checks, false alarms) of `MIX`, in blocks of 10,000 with numbers of their own."""
    alarms, done, end = [], 0, time.process_time() + seconds
    for block in itertools.count():
        for share, ops, top in MIX:
            few, left = min(share, count - done), end - time.process_time()
            if few <= 0 or left <= 0:
                return done, alarms
            some, found = correct(few, seed + 1000 * block, ops, top, left)
            done, alarms = done + some, alarms + found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="*", choices=SETS, default=list(SETS))
    parser.add_argument("--correct", type=int, default=10_000, help="checks of right gradients")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="of the processor, for the checks"
    )
    parser.add_argument("--every", type=int, default=1, help="only every k-th mutant of an op")
    parser.add_argument("--ops", nargs="+", default=(), help="mutants of these ops only")
    parser.add_argument("--kinds", nargs="+", default=(), help="of these mutation operators only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", action="store_true", help="list what was not named first")
    args = parser.parse_args()
    print(common.machine())
    for which in args.sets:
        start = time.perf_counter()
        found, equivalent = examples(which, args.seed, args.every, args.ops, args.kinds)
        rows = [judged(*e) for e in tqdm(found, desc=which)]
        n, hand = len(rows), sum(r["label"].startswith("by hand") for r in rows)
        print(f"\n{which} set: {n} mutants ({n - hand} by machine, {hand} by hand), "
              f"{time.perf_counter() - start:.0f} s")  # fmt: skip
        for key, text in (
            ("caught", "npssl.clinic: caught"),
            ("first", "npssl.clinic: named first"),
            ("three", "npssl.clinic: named in the first three"),
            *((rule, f"{rule}: caught") for rule in peer_rules.RULES),
        ):
            hits = sum(r[key] for r in rows)
            print(f"  {text:40} {hits:4} of {n}   {100 * hits / n:5.1f} %")
        shut = [r for r in rows if not r["open"]]
        print(f"  of {len(shut)} that do not crash, nor give a wrong shape or NaN: "
              f"{sum(r['first'] for r in shut)} first, {sum(r['three'] for r in shut)} in three")  # fmt: skip
        for r in rows:
            if not r["caught"] or (args.list and not r["first"]):
                how = "not first" if r["three"] else "NOT IN THREE" if r["caught"] else "MISSED"
                print(f"  {how}: {r['label']}: said {r['said']}")
                print(f"      {r['evidence'][:300]}")
        print(
            f"  equivalent (never differ from the right gradient in 200 examples): {len(equivalent)}"
        )
        for label in equivalent:
            print(f"    {label}")
    if args.correct:
        start = time.perf_counter()
        done, alarms = mixed(args.correct, args.seed, 60 * args.minutes)
        print(f"\n{done} checks of right gradients: {len(alarms)} false alarms, "
              f"{time.perf_counter() - start:.0f} s")  # fmt: skip
        print("\n".join(alarms[:10]))


if __name__ == "__main__":
    main()
