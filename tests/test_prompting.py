"""Hidden words filled in and texts gone on with, from folders on the disk."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import npssl
from npssl.cli import main
from npssl.errors import FileError
from npssl.jobs import prompting
from npssl.models.decoding import extend
from npssl.models.transformer import gpt2
from npssl.params import Params, load_arrays, save_arrays

pytest.importorskip("safetensors", reason="needs the extra 'weights'")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A BERT and a GPT that have learnt a little."""
    root = tmp_path_factory.mktemp("models")
    text = root / "text.txt"
    lines = ["The cat sees the dog. The dog sees the cat."] * 3
    text.write_text("\n\n".join("\n".join(lines) for _ in range(30)) + "\n")
    bert = dict(vocabulary=60, length=24, batch=8, steps=60, held=2, lr=3e-3, progress=False)
    gpt = dict(width=32, depth=1, heads=2, context=16, batch=8, steps=150, lr=3e-3, progress=False)
    npssl.train_bert(text, run=root / "bert", **bert)
    npssl.train_gpt(text, run=root / "gpt", **gpt)
    return root


def test_hidden_words_are_filled(models):
    ask = npssl.FillMask(models / "bert")
    first, second = ask("the [MASK] sees the [MASK].", len(ask.words))
    for row in (first, second):
        shares = [share for _, share in row]
        assert shares == sorted(shares, reverse=True) and sum(shares) == pytest.approx(1, abs=1e-5)
    assert {word for word, _ in first[:4]} & {"cat", "dog", "the", "sees"}
    for text, said in [
        ("the cat", r"expected a \[MASK\]"),
        ("the [MASK] " * 100, "at most 128 tokens"),
        ("☃ [MASK] ☃", "none of its words is known"),
    ]:
        with pytest.raises(ValueError, match=said):
            ask(text)
    with pytest.raises(ValueError, match="most"):
        ask("the [MASK]", 0)


def test_transformers_fills_them_alike(models):
    torch = pytest.importorskip("torch", reason="needs PyTorch to compare with")
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    theirs = transformers.BertForPreTraining.from_pretrained(models / "bert").eval()
    ask = npssl.FillMask(models / "bert")
    text = "the [MASK] sees the dog."
    ids = ask.words.encode_pair(text)[0]
    with torch.no_grad():
        out = theirs(torch.tensor(ids[None].astype(np.int64)))
    place = int(np.flatnonzero(ids == ask.task.mask_id)[0])
    shares = out.prediction_logits[0, place].softmax(-1).numpy()
    for word, share in ask(text, 20)[0]:
        assert share == pytest.approx(float(shares[ask.words.ids[word]]), abs=1e-5)
    # "next" is their first class and our second
    found = load_arrays(models / "bert" / "model.safetensors")
    assert found["cls.seq_relationship.weight"].shape == (2, 128)


def test_a_text_goes_on(models):
    write = npssl.TextGenerator(models / "gpt")
    text = write("The c", tokens=40, temperature=0)
    assert text.startswith("The c") and len(text) == 45
    assert "The cat" in text or "the" in text
    assert (
        text == write("The c", tokens=40, top_k=1, seed=5) == write("The c", tokens=40, top_p=1e-9)
    )
    free = write("The c", tokens=40, temperature=5.0, seed=1)
    assert free != write("The c", tokens=40, temperature=5.0, seed=2)
    assert free == write("The c", tokens=40, temperature=5.0, seed=1)
    for options, said in [
        (dict(tokens=-1), "tokens"),
        (dict(temperature=-1.0), "temperature"),
        (dict(top_k=0), "top_k"),
        (dict(top_p=0.0), "top_p"),
    ]:
        with pytest.raises(ValueError, match=said):
            write("The c", **options)
    with pytest.raises(ValueError, match="at least one token"):
        write("")
    with pytest.raises(ValueError, match="none of its tokens is known"):
        write("☃☃")


@pytest.mark.parametrize("make", [gpt2, partial(gpt2, norm_first=False, norm_embeddings=True)])
@pytest.mark.parametrize("cuts", [(7,), (1, 1, 1, 1, 1, 1, 1), (3, 1, 2, 1)])
def test_reading_on_is_reading_at_once(make, cuts):
    model = make(11, 12, 2, 3, 7, segments=2)
    params = Params(model.spec(), np.random.default_rng(0), dtype=np.float64)
    params.flat += 0.3 * np.random.default_rng(1).standard_normal(params.flat.shape)
    ids = np.random.default_rng(2).integers(0, 11, (2, 7))
    past, rows, at = None, [], 0
    for n in cuts:
        h, past = extend(model, params.tree, ids[:, at : at + n], past)
        rows.append(h)
        at += n
    assert past[0].shape == (2, 2, 3, 7, 4)
    expected = model.encode(params.tree, ids=ids)
    np.testing.assert_allclose(np.concatenate(rows, 1), expected, rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match="context of 7, found 8"):
        extend(model, params.tree, ids[:, :1], past)
    with pytest.raises(ValueError, match="found 11"):
        extend(model, params.tree, np.full((1, 1), 11))
    with pytest.raises(ValueError, match="causal"):
        extend(replace(model, causal=False), params.tree, ids)


