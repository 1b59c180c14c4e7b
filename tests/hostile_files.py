"""Files that are made to exhaust memory or time: small to keep, large to read. Each is written at any size."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from isal import igzip

MB = 1 << 20
URL = "https://example.org/news/today.html"
PAIR = {"url": "https://example.org/a.jpg", "text": "a dog"}
HTML = "Content-Type: text/html"


def packed(path: Path, pieces: Iterable[bytes]) -> None:
    """Write pieces as one gzip member."""
    with igzip.open(path, "wb", compresslevel=1) as file:
        file.writelines(pieces)


def zstd(path: Path, pieces: Iterable[bytes]) -> None:
    with pa.CompressedOutputStream(str(path), "zstd") as file:
        for piece in pieces:
            file.write(piece)


def plain(path: Path, pieces: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        file.writelines(pieces)


def repeated(piece: bytes, size: int) -> Iterator[bytes]:
    """Yield a piece again and again, about `size` bytes in all."""
    block = piece * max(1, MB // len(piece))
    yield from (block for _ in range(-(-size // len(block))))


def record(kind: str, block: Iterable[bytes], length: int) -> Iterator[bytes]:
    media = "application/json" if kind == "metadata" else "application/http; msgtype=response"
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {URL}\r\nContent-Type: {media}\r\n"
    yield f"{head}Content-Length: {length}\r\n\r\n".encode()
    yield from block
    yield b"\r\n\r\n"


def whole_record(kind: str, *blocks: bytes) -> Iterator[bytes]:
    return record(kind, blocks, sum(map(len, blocks)))


def response(body: bytes, headers: str = HTML) -> Iterator[bytes]:
    return whole_record("response", f"HTTP/1.1 200 OK\r\n{headers}\r\n\r\n".encode(), body)


def envelope(links: bytes, before: bytes = b"") -> Iterator[bytes]:
    """The WAT record of a page, with its links as JSON, and whatever else is to be in its head."""
    html = b'{"Head":{%b},"Links":[%b]}' % (before, links)
    tree = b'{"Envelope":{"Payload-Metadata":{"HTTP-Response-Metadata":{"HTML-Metadata":%b}},' % html
    return whole_record("metadata", tree + b'"WARC-Header-Metadata":{"WARC-Target-URI":"%b"}}}' % URL.encode())


IMAGE = b'{"path":"IMG@/src","url":"a.jpg","alt":"a"}'


def links(size: int) -> bytes:
    return b",".join([IMAGE] * max(1, size // len(IMAGE)))


def bomb(size: int) -> bytes:
    """Zeros, packed."""
    pack = zlib.compressobj(9, wbits=31)
    return b"".join(pack.compress(bytes(MB)) for _ in range(size // MB)) + pack.flush()


def wide_csv(size: int) -> Iterator[bytes]:
    yield b"url,text\n"
    yield from repeated(b'"\n",', size)


def long_line(size: int) -> Iterator[bytes]:
    yield json.dumps(PAIR).encode() + b"\n"
    yield b'{"url": "https://example.org/'
    yield from repeated(b"x", size)
    yield b'", "text": "a dog"}\n' + json.dumps(PAIR).encode() + b"\n"


def long_field(size: int) -> Iterator[bytes]:
    yield b"url\ttext\nhttps://example.org/a.jpg\ta dog\nhttps://example.org/b.jpg\t"
    yield from repeated(b"dog ", size)
    yield b"\nhttps://example.org/c.jpg\ta cat\n"


def long_urls(size: int) -> Iterator[bytes]:
    for number in range(size // MB):
        yield b'{"url": "https://example.org/%d%b", "text": "a dog"}\n' % (number, b"x" * MB)


def nested_lines(size: int) -> Iterator[bytes]:
    deep = b"[" * 100_000 + b"]" * 100_000
    for _ in range(max(1, size // len(deep))):
        yield b'{"url": %b, "text": "a dog"}\n' % deep
    yield json.dumps(PAIR).encode() + b"\n"


def many_keys(size: int) -> Iterator[bytes]:
    line = json.dumps(PAIR | {f"key {number}": number for number in range(50_000)}).encode() + b"\n"
    return repeated(line, size)


def one_row_group(path: Path, size: int) -> None:
    """Write a row group of long texts that pack well, page after page."""
    rows = size // (MB >> 2)
    table = _table([f"https://example.org/{row}" for row in range(rows)], "dog " * (MB >> 4))
    pq.write_table(table, path, compression="zstd", use_dictionary=False, row_group_size=rows)


def huge_pages(path: Path, size: int) -> None:
    """Write a Parquet file whose texts are in one page."""
    rows = min(size, 2000 * MB) >> 10
    table = _table([PAIR["url"]] * rows, "dog " * 256)
    pq.write_table(table, path, compression="zstd", use_dictionary=False, data_page_size=1 << 31, write_batch_size=rows)


def huge_dictionary(path: Path, size: int) -> None:
    """Write a Parquet file in which a text of 16 MB, stored once, stands in each row."""
    table = _table([PAIR["url"]] * (size // MB >> 4), "dog " * (4 * MB))
    pq.write_table(table, path, compression="zstd", dictionary_pagesize_limit=1 << 30)


def _table(urls: list[str], text: str) -> pa.Table:
    return pa.table({"url": urls, "text": pa.repeat(pa.scalar(text, pa.large_string()), len(urls))})


def nested_gzip(size: int) -> bytes:
    return gzip.compress(bomb(size))


# Name of the file → what writes it, given a size in bytes that a careless reader would need.
FILES: dict[str, Callable[[Path, int], None]] = {
    "zeros.wat.gz": lambda path, size: packed(path, repeated(bytes(MB), size)),
    "zeros.warc.gz": lambda path, size: packed(path, repeated(bytes(MB), size)),
    "zeros.jsonl.gz": lambda path, size: packed(path, repeated(bytes(MB), size)),
    "zeros.csv.zst": lambda path, size: zstd(path, [b"url,text\n", *repeated(bytes(MB), size)]),
    "record.wat.gz": lambda path, size: packed(path, record("metadata", repeated(b"[", size), size)),
    "record.warc.gz": lambda path, size: packed(path, record("response", repeated(b"<img src=a>", size), size)),
    "claim.warc.gz": lambda path, size: packed(path, record("response", [b"HTTP/1.1 200 OK\r\n\r\n"], 10 << 30)),
    "claim.wat.gz": lambda path, size: packed(path, record("metadata", [b"{}"], 10 << 30)),
    "deep.wat.gz": lambda path, size: packed(path, envelope(IMAGE, b'"a":' + b"[" * 100_000 + b"]" * 100_000)),
    "deep.jsonl": lambda path, size: plain(path, nested_lines(min(size, 8 * MB))),
    "links.wat.gz": lambda path, size: packed(path, envelope(links(min(size, 60 * MB)))),
    "surrogate.wat.gz": lambda path, size: packed(
        path, envelope(links(min(size, 60 * MB)) + IMAGE.replace(b'"a"', rb'"\ud800"').join((b",", b"")))
    ),
    "lists.wat.gz": lambda path, size: packed(
        path, envelope(IMAGE + b"," + b"[]," * (min(size, 60 * MB) // 3) + b"\xff")
    ),
    "images.warc.gz": lambda path, size: packed(path, response(b"<img src=a alt=b>" * (min(size, 60 * MB) // 17))),
    "attributes.warc.gz": lambda path, size: packed(
        path, response(b"<img src=a " + b"a" * 20 + b" b=c" * (min(size, 60 * MB) // 4) + b">")
    ),
    "body.warc.gz": lambda path, size: packed(path, response(bomb(size), HTML + "\r\nContent-Encoding: gzip")),
    "bodies.warc.gz": lambda path, size: packed(
        path, response(nested_gzip(size), HTML + "\r\nContent-Encoding: gzip, gzip")
    ),
    "line.jsonl": lambda path, size: plain(path, long_line(size)),
    "line.jsonl.gz": lambda path, size: packed(path, long_line(size)),
    "line.tsv": lambda path, size: plain(path, long_field(size)),
    "quotes.csv": lambda path, size: plain(path, wide_csv(size)),
    "urls.jsonl": lambda path, size: plain(path, long_urls(size)),
    "keys.jsonl.gz": lambda path, size: packed(path, many_keys(size)),
    "group.parquet": one_row_group,
    "page.parquet": huge_pages,
    "dictionary.parquet": huge_dictionary,
}
