"""Files that are made to exhaust memory or time: small to keep, large to read, written at any size."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from inspect import signature
from itertools import chain
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
    """Write a Parquet file whose texts are in one page, of a quarter GB at most: Arrow unpacks pages whole."""
    rows = min(size, 256 * MB) >> 10
    table = _table([PAIR["url"]] * rows, "dog " * 256)
    pq.write_table(
        table,
        path,
        compression="zstd",
        use_dictionary=False,
        data_page_size=1 << 31,
        write_batch_size=rows,
        **_whole_pages(rows),
    )


def _whole_pages(rows: int) -> dict:
    """Ask for pages of so many rows, where pyarrow has a limit of its own, from 23 on."""
    return {"max_rows_per_page": rows} if "max_rows_per_page" in signature(pq.ParquetWriter).parameters else {}


def huge_dictionary(path: Path, size: int) -> None:
    """Write a Parquet file in which a text of 16 MB, stored once, stands in each row."""
    table = _table([PAIR["url"]] * max(1, size // MB >> 4), "dog " * (4 * MB))
    pq.write_table(table, path, compression="zstd", dictionary_pagesize_limit=1 << 30)


def _table(urls: list[str], text: str) -> pa.Table:
    return pa.table({"url": urls, "text": pa.repeat(pa.scalar(text, pa.large_string()), len(urls))})


def surrogate(size: int) -> bytes:
    """Links of which one holds a lone surrogate, so that no fast parser takes the page."""
    return links(size) + b"," + IMAGE.replace(b'"a"', rb'"\ud800"')


def lists(size: int) -> bytes:
    """Empty lists among the links, and a byte that is no JSON behind them."""
    return IMAGE + b"," + b"[]," * (size // 3) + b"\xff"


def images(size: int) -> bytes:
    return b"<img src=a alt=b>" * (size // 17)


def attributes(size: int) -> bytes:
    return b"<img src=a" + b" b=c" * (size // 4) + b">"


def page(size: int) -> int:
    """The size of a page, or record, that is too large, of which the others are an eighth or a quarter."""
    return min(size, 60 * MB)


# Name of the file → what writes it, given a size in bytes that a careless reader would need, and what is to be said of
# it: a number of pairs (None: some), reasons, or the beginning of a refusal.
Made = tuple[Callable[[Path, int], None], int | None, set[str] | str]
FILES: dict[str, Made] = {
    "zeros.wat.gz": (lambda path, size: packed(path, repeated(bytes(MB), size)), 0, {"bad_file"}),
    "zeros.warc.gz": (lambda path, size: packed(path, repeated(bytes(MB), size)), 0, {"bad_file"}),
    "zeros.jsonl.gz": (lambda path, size: packed(path, repeated(bytes(MB), size)), 0, "has no line that is a JSON"),
    "zeros.csv.zst": (
        lambda path, size: zstd(path, chain([b"url,text\n"], repeated(bytes(MB), size))),
        0,
        {"long_line"},
    ),
    "record.wat.gz": (
        lambda path, size: packed(path, record("metadata", repeated(b"[", size), size)),
        0,
        {"too_large"},
    ),
    "record.warc.gz": (
        lambda path, size: packed(path, record("response", repeated(b"<img src=a>", size), size)),
        0,
        {"too_large", "bad_record"},
    ),
    "claim.wat.gz": (
        lambda path, size: packed(path, record("metadata", [b"{}"], 10 << 30)),
        0,
        {"too_large"},
    ),
    "claim.warc.gz": (
        lambda path, size: packed(path, record("response", [b"HTTP/1.1 200 OK\r\n\r\n"], 10 << 30)),
        0,
        {"too_large"},
    ),
    "deep.wat.gz": (
        lambda path, size: packed(path, envelope(IMAGE, b'"a":' + b"[" * 100_000 + b"]" * 100_000)),
        0,
        {"bad_json"},
    ),
    "deep.jsonl": (lambda path, size: plain(path, nested_lines(min(size, 8 * MB))), 1, {"bad_json"}),
    "links.wat.gz": (lambda path, size: packed(path, envelope(links(page(size)))), 0, {"too_large"}),
    "surrogate.wat.gz": (lambda path, size: packed(path, envelope(surrogate(page(size)))), 0, {"too_large"}),
    "fewer_links.wat.gz": (lambda path, size: packed(path, envelope(links(page(size) // 4))), None, set()),
    "fewer_surrogate.wat.gz": (
        lambda path, size: packed(path, envelope(surrogate(page(size) // 4))),
        None,
        {"bad_utf8"},
    ),
    "fewer_lists.wat.gz": (lambda path, size: packed(path, envelope(lists(page(size) // 4))), 0, {"bad_json"}),
    "images.warc.gz": (lambda path, size: packed(path, response(images(page(size)))), 0, {"too_large"}),
    "fewer_images.warc.gz": (lambda path, size: packed(path, response(images(page(size) // 8))), None, set()),
    "attributes.warc.gz": (lambda path, size: packed(path, response(attributes(page(size) // 8))), 0, {"no_text"}),
    "body.warc.gz": (
        lambda path, size: packed(path, response(bomb(size), HTML + "\r\nContent-Encoding: gzip")),
        0,
        {"too_large"},
    ),
    "bodies.warc.gz": (
        lambda path, size: packed(path, response(gzip.compress(bomb(size)), HTML + "\r\nContent-Encoding: gzip, gzip")),
        0,
        {"too_large"},
    ),
    "line.jsonl": (lambda path, size: plain(path, long_line(size)), 2, {"long_line"}),
    "line.jsonl.gz": (lambda path, size: packed(path, long_line(size)), 2, {"long_line"}),
    "line.tsv": (lambda path, size: plain(path, long_field(size)), 2, {"long_line"}),
    "quotes.csv": (lambda path, size: plain(path, wide_csv(min(size, 64 * MB))), 0, {"bad_row"}),
    "urls.jsonl": (lambda path, size: plain(path, long_urls(min(size, 1 << 30))), None, set()),
    "keys.jsonl.gz": (lambda path, size: packed(path, many_keys(min(size, 1 << 28))), None, set()),
    "group.parquet": (one_row_group, None, set()),
    "page.parquet": (huge_pages, None, set()),
    "dictionary.parquet": (huge_dictionary, None, set()),
}
