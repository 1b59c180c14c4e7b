"""Hostile tables of images, and lists: columns of all types, names, nulls and uids; read rightly, or refused by name.

A file here is an ending, a line feed, and the file's bytes.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b, md5
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.errors import PySparkException
from pyspark.sql.pandas.types import from_arrow_schema

from curation.image_ids import KEY_NAMES
from curation.plugins.annotations.captions import caption_rows, find_captions
from curation.plugins.gate.evaluation import EvaluationSets
from curation.plugins.gate.given_tables import UidList
from curation.plugins.joins.image_tables import ImageTable, comparable, comparable_schema
from curation.plugins.report_sections.alignment import read_classes
from metadata.entries import read_list
from runtime.errors import InputError
from tests.fuzz.inputs import OF_A_PAGE
from tests.fuzz.mutations import damaged
from tests.fuzz.target import Target, require_named
from tests.support.hostile_strings import EVERY

ENDINGS = ("parquet", "csv", "tsv", "jsonl", "json", "txt")
NAMES = ["uid", "url", "UID", "Url", "caption", "score", "source", "sha256", "phash", "phash_mirrored", "status", "a.b",
    "_uid_high", "_row_of_0", "_found_in_0", "`", "", " ", "größe", "a\nb", "x" * 300, *EVERY]  # fmt: skip
UIDS = ["0" * 32, "F" * 32, "f" * 32, "g" * 32, "", "u1", None, "é", "a" * 31, "犬" * 40, *EVERY]
URLS = ["http://a.example/1.jpg", "https://é.example/?q=1#x", "", None, "ftp://x", "http://[", "javascript:1", *EVERY]
VALUES: list[tuple[pa.DataType, list[Any]]] = [
    (pa.null(), [None]),
    (pa.bool_(), [True, False, None]),
    *((kind, [0, 1, 127, None]) for kind in (pa.int8(), pa.uint8(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64())),
    (pa.uint64(), [2**64 - 1, None]),
    *((kind, [0.0, 1.5, None, float("nan"), float("inf")]) for kind in (pa.float32(), pa.float64())),
    (pa.float16(), [np.float16(1), None, np.float16("nan")]),
    *((kind, [*EVERY, None]) for kind in (pa.string(), pa.large_string())),
    (pa.dictionary(pa.int32(), pa.string()), ["a", "b", None]),
    *((kind, [b"", b"\xff\0", None]) for kind in (pa.binary(), pa.large_binary())),
    *((pa.binary(size), [bytes(size), b"\xff" * size, None]) for size in (8, 16, 32)),
    (pa.decimal128(38, 10), [Decimal(10) ** 27, None]),
    (pa.decimal256(76, 0), [Decimal(10) ** 75, None]),
    *((pa.timestamp(unit, zone), [datetime(1, 1, 1) if unit == "us" else datetime(2020, 1, 1), None])
        for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC", "Asia/Tokyo")),
    *((kind, [1, None]) for kind in (pa.date32(), pa.time32("ms"), pa.time64("us"))),
    *((pa.duration(unit), [1, None]) for unit in ("s", "ns")),
    (pa.list_(pa.float32()), [[1.0, None, float("nan")], [], None]),
    (pa.list_(pa.int8(), 2), [[1, 2], [-128, 127]]),
    (pa.large_list(pa.large_string()), [["a", None], None]),
    (pa.struct([("a", pa.list_(pa.float64())), ("b", pa.time64("ns"))]), [{"a": [float("nan")], "b": 1}, None]),
    (pa.map_(pa.string(), pa.float64()), [[("a", float("nan"))], None]),
    (pa.list_(pa.struct([("a", pa.map_(pa.string(), pa.uint64()))])), [[{"a": [("k", 2**64 - 1)]}], None]),
]  # fmt: skip


def make(whole: bytes, dice: random.Random) -> bytes:
    """Return a file of hostile rows, some of them damaged."""
    ending = dice.choice([*ENDINGS, *["parquet"] * 4])
    content = _parquet(dice) if ending == "parquet" else _text(ending, dice).encode("utf-8", "surrogatepass")
    return ending.encode() + b"\n" + (damaged(content, dice) if dice.random() < 0.3 else content)


def _parquet(dice: random.Random) -> bytes:
    names = dice.sample(NAMES, dice.randint(0, 6)) + dice.sample(["uid", "url"], dice.choice([1, 1, 1, 2]))
    rows, file = dice.choice([0, 1, 7, 40]), io.BytesIO()
    table = pa.Table.from_arrays([_column(name, rows, dice) for name in names], names)
    pq.write_table(table, file, row_group_size=dice.choice([1, 10, 100]), use_dictionary=dice.random() < 0.5)
    return file.getvalue()


def _column(name: str, rows: int, dice: random.Random) -> pa.Array:
    usual = {"uid": UIDS, "url": URLS}.get(name.lower())
    if usual and dice.random() < 0.8:
        return pa.array(dice.choices(usual, k=rows), dice.choice([pa.string(), pa.string(), pa.large_string()]))
    kind, values = dice.choice(VALUES)
    return pa.array(dice.choices(values, k=rows), kind)


def _text(ending: str, dice: random.Random) -> str:
    names, rows = dice.sample(["uid", "url", *EVERY], dice.randint(1, 3)), dice.randint(0, 5)
    values = [[dice.choice([*UIDS, *URLS, 1, 2.5, True, "\ud800"]) for _ in names] for _ in range(rows)]
    if ending == "jsonl":
        return "\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in values)
    if ending == "json":
        content = dice.choice([values, [row[0] for row in values], {str(row[0]): dice.choice(row) for row in values}])
        return dice.choice(["", "\ufeff"]) + json.dumps(content, ensure_ascii=dice.random() < 0.5)
    between = {"csv": ",", "tsv": "\t", "txt": "|"}[ending]
    quote = dice.choice([str, json.dumps])
    return dice.choice(["\n", "\r\n"]).join(between.join(map(quote, row)) for row in [names, *values])


def look(folder: Path, data: bytes) -> str:
    """Read a file as all that takes tables of images, or lists."""
    ending, _, content = data.partition(b"\n")
    path = folder / f"t.{ending.decode() if ending.decode('latin-1') in ENDINGS else 'txt'}"
    path.write_bytes(content)
    ended = [_outcome(reader, path) for reader in READERS]
    return f"{ending.decode('latin-1')} {ended.count('read')}"


def _outcome(reader: Callable[[Path], None], path: Path) -> str:
    try:
        reader(path)
    except InputError as refusal:
        require_named(path.name, refusal)
        return "refused"
    return "read"


def read_images(path: Path) -> None:
    """Read each column of a table of images, and compare its keys."""
    table = ImageTable.find([str(path)])
    (file,) = table.files
    keys = [tuple(row.values()) for batch in table.read(file, []) for row in batch.select(KEY_NAMES).to_pylist()]
    for name in dict.fromkeys(table.columns.names):
        _require_comparable(table, name)
    column = pq.read_table(path, columns=[table.identity])[table.identity]
    if pa.types.is_string(column.type):
        named = column.cast(pa.binary()).drop_null().to_pylist()
        assert keys == [_key(value if table.is_uid else md5(value).hexdigest().encode()) for value in named]


def _require_comparable(table: ImageTable, name: str) -> None:
    """Read a column as a gate does, if Spark has its type."""
    schema = comparable_schema(table.row_schema([name]))
    try:
        from_arrow_schema(schema)
    except PySparkException:  # which --keep turns into a sentence
        return
    for rows in table.read(table.files[0], [name]):
        column = comparable(rows[name], table.name)
        column.validate()
        assert column.type == schema.field(name).type


def _key(uid: bytes) -> tuple[int, int]:
    """Return the key of a uid, by the definition; one that is no UTF-8 is known by its digits."""
    try:
        uid.decode()
    except UnicodeDecodeError:
        uid = uid.hex().encode()
    is_key = len(uid) == 32 and set(uid) <= set(b"0123456789abcdef")
    key = bytes.fromhex(uid.decode()) if is_key else blake2b(uid, digest_size=16).digest()
    return int.from_bytes(key[:8], "big", signed=True), int.from_bytes(key[8:], "big", signed=True)


def read_captions(path: Path) -> None:
    """Read a table of captions."""
    table = find_captions([str(path)])
    for batch in caption_rows(table, table.files[0]):
        batch.validate(full=True)


def read_only(path: Path) -> None:
    """Read a list of images that may stay."""
    found = UidList.find([str(path)])
    for batch in found.read(found.files[0]):
        batch.validate(full=True)


READERS = (
    read_images,
    read_captions,
    read_only,
    lambda path: EvaluationSets.read([str(path)], 4),
    lambda path: read_classes([f"en={path}"]),
    read_list,
)
TABLES = {"tables": Target(lambda folder: [b"txt\n"], look, make, megabytes=OF_A_PAGE)}
