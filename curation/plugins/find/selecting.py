"""Take the rows that a search finds: as batches, as a table in memory, as a table in a file, or as a manifest.

A row of the manifest is taken as it is. A matched image becomes a row with one of its texts that meet the conditions,
which is drawn, and with the probability by which the run would have kept that text.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.csv import CSVWriter

from curation.balancing.sampling import keep_probability
from curation.licences import tally_licenses
from curation.plugins.find.entry_lookup import sought_in
from curation.plugins.find.figures import seed_of
from curation.plugins.find.searching import Hits, RowTexts, Search, SearchConditions, hits_in
from curation.run.finished_run import curated_files, facts_of_part, matched_files
from curation.run.results import Results
from curation.schemas import CURATED
from runtime.argument_types import require_integer
from runtime.arrow import require
from runtime.draws import draws
from runtime.engine import EngineLike
from runtime.errors import InputError
from runtime.folders.descriptor import Kind
from runtime.folders.folder import AlreadyComplete, Folder, Made, Wanted, items_of, making
from runtime.packages import versions
from runtime.progress import Progress
from runtime.shipping import Shipped
from runtime.storage.arrays import save_array
from runtime.storage.own_files import OwnFile, copied
from runtime.storage.parquet import part_writer, row_group_rows
from runtime.storage.paths import as_path, names
from runtime.storage.scratch import scratch
from runtime.storage.whole import whole
from runtime.tallies import Tallies, TaskResult
from runtime.wording import counted

LEFT_AS_THEY_ARE = ("counts.parquet", "thresholds.json")
RUN = "run.json"
SELECTION = Kind("the result of a search", "clip-find", version=1, descriptor=RUN)
ROWS = 10_000  # A file has at most so many rows, unless the user gives another limit.
ROWS_GROUP = 1 << 16  # The row groups of such a file have so many rows.
ENDINGS = (".csv", ".parquet")
_KEPT = "kept"  # the name of a tally of selected rows, by language
_OF_IMAGES = ("uid", "url", "page_url", "text", "language", "lid_score", "entries")


def selected_rows(hits: Hits, schema: pa.Schema, rates: np.ndarray | None, seed: int) -> pa.RecordBatch:
    """Return the rows that were hit: rows of a manifest or, if `rates` are given, one row for each counted image."""
    if rates is None:
        return require(hits.read().take(pa.array(hits.rows)), schema)
    return image_rows(hits, rates, seed)


def image_rows(hits: Hits, rates: np.ndarray, seed: int) -> pa.RecordBatch:
    """Return a row with the schema CURATED for each counted image that was hit, with one of the texts that were hit.

    The text is drawn by the seed and the uid, with the random number by which the run drew one of all texts.
    """
    batch = hits.read(_OF_IMAGES)
    texts = RowTexts.of(batch)
    met = np.flatnonzero(hits.met)
    rows, first, sizes = np.unique(texts.rows[met], return_index=True, return_counts=True)
    taken = batch.take(pa.array(rows))
    drawn = draws(seed, "text", taken["uid"])
    chosen = pa.array(met[first + (drawn * sizes).astype(np.int64)])
    columns = {name: taken[name] for name in ("uid", "url")}
    columns |= {name: texts.column(name).take(chosen) for name in ("text", "language", "lid_score", "entries")}
    columns["probability"] = pa.array(keep_probability(columns["entries"], rates))
    columns["page_url"] = texts.pages().take(chosen)
    return pa.RecordBatch.from_pydict(columns, schema=CURATED)


def selected(
    run: Results, search: Search, matched: bool = False, limit: int | None = None
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Return the schema and the first `limit` rows that a search finds, in the order of the files, in this process.

    These are rows of the manifest or, if `matched`, one row for each matched image.
    """
    conditions = sought_in(run, search).conditions
    schema = CURATED if matched else run.schema
    rates = run.rates if matched else None
    files = matched_files(run) if matched else curated_files(run)
    batches = (selected_rows(hits, schema, rates, seed_of(run)) for hits in _all_hits(files, conditions))
    return schema, _first(limit, batches)


def _all_hits(files: Sequence[OwnFile], conditions: SearchConditions) -> Iterator[Hits]:
    for file in files:
        yield from hits_in(file, conditions)


