"""Apply a list of checks to images and their texts in Spark tasks, and tally what each check removes.

Each check has three counts: all images (or texts) that fail it, those that fail no other check, and those that fail it
first. A text is counted under its first failed check if its image stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import pyarrow as pa

from curation.gate.removed import Removed
from curation.gate.rewriting import Begin, counted, require_rows_of, tally_languages, tally_texts
from curation.run.hooks import Context
from curation.schemas import MATCHED
from runtime.arrow.buffers import parts
from runtime.storage.own_files import OwnFile
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

    With `by_file` the rule takes the name of the file of images, too.
    """

    title: str
    rule: Rule = _not_made
    of_texts: bool = False
    make: Callable[[Context, Sequence[OwnFile]], Rule] | None = None
    by_file: bool = False

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
    """All checks in order, and the number of tables whose verdicts are joined."""

    checks: tuple[Check, ...]
    tables: int = 0
    known: Callable[[pa.RecordBatch], np.ndarray] | None = None  # the sets that have the URL of each image, as bits

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
        verdicts = Verdicts.of(batch, require_rows_of(batch, rows) if self.tables else None)
        self._tally_tables(batch, verdicts, tallies)
        if self.known is not None:
            verdicts = replace(verdicts, sets=verdicts.sets | self.known(batch).astype(np.int64))
        texts, offsets = parts(batch["candidates"])
        image = np.repeat(np.arange(batch.num_rows), np.diff(offsets))
        by_text = _columns([check.in_file(begin.file)(texts, image, batch) for check in self.of_texts], len(texts))
        by_image = [check.rule(batch, verdicts) for check in self.of_images]
        if begin.removed and self.checks:
            self._show(batch, begin.removed, _columns(by_image, batch.num_rows), by_text)
        if not self.of_texts:
            failed = _columns(by_image, batch.num_rows)
            self._tally_images(batch, failed, tallies)
            return batch.filter(pa.array(~np.any(failed, axis=1)))
        stays = ~by_text.any(axis=1)
        left = np.bincount(image[stays], minlength=batch.num_rows)
        failed = _columns([*by_image, left == 0], batch.num_rows)
        self._tally_images(batch, failed, tallies)
        _tally_texts(texts.field("language"), by_text, np.any(failed[:, :-1], axis=1)[image], tallies)
        place, lists = batch.schema.get_field_index("candidates"), _lists(texts.filter(pa.array(stays)), left)
        batch = batch.set_column(place, MATCHED.field("candidates"), lists)
        return batch.filter(pa.array(~np.any(failed, axis=1)))

    def _show(self, batch: pa.RecordBatch, removed: Removed, by_image: np.ndarray, by_text: np.ndarray) -> None:
        """Let the sample have the texts that go, each under the first check that its image fails, or else the text."""
        texts, offsets = parts(batch["candidates"])
        image = np.repeat(np.arange(batch.num_rows), np.diff(offsets))
        chosen = np.flatnonzero(removed.drawn(batch)[image])
        own, checks = image[chosen], [*self.of_images, *self.of_texts]
        failed = np.hstack([by_image[own], by_text[chosen]])
        titles = pa.array([check.title for check in checks], pa.string())
        rules = titles.take(pa.array(failed.argmax(axis=1), mask=~failed.any(axis=1)))
        removed.add(batch, texts.take(pa.array(chosen)), own, rules)

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

    def _tally_images(self, batch: pa.RecordBatch, failed: np.ndarray, tallies: Tallies) -> None:
        first = _first(failed)
        _tally(failed, first, "", tallies)
        for number in range(len(self.of_images)):
            tally_texts(batch, first[:, number], f"texts.{number}", tallies)


def bits(numbers: np.ndarray, count: int) -> np.ndarray:
    """Return bool[row, bit] of the lowest `count` bits of numbers."""
    return (numbers[:, None] >> np.arange(count)[None, :] & 1).astype(bool)


def _tally_texts(languages: pa.Array, failed: np.ndarray, of_others: np.ndarray, tallies: Tallies) -> None:
    """Tally the removed texts of images that pass all checks except the last one, that a text is left."""
    first = _first(failed) & ~of_others[:, None]
    _tally(failed, first, "rule.", tallies)
    for number in range(failed.shape[1]):
        tally_languages(languages.filter(pa.array(first[:, number])), f"rule.texts.{number}", tallies)


def _tally(failed: np.ndarray, first: np.ndarray, prefix: str, tallies: Tallies) -> None:
    alone = failed & (failed.sum(axis=1) == 1)[:, None]
    for name, chosen in (("failed", failed), ("alone", alone), ("removed", first)):
        for number, count in enumerate(chosen.sum(axis=0).tolist()):
            tallies.add(f"{prefix}{name}.{number}", count)


def _first(failed: np.ndarray) -> np.ndarray:
    return failed & (np.cumsum(failed, axis=1) == 1)


def _columns(columns: list[np.ndarray], rows: int) -> np.ndarray:
    return np.column_stack(columns) if columns else np.zeros((rows, 0), bool)


def _lists(texts: pa.StructArray, counts: np.ndarray) -> pa.ListArray:
    """Return lists with these numbers of texts."""
    return pa.ListArray.from_arrays(pa.array(np.append(0, np.cumsum(counts)), pa.int32()), texts)
