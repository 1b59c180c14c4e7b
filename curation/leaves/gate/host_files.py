"""Read the robots.txt, tdmrep.json and ai.txt of hosts; `robots_text` finds the signals that they state.

The files come from Common Crawl's `robotstxt` WARC files or from tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from operator import itemgetter
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
from fastwarc.warc import WarcRecord

from curation.exclusion.lists import HOST, hosts, is_domain
from curation.inputs.crawl import warc
from curation.inputs.crawl.html_pages import headers, unpack
from curation.inputs.crawl.warc import members
from curation.leaves.by_uid.tables import PARQUET, Paths, files_in, opened
from curation.leaves.gate.robots_text import MOST_BYTES, PATHS, ROBOTS_TXT
from runtime.arrow import gather
from runtime.errors import InputError
from runtime.redaction import hidden
from runtime.storage.listing import ListedFile, Version, name_of

# A file of a host: `host` is an authority of `parts_of`, `date` is in seconds since 1970, 0 if it is not known.
HOST_FILES = pa.schema(
    [
        pa.field("host", pa.string()),
        pa.field("name", pa.string()),  # one of PATHS
        pa.field("date", pa.int64()),
        pa.field("content", pa.binary()),  # cut to one byte more than is read, which shows that there is more
    ]
)
WARC = ".warc.gz"
_EXPECTED = "robots.txt of hosts: WARC files (.warc.gz), or Parquet with the columns host and text"
_BYTES, _ROWS = 16 << 20, 4096  # the most bytes and rows of a batch
_PARTS = HOST + r"(?::(?P<port>[0-9]*))?(?P<path>[^#]*)"  # with the query
_DEFAULT_PORTS = ("", "80", "443")


@dataclass(frozen=True)
class HostFiles:
    """The WARC files and tables that have files of hosts; tasks read them."""

    name: str  # paths as the user gave them, without secrets
    files: tuple[tuple[str, Version], ...]

    @classmethod
    def find(cls, paths: Paths) -> HostFiles:
        """Return the WARC files and tables in files, folders, globs or URLs.

        InputError if there are none, or if a table has no column host or text.
        """
        given = [*map(str, paths)]
        found = {name: version for path in given for name, version in files_in(path, _EXPECTED, (WARC, PARQUET))}
        for name, version in found.items():
            if name_of(name).endswith(PARQUET):
                next(_rows_of_table(name, version, Counter()), None)
        return cls(", ".join(map(hidden, given)), tuple(sorted(found.items(), key=itemgetter(0))))

    @property
    def bytes(self) -> int:
        """The total size of all files whose size is known."""
        return sum(version.size or 0 for _, version in self.files)


def read(path: str, version: Version, tally: Counter[str]) -> Iterator[pa.RecordBatch]:
    """Yield the HOST_FILES in a WARC file or table; count all records in `tally`, and by reason those left out."""
    if name_of(path).endswith(PARQUET):
        yield from _batches(_rows_of_table(path, version, tally), tally)
        return
    try:
        with ListedFile(path, version).open() as file:
            yield from _batches(_rows_of_warc(file, tally), tally)
    except OSError as error:
        raise InputError(f"{hidden(path)} cannot be read ({error})") from None


def parts_of(urls: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return the authority and the path, with its query, of each URL, as two arrays; null for a text that is no URL.

    An authority is the host in the form of `canonical`, with the port if it is neither 80 nor 443: a host's files count
    for both schemes.

    >>> [each[0].as_py() for each in parts_of(pa.array(["HTTPS://a@Bücher.example:443?x#y"]))]
    ['xn--bcher-kva.example', '/?x']
    """
    found = pc.extract_regex(urls, _PARTS)
    names, ports, paths = hosts(urls), found.field("port"), found.field("path")
    is_default = pc.is_in(ports, pa.array(_DEFAULT_PORTS))
    names = pc.if_else(is_default, names, pc.binary_join_element_wise(names, ports, ":"))
    paths = pc.if_else(pc.starts_with(paths, "/"), paths, pc.binary_join_element_wise("/", paths, ""))
    is_url, none = found.is_valid(), pa.scalar(None, pa.string())
    return pc.if_else(is_url, names, none), pc.if_else(is_url, paths, none)


def _batches(rows: Iterator[tuple[str, int, bytes]], tally: Counter[str]) -> Iterator[pa.RecordBatch]:
    """Yield HOST_FILES from rows of URL, date and content; rows of other paths or of bad hosts are only counted."""
    for held in gather(rows, lambda row: len(row[2]), _BYTES, _ROWS):
        urls, dates, contents = zip(*held, strict=True)
        hosts, names = parts_of(pa.array(urls, pa.string()))
        columns = [hosts, names, pa.array(dates, pa.int64()), pa.array(contents, pa.binary())]
        batch = pa.RecordBatch.from_arrays(columns, schema=HOST_FILES)
        is_wanted = pc.is_in(names, pa.array(PATHS))
        is_host = pa.array([host is not None and is_domain(host.partition(":")[0]) for host in hosts.to_pylist()])
        tally["other_path"] += batch.num_rows - is_wanted.true_count
        tally["bad_host"] += pc.and_(is_wanted, pc.invert(is_host)).true_count
        batch = batch.filter(pc.and_(is_wanted, is_host))
        for name in batch["name"].to_pylist():
            tally[f"file.{name}"] += 1
        yield batch


def _rows_of_warc(file: BinaryIO, tally: Counter[str]) -> Iterator[tuple[str, int, bytes]]:
    """Yield URL, date and content of the responses with status 200 in a WARC file; count all others by reason."""
    for record, block in warc.responses(members(file, tally), tally):
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
        content = unpack(body, dict(reversed(fields)))
    except ValueError:
        return "bad_encoding"
    url, date = (record.headers.get(name) or "" for name in ("WARC-Target-URI", "WARC-Date"))
    return url.strip("<>"), _seconds(date), bytes(content[: MOST_BYTES + 1])


def _seconds(date: str) -> int:
    """Return a WARC-Date in seconds since 1970; 0 if it is no date."""
    try:
        return int(datetime.strptime(date[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp())
    except ValueError:
        return 0


def _rows_of_table(path: str, version: Version, tally: Counter[str]) -> Iterator[tuple[str, int, bytes]]:
    """Yield URL, date (0) and content of each row of a table with host, text and perhaps path.

    The column host may have hosts or URLs of hosts.
    """
    with opened(path, version) as table:
        names = table.schema.names
        if missing := [name for name in ("host", "text") if name not in names]:
            raise InputError(
                f"{hidden(path)} has no column {missing[0]} (columns: {', '.join(names)}); expected {_EXPECTED}"
            )
        for batch in table.batches([name for name in ("host", "text", "path") if name in names], _ROWS):
            tally["records"] += batch.num_rows
            paths = batch["path"].cast(pa.string()).to_pylist() if "path" in names else [None] * batch.num_rows
            texts = batch["text"].cast(pa.binary()).to_pylist()
            for host, text, at in zip(batch["host"].cast(pa.string()).to_pylist(), texts, paths, strict=True):
                if not host or text is None:
                    tally["empty"] += 1
                    continue
                origin = host if "://" in host else f"http://{host}"
                yield f"{origin.rstrip('/')}/{(at or ROBOTS_TXT).lstrip('/')}", 0, text[: MOST_BYTES + 1]
