"""In tasks, apply a step's change, such as a list of checks, to files of matched images, and tally its effects.

For each check, three numbers are tallied: of the rows (images or texts) that fail it, of those that fail only it, and
of those for which it is the first failed check. A text is counted under its first failed check if its image stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.leaves.gate.conditions import Conditions
from curation.leaves.gate.mending import Mending, with_texts
from curation.leaves.gate.steps import Removed, StepFolder
from curation.schemas import MATCHED, MATCHED_ROW_GROUP
from runtime.arrow import parts
from runtime.placed_rows import RowStream
from runtime.storage.own_files import OwnFile, tally
from runtime.storage.parquet import batches, part_writer
from runtime.tallies import Tallies

if TYPE_CHECKING:
    from curation.run.request import Context

MET = "met_"  # columns that say whether a condition holds begin with this
TEXT_LEFT = "a text is left"  # the last check of images where there are any of texts
# A rule of images takes a MATCHED batch with the columns of its joined rows (`joined_tables`), MET and a number for
# each condition, and `stated`, the candidates before they were mended; its metadata names its `file`. The rule returns
# which images must go, bool[image]. A rule of texts takes all texts of the batch, the row of each text's image, and the
# batch; it returns which texts must go, bool[text].
Rule = Callable[..., np.ndarray]


def _not_made(*_: object) -> np.ndarray:
    raise TypeError("the rule of this check is made of images first")


@dataclass(frozen=True)
class Check:
    """One check of images or, with `of_texts`, of each text.

    `make`, if given, builds the rule from the files of all images. `removes` says what the check removes, if the title
    does not tell what stays.
    """

    title: str
    rule: Rule = _not_made
    of_texts: bool = False
    make: Callable[[Context, Sequence[OwnFile]], Rule] | None = None
    removes: str | None = None

    def made(self, context: Context, images: Sequence[OwnFile]) -> Check:
        """Return the check with its rule; `images` are all files of images, from which `make` may build it."""
        return self if self.make is None else replace(self, rule=self.make(context, images), make=None)


@dataclass(frozen=True)
class Checks:
    """All checks, in order; `mending`, if given, mends texts before them.

    `tables` is the number of tables that are joined, over whose columns `conditions` are.
    """

    checks: tuple[Check, ...]
    tables: int = 0
    conditions: Conditions | None = None
    sets_by_url: Callable[[pa.RecordBatch], np.ndarray] | None = None  # the sets with the URL of each image, as bits
    mending: Mending | None = None

    @cached_property
    def of_images(self) -> list[Check]:
        """The checks of images."""
        return [check for check in self.checks if not check.of_texts]

    @cached_property
    def of_texts(self) -> list[Check]:
        """The checks of texts."""
        return [check for check in self.checks if check.of_texts]

    @property
    def titles(self) -> list[str]:
        """The checks of images in words; if there are checks of texts, the last one is that a text remains."""
        return [check.title for check in self.of_images] + ([TEXT_LEFT] if self.of_texts else [])

    def __call__(
        self, batch: pa.RecordBatch, rows: pa.RecordBatch | None, begin: Begin, tallies: Tallies
    ) -> pa.RecordBatch:
        """Return the images of a MATCHED batch that pass all checks, with the texts that may stay; tally the others."""
        stated = batch["candidates"]
        batch = self.mending(batch, tallies) if self.mending else batch
        columns = dict(zip(batch.schema.names, batch.columns, strict=True)) | {"stated": stated}
        sets = np.zeros(batch.num_rows, np.int64)
        if self.tables:
            if rows is None or rows.num_rows != batch.num_rows:
                raise ValueError(f"{rows.num_rows if rows else 0} rows came for {batch.num_rows} images")
            columns |= dict(zip(rows.schema.names, rows.columns, strict=True))
            sets = rows["sets"].to_numpy()
            self._tally_differing(batch, rows, tallies)
        sets = sets if self.sets_by_url is None else sets | self.sets_by_url(batch).astype(np.int64)
        columns["sets"] = pa.array(sets)
        if self.conditions and rows:
            columns |= {f"{MET}{number}": pa.array(met) for number, met in enumerate(self.conditions.met(rows))}
        judged = pa.RecordBatch.from_pydict(columns, metadata={"file": begin.file})
        texts, offsets = parts(batch["candidates"])
        image = np.repeat(np.arange(batch.num_rows), np.diff(offsets))
        of_texts = _matrix([check.rule(texts, image, judged) for check in self.of_texts], len(texts))
        of_images = _matrix([check.rule(judged) for check in self.of_images], batch.num_rows)
        by_image, by_text, number = first_failed(of_images)[image], first_failed(of_texts), len(self.of_images)
        first = np.where(by_image < number, by_image, number + by_text)  # the first check that removes each text
        if begin.removed and self.checks:
            self._show(batch, texts, image, first, begin.removed)
        if self.of_texts:
            left = np.bincount(image[by_text == len(self.of_texts)], minlength=batch.num_rows)
            of_images = np.concatenate([of_images, [left == 0]])
        first_of_image = first_failed(of_images)
        tally_failures(of_images, first_of_image, "", tallies)
        tally_failures(of_texts, first - number, "rule.", tallies)
        names = [f"texts.{k}" for k in range(number)]
        names += [f"rule.texts.{k}" for k in range(len(self.of_texts))]
        tally_languages_by(texts.field("language"), first, names, tallies)
        passes = first_of_image == len(of_images)
        if not self.of_texts:
            return batch.filter(pa.array(passes))
        stays = first == len(self.checks)
        lengths = np.bincount(image[stays], minlength=batch.num_rows)[passes]
        return with_texts(batch, passes, texts.filter(pa.array(stays)), lengths)

    def _show(
        self, batch: pa.RecordBatch, texts: pa.StructArray, image: np.ndarray, first: np.ndarray, removed: Removed
    ) -> None:
        """Add the texts removed from drawn images to the sample of what the gate removes.

        `image` has the row of each text's image, `first` the number of the first check that each text fails.
        """
        chosen = np.flatnonzero(removed.drawn(batch)[image])
        titles = pa.array([check.title for check in [*self.of_images, *self.of_texts]], pa.string())
        rules = titles.take(pa.array(first[chosen], mask=first[chosen] == len(titles)))
        removed.add(batch, texts.take(pa.array(chosen)), image[chosen], rules)

    def _tally_differing(self, batch: pa.RecordBatch, rows: pa.RecordBatch, tallies: Tallies) -> None:
        """Tally, for each table, the images about which it has differing rows."""
        for table in range(self.tables):
            several = np.flatnonzero(rows[f"differs_{table}"].to_numpy(zero_copy_only=False))
            if len(several):
                if not tallies[f"differing.{table}"]:
                    tallies.add(f"differing_uid.{table}.{batch['uid'][several[0]]}")
                tallies.add(f"differing.{table}", len(several))


def _matrix(failed: Sequence[np.ndarray], rows: int) -> np.ndarray:
    """Return bool[check, row]: whether each row fails each check, given one bool[row] per check."""
    return np.array(failed, bool).reshape(len(failed), rows)


def first_failed(failed: np.ndarray) -> np.ndarray:
    """Return the number of the first check that each row fails, or the number of checks for a row that passes.

    `failed` is bool[check, row].
    """
    first = np.full(failed.shape[1], len(failed), np.int32)
    for number in reversed(range(len(failed))):  # argmax over rows takes four times as long
        first[failed[number]] = number
    return first


def tally_failures(failed: np.ndarray, first: np.ndarray, prefix: str, tallies: Tallies) -> None:
    """Tally, for each check, the rows that fail it (`failed`), that fail only it (`alone`), and that it `removed`.

    `failed` is bool[check, row]; `first` has, for each row, the number of the check that removes it.
    """
    once = failed.sum(axis=0, dtype=np.int16) == 1
    for number, fails in enumerate(failed):
        for name, rows in (("failed", fails), ("alone", fails & once), ("removed", first == number)):
            tallies.add(f"{prefix}{name}.{number}", int(np.count_nonzero(rows)))


def tally_languages_by(languages: pa.Array, kinds: np.ndarray, names: Sequence[str], tallies: Tallies) -> None:
    """Tally texts by language; names[kind] is the name of the tally for texts of a kind.

    Texts of a kind without a name are skipped.
    """
    is_counted = pc.and_(pa.array(kinds < len(names)), languages.is_valid())
    rows = pa.table({"kind": kinds, "language": languages}).filter(is_counted)
    counts = rows.group_by(["kind", "language"], use_threads=False).aggregate([([], "count_all")])
    for row in counts.to_pylist():
        tallies.add(names[row["kind"]], row["count_all"], row["language"])


class Begin(NamedTuple):
    """The name of a file, and the position in it of the first image of a batch.

    `removed` collects a sample of the removed texts; None: no sample is asked for.
    """

    file: str
    row: int
    removed: Removed | None = None


# A change takes a MATCHED batch, the rows about its images (None if the step has no rows), where the batch begins, and
# tallies to add to. It returns the images that stay, as they shall be written.
Change = Callable[[pa.RecordBatch, pa.RecordBatch | None, Begin, Tallies], pa.RecordBatch]


@dataclass(frozen=True)
class Rewriting:
    """Rewrites each of `images` by `change`, to a file of the same name in `folder`."""

    images: Sequence[OwnFile]
    change: Change
    folder: StepFolder

    def write(self, number: int, rows: RowStream) -> Tallies:
        """Rewrite the file `number`; `rows` has rows about images of this file and of others."""
        return rewrite(self.images[number], self.change, self.folder, number, rows)


def rewrite(
    file: OwnFile, change: Change, folder: StepFolder, number: int = 0, rows: RowStream | None = None
) -> Tallies:
    """Write the images of a file, changed by `change`, to a file of the same name in `folder`; return the tallies.

    `number` is the number by which `rows` names the file.
    """
    tallies, row, path = Tallies(), 0, folder / file.path.name
    with part_writer(path, MATCHED, MATCHED_ROW_GROUP) as writer, folder.removed(path.name, tallies) as removed:
        for batch in batches(file, MATCHED_ROW_GROUP):
            begin = Begin(path.name, row, removed)
            row += batch.num_rows
            writer.write(change(batch, rows and rows.take(number, begin.row, row), begin, tallies))
    tallies.add("passed", writer.rows)
    tally(tallies, path, writer.checksum)
    return tallies


def without(
    batch: pa.RecordBatch, goes: np.ndarray, rule: str, removed: Removed | None, tallies: Tallies
) -> pa.RecordBatch:
    """Return the images of a MATCHED batch for which `goes` is false; tally the others, and their texts by language.

    `rule` describes what removes the images, for the sample of removed texts.
    """
    tallies.add("removed", int(goes.sum()))
    tally_texts(batch, goes, "texts", tallies)
    show_images(batch, goes, rule, removed)
    return batch.filter(pa.array(~goes))


@dataclass(frozen=True)
class RemovalByRows:
    """A change that removes the images about which there is a row or, with `stay`, all others.

    `rule` describes what removes the images, for the sample of removed texts.
    """

    rule: str
    stay: bool = False

    def __call__(
        self, batch: pa.RecordBatch, rows: pa.RecordBatch | None, begin: Begin, tallies: Tallies
    ) -> pa.RecordBatch:
        """Return the images of a MATCHED batch that stay; tally the others as `without` does."""
        goes = np.full(batch.num_rows, self.stay)
        if rows is not None:
            goes[rows["row"].to_numpy() - begin.row] = not self.stay
        return without(batch, goes, self.rule, begin.removed, tallies)


def show_images(batch: pa.RecordBatch, goes: np.ndarray, rule: str, removed: Removed | None) -> None:
    """Add the texts of drawn images for which `goes` is true to the sample of what the gate removed."""
    if removed:
        texts, offsets = parts(batch["candidates"])
        image = np.repeat(np.arange(batch.num_rows), np.diff(offsets))
        chosen = np.flatnonzero((goes & removed.drawn(batch))[image])
        removed.add(batch, texts.take(pa.array(chosen)), image[chosen], pa.repeat(rule, len(chosen)))


def tally_texts(batch: pa.RecordBatch, images: np.ndarray, name: str, tallies: Tallies) -> None:
    """Add to the tally `name`, by language, the number of texts of the images, in a MATCHED batch, that a mask selects.

    `images` is the mask, bool[image].
    """
    texts, offsets = parts(batch["candidates"])
    tally_languages(texts.field("language").filter(pa.array(np.repeat(images, np.diff(offsets)))), name, tallies)


def tally_languages(languages: pa.Array, name: str, tallies: Tallies, sign: int = 1) -> None:
    """Tally the number of texts in each language; with a `sign` of -1 subtract it."""
    for language, number in counted(languages):
        tallies.add(name, sign * number, language)


def counted(strings: pa.Array) -> list[tuple[str, int]]:
    """Return each distinct string that is not null, with the number of times that it occurs."""
    counts = pc.value_counts(strings.drop_null())
    return list(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))
