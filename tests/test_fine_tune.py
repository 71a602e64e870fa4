"""Fine-tuning: the heads, layer-wise rates, and from a folder of weights to scores."""

import contextlib
import hashlib
import json
import shutil
from dataclasses import replace
from functools import wraps

import numpy as np
import pytest

import npssl
from npssl.cli import main
from npssl.data import labelled_rows
from npssl.data.characters import Characters
from npssl.data.labelled import Question, Questions, Sentences, Tagged
from npssl.data.wordpiece import SPECIALS, WordPiece
from npssl.errors import FileError
from npssl.jobs import finetune, pretrained
from npssl.jobs.finetune import FineTuned, fine_tune
from npssl.jobs.pretrained import save_pretrained
from npssl.jobs.pretraining import save_tokenizer
from npssl.models.transformer import bert, gpt2
from npssl.optim import AdamW
from npssl.params import Params, load_arrays, normal, save_arrays
from npssl.tasks.fine_tune import Sentence, Similarity, Span, Tags
from npssl.tasks.fine_tune_causal import CausalSentence

# layer-wise learning rates ------------------------------------------------------------------------


def _blocks():
    spec = dict(
        table=normal(4, 3, std=1.0),
        blocks=[dict(w=normal(3, 3, std=1.0), b=normal(3, std=1.0)) for _ in range(11)],
        head=dict(w=normal(3, 2, std=1.0)),
    )
    return Params(spec, np.random.default_rng(0), dtype=np.float64)


SHARES = {"table": 0.1, "blocks": 0.5, "blocks.1": 0.25, "blocks.10.b": 0.0}


def test_shares_of_the_rate_are_pytorchs_groups():
    torch = pytest.importorskip("torch", reason="needs PyTorch to compare with")
    p, rng = _blocks(), np.random.default_rng(1)
    leaves = {name: torch.tensor(view.copy()) for name, view in p.views.items()}

    def share(name):
        if name == "table" or name.startswith("head"):
            return 0.1 if name == "table" else 1.0
        return 0.0 if name == "blocks.10.b" else 0.25 if name.startswith("blocks.1.") else 0.5

    groups = [
        dict(params=[t], weight_decay=0.1 * (t.ndim >= 2), name=name) for name, t in leaves.items()
    ]
    theirs = torch.optim.AdamW(groups, lr=1.0)
    ours, g = AdamW(p, decay=0.1, shares=SHARES), p.zeros()
    for _ in range(20):
        g.flat[:] = rng.standard_normal(g.flat.size)
        for group in theirs.param_groups:
            group["lr"] = 0.01 * share(group["name"])
        for name, t in leaves.items():
            t.grad = torch.tensor(g.views[name].copy())
        theirs.step()
        ours.step(p, g, 0.01)
    for name, t in leaves.items():
        np.testing.assert_allclose(p.views[name], t.numpy(), rtol=1e-12, atol=1e-12)


def test_what_is_frozen_stays_whatever_its_share():
    p = _blocks()
    p = Params(p.spec, flat=p.flat, frozen=["blocks.1", "table"])
    before, g = p.flat.copy(), p.zeros()
    g.flat[:] = 1
    AdamW(p, shares=SHARES).step(p, g, 0.1)
    moved = {name for name, view in p.over(before).views.items() if (view != p.views[name]).any()}
    left = {"table", "blocks.1.w", "blocks.1.b", "blocks.10.b"}
    assert moved == set(p.views) - left


@pytest.mark.parametrize("shares", [{"blocks.12": 1.0}, {"block": 1.0}, {"head": -1.0}])
def test_wrong_shares_are_named(shares):
    with pytest.raises(ValueError, match="shares"):
        AdamW(_blocks(), shares=shares)


# the heads, against transformers ------------------------------------------------------------------

KINDS = ("cls", "cls score", "mean", "cosine", "span", "tags", "causal")


def _example(kind):
    """A task without dropout, its parameters, and a batch without padding where they need it."""
    rng = np.random.default_rng(5)
    B, T, V = 3, 6, 11
    if kind == "causal":
        task = CausalSentence(gpt2(V, 6, 2, 3, 8, hidden=10, rate=0.0), 3)
    else:
        encoder = bert(V, 6, 2, 3, 8, hidden=10, rate=0.0)
        task = {
            "cls": Sentence(encoder, 3),
            "cls score": Sentence(encoder, None),
            "mean": Sentence(encoder, 3, "mean"),
            "cosine": Similarity(encoder),
            "span": Span(encoder),
            "tags": Tags(encoder, 4),
        }[kind]
    lengths = np.full(B, T) if kind == "span" else np.array([6, 3, 5])
    mask = np.arange(T) < lengths[:, None]
    segments = ((np.arange(T) > 2) & mask).astype(int)
    x = rng.integers(1, V, (B, T)) * mask, segments, mask
    y = {
        "cls score": rng.normal(size=B),
        "cosine": rng.normal(size=B),
        "span": np.array([[0, 0], [2, 5], [3, 3]]),
        "tags": np.where(mask & (rng.random((B, T)) < 0.7), rng.integers(0, 4, (B, T)), -1),
    }.get(kind, rng.integers(0, 3, B))
    if kind == "cosine":
        x = x, tuple(a[::-1].copy() for a in x)
    params = Params(task.spec(), rng, dtype=np.float64)
    params.flat += 0.3 * rng.standard_normal(params.flat.size)
    return task, params, x, y


