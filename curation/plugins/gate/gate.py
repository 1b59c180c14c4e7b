"""The gate: an ordered list of steps. A later run does not repeat finished steps, and reuses a finished gate.

Each step reads the files that the step before wrote. It writes a folder below `.work/gate/DIGEST`, whose descriptor is
written last; DIGEST is `Gate.digest`. A later run of the same gate runs only the steps that have no such folder, or one
with a damaged file. The last step's folder becomes `gated/`, with a descriptor by which a run of the same gate over the
same images reuses it, and runs no step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.plugins.gate.listed_hashes import HashTables
from curation.plugins.gate.step import RemovedSample, Step, StepFolder, parts_in
from curation.run.output_folder import MAY_DIFFER
from curation.schemas import REMOVED_PART
from runtime.buckets import MIN_TASKS_PER_CORE
from runtime.errors import AGAIN
from runtime.folders.descriptor import DESCRIPTOR, Kind
from runtime.folders.parts import Parts
from runtime.folders.stamps import digest_of
from runtime.packages import hooks, named_in_errors, versions
from runtime.storage.json_files import write_json
from runtime.storage.own_files import OwnFile, is_sound, own_files, written_files
from runtime.storage.parquet import require_rows
from runtime.storage.paths import files, make_folder, names, remove_file
from runtime.tallies import TaskResult

if TYPE_CHECKING:
    from curation.plugins.gate.options import GateOptions
    from curation.run.request import Context

GROUP = "clip_curation.gate_steps"
LAST = "gated"  # the name of the folder that the last step writes
STEP = Kind("images that passed a step of a gate", "clip-curate", version=2)  # a higher version runs all gates again
DAMAGED = "damaged"  # the tally of damaged files
# Only steps after the gate read these fields of the config, so a run with other values of them reuses the gate.
OF_BALANCING = (
    "english_threshold",
    "target_size",
    "tail_share",
    "threshold_per_language",
    "balance",
    "rows_per_file",
)
PACKAGES = ("duckdb", "publicsuffixlist", "python-stdnum")  # These packages evaluate conditions and rules.


@dataclass(frozen=True)
class FinishedStep:
    """A finished step: its result, the checksums of its sample of removed texts, and its facts for run.json.

    `result.files` has only the checksums of files of images.
    """

    result: TaskResult
    sample: dict[str, str]
    facts: dict[str, Any]

    @classmethod
    def of(cls, counted: TaskResult, facts: dict[str, Any]) -> FinishedStep:
        """Return the finished step, given the result of its `write`, and its facts for run.json."""
        images, sample = parts_in(counted.files)
        return cls(TaskResult(counted.rows(), images, counted.facts), sample, facts)

    @classmethod
    def read(cls, descriptor: Mapping[str, Any]) -> FinishedStep:
        """Return the step that the descriptor of its folder describes."""
        return cls(
            TaskResult(descriptor["tallies"], descriptor["checksums"], descriptor["facts"]),
            descriptor["sample"],
            descriptor["step"],
        )

    def descriptor(self, gate: str) -> dict[str, Any]:
        """Return the descriptor of the step's folder; `gate` is the digest of the gate."""
        counted = {"tallies": self.result.rows(), "facts": self.result.facts}
        return STEP.content({"gate": gate}, self.result.files, {**counted, "sample": self.sample, "step": self.facts})


