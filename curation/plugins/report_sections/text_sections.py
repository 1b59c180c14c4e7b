"""Observers that look at the texts of a run: doubtful rows, the shape of counts, and the texts that a gate removed.

The shape is about the counts of English or, if all texts are matched against a single list of entries, of that list.
It is compared with the figures of "Demystifying CLIP Data" (arXiv 2309.16671): 500,000 entries, 1.6 billion texts with
5.6 billion matches. The section about a gate shows some removed texts of each rule, from the sample in gate_removed/,
and the entries that the gate thins: it compares the counts over all matched images and over the images that passed.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import DOUBTFUL_SCORE, ENGLISH
from curation.report.facts import Observed, Run, Section
from curation.report.page import environment
from curation.run import tasks
from curation.run.request import Observation, Observer, Options
from curation.schemas import GATE_REMOVED, REMOVED_PART
from runtime.draws import draws
from runtime.engine import Engine, spread
from runtime.storage.own_files import OwnFile, written_files
from runtime.storage.parquet import batches, write_rows
from runtime.tallies import TaskResult
from runtime.wording import counted, quotient

FILES_SEARCHED = 8  # So many files at the beginning of the manifest are searched for doubtful rows.
ROWS_SHOWN = 10  # At most so many doubtful rows are shown for a language, and removed rows for a rule of a gate step.
DOUBTFUL_LANGUAGES = 60  # So many languages are shown: the ones with the most kept rows of a low score.

PUBLISHED: dict[str, Any] = {
    "never_matched": 114_000 / 500_000,
    "entries_above_t": 0.032,
    "matches_above_t": 0.945,
    "matches_a_text": 3.5,
    "top": ["of", "in", "and", "for", "the", "The", "with", "to", "photo", "a"],
}


def observe_doubtful(seen: Observation) -> Observed:
    """Return the section with kept rows of a low language score, from the beginning of the manifest."""
    rows = first_doubtful(chain.from_iterable(map(batches, seen.manifest[:FILES_SEARCHED])), seen.run)
    return Observed(section=doubtful_section(rows, seen.run))


def observe_shape(seen: Observation) -> Observed:
    """Compare the counts of a run with the figures of the paper "Demystifying CLIP Data".

    Return the figures of `shape_of_run` as facts, and the report's section; without a match, neither.
    """
    shape = shape_of_run(seen.run)
    if not shape:
        return Observed({})
    html = environment(__package__).get_template("shape.html").render(here=shape, published=PUBLISHED)
    return Observed(shape, Section("shape", "Beside the published pool of 1.6 billion English pairs", html))


def find_doubtful(options: Options) -> Observer:
    """Return the observer of doubtful rows, whatever the options."""
    return observe_doubtful


def find_shape(options: Options) -> Observer:
    """Return the observer of the shape, whatever the options."""
    return observe_shape


def doubtful_section(rows: dict[str, list[dict[str, Any]]], run: Run) -> Section:
    """Return the section that shows `rows`, CURATED rows by language; languages with the most texts come first."""
    doubtful = [(code, run.language_row(code), rows[code]) for code in run.codes() if code in rows]
    html = environment(__package__).get_template("doubtful.html").render(doubtful=doubtful, entry=run.entries.entry)
    return Section("doubtful-rows", "Doubtful rows", html)


def first_doubtful(batches: Iterable[pa.RecordBatch], run: Run) -> dict[str, list[dict[str, Any]]]:
    """Return, by language, the first ROWS_SHOWN kept rows with a low score, for up to DOUBTFUL_LANGUAGES languages.

    `batches` are CURATED batches in the random order of the manifest; reading stops once all of these rows are found.
    """
    counts = run.curated.by_language("kept_doubtful")
    most = sorted(counts, key=lambda code: -counts[code])[:DOUBTFUL_LANGUAGES]
    missing = {code: min(ROWS_SHOWN, int(counts[code])) for code in most}
    rows_by_language = defaultdict(list)
    for batch in batches if missing else ():
        low = pc.and_(pc.less(batch["lid_score"], DOUBTFUL_SCORE), pc.is_in(batch["language"], pa.array([*missing])))
        for row in batch.filter(low).to_pylist():
            if missing.get(row["language"], 0):
                rows_by_language[row["language"]].append(row)
                missing[row["language"]] -= 1
        missing = {code: left for code, left in missing.items() if left}
        if not missing:
            break
    return dict(rows_by_language)


def shape_of_run(run: Run) -> dict[str, Any]:
    """Return the figures of `shape_of`, the language, and the top entries of a run's English list, or of its only list.

    {} without a match.
    """
    code = run.config.one_list or ENGLISH
    texts = run.curated.by_language("texts")
    counts = run.counts.values[run.entries.ids(code)]
    if not counts.any():
        return {}
    matched = sum(texts.values()) if run.config.one_list else texts.get(code, 0)
    shape = shape_of(counts, run.thresholds.of_language[code], matched)
    return {"language": code, **shape, "top": [row["entry"] for row in run.top_entries(code)]}


def shape_of(counts: np.ndarray, t: int, texts: float) -> dict[str, float | None]:
    """Return four figures on the counts of a list of entries: shares of entries and of matches, and matches per text.

    `t` is the threshold of balancing: entries with that many texts or more are above it. `texts` is the number of texts
    with a match. Quotients by 0 are None.
    """
    above = counts >= t
    matches = int(counts.sum())
    return {
        "never_matched": quotient(int((counts == 0).sum()), len(counts)),
        "entries_above_t": quotient(int(above.sum()), len(counts)),
        "matches_above_t": quotient(int(counts[above].sum()), matches),
        "matches_a_text": quotient(matches, texts),
    }


PURPOSE = "shown"  # the purpose of the draws that choose the texts to show

THINNED_SHARE = 0.1  # An entry is thinned if less than this share of its texts passed.
ENTRIES_SHOWN = 20  # At most so many entries are listed for a language.
THINGS = {"conditions": "image", "texts": "text"}  # the things that rules remove, by the key of the rules in Run.gate


def observe_removed(seen: Observation, share: float) -> Observed:
    """Show what a gate removed; `share` is the share of removed images that was written to gate_removed/.

    Return as facts `share` and, by language, the entries with few texts left; and the section of the report.
    """
    engine, output = seen.context.engine, seen.context.output
    with seen.context.progress.stage("see what the gate removed"):
        sample = output.files(REMOVED_PART)
        shown = output.parts.begin("shown")
        rows = some_of_each(engine, sample, seen.context.config.seed, shown)
        before = tasks.count_texts(engine, output.files("matched"), seen.run.entries, output.parts.begin("before"))
    entries = thinned(before.values, seen.run)
    return Observed({"share": share, "entries": entries}, removed_section(rows, entries, seen.run))


def find_removed(options: Options) -> Observer | None:
    """Return the observer if the gate is to write a sample of removed images; else None."""
    share = options.gate and options.gate.keep_removed
    return partial(observe_removed, share=share) if share else None


def some_of_each(engine: Engine, files: list[OwnFile], seed: int, folder: Path) -> list[dict[str, Any]]:
    """Return at most ROWS_SHOWN rows of GATE_REMOVED with the smallest draws for each step and rule in `files`.

    Each task writes such rows of its files to `folder`; the result is chosen from the rows that the tasks wrote.
    """
    if not files:  # No step wrote any.
        return []
    result = engine.run(spread(files, engine), partial(_write_some, seed=seed, folder=folder))
    written = chain.from_iterable(map(batches, written_files(folder, result.files)))
    return first_rows(written, seed).to_pylist()


def first_rows(rows: Iterable[pa.RecordBatch], seed: int) -> pa.Table:
    """Return at most ROWS_SHOWN rows of each step and rule: the smallest draws by uid, sorted by step, rule and draw.

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
        held = ordered.filter(pa.array(rank < ROWS_SHOWN)).drop_columns("draw")
    return held


