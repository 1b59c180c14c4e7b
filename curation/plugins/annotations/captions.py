"""Captions of images: read from tables, sorted into one file by uid, joined to images, and drawn in place of texts.

A table has the columns `uid` (or `url`) and `caption`. If it has a column `score`, an image gets the caption with the
highest score, else the first one. The optional column `source` names the model that wrote the caption. A draw depends
on the seed, a purpose and the uid, so that an export and a loader draw the same captions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from os import PathLike

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from icu4py.breakers import SentenceBreaker

from curation.image_ids import KEY
from curation.plugins.annotations.mapped_rows import (
    MappedRows,
    rows_by_key,
    save_rows_of,
    sorted_rows,
    sorted_schema,
    work_beside,
)
from curation.plugins.joins.image_tables import File, ImageTable, Paths, is_number
from curation.plugins.joins.uid_join import Table, first
from curation.run.finished_run import FinishedRun, pool_files
from metadata.languages import LOCALE
from runtime.argument_types import require_integer, require_seed, require_share, typed
from runtime.draws import draws
from runtime.errors import InputError, ParameterError
from runtime.messages import quoted_names

CAPTION, SCORE, SOURCE = "caption", "score", "source"
EXPECTED_CAPTIONS = "tables of captions: Parquet files with the columns uid (or url) and caption"
NO_SCORE = -np.inf  # A score that is null, NaN or -inf becomes this: any caption with another score is better.
PART_BYTES = 64 << 20  # Memory holds about so many compressed bytes of a table at a time.
# There is one row per caption. Captions are cleaned as alt texts are, and empty ones are left out.
CAPTION_ROWS = pa.schema(
    [*KEY, pa.field(CAPTION, pa.string()), pa.field(SCORE, pa.float64()), pa.field(SOURCE, pa.string())]
)
_TYPES = (
    (CAPTION, pa.types.is_string, "strings"),
    (SCORE, is_number, "numbers"),
    (SOURCE, pa.types.is_string, "strings"),
)

# The columns that are joined to an image.
JOINED_CAPTION = (
    pa.field("caption", pa.string()),
    pa.field("caption_score", pa.float64()),
    pa.field("caption_source", pa.string()),
)
OF_SOURCE = "caption_"  # The field with the captions of a source has this prefix before the name of the source.
# The best caption of an image is chosen by these fields: of equally good captions, the first in the table is taken.
_ORDER = (JOINED_CAPTION[1], pa.field("caption_number", pa.int64()))

RATIO = 0.15  # This is the ratio of Altogether (2410.17251).
# A caption replaces the text of this share of the images that have a caption; or there is such a share for each source.
Ratio = float | Mapping[str, float]
WHOLE, RANDOM = "whole", "random"
SENTENCES = (WHOLE, "first", RANDOM)
# This part of a caption is shown, one of SENTENCES; or there is one for each source, and WHOLE for all other sources.
Sentence = str | Mapping[str, str]


class Captions(MappedRows):
    """One caption per image for many images, with its score and its source."""

    # All rows are in one record batch, which may have more bytes than short strings can.
    schema = sorted_schema(
        b"2", pa.field(CAPTION, pa.large_string()), pa.field(SCORE, pa.float64()), pa.field(SOURCE, pa.large_string())
    )
    what = "captions"


@dataclass(frozen=True)
class Captioned:
    """The captions that `build` wrote, the number of images of the run, and how many of these have no caption.

    If images were removed from the run, only the images of the manifest count; otherwise all images count that the run
    counted.
    """

    captions: Captions
    images: int
    without: int


def find_captions(paths: Paths, source: str | None = None) -> ImageTable:
    """Return the table of captions in files, folders, globs or URLs.

    InputError if a column is missing or has another type. The column `source` is required only if a source is given.
    """
    table = ImageTable.find(paths, EXPECTED_CAPTIONS, CAPTION)
    for name, is_such, kind in _TYPES:
        if name in table.columns.names and not is_such(column_type := table.columns.field(name).type):
            raise InputError(f"the column {name} of {table.name} has the type {column_type}; pass {kind}")
    if source is not None and SOURCE not in table.columns.names:
        raise InputError(
            f"{table.name} has no column {SOURCE}; pass tables whose column {SOURCE} says which captions come from "
            f"{source}"
        )
    return table


def caption_rows(table: ImageTable, file: File, source: str | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the captions in a file of a table as CAPTION_ROWS, in order; if a source is given, only its captions."""
    # Most modules that import this one clean no caption, so they are spared this slow import.
    from curation.inputs.candidates import clean_array

    for batch in table.read(file, [name for name in (CAPTION, SCORE, SOURCE) if name in table.columns.names]):
        columns = {name: batch[name] for name in batch.schema.names}
        columns[CAPTION] = clean_array(columns[CAPTION])
        scores = columns.get(SCORE, pa.nulls(batch.num_rows)).cast(pa.float64(), safe=False)  # Integers are rounded.
        columns[SCORE] = pc.if_else(pc.greater(scores, NO_SCORE), scores, None)
        columns.setdefault(SOURCE, pa.nulls(batch.num_rows, pa.string()))
        rows = pa.RecordBatch.from_pydict(columns, schema=CAPTION_ROWS)
        rows = rows.filter(pc.greater(pc.binary_length(rows[CAPTION]), 0))
        yield rows if source is None else rows.filter(pc.equal(rows[SOURCE], source))


