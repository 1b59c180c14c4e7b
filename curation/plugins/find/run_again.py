"""Open again what a finished run read besides its inputs, and put single rows through the same functions.

run.json names metadata, model, lists and the gate's files by the command line of the run. A part that can no longer be
opened, or has changed, is a fault with a sentence; the rest continues without it. A run that Python code started states
no command line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.commands import clip_curate
from curation.config import CurationConfig
from curation.exclusion import Exclusion
from curation.images.combining import combine
from curation.images.grouping import images_of, keyed
from curation.inputs.tables.columns import TableOptions
from curation.language.engines import Identifier
from curation.run.finished_run import FinishedRun
from curation.run.output_folder import Output
from curation.run.request import Options, Request, entries_for, starter_entries
from curation.run.steps import MatchedImages, Steps
from curation.schemas import CANDIDATES, PAIRS, REMOVED_PART
from metadata.entries import Entries
from runtime.engine.local import Local
from runtime.errors import InputError
from runtime.progress import Progress
from runtime.storage.own_files import OwnFile, as_written, intact
from runtime.storage.parquet import open_parquet, read_table
from runtime.storage.scratch import scratch
from runtime.tallies import TaskResult

Value = TypeVar("Value")
METADATA, MODEL, LISTS, GATE = "metadata", "model", "lists", "gate"
_CHANGED = "is not what the run read"


@dataclass
class RunAgain:
    """The parts of a run that can be opened again; `faults` has a sentence for each that cannot."""

    run: FinishedRun
    faults: dict[str, str] = field(default_factory=dict)

    @cached_property
    def config(self) -> CurationConfig:
        """The config of the run."""
        names = CurationConfig.__dataclass_fields__
        parameters = self.run.facts["parameters"]
        return CurationConfig(**{name: value for name, value in parameters.items() if name in names})

    @property
    def columns(self) -> TableOptions:
        """The columns that held the pairs."""
        return TableOptions(**self.run.facts["made_from"].get("columns", {}))

    @cached_property
    def _arguments(self) -> Any:
        """The values of the command line of the run; None for a run of Python code."""
        line = self.run.facts.get("made", {}).get("command_line")
        return clip_curate.parser().parse_again(line) if line else None

    @property
    def _has_gate(self) -> bool:
        return bool(self.run.facts.get("gate"))

    @cached_property
    def entries(self) -> Entries | None:
        """The entries of the run's metadata; None if they cannot be opened."""
        return self._opened(METADATA, self._entries)

    def _entries(self) -> Entries:
        stated = self.run.facts["metadata"]
        if stated.get("starter"):
            entries = starter_entries(self.config, Progress())
            name = "starter metadata"
        else:
            arguments = self._require_arguments("metadata")
            source = clip_curate.metadata_of(arguments)
            entries = entries_for(self.config, source if source is not None else "")
            name = str(arguments.metadata or "the lists of --entries")
        if entries.digest != stated["digest"]:
            raise InputError(f"{name} {_CHANGED}: their digest differs")
        return entries

    @cached_property
    def identifier(self) -> Identifier | None:
        """The language model of the run; None if it cannot be opened."""
        return self._opened(MODEL, self._identifier)

    def _identifier(self) -> Identifier:
        stated = self.run.facts["made_from"].get("model", {})
        arguments = self._arguments
        identifier = Identifier.open(arguments.model if arguments else None)
        if identifier.digest != stated.get("digest"):
            raise InputError(f"the model {identifier.name} {_CHANGED}, which was {stated.get('name', 'not stated')}")
        return identifier

    @cached_property
    def exclusion(self) -> Exclusion | None:
        """The exclusion lists of the run, which may be none; None if they cannot be opened."""
        return self._opened(LISTS, self._exclusion)

    def _exclusion(self) -> Exclusion:
        if self.run.facts["made_from"].get("exclusion") is None:
            return Exclusion.read([])
        exclusion = Exclusion.read(self._require_arguments("exclusion lists").exclude)
        stated = {row["name"]: row["values"] for row in self.run.facts.get("exclusion_lists", [])}
        changed = [listed.name for listed in exclusion.by_list if stated.get(listed.name) != listed.values]
        is_plain = not exclusion.hashes
        if changed or (is_plain and exclusion.lists_digest != self.run.facts["made_from"]["exclusion"]):
            raise InputError(f"{', '.join(changed) or 'an exclusion list'} {_CHANGED}")
        return exclusion

    @cached_property
    def gate(self) -> Any:
        """The gate of the run, which writes down all that it removes; None if there is none or it cannot be opened."""
        hashes = [] if self.exclusion is None else [*self.exclusion.hashes]
        return self._opened(GATE, lambda: self._gate(hashes)) if self._has_gate or hashes else None

    def _gate(self, hashes: Sequence[str]) -> Any:
        """Return the gate, which also looks up the kinds of hashes that exclusion lists have."""
        arguments = self._require_arguments("files of the gate")
        arguments.keep_removed = 1.0 if self._has_gate else None
        gate = clip_curate.options_of(arguments).gate
        return gate.find(hashes) if gate else None

    def _require_arguments(self, what: str) -> Any:
        if self._arguments is None:
            raise InputError(f"the run was started from Python, so run.json does not name its {what}")
        return self._arguments

    def _opened(self, what: str, open_it: Callable[[], Value]) -> Value | None:
        try:
            return open_it()
        except (InputError, OSError, SystemExit, ImportError) as error:
            self.faults[what] = str(error)
            return None

    @contextmanager
    def steps(self) -> Iterator[Steps]:
        """Yield the steps of the run, which write into a temporary folder, with entries or without any."""
        entries = self.entries
        identifier = self.identifier
        if identifier is None or entries is None:
            raise InputError(self.faults.get(METADATA) or self.faults[MODEL])
        request = Request(
            config=self.config,
            options=Options(),
            files=[],
            exclusion=Exclusion.read([]) if self.exclusion is None else self.exclusion,
            entries=entries,
            identifier=identifier,
            gate=self.gate,
            observers={},
        )
        with scratch() as folder, Output.claim(folder / "run", request.made_from()) as output:
            yield Steps(Local(1), request, output, Progress())