@dataclass(frozen=True)
class GateFolder:
    """The folder in which the finished steps of a gate outlive a killed run, and the gate's finished parts.

    `digest` is `Gate.digest`. `steps` has the name of each step's folder, by the name of the step.
    """

    digest: str
    steps: Mapping[str, str]
    context: Context

    @cached_property
    def parts(self) -> Parts:
        """The parts of the gate: steps in `.work/gate/DIGEST`, finished ones in the output folder."""
        return self.context.output.gate_parts(self.digest)

    @property
    def sample(self) -> Path:
        """The folder of the samples of all steps, whose files begin with the name of their step."""
        return self.parts.unfinished / REMOVED_PART

    def path(self, step: str) -> Path:
        """Return the path of a step's folder, which need not exist."""
        return self.parts.unfinished / self.steps[step]

    def images(self, step: str, finished: FinishedStep) -> list[OwnFile]:
        """Return the files of images that a finished step wrote."""
        return own_files(self.path(step), finished.result.files, AGAIN)

    @cached_property
    def _left(self) -> set[str]:
        """The names of the folders that earlier runs of this gate left."""
        return names(self.parts.unfinished)

    @contextmanager
    def comparing(self) -> Iterator[None]:
        """Show a stage of comparing if an earlier run has left anything of this gate."""
        if self._left or self._descriptor_of_gated:
            with self.context.progress.stage("compare what is done"):
                yield
        else:
            yield

    def reusable(self) -> dict[str, Any] | None:
        """Return the descriptor of gated/ if this gate wrote it, and it and its sample are undamaged, or else None."""
        descriptor = self._descriptor_of_gated
        output = self.context.output
        if descriptor is None or not self._are_sound(written_files(output.path / LAST, descriptor["checksums"])):
            return None
        sample: dict[str, str] = descriptor[REMOVED_PART]
        if not self._are_sound(written_files(output.path / REMOVED_PART, sample)):
            if not self._are_sound(written_files(self.sample, sample)):
                return None
            self.finish_sample(sample)  # A run was killed after it finished gated/, and before its sample.
        output.record(LAST, descriptor["checksums"])
        output.record(REMOVED_PART, sample)
        return descriptor

    def finished_steps(self) -> dict[str, FinishedStep]:
        """Return the undamaged steps that an earlier run finished, by name; remove other files from their folders."""
        done: dict[str, FinishedStep] = {}
        for name, part in self.steps.items():
            descriptor = STEP.read(self.path(name)) if part in self._left else None
            if descriptor is None or descriptor["made_from"] != {"gate": self.digest}:
                continue
            finished = FinishedStep.read(descriptor)
            _remove_others(self.path(name), finished.result.files)
            wanted = written_files(self.path(name), finished.result.files)
            if self._are_sound([*wanted, *written_files(self.sample, finished.sample)]):
                done[name] = finished
        return done

    def begin(self, step: str) -> Path:
        """Return an empty folder for a step."""
        self.context.output.owner.require()  # Otherwise, files of a run that has taken over might be removed.
        make_folder(self.sample)
        return self.parts.begin(self.steps[step])

    def finish(self, step: str, finished: FinishedStep) -> None:
        """Write the descriptor of a step, which makes its folder complete."""
        self.context.output.owner.require()
        write_json(self.path(step) / DESCRIPTOR, finished.descriptor(self.digest))

    def finish_gate(self, last: str, done: Mapping[str, FinishedStep], facts: dict[str, Any]) -> dict[str, Any]:
        """Give gated/ and gate_removed/ their names, as all steps are finished; return the descriptor of gated/.

        `facts` are the facts about the gate for run.json.
        """
        output = self.context.output
        finished = done[last]
        sample: dict[str, str] = {}
        for step in done.values():
            sample |= step.sample
        require_rows(self.images(last, finished), int(finished.result["passed"]))
        descriptor = finished.descriptor(self.digest) | {"gate": facts, REMOVED_PART: sample}
        output.retract_results()
        output.finish(LAST, finished.result.files, descriptor, self.parts)
        if sample:
            self.finish_sample(sample)
        return descriptor

    def finish_sample(self, sample: dict[str, str]) -> None:
        """Give gate_removed/ its name; `sample` has the checksums of its files."""
        self.context.output.retract_results()
        _remove_others(self.sample, sample)
        self.context.output.finish(REMOVED_PART, sample, parts=self.parts)

    @cached_property
    def _descriptor_of_gated(self) -> dict[str, Any] | None:
        descriptor = STEP.read(self.parts.folder / LAST) or {}
        return descriptor if descriptor.get("made_from") == {"gate": self.digest} and "gate" in descriptor else None

    def _are_sound(self, written: list[OwnFile]) -> bool:
        return not written or not self.context.engine.run(written, _damaged, MIN_TASKS_PER_CORE)[DAMAGED]


def _damaged(file: OwnFile) -> TaskResult:
    result = TaskResult()
    result.add(DAMAGED, not is_sound(file))
    return result


def _remove_others(folder: Path, checksums: Mapping[str, str]) -> None:
    for path in files(folder):
        if path.name not in {DESCRIPTOR, *checksums}:
            remove_file(path)


