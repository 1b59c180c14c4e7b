"""Gzip members of a WARC file → the records that are asked for. Usual ones are read by a kernel, others by fastwarc."""

import io
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from curation.inputs.crawl.page_images import drop
from curation.kernels.warc_heads import BEGIN, COLUMNS, KIND, METADATA, RESPONSE, UNUSUAL, read_heads
from runtime.kernels.windows import SLACK

MAX_RECORD = 64 << 20  # bytes; larger ones are films and archives
GROUP = 2 << 20  # bytes of the records that are read at once; more leave the second cache

Member = bytes | bytearray | BinaryIO  # a stream if it is large


class Blocks(NamedTuple):
    """The blocks of some records, as parts of the same bytes."""

    data: bytes  # behind each block stand zeros, or line ends and then zeros; behind all, SLACK zeros
    begins: np.ndarray
    ends: np.ndarray


def metadata(members: Iterable[Member], tally: Counter) -> Iterator[Blocks]:
    """Yield the blocks of all metadata records, many at a time."""
    for group in _groups(members):
        if isinstance(group, list):
            yield _metadata_of(group, tally)
        else:
            for blocks in _groups(block for _, block in _parsed(group, WarcRecordType.metadata, tally)):
                yield joined(blocks)


def responses(members: Iterable[Member], tally: Counter) -> Iterator[tuple[WarcRecord, bytes]]:
    """Yield each response with its block."""
    for member in members:
        if _is_whole(member) and _heads(member, [member])[0, KIND] not in (UNUSUAL, RESPONSE):
            tally["records"] += 1
        else:
            yield from _parsed(member, WarcRecordType.response, tally)


def joined(blocks: list[bytes]) -> Blocks:
    """Return blocks one behind the other."""
    sizes, ends = _bounds(blocks)
    return Blocks(b"\0".join((*blocks, bytes(SLACK))), ends - sizes, ends)


def _groups(members):
    """Yield the members, in lists of about GROUP bytes; those that are streams by themselves."""
    held, size = [], 0
    for member in members:
        if not _is_whole(member):
            if held:
                yield held
            yield member
            held, size = [], 0
            continue
        held.append(member)
        size += len(member)
        if size >= GROUP:
            yield held
            held, size = [], 0
    if held:
        yield held


def _metadata_of(group, tally):
    data = b"\0".join((*group, bytes(SLACK)))
    heads = _heads(data, group)
    usual = heads[:, KIND] != UNUSUAL
    tally["records"] += int(usual.sum())
    if usual.all():
        return Blocks(data, *heads[heads[:, KIND] == METADATA, BEGIN:].T)
    blocks = []
    for member, (kind, begin, end) in zip(group, heads.tolist(), strict=True):
        if kind == UNUSUAL:
            blocks += [block for _, block in _parsed(member, WarcRecordType.metadata, tally)]
        elif kind == METADATA:
            blocks.append(data[begin:end])
    return joined(blocks)


def _heads(data, members):
    """Return the heads of members that lie in `data`, a byte between each two."""
    heads = np.empty((len(members), COLUMNS), np.int64)
    sizes, ends = _bounds(members)
    # Read-only also if it is a bytearray: for other types Numba would compile the kernel once more.
    read_heads(np.frombuffer(memoryview(data).toreadonly(), np.uint8), ends - sizes, ends, heads)
    return heads


def _bounds(parts):
    """Return the sizes of the parts, and where each ends if a byte is between each two."""
    sizes = np.array([len(part) for part in parts], np.int64)
    return sizes, np.cumsum(sizes + 1) - 1


def _is_whole(member):
    return isinstance(member, bytes | bytearray)


def _parsed(member, kind, tally):
    """Yield each whole record of a member that is of this kind, with its block."""
    stream = io.BytesIO(member) if _is_whole(member) else member
    try:
        for record in ArchiveIterator(stream, parse_http=False):
            tally["records"] += 1
            if record.record_type == kind and (block := _block(record, tally)):
                yield record, block
    except OSError:  # what fastwarc says of anything that is no WARC; a stream itself raises none
        drop("dropped.bad_record", tally)


def _block(record, tally):
    if record.content_length > MAX_RECORD:
        return drop("dropped.too_large", tally)
    block = record.reader.read()
    if not block or len(block) < record.content_length:  # a header without a length reads as length 0
        return drop("dropped.bad_record", tally)
    return block
