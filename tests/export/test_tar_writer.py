"""A tar has the bytes that the standard library gives it."""

import io
import tarfile

import pytest

from curation.plugins.tars.headers import _by_tarfile, _header, adding_files

MEMBERS = {
    "00000.jpg": b"JPEG" * 300,
    "a b/犬.json": b"{}",
    "empty.txt": b"",
    "n" * 100: b"x" * 512,
    "n" * 101: b"long name",
    "é" * 80: b"long name in UTF-8",
    "\udcff.txt": b"no UTF-8",
}


@pytest.mark.parametrize("names", [[], ["00000.jpg"], [*MEMBERS]])
def test_a_tar_has_the_bytes_of_the_standard_library(tmp_path, names):
    with adding_files(tmp_path / "ours.tar") as add:
        for name in names:
            add(name, MEMBERS[name])
    with tarfile.open(tmp_path / "theirs.tar", "w", format=tarfile.GNU_FORMAT, encoding="utf-8") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(MEMBERS[name])
            tar.addfile(member, io.BytesIO(MEMBERS[name]))
    assert (tmp_path / "ours.tar").read_bytes() == (tmp_path / "theirs.tar").read_bytes()


@pytest.mark.parametrize("size", [0, 7, 512, 8**11 - 1, 8**11])
def test_a_header_says_any_size(size):
    assert _header("a.jpg", size) == _by_tarfile("a.jpg", size)
