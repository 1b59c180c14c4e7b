"""Write the best rows of each language to a file, best first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from metadata.words import selection
from runtime.spark import collected, map_batches
from runtime.storage.parquet import part_writer
from runtime.tallies import SCHEMA as TALLIES
from runtime.tallies import Tallies

CHOSEN = pa.schema([("entry", pa.string()), ("score", pa.float64())])

_ROWS = 1 << 20  # of a row group


@dataclass(frozen=True)
class Chosen:
    """The number of rows that are taken of each language, and the file for them, with {language} in its name."""

    name: str
    taken: Mapping[str, int]
    folder: Path
    file: str


def write_best(candidates: DataFrame, chosen: Chosen) -> Tallies:
    """Write the best rows of RATED of each language, by score and then by entry; return how many by `chosen.name`."""
    by_language = candidates.repartition("language").sortWithinPartitions("language", F.desc("score"), "entry")
    return collected(map_batches(by_language, partial(_write, chosen=chosen), TALLIES))


def _write(batches: Iterable[pa.RecordBatch], chosen: Chosen) -> Iterator[pa.RecordBatch]:
    tally = Tallies()
    for code, parts in groupby(selection.by_language(batches), key=itemgetter(0)):
        with part_writer(chosen.folder / chosen.file.format(language=code), CHOSEN, _ROWS) as writer:
            for _, rows in parts:
                writer.write(rows.select(CHOSEN.names).cast(CHOSEN).slice(0, chosen.taken[code] - writer.rows))
        tally.add(chosen.name, writer.rows, code)
    yield tally.batch()