def _theirs(kind, task):
    """The same model of `transformers` (or its encoder), and where our weights stand in it."""
    torch = pytest.importorskip("torch", reason="needs PyTorch to compare with")
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    inner = task.decoder if kind == "causal" else task.encoder
    config = pretrained._config(inner)
    head = {"cls": "SequenceClassification", "cls score": "SequenceClassification"} | {
        "span": "QuestionAnswering",
        "tags": "TokenClassification",
    }
    base, prefix = ("decoder", "") if kind == "causal" else ("encoder", "")
    if kind == "causal":
        model = transformers.GPT2Model(transformers.GPT2Config(**config))
    else:
        labels = {"cls": 3, "cls score": 1, "tags": 4}.get(kind, 2)
        config = transformers.BertConfig(**config, num_labels=labels)
        if kind in head:
            name, prefix = f"BertFor{head[kind]}", "bert."
            model = getattr(transformers, name)(config)
        else:
            model = transformers.BertModel(config, add_pooling_layer=False)
    table = {
        f"{base}.{ours}": ([prefix + name for name in names], turned)
        for ours, (names, turned) in pretrained._names(inner).items()
    }
    if kind in head:
        output = "qa_outputs" if kind == "span" else "classifier"
        table |= {"head.w": ([f"{output}.weight"], True), "head.b": ([f"{output}.bias"], True)}
    if kind.startswith("cls"):
        pool = "bert.pooler.dense"
        table |= {"pool.w": ([f"{pool}.weight"], True), "pool.b": ([f"{pool}.bias"], True)}
    return torch, model.double().eval(), table


@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradients_are_those_of_transformers(kind):
    task, params, x, y = _example(kind)
    torch, model, table = _theirs(kind, task)
    F, weights = torch.nn.functional, dict(model.named_parameters())
    assert {name for names, _ in table.values() for name in names} == set(weights)
    with torch.no_grad():
        for ours, (names, turned) in table.items():
            for name, part in zip(names, np.split(params.views[ours], len(names), -1)):
                weights[name].copy_(torch.tensor(part.T if turned else part))

    def told(x):
        ids, segments, mask = map(torch.tensor, x)
        more = {} if kind == "causal" else {"token_type_ids": segments}
        return {"input_ids": ids, "attention_mask": mask.long(), **more}

    own = (
        {n: torch.tensor(params.views[n], requires_grad=True) for n in ("head.w", "head.b")}
        if (kind in ("mean", "causal"))
        else {}
    )
    if kind in ("cls", "cls score"):
        loss = model(**told(x), labels=torch.tensor(y)).loss
    elif kind == "span":
        first, last = torch.tensor(y).T
        loss = model(**told(x), start_positions=first, end_positions=last).loss
    elif kind == "tags":
        loss = model(**told(x), labels=torch.tensor(np.where(y < 0, -100, y))).loss
    elif kind == "causal":
        ids, mask = torch.tensor(x[0]), torch.tensor(x[2])
        h = model(**told(x)).last_hidden_state
        last = h[torch.arange(len(ids)), mask.sum(1) - 1]
        loss = F.cross_entropy(last @ own["head.w"] + own["head.b"], torch.tensor(y))
        words = (h @ weights["wte.weight"].T)[:, :-1][mask[:, 1:]]
        loss = loss + 0.5 * F.cross_entropy(words, ids[:, 1:][mask[:, 1:]])
    else:

        def mean(x):
            h, mask = model(**told(x)).last_hidden_state, torch.tensor(x[2])[..., None]
            return (h * mask).sum(1) / mask.sum(1)

        if kind == "mean":
            loss = F.cross_entropy(mean(x) @ own["head.w"] + own["head.b"], torch.tensor(y))
        else:
            cosine = F.cosine_similarity(mean(x[0]), mean(x[1]))
            loss = F.mse_loss(cosine, torch.tensor(y))
    loss.backward()
    value, back = task.loss(params.tree, x, y)
    g = params.zeros()
    back(g.tree)
    assert value == pytest.approx(float(loss.detach()), abs=1e-10)
    for ours, found in g.views.items():
        if ours in own:
            expected = own[ours].grad.numpy()
        else:
            names, turned = table[ours]
            parts = [weights[name].grad.numpy() for name in names]
            expected = np.concatenate([a.T if turned else a for a in parts], -1)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10, err_msg=ours)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "cosine"])
