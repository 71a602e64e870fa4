"""``npssl vectors``: questions to word vectors, and to their files."""

import sys
import warnings
from contextlib import contextmanager

from npssl.cli import command, say
from npssl.data.vector_files import FORMATS
from npssl.errors import UnknownWord


def add(commands):
    """Describe ``npssl vectors similar|analogy|evaluate|convert|plot|extrinsic``."""
    group = commands.add_parser(
        "vectors",
        help="ask word vectors, evaluate, convert and draw them",
        description="Word vectors in the formats of word2vec (text, binary), GloVe and fastText "
        "(.vec) and as safetensors; .gz, .bz2 and .xz are unpacked.",
        epilog="example: npssl vectors similar run/vectors.bin coffee",
    )
    actions = group.add_subparsers(dest="action", metavar="ACTION", required=True)
    _similar(actions)
    _analogy(actions)
    _evaluate(actions)
    _convert(actions)
    _plot(actions)
    _extrinsic(actions)


def _action(actions, name, run, help, example):
    action = command(actions, name, run, help=help, example=f"npssl vectors {example}")
    action.add_argument("file", metavar="FILE", help="the vectors")
    action.add_argument("--format", choices=FORMATS, help="of FILE; else found out")
    action.add_argument("--limit", type=_count, metavar="N", help="read the first N vectors only")
    return action


def _nearest(action):
    action.add_argument("--topn", type=_count, default=10, metavar="N", help="how many answers")
    action.add_argument(
        "--method",
        choices=("cosadd", "cosmul"),
        default="cosadd",
        help="add cosines, or multiply them",
    )


def _similar(actions):
    action = _action(
        actions, "similar", similar, "show the nearest words", "similar vectors.bin coffee"
    )
    action.add_argument("words", nargs="+", metavar="WORD")
    action.add_argument("--negative", nargs="+", default=[], metavar="WORD", help="words to avoid")
    _nearest(action)


def _analogy(actions):
    action = _action(
        actions,
        "analogy",
        analogy,
        "answer: A is to B as C is to what",
        "analogy vectors.bin man king woman",
    )
    for name in "abc":
        action.add_argument(name, metavar=name.upper())
    _nearest(action)


def _evaluate(actions):
    action = _action(
        actions,
        "evaluate",
        evaluate,
        "score vectors on test sets; without files on the public ones that are here",
        "evaluate vectors.bin --pairs my-pairs.tsv",
    )
    forms = {
        "pairs": "word, word, score",
        "analogies": "four words; ': name' opens a section",
        "categories": "CSV with category, word",
        "outliers": "CSV with category, words, outliers",
        "synonyms": "word | synonym | other | ...",
    }
    for kind, form in forms.items():
        action.add_argument(
            f"--{kind}", action="append", default=[], metavar="FILE", help=f"lines: {form}"
        )
    action.add_argument(
        "--restrict-vocab",
        type=_count,
        default=300000,
        metavar="N",
        help="pairs and analogies: know the first N words only, as gensim does",
    )
    action.add_argument(
        "--method", choices=("cosadd", "cosmul"), default="cosadd", help="of analogies"
    )
    action.add_argument("--case-sensitive", action="store_true", help="take words as written")
    action.add_argument("--seed", type=int, default=0, help="of the clusters of categories")


def _convert(actions):
    action = _action(
        actions,
        "convert",
        convert,
        "write vectors in another format",
        "convert vectors.bin vectors.txt.gz",
    )
    action.add_argument("out", metavar="OUT", help="its suffix says the format")
    action.add_argument("--to", choices=FORMATS, help="the format, whatever the suffix")


def _plot(actions):
    action = _action(
        actions,
        "plot",
        plot,
        "draw a map of words (needs the extra plot)",
        "plot vectors.bin --words red green one two --out map.svg",
    )
    action.add_argument("--words", nargs="+", metavar="WORD", help="which; else the first 100")
    action.add_argument("--out", default="map.png", metavar="FILE", help="a .png or .svg")
    action.add_argument("--method", choices=("pca", "tsne"), default="pca", help="of projection")
    action.add_argument("--seed", type=int, default=0, help="of t-SNE")


def _extrinsic(actions):
    from npssl.jobs import extrinsic

    def run(args):
        with _notes():
            return extrinsic.run(args)

    action = command(
        actions,
        "extrinsic",
        run,
        help="train text classifiers on vectors: random or pre-trained, frozen or fine-tuned",
        example="npssl vectors extrinsic vectors.bin --task trec",
    )
    extrinsic.add_arguments(action)


