"""Export `summary`: the summary of training content as Markdown and JSON, and lists of the largest domains.

Tasks count domains and bytes of texts; the rest is what run.json has. What only a person knows stays a blank with its
question, until `answers` fill it in.
"""

from __future__ import annotations

import csv
import json
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.compute as pc

from curation.leaves.origins.domains import count_domains
from curation.leaves.papers.sections import Ranked, RunNumbers, questions, summary
from curation.report.facts import versions
from curation.report.languages import counted
from curation.report.page import templates
from curation.run.ledger import digest_of
from curation.run.making import Derived
from curation.run.results import MATCHED_PART, Results, curated_files
from runtime.errors import InputError
from runtime.progress import counted as advanced
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches, require_rows
from runtime.storage.whole import whole, write_json
from runtime.tallies import Tallies

VERSION = 1  # of summary.json
TEMPLATE = "Commission template for the public summary of training content, C(2025) 8311, AI Act, Article 53(1)(d)"
NOTICE = f"After the {TEMPLATE}. Numbers are those of a finished run of clip-curation. This is no legal advice."
MOST = 50  # rows of a table that Markdown shows
ROWS = 1 << 16
FORMULA = ("=", "+", "-", "@")  # first characters of cells that a spreadsheet computes
BYTES = "text_bytes"


@dataclass(frozen=True)
class Summary:
    """The summary of a run, with the answers of a person by the names of blanks."""

    answers: Mapping[str, str] = field(default_factory=dict)

    writes: ClassVar[str] = "the summary of training content that the EU's AI Act asks for"
    elsewhere: ClassVar[str] = "{flags} cannot be given with --format {form}"

    def __post_init__(self) -> None:
        known = [row["blank"] for row in questions()]
        if unknown := sorted({*self.answers} - {*known}):
            raise InputError(f"answers to {', '.join(unknown)} are given; the questions are {', '.join(known)}")

    @property
    def whole_by(self) -> str:
        """The file that is written last."""
        return "summary.json"

    @classmethod
    def add_flags(cls, parser: ArgumentParser) -> None:
        """Add nothing: the answers are a flag of all forms."""

    def write(self, run: Results, folder: Derived) -> str:
        """Write the lists of domains, the blanks, summary.md and summary.json."""
        kept = curated_files(run)
        with folder.progress.stage(f"count the texts of {counted(len(kept), 'file')}"):
            size = folder.engine.run(kept, _text_bytes)[BYTES]
        known = RunNumbers(run.facts, int(size), [*self._ranked(run, folder, kept)])
        sections = summary(known, self.answers)
        values = {"name": run.path.name, "notice": NOTICE, "sections": sections, "most": MOST}
        with whole(folder.path / "summary.md") as local:
            local.write_text(templates(__package__).get_template("summary.jinja").render(values), "utf-8")
        blanks = {row["blank"]: self.answers.get(row["blank"]) for row in questions()}
        with whole(folder.path / "answers.json") as local:  # for a person to fill in: without a checksum
            local.write_text(json.dumps(blanks, indent=1, ensure_ascii=False) + "\n", "utf-8", "backslashreplace")
        write_json(folder.path / self.whole_by, self._facts(run, sections))
        blanks_open = [blank for section in sections for blank in section["blanks"] if blank["answer"] is None]
        still_open = counted(len(blanks_open), "open question")
        return f"summary.md, summary.json, {counted(len(known.domains), 'list')} of domains and {still_open}"

    def _ranked(self, run: Results, folder: Derived, kept: Sequence[OwnFile]) -> Iterator[Ranked]:
        """Count the domains of kept and of matched images and of their pages, and write the largest of each."""
        parts = {"kept": kept} if run.facts.get("removals") else {"kept": kept, "matched": _matched(run)}
        lists = folder.parts.reopen("domains")
        for part, files in parts.items():
            for column, thing in (("url", f"{part} images"), ("page_url", f"pages of {part} images")):
                name = f"{part}_{'images' if column == 'url' else 'pages'}"
                with folder.progress.stage(f"count the domains of {thing}"):
                    found = count_domains(folder.engine, files, column, folder.parts.begin(name))
                ranked = Ranked(found, thing, f"domains/{name}.csv", run.facts["rows"][part])
                _write_list(ranked, lists / f"{name}.csv")
                yield ranked
        folder.finish("domains")

    def _facts(self, run: Results, sections: Sequence[dict[str, Any]]) -> dict[str, Any]:
        made = {"program": "clip-curation", "version": versions()["clip-curation"], "run": digest_of(run.facts)}
        metadata = run.facts.get("metadata", {}).get("name")
        return {
            "version": VERSION,
            "template": TEMPLATE,
            "notice": NOTICE,
            "made_by": made | {"metadata": metadata},
            "sections": sections,
        }


def _matched(run: Results) -> list[OwnFile]:
    """Return the files of all matched images, also of those that a gate removed."""
    found = run.files(MATCHED_PART)
    require_rows(found, run.facts["rows"][MATCHED_PART])
    return found


def _write_list(ranked: Ranked, path: Path) -> None:
    """Write the domains that are listed, with their ranks."""
    with whole(path) as local, local.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["rank", "domain", "images"])
        for rank, (name, images) in enumerate(ranked.counted.largest(ranked.listed), 1):
            writer.writerow([rank, f"'{name}" if name[:1] in FORMULA else name, images])


def _text_bytes(file: OwnFile) -> Tallies:
    """Return the bytes of the texts of a file, in UTF-8."""
    tallies = Tallies()
    for batch in advanced(batches(file, ROWS, ["text"])):
        tallies.add(BYTES, pc.sum(pc.binary_length(batch["text"])).as_py() or 0)
    return tallies
