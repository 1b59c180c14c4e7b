"""Filters decide which images and texts are removed, rewrites change texts; both are plain functions of a batch.

`decide` applies the filters of a step to a batch. A filter neither counts nor writes: `Decision.tally` counts for all
of them. Three numbers are tallied for each filter: the rows (images or texts) that it removes, the rows that no other
filter of its scope removes, and the rows for which it is the first filter that removes them. A text is counted under
its first filter only if no filter of images removes its image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from operator import is_not
from typing import Any, TypeVar
from weakref import ref

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.schemas import CANDIDATE, MATCHED
from runtime.arrow import parts
from runtime.tallies import Tallies

Result = TypeVar("Result")

IMAGE, TEXT = "image", "text"  # the scopes of filters
COUNTS = (
    "failed",
    "alone",
    "removed",
)  # Rows that a filter removes: all; no other filter does; no earlier filter does.
TEXT_LEFT = "a text is left"  # the last condition on images, if there are filters of texts
OF_TEXT = "candidates."  # the beginning of the names of columns that are fields of texts


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Some matched images of a file, and all their texts.

    images: rows with the schema MATCHED.
    texts: structs with the fields of CANDIDATE, in the order of the images.
    image: the row of each text's image, int64[text].
    rows: rows that a step joins to these images; None if it joins none, or has none about these images.
    file: the name of the file.
    begin: the position of the first image in the file.
    stated: the texts before a rewrite changed them; None if none did.
    """

    images: pa.RecordBatch
    texts: pa.StructArray
    image: np.ndarray
    rows: pa.RecordBatch | None = None
    file: str = ""
    begin: int = 0
    stated: pa.StructArray | None = None

    @classmethod
    def of(
        cls, images: pa.RecordBatch, rows: pa.RecordBatch | None = None, file: str = "", begin: int = 0
    ) -> ImageBatch:
        """Return these images with all their texts."""
        texts, offsets = parts(images["candidates"])
        image = np.repeat(np.arange(images.num_rows), np.diff(offsets))
        return cls(images=images, texts=texts, image=image, rows=rows, file=file, begin=begin)

    def joined(self, column: str) -> pa.Array:
        """Return a column of the joined rows, a value for each image; ValueError if there is not one row for each."""
        if self.rows is None or self.rows.num_rows != self.images.num_rows:
            came = 0 if self.rows is None else self.rows.num_rows
            raise ValueError(f"{came} rows were joined to {self.images.num_rows} images; expected one row for each")
        return self.rows[column]

    def with_some_texts(self, numbers: np.ndarray) -> ImageBatch:
        """Return the batch with only the texts at the indices `numbers`; `images` is unchanged."""
        return replace(self, texts=self.texts.take(pa.array(numbers)), image=self.image[numbers])

    def with_texts(self, texts: pa.StructArray, lengths: np.ndarray) -> ImageBatch:
        """Return the batch with other texts: the i-th image gets the next lengths[i]."""
        images = replace_texts(self.images, texts, lengths)
        image = np.repeat(np.arange(len(lengths)), lengths)
        return replace(self, images=images, texts=texts, image=image, stated=self.texts_as_stated)

    @property
    def texts_as_stated(self) -> pa.StructArray:
        """The texts as the file states them, before a rewrite."""
        return self.texts if self.stated is None else self.stated


def shared(make: Callable[..., Result]) -> Callable[..., Result]:
    """Return a function of a batch with a cache of its last result, which filters of the same batch share.

    The result is dropped when the batch is deleted. Arguments are compared by identity.
    """
    last: list[tuple[ref[Any], tuple[Any, ...], Result]] = []

    @wraps(make)
    def made(batch: Any, *others: Any) -> Result:
        if not last or last[0][0]() is not batch or any(map(is_not, last[0][1], others)):
            last[:] = [(ref(batch, lambda _: last.clear()), others, make(batch, *others))]
        return last[0][2]

    return made


