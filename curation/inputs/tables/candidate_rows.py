"""Turn the columns of a table into candidates.

URLs, uids, languages, kinds and page URLs are used as they are; texts are cleaned as those of pages are.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from curation.inputs.candidates import Row, candidates, columns_of
from curation.inputs.cleaning import clean_array, is_web
from curation.inputs.tables.languages import count_unknown

KIND = "text"  # of a text whose kind the table does not state
CHECKS: dict[str, Callable[[pa.RecordBatch], pa.Array]] = {
    "dropped.empty_url": lambda batch: pc.is_valid(batch["url"]),
    "dropped.not_http": lambda batch: is_web(batch["url"]),
    "dropped.empty_text": lambda batch: pc.is_valid(batch["text"]),
}


def from_rows(fields: Iterable[str], rows: Iterable[Row], tally: Counter[str]) -> Iterator[pa.RecordBatch]:
    """Yield the candidates in rows of these fields, and count the others."""
    names = list(fields)
    for columns in columns_of(rows, tally):
        yield from from_columns(dict(zip(names, columns, strict=True)), tally)


def from_columns(columns: dict[str, pa.Array], tally: Counter[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows that have a web address and a text, if any, and count the others by the first thing amiss.

    Of the languages that are stated, those that are not known are counted, too.
    """
    columns = {field: _without_empty(array) for field, array in columns.items()}
    columns["text"] = _without_empty(clean_array(columns["text"]))
    kinds = pa.repeat(KIND, len(columns["text"]))
    columns["kind"] = pc.coalesce(columns["kind"], kinds) if "kind" in columns else kinds
    batch = candidates(columns)
    for reason, is_right in CHECKS.items():
        right = is_right(batch)
        if right.true_count < batch.num_rows:
            tally[reason] += batch.num_rows - right.true_count
            batch = batch.filter(right)
    tally["pairs"] += batch.num_rows
    if "language" in columns:
        count_unknown(batch["language"], tally)
    if batch.num_rows:
        yield batch


def _without_empty(array: pa.Array) -> pa.Array:
    empty = pc.equal(array, "")
    return pc.if_else(empty, pa.scalar(None, pa.string()), array) if empty.true_count else array
