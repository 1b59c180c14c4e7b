"""Files in a local folder and on S3: whole ones, busy servers, full disks."""

import errno
import os
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore import retryhandler

from curation.matching.finders import save_matcher
from metadata import Entries, InputError
from runtime.kernel_caches import scratch_folder
from runtime.storage import paths
from runtime.storage.arrays import save_array
from runtime.storage.json_files import read_json, write_json
from runtime.storage.own_files import OwnFile, own_files, part_files
from runtime.storage.parquet import batches, head_rows, part_writer, read_table, require_rows
from runtime.storage.paths import as_path, files, is_url, move_files, names, read_bytes, remove
from runtime.storage.whole import whole

ROWS = pa.table({"text": [f"犬 {number}" for number in range(1000)], "ids": [list(range(n % 4)) for n in range(1000)]})


def put(path, content: str = "häß 犬") -> None:
    with whole(path) as file:
        file.write_text(content, "utf-8")


@pytest.mark.parametrize("path", ["out/häß", "/out/100%", "a:/b", Path("/out"), "file:///out/[1]"])
def test_a_path_is_a_path(path):
    assert as_path(path) == Path(str(path).removeprefix("file://"))
    assert not is_url(as_path(path))


def test_a_tilde_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    for path in ("~/out", Path("~/out")):
        assert as_path(path) == Path("/home/me/out")
    assert as_path("a/~") == Path("a/~")


@pytest.mark.parametrize("url", ["s3://bucket/a b/[1]/häß", "s3://bucket", "s3a://bucket/x/"])
def test_a_url_stays_what_it_is_also_in_another_process(url):
    found = pickle.loads(pickle.dumps(as_path(url) / "ü"))
    assert str(found) == f"{url.rstrip('/')}/ü"
    assert (is_url(found), found.name, found == as_path(found)) == (True, "ü", True)


def test_a_file_is_not_there_until_its_block_has_ended(folder):
    path = folder / "a b" / "häß [1].txt"
    paths.make_folder(path.parent)
    with whole(path) as file:
        file.write_text("half")
        assert files(path.parent, ".txt") == []
    assert files(path.parent) == [path]
    assert read_bytes(path) == b"half"


def test_nothing_is_there_of_a_file_whose_block_failed_and_an_earlier_one_stays(folder):
    put(folder / "old")
    for name in ("old", "new"):
        with pytest.raises(RuntimeError):
            half_written(folder / name)
    assert names(folder) == {"old"}
    assert read_bytes(folder / "old").decode() == "häß 犬"


def half_written(path):
    with whole(path) as file:
        file.write_text("half")
        raise RuntimeError("the task dies")


def test_files_are_those_of_the_folder_itself_in_order(folder):
    for name in ("b.json", "a.json", "é.json", "_x.txt"):
        put(folder / "of" / name) if is_url(folder) else put(paths.make_folder(folder / "of") / name)
    put(paths.make_folder(folder / "of" / "deep") / "c.json")
    assert [path.name for path in files(folder / "of", ".json")] == ["a.json", "b.json", "é.json"]
    assert names(folder / "of") == {"a.json", "b.json", "é.json", "_x.txt", "deep"}
    assert (files(folder / "none"), names(folder / "none")) == ([], set())


def test_what_another_process_wrote_a_moment_ago_is_seen(s3_folder):
    assert files(s3_folder) == []
    other = type(s3_folder.fs)(skip_instance_cache=True)
    for number in range(3):
        other.pipe_file((s3_folder / f"{number}").path, b"x")
        assert len(files(s3_folder)) == number + 1


def test_a_placeholder_of_a_folder_is_no_file_of_it(s3_folder):
    s3_folder.fs.pipe_file(s3_folder.path + "/", b"")
    assert names(s3_folder) == set()


