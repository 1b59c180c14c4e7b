"""Count what a search finds in a run, in tasks over files; draw examples by uid, and sum the entries beside an entry.

Each file of the counted images and of the manifest is read by one task. Tasks send the counts of the entries that occur
in the texts of a sought entry to other tasks, which sum them. The driver gets numbers and a few examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.balancing.sampling import CountedTexts, choose_texts, coins
from curation.balancing.thresholds import Thresholds
from curation.config import ENGLISH
from curation.plugins.find.entry_lookup import SoughtEntry, sought_in
from curation.plugins.find.searching import TEXTS, Hits, Search, SearchConditions, hits_in, opened, with_entries
from curation.run.finished_run import curated_files, matched_files
from curation.run.results import Results
from runtime.arrow import differs, gather_reduced, one_batch, parts
from runtime.buckets import BUCKET_BYTES
from runtime.cogroup import Grouping, Rows, Side, cogroup
from runtime.draws import draws
from runtime.engine import Engine
from runtime.shipping import Shipped
from runtime.storage.arrays import save_array
from runtime.storage.own_files import OwnFile
from runtime.storage.scratch import scratch
from runtime.tallies import TaskResult

EXAMPLES = 20  # So many texts are shown for a sought entry, or for a search without entries.
KEPT = "kept texts"  # the name of a fact with drawn texts of the manifest
NOT_KEPT = "other texts"  # the name of a fact with drawn texts of counted images that the run did not keep
MAX_TOGETHER = 1_000  # A task returns so many of the most frequent entries beside a sought one.
TOGETHER_TASKS = 4
PURPOSE = "find"  # the purpose of the draws that choose examples
# A row states in how many of the texts with the sought entry number `sought` the entry `id` is.
TOGETHER = pa.schema([pa.field("sought", pa.int32()), pa.field("id", pa.int32()), pa.field("texts", pa.int64())])
ALL = -1  # This stands for the number of a sought entry if the search names none.


@dataclass(frozen=True)
class SearchFigures:
    """The result of a search in a run, as sums of tasks."""

    run: Results
    search: Search
    entries: Sequence[SoughtEntry]
    missing: Sequence[str]  # a sentence about each named entry that no text has
    thresholds: Sequence[tuple[str, int, Thresholds]]  # Each has a name, the English t, and all thresholds.
    sums: TaskResult
    examples: dict[int, list[dict[str, Any]]]  # The keys are numbers of sought entries, or ALL.

    @property
    def images(self) -> int:
        """The number of counted images that were found."""
        return int(self.sums["images"])

    @property
    def kept(self) -> int:
        """The number of rows of the manifest that were found."""
        return int(sum(self.sums.by_language("kept").values()))

    def together(self, number: int) -> list[tuple[int, int]]:
        """Return (id, texts) of the entries that occur most often in the texts of a sought entry, without itself."""
        sought_id = self.entries[number].id
        pairs = [
            (id, texts) for sought, id, texts in self.sums.noted("together") if sought == number and id != sought_id
        ]
        return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:MAX_TOGETHER]

    def expected(self, number: int) -> dict[str, float]:
        """Return how many of the texts of a sought entry would be kept at each tried threshold, by its name."""
        return {name: self.sums[f"expected_{name}", number] for name, *_ in self.thresholds}


@dataclass(frozen=True)
class _FigureTask:
    """The values that the tasks of a search need."""

    conditions: SearchConditions
    counts: Shipped  # an array with one count for each id
    rates: Shipped  # an array with one rate for each id
    languages: dict[str, slice]  # code → its slice of ids
    thresholds: Sequence[tuple[str, int, Thresholds]]
    seed: int

    def groups(self, hits: Hits) -> Iterator[tuple[int, np.ndarray]]:
        """Yield each sought entry's number, and the texts that meet the conditions with it, bool[text]."""
        if not self.conditions.ids:
            yield ALL, hits.met
        for number, id in enumerate(self.conditions.ids):
            met = hits.met
            if len(self.conditions.ids) > 1:
                met = met & with_entries(hits.texts.column("entries"), [id])
            if met.any():
                yield number, met


