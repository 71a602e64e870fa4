"""The explicit vectors on other machines: narrow registers here, and code for Arm."""

import inspect
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))

# Run in a process of its own, because Numba chooses its target when it is imported.
CHILD = """
import sys
import numpy as np
from test_epoch_kernels import RATES, arguments, close, tables, text
from npssl.kernels import bag_gram, skip_gram
from npssl.tasks import epoch

ids = text(np.random.default_rng(1))
head, rest = arguments(ids, "negative-sampling", 5)
whole_words = np.zeros(1, np.int64), np.zeros(1, np.int32), 1, 0  # CBOW
for name, kernel, more in ("skip_gram", skip_gram, ()), ("bag_gram", bag_gram, whole_words):
    (x, y), (xp, yp) = tables(100), tables(100)
    before = x.copy()
    loss, pairs = kernel.train(*head(x, y), *rest, *more, 5, 5, *RATES)
    loss_page, pairs_page = getattr(epoch, name)(*head(xp, yp), *rest, *more, 5, 5, *RATES)
    assert pairs == pairs_page > 300 and abs(x - before).max() > 0.02
    close((x, y, loss), (xp, yp, loss_page))
    print(*kernel.train.inspect_asm().values())
"""


@pytest.fixture(scope="module")
def assembly(tmp_path_factory):
    """What the kernels become for the plainest machine of this kind, having agreed there."""
    cache = tmp_path_factory.mktemp("cache")
    paths = [HERE, os.path.dirname(HERE), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CACHE_DIR": str(cache),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    done = subprocess.run(
        [sys.executable, "-c", CHILD], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_kernels_are_their_pages_on_a_machine_with_narrow_vectors(assembly):
    assert not re.search(r"%[yz]mm\d", assembly), "this was not a test of narrow vectors"


def test_the_tile_is_fused_neon_code_on_arm():
    ir, llvm = pytest.importorskip("llvmlite.ir"), pytest.importorskip("llvmlite.binding")
    from npssl.kernels import tile

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    triple = "aarch64-unknown-linux-gnu"
    try:
        target = llvm.Target.from_triple(triple)
    except RuntimeError:
        pytest.skip("this llvmlite was built without the Arm target")

    # what the intrinsic tells Numba to emit, emitted for another machine
    define = tile.tile6._defn
    signature, codegen = define(*[None] * len(inspect.signature(define).parameters))
    kinds = [ir.FloatType() if t.name == "float32" else ir.IntType(64) for t in signature.args]
    module = ir.Module("tile")
    module.triple = triple
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), "tile6")
    b = ir.IRBuilder(function.append_basic_block())
    codegen(SimpleNamespace(get_dummy_value=lambda: None), b, signature, function.args)
    b.ret_void()

    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    code = target.create_target_machine(opt=3).emit_assembly(parsed)
    n, m = tile.INPUTS, tile.OUTPUTS
    products = re.findall(r"\bfml[as]\s+v\d+\.4s", code)
    # 16 floats are 4 registers: n m products for the scores, 2 n m less the n + m that
    # begin a sum for the update, and the polynomials
    assert len(products) >= 4 * (3 * n * m - n - m)
    assert not re.search(r"\bbl\s", code), "nothing is left to a library"


def test_kernels_older_than_a_source_are_forgotten_wherever_they_are_kept(tmp_path):
    place = tmp_path / "kernels_abc"
    place.mkdir()
    for name in ("old.nbi", "new.nbi"):
        (place / name).touch()
    os.utime(place / "old.nbi", (0, 0))
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", "import npssl.kernels.jit"], env=environment, check=True)
    assert [path.name for path in place.iterdir()] == ["new.nbi"]
