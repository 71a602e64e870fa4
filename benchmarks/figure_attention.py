"""Who looks at whom: the attention of one layer's heads over one sentence, as a picture.

    python benchmarks/figure_attention.py all-MiniLM-L6-v2       docs/figures/attention.svg
    python benchmarks/figure_attention.py FOLDER --layer 3 --sentence "She left." --out she.png

Models return no weights of attention, so they are computed here from the same pieces as in
`npssl.models.transformer.self_attention`, and their mixture of the values is compared with
what that gives before anything is drawn.  A row asks, and adds up to 1.
"""

import argparse
import math
from pathlib import Path

import common
import numpy as np

from npssl.jobs.sentences import SentenceEncoder
from npssl.layers.attention import merge_heads, split_heads
from npssl.layers.embedding import embedding
from npssl.layers.softmax import softmax
from npssl.models.dense import dense, norm
from npssl.models.transformer import post_norm_block, self_attention

FIGURE = common.HERE.parent / "docs" / "figures" / "attention.svg"
SENTENCE = "The cat that we fed yesterday came back because it was hungry."


def weights(model, p, ids, layer):
    """(H, T, T) what each position takes from each, in each head of a layer counted from 1."""
    token, _ = embedding(p.token, ids=ids[None])
    x, _ = norm(p.norm, token + p.position[: len(ids)] + p.segment[0], eps=model.eps)
    for block in p.blocks[: layer - 1]:
        x, _ = post_norm_block(
            block, x, heads=model.heads, form=model.form, eps=model.eps, rng=None
        )
    p = p.blocks[layer - 1].attention
    (q, k, v), _ = split_heads(dense(p.qkv, x)[0], heads=model.heads)  # each (1, H, T, d)
    a, _ = softmax(q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1]))
    expected, _ = self_attention(p, x, heads=model.heads)
    found, _ = dense(p.out, merge_heads(a @ v)[0])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    return a[0]


def plot(a, tokens, path, columns=4):
    """A panel for each head, the keys below, the queries at the left; darker is more."""
    columns = min(columns, len(a))
    rows = -(-len(a) // columns)
    with common.drawn(path, (2.3 * columns + 0.4, 2.3 * rows + 0.4), font=6) as figure:
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for head, axes in enumerate(grid.flat):
            if head >= len(a):
                axes.set_visible(False)
                continue
            axes.imshow(a[head], cmap="Blues", vmin=0, vmax=1, interpolation="none")
            axes.set_title(f"head {head + 1}", fontsize=8)
            axes.set_xticks(range(len(tokens)), tokens, rotation=90)
            axes.set_yticks(range(len(tokens)), tokens)
            axes.tick_params(length=0)
            axes.spines[:].set_color("0.8")
    return path


def main():
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("folder", type=Path, help="config.json, model.safetensors and vocab.txt")
    ask.add_argument("--sentence", default=SENTENCE)
    ask.add_argument("--layer", type=int, default=1, help="counted from 1")
    ask.add_argument("--out", type=Path, default=FIGURE)
    a = ask.parse_args()
    encoder = SentenceEncoder(a.folder)
    if not 1 <= a.layer <= encoder.model.depth:
        ask.error(f"--layer: expected 1 to {encoder.model.depth}, found {a.layer}")
    words = encoder.tokenizer
    ids, _ = words.encode_pair(a.sentence, longest=encoder.longest)
    tokens = [words.tokens[i] for i in ids]
    maps = weights(encoder.model, encoder.params.tree, ids, a.layer)
    self, before, after = (
        [float(m.diagonal(k).mean()) for m in maps] for k in (0, -1, 1)
    )  # the share that goes to the word itself, to the one before, to the one after
    ends = maps[:, :, [0, -1]].sum(2).mean(1).tolist()
    rows = [
        {"head": h + 1, "itself": s, "before": b, "after": f, "[CLS], [SEP]": e}
        for h, (s, b, f, e) in enumerate(zip(self, before, after, ends))
    ]
    common.table(rows, list(rows[0]))
    print(f"figure: {plot(maps, tokens, a.out)}")


if __name__ == "__main__":
    main()