def find_figures(engine: Engine, run: Results, search: Search) -> SearchFigures:
    """Return what a search finds; NothingFound if no text has a language, or any entry, that it names."""
    sought = sought_in(run, search)
    entries = sought.entries
    thresholds = _tried_thresholds(run) if entries else []
    counted = [] if run.is_partial else matched_files(run)
    manifest = curated_files(run)
    with scratch() as local:
        task = _FigureTask(
            sought.conditions,
            counts=engine.ship(save_array(Path(local) / "counts.npy", run.counts)),
            rates=engine.ship(save_array(Path(local) / "rates.npy", run.rates)),
            languages=run.languages,
            thresholds=thresholds,
            seed=seed_of(run),
        )
        sides = [
            Side(counted, _read_counted, None, _summed, (task,)),
            Side(manifest, _read_manifest, None, _summed, (task,)),
        ]
        summing = Grouping(TOGETHER, _keys, _note_together, TOGETHER_TASKS, TOGETHER_TASKS)
        sums = cogroup(engine, sides, summing)
    numbers = range(len(entries)) if entries else [ALL]
    examples = {number: _examples(run, number, sums) for number in numbers}
    return SearchFigures(run, search, entries, sought.missing, thresholds, sums, examples)


def seed_of(run: Results) -> int:
    """Return the seed of a run."""
    return int(run.facts.get("parameters", {}).get("seed", 0))


