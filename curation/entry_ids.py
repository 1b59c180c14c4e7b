"""Read lists of entry ids from Arrow columns, and check that the metadata has these ids."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from curation.schemas import ENTRY_IDS
from runtime.arrow.lists import parts
from runtime.errors import InputError


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


def hold_any(entries: pa.Array, wanted: np.ndarray) -> np.ndarray:
    """Return whether each list holds an id that is wanted, given a bool for each id."""
    ids, offsets = entry_ids(entries, len(wanted))
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(wanted[ids], dtype=np.int64)])
    return before[offsets[1:]] > before[offsets[:-1]]


def entry_chunks(entries: pa.Array | pa.ChunkedArray | Iterable) -> list[pa.Array]:
    """Return `entries`, given as anything that is lists of ids, as Arrow arrays of (large) lists of int32."""
    if not isinstance(entries, pa.Array | pa.ChunkedArray):
        entries = _arrow(entries)
    if entries.type not in (ENTRY_IDS, pa.large_list(pa.int32())):
        entries = _cast(entries)
    return entries.chunks if isinstance(entries, pa.ChunkedArray) else [entries]


def _arrow(entries: Iterable) -> pa.Array:
    try:
        return pa.array(entries, ENTRY_IDS)
    except (pa.ArrowException, OverflowError) as error:
        raise InputError(f"entries are no lists of int32 ids: {error}") from error


def _cast(entries: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    is_wide = pa.types.is_large_list(entries.type)
    try:
        return entries.cast(pa.large_list(pa.int32()) if is_wide else ENTRY_IDS)
    except pa.ArrowException as error:
        raise InputError(f"entries are {entries.type}; give lists of int32 ids ({error})") from error
