"""Count images by the registered domain of their URL, or of their page.

Tasks count the URLs of each spelling of a host. The counts of one spelling are sent to one task, which looks up its
registered domain once. Then the counts of one domain are sent to one task. Each task's file has the domains with the
most images first, so finding the largest of all domains reads only the beginning of each file.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from heapq import merge
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa

from curation.image_ids import uid_hashes
from curation.plugins.domains.kernels.host_groups import copy_spans, group_hosts
from curation.url_hosts import registered_domain
from runtime.arrow import gather_reduced, one_batch, string_buffers
from runtime.buckets import BUCKET_BYTES, ONE_BUCKET_TASKS, group_buckets
from runtime.cogroup import Grouping, Rows, Side, cogroup
from runtime.engine import Engine
from runtime.folders.stamps import digest_of
from runtime.packages import table_rows
from runtime.progress import advancing
from runtime.storage.own_files import OwnFile, written_files
from runtime.storage.parquet import batches, row_counts, write_rows
from runtime.tallies import Tallies, TaskResult
from runtime.wording import number, percent

NAME = "name"  # the column with the name of a host, and later of a domain
COUNTED = pa.schema([pa.field(NAME, pa.string()), pa.field("images", pa.int64())])
BATCH_ROWS = 1 << 17  # the rows whose hosts are grouped together
WRITTEN_ROWS = 1 << 12  # the rows of a row group
READ_ROWS = 1 << 10  # the rows in memory from each file of counts
DOMAINS, IMAGES = "domains", "images"  # the names of tallies


@dataclass(frozen=True)
class DomainCounts:
    """The number of images of each registered domain, in files sorted by this number, largest first."""

    files: Sequence[OwnFile]
    domains: int
    images: int  # the number of images whose URL has a host

    def largest(self, number: int) -> Iterator[tuple[str, int]]:
        """Yield the `number` domains with the most images, and their numbers of images, sorted by number and name."""
        return islice(merge(*map(_ordered, self.files), key=lambda row: (-row[1], row[0])), number)

    def share(self, number: int) -> float:
        """Return the share of all images that the `number` largest domains have."""
        return sum(images for _, images in self.largest(number)) / max(1, self.images)


def count_domains(engine: Engine, files: Sequence[OwnFile], column: str, folder: Path) -> DomainCounts:
    """Count the rows of files by the registered domain of the URLs in `column`; tasks write to the empty `folder`."""
    rows = sum(row_counts(files))
    tasks = min(ONE_BUCKET_TASKS, group_buckets(rows)[1])
    of_domains = Grouping(COUNTED, _keys_of_names, _of_domains, tasks, tasks)
    writing = Grouping(COUNTED, _keys_of_names, _write_domains, tasks, tasks, (folder,))
    tallies = cogroup(engine, [Side(files, _read_hosts, rows, _sums, (column,))], of_domains, writing)
    return DomainCounts(written_files(folder, tallies.files), int(tallies[DOMAINS]), int(tallies[IMAGES]))


def _read_hosts(_: int, file: OwnFile, tallies: Tallies, column: str) -> Rows:
    """Yield the hosts of the URLs in a column of a file with their numbers of images, batch by batch."""
    for batch in advancing(batches(file, BATCH_ROWS, [column])):
        yield host_counts(batch[column])


def _of_domains(task: int, buckets: Iterator[Rows], tallies: Tallies) -> Rows:
    """Yield the number of images of each registered domain of the hosts of a task."""
    return _sums(map(_domains, _sums(chain.from_iterable(buckets))))


def _write_domains(task: int, buckets: Iterator[Rows], result: TaskResult, folder: Path) -> None:
    """Write the domains of a task with their numbers of images, largest first; tally domains and images."""
    for sums in _sums(chain.from_iterable(buckets)):
        rows = sums.sort_by([("images", "descending"), (NAME, "ascending")])
        result.merge(write_rows(folder / f"{task:05}.parquet", COUNTED, WRITTEN_ROWS, [rows]))
        result.add(DOMAINS, rows.num_rows)
        result.add(IMAGES, rows["images"].to_numpy().sum())


def host_counts(urls: pa.Array) -> pa.RecordBatch:
    """Return the number of URLs with each spelling of a host, as rows of COUNTED; null URLs are left out."""
    offsets, data = string_buffers(urls)
    table = np.zeros(1 << len(urls).bit_length(), np.int32)
    spans = np.empty((len(urls), 2), np.int64)
    counts = np.empty(len(urls), np.int64)
    hosts = group_hosts(data, offsets, table, spans, counts)
    bounds = np.append(0, np.cumsum(spans[:hosts, 1] - spans[:hosts, 0]))
    out = np.empty(bounds[-1], np.uint8)
    copy_spans(data, spans, bounds, out)
    names = pa.LargeStringArray.from_buffers(hosts, pa.py_buffer(bounds), pa.py_buffer(out))
    return pa.RecordBatch.from_arrays([names.cast(pa.string()), pa.array(counts[:hosts])], schema=COUNTED)


def _domains(hosts: pa.RecordBatch) -> pa.RecordBatch:
    names = pa.array(map(registered_domain, hosts[NAME].to_pylist()), pa.string())
    return pa.RecordBatch.from_arrays([names, hosts["images"]], schema=COUNTED)


def _keys_of_names(rows: pa.RecordBatch) -> np.ndarray:
    return uid_hashes(rows[NAME]).view(np.uint64)


def _sums(rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Add up the images of all rows by name, and yield the sums in one batch; yield nothing if there are no rows."""
    if held := gather_reduced(rows, _summed, BUCKET_BYTES):
        yield _summed(held)


