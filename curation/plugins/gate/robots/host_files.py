"""Read robots.txt, ai.txt, tdmrep.json and rsl.xml of hosts from WARC files (Common Crawl's `robotstxt`) or tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
from fastwarc.warc import WarcRecord

from curation.inputs.crawl import warc
from curation.inputs.crawl.html_pages import headers, unpacked_body
from curation.inputs.crawl.warc import gzip_members
from curation.plugins.gate.robots.robots_text import MAX_HOST_FILE_BYTES, PATHS, ROBOTS_TXT
from curation.plugins.joins.image_tables import PARQUET, Paths, files_in, opened_parquet
from curation.url_hosts import HOST, is_domain, spelled_hosts
from runtime.arrow import gather
from runtime.errors import InputError
from runtime.messages import quoted_names
from runtime.redaction import hidden
from runtime.storage.listing import ListedFile, Version, name_of
from runtime.storage.parquet import BoundedParquet
from runtime.tallies import Tally

WARC = ".warc.gz"
_EXPECTED_HOST_FILES = "robots.txt of hosts: WARC files (.warc.gz), or Parquet with the columns host and text"
BATCH_BYTES = 16 << 20
BATCH_ROWS = 4096
MAX_TABLE_PAGE_BYTES = 256 << 20  # the most bytes of an unpacked Parquet page; writers make pages of 1 to 100 MB
_PARTS = HOST + r"(?::(?P<port>[0-9]*))?(?P<path>[^#]*)"  # The path includes the query.
_DEFAULT_PORTS = ("", "80", "443")


@dataclass(frozen=True)
class HostFiles:
    """The WARC files and tables that have files of hosts; tasks read them."""

    name: str  # paths as the user gave them, without secrets
    files: tuple[tuple[str, Version], ...]

    @classmethod
    def find(cls, paths: Paths) -> HostFiles:
        """Return the WARC files and tables in files, folders, globs or URLs.

        InputError if a path has none, or if a table lacks the column host or the column text.
        """
        names = [*map(str, paths)]
        versions: dict[str, Version] = {}
        for path in names:
            versions |= files_in(path, _EXPECTED_HOST_FILES, (WARC, PARQUET))
        for name, version in versions.items():
            if name_of(name).endswith(PARQUET):
                with _table(name, version):
                    continue
        return cls(", ".join(map(hidden, names)), tuple(sorted(versions.items())))

    @property
    def bytes(self) -> int:
        """The total size of all files whose size is known."""
        return sum(version.size or 0 for _, version in self.files)


def read(path: str, version: Version, tally: Tally) -> Iterator[pa.RecordBatch]:
    """Yield the files of hosts in a WARC file or table; count in `tally` all records, and by reason those left out.

    Columns: host, an authority of `parts_of`; name, one of PATHS; date, in seconds since 1970, 0 if it is not known;
    content, cut to MAX_HOST_FILE_BYTES + 1 bytes, so that a file that is too long is recognised.
    """
    if name_of(path).endswith(PARQUET):
        yield from _batches(_rows_of_table(path, version, tally), tally)
        return
    try:
        with ListedFile(path, version).open() as file:
            yield from _batches(_rows_of_warc(file, tally), tally)
    except OSError as error:
        raise InputError(f"{hidden(path)} cannot be read ({error})") from None


def parts_of(urls: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return the authority and the path, with its query, of each URL, as two arrays; null for a text without a URL.

    An authority is the host in the form of `canonical`, with the port if it is neither 80 nor 443: a host's files count
    for both schemes.

    >>> [part[0].as_py() for part in parts_of(pa.array(["HTTPS://a@Bücher.example:443?x#y"]))]
    ['xn--bcher-kva.example', '/?x']
    """
    fields = pc.extract_regex(urls, _PARTS)
    names = spelled_hosts(fields.field("host"))
    ports = fields.field("port")
    paths = fields.field("path")
    is_default = pc.is_in(ports, pa.array(_DEFAULT_PORTS))
    names = pc.if_else(is_default, names, pc.binary_join_element_wise(names, ports, ":"))
    paths = pc.if_else(pc.starts_with(paths, "/"), paths, pc.binary_join_element_wise("/", paths, ""))
    is_url = fields.is_valid()
    null = pa.scalar(None, pa.string())
    return pc.if_else(is_url, names, null), pc.if_else(is_url, paths, null)


