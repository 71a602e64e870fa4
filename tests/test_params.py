import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npssl.errors import FileError
from npssl.params import ALIGN, Params, normal, ones, save_arrays, zeros


def spec():
    return dict(bias=zeros(3), blocks=[dict(w=normal(2, 3), gain=ones(2)) for _ in range(2)])


def test_matrices_come_first_and_views_share_memory():
    p = Params(spec(), np.random.default_rng(0))
    assert [*p.views][:2] == ["blocks.0.w", "blocks.1.w"] and p.decayed == 12
    p.tree.blocks[1].w += 1
    assert np.shares_memory(p.flat, p.tree.blocks[1].w)
    np.testing.assert_array_equal(p.flat[6:12], p.views["blocks.1.w"].ravel())
    assert p.flat.ctypes.data % ALIGN == 0 and p.zeros().flat.ctypes.data % ALIGN == 0


def test_rebinding_a_view_raises():
    p = Params(spec())
    with pytest.raises(AttributeError, match="detach"):
        p.tree.bias = np.zeros(3)
    with pytest.raises(AttributeError, match="no parameter 'weight'"):
        _ = p.tree.weight


def test_frozen_parts_are_outside_of_trainable():
    p = Params(spec(), frozen=["blocks.0"])
    allowed = np.zeros(p.flat.size, bool)
    for s in p.trainable:
        allowed[s] = True
    q = p.over(allowed.astype(np.float32))
    assert not q.views["blocks.0.w"].any() and not q.views["blocks.0.gain"].any()
    assert q.views["blocks.1.w"].all() and q.views["bias"].all()
    with pytest.raises(ValueError, match="frozen.*block'"):
        Params(spec(), frozen=["block"])


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@given(seed=st.integers(0, 2**32 - 1), double=st.booleans())
def test_save_and_load_by_name(tmp_path_factory, suffix, seed, double):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    path = tmp_path_factory.mktemp("p") / f"weights{suffix}"
    dtype = np.float64 if double else np.float32
    p = Params(spec(), np.random.default_rng(seed), dtype=dtype)
    p.save(path)
    reordered = dict(reversed(spec().items()))  # another layout, the same names
    q = Params(reordered, dtype=dtype).load(path)
    assert all(np.array_equal(p.views[n], q.views[n]) for n in p.views)
    p.save(path)  # over an existing file
    assert [f.name for f in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_load_refuses_what_does_not_fit_and_changes_nothing(tmp_path, suffix):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    path = tmp_path / f"w{suffix}"
    Params(dict(a=ones(2), b=ones(3))).save(path)
    for other, said in (
        (dict(a=ones(2)), r"unexpected \['b'\]"),
        (dict(a=ones(2), b=ones(3), c=ones(1)), r"missing \['c'\]"),
        (dict(a=ones(2), b=ones(4)), r"b: expected shape \(4,\), found \(3,\)"),
    ):
        p = Params(other, np.random.default_rng(0))
        with pytest.raises(FileError, match=said):
            p.load(path)
        assert (p.flat == 1).all()
    for a, said in ((np.ones(2, int), "a: .* found int64"), (np.array([1, np.nan]), "not finite")):
        save_arrays(path, {"a": a, "b": np.ones(3)})
        with pytest.raises(FileError, match=said):
            Params(dict(a=ones(2), b=ones(3))).load(path)
    whole = path.read_bytes()
    for cut in (0, 1, 7, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(FileError, match=path.name):
            Params(dict(a=ones(2), b=ones(3))).load(path)
    with pytest.raises(FileError, match="no such file"):
        p.load(tmp_path / f"none{suffix}")
    with pytest.raises(ValueError, match="safetensors or"):
        p.save(tmp_path / "w.pkl")


def test_pickles_are_refused(tmp_path):
    path = tmp_path / "w.npz"
    np.savez(path, a=np.array([{}], dtype=object))
    with pytest.raises(FileError, match="pickle"):
        Params(dict(a=ones(1))).load(path)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w.npz"
    p = Params(dict(a=ones(2)), np.random.default_rng(0))
    p.save(path)
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        p.save(path)
    assert path.read_bytes() == before and len([*tmp_path.iterdir()]) == 1
