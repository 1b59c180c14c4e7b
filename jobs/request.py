"""What a command line asks curate for: found and checked as far as it can be before Spark starts."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from curation.config import CurationConfig
from curation.exclusion.filter import Exclusion
from curation.images.downloads import find_results
from curation.inputs import files as inputs
from curation.inputs.files import Input
from curation.inputs.tables.columns import TableOptions
from curation.language.identify import Identifier
from metadata.entries import Entries
from metadata.entry_lists import read_lists


@dataclass(frozen=True)
class Request:
    """The numbers of a run and all that it reads."""

    config: CurationConfig
    columns: TableOptions
    files: list[Input]
    unique_images: bool
    exclusion: Exclusion
    entries: Entries
    identifier: Identifier
    status: list[str]  # img2dataset's output folders, where matched images were downloaded
    results: list[Path]  # the files of results in them

    @classmethod
    def of(cls, args: Namespace) -> Request:
        """Return what the values of a command line ask for; InputError for what is wrong with them."""
        config = CurationConfig(**{field.name: getattr(args, field.name) for field in fields(CurationConfig)})
        columns = TableOptions(args.url_column, args.text_column)
        return cls(
            config=config,
            columns=columns,
            files=inputs.find(args.input, columns, config.sample_files, config.seed),
            unique_images=args.unique_images,
            exclusion=Exclusion.read(args.exclude),
            entries=Entries.open(args.metadata) if args.metadata else Entries.build(read_lists(args.entries)),
            identifier=Identifier.open(args.model),
            status=args.status,
            results=find_results(args.status),
        )

    def made_from(self) -> dict:
        """Return what the matched images depend on."""
        return {
            "inputs": [asdict(file) for file in self.files],
            "columns": asdict(self.columns),
            "exclusion": self.exclusion.digest if len(self.exclusion) else None,
            "metadata": self.entries.digest,
            "rules": self.config.rules,
            "model": {"name": self.identifier.name, "digest": self.identifier.digest},
            "unique_images": self.unique_images,
            "max_texts": self.config.max_texts,
            "max_text_length": self.config.max_text_length,
            "min_language_score": self.config.min_language_score,
        }
