"""Choose one form of each dump, and cut a multistream dump into spans of whole bz2 streams.

Wikimedia publishes each dump as one file and in numbered parts, both plain and multistream. Each form holds all
articles, so to read two forms would count all articles twice.

A line of a multistream dump's index is `offset:page id:title`. Each offset is the start of a bz2 stream of a hundred
pages; the first stream of the dump, before these, holds the header. A span starts where a stream starts, so it can be
decompressed without the bytes before it.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import BinaryIO, cast

import fsspec
from fsspec import AbstractFileSystem

from runtime.redaction import with_secrets

log = logging.getLogger("metadata.wikipedia")

WHOLE_SHARE = 0.8  # of the largest form's bytes; a smaller form lacks parts: multistream adds only a tenth

_NAME = re.compile(r"([a-z_]+wiki-(?:\d{8}|latest))-pages-articles(-multistream)?(\d*)\.xml(?:-p\d+p\d+)?(?:\.\w+)?")
# Files that share the first group hold different articles of one dump: pages-articles, content_current, Cirrus.
_DAY = re.compile(
    r"(([a-z_]+wiki)(?:-(?:\d{8}|latest)-pages-articles|-\d{4}-\d\d-\d\d(?=-p\d)|-\d{8}-cirrussearch|_content-\d{8}(?=-\d)))"
)
# The forms of a dump, the best first: the form that gives the most tasks.
_INDEXED, _PARTS, _STREAM_PARTS, _STREAM, _PLAIN = (
    "the multistream dump with its index",
    "its parts",
    "its multistream parts",
    "the multistream dump",
    "the whole dump",
)
_ORDER = (_INDEXED, _PARTS, _STREAM_PARTS, _STREAM, _PLAIN)

SPAN_BYTES = 64 << 20  # of a packed dump: a task of some 20 seconds, and 320 of them for 20 GB
LONG_TASK = 1 << 30  # bytes of a packed dump; a longer dump should not be one task

_DUMP = re.compile(r"(.*-multistream)(\d*)\.xml(-p\d+p\d+)?(\.bz2)")
_INDEX = re.compile(r".*-multistream-index\d*\.txt(-p\d+p\d+)?(\.bz2)?")
_STREAM_START = re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)")  # a stream's head, then its first block or its end
_STREAM_BYTES = 10


def one_form(files: Mapping[str, int]) -> list[str]:
    """Return the paths to read of `files` (path → bytes): of each dump given in several forms, only the best whole one.

    The log names the forms that are left out, and Wikipedias with several dumps.
    """
    dumps: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in files:
        if found := _NAME.fullmatch(PurePosixPath(path).name):
            dumps[found[1]][_form(path, multi=bool(found[2]), numbered=bool(found[3]))].append(path)
    left_out: set[str] = set()
    for dump, forms in dumps.items():
        if len(forms) > 1:
            left_out.update(_left_out(dump, forms, files))
    kept = [path for path in files if path not in left_out]
    _warn_of_several(kept)
    return kept


def _warn_of_several(paths: list[str]) -> None:
    """Log a warning for each Wikipedia with dumps of several days or kinds: each dump holds all articles."""
    dumps: dict[str, set[str]] = defaultdict(set)
    for found in filter(None, (_DAY.match(PurePosixPath(path).name) for path in paths)):
        dumps[found[2]].add(found[1])
    for wiki, names in sorted(dumps.items()):
        if len(names) > 1:
            log.warning("articles of %s count once for each of its dumps: %s; give one", wiki, ", ".join(sorted(names)))


def _form(path: str, multi: bool, numbered: bool) -> str:
    if numbered:
        return _STREAM_PARTS if multi else _PARTS
    if not multi:
        return _PLAIN
    return _INDEXED if _index_beside(path) else _STREAM


def _left_out(dump: str, forms: Mapping[str, list[str]], files: Mapping[str, int]) -> list[str]:
    """Return the paths of all forms of a dump except the best whole form; log which form is read."""
    size = {form: sum(files[path] for path in paths) for form, paths in forms.items()}
    whole = [form for form in _ORDER if form in size and size[form] >= WHOLE_SHARE * max(size.values())]
    others = [form for form in _ORDER if form in size and form != whole[0]]
    verb = "are" if whole[0] in (_PARTS, _STREAM_PARTS) else "is"
    log.info("%s is given more than once: %s %s read, not %s", dump, whole[0], verb, " nor ".join(others))
    return [path for form in others for path in forms[form]]


@dataclass(frozen=True)
class Span:
    """The compressed bytes from `start` up to `end` (excluded) of a dump: whole bz2 streams."""

    start: int
    end: int
    last: bool = False  # whether it ends the dump


class MarkupSection:
    """A file-like object that reads the bytes of one span of a file."""

    def __init__(self, file: BinaryIO, span: Span):
        self._file, self._rest = file, span.end - span.start
        file.seek(span.start)

    def read(self, size: int) -> bytes:
        """Return the next bytes of the span, at most `size`; empty at its end."""
        found = self._file.read(min(size, self._rest))
        self._rest -= len(found)
        return found


class _MisfitError(Exception):
    """The index does not belong to the dump."""


def is_index(path: str) -> bool:
    """Return whether the file name in `path` is that of the index of a multistream dump."""
    return _INDEX.fullmatch(path.rpartition("/")[2]) is not None


def index_path(dump: str) -> str | None:
    """Return the path at which the index of a dump is published; None for a dump that is not multistream.

    >>> index_path("a/enwiki-20240101-pages-articles-multistream1.xml-p1p41242.bz2")
    'a/enwiki-20240101-pages-articles-multistream-index1.txt-p1p41242.bz2'
    """
    folder, slash, name = dump.rpartition("/")
    found = _DUMP.fullmatch(name)
    return f"{folder}{slash}{found[1]}-index{found[2]}.txt{found[3] or ''}{found[4]}" if found else None


def spans(dump: str) -> list[Span]:
    """Return the spans of a dump, in order; an empty list if it is small or has no matching index: read it whole.

    If a large dump has no usable index, log a warning.
    """
    if not dump.lower().endswith(".bz2"):
        return []
    system, inner = fsspec.url_to_fs(with_secrets(dump))
    size = system.size(inner) or 0
    if size < 2 * SPAN_BYTES:
        return []
    index = _index_beside(dump)
    if index is None:
        if size > LONG_TASK:
            log.warning("%s has %.1f GB and is read by one task; %s", dump, size / 1e9, _advice(dump))
        return []
    try:
        starts = [0, *_starts(index, size)]
        _check_streams(system, inner, starts)
    except (_MisfitError, OSError, EOFError, ValueError) as error:
        fault = "does not fit it" if isinstance(error, _MisfitError) else "cannot be used"
        log.warning("%s is read by one task, as its index %s %s (%s); fetch both again", dump, index, fault, error)
        return []
    return [Span(start, end, last=end == size) for start, end in pairwise([*starts, size])]


def _advice(dump: str) -> str:
    if index_path(dump):
        return "fetch its index (…-multistream-index.txt.bz2) into the same folder, by which it is cut into many tasks"
    return "fetch the dump in its numbered parts, or the multistream dump with its index, which make many tasks"


def _index_beside(dump: str) -> str | None:
    """Return the path of the existing index of a dump, compressed or not; None if there is none."""
    packed = index_path(dump)
    names = [packed, packed.removesuffix(".bz2")] if packed else []
    return next((name for name in names if _exists(name)), None)


def _exists(path: str) -> bool:
    system, inner = fsspec.url_to_fs(with_secrets(path))
    return cast(bool, system.exists(inner))


def _starts(index: str, size: int) -> list[int]:
    """Return the start offsets of all spans but the first: streams at least SPAN_BYTES after the start before.

    `size` is the number of bytes of the dump. _MisfitError if offsets do not ascend or exceed `size`.
    """
    starts: list[int] = []
    last = 0
    for offset in _offsets(index):
        if offset <= last or offset >= size:
            raise _MisfitError(f"offset {offset:,} after {last:,}, and the dump has {size:,} bytes")
        if offset >= (starts[-1] if starts else 0) + SPAN_BYTES:
            starts.append(offset)
        last = offset
    return starts


def _offsets(index: str) -> Iterator[int]:
    """Yield each distinct offset of an index; lines with the same offset follow one another."""
    before = b""
    with fsspec.open(with_secrets(index), "rb", compression="infer") as lines:
        for line in lines:
            if before and line.startswith(before):
                continue
            offset, colon, _ = line.partition(b":")
            if not (colon and offset.isdigit()):
                raise _MisfitError(f"the line {line[:60]!r} has no offset")
            yield int(offset)
            before = offset + colon


def _check_streams(system: AbstractFileSystem, inner: str, starts: list[int]) -> None:
    with system.open(inner, "rb", block_size=1 << 12) as file:
        for start in starts:
            file.seek(start)
            if not _STREAM_START.fullmatch(file.read(_STREAM_BYTES)):
                raise _MisfitError(f"no bz2 stream starts at byte {start:,}")
