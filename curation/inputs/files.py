"""The files that paths, folders, globs, URLs and crawls stand for, each refused if it cannot be used; how to read one.

Where files lie is in `file_systems`, what fails for a moment in `retrying`.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import BinaryIO

import pyarrow as pa

from curation.inputs.candidates import tallies
from curation.inputs.crawl import commoncrawl
from curation.inputs.crawl import readers as crawl
from curation.inputs.tables import lines
from curation.inputs.tables import readers as tables
from curation.inputs.tables.readers import TableOptions
from runtime.draws import draws
from runtime.errors import InputError
from runtime.storage import listing
from runtime.storage.bounded_parquet import open_parquet
from runtime.storage.listing import ListedFile, Version, name_of
from runtime.storage.remote import A_GLANCE, AHEAD, AS_ASKED

ENDINGS = {
    ".wat.gz": "wat",
    ".warc.gz": "warc",
    ".parquet": "parquet",
    **{ending + packed: "json" for ending in (".jsonl", ".ndjson", ".json") for packed in ("", ".gz", ".zst")},
    **{ending + packed: "csv" for ending in (".csv", ".tsv") for packed in ("", ".gz", ".zst")},
}
EXPECTED = (
    "expected .wat.gz, .warc.gz, .parquet, .jsonl, .ndjson, .json, .csv or .tsv (the last five also with .gz or .zst)"
)
SPLIT_BYTES = 128 << 20  # compressed bytes of a Parquet file that one task reads
TYPICAL_BYTES = {"wat": 200 << 20, "warc": 1 << 30}  # about what files of Common Crawl have, for tasks of like size
OPENED_AT_ONCE = 16  # files whose columns are looked up at the same time: remote ones take 50 ms each


@dataclass(frozen=True)
class Input:
    """What one task reads: a file, or of a big Parquet file the row groups first to last - 1."""

    path: str
    format: str  # wat, warc, parquet, json or csv
    size: int  # compressed bytes; of what no one tells without being asked for each file, a typical number
    modified: int | None = None  # nanoseconds since 1970, where the file system tells
    row_groups: tuple[int, int] | None = None
    etag: str | None = None  # likewise
    file_size: int | None = None  # bytes of the whole file, likewise


def find(
    paths: list[str], options: TableOptions | None = None, sample_files: int | None = None, seed: int = 0
) -> list[Input]:
    """Return the files that `paths` stand for, by path; refuse what is missing, unknown or lacks the columns.

    `sample_files` takes that many of them: which depends on the seed and each one's path only, so that a larger sample
    holds a smaller one.
    """
    options = options or TableOptions()
    files = {file.path: file for path in paths for file in _files(path)}
    chosen = sorted(files) if sample_files is None else _sample(sorted(files), sample_files, seed)
    with ThreadPoolExecutor(OPENED_AT_ONCE) as pool:
        found = pool.map(lambda path: _checked(files[path], options), chosen)
        return [each for inputs in found for each in inputs]


def read(source: Input, options: TableOptions | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the candidates of one input, and its tallies.

    InputError if the file is not the one that was found, before or after it is read; OSError if it cannot be read.
    """
    options = options or TableOptions()
    file = _listed(source)
    try:
        yield from _batches(file, source, options)
    except OSError:
        file.check()  # that it has changed says more than what came of it
        raise
    file.check()
    if file.retries:
        yield tallies(Counter(retries=file.retries))


def _batches(file, source, options):
    with file.open(AS_ASKED if source.format == "parquet" else AHEAD) as opened:
        yield from _READERS[source.format](opened, source, options)


_READERS: dict[str, Callable[[BinaryIO, Input, TableOptions], Iterator[pa.RecordBatch]]] = {
    "wat": lambda file, source, options: crawl.read_wat(file),
    "warc": lambda file, source, options: crawl.read_warc(file),
    "parquet": lambda file, source, options: tables.read_parquet(
        file, options, source.path, source.row_groups and range(*source.row_groups)
    ),
    "json": lambda file, source, options: tables.read_json(_unpack(file, source), options, source.path),
    "csv": lambda file, source, options: tables.read_csv(_unpack(file, source), options, name_of(source.path)),
}


def _unpack(file, source):
    return lines.unpack(file, name_of(source.path))


def _listed(file):
    try:
        return ListedFile(file.path, Version(file.file_size, file.modified, file.etag))
    except (ImportError, ValueError) as error:
        raise OSError(f"{file.path} cannot be opened: {error}") from error


def _sample(paths, number, seed):
    if number < 1:
        raise InputError(f"sample_files is {number}; it must be at least 1")
    draw = dict(zip(paths, draws(seed, "files", paths), strict=True))
    return sorted(sorted(paths, key=lambda path: (draw[path], path))[:number])


def _files(path) -> list[Input]:
    """Return the files that one path, folder, glob, URL or crawl stands for; nothing in them is looked at yet."""
    if commoncrawl.is_reference(path):
        kind, found = commoncrawl.files(path)
        return [_input(each, kind, Version()) for each in found]
    try:
        found = listing.expand(path)
    except (OSError, ImportError, ValueError) as error:
        raise InputError(f"{path} cannot be looked up: {error}") from error
    if found is None:
        raise InputError(f"{path} does not exist; expected a file, a folder, a glob or a URL")
    return _known(path, found)


def _known(path: str, found: listing.Found) -> list[Input]:
    """Return the files that can be read: of several, those with a known ending."""
    formats = [_format(each) for each in found.paths]
    if not any(formats):
        what = "has an unknown ending" if found.is_file else "holds no file that can be read"
        raise InputError(f"{path} {what}; {EXPECTED}")
    known = zip(found.files, formats, strict=True)
    return [_input(each, format, version) for (each, version), format in known if format]


def _input(path, format, version):
    size = TYPICAL_BYTES.get(format, 0) if version.size is None else version.size
    return Input(path, format, size, version.modified, etag=version.etag, file_size=version.size)


def _format(path):
    return next((format for ending, format in ENDINGS.items() if name_of(path).endswith(ending)), None)


def _checked(file: Input, options) -> list[Input]:
    """Return `file`, in parts if it is big, after a look at its columns."""
    if file.format in ("wat", "warc"):
        return [file]
    try:
        with _listed(file).open(AS_ASKED if file.format == "parquet" else A_GLANCE) as opened:
            if file.format == "parquet":
                return _parquet_parts(opened, file, options)
            check = tables.check_json if file.format == "json" else tables.check_csv
            check(_unpack(opened, file), options, file.path)
            return [file]
    except InputError:
        raise
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:  # the last of names of columns
        raise InputError(f"{file.path} cannot be read as {file.format}: {error}") from error


def _parquet_parts(opened, file, options):
    table = open_parquet(opened)
    tables.parquet_columns(table.schema_arrow, options, file.path)
    if file.size <= SPLIT_BYTES:
        return [file]
    sizes = [_group_bytes(table.metadata.row_group(i)) for i in range(table.num_row_groups)]
    bounds = _bounds(sizes)
    return [replace(file, row_groups=(a, b), size=sum(sizes[a:b])) for a, b in zip(bounds, bounds[1:], strict=False)]


def _group_bytes(group):
    return sum(group.column(i).total_compressed_size for i in range(group.num_columns))


def _bounds(sizes):
    """Return where the parts begin and end: each is the fewest row groups that have SPLIT_BYTES, the last the rest."""
    bounds, size = [0], 0
    for i, more in enumerate(sizes):
        size += more
        if size >= SPLIT_BYTES or i == len(sizes) - 1:
            bounds.append(i + 1)
            size = 0
    return bounds
