"""Damaged inputs of all formats: read with what is wrong counted, or refused by name.

A file here is the name of an input, a line feed, and the input's bytes.
"""

from __future__ import annotations

import gzip
import io
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curation.inputs import files as inputs
from curation.inputs import limits
from runtime.errors import InputError
from runtime.tallies import TaskResult
from tests.fuzz.mutations import damaged
from tests.fuzz.target import Target, require_named
from tests.support.crawl_records import image, warc, wat
from tests.support.wat_records import fast, slow

OF_A_PAGE = 3500  # megabytes: Arrow unpacks a page of Parquet whole, of up to 2 GB, which takes 1.6 times its size
ROWS = [{"url": f"https://example.org/{i}.jpg", "text": f"犬 {i}", "uid": f"{i:032x}"} for i in range(30)]
HEADERS = {"X-Robots-Tag": "noai, noimageai", "tdm-reservation": "1"}
METAS = [{"name": "robots", "content": "noindex,none"}, {"name": "tdm-reservation", "content": "1"}]
PAGE = (
    "<meta name=robots content='noai, noimageindex'><base href=/x/><img data-noai width=640px src={}.jpg alt='犬 {}'>"
    "<picture><source srcset='a,b 1x, c 2x'><img src=data:, alt='&amp;#039;'></picture><noscript><img src=d></noscript>"
)
ODD = (b"<", b">", b'"', b"'", b"\\", b"\\u", b"\\ud800", b"&#", b"&#x110000;", b"\0", b"\xff", b"\xef\xbb\xbf",
    b"<!--", b"<svg>", b"<base href=//", b"{", b"[", b"]", b",", b"\r", b"\n", b"\r\n\r\n", b"WARC/1.0\r\n",
    b"Content-Length: ", b"-1", b"99999999999999999999", b"1e999", b"NaN", b"null", b"charset=utf-7",
    b"\x1f\x8b\x08", b"&amp;#39;", b" srcset=", b" 9w,", b"<noscript>")  # fmt: skip


def parquet(**options: object) -> bytes:
    """Return a file of ROWS."""
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), file, row_group_size=10, **options)
    return file.getvalue()


def zstd(data: bytes) -> bytes:
    """Return data as a Zstandard frame."""
    return pa.Codec("zstd").compress(data, asbytes=True)


def members(data: bytes) -> bytes:
    """Return data as a gzip member."""
    return gzip.compress(data, 1)


WAT = b"".join(
    wat(image(f"{i}.jpg", alt=f"犬 {i}"), image("b", title="a"), head={"Metas": METAS}, headers=HEADERS)
    for i in range(3)
)
WARC = b"".join(
    warc(PAGE.format(i, i), "Content-Type: text/html\r\nX-Robots-Tag: bot: noai\r\ntdm-reservation: 1")
    for i in range(3)
)
JSON = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
CSV = ("url,text\n" + "".join(f'{row["url"]},"{row["text"]}"\n' for row in ROWS)).encode()

# Name → what is damaged, and what is made of it then.
PARSED: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "packed.wat.gz": (WAT, bytes),
    "plain.wat.gz": (gzip.decompress(WAT), members),
    "packed.warc.gz": (WARC, bytes),
    "plain.warc.gz": (gzip.decompress(WARC), members),
    "a.jsonl": (JSON, bytes),
    "packed.jsonl.gz": (members(JSON), bytes),
    "packed.jsonl.zst": (zstd(JSON), bytes),
    "a.csv": (CSV, bytes),
    "a.tsv": (CSV.replace(b",", b"\t"), bytes),
    "plain.parquet": (parquet(compression="none", use_dictionary=False), bytes),
    "snappy.parquet": (parquet(compression="snappy"), bytes),
    "checked.parquet": (parquet(compression="zstd", write_page_checksum=True), bytes),
}


def wholes(folder: Path) -> list[bytes]:
    """Return an input of each format."""
    return [name.encode() + b"\n" + packed(content) for name, (content, packed) in PARSED.items()]


def make(whole: bytes, dice: random.Random) -> bytes:
    """Return a damaged input, some of them damaged before they are compressed."""
    name = whole.partition(b"\n")[0]
    content, packed = PARSED[name.decode()]
    return name + b"\n" + packed(damaged(content, dice, ODD))


def look(folder: Path, data: bytes) -> str:
    """Read an input as curate does."""
    name, _, content = data.partition(b"\n")
    path = folder / (name.decode() if name.decode("latin-1") in PARSED else "a.jsonl")
    path.write_bytes(content)
    tallies, pairs = TaskResult(), 0
    try:
        for source in inputs.find([str(path)]):
            tally = Counter()
            for rows in limits.cut(inputs.read(source, tally=tally), 100, tallies):
                rows.validate(full=True)
                pairs += rows.num_rows
            limits.count_input(path.name, tally, tallies)
    except InputError as refusal:
        require_named(path.name, refusal)
        return "refused"
    finally:
        path.unlink()
    assert tallies["pairs"] == pairs
    assert tallies["files"] == 1
    return "read"


def look_at_record(folder: Path, block: bytes) -> str:
    """Read a WAT record by kernels and by the JSON parser."""
    found, expected = fast([block]), slow([block])
    assert found == expected
    return "pairs" if found[0] else "no pairs"


def records(folder: Path) -> list[bytes]:
    """Return the JSON of WAT records."""
    return [each.partition(b"\r\n\r\n")[2] for each in gzip.decompress(WAT).split(b"WARC/1.0\r\n")[1:]]


INPUTS = {
    "inputs": Target(wholes, look, make, megabytes=OF_A_PAGE),
    "wat_records": Target(records, look_at_record, lambda whole, dice: damaged(whole, dice, ODD)),
}
