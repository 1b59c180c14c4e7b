"""Tables of pairs, and the rows and tallies that readers give for them."""

import io
import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq

from curation.inputs.tables import parquet_tables as parquet
from curation.inputs.tables.columns import TableOptions
from curation.inputs.tables.signatures import unpack
from curation.inputs.tables.text import read_delimited as read_csv
from curation.inputs.tables.text import read_json_pairs
from curation.schemas import CANDIDATES

URL = "https://example.org/a.jpg"


def result(read, file, path="x.parquet", options=None, *pieces):
    """The rows that a reader gives on, without null fields, and its tally."""
    tally = Counter()
    batches = list(read(file, path, options or TableOptions(), tally, *pieces))
    for batch in batches:
        assert batch.schema == CANDIDATES
        batch.validate(full=True)
    pairs = [{k: v for k, v in row.items() if v is not None} for batch in batches for row in batch.to_pylist()]
    tally = dict(+tally)
    drops = sum(count for key, count in tally.items() if key[0] == "dropped")
    is_whole = not {("dropped", "truncated"), ("dropped", "corrupt_file")} & set(tally)
    assert tally.get("pairs", 0) == len(pairs)
    assert not is_whole or tally.get("records", 0) == len(pairs) + drops
    return pairs, tally


def texts(found):
    return [row["text"] for row in found[0]]


def dropped(found):
    return {key[1]: count for key, count in found[1].items() if key[0] == "dropped"}


def of_parquet(table, options=None, groups=None, path="x.parquet", **writing):
    file = io.BytesIO()
    pq.write_table(pa.table(table), file, **writing)
    return result(parquet.read, file, path, options, groups)


def of_json(content, options=None, path="x.jsonl"):
    content = content.encode() if isinstance(content, str) else content
    return result(read_json_pairs, unpack(io.BytesIO(content), path), path, options)


def of_csv(content, options=None, path="x.csv"):
    content = content.encode() if isinstance(content, str) else content
    return result(read_csv, unpack(io.BytesIO(content), path), path, options)


def json_lines(*objects):
    return "".join(json.dumps(each) + "\n" for each in objects)


def fixed_length(length: int) -> int:
    """Return `length` for a list type with nulls that Parquet shall hold, or -1 where PyArrow, before 26, cannot."""
    return length if int(pa.__version__.partition(".")[0]) >= 26 else -1
