"""Combine pairs that are sorted by key into matched images, with one batch and one image in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.images.combine import combine, group
from runtime.tallies import Tallies


def images_in_order(batches: Iterable[pa.RecordBatch], max_texts: int) -> Iterator[pa.RecordBatch]:
    """Yield the matched images of PAIRS, given with the rows of a key one after the other.

    The rows of the last key wait for those of the next batch, already combined: at most `max_texts` of an image.
    """
    tallies, waiting = Tallies(), None
    for rows in batches:
        if not rows.num_rows:
            continue
        last = rows["key"][-1].as_py()
        rows = combine(rows if waiting is None else pa.concat_batches([waiting, rows]), max_texts, tallies)
        waits = pa.array(rows["key"].to_numpy() == np.uint64(last))
        yield group(rows.filter(pc.invert(waits)), tallies)
        waiting = rows.filter(waits)
    if waiting is not None:
        yield group(waiting, tallies)
