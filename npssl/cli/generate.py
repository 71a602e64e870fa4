"""``npssl generate``: how a GPT goes on with a text."""

from npssl.cli import command, say
from npssl.cli.pretraining import newest


def add(commands):
    """Describe ``npssl generate``."""
    sub = command(
        commands,
        "generate",
        run,
        help="go on with a text, token by token",
        example='npssl generate "The king" --model runs/gpt --tokens 200 --top-p 0.9',
    )
    sub.add_argument("text", metavar="TEXT", help="what the model goes on with")
    sub.add_argument(
        "--model", metavar="FOLDER", help="of `npssl train gpt` (default: the newest in runs)"
    )
    sub.add_argument("--tokens", type=int, default=200, metavar="N", help="to draw")
    sub.add_argument(
        "--temperature", type=float, default=1.0, help="scores are divided by it; 0: the likeliest"
    )
    sub.add_argument("--top-k", type=int, metavar="N", help="draw from so many of the likeliest")
    sub.add_argument(
        "--top-p", type=float, metavar="P", help="draw from the fewest whose shares sum to P"
    )
    sub.add_argument("--seed", type=int, default=0, help="of the draws")


def run(args):
    """Print the text and its continuation."""
    from npssl.jobs.prompting import TextGenerator

    text = TextGenerator(args.model or newest("gpt"))(
        args.text,
        args.tokens,
        temperature=args.temperature,
        top_k=args.top_k,
        top_p=args.top_p,
        seed=args.seed,
    )
    say(args, text)
    return {"text": text}
