"""The bank of a river and that of money: one word's vectors in 24 sentences, as a picture.

    python benchmarks/figure_word_uses.py all-MiniLM-L6-v2       docs/figures/bank.svg
    python benchmarks/figure_word_uses.py runs/bert --out bank.png

Each point is "bank" in one sentence, as the last block knows it: the two directions in which
the 24 vectors, of unit length, vary most.  The table of words has one vector for all of them.
"""

import argparse
from pathlib import Path

import common
import numpy as np

from npssl.evaluation.contextual import BANK, separation
from npssl.evaluation.word_map import project
from npssl.jobs.sentences import SentenceEncoder
from npssl.jobs.word_uses import word_uses
from npssl.layers.similarity import unit

FIGURE = common.HERE.parent / "docs" / "figures" / "bank.svg"


def plot(vectors, senses, path):
    """One mark for each sense, on the first two principal components."""
    points = project(unit(vectors)[0])
    with common.drawn(path, (4, 3.2)) as figure:
        axes = figure.subplots()
        for sense, mark in zip(dict.fromkeys(senses), "os^"):
            some = points[np.array(senses) == sense]
            axes.scatter(*some.T, marker=mark, label=f"bank: {sense}", alpha=0.8)
        axes.legend(frameon=False, loc="upper center")
        axes.set(xticks=[], yticks=[])
    return path


def main():
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("folder", help="weights and their tokenizer, or all-MiniLM-L6-v2")
    ask.add_argument("--out", type=Path, default=FIGURE)
    a = ask.parse_args()
    senses = [sense for sense, sentences in BANK.items() for _ in sentences]
    sentences = [text for texts in BANK.values() for text in texts]
    contextual, table = word_uses(SentenceEncoder(a.folder), "bank", sentences)
    rows = [
        {"vectors": "in context", **separation(contextual, senses)},
        {"vectors": "table of words", **separation(table, senses)},
    ]
    common.table(rows, list(rows[0]))
    print(f"figure: {plot(contextual, senses, a.out)}")


if __name__ == "__main__":
    main()
