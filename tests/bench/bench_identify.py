"""Identification beside fastText's own predict, µs a text on one core, and the ratio: medians of paired runs.

Captions are cc3m's where the folder of real data is at hand (SHARED_DATA), else made of the sample's words. Each run
begins with a table that knows the dictionary alone, as a worker does; "again" is the same batch a second time.
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path
from random import Random

import fasttext
import pyarrow as pa

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from curation.inputs.files import find, read  # noqa: E402
from curation.language.fasttext_engine import LanguageModel  # noqa: E402
from curation.language.identify import Identifier, default_model  # noqa: E402

RUNS = 9
DATA = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data")) / "pairs"


def corpora() -> dict[str, list[str]]:
    if not DATA.is_dir():
        from tests.sample.texts import sentence

        return {f"sample {code}": [sentence(code, Random(i)) for i in range(20_000)] for code in ("en", "de", "ja")}
    cc3m = [line.split("\t")[0] for line in (DATA / "cc3m_validation.tsv").read_text("utf-8").splitlines()]
    wit = [text for file in sorted((DATA / "wit").iterdir()) for text in captions(file)]
    links = [text for source in find([str(DATA.parent / "wat")]) for batch in read(source) for text in batch["text"]]
    return {"cc3m": cc3m, "wit": wit, "wat": [text.as_py().replace("\n", " ") for text in links]}


def captions(file: Path) -> list[str]:
    lines = file.read_text("utf-8").splitlines()
    return [json.loads(line)["caption_reference_description"].replace("\n", " ") for line in lines]


def fasttexts() -> dict:
    """Return fastText's two ways of answering a list of texts."""
    model = fasttext.load_model(str(default_model())).f
    return {
        "one by one": lambda texts: [model.predict(text + "\n", 1, 0.0, "strict") for text in texts],
        "batch": lambda texts: model.multilinePredict([text + "\n" for text in texts], 1, 0.0, "strict"),
    }


def seconds(run, texts) -> float:
    start = time.process_time()  # of this process alone, whatever else the machine does
    run(texts)
    return time.process_time() - start


def compare(name: str, texts: list[str], ways: dict) -> None:
    """Print one corpus: the faster of fastText's ways, the engine, and the whole of Identifier.identify."""
    column, count = pa.array(texts, pa.large_string()), len(texts)
    times = []
    for _ in range(RUNS):
        engine = LanguageModel.open(default_model())
        whole = Identifier(default_model(), LanguageModel.open(default_model()))
        theirs = min(seconds(way, texts) for way in ways.values())
        first, again = seconds(engine.predict, column), seconds(engine.predict, column)
        times.append((theirs, first, again, seconds(whole.identify, column)))
    theirs, first, again, whole = (1e6 * statistics.median(each) / count for each in zip(*times, strict=True))
    ratio = statistics.median(each[0] / each[1] for each in times)
    print(
        f"{name:13} {count:6} texts  fastText {theirs:5.2f}  engine {first:5.3f}  again {again:5.3f}  "
        f"identify {whole:5.3f}  ratio {ratio:4.1f}"
    )


def main() -> None:
    start = time.perf_counter()
    LanguageModel.open(default_model()).predict(pa.array(["the first text"]))
    print(f"ready after {time.perf_counter() - start:.2f} s (compiled now, or read from Numba's cache)")
    start = time.perf_counter()
    LanguageModel.open(default_model())
    print(f"the model's file is read in {1e3 * (time.perf_counter() - start):.0f} ms")
    ways = fasttexts()
    for name, texts in corpora().items():
        compare(name, texts, ways)


if __name__ == "__main__":
    main()
