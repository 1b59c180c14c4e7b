"""Read page-view files into rows of Wikipedia, title and views: one row per line kept, nothing is added up.

Lines that are left out are counted by reason. The titles among them are judged in `page_titles`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metadata.languages import is_wikipedia
from metadata.wikipedia import page_titles
from metadata.wikipedia.namespaces import Namespaces
from metadata.wikipedia.pageview_files import VIEWS_FIELD, blocks

TITLES = pa.schema([("wikipedia", pa.string()), ("title", pa.string()), ("views", pa.int64())])

_SITES = {"": 4, "m": 4, "zero": 4, "wikipedia": 6}  # en, en.m (mobile), en.zero (Wikipedia Zero) → fields of a line
_VIEWS = "^[0-9]{1,9}$"  # more than 999,999,999 is no count: all Wikipedias together have fewer a day


def titles(
    path: str, tally: Counter, namespaces: Mapping[str, Collection[str]] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of TITLES that the page-view file at `path` holds; count its lines and what is dropped in `tally`.

    `namespaces` names more namespaces of a Wikipedia code, as a dump's siteinfo does.
    """
    known = Namespaces(namespaces)
    counts: Counter = Counter()
    for block in blocks(path, counts):
        batch = _read_block(block, known, counts)
        if batch.num_rows:
            yield batch
    tally.update(counts)


def _read_block(block: bytes, known: Namespaces, counts: Counter) -> pa.RecordBatch:
    rows = _with_wikipedia(_fields(block, counts), counts)
    rows = _kept(rows, pc.match_substring_regex(rows["views"], _VIEWS), "views", counts)
    rows = rows.set_column(2, "views", rows["views"].cast(pa.string()).cast(pa.int64()))
    rows = _kept(rows, pc.greater(rows["views"], 0), "views", counts)
    rows = rows.set_column(1, "title", page_titles.unescaped(rows["title"]))
    rows = _kept(rows, page_titles.decodes(rows["title"]), "encoding", counts)
    rows = rows.set_column(1, "title", page_titles.spaced(rows["title"]))
    rows = _kept(rows, pc.invert(page_titles.is_mojibake(rows["title"])), "mojibake", counts)
    rows = _kept(rows, pc.invert(page_titles.is_illegal(rows["title"])), "title", counts)
    rows = _kept(rows, pc.invert(page_titles.has_url(rows["title"])), "url", counts)
    rows = _kept(rows, pc.invert(page_titles.is_main_page(rows["wikipedia"], rows["title"])), "main_page", counts)
    rows = _kept(
        rows, pc.invert(page_titles.is_in_namespace(rows["wikipedia"], rows["title"], known)), "namespace", counts
    )
    counts["titles"] += rows.num_rows
    return rows.cast(TITLES)


def _fields(block: bytes, counts: Counter) -> pa.RecordBatch:
    """Return project, title, views (binary) and the number of fields of the lines that have as many as a known form."""
    characters = np.frombuffer(block, np.uint8)
    spaces, ends = np.flatnonzero(characters == ord(" ")), np.flatnonzero(characters == ord("\n"))
    starts = np.concatenate(([0], ends[:-1] + 1))
    first = np.searchsorted(spaces, starts)  # the line's first space
    fields = np.searchsorted(spaces, ends) - first + 1
    rows = np.flatnonzero(np.isin(fields, list(VIEWS_FIELD)))
    starts, first, fields = starts[rows], first[rows], fields[rows]
    views = first + np.select([fields == each for each in VIEWS_FIELD], list(VIEWS_FIELD.values()))
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
