"""Sample matched images by the rates of their entries, and write the kept pairs as the curated Parquet files.

One text is chosen per image, and kept with the probability that follows from the rates of the text's entries
(`thresholds`). Another random number in [0, 1), the uid's draw for the purpose "order", gives each pair's position in
the manifest, and so its file and its section of that file. Each section is a bucket in which `runtime.engine` gathers
rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike

from curation.balancing.thresholds import Thresholds, entry_chunks, entry_ids, hold_any, rates_of
from curation.config import DOUBTFUL_SCORE, JUDGEMENT, LICENSE, RECORD, ExtraColumn
from curation.kernels import sample_choice as kernels
from curation.licences import license_column, tally_licenses
from curation.schemas import CURATED, SAMPLED, STATED, with_extra
from runtime.arrow import numbers, parts, require
from runtime.cogroup import Rows
from runtime.draws import draws
from runtime.errors import InputError
from runtime.packages import load_own
from runtime.progress import advance
from runtime.tallies import Tallies

# Each section of a file is sorted in memory. This is a power of two, so that draw * files * SECTIONS_PER_FILE rounds as
# draw * files.
SECTIONS_PER_FILE = 8
RUN_BYTES = 64 << 20  # This many bytes of sampled rows are packed at a time.
DRAW_FIELD = pa.field("draw", pa.float64())
DRAWN = CURATED.append(DRAW_FIELD)


def keep_probability(entries: pa.Array | pa.ChunkedArray | Sequence, rates: ArrayLike) -> np.ndarray:
    """Return the probability that each text is kept, 1 - Π(1 - rate) over its entries; 0 without entries or for null.

    >>> keep_probability([[0, 1], [1], [], None], [0.5, 0.25]).tolist()
    [0.625, 0.25, 0.0, 0.0]
    """
    lists = entry_chunks(entries)
    rates = _checked_rates(rates, dimensions=(1,))
    if rates.size and not (rates.min() >= 0 and rates.max() <= 1):  # The comparison is false for NaN.
        raise InputError("the rates contain NaN, or a number below 0 or above 1; pass the result of `rates`")
    chunks = [entry_ids(chunk, len(rates)) for chunk in lists]
    return np.concatenate([np.empty(0), *(_probability(ids, offsets, rates) for ids, offsets in chunks)])


def kept_probabilities(batch: pa.RecordBatch, rates: ArrayLike) -> np.ndarray:
    """Return the probability that each image of a batch is kept, float64[image]: the mean over the image's texts.

    `batch` has the schema SAMPLED. With the rates of several thresholds, [id, threshold], the result is
    float64[image, threshold].
    """
    batch = require(batch, SAMPLED)
    rates = _checked_rates(rates, dimensions=(1, 2))
    _, image_offsets, ids, text_offsets = _texts(batch, len(rates))
    columns = rates if rates.ndim == 2 else rates[:, np.newaxis]
    out = np.zeros((batch.num_rows, columns.shape[1]))
    kernels.expected_size(ids, text_offsets, image_offsets, columns, out)
    return out if rates.ndim == 2 else out[:, 0]


def sample_batch(
    batch: pa.RecordBatch, rates: ArrayLike, seed: int, extra: Sequence[ExtraColumn] = ()
) -> pa.RecordBatch:
    """Return the kept pairs of a batch with the schema SAMPLED: one random text per image, kept with its probability.

    The result has the schema CURATED and the columns `extra`. `batch` must also have the columns that
    `needed_by(extra)` names.
    """
    all_columns = batch
    batch = require(batch, SAMPLED)
    texts, chosen, probability = choose_texts(batch, rates, seed)
    kept = np.flatnonzero(coins(batch["uid"], seed) < probability)
    columns = {name: batch.column(name).take(pa.array(kept)) for name in ("uid", "url", "page_url")}
    for name in ("text", "language", "lid_score", "entries"):
        columns[name] = texts.field(name).take(pa.array(chosen[kept]))
    own_pages = texts.field("page_url").take(pa.array(chosen[kept]))
    columns["page_url"] = pc.coalesce(own_pages, columns["page_url"])
    columns["probability"] = pa.array(probability[kept])
    schema = with_extra(extra)
    if LICENSE in extra:
        columns[LICENSE] = license_column(all_columns["signals"].take(pa.array(kept)))
    if RECORD in extra:
        columns[RECORD] = texts.field(RECORD).take(pa.array(chosen[kept]))
    if JUDGEMENT in extra:
        judgement = load_own("clip_curation.extra_columns")[JUDGEMENT]
        columns[JUDGEMENT] = judgement(texts.take(pa.array(chosen[kept])), kept, all_columns)
    return pa.RecordBatch.from_pydict(columns, schema=schema)


def choose_texts(batch: pa.RecordBatch, rates: ArrayLike, seed: int) -> tuple[pa.StructArray, np.ndarray, np.ndarray]:
    """Return all texts of a batch with the schema SAMPLED, and the index and the probability of each image's text."""
    rates = _checked_rates(rates, dimensions=(1,))
    texts, image_offsets, ids, text_offsets = _texts(batch, len(rates))
    chosen = np.zeros(batch.num_rows, np.int64)
    probability = np.zeros(batch.num_rows)
    text_draws = draws(seed, "text", batch["uid"])
    kernels.choose_texts(ids, text_offsets, image_offsets, rates, text_draws, chosen, probability)
    return texts, chosen, probability


