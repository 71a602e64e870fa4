"""How fast text becomes tokens, and a vocabulary is learnt: megabytes of UTF-8 a second, one core.

    python benchmarks/bench_tokenizers.py [--megabytes 10] [--rounds 5] [--vocabulary 8000]

WordPiece with BERT's vocabulary and byte pairs with GPT-2's, on articles of Wikipedia, beside
the package tokenizers in one thread, in turn; all give the same ids, or no figure is printed.
In each round a tokenizer is new: it has seen none of the words.  Learnt vocabularies are not
compared: ties between pairs are broken otherwise there.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import common
import numpy as np

from npssl.data.bpe import BytePairs
from npssl.data.sets import open_any, path
from npssl.data.wordpiece import WordPiece

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # read when it is used first
FILES = {
    "wordpiece": ["bert-vocab/vocab.txt"],
    "byte pairs": ["gpt2-bpe/vocabulary", "gpt2-bpe/merges"],
}
OURS = {"wordpiece": WordPiece, "byte pairs": BytePairs}


def articles(megabytes):
    """The first lines of Wikipedia's articles, so many megabytes."""
    texts, left = [], megabytes * 1e6
    with open_any(path("enwiki-2018/enwiki.txt")) as lines:
        for line in lines:
            texts.append(line.decode("utf-8"))
            if (left := left - len(line)) <= 0:
                break
    return texts


def unpacked(names, folder):
    """The files of a vocabulary, as the peer's reader wants them."""
    for name in names:
        place = Path(folder, path(name).name).with_suffix("")
        with open_any(path(name)) as packed:
            place.write_bytes(packed.read())
        yield place


def theirs(kind, files=()):
    """The same tokenizer of the package tokenizers."""
    import tokenizers

    if kind == "wordpiece":
        return tokenizers.BertWordPieceTokenizer(*map(str, files))
    return tokenizers.ByteLevelBPETokenizer(*map(str, files))


def programs(kind, texts, files, size):
    """For each thing to do: what does it, by name; a call gives ids, or a vocabulary's size."""

    def encode():
        return OURS[kind].read(*files).encode_many(texts)[0]

    def their_encode():
        found = theirs(kind, files).encode_batch(texts, add_special_tokens=False)
        return np.concatenate([one.ids for one in found])

    def learn():
        return len(OURS[kind].train(texts, size))

    def their_learn():
        peer = theirs(kind)
        peer.train_from_iterator(texts, vocab_size=size, min_frequency=2, show_progress=False)
        return peer.get_vocab_size()

    yield f"{kind}: encode", {"npssl": encode, "tokenizers": their_encode}
    yield f"{kind}: learn {size:,}", {"npssl": learn, "tokenizers": their_learn}


def main():
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("--megabytes", type=float, default=10.0)
    ask.add_argument("--vocabulary", type=int, default=8000, help="tokens to learn")
    ask.add_argument("--rounds", type=int, default=5)
    a = ask.parse_args()
    texts = articles(a.megabytes)
    size = sum(len(text.encode()) for text in texts) / 1e6
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, names in FILES.items():
            files = [*unpacked(names, folder)]
            for what, does in programs(kind, texts, files, a.vocabulary):
                found = {name: run() for name, run in does.items()}
                if "encode" in what and not np.array_equal(*found.values()):
                    raise SystemExit(f"{what}: the ids differ")
                rates = {name: [] for name in does}
                for _ in range(a.rounds):
                    for name, run in does.items():
                        start = time.perf_counter()
                        run()
                        rates[name].append(size / (time.perf_counter() - start))
                for name, rate in rates.items():
                    middle = common.median(rate)
                    told = {"what": what, "program": name, "MB/s": middle}
                    told["range"] = f"{min(rate):.3g} to {max(rate):.3g}"
                    rows.append(told | {"times": common.median(rates["npssl"]) / middle})
    common.save("tokenizers", {"rows": rows, "megabytes": size})
    common.table(rows, ("what", "program", "MB/s", "range", "times"))


if __name__ == "__main__":
    main()
