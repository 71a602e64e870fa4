"""The transformer: BERT and GPT from one set of blocks."""

from dataclasses import dataclass

import numpy as np

from npssl.layers.activation import gelu
from npssl.layers.attention import attention, merge_heads, split_heads
from npssl.layers.dropout import dropout
from npssl.layers.embedding import _check_ids, embedding
from npssl.models import packed
from npssl.models.dense import dense, dense_spec, norm, norm_spec, stack
from npssl.params import normal


def self_attention_spec(width: int):
    """Parameters of `self_attention`: ``qkv`` (width, 3 width) and ``out`` (width, width)."""
    return dict(qkv=dense_spec(width, 3 * width), out=dense_spec(width, width))


def self_attention(p, x, *, heads: int, mask=None, causal=False, rate=0.0, rng=None):
    """Every position of x (B, T, D) asks every other, in several heads at once.

    ``back(dy, g)`` returns dx (B, T, D).  Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2.
    """
    qkv, back_in = dense(p.qkv, x)  # (B, T, 3D)
    heads_qkv, back_split = split_heads(qkv, heads=heads)  # (3, B, H, T, D/H)
    mixed, back_mix = attention(*heads_qkv, mask=mask, causal=causal, rate=rate, rng=rng)
    merged, back_merge = merge_heads(mixed)  # (B, T, D)
    y, back_out = dense(p.out, merged)

    def back(dy, g):
        dmixed = back_merge(back_out(dy, g.out))
        return back_in(back_split(np.stack(back_mix(dmixed))), g.qkv)

    return y, back


def feed_forward_spec(width: int, hidden: int):
    """Parameters of `feed_forward`: ``up`` (width, hidden) and ``down`` (hidden, width)."""
    return dict(up=dense_spec(width, hidden), down=dense_spec(hidden, width))


def feed_forward(p, x, *, form="erf"):
    """``down(gelu(up(x)))`` at each position; ``back(dy, g)`` returns dx."""
    u, back_up = dense(p.up, x)
    a, back_gelu = gelu(u, form=form)
    y, back_down = dense(p.down, a)

    def back(dy, g):
        return back_up(back_gelu(back_down(dy, g.down)), g.up)

    return y, back


def block_spec(width: int, hidden: int):
    """Parameters of `post_norm_block` and of `pre_norm_block`."""
    return dict(
        attention=self_attention_spec(width),
        norm1=norm_spec(width),
        ffn=feed_forward_spec(width, hidden),
        norm2=norm_spec(width),
    )


def post_norm_block(p, x, *, heads, form="erf", eps=1e-12, mask=None, causal=False, rate=0.0, rng):
    """BERT's and GPT-1's: h = norm(x + attention(x)),  y = norm(h + ffn(h)).

    Dropout stands on both branches before they are added.  ``back(dy, g)`` returns dx.
    """
    a, back_attention = self_attention(
        p.attention, x, heads=heads, mask=mask, causal=causal, rate=rate, rng=rng
    )
    a_kept, back_drop1 = dropout(a, rate=rate, rng=rng)
    h, back_norm1 = norm(p.norm1, x + a_kept, eps=eps)
    f, back_ffn = feed_forward(p.ffn, h, form=form)
    f_kept, back_drop2 = dropout(f, rate=rate, rng=rng)
    y, back_norm2 = norm(p.norm2, h + f_kept, eps=eps)

    def back(dy, g):
        dsum = back_norm2(dy, g.norm2)
        dh = dsum + back_ffn(back_drop2(dsum), g.ffn)  # h feeds the sum and the branch
        dsum = back_norm1(dh, g.norm1)
        return dsum + back_attention(back_drop1(dsum), g.attention)  # and so does x

    return y, back


def pre_norm_block(p, x, *, heads, form="tanh", eps=1e-5, mask=None, causal=False, rate=0.0, rng):
    """GPT-2's: h = x + attention(norm(x)),  y = h + ffn(norm(h)).

    The sum itself is never normalised, so gradients pass it untouched.
    ``back(dy, g)`` returns dx.
    """
    z, back_norm1 = norm(p.norm1, x, eps=eps)
    a, back_attention = self_attention(
        p.attention, z, heads=heads, mask=mask, causal=causal, rate=rate, rng=rng
    )
    a_kept, back_drop1 = dropout(a, rate=rate, rng=rng)
    h = x + a_kept
    w, back_norm2 = norm(p.norm2, h, eps=eps)
    f, back_ffn = feed_forward(p.ffn, w, form=form)
    f_kept, back_drop2 = dropout(f, rate=rate, rng=rng)
    y = h + f_kept

    def back(dy, g):
        dh = dy + back_norm2(back_ffn(back_drop2(dy), g.ffn), g.norm2)
        return dh + back_norm1(back_attention(back_drop1(dh), g.attention), g.norm1)

    return y, back