def coins(uids: pa.Array, seed: int) -> np.ndarray:
    """Return a draw for each image, float64[image]: the image is kept if the draw is below its probability."""
    return draws(seed, "keep", uids)


def needed_by(extra: Sequence[ExtraColumn]) -> list[str]:
    """Return the names of the columns that `sample_batch` needs, besides SAMPLED, to return the columns `extra`."""
    if JUDGEMENT in extra:
        return [*(field.name for field in STATED), "shown"]
    return ["signals"] if LICENSE in extra else []


def texts_by_language(batch: pa.RecordBatch, rates: ArrayLike) -> pa.Table:
    """Return a table of `language`, `texts`, `matches` and `expected` for a batch with the schema SAMPLED.

    The table has one row per language. `texts` is the number of texts, and `matches` the sum of the texts' numbers of
    entries. `expected` is the expected number of kept images whose text is in the language.
    """
    batch = require(batch, SAMPLED)
    rates = _checked_rates(rates, dimensions=(1,))
    texts, image_offsets, ids, text_offsets = _texts(batch, len(rates))
    columns = {
        "language": texts.field("language"),
        "texts": np.ones(len(texts), np.int64),
        "matches": np.diff(text_offsets),
        "expected": _probability(ids, text_offsets, rates) / _choices(image_offsets),
    }
    return sums_by_language(columns)


@dataclass(frozen=True)
class CountedTexts:
    """The texts of a batch of images, whose entries are counted, prepared to try thresholds on them.

    Rates are computed only for the batch's own entries: rates of thirty million entries at each threshold would not fit
    into memory.
    """

    languages: pa.DictionaryArray  # the language of each text
    choices: np.ndarray  # int64[text]: number of texts of the text's image
    ids: np.ndarray  # indices of the texts' entries in `counts`
    offsets: np.ndarray  # Text i has ids[offsets[i]:offsets[i + 1]].
    counts: np.ndarray  # counts of the distinct entries
    slices: dict[str, slice]  # language → its part of `counts`

    @classmethod
    def of(cls, batch: pa.RecordBatch, counts: np.ndarray, languages: dict[str, slice]) -> CountedTexts:
        """Return the texts of a batch with the schema MATCHED.

        `counts` has one count per id, and `languages` each language's slice of ids.
        """
        texts, image_offsets, ids, offsets = _texts(batch, len(counts))
        distinct_ids, ids = np.unique(ids, return_inverse=True)
        slices = {}
        for code, all_ids in languages.items():
            own = slice(*np.searchsorted(distinct_ids, (all_ids.start, all_ids.stop)))
            if own.start < own.stop:
                slices[code] = own
        codes = texts.field("language").dictionary_encode()
        return cls(codes, _choices(image_offsets), ids, offsets, counts[distinct_ids], slices)

    def expected_sizes(self, thresholds: Sequence[Thresholds]) -> dict[str, np.ndarray]:
        """Return, by language, how many of the images each of `thresholds` is expected to keep, float64[threshold]."""
        codes = self.languages.dictionary.to_pylist()
        sizes = np.empty((len(codes), len(thresholds)))
        for column, candidate in enumerate(thresholds):
            rates = rates_of(self.counts, self.slices, candidate)
            expected = _probability(self.ids, self.offsets, rates) / self.choices
            sizes[:, column] = np.bincount(self.languages.indices, expected, len(codes))
        return dict(zip(codes, sizes, strict=True))


def kept_by_language(batch: pa.RecordBatch) -> pa.Table:
    """Return a table of `language` and `kept`, the number of rows, for a batch with the schema CURATED."""
    return sums_by_language({"language": batch.column("language"), "kept": np.ones(batch.num_rows, np.int64)})


def _texts(batch: pa.RecordBatch, size: int) -> tuple[pa.StructArray, np.ndarray, np.ndarray, np.ndarray]:
    """Return all texts, the offsets of each image's texts, all entry ids, and the offsets of each text's ids."""
    texts, image_offsets = parts(batch.column("candidates"))
    ids, text_offsets = entry_ids(texts.field("entries"), size)
    return texts, image_offsets, ids, text_offsets