def test_frozen_is_the_head_alone(kind):
    task, params, x, y = _example(kind)
    if kind == "causal":
        task = replace(task, weight=0.0)
    moving, frozen = params.zeros(), params.zeros()
    task.loss(params.tree, x, y)[1](moving.tree)
    still = replace(task, frozen=True)
    still.loss(params.tree, x, y)[1](frozen.tree)
    for name, view in frozen.views.items():
        inner = name.startswith(("encoder", "decoder"))
        assert not view.any() if inner else np.array_equal(view, moving.views[name]), name


def test_padding_changes_nothing():
    for kind in KINDS:
        task, params, x, y = _example(kind)
        sides = x if kind == "cosine" else [x]
        wider = tuple(tuple(np.pad(a, ((0, 0), (0, 2))) for a in side) for side in sides)
        z = np.pad(y, ((0, 0), (0, 2)), constant_values=-1) if kind == "tags" else y
        value, _ = task.loss(params.tree, x, y)
        again, _ = task.loss(params.tree, wider if kind == "cosine" else wider[0], z)
        assert value == pytest.approx(again, abs=1e-12), kind


def test_the_best_span_by_hand():
    task, params, (ids, _, _), _ = _example("span")
    mask = np.arange(6) < np.array([6, 5, 4])[:, None]
    segments = ((np.arange(6) >= 3) & mask).astype(int)
    x = ids, segments, mask
    scores, _ = task.scores(params.tree, x)
    for longest in (1, 2, 30):
        spans, score, none = task.predict(params.tree, x, longest=longest)
        for n, stop in enumerate((5, 4, 3)):  # where the last [SEP] stands
            pairs = [
                (scores[n, i, 0] + scores[n, j, 1], [i, j])
                for i in range(3, stop)
                for j in range(i, min(stop, i + longest))
            ]
            assert none[n] == pytest.approx(scores[n, 0].sum())
            assert (score[n], spans[n].tolist()) == (max(pairs) if pairs else (-np.inf, [0, 0]))


@pytest.mark.parametrize("wrong", [[1, 6], [3, 2], [-1, 2]])
def test_a_span_outside_the_text_is_told(wrong):
    task, params, x, y = _example("span")
    with pytest.raises(ValueError, match=r"first <= last < 6, found .* in row 1"):
        task.loss(params.tree, x, np.array([y[0], wrong, y[2]]))


def test_labels_outside_the_classes_are_told():
    for kind in ("cls", "causal"):
        task, params, x, _ = _example(kind)
        with pytest.raises(ValueError, match="classes 0 to 2, found 0 to 3"):
            task.loss(params.tree, x, np.array([0, 3, 1]))
    task, params, x, y = _example("tags")
    with pytest.raises(ValueError, match="of shape"):
        task.loss(params.tree, x, y[:, 1:])


# rows ---------------------------------------------------------------------------------------------

WORDS = WordPiece([*SPECIALS, *"abcdefgh", *(f"##{c}" for c in "abcdefgh"), "?", "ab"])


def _pieces(ids):
    return " ".join(WORDS.tokens[i] for i in ids)


def test_a_tag_stands_at_the_first_piece_of_its_word():
    data = Tagged([["abc", "d", "ef"]], [["B-x", "O", "I-x"]])
    rows = labelled_rows.tagged(data, WORDS, longest=20, tags=("O", "B-x", "I-x"))
    assert _pieces(rows.ids[0][0]) == "[CLS] ab ##c d e ##f [SEP]"
    assert rows.y[0].tolist() == [-1, 1, -1, 0, 2, -1, -1]
    short = labelled_rows.tagged(data, WORDS, longest=5, tags=("O", "B-x", "I-x"))
    assert _pieces(short.ids[0][0]) == "[CLS] ab ##c d [SEP]" and short.y[0].tolist()[-1] == -1
    (ids, _, mask), y = rows.batch([0, 0])
    assert ids.shape == y.shape == mask.shape == (2, 7) and mask.all()
    with pytest.raises(ValueError, match="found 'I-y' in sentence 0"):
        tags = [["B-x", "O", "I-y"]]
        labelled_rows.tagged(Tagged(data.words, tags), WORDS, longest=9, tags=("O", "B-x"))
    with pytest.raises(ValueError, match="expected 3 in sentence 0, one a word, found 2"):
        labelled_rows.tagged(Tagged(data.words, [["O", "O"]]), WORDS, longest=9, tags=("O",))


def _asked(passage, *answers):
    return Questions([Question("q", "a b?", passage, answers)])


