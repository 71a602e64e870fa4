"""Word vectors against gensim: neighbours, analogies, reading files; equal answers first.

    python benchmarks/bench_vectors.py [--words 400000] [--dim 300] [--repeat 7]

Both work on the same random table.  A row counts only after the two agree.  The two take
turns; the table shows medians of seconds, and results/vectors.json keeps them.
"""

import argparse
import pathlib
import tempfile
import time

import numpy as np
from common import in_turn, median, save, table

from npssl import WordVectors
from npssl.evaluation import analogies


def turns(repeat, **programs):
    """Median seconds of each program; they take turns."""
    return {name: median(found) for name, found in in_turn(programs, repeat).items()}


def same(ours, theirs):
    assert [w for w, _ in ours] == [w for w, _ in theirs], (ours, theirs)


def questions(words, n, distinct):
    rng = np.random.default_rng(1)
    pool = [words[i] for i in rng.integers(0, len(words), distinct)]
    rows = [rng.choice(distinct, 4, replace=False) for _ in range(n)]
    return [("all", [tuple(pool[i] for i in row) for row in rows])]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--words", type=int, default=400_000)
    parser.add_argument("--dim", type=int, default=300)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--questions", type=int, default=19_544, help="analogies, for npssl")
    parser.add_argument("--gensim-questions", type=int, default=40, help="analogies, for gensim")
    args = parser.parse_args()
    try:
        from gensim.models import KeyedVectors
    except ImportError:
        raise SystemExit("gensim is not installed: nothing to compare with") from None

    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((args.words, args.dim), np.float32)
    words = [f"w{i}" for i in range(args.words)]
    wv, kv = WordVectors(words, vectors), KeyedVectors(args.dim)
    kv.add_vectors(words, vectors)
    kv.fill_norms()
    same(wv.most_similar("w7"), kv.most_similar("w7"))
    rows = {}

    query = dict(positive=["w1", "w2"], negative=["w3"])
    same(wv.most_similar(**query), kv.most_similar(**query))
    rows["most_similar, one word"] = turns(
        args.repeat, npssl=lambda: wv.most_similar("w7"), gensim=lambda: kv.most_similar("w7")
    )
    rows["most_similar, b - a + c"] = turns(
        args.repeat,
        npssl=lambda: wv.most_similar(**query),
        gensim=lambda: kv.most_similar(**query),
    )

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        few = questions(words, args.gensim_questions, 905)
        few[0][1].extend(
            (a, b, c, kv.most_similar([b, c], [a], topn=1)[0][0]) for a, b, c, _ in few[0][1][:10]
        )
        file = folder / "questions.txt"
        file.write_text(": all\n" + "\n".join(map(" ".join, few[0][1])) + "\n")
        options = dict(restrict_vocab=args.words, case_insensitive=False)
        ours = wv.evaluate_word_analogies(file, **options)[1][-1]["correct"]
        start = time.perf_counter()
        theirs = kv.evaluate_word_analogies(str(file), **options)[1][-1]["correct"]
        each = (time.perf_counter() - start) / len(few[0][1])
        assert ours == theirs and len(ours) >= 10
        many = questions(words, args.questions, 905)
        for method in ("cosadd", "cosmul"):
            start = time.perf_counter()
            analogies.evaluate(wv, many, method=method, case_insensitive=False)
            rows[f"{args.questions} analogies, {method}"] = {
                "npssl": time.perf_counter() - start,
                "gensim": each * args.questions if method == "cosadd" else None,
            }

        few_words, small = words[:50_000], vectors[:50_000]
        kv = KeyedVectors(args.dim)
        kv.add_vectors(few_words, small)
        wv = WordVectors(few_words, small)
        for name, binary in (("v.bin", True), ("v.txt", False)):
            ours, theirs = folder / f"ours-{name}", folder / f"theirs-{name}"
            rows[f"write {name[2:]}, 50,000 words"] = turns(
                1,
                npssl=lambda ours=ours: wv.save(ours),
                gensim=lambda theirs=theirs, b=binary: kv.save_word2vec_format(theirs, binary=b),
            )
            assert ours.read_bytes() == theirs.read_bytes()
            rows[f"read {name[2:]}, 50,000 words"] = turns(
                min(args.repeat, 3),
                npssl=lambda ours=ours: WordVectors.load(ours),
                gensim=lambda ours=ours, b=binary: KeyedVectors.load_word2vec_format(
                    ours, binary=b
                ),
            )

    found = []
    for name, row in rows.items():
        ratio = row["gensim"] / row["npssl"] if row["gensim"] else None
        found.append({"seconds": name, **row, "ratio": ratio})
    print(f"{args.words:,} vectors of {args.dim} numbers\n")
    table(found, ("seconds", "npssl", "gensim", "ratio"))
    print(f"\ngensim's analogies: extrapolated from {len(few[0][1])} questions")
    save("vectors", {"setting": vars(args), "rows": found})


if __name__ == "__main__":
    main()
