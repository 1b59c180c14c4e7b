"""Arrow list arrays as a child array and offsets: the one place that minds slices, nulls and chunks of lists."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.schemas import ENTRY_IDS
from runtime.errors import InputError


def parts(lists: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Return the items of all lists in one array and the int64 offsets of each list in it; a null list is empty."""
    if lists.null_count:  # a null list may lie over items of its own; only flatten() leaves them out
        lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
        return lists.flatten(), np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    offsets = lists.offsets.to_numpy().astype(np.int64)
    return lists.values.slice(offsets[0], offsets[-1] - offsets[0]), offsets - offsets[0]


def entry_ids(entries: pa.Array, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of all lists as one int32 array, and the offsets of each list; refuse ids outside 0 … size - 1."""
    ids, offsets = parts(entries)
    if ids.null_count:
        raise InputError(f"{ids.null_count} entry ids are null; every id must be a number below {size}")
    ids = ids.to_numpy()
    if len(ids) and (ids.min() < 0 or ids.max() >= size):
        wrong = ids.min() if ids.min() < 0 else ids.max()
        raise InputError(f"entry id {wrong} is not among the {size} entries; these ids belong to other metadata")
    return ids, offsets


def entry_chunks(entries) -> list[pa.Array]:
    """Return `entries`, given as anything that is lists of ids, as Arrow arrays of (large) lists of int32."""
    if not isinstance(entries, pa.Array | pa.ChunkedArray):
        entries = _arrow(entries)
    if entries.type not in (ENTRY_IDS, pa.large_list(pa.int32())):
        entries = _cast(entries)
    return entries.chunks if isinstance(entries, pa.ChunkedArray) else [entries]


def _arrow(entries) -> pa.Array:
    try:
        return pa.array(entries, ENTRY_IDS)
    except (pa.ArrowException, OverflowError) as error:
        raise InputError(f"entries are no lists of int32 ids: {error}") from error


def _cast(entries):
    wide = pa.types.is_large_list(entries.type)
    try:
        return entries.cast(pa.large_list(pa.int32()) if wide else ENTRY_IDS)
    except pa.ArrowException as error:
        raise InputError(f"entries are {entries.type}; give lists of int32 ids ({error})") from error
