"""The vectors of one word where it stands: the mean of its pieces' hidden states."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np


def word_uses(encoder, word: str, sentences: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """A word in sentences, as the encoder knows it: in its context, and before it.

    Parameters
    ----------
    encoder : npssl.jobs.sentences.SentenceEncoder
    word : str          in any case; its first use in each sentence counts
    sentences : list of n str

    Returns
    -------
    contextual : (n, D)     mean of the pieces' last hidden states
    embeddings : (n, D)     mean of the pieces' rows in the table of tokens: for one spelling
                            the same whatever the sentence

    Raises
    ------
    ValueError     if a sentence lacks the word, or is longer than the encoder reads before it

    Examples
    --------
    ``separation(word_uses(encoder, "bank", sentences)[0], senses)``, with
    `npssl.evaluation.contextual.separation`.
    """
    if isinstance(sentences, str):
        raise ValueError("sentences: expected a sequence of strings, found one string")
    words, table = encoder.tokenizer, encoder.params.tree.token
    contextual, embeddings = np.empty((2, len(sentences), encoder.model.width), np.float32)
    for n, sentence in enumerate(sentences):
        found = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", sentence, re.IGNORECASE)
        if found is None:
            raise ValueError(f"sentences: number {n} lacks the word {word!r}: {sentence!r}")
        _, offsets = words.encode_with_offsets(sentence)
        pieces = 1 + np.flatnonzero((offsets[:, 0] < found.end()) & (offsets[:, 1] > found.start()))
        ids, _ = words.encode_pair(sentence, longest=encoder.longest)
        if pieces[-1] >= len(ids) - 1:
            message = f"but number {n} has {word!r} as token {pieces[-1]}"
            raise ValueError(f"sentences: expected {encoder.longest} tokens at most, {message}")
        h = encoder.model.encode(encoder.params.tree, ids=ids[None])
        contextual[n] = h[0, pieces].mean(0)
        embeddings[n] = table[ids[pieces]].mean(0)
    return contextual, embeddings
