"""The request of a run: its config and all files that it reads, found and checked before Spark starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from curation.config import CurationConfig
from curation.exclusion import Exclusion
from curation.inputs import files
from curation.inputs.files import Input
from curation.inputs.references import PREFIX, is_crawl, is_table, table_name
from curation.inputs.tables.columns import TableOptions
from curation.language.identify import Identifier
from curation.near_copies.words import require_distance
from curation.run import hooks
from curation.run.hooks import GateOptions, GatePlan, Observer
from curation.run.ledger import digest_of
from curation.schemas import MATCHED_VERSION
from metadata.entries import Entries
from metadata.entry_lists import FilesOfLanguages
from runtime.errors import InputError, require_several, typed

PDQ, PDQ_BITS = "pdq", 256
PDQ_NEAR = 31  # bits; what the authors of PDQ recommend


@typed
@dataclass(frozen=True)
class Options:
    """The options of a run besides inputs, metadata and numbers.

    columns: the columns that hold the pairs, where they are not recognised.
    unique_images: the inputs state each image once; nothing is brought together by image.
    exclude: files of lists of what must not be in the manifest.
    exclude_bits: bits in which the PDQ of an image may differ from a listed one; None: PDQ_NEAR.
    gate: what is asked of images.
    classes: {"en": FILE}, classes of an evaluation set in each language, whose alignment the report shows.
    templates: {"en": FILE}, the forms in which their names are looked for.
    model: a fastText language identification model; None: lid.176.ftz.
    overwrite: replace another run in the output folder.
    """

    columns: TableOptions = field(default_factory=TableOptions)
    unique_images: bool = False
    exclude: Sequence[str] = ()
    exclude_bits: int | None = None
    gate: GateOptions | None = None
    classes: FilesOfLanguages = ()
    templates: FilesOfLanguages = ()
    model: str | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        for name in ("exclude", "classes", "templates"):
            require_several(name, getattr(self, name))
        require_distance(self.near, PDQ_BITS, "exclude_bits")

    @property
    def near(self) -> int:
        """The bits in which the PDQ of an image may differ from a listed one."""
        return PDQ_NEAR if self.exclude_bits is None else self.exclude_bits


@dataclass(frozen=True)
class Request:
    """The numbers of a run and all that it reads."""

    config: CurationConfig
    options: Options
    files: list[Input]
    exclusion: Exclusion
    entries: Entries
    identifier: Identifier
    gate: GatePlan | None
    observers: dict[str, Observer]
    tables: list[str] = field(default_factory=list)  # of Spark's catalog, to be copied into files
    passed_over: dict[str, str] = field(default_factory=dict)  # path among the inputs, of no regular file → its kind

    @classmethod
    def find(
        cls, config: CurationConfig, inputs: Sequence[str | Path], metadata: str | Path | Entries, options: Options
    ) -> Request:
        """Return a request whose files were found and opened once; InputError for one that cannot be used."""
        require_several("inputs", inputs)
        given = list(map(str, inputs))
        tables = list(dict.fromkeys(table_name(each) for each in given if is_table(each)))
        if tables and config.sample_files is not None:
            raise InputError(f"sample_files takes some files, and {PREFIX}{tables[0]} has none; give a view of it")
        paths = [each for each in given if not is_table(each)]
        passed_over: dict[str, str] = {}
        found = files.find(paths, options.columns, config.sample_files, config.seed, passed_over)
        if config.sample_files is None:
            options.columns.require_use([*(PREFIX + each for each in tables), *(file.path for file in found)])
        exclusion = Exclusion.read(options.exclude)
        if options.exclude_bits is not None and PDQ not in exclusion.hashes:
            raise InputError(
                f"exclude_bits is {options.exclude_bits}, and no list names PDQ hashes that images could be near to; "
                f"leave it out, or give such a list as {PDQ}=FILE"
            )
        return cls(
            config=config,
            options=options,
            tables=tables,
            files=found,
            exclusion=exclusion,
            entries=entries_for(config, metadata),
            identifier=Identifier.open(options.model),
            gate=_gate(options, exclusion),
            observers=hooks.observers(options),
            passed_over=passed_over,
        )

    def paths(self, inputs: Sequence[str | Path]) -> list[str]:
        """Return the paths among `inputs`, and the paths of all files that were found."""
        given = (each for each in map(str, inputs) if not (is_table(each) or is_crawl(each)))
        return [*given, *(file.path for file in self.files)]

    def _excluded(self) -> str | None:
        """Return a digest of what is excluded: by lists and, of hashes, by tables that have them."""
        own = self.exclusion
        if own.hashes and self.gate is not None:
            files = self.gate.hashes.files()
            return digest_of({"lists": own.digest, "bits": self.options.near, "files": files})
        return own.digest if len(own) else None

    def with_copies(self, copies: list[Input]) -> Request:
        """Return the request with tables replaced by the files of their copies."""
        return replace(self, files=[*self.files, *copies], tables=[])

    def made_from(self) -> dict:
        """Return what the matched images depend on; of tables that are not copied yet, only their names."""
        tables = [{"path": f"{PREFIX}{table}"} for table in self.tables]
        return {
            "inputs": [*(asdict(file) for file in self.files), *tables],
            "columns": {name: column for name, column in asdict(self.options.columns).items() if name != "dialect"},
            "exclusion": self._excluded(),
            "matched_version": MATCHED_VERSION,
            "metadata": self.entries.digest,
            "rules": self.config.rules,
            "evidence": self.config.evidence,
            "model": {"name": self.identifier.name, "digest": self.identifier.digest},
            "unique_images": self.options.unique_images,
            "max_texts": self.config.max_texts,
            "max_text_length": self.config.max_text_length,
            "min_language_score": self.config.min_language_score,
            "min_language_scores": self.config.min_language_scores,
            "no_language": self.config.no_language,
            "wrong_script": self.config.wrong_script,
            "witnesses": list(self.config.witnesses),
            "metadata_of": self.config.metadata_of,
            "merge_languages": self.config.merge_languages,
        }


def _gate(options: Options, exclusion: Exclusion) -> GatePlan | None:
    if exclusion.hashes and options.gate is None:
        raise InputError("hashes are listed, and no table of images is given that has hashes; give one in GateOptions")
    return options.gate.find([*exclusion.hashes]) if options.gate else None


def entries_for(config: CurationConfig, metadata: str | Path | Entries) -> Entries:
    """Return the entries that texts are matched against: all, those of one language, or all in one list."""
    entries = metadata if isinstance(metadata, Entries) else Entries.open(metadata)
    if config.merge_languages:
        return entries.merged()
    return entries.only(config.metadata_of) if config.metadata_of is not None else entries
