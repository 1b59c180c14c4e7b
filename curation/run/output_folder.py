"""The output folder of a run, local or at a URL: its parts, its lock, and how finished parts get their names.

`pairs/` holds the matched pairs of each input, and records which tasks have finished: an interrupted run, or one with
more inputs, continues from there. `matched/`, `gated/` and `curated/` get these names when they are complete.
`matched/` has its own descriptor, so that a run with another threshold, seed or target size can reuse it. `gated/` also
has one, for a run with another threshold or target size. Between runs in one folder, inputs may be added and exclusion
lists may change; a run that differs in anything else is refused. This module does not use `runtime.folders.folder`,
because each part is reused by its own rule; the claim has the same form.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from os import PathLike
from pathlib import Path
from types import TracebackType

import numpy as np

from curation.inputs.tables.columns import TABLES_FOLDER, input_of, is_table, tables_in
from curation.report.facts import Run
from curation.report.page import write_report
from curation.schemas import REMOVED_PART
from runtime import interrupts
from runtime.errors import AGAIN, InputError
from runtime.folders.descriptor import Kind, complete, differing
from runtime.folders.ownership import Owner, claim, claim_in, clear_work, is_free, remove_partial, usable_output
from runtime.folders.parts import Parts
from runtime.folders.stamps import STAMP_NAME, Input, Ledger, Stamps, digest_of
from runtime.redaction import hidden
from runtime.storage.json_files import read_json, write_json
from runtime.storage.listing import CLAIM, RUN
from runtime.storage.own_files import OwnFile, own_files
from runtime.storage.parquet import head_rows
from runtime.storage.paths import existing, files, in_threads, is_url, make_folder, names, remove, remove_file
from runtime.storage.scratch import scratch
from runtime.storage.whole import WORK, require_no_link
from runtime.tallies import TaskResult, values_under

RUN_VERSION = 3
RUN_FOLDER = Kind("a run", "clip-curate", RUN_VERSION, "run.json")
PAIRS = Kind("matched pairs", "clip-curate", RUN_VERSION)
MATCHED = Kind("matched images", "clip-curate", RUN_VERSION)
MAY_DIFFER = ("inputs", "exclusion")  # Runs in one folder may differ in these.

SAMPLE_ROWS = 1000  # The report picks examples of each language from this many curated rows.
DESCRIPTIONS = ("run.json", "report.html", "times.json")  # The first, run.json, is written last.
RESULTS = ("counts.parquet", "thresholds.json")
PARTS = (TABLES_FOLDER, "pairs", "matched", "gated", REMOVED_PART, "curated", *RESULTS, *DESCRIPTIONS)
GATE = "gate"  # This folder in the work folder has the finished steps of a gate.
REOPENED = ("matched", GATE)  # If this run is interrupted, the next run continues these parts.


@dataclass(frozen=True)
class Output:
    """An output folder that one run has claimed; a context manager that releases the claim."""

    path: Path
    description: dict  # everything that matched/ depends on: inputs, digests, parameters
    artefacts: Path  # a local folder for files that the driver makes for workers
    owner: Owner
    at_end: ExitStack  # removes the folder of artefacts, if it is a temporary one
    checksums: dict[str, str] = field(default_factory=dict)  # of result files; each is added when its file is finished

    @classmethod
    def claim(cls, path: str | PathLike[str], description: dict, overwrite: bool = False) -> Output:
        """Claim the folder `path`, which is created if needed, for a run that matches as `description` says.

        InputError for a folder that holds another run, unless `overwrite` says to empty the folder first. A local
        folder into which another run is writing is also refused; at a URL, this run takes the folder over (see
        `locks`).
        """
        description = json.loads(json.dumps(description))
        with usable_output(path) as folder:
            work = folder / WORK
            if is_url(folder) or not os.path.exists(work):
                require_claimable(folder, description, overwrite)  # This run has not yet written into the folder.
            owner = claim(folder)
            try:
                if overwrite or require_like(folder, description):
                    _clear(folder)
                for name in PARTS:
                    require_no_link(folder / name)
                clear_work(work, CLAIM, *(() if overwrite else REOPENED))
                remove_partial(folder)
                write_json(work / CLAIM, RUN_FOLDER.claim(description))
            except BaseException:
                owner.release()
                raise
        # The folder is new for each run, because workers of a long session cache opened artefacts by path.
        at_end = ExitStack()
        artefacts = at_end.enter_context(scratch()) if is_url(folder) else make_folder(owner.unfinished)
        return cls(folder, description, artefacts, owner, at_end)

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if isinstance(error, Exception):  # Another run that has taken over the folder may have caused the error.
                self.owner.require()
        finally:
            self.release()

    def release(self) -> None:
        """Remove the artefacts (so that no exclusion list stays on disk), and let other runs claim the folder."""
        try:
            remove(self.artefacts)
            self.at_end.close()
        finally:
            self.owner.release()

    def described(self, description: dict) -> Output:
        """Return this output with a new description, which is also written into the folder's claim.

        The new description lists the files that tables were copied into, in place of the tables.
        """
        description = json.loads(json.dumps(description))
        self.owner.require()
        write_json(self.path / WORK / CLAIM, RUN_FOLDER.claim(description))
        return replace(self, description=description)

    @property
    def parts(self) -> Parts:
        """The parts of the output, each of which gets its name only when it is complete."""
        return Parts(self.path, self.owner.unfinished)

    def ledger(self, inputs: list[Input], unique_images: bool = False) -> Ledger:
        """Return the ledger, which records the inputs that are already matched.

        It is kept in pairs/ or, if the inputs state each image once (`unique_images`), in matched/.
        """
        self.owner.require()  # A run that has taken over may own the folder that is reopened.
        if unique_images:
            folder = self.parts.reopen("matched")
        else:
            folder = make_folder(self.path / "pairs")
        made_from = {name: value for name, value in self.description.items() if name != "inputs"}
        return Ledger.open(folder, {"version": RUN_VERSION, "made_from": made_from}, inputs)

    def matched_result(self) -> TaskResult | None:
        """Return the result of matching if matched/ was made of the same inputs and exclusion lists, else None.

        Also return None if a file of matched/ or pairs/ is missing, so that its task runs again.
        """
        result = self._result_of_same_inputs()
        if result is None or not result.files.keys() <= names(self.path / "matched") or self._lacks_pairs():
            return None
        self.record("matched", result.files)
        return result

    def lineage(self) -> list[dict]:
        """Return a dict for each run that added inputs: their number `inputs`, and their `first` and `last` path."""
        return self._earlier().get("lineage", [])

    def finish_pairs(self, ledger: Ledger) -> None:
        """Write the descriptor of pairs/, and remove the stamps of its tasks, whose facts it has."""
        self.owner.require()
        folder = ledger.stamps.folder
        made_from = {name: value for name, value in self.description.items() if name != "inputs"}
        complete(folder, PAIRS.content(made_from, ledger.sums.files, {"tasks": ledger.described()}))
        ledger.stamps.remove()

    def finish_matched(self, result: TaskResult, ledger: Ledger | None = None) -> None:
        """Give the complete matched/ its name, and a descriptor with lineage and result.

        If the tasks of `ledger` wrote its files, the descriptor takes the place of their stamps.
        """
        earlier = self._earlier()
        known = {*map(digest_of, earlier.get("made_from", {}).get("inputs", []))}
        added = [source["path"] for source in self.description["inputs"] if digest_of(source) not in known]
        lineage = earlier.get("lineage", [])
        if added:
            lineage = [*lineage, {"inputs": len(added), "first": added[0], "last": added[-1]}]
        facts = {"lineage": lineage, "tallies": result.rows(), "facts": result.facts}
        if ledger:
            facts["tasks"] = ledger.described()
        self.finish("matched", result.files, MATCHED.content(self.description, result.files, facts))
        if ledger:
            Stamps(self.path / "matched", "").remove()

    def gate_parts(self, digest: str) -> Parts:
        """Return the parts in which the gate with this digest keeps its steps after a run; remove other gates."""
        self.owner.require()
        gates = self.path / WORK / GATE
        for name in names(gates) - {digest}:
            remove(gates / name)
        return Parts(self.path, gates / digest)

    def finish(
        self, part: str, checksums: dict[str, str], descriptor: dict | None = None, parts: Parts | None = None
    ) -> None:
        """Move the complete part `part` to its final name, with `descriptor` if given, and let run.json list its files.

        `checksums` maps each file's name to its checksum. `parts` are the parts where it was begun; None: this run's.
        """
        self.owner.require()
        (parts or self.parts).finish(part, descriptor)
        self.record(part, checksums)

    def write_results(self, run: Run, rates: np.ndarray, times: list[dict]) -> None:
        """Write the files that describe the run; run.json is the last, and makes the folder complete.

        `rates` has the sampling rate of each entry; `times` has the duration of each stage.
        """
        self.owner.require()
        if not run.gate:
            remove(self.path / "gated")  # An earlier run may have written it.
        if not self.files(REMOVED_PART):
            remove(self.path / REMOVED_PART)
        counts = run.counts.save(self.path / "counts.parquet", run.entries, rates)
        thresholds = write_json(self.path / "thresholds.json", run.thresholds_json())
        report = write_report(self.path / "report.html", run, rates, head_rows(self.files("curated"), SAMPLE_ROWS))
        stages = write_json(self.path / "times.json", {"stages": times})
        self.checksums["counts.parquet"] = counts
        self.checksums["thresholds.json"] = thresholds
        self.checksums["report.html"] = report
        self.checksums["times.json"] = stages
        self.owner.require()
        write_json(self.path / "run.json", RUN_FOLDER.content(run.made_from, self.checksums, run.run_json))
        interrupts.complete()

    def retract_results(self) -> None:
        """Remove run.json, report.html and times.json, so that a half-replaced result does not look complete."""
        self.owner.require()  # A run that has taken over may own these files.
        for name in DESCRIPTIONS:
            remove_file(self.path / name)

    def _result_of_same_inputs(self) -> TaskResult | None:
        descriptor = MATCHED.read(self.path / "matched") or {}
        if not all(is_same_value(descriptor, self.description, name) for name in MAY_DIFFER):
            return None
        return TaskResult(descriptor["tallies"], descriptor["checksums"], descriptor["facts"])

    def _lacks_pairs(self) -> bool:
        """Return whether pairs/ lacks its descriptor or one of its files; False if pairs/ is missing or empty."""
        present = names(self.path / "pairs")
        if not present:
            return False
        descriptor = PAIRS.read(self.path / "pairs")
        return descriptor is None or not descriptor["checksums"].keys() <= present

    def _earlier(self) -> dict:
        """Return the descriptor of matched/ that an earlier run wrote; without one, the content of run.json, or {}."""
        return self.parts.earlier("matched") or read_json(self.path / "run.json") or {}

    def files(self, part: str) -> list[OwnFile]:
        """Return the files of a part that this run has finished; an empty list if it has not finished the part."""
        folder = self.path / part
        sums = values_under(self.checksums, f"{part}/")
        remedy = f"delete {folder} and {AGAIN}" if part == "matched" else AGAIN
        return own_files(folder, sums, remedy) if sums else []

    def record(self, part: str, checksums: dict[str, str]) -> None:
        """Let run.json list the files of a part, which this run has finished or reuses."""
        self.checksums.update({f"{part}/{name}": checksum for name, checksum in checksums.items()})

    def remove_work(self) -> None:
        """Remove the work folder; the lock that keeps other runs out is removed last."""
        work = self.path / WORK
        if is_url(work):
            with suppress(OSError):  # The results are complete, so leftover files do no harm.
                remove(work)
            return
        clear_work(work, CLAIM)
        remove(work / CLAIM)
        self.owner.end()


def require_claimable(path: str | PathLike[str], description: dict, overwrite: bool = False) -> None:
    """Refuse a folder that a run with this description could not claim; nothing is written."""
    with usable_output(path) as folder:
        if not overwrite:
            require_like(folder, json.loads(json.dumps(description)))


def require_output(path: str | PathLike[str], overwrite: bool = False) -> None:
    """Refuse a folder that no run could claim, whatever its description; nothing is written."""
    with usable_output(path) as folder:
        if not (overwrite or is_free(folder)):
            _descriptor(folder)
        if not is_url(folder) and (folder.absolute().parent / RUN).exists():
            raise InputError(f"output {folder} is in the run {folder.absolute().parent}; pass a folder outside of it")
        if not (is_url(folder) or os.access(parent := existing(folder), os.W_OK)):
            why = " (its file system is read-only)" if os.statvfs(parent).f_flag & os.ST_RDONLY else ""
            raise InputError(
                f"output {folder} cannot be written, as {parent} is not writable{why}; pass another folder, or get "
                "permission to write there"
            )


def _clear(path: Path) -> None:
    for name in PARTS:
        remove(path / name)


def is_same_value(descriptor: dict, description: dict, name: str) -> bool:
    """Say whether the value of `name` is the same in the descriptor and in the description."""
    return descriptor.get("made_from", {}).get(name) == description[name]


def require_like(path: Path, description: dict) -> bool:
    """Refuse a folder that holds anything but a run with this description, over all or some of these inputs.

    Return True if the folder must be emptied first: another run began there, and ended before it had read any pair.
    """
    if is_free(path):
        return False
    descriptor = _descriptor(path)
    differences = _differences(descriptor, description, path)
    if differences and not _has_no_pairs(path):
        raise InputError(
            f"output {path} contains {RUN_FOLDER.name} made differently ({', '.join(differences)}); pass another "
            "folder, or replace it with --overwrite"
        )
    return bool(differences)


def _descriptor(path: Path) -> dict:
    """Return the run's descriptor in a folder: of matched/, the claim, or run.json; InputError if there is none."""
    descriptor = Parts(path, path / WORK).earlier("matched") or _claim(path) or read_json(path / "run.json")
    if descriptor is None:
        raise InputError(
            f"output {path} contains files that are not a run of clip-curate; pass an empty or new folder, or replace "
            "it with --overwrite"
        )
    return descriptor