@dataclass(frozen=True)
class Filter:
    """Decides which images or texts of a batch are removed.

    title: says, in words, which rows stay; or the rule as a user writes it.
    scope: IMAGE or TEXT: whether images or texts are removed.
    function: takes an ImageBatch and `arguments`; returns a mask, bool[image] or bool[text], of the rows to remove.
    columns: the columns of MATCHED that the function reads; `candidates.text` is the field `text` of texts.
    joined: the columns of the joined rows that it reads.
    removes: says which rows are removed, if the title does not say which stay.
    why: takes an ImageBatch and `arguments`; returns for each text why it is removed.
    is_silent: texts that this filter would remove are never written to the sample, whichever filter removes them.
    """

    title: str
    scope: str
    function: Callable[..., np.ndarray]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    columns: Sequence[str] = ()
    joined: Sequence[str] = ()
    removes: str | None = None
    why: Callable[..., list[str]] | None = None
    is_silent: bool = False

    def __post_init__(self) -> None:
        if self.scope not in (IMAGE, TEXT):
            raise ValueError(f"the filter {self.title!r} has the scope {self.scope!r}; expected {IMAGE!r} or {TEXT!r}")
        of_texts = [f"{OF_TEXT}{field_of_texts.name}" for field_of_texts in CANDIDATE]
        unknown = {*self.columns} - {*MATCHED.names, *of_texts}
        if unknown:
            raise ValueError(f"the filter {self.title!r} reads {min(unknown)}, which matched images do not have")

    def mask(self, batch: ImageBatch) -> np.ndarray:
        """Return a mask, bool[image] or bool[text] by scope: True for rows that the filter removes."""
        return self.function(batch, **self.arguments)

    def mask_of_texts(self, batch: ImageBatch) -> np.ndarray:
        """Return bool[text]: whether each text, or its image, is removed."""
        mask = np.asarray(self.mask(batch))
        return mask[batch.image] if self.scope == IMAGE else mask

    def reasons(self, batch: ImageBatch) -> list[str | None]:
        """Return why each text is removed; None if the filter has no `why`."""
        return [None] * len(batch.texts) if self.why is None else [*self.why(batch, **self.arguments)]


@dataclass(frozen=True)
class Rewrite:
    """Changes the texts, or other columns, of a batch; the number and the order of the images stay.

    `function` takes an ImageBatch, tallies to add to, and `arguments`; it returns the changed batch.
    """

    function: Callable[..., ImageBatch]
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def changed(self, batch: ImageBatch, tallies: Tallies) -> ImageBatch:
        """Return the changed batch."""
        return self.function(batch, tallies, **self.arguments)


@dataclass(frozen=True, eq=False)
class Decision:
    """The decision of filters about a batch.

    of_images: bool[filter, image], the images that each filter of images removes; if there are filters of texts, a
        last row says which images have no text left.
    of_texts: bool[filter, text], the texts that each filter of texts removes.
    first: the number of the first filter that removes each text or its image, int[text]: filters of images come first.
        The number of filters stands for a text that stays.
    first_of_image: the number of the first row of `of_images` that removes each image; the number of rows if it stays.
    """

    batch: ImageBatch
    filters: Sequence[Filter]
    of_images: np.ndarray
    of_texts: np.ndarray
    first: np.ndarray
    first_of_image: np.ndarray

    def stays(self) -> pa.RecordBatch:
        """Return the images that stay, with the texts that stay."""
        images = self.batch.images
        if not self.filters:
            return images
        passes = self.first_of_image == len(self.of_images)
        if not len(self.of_texts):
            return images.filter(pa.array(passes))
        is_left = self.first == len(self.filters)
        lengths = np.bincount(self.batch.image[is_left], minlength=images.num_rows)[passes]
        return replace_texts(images, self.batch.texts.filter(pa.array(is_left)), lengths, passes)

    def tally(self, tallies: Tallies) -> None:
        """Add the numbers of images and texts that each filter removes, and the languages of the texts."""
        numbers = [*range(len(self.filters))]
        images = len(numbers) - len(self.of_texts)
        tally_failures(self.of_images, self.first_of_image, [*numbers[:images], len(numbers)], tallies)
        tally_failures(self.of_texts, self.first - images, numbers[images:], tallies)
        tally_languages_by(self.batch.texts.field("language"), self.first, len(numbers), tallies)


def decide(batch: ImageBatch, filters: Sequence[Filter]) -> Decision:
    """Apply filters to a batch; return their decision."""
    of_images = with_scope(filters, IMAGE)
    of_texts = with_scope(filters, TEXT)
    text_masks = _matrix([text_filter.mask(batch) for text_filter in of_texts], len(batch.texts))
    image_masks = _matrix([image_filter.mask(batch) for image_filter in of_images], batch.images.num_rows)
    by_image = first_failed(image_masks)[batch.image]
    by_text = first_failed(text_masks)
    first = np.where(by_image < len(of_images), by_image, len(of_images) + by_text)
    if of_texts:
        texts_left = np.bincount(batch.image[by_text == len(of_texts)], minlength=batch.images.num_rows)
        image_masks = np.concatenate([image_masks, [texts_left == 0]])
    return Decision(
        batch=batch,
        filters=[*of_images, *of_texts],
        of_images=image_masks,
        of_texts=text_masks,
        first=first,
        first_of_image=first_failed(image_masks),
    )


def with_scope(filters: Sequence[Filter], scope: str) -> list[Filter]:
    """Return only the filters of a scope, in their order."""
    return [one for one in filters if one.scope == scope]


