"""Read and write the headers of tars: the name, offset and size of each file; refuse damaged tars.

A header that no tar writer could have made counts as damage; its content is not guessed. A damaged tar is read up to
the damage; a run with too many damaged tars is refused. The bytes of a written tar depend only on the names and
contents of its members: no times, users or groups. These bytes equal those that `tarfile` writes in GNU's format, but
`tarfile` spends most of its time on headers; the tests compare the two.
"""

from __future__ import annotations

import mmap
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from sys import maxsize
from typing import NamedTuple

from curation.config import CurationConfig
from runtime.errors import InputError
from runtime.messages import quoted
from runtime.terminal import WARNING, in_one_line

DAMAGED = "damaged"  # the name of facts: each is the path of a damaged tar, and its fault
MAX_BAD_SHARE = CurationConfig.max_bad_files  # the largest share of unusable tars, or pictures, of a command
TARS_SHOWN = 3  # the most damaged tars that a message names

TAR_BLOCK = 512  # the bytes of a block; tar pads headers and files to full blocks
MOST_EXTENDED = 1 << 20  # the most bytes of an extended header, which states a long name
_ADLER = 65_521  # the largest prime below 2^16
_OCTAL = re.compile(rb" *([0-7]+)[ \0]*")
_DECIMAL = re.compile(rb"[0-9]{1,18}")
_RECORD = re.compile(rb"([0-9]{1,8}) ([^=]+)=")  # the first part of a record in a pax header: its length and keyword
_FILE = (b"0", b"\0")
_GNU_NAME, _PAX = b"L", b"x"

# Each field of a header is at these bytes.
NAME = slice(0, 100)
SIZE = slice(124, 136)
CHECKSUM = slice(148, 156)
LARGE = 1 << 33  # the smallest size in bytes that eleven octal digits cannot state
ENCODING = ("utf-8", "surrogateescape")


class TarMember(NamedTuple):
    """One file of a tar, its bytes at tar[offset:offset + size]."""

    name: str  # Bytes that are not UTF-8 are surrogates here.
    offset: int
    size: int

    def content(self, tar: bytes | mmap.mmap, most: int = maxsize) -> bytes:
        """Return the bytes of the file, or its first `most` bytes."""
        return tar[self.offset : self.offset + min(self.size, most)]


class _Stated(NamedTuple):
    """The name (empty if not stated) and the size that an extended header states for the next member."""

    name: bytes = b""
    size: int | None = None


