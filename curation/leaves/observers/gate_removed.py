"""Observe what a gate removed: some texts of each rule from the sample in gate_removed/, and the entries that it thins.

Entries are counted over all matched images, and compared with the counts of those that passed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curation.report.facts import Observed, Run, Section
from curation.report.languages import counted
from curation.report.page import environment
from curation.run import tasks
from curation.run.folder import REMOVED_PART
from curation.run.request import Observation, Options
from curation.schemas import GATE_REMOVED
from runtime.draws import draws
from runtime.engine.interface import Engine, spread
from runtime.errors import AGAIN
from runtime.storage.own_files import OwnFile, checksums_in, own_files, tally
from runtime.storage.parquet import batches, part_writer
from runtime.tallies import Tallies

PURPOSE = "shown"  # of the draw of the texts that are shown
ROWS = 10  # of a rule
FEW = 0.1  # an entry is thinned that has less than this share of its texts left
TOP = 20  # entries listed per language
THINGS = {"conditions": "image", "texts": "text"}  # what is counted of each table of the gate


@dataclass(frozen=True)
class RemovedObserver:
    """Shows what a gate removed, of which a share of the images was written down."""

    share: float

    def observe(self, seen: Observation) -> Observed:
        """Return the entries that were thinned by language, and the section of the report."""
        engine, output = seen.context.engine, seen.context.output
        with seen.context.progress.stage("see what the gate removed"):
            sample, shown = output.files(REMOVED_PART), output.parts.begin("shown")
            rows = some_of_each(engine, sample, seen.context.config.seed, shown)
            before = tasks.count(engine, output.matched_files(), seen.run.entries, output.parts.begin("before"))
        entries = thinned(before.values, seen.run)
        return Observed({"share": self.share, "entries": entries}, section(rows, entries, seen.run))


def find(options: Options) -> RemovedObserver | None:
    """Return the observer where a sample is asked for."""
    share = getattr(options.gate, "keep_removed", None)
    return None if share is None else RemovedObserver(share)


def some_of_each(engine: Engine, files: list[OwnFile], seed: int, folder: Path) -> list[dict[str, Any]]:
    """Return GATE_REMOVED rows, of each step and rule those with the smallest draws; tasks write theirs to a folder."""
    if not files:  # no step wrote any
        return []
    written = checksums_in(engine.run(spread(files, engine), partial(_write_some, seed=seed, folder=folder)))
    own = own_files(folder, written, AGAIN)
    return first_rows((batch for file in own for batch in batches(file)), seed).to_pylist()


def first_rows(rows: Iterable[pa.RecordBatch], seed: int) -> pa.Table:
    """Return the rows of each step and rule that have the smallest draws, by uid; never more are held at a time."""
    held = GATE_REMOVED.empty_table()
    for batch in rows:
        both = pa.concat_tables([held, pa.Table.from_batches([batch])])
        drawn = pa.array(draws(seed, PURPOSE, both["uid"].combine_chunks()))
        ordered = both.append_column("draw", drawn).sort_by(
            [(name, "ascending") for name in ("step", "rule", "draw", "uid", "text")]
        )
        codes = _codes(ordered)
        first = np.flatnonzero(np.diff(codes, prepend=-1))
        rank = np.arange(len(codes)) - np.repeat(first, np.diff(np.append(first, len(codes))))
        held = ordered.filter(pa.array(rank < ROWS)).drop_columns("draw")
    return held


def thinned(before: np.ndarray, run: Run) -> dict[str, dict[str, Any]]:
    """Return, by language, the entries with texts before the gate, those without any after it, and those with FEW.

    `texts` and `left` are matches. The entries among them with the largest counts before are listed.
    """
    found: dict[str, dict[str, Any]] = {}
    for code, ids in run.entries.languages.items():
        own, left = before[ids], run.counts.values[ids]
        few = np.flatnonzero((own > 0) & (left < FEW * own))
        if len(few):
            top = few[np.argsort(-own[few], kind="stable")][:TOP]
            found[code] = {
                "seen": int((own > 0).sum()),
                "none": int((left[few] == 0).sum()),
                "few": int((left[few] > 0).sum()),
                "matches": int(own.sum()),
                "left": int(left.sum()),
                "top": [_entry(run, ids.start + at, own[at], left[at]) for at in top.tolist()],
            }
    return dict(sorted(found.items(), key=lambda each: -each[1]["matches"]))


def section(rows: Sequence[dict[str, Any]], entries: dict[str, dict[str, Any]], run: Run) -> Section:
    """Return what the report shows of rows of each rule, in the order of the gate's tables, and of thinned entries."""
    rules: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        rules.setdefault((row["rule"], row["step"]), []).append(row)
    asked = [(each, thing) for group, thing in THINGS.items() for each in run.gate.get(group, [])]
    removed = {each["text"]: counted(each["removed"], thing) for each, thing in asked}
    order = {title: number for number, title in enumerate(removed)}
    shown = sorted(rules.items(), key=lambda each: order.get(each[0][0], len(order)))
    html = (
        environment(__package__)
        .get_template("gate_removed.html")
        .render(rules=shown, removed=removed, entries=entries, few=FEW)
    )
    return Section("gate-removed", "What the gate removed", html)


def _write_some(files: list[OwnFile], seed: int, folder: Path) -> Tallies:
    """Write the rows of some files that may be shown."""
    path, tallies = folder / files[0].path.name, Tallies()
    with part_writer(path, GATE_REMOVED, 1 << 16) as writer:
        for batch in first_rows((batch for file in files for batch in batches(file)), seed).to_batches():
            writer.write(batch)
    tally(tallies, path, writer.checksum)
    return tallies


def _codes(rows: pa.Table) -> np.ndarray:
    """Return a number for the step and the rule of each row."""
    step, rule = (rows[name].combine_chunks().dictionary_encode() for name in ("step", "rule"))
    return step.indices.to_numpy() * max(1, len(rule.dictionary)) + rule.indices.to_numpy()


def _entry(run: Run, id: int, before: int, after: int) -> dict[str, Any]:
    return {"entry": run.entries.entry(id), "before": int(before), "after": int(after)}
