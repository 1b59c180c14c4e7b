"""A flipped bit in any file that is mapped into memory, or read again as a table: refused, or without effect.

The table that is printed at the end says how often. Files of runs are in `test_flips`; `tests/online/test_damage.py`
and `tests/gate/test_damaged_tables.py` are the short forms.
"""

import shutil
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from curation import clusters
from curation.exclusion import Exclusion
from curation.leaves.clustering.training import TrainedClusters
from curation.leaves.export.datacomp import DataComp
from curation.leaves.export.forms import export
from curation.leaves.export.huggingface import HuggingFace
from curation.leaves.export.removal import remove_from_manifest
from curation.leaves.gate.evaluation import EvaluationSets, EvaluationTexts
from curation.run.results import Results
from metadata import Entries
from runtime.shipping import Shipped, put
from runtime.storage.arrays import save_array
from runtime.storage.own_files import checksum_of
from tests.support import flips as by_flips
from tests.support import own_tables
from tests.support.cluster_tables import cluster_rows, write_folder
from tests.support.flips import Kind
from tests.support.in_turn import in_turn
from tests.support.keyed_files import captions_of, clusters_of, write_keyed_files
from tests.support.online_run import FORKS, Made
from tests.support.written_run import write_run

pytestmark = [pytest.mark.soak, FORKS]

FLIPS = 300
ENTRIES = Entries.build({"en": ["a", "dog"], "ja": ["犬"]})
IMAGES = [[("a dog", "en", [0, 1])], [("a", "en", [0]), ("犬", "ja", [2])], [("犬", "ja", [2])]] * 20


@pytest.fixture(scope="module")
def table():
    lines: dict[str, Counter] = {}
    yield lines
    print(by_flips.printed(lines))


@pytest.fixture
def checked(table, tmp_path):
    def check(folder: Path, name: str, files: str, answer) -> None:
        kind = Kind(name, files, answer, alone=True)
        table[name] = by_flips.none_silent(folder, kind, FLIPS, tmp_path / "scratch")

    (tmp_path / "scratch").mkdir()
    return check


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keyed")
    return folder, write_keyed_files(folder)


@pytest.mark.parametrize(("name", "answer"), [("captions", captions_of), ("clusters", clusters_of)])
@pytest.mark.parametrize("ending", [".arrow", ".arrow.json"])
def test_captions_and_clusters_while_training(keyed, checked, name, answer, ending):
    folder, uids = keyed
    checked(folder / name, f"{name}{ending}", f"{name}{ending}", partial(answer, uids=uids))


@pytest.mark.parametrize("files", ["index/*.arrow", "index/index.json", "run/counts.parquet"])
def test_the_online_index(tmp_path, checked, files):
    Made(tmp_path / "made")
    checked(tmp_path / "made", f"online: {files}", files, by_flips.online_epoch)


@pytest.mark.parametrize("files", ["*.parquet", "_*.json"])
def test_tables_of_pictures(tmp_path, checked, files):
    tars = own_tables.write_tars(tmp_path / "images")
    own_tables.write_hashes(tars, tmp_path / "hashes")
    own_tables.write_scores(tars, tmp_path / "scores")
    checked(tmp_path / "hashes", f"clip-hash: {files}, --images", files, own_tables.rows_of)
    checked(tmp_path / "hashes", f"clip-hash: {files}, --decontaminate", files, own_tables.evaluation_of)
    checked(tmp_path / "scores", f"clip-score: {files}, --images", files, own_tables.rows_of)


@pytest.mark.parametrize("files", ["clusters/*.parquet", "clusters.json"])
def test_the_folder_of_clusters(tmp_path, checked, files):
    run = write_run(tmp_path / "run", ENTRIES, IMAGES, t=10)
    uids = [row["uid"] for batch in Results.open(run).matched(None) for row in batch.to_pylist()]
    write_folder(tmp_path / "made", cluster_rows(uids))

    def built(folder: Path) -> object:
        found = clusters.build([str(folder)], Results.open(run), tmp_path / "clusters.arrow")
        return found.images, found.without, found.clusters.of(pa.array(uids)).to_pylist(), found.clusters.kept

    checked(tmp_path / "made", f"clip-cluster: {files}, --clusters", files, built)
    checked(
        tmp_path / "made", f"clip-cluster: {files}, --images", files, lambda at: own_tables.rows_of(at / "clusters")
    )


