"""``npssl train cpc``: contrastive predictive coding, trained and probed."""

from __future__ import annotations

from npssl.cli import command, say
from npssl.cli.training import add_flags, begin, how, say_signs, show

# flag: (type, choices, what it is); names and defaults are those of the job
_FLAGS: dict[str, tuple] = {
    "data": (str, ("speech", "mnist"), "synthetic speech, or images as rows"),
    "negatives": (str, ("mixed", "same", "others"), "sequences that the wrong answers are from"),
    "ahead": (int, None, "steps to predict"),
    "width": (int, None, "of the frames"),
    "context": (int, None, "width of the context"),
    "batch": (int, None, "sequences in a batch"),
    "samples": (int, None, "of a sequence of speech"),
    "steps": (int, None, "how many batches"),
    "lr": (float, None, "highest learning rate"),
    "phones": (int, None, "of the language"),
    "speakers": (int, None, "of the language"),
    "noise": (float, None, "in speech, whose deviation is about 1"),
    "probe": (int, None, "utterances for the probes"),
    "seed": (int, None, "of all draws"),
}


def add(models):
    """Describe the command; ``models`` are the sub-commands of ``npssl train``."""
    from npssl.jobs.cpc import train_cpc

    sub = command(
        models,
        "cpc",
        run,
        help="train an encoder to predict its own future (CPC)",
        example="npssl train cpc --negatives same --out cpc-same",
    )
    add_flags(sub, _FLAGS, train_cpc, {"ahead": "8, images 5"})


def run(args) -> dict:
    """Train, probe, write the figures and a picture."""
    from npssl.jobs.cpc import draw, train_cpc

    given, folder = begin(args, "cpc", _FLAGS, config="")
    say(args, f"npssl: training cpc on {given.get('data', 'speech')} into {folder}")
    scores = train_cpc(**given, run=folder, **how(args))
    say(args, f"held out: {scores['nats']:.3f} nats (chance: {scores['chance_nats']:.3f})")
    for name, found in scores["probes"].items():
        told = ", ".join(f"{kind} {share:.1%}" for kind, share in found.items())
        say(args, f"{name} by a linear probe: {told}")
    say_signs(args, scores)
    show(args, folder, draw, scores, "probes.png")
    return {"folder": str(folder), **scores}