def _differences(descriptor: dict, description: dict, path: Path) -> list[str]:
    """Return phrases that name the differences between the descriptor's run and this description."""
    there = descriptor["made_from"]
    if descriptor.get("version") != RUN_VERSION or there.get("matched_version") != description.get("matched_version"):
        return ["another version of this program"]
    differences = differing(there, {name: value for name, value in description.items() if name not in MAY_DIFFER})
    read = [file for file in there.get("inputs", []) if not is_table(file["path"])]  # Uncopied tables are left out.
    if lacking := _paths(read, path) - _paths(description["inputs"], path):
        differences.append(f"it read {min(lacking)}")
    return differences


def _paths(inputs: list[dict], output: Path) -> set[str]:
    """Return the paths of inputs; in place of a file copied from a table, the table's name."""
    return {input_of(file["path"], hidden(str(tables_in(output)))) for file in inputs}


def _claim(path: Path) -> dict | None:
    content = claim_in(path) or {}
    return content if content.get("kind") == RUN_FOLDER.name else None


def _has_no_pairs(path: Path) -> bool:
    """Return whether a run began in a folder but has read no pair."""
    if _claim(path) is None or read_json(path / "run.json") is not None:
        return False
    parts = (path / "pairs", path / "matched", path / WORK / "matched")
    of_parts = chain.from_iterable(files(part, ".json") for part in parts)
    records = [file for file in of_parts if STAMP_NAME.fullmatch(file.name)]
    return not any(map(_has_rows, in_threads(read_json, records)))


def _has_rows(record: dict | None) -> bool:
    """Return whether a stamp or descriptor of pairs/ or matched/ counts any rows; True if it is damaged (None)."""
    if record is None:
        return True
    counts = [*record.get("counts", []), *record.get("tallies", [])]
    for task in record.get("tasks", {}).get("finished", []):
        counts += task["counts"]
    return any(row["name"] in ("rows", "images") and row["value"] for row in counts)
