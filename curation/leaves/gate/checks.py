"""Rewrite files of matched images in tasks with the changes of a step, such as a list of checks, and tally them.

Tallied are the rows that fail each check, those that fail no other, and those that fail it first. A text is counted
under its first failed check if its image stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.images.tasks import MATCHED_ROW_GROUP
from curation.leaves.by_uid.by_key import RowStream
from curation.leaves.gate.mending import Mending
from curation.leaves.gate.steps import Removed, StepFolder
from curation.run.request import Context
from curation.schemas import MATCHED
from runtime.arrow import parts
from runtime.storage.own_files import OwnFile, tally
from runtime.storage.parquet import batches, part_writer
from runtime.tallies import Tallies

TEXT_LEFT = "a text is left"  # the last check of images where there are any of texts
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
# A rule of images takes a MATCHED batch and its verdicts; it returns which images must go, bool[image]. A rule of texts
# takes all texts of the batch, the row of each text's image, and the batch; it returns which texts must go, bool[text].
Rule = Callable[..., np.ndarray]


def _not_made(*_: object) -> np.ndarray:
    raise TypeError("the rule of this check is made of images first")


@dataclass(frozen=True)
class Check:
    """One check of images or, with `of_texts`, of each text; `make` builds the rule if that needs all images.

    With `by_file` the rule takes the name of the file of images, too. `removes` says what goes, where the title says
    nothing of what stays.
    """

    title: str
    rule: Rule = _not_made
    of_texts: bool = False
    make: Callable[[Context, Sequence[OwnFile]], Rule] | None = None
    by_file: bool = False
    removes: str | None = None

    def in_file(self, name: str) -> Rule:
        """Return the rule for images of a file."""
        return partial(self.rule, file=name) if self.by_file else self.rule

    def made(self, context: Context, images: Sequence[OwnFile]) -> Check:
        """Return the check with its rule."""
        return self if self.make is None else replace(self, rule=self.make(context, images), make=None)


@dataclass(frozen=True)
class Verdicts:
    """The results of the joined tables for the images of a batch, as numpy columns; empty without tables."""

    met: np.ndarray
    found: np.ndarray
    sets: np.ndarray
    status: pa.Array
    differing: np.ndarray

    @classmethod
    def of(cls, batch: pa.RecordBatch, rows: pa.RecordBatch | None) -> Verdicts:
        """Return the verdicts in VERDICTS rows, one for each image of a batch; None where there are no tables."""
        if rows is None:
            none = np.zeros(batch.num_rows, np.int64)
            return cls(none, none, none, pa.nulls(batch.num_rows, pa.string()), none)
        met, found, sets, differing = (rows[name].to_numpy() for name in ("met", "found", "sets", "differing"))
        return cls(met, found, sets, rows["status"], differing)


@dataclass(frozen=True)
class Checks:
    """All checks in order, the number of tables whose verdicts are joined, and what mends texts before."""

    checks: tuple[Check, ...]
    tables: int = 0
    known: Callable[[pa.RecordBatch], np.ndarray] | None = None  # the sets that have the URL of each image, as bits
    mending: Mending | None = None

    @cached_property
    def of_images(self) -> list[Check]:
        """The checks that an image itself fails or passes."""
        return [check for check in self.checks if not check.of_texts]

    @cached_property
    def of_texts(self) -> list[Check]:
        """The checks of texts."""
        return [check for check in self.checks if check.of_texts]

    @property
    def titles(self) -> list[str]:
        """The image checks in words; the last one is that a text is left, if there are text checks."""
        return [check.title for check in self.of_images] + ([TEXT_LEFT] if self.of_texts else [])

    def __call__(
        self, batch: pa.RecordBatch, rows: pa.RecordBatch | None, begin: Begin, tallies: Tallies
    ) -> pa.RecordBatch:
        """Return the images of a MATCHED batch that pass all checks, with the texts that may stay; tally the others."""
        stated = parts(batch["candidates"])[0]  # what was counted in files
        batch = self.mending(batch, tallies) if self.mending else batch
        verdicts = Verdicts.of(batch, require_rows_of(batch, rows) if self.tables else None)
        self._tally_tables(batch, verdicts, tallies)
        if self.known is not None:
            verdicts = replace(verdicts, sets=verdicts.sets | self.known(batch).astype(np.int64))
        texts, offsets = parts(batch["candidates"])
        image = np.repeat(np.arange(batch.num_rows), np.diff(offsets))
        checked = ((check.in_file(begin.file), stated if check.by_file else texts) for check in self.of_texts)
        of_texts = Failures([rule(own, image, batch) for rule, own in checked], len(texts))
        of_images = Failures([check.rule(batch, verdicts) for check in self.of_images], batch.num_rows)
        by_image, number = of_images.first[image], len(self.of_images)
        first = np.where(by_image < number, by_image, number + of_texts.first)  # the first check that removes each text
        if begin.removed and self.checks:
            self._show(batch, texts, image, first, begin.removed)
        if self.of_texts:
            left = np.bincount(image[of_texts.first == len(self.of_texts)], minlength=batch.num_rows)
            of_images = Failures([*of_images.failed, left == 0], batch.num_rows)
        of_images.tally(of_images.first, "", tallies)
        of_texts.tally(first - number, "rule.", tallies)
        tally_languages_by(texts.field("language"), first, self._names, tallies)
        passes = of_images.first == len(of_images.failed)
        if not self.of_texts:
            return batch.filter(pa.array(passes))
        stays = first == len(self.checks)
        lengths = np.bincount(image[stays], minlength=batch.num_rows)[passes]
        return _with_texts(batch, passes, texts.filter(pa.array(stays)), lengths)

    @property
    def _names(self) -> list[str]:
        """The names under which texts are tallied by language, of all checks in order."""
        of_images = (f"texts.{number}" for number in range(len(self.of_images)))
        return [*of_images, *(f"rule.texts.{number}" for number in range(len(self.of_texts)))]

    def _show(
        self, batch: pa.RecordBatch, texts: pa.StructArray, image: np.ndarray, first: np.ndarray, removed: Removed
    ) -> None:
        """Let the sample have the texts that go, given the row of the image of each, and the first check it fails."""
        chosen = np.flatnonzero(removed.drawn(batch)[image])
        titles = pa.array([check.title for check in [*self.of_images, *self.of_texts]], pa.string())
        rules = titles.take(pa.array(first[chosen], mask=first[chosen] == len(titles)))
        removed.add(batch, texts.take(pa.array(chosen)), image[chosen], rules)

    def _tally_tables(self, batch: pa.RecordBatch, verdicts: Verdicts, tallies: Tallies) -> None:
        """Tally the images in each table, the images with several rows that differ in it, and images by status."""
        found, differing = bits(verdicts.found, self.tables), bits(verdicts.differing, self.tables)
        for table in range(self.tables):
            tallies.add(f"found.{table}", int(found[:, table].sum()))
            several = np.flatnonzero(differing[:, table])
            if len(several):
                if not tallies[f"differing.{table}"]:
                    tallies.add(f"differing_uid.{table}.{batch['uid'][several[0]]}")
                tallies.add(f"differing.{table}", len(several))
        for status, images in counted(verdicts.status):
            tallies.add(f"status.{status}", images)


def bits(numbers: np.ndarray, count: int) -> np.ndarray:
    """Return bool[row, bit] of the lowest `count` bits of numbers."""
    return (numbers[:, None] >> np.arange(count)[None, :] & 1).astype(bool)


def _with_texts(batch: pa.RecordBatch, stays: np.ndarray, texts: pa.StructArray, lengths: np.ndarray) -> pa.RecordBatch:
    """Return the images of a MATCHED batch that stay, with these numbers of texts as their candidates."""
    lists = pa.ListArray.from_arrays(pa.array(np.append(0, np.cumsum(lengths)), pa.int32()), texts)
    place = batch.schema.get_field_index("candidates")
    return batch.remove_column(place).filter(pa.array(stays)).add_column(place, MATCHED.field("candidates"), lists)


class Failures:
    """The rows that fail each of some checks, bool[row] of each."""

    def __init__(self, failed: Sequence[np.ndarray], rows: int):
        self.failed, self.rows = failed, rows

    @cached_property
    def first(self) -> np.ndarray:
        """The number of the first check that each row fails; that of all checks if it passes."""
        first = np.full(self.rows, len(self.failed), np.int32)
        for number in reversed(range(len(self.failed))):
            first[self.failed[number]] = number
        return first

    def tally(self, first: np.ndarray, prefix: str, tallies: Tallies) -> None:
        """Tally `failed`, `alone` and `removed` of each check; a row is removed by check `first`, if there is such."""
        checks = len(self.failed)
        once = sum(self.failed, start=np.zeros(self.rows, np.int16)) == 1
        removed = np.bincount(first[(first >= 0) & (first < checks)], minlength=checks)
        for number, failed in enumerate(self.failed):
            tallies.add(f"{prefix}failed.{number}", int(np.count_nonzero(failed)))
            tallies.add(f"{prefix}alone.{number}", int(np.count_nonzero(failed & once)))
            tallies.add(f"{prefix}removed.{number}", int(removed[number]))


def tally_languages_by(languages: pa.Array, kinds: np.ndarray, names: Sequence[str], tallies: Tallies) -> None:
    """Tally texts by their language under the name of the kind of each; those of other kinds are not counted."""
    rows = np.flatnonzero(kinds < len(names))
    encoded = languages.take(pa.array(rows)).dictionary_encode()
    known = encoded.dictionary.to_pylist()
    codes = encoded.indices.fill_null(len(known)).to_numpy()
    shape = (len(names), len(known) + 1)
    counts = np.bincount(kinds[rows] * shape[1] + codes, minlength=shape[0] * shape[1]).reshape(shape)
    for kind, code in np.argwhere(counts[:, : len(known)]).tolist():
        tallies.add(names[kind], int(counts[kind, code]), known[code])


class Begin(NamedTuple):
    """The name of a file, and the position in it of the first image of a batch.

    `removed` takes what is removed of the file, where a sample of that is asked for.
    """

    file: str
    row: int
    removed: Removed | None = None


# A change takes a MATCHED batch, the rows about its images (None if the step has no rows), where the batch begins, and
# tallies to add to. It returns the images that stay, as they shall be written.
Change = Callable[[pa.RecordBatch, pa.RecordBatch | None, Begin, Tallies], pa.RecordBatch]


def rewrite_one(number: int, rows: RowStream, images: Sequence[OwnFile], change: Change, folder: StepFolder) -> Tallies:
    """Rewrite the file with a number, given a stream of rows about the images of this file and of others."""
    return rewrite(images[number], change, folder, number, rows)


def rewrite(
    file: OwnFile, change: Change, folder: StepFolder, number: int = 0, rows: RowStream | None = None
) -> Tallies:
    """Rewrite a file into `folder` under the same name; `number` is the file's number in the rows."""
    tallies, row, path = Tallies(), 0, folder / file.path.name
    with part_writer(path, MATCHED, MATCHED_ROW_GROUP) as writer, folder.removed(path.name, tallies) as removed:
        for batch in batches(file, MATCHED_ROW_GROUP):
            begin = Begin(path.name, row, removed)
            row += batch.num_rows
            writer.write(change(batch, rows and rows.take(number, begin.row, row), begin, tallies))
    tallies.add("passed", writer.rows)
    tally(tallies, path, writer.checksum)
    return tallies


