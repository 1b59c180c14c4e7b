"""Page-view files to the titles of Wikipedia articles and their views, one row per line kept; nothing is added up here.

A line is of the hourly files, `project title views bytes`, or of the daily complete ones, `wiki title page_id access
views hourly`: the number of its fields tells. What is no article is a matter of `namespaces`.
"""

import gzip
import lzma
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import BinaryIO
from urllib.parse import unquote_to_bytes

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metadata.languages import is_wikipedia
from metadata.wikipedia.namespaces import MAIN_PAGES, Namespaces, is_main_page
from runtime.errors import InputError

TITLES = pa.schema([("wikipedia", pa.string()), ("title", pa.string()), ("views", pa.int64())])

_BLOCK = 16 << 20  # bytes read at a time: some 400,000 lines
_VIEWS_FIELD = {4: 2, 6: 4}  # fields of a line → which of them holds the views
_SITES = {"": 4, "m": 4, "zero": 4, "wikipedia": 6}  # en, en.m (mobile), en.zero (Wikipedia Zero) → fields of a line

_VIEWS = "^[0-9]{1,9}$"  # more than 999,999,999 is no count: all Wikipedias together have fewer a day
_ESCAPE = "%[0-9A-Fa-f]{2}"
# What MediaWiki allows in no title; an escape left after decoding was escaped twice.
_ILLEGAL = rf"^(:|$)|[\x00-\x1f\x7f#<>\[\]{{|}}\x{{fffd}}]|{_ESCAPE}|&#?[A-Za-z0-9]+;"
_LONGEST = 255  # bytes of a title
# A letter and a sign as cp1252 shows the two bytes of one letter: Ã©.
_LIKE_MOJIBAKE = r"[\x{c2}-\x{f4}][\x{80}-\x{bf}ŒœŠšŸŽžƒˆ˜–-›€™]"