def _tried_thresholds(run: Results) -> list[tuple[str, int, Thresholds]]:
    """Return the thresholds at half and at twice the English t of the run, and at the t itself, by name."""
    parameters = run.facts.get("parameters", {})
    english = run.facts["languages"].get(ENGLISH, {}).get("t") or parameters.get("english_threshold")
    if not english or not parameters.get("balance", True):
        return []
    tail_share = parameters.get("tail_share")
    tried = {"half": max(1, english // 2), "same": english, "twice": 2 * english}
    return [(name, t, run.thresholds(t, tail_share)) for name, t in tried.items()]


def _read_counted(number: int, file: OwnFile, result: TaskResult, task: _FigureTask) -> Rows:
    """Tally the images and texts of a file of counted images that meet the conditions; yield rows of TOGETHER."""
    drawn = _Drawn(number, NOT_KEPT)
    for hits in hits_in(file, task.conditions, ["entries"]):
        result.add("images", len(hits.rows))
        languages = hits.texts.column("language")
        of_images = pa.table({"language": languages.filter(pa.array(hits.met)), "row": hits.texts.rows[hits.met]})
        for code, texts, images in _by_language(of_images):
            result.add("texts", texts, language=code)
            result.add("images_of", images, language=code)
        uids = hits.read(["uid"])["uid"]
        is_kept = _kept_texts(hits, uids, task.rates.array(), task.seed)
        for sought, met in task.groups(hits):
            drawn.add(sought, hits, met & ~is_kept, uids)
            if sought != ALL:
                result.add("images_with", int(differs(hits.texts.rows[met]).sum()), item=sought)
                result.add("texts_with", int(met.sum()), item=sought)
                yield from _together(hits, sought, met)
                _tally_expected(task, hits, sought, met, result)
    drawn.note(result)


def _read_manifest(number: int, file: OwnFile, result: TaskResult, task: _FigureTask) -> Rows:
    """Tally the rows of a file of the manifest that meet the conditions; yield nothing."""
    drawn = _Drawn(number, KEPT)
    for hits in hits_in(file, task.conditions):
        for count in pc.value_counts(hits.texts.column("language").filter(pa.array(hits.met))).to_pylist():
            result.add("kept", count["counts"], language=count["values"])
        uids = hits.read(["uid"])["uid"]
        for sought, met in task.groups(hits):
            drawn.add(sought, hits, met, uids)
            if sought != ALL:
                result.add("kept_with", int(met.sum()), item=sought)
    drawn.note(result)
    yield from ()


def _kept_texts(hits: Hits, uids: pa.Array, rates: np.ndarray, seed: int) -> np.ndarray:
    """Return which texts of the rows that were hit the run kept, bool[text]."""
    rows = pa.array(hits.rows)
    images = pa.RecordBatch.from_pydict({"uid": uids.take(rows), TEXTS: hits.texts.batch[TEXTS].take(rows)})
    _, chosen, probability = choose_texts(images, rates, seed)
    is_kept = coins(images["uid"], seed) < probability
    offsets = hits.texts.offsets
    first = np.append(0, np.cumsum(np.diff(offsets)[hits.rows]))[:-1]  # the first text of each of these images
    kept = np.zeros(len(hits.met), bool)
    kept[(offsets[hits.rows] + chosen - first)[is_kept]] = True
    return kept


def _by_language(rows: pa.Table) -> list[tuple[str, int, int]]:
    """Return each language, with its number of texts and of images."""
    sums = rows.group_by("language", use_threads=False).aggregate([("row", "count"), ("row", "count_distinct")])
    return [*zip(*(sums[name].to_pylist() for name in ("language", "row_count", "row_count_distinct")), strict=True)]


class _Drawn:
    """The texts with the smallest draws that a task has met, for each sought entry."""

    def __init__(self, file: int, name: str) -> None:
        self._file = file
        self._name = name
        self._held: dict[int, list[list]] = {}

    def add(self, sought: int, hits: Hits, met: np.ndarray, uids: pa.Array) -> None:
        """Draw a number for each text that is marked in `met`, by the uid of its row and its number in the row."""
        texts = np.flatnonzero(met)
        rows = hits.texts.rows[texts]
        numbers = texts - hits.texts.offsets[rows]
        drawn = draws(0, PURPOSE, uids.take(pa.array(rows)), numbers)
        smallest = np.argpartition(drawn, EXAMPLES)[:EXAMPLES] if len(drawn) > EXAMPLES else np.arange(len(drawn))
        new = [
            [draw, self._file, hits.group, row, number]
            for draw, row, number in zip(
                drawn[smallest].tolist(), rows[smallest].tolist(), numbers[smallest].tolist(), strict=True
            )
        ]
        self._held[sought] = nsmallest(EXAMPLES, self._held.get(sought, []) + new)

    def note(self, result: TaskResult) -> None:
        """Add the draws, with the places of the texts, to the facts of a task."""
        for sought, held in self._held.items():
            result.note(_name_of_draws(self._name, sought), *held)


def _name_of_draws(name: str, sought: int) -> str:
    return f"{name} {sought}"


def _together(hits: Hits, sought: int, met: np.ndarray) -> Rows:
    """Yield how often each entry is in the texts that are marked in `met`, as rows of TOGETHER."""
    ids, _ = parts(hits.texts.column("entries").filter(pa.array(met)))
    counts = pc.value_counts(ids)
    columns = [pa.repeat(pa.scalar(sought, pa.int32()), len(counts)), counts.field("values"), counts.field("counts")]
    yield pa.RecordBatch.from_arrays(columns, schema=TOGETHER)


def _tally_expected(task: _FigureTask, hits: Hits, sought: int, met: np.ndarray, result: TaskResult) -> None:
    """Tally how many of the texts that are marked in `met` each of the tried thresholds is expected to keep."""
    if not task.thresholds:
        return
    ids, offsets = parts(hits.texts.column("entries").filter(pa.array(met)))
    distinct, indices = np.unique(ids.to_numpy(), return_inverse=True)
    slices = {}
    for code, all_ids in task.languages.items():
        ids_of_language = slice(*np.searchsorted(distinct, (all_ids.start, all_ids.stop)))
        if ids_of_language.start < ids_of_language.stop:
            slices[code] = ids_of_language
    choices = np.diff(hits.texts.offsets)[hits.texts.rows[met]]
    labels = pa.array(["sought"] * len(choices)).dictionary_encode()
    counted = CountedTexts(labels, choices, indices, offsets, task.counts.array()[distinct], slices)
    sizes = counted.expected_sizes([thresholds for *_, thresholds in task.thresholds])["sought"]
    for (name, *_), size in zip(task.thresholds, sizes.tolist(), strict=True):
        result.add(f"expected_{name}", size, item=sought)


def _keys(rows: pa.RecordBatch) -> np.ndarray:
    """Return a key, uint64, of each row of TOGETHER: neighbouring ids are dealt to different tasks."""
    return rows["id"].to_numpy().astype(np.uint64) << np.uint64(62)


def _summed(rows: Rows) -> Rows:
    """Yield the sums of rows of TOGETHER in one batch; nothing if there are no rows."""
    held = gather_reduced(rows, _sums, BUCKET_BYTES)
    if held:
        yield _sums(held)


def _sums(held: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    sums = pa.Table.from_batches(held).group_by(["sought", "id"], use_threads=False).aggregate([("texts", "sum")])
    return one_batch(sums.select(["sought", "id", "texts_sum"]).rename_columns(TOGETHER.names).cast(TOGETHER))


def _note_together(task: int, buckets: Iterator[Rows], result: TaskResult) -> None:
    """Note the most frequent entries beside each sought entry, of the ids that are dealt to this task."""
    for rows in buckets:
        for sums in _summed(rows):
            for number in pc.unique(sums["sought"]).to_pylist():
                of_entry = sums.filter(pc.equal(sums["sought"], number))
                order = [("texts", "descending"), ("id", "ascending")]
                most = of_entry.take(pc.select_k_unstable(of_entry, MAX_TOGETHER, sort_keys=order))
                result.note("together", *zip(*(most[name].to_pylist() for name in TOGETHER.names), strict=True))


def _examples(run: Results, sought: int, sums: TaskResult) -> list[dict[str, Any]]:
    """Return up to EXAMPLES drawn texts as dictionaries: kept ones and others, half of each if there are enough."""
    kept = nsmallest(EXAMPLES, sums.noted(_name_of_draws(KEPT, sought)))
    others = nsmallest(EXAMPLES, sums.noted(_name_of_draws(NOT_KEPT, sought)))
    shown = max(EXAMPLES // 2, EXAMPLES - len(others))
    rows = [*_texts_at(curated_files(run), kept[:shown], is_kept=True)]
    if others:
        rows += _texts_at(matched_files(run), others[: EXAMPLES - len(rows)], is_kept=False)
    return rows


def _texts_at(files: Sequence[OwnFile], drawn: Sequence[Sequence[Any]], is_kept: bool) -> Iterator[dict[str, Any]]:
    """Yield drawn texts with uid, URL and language; each is given as draw, file, row group, row, number in the row."""
    row_by_place: dict[tuple[int, int, int], dict[str, Any]] = {}
    for file in sorted({place[1] for place in drawn}):
        in_file = [place for place in drawn if place[1] == file]
        with opened(files[file]) as parquet:
            for group in sorted({place[2] for place in in_file}):
                rows = sorted({place[3] for place in in_file if place[2] == group})
                taken = parquet.read(group, ("uid", "url", "text", "language")).take(pa.array(rows))
                for row, content in zip(rows, taken.to_pylist(), strict=True):
                    row_by_place[file, group, row] = content
    for _, file, group, row, number in drawn:
        image = row_by_place[file, group, row]
        text = image["candidates"][number] if "candidates" in image else image
        yield {"uid": image["uid"], "url": image["url"], "text": text["text"], "language": text["language"]} | {
            "kept": is_kept
        }
