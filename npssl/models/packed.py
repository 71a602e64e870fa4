"""The transformer once more, for speed: rows packed without padding, one kernel a block.

The page is `npssl.models.transformer`; `Transformer` comes here with contiguous float32
parameters whose widths fill whole vectors, and tests hold the two against each other.
What is dropped differs: the page draws from the generator, a kernel takes three seeds
from it and hashes (`npssl.kernels.elementary.kept`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npssl.kernels import fast


@dataclass(frozen=True)
class Layout:
    """Where the sequences of a batch lie among packed rows.

    starts : (B + 1,) int64     where each begins, and the end
    tiles : int64               sequences at which a tile begins, and the end
    """

    starts: np.ndarray
    tiles: np.ndarray

    @property
    def longest(self):
        """Of the sequences."""
        return int(np.diff(self.starts).max(initial=0))

    @property
    def widest(self):
        """Rows of the largest tile."""
        return int(np.diff(self.starts[self.tiles]).max(initial=0))


def layout(lengths):
    """The layout of sequences of these lengths.

    >>> layout(np.array([100, 50, 60, 90])).tiles.tolist()
    [0, 2, 4]
    """
    from npssl.kernels.block import TILE

    starts = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    tiles, begin = [0], 0
    for i in range(len(lengths)):
        if starts[i + 1] - begin >= TILE:
            tiles.append(i + 1)
            begin = starts[i + 1]
    if tiles[-1] != len(lengths):
        tiles.append(len(lengths))
    return Layout(starts, np.array(tiles, np.int64))


def lengths_of(mask):
    """Tokens of each row of mask (B, T), or None where padding is not only at the end."""
    lengths = mask.sum(1)
    right = np.arange(mask.shape[1]) < lengths[:, None]
    return lengths if (right == mask).all() else None


def fits(p, heads):
    """May the kernels stand in for these parameters of a transformer?"""
    arrays = [p.token, p.position]
    for b in p.blocks:
        arrays += [b.attention.qkv.w, b.attention.out.w, b.ffn.up.w, b.ffn.down.w]
    width = p.token.shape[1]
    hidden = {b.ffn.up.w.shape[1] for b in p.blocks}
    return fast(*arrays) and not width // heads % 16 and not any(h % 16 for h in hidden)


def _dropout(rate, rng, count):
    """Seeds, and what a hash is compared to, and the factor of what is kept."""
    from npssl.kernels.elementary import threshold

    if rng is None or not rate:
        return [np.uint32(0)] * count, np.uint32(0), np.float32(1)
    seeds = list(rng.integers(0, 1 << 32, count, dtype=np.uint32))
    return seeds, np.uint32(threshold(rate)), np.float32(1 / (1 - rate))


def panels(p, transposed=False):
    """The four matrices of a block as `npssl.kernels.gemm` reads them, or their transposes."""
    from npssl.kernels import block
    from npssl.kernels.workspace import borrow

    weights = p.attention.qkv.w, p.attention.out.w, p.ffn.up.w, p.ffn.down.w
    packed = borrow(sum(w.size for w in weights))
    block.pack_weights(*(w.reshape(-1) for w in weights), *weights[2].shape, packed, transposed)
    return packed


def packed_block(
    p, x, *, rows: Layout, heads, norm_first, form, eps, causal, rate, rng, keep=True, ready=None
):
    """`post_norm_block` or `pre_norm_block` of packed x (M, D).

    ``back(dy, g)`` returns dx; without ``keep`` there is no way back.  ``ready``: `panels`
    of a model that does not change any more, so that they need not be made each time.
    """
    import numba

    from npssl.kernels import block
    from npssl.kernels.panels import scratch_size
    from npssl.kernels.workspace import borrow, give_back, give_back_with

    biases = [p.attention.qkv.b, p.attention.out.b, p.ffn.up.b, p.ffn.down.b]
    gains = np.concatenate([p.norm1.gain, p.norm2.gain])
    shifts = np.concatenate([p.norm1.bias, p.norm2.bias])
    (M, H), F = x.shape, p.ffn.up.w.shape[1]
    seeds, limit, scale = _dropout(rate, rng, 3)
    options = norm_first, form == "tanh", causal, rows.longest, *seeds, limit, scale
    threads = numba.get_num_threads()

    head = block.work_size(rows.longest, H // heads)
    R = rows.widest

    kept = borrow(block.kept_size(M, H, F, heads) if keep else 1)
    y, weights = np.empty_like(x), panels(p) if ready is None else ready
    given = weights, *biases, gains, shifts
    flat, sizes = (threads, x.reshape(-1), y.reshape(-1), rows.starts), (H, F, heads)
    if not keep and len(rows.tiles) == 2 and not limit:  # one tile: by all threads together
        from npssl.kernels import together

        work = borrow(together.together_size(M, H, F, heads, threads, rows.longest))
        together.forward_together(*flat, *sizes, *given, work, *options[:4], np.float32(eps))
    else:
        size = R * (3 * H + F) + head + (0 if keep else block.kept_size(R, H, F, heads))
        work = borrow(threads * size)
        block.forward(
            *flat, rows.tiles, *sizes, *given, kept, work, keep, *options, np.float32(eps)
        )
    give_back(work)
    if ready is None:
        give_back(weights)

    def back(dy, g):
        turned = panels(p, transposed=True)
        sides = borrow(block.sides_size(M, H, F))
        sums = np.zeros((len(rows.tiles) - 1, block.sums_size(H, F)), np.float32)
        work = borrow(threads * max(R * (2 * H + F) + head, scratch_size(H)))
        dx = np.empty_like(dy)
        block.backward(
            threads,
            dy.reshape(-1),
            dx.reshape(-1),
            rows.starts,
            rows.tiles,
            H,
            F,
            heads,
            turned,
            gains,
            kept,
            sides,
            sums.reshape(-1),
            work,
            *options,
        )
        block.weight_gradients(
            threads,
            M,
            H,
            F,
            x.reshape(-1),
            kept,
            gains,
            shifts,
            sides,
            *(
                w.reshape(-1)
                for w in (g.attention.qkv.w, g.attention.out.w, g.ffn.up.w, g.ffn.down.w)
            ),
            work,
            norm_first,
            form == "tanh",
        )
        for done in (work, sides, turned):
            give_back(done)
        total, at = sums.sum(0), 0
        for into in (
            *(g.attention.qkv.b, g.attention.out.b, g.ffn.up.b, g.ffn.down.b),
            *(g.norm1.gain, g.norm2.gain, g.norm1.bias, g.norm2.bias),
        ):
            into += total[at : at + into.size]
            at += into.size
        return dx

    give_back_with(back, kept)
    return y, back


def packed_embedding(p, ids, places, segments, *, eps, rate, rng, norm):
    """Rows (M, D) of tokens (M,) at their places; ``back(dx, g)`` credits the tables."""
    from npssl.kernels import embedding

    M, H = len(ids), p.token.shape[1]
    has_segments = hasattr(p, "segment")
    segment = p.segment if has_segments else np.zeros((1, H), np.float32)
    gain, shift = (p.norm.gain, p.norm.bias) if norm else (np.zeros(0, np.float32),) * 2
    (seed,), limit, scale = _dropout(rate, rng, 1)
    hat, inverse = np.empty((M if norm else 0, H), np.float32), np.empty(M, np.float32)
    x = np.empty((M, H), np.float32)
    embedding.embed(
        *(ids, places, segments, p.token, p.position, segment, gain, shift, hat, x, inverse),
        *(norm, seed, limit, scale, np.float32(eps)),
    )

    def back(dx, g):
        dx = np.array(dx)
        sums = np.zeros((-(-M // embedding.ROWS), 2 * H), np.float32)
        embedding.embed_back(dx, hat, inverse, gain, sums, norm, seed, limit, scale)
        for which, table in ((ids, "token"), (places, "position"), (segments, "segment")):
            if table != "segment" or has_segments:
                embedding.add_to_rows(dx, which, getattr(g, table))
        if norm:
            total = sums.sum(0)
            g.norm.gain += total[:H]
            g.norm.bias += total[H:]

    return x, back
