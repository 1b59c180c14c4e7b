"""Count images by the registered domain of their URL, or of their page.

Tasks add up the URLs of each spelling of a host. The sums of each come together, so that its registered domain is
looked up once, and from there those of each domain. Files have the domains with the most images first, so that the
largest of all are read from the beginnings of files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import merge
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.exclusion.lists import registered_domain
from curation.images.combine import uid_hashes
from curation.leaves.origins.kernels import copy_spans, group_hosts
from curation.run.ledger import FEW_TASKS, group_buckets, senders, sending
from runtime.arrow import gather_reduced, one_batch, string_buffers
from runtime.buckets import BUCKET_BYTES, Block, unpack
from runtime.engine import Engine, Relay
from runtime.errors import AGAIN
from runtime.progress import counted
from runtime.storage.own_files import OwnFile, checksums_in, tally
from runtime.storage.parquet import batches, part_writer, row_counts
from runtime.tallies import Tallies

NAME = "name"  # column with the name of a host, and later of a domain
COUNTED = pa.schema([pa.field(NAME, pa.string()), pa.field("images", pa.int64())])
BATCH_ROWS = 1 << 17  # rows whose hosts are grouped together
WRITTEN_ROWS = 1 << 12  # rows per row group
READ_ROWS = 1 << 10  # rows in memory from each file of counts
DOMAINS, IMAGES = "domains", "images"  # names of tallies


@dataclass(frozen=True)
class DomainCounts:
    """The images of each registered domain, in files that each have the largest first."""

    files: Sequence[OwnFile]
    domains: int
    images: int  # images whose URL has a host

    def largest(self, number: int) -> Iterator[tuple[str, int]]:
        """Yield so many domains with their images, those with the most first; of as many, in the order of names."""
        return islice(merge(*map(_ordered, self.files), key=_place), number)

    def share(self, number: int) -> float:
        """Return the share of the images that the largest so many domains have."""
        return sum(images for _, images in self.largest(number)) / max(1, self.images)


def count_domains(engine: Engine, files: Sequence[OwnFile], column: str, folder: Path) -> DomainCounts:
    """Count the rows of files by the registered domain of a column of URLs; tasks write to an empty folder."""
    rows = sum(row_counts(files))
    buckets = min(FEW_TASKS, group_buckets(rows)[1])
    send, pass_on = partial(_send, column=column, buckets=buckets), partial(_pass_on, buckets=buckets)
    receive, relay = partial(_write, folder=folder), Relay(pass_on, buckets)
    tallies = engine.exchange(senders(files, rows, buckets), send, receive, buckets, [relay])
    written = [OwnFile(folder / name, checksum, AGAIN) for name, checksum in checksums_in(tallies).items()]
    return DomainCounts(written, int(tallies[DOMAINS]), int(tallies[IMAGES]))


def _send(files: Sequence[OwnFile], _: Tallies, column: str, buckets: int) -> Iterator[Block]:
    """Yield the images of each host in some files, in blocks by host."""
    read = chain.from_iterable(batches(file, BATCH_ROWS, [column]) for file in files)
    yield from _dealt((host_counts(batch[column]) for batch in counted(read)), buckets)


def _pass_on(partition: int, blocks: Iterator[bytes], _: Tallies, buckets: int) -> Iterator[Block]:
    """Yield the images of the domain of each host, in blocks by domain."""
    yield from _dealt(map(_of_domains, _sums(unpack(block, COUNTED) for block in blocks)), buckets)


def _write(partition: int, blocks: Iterator[bytes], folder: Path) -> Tallies:
    """Write the domains of a partition."""
    tallies, path = Tallies(), folder / f"{partition:05}.parquet"
    for sums in _sums(unpack(block, COUNTED) for block in blocks):
        rows = sums.sort_by([("images", "descending"), (NAME, "ascending")])
        with part_writer(path, COUNTED, WRITTEN_ROWS) as writer:
            writer.write(rows)
        tally(tallies, path, writer.checksum)
        tallies.add(DOMAINS, rows.num_rows)
        tallies.add(IMAGES, rows["images"].to_numpy().sum())
    return tallies


def host_counts(urls: pa.Array) -> pa.RecordBatch:
    """Return how many of the URLs have each spelling of a host; a null has none."""
    offsets, data = string_buffers(urls)
    table = np.zeros(1 << len(urls).bit_length(), np.int32)
    spans, counts = np.empty((len(urls), 2), np.int64), np.empty(len(urls), np.int64)
    found = group_hosts(data, offsets, table, spans, counts)
    bounds = np.append(0, np.cumsum(spans[:found, 1] - spans[:found, 0]))
    out = np.empty(bounds[-1], np.uint8)
    copy_spans(data, spans, bounds, out)
    names = pa.LargeStringArray.from_buffers(found, pa.py_buffer(bounds), pa.py_buffer(out))
    return pa.RecordBatch.from_arrays([names.cast(pa.string()), pa.array(counts[:found])], schema=COUNTED)


def _of_domains(hosts: pa.RecordBatch) -> pa.RecordBatch:
    names = pa.array(map(registered_domain, hosts[NAME].to_pylist()), pa.string())
    return pa.RecordBatch.from_arrays([names, hosts["images"]], schema=COUNTED)


def _dealt(rows: Iterable[pa.RecordBatch], buckets: int) -> Iterator[Block]:
    packer = sending(buckets)
    for sums in _sums(rows):
        yield from packer.deal(sums, uid_hashes(sums[NAME]).view(np.uint64))
    yield from packer.finish()


def _sums(rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the sums of all rows by name, in one batch; nothing if there are no rows."""
    if held := gather_reduced(rows, _summed, BUCKET_BYTES):
        yield _summed(held)


def _summed(held: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    sums = pa.Table.from_batches(held).group_by(NAME, use_threads=False).aggregate([("images", "sum")])
    return one_batch(sums.select([NAME, "images_sum"]).rename_columns(COUNTED.names).cast(COUNTED))


def _ordered(file: OwnFile) -> Iterator[tuple[str, int]]:
    for batch in batches(file, READ_ROWS):
        yield from zip(batch[NAME].to_pylist(), batch["images"].to_pylist(), strict=True)


def _place(row: tuple[str, int]) -> tuple[int, str]:
    return -row[1], row[0]