@dataclass(frozen=True)
class Gate:
    """The gate of a run: its steps in order, with all files found; its truth value is whether it has steps.

    `hashes` are the tables in which listed hashes are looked up; `read` has the path and the version of each file that
    an option names.
    """

    options: GateOptions
    steps: Mapping[str, Step]
    hashes: HashTables
    read: Sequence[Sequence[str]] = ()

    def __bool__(self) -> bool:
        return bool(self.steps)

    def lines(self) -> list[str]:
        """Return the conditions that images must meet, as lines for users: one per kind of condition."""
        asked: dict[str, list[str]] = {}
        for step in self.steps.values():
            for what, conditions in step.asks().items():
                asked.setdefault(what, []).extend(conditions)
        asked |= {"steps": [*self.options.steps]}
        return [f"{what}: {', '.join(dict.fromkeys(conditions))}" for what, conditions in asked.items() if conditions]

    def let_pass(self, images: Sequence[OwnFile], context: Context) -> tuple[list[OwnFile], TaskResult, dict[str, Any]]:
        """Run the steps that no earlier run has finished; finish gated/ and the sample of removed texts.

        Return the files of gated/, the result of the last step, and the facts for run.json.
        """
        *others, last = self.steps
        folder = GateFolder(self.digest(images, context), {name: name for name in others} | {last: LAST}, context)
        with folder.comparing():
            descriptor = folder.reusable()
            done = folder.finished_steps() if descriptor is None else {}
        if descriptor is None:
            self._finish_steps(images, done, folder)
            in_order = {name: done[name] for name in self.steps}
            descriptor = folder.finish_gate(last, in_order, self._facts(in_order))
        gated = own_files(context.output.path / LAST, descriptor["checksums"], AGAIN)
        return gated, FinishedStep.read(descriptor).result, descriptor["gate"]

    def digest(self, images: Sequence[OwnFile], context: Context) -> str:
        """Return a digest of everything on which gated/, gate_removed/, and the gate's facts in run.json depend.

        Inputs and exclusion lists are left out, because they only affect the files of `images`, whose checksums are
        included. Fields of balancing are left out, because they are read after the gate. The engine and its cores are
        left out, because all engines write the same bytes. A table whose modification time has changed counts as
        another table.
        """
        numbers = {name: value for name, value in asdict(context.config).items() if name not in OF_BALANCING}
        matched = {name: value for name, value in context.output.description.items() if name not in MAY_DIFFER}
        points = [hook.point for name, hook in hooks(GROUP).items() if name in self.steps]
        of_others = [point.dist.name for point in points if point.dist]
        described = {
            "version": STEP.version,
            "images": {file.path.name: file.checksum for file in images},
            "matched": matched,
            "config": numbers,
            "steps": [*self.steps],
            "options": repr(self.options),
            "read": self.read,
            "hashes": self.hashes.files(),
            "versions": versions([*PACKAGES, *of_others]),
        }
        return digest_of(described)

    def _finish_steps(self, images: Sequence[OwnFile], done: dict[str, FinishedStep], folder: GateFolder) -> None:
        """Run the steps that `done` lacks, and add them to it; a step that is done is not prepared."""
        context = folder.context
        prepared: dict[str, Step] = {}
        for name, step in self.steps.items():
            if name not in done:
                with named_in_errors(GROUP, name):
                    prepared[name] = step.prepare(context)
        with context.progress.stage("gate images"):
            for name in self.steps:
                if name in prepared:
                    with named_in_errors(GROUP, name):
                        done[name] = self._write(name, prepared[name], images, folder)
                images = folder.images(name, done[name])

    def _write(self, name: str, step: Step, images: Sequence[OwnFile], folder: GateFolder) -> FinishedStep:
        """Run a step over `images`; return it once its folder has a descriptor."""
        share = self.options.keep_removed
        config = folder.context.config
        begun = folder.begin(name)
        sample = None
        if share and step.removes:
            sample = RemovedSample(
                folder=folder.sample, step=name, share=share, seed=config.seed, silent=self.options.rules.silent
            )
        counted = step.write(images, StepFolder(begun, sample), folder.context)
        step.require(counted, config)
        finished = FinishedStep.of(counted, step.facts(counted))
        folder.finish(name, finished)
        return finished

    def _facts(self, done: Mapping[str, FinishedStep]) -> dict[str, Any]:
        facts = gate_facts(step.facts for step in done.values())
        if self.options.policy:
            facts["gate"]["policy"] = [*self.options.policy]
        return facts


def gate_facts(of_steps: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return facts for run.json, given each step's facts: `gate`, and `downloads` if a download was asked for."""
    gate: dict[str, Any] = {"tables": [], "conditions": [], "texts": []}
    for facts in of_steps:
        for key, value in facts.items():
            gate[key] = gate[key] + value if key in gate else value
    downloads = gate.pop("downloads", None)
    return {"gate": gate} | ({"downloads": downloads} if downloads else {})
