"""Fine-tuning from end to end: a folder of weights and labelled text to a model and its scores.

The model is trained with AdamW, a warm-up and then a straight line to 0, with clipping; the
dev part is scored after each epoch, or more often, and the weights that were best there are kept.
"""

from __future__ import annotations

import json
import operator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from npssl.data import labelled, labelled_rows
from npssl.data.labelled import Data, Questions, Sentences, Tagged
from npssl.data.labelled_rows import Rows
from npssl.data.pairs import by_length
from npssl.errors import FileError
from npssl.evaluation import metrics
from npssl.evaluation.correlation import pearson, spearman
from npssl.files import write_json
from npssl.jobs.pretrained import read_tensor, save_pretrained, weights_folder
from npssl.jobs.pretraining import positive, read_model, save_tokenizer
from npssl.models.transformer import Transformer
from npssl.optim import AdamW, warmup_linear
from npssl.params import Params, load_arrays, save_arrays
from npssl.tasks.fine_tune import Sentence, Similarity, Span, Tags
from npssl.tasks.fine_tune_causal import CausalSentence
from npssl.train import gradient_step, recorded, state_of, train

POOLS = ("mean", "cls", "cosine")
MEASURES = {"cola": "matthews"}  # what the dev part is judged by, where it is not the usual
# learning rates; others 5e-5
RATES = {"sst2": 1e-4, "trec": 1e-4, "wnut17": 2e-4, "squad-mini": 1e-4}
EPOCHS = {"cola": 4, "stsb": 4, "trec": 5, "wnut17": 6, "squad-mini": 6}  # others 3
SCORINGS = {"sst2": 4}  # of dev, in an epoch; others 1
SPECIALS = 3  # rows that GPT's frames add to the table


