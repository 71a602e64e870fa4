"""What a run leaves behind: its parameters, and its figures for people and programs."""

import json
from pathlib import Path

from npssl.files import whole_file
from npssl.params import Params


def write(run, params: Params, scores: dict) -> None:
    """``model.npz`` and ``scores.json`` in the folder of the run; without a folder nothing."""
    if run:
        params.save(Path(run) / "model.npz")
        with whole_file(Path(run) / "scores.json") as file:
            file.write(json.dumps(scores, indent=1).encode() + b"\n")
