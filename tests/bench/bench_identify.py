"""Identification beside fastText's own predict, µs a text on one core, and the ratio: medians of paired runs.

`python tests/bench/bench_identify.py MODEL…` takes fastText model files, by default lid.176.ftz; those of
`train_language_models.py` have the layouts of OpenLID and GlotLID. Captions are cc3m's where the folder of real data is
at hand (SHARED_DATA), else made of the sample's words. Each run begins with a table that knows the dictionary alone, as
a worker does; "again" is the same batch a second time.
"""

import statistics
import sys
import time
from pathlib import Path
from random import Random

import fasttext
import pyarrow as pa
from language_texts import DATA, ROOT, cc3m, links, wit

sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from curation.language.engines import Identifier, default_model, opened_engine

RUNS = 9
MOST_SECONDS = 60  # that fastText may take for one kind of texts; then fewer runs


def corpora() -> dict[str, list[str]]:
    if not DATA.is_dir():
        from tests.sample.texts import sentence

        return {f"sample {code}": [sentence(code, Random(i)) for i in range(20_000)] for code in ("en", "de", "ja")}
    return {kind.__name__: [text.replace("\n", " ") for _, text in kind()] for kind in (cc3m, wit, links)}


def fasttexts(path: Path) -> dict:
    """Return fastText's two ways of answering a list of texts."""
    model = fasttext.load_model(str(path)).f
    return {
        "one by one": lambda texts: [model.predict(text + "\n", 1, 0.0, "strict") for text in texts],
        "batch": lambda texts: model.multilinePredict([text + "\n" for text in texts], 1, 0.0, "strict"),
    }


def seconds(run, texts) -> float:
    start = time.process_time()  # of this process alone, whatever else the machine does
    run(texts)
    return time.process_time() - start


def compare(name: str, texts: list[str], path: Path, ways: dict) -> None:
    """Print one corpus: the faster of fastText's ways, the engine, and the whole of Identifier.identify."""
    column, count = pa.array(texts, pa.large_string()), len(texts)
    runs = max(1, min(RUNS, int(MOST_SECONDS / 2 / seconds(ways["batch"], texts[:500]) * 500 / count)))
    times = []
    for _ in range(runs):
        engine, whole = opened_engine(path), Identifier(path, opened_engine(path))
        theirs = min(seconds(way, texts) for way in ways.values())
        first, again = seconds(engine.predict, column), seconds(engine.predict, column)
        times.append((theirs, first, again, seconds(whole.identify, column)))
    theirs, first, again, whole = (1e6 * statistics.median(each) / count for each in zip(*times, strict=True))
    ratio, ratio_again = (statistics.median(each[0] / each[k] for each in times) for k in (1, 2))
    print(
        f"{name:13} {count:6} texts {runs} runs  fastText {theirs:6.2f}  engine {first:6.3f}  again {again:6.3f}  "
        f"identify {whole:6.3f}  ratio {ratio:5.1f}, again {ratio_again:5.1f}",
        flush=True,
    )


def main() -> None:
    for path in [Path(each) for each in sys.argv[1:]] or [default_model()]:
        start = time.perf_counter()
        opened_engine(path).predict(pa.array(["the first text"]))
        print(
            f"{path.name}: ready after {time.perf_counter() - start:.2f} s (compiled now, or read from Numba's cache)"
        )
        start = time.perf_counter()
        opened_engine(path)
        print(f"the model's file is read in {1e3 * (time.perf_counter() - start):.0f} ms")
        ways = fasttexts(path)
        for name, texts in corpora().items():
            compare(name, texts, path, ways)


if __name__ == "__main__":
    main()
