"""A map of words: their vectors in two dimensions, as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from npssl.errors import require

SUFFIXES = (".png", ".svg")


def project(rows, method="pca", seed=0) -> np.ndarray:
    """(n, D) rows as (n, 2) points.

    Parameters
    ----------
    rows : (n, D) float
    method : "pca"      the two directions of largest variance; the larger end of each is
                        made positive, so that the map does not flip from run to run
             "tsne"     t-SNE (van der Maaten & Hinton 2008) of scikit-learn, extra ``plot``
    seed : int          for t-SNE

    Examples
    --------
    >>> project(np.array([[0.0, 0, 5], [1, 0, 5], [8, 0, 5]])).round(6)[:, 0]
    array([-3., -2.,  5.])
    """
    rows = np.asarray(rows, np.float64)
    if method == "pca":
        rows = rows - rows.mean(0)
        _, _, axes = np.linalg.svd(rows, full_matrices=False)
        points = np.zeros((len(rows), 2))
        points[:, : len(axes[:2])] = rows @ axes[:2].T
        extreme = points[np.abs(points).argmax(0), [0, 1]]
        return points * np.where(extreme < 0, -1, 1)
    if method != "tsne":
        raise ValueError(f"method: expected pca or tsne, found {method!r}")
    if len(rows) < 3:
        raise ValueError(f"words: t-SNE needs 3 or more, found {len(rows)}")
    TSNE = require("sklearn.manifold", extra="plot").TSNE
    perplexity = min(30.0, (len(rows) - 1) / 3)
    # the approximation pays for many words only
    how = "exact" if len(rows) < 1000 else "barnes_hut"
    tsne = TSNE(init="pca", perplexity=perplexity, random_state=seed, method=how)
    return tsne.fit_transform(rows)


def draw(path, words, points, title="") -> None:
    """Words at their points, written whole or not at all; equal input gives equal bytes.

    Parameters
    ----------
    path : path              ``.png`` or ``.svg``
    words : list of n str
    points : (n, 2) float
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise ValueError(f"path: expected a name in {' or '.join(SUFFIXES)}, found {path.name!r}")
    matplotlib = require("matplotlib", extra="plot")
    figures = require("matplotlib.figure", extra="plot")
    from npssl.data.vector_files import written

    settings = {"svg.hashsalt": "npssl", "svg.fonttype": "none", "text.parse_math": False}
    with matplotlib.rc_context(settings):
        figure = figures.Figure(figsize=(10, 8), layout="constrained")
        axes = figure.add_subplot()
        axes.scatter(*np.asarray(points).T, s=12)
        for word, point in zip(words, points):
            axes.annotate(word, point, xytext=(4, 3), textcoords="offset points", fontsize=9)
        axes.set(title=title, xticks=[], yticks=[])
        nothing = {".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}}[kind]
        with written(path) as file:
            figure.savefig(file, format=kind[1:], dpi=150, metadata=nothing)
