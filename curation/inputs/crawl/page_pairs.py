"""Pairs of a crawl in batches: of four columns and any size while they are made, of ROWS rows when given on."""

from collections import Counter
from collections.abc import Iterable, Iterator

import pyarrow as pa

from curation.inputs.candidates import BYTES, ROWS, chunks, string_arrays

FOUND = pa.schema([(name, pa.string()) for name in ("url", "text", "kind", "page_url")])


def pair_batch(*columns: pa.Array) -> pa.RecordBatch:
    """Return a batch of these columns: url, text, kind and page_url."""
    return pa.RecordBatch.from_arrays(list(columns), schema=FOUND)


def from_rows(rows: Iterable[tuple[str, str, str, str]], tally: Counter) -> Iterator[pa.RecordBatch]:
    """Yield batches of rows; rows that UTF-8 cannot hold are left out and counted."""
    for chunk in chunks(rows):
        yield pair_batch(*string_arrays(chunk, tally))


def recut(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of `batches` in batches of ROWS rows; fewer in the last, and where there are BYTES."""
    held, rows, size = [], 0, 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= ROWS or size >= BYTES:
            parts = _joined(held)
            held = [parts.pop()] if parts[-1].num_rows < ROWS and size < BYTES else []
            yield from parts
            rows, size = sum(part.num_rows for part in held), sum(part.nbytes for part in held)
    yield from _joined(held)


def _joined(batches):
    return pa.Table.from_batches(batches, FOUND).combine_chunks().to_batches(ROWS)
