"""The files that paths, folders, globs and URLs stand for, each refused here if it cannot be used; how to read one."""

import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from glob import has_magic
from itertools import chain
from typing import BinaryIO

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from curation import crawl, rows, tables
from curation.tables import TableOptions
from metadata.errors import InputError

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
OPENED_AT_ONCE = 16  # files whose columns are looked up at the same time: remote ones take 50 ms each


@dataclass(frozen=True)
class Input:
    """What one task reads: a file, or of a big Parquet file the row groups first to last - 1."""

    path: str
    format: str  # wat, warc, parquet, json or csv
    size: int  # compressed bytes
    modified: int | None = None  # nanoseconds since 1970, where the file system tells
    row_groups: tuple[int, int] | None = None


def find(paths: list[str], options: TableOptions | None = None) -> list[Input]:
    """Return the files that `paths` stand for, by path; refuse what is missing, unknown or lacks the columns."""
    options = options or TableOptions()
    files = {file.path: file for path in paths for file in _files(path)}
    with ThreadPoolExecutor(OPENED_AT_ONCE) as pool:
        found = pool.map(lambda path: _checked(files[path], options), sorted(files))
        return [each for inputs in found for each in inputs]


def read(source: Input, options: TableOptions | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the candidates of one input, and its tallies; OSError if it cannot be opened any more."""
    options = options or TableOptions()
    with _open(source.path) as file:
        yield from _READERS[source.format](file, source, options)


_READERS: dict[str, Callable[[BinaryIO, Input, TableOptions], Iterator[pa.RecordBatch]]] = {
    "wat": lambda file, source, options: crawl.read_wat(file),
    "warc": lambda file, source, options: crawl.read_warc(file),
    "parquet": lambda file, source, options: tables.read_parquet(
        file, options, source.path, source.row_groups and range(*source.row_groups)
    ),
    "json": lambda file, source, options: tables.read_json(_unpack(file, source), options, source.path),
    "csv": lambda file, source, options: tables.read_csv(_unpack(file, source), options, _name(source.path)),
}


def _unpack(file, source):
    return rows.unpack(file, _name(source.path))


def _open(path):
    try:
        system, inner = _system(path)
        return system.open(inner, "rb")
    except (OSError, ImportError, ValueError) as error:
        raise OSError(f"{path} cannot be opened: {error}") from error


def _system(path):
    if "://" not in path:  # a local name may hold what fsspec reads as a chain of systems
        return fsspec.filesystem("file"), os.path.abspath(path)
    return fsspec.core.url_to_fs(path)


def _files(path) -> list[Input]:
    """Return the files that one path, folder, glob or URL stands for; nothing in them is looked at yet."""
    try:
        system, inner = _system(path)
        if system.isfile(inner):
            return [_file(system, system.info(inner), _format(path))]
        infos = _infos(system, inner)
    except InputError:
        raise
    except (OSError, ImportError, ValueError) as error:
        raise InputError(f"{path} cannot be looked up: {error}") from error
    if infos is None:
        raise InputError(f"{path} does not exist; expected a file, a folder, a glob or a URL")
    known = [_file(system, info, _format_or_none(info["name"])) for info in infos if _format_or_none(info["name"])]
    if not known:
        raise InputError(f"{path} holds no file that can be read; {EXPECTED}")
    return known


def _infos(system, inner):
    """Return the files of a folder, or of all that a glob matches; None if there is nothing."""
    if system.isdir(inner):
        return _in_folder(system, inner)
    if not has_magic(inner):
        return None
    matches = system.glob(inner, detail=True)
    shown = {name: info for name, info in matches.items() if not _is_hidden(name.rpartition("/")[2])}
    found = [_in_folder(system, name) if info["type"] == "directory" else [info] for name, info in shown.items()]
    return list(chain.from_iterable(found)) or None


def _in_folder(system, folder):
    """Return all files below a folder that are not hidden."""
    found = system.find(folder, detail=True)
    below = len(folder.rstrip("/")) + 1
    return [info for name, info in found.items() if not _is_hidden(name[below:])]


def _is_hidden(path):
    """Say whether a file, or a folder it is in, is what Spark and Hadoop take for hidden."""
    return re.search(r"(^|/)[._]", path) is not None


def _file(system, info, format):
    """Return a file as an Input whose path means the same on every machine."""
    if isinstance(system, LocalFileSystem):
        return Input(info["name"], format, info["size"], os.stat(info["name"]).st_mtime_ns)
    return Input(system.unstrip_protocol(info["name"]), format, info["size"] or 0, _modified(info))


def _modified(info):
    """Return the time of the last change in nanoseconds; file systems have four names and two types for it."""
    value = next((info[key] for key in ("mtime", "LastModified", "last_modified", "updated") if key in info), None)
    if isinstance(value, datetime):
        value = value.timestamp()
    return round(value * 1e6) * 1000 if isinstance(value, int | float) else None


def _name(path):
    return path.partition("?")[0].lower() if "://" in path else path.lower()


def _format_or_none(path):
    return next((format for ending, format in ENDINGS.items() if _name(path).endswith(ending)), None)


def _format(path):
    format = _format_or_none(path)
    if format is None:
        raise InputError(f"{path} has an unknown ending; {EXPECTED}")
    return format


def _checked(file: Input, options) -> list[Input]:
    """Return `file`, in parts if it is big, after a look at its columns."""
    if file.format in ("wat", "warc"):
        return [file]
    try:
        with _open(file.path) as opened:
            if file.format == "parquet":
                return _parquet_parts(opened, file, options)
            check = tables.check_json if file.format == "json" else tables.check_csv
            check(_unpack(opened, file), options, file.path)
            return [file]
    except InputError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{file.path} cannot be read as {file.format}: {error}") from error


def _parquet_parts(opened, file, options):
    table = pq.ParquetFile(opened)
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
