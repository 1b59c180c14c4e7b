"""All texts of an image in one row: the streaming group over candidates that come sorted.

An image's exact duplicates count once, and of many texts those with the smallest hash stay, so that a logo with five
million alts takes no more memory than any other image.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import one_array, string_buffers
from curation.kernels.images import rank_texts, smallest
from curation.schemas import IMAGES, SORTED_CANDIDATES, TEXT, require
from metadata.tallies import Tallies

DUPLICATE = "dropped.duplicate_text"
OVER_LIMIT = "dropped.text_over_limit"


def group(batches: Iterable[pa.RecordBatch], max_texts: int, tallies: Tallies) -> Iterator[pa.RecordBatch]:
    """Yield IMAGES batches of SORTED_CANDIDATES batches, which are ordered by uid, hash and text.

    Tally rows among them are added to `tallies`, as are the texts left out and the images and texts given on.
    """
    rest = SORTED_CANDIDATES.empty_table()
    for batch in batches:
        table = _without_tallies(pa.Table.from_batches([require(batch, SORTED_CANDIDATES)]), tallies)
        table = pa.concat_tables([rest, table]).combine_chunks()
        if len(table) == 0:
            continue
        kept, bounds = _distinct(table, max_texts, tallies)
        # The last image may go on in the next batch.
        rest = kept.slice(bounds[-2])
        yield from _images(kept, bounds[:-1], tallies)
    yield from _images(rest, np.array([0, len(rest)] if len(rest) else [0]), tallies)


def _without_tallies(table: pa.Table, tallies: Tallies) -> pa.Table:
    is_tally = pc.is_null(table["url"])
    for row in table.filter(is_tally).select(["text", "tally"]).to_pylist():
        tallies.add(row["text"], row["tally"])
    return table.filter(pc.invert(is_tally))


def _distinct(table: pa.Table, max_texts: int, tallies: Tallies) -> tuple[pa.Table, np.ndarray]:
    """Return the rows that stay, and the bounds of each image in them; each row has its image's url and page_url."""
    new_image = _differs(table["uid"])
    new_text = new_image | _differs(table["text"])
    rank = np.empty(len(table), np.int64)
    rank_texts(new_image, new_text, rank)
    over = rank >= max_texts
    tallies.add(OVER_LIMIT, int(over.sum()))
    tallies.add(DUPLICATE, int((~over & ~new_text).sum()))

    images = np.cumsum(new_image) - 1
    starts = np.append(np.flatnonzero(new_image), len(table))
    for name in ("url", "page_url"):
        of_image = _smallest(table[name], starts).take(pa.array(images))
        table = table.set_column(table.schema.get_field_index(name), name, of_image)
    stays = new_text & ~over
    bounds = np.append(0, np.cumsum(np.bincount(images[stays])))
    return table.filter(pa.array(stays)), bounds


def _differs(column: pa.ChunkedArray) -> np.ndarray:
    """Return whether each value differs from the one before; the first does."""
    values = one_array(column)
    out = np.ones(len(values), bool)
    out[1:] = pc.not_equal(values[1:], values[:-1]).to_numpy(zero_copy_only=False)
    return out


def _smallest(column: pa.ChunkedArray, bounds: np.ndarray) -> pa.Array:
    values = one_array(column)
    offsets, data = string_buffers(values)
    rows = np.empty(len(bounds) - 1, np.int64)
    smallest(offsets, data, values.is_valid().to_numpy(zero_copy_only=False), bounds, rows)
    return values.take(pa.array(rows, mask=rows < 0))


def _images(table: pa.Table, bounds: np.ndarray, tallies: Tallies) -> Iterator[pa.RecordBatch]:
    """Yield the images whose rows `bounds` limits, as one batch, if there are any."""
    if len(bounds) < 2:
        return
    tallies.add("images", len(bounds) - 1)
    tallies.add("texts", int(bounds[-1]))
    rows = {name: one_array(table[name].slice(0, bounds[-1])) for name in table.schema.names}
    texts = pa.StructArray.from_arrays([rows[field.name] for field in TEXT], fields=list(TEXT))
    lists = pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), texts)
    columns = [rows[name].take(pa.array(bounds[:-1])) for name in ("uid", "url", "page_url")]
    yield pa.RecordBatch.from_arrays([*columns, lists], schema=IMAGES)
