"""What pre-training jobs share: the loop with its progress, a folder, a baseline, a result.

A folder of a job holds ``config.json`` and ``model.safetensors`` as `save_pretrained` writes
them, the tokenizer, ``scores.json``, and in ``training`` the run: its checkpoint and the ids.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from npssl.data.bpe import BytePairs
from npssl.data.characters import Characters
from npssl.data.token_store import counts
from npssl.data.word_list import WordList
from npssl.data.wordpiece import WordPiece
from npssl.errors import FileError, require
from npssl.files import write_json
from npssl.jobs.pretrained import load_pretrained, save_pretrained, weights_folder
from npssl.models.transformer import Transformer
from npssl.optim import AdamW, warmup_linear
from npssl.params import Params
from npssl.train import Run, gradient_step, state_of, train

PAIRS, FIRST = 1, 2  # ends of seeds, which keep the streams of draws apart
HELD_OUT = 0.05


@dataclass
class Pretrained:
    """What a job gives back.

    Attributes
    ----------
    task : Bert or NextToken
    params : Params
    tokenizer : Tokenizer
    scores : dict          of the text held out, with those of the baseline
    folder : Path or None
    seconds : float        that the steps took, since this process began
    """

    task: Any
    params: Params
    tokenizer: Any
    scores: dict
    folder: Path | None
    seconds: float

    def save(self, folder) -> None:
        """Write weights, tokenizer and scores."""
        folder = Path(folder)
        _save_weights(folder, self.task, self.params)
        save_tokenizer(folder, self.tokenizer)
        write_json(folder / "scores.json", self.scores)


@contextmanager
def workplace(folder, config: dict, *, resume: bool, save_seconds: float) -> Iterator[tuple]:
    """A run with its folder, the folder for the tokenizer, and the folder for the ids.

    Without a folder there is no run, and what is written is gone in the end.
    """
    require("safetensors", extra="weights")  # rather now than after hours
    if folder is None:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
            yield None, Path(place), Path(place)
        return
    folder = Path(folder)
    if resume and not (folder / "training" / "config.json").exists():
        raise FileError(folder, "no run to resume: there is no training/config.json")
    with Run(folder / "training", config, resume=resume, save_seconds=save_seconds) as run:
        yield run, folder, folder / "training"


def fit(
    task,
    batches: Callable[[int], Any],
    params: Params,
    *,
    steps: int,
    lr: float,
    warmup: int | None,
    decay: float,
    clip: float | None,
    seed: int,
    tokens: Callable[[Any], int],
    run: Run | None,
    progress: bool,
    watch: Callable[[int], dict] | None = None,
) -> float:
    """Train by AdamW with warm-up and a straight line to 0; the seconds that it took.

    ``tokens(batch)`` says how many there are, for the bar; ``watch(k)`` what else is to be
    told after step k.
    """
    seen, begin = 0, time.perf_counter()

    def counted(k):
        nonlocal seen
        t = batches(k)
        seen += tokens(t)
        return t

    optimizer = AdamW(params, decay=decay)
    schedule = warmup_linear(lr, steps // 10 if warmup is None else warmup, steps)
    step = gradient_step(
        task, counted, params, optimizer, schedule, seed=seed, clip=clip, watch=watch
    )
    with tqdm(total=steps, unit="step", disable=not progress) as bar:
        first, mean = None, 0.0
        for done, row in train(step, state_of(params, optimizer), steps=steps, run=run):
            if first is None:
                first = done - 1
                bar.initial = bar.n = first
            mean += max(0.02, 1 / (done - first)) * (row["loss"] - mean)
            speed = seen / (time.perf_counter() - begin)
            bar.set_postfix(loss=f"{mean:.3f}", tokens_s=f"{speed:,.0f}", refresh=False)
            bar.update()
    return time.perf_counter() - begin


class Frequencies:
    """The share of each token in a text, each counted once more: what any model should beat."""

    def __init__(self, ids, vocabulary: int):
        found = counts(ids, vocabulary) + 1
        self.logp = np.log(found / found.sum())
        self.first = int(found.argmax())

    def nats(self, ids) -> float:
        """Mean nats a token."""
        return float(-self.logp[ids].mean())

    def accuracy(self, ids) -> float:
        """The share of the most frequent token of the text it was made from."""
        return float((np.asarray(ids) == self.first).mean())


def save_tokenizer(folder, tokenizer) -> None:
    """Write a tokenizer under the name of its kind, and ``tokenizer_config.json``."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    told: dict[str, Any] = {}
    if isinstance(tokenizer, WordPiece):
        tokenizer.save(folder / "vocab.txt")
        told["do_lower_case"] = tokenizer.lowercase
    elif isinstance(tokenizer, Characters):
        tokenizer.save(folder / "characters.json")
    elif isinstance(tokenizer, WordList):
        tokenizer.save(folder / "words.txt")
        told["cut"] = tokenizer.cut
    else:
        tokenizer.save(folder)
    write_json(folder / "tokenizer_config.json", told)


def read_tokenizer(folder) -> WordPiece | Characters | WordList | BytePairs:
    """The tokenizer that `save_tokenizer` wrote.

    Raises
    ------
    FileError
        if there is none, or it is broken.
    """
    folder = Path(folder)
    path = folder / "tokenizer_config.json"
    try:
        told = json.loads(path.read_text("utf-8")) if path.exists() else {}
    except ValueError as error:
        raise FileError(path, f"is not JSON ({error})") from None
    if (folder / "vocab.txt").exists():
        return WordPiece.read(folder / "vocab.txt", lowercase=told.get("do_lower_case", True))
    if (folder / "characters.json").exists():
        return Characters.read(folder / "characters.json")
    if (folder / "words.txt").exists():
        return WordList.read(folder / "words.txt", cut=told.get("cut", "words"))
    if (folder / "vocab.json").exists():
        return BytePairs.read(folder / "vocab.json", folder / "merges.txt")
    raise FileError(folder, "no vocab.txt, characters.json, words.txt or vocab.json here")


def read_model(folder, *, spare: int = 0) -> tuple[Transformer, Params, Any]:
    """A transformer, its parameters and its tokenizer, which must have as many tokens.

    A decoder may have ``spare`` rows more.

    Raises
    ------
    FileError
        if they do not fit, or an encoder's tokenizer is no vocab.txt.
    """
    folder = weights_folder(folder)
    model, params = load_pretrained(folder)
    words = read_tokenizer(folder)
    if not model.causal and not isinstance(words, WordPiece):
        raise FileError(folder, "expected vocab.txt beside the weights of an encoder")
    if model.vocab != len(words) and not (model.causal and model.vocab == len(words) + spare):
        raise FileError(
            folder, f"the tokenizer has {len(words)} tokens, but the weights have {model.vocab}"
        )
    return model, params, words


def names(corpus) -> list[str]:
    """Paths as text, for a configuration."""
    return [str(path) for path in (corpus if isinstance(corpus, (list, tuple)) else [corpus])]


def positive(**given) -> None:
    """Each of these must be a whole number of 1 or more."""
    for name, value in given.items():
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name}: expected a whole number of 1 or more, found {value!r}")


def _save_weights(folder, task, params):
    words = hasattr(task, "words")
    base, model = ("words.encoder", task.words.encoder) if words else ("decoder", task.decoder)
    save_pretrained(folder, model, params.part(base), heads=params.views if words else None)
