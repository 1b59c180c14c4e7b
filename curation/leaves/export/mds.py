"""Export `mds`: a run's curated pairs of downloaded tars as shards in MDS format, which mosaicml's streaming reads.

A shard is a file of little-endian numbers of 4 bytes (the number of samples, the begin of each sample and the end of
the last one), then the columns as JSON, then the samples. A sample is the sizes of its values, then the values, both
sorted by the names of columns. index.json lists all shards. Each value here is bytes or text, so that a batch is lists
of values.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha1
from itertools import accumulate, chain
from pathlib import Path
from struct import pack
from typing import Any

from curation.leaves.export.webdataset import CuratedSample, CuratedSamples, Write
from curation.leaves.tars.samples import image_of
from curation.run.making import Made
from runtime.arguments import add_fields
from runtime.errors import InputError
from runtime.storage.whole import whole
from runtime.tallies import Tallies

INDEX = "index.json"
VERSION = 2  # version of the MDS format
IMAGE, JSON, TEXT, DRAWN, UID = "image", "json", "text", "txt", "uid"  # columns; captions add those of their fields
MOST_BYTES = (1 << 32) - 1  # largest offset in a shard
SHARD = "shard "  # prefix of a tally of samples, followed by the shard's SHA-1, bytes and name


@dataclass(frozen=True)
class Mds(CuratedSamples):
    """The form of MDS shards, some for each given tar, and index.json."""

    shard_bytes: int = 1 << 26  # as mosaicml's own writer

    name = "mds"
    writes = "shards of the curated pairs, for mosaicml's streaming"
    whole_by = INDEX

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.shard_bytes <= MOST_BYTES:
            raise InputError(f"shard_bytes is {self.shard_bytes}; give 1 to {MOST_BYTES}")

    @classmethod
    def add_flags(cls, parser: ArgumentParser) -> None:
        """Add the flag for the size of shards; the flags for captions are those of `webdataset`."""
        group = parser.add_argument_group("shards, for mds")
        add_fields(group, cls, {"--shard-bytes N": "the most that a shard of several samples has"})

    @property
    def writer(self) -> Write:
        """A function that writes the shards of one tar."""
        return partial(write_shards, shape=self._shape)

    def finish(self, folder: Path, tars: list[str], tallies: Tallies) -> None:
        """Write the index of all shards, sorted by tar."""
        shards = []
        for told, samples in tallies.beginning(SHARD).items():
            digest, size, name = told.split(" ", 2)
            raw = {"basename": name, "bytes": int(size), "hashes": {"sha1": digest}}
            shards.append(self._shape | {"raw_data": raw, "samples": int(samples), "zip_data": None})
        order = {stem_of(tar): number for number, tar in enumerate(tars)}
        shards.sort(key=lambda shard: _place(shard["raw_data"]["basename"], order))
        with whole(folder / INDEX) as path:
            path.write_text(json.dumps({"shards": shards, "version": VERSION}, sort_keys=True) + "\n", "utf-8")

    @property
    def _shape(self) -> dict[str, Any]:
        """The description of a shard's columns in index.json and in each shard."""
        captions = [DRAWN, *self.caption_fields] if self.captions else []
        columns = sorted([IMAGE, JSON, TEXT, UID, *captions])
        return {
            "column_encodings": ["bytes" if name == IMAGE else "str" for name in columns],
            "column_names": columns,
            "column_sizes": [None] * len(columns),  # no column has a fixed size
            "compression": None,
            "format": "mds",
            "hashes": ["sha1"],
            "size_limit": self.shard_bytes,
            "version": VERSION,
        }


def write_shards(tar: str, samples: Iterable[CuratedSample], made: Made, shape: dict[str, Any]) -> None:
    """Write the shards of a tar, and tally the facts of each that the index states."""
    head = json.dumps(shape, sort_keys=True).encode()
    rows = (_row(tar, sample, shape["column_names"]) for sample in samples)
    for number, shard in enumerate(cut(rows, shape["size_limit"] - len(head))):
        name = f"{stem_of(tar)}.{number:05}.mds"
        begin = 4 * (len(shard) + 2) + len(head)
        bounds = [*accumulate(map(len, shard), initial=begin)]
        _require_size(bounds[-1], tar)
        digest = sha1(usedforsecurity=False)
        with made.file("", name) as path, path.open("wb") as out:
            for part in chain([pack(f"<{len(bounds) + 1}I", len(shard), *bounds), head], shard):
                digest.update(part)
                out.write(part)
        made.tallies.add(f"{SHARD}{digest.hexdigest()} {bounds[-1]} {name}", len(shard))


def cut(rows: Iterable[bytes], most: int) -> Iterator[list[bytes]]:
    """Yield the rows of each shard: as many as fit into `most` bytes, at least one.

    A shard has 4 more bytes per row, and 8 bytes besides.

    >>> [len(shard) for shard in cut([b"1234", b"12", b"12", b"1", b"123456789"], 20)]
    [1, 2, 1, 1]
    """
    shard: list[bytes] = []
    size = 8
    for row in rows:
        if shard and size + len(row) + 4 > most:
            yield shard
            shard, size = [], 8
        shard.append(row)
        size += len(row) + 4
    if shard:
        yield shard


def stem_of(tar: str) -> str:
    """Return the name of a tar without its extension."""
    return Path(tar).stem


def _row(tar: str, sample: CuratedSample, columns: Sequence[str]) -> bytes:
    """Return a sample as bytes of a shard; a missing caption is an empty text."""
    texts = sample.texts
    drawn = texts.text if texts.drawn is None else texts.drawn
    values = {TEXT: texts.text, UID: texts.uid, DRAWN: drawn, **texts.captions}
    own = {name: (value or "").encode() for name, value in values.items()}
    own |= {IMAGE: sample.content(image_of(sample.files) or ""), JSON: sample.content("json")}
    found = [own[name] for name in columns]
    _require_size(sum(map(len, found)), tar)
    return b"".join([pack(f"<{len(found)}I", *map(len, found)), *found])


def _place(shard: str, order: dict[str, int]) -> tuple[int, int]:
    stem, number, _ = shard.rsplit(".", 2)
    return order[stem], int(number)


def _require_size(size: int, tar: str) -> None:
    if size > MOST_BYTES:
        raise InputError(f"a sample of {tar} has {size:,} bytes; a shard counts to {MOST_BYTES:,}: leave the tar out")
