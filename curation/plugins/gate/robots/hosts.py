"""The step `hosts`: give images the signals that the hosts of their URL and of their pages state.

`host_files` reads the files of hosts, such as robots.txt; `robots_text` finds the signals that they state.

One exchange groups files of hosts and URLs of images by host. The files come first, so a task holds the files of one
range of hosts and one batch of URLs. `KnownHosts` returns the signals of the URLs, which are then sent to the tasks of
the images' files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from isal import isal_zlib as zlib

from curation.config import CurationConfig
from curation.exclusion.lists import domain_keys
from curation.plugins.gate.filters import ImageBatch, Rewrite
from curation.plugins.gate.options import GateOptions
from curation.plugins.gate.policies.image_rules import OF_HOSTS
from curation.plugins.gate.robots.host_files import HostFiles, parts_of, read
from curation.plugins.gate.robots.robots_text import BITS, LINES_OF_RULES, HostRules, condensed, robots_agents
from curation.plugins.gate.step import Step, StepFolder, StepTask
from curation.schemas import MATCHED_ROW_GROUP
from runtime.arrow import one_array, parts
from runtime.buckets import buckets_for, group_buckets
from runtime.cogroup import PLACE, Grouping, Places, Rows, Side, cogroup
from runtime.engine import spread
from runtime.errors import InputError
from runtime.kernel_caches import scratch_folder
from runtime.progress import advance
from runtime.storage.listing import Version
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches, row_counts
from runtime.storage.paths import room
from runtime.tallies import Tallies, Tally, TaskResult, written_name
from runtime.wording import counted

if TYPE_CHECKING:
    from curation.run.request import Context

IMAGE, PAGE = "image", "page"  # A URL is the URL of an image, or of a page that shows it.
OF_PAGES = 32  # In FOUND, the signals of pages are shifted by this number of bits.
ASKED_FOR = "asked"  # the tally of URLs by kind, IMAGE or PAGE
KNOWN = "known"  # the tally, by kind, of URLs whose hosts have files
FAULT = "fault"  # the tally of faults of files by name
MAX_HELD_BYTES = 32 << 20  # Compressed files of hosts are held in memory up to this size, and beyond it on a disk.
MAX_RULES_BYTES = 128 << 20  # Rules of hosts are held in memory up to this size; others are parsed again when needed.
# A row of ASKED is a host's file, or a URL of an image or its page. _KEY is the key of the host. In a row of a file,
# the columns of URLs are null; in a row of a URL, the columns of files are null.
_KEY = [("high", pa.uint64()), ("low", pa.uint64())]
_OF_FILE = [("name", pa.string()), ("date", pa.int64()), ("content", pa.binary()), ("faults", pa.list_(pa.string()))]
ASKED = pa.schema([*_KEY, *_OF_FILE, *PLACE, ("kind", pa.string()), ("path", pa.string())])
FOUND = pa.schema([*PLACE, pa.field("signals", pa.int64())])

URLS_OF_IMAGE = 3  # an estimate of the number of URLs per image: its own URL, and the URLs of its pages
FILES_BUCKET_BYTES = 4 << 20  # the size on disk of a bucket of hosts' files; a task unpacks few of them at a time
READ = "host_files"  # the tally of records and files, read or left out, by their names in run.json
# The tallies of images by signal: stated for any of their URLs, for the URL of the image, and for the URL of a page.
SIGNALLED = {"any": "signalled", IMAGE: "signalled_images", PAGE: "signalled_pages"}


@dataclass(frozen=True)
class HostRanges:
    """Groups files of hosts and URLs by range of hosts, and finds the signals of the URLs."""

    buckets: int  # Each range of hosts has two buckets: the first for files, the second for URLs.
    agents: tuple[str, ...]

    def keys(self, rows: pa.RecordBatch) -> np.ndarray:
        """Return a sort key, uint64, of each row of ASKED.

        Its bits, from the highest: the range of hosts; 1 for a URL or 0 for a file; the other bits of the host's
        `high`.
        """
        ranges = self.buckets.bit_length() - 2  # the number of bits of a range
        high = rows["high"].to_numpy()
        is_url = rows["path"].is_valid().to_numpy(zero_copy_only=False)
        rest = high << np.uint64(ranges) >> np.uint64(ranges + 1)
        return high & ~np.uint64(2 ** (64 - ranges) - 1) | is_url.astype(np.uint64) << np.uint64(63 - ranges) | rest

    def range_of(self, rows: pa.RecordBatch) -> int:
        """Return the range of hosts that all rows of a bucket belong to."""
        return int(rows["high"][0].as_py() >> (64 - (self.buckets.bit_length() - 2)))

    def signals(self, task: int, buckets: Iterator[Rows], tallies: Tallies) -> Rows:
        """Yield the signals of URLs as rows of FOUND.

        All rows of a bucket belong to one range of hosts. The bucket of the range's files comes right before the bucket
        of its URLs.
        """
        last: int | None = None
        with contents() as held:
            for rows in chain.from_iterable(buckets):
                first = self.range_of(rows)
                if first != last:
                    hosts = KnownHosts(self.agents, tallies, held)
                    last = first
                if rows["path"].null_count:
                    hosts.learn(rows)
                else:
                    yield hosts.signals(rows)


@dataclass(frozen=True)
class Hosts(Step):
    """The step: images get the signals that their hosts state, which rules may test; no image is removed."""

    files: HostFiles
    agents: tuple[str, ...]

    removes = False

    def asks(self) -> dict[str, list[str]]:
        """Return the name and the number of the files of hosts, for users."""
        return {"hosts say": [f"{self.files.name} ({counted(len(self.files.files), 'file')})"]}

    def write(self, images: Sequence[OwnFile], folder: StepFolder, context: Context) -> TaskResult:
        """Write all images with the signals of their hosts."""
        places = Places.of(row_counts(images))
        number, tasks = group_buckets(URLS_OF_IMAGE * places.rows)
        number = max(number, buckets_for(self.files.bytes, FILES_BUCKET_BYTES))
        ranges = HostRanges(2 * number, tuple(map(str.lower, self.agents)))
        sides = [Side(spread([*self.files.files], context.engine), read_hosts), Side(images, read_urls)]
        finding = Grouping(ASKED, ranges.keys, ranges.signals, ranges.buckets, places.tasks_before(tasks))
        task = StepTask([*images], folder, rewrites=[Rewrite(add_signals)])
        return cogroup(context.engine, sides, finding, places.stage(FOUND, task.write))

    def require(self, counted: TaskResult, config: CurationConfig) -> None:
        """Raise InputError if no file is from a host of an image or of its pages."""
        if not any(counted.by_item(KNOWN).values()):
            raise InputError(
                f"{self.files.name} has no file of a host of the matched images or of their pages; pass the robots.txt "
                "files of the same crawl"
            )

    def facts(self, counted: TaskResult) -> dict[str, Any]:
        """Return, for run.json, counts of the files of hosts, and the number of images with each signal."""
        images = {}
        for name in BITS:
            images[name] = {kind: counted[count, name] for kind, count in SIGNALLED.items()}
        facts = {
            "name": self.files.name,
            "files": len(self.files.files),
            "agents": list(self.agents),
            "read": counted.by_item(READ),
            "faults": counted.by_item(FAULT),
            "urls": {kind: counted[ASKED_FOR, kind] for kind in (IMAGE, PAGE)},
            "known": {kind: counted[KNOWN, kind] for kind in (IMAGE, PAGE)},
            "signals": images,
        }
        return {"hosts": facts}


def find(options: GateOptions) -> Hosts | None:
    """Return the step, or None without files of hosts; InputError for options that need such files."""
    if options.robots:
        return Hosts(HostFiles.find(options.robots), robots_agents(options.robots_agents))
    if options.robots_agents:
        raise InputError("--set robots_agents needs robots.txt files of hosts; pass them by --robots")
    if unfed := [rule for rule in OF_HOSTS if rule in options.policy]:
        raise InputError(f"the rule {unfed[0]} needs files of hosts, such as robots.txt; pass them by --robots")
    return None


def read_hosts(_: int, files: Sequence[tuple[str, Version]], tallies: Tallies) -> Rows:
    """Yield the hosts' files in some WARC files or tables as rows of ASKED; tally what was read."""
    tally = Tally()
    for path, version in files:
        for batch in read(path, version, tally):
            contents: list[bytes] = []
            faults: list[list[str]] = []
            for name, content in zip(batch["name"].to_pylist(), batch["content"].to_pylist(), strict=True):
                short, own_faults = condensed(content) if name in LINES_OF_RULES else (content, [])
                contents.append(short)
                faults.append(own_faults)
            columns = {
                "name": batch["name"],
                "date": batch["date"],
                "content": pa.array(contents, pa.binary()),
                "faults": pa.array(faults, ASKED.field("faults").type),
            }
            yield _asked(batch["host"], columns)
    for key, number in tally.items():
        if number:
            tallies.add(READ, number, item=written_name(key))


