"""Harm to a folder that a command wrote is refused in a sentence or changes no result, and clip-verify finds it.

Of each kind of file, bits are flipped, one is cut, and one is missing. `make soak` flips more bits, and prints what
became of them.
"""

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import fsspec
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyarrow import dataset

from runtime.errors import InputError
from runtime.folders.descriptor import DESCRIPTOR
from runtime.folders.recorded import recorded
from runtime.folders.verify import ANEW, verify
from runtime.storage.checksums import checksum_of
from runtime.storage.own_files import part_files
from tests.support import folders
from tests.support.flips import CRASHED, NO_MATTER, READ_WITHOUT, SILENT, Kind, outcomes, printed
from tests.support.folders import BROKEN_OFF, Folders, gone_on, made_again
from tests.support.kept_work import DERIVED, KEPT, TABLES
from tests.support.online_run import FORKS

FLIPS = [1, pytest.param(50, marks=pytest.mark.soak)]

AGAIN = "run the same command of clip-curate again"
REMOVE_AGAIN = "run clip-remove again on the run that it came from"
NO_RUN = "pass the output folder of a finished run|does not exist, but every finished run has it"
METADATA = "build the metadata again|specify a folder of clip-metadata"
TABLE = "delete it and run the command that wrote it again"
CLUSTERS = "of clip-cluster again|expected a column `uid` or `url`"
GO_ON = "run the same command again to resume"
MADE = "build it again"
COUNTS = "pass the counts.parquet of a finished run|count the entries again"
MATCHERS = "build the matchers again"
COMMANDS = {
    **dict.fromkeys(("run", "gated", "curated", "unique"), "clip-curate"),
    **dict.fromkeys(("metadata", "built"), "clip-metadata"),
    **{"removed": "clip-remove", "hashes": "clip-hash", "scores": "clip-score", "embeddings": "clip-cluster"},
    **{"clustered": "clip-cluster", "removal": "clip-remove", "index": "curation.plugins.online.build"},
}


def of(made: str, files: str, answer: Callable[[Path, Folders], object], said: str = "", **more: object) -> tuple:
    """Return a line of the table: a folder, its files, what reads it, what the reader says."""
    command = COMMANDS.get(made) or ("clip-export" if made in DERIVED else "")
    again = (
        f"delete the files that are damaged or not of this folder, and run the same {command} command again|{ANEW}"
        if command
        else ""
    )
    kind = Kind(f"{made}: {files.partition(' ')[0]}, {answer.__name__}", files, answer, said, again, **more)
    return made, kind


everything, of_removed = folders.everything, folders.of_removed
TABLE_OF_KINDS = [
    of("run", "run.json", everything, f"{AGAIN}|{NO_RUN}"),
    of("run", "thresholds.json", everything, AGAIN, missing=READ_WITHOUT),
    of("run", "times.json report.html", everything),
    of("run", "counts.parquet", everything, f"{AGAIN}|{NO_RUN}"),
    of("run", "curated/*", everything, f"curated/00000.parquet is .*{AGAIN}"),
    of("run", "curated/*", folders.rows_of_curated, f"{TABLE}|expected a table of images"),
    of("run", "matched/*.parquet", everything, rf"delete \S*matched and {AGAIN}"),
    of("run", "matched/_folder.json", everything, missing=NO_MATTER),
    of("removed", "run.json", of_removed, f"{AGAIN}|{NO_RUN}"),
    of("removed", "curated/*", of_removed, REMOVE_AGAIN),
    of("removed", "counts.parquet", of_removed, f"{AGAIN}|{NO_RUN}"),
    of("removed", "thresholds.json", of_removed, REMOVE_AGAIN, missing=READ_WITHOUT),
    of("gated", "gated/*.parquet", everything, f"gated/00000.parquet is .*{AGAIN}"),
    of("gated", "gated/_folder.json", everything, missing=NO_MATTER),
    of("curated", "matched/*.parquet", gone_on(t=20), rf"delete \S*matched and {GO_ON}"),
    of("curated", "matched/_folder.json", gone_on(t=20), missing=NO_MATTER),
    of("curated", "pairs/*.arrows.zst", gone_on(inputs=3)),
    of("curated", "pairs/_folder.json", gone_on(inputs=3), missing=NO_MATTER),
    of("curated", "counts.parquet thresholds.json curated/*", gone_on()),
    of("unique", "matched/*.parquet", gone_on(t=20, unique_images=True), rf"delete \S*matched and {GO_ON}"),
    of("unique", "matched/_folder.json", gone_on(t=20, unique_images=True), missing=NO_MATTER),
    of("metadata", "entries.parquet", folders.entries_of, METADATA),
    of("metadata", "metadata.json", folders.entries_of, METADATA),
    of("built", "metadata.json", folders.built_again),
    of("built", "sources/*/**/*.parquet", folders.built_again),
    of("built", "sources/**/_folder.json", folders.built_again, missing=NO_MATTER),
    of("hashes", "*.parquet", folders.rows_of, TABLE, missing=READ_WITHOUT),
    of("hashes", "*.parquet", folders.evaluation_of, TABLE, missing=READ_WITHOUT),
    of("hashes", "_folder.json", folders.rows_of),
    of("scores", "*.parquet", folders.rows_of, TABLE, missing=READ_WITHOUT),
    of("scores", "_folder.json", folders.rows_of),
    of("embeddings", "*.parquet", folders.vectors_of, TABLE, missing=READ_WITHOUT),
    of("embeddings", "_folder.json", folders.vectors_of),
    of("clustered", "clusters/*.parquet", folders.rows_of_clusters, TABLE, missing=READ_WITHOUT),
    of("clustered", "clusters/*.parquet", folders.built_clusters, f"{TABLE}|of clip-cluster again"),
    of("clustered", "clusters.json", folders.built_clusters, CLUSTERS),
    of("keyed", "captions/*.arrow", folders.captions_of, "build them again with curation.captions.build", alone=True),
    of("keyed", "captions/*.json", folders.captions_of, "copy both files, or build them again", alone=True),
    of("keyed", "clusters/*.arrow", folders.clusters_of, "build them again with curation.clusters.build", alone=True),
    of("keyed", "clusters/*.json", folders.clusters_of, "copy both files, or build them again", alone=True),
    of("online", "index/*.arrow", folders.online_epoch, "build", alone=True),
    of(
        "online",
        "index/index.json",
        folders.online_epoch,
        "build the index with curation.plugins.online.build",
        alone=True,
    ),
    of("online", "run/counts.parquet", folders.online_epoch, f"{AGAIN}|{NO_RUN}|{COUNTS}", alone=True),
    of("matchers", "**/*", folders.found_by_matchers, f"{MADE}: delete .* and {GO_ON}|{MATCHERS}", alone=True),
    of("exclusion", "*", folders.excluded, MADE, alone=True),
    of("model", "*", folders.digest_of_model, "download it again|pass the path of a fastText model"),
    of("sets", "*", folders.of_sets, MADE, alone=True),
    of("texts", "*", folders.of_texts, MADE, alone=True),
    of("centres", "*", folders.of_centres, MADE, alone=True),
    of("array", "*", folders.shipped, GO_ON, alone=True),
    *[of(name, "*.parquet", made_again(name)) for name in TABLES],
    *[of(name, "_folder.json", made_again(name), "empty or new folder", missing=NO_MATTER) for name in TABLES],
    *[of(name, "**/*", folders.nothing) for name in DERIVED],
    *[of(f"{BROKEN_OFF}{name}", KEPT, made_again(name), "is damaged") for name in DERIVED],
]