def _batches(rows: Iterator[tuple[str, int, bytes]], tally: Tally) -> Iterator[pa.RecordBatch]:
    """Yield files of hosts from rows of URL, date and content; rows of other paths or bad hosts are only counted."""
    for held in gather(rows, lambda row: len(row[2]), BATCH_BYTES, BATCH_ROWS):
        urls, dates, contents = zip(*held, strict=True)
        hosts, names = parts_of(pa.array(urls, pa.string()))
        batch = pa.RecordBatch.from_pydict({"host": hosts, "name": names, "date": dates, "content": contents})
        is_wanted = pc.is_in(names, pa.array(PATHS))
        is_host = pa.array([host is not None and is_domain(host.partition(":")[0]) for host in hosts.to_pylist()])
        tally["other_path"] += batch.num_rows - is_wanted.true_count
        tally["bad_host"] += pc.and_(is_wanted, pc.invert(is_host)).true_count
        batch = batch.filter(pc.and_(is_wanted, is_host))
        tally.update(("file", name) for name in batch["name"].to_pylist())
        yield batch


def _rows_of_warc(file: BinaryIO, tally: Tally) -> Iterator[tuple[str, int, bytes]]:
    """Yield URL, date and content of the responses with status 200 in a WARC file; count all others by reason."""
    for record, block, _ in warc.responses(gzip_members(file, tally), tally):
        row = _row(record, block)
        if isinstance(row, str):
            tally[row] += 1
        else:
            yield row


def _row(record: WarcRecord, block: bytes) -> tuple[str, int, bytes] | str:
    """Return URL, date and content of a response, or the reason why it is left out."""
    status = block.partition(b"\n")[0].split()[1:2]
    if not block.startswith(b"HTTP/") or not status:
        return "bad_http"
    if status[0] != b"200":
        return f"status_{status[0][:1].decode('ascii', 'replace')}xx"
    fields, body = headers(block)
    try:
        content = unpacked_body(body, dict(reversed(fields)))
    except ValueError:
        return "bad_encoding"
    url, date = (record.headers.get(name) or "" for name in ("WARC-Target-URI", "WARC-Date"))
    return url.strip("<>"), _seconds(date), bytes(content[: MAX_HOST_FILE_BYTES + 1])


def _seconds(date: str) -> int:
    """Return a WARC-Date in seconds since 1970; 0 for a text that is not a date."""
    try:
        return int(datetime.strptime(date[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp())
    except ValueError:
        return 0


@contextmanager
def _table(path: str, version: Version) -> Iterator[BoundedParquet]:
    """Open a table of files of hosts; InputError if it lacks a column, or has texts too large to be unpacked."""
    with opened_parquet(path, version) as table:
        names = table.schema.names
        if missing := [name for name in ("host", "text") if name not in names]:
            raise InputError(
                f"{hidden(path)} has no column {missing[0]} (columns: {quoted_names(names)}); "
                f"expected {_EXPECTED_HOST_FILES}"
            )
        if (size := table.largest_page("text", MAX_TABLE_PAGE_BYTES)) > MAX_TABLE_PAGE_BYTES:
            raise InputError(
                f"{hidden(path)} has a page of texts that takes {size >> 20:,} MB when unpacked; cut each text to "
                f"{MAX_HOST_FILE_BYTES >> 10} KB, because no more of a file is read"
            )
        yield table


def _rows_of_table(path: str, version: Version, tally: Tally) -> Iterator[tuple[str, int, bytes]]:
    """Yield URL, date and content of each row of a table with the columns host, text and perhaps path.

    The column host may have hosts or URLs of hosts. The date is 0, which stands for an unknown one.
    """
    with _table(path, version) as table:
        names = table.schema.names
        for batch in table.batches([name for name in ("host", "text", "path") if name in names], BATCH_ROWS):
            tally["records"] += batch.num_rows
            paths = batch["path"].cast(pa.string()).to_pylist() if "path" in names else [None] * batch.num_rows
            texts = pc.binary_slice(batch["text"].cast(pa.binary()), 0, MAX_HOST_FILE_BYTES + 1).to_pylist()
            for host, text, at in zip(batch["host"].cast(pa.string()).to_pylist(), texts, paths, strict=True):
                if not host or text is None:
                    tally["empty"] += 1
                    continue
                origin = host if "://" in host else f"http://{host}"
                yield f"{origin.rstrip('/')}/{(at or ROBOTS_TXT).lstrip('/')}", 0, text
