"""Choose one text per image, and keep it with the probability that its entries give it.

Rates are computed in `thresholds` and random numbers in `runtime.draws`; the loops are in `kernels.sampling`.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike

from curation.balancing.counts import entry_chunks, entry_ids
from curation.balancing.thresholds import Thresholds, rates_of
from curation.kernels import sampling as kernels
from curation.schemas import CURATED, SAMPLED
from runtime.arrow.buffers import parts, require
from runtime.draws import draws
from runtime.errors import InputError


def keep_probability(entries: pa.Array | pa.ChunkedArray | Sequence, rates: ArrayLike) -> np.ndarray:
    """Return the probability that each text is kept, 1 - Π(1 - rate) over its entries; 0 for none or a null.

    >>> keep_probability([[0, 1], [1], [], None], [0.5, 0.25]).tolist()
    [0.625, 0.25, 0.0, 0.0]
    """
    rates = _checked_rates(rates, dimensions=(1,))
    chunks = [entry_ids(chunk, len(rates)) for chunk in entry_chunks(entries)]
    return np.concatenate([np.empty(0), *(_probability(ids, offsets, rates) for ids, offsets in chunks)])


def expected_size(batch: pa.RecordBatch, rates: ArrayLike) -> np.ndarray:
    """Return the probability that each image of a SAMPLED batch is kept: the mean over its texts.

    Rates [id, column] of several thresholds give several columns, all in one pass.
    """
    batch, rates = require(batch, SAMPLED), _checked_rates(rates, dimensions=(1, 2))
    _, image_offsets, ids, text_offsets = _texts(batch, len(rates))
    columns = rates if rates.ndim == 2 else rates[:, np.newaxis]
    out = np.zeros((batch.num_rows, columns.shape[1]))
    kernels.expected_size(ids, text_offsets, image_offsets, columns, out)
    return out if rates.ndim == 2 else out[:, 0]


def sample_batch(batch: pa.RecordBatch, rates: ArrayLike, seed: int) -> pa.RecordBatch:
    """Return the CURATED rows of a SAMPLED batch: of each image one text at random, kept with its probability."""
    batch, rates = require(batch, SAMPLED), _checked_rates(rates, dimensions=(1,))
    texts, image_offsets, ids, text_offsets = _texts(batch, len(rates))
    uids = batch.column("uid")
    chosen, probability = np.zeros(batch.num_rows, np.int64), np.zeros(batch.num_rows)
    text_draws = draws(seed, "text", uids)
    kernels.choose(ids, text_offsets, image_offsets, rates, text_draws, chosen, probability)
    kept = np.flatnonzero(draws(seed, "keep", uids) < probability)
    columns = {name: batch.column(name).take(pa.array(kept)) for name in ("uid", "url", "page_url")}
    for name in ("text", "language", "lid_score", "entries"):
        columns[name] = texts.field(name).take(pa.array(chosen[kept]))
    own_pages = texts.field("page_url").take(pa.array(chosen[kept]))
    columns["page_url"] = pc.coalesce(own_pages, columns["page_url"])
    columns["probability"] = pa.array(probability[kept])
    return pa.RecordBatch.from_arrays([columns[name] for name in CURATED.names], schema=CURATED)


def texts_by_language(batch: pa.RecordBatch, rates: ArrayLike) -> pa.Table:
    """Return `language`, `texts`, `matches` and `expected` (images kept with such a text) of a SAMPLED batch.

    Tables of several batches add up.
    """
    batch, rates = require(batch, SAMPLED), _checked_rates(rates, dimensions=(1,))
    texts, image_offsets, ids, text_offsets = _texts(batch, len(rates))
    columns = {
        "language": texts.field("language"),
        "texts": np.ones(len(texts), np.int64),
        "matches": np.diff(text_offsets),
        "expected": _probability(ids, text_offsets, rates) / _choices(image_offsets),
    }
    return _sums(columns)


def expected_sizes(
    batch: pa.RecordBatch, counts: np.ndarray, languages: dict[str, slice], thresholds: Sequence[Thresholds]
) -> dict[str, np.ndarray]:
    """Return the number of images of a MATCHED batch that each of the thresholds is expected to keep, by language."""
    texts, image_offsets, ids, text_offsets = _texts(batch, len(counts))
    # Only the batch's own entries get rates: rates of thirty million, for each threshold, would fill the memory.
    own, ids = np.unique(ids, return_inverse=True)
    slices = {code: slice(*np.searchsorted(own, (all.start, all.stop))) for code, all in languages.items()}
    codes, choices = texts.field("language").dictionary_encode(), _choices(image_offsets)
    sizes = np.empty((len(codes.dictionary), len(thresholds)))
    for column, each in enumerate(thresholds):
        expected = _probability(ids, text_offsets, rates_of(counts[own], slices, each)) / choices
        sizes[:, column] = np.bincount(codes.indices, expected, len(sizes))
    return dict(zip(codes.dictionary.to_pylist(), sizes, strict=True))


def kept_by_language(batch: pa.RecordBatch) -> pa.Table:
    """Return `language` and `kept`, the number of its rows, of a CURATED batch."""
    return _sums({"language": batch.column("language"), "kept": np.ones(batch.num_rows, np.int64)})


def _texts(batch: pa.RecordBatch, size: int) -> tuple[pa.StructArray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the texts of all images, the offsets of each image in them, their ids, and the offsets of each text."""
    texts, image_offsets = parts(batch.column("candidates"))
    ids, text_offsets = entry_ids(texts.field("entries"), size)
    return texts, image_offsets, ids, text_offsets


def _probability(ids: np.ndarray, text_offsets: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Return the probability of each text, given all ids and the bounds of each text's ids."""
    out = np.empty(len(text_offsets) - 1)
    kernels.keep_probability(ids, text_offsets, rates, out)
    return out


def _choices(image_offsets: np.ndarray) -> np.ndarray:
    """Return for each text the number of texts of its image, from which one is chosen."""
    texts = np.diff(image_offsets)
    return np.repeat(texts, texts)


def _sums(columns: dict[str, pa.Array | np.ndarray]) -> pa.Table:
    """Return the sums of all columns over the rows of each language, in the order of languages."""
    names = [name for name in columns if name != "language"]
    table = pa.table(columns).group_by("language", use_threads=False).aggregate([(name, "sum") for name in names])
    table = table.select(["language", *(f"{name}_sum" for name in names)]).rename_columns(["language", *names])
    return table.take(pc.sort_indices(table, sort_keys=[("language", "ascending")]))


def _checked_rates(rates: ArrayLike, dimensions: tuple[int, ...]) -> np.ndarray:
    rates = np.asarray(rates)
    if rates.ndim not in dimensions or (rates.size and rates.dtype.kind != "f"):
        raise InputError(f"rates are {rates.dtype} of shape {rates.shape}; give one floating-point rate per entry")
    return rates
