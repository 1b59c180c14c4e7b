"""Write a tar whose bytes depend only on the names and contents of its members: no times, users or groups.

The bytes equal those that `tarfile` writes in GNU's format, but `tarfile` spends most of its time on headers; the tests
compare the two.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

NAME, SIZE = slice(0, 100), slice(124, 136)  # in a header
CHECKSUM = slice(148, 155)
LARGE = 1 << 33  # bytes, which eleven octal digits cannot count
ENCODING = ("utf-8", "surrogateescape")


class TarWriter:
    """A tar that is being written."""

    def __init__(self, file: BinaryIO):
        self._file = file

    def add(self, name: str, content: bytes) -> None:
        """Append a file."""
        self._file.write(_header(name, len(content)))
        self._file.write(content)
        self._file.write(bytes(-len(content) % tarfile.BLOCKSIZE))

    def finish(self) -> None:
        """Append the end of the tar."""
        self._file.write(bytes(2 * tarfile.BLOCKSIZE))
        self._file.write(bytes(-self._file.tell() % tarfile.RECORDSIZE))


@contextmanager
def writing(path: Path) -> Iterator[TarWriter]:
    """Yield a tar to write, which is whole when the block ends."""
    with path.open("wb") as file:
        tar = TarWriter(file)
        yield tar
        tar.finish()


def _header(name: str, size: int) -> bytes:
    encoded = name.encode(*ENCODING)
    if len(encoded) > NAME.stop or size >= LARGE:
        return _by_tarfile(name, size)
    header = bytearray(_EMPTY)
    header[: len(encoded)] = encoded
    header[SIZE] = digits = b"%011o\0" % size
    header[CHECKSUM] = b"%06o\0" % (_SUM + sum(encoded) + sum(digits))
    return bytes(header)


def _by_tarfile(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT, *ENCODING)


_EMPTY = _by_tarfile("", 0)
_SUM = int(_EMPTY[CHECKSUM].rstrip(b"\0"), 8) - sum(_EMPTY[SIZE])  # of what is the same in all headers
