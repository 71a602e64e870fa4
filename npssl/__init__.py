"""npssl: self-supervised learning that you can read, check and run.

Names are imported when they are first used, so that ``import npssl`` costs
little and Numba is loaded only where it works.
"""

import os

__version__ = "0.1.0"

# After a product of matrices OpenBLAS's threads spin for some 25 ms, on the cores that our
# kernels need.  If NumPy has not loaded it yet, it is told to let them sleep.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

_HOME = {
    "Params": "npssl.params",
    "SkipGram": "npssl.jobs.word2vec",
    "CBOW": "npssl.jobs.word2vec",
    "WordVectors": "npssl.evaluation.word_vectors",
    "Transformer": "npssl.models.transformer",
    "train_bert": "npssl.jobs.bert",
    "train_gpt": "npssl.jobs.gpt",
    "FillMask": "npssl.jobs.prompting",
    "TextGenerator": "npssl.jobs.prompting",
    "SentenceEncoder": "npssl.jobs.sentences",
    "load_pretrained": "npssl.jobs.pretrained",
    "save_pretrained": "npssl.jobs.pretrained",
}

# Rooms that are named like a function in them stay rooms, whoever imported them first:
# npssl.check.check(op, x), npssl.train.train(...).
_ROOMS = ("check", "optim", "params", "train")

__all__ = sorted([*_HOME, *_ROOMS])


def __getattr__(name):
    import importlib

    if name in _ROOMS:
        return importlib.import_module(f"npssl.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'npssl' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__():
    return sorted({*globals(), *__all__})
