"""Headers of tars state what a writer can have stated, or the tar is damaged; none takes long to be told so."""

import io
import re
import tarfile
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.plugins.tars.headers import DamagedTar, regular_files
from curation.plugins.tars.samples import _parted, tar_rows
from runtime.errors import InputError
from tests.fuzz.tars import with_checksums
from tests.support.online_run import add

SIZE = slice(124, 136)
WEBDATASET = re.compile(r"((?:.*/|)[^.]+)[.]([^/]*)", re.DOTALL)  # as its documentation has it


def tar_of(*files: tuple[str, bytes], form: int = tarfile.USTAR_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as tar:
        for name, content in files:
            add(tar, name, content)
    return file.getvalue()


def with_header(kind: bytes, content: bytes, name: str = "a.jpg", size: bytes | None = None) -> bytes:
    """Return a tar in which a header of this kind comes before a file of six bytes."""
    header = tarfile.TarInfo("header")
    header.type, header.size = kind, len(content)
    before = header.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % 512)
    file = bytearray(tar_of((name, b"pixels")))
    file[SIZE] = size or file[SIZE]
    return with_checksums(before + bytes(file))


def record(keyword: bytes, value: bytes) -> bytes:
    """Return a record of a pax header, which begins with its own length."""
    rest = b" %b=%b\n" % (keyword, value)
    length = next(n for n in range(len(rest), len(rest) + 9) if n == len(str(n)) + len(rest))
    return b"%d%b" % (length, rest)


def found(data: bytes) -> list[tuple[str, bytes]]:
    return [(name, data[offset : offset + size]) for name, offset, size in regular_files(data)]


@pytest.mark.parametrize("size", [b"00000000006\0", b"6" + bytes(11), b"6 \0" + bytes(9), b"         6 \0",
    b"000000000006", b"\x80" + bytes(10) + b"\6"])  # fmt: skip
def test_sizes_are_octal_or_base_256(size):
    data = bytearray(tar_of(("a.jpg", b"pixels")))
    data[SIZE] = size
    assert found(with_checksums(data)) == [("a.jpg", b"pixels")]


@pytest.mark.parametrize("size", [b"-0000001000\0", b"-1" + bytes(10), b"+0000000006\0", b"0o000000006\0",
    b"0000_000006\0", b"00000000008\0", b"\t0000000006\0", bytes(12), b" " * 12, b"6\0" + b"7" * 10, b"\xff" * 12,
    b"\xff" + bytes(11), b"\x81" + bytes(10) + b"\6", "٠٠٠٠٠٦".encode()])  # fmt: skip
def test_a_size_that_no_writer_states_is_damage_and_hangs_nothing(size):
    data = bytearray(tar_of(("a.jpg", b"pixels")))
    data[SIZE] = size
    with pytest.raises(InputError, match="has a damaged header"):
        found(with_checksums(data))


def test_a_size_beyond_the_end_is_a_cut_tar():
    for size in (b"77777777777\0", b"\x80" + b"\xff" * 11):
        data = bytearray(tar_of(("a.jpg", b"pixels")))
        data[SIZE] = size
        with pytest.raises(InputError, match="is cut: it ends inside of 'a.jpg'"):
            found(with_checksums(data))


def test_a_tar_that_a_crash_cut_short_is_damaged_wherever_it_ends():
    data = tar_of(("a.jpg", b"pixels"), ("a.json", b"{}"))
    for size in range(512, 4 * 512 + 1, 64):
        with pytest.raises(DamagedTar, match=r"is cut: it (ends inside of .*|has no end); download"):
            found(data[:size])
    data = data[: 2 * 512] + b"\1" + data[2 * 512 + 1 :].replace(b"ustar", b"\0\0\0\0\0")
    with pytest.raises(DamagedTar, match=r"has a damaged header \(magic b'"):
        found(data)


@pytest.mark.parametrize("at", [0, 3, 107, 135, 150, 156, 345, 511])
def test_a_flipped_bit_of_a_header_is_damage(at):
    data = bytearray(tar_of(("a.jpg", b"pixels"), ("a.json", b"{}")))
    data[1024 + at] ^= 1
    with pytest.raises(DamagedTar, match=r"has a damaged header \(checksum"):
        found(bytes(data))


def test_a_name_that_begins_with_zero_does_not_end_a_tar():
    data = bytearray(tar_of(("a.jpg", b"pixels"), ("a.json", b"{}")))
    data[1024] = 0
    with pytest.raises(DamagedTar, match=r"has a damaged header \(checksum"):
        found(bytes(data))


def test_old_writers_added_signed_bytes():
    data = bytearray(tar_of(("é.jpg", b"pixels")))
    data[148:156] = b"%06o\0 " % (int(data[148:154], 8) - 2 * 256)
    assert found(bytes(data)) == [("é.jpg", b"pixels")]


def test_pax_states_name_and_size_of_the_next_file_alone():
    stated = record(b"comment", b"9 path=b.png\n") + record(b"path", b"c.png") + record(b"size", b"6")
    first = with_header(b"x", stated, size=b"00000000000\0")[: 4 * 512]  # without the end of a tar
    assert found(first + tar_of(("d.json", b"{}"))) == [("c.png", b"pixels"), ("d.json", b"{}")]


@pytest.mark.parametrize("content", [b"9 path=", b"99 path=a\n", b"0 path=a\n", b"-9 path=a\n", b"8 path\n",
    b"path=a\n", b"11 path=a\n", b"1" * 500_000, record(b"size", b"-512"), record(b"size", b"1" * 5000),
    record(b"size", b""), record(b"path", b"/" * (1 << 20))])  # fmt: skip
def test_damaged_pax_headers_are_refused_at_once(content):
    begin = time.monotonic()
    with pytest.raises(InputError, match="has a damaged header"):
        found(with_header(b"x", content))
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize(("folder", "form"), [("\udcff\udcfe", tarfile.USTAR_FORMAT),
    ("d" * 90 + "\udcff/" + "e" * 50, tarfile.USTAR_FORMAT), ("\udcff" * 200, tarfile.GNU_FORMAT)])  # fmt: skip
def test_a_name_that_is_no_utf8_is_a_sample_with_a_readable_key(folder, form, tmp_path):
    data = tar_of((f"{folder}/0.jpg", b"pixels"), (f"{folder}/0.json", b'{"uid": "u"}'), form=form)
    (tmp_path / "a.tar").write_bytes(data)
    row = tar_rows(tmp_path / "a.tar").to_pylist()[0]
    assert row["uid"] == "u"
    assert row["key"] == folder.replace("\udcff", "\\xff").replace("\udcfe", "\\xfe") + "/0"


def test_a_pax_path_that_is_no_utf8_is_a_sample_with_a_readable_key(tmp_path):
    (tmp_path / "a.tar").write_bytes(with_header(b"x", record(b"path", b"\xff.jpg")))
    assert tar_rows(tmp_path / "a.tar")["key"].to_pylist() == ["\\xff"]


def test_a_long_name_takes_no_long_time():
    name = "/" * 1_000_000
    begin = time.monotonic()
    assert [_parted(each) for each in (name, name + "\n.\n/", "a" * 1_000_000)] == [None] * 3
    assert time.monotonic() - begin < 2


@given(st.text("ab./\n", max_size=12))
def test_names_are_cut_into_key_and_extension_as_webdataset_cuts_them(name):
    match = WEBDATASET.fullmatch(name)
    assert _parted(name) == (match and match.groups())
