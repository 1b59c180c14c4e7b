"""The request of a run: its config and all files that it reads, found and checked before any task starts.

Also the interfaces between a run and its gate and observers. A run knows gates and observers only by these interfaces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from curation.config import RECORD, CurationConfig
from curation.exclusion import Exclusion
from curation.inputs import files
from curation.inputs.tables.columns import TABLE_PREFIX, TableOptions, is_crawl, is_table, table_name
from curation.language.engines import Identifier
from curation.report import warnings
from curation.report.facts import Observed, Run
from curation.run import warm
from curation.run.output_folder import Output
from curation.run.tasks import MatchPlan
from curation.schemas import MATCHED_VERSION
from metadata.config import MetadataConfig
from metadata.entries import Entries, FilesOfLanguages
from runtime.argument_types import require_inputs, require_several, typed
from runtime.engine import Engine
from runtime.errors import InputError
from runtime.folders.stamps import Input, digest_of
from runtime.packages import hooks
from runtime.progress import Progress
from runtime.storage.own_files import OwnFile
from runtime.tallies import TaskResult
from runtime.warming import Call, compile_kernels

OBSERVERS = "clip_curation.report_sections"  # Modules with observers use this hook.
# Matched images depend on these numbers of the config; made_from has them under the same names.
_OF_MATCHING = (*("max_texts", "min_language_score", "min_language_scores", "no_language", "wrong_script"),)
PDQ_NEAR = 31  # The PDQ hashes of copies differ in at most this many of 256 bits, as PDQ's authors recommend.


@typed
@dataclass(frozen=True)
class Options:
    """The options of a run besides inputs, metadata and the numbers of its config.

    columns: the columns that hold the pairs, if their names are not recognised.
    unique_images: whether the inputs contain each image only once, so that pairs need not be grouped by image.
    exclude: paths of exclusion lists.
    gate: the conditions on images.
    classes: {"en": FILE}, classes of an evaluation set in each language, whose alignment the report shows.
    templates: {"en": FILE}, the templates in which the names of classes are looked for.
    model: a fastText language identification model; None: lid.176.ftz.
    overwrite: replace another run in the output folder.
    command_line: the command that asked for the run, without secrets, which run.json states; None: a call from Python.
    """

    ELSEWHERE: ClassVar[str] = (
        "numbers belong in CurationConfig, and rules and conditions on images in GateOptions, as in "
        "Options(gate=GateOptions(policy=['recommended']))"
    )

    columns: TableOptions = field(default_factory=TableOptions)
    unique_images: bool = False
    exclude: Sequence[str] = ()
    gate: GateOptionsHook | None = None
    classes: FilesOfLanguages = ()
    templates: FilesOfLanguages = ()
    model: str | None = None
    overwrite: bool = False
    command_line: str | None = None

    def __post_init__(self) -> None:
        for name in ("exclude", "classes", "templates"):
            require_several(name, getattr(self, name))

    def kernels(self, inputs: Iterable[Input]) -> dict[Call, int]:
        """Return the functions whose kernels a run over these inputs needs, with the number of kernels of each."""
        hashes = [name.partition("=")[0] for name in self.exclude]
        return warm.needed(inputs) | (self.gate.kernels(hashes) if self.gate else {})


@dataclass(frozen=True)
class FoundInputs:
    """The inputs of a run: the files found, and the tables of Spark's catalog that are not copied into files yet."""

    files: list[Input]
    tables: list[str]
    passed_over: dict[str, str]  # path of an input that is not a regular file → its kind
    paths: list[str]  # the paths that a user passed, without tables and crawls, and the paths of all files found

    @classmethod
    def find(cls, config: CurationConfig, inputs: Sequence[str | Path], columns: TableOptions) -> FoundInputs:
        """Find the files of a run, and open each once; InputError for unusable inputs or columns."""
        require_inputs(inputs)
        sources = list(map(str, inputs))
        tables = list(dict.fromkeys(table_name(source) for source in sources if is_table(source)))
        if tables and config.sample_files is not None:
            raise InputError(
                f"sample_files chooses among files, but {TABLE_PREFIX}{tables[0]} is a table; pass a smaller view of it"
            )
        names = [source for source in sources if not is_table(source)]
        passed_over: dict[str, str] = {}
        listed = files.find(names, columns, config.sample_files, config.seed, passed_over)
        paths = [file.path for file in listed]
        if config.sample_files is None:
            columns.require_use([*(TABLE_PREFIX + table for table in tables), *paths])
        return cls(listed, tables, passed_over, [*(name for name in names if not is_crawl(name)), *paths])