def _first(limit: int | None, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the first `limit` rows of batches; all rows if None."""
    left = limit
    for batch in batches:
        yield batch.slice(0, left)
        if left is not None:
            left -= min(left, batch.num_rows)
            if not left:
                return


def find(
    run: Results,
    entry: str | Sequence[str] = (),
    language: str | Sequence[str] = (),
    domain: str | Sequence[str] = (),
    url: str | Sequence[str] = (),
    uid: str | Sequence[str] = (),
    text: str | None = None,
    matched: bool = False,
    limit: int | None = None,
) -> pa.Table:
    """Return the rows that a search finds as a table: `Results.find`."""
    if limit is not None:
        require_integer("limit", limit, 0)
    search = Search(several(entry), several(language), several(domain), several(url), several(uid), text)
    schema, batches = selected(run, search, matched, limit)
    return pa.Table.from_batches(batches, schema)


def several(values: str | Sequence[str]) -> Sequence[str]:
    """Return values; a single one as a list."""
    return [values] if isinstance(values, str) else values


def require_new_file(path: str | PathLike[str]) -> Path:
    """Return the path of a new file of rows; InputError if there is one, or if its name has another ending."""
    file = as_path(path)
    if file.suffix not in ENDINGS:
        raise InputError(
            f"the name of {path} does not say whether it is CSV or Parquet; give a name that ends in .csv or .parquet"
        )
    if file.name in names(file.parent):
        raise InputError(f"{path} exists; give the name of a new file")
    return file


def write_found_rows(run: Results, search: Search, path: Path, matched: bool, limit: int) -> int:
    """Write the first `limit` rows that a search finds to a new file, CSV or Parquet; return their number."""
    schema, batches = selected(run, search, matched, limit)
    if path.suffix == ".parquet":
        with part_writer(path, schema, ROWS_GROUP) as writer:
            for batch in batches:
                writer.write(batch)
        return writer.rows
    rows = 0
    flat = pa.schema([_flat_field(column) for column in schema])
    with whole(path) as file, CSVWriter(file, flat) as csv:
        for batch in batches:
            columns = [_flat(column) for column in batch.columns]
            csv.write_batch(pa.RecordBatch.from_arrays(columns, schema=flat))
            rows += batch.num_rows
    return rows


def _flat_field(column: pa.Field) -> pa.Field:
    return pa.field(column.name, pa.string()) if pa.types.is_nested(column.type) else column


def _flat(column: pa.Array) -> pa.Array:
    """Return a column as CSV can hold it: a list of ids as text with spaces, a structure as JSON."""
    if pa.types.is_list(column.type):
        return pc.binary_join(column.cast(pa.list_(pa.string())), " ")
    if pa.types.is_struct(column.type):
        return pa.array([None if value is None else json.dumps(value) for value in column.to_pylist()], pa.string())
    return column


def write_selection(
    engine: EngineLike,
    run: Results,
    search: Search,
    to: str | PathLike[str],
    matched: bool = False,
    progress: Progress | None = None,
) -> str:
    """Write the rows that a search finds as a manifest in a new folder `to`; return a sentence about the result.

    After an interruption, the same call resumes; if the folder is complete, nothing is written anew.
    """
    described = {"run": run.digest, "search": search.described, "matched": matched, "versions": versions()}
    try:
        with making(engine, to, Wanted(SELECTION, {"selection": described}, [run.path]), progress) as folder:
            tallies = _write_parts(run, search, matched, folder)
            for name in sorted({*LEFT_AS_THEY_ARE} & names(run.path)):
                folder.checksums[name] = copied(run.file(name), folder.path / name)
            facts = _facts(run, search, matched, tallies)
            folder.complete(facts)
    except AlreadyComplete as done:
        return str(done)
    return f"wrote {counted(facts['rows']['kept'], 'pair')} to {as_path(to) / 'curated'}"


def _write_parts(run: Results, search: Search, matched: bool, folder: Folder) -> TaskResult:
    """Write the selected rows to curated/, in files with the names of the files that they come from."""
    conditions = sought_in(run, search).conditions
    files = matched_files(run) if matched else curated_files(run)
    with scratch() as local:
        rates = folder.engine.ship(save_array(Path(local) / "rates.npy", run.rates)) if matched else None
        selecting = _Selecting(conditions, CURATED if matched else run.schema, rates, seed_of(run))
        return folder.make("select pairs", items_of(files), selecting.write_file, "curated")


@dataclass(frozen=True)
class _Selecting:
    """The values that the tasks need that write a selection."""

    conditions: SearchConditions
    schema: pa.Schema
    rates: Shipped | None  # None stands for files of the manifest
    seed: int

    def write_file(self, file: OwnFile, made: Made) -> None:
        """Write the selected rows of a file, and tally them."""
        rates = None if self.rates is None else self.rates.array()
        name = file.path.name
        with part_writer(made.path("curated", name), self.schema, row_group_rows([file])) as writer:
            for hits in hits_in(file, self.conditions):
                rows = selected_rows(hits, self.schema, rates, self.seed)
                writer.write(rows)
                tally_licenses(rows, made.result)
                for count in pc.value_counts(rows["language"]).to_pylist():
                    made.result.add(_KEPT, count["counts"], language=count["values"])
        made.wrote("curated", name, writer.checksum)


def _facts(run: Results, search: Search, matched: bool, tallies: Tallies) -> dict[str, Any]:
    """Return the content of the new run.json: the run's own, with new numbers of kept pairs and a selection record."""
    kept = Counter({code: int(rows) for code, rows in tallies.by_language(_KEPT).items()})
    selection = {
        "command": SELECTION.command,
        "search": search.described,
        "matched": matched,
        "rows": kept.total(),
    }
    of_what = "matched images" if matched else "pairs"
    note = (
        f"Selected {of_what} of another run: {kept.total():,}. The numbers of kept pairs are counted over these; all "
        "other figures and the probabilities are those from the other run."
    )
    facts = facts_of_part(run, "selections", selection, note, kept, tallies)
    if matched:  # The rows have only the columns of CURATED.
        facts.pop("kept_licenses", None)
        facts["parameters"] = facts.get("parameters", {}) | {"extra_columns": []}
    return facts