def test_a_long_passage_is_read_in_windows():
    passage = "a b c d E f g h a b"
    data = _asked(passage, ("d E", 6))
    rows = labelled_rows.questions(data, WORDS, longest=10, stride=2, outside="cls")
    assert [_pieces(ids[5:-1]) for ids in rows.ids[0]] == [
        "a b c d",
        "c d e f",
        "e f g h",
        "g h a b",
    ]
    assert _pieces(rows.ids[0][0][:5]) == "[CLS] a b ? [SEP]"
    assert rows.segments[0][0].tolist() == [0] * 5 + [1] * 5
    assert rows.y.tolist() == [[0, 0], [6, 7], [0, 0], [0, 0]]
    (start, _), (_, stop) = rows.places[1][rows.y[1]]
    assert passage[start:stop] == "d E"
    only = labelled_rows.questions(data, WORDS, longest=10, stride=2, outside="drop")
    assert only.y.tolist() == [[6, 7]] and only.of.tolist() == [0]
    none = labelled_rows.questions(_asked(passage), WORDS, longest=30, stride=9, outside="cls")
    assert none.y.tolist() == [[0, 0]] and len(none.ids[0][0]) == 16


@pytest.mark.parametrize("answer", [("a", 19), ("", 0), ("a b", -1), ("abcdef", 16)])
def test_an_answer_outside_the_passage_is_told(answer):
    with pytest.raises(ValueError, match="of question 'q'|in question 'q'"):
        data = _asked("a b c d E f g h a b", answer)
        labelled_rows.questions(data, WORDS, longest=30, stride=9, outside="cls")


def test_prompts_of_gpt():
    words = Characters("abc")
    texts = Sentences([("ab",), ("abcabc", "b")], np.array([0, 1]), ("no", "yes"))
    rows = labelled_rows.prompts(texts, words, longest=7)
    assert [ids.tolist() for ids in rows.ids[0]] == [[3, 0, 1, 5], [3, 0, 1, 2, 4, 1, 5]]
    short = labelled_rows.prompts(texts, words, longest=5)
    assert [ids.tolist() for ids in short.ids[0]] == [[3, 0, 1, 5], [3, 0, 4, 1, 5]]


def test_every_row_once_an_epoch_and_batches_of_like_length():
    lengths = np.random.default_rng(0).integers(3, 60, 1003)
    order = finetune._Order(lengths, 16, seed=4)
    epochs = [[order(k) for k in range(e * 63, (e + 1) * 63)] for e in range(2)]
    for batches in epochs:
        assert np.array_equal(np.sort(np.concatenate(batches)), np.arange(1003))
        padded = sum(lengths[b].max() * len(b) for b in batches)
        assert padded < 1.1 * lengths.sum()
    assert not np.array_equal(epochs[0][0], epochs[1][0])
    again = finetune._Order(lengths, 16, seed=4)
    assert np.array_equal(again(70), order(70))