def read_urls(number: int, file: OwnFile, tallies: Tallies) -> Rows:
    """Yield the URLs of a file's images and of their pages as rows of ASKED; a page comes once per image."""
    begin = 0
    for batch in batches(file, MATCHED_ROW_GROUP, ["url", "page_url", "candidates.list.element.page_url"]):
        texts, offsets = parts(batch["candidates"])
        urls = pa.concat_arrays([batch["url"], batch["page_url"], texts.field("page_url")]).dictionary_encode()
        rows = np.arange(begin, begin := begin + batch.num_rows)
        of_url = {"row": np.concatenate([rows, rows, np.repeat(rows, np.diff(offsets))]), "url": urls.indices}
        of_url["is_page"] = np.arange(len(urls)) >= len(rows)
        distinct = pa.table(of_url).group_by([*of_url], use_threads=False).aggregate([])
        indices = one_array(distinct["url"])
        hosts, paths = (part.take(indices) for part in parts_of(urls.dictionary))
        columns = {
            "file": pa.array(np.full(len(indices), number, np.int32)),
            "row": one_array(distinct["row"]),
            "kind": pc.if_else(one_array(distinct["is_page"]), PAGE, IMAGE),
            "path": paths,
        }
        yield _asked(hosts, columns).filter(paths.is_valid())  # The page in a user's table may not be a URL.


