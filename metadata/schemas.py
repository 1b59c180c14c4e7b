"""The Arrow schemas of the metadata, and `require`, the door through which tables come in."""

import pyarrow as pa

from runtime.errors import InputError

# One row per entry, in the order of ids.
ENTRIES = pa.schema(
    [
        pa.field("id", pa.int32()),
        pa.field("language", pa.string()),
        pa.field("entry", pa.string()),
        pa.field("sources", pa.list_(pa.string())),
        pa.field("score", pa.float64()),
    ]
)


def require(table, schema: pa.Schema):
    """Return a table or batch with exactly the columns of `schema`, or say which are missing."""
    missing = [name for name in schema.names if name not in table.schema.names]
    if missing:
        raise InputError(f"missing columns {missing}; got {table.schema.names}")
    return table.select(schema.names).cast(schema)
