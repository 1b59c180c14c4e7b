"""Exports `huggingface`, a folder with manifest, entries, dataset card and Croissant, and `card`, the card alone."""

from __future__ import annotations

import json
import logging
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.balancing.manifest import kept_by_language
from curation.balancing.thresholds import EntryCounts
from curation.leaves.by_uid.by_key import RowStream
from curation.leaves.by_uid.choices import Choice
from curation.leaves.by_uid.join import each_joined
from curation.leaves.export.card import LICENSES, QUESTIONS, card, croissant, funnel_figure
from curation.leaves.export.forms import (
    ALL,
    Beside,
    ByCluster,
    Form,
    coarse_of,
    of_clusters,
    require_captions,
    require_questions,
    source_shares,
    with_kept,
)
from curation.leaves.export.responsible import IS_SYNTHETIC, provenance, responsible
from curation.leaves.origins.domains import DomainCounts, count_domains
from curation.report.languages import counted
from curation.run.making import Derived, Made
from curation.run.results import Results, curated_files
from curation.schemas import CURATED
from runtime.arrow import require
from runtime.errors import AGAIN, InputError
from runtime.progress import counted as advanced
from runtime.storage.own_files import OwnFile, content_digest
from runtime.storage.parquet import batches, part_writer
from runtime.storage.paths import is_url
from runtime.storage.whole import copied, whole
from runtime.tallies import Tallies

_log = logging.getLogger(__name__)
GROUP_ROWS = 100_000  # rows per row group of a file that is written anew
DATA, ENTRIES = "data", "entries"  # parts
SHA256 = "sha256."  # prefix of a tally's name, followed by the SHA-256 and the path of a file
KEPT = "kept"
FUNNEL = "funnel.svg"


@dataclass(frozen=True)
class Card(Form):
    """The form of a card alone, with its publisher's statements. A statement that is None is open."""

    dataset_name: str | None = None
    license: str | None = None  # licence of the manifest; texts and images belong to their authors
    dataset_version: str | None = None
    date: str | None = None  # date of publication
    cite: str | None = None
    answers: Mapping[str, str] = field(default_factory=dict)  # by the names of QUESTIONS

    writes = "its card alone"
    whole_by = "README.md"
    elsewhere = "{flags} would be said on a dataset card; --format {form} writes none"

    def __post_init__(self) -> None:
        if self.date is not None and not _is_date(self.date):
            raise InputError(f"the date is {self.date!r}; give one such as 2026-11-25")
        require_questions(self.answers, QUESTIONS)
        if (said := self.answers.get("hasSyntheticData", "true")) not in IS_SYNTHETIC:
            raise InputError(f"the answer hasSyntheticData is {said!r}; give true or false (--answers)")

    @classmethod
    def add_flags(cls, parser: ArgumentParser) -> None:
        """Add nothing: the flags are those of `huggingface`."""

    def write(self, run: Results, folder: Derived) -> str:
        """Write README.md and its figure."""
        _write_text(folder.path / FUNNEL, funnel_figure(run.facts))
        _write_text(folder.path / self.whole_by, card(run.facts, self, self.name_of(run)))
        return f"README.md and {FUNNEL}"

    def name_of(self, run: Results) -> str:
        """Return the name of the dataset: that of the folder, where none is given."""
        return self.dataset_name or (run.path if is_url(run.path) else run.path.resolve()).name


