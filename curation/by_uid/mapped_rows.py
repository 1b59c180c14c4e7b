"""Rows by uid: sorted by key in one Arrow file, which each process maps into memory."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
import pyarrow as pa

from runtime.errors import InputError
from runtime.storage.arrays import open_arrow
from runtime.storage.own_files import OwnFile, checksum_of
from runtime.storage.whole import read_json, whole, write_json

KEY = (pa.field("high", pa.int64()), pa.field("low", pa.int64()))  # of `exact_numbers`
CHECKSUM = "crc32"  # in the JSON file beside rows: that of the file with the rows


def open_rows(path: str | PathLike[str], schema: pa.Schema, what: str) -> tuple[pa.RecordBatch, str]:
    """Map rows into memory; return them, and the checksum of the file.

    A file that holds no `what`, or another version of the schema, or is damaged, is refused.
    """
    path, version, remedy = Path(path), schema.metadata[b"version"], f"build them again with curation.{what}.build"
    if not path.exists():
        raise InputError(f"{path} does not exist; give a file of {what}, or {remedy}")
    facts = read_json(facts_path(path)) or {}
    if not isinstance(facts.get(CHECKSUM), str):
        why = f"{facts_path(path).name} beside it is {'damaged' if facts_path(path).exists() else 'missing'}"
        raise InputError(f"{path} holds no {what} that can be checked: {why}; copy both files, or {remedy}")
    file = OwnFile(path, facts[CHECKSUM], remedy)
    reader = open_arrow(file)
    found = reader.schema.metadata or {}
    if reader.num_record_batches != 1 or not reader.schema.equals(schema) or found.get(b"version") != version:
        raise InputError(f"{path} holds no {what} of version {version.decode()}; {remedy}")
    return reader.get_batch(0), str(file.checksum)


def save_rows(path: str | PathLike[str], rows: pa.RecordBatch) -> None:
    """Write rows in one batch, as only the columns of one can be mapped as arrays, and their checksum beside them."""
    options = pa.ipc.IpcWriteOptions(allow_64bit=True)  # for more rows than an int32 can count
    with whole(path) as partial:
        with pa.ipc.new_file(str(partial), rows.schema, options=options) as file:
            file.write_batch(rows)
        checksum = checksum_of(partial)
    write_json(facts_path(Path(path)), {"rows": rows.num_rows, CHECKSUM: checksum})


def facts_path(path: Path) -> Path:
    """Return the path of the JSON file that has the checksum of rows."""
    return path.with_name(f"{path.name}.json")


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
