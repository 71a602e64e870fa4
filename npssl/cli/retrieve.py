"""``npssl retrieve``: the nearest of many sentences, drawings or vectors."""

from __future__ import annotations

from npssl.cli import command, read_lines, say


def add(commands):
    """Describe ``npssl retrieve``."""
    sub = command(
        commands,
        "retrieve",
        run,
        help="find the nearest of many vectors, as from npssl embed",
        example="npssl retrieve vectors.npy --lines sentences.txt --row 0 5",
    )
    sub.add_argument("vectors", metavar="VECTORS.npy", help="(N, width) numbers: the many")
    asked = sub.add_mutually_exclusive_group(required=True)
    asked.add_argument("--row", nargs="+", type=int, metavar="N", help="rows of VECTORS, from 0")
    asked.add_argument("--queries", metavar="QUERIES.npy", help="vectors of one's own")
    asked.add_argument("--text", nargs="+", metavar="SENTENCE", help="sentences; needs --model")
    sub.add_argument("--model", metavar="FOLDER", help="the encoder that made VECTORS")
    sub.add_argument("--lines", metavar="FILE", help="what each row is, a line each")
    sub.add_argument("-k", type=int, default=5, help="how many neighbours")
    sub.add_argument("--metric", choices=("cosine", "euclidean"), default="cosine", help="nearness")
    sub.add_argument(
        "--index",
        choices=("none", "hnsw"),
        default="none",
        help="hnsw: nearly the nearest, by a graph; pays for many queries (npssl[index])",
    )


def run(args) -> dict:
    """Print the neighbours of each query, nearest first."""

    from npssl.evaluation.retrieval import nearest, nearly_nearest
    from npssl.layers.similarity import unit

    if args.k < 1:
        raise ValueError(f"-k: expected 1 or more, found {args.k}")
    key = _vectors(args.vectors)
    lines = None
    if args.lines:
        lines = read_lines(args.lines)
        if len(lines) != len(key):
            raise ValueError(f"--lines: expected {len(key)}, one a row, found {len(lines)}")
    if args.row is not None:
        wrong = [n for n in args.row if not 0 <= n < len(key)]
        if wrong:
            raise ValueError(f"--row: expected 0 to {len(key) - 1}, found {wrong[0]}")
        query, names = key[args.row], [lines[n] if lines else f"row {n}" for n in args.row]
    elif args.queries:
        query = _vectors(args.queries)
        names = [f"query {n}" for n in range(len(query))]
    else:
        if args.model is None:
            raise ValueError("--text: expected --model FOLDER, the encoder that made the vectors")
        from npssl.jobs.sentences import SentenceEncoder

        query, names = SentenceEncoder(args.model).embed(args.text), args.text
    if args.metric == "cosine":
        query, key = unit(query)[0], unit(key)[0]
    own = args.row is not None  # a row is not its own neighbour
    search = nearly_nearest if args.index == "hnsw" else nearest
    index, distance = search(query, key, min(args.k + own, len(key)))
    found = []
    for n, name in enumerate(names):
        near = [
            (int(i), float(d))
            for i, d in zip(index[n], distance[n])
            if not (own and i == args.row[n])
        ][: args.k]
        say(args, name)
        rows = []
        for i, d in near:
            score = 1 - d * d / 2 if args.metric == "cosine" else d
            rows.append({"row": i, args.metric: score} | ({"line": lines[i]} if lines else {}))
            say(args, f"  {score:8.4f}  {lines[i] if lines else f'row {i}'}")
        found.append({"query": name, "nearest": rows})
    return {"results": found}


def _vectors(path):
    """The rows of a file of numbers; nothing in it is run."""
    import numpy as np

    from npssl.errors import FileError

    try:
        a = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise FileError(path, "no such file") from None
    except (ValueError, EOFError, OSError) as error:
        raise FileError(path, f"is not a readable .npy file ({error})") from error
    if not isinstance(a, np.ndarray) or a.ndim != 2 or a.dtype.kind != "f" or not len(a):
        raise FileError(path, f"expected numbers (N, width), found {getattr(a, 'shape', type(a))}")
    return a.astype(np.float32)
