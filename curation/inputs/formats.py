"""The formats of pairs: a table with one row per format.

To add a format, add a row here and a module with its reader and its check of columns. Another installed package can add
one through an entry point of GROUP that names its `Format`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

import pyarrow as pa

from curation.inputs.crawl import warc, wat
from curation.inputs.tables import delimited, json_lines, parquet
from curation.inputs.tables.columns import Glance, TableOptions
from curation.inputs.tables.lines import PACKINGS, plain_name, unpack
from runtime.packages import hooks
from runtime.storage.remote import A_GLANCE, AHEAD, AS_ASKED, Reading

# Yields the candidates of a file, given opened and with its path, and its tallies. Of a format that is split it takes
# the numbers of the pieces to read, too, as `pieces`.
Reader = Callable[..., Iterator[pa.RecordBatch]]
# Refuses a file without the columns that are needed, and returns what else it has seen.
Check = Callable[[BinaryIO, str, TableOptions], Glance]


@dataclass(frozen=True)
class Format:
    """A format of files of pairs."""

    name: str
    endings: tuple[str, ...]  # of file names, without that of a packing
    reader: Reader
    check: Check | None  # None: it has no columns
    pair_bytes: int  # of compressed input for each pair that is left to group, roughly
    seconds_a_gb: float = 12  # that a core needs to read compressed input: tests/bench/MEASURED.md
    typical_bytes: int = 0  # of a file, where its size is not known without asking for each
    reading: Reading = AHEAD
    checking: Reading = A_GLANCE
    is_packed: bool = False  # a file may also end in .gz or .zst
    is_split: bool = False  # of a big file, a task reads some pieces

    def read(
        self, file: BinaryIO, path: str, options: TableOptions, pieces: range | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the candidates of an opened file, or of some of its pieces, and its tallies."""
        part = {} if pieces is None else {"pieces": pieces}
        return self.reader(self._unpacked(file, path), path, options, **part)

    def glance(self, file: BinaryIO, path: str, options: TableOptions) -> Glance:
        """Return what the beginning of an opened file shows; refuse a file without its columns."""
        return self.check(self._unpacked(file, path), path, options) if self.check else Glance()

    def _unpacked(self, file: BinaryIO, path: str) -> BinaryIO:
        return unpack(file, path) if self.is_packed else file


OWN = (
    Format(
        name="wat",
        endings=(".wat.gz",),
        reader=lambda file, path, options: wat.read(file),
        check=None,
        pair_bytes=500,
        seconds_a_gb=13,
        typical_bytes=200 << 20,  # about what files of Common Crawl have, as for WARC
    ),
    Format(
        name="warc",
        endings=(".warc.gz",),
        reader=lambda file, path, options: warc.read(file),
        check=None,
        pair_bytes=2000,
        seconds_a_gb=23,
        typical_bytes=1 << 30,
    ),
    Format(
        name="parquet",
        endings=(".parquet",),
        reader=parquet.read,
        check=parquet.check,
        pair_bytes=100,
        reading=AS_ASKED,
        checking=AS_ASKED,
        is_split=True,
    ),
    Format(
        name="json",
        endings=(".jsonl", ".ndjson", ".json"),
        reader=json_lines.read,
        check=json_lines.check,
        pair_bytes=100,
        is_packed=True,
    ),
    Format(
        name="csv",
        endings=(".csv", ".tsv"),
        reader=delimited.read,
        check=delimited.check,
        pair_bytes=100,
        is_packed=True,
    ),
)
GROUP = "clip_curation.formats"
_NUMBERS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@lru_cache(maxsize=1)
def formats() -> dict[str, Format]:
    """Return the formats by name, including the formats of other installed packages."""
    return hooks(GROUP, {}) | {each.name: each for each in OWN}


def format_of(path: str) -> Format | None:
    """Return the format of a file, by the ending of its path.

    >>> format_of("https://example.org/A.Jsonl.gz?signature=x.csv").name
    'json'
    """
    name = plain_name(path)
    return next((each for each in formats().values() if name.endswith(_endings(each))), None)


def expected() -> str:
    """Return the sentence that names the endings of all formats.

    >>> expected()
    'expected .wat.gz, .warc.gz, .parquet, .jsonl, .ndjson, .json, .csv or .tsv (the last five also with .gz or .zst)'
    """
    packed_last = sorted(formats().values(), key=lambda each: each.is_packed)
    *most, last = [ending for each in packed_last for ending in each.endings]
    packed = sum(len(each.endings) for each in packed_last if each.is_packed)
    packings = " or ".join(PACKINGS)
    return f"expected {', '.join(most)} or {last} (the last {_NUMBERS[packed]} also with {packings})"


def _endings(format: Format) -> tuple[str, ...]:
    packings = ("", *PACKINGS) if format.is_packed else ("",)
    return tuple(ending + packing for ending in format.endings for packing in packings)
