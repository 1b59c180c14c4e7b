"""Read records of one type (metadata or response) from the gzip members of a WARC or WAT file.

A regular expression reads record headers of the usual form; fastwarc reads the rest.
"""

import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple, cast

import numpy as np
from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from curation.inputs.crawl.gzip_members import Member, Stream
from runtime.arrow.batching import gather
from runtime.kernels.masks import SLACK

MAX_RECORD = 64 << 20  # bytes; larger ones are films and archives
LONGEST_HEAD = 16 << 10  # bytes of a usual head; an expression may take many times as much memory
GROUP = 2 << 20  # bytes of the records that are read at once; more leave the second cache

_FIELD = rb"(?:(?!WARC-Type|Content-Length)[!-~].*\r\n)*"
_LENGTH = rb"Content-Length: ([1-9][0-9]{0,7})\r\n"
_HEAD = re.compile(rb"WARC/1\.[01]\r\nWARC-Type: ([a-z]+)\r\n" + _FIELD + _LENGTH + _FIELD + rb"\r\n")
_LINE_ENDS = b"\r\n\r\n"  # behind a block


class Blocks(NamedTuple):
    """The blocks (contents) of several records, as ranges of the same bytes."""

    data: bytes  # a zero is behind each block, and SLACK zeros are behind all
    begins: np.ndarray  # int64, one a block, like ends
    ends: np.ndarray


def metadata(members: Iterable[Member], tally: Counter[str]) -> Iterator[Blocks]:
    """Yield the blocks of all metadata records, about GROUP bytes at a time."""
    return grouped(_metadata(members, tally))


def grouped(blocks: Iterable[bytes | memoryview]) -> Iterator[Blocks]:
    """Yield blocks one behind the other, about GROUP bytes at a time."""
    for group in gather(blocks, len, GROUP):
        sizes = np.array([len(block) for block in group], np.int64)
        ends = np.cumsum(sizes + 1) - 1
        yield Blocks(b"\0".join((*group, bytes(SLACK))), ends - sizes, ends)


def responses(members: Iterable[Member], tally: Counter[str]) -> Iterator[tuple[WarcRecord, bytes]]:
    """Yield each response with its block."""
    for member in members:
        usual = _usual(member)
        if usual and usual[0] != b"response":
            tally["records"] += 1
        else:
            yield from _parsed(member, WarcRecordType.response, tally)


def _metadata(members: Iterable[Member], tally: Counter[str]) -> Iterator[bytes | memoryview]:
    for member in members:
        usual = _usual(member)
        if usual is None:
            yield from (block for _, block in _parsed(member, WarcRecordType.metadata, tally))
            continue
        kind, block = usual
        tally["records"] += 1
        if kind == b"metadata":
            yield block


def _usual(member: Member) -> tuple[bytes, memoryview] | None:
    """Return the kind and the block of a member that is a single record of the usual form."""
    if isinstance(member, Stream):
        return None
    head = _HEAD.match(member, 0, LONGEST_HEAD)
    if head is None or head.end() + int(head[2]) + len(_LINE_ENDS) != len(member) or not member.endswith(_LINE_ENDS):
        return None
    return head[1], memoryview(member)[head.end() : -len(_LINE_ENDS)]


def _parsed(member: Member, kind: WarcRecordType, tally: Counter[str]) -> Iterator[tuple[WarcRecord, bytes]]:
    """Yield each whole record of a member that is of this kind, with its block."""
    # Of a stream, fastwarc uses `read` and `tell` alone.
    stream = cast(BinaryIO, member) if isinstance(member, Stream) else io.BytesIO(member)
    try:
        for record in ArchiveIterator(stream, parse_http=False):
            tally["records"] += 1
            if record.record_type == kind and (block := _block(record, tally)):
                yield record, block
    except OSError:  # fastwarc's error for anything that is no WARC; a stream itself raises none
        tally["dropped.bad_record"] += 1


def _block(record: WarcRecord, tally: Counter[str]) -> bytes | None:
    """Return the block of a record; None where it is too large or cut off, which is counted."""
    if record.content_length > MAX_RECORD:
        tally["dropped.too_large"] += 1
        return None
    block = record.reader.read()
    if not block or len(block) < record.content_length:  # a header without a length reads as length 0
        tally["dropped.bad_record"] += 1
        return None
    return block
