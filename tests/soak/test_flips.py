"""A flipped bit in any file that a run leaves: refused in one sentence, or without effect on any result.

The table that is printed at the end says how often. `tests/run/test_damage.py` is the short form.
"""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from curation import CurationConfig, curate
from curation.balancing.thresholds import SEEN, EntryCounts
from curation.exclusion import Exclusion
from curation.language import engines
from curation.language.engines import Identifier, default_model
from curation.leaves.gate.options import GateOptions
from curation.matching import open_matchers, save_matchers
from curation.outputs.checkpoints import Stamps
from curation.run import tasks
from curation.run.request import Options
from curation.schemas import PAIRS
from metadata import Entries, MetadataConfig, Sources, build_metadata
from runtime.buckets import read_blocks
from runtime.shipping import Shipped
from runtime.storage.arrays import save_array
from runtime.storage.own_files import STAMP, OwnFile, checksum_of, own_files, read_json
from runtime.storage.parquet import part_writer, read_table
from runtime.tallies import TaskResult
from tests.support import flips as by_flips
from tests.support.downloaded import results
from tests.support.flips import Kind, bytes_of, everything, found_by_verify

pytestmark = pytest.mark.soak

FLIPS, RUNS = 300, 10  # of a kind of file: what its readers do with a flip, and what a whole run does
ENTRIES = Entries.build({"en": ["a", "photo", "dog", "black dog", "cat"], "ja": ["犬", "猫"]})
RESULTS = ("curated", "counts.parquet", "thresholds.json")


@pytest.fixture(scope="module")
def spark():
    from pyspark.sql import SparkSession

    session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    yield session
    session.stop()


@pytest.fixture(scope="module")
def table():
    lines: dict[str, Counter] = {}
    yield lines
    print(by_flips.printed(lines))


class Runs:
    """Runs over small tables, in one session."""

    def __init__(self, spark, folder: Path):
        self.spark, self.folder = spark, folder
        self.inputs = [by_flips.write_pairs(folder / f"{n}.parquet", range(n * 200, n * 200 + 200)) for n in range(3)]

    def run(self, output: Path, inputs: int = 2, t: int = 5, **options) -> Path:
        chosen, config = self.inputs[:inputs], CurationConfig(english_threshold=t)
        curate(chosen, output, metadata=ENTRIES, config=config, options=Options(**options), engine=self.spark)
        return output

    def again(self, output: Path, **other) -> object:
        """Go on in a folder with another threshold or one more input; return the bytes of the results."""
        return {name: each for name, each in bytes_of(self.run(output, **other)).items() if name.startswith(RESULTS)}


