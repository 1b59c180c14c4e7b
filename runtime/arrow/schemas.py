"""Check the columns of rows against an Arrow schema: the door through which batches and tables come in."""

from typing import TypeVar

import pyarrow as pa

from runtime.errors import InputError

Rows = TypeVar("Rows", pa.RecordBatch, pa.Table)


def require(rows: Rows, schema: pa.Schema) -> Rows:
    """Return rows with exactly the columns of `schema`, or say which are missing."""
    missing = [name for name in schema.names if name not in rows.schema.names]
    if missing:
        raise InputError(f"missing columns {missing}; got {rows.schema.names}")
    return rows.select(schema.names).cast(schema)