@pytest.fixture(scope="session")
def made(tmp_path_factory, sample) -> Folders:
    return Folders(tmp_path_factory.mktemp("folders"), sample)


@pytest.fixture(scope="module")
def found():
    by_kind: dict[str, Counter] = {}
    yield by_kind
    print(printed(by_kind))


def marked(name: str, kind: Kind) -> object:
    """Return a line of the table as parameters of a test."""
    goes_on = any(each in kind.name for each in ("gone_on", "again", "everything"))
    return pytest.param(name, kind, marks=[pytest.mark.slow] * goes_on, id=kind.name)


@FORKS
@pytest.mark.parametrize("flips", FLIPS)
@pytest.mark.parametrize(("name", "kind"), [marked(*line) for line in TABLE_OF_KINDS])
def test_harm_is_refused_in_a_sentence_or_does_none(made, found, tmp_path, name, kind, flips):
    folder = made.of(name)
    with_folders = replace(kind, answer=lambda copy: kind.answer(copy, made))
    found[kind.name] = outcomes(folder, with_folders, flips, tmp_path)
    assert (found[kind.name][SILENT], found[kind.name][CRASHED]) == (0, 0)


def test_every_table_of_ours_has_a_recorded_checksum(made):
    places = ("hashes", "scores", "clustered/clusters", "embeddings", "run/curated", "run/matched")
    for name, _, part in (place.partition("/") for place in places):
        files = sorted(map(str, (made.of(name) / part).glob("*.parquet")))
        assert recorded(files) == {path: checksum_of(Path(path)) for path in files}
        assert files


def test_files_that_are_not_of_a_folder_are_named_with_what_to_do(made, tmp_path):
    for name in ("webdataset", "hashes"):
        copy = shutil.copytree(made.of(name), tmp_path / name)
        file = next(copy.glob("[0-9a-f]*"))
        mine = shutil.copy(file, copy / f"mine{file.suffix}").name
        with pytest.raises(
            InputError, match=f"{mine} is not of this folder; delete the files that are damaged or not of this folder"
        ):
            verify(copy)


DATASETS = [
    *("run/curated", "run/matched", "gated/gated", "removed/curated", "removed/removed", "clustered/clusters"),
    *("huggingface/data", "huggingface/entries", "hashes", "scores", "embeddings"),
]


def dataset_of(made: Folders, place: str) -> tuple[Path, int]:
    """Return a folder that programs read as a dataset, and the number of its rows."""
    name, _, part = place.partition("/")
    folder = made.of(name) / part
    return folder, sum(pq.read_metadata(path).num_rows for path in part_files(folder))


@pytest.mark.parametrize("place", DATASETS)
def test_programs_that_read_a_folder_pass_over_its_descriptor(made, place):
    folder, rows = dataset_of(made, place)
    is_described = place in ("run/matched", "gated/gated", "hashes", "scores", "embeddings")
    assert (folder / DESCRIPTOR).exists() == is_described
    assert pq.read_table(folder).num_rows == rows > 0
    assert dataset.dataset(folder).count_rows() == rows
    assert len(pd.read_parquet(folder)) == rows
    assert duckdb.sql(f"SELECT count(*) FROM read_parquet('{folder}/*.parquet')").fetchall() == [(rows,)]
    system, path = fsspec.core.url_to_fs(str(folder))
    listed = system.glob(f"{path}/*.parquet")  # as img2dataset lists a folder, with --input_format parquet
    assert sum(pq.read_table(system.open(each)).num_rows for each in listed) == rows


@pytest.mark.spark
def test_spark_passes_over_descriptors(made, spark):
    for place in [place for place in DATASETS if place != "embeddings"]:  # Spark has no numbers of 16 bits
        folder, rows = dataset_of(made, place)
        assert spark.read.parquet(str(folder)).count() == rows