def regular_files(data: bytes | mmap.mmap) -> Iterator[TarMember]:
    """Yield the regular files of a tar, given as its bytes; raise DamagedTar at the first damage."""
    position = 0
    stated = _Stated()
    while (header := data[position : position + TAR_BLOCK]).lstrip(b"\0"):  # A block of zeros ends a tar.
        _require_whole(header, position)
        kind = header[156:157]
        offset = position + TAR_BLOCK
        size = _size(header[SIZE]) if stated.size is None else stated.size
        position = offset + -(-size // TAR_BLOCK) * TAR_BLOCK
        if position > len(data):
            raise _cut(f"ends inside of {quoted(_text(_name(header)))!r}")
        if kind in _FILE:
            yield TarMember(_text(stated.name or _name(header)), offset, size)
        stated = _stated(kind, data, offset, size)
    if position >= len(data):  # The writer did not close the tar: files of the last sample may be missing.
        raise _cut("has no end")


def _require_whole(header: bytes, position: int) -> None:
    if position and len(header) < TAR_BLOCK:
        raise _cut("ends inside of a header")
    if header[257:262] != b"ustar":
        if position:
            raise _damaged("magic", header[257:262])
        raise DamagedTar("is not an uncompressed tar; pass tars as img2dataset writes them")
    if not _is_summed(header):
        raise _damaged("checksum", header[CHECKSUM])


def _is_summed(header: bytes) -> bool:
    """Return whether a header's checksum is the sum of its bytes, with 8 spaces in place of the checksum itself.

    Adler-32 sums the bytes modulo 65,521, ten times as fast as `sum`. Sums of signed bytes, by old writers, must be
    exact.
    """
    field = header[CHECKSUM]
    stated = _OCTAL.match(field)
    if stated is None:
        return False
    expected = int(stated[1], 8) - 8 * ord(" ") + sum(field)
    if (expected + 1 - zlib.adler32(header) % (1 << 16)) % _ADLER == 0:
        return True
    return expected == sum(header) - 256 * sum(byte > 127 for byte in header)


def _size(field: bytes) -> int:
    octal = _OCTAL.fullmatch(field)
    if octal:
        return int(octal[1], 8)
    if field[0] != 0x80:  # GNU's binary form, for 8 GiB and more, begins with 0x80.
        raise _damaged("size", field)
    return int.from_bytes(field[1:], "big")


def _name(header: bytes) -> bytes:
    name, prefix = (field.partition(b"\0")[0] for field in (header[NAME], header[345:500]))
    return prefix + b"/" + name if prefix and header[262:263] == b"\0" else name  # GNU's format has no prefix.


def _stated(kind: bytes, data: bytes | mmap.mmap, offset: int, size: int) -> _Stated:
    if kind not in (_GNU_NAME, _PAX):
        return _Stated()
    if size > MOST_EXTENDED:
        raise _damaged("bytes of a name", size)
    content = data[offset : offset + size]
    if kind == _GNU_NAME:
        return _Stated(content.partition(b"\0")[0])
    records = _records(content)
    length = records.get(b"size")
    if length is not None and not _DECIMAL.fullmatch(length):
        raise _damaged("size", length[:20])
    return _Stated(records.get(b"path", b""), None if length is None else int(length))


def _records(content: bytes) -> dict[bytes, bytes]:
    """Return the values of a pax header by keyword; DamagedTar for a malformed record."""
    values = {}
    begin = 0
    while content[begin : begin + 1] not in (b"", b"\0"):
        record = _RECORD.match(content, begin)
        end = begin + int(record[1]) if record else 0
        if record is None or end <= record.end() or content[end - 1 : end] != b"\n":
            raise _damaged("record", content[begin : begin + 20])
        values[record[2]] = content[record.end() : end - 1]
        begin = end
    return values


def _text(name: bytes) -> str:
    return name.decode(*ENCODING)


def _cut(how: str) -> DamagedTar:
    return DamagedTar(f"is cut: it {how}; download it again or leave it out")


def _damaged(what: str, content: object) -> DamagedTar:
    return DamagedTar(f"has a damaged header ({what} {content!r}); download it again or leave it out")


class DamagedTar(InputError):
    """The refusal of a tar that cannot be read to its end; the message is the fault, without the tar's path."""


def require_sound(damaged: Mapping[str, str], tars: int, most: float = 0.0) -> None:
    """Raise InputError if more than the share `most` of `tars` tars is damaged; `damaged` maps a path to its fault.

    >>> require_sound({"0.tar": "is cut; download it again", "2.tar": "is empty"}, tars=9)
    Traceback (most recent call last):
    runtime.errors.InputError: 2 of 9 tars are damaged: 0.tar is cut; download it again, 2.tar is empty
    """
    if len(damaged) > most * tars:
        number = f"{len(damaged):,} of {tars:,} tars are damaged: " if len(damaged) > 1 else ""
        raise InputError(number + ", ".join(_named(damaged)))


def told(damaged: Mapping[str, str], tars: int) -> list[str]:
    """Return a list with the one-line warning about damaged tars, given path → fault; empty if all `tars` are sound.

    >>> told({"0.tar": "is cut", "2.tar": "is empty"}, tars=9)
    ['warning: damaged tars: 2 of 9, read up to the damage: 0.tar is cut, 2.tar is empty']
    """
    if not damaged:
        return []
    which = in_one_line(", ".join(_named(damaged)))
    return [f"{WARNING}damaged tars: {len(damaged):,} of {tars:,}, read up to the damage: {which}"]


def _named(damaged: Mapping[str, str]) -> list[str]:
    named = [f"{path} {fault}" for path, fault in damaged.items()]
    more = [f"and {len(named) - TARS_SHOWN:,} more"] if len(named) > TARS_SHOWN else []
    return named[:TARS_SHOWN] + more


@contextmanager
def adding_files(path: Path) -> Iterator[Callable[[str, bytes], None]]:
    """Yield a function that appends a file, given by name and content, to a new tar at `path` in GNU's format."""
    with path.open("wb") as file:

        def add(name: str, content: bytes) -> None:
            file.write(_header(name, len(content)))
            file.write(content)
            file.write(bytes(-len(content) % TAR_BLOCK))

        yield add
        file.write(bytes(2 * TAR_BLOCK))  # Two empty blocks end a tar.
        file.write(bytes(-file.tell() % tarfile.RECORDSIZE))


def _header(name: str, size: int) -> bytes:
    encoded = name.encode(*ENCODING)
    if len(encoded) > NAME.stop or size >= LARGE:
        return _by_tarfile(name, size)
    header = bytearray(_EMPTY)
    header[: len(encoded)] = encoded
    header[SIZE] = digits = b"%011o\0" % size
    header[CHECKSUM] = b"%06o\0 " % (_SUM + sum(encoded) + sum(digits))
    return bytes(header)


def _by_tarfile(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT, *ENCODING)


_EMPTY = _by_tarfile("", 0)
_SUM = int(_EMPTY[CHECKSUM].rstrip(b"\0 "), 8) - sum(_EMPTY[SIZE])  # the sum of the bytes that all headers share