class FineTuned:
    """An encoder with a head, its tokenizer, and what the head was taught.

    `fine_tune` makes it; `FineTuned.load` reads what `save` wrote.

    Parameters
    ----------
    task : one of the tasks of `npssl.tasks.fine_tune`, or `CausalSentence`
    params : Params
    words : WordPiece, or for a decoder any tokenizer
    taught : dict       ``kind``, ``classes`` or ``tags``, ``limits`` of scores, ``longest``, ...
    """

    def __init__(self, task, params: Params, words, taught: dict):
        self.task, self.params, self.words, self.taught = task, params, words, taught

    def rows(self, data: Data, *, training: bool = False) -> Rows:
        """The data as rows of ids.

        Raises
        ------
        ValueError
            if it is not of the kind that the head was made for, or has other classes.
        """
        kind, longest = self.taught["kind"], self.taught["longest"]
        expected = _DATA[kind]
        if not isinstance(data, expected):
            raise ValueError(
                f"data: expected {expected.__name__} for {kind}, found {type(data).__name__}"
            )
        if isinstance(data, Tagged):
            tags = tuple(self.taught["tags"])
            return labelled_rows.tagged(data, self.words, longest=longest, tags=tags)
        if isinstance(data, Questions):
            return labelled_rows.questions(
                data,
                self.words,
                longest=longest,
                stride=self.taught["stride"],
                outside="cls" if self.taught["none"] or not training else "drop",
            )
        assert isinstance(data, Sentences)
        classes = self.taught.get("classes")
        if (list(data.classes) if data.classes else None) != classes:
            raise ValueError(f"data: expected the classes {classes}, found {data.classes}")
        if data.classes is None:
            low, high = self.taught["limits"]
            data = replace(data, y=(data.y - low) / (high - low))
        elif len(data) and not 0 <= data.y.min() <= data.y.max() < len(data.classes):
            raise ValueError(
                f"data: expected classes 0 to {len(data.classes) - 1}, "
                f"found {data.y.min()} to {data.y.max()}"
            )
        if kind == "causal":
            return labelled_rows.prompts(data, self.words, longest=longest)
        return labelled_rows.sentences(data, self.words, longest=longest, apart=kind == "cosine")

    def predict(self, data: Data, *, tokens: int = 4096, rows: Rows | None = None) -> list:
        """For each example a number of a class, a score, a list of tags, or an answer.

        Texts of like length stand in one batch of about ``tokens`` tokens.
        """
        rows = rows or self.rows(data)
        found: dict[int, Any] = {}
        best: dict[int, tuple] = {}
        for which in by_length(rows.lengths, tokens=tokens) if len(rows) else ():
            x, _ = rows.batch(which)
            told = self.task.predict(self.params.tree, x)
            if isinstance(data, Questions):
                for n, span, score, none in zip(which, *told):
                    judged = score - none if self.taught["none"] else score
                    if rows.of[n] not in best or judged > best[rows.of[n]][0]:
                        best[rows.of[n]] = judged, rows.places[n][span]
            else:
                found |= zip(which.tolist(), told)
        if isinstance(data, Questions):
            return [self._answer(q.passage, best[n]) for n, q in enumerate(data.rows)]
        if isinstance(data, Tagged):
            names, firsts = self.taught["tags"], [y >= 0 for y in rows.y]
            told = [[names[i] for i in found[n][: len(f)][f]] for n, f in enumerate(firsts)]
            return [tags + ["O"] * (len(w) - len(tags)) for tags, w in zip(told, data.words)]
        if data.classes is None:
            low, high = self.taught["limits"]
            return [low + (high - low) * float(found[n]) for n in range(len(rows))]
        return [int(found[n]) for n in range(len(rows))]

    def _answer(self, passage, best):
        score, place = best
        if not np.isfinite(score) or (self.taught["none"] and score < 0):
            return ""
        return passage[place[0, 0] : place[1, 1]]

    def evaluate(
        self, data: Data, *, rows: Rows | None = None, found: list | None = None
    ) -> dict[str, float]:
        """What the predictions are worth, by the measures of their kind.

        ``rows`` and ``found`` are those of ``data``, where they are known already.
        """
        found = self.predict(data, rows=rows) if found is None else found
        if isinstance(data, Questions):
            return metrics.answers(found, [[text for text, _ in q.answers] for q in data.rows])
        if isinstance(data, Tagged):
            return metrics.entity_f1(found, data.tags)
        if data.classes is None:
            return {"pearson": pearson(found, data.y), "spearman": spearman(found, data.y)}
        scores = {"accuracy": metrics.accuracy(found, data.y)}
        if len(data.classes) == 2:
            scores["f1"] = metrics.f1(found, data.y)
            scores["matthews"] = metrics.matthews(found, data.y)
        return scores

    def save(self, folder) -> None:
        """Write the encoder as `save_pretrained` does, the tokenizer, the head and what it is."""
        folder, base = Path(folder), _base(self.task)
        save_pretrained(folder, getattr(self.task, base), self.params.part(base))
        save_tokenizer(folder, self.words)
        head = {n: a for n, a in self.params.views.items() if not n.startswith(f"{base}.")}
        save_arrays(folder / "head.npz", head)
        write_json(folder / "task.json", self.taught)

    @classmethod
    def load(cls, folder) -> FineTuned:
        """Read what `save` wrote.

        Raises
        ------
        FileError
            if a file is missing or broken, or the head does not fit what is told of it.
        """
        folder = Path(folder)
        path = folder / "task.json"
        try:
            taught = json.loads(path.read_text("utf-8"))
            kind, longest = taught["kind"], operator.index(taught["longest"])
        except FileNotFoundError:
            raise FileError(path, "no such file: this is no folder of a fine-tuned model") from None
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise FileError(path, f"does not tell what was fine-tuned ({error!r})") from None
        encoder, inner, words = _open(folder, longest)
        try:
            task = _task(kind, encoder, taught)
            if not all(isinstance(n, str) for n in taught.get("classes") or taught.get("tags", ())):
                raise TypeError("names of classes and tags are strings")
        except (ValueError, KeyError, TypeError) as error:
            raise FileError(path, f"does not tell what was fine-tuned ({error!r})") from None
        params, path = Params(task.spec()), folder / "head.npz"
        inside = {f"{_base(task)}.{name}": a for name, a in inner.views.items()}
        params.fill(load_arrays(path) | inside, path)
        return cls(task, params, words, taught)


_DATA: dict = {
    "classes": Sentences,
    "score": Sentences,
    "cosine": Sentences,
    "causal": Sentences,
    "tags": Tagged,
    "span": Questions,
}


