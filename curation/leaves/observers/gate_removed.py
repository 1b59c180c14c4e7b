"""Observe what a gate removed: some texts of each rule, from the sample in gate_removed/, and entries that it thins.

The counts of entries over all matched images are compared with the counts over the images that passed the gate.
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
from curation.run.output_folder import REMOVED_PART
from curation.run.request import Observation, Options
from curation.schemas import GATE_REMOVED
from runtime.draws import draws
from runtime.engine import Engine, spread
from runtime.errors import AGAIN
from runtime.storage.own_files import OwnFile, checksums_in, own_files, tally
from runtime.storage.parquet import batches, part_writer
from runtime.tallies import Tallies

PURPOSE = "shown"  # of the draws that choose the texts to show
ROWS = 10  # most rows of a rule in a step
FEW = 0.1  # an entry is thinned if less than this share of its texts passed
TOP = 20  # entries listed per language
THINGS = {"conditions": "image", "texts": "text"}  # what rules remove, by the key of the rules in Run.gate


@dataclass(frozen=True)
class RemovedObserver:
    """Shows what a gate removed; `share` is the share of removed images that was written to gate_removed/."""

    share: float

    def observe(self, seen: Observation) -> Observed:
        """Return the share and the thinned entries of each language as facts, and the section of the report."""
        engine, output = seen.context.engine, seen.context.output
        with seen.context.progress.stage("see what the gate removed"):
            sample, shown = output.files(REMOVED_PART), output.parts.begin("shown")
            rows = some_of_each(engine, sample, seen.context.config.seed, shown)
            before = tasks.count(engine, output.matched_files(), seen.run.entries, output.parts.begin("before"))
        entries = thinned(before.values, seen.run)
        return Observed({"share": self.share, "entries": entries}, section(rows, entries, seen.run))


def find(options: Options) -> RemovedObserver | None:
    """Return the observer if the gate is to write a sample of removed images; else None."""
    share = getattr(options.gate, "keep_removed", None)
    return None if share is None else RemovedObserver(share)


def some_of_each(engine: Engine, files: list[OwnFile], seed: int, folder: Path) -> list[dict[str, Any]]:
    """Return at most ROWS rows of GATE_REMOVED with the smallest draws for each step and rule in `files`.

    Each task writes such rows of its files to `folder`; the result is chosen from what the tasks wrote.
    """
    if not files:  # no step wrote any
        return []
    written = checksums_in(engine.run(spread(files, engine), partial(_write_some, seed=seed, folder=folder)))
    own = own_files(folder, written, AGAIN)
    return first_rows((batch for file in own for batch in batches(file)), seed).to_pylist()


def first_rows(rows: Iterable[pa.RecordBatch], seed: int) -> pa.Table:
    """Return at most ROWS rows of each step and rule with the smallest draws by uid, sorted by step, rule and draw.

    Memory holds these rows and one batch.
    """
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
    """Return, for each language with thinned entries, how much the gate removed; languages with most matches first.

    `before` has the count of each entry over all matched images, by id. The result has numbers of entries: `seen` with
    texts before the gate, `none` of these without texts after it, `few` with less than the share FEW left. `matches`
    and `left` are matches before and after the gate. `top` lists the thinned entries with the largest counts before.
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
    """Return the section of the report: removed `rows` by rule, in the order of rules in Run.gate, and thinned entries.

    `rows` come from `some_of_each`, `entries` from `thinned`.
    """
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
    """Write the rows that `first_rows` chooses from `files` to a file in `folder`; return its checksum as a tally."""
    path, tallies = folder / files[0].path.name, Tallies()
    with part_writer(path, GATE_REMOVED, 1 << 16) as writer:
        for batch in first_rows((batch for file in files for batch in batches(file)), seed).to_batches():
            writer.write(batch)
    tally(tallies, path, writer.checksum)
    return tallies


def _codes(rows: pa.Table) -> np.ndarray:
    """Return a number for each row; rows have the same number if they have the same step and rule."""
    step, rule = (rows[name].combine_chunks().dictionary_encode() for name in ("step", "rule"))
    return step.indices.to_numpy() * max(1, len(rule.dictionary)) + rule.indices.to_numpy()


def _entry(run: Run, id: int, before: int, after: int) -> dict[str, Any]:
    return {"entry": run.entries.entry(id), "before": int(before), "after": int(after)}