def thinned(before: np.ndarray, run: Run) -> dict[str, dict[str, Any]]:
    """Return, for each language with thinned entries, how much the gate removed; languages with most matches first.

    `before` has the count of each entry over all matched images, by id. The result has numbers of entries: `seen` with
    texts before the gate; of these, `none` with no text after it, and `few` with some, but less than THINNED_SHARE of
    them. `matches` and `left` are matches before and after the gate. `top` lists the thinned entries with the largest
    counts before.
    """
    by_language: dict[str, dict[str, Any]] = {}
    for code, ids in run.entries.languages.items():
        counts = before[ids]
        left = run.counts.values[ids]
        few = np.flatnonzero((counts > 0) & (left < THINNED_SHARE * counts))
        if len(few):
            top = few[np.argsort(-counts[few], kind="stable")][:ENTRIES_SHOWN].tolist()
            by_language[code] = {
                "seen": int((counts > 0).sum()),
                "none": int((left[few] == 0).sum()),
                "few": int((left[few] > 0).sum()),
                "matches": int(counts.sum()),
                "left": int(left.sum()),
                "top": [
                    {"entry": run.entries.entry(ids.start + at), "before": int(counts[at]), "after": int(left[at])}
                    for at in top
                ],
            }
    return dict(sorted(by_language.items(), key=lambda item: -item[1]["matches"]))


def removed_section(rows: Sequence[dict[str, Any]], entries: dict[str, dict[str, Any]], run: Run) -> Section:
    """Return the section of the report: removed `rows` by rule, in the order of rules in Run.gate, and thinned entries.

    `rows` come from `some_of_each`, `entries` from `thinned`.
    """
    rules: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        rules.setdefault((row["rule"], row["step"]), []).append(row)
    removed: dict[str, str] = {}
    for group, thing in THINGS.items():
        removed |= {rule["text"]: counted(rule["removed"], thing) for rule in run.gate.get(group, [])}
    order = {title: number for number, title in enumerate(removed)}
    shown = sorted(rules.items(), key=lambda item: order.get(item[0][0], len(order)))
    template = environment(__package__).get_template("gate_removed.html")
    html = template.render(rules=shown, removed=removed, entries=entries, few=THINNED_SHARE)
    return Section("gate-removed", "What the gate removed", html)


def _write_some(files: list[OwnFile], seed: int, folder: Path) -> TaskResult:
    """Write the rows that `first_rows` chooses from `files` to a file in `folder`; return its checksum."""
    rows = first_rows(chain.from_iterable(map(batches, files)), seed)
    return write_rows(folder / files[0].path.name, GATE_REMOVED, 1 << 16, rows.to_batches())


def _codes(rows: pa.Table) -> np.ndarray:
    """Return a number for each row; rows have the same number if they have the same step and rule."""
    step, rule = (rows[name].combine_chunks().dictionary_encode() for name in ("step", "rule"))
    return step.indices.to_numpy() * max(1, len(rule.dictionary)) + rule.indices.to_numpy()