def _asked(hosts: pa.Array, column_by_name: dict[str, pa.Array]) -> pa.RecordBatch:
    keys = domain_keys(hosts)
    column_by_name |= {"high": pa.array(keys[:, 0]), "low": pa.array(keys[:, 1])}
    columns = [column_by_name.get(field.name, pa.nulls(len(hosts), field.type)) for field in ASKED]
    return pa.RecordBatch.from_arrays(columns, schema=ASKED)


def add_signals(batch: ImageBatch, tallies: Tallies) -> ImageBatch:
    """Return all images with the signals in their joined rows (schema FOUND) added; tally images by signal."""
    images = batch.images
    bits = np.zeros(images.num_rows, np.int64)
    if batch.rows is not None:
        np.bitwise_or.at(bits, batch.rows["row"].to_numpy() - batch.begin, batch.rows["signals"].to_numpy())
    by_image = bits & ((1 << OF_PAGES) - 1)
    by_page = bits >> OF_PAGES
    for name, bit in BITS.items():
        for kind, signals in (("any", by_image | by_page), (IMAGE, by_image), (PAGE, by_page)):
            tallies.add(SIGNALLED[kind], int(np.count_nonzero(signals & bit)), item=name)
    stated = images["signals"].fill_null(0).to_numpy() | (by_image | by_page).astype(np.int32)
    place = images.schema.get_field_index("signals")
    changed = images.set_column(place, images.schema.field(place), pa.array(stated, pa.int32()))
    return replace(batch, images=changed)


class _File(NamedTuple):
    """A host's file: date, offset and size of its packed content in `contents`, and faults."""

    date: int
    begin: int
    size: int
    faults: list[str]


