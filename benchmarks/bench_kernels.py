"""What each kernel earns against its page: the same call with NPSSL_NUMBA=1 and 0.

    python benchmarks/bench_kernels.py

The kernels of skip-gram have a benchmark of their own, bench_ladder.py, as have those
that read text, bench_text.py.  Rows count only after both results agree.
"""

import os
import time

import common
import numpy as np


def adamw(rng):
    from npssl.optim import AdamW
    from npssl.params import Params, normal

    p = Params({"w": normal(1000, 2000)}, rng)
    g, optimizer = p.zeros(), AdamW(p)
    g.flat[:] = rng.standard_normal(g.flat.size)

    def call():
        optimizer.step(p, g, 1e-3)
        return p.flat

    return "AdamW, 2 million parameters", call


def embedding_back(rng):
    from npssl.layers.embedding import embedding

    table = rng.standard_normal((30_000, 128)).astype(np.float32)
    _, back = embedding(table, ids=rng.integers(0, len(table), 8192))
    dy = rng.standard_normal((8192, 128)).astype(np.float32)
    return "embedding's back, 8,192 ids x 128 into 30,000 rows", lambda: back(dy)


def subword_bags(rng):
    from npssl.data.subwords import bags

    letters = np.array(list("etaoinshrdlucm"))
    words = sorted({"".join(rng.choice(letters, rng.integers(3, 12))) for _ in range(5000)})
    return f"n-grams of {len(words):,} words", lambda: bags(words)[1]


def subword_vectors(rng):
    from npssl.data.subwords import compose

    table = rng.standard_normal((50_000, 100)).astype(np.float32)
    start = np.append(0, rng.integers(1, 30, 20_000).cumsum())
    rows = rng.integers(0, len(table), start[-1]).astype(np.int32)
    return "vectors of 20,000 words from n-grams", lambda: compose(table, start, rows)


def seconds(call, least=0.3):
    """Median time of a call, warm."""
    call()
    times, end = [], time.perf_counter() + least
    while len(times) < 3 or time.perf_counter() < end:
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return common.median(times)


def main():
    rows = []
    for case in (adamw, embedding_back, subword_bags, subword_vectors):
        took, results = {}, []
        for switch in ("0", "1"):
            os.environ["NPSSL_NUMBA"] = switch
            name, call = case(np.random.default_rng(0))
            results.append(np.array(call()))
            took[switch] = seconds(call)
        np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-6)
        rows.append(
            {
                "kernel": name,
                "page ms": took["0"] * 1e3,
                "kernel ms": took["1"] * 1e3,
                "times": took["0"] / took["1"],
            }
        )
    common.table(rows, ["kernel", "page ms", "kernel ms", "times"])
    common.save("kernels", {"rows": rows})


if __name__ == "__main__":
    main()
