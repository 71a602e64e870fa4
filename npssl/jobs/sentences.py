"""Sentences as vectors: the mean of a BERT encoder's hidden states, of unit length.

Reimers & Gurevych, "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks",
EMNLP 2019, arXiv:1908.10084, section 3 (mean pooling).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from npssl.data.pairs import by_length
from npssl.data.wordpiece import WordPiece
from npssl.errors import FileError
from npssl.jobs.pretrained import load_pretrained


class SentenceEncoder:
    """An encoder of the BERT kind with its tokenizer, from a folder.

    Parameters
    ----------
    folder : path     with ``config.json``, ``model.safetensors`` and ``vocab.txt``
    longest : int     tokens of a sentence that are read, [CLS] and [SEP] counted

    Raises
    ------
    FileError
        if a file is missing or broken, or the vocabulary does not fit the weights.
    ValueError
        if longest is under 3 or over the context of the model.

    Examples
    --------
    ``SentenceEncoder("all-MiniLM-L6-v2").embed(["A man plays a harp."])`` gives (1, 384).
    """

    def __init__(self, folder, *, longest: int = 256):
        folder = Path(folder)
        self.model, self.params = load_pretrained(folder)
        if self.model.causal:
            raise FileError(folder / "config.json", "expected an encoder of the BERT kind")
        self.tokenizer = WordPiece.read(folder / "vocab.txt", lowercase=_lowercase(folder))
        if len(self.tokenizer) != self.model.vocab:
            message = f"{len(self.tokenizer)} tokens, but the weights have {self.model.vocab}"
            raise FileError(folder / "vocab.txt", message)
        if not 3 <= longest <= self.model.context:
            raise ValueError(
                f"longest must be 3 to the model's context of {self.model.context}, found {longest}"
            )
        self.longest = longest
        self._ready = self.model.ready(self.params.tree)

    def embed(self, texts: Sequence[str], *, tokens: int = 2048, progress=None) -> np.ndarray:
        """The vector of each text, (n, D) float32, of unit length.

        Texts of like length stand in one batch of about ``tokens`` tokens, so little is
        padded.  ``progress(done)`` is called with the number of texts after each batch.
        """
        if isinstance(texts, str):
            raise ValueError("texts must be a sequence of strings, found one string")
        if tokens < 1:
            raise ValueError(f"tokens must be at least 1, found {tokens}")
        encoded = [self.tokenizer.encode_pair(text, longest=self.longest)[0] for text in texts]
        lengths = np.array([len(ids) for ids in encoded], np.int64)
        out = np.empty((len(encoded), self.model.width), np.float32)
        for rows in by_length(lengths, tokens=max(tokens, self.longest)) if len(encoded) else ():
            widest = lengths[rows].max()
            ids = np.full((len(rows), widest), self.tokenizer.pad_id or 0, np.int32)
            for row, n in zip(ids, rows):
                row[: lengths[n]] = encoded[n]
            mask = np.arange(widest) < lengths[rows][:, None]
            h = self.model.encode(
                self.params.tree, ids=ids, mask=None if mask.all() else mask, ready=self._ready
            )
            mean = (h * mask[:, :, None]).sum(1) / lengths[rows][:, None].astype(np.float32)
            out[rows] = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
            if progress is not None:
                progress(len(rows))
        return out


def _lowercase(folder) -> bool:
    """What ``tokenizer_config.json`` says, where it stands; else True."""
    path = folder / "tokenizer_config.json"
    if not path.exists():
        return True
    try:
        return bool(json.loads(path.read_text("utf-8")).get("do_lower_case", True))
    except (ValueError, AttributeError, RecursionError) as error:
        raise FileError(path, f"is not a JSON object ({error})") from None
