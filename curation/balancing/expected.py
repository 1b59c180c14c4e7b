"""The number of images that thresholds are expected to keep, by language."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from curation.balancing.sampling import keep_probability
from curation.balancing.thresholds import Thresholds, rates_of
from curation.entry_ids import entry_ids
from runtime.arrow.lists import parts


def expected_sizes(
    batch: pa.RecordBatch, counts: np.ndarray, languages: dict[str, slice], thresholds: Sequence[Thresholds]
) -> dict[str, np.ndarray]:
    """Return the number of images of a MATCHED batch that each of the thresholds is expected to keep, by language."""
    texts, image_offsets = parts(batch["candidates"])
    ids, offsets = entry_ids(texts.field("entries"), len(counts))
    # Only the batch's own entries get rates: rates of thirty million, for each threshold, would fill the memory.
    own, own_ids = np.unique(ids, return_inverse=True)
    entries = pa.LargeListArray.from_arrays(offsets, own_ids.astype(np.int32))
    slices = {code: slice(*np.searchsorted(own, (all.start, all.stop))) for code, all in languages.items()}
    texts_of_image = np.diff(image_offsets)
    chance = 1 / np.repeat(texts_of_image, texts_of_image)  # that the text is chosen among those of its image
    codes = texts.field("language").dictionary_encode()
    out = {code: np.empty(len(thresholds)) for code in codes.dictionary.to_pylist()}
    for column, each in enumerate(thresholds):
        probability = keep_probability(entries, rates_of(counts[own], slices, each))
        sums = np.bincount(codes.indices.to_numpy(), probability * chance, minlength=len(out))
        for code, value in zip(out, sums, strict=True):
            out[code][column] = value
    return out
