"""What are word vectors good for?  The extrinsic test: a 2 x 2 table on text classification.

A bag-of-vectors classifier is trained four times for each seed: its vectors random or
pre-trained, frozen or fine-tuned.  With one seed, the four share the first values of the
perceptron, the order of the batches and the dropout, so their differences are paired.

What is kept equal, and what is not touched: all four see the same words, those that have a
pre-trained vector (others are left out of the bags: there is no row for the unknown that
could move); random vectors are Gaussian with the pre-trained ones' root mean square;
fine-tuned vectors have a learning rate of their own; there is no weight decay; training
stops when the dev part says so, and the test part is used once.
"""

import itertools
import sys
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from npssl.data import labelled_text
from npssl.data.bags import encode, take
from npssl.optim import AdamW, constant
from npssl.params import Params
from npssl.tasks.classify import Classify
from npssl.train import gradient_step, state_of, train

VECTORS, MODES = ("random", "pre-trained"), ("frozen", "fine-tuned")


def extrinsic(
    words: list[str],
    vectors: np.ndarray,
    parts: dict[str, labelled_text.Labelled],
    *,
    seeds: Iterable[int] = range(1, 6),
    hidden: tuple[int, ...] = (100,),
    rate: float = 0.2,
    lr: float = 3e-3,
    table_lr: float = 3e-3,
    batch: int = 100,
    epochs: int = 30,
    patience: int = 4,
    progress: Callable[[str], None] = lambda line: None,
) -> dict:
    """The 2 x 2 table for one data set.

    Parameters
    ----------
    words, vectors : list of V str, (V, D) float array
        The vectors under test.
    parts : dict
        ``train``, ``dev`` and ``test``, as from `npssl.data.labelled_text.load`.
    seeds : iterable of int
    hidden : tuple of int
        Widths of the perceptron's hidden layers.
    rate : float
        Dropout.
    lr, table_lr : float
        Learning rates (Adam) of the perceptron and of the vectors; the vectors have root
        mean square 1.
    batch, epochs, patience : int
        Texts a step; the most rounds; rounds without a better dev accuracy before it stops.
    progress : callable
        Told one line after each of the ``4 * len(seeds)`` runs.

    Returns
    -------
    dict
        ``accuracy[vectors][mode]``: test accuracies (%), one a seed; ``mean`` and ``sd``
        (n - 1) of them alike; ``dev``; ``epochs``; ``gain``: paired differences; ``majority``,
        the accuracy of the most frequent class; ``coverage``, the share of the training
        part's tokens that have a vector.

    Raises
    ------
    ValueError
        When none of the words have a vector.
    """
    seeds = list(seeds)
    if not seeds:
        raise ValueError("seeds: expected at least one")
    bags, table, coverage = encode(words, vectors, parts)
    train_labels = parts["train"].labels
    common = np.bincount(train_labels).argmax()
    found: dict = {key: {v: {m: [] for m in MODES} for v in VECTORS} for key in _KEYS}
    for seed, kind, mode in itertools.product(seeds, VECTORS, MODES):
        task = Classify(
            words=table.shape[0],
            width=table.shape[1],
            classes=len(parts["train"].classes),
            hidden=hidden,
            frozen=mode == "frozen",
            rate=rate,
        )
        scores = _run(
            task,
            bags,
            table if kind == "pre-trained" else None,
            seed=seed,
            rates=(lr, table_lr),
            batch=batch,
            epochs=epochs,
            patience=patience,
        )
        for key, score in zip(_KEYS, scores):
            found[key][kind][mode].append(score)
        progress(f"seed {seed} {kind} {mode}: test {scores[0]:.1f}, dev {scores[1]:.1f}")
    accuracy = found["accuracy"]
    return {
        "seeds": seeds,
        **found,
        "mean": {v: {m: float(np.mean(accuracy[v][m])) for m in MODES} for v in VECTORS},
        "sd": {v: {m: spread(accuracy[v][m]) for m in MODES} for v in VECTORS},
        "gain": {
            **{f"pre-trained, {m}": paired(*(accuracy[v][m] for v in VECTORS)) for m in MODES},
            **{f"fine-tuned, {v}": paired(*(accuracy[v][m] for m in MODES)) for v in VECTORS},
        },
        "majority": float(100 * (parts["test"].labels == common).mean()),
        "coverage": coverage,
        "texts": {part: len(data.labels) for part, data in parts.items()},
        "words": len(table),
    }


_KEYS = ("accuracy", "dev", "epochs")


class _TwoRates:
    """Adam for the head and Adam for the table, whose learning rate is a multiple."""

    def __init__(self, params, factor):
        self.groups = [
            (Params(params.spec, flat=params.flat, frozen=[*params.frozen, other]), share)
            for other, share in (("table", 1.0), ("head", factor))
            if other == "table" or not params.frozen
        ]
        self.optimizers = [AdamW(group, decay=0.0) for group, _ in self.groups]
        self.state = {
            f"{n}.{name}": array
            for n, adam in enumerate(self.optimizers)
            for name, array in adam.state.items()
        }

    def step(self, params, grads, lr):
        for adam, (group, share) in zip(self.optimizers, self.groups):
            adam.step(group, grads, lr * share)