def require_rows_of(batch: pa.RecordBatch, rows: pa.RecordBatch | None) -> pa.RecordBatch:
    """Return rows that are one for each image of a batch."""
    if rows is None or rows.num_rows != batch.num_rows:
        raise ValueError(f"{rows.num_rows if rows else 0} rows came for {batch.num_rows} images")
    return rows


def without(
    batch: pa.RecordBatch, goes: np.ndarray, rule: str, removed: Removed | None, tallies: Tallies
) -> pa.RecordBatch:
    """Return the images of a MATCHED batch that stay; tally those for which `goes` is true, and their texts.

    `rule` is what removes them, in words.
    """
    tallies.add("removed", int(goes.sum()))
    tally_texts(batch, goes, "texts", tallies)
    show_images(batch, goes, rule, removed)
    return batch.filter(pa.array(~goes))


def show_images(batch: pa.RecordBatch, goes: np.ndarray, rule: str, removed: Removed | None) -> None:
    """Let the sample have the texts of the images for which `goes` is true."""
    if removed:
        texts, offsets = parts(batch["candidates"])
        image = np.repeat(np.arange(batch.num_rows), np.diff(offsets))
        chosen = np.flatnonzero((goes & removed.drawn(batch))[image])
        removed.add(batch, texts.take(pa.array(chosen)), image[chosen], pa.repeat(rule, len(chosen)))


def tally_texts(batch: pa.RecordBatch, images: np.ndarray, name: str, tallies: Tallies) -> None:
    """Tally the texts of some images of a MATCHED batch by language."""
    texts, offsets = parts(batch["candidates"])
    tally_languages(texts.field("language").filter(pa.array(np.repeat(images, np.diff(offsets)))), name, tallies)


def tally_languages(languages: pa.Array, name: str, tallies: Tallies, sign: int = 1) -> None:
    """Tally texts, or texts less, given the language of each."""
    for language, number in counted(languages):
        tallies.add(name, sign * number, language)


def counted(strings: pa.Array) -> list[tuple[str, int]]:
    """Return each string that is not null, and how often it is there."""
    counts = pc.value_counts(strings.drop_null())
    return list(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))
