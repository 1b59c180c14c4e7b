"""Replace the alt texts of images by their captions, so that captions are balanced: the first step of the gate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import expr

from curation.by_uid.captions import ROWS, caption_rows
from curation.by_uid.rows import PLACE, RowStream, by_file, keys_of, summed
from curation.by_uid.tables import KEY_NAMES, ImageTable
from curation.gate.captioning import BEST, CaptionMatching, write_captioned
from curation.run.tasks import TURNS, MatchPlan
from runtime.errors import InputError
from runtime.redaction import hidden
from runtime.spark import map_batches, over, run
from runtime.storage.listing import ListedFile
from runtime.storage.own_files import OwnFile
from runtime.storage.remote import AS_ASKED
from runtime.storage.versions import Version
from runtime.tallies import SCHEMA, Tallies

File = tuple[int, tuple[str, Version]]  # of a table, with its number
_READ = 1 << 20  # bytes at a time


@dataclass(frozen=True)
class Captioning:
    """A table of captions, and how they are matched."""

    table: ImageTable
    digest: str  # of the bytes of its files
    plan: MatchPlan

    @classmethod
    def of(cls, spark: SparkSession, table: ImageTable, plan: MatchPlan) -> Captioning:
        """Return a captioning by a table, whose files are read for their digest."""
        digests = run(spark, list(enumerate(table.files)), _digest, TURNS).beginning("")
        return cls(table, blake2b("".join(sorted(digests)).encode(), digest_size=16).hexdigest(), plan)

    def facts(self, counted: Tallies) -> dict[str, Any]:
        """Return what run.json says of the captions, given what matching them counted."""
        table, captions, matched = self.table, counted.by_language("captions"), counted.by_language("matched")
        return {
            "table": {"name": table.name, "files": len(table.files), "bytes": table.bytes, "digest": self.digest},
            "images": counted["captioned"],
            "without": counted["without"],
            "cut": counted["cut"],
            "languages": {code: {"captions": captions[code], "matched": matched.get(code, 0)} for code in captions},
        }

    def require_some(self, counted: Tallies) -> None:
        """Refuse captions of other images, and captions of which none contains an entry."""
        if not counted["captioned"]:
            raise InputError(
                f"{self.table.name} has a caption of none of the matched images: its {self.table.identity}s are not "
                "those of this run; give a table with the column uid of matched/, or url"
            )
        if not counted["passed"]:
            raise InputError(f"every matched image has a caption in {self.table.name}, and no entry is in any of them")


def match_captions(spark: SparkSession, captioning: Captioning, files: Sequence[OwnFile], folder: Path) -> Tallies:
    """Write the images of all files, with captions for alt texts, to files of the same names; return what was counted.

    Images without a caption keep their alt texts; those whose caption contains no entry are left out.
    """
    known = keys_of(spark, files).join(_best(spark, captioning.table), KEY_NAMES, "left").select(*BEST.names)
    write = partial(_write, files=list(files), plan=captioning.plan, folder=folder)
    return summed(map_batches(by_file(known, len(files)), write, SCHEMA))


def _best(spark: SparkSession, table: ImageTable) -> DataFrame:
    """Return KEY and the best `caption` of each image of a table."""
    schema = pa.schema([*PLACE, *ROWS])
    rows = over(spark, list(enumerate(table.files)), partial(_read, table=table), schema)
    best = "max_by(caption, struct(score, -file, -row)) as caption"  # of equally good ones the first
    return rows.groupBy(*KEY_NAMES).agg(expr(best))


def _read(numbered: File, table: ImageTable) -> Iterator[pa.RecordBatch]:
    number, file = numbered
    row = 0
    for batch in caption_rows(table, file):
        places = [pa.repeat(pa.scalar(number, pa.int32()), batch.num_rows), pa.array(range(row, row + batch.num_rows))]
        yield pa.RecordBatch.from_arrays([*places, *batch.columns], schema=pa.schema([*PLACE, *ROWS]))
        row += batch.num_rows


def _digest(numbered: File) -> Tallies:
    """Return a tally whose name is the number of a file and the digest of its bytes."""
    number, (path, version) = numbered
    hashed, tallies = blake2b(digest_size=16), Tallies()
    try:
        with ListedFile(path, version).open(AS_ASKED) as file:
            while data := file.read(_READ):
                hashed.update(data)
    except OSError as error:
        raise InputError(f"{hidden(path)} cannot be read ({error})") from None
    tallies.add(f"{number:09d} {hashed.hexdigest()}")
    return tallies


def _write(
    rows: Iterable[pa.RecordBatch], files: Sequence[OwnFile], plan: MatchPlan, folder: Path
) -> Iterator[pa.RecordBatch]:
    """Write the images of each file whose BEST captions come; yield what was counted."""
    best, captions = RowStream(rows), CaptionMatching(plan.open(), plan.max_text_length)
    for number in best.files():
        yield write_captioned(files[number], number, best, captions, folder).batch()