def titles(
    path: str, tally: Counter, namespaces: Mapping[str, Collection[str]] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of TITLES that the page-view file at `path` holds; count its lines and what is dropped in `tally`.

    `namespaces` names more namespaces of a Wikipedia code, as a dump's siteinfo does.
    """
    known, counts = Namespaces(namespaces), Counter()
    for block in _blocks(path, counts):
        batch = _of_block(block, known, counts)
        if batch.num_rows:
            yield batch
    tally.update(counts)
    if counts["lines"] and counts["lines"] == counts["dropped.fields"]:
        raise InputError(
            f"{path} holds no line of page views; expected `project title views bytes` or `wiki title page_id access "
            "views hourly`, as dumps.wikimedia.org publishes them"
        )


def _blocks(path: str, counts: Counter) -> Iterator[bytes]:
    """Yield the bytes of the file in blocks of whole lines; a file that breaks off keeps what came before."""
    parts, size = [], 0
    for piece in _pieces(path, counts):
        parts.append(piece)
        size += len(piece)
        if size >= _BLOCK and b"\n" in piece:
            lines, _, rest = b"".join(parts).rpartition(b"\n")
            yield lines + b"\n"
            parts, size = [rest], len(rest)
    if last := b"".join(parts):
        yield last if last.endswith(b"\n") else last + b"\n"


def _pieces(path: str, counts: Counter) -> Iterator[bytes]:
    begun = False
    try:
        with _opened(path) as file:
            read = getattr(file, "read1", file.read)  # read would lose what it has when a compressed file breaks off
            while piece := read(_BLOCK):
                begun = True
                yield piece
    except (EOFError, OSError, zlib.error, lzma.LZMAError, ValueError, ImportError) as error:
        if not begun or getattr(error, "errno", None):  # a disk or server that fails sets errno, damaged data do not
            raise InputError(f"{path} cannot be read ({error}); expected a page-view file") from error
        counts["dropped.rest_of_file"] += 1


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    is_gzip = path.endswith(".gz")  # for which fsspec takes isal where it is installed: that loses what came last, too
    with fsspec.open(path, "rb", compression=None if is_gzip else "infer") as file:
        yield gzip.GzipFile(fileobj=file) if is_gzip else file


def _of_block(block: bytes, known: Namespaces, counts: Counter) -> pa.RecordBatch:
    rows = _with_wikipedia(_fields(block, counts), counts)
    rows = _kept(rows, pc.match_substring_regex(rows["views"], _VIEWS), "views", counts)
    rows = rows.set_column(2, "views", rows["views"].cast(pa.string()).cast(pa.int64()))
    rows = _kept(rows, pc.greater(rows["views"], 0), "views", counts)
    rows = rows.set_column(1, "title", _unescaped(rows["title"]))
    rows = _kept(rows, _decodes(rows["title"]), "encoding", counts)
    rows = rows.set_column(1, "title", _spaced(rows["title"]))
    rows = _kept(rows, pc.invert(_is_mojibake(rows["title"])), "encoding", counts)
    rows = _kept(rows, pc.invert(_is_illegal(rows["title"])), "title", counts)
    rows = _kept(rows, pc.invert(_is_main_page(rows)), "main_page", counts)
    rows = _kept(rows, pc.invert(_in_namespace(rows, known)), "namespace", counts)
    counts["titles"] += rows.num_rows
    return rows.cast(TITLES)


def _fields(block: bytes, counts: Counter) -> pa.RecordBatch:
    """Return project, title, views (binary) and the number of fields of the lines that have as many as a known form."""
    characters = np.frombuffer(block, np.uint8)
    spaces, ends = np.flatnonzero(characters == ord(" ")), np.flatnonzero(characters == ord("\n"))
    starts = np.concatenate(([0], ends[:-1] + 1))
    first = np.searchsorted(spaces, starts)  # the line's first space
    fields = np.searchsorted(spaces, ends) - first + 1
    rows = np.flatnonzero(np.isin(fields, list(_VIEWS_FIELD)))
    starts, first, fields = starts[rows], first[rows], fields[rows]
    views = first + np.select([fields == each for each in _VIEWS_FIELD], list(_VIEWS_FIELD.values()))
    counts["lines"] += len(ends)
    if len(rows) < len(ends):
        counts["dropped.fields"] += len(ends) - len(rows)
    bounds = [(starts, spaces[first]), (spaces[first] + 1, spaces[first + 1]), (spaces[views - 1] + 1, spaces[views])]
    columns = [*(_slices(block, *each) for each in bounds), pa.array(fields)]
    return pa.RecordBatch.from_arrays(columns, names=["project", "title", "views", "fields"])


def _slices(block: bytes, starts: np.ndarray, ends: np.ndarray) -> pa.Array:
    """Return block[start:end] of each pair: every other one of the pieces into which the bounds cut the block."""
    if not len(starts):
        return pa.array([], pa.binary())
    bounds = np.empty(2 * len(starts), np.int32)
    bounds[::2], bounds[1::2] = starts, ends
    pieces = pa.Array.from_buffers(
        pa.binary(), len(bounds) - 1, [None, pa.py_buffer(bounds), pa.py_buffer(block)], null_count=0
    )
    return pieces.take(pa.array(np.arange(0, len(pieces), 2)))


def _kept(rows: pa.RecordBatch, keep: pa.Array, reason: str, counts: Counter) -> pa.RecordBatch:
    kept = rows.filter(keep)
    if kept.num_rows < rows.num_rows:
        counts[f"dropped.{reason}"] += rows.num_rows - kept.num_rows
    return kept


def _with_wikipedia(rows: pa.RecordBatch, counts: Counter) -> pa.RecordBatch:
    """Return wikipedia, title and views of the rows of Wikipedias whose lines have the form that the project says."""
    projects = rows["project"].dictionary_encode()
    known = [_wikipedia(project) for project in projects.dictionary.to_pylist()]
    codes = pa.array([each and each[0] for each in known], pa.string()).take(projects.indices)
    fields = pa.array([each and each[1] for each in known], pa.int64()).take(projects.indices)
    agrees = pc.equal(rows["fields"], fields)
    rows = pa.RecordBatch.from_arrays([codes, rows["title"], rows["views"], agrees], names=[*TITLES.names, "agrees"])
    rows = _kept(rows, codes.is_valid(), "other_project", counts)
    return _kept(rows, rows["agrees"], "fields", counts).select(TITLES.names)


@lru_cache(maxsize=10_000)
def _wikipedia(project: bytes) -> tuple[str, int] | None:
    """Return the Wikipedia of `project` and how many fields its lines have, or None for another project.

    >>> _wikipedia(b"zh-yue.m"), _wikipedia(b"en.wikipedia"), _wikipedia(b"en.d"), _wikipedia(b"commons.m")
    (('zh_yue', 4), ('en', 6), None, None)
    """
    code, _, site = project.decode("ascii", "replace").partition(".")
    return (code.replace("-", "_"), _SITES[site]) if site in _SITES and is_wikipedia(code) else None


def _unescaped(title: pa.Array) -> pa.Array:
    escaped = pc.match_substring_regex(title, _ESCAPE)
    plain = [unquote_to_bytes(each) for each in title.filter(escaped).to_pylist()]
    return pc.replace_with_mask(title, escaped, pa.array(plain, pa.binary()))


def _decodes(title: pa.Array) -> pa.Array:
    """Return of each title whether it is UTF-8."""
    try:
        title.cast(pa.string())
        return pa.array(np.ones(len(title), bool))
    except pa.ArrowInvalid:  # Arrow does not say which
        return pa.array([each.decode("utf-8", "replace").encode() == each for each in title.to_pylist()], pa.bool_())


def _spaced(title: pa.Array) -> pa.Array:
    spaced = pc.replace_substring(title.cast(pa.string()), "_", " ")
    return pc.utf8_trim(pc.replace_substring_regex(spaced, "  +", " "), " ")


def _is_illegal(title: pa.Array) -> pa.Array:
    return pc.or_(pc.match_substring_regex(title, _ILLEGAL), pc.greater(pc.binary_length(title), _LONGEST))


def _is_mojibake(title: pa.Array) -> pa.Array:
    return _where(pc.match_substring_regex(title, _LIKE_MOJIBAKE), _was_decoded_wrongly, title)


def _was_decoded_wrongly(title: str) -> bool:
    """Return whether all of `title` is UTF-8 that was read as cp1252 or Latin-1."""
    for encoding in ("cp1252", "latin-1"):
        try:
            return title.encode(encoding).decode("utf-8") != title
        except UnicodeError:
            continue
    return False


def _is_main_page(rows: pa.RecordBatch) -> pa.Array:
    candidates = pc.is_in(rows["title"], pa.array(sorted(MAIN_PAGES)))
    return _where(candidates, is_main_page, rows["wikipedia"], rows["title"])


def _in_namespace(rows: pa.RecordBatch, known: Namespaces) -> pa.Array:
    prefix = pc.replace_substring_regex(rows["title"], "(?s):.*", "")
    return _where(pc.match_substring(rows["title"], ":"), known.hold, rows["wikipedia"], prefix)


def _where(candidates: pa.Array, decide: Callable[..., bool], *columns: pa.Array) -> pa.Array:
    """Return `decide` of the columns' values in the rows that are candidates, and False elsewhere."""
    decided = np.zeros(len(candidates), bool)
    values = zip(*(column.filter(candidates).to_pylist() for column in columns), strict=True)
    answer = lru_cache(maxsize=None)(decide)  # a block has few different prefixes
    decided[np.flatnonzero(candidates.to_numpy(zero_copy_only=False))] = [answer(*each) for each in values]
    return pa.array(decided)