@dataclass(frozen=True)
class Request:
    """A run's config and options, and all that it reads, already found."""

    config: CurationConfig
    options: Options
    files: list[Input]
    exclusion: Exclusion
    entries: Entries
    identifier: Identifier
    gate: GateHook | None
    observers: dict[str, Observer]
    tables: list[str] = field(default_factory=list)  # tables of Spark's catalog that are not copied into files yet
    passed_over: dict[str, str] = field(default_factory=dict)  # path of an input that is not a regular file → its kind

    @property
    def kernels(self) -> dict[Call, int]:
        """The functions whose kernels the run needs, which are compiled at once, with the number of kernels of each."""
        return self.options.kernels(self.files)

    @classmethod
    def find(
        cls,
        config: CurationConfig,
        inputs: FoundInputs,
        metadata: str | Path | Entries | None,
        options: Options,
        progress: Progress,
    ) -> Request:
        """Return the request of a run over these inputs; InputError for anything that cannot be used.

        All arguments are checked before the slow parts, which are compiling kernels and, without `metadata`, building
        starter metadata.
        """
        exclusion = Exclusion.read(options.exclude)
        gate = _gate(options, exclusion)
        watching = observers(options)
        given = None if metadata is None else entries_for(config, metadata)
        if options.model is not None:
            Identifier.open(options.model)  # This compiles a few kernels.
        compile_kernels(options.kernels(inputs.files), progress)
        return cls(
            config=config,
            options=options,
            tables=inputs.tables,
            files=inputs.files,
            exclusion=exclusion,
            identifier=Identifier.open(options.model),
            gate=gate,
            observers=watching,
            passed_over=inputs.passed_over,
            entries=entries_for(config, starter_entries(config, progress)) if given is None else given,
        )

    def _excluded(self) -> str | None:
        """Return a digest of the exclusion lists and, if they have hashes, of the hash tables; None without lists."""
        exclusion = self.exclusion
        if exclusion.hashes and self.gate is not None:
            files = self.gate.hashes.files()
            return digest_of({"lists": exclusion.lists_digest, "bits": PDQ_NEAR, "files": files})
        return exclusion.lists_digest if len(exclusion) else None

    def made_from(self) -> dict:
        """Return a dict of everything that the matched images depend on; JSON can represent its values.

        A table that is not copied yet appears by its name only.
        """
        tables = [{"path": f"{TABLE_PREFIX}{table}"} for table in self.tables]
        return {
            "inputs": [*(asdict(file) for file in self.files), *tables],
            "columns": {
                name: column for name, column in asdict(self.options.columns).items() if name.endswith("_column")
            },
            "exclusion": self._excluded(),
            "matched_version": MATCHED_VERSION,
            "metadata": self.entries.digest,
            "rules": self.config.rules,
            "evidence": self.config.evidence,
            "model": {"name": self.identifier.name, "digest": self.identifier.digest},
            "unique_images": self.options.unique_images,
            **{name: getattr(self.config, name) for name in _OF_MATCHING},
            "witnesses": list(self.config.witnesses),
            **({"records": True} if RECORD in self.config.extra_columns else {}),
            **({"pool_shares": shares} if (shares := self.config.pool_shares) else {}),
            "metadata_of": self.config.metadata_of,
            "merge_languages": self.config.merge_languages,
        }


