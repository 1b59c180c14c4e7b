"""Bring rows of many languages together by one of their strings, in packed blocks from task to task, and combine them.

In these rows a language is a number, its position in languages.csv: codes would be a fifth of all packed bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metadata.languages import LANGUAGES
from runtime.arrow.batching import gather_reduced
from runtime.arrow.buffers import one_batch, string_buffers
from runtime.buckets import Packer, buckets_for, by_bucket
from runtime.kernels.hashes import xxhash
from runtime.packed_rows import Block

LANGUAGE = pa.field("language", pa.int16())

BUCKET_BYTES = 8 << 20  # of a build's files, whose rows meet in one bucket: some 20 MB
TASK_BYTES = 4 * BUCKET_BYTES  # whose buckets one task takes in turn: a few seconds
HELD_BYTES = 64 << 20  # of rows, after which those of the same key are combined

_CODES = pa.array([language.code for language in LANGUAGES])


@dataclass(frozen=True)
class Meeting:
    """The rows that come together: their schema, and the column whose string decides, with the language, where."""

    schema: pa.Schema
    column: str
    size: int  # bytes of all files that are read

    @property
    def buckets(self) -> int:
        """The number of buckets."""
        return buckets_for(self.size, BUCKET_BYTES)

    @property
    def partitions(self) -> int:
        """The number of tasks that take the buckets."""
        return buckets_for(self.size, TASK_BYTES)

    def dealt(self, batches: Iterable[pa.RecordBatch]) -> Iterator[Block]:
        """Yield the rows of all batches in blocks of one bucket each."""
        packer = Packer(self.buckets)
        for batch in batches:
            yield from packer.deal(batch, self._keys(batch))
        yield from packer.finish()

    def met(self, blocks: Iterable[bytes]) -> Iterator[Iterator[pa.RecordBatch]]:
        """Yield the rows of each bucket among blocks."""
        return by_bucket(blocks, self.buckets, self.schema, self._keys)

    def _keys(self, rows: pa.RecordBatch) -> np.ndarray:
        offsets, data = string_buffers(rows[self.column])
        out = np.empty(rows.num_rows, np.uint64)
        xxhash(data, offsets, rows["language"].to_numpy().astype(np.uint64), out)
        return out


def combined(batches: Iterable[pa.RecordBatch], values: Mapping[str, str]) -> pa.RecordBatch:
    """Return rows whose other columns differ; `values` says how Arrow combines each column that is a value."""
    combine = partial(_combined, values=values)
    return combine(gather_reduced(batches, combine, HELD_BYTES))


def _combined(batches: list[pa.RecordBatch], values: Mapping[str, str]) -> pa.RecordBatch:
    schema = batches[0].schema
    key = [name for name in schema.names if name not in values]
    groups = pa.Table.from_batches(batches).group_by(key, use_threads=False)
    found = groups.aggregate([*values.items()])
    columns = [found[f"{name}_{values[name]}" if name in values else name] for name in schema.names]
    return one_batch(pa.table(columns, schema=schema))


def numbers_of(codes: pa.Array) -> pa.Array:
    """Return the numbers of languages, given their codes."""
    return pc.index_in(codes, _CODES).cast(LANGUAGE.type)


def codes_of(rows: pa.RecordBatch) -> pa.Array:
    """Return the codes of the languages of rows."""
    return _CODES.take(rows["language"])