@pytest.mark.parametrize("kernels", ["0", "1"])
def test_what_is_kept_changes_no_token(models, kernels, monkeypatch):
    """Up to the edge of the context, 16, and over it; against reading all anew each time."""
    monkeypatch.setenv("NPSSL_NUMBA", kernels)
    write = npssl.TextGenerator(models / "gpt")
    p, words, context = write.params.tree, write.tokenizer, write.model.context
    for text, seed in (("T", 0), ("The cat sees the", 1), ("The dog sees the cat. The", 2)):
        ids, rng = words.encode(text).tolist(), np.random.default_rng(seed)
        for _ in range(40):
            h = write.model.encode(p, ids=np.array([ids[-context:]]))[0, -1]
            scores = (p.token @ h).astype(np.float64)
            if (unknown := getattr(words, "unk_id", None)) is not None:
                scores[unknown] = -np.inf
            ids.append(prompting._draw(scores, 0.8, None, 0.95, rng))
        options = dict(tokens=40, temperature=0.8, top_p=0.95, seed=seed)
        assert write(text, **options) == words.decode(ids)


def test_draws_keep_to_their_set():
    scores, rng = np.log([0.5, 0.3, 0.15, 0.05]), np.random.default_rng(0)
    draws = lambda **o: {
        prompting._draw(scores, 1.0, o.get("top_k"), o.get("top_p"), rng) for _ in range(300)
    }
    assert draws() == {0, 1, 2, 3}
    assert draws(top_k=2) == {0, 1}
    assert draws(top_p=0.5) == {0} and draws(top_p=0.79) == {0, 1} and draws(top_p=0.9) == {0, 1, 2}


def test_a_table_of_its_own(tmp_path):
    """Untied weights are trained, saved, read again; transformers sees the same table."""
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(["The cat sees the dog. The dog sees the cat."] * 40) + "\n")
    options = dict(vocabulary=60, length=24, batch=4, steps=3, held=2, progress=False)
    found = npssl.train_bert(text, run=tmp_path / "bert", tied=False, **options)
    table = found.params.views["words.table"]
    assert abs(table - found.params.views["words.encoder.token"]).max() > 0.01
    ask = npssl.FillMask(tmp_path / "bert")
    assert not ask.task.tied and np.array_equal(ask.params.views["table"], table)
    whole = prompting.fill_masks(found.task.words, found.params.tree.words, ask.words, "the [MASK]")
    assert whole == ask("the [MASK]")


def test_folders_that_do_not_fit_are_told(models, tmp_path):
    with pytest.raises(FileError, match="BERT kind"):
        npssl.FillMask(models / "gpt")
    with pytest.raises(FileError, match="GPT-2 kind"):
        npssl.TextGenerator(models / "bert")
    for file in (models / "bert").iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    path = tmp_path / "model.safetensors"
    whole = load_arrays(path)
    save_arrays(path, {n: a for n, a in whole.items() if not n.startswith("cls")})
    with pytest.raises(FileError, match="no head for hidden words"):
        npssl.FillMask(tmp_path)
    save_arrays(path, whole | {"cls.predictions.bias": np.zeros(3, np.float32)})
    with pytest.raises(FileError, match="expected shape"):
        npssl.FillMask(tmp_path)
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    with pytest.raises(FileError, match="the tokenizer has 5 tokens"):
        npssl.FillMask(tmp_path)


def test_the_commands(models, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["fill", "the [MASK]"]) == 2
    assert "npssl train bert" in capsys.readouterr().err
    (tmp_path / "runs").symlink_to(models)
    assert main(["fill", "the [MASK] sees", "--json", "--top", "3"]) == 0
    assert len(json.loads(capsys.readouterr().out)["masks"][0]) == 3
    assert main(["fill", "the [MASK] sees the [MASK]"]) == 0
    assert "[MASK] 2" in capsys.readouterr().out
    assert main(["generate", "The cat", "--tokens", "5"]) == 0
    assert capsys.readouterr().out.startswith("The cat")
    assert main(["generate", "The cat", "--top-p", "7"]) == 2
