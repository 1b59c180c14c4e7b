"""A file of many gzip members, one for each record, read so that a broken member costs that member only."""

import io
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

from isal import isal_zlib as zlib  # twice as fast

CHUNK = 1 << 16  # bytes read at once; more makes short members slower, as what follows each is copied
WHOLE = 64 << 20  # a member up to this size is checked to its end before it is given on
PROBE = 1024  # compressed bytes that always hold the start of a record
MAGIC = b"\x1f\x8b\x08"


def members(file: BinaryIO, tally: Counter) -> Iterator[BinaryIO]:
    """Yield the bytes of each gzip member of `file` as a stream; count what cannot be read in `tally`.

    A member larger than WHOLE, as of a file that was compressed in one go, is given on while it is read; where it
    breaks, its stream ends.
    """
    source = _Source(file)
    if not source.more() or not source.data.startswith(MAGIC):
        tally["dropped.bad_file"] += 1
        return
    while source.more():
        try:
            yield from _member(source)
        except (zlib.error, EOFError) as error:
            found = source.skip()
            cut = isinstance(error, EOFError) and not found
            tally["dropped.truncated" if cut else "dropped.corrupt_gzip"] += 1


def _member(source):
    pieces = source.member()
    start = []
    size = 0
    for piece in pieces:
        start.append(piece)
        size += len(piece)
        if size > WHOLE:
            stream = _Stream(b"".join(start), pieces)
            yield stream
            stream.drain()
            return
    yield io.BytesIO(b"".join(start))


class _Source:
    """The compressed bytes: `data` is what was read of the file and not yet inflated."""

    def __init__(self, file):
        self.data = b""
        self._file = file
        self._held = []  # what was inflated of this member, in case it breaks

    def more(self) -> bool:
        """Make `data` begin where the next member does; False at the end of the file. Zeros between are padding."""
        self.data = self.data.lstrip(b"\0")
        while len(self.data) < len(MAGIC):
            chunk = self._file.read(CHUNK)
            if not chunk:
                break
            self.data = (self.data + chunk).lstrip(b"\0")
        return bool(self.data)

    def member(self):
        """Yield the bytes of the member at the start of `data`; zlib.error where it breaks, EOFError where cut."""
        inflate = zlib.decompressobj(31)
        self._held = []
        size = 0
        while not inflate.eof:
            self.data = self.data or self._file.read(CHUNK)
            if not self.data:
                raise EOFError
            if size > WHOLE:
                self._held.clear()
            self._held.append(self.data)
            piece = inflate.decompress(self.data)
            self.data = inflate.unused_data
            size += len(piece)
            yield piece

    def skip(self) -> bool:
        """Make `data` begin at the next member that holds a record, after a member broke; False if there is none."""
        data, start = b"".join(self._held), 1
        self._held = []
        while True:
            at = data.find(MAGIC, start)
            if at < 0 or len(data) - at < PROBE:
                chunk = self._file.read(CHUNK)
                if chunk:
                    data, start = data[at if at >= 0 else -len(MAGIC) + 1 :] + chunk, 0
                    continue
            if at < 0:
                self.data = b""
                return False
            if _begins_record(data[at : at + PROBE]):
                self.data = data[at:]
                return True
            start = at + 1


def _begins_record(data):
    try:
        return zlib.decompressobj(31).decompress(data).startswith(b"WARC/")
    except zlib.error:
        return False


class _Stream:
    """A member that is read while it is inflated. Errors wait for `drain`: its reader takes every error for its own."""

    def __init__(self, start, pieces):
        self._buffer = io.BytesIO(start)
        self._pieces = pieces
        self._position = 0
        self._error = None

    def read(self, size=-1):
        data = self._buffer.read(size)
        while not data and self._error is None:
            try:
                self._buffer = io.BytesIO(next(self._pieces))
            except StopIteration:
                break
            except (OSError, EOFError, zlib.error) as error:
                self._error = error
            data = self._buffer.read(size)
        self._position += len(data)
        return data

    def tell(self):
        return self._position

    def drain(self):
        """Read to the end of the member; raise what broke it."""
        while self.read(CHUNK):
            pass
        if self._error:
            raise self._error