@dataclass(frozen=True)
class MatchedAgain:
    """An image, matched again: its pairs (rows of PAIRS, each text once), its row of MATCHED or None, and counts."""

    pairs: list[dict[str, Any]]
    image: dict[str, Any] | None
    dropped: dict[str, float]


def match_again(again: RunAgain, candidates: Sequence[dict[str, Any]]) -> MatchedAgain:
    """Match candidates of one image, as dictionaries, and group them; InputError if metadata or model are missing."""
    result = TaskResult()
    with again.steps() as steps:
        plan = steps.match_plan
        batches = [pa.RecordBatch.from_pylist([*candidates], CANDIDATES)]
        cut = plan.candidates(iter(batches), result)
        matched = [plan.matching.match(combine(keyed(batch), again.config.max_texts, result)) for batch in cut]
    return _grouped(matched, again.config.max_texts, result)


def group_again(pairs: Sequence[dict[str, Any]], max_texts: int) -> MatchedAgain:
    """Group the pairs of one image, rows of PAIRS as dictionaries, as the run has grouped them."""
    return _grouped([pa.RecordBatch.from_pylist([*pairs], PAIRS)], max_texts, TaskResult())


def _grouped(matched: Sequence[pa.RecordBatch], max_texts: int, result: TaskResult) -> MatchedAgain:
    images = [*images_of([iter(matched)], max_texts, result)]
    rows = list(chain.from_iterable(batch.to_pylist() for batch in images))
    pairs = combine(pa.concat_batches(matched), max_texts, TaskResult()).to_pylist() if matched else []
    dropped = {reason: number for reason, number in result.by_item("dropped").items() if number}
    return MatchedAgain(pairs, rows[0] if rows else None, dropped)


def is_of_label(again: RunAgain, text: str, language: str) -> bool | None:
    """Return whether a language is the one of the model's label; None if the model cannot be opened."""
    if again.identifier is None:
        return None
    codes, _ = again.identifier.identify(pa.array([text]))
    return codes[0].as_py() == language


@dataclass(frozen=True)
class GatedAgain:
    """The gate's decision about an image among others: whether it passes, and rows of GATE_REMOVED about it."""

    passes: bool
    removed: list[dict[str, Any]]


def gate_again(again: RunAgain, file: OwnFile, group: int, uid: str) -> GatedAgain:
    """Put a row group of matched images through the gate; InputError if it cannot be opened, or refuses the images."""
    if again.gate is None:
        raise InputError(again.faults.get(GATE, "the run has no gate"))
    with again.steps() as steps, scratch() as folder:
        path = folder / "00000.parquet"
        with intact(file) as whole, open_parquet(whole) as opened:
            images = opened.read_row_group(group)
        pq.write_table(images, path)
        passed, _ = steps.gate(MatchedImages([as_written(path)], len(images)), again.gate)
        rows = [*chain.from_iterable(map(_rows_about, passed.files, [uid] * len(passed.files)))]
        sample = steps.output.files(REMOVED_PART)
        removed = [*chain.from_iterable(map(_rows_about, sample, [uid] * len(sample)))]
    return GatedAgain(bool(rows), removed)


def _rows_about(file: OwnFile, uid: str) -> list[dict[str, Any]]:
    return read_table(file).filter(pc.field("uid") == uid).to_pylist()
