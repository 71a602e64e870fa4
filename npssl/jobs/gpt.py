"""Pre-training GPT from a text: each token from those before it.

Radford et al., "Improving Language Understanding by Generative Pre-Training", 2018; blocks
as in Radford et al., "Language Models are Unsupervised Multitask Learners", 2019.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from npssl.data.bpe import BytePairs
from npssl.data.characters import Characters
from npssl.data.token_store import last, pieces, read_ids, write_ids
from npssl.data.word_list import WordList
from npssl.jobs.pretraining import (
    FIRST,
    HELD_OUT,
    PAIRS,
    Frequencies,
    Pretrained,
    fit,
    names,
    positive,
    read_tokenizer,
    save_tokenizer,
    workplace,
)
from npssl.losses.table_cross_entropy import table_cross_entropy
from npssl.models.transformer import gpt2
from npssl.params import Params
from npssl.tasks.next_token import NextToken

TOKENS = ("characters", "words", "blanks", "bytes")


def train_gpt(
    corpus,
    *,
    valid=None,
    tokens: str = "characters",
    vocabulary: int = 8000,
    min_count: int = 3,
    width: int = 128,
    depth: int = 4,
    heads: int = 4,
    context: int = 128,
    batch: int = 16,
    steps: int = 1500,
    lr: float = 1e-3,
    warmup: int | None = None,
    decay: float = 0.1,
    clip: float | None = 1.0,
    dropout: float = 0.0,
    held: int = 250_000,
    seed: int = 0,
    run=None,
    resume: bool = False,
    save_seconds: float = 60.0,
    progress: bool = True,
) -> Pretrained:
    """Learn a vocabulary and a GPT from a text, which may be larger than memory.

    Parameters
    ----------
    corpus : path, or list of paths      the vocabulary is taken from all of it
    valid : path or list, optional       the text to measure on; without it the last 5 % of
                                         the tokens are held out
    tokens : str                         ``characters``; ``words``, lower-cased and without
                                         punctuation; ``blanks``, what stands between blanks;
                                         ``bytes``, joined in pairs as in GPT-2
    vocabulary : int                     tokens at most; not of characters
    min_count : int                      rarer words are unknown
    width, depth, heads, context : int   sizes, as in `npssl.models.transformer.gpt2`
    batch, steps : int                   blocks of ``context`` tokens a step, steps
    lr, warmup, decay, clip              see `npssl.optim`; warmup in steps, None: a tenth
    dropout : float
    held : int                           tokens to measure on, at most
    seed, run, resume, save_seconds, progress
        as in `npssl.jobs.bert.train_bert`

    Returns
    -------
    Pretrained
        whose ``scores`` are ``nats`` a token, ``perplexity``, and ``unigram_nats``.
    """
    positive(context=context, batch=batch, steps=steps, held=held)
    if tokens not in TOKENS:
        raise ValueError(f"tokens: expected one of {', '.join(TOKENS)}, found {tokens!r}")
    config = {
        "job": "gpt",
        "corpus": names(corpus),
        "valid": valid and names(valid),
        "tokens": tokens,
        "vocabulary": vocabulary,
        "min_count": min_count,
        "width": width,
        "depth": depth,
        "heads": heads,
        "context": context,
        "batch": batch,
        "steps": steps,
        "lr": lr,
        "warmup": warmup,
        "decay": decay,
        "clip": clip,
        "dropout": dropout,
        "seed": seed,
    }
    with workplace(run, config, resume=resume, save_seconds=save_seconds) as (log, folder, place):
        known = tokens, vocabulary, min_count
        tokenizer, learn, keep = _read(corpus, valid, known, folder, place, resume)
        task = NextToken(gpt2(len(tokenizer), width, depth, heads, context, rate=dropout))
        params = Params(task.spec(), np.random.default_rng([seed, 0, FIRST]))
        seconds = fit(
            task,
            Blocks(learn, context=context, batch=batch, seed=seed),
            params,
            steps=steps,
            lr=lr,
            warmup=warmup,
            decay=decay,
            clip=clip,
            seed=seed,
            tokens=lambda t: t[:, 1:].size,
            run=log,
            progress=progress,
        )
        keep = np.array(keep[:held])
        nats = nats_per_token(task, params, keep)
        scores = {
            "nats": nats,
            "perplexity": math.exp(nats),
            "unigram_nats": Frequencies(learn, len(tokenizer)).nats(keep[1:]),
            "tokens": len(keep) - 1,
        }
        found = Pretrained(task, params, tokenizer, scores, run and Path(run), seconds)
        if run is not None:
            found.save(run)
    return found


class Blocks:
    """Batch k, (batch, context + 1) ids from random places: a function of (seed, k) alone."""

    def __init__(self, ids, *, context: int, batch: int, seed: int):
        if len(ids) <= context:
            raise ValueError(f"corpus: expected more than {context} tokens, found {len(ids)}")
        self.ids, self.context, self.batch, self.seed = ids, context, batch, seed

    def __call__(self, k: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, k, PAIRS])
        starts = rng.integers(0, len(self.ids) - self.context, self.batch)
        return np.stack([self.ids[s : s + self.context + 1] for s in starts.tolist()])


def nats_per_token(task: NextToken, params: Params, ids, *, batch: int = 32) -> float:
    """Mean nats of all tokens of a text but the first.

    The text is read in windows that overlap by half, and only the later half of a window
    counts (all of the first): so each token has at least half a context before it.
    """
    ids, T = np.asarray(ids), task.decoder.context
    if len(ids) < 2:
        raise ValueError(f"ids: expected two tokens or more, found {len(ids)}")
    half, p = T // 2, params.tree.decoder
    none, total = np.zeros(len(p.token), p.token.dtype), 0.0
    starts = range(0, len(ids) - 1, T - half)
    whole = [s for s in starts if s + T < len(ids)]
    groups = [whole[:1], *(whole[i : i + batch] for i in range(1, len(whole), batch))]
    last = len(whole) * (T - half)
    for group in (*groups, [last]):
        if not group:
            continue
        rows = np.stack([ids[s : s + T + 1] for s in group])
        skip = half if group[0] else 0
        y = rows[:, skip + 1 :].reshape(-1)
        if y.size:
            h = task.decoder.encode(p, ids=rows[:, :-1])[:, skip:]
            flat = np.ascontiguousarray(h).reshape(len(y), -1)
            total += float(table_cross_entropy(flat, p.token, none, target=y)[0]) * len(y)
    return total / (len(ids) - 1)


def _read(corpus, valid, known, folder, place, resume):
    """The tokenizer, and the ids to learn from and to measure on, on the disk."""
    tokens, vocabulary, min_count = known
    if resume and (folder / "tokenizer_config.json").exists():
        tokenizer = read_tokenizer(folder)
    else:
        if tokens == "characters":
            letters: set[str] = set()
            for piece in pieces(corpus):
                letters.update(piece)
            tokenizer = Characters("".join(letters), unknown=True)
        elif tokens == "bytes":
            tokenizer = BytePairs.train(pieces(corpus), vocabulary)
        else:
            tokenizer = WordList.train(pieces(corpus), vocabulary, min_count=min_count, cut=tokens)
        save_tokenizer(folder, tokenizer)
    found = []
    for name, source in (("learn", corpus), ("keep", valid)):
        if source is not None:
            path = place / name
            if not (resume and path.exists()):
                write_ids(path, pieces(source), tokenizer)
            found.append(read_ids(path))
    if len(found) == 1:
        found = list(last(found[0], HELD_OUT))
    if len(found[1]) < 2:
        raise ValueError(f"valid: expected two tokens or more, found {len(found[1])}")
    return tokenizer, *found