@pytest.mark.parametrize("files", ["*.parquet", "_*.json"])
def test_embeddings(tmp_path, checked, files, monkeypatch):
    run = write_run(tmp_path / "run", ENTRIES, IMAGES, t=10)
    own_tables.write_embeddings(run, tmp_path / "embeddings", monkeypatch)
    checked(tmp_path / "embeddings", f"clip-cluster: embeddings/{files}", files, own_tables.vectors_of)


def test_a_manifest_as_a_table(tmp_path, checked):
    run = write_run(tmp_path / "run", ENTRIES, IMAGES, t=10)
    checked(run, "a run: curated/*, --images", "curated/*", lambda folder: own_tables.rows_of(folder / "curated"))


def test_a_manifest_without_what_was_removed(tmp_path, checked):
    run = write_run(tmp_path / "run", ENTRIES, IMAGES, t=10)
    remove_from_manifest(in_turn(), run, Exclusion.of(uids=["c4ca4238a0b923820dcc509a6f75849b"]), tmp_path / "removed")

    def answer(folder: Path) -> object:
        made = tmp_path / "made"
        shutil.rmtree(made, ignore_errors=True)
        export(in_turn(), folder, made / "huggingface", HuggingFace(dataset_name="run"))
        export(in_turn(), folder, made / "datacomp", DataComp())
        remove_from_manifest(in_turn(), folder, Exclusion.of(domains=["no.example"]), made / "removed")
        found = Results.open(folder)
        return found.counts.tolist(), found.kept().to_pylist(), by_flips.bytes_of(made, without=("run.json",))

    for files in ("run.json", "curated/*", "*.parquet", "thresholds.json"):
        checked(tmp_path / "removed", f"clip-remove: {files}", files, answer)


def test_saved_arrays(tmp_path, checked):
    tars = own_tables.write_tars(tmp_path / "images")
    own_tables.write_hashes(tars, tmp_path / "hashes")
    hashes = np.arange(0, 2**63, 2**58, dtype=np.uint64)[:, None]
    rows = pa.record_batch(
        {
            "uid": [f"u{number}" for number in range(40)],
            "url": [f"http://a.example/{number}.jpg" for number in range(40)],
        }
    )
    EvaluationSets.read([tmp_path / "hashes"], 4).save(tmp_path / "sets")
    EvaluationTexts.of(["a dog", "犬"]).save(tmp_path / "texts")
    TrainedClusters.of(np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32), 10, 2, 0).save(
        tmp_path / "model"
    )

    def of_sets(folder: Path) -> object:
        sets = EvaluationSets.open(folder)
        return sets.sets_of(rows).tolist(), sets.kinds["phash"].find(hashes, 4).tolist(), sets.sets

    def of_model(folder: Path) -> object:
        return [each.tolist() for each in TrainedClusters.open(folder).distances(np.eye(8, dtype=np.float32))]

    checked(tmp_path / "sets", "evaluation sets and their index of hashes", "*", of_sets)
    checked(
        tmp_path / "texts",
        "evaluation texts",
        "*",
        lambda at: EvaluationTexts.open(at).fails(pa.array(["a dog", "x"])).tolist(),
    )
    checked(tmp_path / "model", "centres of clusters, shipped", "*", of_model)


def test_what_is_packed_and_unpacked(tmp_path, checked, monkeypatch):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / "disk"))
    rates = save_array(tmp_path / "rates.npy", np.linspace(0, 1, 999))
    (tmp_path / "shared").mkdir()
    tar = put(rates, tmp_path / "shared")

    def answer(folder: Path) -> object:
        shutil.rmtree(tmp_path / "disk", ignore_errors=True)
        return np.load(Shipped(rates, str(folder / tar.name), checksum_of(rates)).path()).tolist()

    def of_copy(folder: Path) -> object:
        (cache,) = (tmp_path / "disk").iterdir()
        shutil.rmtree(cache / tar.stem)
        shutil.copytree(folder, cache / tar.stem)
        return np.load(Shipped(rates, str(tar), checksum_of(rates)).path()).tolist()

    checked(tmp_path / "shared", "an artefact, packed", "*", answer)
    shutil.rmtree(tmp_path / "disk", ignore_errors=True)
    copy = Shipped(rates, str(tar), checksum_of(rates)).path()
    shutil.copytree(copy.parent, tmp_path / "copy")
    checked(tmp_path / "copy", "an artefact, unpacked on a machine", "*", of_copy)
