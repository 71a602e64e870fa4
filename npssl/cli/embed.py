"""``npssl embed``: a vector for each line of a file."""

import time

from npssl.cli import command, read_lines, say, writable


def add(commands):
    """Describe ``npssl embed``."""
    sub = command(
        commands,
        "embed",
        run,
        help="give each line of a file a vector, by an encoder of the BERT kind",
        example="npssl embed sentences.txt --model all-MiniLM-L6-v2 --out vectors.npy",
    )
    sub.add_argument("file", metavar="FILE", help="one sentence a line, UTF-8")
    sub.add_argument(
        "--model",
        required=True,
        metavar="FOLDER",
        help="config.json, model.safetensors, vocab.txt; or all-MiniLM-L6-v2",
    )
    sub.add_argument("--out", required=True, metavar="OUT.npy", help="(lines, width) float32")
    sub.add_argument(
        "--longest",
        type=int,
        metavar="N",
        help="tokens of a sentence that are read (default: 256, or the model's context)",
    )


def run(args):
    """Write the vectors; returns how many, how wide, and how fast."""
    import numpy as np
    from tqdm import tqdm

    from npssl.files import whole_file
    from npssl.jobs.sentences import SentenceEncoder

    if not args.out.endswith(".npy"):
        raise ValueError(f"--out: expected a name in .npy, found {args.out!r}")
    writable("--out", args.out)
    lines = read_lines(args.file)
    encoder = SentenceEncoder(args.model, longest=args.longest)
    start = time.perf_counter()
    with tqdm(total=len(lines), unit=" sentences", disable=args.json or None) as bar:
        vectors = encoder.embed(lines, progress=bar.update)
    seconds = time.perf_counter() - start
    with whole_file(args.out) as file:
        np.save(file, vectors)
    say(args, f"{len(lines)} sentences, {vectors.shape[1]} numbers each: {args.out}")
    return {
        "sentences": len(lines),
        "width": vectors.shape[1],
        "seconds": round(seconds, 3),
        "out": args.out,
    }