def _gate(options: Options, exclusion: Exclusion) -> GateHook | None:
    if exclusion.hashes and options.gate is None:
        raise InputError("the exclusion lists contain hashes, but no table of hashes was passed; add one to --images")
    return options.gate.find([*exclusion.hashes]) if options.gate else None


def starter_entries(config: CurationConfig, progress: Progress) -> Entries:
    """Return starter metadata for the rules of `config`, with a note that it is taken."""
    from metadata.starter import starter_metadata  # This import is here because it takes long.

    entries = starter_metadata(MetadataConfig(rules=config.rules), progress)
    progress.note(f"No metadata is given. {warnings.starter(entries.about)}")
    return entries


def entries_for(config: CurationConfig, metadata: str | Path | Entries) -> Entries:
    """Return the entries to match texts with: all, the entries of one language, or all merged into one list."""
    entries = metadata if isinstance(metadata, Entries) else Entries.open(metadata)
    if config.merge_languages:
        return entries.merged()
    return entries.only(config.metadata_of) if config.metadata_of is not None else entries


@dataclass(frozen=True)
class Context:
    """The parts of a run that gates and observers use: engine, config, output folder, progress, and match plan."""

    engine: Engine
    config: CurationConfig
    output: Output
    progress: Progress
    match_plan: Callable[[], MatchPlan]  # The first call makes the plan.


class HashTablesHook(Protocol):
    """The tables with hashes of images, of the kinds that exclusion lists name, such as md5."""

    def files(self) -> list[tuple[str, str]]:
        """Return the path and the version (such as a checksum) of each file."""

    def find(
        self, engine: Engine, lists: Sequence[Mapping[str, np.ndarray]], bits: int, work: Path
    ) -> list[np.ndarray]:
        """Return, for each list, the keys, uint64[image, 2], of the images that have one of its hashes.

        A list maps a kind of hash to its hashes. PDQ hashes match if they differ in at most `bits` bits.
        """


class GateHook(Protocol):
    """The conditions that matched images must meet, with all files found; its truth value is whether there are any."""

    @property
    def hashes(self) -> HashTablesHook:
        """The tables in which listed hashes are looked up."""

    def __bool__(self) -> bool: ...

    def lines(self) -> list[str]:
        """Return the conditions as text, one line for each condition and table."""

    def let_pass(self, images: Sequence[OwnFile], context: Context) -> tuple[list[OwnFile], TaskResult, dict[str, Any]]:
        """Finish the part `gated`, the images that pass, unless an earlier run has finished it for the same gate.

        Return its files, the counts of the last step, with the images that `passed`, and the gate's entries of
        run.json: `gate`, and `downloads` if the gate downloads images.
        """


class GateOptionsHook(Protocol):
    """A user's options for the gate."""

    keep_removed: float | None  # the share of removed images whose texts are written to gate_removed/

    def kernels(self, hashes: Sequence[str] = ()) -> dict[Call, int]:
        """Return the functions whose kernels the options may need, with the number of kernels of each."""

    def find(self, hashes: Sequence[str] = ()) -> GateHook:
        """Return the gate, which has tables for the kinds of hash `hashes`; InputError for unusable options."""


@dataclass(frozen=True)
class Observation:
    """The argument of an observer: the counted images, the manifest, and the numbers of the run."""

    context: Context
    images: list[OwnFile]
    manifest: list[OwnFile]
    run: Run


# An observer sees the images before balancing, and the manifest; it returns its entry of run.json and its section of
# the report.
Observer = Callable[[Observation], Observed]


def observers(options: Options) -> dict[str, Observer]:
    """Return the observers that the options of a run ask for, by name; a hook is a function of the options."""
    available = hooks(OBSERVERS)
    expected = "a function of an Observation"
    asked = {name: hook.find(options, callable, expected) for name, hook in available.items()}
    return {name: observer for name, observer in asked.items() if observer is not None}