def similar(args):
    """The nearest words to a weighted mean of words."""
    wv = _load(args)
    with _known(wv):
        found = _ask(wv, args, args.words, args.negative)
    return {"words": args.words, "negative": args.negative, "similar": _told(args, found)}


def analogy(args):
    """The words that are to ``c`` as ``b`` is to ``a``."""
    wv = _load(args)
    with _known(wv):
        found = _ask(wv, args, [args.b, args.c], [args.a])
    say(args, f"{args.a} is to {args.b} as {args.c} is to")
    return {"a": args.a, "b": args.b, "c": args.c, "answers": _told(args, found)}


def evaluate(args):
    """Scores on test sets, the public ones that are here or those of the user."""
    from npssl.evaluation import intrinsic

    tests = [(file, kind, file) for kind in intrinsic.KINDS for file in getattr(args, kind)]
    absent = []
    if not tests:
        tests, absent = intrinsic.known_tests()
        for name in absent:
            say(args, f"{name}: skipped, it is not here (npssl data fetch {name})")
        if not tests:
            raise ValueError("no public test set is here, and no file was given (see --help)")
    tests = intrinsic.read(tests)
    wv = _load(args)
    say(args, f"{'test':25}{'score':>8}  {'':10}{'covered':>8} of")
    measures = {"pairs": "Spearman", "categories": "purity"}
    rows = []
    for row in intrinsic.evaluate(
        wv,
        tests,
        restrict_vocab=args.restrict_vocab,
        case_insensitive=not args.case_sensitive,
        method=args.method,
        seed=args.seed,
    ):
        rows.append(row)
        score = "-" if row["score"] is None else f"{row['score']:.4f}"
        measure = measures.get(row["kind"], "accuracy")
        say(
            args,
            f"{row['test']:25}{score:>8}  {measure:10}{row['covered']:8} {row['items']:8}"
            + (f"  OPP {row['opp']:.4f}" if row.get("opp") is not None else ""),
        )
        for half in ("semantic", "syntactic") if row["kind"] == "analogies" else ():
            part = row[half]
            say(
                args,
                f"  {half:23}{part['accuracy']:8.4f}  {'accuracy':10}"
                f"{part['covered']:8} {part['questions']:8}",
            )
    return {"vectors": len(wv), "dim": wv.vector_size, "tests": rows, "absent": absent}


def convert(args):
    """The same vectors in another format."""
    from npssl.data.vector_files import read_table, write_vectors

    with _notes():
        words, vectors, counts = read_table(args.file, args.format, args.limit)
    write_vectors(args.out, words, vectors, args.to, counts=counts)
    say(args, f"{args.out}: {len(words)} vectors of {vectors.shape[1]} numbers")
    return {"out": args.out, "vectors": len(words), "dim": vectors.shape[1]}


def plot(args):
    """A picture of words, and their places in it."""
    from npssl.evaluation.word_map import SUFFIXES, draw, project

    if not args.out.lower().endswith(SUFFIXES):
        raise ValueError(f"--out: expected a name in .png or .svg, found {args.out!r}")
    wv = _load(args)
    words = args.words or wv.index_to_key[:100]
    if not words:
        raise ValueError(f"{args.file}: no words in it, so there is no map")
    with _known(wv):
        points = project(wv.units(wv.get_indices(words)), args.method, args.seed)
    draw(args.out, words, points)
    say(args, f"{args.out}: a map of {len(words)} words ({args.method})")
    named = [{"word": w, "x": float(x), "y": float(y)} for w, (x, y) in zip(words, points)]
    return {"out": args.out, "method": args.method, "points": named}


def _load(args):
    from npssl.evaluation.word_vectors import WordVectors

    with _notes():
        return WordVectors.load(args.file, args.format, args.limit)


def _ask(wv, args, positive, negative):
    most_similar = wv.most_similar if args.method == "cosadd" else wv.most_similar_cosmul
    return most_similar(positive, negative, topn=args.topn)


def _told(args, found):
    for word, score in found:
        say(args, f"{score:8.4f}  {word}")
    return [{"word": word, "score": score} for word, score in found]


@contextmanager
def _notes():
    """Warnings as one line each on standard error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        print(f"npssl: note: {warning.message}", file=sys.stderr)


@contextmanager
def _known(wv):
    """An unknown word, and the one that may have been meant."""
    try:
        yield
    except UnknownWord as error:
        word = error.word
        others = [w for w in (word.lower(), word.capitalize(), word.upper()) if w in wv]
        if not others:
            raise
        raise ValueError(f"{error}; did you mean {others[0]!r}?") from None


def _count(text):
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


_count.__name__ = "whole number above 0"  # argparse: invalid whole number above 0 value
