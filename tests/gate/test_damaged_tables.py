"""Tables that our own commands wrote are compared with the checksums that these recorded; those of others are not."""

import json
import random
from pathlib import Path
from shutil import copytree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.joins.image_tables import ImageTable
from curation.outputs.checkpoints import recorded
from metadata import Entries
from runtime.errors import InputError
from runtime.storage.own_files import checksum_of, write_json
from tests.support import own_tables
from tests.support.cluster_tables import cluster_rows, write_folder
from tests.support.flips import SILENT, Kind, flip, outcomes
from tests.support.online_run import images
from tests.support.written_run import write_run

FLIPS = 20
ENTRIES = Entries.build({"en": ["a", "dog"]})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with hashes, scores, clusters and embeddings."""
    folder = tmp_path_factory.mktemp("made")
    tars = own_tables.write_tars(folder / "images")
    own_tables.write_hashes(tars, folder / "hashes")
    own_tables.write_scores(tars, folder / "scores")
    write_folder(folder / "clustered", cluster_rows(row["uid"] for row in images(60)))
    run = write_run(folder / "run", ENTRIES, [[("a dog", "en", [0, 1])]] * 90, t=10)
    with pytest.MonkeyPatch.context() as patch:
        own_tables.write_embeddings(run, folder / "embeddings", patch)
    return folder


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("hashes", own_tables.rows_of),
        ("hashes", own_tables.evaluation_of),
        ("scores", own_tables.rows_of),
        ("clustered", lambda folder: own_tables.rows_of(folder / "clusters")),
        ("embeddings", own_tables.vectors_of),
        ("run", lambda folder: own_tables.rows_of(folder / "curated")),
    ],
)
def test_no_flipped_bit_of_a_table_of_ours_changes_what_is_read(made, tmp_path, name, answer):
    kind = Kind(name, "**/*", answer)
    found = outcomes(made / name, kind, FLIPS, tmp_path)
    assert (found.total(), found[SILENT]) == (FLIPS, 0)


def test_every_file_of_ours_has_a_recorded_checksum(made):
    for name in ("hashes", "scores", "clustered/clusters", "embeddings", "run/curated", "run/matched"):
        files = sorted(map(str, (made / name).glob("*.parquet")))
        assert recorded(files) == {path: checksum_of(Path(path)) for path in files}
        assert files


def test_a_damaged_table_is_named_with_what_to_do(made, tmp_path):
    copytree(made / "hashes", tmp_path / "hashes")
    path = min((tmp_path / "hashes").glob("*.parquet"))
    flip(path, random.Random(0))
    with pytest.raises(InputError, match=rf"{path} is damaged \(its checksum differs\); delete it and run"):
        own_tables.rows_of(tmp_path / "hashes")


def test_tables_of_others_are_read_whatever_lies_beside_them(tmp_path):
    (tmp_path / "t").mkdir()
    path = tmp_path / "t" / "a.parquet"
    pq.write_table(pa.table({"uid": ["x"]}), path)
    for content in ({"checksums": {"a.parquet": "0" * 64}}, {"checksums": ["a.parquet"]}, {"a": 1}):
        for name in ("_a.json", "_made_from.json"):
            (tmp_path / "t" / name).write_text(json.dumps(content))
        (tmp_path / "run.json").write_text(json.dumps(content))
        assert recorded([str(path)]) == {}
        assert len(own_tables.rows_of(tmp_path / "t")) == 1
    assert recorded(["https://a.example/a.parquet", "zip://t/a.parquet::a.zip"]) == {}


def test_a_table_of_ours_at_a_url_is_compared(s3_folder):
    path = s3_folder / "a.parquet"
    with path.open("wb") as file:
        pq.write_table(pa.table({"uid": ["x"]}), file)
    write_json(s3_folder / "_a.json", {"checksums": {"a.parquet": "00000000"}})
    with pytest.raises(InputError, match=r"a.parquet is damaged \(its checksum differs\)"):
        ImageTable.find([str(s3_folder)])


def test_a_damaged_table_of_others_is_refused_in_one_line(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"uid": ["x"]}), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40] + b"\xff" * 32 + whole[-8:])
    with pytest.raises(InputError, match="a.parquet cannot be read as Parquet") as refused:
        own_tables.rows_of(tmp_path)
    assert "\n" not in str(refused.value)
