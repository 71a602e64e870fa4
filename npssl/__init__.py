"""npssl: self-supervised learning that you can read, check and run.

Names are imported when they are first used, so that ``import npssl`` costs
little and Numba is loaded only where it works.
"""

__version__ = "0.1.0"

_HOME = {
    "Params": "npssl.params",
    "check": "npssl.check",
    "train": "npssl.train",
    "SkipGram": "npssl.jobs.word2vec",
    "CBOW": "npssl.jobs.word2vec",
    "WordVectors": "npssl.evaluation.word_vectors",
}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'npssl' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__():
    return sorted([*globals(), *_HOME])
