"""Read and check what `--same-image` asks for: a column of a table by which images show the same picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.by_uid.comparable import comparable
from curation.by_uid.tables import ImageTable
from curation.near_copies.words import (
    HASH_BITS,
    MOST_SHARE,
    binaries,
    hash_binaries,
    hash_bits,
    keys_of_hashes,
    require_distance,
)
from runtime.errors import InputError
from runtime.storage.versions import Version

VALUE = pa.field("value", pa.binary())


@dataclass(frozen=True)
class SameImage:
    """The hash column that identifies copies of a picture, and how many bits may differ; None: no bit."""

    column: str
    distance: int | None = None

    @classmethod
    def parse(cls, text: str) -> SameImage:
        """Return what `--same-image` asks for.

        >>> SameImage.parse("sha256"), SameImage.parse("phash:4")
        (SameImage(column='sha256', distance=None), SameImage(column='phash', distance=4))
        """
        column, colon, number = text.partition(":")
        most = max(HASH_BITS) // MOST_SHARE
        if not column or (colon and not (number.isascii() and number.isdigit() and int(number) <= most)):
            raise InputError(
                f"--same-image is {text!r}; give a column, as sha256, or one with the number of bits in which copies "
                "differ at most, as phash:4"
            )
        return cls(column, int(number) if colon and int(number) else None)

    def __str__(self) -> str:
        return self.column if self.distance is None else f"{self.column} within {self.distance} bits"


@dataclass(frozen=True)
class Pictures:
    """The column of a table that identifies images of the same picture."""

    table: ImageTable
    same: SameImage
    bits: int | None = None  # of the hashes, where these may differ

    @classmethod
    def find(cls, table: ImageTable, same: SameImage) -> Pictures:
        """Return the column of a table; InputError for one whose hashes cannot be within the distance."""
        if same.distance is None:
            return cls(table, same)
        column = same.column
        bits = hash_bits((batch[column] for file in table.files for batch in table.read(file, [column])), column)
        require_distance(same.distance, bits)
        return cls(table, same, bits)

    def read(self, file: tuple[str, Version]) -> Iterator[pa.RecordBatch]:
        """Yield KEY and the value of each row of a file of the table, as bytes; of hashes that may differ the key."""
        for batch in self.table.read(file, [self.same.column]):
            *keys, values = batch.columns
            if self.bits is None:
                values = value_bytes(comparable(values, self.table.name))
            else:
                values = keys_of_hashes(hash_binaries(values, self.same.column), self.bits)
            yield pa.RecordBatch.from_arrays([*keys, values], names=[*batch.schema.names[:2], VALUE.name])


def value_bytes(values: pa.Array) -> pa.Array:
    """Return bytes that are equal where values are; of integers, texts and bytes they are in the order of these."""
    if pa.types.is_integer(values.type):
        numbers = values.fill_null(0).to_numpy().astype(np.int64).view(np.uint64) ^ np.uint64(1 << 63)
        return pc.if_else(values.is_valid(), binaries(numbers.astype(">u8").tobytes(), 8), None)
    if pa.types.is_nested(values.type):
        texts = [None if value is None else repr(value) for value in values.to_pylist()]
        return pa.array(texts, pa.string()).cast(pa.binary())
    if pa.types.is_floating(values.type):
        values = pc.add(values, 0.0)  # -0.0 is 0.0
    return values.cast(pa.binary() if pa.types.is_binary(values.type) else pa.string()).cast(pa.binary())
