"""How fast text becomes tokens, and a vocabulary is learnt: megabytes of UTF-8 a second, one core.

    python benchmarks/bench_tokenizers.py [--megabytes 10] [--rounds 5] [--vocabulary 8000]

WordPiece with BERT's vocabulary and byte pairs with GPT-2's, on articles of Wikipedia, beside
the package tokenizers in one thread, in turn; all give the same ids, or no figure is printed.
In each round a tokenizer is new: it has seen none of the words.  What both learn is compared in
tests/test_vocabulary_training.py.
"""

import argparse
import os
import tempfile
from importlib.util import find_spec
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


def first_lines(megabytes):
    """Lines of Wikipedia's articles, so many megabytes."""
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

    for what, *does in ("encode", encode, their_encode), (f"learn {size:,}", learn, their_learn):
        names = ("npssl", "tokenizers") if find_spec("tokenizers") else ("npssl",)
        yield f"{kind}: {what}", dict(zip(names, does))


def main():
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("--megabytes", type=float, default=10.0)
    ask.add_argument("--vocabulary", type=int, default=8000, help="tokens to learn")
    ask.add_argument("--rounds", type=int, default=5)
    a = ask.parse_args()
    texts = first_lines(a.megabytes)
    size = sum(len(text.encode()) for text in texts) / 1e6
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, names in FILES.items():
            files = [*unpacked(names, folder)]
            for what, does in programs(kind, texts, files, a.vocabulary):
                found = {name: run() for name, run in does.items()}
                if "encode" in what and not np.array_equal(found["npssl"], [*found.values()][-1]):
                    raise SystemExit(f"{what}: the ids differ")
                seconds = common.in_turn(does, a.rounds)
                ours = common.median(seconds["npssl"])
                for name, taken in seconds.items():
                    middle = common.median(taken)
                    told = {"what": what, "program": name, "MB/s": size / middle}
                    told["range"] = f"{size / max(taken):.3g} to {size / min(taken):.3g}"
                    rows.append(told | {"times": middle / ours})
    common.save("tokenizers", {"rows": rows, "megabytes": size})
    common.table(rows, ("what", "program", "MB/s", "range", "times"))


if __name__ == "__main__":
    main()
