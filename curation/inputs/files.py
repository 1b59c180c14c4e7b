"""Find the input files that paths, folders, globs, URLs and crawls name, refuse unusable ones, and read them.

`samples` reads the first pairs of some inputs, and estimates how many pairs all inputs hold.

To add a format, add a row to OWN_FORMATS and a module with its reader and its check of columns. Another installed
package can add one through an entry point of FORMATS_GROUP that names its `Format`. File systems are in
`runtime.storage.listing`.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from glob import has_magic
from itertools import chain, product
from os.path import commonprefix
from typing import BinaryIO

import pyarrow as pa

from curation.inputs.crawl import warc, wat
from curation.inputs.tables import parquet_tables as parquet
from curation.inputs.tables import text
from curation.inputs.tables.columns import GIVEN, Glance, TableOptions, crawl_files, is_crawl
from curation.inputs.tables.dialects import DIALECTS
from curation.inputs.tables.parquet_tables import KindOf, kind_of_table, require_no_table
from curation.inputs.tables.signatures import PACKINGS, PARQUET, signature_of, unpack
from curation.schemas import CANDIDATES
from runtime.arrow import gather
from runtime.buckets import BUCKET_ROWS, MOST_BUCKETS, buckets_for
from runtime.draws import draws
from runtime.errors import InputError, unusable
from runtime.folders.stamps import Input
from runtime.messages import listed
from runtime.packages import hooks, usable_hooks
from runtime.redaction import hidden
from runtime.storage import listing
from runtime.storage.listing import ListedFile, Version, each_once
from runtime.storage.paths import in_threads
from runtime.storage.remote import A_GLANCE, AHEAD, AS_ASKED, Reading
from runtime.tallies import Tally

# A ReadFile yields the candidates of an opened file. It is called with the file, its path, the options, an empty
# Tally, to which it adds the numbers of records that it reads and drops, and the numbers of the pieces to read, or
# None for all. Only files of a format that is split are read by pieces.
ReadFile = Callable[[BinaryIO, str, TableOptions, Tally, range | None], Iterator[pa.RecordBatch]]
# A LookInto returns the facts that the beginning of a file shows; it raises InputError if needed columns are missing.
LookInto = Callable[[BinaryIO, str, TableOptions], Glance]

_log = logging.getLogger(__name__)
FORMATS_GROUP = "clip_curation.formats"
UNREADABLE = "unreadable file"  # A skipped input has this kind.
MANIFEST = "curated"  # A run's manifest is in this folder of its output.
NAMED_FILES = 10  # An error names this many files that cannot be used.
_NUMBERS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

SPLIT_BYTES = 128 << 20  # A part of a split file has about this many compressed bytes.
OPENED_AT_ONCE = 16  # This many files are checked at the same time, because a remote file takes 50 ms.


@dataclass(frozen=True)
class Format:
    """A format of files of pairs: how files are recognised, checked and read, and figures for estimates."""

    name: str
    endings: tuple[str, ...]  # extensions of files, without .gz or .zst
    reader: ReadFile
    check: LookInto | None = None  # None: the format has no columns
    pair_bytes: int = 100  # rough number of compressed input bytes per pair that reaches grouping
    seconds_a_gb: float = 12  # core-seconds to read a GB of compressed input: tests/bench/MEASURED.md
    typical_bytes: int = 0  # size of a file, if asking for sizes would take a request per file
    reading: Reading = AHEAD
    checking: Reading = A_GLANCE
    is_packed: bool = False  # A file may also end in .gz or .zst.
    is_split: bool = False  # A task reads some pieces of a big file.

    def read(
        self, file: BinaryIO, path: str, options: TableOptions, tally: Tally, pieces: range | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the candidates of an opened file (all, or of `pieces`); count records read and dropped in `tally`."""
        return self.reader(self._unpacked(file, path), path, options, tally, pieces)

    def glance(self, file: BinaryIO, path: str, options: TableOptions) -> Glance:
        """Return the facts that the beginning of an opened file shows; InputError if needed columns are missing."""
        return self.check(self._unpacked(file, path), path, options) if self.check else Glance()

    def _unpacked(self, file: BinaryIO, path: str) -> BinaryIO:
        return unpack(file, path) if self.is_packed else file


