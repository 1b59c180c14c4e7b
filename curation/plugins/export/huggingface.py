"""The export `huggingface`: a folder with manifest, entries, dataset card and Croissant."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.balancing.sampling import kept_by_language
from curation.balancing.thresholds import CountedEntries
from curation.licences import tally_licenses
from curation.plugins.annotations.clusters import Choice
from curation.plugins.domains import count_domains
from curation.plugins.export import card as cards
from curation.plugins.export import formats
from curation.plugins.export.card import FUNNEL, README, Card
from curation.plugins.joins.uid_join import each_joined
from curation.run.finished_run import curated_files, with_kept
from curation.run.results import Results
from curation.schemas import CURATED
from runtime.arrow import require
from runtime.cogroup import RowStream
from runtime.errors import AGAIN, InputError
from runtime.folders.folder import Folder, Made, items_of
from runtime.progress import advancing
from runtime.storage.checksums import content_digest
from runtime.storage.own_files import OwnFile, copied
from runtime.storage.parquet import batches, part_writer
from runtime.storage.whole import write_text
from runtime.wording import counted

GROUP_ROWS = 100_000  # A file that is written anew has row groups of so many rows.
DATA, ENTRIES = "data", "entries"  # the parts of the export
SHA256 = "sha256"  # the name of facts, each with the path of a file and its SHA-256
KEPT_ROWS = "kept"


@dataclass(frozen=True)
class HuggingFace(Card):
    """The export format `huggingface`: manifest, entries and card, with optional columns of captions and clusters."""

    captions: Sequence[str | Path] = ()
    caption_sources: Sequence[str] = ()
    clusters: formats.ByCluster = formats.ALL
    hub_name: str | None = None  # OWNER/NAME of the dataset on the Hub, which the card's examples load

    writes = "a dataset for Hugging Face, with a card and Croissant metadata"

    def __post_init__(self) -> None:
        super().__post_init__()
        formats.require_captions(self.captions, self.caption_sources)
        if any(formats.source_shares(self.caption_sources).values()):
            raise InputError(
                "only the format webdataset draws shares of sources; pass only the names of sources for huggingface"
            )

    def write(self, run: Results, folder: Folder) -> str:
        """Write the data, the entries, README.md and croissant.json; return a description of the result.

        Files of the run are hard-linked, or copied if the folder is on another disk. Files with additional columns, or
        without some rows, are written anew. InputError if counts.parquet and run.json come from two different runs.
        """
        self.warn_of_license()
        counts = run.file("counts.parquet").path
        if CountedEntries.open(str(counts)).digest != run.facts["made_from"]["metadata"]:
            raise InputError(
                f"{counts} and the run.json beside it come from two different runs; run clip-curate again with "
                "--overwrite"
            )
        files = curated_files(run)
        beside = formats.Beside.of(
            folder.engine, run, self.captions, self.clusters, formats.single_sources(self.caption_sources)
        )
        if beside.tables:
            write = partial(_write_rows, schema=run.schema, fields=beside.fields, choice=beside.choice)
            result = each_joined(folder, "write the rows", items_of(files), beside.tables, write, DATA)
        else:
            result = folder.make("copy the rows", items_of(files), _copy, DATA)
        facts = run.facts
        if beside.choice:  # Only chosen pairs count as kept.
            kept = Counter({code: int(rows) for code, rows in result.by_language(KEPT_ROWS).items()})
            facts = with_kept(facts, kept, result) | {"part": formats.of_clusters(beside.choice)}
        digests = dict(sorted(result.noted(SHA256)))
        columns = [*list(run.schema)[len(CURATED) :], *beside.fields]
        self._describe(run, facts, folder, digests, columns)
        captions = f" with captions ({beside.lack})" if self.captions else ""
        return f"README.md, croissant.json, the entries and {counted(len(files), 'file')} of data{captions}{beside}"

    def _describe(
        self, run: Results, facts: dict[str, Any], folder: Folder, digests: dict[str, str], columns: Sequence[pa.Field]
    ) -> None:
        """Write the entries, croissant.json and README.md, given the content of run.json, and digests of the data."""
        path = folder.parts.reopen(ENTRIES) / f"{ENTRIES}.parquet"
        name = self.name_of(run)
        sums: dict[str, str] = {}
        copied(
            run.file("counts.parquet"),
            path,
            lambda local: sums.update({f"{ENTRIES}/{path.name}": content_digest(local, sha256())}),
        )
        folder.finish(ENTRIES)
        files = [OwnFile(folder.path / path, None, AGAIN) for path in digests]
        with folder.progress.stage(f"count the domains of {counted(len(files), 'file')}"):
            domains = count_domains(folder.engine, files, "url", folder.parts.begin("domains"))
        stated = cards.responsible(facts, domains, [column.name for column in columns], self)
        described = cards.croissant(facts, self, name, digests | sums, columns) | stated | cards.provenance(facts)
        write_text(folder.path / "croissant.json", json.dumps(described, indent=1, ensure_ascii=False) + "\n")
        write_text(folder.path / FUNNEL, cards.funnel_figure(facts))
        write_text(folder.path / README, cards.card(facts, self, name, columns, has_data=True))


def _copy(file: OwnFile, made: Made) -> None:
    """Hard-link a file into the folder or, if that is impossible, copy it."""
    name = file.path.name
    made.wrote(DATA, name, copied(file, made.path(DATA, name), _digest_notes(made, name)))


def _write_rows(
    file: OwnFile,
    made: Made,
    number: int,
    stream: RowStream,
    schema: pa.Schema,
    fields: Sequence[pa.Field],
    choice: Choice | None,
) -> None:
    """Write the rows of one file with additional columns: `fields`, from the stream; tally the rows of each language.

    The file has the schema `schema`. With a `choice`, only the rows that it takes are written.
    """
    name = file.path.name
    joined = pa.schema([*schema, *fields])
    with part_writer(made.path(DATA, name), joined, GROUP_ROWS, _digest_notes(made, name)) as writer:
        for batch, more in stream.beside(number, advancing(batches(file, GROUP_ROWS)), fields):
            rows = pa.RecordBatch.from_arrays([*require(batch, schema).columns, *more], schema=joined)
            rows = formats.chosen(rows, rows["uid"], choice)
            writer.write(rows)
            tally_licenses(rows, made.result)
            for row in kept_by_language(rows).to_pylist():
                made.result.add(KEPT_ROWS, row["kept"], language=row["language"])
    made.wrote(DATA, name, writer.checksum)


def _digest_notes(made: Made, name: str) -> Callable[[Path], None]:
    """Return a function that tallies the SHA-256 of a file that is written, whose name will be `name`."""
    return lambda local: made.result.note(SHA256, [f"{DATA}/{name}", content_digest(local, sha256())])
