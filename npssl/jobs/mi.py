"""The staircase of mutual information: a critic trained on halves that share more and more.

One critic goes up all steps.  At the end of each, its estimate is read on batches that were
never trained on, and so is that of the optimal critic: what is missing under the truth is
the bias of the estimate, and what is missing under the optimal critic is left to learn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from tqdm import tqdm

from npssl.data import channels, gaussians
from npssl.errors import require
from npssl.jobs import results
from npssl.jobs.pretraining import positive
from npssl.optim import AdamW
from npssl.params import Params
from npssl.tasks.mutual_information import BASELINES, ESTIMATES, MutualInformation
from npssl.train import gradient_step, recorded, state_of, train

PAIRS = "gaussians", *channels.KINDS
_BATCHES, _READ, _FIRST, _BEST = 21, 22, 23, 24  # ends of seeds, which keep the draws apart


def train_mi(
    estimate: str = "info-nce",
    *,
    critic: str = "separable",
    pairs: str = "gaussians",
    cubic: bool = False,
    width: int = 20,
    batch: int = 128,
    hidden: int = 128,
    levels: tuple[float, ...] = (2, 4, 6, 8, 10),
    steps: int = 1000,
    read: int = 100,
    lr: float = 1e-3,
    seed: int = 0,
    run=None,
    resume: bool = False,
    save_seconds: float = 60.0,
    progress: bool = True,
) -> dict:
    """Train a critic up the staircase and read it at every level.

    Parameters
    ----------
    estimate : str          a name of `npssl.tasks.mutual_information.ESTIMATES`
    critic : "separable" or "concatenated"
    pairs : str             "gaussians"; or bits sent through a "symmetric" or "erasure" channel
    cubic : bool            of Gaussians: the cube of the second half in place of it, which
                            shares the same information
    width, batch, hidden : int      of each half; pairs a step; of the networks
    levels : floats         nats that the halves share
    steps : int             of AdamW, at each level
    read : int              batches to read at the end of each level, at most ``steps``
    lr : float              constant
    seed : int
    run, resume, save_seconds, progress     as in `npssl.jobs.gpt.train_gpt`

    Returns
    -------
    dict
        ``levels``: for each the true ``nats``, ``mean`` and ``std`` of the trained critic
        over batches, ``best_mean`` and ``best_std`` of the optimal one; with a folder also
        in ``scores.json``.
    """
    positive(batch=batch, steps=steps, width=width, hidden=hidden, read=read)
    if read > steps:
        raise ValueError(f"read must be at most the {steps} steps of a level, found {read}")
    if batch < 2:
        raise ValueError(f"batch must be at least 2, found {batch}")
    task = MutualInformation(width, hidden, critic=critic, estimate=estimate)
    sources = [source(pairs, nats, width, cubic) for nats in levels]
    config = {
        "job": "mi", "estimate": estimate, "critic": critic, "pairs": pairs, "cubic": cubic,
        "width": width, "batch": batch, "hidden": hidden, "levels": list(levels), "steps": steps,
        "read": read, "lr": lr, "seed": seed,
    }  # fmt: skip

    def drawn(k, end):
        rng = np.random.default_rng([seed, k, end])
        return tuple(a.astype(np.float32) for a in sources[k // steps][0](batch, rng))

    params = Params(task.spec(), np.random.default_rng([seed, _FIRST]))
    optimizer = AdamW(params, decay=0.0)
    climb = gradient_step(
        task, lambda k: drawn(k, _BATCHES), params, optimizer, lambda k: lr, seed=seed, clip=1.0
    )

    def step(k):
        row = climb(k)
        if k % steps >= steps - read:
            row["nats"] = task.read(params.tree, *drawn(k, _READ))
        return row

    total = steps * len(levels)
    with recorded(run, config, resume=resume, save_seconds=save_seconds) as log:
        rows = []
        with tqdm(total=total, unit="step", disable=not progress) as bar:
            for done, row in train(step, state_of(params, optimizer), steps=total, run=log):
                rows.append({"step": done, **row})
                bar.update(done - bar.n)
        if log:
            rows = log.rows()
    found: list[list[float]] = [[] for _ in levels]
    for row in rows:
        if "nats" in row:
            found[(row["step"] - 1) // steps].append(row["nats"])
    scores = {"estimate": estimate, "critic": critic, "pairs": pairs, "cubic": cubic}
    scores["log_n"] = float(np.log(batch))
    scores["levels"] = [
        {"nats": nats, "mean": float(np.mean(told)), "std": float(np.std(told))}
        | best(estimate, at_level, batch, read, seed)
        for nats, at_level, told in zip(levels, sources, found)
    ]
    results.write(run, params, scores)
    return scores


def source(pairs: str, nats: float, width: int, cubic: bool = False) -> tuple[Callable, Callable]:
    """Halves that share so many nats: ``draw(count, rng)`` -> x, c; the ``best(x, c)`` critic."""
    if pairs not in PAIRS:
        raise ValueError(f"pairs must be one of {', '.join(PAIRS)}, found {pairs!r}")
    if pairs == "gaussians":
        rho = gaussians.correlation(nats, width)
        return (
            lambda count, rng: gaussians.draw(count, width, rho, rng, cubic),
            lambda x, c: gaussians.best_critic(x, c, rho, cubic),
        )
    if cubic:
        raise ValueError(f"cubic must be False: {pairs!r} has bits, not numbers to cube")
    joint = channels.channel(pairs, nats, width)
    return (
        lambda count, rng: channels.draw_bits(joint, count, width, rng),
        lambda x, c: channels.best_critic_of_bits(joint, x, c),
    )


def best(estimate: str, at_level: tuple, batch: int, read: int, seed: int) -> dict:
    """Mean and deviation over batches of what the optimal critic of a `source` shows."""
    rng, told = np.random.default_rng([seed, _BEST]), []
    op, more = ESTIMATES[estimate][1], (np.zeros(batch),) if estimate in BASELINES else ()
    for _ in range(read):
        s = at_level[1](*at_level[0](batch, rng))
        told.append(op(s + 1 if estimate == "nwj" else s, *more)[0])
    return {"best_mean": float(np.mean(told)), "best_std": float(np.std(told))}


def draw(scores: dict, path) -> None:
    """The staircase: truth, log N, and both critics with a band of one deviation."""
    require("matplotlib", extra="plot")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.6), layout="constrained")
    axes = figure.subplots()
    at = lambda key: np.array([level[key] for level in scores["levels"]])
    place = np.arange(len(scores["levels"]))
    axes.step(place, at("nats"), where="mid", color="black", label="truth")
    axes.axhline(scores["log_n"], linestyle=":", color="grey", label="log N")
    for name, label in (("", "trained"), ("best_", "optimal critic")):
        mean, std = at(name + "mean"), at(name + "std")
        axes.plot(place, mean, marker="o", label=label)
        axes.fill_between(place, mean - std, mean + std, alpha=0.2)
    axes.set_xticks(place, [f"{nats:g}" for nats in at("nats")])
    axes.set(
        title=f"{scores['estimate']}, {scores['critic']}, {scores['pairs']}",
        ylabel="nats",
        xlabel="true nats",
    )
    axes.legend()
    results.picture(figure, path)
