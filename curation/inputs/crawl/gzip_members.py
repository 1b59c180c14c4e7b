"""Read the gzip members of a WARC or WAT file, one per record; a broken member is counted, and reading goes on."""

import io
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO, TypeAlias

import numpy as np
from deflate import DeflateError, gzip_decompress
from isal import isal_zlib as zlib

from runtime.kernels.masks import SLACK, find_bytes

CHUNK = 1 << 18  # bytes read at once
PIECE = 1 << 16  # compressed bytes inflated at once; they may become a thousand times as many
WHOLE = 64 << 20  # a member up to this size is checked to its end before it is given on
FAR = 1 << 20  # compressed bytes in which the end of a member is looked for
PROBE = 1024  # compressed bytes that always hold the start of a record
MAGIC = b"\x1f\x8b\x08"
_MAGIC_WORD = int.from_bytes(MAGIC, "little")
_SIZE_BYTES = 4  # at the end of a member: how many bytes it unpacks to
_MOST_RATIO = 1032  # bytes that deflate can make of one
_BROKEN: type[Exception] = zlib.error  # type: ignore[assignment]  # isal's stub calls the class an exception


def members(file: BinaryIO, tally: Counter[str]) -> Iterator["Member"]:
    """Yield the bytes of each gzip member of `file`; count what cannot be read in `tally`.

    A member larger than WHOLE, as of a file that was compressed in one go, is given on as a stream while it is read;
    where it breaks, its stream ends.
    """
    source = _Source(file)
    if not source.more() or not source.begins_member():
        tally["dropped.bad_file"] += 1
        return
    while source.more():
        member = source.at_once()
        if member is not None:
            yield member
            continue
        try:
            yield from _by_pieces(source)
        except (_BROKEN, EOFError) as error:
            found = source.skip()
            cut = isinstance(error, EOFError) and not found
            tally["dropped.truncated" if cut else "dropped.corrupt_gzip"] += 1


def _by_pieces(source: "_Source") -> Iterator["Member"]:
    """Yield the member that begins here: its bytes, or if it is large a stream of them."""
    pieces = source.pieces()
    start: list[bytes] = []
    size = 0
    for piece in pieces:
        start.append(piece)
        size += len(piece)
        if size > WHOLE:
            stream = Stream(b"".join(start), pieces)
            yield stream
            stream.drain()
            return
    yield b"".join(start)


class _Source:
    """The compressed bytes of a file: `_data` has been read, and from `_at` on is not yet inflated."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._data, self._at = b"", 0
        self._searched = np.frombuffer(bytes(SLACK), np.uint8)

    def more(self) -> bool:
        """Go to where the next member begins; False at the end of the file. Zeros between are padding."""
        while True:
            if self._data.startswith(b"\0", self._at):
                self._set(self._data[self._at :].lstrip(b"\0"))
            if len(self._data) - self._at >= len(MAGIC) or not self._read():
                return self._at < len(self._data)

    def begins_member(self) -> bool:
        """Return whether the next bytes are those that each member begins with."""
        return self._data.startswith(MAGIC, self._at)

    def at_once(self) -> bytearray | None:
        """Return the bytes of the member that begins here and go behind it; None if it must be read by pieces.

        Where the next one seems to begin, this one should end, with its size. If so libdeflate inflates and checks it,
        faster than anything can that must find the end out.
        """
        end = self._end()
        size_at = end - _SIZE_BYTES
        size = int.from_bytes(self._data[size_at:end], "little")
        if not 0 < size <= min(WHOLE, _MOST_RATIO * (end - self._at)):
            return None
        if find_bytes(self._searched, self._at, end, size, _SIZE_BYTES) < size_at:
            return None  # it may end there: libdeflate would not report bytes behind it
        try:
            member = gzip_decompress(memoryview(self._data)[self._at : end], size)
        except DeflateError:
            return None
        self._at = end
        return member

    def _end(self) -> int:
        """Return where the next member seems to begin, or the file ends; a position before that if it is too far."""
        while True:
            end = find_bytes(self._searched, self._at + 1, len(self._data), _MAGIC_WORD, len(MAGIC))
            if end >= 0:
                return end
            if len(self._data) - self._at >= FAR or not self._read():
                return len(self._data)

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes of the member that begins here; zlib.error where it breaks, EOFError where it is cut.

        The source stays at the beginning of a member up to WHOLE until that is read, in case it breaks.
        """
        inflate = zlib.decompressobj(31)
        at, size = self._at, 0
        while not inflate.eof:
            if at == len(self._data):
                at -= self._at
                if not self._read():
                    raise EOFError
            packed = self._data[at : at + PIECE]
            piece = inflate.decompress(packed)
            at += len(packed) - len(inflate.unused_data)
            size += len(piece)
            if size > WHOLE:
                self._at = at
            yield piece
        self._at = at

    def skip(self) -> bool:
        """Go to the next member that holds a record, after a member broke; False if there is none."""
        self._at += 1
        while True:
            at = self._data.find(MAGIC, self._at)
            self._at = at if at >= 0 else max(self._at, len(self._data) - len(MAGIC) + 1)
            if len(self._data) - self._at < PROBE and self._read():
                continue
            if at < 0:
                self._at = len(self._data)
                return False
            if _begins_record(self._data[at : at + PROBE]):
                return True
            self._at += 1

    def _read(self) -> bool:
        """Read on; False at the end of the file."""
        chunk = self._file.read(max(CHUNK, (len(self._data) - self._at) // 4))  # what is kept is copied
        if chunk:
            self._set(self._data[self._at :] + chunk)
        return bool(chunk)

    def _set(self, data: bytes) -> None:
        self._data, self._at = data, 0
        self._searched = np.frombuffer(data + bytes(SLACK), np.uint8)


def _begins_record(data: bytes) -> bool:
    try:
        return zlib.decompressobj(31).decompress(data).startswith(b"WARC/")
    except _BROKEN:
        return False


class Stream:
    """A member that is read while it is inflated. Errors wait for `drain`: its reader takes every error for its own."""

    def __init__(self, start: bytes, pieces: Iterator[bytes]):
        self._buffer = io.BytesIO(start)
        self._pieces = pieces
        self._position = 0
        self._error: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        data = self._buffer.read(size)
        while not data and self._error is None:
            try:
                self._buffer = io.BytesIO(next(self._pieces))
            except StopIteration:
                break
            except (OSError, EOFError, _BROKEN) as error:
                self._error = error
            data = self._buffer.read(size)
        self._position += len(data)
        return data

    def tell(self) -> int:
        return self._position

    def drain(self) -> None:
        """Read to the end of the member; raise what broke it."""
        while self.read(CHUNK):
            pass
        if self._error:
            raise self._error


Member: TypeAlias = bytes | bytearray | Stream  # a stream if it is large
