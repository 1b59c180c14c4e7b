"""Gather the pairs of pages, which come in batches of any size, and turn them into candidates."""

from collections import Counter
from collections.abc import Iterable, Iterator

import pyarrow as pa

from curation.inputs.candidates import BYTES, ROWS, Row, candidates, columns_of, tallies
from curation.schemas import CANDIDATES, STATED
from runtime.arrow.batching import gather_rows

_NAMES = ("url", "text", "kind", "page_url", *(field.name for field in STATED), "page_language")
PAGE_PAIRS = pa.schema([CANDIDATES.field(name) for name in _NAMES])


def page_pairs(*columns: pa.Array) -> pa.RecordBatch:
    """Return a PAGE_PAIRS batch of these columns; the last ones may be left out, and are null."""
    nulls = [pa.nulls(len(columns[0]), field.type) for field in list(PAGE_PAIRS)[len(columns) :]]
    return pa.RecordBatch.from_arrays([*columns, *nulls], schema=PAGE_PAIRS)


def from_rows(rows: Iterable[Row], tally: Counter[str]) -> Iterator[pa.RecordBatch]:
    """Yield PAGE_PAIRS batches of rows; rows that UTF-8 cannot hold are left out and counted."""
    for columns in columns_of(rows, tally, PAGE_PAIRS.types):
        yield page_pairs(*columns)


def candidates_of_file(pairs: Iterable[pa.RecordBatch], tally: Counter[str]) -> Iterator[pa.RecordBatch]:
    """Yield the PAGE_PAIRS of a file as candidates, and then its tallies; a file without any record counts as bad."""
    for batch in gather_rows(pairs, ROWS, BYTES, exact=True):
        tally["pairs"] += batch.num_rows
        yield candidates({name: batch[name] for name in PAGE_PAIRS.names})
    if not tally["records"] and not tally["dropped.truncated"] and not tally["dropped.corrupt_gzip"]:
        tally = Counter({"files": 1, "dropped.bad_file": 1})
    yield tallies(tally)
