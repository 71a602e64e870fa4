"""``npssl train MODEL``: from a text to a folder with a trained model."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from npssl.cli import command, cpc, drlim, metric, mi, pretraining, run_config, say, simcse

_MODELS = {"skip-gram": "SkipGram", "cbow": "CBOW"}

# flag: (type, choices, what it is); names and defaults are those of npssl.SkipGram
_FLAGS: dict[str, tuple] = {
    "dim": (int, None, "length of a vector"),
    "window": (int, None, "farthest neighbour"),
    "objective": (
        str,
        ("negative-sampling", "hierarchical-softmax", "softmax", "nce"),
        "what stands for the softmax over all words",
    ),
    "negative": (int, None, "noise words for each word"),
    "sample": (float, None, "words with a larger share of the text are thinned out"),
    "min_count": (int, None, "rarer words are left out"),
    "max_vocabulary": (int, None, "keep at most so many words"),
    "alpha": (float, None, "first learning rate"),
    "epochs": (int, None, "passes over the text"),
    "threads": (int, None, "1 gives the same bytes every time"),
    "seed": (int, None, "of all draws"),
    "variant": (str, ("npssl", "word2vec.c", "paper"), "whose details to follow"),
    "tokens": (str, ("whitespace", "words"), "how the text is cut; words: lower-cased"),
    "hold_out": (int, None, "keep every so many-th sentence for the held-out loss; 0: none"),
}


def add(commands):
    """Describe ``npssl train`` and its models."""
    train = commands.add_parser(
        "train",
        help="train a model on a text",
        description="Train a model on a text.",
        epilog="example: npssl train skip-gram --corpus text.txt --out run",
    )
    models = train.add_subparsers(dest="model", metavar="MODEL", required=True)
    for name, class_name in _MODELS.items():
        sub = command(
            models,
            name,
            run,
            help=f"train word vectors by {name.replace('cbow', 'CBOW')}",
            example=f"npssl train {name} --corpus text8 --dim 300 --epochs 5 --out text8-vectors",
        )
        add_arguments(sub, class_name)
    pretraining.add(models)
    cpc.add(models)
    simcse.add(models)
    metric.add(models)
    mi.add(models)
    drlim.add(models)


def add_arguments(sub, class_name):
    """The options of word vectors; those not given are taken from the model or the run."""
    import npssl

    sub.set_defaults(class_name=class_name)
    sub.add_argument(
        "--corpus",
        nargs="+",
        default=argparse.SUPPRESS,
        metavar="FILE",
        help="files, folders, or - (default: the documentation installed with Python, 20 epochs)",
    )
    defaults = {f.name: f.default for f in fields(getattr(npssl, class_name))}
    for name, (kind, choices, what) in _FLAGS.items():
        default = "as many as there are" if name == "threads" else defaults[name]
        sub.add_argument(
            "--" + name.replace("_", "-"),
            type=kind,
            choices=choices,
            default=argparse.SUPPRESS,
            metavar=None if choices else kind.__name__.upper(),
            help=f"{what} (default: {default})",
        )
    sub.add_argument(
        "--subwords",
        nargs=2,
        type=int,
        default=argparse.SUPPRESS,
        metavar=("MIN", "MAX"),
        help="add vectors of character n-grams of these lengths, as fastText (3 6)",
    )
    sub.add_argument("--out", metavar="FOLDER", help="default: a new folder in runs")
    sub.add_argument("--resume", action="store_true", help="go on with the run in --out")
    sub.add_argument(
        "--save-seconds", type=float, default=60.0, help="time between two checkpoints"
    )


def run(args) -> dict:
    """Train, write ``vectors.bin``, show some neighbours."""
    import npssl
    from npssl.data.documentation import documentation

    given = {name: getattr(args, name) for name in (*_FLAGS, "subwords") if hasattr(args, name)}
    corpus = getattr(args, "corpus", None)
    if args.resume:
        if args.out is None:
            raise ValueError("--resume: expected --out FOLDER, the run to go on with")
        settings = run_config(args.out, args.class_name, key="model")
        known = settings.pop("corpus", None)
        given = settings | given
        corpus = corpus or known
    folder = Path(args.out) if args.out else free(Path("runs") / args.model)
    if corpus is None:  # small enough for more passes
        given.setdefault("epochs", 20)
    text = corpus or str(documentation())
    if isinstance(text, list) and len(text) == 1:
        text = text[0]
    model = getattr(npssl, args.class_name)(**given)
    say(args, f"npssl: training {args.model} on {text} into {folder}")
    model.fit(text, run=folder, resume=args.resume, save_seconds=args.save_seconds)
    vectors = folder / "vectors.bin"
    model.vectors.save(vectors)
    model.vocabulary.save(folder / "vocabulary.txt")
    for row in model.history:
        speed = row.get("words_per_second")
        held = row.get("held_out_loss")
        say(
            args,
            f"epoch {row['epoch']}: {row['loss']:.4f} nats per pair"
            + (f", {held:.4f} held out" if held is not None else "")
            + (f", {speed:,} words/s" if speed else ""),
        )
    shown = {}
    for word in _samples(model.vocabulary.words):
        near = [w for w, _ in model.vectors.most_similar(word, topn=6)]
        shown[word] = near
        say(args, f"{word:>16}: {' '.join(near)}")
    size = f"{len(model.vocabulary):,} words x {model.dim}"
    say(args, f"{vectors}: {size}; look with: npssl vectors similar {vectors} {next(iter(shown))}")
    return {
        "folder": str(folder),
        "vectors": str(vectors),
        "words": len(model.vocabulary),
        "dim": model.dim,
        "history": model.history,
        "neighbours": shown,
    }


def free(path: Path) -> Path:
    """``path``, or the first of path-2, path-3, ... that does not exist."""
    found, n = path, 1
    while found.exists():
        n += 1
        found = path.with_name(f"{path.name}-{n}")
    return found


def _samples(words, count=5):
    """Some words to show: frequent, but not the most frequent, and not short."""
    long = [w for w in words[: max(count, len(words) // 4)] if len(w) > 4 and w.isalpha()]
    long = long or words
    return long[:: max(1, len(long[:500]) // count)][:count]