def contents() -> SpooledTemporaryFile[bytes]:
    """Return a file for the packed contents of hosts' files: in memory, and on a disk if they are many."""
    return SpooledTemporaryFile(MAX_HELD_BYTES, dir=str(scratch_folder()))


class KnownHosts:
    """The files of some hosts, the newest of each name; a host's files are parsed when one of its URLs is looked up."""

    def __init__(self, agents: Sequence[str], tallies: Tallies, contents: SpooledTemporaryFile[bytes]):
        self._agents = agents
        self._tallies = tallies
        self._contents = contents
        self._files: dict[tuple[int, int], dict[str, _File]] = {}
        self._rules: dict[tuple[int, int], HostRules] = {}  # The rules that were looked up least recently come first.
        self._asked: set[tuple[int, int]] = set()
        self._size = 0
        contents.seek(0)
        contents.truncate()

    def learn(self, rows: pa.RecordBatch) -> None:
        """Add the hosts' files in rows of ASKED; if a host has several files of one name, only the newest is kept.

        If several are equally new, the file with the greatest content, compared as bytes, is kept.
        """
        columns = (rows[name].to_pylist() for name in ("high", "low", "name", "date", "content", "faults"))
        for high, low, name, date, content, faults in zip(*columns, strict=True):
            held = self._files.setdefault((high, low), {})
            newest = held.get(name)
            if not newest or (newest.date, self._content(newest) if newest.date == date else b"") < (date, content):
                packed = zlib.compress(content, 1)
                begin = self._contents.seek(0, os.SEEK_END)
                with room(scratch_folder()):
                    self._contents.write(packed)
                held[name] = _File(date, begin, len(packed), faults)

    def _content(self, file: _File) -> bytes:
        self._contents.seek(file.begin)
        return zlib.decompress(self._contents.read(file.size))

    def signals(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return the URLs in ASKED rows that have signals, as rows of FOUND; tally URLs, and URLs of known hosts."""
        high = rows["high"].to_numpy()
        low = rows["low"].to_numpy()
        out = np.zeros(rows.num_rows, np.int64)
        is_page = pc.equal(rows["kind"], PAGE).to_numpy(zero_copy_only=False)
        is_known = np.zeros(rows.num_rows, bool)
        order = np.lexsort((low, high))
        is_new = np.append(True, (np.diff(high[order]) != 0) | (np.diff(low[order]) != 0))[: len(order)]
        for of_host in np.split(order, np.flatnonzero(is_new)[1:]):
            advance(rows=len(of_host))
            rules = self._rules_of((int(high[of_host[0]]), int(low[of_host[0]])))
            if rules is None:
                continue
            is_known[of_host] = True
            if not rules.is_silent:
                paths = rows["path"].take(pa.array(of_host)).dictionary_encode()
                signals = [rules.signals(path) for path in paths.dictionary.to_pylist()]
                out[of_host] = np.array(signals, np.int64)[paths.indices.to_numpy()]
        for kind, chosen in ((PAGE, is_page), (IMAGE, ~is_page)):
            self._tallies.add(ASKED_FOR, int(chosen.sum()), item=kind)
            self._tallies.add(KNOWN, int((chosen & is_known).sum()), item=kind)
        out <<= np.where(is_page, OF_PAGES, 0)
        columns = [rows["file"], rows["row"], pa.array(out)]
        return pa.RecordBatch.from_arrays(columns, schema=FOUND).filter(pa.array(out != 0))

    def _rules_of(self, host: tuple[int, int]) -> HostRules | None:
        if host not in self._files:
            return None
        rules = self._rules.pop(host, None)
        if rules is None:
            files = self._files[host]
            rules = HostRules({name: self._content(file) for name, file in files.items()}, self._agents)
            self._size += rules.size
            if host not in self._asked:
                self._asked.add(host)
                faults = [*rules.faults]
                for file in files.values():
                    faults += file.faults
                for fault in faults:
                    self._tallies.add(FAULT, item=fault)
        self._rules[host] = rules
        while self._size > MAX_RULES_BYTES and len(self._rules) > 1:
            oldest = next(iter(self._rules))
            self._size -= self._rules.pop(oldest).size
        return rules
