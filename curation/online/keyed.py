"""Rows by uid: sorted by key in one Arrow file, which each process maps into memory."""

from __future__ import annotations

from os import PathLike

import numpy as np
import pyarrow as pa

from runtime.errors import InputError
from runtime.storage.whole import whole

KEY = (pa.field("high", pa.int64()), pa.field("low", pa.int64()))  # of `exact_numbers`


def open_rows(path: str | PathLike[str], schema: pa.Schema, what: str) -> pa.RecordBatch:
    """Map rows into memory; refuse a file that holds no `what`, or another version of the schema."""
    try:
        with pa.memory_map(str(path)) as mapped:
            file = pa.ipc.open_file(mapped)
            rows = file.get_batch(0) if file.num_record_batches == 1 else None
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} holds no {what} ({error}); build them with curation.{what}.build") from None
    version = schema.metadata[b"version"]
    if rows is None or not rows.schema.equals(schema) or (rows.schema.metadata or {}).get(b"version") != version:
        raise InputError(f"{path} holds no {what} of version {version.decode()}; build them again")
    return rows


def save_rows(path: str | PathLike[str], rows: pa.RecordBatch) -> None:
    """Write rows in one batch: only the columns of one can be mapped as arrays."""
    options = pa.ipc.IpcWriteOptions(allow_64bit=True)  # for more rows than an int32 can count
    with whole(path) as partial, pa.ipc.new_file(str(partial), rows.schema, options=options) as file:
        file.write_batch(rows)


def rows_of(rows: pa.RecordBatch, keys: np.ndarray) -> np.ndarray:
    """Return the row of each of `exact_numbers`, -1 where it has none; `rows` begin with KEY and are in its order."""
    high, low = (rows[field.name].to_numpy() for field in KEY)
    at = np.searchsorted(high, keys[:, 0])
    found, sought = np.full(len(at), -1), np.arange(len(at))
    while len(sought):  # more than once only where the first halves of keys are equal
        sought = sought[at[sought] < len(high)]
        sought = sought[high[at[sought]] == keys[sought, 0]]
        is_same = low[at[sought]] == keys[sought, 1]
        found[sought[is_same]] = at[sought[is_same]]
        sought = sought[~is_same]
        at[sought] += 1
    return found
