"""Published weights: folders as `transformers` and sentence-transformers write and read them.

A folder holds ``config.json``, ``model.safetensors`` and a vocabulary.  Names of
tensors differ from ours, dense matrices are transposed in BERT's, and query, key and
value are three matrices there and one here; one table, `_names`, says so for both ways.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from npssl.errors import FileError
from npssl.files import write_json
from npssl.models.transformer import Transformer
from npssl.params import Params, leaves, load_arrays, save_arrays

# Tensors that are no weights of the encoder: buffers, and heads of other tasks.
_OTHERS = re.compile(
    r"(embeddings\.position_ids|embeddings\.token_type_ids|h\.\d+\.attn\.(masked_)?bias"
    r"|pooler\..*|cls\..*|classifier\..*|lm_head\..*)$"
)


def weights_folder(name) -> Path:
    """A folder of weights, or where the published ones of this name are.

    Where there is no such folder, but `npssl.data.sets` has weights of this name
    (``npssl data list``), they are found there, and fetched if need be.
    """
    from npssl.data import sets
    from npssl.data.addresses import SETS

    known = SETS.get(str(name))
    if known is None or Path(name).exists() or "weights" not in (f.role for f in known.files):
        return Path(name)
    return sets.fetch(known.name)[0].parent


def load_pretrained(folder) -> tuple[Transformer, Params]:
    """Read an encoder of the BERT kind or a decoder of the GPT-2 kind.

    Parameters
    ----------
    folder : path or str
        With ``config.json`` and ``model.safetensors`` (extra ``weights``); or the name of
        published weights, see `weights_folder`.

    Returns
    -------
    model : Transformer
    params : Params, float32     ``model(params.tree, ids=ids)`` gives the hidden states

    Raises
    ------
    FileError
        if a file is missing or broken, the kind is neither, or a tensor is missing,
        not known, of another shape, not of numbers, or not finite.

    Notes
    -----
    float16 and float64 are converted.  Heads (pooler, masked words, classes) are not read.
    Of several rates of dropout that of the hidden states (GPT-2: of the branches) counts.
    """
    folder = weights_folder(folder)
    model = _model(folder / "config.json")
    path = folder / "model.safetensors"
    found = {re.sub(r"^(bert|transformer)\.", "", k): a for k, a in load_arrays(path).items()}
    if model.depth > len(found):  # before so many blocks are made
        message = f"tells of {model.depth} blocks, but {path.name} has {len(found)} tensors"
        raise FileError(folder / "config.json", message)
    shapes = {name: leaf.shape for name, leaf in leaves(model.spec())}
    parts: dict[str, list[np.ndarray]] = {}
    table = _names(model)
    for ours, (theirs, transposed) in table.items():
        *rows, width = shapes[ours]
        shape = (*rows, width // len(theirs))
        parts[ours] = [read_tensor(path, found, name, shape, transposed) for name in theirs]
    known = {name for theirs, _ in table.values() for name in theirs}
    if extra := sorted(n for n in set(found) - known if not _OTHERS.match(n)):
        raise FileError(path, f"tensors that a model of this kind does not have: {extra[:5]}")
    params = Params(model.spec())  # memory is asked for when all of it fits
    for ours, several in parts.items():
        np.concatenate(several, -1, out=params.views[ours])
    return model, params


def load_heads(folder, task, encoder: Params) -> tuple[Any, Params]:
    """A masked language model with the parameters of its encoder and its head.

    The task that is returned is tied if the folder has no table for the decoder, or that of
    the embeddings.

    Parameters
    ----------
    folder : path          what `load_pretrained` read ``encoder`` from
    task : MaskedLM

    Raises
    ------
    FileError
        if the folder has no head for hidden words, as sentence encoders have none.
    """
    path = Path(folder) / "model.safetensors"
    found, table = load_arrays(path), "cls.predictions.decoder.weight"
    own = table in found and not np.array_equal(found[table], encoder.views["token"])
    task = replace(task, tied=not own)
    params = Params(task.spec())
    for name, view in encoder.views.items():
        params.views[f"encoder.{name}"][...] = view
    if not any(name.startswith("cls.predictions.") for name in found):
        raise FileError(path, "no head for hidden words here; `npssl train bert` writes one")
    head = _HEAD | ({table: ("words.table", False)} if own else {})
    for theirs, (ours, transposed) in head.items():
        view = params.views[ours.removeprefix("words.")]
        view[...] = read_tensor(path, found, theirs, view.shape, transposed)
    return task, params


# Heads of BERT, their names and ours in `npssl.tasks.next_sentence.Bert`; transposed or not.
_HEAD = {
    "cls.predictions.transform.dense.weight": ("words.dense.w", True),
    "cls.predictions.transform.dense.bias": ("words.dense.b", False),
    "cls.predictions.transform.LayerNorm.weight": ("words.norm.gain", False),
    "cls.predictions.transform.LayerNorm.bias": ("words.norm.bias", False),
    "cls.predictions.bias": ("words.bias", False),
}
_NEXT = {
    "bert.pooler.dense.weight": ("pool.w", True),
    "bert.pooler.dense.bias": ("pool.b", False),
    "cls.seq_relationship.weight": ("next.w", True),
    "cls.seq_relationship.bias": ("next.b", False),
}


def save_pretrained(folder, model: Transformer, params: Params, *, heads=None) -> None:
    """Write ``config.json`` and ``model.safetensors`` as `transformers` opens them.

    ``heads``: the arrays of `npssl.tasks.next_sentence.Bert` by name; then the folder is a
    ``BertForPreTraining``.

    Raises
    ------
    ValueError
        if the model is neither of BERT's kind nor of GPT-2's.
    """
    config = _config(model)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for ours, (theirs, transposed) in _names(model).items():
        for name, part in zip(theirs, np.split(params.views[ours], len(theirs), -1)):
            tensors[name] = np.ascontiguousarray(part.T if transposed else part)
    if heads is not None:
        tensors = {f"bert.{name}": a for name, a in tensors.items()}
        names = _HEAD | _NEXT
        if "words.table" in heads:
            names["cls.predictions.decoder.weight"] = "words.table", False
            config["tie_word_embeddings"] = False
        for name, (ours, transposed) in names.items():
            a = heads[ours]
            if ours.startswith("next"):  # their first is "next", ours "random"
                a = a[..., ::-1]
            tensors[name] = np.ascontiguousarray(a.T if transposed else a)
        config["architectures"] = ["BertForPreTraining"]
    save_arrays(folder / "model.safetensors", tensors)
    write_json(folder / "config.json", config)


def read_tensor(path, found, name, shape, transposed):
    """A tensor ``name`` of theirs, ``found`` in ``path``, as an array of this shape of ours."""
    if name not in found:
        raise FileError(path, "this tensor is missing", place=name)
    a = found[name]
    if not np.issubdtype(a.dtype, np.floating):
        raise FileError(path, f"expected floating-point numbers, found {a.dtype}", place=name)
    expected = shape[::-1] if transposed else shape
    if a.shape != expected:
        raise FileError(path, f"expected shape {expected}, found {a.shape}", place=name)
    a = a.astype(np.float32, copy=False)
    if not np.isfinite(a).all():
        raise FileError(path, "has values that are not finite", place=name)
    return a.T if transposed else a


def _names(model: Transformer) -> dict[str, tuple[list[str], bool]]:
    """Our name -> their names (parts side by side), and whether theirs are transposed."""
    names: dict[str, tuple[list[str], bool]] = {}

    def pair(ours, theirs, kind=("w", "b"), transposed=False):
        for mine, yours in zip(kind, ("weight", "bias")):
            names[f"{ours}.{mine}"] = [f"{t}.{yours}" for t in theirs], transposed and mine == "w"

    norms, gpt = ("gain", "bias"), model.norm_first
    if gpt:
        names["token"], names["position"] = (["wte.weight"], False), (["wpe.weight"], False)
        pair("last", ["ln_f"], norms)
    else:
        for ours, theirs in (
            ("token", "word"),
            ("position", "position"),
            ("segment", "token_type"),
        ):
            names[ours] = [f"embeddings.{theirs}_embeddings.weight"], False
        pair("norm", ["embeddings.LayerNorm"], norms)
    for i in range(model.depth):
        b, h = f"blocks.{i}", f"h.{i}" if gpt else f"encoder.layer.{i}"
        if gpt:
            pair(f"{b}.attention.qkv", [f"{h}.attn.c_attn"])
            pair(f"{b}.attention.out", [f"{h}.attn.c_proj"])
            pair(f"{b}.norm1", [f"{h}.ln_1"], norms)
            pair(f"{b}.norm2", [f"{h}.ln_2"], norms)
            pair(f"{b}.ffn.up", [f"{h}.mlp.c_fc"])
            pair(f"{b}.ffn.down", [f"{h}.mlp.c_proj"])
        else:
            three = [f"{h}.attention.self.{n}" for n in ("query", "key", "value")]
            pair(f"{b}.attention.qkv", three, transposed=True)
            pair(f"{b}.attention.out", [f"{h}.attention.output.dense"], transposed=True)
            pair(f"{b}.norm1", [f"{h}.attention.output.LayerNorm"], norms)
            pair(f"{b}.norm2", [f"{h}.output.LayerNorm"], norms)
            pair(f"{b}.ffn.up", [f"{h}.intermediate.dense"], transposed=True)
            pair(f"{b}.ffn.down", [f"{h}.output.dense"], transposed=True)
    return names


# Their names of the sizes, and ours.
_BERT = dict(
    vocab_size="vocab",
    hidden_size="width",
    num_hidden_layers="depth",
    num_attention_heads="heads",
    max_position_embeddings="context",
    type_vocab_size="segments",
    intermediate_size="hidden",
    layer_norm_eps="eps",
)
_GPT = dict(
    vocab_size="vocab",
    n_embd="width",
    n_layer="depth",
    n_head="heads",
    n_positions="context",
    layer_norm_epsilon="eps",
)
_RATES = {  # ours is one rate of dropout for all places, the first of them
    "bert": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
    "gpt2": ("resid_pdrop", "attn_pdrop", "embd_pdrop"),
}
_FORMS = {"gelu": "erf", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh"}


def _model(path) -> Transformer:
    try:
        config = json.loads(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        raise FileError(path, "no such file") from None
    except (ValueError, RecursionError) as error:
        raise FileError(path, f"is not JSON ({error})") from None
    if not isinstance(config, dict):
        raise FileError(path, f"expected a JSON object, found {type(config).__name__}")
    kind = config.get("model_type")
    if kind not in ("bert", "gpt2"):
        raise FileError(path, f"expected 'bert' or 'gpt2', found {kind!r}", place="model_type")
    given: dict = {}
    for theirs, ours in (_BERT if kind == "bert" else _GPT).items():
        least = 0 if ours in ("depth",) else 1
        value = config.get(theirs)
        if ours == "eps":
            value = (1e-12 if kind == "bert" else 1e-5) if value is None else value
            if not isinstance(value, float) or not 0 < value < math.inf:
                raise FileError(path, f"expected a positive number, found {value!r}", place=theirs)
        elif type(value) is not int or value < least:
            raise FileError(path, f"expected a whole number, found {value!r}", place=theirs)
        given[ours] = value
    rate = config.get(_RATES[kind][0], 0.1)
    if type(rate) not in (int, float) or not 0 <= rate < 1:
        message = f"expected a number from 0 to below 1, found {rate!r}"
        raise FileError(path, message, place=_RATES[kind][0])
    form = config.get("hidden_act" if kind == "bert" else "activation_function", "gelu_new")
    if not isinstance(form, str) or form not in _FORMS:
        raise FileError(path, f"expected one of {', '.join(_FORMS)}, found {form!r}", place="GELU")
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise FileError(path, "expected 'absolute'", place="position_embedding_type")
    if kind == "gpt2":
        given |= dict(norm_first=True, norm_embeddings=False, causal=True)
        given["hidden"] = hidden = config.get("n_inner")
        if hidden is not None and (type(hidden) is not int or hidden < 1):
            raise FileError(path, f"expected a whole number, found {hidden!r}", place="n_inner")
    try:
        return Transformer(**given, form=_FORMS[form], rate=float(rate))
    except ValueError as error:
        raise FileError(path, str(error)) from None


def _config(model: Transformer) -> dict:
    forms = {ours: theirs for theirs, ours in reversed(_FORMS.items())}
    shape = model.norm_first, model.norm_embeddings, model.causal, model.segments > 0
    hidden = model.hidden or 4 * model.width
    if shape == (False, True, False, True):
        sizes = {theirs: getattr(model, ours) for theirs, ours in _BERT.items()}
        sizes["intermediate_size"] = hidden
        kind = dict(model_type="bert", architectures=["BertModel"], hidden_act=forms[model.form])
    elif shape == (True, False, True, False):
        sizes = {theirs: getattr(model, ours) for theirs, ours in _GPT.items()}
        sizes["n_inner"] = hidden
        kind = dict(
            model_type="gpt2",
            architectures=["GPT2Model"],
            activation_function=forms[model.form],
        )
    else:
        raise ValueError("model must be of the kind of BERT or of GPT-2 to have their names")
    rates = _RATES["gpt2" if model.causal else "bert"]
    return {**kind, **sizes, **dict.fromkeys(rates, model.rate)}
