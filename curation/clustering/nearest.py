"""The texts nearest to each centre, gathered batch by batch and file by file."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

FINE, COARSE = "fine", "coarse"
SHOWN = {FINE: 5, COARSE: 12}  # texts of a cluster
CHARACTERS = 300  # of a text
NEAREST = pa.schema(
    [
        pa.field("kind", pa.string()),  # of the cluster: FINE or COARSE
        pa.field("cluster", pa.int32()),
        pa.field("distance", pa.float32()),
        pa.field("uid", pa.string()),
        pa.field("text", pa.string()),
        pa.field("language", pa.string()),
    ]
)
_ORDER = [("kind", "ascending"), ("cluster", "ascending"), ("distance", "ascending"), ("uid", "ascending")]


class Nearest:
    """NEAREST rows of which only the first ones of each cluster are kept, each text once."""

    def __init__(self) -> None:
        self.rows = NEAREST.empty_table()

    def add(self, rows: pa.Table) -> None:
        """Take the rows in which a text is among the nearest."""
        held = pa.concat_tables([self.rows, rows.select(NEAREST.names).cast(NEAREST)])
        held = held.take(pc.sort_indices(held, sort_keys=_ORDER))
        held = held.filter(_is_first(held, "text"))
        self.rows = held.filter(_is_shown(held)).combine_chunks()

    def of(self, kind: str, clusters: int) -> Iterator[list[dict]]:
        """Yield the texts of each cluster of a kind, the nearest first."""
        found: list[list[dict]] = [[] for _ in range(clusters)]
        for row in self.rows.filter(pc.equal(self.rows["kind"], kind)).to_pylist():
            found[row["cluster"]].append({name: row[name] for name in ("text", "language", "uid", "distance")})
        yield from found


def nearest_rows(kind: str, clusters: np.ndarray, distances: pa.Array, texts: pa.RecordBatch) -> pa.Table:
    """Return TEXT rows as NEAREST rows, long texts cut."""
    columns = {"kind": pa.repeat(kind, texts.num_rows), "cluster": pa.array(clusters), "distance": distances}
    columns |= {name: texts[name] for name in ("uid", "text", "language")}
    columns["text"] = pc.utf8_slice_codeunits(texts["text"], 0, CHARACTERS)
    return pa.table(columns)


def _group(rows: pa.Table) -> np.ndarray:
    """Return a number of each row's cluster and kind."""
    return 2 * rows["cluster"].to_numpy().astype(np.int64) + pc.equal(rows["kind"], FINE).to_numpy()


def _is_first(rows: pa.Table, column: str) -> pa.Array:
    """Return which rows are the first with their value in their cluster."""
    values = pc.dictionary_encode(rows[column]).combine_chunks().indices.to_numpy()
    keys = _group(rows) * (len(rows) + 1) + values
    _, first = np.unique(keys, return_index=True)
    is_first = np.zeros(len(rows), bool)
    is_first[first] = True
    return pa.array(is_first)


def _is_shown(rows: pa.Table) -> pa.Array:
    """Return which of sorted rows are among the first of their cluster."""
    groups = _group(rows)
    begins = np.flatnonzero(np.diff(groups, prepend=-1))
    place = np.arange(len(rows)) - np.repeat(begins, np.diff(begins, append=len(rows)))
    most = np.where(groups % 2 == 1, SHOWN[FINE], SHOWN[COARSE])
    return pa.array(place < most)
