"""Find page-view files, refuse other files, and read them in blocks of whole lines.

A line is of the hourly files, `project title views bytes`, or of the daily complete ones, `wiki title page_id access
views hourly`: the number of its fields decides. `pageviews` makes titles and views of the lines.
"""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import fsspec

from runtime.errors import InputError
from runtime.redaction import with_secrets
from runtime.storage.listing import expand

BLOCK = 16 << 20  # bytes read at a time: some 400,000 lines
HEAD = 64 << 10  # bytes of the lines by which a page-view file is recognised
VIEWS_FIELD = {4: 2, 6: 4}  # number of a line's fields → position of the one with the views
NAMED = 10  # files in a sentence

_EXPECTED = (
    "expected lines `project title views bytes` or `wiki title page_id access views hourly`, as dumps.wikimedia.org "
    "publishes them"
)
_DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, ValueError, ImportError)


def find(paths: Iterable[str]) -> list[str]:
    """Return the page-view files that paths, folders and globs mean, in order; other files are refused."""
    found = pageview_files(paths)
    others = [path for path in found if not _has_pageviews(path)]
    if others:
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        raise InputError(f"no page views at the beginning of {', '.join(others[:NAMED])}{more}; {_EXPECTED}")
    return found


def pageview_files(paths: Iterable[str]) -> list[str]:
    """Return the files that paths, folders and globs mean, in order; a path without files is refused."""
    return sorted({file for path in paths for file in _files(path)})


def _files(path: str) -> list[str]:
    try:
        found = expand(path)
    except (OSError, ImportError, ValueError) as error:
        raise InputError(f"page views at {path} cannot be looked up: {error}") from error
    files = [file for file in found.paths if not file.endswith(".partial")] if found else []
    if not files:
        raise InputError(f"there are no page views at {path}; give files, folders or globs of them")
    return files


def _has_pageviews(path: str) -> bool:
    """Return whether a line of page views is at the beginning of a file; one without any line passes, too."""
    head = b""
    try:
        for piece in _pieces(path, HEAD, Counter()):
            head += piece
            if len(head) >= HEAD:
                break
    except InputError as error:
        if getattr(error.__cause__, "errno", None) or isinstance(error.__cause__, ImportError):
            raise
        return False
    return not head or any(map(_is_pageview, head.split(b"\n")))


def _is_pageview(line: bytes) -> bool:
    fields = line.split(b" ")
    return len(fields) in VIEWS_FIELD and fields[VIEWS_FIELD[len(fields)]].isdigit()


def blocks(path: str, counts: Counter) -> Iterator[bytes]:
    """Yield the bytes of the file in blocks of whole lines; a file that breaks off keeps what came before."""
    parts, size = [], 0
    for piece in _pieces(path, BLOCK, counts):
        parts.append(piece)
        size += len(piece)
        if size >= BLOCK and b"\n" in piece:
            lines, _, rest = b"".join(parts).rpartition(b"\n")
            yield lines + b"\n"
            parts, size = [rest], len(rest)
    if last := b"".join(parts):
        yield last if last.endswith(b"\n") else last + b"\n"


def _pieces(path: str, size: int, counts: Counter) -> Iterator[bytes]:
    """Yield the content in pieces of at most `size` bytes, and count under a reason that the file breaks off."""
    begun = False
    try:
        with _opened(path) as file:
            read = getattr(file, "read1", file.read)  # read would lose what it has when a compressed file breaks off
            while piece := read(size):
                begun = True
                yield piece
    except _DAMAGE as error:
        if not begun or getattr(error, "errno", None):  # a disk or server that fails sets errno, damaged data do not
            raise InputError(f"{path} cannot be read ({error}); expected a page-view file") from error
        counts["dropped.rest_of_file"] += 1


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    is_gzip = path.endswith(".gz")  # for which fsspec takes isal where it is installed: that loses what came last, too
    with fsspec.open(with_secrets(path), "rb", compression=None if is_gzip else "infer") as file:
        yield cast(BinaryIO, gzip.GzipFile(fileobj=file)) if is_gzip else file
