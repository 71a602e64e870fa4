"""What a trained language model says: a hidden word filled in, a text gone on with.

Sampling from the likeliest ``top_k``: Fan, Lewis & Dauphin, "Hierarchical Neural Story
Generation", 2018, arXiv:1805.04833, section 5.  From the fewest tokens whose shares sum to
``top_p``: Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020,
arXiv:1904.09751, section 3.1.
"""

from __future__ import annotations

import numpy as np

from npssl.errors import FileError
from npssl.jobs.pretrained import load_heads, load_pretrained, weights_folder
from npssl.jobs.pretraining import read_tokenizer
from npssl.models.decoding import extend
from npssl.tasks.masked_lm import MaskedLM


class FillMask:
    """A BERT with its head for hidden words, from the folder that ``npssl train bert`` writes
    or one of Hugging Face's ``BertForMaskedLM``.

    Examples
    --------
    ``FillMask("runs/bert")("the capital of [MASK] is paris.")`` gives
    ``[[("france", 0.4), ...]]``: for each [MASK] the likeliest tokens and their probabilities.
    """

    def __init__(self, folder):
        folder = weights_folder(folder)
        model, params = load_pretrained(folder)
        if model.causal:
            raise FileError(folder / "config.json", "expected an encoder of the BERT kind")
        self.words = fitting(folder, model)
        if not hasattr(self.words, "cls_id"):
            raise FileError(folder, "expected a vocab.txt of word pieces")
        mask_id = self.words.ids.get("[MASK]")
        if mask_id is None:
            raise FileError(folder / "vocab.txt", "has no token [MASK]")
        task = MaskedLM(model, mask_id=mask_id, pad_id=self.words.pad_id or 0)
        self.task, self.params = load_heads(folder, task, params)

    def __call__(self, text: str, most: int = 5) -> list[list[tuple[str, float]]]:
        """The likeliest tokens at each ``[MASK]`` of a text, with their probabilities."""
        return fill_masks(self.task, self.params.tree, self.words, text, most)


class TextGenerator:
    """A GPT with its tokenizer, from the folder that ``npssl train gpt`` writes, or one of
    Hugging Face's ``GPT2LMHeadModel``.

    Examples
    --------
    ``TextGenerator("runs/gpt")("The king", tokens=100, top_p=0.9)`` gives a text.
    """

    def __init__(self, folder):
        folder = weights_folder(folder)
        self.model, self.params = load_pretrained(folder)
        if not self.model.causal:
            raise FileError(folder / "config.json", "expected a decoder of the GPT-2 kind")
        self.tokenizer = fitting(folder, self.model)

    def __call__(self, text: str, tokens: int = 100, **options) -> str:
        """The text and what the model draws after it; options as in `continuation`."""
        return continuation(self.model, self.params.tree, self.tokenizer, text, tokens, **options)


def fitting(folder, model):
    """The tokenizer of a folder, which must have as many tokens as the weights."""
    tokenizer = read_tokenizer(folder)
    if len(tokenizer) != model.vocab:
        raise FileError(
            folder, f"the tokenizer has {len(tokenizer)} tokens, the weights have {model.vocab}"
        )
    return tokenizer


def fill_masks(task: MaskedLM, p, words, text: str, most: int = 5):
    """For each ``[MASK]`` of a text, the likeliest tokens and their probabilities.

    Parameters
    ----------
    task : MaskedLM; p : its parameters; words : WordPiece
    text : str         with one ``[MASK]`` or more
    most : int         tokens to name

    Raises
    ------
    ValueError
        if there is no [MASK], the text is longer than the model can read, or none of its
        other words is known.
    """
    if not 1 <= most <= len(words):
        raise ValueError(f"most: expected 1 to {len(words)}, found {most}")
    ids = words.encode_pair(text)[0]
    if len(ids) > task.encoder.context:
        raise ValueError(f"text: expected at most {task.encoder.context} tokens, found {len(ids)}")
    where = np.flatnonzero(ids == task.mask_id)
    if not len(where):
        raise ValueError("text: expected a [MASK], found none")
    others = ids[1:-1][ids[1:-1] != task.mask_id]
    if len(others) and (others == words.unk_id).all():
        raise ValueError("text: none of its words is known to the model")
    segments = np.zeros((1, len(ids)), ids.dtype) if task.encoder.segments else None
    h = task.encoder.encode(p.encoder, ids=ids[None], segments=segments)
    scores, _ = task.decode(p, h, where)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    best = np.argsort(-shares, axis=-1, kind="stable")[:, :most]
    return [[(words.tokens[i], float(row[i])) for i in chosen] for row, chosen in zip(shares, best)]


def continuation(
    decoder,
    p,
    tokenizer,
    text: str,
    tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
) -> str:
    """A text and ``tokens`` tokens that the model draws after it, one by one.

    Parameters
    ----------
    decoder : Transformer, causal; p : its parameters; tokenizer
    text : str                     the prompt; of a long one the last ``context`` tokens count
    temperature : float >= 0       scores are divided by it; 0: always the likeliest
    top_k : int, optional          draw from so many of the likeliest
    top_p : float, optional        draw from the fewest whose shares sum to this
    seed : int                     of the draws

    Notes
    -----
    The token for unknown words is never drawn.
    """
    if tokens < 0:
        raise ValueError(f"tokens: expected 0 or more, found {tokens}")
    if not 0 <= temperature < np.inf:
        raise ValueError(f"temperature: expected 0 or more, found {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k: expected 1 or more, found {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p: expected more than 0 and at most 1, found {top_p}")
    ids = tokenizer.encode(text).tolist()
    unknown = getattr(tokenizer, "unk_id", None)
    if not ids:
        raise ValueError("text: expected at least one token, found none")
    if all(i == unknown for i in ids):
        raise ValueError("text: none of its tokens is known to the model")
    rng, context = np.random.default_rng(seed), decoder.context
    ready = decoder.ready(p) if len(ids) + tokens > context else None
    seen, past = 0, None
    for _ in range(tokens):
        if len(ids) <= context:
            h, past = extend(decoder, p, np.array([ids[seen:]], np.int32), past)
            seen = len(ids)
        else:  # each token stands at another place than before: all is computed anew
            h = decoder.encode(p, ids=np.array([ids[-context:]], np.int32), ready=ready)
        scores = (p.token @ h[0, -1]).astype(np.float64)
        if unknown is not None:
            scores[unknown] = -np.inf
        ids.append(_draw(scores, temperature, top_k, top_p, rng))
    return tokenizer.decode(ids)


def _draw(scores, temperature, top_k, top_p, rng) -> int:
    if temperature == 0:
        return int(scores.argmax())
    share = np.exp((scores - scores.max()) / temperature)
    share /= share.sum()
    if top_k is None and top_p is None:
        return int(rng.choice(len(share), p=share))
    order = np.argsort(-share, kind="stable")[:top_k]
    if top_p is not None:  # the first is always kept
        order = order[: 1 + int(np.searchsorted(share[order].cumsum(), top_p))]
    kept = share[order]
    return int(rng.choice(order, p=kept / kept.sum()))