OWN_FORMATS = (
    # The typical sizes are about those of Common Crawl's files.
    Format("wat", (".wat.gz",), wat.read, pair_bytes=500, seconds_a_gb=13, typical_bytes=200 << 20),
    Format("warc", (".warc.gz",), warc.read, pair_bytes=2000, seconds_a_gb=23, typical_bytes=1 << 30),
    Format("parquet", (".parquet",), parquet.read, parquet.check, reading=AS_ASKED, checking=AS_ASKED, is_split=True),
    Format("json", (".jsonl", ".ndjson", ".json"), text.read_json_pairs, text.check_json, is_packed=True),
    Format("csv", (".csv", ".tsv"), text.read_delimited, text.check_delimited, is_packed=True),
)


def formats() -> dict[str, Format]:
    """Return all formats by name, including the formats of other installed packages."""
    return _formats()[0]


@lru_cache(maxsize=1)
def _formats() -> tuple[dict[str, Format], dict[str, str]]:
    """Return all formats by name, and a sentence for each format of another package that cannot be used."""
    built_in = {format.name: format for format in OWN_FORMATS}
    of_packages, faults = usable_hooks(
        hooks(FORMATS_GROUP, built_in), lambda format: isinstance(format, Format), "a Format"
    )
    return of_packages | built_in, faults


def format_of(path: str) -> Format | None:
    """Return the format of a file by its extension, or None if the extension is unknown.

    >>> format_of("https://example.org/A.Jsonl.gz?signature=x.csv").name
    'json'
    """
    name = listing.name_of(path)
    return next((format for format in formats().values() if name.endswith(_endings(format))), None)


def expected_extensions() -> str:
    """Return the phrase of error messages that lists the extensions of all formats.

    >>> expected_extensions()
    'expected .wat.gz, .warc.gz, .parquet, .jsonl, .ndjson, .json, .csv or .tsv (the last five also with .gz or .zst)'
    """
    packed_last = sorted(formats().values(), key=lambda format: format.is_packed)
    *most, last = chain.from_iterable(format.endings for format in packed_last)
    packed = sum(len(format.endings) for format in packed_last if format.is_packed)
    packings = " or ".join(PACKINGS)
    extensions = f"expected {', '.join(most)} or {last} (the last {_NUMBERS[packed]} also with {packings})"
    return "; ".join([extensions, *_formats()[1].values()])


def _endings(format: Format) -> tuple[str, ...]:
    packings = ("", *PACKINGS) if format.is_packed else ("",)
    return tuple(map("".join, product(format.endings, packings)))


def find(
    paths: list[str],
    options: TableOptions | None = None,
    sample_files: int | None = None,
    seed: int = 0,
    passed_over: dict[str, str] | None = None,
) -> list[Input]:
    """Return the files that `paths` name, sorted by path; InputError for missing or unknown files or columns.

    With `sample_files`, only that many files are chosen. The choice depends only on the seed and on each file's path,
    so a larger sample contains a smaller one. `passed_over` is filled with the path and kind of each thing that is not
    a regular file and, if `options` say to skip them, of each file that cannot be used.
    """
    options = options or TableOptions()
    for fault in _formats()[1].values():
        _log.warning("%s", fault)
    _require_one_secret(paths)
    kind_of = lru_cache(maxsize=None)(kind_of_table)
    passed_over = {} if passed_over is None else passed_over
    files = each_once(paths, lambda path: _files(path, kind_of, passed_over))
    chosen = sorted(files) if sample_files is None else _sample(sorted(files), sample_files, seed)
    tried = in_threads(lambda path: _tried(files[path], options), chosen, OPENED_AT_ONCE)
    inputs_by_path = dict(zip(chosen, tried, strict=True))
    faults = {path: result for path, result in inputs_by_path.items() if isinstance(result, InputError)}
    if faults and not (options.skip_unreadable and len(faults) < len(inputs_by_path)):
        raise _refusal(faults, [path for path in inputs_by_path if path not in faults])
    for path, error in faults.items():
        _log.warning("a file is skipped: %s", error)
        passed_over[path] = UNREADABLE
    usable = [result for result in inputs_by_path.values() if not isinstance(result, InputError)]
    return [*chain.from_iterable(usable)]


