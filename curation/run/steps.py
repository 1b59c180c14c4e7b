"""Run the steps of a curation on the driver: submit tasks, check results, and finish the parts of the output folder.

`pipeline` has the order of the steps; `tasks` has the tasks of each step.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curation.balancing.size_estimates import Sizes
from curation.balancing.thresholds import (
    Distribution,
    EntryCounts,
    SizedThreshold,
    Thresholds,
    rates_at,
    rates_of,
    threshold_for_size,
    thresholds_at,
    unlimited_threshold,
)
from curation.config import ENGLISH
from curation.exclusion import Exclusion
from curation.inputs.files import pair_buckets
from curation.inputs.limits import within_limits
from curation.matching.finders import matchers_of
from curation.report.facts import Observed, Run
from curation.run import tasks
from curation.run.output_folder import Output
from curation.run.request import OBSERVERS, PDQ_NEAR, Context, GateHook, Observation, Request
from metadata.rules import have_letters
from runtime.engine import Engine
from runtime.errors import AGAIN
from runtime.folders.descriptor import set_aside
from runtime.folders.stamps import Ledger
from runtime.packages import named_in_errors
from runtime.progress import Progress
from runtime.storage.arrays import save_array
from runtime.storage.own_files import OwnFile, own_files
from runtime.storage.parquet import require_rows
from runtime.tallies import TaskResult
from runtime.wording import counted

FEW_REMOVED = 0.01  # If balancing removes a smaller share of the images, other thresholds are offered.


@dataclass(frozen=True)
class MatchedImages:
    """Parquet files with one row per image, and their total number of rows."""

    files: list[OwnFile]
    number: int


@dataclass(frozen=True)
class Balanced:
    """Thresholds by language, sampling rates by entry, and the result of a search for a target size."""

    thresholds: Thresholds
    rates: np.ndarray
    sized: SizedThreshold | None  # None unless config.target_size is set


@dataclass(frozen=True)
class Counted:
    """The numbers of a run: results of matching and sampling, texts of entries, facts of the gate, and balance."""

    matched: TaskResult
    counts: EntryCounts
    balance: Balanced
    curated: TaskResult
    gated: dict[str, Any]


@dataclass(frozen=True)
class Steps:
    """The steps of one run, which writes into the claimed output folder `output`."""

    engine: Engine
    request: Request
    output: Output
    progress: Progress

    def match(self) -> TaskResult:
        """Match all inputs, unless matched/ is already complete; return the result of reading and matching.

        InputError if its counts show that the inputs are unusable.
        """
        return within_limits(self.output.matched_result() or self._match_inputs(), self.request.config)

    def matched_images(self, matched: TaskResult) -> MatchedImages:
        """Return the files of matched images, given the result of `match`. InputError if rows or files are missing."""
        return self._complete(self.output.files("matched"), int(matched["matched_images"]))

    def gate(self, images: MatchedImages, gate: GateHook) -> tuple[MatchedImages, dict[str, Any]]:
        """Write the matched images that pass the gate into gated/; return these images, and the facts of the gate."""
        files, last, facts = gate.let_pass(images.files, self._context)
        return MatchedImages(files, int(last["passed"])), facts

    def count(self, images: MatchedImages) -> EntryCounts:
        """Return, for each entry, the number of texts that contain it."""
        with self.progress.stage("count entries"):
            return tasks.count_texts(self.engine, images.files, self.request.entries, self.output.parts.begin("counts"))

    def balance(self, images: MatchedImages, counts: EntryCounts) -> Balanced:
        """Return the thresholds of languages and the sampling rates of entries.

        The English threshold is config.english_threshold or, if config.target_size is set, the one found for that size.
        """
        config, languages = self.request.config, self.request.entries.languages
        distributions = {code: Distribution.of(c) for code, c in counts.by_language(languages).items()}
        size = config.target_size
        sized = None if size is None else self._threshold_for_size(images, counts, distributions, size)
        t = config.english_threshold if sized is None else sized.threshold
        thresholds = thresholds_at(t, distributions, config)
        return Balanced(thresholds, rates_of(counts.values, languages, thresholds), sized)

    def sample(self, images: MatchedImages, counts: EntryCounts, rates: np.ndarray) -> TaskResult:
        """Write the curated files; return a result with the expected and the actual number of kept pairs.

        `counts` and `rates` have the number of texts and the sampling rate of each entry.
        """
        config = self.request.config
        output = self.output
        number = config.curated_files(images.number)
        output.retract_results()
        curated = output.parts.begin("curated")
        with self.progress.stage(f"sample, and write {counted(number, 'file')}"):
            shipped = self.engine.ship(save_array(output.artefacts / "rates.npy", rates))
            lettered = self.engine.ship(save_array(output.artefacts / "counted.npy", self._lettered_of(counts)))
            sampling = tasks.Sampling(
                rates=shipped,
                lettered=lettered,
                seed=config.seed,
                files=number,
                folder=curated,
                extra=config.extra_columns,
            )
            result = tasks.sample_pairs(self.engine, images.files, sampling)
        self._complete(own_files(curated, result.files, AGAIN), int(result["kept"]))
        output.finish("curated", result.files)
        return result

    def write_results(self, images: MatchedImages, counted: Counted) -> None:
        """Run the observers, then write run.json, the report and the other files that describe the run."""
        output = self.output
        run = Run(
            config=self.request.config,
            made_from=output.description,
            entries=self.request.entries,
            counts=counted.counts,
            thresholds=counted.balance.thresholds,
            matched=counted.matched,
            curated=counted.curated,
            kept_counts=self._kept_counts(),
            sized=counted.balance.sized,
            sizes=self._sizes(images, counted),
            lineage=output.lineage(),
            passed_over=self.request.passed_over,
            exclusion_lists=self.request.exclusion.rows_of_lists(counted.matched),
            made=self._made(),
            **counted.gated,
        )
        seen = Observation(self._context, images.files, output.files("curated"), run)
        observed: dict[str, Observed] = {}
        for name, observer in self.request.observers.items():
            with named_in_errors(OBSERVERS, name):
                observed[name] = observer(seen)
        output.write_results(replace(run, observed=observed), counted.balance.rates, self.progress.times())

    def _made(self) -> dict[str, Any]:
        """Return when the run was made and, if it was asked for by a command, the command line."""
        at = {"at": datetime.now(timezone.utc).isoformat(timespec="seconds")}
        line = self.request.options.command_line
        return at if line is None else at | {"command_line": line}

    def _kept_counts(self) -> EntryCounts:
        """Return, for each entry, the number of kept texts that contain it."""
        output, entries = self.output, self.request.entries
        with self.progress.stage("count entries of the kept texts"):
            files = output.files("curated")
            folder = output.parts.begin("kept")
            return tasks.count_texts(self.engine, files, entries, folder, tasks.OF_CURATED)

    def _match_inputs(self) -> TaskResult:
        inputs, unique = self.request.files, self.request.options.unique_images
        plan = self.match_plan
        ledger = self.output.ledger(inputs, unique).checked(self.progress)
        if ledger.missing:
            self._match_missing(ledger)
        ledger = ledger.completed(self.output.path)
        self.output.owner.require()  # A run that has taken over may own the files that are pruned.
        ledger.prune()
        result = within_limits(ledger.sums, self.request.config)
        if unique:
            self.output.finish_matched(result, ledger)
        else:
            self.output.finish_pairs(ledger)
            with self.progress.stage("group by image", "ranges"):
                grouped = tasks.group(self.engine, ledger, plan.config.max_texts, self.output.parts.begin("matched"))
            result = TaskResult(result.rows(), facts=result.facts) + grouped  # The sum leaves out the files of pairs/.
            self.output.finish_matched(result)
        return result

    def _match_missing(self, ledger: Ledger) -> None:
        options = self.request.options
        if not options.unique_images:
            set_aside(ledger.stamps.folder)
        buckets = 0 if options.unique_images else pair_buckets(self.request.files)
        with self.progress.stage(f"match {len(ledger.missing)} of {len(ledger.inputs)} files"):
            tasks.match_inputs(self.engine, ledger, options.columns, self.match_plan, buckets)

    @cached_property
    def match_plan(self) -> tasks.MatchPlan:
        """The plan for matching texts; the artefacts that workers need are shipped once."""
        return tasks.MatchPlan(self._artefacts(), self.request.config)

    @property
    def _context(self) -> Context:
        """The context that gates and observers are given."""
        return Context(self.engine, self.request.config, self.output, self.progress, lambda: self.match_plan)

    def _artefacts(self) -> tasks.Artefacts:
        """Build and ship the files that workers match with: entries, model, exclusion, mask of entries with letters."""
        request, folder = self.request, self.output.artefacts
        matched = folder / "strings"
        exclusion = folder / "exclusion"
        excluded = self._exclusion(folder)
        on_disk = None
        if request.config.matcher == "trie":
            with self.progress.stage("build matchers", "languages"):
                on_disk = request.entries.on_disk(matched) if self.engine.is_local else None
                matched = matchers_of(request.entries, request.config.rules, complete=on_disk is None)
        else:
            request.entries.save_strings(matched)
        if len(excluded):
            excluded.save(exclusion)
        return tasks.Artefacts(
            entries=self.engine.ship(matched),
            model=self.engine.ship(request.identifier.path),
            exclusion=self.engine.ship(exclusion) if len(excluded) else None,
            lettered=self.engine.ship(save_array(folder / "lettered.npy", request.entries.lettered))
            if request.config.evidence == "letters"
            else None,
            on_disk=on_disk,
        )

    def _exclusion(self, work: Path) -> Exclusion:
        """Return the exclusion of the request, extended by the images with listed hashes in the hash tables."""
        exclusion, gate = self.request.exclusion, self.request.gate
        if not exclusion.hashes or gate is None:
            return exclusion
        hashes = [listed.hashes for listed in exclusion.by_list]
        with self.progress.stage("look up listed hashes"):
            return exclusion.without(gate.hashes.find(self.engine, hashes, PDQ_NEAR, work))

    def _lettered_of(self, counts: EntryCounts) -> np.ndarray:
        """Return a mask, bool[entry]: which of the counted entries have letters."""
        entries = self.request.entries
        lettered = np.zeros(len(counts), bool)
        for code, ids in entries.languages.items():
            counted = np.flatnonzero(counts.values[ids])
            if len(counted):
                lettered[ids.start + counted] = have_letters(entries.of(code).take(pa.array(counted)))
        return lettered

    def _threshold_for_size(
        self, images: MatchedImages, counts: EntryCounts, distributions: dict[str, Distribution], target_size: int
    ) -> SizedThreshold:
        """Return the smallest English threshold that is expected to keep `target_size` images."""
        languages = self.request.entries.languages
        passes = count()
        config = self.request.config

        def sizes_at(candidates: list[int]) -> list[float]:
            thresholds = [thresholds_at(t, distributions, config) for t in candidates]
            rates = rates_at(counts.values, languages, thresholds)
            path = save_array(self.output.artefacts / f"rates{next(passes)}.npy", rates)
            title = f"try {len(thresholds)} thresholds from {candidates[0]:,} to {candidates[-1]:,}"
            with self.progress.stage(title):
                sizes = tasks.tally_expected_sizes(self.engine, images.files, self.engine.ship(path))
            return [sizes["size", column] for column in range(len(thresholds))]

        limiting = counts.values if config.one_threshold else counts.values[languages.get(ENGLISH, slice(0))]
        return threshold_for_size(sizes_at, target_size, unlimited_threshold(limiting))

    def _sizes(self, images: MatchedImages, counted: Counted) -> dict[str, Any]:
        """Return how many images other English thresholds would keep.

        If balancing removed few images, the result also has thresholds to choose, which would keep fewer images.
        """
        request = self.request
        sizes = Sizes.of(images.files, images.number, counted.counts, request.entries.languages, request.config)
        if sizes is None:
            return {}
        return sizes.facts(counted.curated["expected_images"] > (1 - FEW_REMOVED) * images.number)

    @staticmethod
    def _complete(files: list[OwnFile], number: int) -> MatchedImages:
        """Return the images in `files`; InputError unless the files hold `number` rows in all."""
        require_rows(files, number)
        return MatchedImages(files, number)
