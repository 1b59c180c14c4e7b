"""Unpack text files and cut them into lines; a line that is too long is counted and skipped."""

import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

import pyarrow as pa

LONGEST_LINE = 4 << 20  # characters; what is longer is no pair, and may not end before memory does
PACKINGS = (".gz", ".zst")


def plain_name(path: str) -> str:
    """Return the part of a path or URL that ends as the file's name does, in lower case.

    >>> plain_name("https://example.org/A.TSV.gz?signature=x.csv")
    'https://example.org/a.tsv.gz'
    """
    return path.partition("?")[0].lower() if "://" in path else path.lower()


def unpacked_name(path: str) -> str:
    """Return `plain_name` without the ending that says how the file is packed.

    >>> unpacked_name("A.TSV.gz")
    'a.tsv'
    """
    name = plain_name(path)
    for packing in PACKINGS:
        name = name.removesuffix(packing)
    return name


def unpack(file: BinaryIO, path: str) -> BinaryIO:
    """Return `file` unpacked, by the ending of its path."""
    name = plain_name(path)
    if name.endswith(".gz"):
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]  # its stub lacks parts of BinaryIO
    if name.endswith(".zst"):
        return pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")
    return file


def lines(file: BinaryIO, tally: Counter[str]) -> Iterator[str]:
    """Yield the lines of a UTF-8 file with their ends; bytes that are not UTF-8 become lone surrogates.

    A packed file that is cut or broken ends there, and is counted; a disk or network that fails is still an OSError.
    """
    try:
        with io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="\n") as text:
            yield from _short(text, tally)
    except EOFError:
        tally["dropped.truncated"] += 1
    except (zlib.error, gzip.BadGzipFile):
        tally["dropped.corrupt_file"] += 1
    except OSError as error:  # Arrow has no type of its own for a broken zstd stream
        if "Truncated compressed stream" in str(error):
            tally["dropped.truncated"] += 1
        elif "ZSTD" in str(error):
            tally["dropped.corrupt_file"] += 1
        else:
            raise


def _short(text: io.TextIOBase, tally: Counter[str]) -> Iterator[str]:
    """Yield the lines of up to LONGEST_LINE characters; skip longer ones piece by piece, and count them."""
    readline = partial(text.readline, LONGEST_LINE)
    for line in iter(readline, ""):
        if len(line) < LONGEST_LINE or line.endswith("\n"):
            yield line
        else:
            tally["records"] += 1
            tally["dropped.long_line"] += 1
            while line and not line.endswith("\n"):
                line = readline()