@pytest.mark.parametrize("name", ["file", "folder", "none", "*"])
def test_what_is_removed_is_gone_and_nothing_else(folder, name):
    for path in ("file", "file2", "folder/a", "folder/deep/b", "folder2/a", "*/x", "?"):
        paths.make_folder((folder / path).parent)
        put(folder / path)
    left = {"file", "file2", "folder", "folder2", "*", "?"} - {name}
    remove(folder / name)
    assert names(folder) == left


def test_files_are_moved_with_their_content(s3_folder):
    for number in range(20):
        put(s3_folder / "from" / f"ü{number}", str(number))
    move_files(files(s3_folder / "from"), s3_folder / "to")
    assert names(s3_folder) == {"to"}
    assert {path.name: path.read_text() for path in files(s3_folder / "to")} == {f"ü{n}": str(n) for n in range(20)}


def test_no_file_is_removed_that_a_server_did_not_copy_though_it_said_so(s3_folder, monkeypatch):
    for name in ("a", "b"):
        put(s3_folder / "from" / name)
    copy = s3_folder.fs.cp_file
    monkeypatch.setattr(s3_folder.fs, "cp_file", lambda old, new: old.endswith("b") or copy(old, new))
    with pytest.raises(OSError, match="to lacks b, though the server answered that it copied it; nothing was removed"):
        move_files(files(s3_folder / "from"), s3_folder / "to")
    assert names(s3_folder / "from") == {"a", "b"}


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"a": "犬"}'])
def test_an_object_of_json_is_read_where_there_is_one(folder, content):
    put(folder / "a.json", content)
    assert read_json(folder / "a.json") == ({"a": "犬"} if len(content) > 5 else None)
    assert read_json(folder / "none.json") is None


def test_what_a_busy_or_forbidding_server_does_not_give_is_not_taken_for_missing(s3_folder, s3_server, monkeypatch):
    write_json(s3_folder / "a.json", {})
    s3_server.forbidden = True
    for ask in (read_json, read_bytes):
        with pytest.raises(PermissionError):
            ask(s3_folder / "a.json")
    for ask in (files, names, remove):
        with pytest.raises(PermissionError):
            ask(s3_folder)


def test_a_throttled_server_is_asked_again_when_writing_as_when_reading(s3_folder, s3_server, monkeypatch):
    monkeypatch.setattr(retryhandler.random, "random", lambda: 0.01)  # of the second that a wait takes at most
    s3_server.every, s3_server.methods = 2, ("GET", "HEAD", "PUT", "POST", "DELETE")
    for number in range(4):
        put(s3_folder / "from" / str(number), str(number))
    move_files(files(s3_folder / "from"), s3_folder / "to")
    assert [read_bytes(path) for path in files(s3_folder / "to")] == [b"0", b"1", b"2", b"3"]
    remove(s3_folder)
    assert s3_server.slowed > 8
    s3_server.reset()
    assert names(s3_folder) == set()


# Parquet.


@pytest.mark.parametrize("rows", [0, 7, 1000])
def test_parquet_is_written_and_read_alike(folder, tmp_path, rows):
    for path in (folder / "a.parquet", tmp_path / "local.parquet"):
        with part_writer(path, ROWS.schema, 100) as writer:
            for batch in ROWS.slice(0, rows).to_batches(30):
                writer.write(batch)
    assert read_bytes(folder / "a.parquet") == (tmp_path / "local.parquet").read_bytes()
    assert part_files(folder)[0] == folder / "a.parquet"
    file = OwnFile(folder / "a.parquet", writer.checksum, "")
    assert read_table(file).equals(ROWS.slice(0, rows))
    assert read_table(file, columns=["ids"]).column_names == ["ids"]
    found = list(batches(file, 100))
    assert pa.Table.from_batches(found, ROWS.schema).equals(ROWS.slice(0, rows))
    assert [batch.num_rows for batch in found] == [100] * (rows // 100) + [rows % 100] * (rows % 100 > 0)
    assert [batch.schema.names for batch in batches(file, 100, ["text"])] == [["text"]] * len(found)
    assert head_rows([file], 3) == ROWS.slice(0, min(rows, 3)).to_pylist()
    require_rows([file], rows)
    with pytest.raises(InputError, match="were written"):
        require_rows([file], rows + 1)


def test_a_file_of_s3_is_fetched_once_and_compared_before_a_column_of_it_is_read(s3_folder, s3_server):
    noise = [np.random.default_rng(n).bytes(1000) for n in range(4000)]
    table = pa.table({"a": noise, "b": list(range(4000))})
    with part_writer(s3_folder / "a.parquet", table.schema, 1000) as writer:
        writer.write(table.combine_chunks().to_batches()[0])
    file = OwnFile(s3_folder / "a.parquet", writer.checksum, "run again")
    s3_server.requests.clear()
    assert [batch["b"].to_pylist() for batch in batches(file, 1000, ["b"])] == [
        list(range(first, first + 1000)) for first in range(0, 4000, 1000)
    ]
    assert len(s3_server.requests) <= 2  # its size, and its bytes
    content = bytearray(read_bytes(file.path))
    content[5000] ^= 1
    file.path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"a.parquet is damaged \(its checksum differs\); run again"):
        next(batches(file, 1000, ["b"]))