def _probability(ids: np.ndarray, text_offsets: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Return the probability that each text is kept, float64[text].

    The ids of text i are ids[text_offsets[i]:text_offsets[i + 1]].
    """
    out = np.empty(len(text_offsets) - 1)
    kernels.write_probabilities(ids, text_offsets, rates, out)
    return out


def _choices(image_offsets: np.ndarray) -> np.ndarray:
    """Return, for each text, the number of texts of its image."""
    texts = np.diff(image_offsets)
    return np.repeat(texts, texts)


def sums_by_language(columns: Mapping[str, pa.Array | pa.ChunkedArray | np.ndarray]) -> pa.Table:
    """Return a table with the sum of each column for each language, sorted by language."""
    names = [name for name in columns if name != "language"]
    table = pa.table(columns).group_by("language", use_threads=False).aggregate([(name, "sum") for name in names])
    table = table.select(["language", *(f"{name}_sum" for name in names)]).rename_columns(["language", *names])
    return table.take(pc.sort_indices(table, sort_keys=[("language", "ascending")]))


def _checked_rates(rates: ArrayLike, dimensions: tuple[int, ...]) -> np.ndarray:
    rates = numbers(rates, "rates")
    if rates.size and rates.dtype.kind in "iu":
        raise InputError(
            "rates contain integers, such as counts; pass one rate from 0 to 1 for each entry, as rates(counts, t)"
        )
    if rates.ndim not in dimensions or (rates.size and rates.dtype.kind != "f"):
        raise InputError(f"rates are {rates.dtype} of shape {rates.shape}; pass one floating-point rate for each entry")
    return rates


def sampled(
    batch: pa.RecordBatch, rates: np.ndarray, seed: int, tallies: Tallies, extra: Sequence[ExtraColumn] = ()
) -> pa.RecordBatch:
    """Return the kept pairs of a batch with the schema SAMPLED, each with the draw for its position in the manifest.

    The result has the schema DRAWN. `tallies` gets the numbers of images and of expected images, and by language the
    numbers of texts, matches, expected pairs and kept pairs.
    """
    _tally_expected(batch, rates, tallies)
    kept = sample_batch(batch, rates, seed, extra)
    advance(rows=kept.num_rows)
    for row in kept_by_language(kept).to_pylist():
        tallies.add("kept", row["kept"], language=row["language"])
    return kept.append_column(DRAW_FIELD, pa.array(draws(seed, "order", kept["uid"])))


def keys_of_draws(rows: pa.RecordBatch) -> np.ndarray:
    """Return uint64[row]: the draw times 2^64, of rows with the schema DRAWN. A section is a bucket of these keys."""
    return (rows["draw"].to_numpy() * 2.0**53).astype(np.uint64) << np.uint64(11)


def rows_by_draw(sections: Iterable[Rows], lettered: np.ndarray, schema: pa.Schema, tallies: Tallies) -> Rows:
    """Yield the rows of a curated file, sorted by the draw for their position, in one batch of `schema` per section.

    `sections` are the file's sections, in the order of their draws, with the schema DRAWN. `lettered` is bool[id]:
    whether the entry has letters. `tallies` gets the licences, and the numbers of rows with a low language score and of
    rows in which no entry has letters.
    """
    for rows in sections:
        kept = _in_order(pa.concat_batches([*rows])).select(schema.names)
        tally_doubts(kept, lettered, tallies)
        tally_licenses(kept, tallies)
        yield kept


def tally_doubts(kept: pa.RecordBatch, lettered: np.ndarray, tallies: Tallies) -> None:
    """Tally kept pairs by language: pairs scored below DOUBTFUL_SCORE, and pairs in which no entry has letters."""
    low = pc.less(kept["lid_score"], DOUBTFUL_SCORE).fill_null(False)
    without_letters = ~hold_any(kept["entries"], lettered)
    for name, doubtful in (("kept_doubtful", low), ("kept_without_letters", without_letters)):
        for count in pc.value_counts(kept["language"].filter(doubtful)).to_pylist():
            tallies.add(name, count["counts"], language=count["values"])


def _in_order(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows sorted by draw; if two draws are equal (probability 2^-53), the smaller uid is first."""
    draw = rows["draw"].to_numpy()
    order = np.argsort(draw)
    if (np.diff(draw[order]) == 0).any():
        order = pc.sort_indices(rows, sort_keys=[("draw", "ascending"), ("uid", "ascending")]).to_numpy()
    return rows.take(pa.array(order))


def _tally_expected(batch: pa.RecordBatch, rates: np.ndarray, tallies: Tallies) -> None:
    expected = kept_probabilities(batch, rates)
    tallies.add("images", batch.num_rows)
    tallies.add("expected_images", expected.sum())
    tallies.add("variance", (expected * np.maximum(1 - expected, 0)).sum())  # Rounding can put a mean of ones above 1.
    for row in texts_by_language(batch, rates).to_pylist():
        for name in ("texts", "matches", "expected"):
            tallies.add(name, row[name], language=row["language"])
