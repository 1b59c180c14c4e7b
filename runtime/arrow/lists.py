"""Split an Arrow list array into its items and offsets, minding slices and nulls."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def parts(lists: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Return the items of all lists in one array and the int64 offsets of each list in it; a null list is empty."""
    if lists.null_count:  # a null list may lie over items of its own; only flatten() leaves them out
        lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
        return lists.flatten(), np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    offsets = lists.offsets.to_numpy().astype(np.int64)
    return lists.values.slice(offsets[0], offsets[-1] - offsets[0]), offsets - offsets[0]
