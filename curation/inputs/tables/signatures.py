"""Recognise files by their first bytes, and unpack files that gzip or zstd packed."""

import gzip
import re
from codecs import getincrementaldecoder
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from typing import BinaryIO

import pyarrow as pa

from runtime.errors import InputError
from runtime.packages import table_rows
from runtime.storage.listing import name_of

PACKINGS = (".gz", ".zst")


@dataclass(frozen=True)
class Signature:
    """A kind of file that is known by its first bytes, and how a file of this kind can be used."""

    pattern: bytes  # a regular expression for the first bytes
    what: str
    remedy: str

    def refusal(self, path: str) -> InputError:
        """Return the error for the file at `path`, whose name says something else."""
        return InputError(f"{path} is {self.what}, although its name says otherwise; {self.remedy}")


SIGNATURES = [
    Signature(row["pattern"].encode(), row["what"], row["remedy"])
    for row in table_rows("curation.inputs.tables", "signatures.csv")
]


PARQUET, GZIP, ZSTD = SIGNATURES[:3]
_FIRST_BYTES = 512


def unpacked_name(path: str) -> str:
    """Return a path in lower case, without a URL's query, and without the extensions .gz and .zst.

    >>> unpacked_name("A.TSV.gz")
    'a.tsv'
    """
    return reduce(str.removesuffix, PACKINGS, name_of(path))


def signature_of(file: BinaryIO) -> Signature | None:
    """Return the signature with which an opened file begins, or None; then go back to the file's beginning."""
    begin = file.read(_FIRST_BYTES)
    file.seek(0)
    return next((signature for signature in SIGNATURES if re.match(signature.pattern, begin, re.DOTALL)), None)


def unpack(file: BinaryIO, path: str) -> BinaryIO:
    """Return `file` unpacked, if its first bytes or else its extension say that it is packed by gzip or zstd.

    InputError if the first bytes show that the file is neither text nor packed in one of these ways. Parquet is
    returned unchanged.
    """
    signature = signature_of(file)
    name = name_of(path)
    if signature is GZIP or (signature is None and name.endswith(".gz") and not _is_text(file)):
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]  # its stub lacks parts of BinaryIO
    if signature is ZSTD or (signature is None and name.endswith(".zst") and not _is_text(file)):
        return pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")
    if signature is not None and signature is not PARQUET:
        raise signature.refusal(path)
    return file


def _is_text(file: BinaryIO) -> bool:
    """Say whether a file begins with text; an empty file does not."""
    begin = file.read(_FIRST_BYTES)
    file.seek(0)
    with suppress(UnicodeDecodeError):
        # The bytes may end in half a character.
        return begin != b"" and "\0" not in getincrementaldecoder("utf-8")().decode(begin)
    return False
