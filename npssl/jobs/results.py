"""What a run leaves behind: its parameters, its figures for people and programs, its picture."""

from pathlib import Path

from npssl.files import whole_file, write_json
from npssl.params import Params


def write(run, params: Params, scores: dict) -> None:
    """``model.npz`` and ``scores.json`` in the folder of the run; without a folder nothing."""
    if run:
        params.save(Path(run) / "model.npz")
        write_json(Path(run) / "scores.json", scores)


def picture(figure, path) -> None:
    """A figure of Matplotlib as a whole file, in the format that the name ends in."""
    with whole_file(path) as file:
        figure.savefig(file, format=Path(path).suffix[1:], dpi=120)