def _tried(file: Input, options: TableOptions) -> list[Input] | InputError:
    try:
        return checked_parts(file, options)
    except InputError as error:
        return error


def _refusal(faults: dict[str, InputError], good: list[str]) -> InputError:
    """Return the error that names the unusable inputs, `faults`, and says how to read the others, `good`."""
    (_, first), *others = faults.items()
    if not good:
        return first
    named = f"; nor can {listed([path for path, _ in others], NAMED_FILES)} be used" if others else ""
    pattern = _pattern(good, faults)
    instead = f"pass {pattern} instead, or skip" if pattern else "skip"
    return InputError(
        f"{len(faults):,} of {len(faults) + len(good):,} files cannot be used: {first}{named}. To read the others, "
        f"{instead} these files with --skip-unreadable"
    )


def _pattern(good: list[str], others: Iterable[str]) -> str | None:
    """Return a glob that matches all `good` paths, of one folder, and none of the others; None if none is found.

    >>> _pattern(["/a/train-00.parquet", "/a/train-01.parquet"], ["/a/validation.parquet", "/a/README.csv"])
    '/a/train-0*.parquet'
    """
    begin = commonprefix(good)
    end = commonprefix([path[len(begin) :][::-1] for path in good])[::-1]
    pattern = f"{begin}*{end}" if len(good) > 1 else good[0]
    in_one_folder = len({path.rpartition("/")[0] for path in good}) == 1
    is_apt = in_one_folder and not has_magic(begin + end) and not any(fnmatchcase(path, pattern) for path in others)
    return pattern if is_apt else None


def dialects(files: list[Input]) -> list[str]:
    """Return one line for each dialect among the files, with one file as an example."""
    paths_by_dialect: dict[str, list[str]] = {}
    for file in files:
        if file.dialect is not None:
            paths_by_dialect.setdefault(file.dialect, []).append(file.path)
    return [
        f"{paths[0]} {f'and {len(paths) - 1:,} more are' if len(paths) > 1 else 'is'} read with {DIALECTS[name]} "
        f"(--dialect {name})"
        for name, paths in paths_by_dialect.items()
    ]