@pytest.fixture(scope="module")
def runs(spark, tmp_path_factory):
    return Runs(spark, tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def finished(runs):
    return runs.run(runs.folder / "finished")


def checked(table: dict, folder: Path, kind: Kind, scratch: Path, each=None, flips: int = FLIPS) -> None:
    table[kind.name] = by_flips.none_silent(folder, kind, flips, scratch, each)


@pytest.mark.parametrize(
    "files",
    ["run.json", "thresholds.json", "times.json", "report.html", "counts.parquet", "curated/*", "matched/*.parquet",
     "matched/_made_from.json", "pairs/*.arrows.zst", "pairs/*.json"],
)  # fmt: skip
def test_readers_of_a_finished_run(table, finished, tmp_path, files):
    checked(table, finished, Kind(f"{files}, read and verified", files, everything), tmp_path, found_by_verify)


@pytest.mark.parametrize("files", ["matched/*.parquet", "matched/_made_from.json"])
def test_another_threshold(table, runs, finished, tmp_path, files):
    kind = Kind(f"{files}, another threshold", files, lambda folder: runs.again(folder, t=20))
    checked(table, finished, kind, tmp_path, flips=RUNS)


@pytest.mark.parametrize("files", ["pairs/*.arrows.zst", "pairs/*.json"])
def test_another_input(table, runs, finished, tmp_path, files):
    kind = Kind(f"{files}, another input", files, lambda folder: runs.again(folder, inputs=3))
    checked(table, finished, kind, tmp_path, flips=RUNS)


def test_inputs_of_unique_images(table, runs, tmp_path):
    finished = runs.run(tmp_path / "unique", unique_images=True)
    for files in ("matched/*.parquet", "matched/_*.json"):
        kind = Kind(f"unique: {files}", files, lambda folder: runs.again(folder, t=20, unique_images=True))
        checked(table, finished, kind, tmp_path, found_by_verify, RUNS)


def test_gated_images(table, runs, tmp_path):
    rows = [{"url": f"http://a.example/{number}.jpg", "status": "success"} for number in range(0, 150, 2)]
    results(tmp_path / "images", rows, columns=["url", "status"])
    finished = runs.run(tmp_path / "gated", gate=GateOptions(status=[str(tmp_path / "images")]))
    checked(table, finished, Kind("gated/*, read and verified", "gated/*", everything), tmp_path, found_by_verify)


# What tasks read, without Spark.


def test_matched_images_as_tasks_read_them(table, finished, tmp_path):
    rates = save_array(tmp_path / "rates.npy", np.linspace(0.1, 0.9, len(ENTRIES)))

    def answer(folder: Path) -> object:
        stamp = read_json(folder / "matched" / STAMP) or {}
        files, made = own_files(folder / "matched", stamp["checksums"], "again"), tmp_path / "made"
        tallies, shipped = TaskResult(), Shipped(rates)
        counted = tasks._count(files, len(ENTRIES), made).rows()
        sampling = tasks.Sampling(shipped, shipped, 0, 1, made, 1)
        pairs = [batch.to_pylist() for file in files for batch in sampling.read(0, file, tallies)]
        return counted, pairs, tallies.rows(), [tasks._expected_sizes(file, shipped).rows() for file in files]

    (tmp_path / "made").mkdir()
    checked(table, finished, Kind("matched/*.parquet, as tasks read it", "matched/*.parquet", answer), tmp_path)


def test_what_inputs_gave_as_tasks_read_it(table, finished, tmp_path):
    def answer(folder: Path) -> object:
        return [[block.data for block in read_blocks(file, PAIRS)] for file in sorted(folder.glob("pairs/*.zst"))]

    checked(table, finished, Kind("pairs/*.arrows.zst, as tasks read it", "pairs/*.arrows.zst", answer), tmp_path)


def test_damaged_stamps_do_not_count(table, finished, tmp_path):
    """The inputs of such a stamp are read again, as `test_another_input` shows."""
    made_from = read_json(next((finished / "pairs").glob("_*.json")))["made_from"]

    def stamps(folder: Path) -> dict:
        return {path.name: stamp for path, stamp in Stamps(folder / "pairs", made_from).read()}

    def answer(folder: Path) -> bool:
        return stamps(folder).items() <= right.items()

    right = stamps(finished)
    assert right
    checked(table, finished, Kind("pairs/*.json, as the ledger reads it", "pairs/*.json", answer), tmp_path)


# What is in .work/ while a run goes on, or ships to workers.


def test_counts_of_tasks(table, tmp_path):
    path = tmp_path / "work" / "00000.parquet"
    path.parent.mkdir()
    with part_writer(path, SEEN, 100) as writer:
        writer.write(pa.record_batch([pa.array(range(999), pa.int32()), pa.array(range(999))], schema=SEEN))

    def answer(folder: Path) -> object:
        seen = read_table(OwnFile(folder / path.name, writer.checksum, "again"))
        return EntryCounts.zeros(999, "").add_seen(seen).values.tolist()

    checked(table, path.parent, Kind(".work/counts/*", "*", answer), tmp_path)


def test_an_array_that_ships(table, tmp_path):
    path = tmp_path / "work" / "rates.npy"
    path.parent.mkdir()
    save_array(path, np.linspace(0, 1, 999))

    def answer(folder: Path) -> object:
        shipped = Shipped(folder / path.name, checksum=checksum_of(path))
        return np.load(shipped.path(), allow_pickle=False).tolist()

    checked(table, path.parent, Kind(".work/rates.npy", "*", answer), tmp_path)


def test_matchers_exclusions_and_the_model(table, tmp_path):
    def found(folder: Path) -> object:
        open_matchers.cache_clear()
        finders = open_matchers(folder)
        return [finders.find(code, pa.array(["a black dog", "犬と猫"])).to_pylist() for code in ("en", "ja")]

    def excluded(folder: Path) -> object:
        rows = pa.record_batch({"url": ["https://a.example.org/", "https://c.example/a.gif", "https://c.example/"]})
        return Exclusion.open(folder).excluded(rows).to_pylist()

    save_matchers(ENTRIES, "unicode", tmp_path / "matchers")
    Exclusion.of(uids=["0" * 32], domains=["example.org"], regexes=["gif$"]).save(tmp_path / "exclusion")
    (tmp_path / "model").mkdir()
    shutil.copy(default_model(), tmp_path / "model")
    checked(table, tmp_path / "matchers", Kind("matchers/**", "**/*", found), tmp_path)
    checked(table, tmp_path / "exclusion", Kind("exclusion/*", "*", excluded), tmp_path)
    kind = Kind("lid.176.ftz", "*", lambda folder: Identifier.open(folder / "lid.176.ftz").digest)
    checked(table, tmp_path / "model", kind, tmp_path, lambda copy: engines._opened.cache_clear())


# Metadata, and balancing while training.


def test_metadata(table, tmp_path):
    def answer(folder: Path) -> object:
        entries = Entries.open(folder)
        return entries.table.to_pydict(), entries.digest

    ENTRIES.save(tmp_path / "metadata", {"sources": {"en": {"list": 5}}})
    for files in ("entries.parquet", "metadata.json"):
        checked(table, tmp_path / "metadata", Kind(f"metadata: {files}", files, answer), tmp_path, found_by_verify)


def test_sources_of_metadata(table, spark, sample, tmp_path):
    dumps, views = [str(sample / "wikipedia")], [str(sample / "pageviews")]
    sources = Sources.find(wikipedia=dumps, pageviews=views, languages=["he", "hi"])
    build_metadata(spark, MetadataConfig(), sources, tmp_path / "metadata")

    def answer(folder: Path) -> object:
        return build_metadata(spark, MetadataConfig(), sources, folder).table.to_pydict()

    for files, flips in (("sources/*/**/*.parquet", FLIPS), ("sources/**/_made_from.json", 10)):
        checked(
            table, tmp_path / "metadata", Kind(f"metadata: {files}", files, answer), tmp_path, found_by_verify, flips
        )
