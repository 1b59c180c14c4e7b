"""Write the matched images that pass the gate, given for each of them what the tables of images say.

A condition that fails is counted three times: where it fails, where no other one does, and where it is the first.
Likewise a rule that texts fail; the first counts in images that stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.by_uid.rows import RowStream
from curation.gate.checks import Checks, Failures, bits
from curation.images.tasks import MATCHED_ROW_GROUP
from curation.schemas import MATCHED
from runtime.arrow.buffers import parts
from runtime.storage.own_files import OwnFile, tally
from runtime.storage.parquet import batches, part_writer
from runtime.tallies import Tallies

# One row an image: a bit of `met` is a condition that holds, one of `found` a table that has the image, one of `sets`
# an evaluation set that has it, one of `differing` a table in which rows of the image differ. `status` is that of its
# download, where one was given.
VERDICTS = pa.schema(
    [
        pa.field("file", pa.int32()),
        pa.field("row", pa.int64()),
        pa.field("met", pa.int64()),
        pa.field("found", pa.int64()),
        pa.field("sets", pa.int64()),
        pa.field("status", pa.string()),
        pa.field("differing", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Verdicts:
    """What tables say of the images of a file, as numpy columns; without tables, nothing."""

    met: np.ndarray
    found: np.ndarray
    sets: np.ndarray
    status: pa.Array
    differing: np.ndarray

    @classmethod
    def of(cls, rows: pa.RecordBatch | None, images: int) -> Verdicts:
        """Return the verdicts in VERDICTS rows, one for each of so many images; None where there are no tables."""
        if rows is None:
            none = np.zeros(images, np.int64)
            return cls(none, none, none, pa.nulls(images, pa.string()), none)
        if rows.num_rows != images:
            raise ValueError(f"{rows.num_rows} verdicts came for {images} images")
        met, found, sets = (rows[name].to_numpy() for name in ("met", "found", "sets"))
        return cls(met, found, sets, rows["status"], rows["differing"].to_numpy())


def write_passing(file: OwnFile, number: int, verdicts: RowStream | None, checks: Checks, folder: Path) -> Tallies:
    """Write the images of a MATCHED file that pass to one of its name in `folder`; return what each condition removed.

    `number` is that of the file in VERDICTS; without tables there are none.
    """
    tallies, begin, path = Tallies(), 0, folder / file.path.name
    with part_writer(path, MATCHED, MATCHED_ROW_GROUP) as writer:
        for batch in batches(file, MATCHED_ROW_GROUP):
            rows = verdicts and verdicts.take(number, begin, begin + batch.num_rows)
            writer.write(passing(batch, Verdicts.of(rows, batch.num_rows), checks, tallies))
            begin += batch.num_rows
    tallies.add("passed", writer.rows)
    tally(tallies, path, writer.checksum)
    return tallies


def passing(batch: pa.RecordBatch, verdicts: Verdicts, checks: Checks, tallies: Tallies) -> pa.RecordBatch:
    """Return the images of a MATCHED batch that meet all conditions, with the texts that may stay; tally the others."""
    found = bits(verdicts.found, checks.tables)
    for table in range(checks.tables):
        tallies.add(f"found.{table}", int(found[:, table].sum()))
    _tally_differing(batch["uid"], bits(verdicts.differing, checks.tables), tallies)
    for status, images in zip(*_counted(verdicts.status), strict=True):
        tallies.add(f"status.{status}", images)
    failures = checks.failed(batch, verdicts.met, verdicts.sets)
    _tally_images(batch, failures, checks, tallies)
    if checks.text_rules:
        _tally_rules(batch, failures, tallies)
        batch = _with_texts(batch, ~np.any(failures.texts, axis=1), failures.image_of_text)
    return batch.filter(pa.array(~np.any(failures.images, axis=1)))


def tally_texts(batch: pa.RecordBatch, images: np.ndarray, name: str, tallies: Tallies) -> None:
    """Tally the texts of some images of a MATCHED batch by language."""
    texts, offsets = parts(batch["candidates"])
    _tally_languages(texts, np.repeat(images, np.diff(offsets)), name, tallies)


def _tally_differing(uids: pa.Array, differing: np.ndarray, tallies: Tallies) -> None:
    """Tally the images of which rows of a table differ, and the first of a file by its uid."""
    for table in np.flatnonzero(differing.any(axis=0)):
        images = np.flatnonzero(differing[:, table])
        if not tallies[f"differing.{table}"]:
            tallies.add(f"differing_uid.{table}.{uids[images[0]]}")
        tallies.add(f"differing.{table}", len(images))


def _tally_images(batch: pa.RecordBatch, failures: Failures, checks: Checks, tallies: Tallies) -> None:
    failed = failures.images
    alone, first = failed.sum(axis=1) == 1, failed & (np.cumsum(failed, axis=1) == 1)
    for condition in range(failed.shape[1]):
        tallies.add(f"failed.{condition}", int(failed[:, condition].sum()))
        tallies.add(f"alone.{condition}", int((failed[:, condition] & alone).sum()))
        tallies.add(f"removed.{condition}", int(first[:, condition].sum()))
        if condition < checks.images:
            tally_texts(batch, first[:, condition], f"texts.{condition}", tallies)


def _tally_rules(batch: pa.RecordBatch, failures: Failures, tallies: Tallies) -> None:
    """Tally what rules remove of the texts of images that meet all conditions but the last, that a text is left."""
    failed, texts = failures.texts, parts(batch["candidates"])[0]
    alone, first = failed.sum(axis=1) == 1, failed & (np.cumsum(failed, axis=1) == 1)
    of_others = np.any(failures.images[:, :-1], axis=1)[failures.image_of_text]
    for rule in range(failed.shape[1]):
        tallies.add(f"rule.failed.{rule}", int(failed[:, rule].sum()))
        tallies.add(f"rule.alone.{rule}", int((failed[:, rule] & alone).sum()))
        tallies.add(f"rule.removed.{rule}", int((first[:, rule] & ~of_others).sum()))
        _tally_languages(texts, first[:, rule] & ~of_others, f"rule.texts.{rule}", tallies)


def _with_texts(batch: pa.RecordBatch, stays: np.ndarray, image_of_text: np.ndarray) -> pa.RecordBatch:
    """Return images with those of their texts that stay."""
    number = batch.schema.get_field_index("candidates")
    texts = parts(batch["candidates"])[0].filter(pa.array(stays))
    counts = np.bincount(image_of_text[stays], minlength=batch.num_rows)
    offsets = pa.array(np.append(0, np.cumsum(counts)), pa.int32())
    return batch.set_column(number, MATCHED.field("candidates"), pa.ListArray.from_arrays(offsets, texts))


def _tally_languages(texts: pa.StructArray, chosen: np.ndarray, name: str, tallies: Tallies) -> None:
    for language, number in zip(*_counted(texts.field("language").filter(pa.array(chosen))), strict=True):
        tallies.add(name, number, language)


def _counted(strings: pa.Array) -> tuple[list[str], list[int]]:
    counts = pc.value_counts(strings.drop_null())
    return counts.field("values").to_pylist(), counts.field("counts").to_pylist()