def read(source: Input, options: TableOptions | None = None, tally: Tally | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the candidates of one input; add the numbers of records read and dropped to `tally`, if it is given.

    InputError if the file has changed since it was found; OSError if the file cannot be read.
    """
    file = listed_file(source)
    format = formats()[source.format]
    tally = Tally() if tally is None else tally
    options = replace(options or TableOptions(), dialect=source.dialect)
    try:
        with file.open(format.reading) as opened:
            yield from format.read(opened, source.path, options, tally, _pieces(source))
    except OSError:
        file.check()  # If the file has changed, this raises an error that says so.
        raise
    file.check()
    tally["retries"] += file.retries


def _pieces(source: Input) -> range | None:
    """Return the numbers of the pieces of a file that an input has, or None for the complete file."""
    return range(*source.row_groups) if source.row_groups else None


def listed_file(file: Input) -> ListedFile:
    """Return an input as a ListedFile, which raises an error if the file has changed; OSError if it cannot be used."""
    try:
        return ListedFile(file.path, Version(file.file_size, file.modified, file.etag))
    except (ImportError, ValueError) as error:
        raise OSError(f"{file.path} cannot be opened: {error}") from error


def _require_one_secret(paths: list[str]) -> None:
    """Refuse URLs that differ only in secrets, because they count as the same input."""
    path_by_shown: dict[str, str] = {}
    for path in paths:
        shown = hidden(path)
        if path_by_shown.setdefault(shown, path) != path:
            raise InputError(f"{shown} is passed twice, with different signatures, users or keys; pass it once")


def _sample(paths: list[str], number: int, seed: int) -> list[str]:
    if number < 1:
        raise InputError(f"sample_files is {number}; it must be at least 1")
    draw = dict(zip(paths, draws(seed, "files", paths), strict=True))
    return sorted(sorted(paths, key=lambda path: (draw[path], path))[:number])


def _files(path: str, kind_of: KindOf, passed_over: dict[str, str]) -> list[Input]:
    """Return the files that one path, folder, glob, URL or crawl names; no file is opened."""
    if is_crawl(path):
        kind, names = crawl_files(path)
        return [_input(name, formats()[kind], Version()) for name in names]
    with listing.looking_up(path):
        contents = listing.files_at(path, "an input: a file, a folder, a glob or a URL")
        _require_no_run(contents)
        require_no_table(contents, kind_of)
    passed_over.update(contents.passed_over)
    return _readable(path, contents)


def _require_no_run(contents: listing.ListedFiles) -> None:
    """Refuse the output folder of a run: the user probably means only its manifest."""
    facts = [path for path in contents.paths if path.endswith(f"/{listing.RUN}")]
    for folder in (path.removesuffix(f"/{listing.RUN}") for path in facts):
        if any(path.startswith(f"{folder}/{MANIFEST}/") for path in contents.paths):
            raise InputError(
                f"{folder} is the output of a run; pass its manifest, {folder}/{MANIFEST}, or another input"
            )


def _readable(path: str, contents: listing.ListedFiles) -> list[Input]:
    """Return an Input for each file with a known extension; InputError if no file has one."""
    formats = [format_of(file) for file in contents.paths]
    if not any(formats):
        what = "has an unknown extension" if contents.is_file else "contains no file that can be read"
        raise InputError(f"{path} {what}; {expected_extensions()}")
    readable = zip(contents.files, formats, strict=True)
    return [_input(file, format, version) for (file, version), format in readable if format]


def _input(path: str, format: Format, version: Version) -> Input:
    size = format.typical_bytes if version.size is None else version.size
    return Input(
        path=path,
        format=format.name,
        size=size,
        modified=version.modified,
        etag=version.etag,
        file_size=version.size,
        changed=version.changed,
        inode=version.inode,
    )


def checked_parts(file: Input, options: TableOptions) -> list[Input]:
    """Return `file`, or its parts if it is big, after a check of its columns; InputError if it cannot be read."""
    format = formats()[file.format]
    if format.check is None:
        return [file]
    try:
        with listed_file(file).open(format.checking) as opened:
            if format.is_packed and signature_of(opened) is PARQUET:
                return checked_parts(replace(file, format="parquet"), options)
            seen = format.glance(opened, file.path, options)
    except InputError:
        raise
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:  # Names of columns that are not UTF-8 cause this.
        raise unusable(file.path, f"cannot be read as {file.format}", str(error)) from error
    if format.is_split and file.size > SPLIT_BYTES:
        return _parts(file, seen.piece_bytes)
    return [replace(file, dialect=seen.dialect)]


def _parts(file: Input, pieces: list[int]) -> list[Input]:
    """Divide a file into parts, given the bytes of each of its pieces.

    A part ends with the piece that makes it reach SPLIT_BYTES; the last part has the rest.
    """
    ranges = ((part[0], part[-1] + 1) for part in gather(range(len(pieces)), pieces.__getitem__, SPLIT_BYTES))
    return [replace(file, row_groups=(begin, end), size=sum(pieces[begin:end])) for begin, end in ranges]


SAMPLED_FILES = 6  # This many files of a group are sampled.
SAMPLED_PAIRS = 1_000  # Reading of a file stops after this many pairs; readers yield up to 8,192 at once.


@dataclass(frozen=True)
class InputSample:
    """A group of inputs with the same format, CSV dialect and columns named by the user, and the first pairs of some.

    The preview shows these pairs, and the needed disk space is estimated from them.
    """

    format: str
    dialect: str | None
    files: list[Input]
    columns: dict[str, list[str]]  # field → names of its columns in the sampled files
    rows: pa.Table  # schema CANDIDATES
    tally: Tally  # the sum for all files that were read to their ends
    pairs: float  # estimated number of pairs in all of the files

    @property
    def size(self) -> int:
        """The compressed bytes of all files; typical bytes for files of unknown size."""
        return sum(file.size for file in self.files)


def samples(inputs: list[Input], options: TableOptions) -> list[InputSample]:
    """Group inputs by format, dialect and columns, most bytes first; sample up to SAMPLED_FILES files of each."""
    groups: dict[tuple, list[Input]] = {}
    for file in inputs:
        names = (options.candidates(field, file.path) for field in GIVEN)
        groups.setdefault((file.format, file.dialect, *names), []).append(file)
    sampled = (_group_sample(files, options) for files in groups.values())
    return sorted(sampled, key=lambda sample: (-sample.size, sample.format))


def _group_sample(files: list[Input], options: TableOptions) -> InputSample:
    number = min(SAMPLED_FILES, len(files))
    chosen = [files[index * len(files) // number] for index in range(number)]
    looks = in_threads(lambda file: _look(file, options), chosen, SAMPLED_FILES)
    glances, rows, tallied, pairs = zip(*looks, strict=True)
    columns: dict[str, list[str]] = {}
    for field, name in dict.fromkeys(chain.from_iterable(glance.columns.items() for glance in glances)):
        columns.setdefault(field, []).append(name)
    return InputSample(
        format=files[0].format,
        dialect=files[0].dialect,
        files=files,
        columns=columns,
        rows=pa.concat_tables(rows),
        tally=sum(tallied, Tally()),
        pairs=sum(pairs) / max(1, sum(file.size for file in chosen)) * sum(file.size for file in files),
    )


def _look(source: Input, options: TableOptions) -> tuple[Glance, pa.Table, Tally, float]:
    """Return an input's Glance, first pairs (CANDIDATES), tally (empty if not read to the end), and estimated pairs."""
    format = formats()[source.format]
    file = listed_file(source)
    with file.open(format.checking) as opened:
        glance = format.glance(opened, source.path, options)
    batches: list[pa.RecordBatch] = []
    tally = Tally()
    used = source.size
    options = replace(options, dialect=source.dialect)
    with file.open(format.reading) as opened:
        for batch in format.read(opened, source.path, options, tally, _pieces(source)):
            is_more = sum(kept.num_rows for kept in batches) >= SAMPLED_PAIRS
            batches.append(batch)
            if is_more and batch.num_rows:
                used = source.size if opened.closed else opened.tell()
                tally.clear()
                break
        else:
            glance = replace(glance, rows=None)
    rows = pa.Table.from_batches(batches, CANDIDATES)
    if glance.rows is None:  # The format states no number of rows, or the complete input was read.
        pairs = len(rows) * source.size / max(1, min(used, source.size))
    else:
        pairs = glance.rows * source.size / max(1, source.file_size or source.size)
    return glance, rows, tally, pairs


def pair_buckets(files: list[Input]) -> int:
    """Return the number of buckets for the pairs of `files`, estimated from sizes; too many are better than too few."""
    return min(MOST_BUCKETS, 2 * buckets_for(sum(map(pairs_in, files)), BUCKET_ROWS))


def pairs_in(file: Input) -> float:
    """Return the estimated number of pairs in a file, from its size."""
    return file.size / formats()[file.format].pair_bytes