# from weights and labels to a model ---------------------------------------------------------------


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder with a small random encoder, and one with a small random decoder."""
    pytest.importorskip("safetensors", reason="needs the extra 'weights'")
    root = tmp_path_factory.mktemp("weights")
    letters = Characters("abcdefgh ?")
    for name, words, model in (
        ("bert", WORDS, bert(len(WORDS), 16, 2, 2, 32)),
        ("gpt", letters, gpt2(len(letters), 16, 2, 2, 32)),
    ):
        params = Params(model.spec(), np.random.default_rng(0))
        save_pretrained(root / name, model, params)
        save_tokenizer(root / name, words)
    return root


def test_published_weights_are_opened_by_name(weights, tmp_path, monkeypatch):
    """Where no folder has the name; a folder that has it comes first; hashes are compared."""
    from npssl.data.addresses import SETS
    from npssl.data.sets import DataSet, File, Source

    def known(weights_hash):
        nowhere = Source(("http://127.0.0.1:9/",), None, None)
        files = (
            File("weights", "model.safetensors", nowhere, sha256=weights_hash),
            File("config", "config.json", nowhere),
            File("vocabulary", "vocab.txt", nowhere),
        )
        monkeypatch.setitem(SETS, "toy", DataSet("toy", "", "", "", files, "toy"))

    shutil.copytree(weights / "bert", tmp_path / "data" / "toy")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("NPSSL_DATA", str(tmp_path / "data"))
    known(hashlib.sha256((weights / "bert" / "model.safetensors").read_bytes()).hexdigest())
    expected = npssl.load_pretrained(weights / "bert")[1].flat
    assert np.array_equal(npssl.load_pretrained("toy")[1].flat, expected)
    assert npssl.SentenceEncoder("toy").embed(["a b"]).shape == (1, 16)
    with pytest.raises(ValueError, match="toy/model.safetensors: no head for hidden words"):
        npssl.FillMask("toy")
    parts = _parts("classes")
    assert fine_tune(parts, "toy", limit=8, epochs=1, **SETTINGS).predict(parts["test"])
    known("0" * 64)
    with pytest.raises(ValueError, match="model.safetensors: expected sha256 0000"):
        npssl.load_pretrained("toy")
    (tmp_path / "here" / "toy").mkdir()
    with pytest.raises(ValueError, match="toy/config.json: no such file"):
        npssl.load_pretrained("toy")


def _parts(kind, n=96):
    """A task that can be learnt from few examples: does the text have an "a", where is it?"""
    rng = np.random.default_rng(0)
    made = {}
    for part, size in (("train", n), ("dev", 24), ("test", 12)):
        texts = [
            [str(w) for w in rng.choice(list("bcdefgh"), rng.integers(2, 6))] for _ in range(size)
        ]
        with_a = rng.random(size) < 0.5
        at = [int(rng.integers(0, len(t))) for t in texts]
        for text, there, i in zip(texts, with_a, at):
            if there or kind in ("span",):
                text[i] = "a"
        lines = [" ".join(t) for t in texts]
        if kind in ("classes", "causal"):
            made[part] = Sentences([(t,) for t in lines], with_a.astype(int), ("no", "yes"))
        elif kind == "score":
            made[part] = Sentences([(t,) for t in lines], 2 + 3.0 * with_a, None)
        elif kind == "cosine":
            same = rng.random(size) < 0.5
            others = [t if s else "h g h" for t, s in zip(lines, same)]
            made[part] = Sentences(list(zip(lines, others)), 5.0 * same, None)
        elif kind == "tags":
            made[part] = Tagged(texts, [["B-a" if w == "a" else "O" for w in t] for t in texts])
        else:
            rows = [
                Question(str(n), "b?", line, (("a", line.index("a")),))
                for n, line in enumerate(lines)
            ]
            made[part] = Questions(rows)
    return made


SETTINGS = dict(lr=1e-2, batch=8, progress=False, longest=24)
ENOUGH = {"classes": 0.9, "causal": 0.9, "score": 0.7, "cosine": 0.7, "tags": 0.9, "span": 0.9}


@pytest.mark.parametrize("kind", ENOUGH)
def test_it_learns_and_comes_back_from_its_folder(kind, weights, tmp_path):
    parts = _parts(kind, 192 if kind == "causal" else 96)
    folder = weights / ("gpt" if kind == "causal" else "bert")
    epochs = 12 if kind == "causal" else 6
    model = fine_tune(parts, folder, epochs=epochs, run=tmp_path / "out", **SETTINGS)
    taught = model.taught
    assert taught["kind"] == kind and taught["scores"]["dev"][taught["measure"]] >= ENOUGH[kind]
    assert taught["epoch"] == 1 + np.argmax(taught["history"])
    assert taught["scores"]["dev"][taught["measure"]] == max(taught["history"])
    again = FineTuned.load(tmp_path / "out")
    assert again.predict(parts["test"]) == model.predict(parts["test"])
    assert again.evaluate(parts["test"]) == taught["scores"]["test"]
    assert again.taught == taught
    if kind == "score":
        found = again.predict(parts["test"])
        assert min(found) > 1 and max(found) < 6  # in the units of the labels


def test_questions_without_an_answer(weights):
    parts = _parts("span")
    for part in parts.values():
        for n in range(0, len(part), 2):
            q = part.rows[n]
            part.rows[n] = q._replace(passage=q.passage.replace("a", "b"), answers=())
    model = fine_tune(parts, weights / "bert", epochs=6, **SETTINGS)
    assert model.taught["none"] and model.taught["scores"]["dev"]["exact"] >= 0.9
    found = model.predict(parts["test"])
    assert set(found) == {"", "a"} and model.evaluate(parts["test"])["exact"] >= 0.9


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_frozen_weights_stay_and_random_ones_are_forgotten(pool, weights):
    parts, before = _parts("classes"), npssl.load_pretrained(weights / "bert")[1]
    given = dict(epochs=1, pool=pool, **SETTINGS)

    def table(**options):
        model = fine_tune(parts, weights / "bert", **given, **options)
        return model.params.views["encoder.token"], model.params.views["head.w"]

    frozen, head = table(freeze=True)
    assert np.array_equal(frozen, before.views["token"]) and head.any()
    slow = dict(lr=0.0) | {k: v for k, v in given.items() if k != "lr"}
    random = fine_tune(parts, weights / "bert", **slow, random_weights=True, seed=1)
    assert abs(random.params.views["encoder.token"] - before.views["token"]).max() > 0.01


def test_the_pooler_that_was_trained_is_used(weights, tmp_path):
    shutil.copytree(weights / "bert", tmp_path / "bert")
    path = tmp_path / "bert" / "model.safetensors"
    pool = np.arange(256, dtype=np.float32).reshape(16, 16) / 256
    tensors = load_arrays(path) | {"pooler.dense.weight": pool, "pooler.dense.bias": pool[0]}
    save_arrays(path, tensors)
    still = SETTINGS | dict(lr=0.0, epochs=1, pool="cls")
    found = fine_tune(_parts("classes"), tmp_path / "bert", **still).params.views
    assert np.array_equal(found["pool.w"], pool.T) and np.array_equal(found["pool.b"], pool[0])
    save_arrays(path, tensors | {"pooler.dense.weight": pool[:8]})
    with pytest.raises(FileError, match=r"pooler.dense.weight: expected shape \(16, 16\)"):
        fine_tune(_parts("classes"), tmp_path / "bert", **still)


def test_layers_below_move_less(weights):
    before = npssl.load_pretrained(weights / "bert")[1].views
    given = SETTINGS | dict(lr=1e-3, epochs=1, decay=0.0)
    found = fine_tune(_parts("classes"), weights / "bert", layer_decay=0.1, **given).params.views

    def moved(name):
        return abs(found[f"encoder.{name}"] - before[name]).max()

    top, low, words = (
        moved("blocks.1.ffn.up.w"),
        moved("blocks.0.ffn.up.w"),
        max(moved(name) for name in ("token", "position", "norm.gain")),
    )
    assert 5 * low < top and 5 * words < low and words > 0


def test_it_stops_when_dev_says_so(weights):
    given = SETTINGS | dict(lr=0.0, epochs=9, patience=2)  # nothing moves: the first is best
    model = fine_tune(_parts("classes"), weights / "bert", **given)
    assert model.taught["epoch"] == 1 and len(model.taught["history"]) == 3
    model = fine_tune(_parts("classes"), weights / "bert", scorings=4, **given)
    assert model.taught["epoch"] == 0.25 and len(model.taught["history"]) == 1 + 2 * 4


def test_dev_is_scored_as_often_as_asked(weights):
    how = SETTINGS | dict(epochs=3, patience=9)
    found = [fine_tune(_parts("classes"), weights / "bert", scorings=n, **how) for n in (1, 5)]
    once, often = (model.taught["history"] for model in found)
    assert len(often) == 15 and often[4::5] == once  # the training is the same
    assert found[1].taught["scores"]["dev"]["accuracy"] == max(often)
    assert found[1].taught["epoch"] == (1 + np.argmax(often)) / 5


@pytest.mark.parametrize("cut", [5, 24, 30])
def test_stopped_and_resumed_is_the_same_to_the_byte(cut, weights, tmp_path, monkeypatch):
    parts = _parts("classes")
    given = dict(epochs=3, patience=1, scorings=2, **SETTINGS)
    whole = fine_tune(parts, weights / "bert", run=tmp_path / "whole", **given)
    real = finetune.train

    def stopped(step, state, *, steps, run):
        for done, row in real(step, state, steps=steps, run=run):
            yield done, row
            if done == cut:
                run.save(state, done)
                raise KeyboardInterrupt

    monkeypatch.setattr(finetune, "train", stopped)
    with contextlib.suppress(KeyboardInterrupt):
        fine_tune(parts, weights / "bert", run=tmp_path / "cut", **given)
    monkeypatch.setattr(finetune, "train", real)
    resumed = fine_tune(parts, weights / "bert", run=tmp_path / "cut", resume=True, **given)
    assert resumed.params.flat.tobytes() == whole.params.flat.tobytes()
    assert resumed.taught == whole.taught


def _changed(parts, part, **new):
    return {**parts, part: replace(parts[part], **new)}


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (lambda p: {"train": p["train"]}, {}, "a part 'dev'"),
        (
            lambda p: {**p, "dev": _parts("tags")["dev"]},
            {},
            "texts with classes as in train, found Tagged in dev",
        ),
        (lambda p: _changed(p, "train", y=p["train"].y + 1), {}, "classes 0 to 1, found 1 to 2"),
        (lambda p: _changed(p, "dev", classes=("yes", "no")), {}, "expected the classes"),
        (
            lambda p: {**p, "dev": _parts("score")["dev"]},
            {},
            "classes as in train, found .* scores",
        ),
        (
            lambda p: {**_parts("score"), "dev": _parts("cosine")["dev"]},
            {},
            "texts .*, found pairs",
        ),
        (lambda p: p, {"lr": -1.0}, "lr: expected 0 <= lr"),
        (lambda p: p, {"pool": "max"}, "pool"),
        (lambda p: p, {"pool": "cosine"}, "pairs with scores"),
        (lambda p: p, {"longest": 33}, "context of 32, found 33"),
        (lambda p: p, {"epochs": 0}, "epochs"),
        (lambda p: p, {"layer_decay": 1.5}, "layer_decay"),
        (lambda p: p, {"warmup": 1.0}, "warmup"),
        (lambda p: p, {"limit": 0}, "limit"),
        (lambda p: _parts("cosine"), {"freeze": True}, "freeze"),
        (lambda p: _parts("tags"), {"pool": "cls"}, "no choice"),
        (lambda p: "mnli", {}, "expected one of sst2"),
    ],
)
def test_what_cannot_be_is_told(change, options, said, weights, tmp_path):
    with pytest.raises(ValueError, match=said):
        given = SETTINGS | dict(epochs=1) | options
        fine_tune(change(_parts("classes", 16)), weights / "bert", run=tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_what_does_not_fit_the_weights_is_told(weights, tmp_path):
    parts = _parts("classes", 8)
    shutil.copytree(weights / "bert", tmp_path / "bert")
    WordPiece(WORDS.tokens[:-1]).save(tmp_path / "bert" / "vocab.txt")
    with pytest.raises(FileError, match=f"{len(WORDS) - 1} tokens, but the weights have"):
        fine_tune(parts, tmp_path / "bert", **SETTINGS)
    (tmp_path / "bert" / "vocab.txt").unlink()
    Characters("abc").save(tmp_path / "bert" / "characters.json")
    with pytest.raises(FileError, match="expected vocab.txt"):
        fine_tune(parts, tmp_path / "bert", **SETTINGS)
    with pytest.raises(ValueError, match="decoder learns classes"):
        fine_tune(_parts("tags"), weights / "gpt", **SETTINGS)
    with pytest.raises(FileError, match="no such file"):
        fine_tune(parts, tmp_path / "nowhere", **SETTINGS)


def test_a_broken_folder_is_told(weights, tmp_path):
    parts, out = _parts("classes", 16), tmp_path / "out"
    model = fine_tune(parts, weights / "bert", epochs=1, run=out, **SETTINGS)
    with pytest.raises(ValueError, match="expected Sentences for classes, found Tagged"):
        model.evaluate(_parts("tags")["dev"])
    head, told = load_arrays(out / "head.npz"), (out / "task.json").read_text()
    for wrong, said in (
        ({"head.w": head["head.w"]}, r"head.npz: tensors missing \[.head.b.\]"),
        ({**head, "head.w": head["head.w"].T}, "head.w: expected shape"),
        ({**head, "head.w": head["head.w"] * np.float32("nan")}, "head.w: .* not finite"),
        ({**head, "head.b": head["head.b"].astype(int)}, "head.b: .* found int64"),
        ({**head, "x": head["head.b"]}, r"head.npz: .* unexpected \[.x.\]"),
    ):
        save_arrays(out / "head.npz", wrong)
        with pytest.raises(FileError, match=said):
            FineTuned.load(out)
    save_arrays(out / "head.npz", head)
    number = told.replace('"longest": 24', '"longest": "24"')
    for junk in ("{", "[]", "{}", told.replace('"classes"', '"klasses"'), number):
        (out / "task.json").write_text(junk)
        with pytest.raises(FileError, match="task.json: does not tell"):
            FineTuned.load(out)
    with pytest.raises(FileError, match="no folder of a fine-tuned model"):
        FineTuned.load(weights / "bert")


# commands -----------------------------------------------------------------------------------------


def test_the_commands(weights, tmp_path, capsys):
    for part, data in _parts("classes").items():
        rows = [f"{t}\t{data.classes[y]}" for (t,), y in zip(data.texts, data.y)]
        (tmp_path / f"{part}.tsv").write_text("\n".join(["sentence\tlabel", *rows]) + "\n")
    own = [s for p in ("train", "dev", "test") for s in (f"--{p}", str(tmp_path / f"{p}.tsv"))]
    out = str(tmp_path / "out")
    said = ["finetune", *own, "--model", str(weights / "bert"), "--out", out, "--lr", "1e-2"]
    said += ["--batch", "8", "--longest", "24", "--epochs", "4", "--json"]
    assert main(said) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["dev"]["accuracy"] >= 0.9
    assert main(said) == 2 and "already holds a run" in capsys.readouterr().err
    assert main([*said, "--resume"]) == 0
    assert json.loads(capsys.readouterr().out) == found
    answers = tmp_path / "answers.txt"
    said = ["evaluate", "--model", out, "--file", str(tmp_path / "test.tsv"), "--out", str(answers)]
    assert main([*said, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["file"] == found["test"]
    assert set(answers.read_text().split()) == {'"no"', '"yes"'}
    assert main(["evaluate", "--model", out]) == 2
    assert "own files" in capsys.readouterr().err
    assert main(["finetune", "--model", out]) == 2
    assert "--task" in capsys.readouterr().err


TEXTS, PAIRS = "sentence\tlabel\n", "sentence1\tsentence2\tscore\n"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.tsv", TEXTS + "a b\tyes\nc\n", "a.tsv: line 3: expected 2 columns, found 1"),
        ("a.tsv", TEXTS + "a b\tyes\n\n", "a.tsv: line 3: expected 2 columns, found 1"),
        ("a.tsv", TEXTS + "a\tyes\nb\t\n", "a.tsv: line 3: expected a label, found none"),
        ("a.tsv", TEXTS, "a.tsv: holds no sentences"),
        ("a.tsv", "", "a.tsv: is empty"),
        ("a.tsv", PAIRS + "a\tb\tmuch\n", "a.tsv: line 2: expected a number, found 'much'"),
        ("a.tsv", PAIRS + "a\tb\t1\n", "pairs with scores as in train, found texts"),
        ("a.tsv", TEXTS + "a\tno\n", "dev.tsv: line 2: expected one of the classes no"),
        ("a.conll", "a\tB-x\nb x\n", "a.conll: line 2: expected 'word TAB tag'"),
        ("a.conll", "a\tO\n", "found texts with classes in dev"),
        ("a.json", "{}", "a.json: data: is not as in SQuAD"),
        ("a.txt", "a\n", "expected a name in .tsv, .conll or .json, found 'a.txt'"),
        ("none/a.tsv", None, "a.tsv: no such file"),
    ],
)
def test_broken_own_files_cost_one_line(name, text, said, weights, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / name).write_text(text)
    (tmp_path / "dev.tsv").write_text(TEXTS + "a\tyes\nb\tno\n")
    model = ["--model", str(weights / "bert"), "--longest", "24"]
    assert main(["finetune", "--train", name, "--dev", "dev.tsv", *model, "--out", "out"]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if "compiling" not in line]
    assert len(told) == 1 and told[0].startswith("npssl: ") and said in told[0]
    assert not (tmp_path / "out").exists()


def test_texts_without_a_known_sign_are_texts(weights):
    """Empty ones, and such of unknown characters alone, can be learnt from and asked."""
    strange = [("",), ("☃",), ("\u200b",), ("☃ " * 100,)]
    for kind in ("classes", "score"):
        parts, y = _parts(kind, 16), np.arange(4) % 2
        parts["test"] = replace(parts["test"], texts=strange, y=y if kind == "classes" else y * 1.0)
        model = fine_tune(parts, weights / "bert", epochs=1, **SETTINGS)
        assert np.isfinite(model.predict(parts["test"])).all()
    parts = _parts("tags", 16)
    parts["test"] = Tagged([["\u200b", "☃", "a"], ["☃"]], [["O", "B-a", "O"], ["O"]])
    model = fine_tune(parts, weights / "bert", epochs=1, **SETTINGS)
    assert [len(tags) for tags in model.predict(parts["test"])] == [3, 1]
    parts = _parts("span", 16)
    parts["test"] = Questions([Question("1", "☃", "", ()), Question("2", "", "☃ a", (("☃", 0),))])
    model = fine_tune(parts, weights / "bert", epochs=1, **SETTINGS)
    assert model.predict(parts["test"])[0] == ""


def test_glue_mini(weights, shared_data, capsys):
    folder = str(shared_data("trec").parent)
    said = ["glue-mini", "--model", str(weights / "bert"), "--data", folder, "--longest", "16"]
    said += ["--task", "trec", "--limit", "32", "--epochs", "1", "--seeds", "2"]
    assert main([*said, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    cell = found["tasks"]["trec"]["dev"]["accuracy"]
    assert len(cell["runs"]) == 2 and cell["mean"] == pytest.approx(np.mean(cell["runs"]))
    assert cell["sd"] == pytest.approx(np.std(cell["runs"], ddof=1))
    assert found["average"]["dev"] == pytest.approx(cell["mean"])


def test_glue_mini_goes_on(weights, shared_data, tmp_path, monkeypatch, capsys):
    """A table that was stopped trains only what is missing, and gives the same table."""
    folder = str(shared_data("trec").parent)
    said = ["glue-mini", "--model", str(weights / "bert"), "--data", folder, "--longest", "16"]
    said += ["--task", "trec", "--limit", "32", "--epochs", "1", "--json"]
    kept, trained = ["--out", str(tmp_path / "table")], []

    @wraps(fine_tune)  # its options are the command's
    def counted(*data, seed, **how):
        if seed in trained:
            raise AssertionError(f"seed {seed} was trained twice")
        if seed == 2:
            raise KeyboardInterrupt
        trained.append(seed)
        return fine_tune(*data, seed=seed, **how)

    assert main([*said, "--seeds", "2"]) == 0
    once = json.loads(capsys.readouterr().out)
    monkeypatch.setattr("npssl.jobs.finetune.fine_tune", counted)
    assert main([*said, *kept, "--seeds", "3"]) == 130
    assert main([*said, *kept, "--seeds", "2"]) == 2  # what is there is not overwritten
    assert main([*said, *kept, "--resume", "--seeds", "2", "--lr", "1"]) == 2  # nor mixed up
    capsys.readouterr()
    assert main([*said, *kept, "--resume", "--seeds", "2"]) == 0
    assert json.loads(capsys.readouterr().out) == once and trained == [0, 1]


def test_the_average_is_of_tasks_not_of_measures():
    from npssl.cli.glue_mini import _average

    cells = {"trec": {"accuracy": 1.0}, "stsb": {"pearson": 0.4, "spearman": 0.2}}
    table = {
        task: {"dev": {m: {"mean": v} for m, v in found.items()}} for task, found in cells.items()
    }
    assert _average(table, "dev") == pytest.approx((1.0 + 0.3) / 2)
