"""In tasks, apply a step's change, such as a list of checks, to files of matched images, and tally its effects.

For each check, three numbers are tallied: of the rows (images or texts) that fail it, of those that fail only it, and
of those for which it is the first failed check. A text is counted under its first failed check if its image stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.image_ids import KEY_NAMES
from curation.joins.uid_join import Groups, buckets_of, deal, send_images
from curation.leaves.gate.conditions import Conditions
from curation.leaves.gate.mending import Mending, with_texts
from curation.leaves.gate.steps import Removed, StepFolder
from curation.run.request import Context
from curation.schemas import MATCHED, MATCHED_ROW_GROUP
from runtime.arrow import parts
from runtime.buckets import Block, Packer
from runtime.engine import Receive
from runtime.partitioning import group_buckets, senders, sending
from runtime.placed_rows import Places, RowStream
from runtime.storage.own_files import OwnFile, tally
from runtime.storage.parquet import batches, part_writer, row_counts
from runtime.tallies import Tallies

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
    known: Callable[[pa.RecordBatch], np.ndarray] | None = None  # the sets that have the URL of each image, as bits
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
        sets = sets if self.known is None else sets | self.known(batch).astype(np.int64)
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
        names = [f"texts.{each}" for each in range(number)]
        names += [f"rule.texts.{each}" for each in range(len(self.of_texts))]
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
    for number, own in enumerate(failed):
        for name, rows in (("failed", own), ("alone", own & once), ("removed", first == number)):
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


def written(
    images: Sequence[OwnFile], places: Places, schema: pa.Schema, change: Change, folder: StepFolder
) -> Receive:
    """Return the function that tasks call with blocks of rows, of `schema`, about images, to rewrite their files."""
    write = partial(rewrite_one, images=[*images], change=change, folder=folder)
    return partial(places.written, schema=schema, write=write)


def rewrite_one(number: int, rows: RowStream, images: Sequence[OwnFile], change: Change, folder: StepFolder) -> Tallies:
    """Rewrite the file `number` of `images` by `change`; `rows` has rows about images of this file and of others."""
    return rewrite(images[number], change, folder, number, rows)


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


@dataclass(frozen=True)
class ByKey:
    """An exchange that brings the images in files together with the rows of tables about them, by KEY.

    `read(file)` yields the rows in a file of a table, as KEY and other columns of `schema`. Of each image, KEY, PLACE
    and the columns `named` are sent. Results go to the files of the images.
    """

    images: list[OwnFile]
    read: Callable[[Any], Iterator[dict[str, pa.Array]]]
    schema: pa.Schema
    named: tuple[str, ...] = ()

    @cached_property
    def places(self) -> Places:
        """The layout of the images in their files."""
        return Places.of(row_counts(self.images))

    @property
    def buckets(self) -> int:
        """The number of buckets of keys."""
        return self.cut[0]

    @property
    def cut(self) -> tuple[int, int]:
        """The number of buckets of keys, and the number of tasks for them, if each image has about one row."""
        return group_buckets(2 * self.places.images)

    def items(self, files: Sequence[Any]) -> list[list[tuple[int, Any]]]:
        """Return the items for `send`, a list per task: numbered files of images, and these files of tables with -1."""
        sides: list[list[tuple[int, Any]]] = [[*enumerate(self.images)], [(-1, file) for file in files]]
        return [item for side in sides for item in senders(side, self.places.images, self.buckets)]

    def send(self, items: Sequence[tuple[int, Any]], tallies: Tallies) -> Iterator[Block]:
        """Yield the rows of images and tables in these items, in blocks by key; tally those of tables."""
        packer = sending(self.buckets)
        for number, file in items:
            if number >= 0:
                yield from send_images(number, file, self.schema, packer, self._columns)
                continue
            for known in self.read(file):
                tallies.add("rows", len(known[KEY_NAMES[0]]))
                yield from deal(packer, known, self.schema, len(known[KEY_NAMES[0]]))
        yield from packer.finish()

    def _columns(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        return {name: batch[name] for name in self.named}

    def grouped(self, blocks: Iterator[bytes]) -> Iterator[tuple[pa.RecordBatch, Groups]]:
        """Yield the rows of each bucket, and their groups by image."""
        return buckets_of(blocks, self.buckets, self.schema)


def dealt(
    packer: Packer, batches: Iterable[pa.RecordBatch], keys: Callable[[pa.RecordBatch], np.ndarray]
) -> Iterator[Block]:
    """Pack the rows of all batches into blocks, and yield these; `keys` returns the rows' keys."""
    for rows in batches:
        yield from packer.deal(rows, keys(rows))
    yield from packer.finish()


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


def without_rows(
    batch: pa.RecordBatch,
    rows: pa.RecordBatch | None,
    begin: Begin,
    tallies: Tallies,
    rule: str,
    stay: bool = False,
) -> pa.RecordBatch:
    """Return the images of a MATCHED batch about which `rows` has no row or, with `stay`, has one.

    The other images are tallied as by `without`.
    """
    goes = np.full(batch.num_rows, stay)
    if rows is not None:
        goes[rows["row"].to_numpy() - begin.row] = not stay
    return without(batch, goes, rule, begin.removed, tallies)


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
