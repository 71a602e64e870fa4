"""``npssl check OP -v`` and ``npssl check FILE.py:forward:backward``: one pair on the couch."""

import json
import os
import runpy

from npssl.cli import say


def is_own(name):
    """Is it ``FILE.py:forward``, ``FILE.py:forward:backward`` or ``FILE.py:op``?"""
    return ".py:" in name or name.endswith(".py")


def own(args):
    """Diagnose functions of somebody's own file, which is run as the user who asks for it."""
    import numpy as np

    reports = {}
    for name in args.names:
        if not is_own(name):
            raise ValueError(f"NAME: expected FILE.py:forward:backward as the others, found {name}")
        path, _, rest = name.rpartition(".py")
        path, wanted = path + ".py", [part for part in rest.split(":") if part]
        if not 1 <= len(wanted) <= 2:
            raise ValueError(f"NAME: expected FILE.py:op or FILE.py:forward:backward, found {name}")
        if not os.path.isfile(path):
            raise ValueError(f"NAME: there is no file {path}")
        space = _run_file(path)
        for function in wanted:
            if not callable(space.get(function)):
                raise ValueError(f"NAME: {path} has no function {function!r}")
        rng = np.random.default_rng(args.seed)
        arrays, options = _example(space, path, args.shapes, rng)
        functions = [space[function] for function in wanted]
        reports[name] = _diagnosed(functions, arrays, options, args.seed)
    return _told(args, reports)


def _run_file(path):
    try:
        return runpy.run_path(path, run_name="npssl_check")
    except Exception as error:
        raise ValueError(f"{path}: {type(error).__name__} while it was run: {error}") from error


def in_detail(args, chosen):
    """Diagnose one example of each op, with its heat maps and curve."""
    import numpy as np

    reports = {}
    for name, (case, _) in chosen.items():
        for k in range(200):  # an example that shows something, and lies at no kink
            rng = np.random.default_rng([args.seed, k])
            op, arrays, options = case(lambda low, high: int(rng.integers(low, high + 1)), rng)  # noqa: B023
            full = all(a.size > 1 and min(a.shape, default=2) > 1 for a in arrays)
            if not full and k < 150:
                continue
            reports[name] = _diagnosed([op], arrays, options, args.seed)
            if reports[name].verdict != "at a kink":
                break
    return _told(args, reports)


def _diagnosed(functions, arrays, options, seed):
    from npssl.clinic import diagnose

    return diagnose(*functions, *arrays, seed=seed, **options)


def _example(space, path, shapes, rng):
    """The arrays and options to try: drawn in ``--shapes``, or by the file's ``example(rng)``."""
    if shapes:
        try:
            dims = [tuple(int(n) for n in s.split("x")) if s != "()" else () for s in shapes]
        except ValueError:
            raise ValueError(f"--shapes: expected such as 3x4 4 (), found {shapes}") from None
        return [rng.standard_normal(d) for d in dims], {}
    if callable(space.get("example")):
        found = space["example"](rng)
        found = found if isinstance(found, tuple) else (found,)
        if len(found) == 2 and isinstance(found[0], (tuple, list)) and isinstance(found[1], dict):
            return list(found[0]), found[1]
        return list(found), {}
    raise ValueError(
        f"{path}: which arrays? Give --shapes 3x4 4x5, or write in the file "
        "example(rng), which returns (x, w) or ((x, w), {'option': value})"
    )


def _told(args, reports):
    for name, report in reports.items():
        say(args, f"{name}\n{report.text() if args.verbose else report}\n")
    ok = all(report.ok for report in reports.values())
    result = {"ok": ok, "seed": args.seed, "reports": {k: _plain(r) for k, r in reports.items()}}
    if not ok:
        if args.json:
            print(json.dumps(result))
        raise SystemExit(1)
    return result


def _plain(report):
    return {
        "verdict": report.verdict,
        "relative_error": report.relative_error,
        "bar": report.bar,
        "causes": [
            {k: getattr(c, k) for k in ("name", "arguments", "evidence", "value", "exact", "place")}
            for c in report.causes
        ],
        "notes": list(report.notes),
    }
