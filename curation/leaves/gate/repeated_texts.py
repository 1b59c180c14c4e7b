"""Find the texts that many images have, and write for each file of images the hashes of its repeated texts.

A hash has 64 bits: among ten billion texts, none is likely to have the hash of one of a million repeated texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.images.combine import uid_hashes
from curation.images.tasks import MATCHED_ROW_GROUP
from curation.leaves.by_uid.by_key import Places
from curation.leaves.gate.checks import Rule
from curation.run.ledger import group_buckets, senders, sending
from curation.run.request import Context
from runtime.arrow import parts
from runtime.buckets import Block, Packer, by_bucket
from runtime.engine.interface import Relay
from runtime.errors import AGAIN
from runtime.storage.own_files import OwnFile, checksums_in, own_files, tally
from runtime.storage.parquet import batches, part_writer, read_table, row_counts
from runtime.tallies import Tallies

TEXTS_OF_IMAGE = 2  # estimated texts per image
_COUNTS = pa.schema([pa.field("hash", pa.uint64()), pa.field("images", pa.int64()), pa.field("file", pa.int32())])
_FOUND = pa.schema([_COUNTS.field("hash"), _COUNTS.field("file")])
_OF_FILE = pa.schema([_COUNTS.field("hash")])


def find_repeated(context: Context, images: Sequence[OwnFile], most: int) -> Rule:
    """Return the rule that removes the texts that more than `most` of the images have."""
    places, folder = Places.of(row_counts(images)), context.output.parts.begin("repeated")
    buckets, tasks = group_buckets(TEXTS_OF_IMAGE * places.images)
    send = partial(_send, buckets=buckets)
    relay = Relay(partial(_pass_on, buckets=buckets, places=places, most=most), places.relays(tasks))
    receive = partial(_receive, names=[file.path.name for file in images], places=places, folder=folder)
    items = senders([*enumerate(images)], places.images, buckets)
    written = context.engine.exchange(items, send, receive, places.tasks, [relay])
    files = own_files(folder, checksums_in(written), AGAIN)
    return partial(is_repeated, repeated={file.path.name: file for file in files})


def is_repeated(
    texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch, file: str, repeated: Mapping[str, OwnFile]
) -> np.ndarray:
    """Return a mask, bool[text]: which texts are repeated ones.

    `repeated` has, by the name of a file of images, the file with the hashes of its repeated texts; `file` is such a
    name.
    """
    hashes = _hashes(texts)
    known = _opened(repeated[file]) if file in repeated else hashes[:0]
    places = np.searchsorted(known, hashes)
    out = places < len(known)
    out[out] = known[places[out]] == hashes[out]
    return out


@lru_cache(maxsize=1)
def _opened(file: OwnFile) -> np.ndarray:
    return read_table(file)["hash"].to_numpy()


def _hashes(texts: pa.StructArray) -> np.ndarray:
    return uid_hashes(texts.field("text")).view(np.uint64)


def _send(images: Sequence[tuple[int, OwnFile]], _: Tallies, buckets: int) -> Iterator[Block]:
    """Yield _COUNTS, in blocks by hash: how many images of a batch have each text. An image has a text once."""
    packer = sending(buckets)
    for number, file in images:
        for batch in batches(file, MATCHED_ROW_GROUP, ["candidates.list.element.text"]):
            hashes, counts = np.unique(_hashes(parts(batch["candidates"])[0]), return_counts=True)
            columns = [pa.array(each) for each in (hashes, counts, np.full(len(hashes), number, np.int32))]
            yield from packer.deal(pa.RecordBatch.from_arrays(columns, schema=_COUNTS), hashes)
    yield from packer.finish()


def _pass_on(
    partition: int, blocks: Iterator[bytes], _: Tallies, buckets: int, places: Places, most: int
) -> Iterator[Block]:
    """Yield the hashes of repeated texts, in blocks by the files that have the texts."""
    packer = Packer(places.tasks)
    for bucket in by_bucket(blocks, buckets, _COUNTS, _keys):
        found = repeated_in(pa.concat_batches([*bucket]), most)
        yield from packer.deal(found, _by_file(found, places))
    yield from packer.finish()


def repeated_in(counts: pa.RecordBatch, most: int) -> pa.RecordBatch:
    """Return `hash` and `file` of the texts that more than `most` images have; `counts` has all counts of them."""
    hashes = _keys(counts)
    order = np.argsort(hashes)
    starts = np.flatnonzero(np.append(True, hashes[order][1:] != hashes[order][:-1])[: len(order)])
    images = np.add.reduceat(counts["images"].to_numpy()[order], starts) if len(starts) else starts
    is_repeated = np.repeat(images > most, np.diff(np.append(starts, len(order))))
    return counts.take(pa.array(order[is_repeated])).select(_FOUND.names)


def _keys(rows: pa.RecordBatch) -> np.ndarray:
    return rows["hash"].to_numpy()


def _by_file(rows: pa.RecordBatch, places: Places) -> np.ndarray:
    """Return a sort key, uint64, of each row: the file in the highest bits, and then the hash."""
    bits = places.buckets.bit_length() - 1
    return rows["file"].to_numpy().astype(np.uint64) << np.uint64(64 - bits) | _keys(rows) >> np.uint64(bits)


def _receive(partition: int, blocks: Iterator[bytes], names: Sequence[str], places: Places, folder: Path) -> Tallies:
    """Write, for each file with repeated texts, their distinct hashes, ascending; `names` are the files' names."""
    tallies, keys = Tallies(), partial(_by_file, places=places)
    held: list[pa.RecordBatch] = []
    for bucket in by_bucket(blocks, places.buckets, _FOUND, keys):
        for rows in bucket:
            if held and held[0]["file"][0] != rows["file"][0]:
                _write(held, names, folder, tallies)
                held = []
            held.append(rows)
    if held:
        _write(held, names, folder, tallies)
    return tallies


def _write(rows: Sequence[pa.RecordBatch], names: Sequence[str], folder: Path, tallies: Tallies) -> None:
    path = folder / names[rows[0]["file"][0].as_py()]
    with part_writer(path, _OF_FILE, MATCHED_ROW_GROUP) as writer:
        hashes = np.unique(np.concatenate([_keys(each) for each in rows]))
        writer.write(pa.RecordBatch.from_arrays([pa.array(hashes)], schema=_OF_FILE))
    tally(tallies, path, writer.checksum)
