"""Files of ours are believed after a checksum of all their bytes, which is recorded where they are written."""

import errno
import json
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metadata import InputError
from runtime.errors import LowLimit
from runtime.shipping import Shipped
from runtime.storage.arrays import open_array, save_array
from runtime.storage.checksums import checksum_of
from runtime.storage.json_files import content_of, is_exact, read_json, text_of, write_json
from runtime.storage.own_files import OwnFile, as_written, intact, own_files, refusing
from runtime.storage.parquet import batches, part_writer, read_table, write_tables
from runtime.storage.paths import as_path

TABLE = pa.table({"text": ["犬", None, "a dog"] * 100, "n": list(range(300))})


@pytest.fixture
def file(tmp_path) -> OwnFile:
    with part_writer(tmp_path / "a.parquet", TABLE.schema, 100) as writer:
        writer.write(TABLE.combine_chunks().to_batches()[0])
    return OwnFile(tmp_path / "a.parquet", writer.checksum, "run again")


@pytest.mark.parametrize("content", [b"", b"\0", b"\0\0", "犬".encode() * 1000])
def test_a_checksum_is_the_crc_32_of_all_bytes(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    assert checksum_of(tmp_path / "a") == f"{zlib.crc32(content):08x}"


def test_writers_return_the_checksum_of_what_they_wrote(file, tmp_path):
    assert file.checksum == checksum_of(file.path)
    assert write_tables(tmp_path / "b.parquet", [TABLE], TABLE.schema) == checksum_of(tmp_path / "b.parquet")
    assert write_json(tmp_path / "c.json", {"a": 1}) == checksum_of(tmp_path / "c.json")


def test_no_flipped_bit_of_a_parquet_file_is_read_not_even_in_its_footer_and_the_heads_of_pages(file):
    whole = file.path.read_bytes()
    for at in range(0, len(whole), 7):
        file.path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        for read in (lambda: list(batches(file)), lambda: read_table(file, ["n"])):
            with pytest.raises(InputError, match=r"a.parquet is damaged \(its checksum differs\); run again"):
                read()


def test_without_a_known_checksum_those_of_pages_are_compared(file):
    known = OwnFile(file.path, None, "run again")
    assert read_table(known).equals(TABLE)
    chunk, whole = pq.read_metadata(file.path).row_group(0).column(0), bytearray(file.path.read_bytes())
    whole[chunk.data_page_offset + chunk.total_compressed_size - 60] ^= 1
    file.path.write_bytes(whole)
    with pytest.raises(InputError, match=r"a.parquet is damaged \(.*\); run again"):
        list(batches(known))


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    for checksum in (None, "00000000"):
        with pytest.raises(InputError, match="a.parquet is missing; run again"):
            read_table(OwnFile(tmp_path / "a.parquet", checksum, "run again"))


def test_at_a_url_arrow_finds_damage_and_a_server_that_fails_does_not():
    there = OwnFile(as_path("s3://bucket/a.parquet"), None, "run again")
    with pytest.raises(InputError, match="a.parquet is damaged .Invalid flatbuffers message.; run again"):
        with refusing(there):
            raise OSError("Invalid flatbuffers message")
    for error in (OSError(errno.EIO, "no answer"), ConnectionError("no answer"), PermissionError("no key")):
        with pytest.raises(type(error), match="no"), refusing(there):
            raise error


def test_a_file_is_not_called_damaged_because_no_thread_can_be_started(file):
    with pytest.raises(LowLimit, match="the system does not let this command start more threads"), refusing(file):
        raise OSError("Unknown error: Failed to launch worker thread: Resource temporarily unavailable")


def test_a_folder_has_the_files_that_are_known_and_no_others(file, tmp_path):
    assert own_files(tmp_path, {"a.parquet": file.checksum}, "run again") == [file]
    with pytest.raises(InputError, match=r"b.parquet is missing; run again"):
        own_files(tmp_path, {"a.parquet": file.checksum, "b.parquet": "00000000"}, "run again")
    with pytest.raises(InputError, match=r"a.parquet does not belong to this run; delete it"):
        own_files(tmp_path, {}, "run again")


def test_a_process_opens_an_array_that_ships_once(tmp_path):
    path = save_array(tmp_path / "rates.npy", np.array([0.1, 0.9]))
    shipped = Shipped(path, checksum=checksum_of(path))
    assert shipped.array().tolist() == [0.1, 0.9]
    assert shipped.array() is shipped.array()


@pytest.mark.parametrize("array", [np.zeros(0, np.float32), np.arange(6.0).reshape(2, 3).T, np.array(["犬", ""])])
def test_a_mapped_array_is_the_one_that_was_saved(array, tmp_path):
    path = save_array(tmp_path / "array.npy", array)
    found = open_array(as_written(path))
    assert found.flags.f_contiguous == array.flags.f_contiguous
    np.testing.assert_array_equal(found, array, strict=True)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="array.npy is damaged"):
        open_array(OwnFile(path, None, "save it again"))


def test_a_file_that_ships_is_compared_by_workers(tmp_path):
    (tmp_path / "rates.npy").write_bytes(b"rates")
    shipped = Shipped(tmp_path / "rates.npy", checksum=checksum_of(tmp_path / "rates.npy"))
    (tmp_path / "rates.npy").write_bytes(b"rates!")
    with pytest.raises(InputError, match="rates.npy is damaged"):
        shipped.path()
    with intact(OwnFile(tmp_path / "rates.npy", None, "")) as path:
        assert path == tmp_path / "rates.npy"


CONTENT = {"texts": ["犬", "\\"], "share": 0.1, "none": None, "rows": {"1": [1, 2]}}


def test_json_is_plain_and_its_checksum_is_not_among_what_is_read(tmp_path):
    write_json(tmp_path / "a.json", CONTENT)
    plain = json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert plain == CONTENT | {"checksum": f"crc32:{zlib.crc32(json.dumps(CONTENT).encode()):08x}"}
    assert read_json(tmp_path / "a.json") == CONTENT
    assert is_exact((tmp_path / "a.json").read_bytes())
    earlier = '{\n "ü": [\n  1\n ],\n "checksum": "crc32:192a271a"\n}\n'  # other bytes would not be exact any more
    assert text_of({"ü": [1]}) == earlier


def test_no_flipped_bit_changes_what_json_says_unseen(tmp_path):
    whole = text_of(CONTENT).encode()
    for at in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[at // 8] ^= 1 << at % 8
        assert not is_exact(damaged)
        try:
            found = content_of(bytes(damaged))
        except ValueError:
            continue
        assert {name: found[name] for name in CONTENT} == CONTENT


@pytest.mark.parametrize("content", [CONTENT, CONTENT | {"checksum": "that of a stamp"}, [1, 2]])
def test_json_of_an_earlier_version_is_read_as_it_is(content):
    assert content_of(json.dumps(content).encode()) == content


def test_json_whose_checksum_is_of_an_unknown_kind_is_damaged_and_not_of_an_earlier_version(tmp_path):
    data = text_of({"a": 1}).encode()
    for at in range(data.index(b"crc32:"), data.index(b"crc32:") + len(b"crc32:")):
        with pytest.raises(ValueError, match="its checksum differs"):
            content_of(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    assert content_of(b'{"a": 1, "checksum": "0123456789abcdef01234567"}')["checksum"]  # a stamp brings its own