@typed
def build(
    tables: Paths, run: FinishedRun, path: str | PathLike[str], part_bytes: int = PART_BYTES, source: str | None = None
) -> Captioned:
    """Write the best caption of each image to the file `path`; count the images of the run without a caption.

    If a source is given, only its captions are used. InputError if no caption in `tables` is for an image of the run.
    About `part_bytes` of a table are sorted at a time.
    """
    table = find_captions(tables, source)
    rows = chain.from_iterable(caption_rows(table, file, source) for file in table.files)
    with work_beside(path) as work:
        best = sorted_rows(rows, CAPTION_ROWS, -(-table.bytes // part_bytes), _best, work, Captions.schema)
        if source and not best.num_rows:
            require_source(table, source)
        counts = save_rows_of(path, best, pool_files(run), f"{captions_of(source)} in {table.name}")
    return Captioned(Captions.open(path), *counts)


def require_source(table: ImageTable, source: str) -> None:
    """Raise an InputError, which names the sources that the table has, if none of its captions comes from `source`."""
    found = set[str]()
    for file in table.files:
        for batch in caption_rows(table, file):
            found.update(batch[SOURCE].drop_null().unique().to_pylist())
    if source not in found:
        sources = quoted_names(sorted(found - {""}))
        raise InputError(f"{table.name} has no captions of the source {source}; its sources are {sources}")


def captions_of(source: str | None) -> str:
    """Return the phrase in messages for the captions of a source or, for None, of all sources."""
    return f"captions of the source {source}" if source else "captions"


def _best(rows: pa.Table) -> pa.RecordBatch:
    """Return the best caption of each KEY, as rows sorted by KEY; of captions with equal scores, the first is best."""
    rows = rows.rename_columns(Captions.schema.names)
    rows = rows.cast(Captions.schema)  # Strings become large ones, because columns are concatenated later.
    best, is_repeated = rows_by_key(rows, -rows[SCORE].fill_null(NO_SCORE).to_numpy())
    best = best.filter(pa.array(~is_repeated))
    columns = [*best.columns[:-2], best[SCORE].fill_null(np.nan), best[SOURCE].fill_null("")]
    return pa.RecordBatch.from_arrays(columns, schema=Captions.schema)


def field_of(source: str) -> str:
    """Return the name of the field with the captions of a source; a slash becomes `--`, as in the cache of the Hub.

    >>> field_of("org/model-7b")
    'caption_org--model-7b'
    """
    return OF_SOURCE + source.replace("/", "--")


def caption_table(table: ImageTable, source: str | None = None) -> Table:
    """Return a table of captions for a join; each image gets the one with the highest score, or else the first one.

    With a source, only its captions are used, and neither score nor source is joined.
    """
    fields = [*JOINED_CAPTION]
    order = [_ORDER[1]]
    if source is not None:
        text = field_of(source)
        fields = [pa.field(text, pa.string())]
        order = [field.with_name(f"{text} {field.name}") for field in _ORDER]
    read = partial(_joined, table=table, schema=pa.schema([*KEY, *fields, *order]), source=source)
    named = order if source else _ORDER
    best = partial(_best_joined, names=[field.name for field in named])
    return Table([*enumerate(table.files)], table.rows, read, best, fields, order)


def _joined(
    numbered: tuple[int, File], table: ImageTable, schema: pa.Schema, source: str | None
) -> Iterator[pa.RecordBatch]:
    number, file = numbered
    row = number << 40
    for batch in caption_rows(table, file, source):
        sources = [] if source else [pc.if_else(pc.equal(batch[SOURCE], ""), None, batch[SOURCE])]
        numbers = pa.array(np.arange(row, row + len(batch)))
        row += len(batch)
        yield pa.RecordBatch.from_arrays([*batch.columns[:-1], *sources, numbers], schema=schema)


def _best_joined(rows: pa.RecordBatch, images: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return the index of the best row of each image; `names` are the columns of score and row number.

    `images` has the number of each row's image.
    """
    score, number = (rows[name] for name in names)
    order = np.lexsort((number.to_numpy(), -score.fill_null(NO_SCORE).to_numpy(), images))
    return order[first(rows, images[order])]


@dataclass(frozen=True)
class CaptionDraw:
    """Draws the images whose texts are replaced by captions: a share of the images, by seed, epoch and uid.

    If `ratio` has shares by source, these divide [0, 1) in the order of the sources' names, and one draw per image
    chooses the source of its caption. If the image has no caption of this source, its text stays. `sentence` says
    whether whole captions are shown or one sentence: the first, or one drawn by seed, epoch and uid.
    """

    ratio: Ratio = RATIO
    seed: int = 0
    epoch: int = 0
    sentence: Sentence = WHOLE

    def __post_init__(self) -> None:
        require_ratio(self.ratio)
        require_sentence(self.sentence, self.ratio)
        require_seed(self.seed)
        require_integer("epoch", self.epoch, 0)

    def of(
        self, captions: Captions | Mapping[str, Captions] | None, uids: pa.Array, numbers: np.ndarray | None = None
    ) -> pa.Array:
        """Draw which captions replace the images' texts; return null where the text stays.

        `captions` may be by the model that wrote them. `numbers`, one per row, make the draws of one image differ.
        """
        if captions is None:
            return pa.nulls(len(uids), pa.string())
        by_source = [captions] if isinstance(captions, Captions) else [captions[name] for name in sorted(captions)]
        return self.drawn([of_source.of(uids, ["caption"])["caption"] for of_source in by_source], uids, numbers)

    def drawn(self, captions: Sequence[pa.Array], uids: pa.Array, numbers: np.ndarray | None = None) -> pa.Array:
        """Return the caption that replaces the text of each image, null where the text stays.

        `captions` has an array for each source, with one caption or null per image, in the order of the sources' names.
        """
        shares = dict(sorted(self.ratio.items())) if isinstance(self.ratio, Mapping) else {"": self.ratio}
        ends = np.cumsum([*shares.values()])
        source = np.searchsorted(ends, draws(self.seed, purpose("caption", self.epoch), uids, numbers), "right")
        null = pa.scalar(None, pa.string())
        chosen = pc.choose(pa.array(source), *captions, pa.repeat(null, len(uids)))
        asked = dict.fromkeys(shares, self.sentence) if isinstance(self.sentence, str) else self.sentence
        sentence = np.array([*(asked.get(name, WHOLE) for name in shares), WHOLE])[source]
        return self._cut(chosen, sentence, uids, numbers)

    def _cut(self, captions: pa.Array, sentence: np.ndarray, uids: pa.Array, numbers: np.ndarray | None) -> pa.Array:
        """Return each caption whole, or cut to one sentence, as its value in `sentence` (one of SENTENCES) says."""
        is_cut = pa.array((sentence != WHOLE) & captions.is_valid().to_numpy(zero_copy_only=False))
        cut_uids = uids.filter(is_cut)
        cut_numbers = None if numbers is None else numbers[np.asarray(is_cut)]
        drawn = draws(self.seed, purpose("sentence", self.epoch), cut_uids, cut_numbers)
        drawn[sentence[np.asarray(is_cut)] != RANDOM] = 0
        cut = sentences(captions.filter(is_cut).to_pylist(), drawn)
        return pc.replace_with_mask(captions, is_cut, pa.array(cut, captions.type))


def sentences(texts: Sequence[str], draws: np.ndarray) -> list[str]:
    """Return one sentence of each text: the draw, in [0, 1), chooses among its sentences with equal chances.

    ICU finds the sentences. All texts are cut as one, since ICU takes longer to begin than for a caption. A line feed,
    which no text may hold, ends a sentence.

    >>> sentences(["A dog. It runs! 犬。", "A cat"], np.array([0.5, 0.9]))
    ['It runs!', 'A cat']
    """
    pieces = [*SentenceBreaker("\n".join([*texts, ""]), LOCALE)]
    first = np.append(0, 1 + np.flatnonzero([piece[-1] == "\n" for piece in pieces]))
    chosen = first[:-1] + (draws * np.diff(first)).astype(np.int64)
    return [pieces[piece].strip() for piece in chosen.tolist()]


def require_ratio(ratio: Ratio, called: str = "caption_ratio") -> None:
    """Raise an error for a share outside 0 to 1, for no shares, or for shares that add up to more than 1.

    `called` names the parameter in messages.
    """
    if not isinstance(ratio, Mapping):
        return require_share(called, ratio)
    for name, share in ratio.items():
        require_share(f"{called} of {name}", share)
    if not ratio:
        raise ParameterError("is empty; pass the share of at least one source", called)
    total = sum(ratio.values())
    if total > 1 + 1e-9:
        stated = " ".join(f"{name}={share}" for name, share in ratio.items())
        raise ParameterError(
            f"is {stated}, whose shares add up to {total:.6g}; pass shares that add up to at most 1", called
        )
    return None


def require_sentence(sentence: Sentence, ratio: Ratio) -> None:
    """Raise ParameterError for a value that is not in SENTENCES, or for a source that has no share in `ratio`."""
    by_source = sentence if isinstance(sentence, Mapping) else {}
    unknown = sorted({*by_source} - {*(ratio if isinstance(ratio, Mapping) else ())})
    if unknown:
        raise ParameterError(f"names {unknown[0]}; also give captions and a share of this source", "caption_sentence")
    values = by_source.values() if by_source else [sentence]
    wrong = [value for value in values if value not in SENTENCES]
    if wrong:
        raise ParameterError(f"is {wrong[0]!r}; pass {', '.join(SENTENCES)}, or one by source", "caption_sentence")


def purpose(name: str, epoch: int) -> str:
    """Return the purpose of an epoch's draws; for epoch 0 it is `name`, so that epoch 0 draws as clip-curate does."""
    return f"{name} in epoch {epoch}" if epoch else name
