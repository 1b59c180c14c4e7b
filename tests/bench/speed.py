"""Compare six speeds with those of others, and fail where one has lost a fifth of what it had: `make speed`.

    python tests/bench/speed.py [matcher identification chain engines dataframes start]

Each figure is a ratio, by which we are faster: the median of turns in which both sides are measured, one after the
other, by the processor time of all their processes. Data are wordfreq's words and the sample; five minutes.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random

import bench_dataframes
import chain_inputs
import numpy as np
import plain_chain
import pyarrow as pa
import usage
import wordfreq

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT)]

from curation import Matcher
from curation.language.engines import default_model, opened_engine
from metadata.entries import Entries
from metadata.rules import meta_text
from tests.sample.make_sample import make_sample
from tests.sample.texts import sentence

TURNS = 3
KEPT = 0.8  # of a ratio
PLAIN = 24  # files of the chain that the plain one reads, so that both take about as long
TEXTS_OF = {f"CC-MAIN-20240601000000-20240601030000-0000{number}.warc.wat.gz": 5_000 for number in range(3)}
HERE = Path(sys.executable).parent

Turns = Iterator[tuple[float, float]]  # what theirs and ours cost


def matcher(_: Path) -> Turns:
    """Time texts of ten words, matched against 100,000 English words: pyahocorasick, `Matcher`."""
    words = wordfreq.top_n_list("en", 100_000, wordlist="large")
    chances = np.array([wordfreq.word_frequency(word, "en", "large") for word in words])
    rows = np.random.default_rng(0).choice(len(words), (100_000, 10), p=chances / chances.sum())
    texts = [" ".join(words[place] for place in row) for row in rows]
    automaton, ours, array, few = plain_chain.automaton_of(words), Matcher.build(words), pa.array(texts), texts[:10_000]
    ours.find(texts[:100])
    for _ in range(TURNS):
        theirs = _seconds(lambda: [{id for _, id in automaton.iter(meta_text(text))} for text in few])
        yield theirs / len(few), _seconds(ours.find, array) / len(texts)


def identification(_: Path) -> Turns:
    """Time the language of sentences of three languages, and no sentence seen before: fastText, our engine."""
    texts = [sentence(code, Random(seed)) for seed in range(10_000) for code in ("en", "de", "ja")]
    model, array = plain_chain.fasttext.load_model(str(default_model())).f, pa.array(texts, pa.large_string())
    lines = [text + "\n" for text in texts]
    opened_engine(default_model()).predict(array[:100])
    for _ in range(TURNS):
        engine = opened_engine(default_model())
        yield _seconds(model.multilinePredict, lines, 1, 0.0, "strict"), _seconds(engine.predict, array)


def chain(folder: Path) -> Turns:
    """Time a text from WAT to manifest: the plain chain, `clip-curate` on one core without its start."""
    files = chain_inputs.wats(folder / "sample" / "crawl", folder / "wats", 600_000, TEXTS_OF)
    theirs, more = plain_chain.PlainChain(Entries.open(folder / "metadata")), len(files) - len(TEXTS_OF)
    for turn in range(TURNS):
        matched = folder / f"{turn}.jsonl"
        plain = sum(_seconds(theirs.match, path, matched) for path in files[:PLAIN])
        plain += _seconds(plain_chain.sample, matched, folder / "kept.jsonl", 0.06)
        whole, start = (_curate(folder, each, "--cores", "1") for each in (files, files[: len(TEXTS_OF)]))
        yield plain / PLAIN, (whole - start) / more


def engines(folder: Path) -> Turns:
    """Time a run of a million pairs: Spark, processes of this machine."""
    pairs = _pairs(folder)
    for _ in range(TURNS):
        yield _curate(folder, pairs, "--master", "local[2]"), _curate(folder, pairs, "--cores", "2")


def dataframes(folder: Path) -> Turns:
    """Time a million pairs on Spark: the job, the same steps on DataFrames."""
    pairs, args = _pairs(folder), Namespace(entries=str(folder / "metadata"), folder=folder)
    for _ in range(TURNS):
        with tempfile.TemporaryDirectory(dir=folder) as out:
            steps = (bench_dataframes.job, bench_dataframes.frames)
            job, frames = (_sum(step(args, *pairs, f"{out}/{step.__name__}")) for step in steps)
            yield job, frames


def start(folder: Path) -> Turns:
    """Time processes that do next to nothing: Python with numpy and pyarrow, a second run of 13 pairs."""
    few = [_pairs(folder, 13)[0]]
    for _ in range(2 * TURNS):
        yield _of_children([sys.executable, "-c", "import numpy, pyarrow"]), _of_children(_curating(folder, few))


# How many times faster we were, in turns of this script.
RATIOS: dict[Callable[[Path], Turns], float] = {
    matcher: 13.5,
    identification: 13.6,
    chain: 4.3,
    engines: 2.28,
    dataframes: 0.6,
    start: 0.12,
}


def _seconds(call: Callable[..., object], *given: object) -> float:
    begin = time.process_time()
    call(*given)
    return time.process_time() - begin


def _pairs(folder: Path, number: int = 1_000_000) -> list[Path]:
    """Return a Parquet file of so many pairs, made once."""
    table = folder / "captions.tsv"
    if not table.exists():
        lines = (f"{sentence('en', Random(seed))}\thttps://images.example/{seed}.jpg\n" for seed in range(20_000))
        table.write_text("".join(lines), encoding="utf-8")
    return [chain_inputs.pairs(table, folder / f"{number}.parquet", number)]


def _curate(folder: Path, inputs: Iterable[Path], *flags: str) -> float:
    """Return the seconds of processors that a run takes."""
    return _sum(usage.run([*_curating(folder, inputs), *flags], cwd=ROOT, env=_environment()))


def _curating(folder: Path, inputs: Iterable[Path]) -> list[str]:
    """Return the command of a run, which takes the place of the one before it."""
    given = ["--input", *map(str, inputs), "--metadata", str(folder / "metadata"), "--set", "tail_share=0.06"]
    return [str(HERE / "clip-curate"), *given, "--output", str(folder / "run"), "--overwrite"]


def _sum(found: usage.Usage) -> float:
    return sum(found.cpu.values())


def _of_children(command: list[str]) -> float:
    """Return the seconds of processors of a command that starts no process which outlives it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, env=_environment())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _environment() -> dict[str, str]:
    return os.environ | {"PATH": f"{HERE}{os.pathsep}{os.environ['PATH']}", "PYSPARK_PYTHON": sys.executable}


def main() -> None:
    """Print the ratios; end with status 1 where one is lost."""
    lost = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_sample(folder / "sample")
        sources = ["--wordnet", str(folder / "sample/wordnet"), "--output", str(folder / "metadata")]
        _of_children([str(HERE / "clip-metadata"), *sources])
        for measure, before in RATIOS.items():
            if len(sys.argv) > 1 and measure.__name__ not in sys.argv:
                continue
            ratio = statistics.median(theirs / ours for theirs, ours in measure(folder))
            print(f"{measure.__name__:16}{ratio:8.2f} ×, floor {KEPT * before:.2f}", flush=True)
            if ratio < KEPT * before:
                lost.append(measure.__name__)
    sys.exit(f"speed: lost a fifth or more: {', '.join(lost)}" if lost else None)


if __name__ == "__main__":
    main()
