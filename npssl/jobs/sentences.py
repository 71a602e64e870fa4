"""Sentences as vectors: the mean of a BERT encoder's hidden states, or [CLS], of unit length.

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
from npssl.files import write_json
from npssl.jobs.pretrained import load_pretrained, weights_folder
from npssl.layers.similarity import unit

POOLS = ("mean", "cls")
_MODES = {"mean": "pooling_mode_mean_tokens", "cls": "pooling_mode_cls_token"}


class SentenceEncoder:
    """An encoder of the BERT kind with its tokenizer, from a folder.

    Parameters
    ----------
    folder : path     with ``config.json``, ``model.safetensors`` and ``vocab.txt``, or a name
        that `npssl.load_pretrained` knows
    longest : int or None
        tokens of a sentence that are read, [CLS] and [SEP] counted; None is 256, or the
        model's context where that is shorter
    pool : "mean", "cls" or None
        what stands for a sentence; None is what ``1_Pooling/config.json`` of the folder
        says (as sentence-transformers and `save_pool` write it), and without it "mean"

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

    def __init__(self, folder, *, longest: int | None = None, pool: str | None = None):
        folder = weights_folder(folder)
        model, params = load_pretrained(folder)
        if model.causal:
            raise FileError(folder / "config.json", "expected an encoder of the BERT kind")
        tokenizer = WordPiece.read(folder / "vocab.txt", lowercase=_lowercase(folder))
        if len(tokenizer) != model.vocab:
            message = f"{len(tokenizer)} tokens, but the weights have {model.vocab}"
            raise FileError(folder / "vocab.txt", message)
        self.params = params
        self._set(model, params.tree, tokenizer, longest, pool or _pool(folder))

    @classmethod
    def of(
        cls, model, p, tokenizer, *, longest: int | None = None, pool: str = "mean"
    ) -> SentenceEncoder:
        """The same from parts; ``p`` are the parameters of ``model``, as they are now."""
        self = cls.__new__(cls)
        self._set(model, p, tokenizer, longest, pool)
        return self

    def _set(self, model, p, tokenizer, longest, pool):
        longest = min(256, model.context) if longest is None else longest
        if not 3 <= longest <= model.context:
            raise ValueError(
                f"longest must be 3 to the model's context of {model.context}, found {longest}"
            )
        if pool not in POOLS:
            raise ValueError(f"pool must be one of {', '.join(POOLS)}, found {pool!r}")
        self.model, self.tokenizer, self.longest, self.pool = model, tokenizer, longest, pool
        self._p, self._ready = p, model.ready(p)

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
                self._p, ids=ids, mask=None if mask.all() else mask, ready=self._ready
            )
            if self.pool == "cls":
                one = h[:, 0]
            else:
                one = (h * mask[:, :, None]).sum(1) / lengths[rows][:, None].astype(np.float32)
            out[rows] = unit(one)[0]
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


def save_pool(folder, pool: str, width: int) -> None:
    """Write ``1_Pooling/config.json``: what stands for a sentence."""
    told = {"word_embedding_dimension": width} | {m: k == pool for k, m in _MODES.items()}
    Path(folder, "1_Pooling").mkdir(parents=True, exist_ok=True)
    write_json(Path(folder, "1_Pooling", "config.json"), told)


def _pool(folder) -> str:
    """What ``1_Pooling/config.json`` says, where it stands; else "mean"."""
    path = folder / "1_Pooling" / "config.json"
    if not path.exists():
        return "mean"
    try:
        told = json.loads(path.read_text("utf-8"))
        found = [pool for pool, mode in _MODES.items() if told.get(mode)]
    except (ValueError, AttributeError, RecursionError) as error:
        raise FileError(path, f"is not a JSON object ({error})") from None
    if len(found) != 1:
        raise FileError(path, f"expected one of {', '.join(_MODES.values())} to be true")
    return found[0]
