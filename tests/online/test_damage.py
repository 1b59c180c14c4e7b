"""A damaged file that is mapped into memory is refused in one sentence, and never ends the process."""

import random
from shutil import copytree

import numpy as np
import pyarrow as pa
import pytest

from curation import online
from curation.plugins.annotations.captions import Captions
from curation.plugins.annotations.mapped_rows import CHECKSUM, facts_path, save_rows
from runtime.errors import InputError
from runtime.storage.checksums import checksum_of
from runtime.storage.json_files import write_json
from runtime.storage.parquet import in_parts
from tests.support.flips import CRASHED, READ_WITHOUT, Kind, flip, outcomes
from tests.support.in_turn import in_turn
from tests.support.keyed_files import captions_of, clusters_of, write_keyed_files
from tests.support.online_run import FORKS

FLIPS = 20


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keyed")
    return folder, write_keyed_files(folder)


def test_a_file_that_is_replaced_is_compared_again(keyed, tmp_path):
    copytree(keyed[0] / "captions", tmp_path / "copy")
    path = tmp_path / "copy" / "captions.arrow"
    rows = Captions.open(path).rows
    flip(path, random.Random(0))
    with pytest.raises(InputError, match=r"captions.arrow is damaged \(its checksum differs\); build them again"):
        Captions.open(path)
    save_rows(path, rows)
    assert Captions.open(path).rows.equals(rows)


@FORKS
@pytest.mark.parametrize(("name", "answer"), [("captions", captions_of), ("clusters", clusters_of)])
def test_no_flipped_bit_ends_the_process_even_where_the_checksum_is_that_of_the_damaged_file(
    keyed, tmp_path, name, answer
):
    def forged(copy):
        rows = copy / f"{name}.arrow"
        write_json(facts_path(rows), {CHECKSUM: checksum_of(rows)})
        return answer(copy, uids)

    folder, uids = keyed
    kind = Kind(name, "*.arrow", forged, "build them again", missing=READ_WITHOUT, alone=True)
    assert outcomes(folder / name, kind, FLIPS, tmp_path)[CRASHED] == 0


@pytest.mark.parametrize("offsets", [[0, 1 << 40], [1 << 40, 1 << 40], [0, -1], [-1, 5], [6, 5]])
def test_offsets_outside_of_a_column_are_refused(tmp_path, offsets):
    path, caption = tmp_path / "captions.arrow", pa.array(["a dog"], pa.large_string())
    columns = [pa.array([0]), pa.array([0]), caption, pa.array([0.5]), pa.array(["m"], pa.large_string())]
    save_rows(path, pa.RecordBatch.from_arrays(columns, schema=Captions.schema))
    whole, right = path.read_bytes(), np.array([0, 5]).tobytes()
    assert whole.count(right) == 1
    path.write_bytes(whole.replace(right, np.array(offsets).tobytes()))
    write_json(facts_path(path), {CHECKSUM: checksum_of(path)})
    with pytest.raises(
        InputError, match=r"captions.arrow is damaged \(.*\); build them again with curation.captions.b"
    ):
        Captions.open(path)


def test_a_file_that_is_damaged_while_a_table_is_sorted_is_refused(tmp_path):
    rows = pa.record_batch([np.arange(-(2**62), 2**62, 2**57), np.arange(64)], names=["high", "low"])
    parts = in_parts([rows], rows.schema, 4, tmp_path)
    next(parts)
    flip(tmp_path / "2.arrow", random.Random(0))
    with pytest.raises(InputError, match=r"2.arrow is damaged \(its checksum differs\); run the same command again"):
        list(parts)


def test_a_file_that_is_damaged_while_tars_are_joined_is_refused(made, tmp_path):
    def before(task: int) -> None:
        if task == len(made.index.shards):  # when all are scanned
            flip(next(tmp_path.rglob("scans/0000001.parquet")), random.Random(0))

    with pytest.raises(InputError, match=r"0000001.parquet is damaged \(its checksum differs\); run the same"):
        online.build(made.folder / "tars", made.folder / "run", tmp_path / "index", engine=in_turn(before))
    assert not (tmp_path / "index").exists()
