"""Compare two manifests image by image: the rows of both meet by uid, in buckets, in tasks of an engine.

The driver holds sums, by language and by entry, and a few examples. `facts` turns them into a description.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.image_ids import hashes, spelled_keys
from curation.plugins.compare.entry_changes import SIDES, compared_entries, count_kept
from curation.plugins.compare.manifests import ROWS, AnyFile, ImageColumn, Manifest, read_keyed, rows_at
from curation.plugins.joins.uid_join import JOINED_ROWS, Groups, spread_keys
from runtime.buckets import group_buckets
from runtime.cogroup import SIDE, Grouping, Rows, Side, cogroup
from runtime.draws import draws
from runtime.engine import Engine, EngineLike, engine_of
from runtime.progress import Progress
from runtime.tallies import Tallies, TaskResult
from runtime.wording import quotient

EXAMPLES = 12  # the number of examples of each difference
EXAMPLE_CHARACTERS = 500  # A longer text or URL of an example is cut.
IMAGES = "images"  # the name of a tally of the images of each of SIDES, and of each of the following groups
# These are groups of images, by the sides that have them; OTHER_TEXT has the images of both with different texts. The
# first three are also names of tallies by language, and all but BOTH are names of lists of examples.
BOTH, ONLY_ONE, ONLY_OTHER, OTHER_TEXT = "both", "only_one", "only_other", "other_text"
AGAIN = "again"  # the name of a tally, by side, of the rows that another seed is expected to keep again
EXAMPLE_COLUMNS = ("uid", "url", "text", "language", "probability", "page_url")

# The rows of both sides. `language` is an index in the list of languages, and `text` a hash of the uid and the text.
# These two are null unless both sides are runs.
COMPARED = pa.schema([*JOINED_ROWS, SIDE, pa.field("language", pa.int16()), pa.field("text", pa.int64())])


@dataclass(frozen=True, eq=False)
class ManifestComparison:
    """Two manifests, the sums over their images, examples by the kind of difference, and a row for each entry."""

    one: Manifest
    other: Manifest
    sums: TaskResult
    examples: dict[str, list[dict[str, Any]]]
    entries: pa.Table | None  # as `compared_entries` returns them; None unless both are runs

    @property
    def languages(self) -> dict[str, dict[str, int]]:
        """The images that both have, and that only one of them has, by language; {} unless both are runs."""
        by_name = {name: self.sums.by_language(name) for name in (ONLY_ONE, BOTH, ONLY_OTHER)}
        codes = sorted({code for counts in by_name.values() for code in counts})
        return {code: {name: int(counts.get(code, 0)) for name, counts in by_name.items()} for code in codes}

    def by_chance(self, side: str) -> float | None:
        """Return the share of the rows of a side (`one` or `other`) that another seed is expected to keep again."""
        number = SIDES.index(side)
        return quotient(self.sums[AGAIN, number], self.sums[ROWS, number])


def compare(
    one: Manifest, other: Manifest, engine: EngineLike = None, progress: Progress | None = None
) -> ManifestComparison:
    """Compare two manifests in tasks of an engine; `engine` is None for processes of this machine."""
    progress = progress or Progress()
    engine = engine_of(engine)
    engine.start(progress)
    with progress.stage("compare images", "ranges"):
        sums = _compare_images(engine, one, other)
    with progress.stage("read examples"):
        examples = _examples(engine, one, other, sums)
    entries = None
    if one.run and other.run:
        with progress.stage("count entries of the kept texts", "ranges"):
            kept = count_kept(engine, [one.run, other.run])
        entries = compared_entries(one.run, other.run, kept)
    return ManifestComparison(one, other, sums, examples, entries)


def _compare_images(engine: Engine, one: Manifest, other: Manifest) -> TaskResult:
    languages: list[str] = []
    if one.run and other.run:
        languages = sorted({*one.run.facts["languages"], *other.run.facts["languages"]})
    sides = []
    for number, manifest in enumerate((one, other)):
        more = (manifest.identity, number, languages)
        sides.append(Side(manifest.files, _read, manifest.rows, more=more))
    comparing = Grouping(COMPARED, spread_keys, _compare, *group_buckets(one.rows + other.rows), more=(languages,))
    return cogroup(engine, sides, comparing)


def _read(
    number: int, file: AnyFile, result: TaskResult, identity: ImageColumn, side: int, languages: list[str]
) -> Rows:
    """Yield the rows of a file with columns of COMPARED; tally the probabilities with which a run kept them."""
    if not languages:
        yield from read_keyed(number, file, result, identity, side)
        return
    codes = pa.array(languages)
    for rows in read_keyed(number, file, result, identity, side, "uid", "language", "text", "probability"):
        result.add(AGAIN, pc.sum(rows["probability"]).as_py() or 0, item=side)
        columns = {name: rows[name] for name in rows.schema.names if name in COMPARED.names}
        columns["language"] = pc.index_in(rows["language"], codes).cast(pa.int16())
        columns["text"] = pa.array(hashes(rows["uid"], rows["text"]))
        yield pa.RecordBatch.from_pydict(columns)


def _compare(task: int, buckets: Iterator[Rows], result: TaskResult, languages: list[str]) -> None:
    """Tally the images of some buckets by who has them, and note examples of each difference."""
    for bucket in buckets:
        rows = pa.concat_batches([*bucket])
        places = _rows_by_image(rows)
        has = places >= 0
        for side, name in enumerate(SIDES):
            result.add(IMAGES, int(has[:, side].sum()), item=name)
        first = rows.take(pa.array(np.where(has[:, 0], places[:, 0], places[:, 1])))
        both = has.all(axis=1)
        masks = {BOTH: both, ONLY_ONE: ~has[:, 1], ONLY_OTHER: ~has[:, 0]}
        for name, mask in masks.items():
            result.add(IMAGES, int(mask.sum()), item=name)
            _tally_languages(name, first["language"].filter(pa.array(mask)), languages, result)
        del masks[BOTH]
        if languages:
            texts = rows["text"].to_numpy()
            masks[OTHER_TEXT] = both & (texts[places[:, 0]] != texts[places[:, 1]])
            result.add(IMAGES, int(masks[OTHER_TEXT].sum()), item=OTHER_TEXT)
        for name, mask in masks.items():
            result.note(name, *_drawn(rows, first, places, np.flatnonzero(mask)))


def _rows_by_image(rows: pa.RecordBatch) -> np.ndarray:
    """Return the index of the row of each image in ONE and in OTHER, int64[image, 2]; -1 where there is none.

    If a side has several rows of an image, the first one counts.
    """
    image = Groups.of(rows).numbers
    side = rows["side"].to_numpy()
    order = np.arange(rows.num_rows)
    slots = 2 * image + side
    if (np.bincount(slots) > 1).any():
        order = np.lexsort((rows["row"].to_numpy(), rows["file"].to_numpy()))
    places = np.full(2 * (int(image.max()) + 1), -1)
    places[slots[order[::-1]]] = order[::-1]  # The last assignment holds: the one of the first row.
    return places.reshape(-1, 2)


def _tally_languages(name: str, indices: pa.Array, languages: list[str], result: Tallies) -> None:
    counts = np.bincount(indices.drop_null().to_numpy(), minlength=len(languages))
    for number in np.flatnonzero(counts):
        result.add(name, int(counts[number]), language=languages[number])


def _drawn(rows: pa.RecordBatch, first: pa.RecordBatch, places: np.ndarray, images: np.ndarray) -> list[list]:
    """Return the EXAMPLES of these images with the smallest draws: the draw, and file and row on each side, or None."""
    draw = draws(0, "compare", spelled_keys(first.take(pa.array(images))))
    smallest = np.argsort(draw)[:EXAMPLES]
    drawn = []
    for chosen in smallest.tolist():
        of_sides = [_place(rows, index) for index in places[images[chosen]].tolist()]
        drawn.append([draw[chosen].item(), *of_sides])
    return drawn


def _place(rows: pa.RecordBatch, index: int) -> list[int] | None:
    return None if index < 0 else [rows["file"][index].as_py(), rows["row"][index].as_py()]


def _examples(engine: Engine, one: Manifest, other: Manifest, sums: TaskResult) -> dict[str, list[dict[str, Any]]]:
    """Return examples of each difference; each has the row in `one`, the row in `other`, or both."""
    drawn = {name: heapq.nsmallest(EXAMPLES, sums.noted(name)) for name in (ONLY_ONE, ONLY_OTHER, OTHER_TEXT)}
    wanted: dict[tuple[int, int], set[int]] = {}
    for chosen in drawn.values():
        for _, *of_sides in chosen:
            for side, place in enumerate(of_sides):
                if place:
                    wanted.setdefault((side, place[0]), set()).add(place[1])
    sides = (one, other)
    items = []
    for (side, number), rows in sorted(wanted.items()):
        items.append(_WantedRows(side, sides[side].identity, number, sides[side].files[number], sorted(rows)))
    read = engine.run(items, _read_rows)
    rows_by_place = {(side, file, row): values for side, file, row, values in read.noted("rows")}
    examples: dict[str, list[dict[str, Any]]] = {}
    for name, chosen in drawn.items():
        examples[name] = []
        for _, *of_sides in chosen:
            example = {}
            for side, place in enumerate(of_sides):
                if place:
                    example[SIDES[side]] = rows_by_place[(side, *place)]
            examples[name].append(example)
    return examples


@dataclass(frozen=True)
class _WantedRows:
    """Rows of a file that are shown as examples."""

    side: int
    column: ImageColumn
    number: int  # the number of the file
    file: AnyFile
    rows: Sequence[int]


def _read_rows(wanted: _WantedRows) -> TaskResult:
    """Note rows of a file, each with the numbers of its side, its file and its place in the file."""
    result = TaskResult()
    column = wanted.column.column
    for row, values in rows_at(wanted.file, wanted.rows, [*dict.fromkeys([column, *EXAMPLE_COLUMNS])]):
        identity = {"uid" if wanted.column.is_uid else "url": values.pop(column)}
        shown = {name: _cut(value) for name, value in (identity | values).items()}
        result.note("rows", [wanted.side, wanted.number, row, shown])
    return result


def _cut(value: Any) -> Any:
    if isinstance(value, float | int | None):
        return value
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= EXAMPLE_CHARACTERS else f"{text[: EXAMPLE_CHARACTERS - 1]}…"
