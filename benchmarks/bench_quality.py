"""Is the speed bought?  Word vectors of npssl and of gensim on one text, several seeds.

    python benchmarks/bench_quality.py                     the table of the README
    python benchmarks/bench_quality.py --dims 100 --samples 1e-4 --seeds 1 2 3 4 5

Spearman correlations on WordSim-353 and SimLex-999 and accuracy on the Google
analogies (all words as candidates): means over the seeds with the standard
deviation.  What was trained before stays in results/quality and is not trained
again.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import common

PAIRS = {"WordSim-353": "wordsim-353/all", "SimLex-999": "simlex-999"}
ANALOGIES = "analogies"


def scores(path):
    from npssl import WordVectors
    from npssl.data import sets

    wv = WordVectors.load(path)
    found = {}
    for label, name in PAIRS.items():
        result = wv.evaluate_word_pairs(sets.path(name), restrict_vocab=None)
        found[label] = float(result[1][0])
    found["analogies"] = float(
        wv.evaluate_word_analogies(sets.path(ANALOGIES), restrict_vocab=None)[0]
    )
    return found


def train_and_score(program, options):
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "vectors.bin")
        call = [sys.executable, str(common.HERE / "trainers.py"), program]
        done = subprocess.run(
            [*call, json.dumps({**options, "out": out})], capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"{program} failed: {done.stderr[-2000:]}")
        return scores(out)


def main():
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("--programs", nargs="+", default=["gensim", "npssl"])
    ask.add_argument("--models", nargs="+", default=["skip-gram"])
    ask.add_argument("--dims", nargs="+", type=int, default=[100, 300])
    ask.add_argument("--samples", nargs="+", type=float, default=[1e-4, 1e-3])
    ask.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    ask.add_argument("--objective", default="negative-sampling")
    ask.add_argument("--variant", default=None, help="of npssl")
    ask.add_argument("--epochs", type=int, default=5)
    ask.add_argument("--threads", type=int, default=2)
    a = ask.parse_args()
    text = common.corpus()
    kept = common.RESULTS / "quality"
    kept.mkdir(parents=True, exist_ok=True)
    rows = []
    for model in a.models:
        for dim in a.dims:
            for sample in a.samples:
                for program in a.programs:
                    found = []
                    for seed in a.seeds:
                        o = dict(
                            model=model, dim=dim, sample=sample, window=5, negative=5, min_count=5
                        )
                        o |= dict(
                            epochs=a.epochs, threads=a.threads, seed=seed, objective=a.objective
                        )
                        o["alpha"] = 0.05 if model == "cbow" else 0.025
                        if program == "npssl" and a.variant:
                            o["variant"] = a.variant
                        name = "-".join(str(v) for v in (program, *o.values())).replace("/", "_")
                        file = kept / f"{name}.json"
                        if not file.exists():
                            file.write_text(
                                json.dumps(train_and_score(program, o | {"corpus": str(text)}))
                            )
                        found.append(json.loads(file.read_text()))
                    row = dict(
                        model=model,
                        dim=dim,
                        sample=f"{sample:g}",
                        program=program,
                        seeds=len(found),
                    )
                    for label in found[0]:
                        values = [f[label] for f in found]
                        mean = sum(values) / len(values)
                        spread = (
                            sum((v - mean) ** 2 for v in values) / max(1, len(values) - 1)
                        ) ** 0.5
                        row[label] = f"{mean:.3f} ± {spread:.3f}"
                    rows.append(row)
                    print(row, file=sys.stderr, flush=True)
    common.table(rows, ["model", "dim", "sample", "program", "seeds", *PAIRS, "analogies"])
    common.save("quality", {"rows": rows, "epochs": a.epochs, "threads": a.threads})


if __name__ == "__main__":
    main()
