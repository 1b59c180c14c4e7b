"""Artefacts packed for other machines: what arrives, who unpacks it, and which copies stay."""

import os
import random
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from curation.matching.finders import save_matchers
from curation.matching.matcher import Matcher
from metadata import Entries, InputError
from runtime.shipping import Placed, pack, put, unpacked
from runtime.storage.own_files import checksum_of, content_digest
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
    copy = unpacked(pack(folder, folder.parent), cache) / "matchers"
    assert np.array_equal(np.load(copy / "größe 犬" / "numbers.npy", mmap_mode="r"), np.arange(1000))
    assert (copy / "empty").read_bytes() == b""
    assert {path.relative_to(copy) for path in copy.rglob("*")} == {
        path.relative_to(folder) for path in folder.rglob("*")
    }


def test_a_file_is_an_artefact_too_also_behind_a_link(tmp_path, cache):
    (tmp_path / "stored").write_bytes(b"\0model" * 1000)
    (tmp_path / "lid.bin").symlink_to(tmp_path / "stored")
    copy = unpacked(pack(tmp_path / "lid.bin", tmp_path), cache) / "lid.bin"
    assert not copy.is_symlink()
    assert copy.read_bytes() == b"\0model" * 1000


def test_a_tar_is_named_by_its_content_alone(folder, tmp_path):
    name = pack(folder, tmp_path).name
    assert name.startswith("matchers-")
    os.utime(folder / "empty", (1, 1))
    (folder / "empty").chmod(0o600)
    assert pack(folder, tmp_path).name == name
    (folder / "empty").write_text("no more")
    assert pack(folder, tmp_path).name != name
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.is_file()) == [".packed", ".packed"]


def test_a_copy_that_is_there_serves_without_the_tar(folder, cache):
    tar = pack(folder, folder.parent)
    copy = unpacked(tar, cache)
    tar.unlink()
    assert unpacked(tar, cache) == copy


def test_of_many_processes_one_unpacks_and_all_find_it_whole(folder, cache):
    tar = pack(folder, folder.parent)
    with ProcessPoolExecutor(4, get_context("spawn")) as pool:
        found = list(pool.map(inode_after_unpacking, [tar] * 8, [cache] * 8))
    assert len(set(found)) == 1
    assert copies(cache) == [tar.stem]


def inode_after_unpacking(tar: Path, cache: Path) -> int:
    return (unpacked(tar, cache) / "matchers" / "empty").stat().st_ino


def test_an_unpacking_process_that_is_killed_leaves_no_copy_and_no_lock(folder, cache):
    tar = pack(folder, folder.parent)
    killed = """
import os, signal, sys, tarfile
from pathlib import Path
from runtime import shipping
def extracted(self, path, members, whole=tarfile.TarFile.extractall):
    whole(self, path, members)
    os.kill(os.getpid(), signal.SIGKILL)
tarfile.TarFile.extractall = extracted
shipping.unpacked(Path(sys.argv[1]), Path(sys.argv[2]))
"""
    assert subprocess.run([sys.executable, "-c", killed, tar, cache], timeout=60).returncode == -9
    assert len(copies(cache)) == 1
    assert tar.stem not in copies(cache)
    assert (unpacked(tar, cache) / "matchers" / "empty").exists()
    assert copies(cache) == [tar.stem]


def test_a_tar_has_no_name_by_which_spark_would_unpack_it_beside_the_program(folder, tmp_path):
    assert not pack(folder, tmp_path).name.endswith((".tar", ".tar.gz", ".tgz", ".zip", ".jar", ".py"))


@pytest.mark.parametrize("size", [0, 100, 3000, 5120, -1])
def test_a_tar_that_is_cut_off_leaves_no_copy(folder, cache, size):
    tar = pack(folder, folder.parent)
    tar.write_bytes(tar.read_bytes()[:size])
    with pytest.raises(InputError, match=r"is damaged \(.*\); delete it, and run the same command again"):
        unpacked(tar, cache)
    assert copies(cache) == []


def test_a_new_copy_drives_out_those_unused_for_a_week(folder, cache):
    tar = pack(folder, folder.parent)
    old, used = cache / "old-1", cache / "used-1"
    for copy in (old, used):
        copy.mkdir()
        os.utime(copy, (time.time() - 8 * 24 * 3600,) * 2)
    unpacked(cache / "used-1.packed", cache)
    unpacked(tar, cache)
    assert copies(cache) == sorted([tar.stem, "used-1"])


@pytest.mark.parametrize(("name", "kind"), [("../a", tarfile.REGTYPE), ("/a", tarfile.REGTYPE), ("a", tarfile.SYMTYPE)])
def test_a_tar_of_someone_else_writes_nowhere_else(tmp_path, cache, monkeypatch, name, kind):
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "/etc"
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(member)
    packed = (tmp_path / "a.tar").rename(tmp_path / f"a-{content_digest(tmp_path / 'a.tar')}.packed")
    with pytest.raises(InputError, match=f"it holds '{name}', which is no file or folder below it"):
        unpacked(packed, cache)


def test_tars_are_read_by_a_python_without_extraction_filters(folder, cache, monkeypatch):
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    monkeypatch.setattr(tarfile.TarFile, "extraction_filter", None, raising=False)
    assert (unpacked(pack(folder, folder.parent), cache) / "matchers" / "empty").exists()


def test_matchers_are_the_same_from_one_process_and_from_several(tmp_path):
    entries = Entries.build({"en": ["dog", "black dog"], "ja": ["犬", "黒い犬"], "sw": ["mbwa"]})
    entries.save(tmp_path / "metadata")
    for processes in (1, 2):
        save_matchers(tmp_path / "metadata", "unicode", tmp_path / f"by-{processes}", processes)
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
    copy = Placed(folder, str(tars[0])).path()
    assert copy.name == folder.name
    assert tmp_path / "disk" in copy.parents
    assert np.array_equal(np.load(copy / "größe 犬" / "numbers.npy"), np.arange(1000))


def test_a_file_that_is_damaged_after_it_was_unpacked_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / "disk"))
    np.save(tmp_path / "rates.npy", np.arange(1000))
    artefact = Placed(
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
        InputError, match="gone.packed is not seen by .*; give a folder that all machines share, or a URL"
    ):
        Placed(folder, str(tmp_path / "gone.packed")).path()
