"""``npssl train bert`` and ``npssl train gpt``: from a text to a folder with a language model."""

from __future__ import annotations

import argparse
from pathlib import Path

from npssl.cli import command, say
from npssl.cli.training import add_flags, begin, how

# flag: (type, choices, what it is); names and defaults are those of the jobs
_SHARED: dict[str, tuple] = {
    "steps": (int, None, "how many batches"),
    "batch": (int, None, "texts in a batch; of pairs that grow: in the last"),
    "lr": (float, None, "highest learning rate"),
    "warmup": (int, None, "steps up to it; then down to 0"),
    "decay": (float, None, "weight decay"),
    "clip": (float, None, "longer gradients are shortened"),
    "dropout": (float, None, "share of the activations that are dropped"),
    "vocabulary": (int, None, "tokens to learn, at most"),
    "seed": (int, None, "of all draws"),
}
_BERT: dict[str, tuple] = {
    "preset": (
        str,
        ("bert-tiny", "bert-mini", "bert-small", "bert-medium", "bert-base", "bert-large"),
        "sizes",
    ),
    "length": (int, None, "tokens of a pair of texts, at most"),
    "shortest": (int, None, "tokens of the first pairs, which grow to --length"),
    **_SHARED,
    "mask_rate": (float, None, "share of the tokens that are asked for"),
    "hidden": (float, None, "of those: the share that becomes [MASK]"),
    "swapped": (float, None, "of those: the share that becomes another word"),
    "next_weight": (float, None, "of next sentence in the loss; 0: words only"),
    "copies": (int, None, "so many fixed draws of hidden words, not one at each step"),
    "held": (int, None, "batches of held-out text to measure on, at most"),
}
_GPT: dict[str, tuple] = {
    "tokens": (str, ("characters", "words", "blanks", "bytes"), "what a token is"),
    "min_count": (int, None, "rarer words are unknown"),
    "width": (int, None, "of the vectors"),
    "depth": (int, None, "number of blocks"),
    "heads": (int, None, "of the attention"),
    "context": (int, None, "tokens that are seen at once"),
    **_SHARED,
    "held": (int, None, "tokens of held-out text to measure on, at most"),
}
_FLAGS = {"bert": _BERT, "gpt": _GPT}
_OTHERS = "corpus", "valid", "lowercase", "tied"


def add(models):
    """Describe both commands; ``models`` are the sub-commands of ``npssl train``."""
    for name, what, example in (
        ("bert", "BERT by hidden words and next sentences", "--corpus wiki.txt --out wiki-bert"),
        ("gpt", "GPT by next tokens", "--corpus shakespeare.txt --out shakespeare"),
    ):
        sub = command(
            models,
            name,
            run,
            help=f"train a {what}",
            example=f"npssl train {name} {example}",
        )
        _add_arguments(sub, name)


def _add_arguments(sub, name):
    given = argparse.SUPPRESS
    sub.add_argument(
        "--corpus",
        nargs="+",
        default=given,
        metavar="FILE",
        help="files or folders (default: the documentation installed with Python)",
    )
    sub.add_argument(
        "--valid",
        nargs="+",
        default=given,
        metavar="FILE",
        help="text to measure on (default: the last 5 %% of the corpus)",
    )
    usual = {"warmup": "a tenth of the steps", "copies": "a new draw at each step"}
    add_flags(sub, _FLAGS[name], _job(name), usual)
    if name == "bert":
        sub.add_argument(
            "--cased", dest="lowercase", action="store_false", default=given, help="keep capitals"
        )
        sub.add_argument(
            "--untied",
            dest="tied",
            action="store_false",
            default=given,
            help="hidden words have their own table",
        )


def run(args) -> dict:
    """Train, measure on text held out, show an example."""
    from npssl.data.documentation import documentation

    name = args.model
    given, folder = begin(args, name, (*_FLAGS[name], *_OTHERS), config="training")
    corpus = given.pop("corpus", None) or str(documentation())
    say(args, f"npssl: training {name} on {corpus} into {folder}")
    found = _job(name)(corpus, **given, run=folder, **how(args))
    for line in _told(name, found.scores):
        say(args, f"held out: {line}")
    example = (_fill if name == "bert" else _continue)(found, corpus)
    say(args, f"for example: {example}")
    say(args, f"{folder}: config.json, model.safetensors and the tokenizer")
    return {"folder": str(folder), **found.scores, "example": example}


def _job(name):
    from npssl.jobs.bert import train_bert
    from npssl.jobs.gpt import train_gpt

    return train_bert if name == "bert" else train_gpt


def _told(name, s):
    if name == "gpt":
        yield (
            f"{s['nats']:.3f} nats a token, perplexity {s['perplexity']:.2f} "
            f"(frequencies alone: {s['unigram_nats']:.3f} nats); {s['tokens']:,} tokens"
        )
        return
    yield (
        f"{s['accuracy']:.1%} of the hidden words found, {s['nats']:.3f} nats a word "
        f"(frequencies alone: {s['unigram_accuracy']:.1%}, {s['unigram_nats']:.3f}); "
        f"{s['words']:,} words"
    )
    yield f"{s['next_accuracy']:.1%} of the next sentences told (chance: 50 %)"


def _fill(found, corpus):
    """A line of the corpus with a word hidden, and what the model puts there."""
    from npssl.jobs.prompting import fill_masks

    words = _line(corpus).split()
    words[len(words) // 2] = "[MASK]"
    text = " ".join(words)
    first = fill_masks(found.task.words, found.params.tree.words, found.tokenizer, text)[0]
    return f"{text} -> {', '.join(word for word, _ in first)}"


def _continue(found, corpus):
    """The beginning of a line of the corpus, and how the model goes on."""
    from npssl.jobs.prompting import continuation

    text, p = " ".join(_line(corpus).split()[:4]), found.params.tree.decoder
    return continuation(found.task.decoder, p, found.tokenizer, text, 160)


def _line(corpus):
    from npssl.data.token_store import lines

    fits = (line for line in lines(corpus) if 8 <= len(line.split()) <= 20)
    return next(fits, "This is the first line of the text.")


def newest(name) -> Path:
    """The folder in ``runs`` that ``npssl train NAME`` wrote last."""
    folders = [f for f in Path("runs").glob(f"{name}*") if (f / "model.safetensors").exists()]
    if not folders:
        raise ValueError(
            f"--model: expected a folder, as no runs/{name} is here; `npssl train {name}` makes one"
        )
    return max(folders, key=lambda f: (f / "model.safetensors").stat().st_mtime)
