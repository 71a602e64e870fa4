"""One training of word vectors in a process of its own: ``python trainers.py PROGRAM OPTIONS``.

Prints one JSON line: seconds of training alone, words/s of raw text, peak memory.  The
whole process is timed from outside.  Options are a JSON object with the names of
`npssl.SkipGram`; ``model`` is skip-gram or cbow.
"""

import json
import os
import resource
import subprocess
import sys
import time

BINARIES = {  # program: environment variable with the path of its binary
    "word2vec.c": "NPSSL_WORD2VEC",
    "pWord2Vec": "NPSSL_PWORD2VEC",
    "pSGNScc": "NPSSL_PSGNSCC",
    "fastText": "NPSSL_FASTTEXT",
}


def npssl(o):
    from npssl import CBOW, SkipGram

    kind = CBOW if o["model"] == "cbow" else SkipGram
    names = (
        "dim window negative sample min_count epochs threads seed alpha objective variant subwords"
    )
    settings = {n: o[n] for n in names.split() if o.get(n) is not None}
    model = kind(hold_out=0, **settings).fit(o["corpus"], progress=False)
    model.vectors.save(o["out"])
    words = sum(model.vocabulary.counts) * model.epochs
    seconds = model.training_seconds
    return seconds, words


def gensim(o, by_file=True):
    from gensim.models import FastText, Word2Vec
    from gensim.models.word2vec import LineSentence

    kind, more = Word2Vec, {}
    if o.get("subwords"):
        kind, more = (
            FastText,
            dict(min_n=o["subwords"][0], max_n=o["subwords"][1], bucket=2_000_000),
        )
    tree = o.get("objective") == "hierarchical-softmax"
    model = kind(
        vector_size=o["dim"],
        window=o["window"],
        negative=0 if tree else o["negative"],
        hs=int(tree),
        sample=o["sample"],
        min_count=o["min_count"],
        workers=o["threads"],
        seed=o["seed"],
        sg=int(o["model"] != "cbow"),
        alpha=o["alpha"],
        epochs=o["epochs"],
        **more,
    )
    source = (
        dict(corpus_file=o["corpus"])
        if by_file
        else dict(corpus_iterable=LineSentence(o["corpus"]))
    )
    model.build_vocab(**source)
    size = dict(total_examples=model.corpus_count, total_words=model.corpus_total_words)
    begun = time.perf_counter()
    model.train(**source, **size, epochs=o["epochs"])
    seconds = time.perf_counter() - begun
    model.wv.save_word2vec_format(o["out"], binary=True)
    return seconds, sum(model.wv.get_vecattr(w, "count") for w in model.wv.index_to_key) * o[
        "epochs"
    ]


def gensim_lines(o):
    return gensim(o, by_file=False)


def binary(program, o):
    """A C or C++ program.

    Training: what it says itself in a line ``Seconds 1.2`` (pWord2Vec and pSGNScc print the
    rate of their loop; build them to print its seconds), or for word2vec.c the whole less
    a run without ``-output``, which stops after the vocabulary.  fastText: the whole.
    """
    path = os.environ[BINARIES[program]]
    if program == "fastText":
        call = [path, "cbow" if o["model"] == "cbow" else "skipgram", "-input", o["corpus"]]
        call += ["-output", o["out"], "-dim", o["dim"], "-ws", o["window"], "-epoch", o["epochs"]]
        call += [
            "-neg",
            o["negative"],
            "-t",
            o["sample"],
            "-minCount",
            o["min_count"],
            "-lr",
            o["alpha"],
        ]
        low, high = o.get("subwords") or (0, 0)
        call += ["-thread", o["threads"], "-minn", low, "-maxn", high, "-verbose", 0]
        whole = seconds(call)[0]
        return whole, o["words"] * o["epochs"], whole
    tree = o.get("objective") == "hierarchical-softmax"
    call = [path, "-train", o["corpus"], "-size", o["dim"], "-window", o["window"], "-binary", 1]
    call += ["-negative", 0 if tree else o["negative"], "-hs", int(tree), "-sample", o["sample"]]
    call += ["-min-count", o["min_count"], "-iter", o["epochs"], "-threads", o["threads"]]
    call += ["-alpha", o["alpha"]]
    if program == "word2vec.c":
        call += ["-cbow", int(o["model"] == "cbow"), "-debug", 0]
        whole = seconds([*call, "-output", o["out"]])[0]
        return whole - seconds(call)[0], o["words"] * o["epochs"], whole
    whole, told = seconds([*call, "-output", o["out"], "-debug", 2])
    return float(told.rsplit("Seconds", 1)[1].split()[0]), o["words"] * o["epochs"], whole


def seconds(call):
    """Wall time of a program, and what it printed."""
    begun = time.perf_counter()
    done = subprocess.run([str(a) for a in call], check=True, capture_output=True, text=True)
    return time.perf_counter() - begun, done.stdout


def main():
    program, o = sys.argv[1], json.loads(sys.argv[2])
    here = {"npssl": npssl, "gensim": gensim, "gensim lines": gensim_lines}
    found = here[program](o) if program in here else binary(program, o)
    seconds, words, *whole = found
    who = resource.RUSAGE_SELF if program in here else resource.RUSAGE_CHILDREN
    print(
        json.dumps(
            {
                "train_seconds": seconds,
                "words": int(words),
                "whole_seconds": whole[0] if whole else None,
                "peak_mb": resource.getrusage(who).ru_maxrss / 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