def test_metadata_is_opened_where_it_lies(folder, s3_server):
    entries = Entries.build({"en": ["dog"], "ja": ["犬", "猫"]})
    entries.save(folder / "metadata")
    assert Entries.open(str(folder / "metadata")).digest == entries.digest
    with pytest.raises(InputError, match="none does not exist; specify a folder of clip-metadata"):
        Entries.open(str(folder / "none"))
    s3_server.forbidden = is_url(folder)
    if s3_server.forbidden:
        with pytest.raises(InputError, match=r"metadata cannot be used \((Forbidden|Access Denied)\)"):
            Entries.open(str(folder / "metadata"))


# Full disks.


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named_by_its_folder(folder, number):
    def fill():
        with whole(folder / "a.npy") as file:
            file.write_text("half")
            raise OSError(number, os.strerror(number))

    where = scratch_folder() if is_url(folder) else folder
    with pytest.raises(
        InputError,
        match=f"^no space left in {where}, on the file system /.*; make room and run the same command again$",
    ):
        fill()
    assert names(folder) == set()


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for 256 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill_by_array(folder):
    save_array(folder / "a.npy", np.zeros(1 << 20))


def fill_by_parquet(folder):
    noise = pa.table({"a": [np.random.default_rng(n).bytes(1000) for n in range(1000)]})
    with part_writer(folder / "a.parquet", noise.schema, 500) as writer:
        writer.write(noise.combine_chunks().to_batches()[0])


def fill_by_json(folder):
    write_json(folder / "a.json", {"a": "x" * (1 << 20)})


def fill_by_matcher(folder):
    save_matcher(Entries.build({"en": [f"word{number}" for number in range(50_000)]}), "en", "unicode", str(folder))


def test_a_folder_is_removed_though_a_listing_lacks_what_is_new(tmp_path, monkeypatch):
    for name in ("a", "none"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "new").touch()
    late, listing = [tmp_path / "none"], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listing(late.pop() if late else path))
    remove(tmp_path / "a")
    assert not (tmp_path / "a").exists()
    assert not late


@pytest.mark.parametrize("fill", [fill_by_array, fill_by_parquet, fill_by_json, fill_by_matcher])
def test_whatever_fills_a_disk_says_so_and_leaves_nothing_that_looks_whole(small_disk, fill):
    with pytest.raises(InputError, match=f"^no space left in {small_disk}, on the file system {small_disk};"):
        fill(small_disk)
    assert names(small_disk) <= {"en.partial"}


def test_parquet_of_another_kind_of_file_is_still_an_error(folder):
    put(folder / "a.parquet", "PAR1 and no more")
    with pytest.raises(pa.ArrowException):
        pq.ParquetFile(pa.BufferReader(read_bytes(folder / "a.parquet")))
    with pytest.raises(InputError, match="damaged"):
        require_rows(own_files(folder, None, ""), 10)