@dataclass(frozen=True)
class Transformer:
    """Token ids (B, T) to vectors (B, T, D).  Sizes only: the arrays are in ``p``.

    Parameters
    ----------
    vocab, width, depth, heads, context : int    V, D, number of blocks, H, longest sequence
    hidden : int or None       width of the feed-forward layer; None is 4 D
    segments : int             rows of the segment table; 0: none
    norm_first : bool          pre-norm blocks and a norm after the last (GPT-2), not post-norm
    norm_embeddings : bool     layer norm over the sum of the embeddings (BERT)
    causal : bool              a position sees itself and those before it (GPT)
    form : "erf" or "tanh"     of the GELU
    eps : float                of the layer norms
    rate : float               dropout, everywhere the papers put it

    References
    ----------
    Devlin et al. 2019, arXiv:1810.04805 (BERT); Radford et al. 2018 and 2019 (GPT, GPT-2).
    """

    vocab: int
    width: int
    depth: int
    heads: int
    context: int
    hidden: int | None = None
    segments: int = 0
    norm_first: bool = False
    norm_embeddings: bool = True
    causal: bool = False
    form: str = "erf"
    eps: float = 1e-12
    rate: float = 0.1

    def __post_init__(self):
        for name in ("vocab", "width", "heads", "context"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, found {getattr(self, name)}")
        if self.depth < 0 or self.segments < 0:
            raise ValueError(
                f"depth and segments must not be negative, found {self.depth}, {self.segments}"
            )
        if self.width % self.heads:
            raise ValueError(
                f"width must be a multiple of heads, found {self.width} and {self.heads}"
            )
        if self.form not in ("erf", "tanh"):
            raise ValueError(f"form must be 'erf' or 'tanh', found {self.form!r}")

    def spec(self):
        """Parameters: tables of tokens, positions and segments, norms and blocks."""
        hidden = self.hidden or 4 * self.width
        spec = dict(
            token=normal(self.vocab, self.width),
            position=normal(self.context, self.width),
            blocks=[block_spec(self.width, hidden) for _ in range(self.depth)],
        )
        if self.segments:
            spec["segment"] = normal(self.segments, self.width)
        if self.norm_embeddings:
            spec["norm"] = norm_spec(self.width)
        if self.norm_first:
            spec["last"] = norm_spec(self.width)
        return spec

    def __call__(self, p, *, ids, segments=None, mask=None, rng=None):
        """The vector of each position.

        Parameters
        ----------
        p : parameters as in `spec`
        ids : (B, T) int; segments : (B, T) int or None, which is all 0
        mask : (B, T) bool or None      True: a token; False: padding, which nobody sees
        rng : numpy.random.Generator or None; None is evaluation

        Returns
        -------
        y : (B, T, D)
        back : dy (B, T, D), g -> None
        """
        self._check(p, ids, segments, mask)
        if (rows := self._packed(p, ids, mask)) is not None:
            return self._fast(p, rows, ids, segments, mask, rng)
        T = ids.shape[1]
        token, back_token = embedding(p.token, ids=ids)
        which = np.zeros_like(ids) if segments is None else segments
        segment, back_segment = embedding(p.segment, ids=which) if self.segments else (0.0, None)
        e = token + p.position[:T] + segment
        z, back_norm = norm(p.norm, e, eps=self.eps) if self.norm_embeddings else _same(e)
        kept, back_drop = dropout(z, rate=self.rate, rng=rng)
        h, back_stack = stack(
            pre_norm_block if self.norm_first else post_norm_block,
            p.blocks,
            kept,
            heads=self.heads,
            form=self.form,
            eps=self.eps,
            mask=None if mask is None else mask[:, None, None, :],
            causal=self.causal,
            rate=self.rate,
            rng=rng,
        )
        y, back_last = norm(p.last, h, eps=self.eps) if self.norm_first else _same(h)

        def back(dy, g):
            dh = back_last(dy, g.last if self.norm_first else None)
            dz = back_drop(back_stack(dh, g.blocks))
            de = back_norm(dz, g.norm if self.norm_embeddings else None)
            if back_segment is not None:
                back_segment(de, into=g.segment)
            back_token(de, into=g.token)
            g.position[:T] += de.sum(0)

        return y, back

    def encode(self, p, *, ids, segments=None, mask=None, ready=None):
        """The vectors alone, without a way back: less memory, less time.

        ``ready``: what `ready` made of ``p``, for many calls with parameters that stay.
        """
        self._check(p, ids, segments, mask)
        if (rows := self._packed(p, ids, mask)) is not None:
            ready = ready or [None] * self.depth
            return self._fast(p, rows, ids, segments, mask, None, ready)[0]
        return self(p, ids=ids, segments=segments, mask=mask)[0]

    def ready(self, p):
        """The matrices of ``p`` as the kernels read them; None where the page is taken."""
        return [packed.panels(b) for b in p.blocks] if packed.fits(p, self.heads) else None

    def _check(self, p, ids, segments, mask):
        """Raise where ids, segments or mask do not fit the tables; kernels would not notice."""
        if ids.ndim != 2 or ids.shape[1] > self.context:
            raise ValueError(
                f"ids must be (B, T) with T at most the context of {self.context}, "
                f"found shape {ids.shape}"
            )
        if segments is not None and not self.segments:
            raise ValueError("segments were given, but this transformer has no table of segments")
        for name, a in (("segments", segments), ("mask", mask)):
            if a is not None and a.shape != ids.shape:
                raise ValueError(f"{name} must have the shape {ids.shape} of ids, found {a.shape}")
        _check_ids(p.token, ids)
        if segments is not None:
            _check_ids(p.segment, segments)

    def _packed(self, p, ids, mask):
        """How `npssl.models.packed` lays out these sequences; None where the page is taken."""
        if not ids.size or not packed.fits(p, self.heads):
            return None
        lengths = np.full(*ids.shape) if mask is None else packed.lengths_of(mask)
        return None if lengths is None else packed.layout(lengths)

    def _fast(self, p, rows, ids, segments, mask, rng, ready=None):
        """What the page computes, by kernels over packed rows; padding gets zeros.

        ``ready``: of each block, or None, its matrices; then there is no way back.
        """
        (B, T), H = ids.shape, self.width
        where = np.arange(B * T) if mask is None else np.flatnonzero(mask)
        whole = len(where) == B * T
        which = np.zeros_like(ids) if segments is None else segments
        x, back_tables = packed.packed_embedding(
            p,
            ids.reshape(-1)[where].astype(np.int64),
            where % T,
            which.reshape(-1)[where].astype(np.int64),
            eps=self.eps,
            rate=self.rate,
            rng=rng,
            norm=self.norm_embeddings,
        )
        options = dict(rows=rows, heads=self.heads, norm_first=self.norm_first, form=self.form)
        options |= dict(eps=self.eps, causal=self.causal, rate=self.rate, rng=rng)
        if ready is None:
            h, back_stack = stack(packed.packed_block, p.blocks, x, **options)
        else:
            h, back_stack = x, None
            for b, matrices in zip(p.blocks, ready):
                h, _ = packed.packed_block(b, h, **options, keep=False, ready=matrices)
        last, back_last = norm(p.last, h, eps=self.eps) if self.norm_first else _same(h)
        y = last if whole else np.zeros((B * T, H), np.float32)
        if not whole:
            y[where] = last

        def back(dy, g):
            dlast = dy.reshape(B * T, H) if whole else dy.reshape(B * T, H)[where]
            dh = back_last(
                np.ascontiguousarray(dlast, np.float32), g.last if self.norm_first else None
            )
            back_tables(back_stack(dh, g.blocks), g)

        return y.reshape(B, T, H), back


def _same(x):
    """The model that does nothing."""
    return x, lambda dx, g: dx


def bert(vocab, width, depth, heads, context=512, **other) -> Transformer:
    """A BERT encoder of these sizes."""
    return Transformer(vocab, width, depth, heads, context, segments=2, **other)


def gpt2(vocab, width, depth, heads, context=1024, **other) -> Transformer:
    """A GPT-2 decoder of these sizes."""
    given = dict(norm_first=True, norm_embeddings=False, causal=True, form="tanh", eps=1e-5)
    return Transformer(vocab, width, depth, heads, context, **{**given, **other})


SIZES = {
    "bert-tiny": (128, 2, 2),
    "bert-mini": (256, 4, 4),
    "bert-small": (512, 4, 8),
    "bert-medium": (512, 8, 8),
    "bert-base": (768, 12, 12),
    "bert-large": (1024, 24, 16),
    "minilm": (384, 6, 12),
    "gpt2": (768, 12, 12),
}  # width, depth, heads


def preset(name: str, vocab: int, **other) -> Transformer:
    """One of the sizes that have a name, for a vocabulary of ``vocab`` tokens.

    Turc et al. 2019, arXiv:1908.08962 (the small BERTs); Wang et al. 2020,
    arXiv:2002.10957 (MiniLM).

    Examples
    --------
    >>> preset("bert-mini", 8000).width
    256
    """
    if name not in SIZES:
        raise ValueError(f"name must be one of {', '.join(SIZES)}, found {name!r}")
    make = gpt2 if name.startswith("gpt") else bert
    return make(vocab, *SIZES[name], **other)
