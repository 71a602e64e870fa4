"""``npssl glue-mini``: one encoder, six tasks, some seeds, one table in the form of GLUE's."""

from __future__ import annotations

from itertools import product

from npssl.cli import command, say

# the measures of each task in the table
COLUMNS: dict[str, tuple[str, ...]] = {
    "cola": ("matthews",),
    "sst2": ("accuracy",),
    "stsb": ("pearson", "spearman"),
    "trec": ("accuracy",),
    "wnut17": ("f1",),
    "squad-mini": ("exact", "f1"),
}


def add(commands):
    """Describe ``npssl glue-mini``."""
    from npssl.cli.finetune import add_arguments

    sub = command(
        commands,
        "glue-mini",
        run,
        help="fine-tune an encoder on six tasks and print a table as GLUE's",
        example="npssl glue-mini --model all-MiniLM-L6-v2 --seeds 3",
    )
    sub.add_argument(
        "--model",
        required=True,
        metavar="FOLDER",
        help="weights and tokenizer, or all-MiniLM-L6-v2",
    )
    sub.add_argument("--data", metavar="FOLDER", help="of data sets, instead of NPSSL_DATA")
    sub.add_argument("--seeds", type=int, default=3, help="how many, from 0 on")
    sub.add_argument(
        "--task", action="append", choices=list(COLUMNS), help="only this; may come several times"
    )
    sub.add_argument(
        "--out", metavar="FOLDER", help="write down each run's scores; a model is not kept"
    )
    sub.add_argument(
        "--resume", action="store_true", help="use the runs in --out; more seeds and tasks may come"
    )
    add_arguments(sub)


def run(args) -> dict:
    """A row for the dev parts and one for the test parts, means over the seeds."""
    from npssl.cli.finetune import given, told
    from npssl.data.labelled import load
    from npssl.jobs.extrinsic import spread
    from npssl.jobs.finetune import fine_tune
    from npssl.train import recorded

    if args.seeds < 1:
        raise ValueError(f"--seeds: expected 1 or more, found {args.seeds}")
    if args.resume and args.out is None:
        raise ValueError("--resume: expected --out FOLDER, the runs to go on with")
    tasks = list(dict.fromkeys(args.task or COLUMNS))
    data = {task: load(task, args.data) for task in tasks}  # what is missing is told at once
    config = dict(job="glue-mini", model=args.model, **given(args))
    known: dict = {}
    with recorded(args.out, config, resume=args.resume) as log:
        if log:
            log.restore({})  # there is no state: the rows are all
            known = {(row["task"], row["seed"]): row["scores"] for row in log.rows()}
        for task, seed in product(tasks, range(args.seeds)):
            if (task, seed) not in known:
                how = dict(name=task, seed=seed, progress=not args.json, **given(args))
                known[task, seed] = fine_tune(data[task], args.model, **how).taught["scores"]
                if log:
                    row = dict(task=task, seed=seed, scores=known[task, seed])
                    log.log(dict(step=len(known), **row))
                    log.save({}, len(known))
            for part, scores in known[task, seed].items():
                say(args, f"{task}, seed {seed}, {part}: {told(scores)}")
    table: dict = {}
    for task in tasks:
        runs = [known[task, seed] for seed in range(args.seeds)]
        table[task] = {
            part: {
                measure: {
                    "mean": sum(r[part][measure] for r in runs) / len(runs),
                    "sd": spread([r[part][measure] for r in runs]),
                    "runs": [r[part][measure] for r in runs],
                }
                for measure in runs[0][part]
            }
            for part in runs[0]
        }
    averages = {part: _average(table, part) for part in ("dev", "test")}
    say(args, "\n" + "\n".join(_lines(table, averages, args.seeds)))
    return {"model": args.model, "seeds": args.seeds, "tasks": table, "average": averages}


def _average(table, part) -> float:
    """The mean over tasks of the mean of a task's measures, as GLUE counts it."""
    means = []
    for task, found in table.items():
        measures = COLUMNS[task]
        means.append(sum(found[part][m]["mean"] for m in measures) / len(measures))
    return sum(means) / len(means)


def _lines(table, averages, seeds):
    """Markdown: a column for each task, its measures with a stroke between them."""
    head = ["100 x", *(f"{t} ({'/'.join(COLUMNS[t])})" for t in table), "average"]
    yield "| " + " | ".join(head) + " |"
    yield "|" + "|".join("---" for _ in head) + "|"
    for part, average in averages.items():
        cells = []
        for task, found in table.items():
            values = [found[part][m] for m in COLUMNS[task]]
            cells.append("/".join(f"{100 * v['mean']:.1f}" for v in values))
            if seeds > 1:
                cells[-1] += " ± " + "/".join(f"{100 * v['sd']:.1f}" for v in values)
        yield "| " + " | ".join([part, *cells, f"{100 * average:.1f}"]) + " |"
    over = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    yield f"{over}; weights are chosen on dev; test of cola is its out-of-domain part"