def facts_of_filters(filters: Sequence[Filter], counted: Tallies) -> dict[str, list[dict[str, Any]]]:
    """Return facts for run.json: `conditions`, a dict for each filter of images, and `texts`, for filters of texts."""
    ordered = [*with_scope(filters, IMAGE), *with_scope(filters, TEXT)]
    facts: dict[str, list[dict[str, Any]]] = {IMAGE: [], TEXT: []}
    for number, one in enumerate(ordered):
        facts[one.scope].append(_fact(one.title, one.removes, counted, number))
    if facts[TEXT]:
        facts[IMAGE].append(_fact(TEXT_LEFT, "images without a text left", counted, len(ordered)))
    return {"conditions": facts[IMAGE], "texts": facts[TEXT]}


def _fact(title: str, removes: str | None, counted: Tallies, number: int) -> dict[str, Any]:
    """Return the row of run.json about the filter with a number."""
    fact: dict[str, Any] = {"text": title}
    if removes:
        fact["removes"] = removes
    fact |= {name: counted[name, number] for name in COUNTS}
    return fact | {"removed_texts": counted.by_language("texts", number)}


def has_row(batch: ImageBatch) -> np.ndarray:
    """Return bool[image]: which images a joined row is about."""
    mask = np.zeros(batch.images.num_rows, bool)
    if batch.rows is not None:
        mask[batch.rows["row"].to_numpy() - batch.begin] = True
    return mask


def has_no_row(batch: ImageBatch) -> np.ndarray:
    """Return bool[image]: which images no joined row is about."""
    return ~has_row(batch)


def replace_texts(
    images: pa.RecordBatch, texts: pa.StructArray, lengths: np.ndarray, stays: np.ndarray | None = None
) -> pa.RecordBatch:
    """Return MATCHED images with other texts: the i-th image gets the next lengths[i].

    `stays`, if given, is a mask, bool[image]: the other images are left out, and have no length.
    """
    lists = pa.ListArray.from_arrays(pa.array(np.append(0, np.cumsum(lengths)), pa.int32()), texts)
    place = images.schema.get_field_index("candidates")
    others = images.remove_column(place)
    if stays is not None:
        others = others.filter(pa.array(stays))
    return others.add_column(place, MATCHED.field("candidates"), lists)


def _matrix(masks: Sequence[np.ndarray], rows: int) -> np.ndarray:
    """Return bool[filter, row], given one bool[row] per filter."""
    return np.array(masks, bool).reshape(len(masks), rows)


def first_failed(failed: np.ndarray) -> np.ndarray:
    """Return the number of the first filter that removes each row, or the number of filters for a row that stays.

    `failed` is bool[filter, row].
    """
    first = np.full(failed.shape[1], len(failed), np.int32)
    for number in reversed(range(len(failed))):  # np.argmax over the rows would take four times as long.
        first[failed[number]] = number
    return first


def tally_failures(failed: np.ndarray, first: np.ndarray, numbers: Sequence[int], tallies: Tallies) -> None:
    """Tally COUNTS for each filter, by its number.

    `failed` is bool[filter, row]; `first` has, for each row, the index in `failed` of the first filter that removes it.
    """
    is_alone = failed.sum(axis=0, dtype=np.int16) == 1
    for index, fails in enumerate(failed):
        for name, rows in zip(COUNTS, (fails, fails & is_alone, first == index), strict=True):
            tallies.add(name, int(np.count_nonzero(rows)), item=numbers[index])


def tally_languages_by(languages: pa.Array, first: np.ndarray, filters: int, tallies: Tallies) -> None:
    """Tally removed texts by language and by the number of the first filter that removes them.

    `first` has this number for each text, or `filters`, the number of all filters, for a text that stays.
    """
    is_removed = pc.and_(pa.array(first < filters), languages.is_valid())
    rows = pa.table({"first": first, "language": languages}).filter(is_removed)
    counts = rows.group_by(["first", "language"], use_threads=False).aggregate([([], "count_all")])
    for row in counts.to_pylist():
        tallies.add("texts", row["count_all"], item=row["first"], language=row["language"])


def difference(texts: Mapping[str, float], others: Mapping[str, float]) -> dict[str, float]:
    """Return, by language, `texts` minus `others`; languages with no difference are left out.

    >>> difference({"de": 1, "en": 3}, {"de": 1, "fr": 2})
    {'en': 3, 'fr': -2}
    """
    differences = {code: texts.get(code, 0) - others.get(code, 0) for code in sorted({*texts, *others})}
    return {code: number for code, number in differences.items() if number}


def tally_languages(languages: pa.Array, name: str, tallies: Tallies) -> None:
    """Tally the number of texts in each language."""
    for language, number in counts_of(languages):
        tallies.add(name, number, language=language)


def counts_of(strings: pa.Array) -> list[tuple[str, int]]:
    """Return each distinct string that is not null, with the number of times that it occurs."""
    counts = pc.value_counts(strings.drop_null())
    return list(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))
