"""Artefacts packed for other machines: what arrives, who unpacks it, and which copies stay."""

import os
import random
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from curation.matching.finders import save_matchers
from curation.matching.matcher import Matcher
from metadata import Entries, InputError
from runtime.shipping import Shipped, pack, put, unpacked_archive
from runtime.storage.checksums import checksum_of, content_digest
from runtime.storage.paths import files
from tests.support.flips import flip


@pytest.fixture
def folder(tmp_path) -> Path:
    """An artefact: a folder with an array, a folder that is not ASCII, and an empty file."""
    folder = tmp_path / "driver" / "matchers"
    (folder / "größe 犬").mkdir(parents=True)
    np.save(folder / "größe 犬" / "numbers.npy", np.arange(1000))
    (folder / "empty").touch()
    return folder


@pytest.fixture
def cache(tmp_path) -> Path:
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def copies(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if path.is_dir())


def test_what_is_unpacked_is_what_was_packed(folder, cache):
    copy = unpacked_archive(pack(folder, folder.parent), cache) / "matchers"
    assert np.array_equal(np.load(copy / "größe 犬" / "numbers.npy", mmap_mode="r"), np.arange(1000))
    assert (copy / "empty").read_bytes() == b""
    assert {path.relative_to(copy) for path in copy.rglob("*")} == {
        path.relative_to(folder) for path in folder.rglob("*")
    }


def test_a_file_is_an_artefact_too_also_behind_a_link(tmp_path, cache):
    (tmp_path / "stored").write_bytes(b"\0model" * 1000)
    (tmp_path / "lid.bin").symlink_to(tmp_path / "stored")
    copy = unpacked_archive(pack(tmp_path / "lid.bin", tmp_path), cache) / "lid.bin"
    assert not copy.is_symlink()
    assert copy.read_bytes() == b"\0model" * 1000


def test_an_archive_is_named_by_its_content_alone(folder, tmp_path):
    name = pack(folder, tmp_path).name
    assert name.startswith("matchers-")
    os.utime(folder / "empty", (1, 1))
    (folder / "empty").chmod(0o600)
    assert pack(folder, tmp_path).name == name
    (folder / "empty").write_text("no more")
    assert pack(folder, tmp_path).name != name
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.is_file()) == [".packed", ".packed"]


def test_a_copy_that_is_there_serves_without_the_archive(folder, cache):
    packed = pack(folder, folder.parent)
    copy = unpacked_archive(packed, cache)
    packed.unlink()
    assert unpacked_archive(packed, cache) == copy


@pytest.mark.slow
def test_of_many_processes_one_unpacks_and_all_find_it_whole(folder, cache):
    packed = pack(folder, folder.parent)
    with ProcessPoolExecutor(4, get_context("spawn")) as pool:
        found = list(pool.map(inode_after_unpacking, [packed] * 8, [cache] * 8))
    assert len(set(found)) == 1
    assert copies(cache) == [packed.stem]


def inode_after_unpacking(packed: Path, cache: Path) -> int:
    return (unpacked_archive(packed, cache) / "matchers" / "empty").stat().st_ino


def test_an_unpacking_process_that_is_killed_leaves_no_copy_and_no_lock(folder, cache):
    packed = pack(folder, folder.parent)
    killed = """
import os, signal, sys, zipfile
from pathlib import Path
from runtime import shipping
def extracted(self, path, whole=zipfile.ZipFile.extractall):
    whole(self, path)
    os.kill(os.getpid(), signal.SIGKILL)
zipfile.ZipFile.extractall = extracted
shipping.unpacked_archive(Path(sys.argv[1]), Path(sys.argv[2]))
"""
    assert subprocess.run([sys.executable, "-c", killed, packed, cache], timeout=60).returncode == -9
    assert len(copies(cache)) == 1
    assert packed.stem not in copies(cache)
    assert (unpacked_archive(packed, cache) / "matchers" / "empty").exists()
    assert copies(cache) == [packed.stem]


def test_an_archive_has_no_name_by_which_spark_would_unpack_it_beside_the_program(folder, tmp_path):
    assert not pack(folder, tmp_path).name.endswith((".tar", ".tar.gz", ".tgz", ".zip", ".jar", ".py"))


@pytest.mark.parametrize("size", [0, 100, 3000, 5120, -1])
def test_an_archive_that_is_cut_off_leaves_no_copy(folder, cache, size):
    packed = pack(folder, folder.parent)
    packed.write_bytes(packed.read_bytes()[:size])
    with pytest.raises(InputError, match=r"is damaged \(.*\); delete it, and run the same command again"):
        unpacked_archive(packed, cache)
    assert copies(cache) == []


@pytest.mark.parametrize("name", ["../a", "/a", "b/../../a"])
def test_an_archive_of_someone_else_writes_nowhere_else(tmp_path, cache, name):
    with ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, "a")
    packed = (tmp_path / "a.zip").rename(tmp_path / f"a-{content_digest(tmp_path / 'a.zip')}.packed")
    copy = unpacked_archive(packed, cache)
    assert [path.name for path in copy.rglob("*") if path.is_file()] == ["a"]
    assert not (tmp_path / "a").exists()
    assert not (cache / "a").exists()


@pytest.mark.slow
def test_matchers_are_the_same_from_one_process_and_from_several(tmp_path):
    entries = Entries.build({"en": ["dog", "black dog"], "ja": ["犬", "黒い犬"], "sw": ["mbwa"]})
    for processes in (1, 2):
        save_matchers(entries, "unicode", tmp_path / f"by-{processes}", processes=processes)
    for code in entries.languages:
        one, several = (Matcher.open(tmp_path / f"by-{processes}" / code) for processes in (1, 2))
        assert one.digest == several.digest
        assert one.find(["a black dog 黒い犬 mbwa"]) == several.find(["a black dog 黒い犬 mbwa"])


# --- a folder or URL that all machines see ---


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_an_artefact_in_a_shared_folder_or_at_a_url_is_unpacked_from_there(
    request, kind, folder, tmp_path, monkeypatch
):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / "disk"))
    shared = request.getfixturevalue("s3_folder") if kind == "s3" else tmp_path / "shared ü"
    shared.mkdir(parents=True, exist_ok=True)
    tars = [put(folder, shared) for _ in range(2)]
    assert tars[0] == tars[1]
    assert files(shared) == tars[:1]
    copy = Shipped(folder, str(tars[0])).path()
    assert copy.name == folder.name
    assert tmp_path / "disk" in copy.parents
    assert np.array_equal(np.load(copy / "größe 犬" / "numbers.npy"), np.arange(1000))


def test_a_file_that_is_damaged_after_it_was_unpacked_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / "disk"))
    np.save(tmp_path / "rates.npy", np.arange(1000))
    artefact = Shipped(
        tmp_path / "rates.npy", str(put(tmp_path / "rates.npy", tmp_path)), checksum_of(tmp_path / "rates.npy")
    )
    copy = artefact.path()
    assert artefact.path() == copy
    flip(copy, random.Random(0))
    with pytest.raises(InputError, match=rf"{copy} is damaged .*; delete {copy.parent} and run the same command again"):
        artefact.path()


def test_a_shared_artefact_that_a_worker_does_not_see_is_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / "disk"))
    with pytest.raises(
        InputError, match="gone.packed is not seen by .*; pass a folder that all machines share, or a URL"
    ):
        Shipped(folder, str(tmp_path / "gone.packed")).path()
