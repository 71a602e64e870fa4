"""``npssl train metric``: metric learning on Omniglot, judged on unseen alphabets."""

from __future__ import annotations

from npssl.cli import command, say
from npssl.cli.training import add_flags, begin, how, say_signs, show
from npssl.tasks.metric_learning import LOSSES, MINERS

# flag: (type, choices, what it is); names and defaults are those of the job
_FLAGS: dict[str, tuple] = {
    "encoder": (str, ("mlp", "conv"), "of the drawings"),
    "dim": (int, None, "of the embeddings"),
    "miner": (str, tuple(MINERS), "of triplets"),
    "classes": (int, None, "characters in a batch"),
    "drawings": (int, None, "of each character in a batch, an even number"),
    "shift": (int, None, "pixels that drawings are moved by while training"),
    "steps": (int, None, "how many batches"),
    "lr": (float, None, "highest learning rate"),
}


def add(models):
    """Describe the command; ``models`` are the sub-commands of ``npssl train``."""
    from npssl.jobs.metric_learning import train_metric

    sub = command(
        models,
        "metric",
        run,
        help="learn distances between drawings (Omniglot)",
        example="npssl train metric --loss triplet sup-con --seeds 0 1 2",
    )
    sub.add_argument(
        "--loss", nargs="+", choices=(*LOSSES, "all"), default=["triplet"], help="one or more"
    )
    sub.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="SEED", help="of draws")
    add_flags(sub, _FLAGS, train_metric)


def run(args) -> dict:
    """Train each loss with each seed, in folders of their own; print the table."""
    from npssl.jobs.metric_learning import draw, table, train_metric

    given, folder = begin(args, "metric", _FLAGS)
    losses = LOSSES if "all" in args.loss else list(dict.fromkeys(args.loss))
    say(args, f"npssl: training metric into {folder}")
    found: dict[str, list[dict]] = {}
    for loss in losses:
        for seed in dict.fromkeys(args.seeds):
            run = folder / f"{loss}-{seed}"
            scores = train_metric(loss, seed=seed, **given, run=run, **how(args))
            found.setdefault(loss, []).append(scores)
            say_signs(args, scores, f"{loss}, seed {seed}: ")
    say(args, table(found))
    show(args, folder, draw, found, "losses.png", files="a folder for each run")
    return {"folder": str(folder), "seeds": args.seeds, "scores": found}
