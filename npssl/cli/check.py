"""``npssl check``: every op, loss, model and task under the microscope."""

import json

from npssl.cli import command, say
from npssl.cli.examine import in_detail, is_own, own


def add(commands):
    """Describe ``npssl check``."""
    sub = command(
        commands,
        "check",
        run,
        help="check every gradient by the complex step, or by differences where that fails",
        example="npssl check layernorm --examples 200; npssl check my_file.py:forward:backward "
        "--shapes 3x4 4x5; exit status 1 if any op is over its bar",
    )
    sub.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="only ops with NAME in their name; or your own: FILE.py:forward:backward, FILE.py:op",
    )
    sub.add_argument(
        "-v", "--verbose", action="store_true", help="one example of each NAME in detail"
    )
    sub.add_argument(
        "--shapes",
        nargs="+",
        metavar="3x4",
        help="of the arrays for FILE.py (or: its example(rng))",
    )
    sub.add_argument("--examples", type=int, default=25, metavar="N", help="examples of each op")
    sub.add_argument("--seed", type=int, default=0, help="draws the examples")


def run(args):
    """Print a row for each op; exit status 1 if one is over its bar."""
    if args.examples < 1:
        raise ValueError(f"--examples: expected at least 1, found {args.examples}")
    if args.seed < 0:
        raise ValueError(f"--seed: expected 0 or more, found {args.seed}")
    if any(map(is_own, args.names)):
        return own(args)
    if args.shapes:
        raise ValueError("--shapes: only for functions of your own, FILE.py:forward:backward")
    chosen = _chosen(args.names)
    if args.verbose and args.names:
        return in_detail(args, chosen)
    width = max(map(len, chosen))
    line = f"{{:{width}}}  {{:18}}  {{:12}}  {{:>11}}  {{:>5}}  {{:>8}}  {{}}"
    say(args, line.format("op", "arguments", "method", "worst error", "bar", "examples", ""))
    rows = []
    for name, (case, bar) in chosen.items():
        row = survey(name, case, bar, examples=args.examples, seed=args.seed)
        rows.append(row)
        error = "-" if row["error"] is None else f"{row['error']:.1e}"
        cells = row["arguments"], row["method"], error, f"{row['bar']:.0e}"
        verdict = "ok" if row["ok"] else "WRONG"
        say(args, line.format(name, *cells, row["examples"], verdict))
    wrong = [row for row in rows if not row["ok"]]
    for row in wrong:
        say(args, f"\n{row['name']}, example {row['example']}: {row['says']}")
    say(args, f"\n{len(rows) - len(wrong)} of {len(rows)} are right")
    result = {"ok": not wrong, "seed": args.seed, "ops": rows}
    if wrong:
        if args.json:
            print(json.dumps(result))
        raise SystemExit(1)
    return result


def survey(name, case, bar=None, *, examples, seed):
    """The worst that is seen in some examples of one case, as a row of the table.

    ``case(size, rng)`` gives an op, its arrays and its options; ``bar`` stands in for
    the instruments' own.  A point at a kink is drawn again, and not counted.
    """
    import numpy as np

    from npssl.check import GradientError, Kink, inspect

    row = {"name": name, "arguments": "", "method": "", "error": 0.0, "bar": bar or 0.0}
    row |= {"examples": 0, "kinks": 0, "ok": True, "example": None, "says": ""}
    worst, methods, k = -1.0, set(), 0
    while row["examples"] < examples and row["kinks"] < 10 * examples:
        rng = np.random.default_rng([seed, k])
        op, arrays, options = case(lambda low, high: int(rng.integers(low, high + 1)), rng)  # noqa: B023
        k += 1
        try:
            report = inspect(op, *arrays, seed=seed, **options)
        except Kink:
            row["kinks"] += 1
            continue
        except GradientError as error:
            row |= {"error": None, "ok": False, "example": k - 1, "says": str(error)}
            break
        row["examples"] += 1
        row["arguments"] = ", ".join(f.argument for f in report.findings)
        methods |= {f.method for f in report.findings}
        for finding in report.findings:
            allowed = bar or finding.bar
            if finding.error / allowed > worst:
                worst = finding.error / allowed
                row |= {"error": finding.error, "bar": allowed, "ok": worst <= 1}
                row |= {"example": k - 1, "says": str(finding)}
    if not row["examples"] and row["ok"]:
        row |= {"ok": False, "says": "every point that was drawn lies at a kink"}
    return row | {"method": ", ".join(sorted(methods))}


def _chosen(names):
    """name -> (case, bar) of what is asked for."""
    from npssl.jobs.cases import CASES, MODEL_BAR, MODELS

    def plain(op):
        return lambda size, rng: (op, *CASES[op](size, rng))

    known = {op.__name__: (plain(op), None) for op in CASES}
    known |= {name: (case, MODEL_BAR) for name, case in MODELS.items()}
    for name in names:
        if not any(name in other for other in known):
            raise ValueError(f"NAME: no op has {name!r} in its name; there are {', '.join(known)}")
    return {k: v for k, v in known.items() if not names or any(name in k for name in names)}
