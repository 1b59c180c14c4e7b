"""Inputs of any size from real ones: the same pages and captions again, with other image URLs each time."""

import gzip
import re
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq
from isal import igzip

_IMAGE = re.compile(rb'("path":"IMG@\\/src","url":"(?:[^"\\]|\\.)*)"')


def wats(source: Path, folder: Path, texts: int, texts_of: dict[str, int]) -> list[Path]:
    """Return WAT files in `folder` with at least so many texts, as copies of those in `source`, a member a record."""
    folder.mkdir(parents=True, exist_ok=True)
    files, made = [], 0
    for number, name in enumerate(cycle(sorted(texts_of))):
        if made >= texts:
            return files
        files.append(folder / f"{number:04d}-{name}")
        made += texts_of[name]
        if not files[-1].exists():
            _copy(source / name, files[-1], number)


def pairs(source: Path, path: Path, texts: int, first: int = 0, short: bool = False) -> Path:
    """Return a Parquet file of so many pairs: the captions of a table without header, text and URL, again and again.

    The URLs of each copy of the table end in its number, which counts from `first`. `short` URLs, of 40 bytes, are
    numbered from `first`, and the file is packed well.
    """
    if path.exists() and pq.read_metadata(path).num_rows == texts:
        return path
    options = csv.ReadOptions(column_names=["text", "url"])
    table = csv.read_csv(source, options, csv.ParseOptions(delimiter="\t", quote_char=False))
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([("url", pa.string()), ("text", pa.string())])
    packing = {"compression": "zstd", "use_dictionary": ["text"]} if short else {}
    with pq.ParquetWriter(path, schema, **packing) as writer:
        for number, begin in enumerate(range(0, texts, len(table)), first):
            numbers = range(first + begin, first + begin + len(table))
            urls = [f"{url}?{number}" for url in table["url"].to_pylist()]
            urls = pa.array([f"https://images.example/{each:012}.jpg" for each in numbers] if short else urls)
            copy = pa.table([urls, table["text"].cast(pa.string())], schema=schema)
            writer.write_table(copy.slice(0, texts - begin))
    return path


def hex_strings(values: np.ndarray) -> pa.Array:
    """Return the hexadecimal digits of the bytes of each row of an array."""
    rows = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * (2 * rows.shape[1])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(rows.tobytes().hex().encode())]
    return pa.Array.from_buffers(pa.string(), len(rows), buffers)


def joined(*parts: str | pa.Array | np.ndarray) -> pa.Array:
    """Return strings that are put together of parts, some of which are the same in all."""
    given = (part if isinstance(part, str) else pa.array(part).cast(pa.string()) for part in parts)
    return pc.binary_join_element_wise(*given, "")


def _copy(source: Path, path: Path, number: int) -> None:
    version = rb'\1?v=%d"' % number
    with path.open("wb") as out:
        for head, block in _records(igzip.decompress(source.read_bytes())):
            block = _IMAGE.sub(version, block)
            head = re.sub(rb"(?i)content-length: *\d+", b"Content-Length: %d" % len(block), head)
            out.write(gzip.compress(head + b"\r\n\r\n" + block + b"\r\n\r\n", 6, mtime=0))  # as crawlers pack


def _records(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield head and block of each record of a WARC file."""
    at = 0
    while at < len(content):
        end = content.index(b"\r\n\r\n", at)
        head, begin = content[at:end], end + 4
        at = begin + int(re.search(rb"(?i)content-length: *(\d+)", head)[1])
        yield head, content[begin:at]
        at += 4
