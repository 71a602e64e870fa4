"""``npssl fill``: what a BERT puts in place of [MASK]."""

from npssl.cli import command, say
from npssl.cli.pretraining import newest


def add(commands):
    """Describe ``npssl fill``."""
    sub = command(
        commands,
        "fill",
        run,
        help="name the likeliest words at each [MASK] of a text",
        example='npssl fill "the capital of [MASK] is paris." --model runs/bert',
    )
    sub.add_argument("text", metavar="TEXT", help="with one [MASK] or more")
    sub.add_argument(
        "--model", metavar="FOLDER", help="of `npssl train bert` (default: the newest in runs)"
    )
    sub.add_argument("--top", type=int, default=5, metavar="N", help="words to name")


def run(args):
    """Print the words and their probabilities."""
    from npssl.jobs.prompting import FillMask

    found = FillMask(args.model or newest("bert"))(args.text, args.top)
    for i, words in enumerate(found):
        if len(found) > 1:
            say(args, f"[MASK] {i + 1}")
        for word, share in words:
            say(args, f"{share:6.1%}  {word}")
    return {
        "text": args.text,
        "masks": [[{"token": w, "probability": p} for w, p in words] for words in found],
    }
