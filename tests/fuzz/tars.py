"""Damaged tars: the samples before the damage, and of a sound tar the files that the standard library finds."""

from __future__ import annotations

import io
import random
import tarfile
from contextlib import suppress
from pathlib import Path

from curation.plugins.tars.headers import DamagedTar, TarMember, regular_files
from curation.plugins.tars.samples import fault_of, find, read, tar_rows, texts
from tests.fuzz.mutations import BLOCK, damaged
from tests.fuzz.target import Target
from tests.support.online_run import FORMATS, images, write_tar
from tests.support.pictures import downloaded_tar

CHECKSUM, PREFIX = slice(148, 156), slice(345, 500)  # of a header
END = TarMember("", 0, 0)  # behind all files of a tar that was read to its end
ODD = (b"-0000001000\0", b"77777777777\0", b"\xff" * 12, b"\x80" + b"\xff" * 11, b"\0" * 512, b"\xff", b"9 path=",
    b"12 path=a.b\n", b"11 size=-6\n", b"22 GNU.sparse.major=1\n",
    *(bytes([kind]) for kind in b"0123567xgLKSVXD\0"))  # fmt: skip


def wholes(folder: Path) -> list[bytes]:
    """Return tars of all formats, with long names and names that are not ASCII."""
    rows = images(6)
    rows[1]["key"], rows[2]["key"] = "folder.d/" + "k" * 80, "é" * 40
    found = [downloaded_tar(folder / "pictures.tar", range(6)).read_bytes()]
    for form in FORMATS:
        own = [*rows, *([images(7)[6] | {"key": "é" * 150}] if form != "ustar" else [])]
        write_tar(folder / f"{form}.tar", own, form)
        found.append((folder / f"{form}.tar").read_bytes())
    return found


def make(whole: bytes, dice: random.Random) -> bytes:
    """Return a damaged tar; mostly its headers have the right checksums, as of a hostile writer."""
    data = damaged(whole, dice, ODD)
    return with_checksums(data) if dice.random() < 0.7 else data


def with_checksums(data: bytes) -> bytes:
    """Return a tar with the right checksum in each header."""
    blocks = bytearray(data)
    for begin in range(0, len(blocks) - BLOCK + 1, BLOCK):
        header = blocks[begin : begin + BLOCK]
        if header[257:262] == b"ustar":
            header[CHECKSUM] = b" " * 8
            blocks[begin + CHECKSUM.start : begin + CHECKSUM.stop] = b"%06o\0 " % sum(header)
    return bytes(blocks)


def look(folder: Path, data: bytes) -> str:
    """Read a tar in all ways: they find the same samples and the same fault."""
    path = folder / "a.tar"
    path.write_bytes(data)
    found, own, fault = tar_rows(path), texts(path), None
    found.validate(full=True)
    assert found.num_rows == len(own)
    try:
        for source in find([str(path)]):
            for each in read(source):
                each.uid.encode()
    except DamagedTar as damage:
        fault = str(damage)
    assert fault == fault_of(found)
    if fault is not None:
        return "damaged"
    own, standard = [*regular_files(data), END], by_tarfile(data)
    assert own[: len(standard)] == standard
    return "read"


def by_tarfile(data: bytes) -> list[TarMember]:
    """Return the files of a tar that the standard library finds, before the first header that it cannot read."""
    found: list[TarMember] = []
    kinds = (tarfile.REGTYPE, tarfile.AREGTYPE)
    with suppress(tarfile.ReadError):
        tar = tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding="utf-8", errors="surrogateescape")
        found += (TarMember(_named(each, data), each.offset_data, each.size) for each in tar if each.type in kinds)
        if not data[tar.offset : tar.offset + BLOCK].strip(b"\0"):
            found.append(END)
    return found


def _named(each: tarfile.TarInfo, data: bytes) -> str:
    """Return the name of a file; GNU's format has no prefix, though the standard library reads one."""
    header = data[each.offset_data - BLOCK : each.offset_data]
    prefix = header[PREFIX].partition(b"\0")[0].decode("utf-8", "surrogateescape")
    return each.name if header[262:263] == b"\0" or not prefix else each.name.removeprefix(f"{prefix}/")


TARS = {"tars": Target(wholes, look, make)}
