"""Count the kept texts of two runs by entry, and compare the counts: which entries gained or lost most, head and tail.

Tasks count, and send their counts to the tasks that add them up, each for some of the entries. The driver holds one row
for each entry.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.balancing.thresholds import SEEN, EntryCounts
from curation.run.results import Results
from curation.schemas import MATCHED_ROW_GROUP
from runtime.buckets import buckets_for
from runtime.cogroup import SIDE, Grouping, Rows, Side, cogroup
from runtime.engine import Engine
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches
from runtime.tallies import TaskResult

COUNTED = pa.schema([*SEEN, SIDE])
TASK_ENTRIES = 1 << 20  # A task that adds counts gets so many entries.
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # This odd factor spreads neighbouring ids over all tasks.
MOST_CHANGED = 20  # So many entries that gained most are listed, and as many that lost most.
KEPT = "kept"  # the name of a list of facts with sums of counts
SIDES = ("one", "other")
SUMMED = ("count", "kept")  # These columns of entries are summed over head and tail, for each side.


def count_kept(engine: Engine, runs: Sequence[Results]) -> list[np.ndarray]:
    """Return the number of kept texts that contain each entry, int64[id], for each of two runs."""
    sizes = [max(1, len(run.counts)) for run in runs]
    sides = []
    for size, run in zip(sizes, runs, strict=True):
        sides.append(Side(run.files("curated"), _read, run.facts["rows"]["kept"], more=(size,)))
    tasks = buckets_for(max(sizes), TASK_ENTRIES)
    adding = Grouping(COUNTED, _keys, _add, tasks, tasks)
    kept = [np.zeros(size, np.int64) for size in sizes]
    for side, ids, counts in cogroup(engine, sides, adding).noted(KEPT):
        kept[side][np.frombuffer(b64decode(ids), np.int32)] = np.frombuffer(b64decode(counts), np.int64)
    return kept


def _read(_: int, file: OwnFile, result: TaskResult, size: int) -> Rows:
    counts = EntryCounts.zeros(size, "")
    for batch in batches(file, MATCHED_ROW_GROUP, ["entries"]):
        counts.count(batch["entries"])
    yield counts.seen()


def _keys(rows: pa.RecordBatch) -> np.ndarray:
    return rows["id"].to_numpy().astype(np.uint64) * SPREAD


def _add(task: int, buckets: Iterator[Rows], result: TaskResult) -> None:
    """Note the sums of the counts of some entries on each side: arrays of ids and of counts, in base64."""
    for bucket in buckets:
        rows = pa.concat_batches([*bucket])
        for side in range(len(SIDES)):
            of_side = rows.filter(pc.equal(rows["side"], side))
            ids, index = np.unique(of_side["id"].to_numpy(), return_inverse=True)
            counts = np.zeros(len(ids), np.int64)
            np.add.at(counts, index, of_side["count"].to_numpy())
            result.note(KEPT, [side, b64encode(ids.tobytes()).decode(), b64encode(counts.tobytes()).decode()])


def compared_entries(one: Results, other: Results, kept: Sequence[np.ndarray]) -> pa.Table:
    """Return a row for each entry that a text of either run contains; `kept` is as `count_kept` returns it.

    The columns are language, entry, count, rate and kept of each side, such as `count_one`, and `change`: how many more
    texts `other` kept, divided by the change that chance would cause. The runs may have different metadata.
    """
    tables = []
    for name, run, of_run in zip(SIDES, (one, other), kept, strict=True):
        rows = run.counted_entries.rows
        columns = {
            "language": rows["language"],
            "entry": rows["entry"],
            f"count_{name}": rows["count"],
            f"rate_{name}": rows["rate"],
            f"kept_{name}": pa.array(of_run[rows["id"].to_numpy()]),
        }
        tables.append(pa.table(columns))
    joined = tables[0].join(tables[1], ["language", "entry"], join_type="full outer", use_threads=False)
    for number, column in enumerate(joined.schema.names):
        missing = (
            1 if column.startswith("rate") else 0
        )  # An entry that no text of a run contains would keep every text.
        if column not in ("language", "entry"):
            joined = joined.set_column(number, column, joined[column].fill_null(missing))
    before, after = (joined[f"kept_{name}"].to_numpy() for name in SIDES)
    return joined.append_column("change", pa.array((after - before) / np.sqrt(1 + before + after)))


def most_changed(entries: pa.Table) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the MOST_CHANGED entries that gained most, and of those that lost most."""
    change = entries["change"].to_numpy()
    return {"gained": _largest(entries, change), "lost": _largest(entries, -change)}


def _largest(entries: pa.Table, change: np.ndarray) -> list[dict[str, Any]]:
    """Return the rows with the largest `change` (a number for each row) above 0; equal ones in the order of names."""
    above = np.flatnonzero(change > 0)
    if len(above) > MOST_CHANGED:
        least = np.partition(change[above], -MOST_CHANGED)[-MOST_CHANGED]
        above = above[change[above] >= least]
    some = entries.take(pa.array(above)).append_column("order", pa.array(-change[above]))
    keys = [(name, "ascending") for name in ("order", "language", "entry")]
    return some.sort_by(keys).drop_columns(["order"]).slice(0, MOST_CHANGED).to_pylist()


def head_and_tail(entries: pa.Table, thresholds: dict[str, int]) -> dict[str, dict[str, int]]:
    """Return the sums over the head and over the tail of ONE, by part; `thresholds` has its t by language.

    An entry is in the head if the texts of ONE that contain it are t or more.
    """
    languages = entries["language"].combine_chunks().dictionary_encode()
    of_language = np.array([thresholds.get(code, 1) for code in languages.dictionary.to_pylist()], np.int64)
    t = of_language[languages.indices.to_numpy()] if len(entries) else np.zeros(0, np.int64)
    in_head = entries["count_one"].to_numpy() >= t
    return {"head": _sums(entries, in_head), "tail": _sums(entries, ~in_head)}


def by_frequency(entries: pa.Table) -> list[dict[str, int]]:
    """Return sums over the entries of ONE, by their counts in ONE: from `texts`, a power of 2, on."""
    counts = entries["count_one"].to_numpy()
    seen = counts > 0
    power = np.zeros(len(counts), np.int64)
    power[seen] = np.floor(np.log2(counts[seen]))
    rows = []
    for number in np.unique(power[seen]).tolist():
        rows.append({"texts": 2**number, **_sums(entries, seen & (power == number))})
    return rows


def _sums(entries: pa.Table, mask: np.ndarray) -> dict[str, int]:
    """Return the number of the entries in the mask, and the sums of their counts and kept counts on each side."""
    sums = {"entries": int(mask.sum())}
    for column in SUMMED:
        for name in SIDES:
            sums[f"{column}_{name}"] = int(entries[f"{column}_{name}"].to_numpy()[mask].sum())
    return sums
