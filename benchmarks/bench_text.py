"""How fast text becomes word ids: words per second of reading, counting and encoding together.

    python benchmarks/bench_text.py [CORPUS] [--repeats 5] [--json FILE]

The peers read the same file in the same run, in turn: gensim (a pass that counts and
a pass that looks words up, as each of its epochs does), and Python with `split` and
`Counter`.  All must find the same words and counts, or no figure is printed; so the
text must be one without other blanks than ASCII has, at which gensim splits as well.
"""

import argparse
import json
import os
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from common import corpus, in_turn, machine, median, table

from npssl.data.corpus import encode

MIN_COUNT = 5


def npssl(path, threads, **options):
    encoded = encode(path, min_count=MIN_COUNT, threads=threads, **options)
    vocabulary = encoded.vocabulary
    return encoded.raw_words, dict(zip(vocabulary.words, vocabulary.counts.tolist()))


def plain_npssl(path):
    os.environ["NPSSL_NUMBA"] = "0"
    try:
        return npssl(path, 1)
    finally:
        del os.environ["NPSSL_NUMBA"]


def python(path):
    """Count in one pass, look up in another; ids in lists, as one would first write it."""
    with open(path, "rb") as lines:
        counts = Counter(word for line in lines for word in line.split())
    kept = {word: n for word, n in counts.most_common() if n >= MIN_COUNT}
    index = {word: i for i, word in enumerate(kept)}
    with open(path, "rb") as lines:
        ids = [[index[word] for word in line.split() if word in index] for line in lines]
    assert sum(map(len, ids)) == sum(kept.values())
    return sum(counts.values()), {word.decode("utf-8", "replace"): n for word, n in kept.items()}


def gensim(path):
    from gensim.models.word2vec import LineSentence, Word2Vec

    model = Word2Vec(min_count=MIN_COUNT, vector_size=1)
    sentences = LineSentence(str(path))
    model.build_vocab(sentences)
    index = model.wv.key_to_index
    found = sum(sum(word in index for word in sentence) for sentence in sentences)
    counts = {word: model.wv.get_vecattr(word, "count") for word in index}
    assert found == sum(counts.values())
    return model.corpus_total_words, counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", nargs="?", type=Path, help="a text; default: 9 M words of a-z")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    args = parser.parse_args()
    args.corpus = args.corpus or corpus()

    programs = {
        "npssl, 1 thread": lambda: npssl(args.corpus, 1),
        "npssl, 2 threads": lambda: npssl(args.corpus, 2),
        "npssl without Numba": lambda: plain_npssl(args.corpus),
        "Python split and Counter": lambda: python(args.corpus),
    }
    if find_spec("gensim"):
        programs["gensim build_vocab and a pass"] = lambda: gensim(args.corpus)
    else:
        print("gensim is not installed: left out")
    lowered = "npssl, 1 thread, tokens='words'"
    programs[lowered] = lambda: npssl(args.corpus, 1, tokens="words")

    results = {name: run() for name, run in programs.items()}  # also compiles and warms the disk
    words, counts = results["npssl, 1 thread"]
    for name, result in results.items():
        if name != lowered and result != (words, counts):
            raise SystemExit(f"{name} counted otherwise: {result[0]} words, {len(result[1])} kept")

    seconds = in_turn(programs, args.repeats)
    slowest = max(median(s) for s in seconds.values())
    rows = [
        {
            "program": name,
            "words/s": results[name][0] / median(taken),
            "seconds": median(taken),
            "times the slowest": slowest / median(taken),
        }
        for name, taken in seconds.items()
    ]
    print(f"{words:,} words, {len(counts):,} kept, {os.path.getsize(args.corpus):,} bytes")
    table(rows, ["program", "words/s", "seconds", "times the slowest"])
    if args.json:
        report = {"machine": machine(), "words": words, "rows": rows, "seconds": seconds}
        args.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