def _run(task, bags, table, *, seed, rates, batch, epochs, patience):
    """One of the four: accuracy (%) on test and dev, and the epoch that was best."""
    frozen = ["table"] if task.frozen else []
    params = Params(task.spec(), np.random.default_rng(seed), frozen=frozen)
    if table is not None:
        params.views["table"][...] = table
    texts = len(bags["train"][1])
    steps = -(-texts // batch)  # an epoch

    def batches(k):
        epoch, place = divmod(k, steps)
        order = np.random.default_rng([seed, epoch]).permutation(texts)
        return take(bags["train"], order[place * batch : (place + 1) * batch])

    optimizer = _TwoRates(params, rates[1] / rates[0])
    step = gradient_step(task, batches, params, optimizer, constant(rates[0]), seed=seed)
    best, chosen, flat = -1.0, 0, params.flat
    for done, _ in train(step, state_of(params, optimizer), steps=steps * epochs):
        epoch, rest = divmod(done, steps)
        if rest:
            continue
        score = _accuracy(task, params.tree, bags["dev"])
        if score > best:
            best, chosen, flat = score, epoch, params.flat.copy()
        elif epoch - chosen >= patience:
            break
    return _accuracy(task, params.over(flat).tree, bags["test"]), best, chosen


def _accuracy(task, p, part) -> float:
    x, y = part
    return float(100 * (task.predict(p, x) == y).mean())


def spread(values) -> float:
    """Standard deviation of a sample (n - 1); 0 of a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def paired(before, after) -> dict[str, float]:
    """Mean and deviation of the differences, and how likely chance makes them as large.

    ``p`` is exact: the share of the 2^n ways to choose the signs of the n differences
    that give a mean at least as far from 0 (Fisher, "The Design of Experiments", 1935,
    section 21).  With 5 seeds it cannot be below 2 / 32; from 20 seeds on it is counted over
    100,000 draws.

    >>> paired([1.0, 2.0, 3.0], [2.0, 3.0, 5.0])
    {'mean': 1.3333333333333333, 'sd': 0.5773502691896257, 'p': 0.25}
    """
    d = np.subtract(after, before)
    if len(d) < 20:
        signs = np.array(list(itertools.product((1, -1), repeat=len(d))))
    else:
        signs = np.random.default_rng(0).choice((1, -1), (100_000, len(d)))
    means = np.abs((signs * d).mean(1))
    p = float((means >= abs(d.mean()) - 1e-9).mean())
    return {"mean": float(d.mean()), "sd": spread(d), "p": p}


def report(task: str, found: dict) -> str:
    """The 2 x 2 table in words."""
    texts = " / ".join(f"{n:,}" for n in found["texts"].values())
    lines = [
        f"{task}: {texts} texts to train, choose and test; {found['words']:,} words",
        f"{100 * found['coverage']:.1f} % of the tokens have a vector; "
        f"the most frequent class alone gives {found['majority']:.1f} %",
        "",
        f"accuracy on test, % {MODES[0]:>16}{MODES[1]:>16}",
    ]
    for kind in VECTORS:
        cells = (f"{found['mean'][kind][m]:.1f} ± {found['sd'][kind][m]:.1f}" for m in MODES)
        lines.append(f"{kind:20}" + "".join(f"{cell:>16}" for cell in cells))
    lines += ["", f"mean ± standard deviation over {len(found['seeds'])} seeds; paired gains:"]
    for name, gain in found["gain"].items():
        lines.append(f"{name:28}{gain['mean']:+6.1f} ± {gain['sd']:.1f}  (p = {gain['p']:.3g})")
    return "\n".join(lines)


def add_arguments(parser) -> None:
    """The options of ``npssl vectors extrinsic``."""
    parser.add_argument("file", metavar="FILE", help="word vectors, in any format that npssl reads")
    parser.add_argument(
        "--task",
        action="append",
        choices=list(labelled_text.TASKS),
        help="a data set; may be given several times; sst2 and trec without it",
    )
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 1 on")
    parser.add_argument(
        "--hidden", type=int, default=100, help="width of the hidden layer; 0: none"
    )
    parser.add_argument("--epochs", type=int, default=30, help="rounds at most")
    parser.add_argument("--limit", type=int, help="read only so many vectors, the first ones")
    parser.add_argument("--folder", help="the folder of data sets, instead of NPSSL_DATA")


def run(args) -> dict:
    """Do what ``npssl vectors extrinsic`` was asked for; prints unless ``args.json``."""
    from npssl.data.vector_files import read_vectors

    for name, least in (("seeds", 1), ("hidden", 0), ("epochs", 1)):
        if getattr(args, name) < least:
            raise ValueError(f"--{name}: expected {least} or more, found {getattr(args, name)}")
    tasks = dict.fromkeys(args.task or ("sst2", "trec"))
    every = {task: labelled_text.load(task, args.folder) for task in tasks}
    words, vectors = read_vectors(args.file, limit=args.limit)
    found = {}
    for task, parts in every.items():
        found[task] = extrinsic(
            words,
            vectors,
            parts,
            seeds=range(1, args.seeds + 1),
            hidden=(args.hidden,) if args.hidden else (),
            epochs=args.epochs,
            progress=partial(print, f"{task}:", file=sys.stderr),
        )
        if not args.json:
            print(report(task, found[task]) + "\n", flush=True)
    return found