def fine_tune(
    data: str | dict[str, Data],
    folder,
    *,
    name: str = "own",
    where=None,
    pool: str | None = None,
    epochs: int | None = None,
    lr: float | None = None,
    batch: int = 32,
    seed: int = 0,
    warmup: float = 0.1,
    decay: float = 0.01,
    clip: float = 1.0,
    layer_decay: float | None = None,
    freeze: bool = False,
    random_weights: bool = False,
    weight: float = 0.5,
    rate: float = 0.1,
    longest: int | None = None,
    limit: int | None = None,
    scorings: int | None = None,
    patience: int = 3,
    run=None,
    resume: bool = False,
    save_seconds: float = 60.0,
    progress: bool = True,
) -> FineTuned:
    """Teach a task to an encoder of the BERT kind, or to a decoder of the GPT-2 kind.

    Parameters
    ----------
    data : str or dict
        A name in `npssl.data.labelled.TASKS`, or parts ``train``, ``dev`` and perhaps
        ``test``; what they hold chooses the head.
    folder : path
        Weights, as `npssl.load_pretrained` reads them, and their tokenizer.
    name : str
        What own parts are called; it is that of the set where ``data`` is one.
    where : path, optional
        The folder of data sets; see `npssl.data.sets.path`.
    pool : "mean", "cls" or "cosine"
        What stands for a text: the mean of its vectors, BERT's [CLS], or, where pairs have
        scores, the cosine of both means.  None is "cosine" for pairs with scores, else "mean".
    epochs : int, optional
    lr : float, optional
        The highest learning rate.  None is what `EPOCHS` and `RATES` have for the set.
    batch : int
    seed : int
        Of the head's first values, the order of the texts and the dropout.
    warmup : float
        Share of all steps until the learning rate is at its highest.
    decay, clip : float
        Weight decay; longest gradient.
    layer_decay : float in (0, 1], optional
        The learning rate of a block is this times that of the block above it; the
        embeddings' comes last.  Howard & Ruder 2018, arXiv:1801.06146, section 3.2; Clark et
        al. 2020, arXiv:2003.10555, appendix (ELECTRA, .8 and .9).
    freeze : bool
        Only the head moves.
    random_weights : bool
        The architecture of ``folder`` with random weights: what pre-training is compared to.
    weight : float
        Of the language model's loss, for a decoder.
    rate : float
        Dropout.
    longest : int, optional
        Tokens of a text that are read; 128, for questions 384, or the model's context.
    limit : int, optional
        Train on the first so many examples, in an order drawn once for all seeds.
    scorings : int, optional
        How often the dev part is scored in an epoch, at equal distances; the best weights of
        all scorings are kept.  None is what `SCORINGS` has for the set, else once.
    patience : int
        Epochs without a better dev score until training stops.
    run : path, optional
        The folder for the model and, in ``training``, its checkpoints.
    resume : bool
        Go on with the run in this folder.
    save_seconds : float
        Time between checkpoints.
    progress : bool
        Show a bar.

    Returns
    -------
    FineTuned
        As it was when it did best on the dev part; ``taught["scores"]`` has the scores of
        ``dev`` and ``test``, ``taught["epoch"]`` after how many epochs that was,
        ``taught["history"]`` all dev scores.
    """
    if not 0 <= warmup < 1:
        raise ValueError(f"warmup must be a share, 0 or more and below 1, found {warmup}")
    if limit is not None:
        positive(limit=limit)
    name = data if isinstance(data, str) else name
    lr = RATES.get(name, 5e-5) if lr is None else lr
    epochs = EPOCHS.get(name, 3) if epochs is None else epochs
    scorings = SCORINGS.get(name, 1) if scorings is None else scorings
    positive(epochs=epochs, batch=batch, scorings=scorings, patience=patience)
    parts = labelled.load(data, where) if isinstance(data, str) else data
    _fit(parts)
    usual = 384 if isinstance(parts["train"], Questions) else 128
    encoder, inner, words = _open(folder, longest)
    taught = _taught(name, parts["train"], encoder.causal, pool)
    if limit is not None and limit < len(parts["train"]):
        chosen = np.random.default_rng(0).permutation(len(parts["train"]))[:limit]
        parts = {**parts, "train": parts["train"].take(chosen)}
    taught["longest"] = longest or min(usual, encoder.context)
    taught |= {"weight": weight} if encoder.causal else {}
    if encoder.causal:
        encoder = replace(encoder, vocab=len(words) + SPECIALS)
    task = _task(taught["kind"], replace(encoder, rate=rate), taught, freeze)
    base = _base(task)
    params = Params(task.spec(), np.random.default_rng(seed), frozen=[base] if freeze else [])
    if not random_weights:
        for tensor, a in inner.views.items():
            params.views[f"{base}.{tensor}"][: len(a)] = a  # a decoder's new rows stay random
        _pooler(params, folder)
    model = FineTuned(task, params, words, taught)
    shares = None if layer_decay is None else layer_shares(params, base, layer_decay)
    optimizer = AdamW(params, decay=decay, shares=shares)
    rows = model.rows(parts["train"], training=True)
    if not len(rows):
        raise ValueError("train: nothing is left to train on")
    steps = -(-len(rows) // batch)  # an epoch
    schedule = warmup_linear(lr, int(warmup * steps * epochs), steps * epochs)
    order = _Order(rows.lengths, batch, seed)
    step = gradient_step(
        task, lambda k: rows.batch(order(k)), params, optimizer, schedule, seed=seed, clip=clip
    )
    dev, best = model.rows(parts["dev"]), params.flat.copy()
    scorings = min(scorings, steps)
    scored = {-(-k * steps // scorings): k - 1 for k in range(1, epochs * scorings + 1)}  # at steps
    seen = np.full(len(scored), -2.0)  # dev scores; none is below -1
    state = state_of(params, optimizer) | {"dev.scores": seen, "dev.best": best}
    config = dict(
        job="finetune",
        task=name,
        model=str(folder),
        pool=pool,
        epochs=epochs,
        lr=lr,
        batch=batch,
        seed=seed,
        warmup=warmup,
        decay=decay,
        clip=clip,
        layer_decay=layer_decay,
        freeze=freeze,
        random_weights=random_weights,
        weight=weight,
        rate=rate,
        longest=taught["longest"],
        limit=limit,
        scorings=scorings,
        patience=patience,
        examples={part: len(found) for part, found in parts.items()},
    )
    place = run and Path(run) / "training"
    how: dict[str, Any] = dict(resume=resume, save_seconds=save_seconds)
    with (
        recorded(place, config, **how) as log,
        tqdm(total=steps * epochs, disable=not progress) as bar,
    ):
        for done, row in train(step, state, steps=steps * epochs, run=log):
            if done in scored:
                score = model.evaluate(parts["dev"], rows=dev)[taught["measure"]]
                if score > seen.max():
                    best[:] = params.flat
                seen[scored[done]] = score
            bar.update(done - bar.n)
            known = seen[seen >= -1]
            told = {"dev": f"{known[-1]:.3f}"} if known.size else {}
            bar.set_postfix(loss=f"{row['loss']:.3f}", **told, refresh=False)
            if known.size - 1 - int(seen.argmax()) >= patience * scorings:
                break
    params.flat[:] = best
    taught["epoch"] = (int(seen.argmax()) + 1) / scorings
    taught["history"] = seen[seen >= -1].tolist()
    taught["scores"] = {p: model.evaluate(parts[p]) for p in ("dev", "test") if p in parts}
    if run:
        model.save(run)
    return model


def layer_shares(params: Params, base: str, decay: float) -> dict[str, float]:
    """Shares of the learning rate that fall from the top block down to the embeddings.

    >>> from npssl.models.transformer import bert
    >>> p = Params(dict(encoder=bert(5, 4, 2, 2, 6).spec()))
    >>> layer_shares(p, "encoder", 0.5)["encoder.blocks.0"]
    0.25
    """
    if not 0 < decay <= 1:
        raise ValueError(f"layer_decay must be above 0 and at most 1, found {decay}")
    depth = len(getattr(params.tree, base).blocks)
    shares = {f"{base}.blocks.{i}": decay ** (depth - i) for i in range(depth)}
    for name in ("token", "position", "segment", "norm"):
        if any(f"{n}.".startswith(f"{base}.{name}.") for n in params.views):
            shares[f"{base}.{name}"] = decay ** (depth + 1)
    return shares


class _Order:
    """Which rows step k takes: all of them once an epoch, rows of like length together.

    The rows of an epoch are shuffled, sorted by length within pools of 50 batches, and the
    batches shuffled: so little is padded, and what stands in one batch is still random.
    """

    def __init__(self, lengths, batch, seed):
        self.lengths, self.batch, self.seed = lengths, batch, seed
        self.steps = -(-len(lengths) // batch)
        self._epoch, self._batches = -1, []

    def __call__(self, k):
        epoch, place = divmod(k, self.steps)
        if epoch != self._epoch:
            rng = np.random.default_rng([self.seed, epoch])
            rows = rng.permutation(len(self.lengths))
            pools = np.split(rows, range(50 * self.batch, len(rows), 50 * self.batch))
            rows = np.concatenate([p[np.argsort(self.lengths[p], kind="stable")] for p in pools])
            cuts = [rows[i : i + self.batch] for i in range(0, len(rows), self.batch)]
            self._batches = [cuts[i] for i in rng.permutation(len(cuts))]
            self._epoch = epoch
        return self._batches[place]


def _fit(parts):
    """Do the parts belong together?"""
    for name in ("train", "dev"):
        if name not in parts or not len(parts[name]):
            raise ValueError(f"data: expected a part {name!r} with at least one example")
    told = _kind_of(parts["train"])
    for name, part in parts.items():
        if (found := _kind_of(part)) != told:
            raise ValueError(f"data: expected {told} as in train, found {found} in {name}")


def _kind_of(part) -> str:
    """What a part holds, in words."""
    if not isinstance(part, Sentences):
        return type(part).__name__
    texts = "pairs" if any(len(text) == 2 for text in part.texts) else "texts"
    return f"{texts} with {'scores' if part.classes is None else 'classes'}"


def _taught(name, train, causal, pool) -> dict:
    """What the head is to learn, from what the training part holds."""
    if pool is not None and pool not in POOLS:
        raise ValueError(f"pool must be one of {', '.join(POOLS)}, found {pool!r}")
    if not isinstance(train, Sentences) or causal:
        if pool is not None:
            raise ValueError(f"pool: there is no choice for this head, found {pool!r}")
    if causal and (not isinstance(train, Sentences) or train.classes is None):
        raise ValueError("data: a decoder learns classes of texts only")
    if isinstance(train, Tagged):
        types = sorted({tag[2:] for tags in train.tags for tag in tags} - {""})
        tags = ["O", *(f"{mark}-{name}" for name in types for mark in "BI")]
        return {"task": name, "kind": "tags", "tags": tags, "measure": "f1"}
    if isinstance(train, Questions):
        none = any(not q.answers for q in train.rows)
        return {"task": name, "kind": "span", "none": none, "stride": 128, "measure": "f1"}
    if train.classes is not None:
        if pool == "cosine":
            raise ValueError("pool: 'cosine' is for pairs with scores, found classes")
        kind = "causal" if causal else "classes"
        given = {"task": name, "kind": kind, "classes": list(train.classes)}
        measure = MEASURES.get(name, "accuracy")
        return given | {"pool": pool or "mean", "measure": measure}
    low, high = float(train.y.min()), float(train.y.max())
    if low == high:
        raise ValueError(f"train: expected scores that differ, found only {low}")
    pairs = all(len(text) == 2 for text in train.texts)
    pool = pool or ("cosine" if pairs else "mean")
    kind = "cosine" if pool == "cosine" else "score"
    limits = [low, high]
    return {"task": name, "kind": kind, "limits": limits, "pool": pool, "measure": "spearman"}


def _task(kind, encoder, taught, frozen=False):
    if kind == "classes":
        return Sentence(encoder, len(taught["classes"]), taught["pool"], frozen)
    if kind == "score":
        return Sentence(encoder, None, taught["pool"], frozen)
    if kind == "cosine":
        if frozen:
            raise ValueError("freeze: the cosine of two texts has no head that could move")
        return Similarity(encoder)
    if kind == "span":
        return Span(encoder, frozen)
    if kind == "tags":
        return Tags(encoder, len(taught["tags"]), frozen)
    if kind == "causal":
        return CausalSentence(encoder, len(taught["classes"]), taught["weight"], frozen)
    raise ValueError(f"kind: expected one of {', '.join(_DATA)}, found {kind!r}")


def _base(task) -> str:
    """What the task calls its transformer."""
    return "decoder" if isinstance(task, CausalSentence) else "encoder"


def _open(folder, longest) -> tuple[Transformer, Params, Any]:
    """A transformer, its parameters, and its tokenizer."""
    model, params, words = read_model(folder, spare=SPECIALS)
    if longest is not None and not 4 <= longest <= model.context:
        raise ValueError(
            f"longest must be 4 to the model's context of {model.context}, found {longest}"
        )
    return model, params, words


def _pooler(params, folder):
    """BERT's dense layer on [CLS], where the folder has one that was trained."""
    if "pool.w" not in params.views:
        return
    path = weights_folder(folder) / "model.safetensors"
    found = load_arrays(path)
    for ours, theirs in (("pool.w", "pooler.dense.weight"), ("pool.b", "pooler.dense.bias")):
        name = theirs if theirs in found else f"bert.{theirs}"
        if name in found:
            view = params.views[ours]
            view[...] = read_tensor(path, found, name, view.shape, ours == "pool.w")