def _summed(held: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    sums = pa.Table.from_batches(held).group_by(NAME, use_threads=False).aggregate([("images", "sum")])
    return one_batch(sums.select([NAME, "images_sum"]).rename_columns(COUNTED.names).cast(COUNTED))


def _ordered(file: OwnFile) -> Iterator[tuple[str, int]]:
    for batch in batches(file, READ_ROWS):
        yield from zip(batch[NAME].to_pylist(), batch["images"].to_pylist(), strict=True)


PAGES = ("wat", "warc")  # the formats of inputs with pages
TEXTS = "alt texts and titles of images on pages, or texts of tables"

# Words in paths name public sets. A path is only a hint: it may have only a part of the set, or another set.
KNOWN = {row["word"]: (row["title"], row["link"]) for row in table_rows(__package__, "public_sets.csv")}
_WORD = re.compile(rf"(?:^|[/_.-])({'|'.join(KNOWN)})(?=$|[/_.-]|\d)", re.IGNORECASE)
_CRAWL = re.compile(r"CC-MAIN-\d{4}-\d{2}(?!\d)")
_TIME = re.compile(r"(?<!\d)(?:19|20)\d{12}(?!\d)")  # the time in the name of a WARC or WAT file


@dataclass(frozen=True)
class Origin:
    """The inputs of one format that are in folders with the same name, or from the same crawl."""

    name: str
    format: str
    files: int
    bytes: int
    set: str | None  # the public set that the paths name
    link: str | None
    begin: str | None  # the first day in the names of files, YYYY-MM-DD
    end: str | None  # the last day in the names of files
    digest: str  # the digest of names, sizes, times and ETags, not of contents

    @property
    def row(self) -> dict[str, Any]:
        """The origin as a row of a table, without the digest."""
        return {name: value for name, value in asdict(self).items() if name != "digest"}


def origins(facts: Mapping[str, Any]) -> list[Origin]:
    """Return the origins of a run in the order of names, given the content of run.json."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for file in facts["made_from"].get("inputs", []):
        groups.setdefault((_name(file["path"]), file["format"]), []).append(file)
    return [_source(*key, rows) for key, rows in sorted(groups.items())]


def period(sources: Sequence[Origin]) -> tuple[str, str] | None:
    """Return the first and the last day in the names of files; None if no name has a day."""
    begins = [source.begin for source in sources if source.begin]
    ends = [source.end for source in sources if source.end]
    return (min(begins), max(ends)) if begins else None


def doubts(languages: Mapping[str, Mapping[str, int]]) -> str:
    """Return a phrase with the number of kept texts whose language is doubtful, given run.json's rows of languages."""
    doubtful = sum(row.get("kept_doubtful", 0) for row in languages.values())
    kept = sum(row.get("kept", 0) for row in languages.values())
    return f"{number(doubtful)} ({percent(doubtful, kept)}) have a doubtful language, with a score below 0.5"


def _name(path: str) -> str:
    crawl = _CRAWL.search(path)
    return crawl.group() if crawl else PurePosixPath(path).parent.name


def _source(name: str, format: str, rows: list[dict[str, Any]]) -> Origin:
    paths = sorted({row["path"] for row in rows})
    sets: set[tuple[str, str]] = set()
    times: list[str] = []
    for path in paths:
        if word := _WORD.search("/".join(path.split("/")[-2:])):
            sets.add(KNOWN[word.group(1).lower()])
        if format in PAGES:
            times += _TIME.findall(PurePosixPath(path).name)
    if _CRAWL.match(name):
        sets.add(KNOWN["cc-main"])
    titles_and_links = sorted(sets)
    return Origin(
        name=name,
        format=format,
        files=len(paths),
        bytes=sum(row["size"] or 0 for row in rows),
        set=", ".join(title for title, _ in titles_and_links) or None,
        link=", ".join(link for _, link in titles_and_links) or None,
        begin=min(map(_day, times), default=None),
        end=max(map(_day, times), default=None),
        digest=digest_of({"inputs": rows}),
    )


def _day(time: str) -> str:
    return f"{time[:4]}-{time[4:6]}-{time[6:8]}"
