"""The Arrow schema of the metadata's entries."""

import pyarrow as pa

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
