"""List the WAT or WARC files of a crawl of Common Crawl, as in `commoncrawl:CC-MAIN-2024-10`."""

import gzip
import os
import re
import zlib

from runtime.errors import InputError
from runtime.redaction import hidden
from runtime.storage.listing import ListedFile

PREFIX = "commoncrawl:"
BASE = "https://data.commoncrawl.org"
BASE_VARIABLE = "COMMON_CRAWL_URL"  # another copy: a mirror, a folder, or s3://commoncrawl
EXAMPLE = "commoncrawl:CC-MAIN-2024-10"
_reference = re.compile(r"commoncrawl:(?P<crawl>CC-MAIN-\d{4}(?:-\d{2}|-\d{4})?)(?:/(?P<kind>wat|warc))?")
_line = re.compile(r"crawl-data/(?:[\w-][\w.-]*/)*[\w-][\w.-]*\.gz", re.ASCII)  # never outside the base


def is_reference(path: str) -> bool:
    """Say whether a path names a crawl.

    >>> is_reference("commoncrawl:CC-MAIN-2024-10"), is_reference("crawl/a.wat.gz")
    (True, False)
    """
    return path.startswith(PREFIX)


def files(reference: str, base: str | None = None) -> tuple[str, list[str]]:
    """Return the kind, wat or warc, and the paths of all files of a crawl; only their list is fetched."""
    crawl, kind = _parsed(reference)
    base = (base or os.environ.get(BASE_VARIABLE) or BASE).rstrip("/")
    listing = hidden(f"{base}/crawl-data/{crawl}/{kind}.paths.gz")
    lines = _lines(listing, crawl)
    odd = next((line for line in lines if not _line.fullmatch(line)), None)
    if odd is not None or not lines:
        raise InputError(
            f"{listing} is no list of files below crawl-data/: it holds {odd or 'nothing'!r}; check {base}"
        )
    return kind, [hidden(f"{base}/{line}") for line in lines]


def _parsed(reference: str) -> tuple[str, str]:
    found = _reference.fullmatch(reference)
    if not found:
        raise InputError(
            f"{reference} names no crawl; expected {EXAMPLE} for its WAT files or {EXAMPLE}/warc for its pages"
        )
    return found["crawl"], found["kind"] or "wat"


def _lines(listing: str, crawl: str) -> list[str]:
    try:
        with ListedFile(listing).open() as file:
            return gzip.decompress(file.read()).decode().split()
    except (InputError, PermissionError) as error:  # S3 forbids what is not there
        raise InputError(
            f"there is no crawl {crawl}, as {listing} cannot be had; https://index.commoncrawl.org lists all crawls"
        ) from error
    except (OSError, EOFError, ImportError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{listing}, the list of the files of {crawl}, cannot be read: {error}") from error