@dataclass(frozen=True)
class HuggingFace(Card):
    """The form of the manifest with entries, the publisher's statements, and columns of captions and clusters."""

    captions: Sequence[str | Path] = ()
    caption_sources: Sequence[str] = ()
    clusters: ByCluster = ALL

    writes = "a folder for Hugging Face with data, card and Croissant"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_captions(self.captions, self.caption_sources)
        if any(source_shares(self.caption_sources).values()):
            raise InputError("shares of sources are drawn for webdataset; for columns of huggingface give their names")

    @classmethod
    def add_flags(cls, parser: ArgumentParser) -> None:
        """Add the flags for the publisher's statements."""
        group = parser.add_argument_group(
            "the dataset card, for huggingface and card; what is not given is named as open"
        )
        group.add_argument("--dataset-name", metavar="NAME", help="name of the dataset (default: that of RUN)")
        group.add_argument("--license", metavar="ID", help="licence of the manifest, such as cc-by-4.0")
        group.add_argument("--dataset-version", metavar="VERSION", help="such as 1.0.0")
        group.add_argument("--date", metavar="YYYY-MM-DD", help="date of publication")
        group.add_argument("--cite", metavar="TEXT", help="how to cite the dataset")

    def write(self, run: Results, folder: Derived) -> str:
        """Write the files of the folder; return a description.

        Files of the run are hard-linked, or copied if the folder is elsewhere. Files with additional columns, or
        without some rows, are written anew. InputError if counts.parquet and run.json are of two runs.
        """
        if self.license is not None and self.license not in LICENSES:
            near = get_close_matches(self.license.lower(), LICENSES, 1)
            _log.warning(
                "the licence %r is none of those known to cards on Hugging Face, where others are refused; %s",
                self.license,
                f"did you mean {near[0]}? (--license)" if near else "give its identifier, or other (--license)",
            )
        counts = run.file("counts.parquet")
        if EntryCounts.open(str(counts.path)).digest != run.facts["made_from"]["metadata"]:
            raise InputError(f"{counts.path} and the run.json beside it are of two runs; curate again with --overwrite")
        files, sources = curated_files(run), [*source_shares(self.caption_sources)]
        beside = Beside.of(folder.engine, run, self.captions, self.clusters, sources)
        if beside.tables:
            write = partial(_write_rows, schema=run.schema, fields=beside.fields, choice=beside.choice)
            tallies = each_joined(folder, "write the rows", files, beside.tables, write, DATA)
        else:
            tallies = folder.each_file("copy the rows", files, _copy, DATA)
        columns = [*list(run.schema)[len(CURATED) :], *beside.fields]
        self._describe(run, folder, _Written.of(run, tallies, beside.choice), columns, counts)
        captions = f" with captions ({beside.lack})" if self.captions else ""
        return f"README.md, croissant.json, the entries and {counted(len(files), 'file')} of data{captions}{beside}"

    def _describe(
        self, run: Results, folder: Derived, written: _Written, columns: Sequence[pa.Field], counts: OwnFile
    ) -> None:
        """Write the entries, croissant.json and README.md."""
        digests: dict[str, str] = {}
        path = folder.parts.reopen(ENTRIES) / f"{ENTRIES}.parquet"
        copied(counts, path, lambda local: digests.update({f"{ENTRIES}/{path.name}": content_digest(local, sha256())}))
        folder.finish(ENTRIES)
        name = self.name_of(run)
        domains = self._domains(folder, written)
        stated = responsible(written.facts, domains, [each.name for each in columns], self)
        described = croissant(written.facts, self, name, written.digests | digests, columns)
        content = json.dumps(described | stated | provenance(written.facts), indent=1, ensure_ascii=False) + "\n"
        _write_text(folder.path / "croissant.json", content)
        _write_text(folder.path / FUNNEL, funnel_figure(written.facts))
        _write_text(folder.path / self.whole_by, card(written.facts, self, name, columns, has_data=True))

    def _domains(self, folder: Derived, written: _Written) -> DomainCounts:
        """Return the registered domains of the images that are written."""
        files = [OwnFile(folder.path / path, None, AGAIN) for path in written.digests]
        with folder.progress.stage(f"count the domains of {counted(len(files), 'file')}"):
            return count_domains(folder.engine, files, "url", folder.parts.begin("domains"))


@dataclass(frozen=True)
class _Written:
    """The facts for the dataset card: the content of run.json, and the SHA-256 of each written file by its path."""

    facts: dict[str, Any]
    digests: dict[str, str]

    @classmethod
    def of(cls, run: Results, tallies: Tallies, choice: Choice | None) -> _Written:
        """Return the facts from the tasks' tallies; if clusters are chosen, only chosen pairs count as kept."""
        named = (found.partition(" ") for found in tallies.beginning(SHA256))
        digests = dict(sorted((path, digest) for digest, _, path in named))
        if choice is None:
            return cls(run.facts, digests)
        kept = Counter({code: int(rows) for code, rows in tallies.by_language(KEPT).items()})
        return cls(with_kept(run.facts, kept) | {"part": of_clusters(choice)}, digests)


def _copy(file: OwnFile, made: Made) -> None:
    """Hard-link a file into the folder or, if that is impossible, copy it."""
    name = file.path.name
    made.wrote(DATA, name, copied(file, made.path(DATA, name), partial(_note_digest, made, name)))


def _write_rows(
    file: OwnFile,
    made: Made,
    number: int,
    stream: RowStream,
    schema: pa.Schema,
    fields: Sequence[pa.Field],
    choice: Choice | None,
) -> None:
    """Write the rows of one file, of a schema, with `fields` from the stream; tally the rows of each language.

    With a `choice`, only the rows that it takes are written.
    """
    name, begin, joined = file.path.name, 0, pa.schema([*schema, *fields])
    with part_writer(made.path(DATA, name), joined, GROUP_ROWS, partial(_note_digest, made, name)) as writer:
        for batch in advanced(batches(file, GROUP_ROWS)):
            more = stream.columns(number, begin, begin := begin + batch.num_rows, fields)
            rows = pa.RecordBatch.from_arrays([*require(batch, schema).columns, *more], schema=joined)
            if choice:
                rows = rows.filter(pa.array(choice.takes(rows["uid"], coarse_of(rows))))
            writer.write(rows)
            for row in kept_by_language(rows).to_pylist():
                made.tallies.add(KEPT, row["kept"], row["language"])
    made.wrote(DATA, name, writer.checksum)


def _note_digest(made: Made, name: str, local: Path) -> None:
    made.tallies.add(f"{SHA256}{content_digest(local, sha256())} {DATA}/{name}")


def _write_text(path: Path, text: str) -> None:
    with whole(path) as local:
        local.write_text(text, "utf-8", errors="backslashreplace")  # a path may hold bytes that are not UTF-8


def _is_date(text: str) -> bool:
    with suppress(ValueError):
        return date.fromisoformat(text).isoformat() == text
    return False
