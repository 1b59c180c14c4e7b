"""Read the records of a kind from the gzip members of a WARC or WAT file.

Heads of the usual form are read by a kernel (`kernels.warc_heads`), others by fastwarc.
"""

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import groupby
from typing import BinaryIO, NamedTuple, cast

import numpy as np
from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from curation.inputs.crawl.gzip_members import Member, Stream
from curation.kernels.warc_heads import BEGIN, COLUMNS, KIND, METADATA, RESPONSE, UNUSUAL, read_heads
from runtime.arrow.batching import gather
from runtime.kernels.masks import SLACK

MAX_RECORD = 64 << 20  # bytes; larger ones are films and archives
GROUP = 2 << 20  # bytes of the records that are read at once; more leave the second cache


class Blocks(NamedTuple):
    """The blocks (contents) of several records, as ranges of the same bytes."""

    data: bytes  # each block is followed by zeros, or line ends and then zeros; all by SLACK zeros
    begins: np.ndarray  # int64, one a block, like ends
    ends: np.ndarray


def metadata(members: Iterable[Member], tally: Counter[str]) -> Iterator[Blocks]:
    """Yield the blocks of all metadata records, about GROUP bytes at a time."""
    for is_whole, alike in groupby(members, _is_whole):
        if is_whole:
            for group in gather(cast(Iterator[bytes], alike), len, GROUP):
                yield _metadata_of(group, tally)
            continue
        for stream in alike:
            blocks = (block for _, block in _parsed(stream, WarcRecordType.metadata, tally))
            yield from map(joined, gather(blocks, len, GROUP))


def responses(members: Iterable[Member], tally: Counter[str]) -> Iterator[tuple[WarcRecord, bytes]]:
    """Yield each response with its block."""
    for member in members:
        if not isinstance(member, Stream) and _heads(member, [member])[0, KIND] not in (UNUSUAL, RESPONSE):
            tally["records"] += 1
        else:
            yield from _parsed(member, WarcRecordType.response, tally)


def joined(blocks: Sequence[bytes]) -> Blocks:
    """Return blocks one behind the other."""
    sizes, ends = _bounds(blocks)
    return Blocks(b"\0".join((*blocks, bytes(SLACK))), ends - sizes, ends)


def _metadata_of(members: list[bytes], tally: Counter[str]) -> Blocks:
    """Return the blocks of the metadata records in some members that are no streams."""
    data = b"\0".join((*members, bytes(SLACK)))
    heads = _heads(data, members)
    usual = heads[:, KIND] != UNUSUAL
    tally["records"] += int(usual.sum())
    if usual.all():
        return Blocks(data, *heads[heads[:, KIND] == METADATA, BEGIN:].T)
    blocks = []
    for member, (kind, begin, end) in zip(members, heads.tolist(), strict=True):
        if kind == UNUSUAL:
            blocks += [block for _, block in _parsed(member, WarcRecordType.metadata, tally)]
        elif kind == METADATA:
            blocks.append(data[begin:end])
    return joined(blocks)


def _heads(data: bytes | bytearray, members: Sequence[bytes | bytearray]) -> np.ndarray:
    """Return the heads, int64 [member, COLUMNS], of members that are in `data` with one byte between each two."""
    heads = np.empty((len(members), COLUMNS), np.int64)
    sizes, ends = _bounds(members)
    # Read-only also if it is a bytearray: for other types Numba would compile the kernel once more.
    read_heads(np.frombuffer(memoryview(data).toreadonly(), np.uint8), ends - sizes, ends, heads)
    return heads


def _bounds(parts: Sequence[Sized]) -> tuple[np.ndarray, np.ndarray]:
    """Return the sizes of the parts, and where each ends if a byte is between each two."""
    sizes = np.array([len(part) for part in parts], np.int64)
    return sizes, np.cumsum(sizes + 1) - 1


def _is_whole(member: Member) -> bool:
    return not isinstance(member, Stream)


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
