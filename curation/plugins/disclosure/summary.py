"""Export `summary`: the summary of training content as Markdown and JSON, and lists of the largest domains.

Tasks count domains and bytes of texts; all other numbers come from run.json. A question that only a person can answer
stays a blank until `answers` fill it in.
"""

from __future__ import annotations

import csv
import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import pyarrow.compute as pc

from curation.plugins.domains import PAGES, TEXTS, DomainCounts, Origin, count_domains, doubts, origins, period
from curation.report.charts import DROPPED
from curation.report.facts import licensed
from curation.report.page import escaped, templates
from curation.run.finished_run import MATCHED_PART, curated_files
from curation.run.results import Results
from metadata.languages import language
from runtime.errors import InputError
from runtime.folders.folder import Folder
from runtime.messages import did_you_mean
from runtime.packages import table_rows, versions
from runtime.progress import advancing
from runtime.storage.json_files import write_json
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches, require_rows
from runtime.storage.whole import whole, write_text
from runtime.tallies import TaskResult, values_under
from runtime.wording import counted, percent

SUMMARY_VERSION = 1  # the version of the format of summary.json
TEMPLATE = "Commission template for the public summary of training content, C(2025) 8311, AI Act, Article 53(1)(d)"
NOTICE = f"This follows the {TEMPLATE}. Its numbers come from a finished run of clip-curation. It is not legal advice."
ROWS_SHOWN = 50  # A table in Markdown has at most so many rows.
BATCH_ROWS = 1 << 16
FORMULA = ("=", "+", "-", "@")  # A spreadsheet computes cells that begin with one of these characters.
TEXT_BYTES = "text_bytes"


QUESTIONS = table_rows(__package__, "sections.csv")  # questions to a person, in the order of the template
SENTENCES = {row["fact"]: row for row in table_rows(__package__, "sentences.csv")}


@dataclass(frozen=True)
class Summary:
    """The export format `summary`; `answers` has a person's answers, by the names of blanks."""

    answers: Mapping[str, str] = field(default_factory=dict)

    writes: ClassVar[str] = "the summary of training content that the EU's AI Act asks for"
    elsewhere: ClassVar[str] = "{flags} cannot be given with --format {form}"

    def __post_init__(self) -> None:
        blanks = [row["blank"] for row in QUESTIONS]
        if unknown := sorted({*self.answers} - {*blanks}):
            near = did_you_mean(unknown[0], blanks, f"the questions are {', '.join(blanks)}")
            raise InputError(f"no question has the name {' or '.join(unknown)}; {near}")

    @classmethod
    def add_flags(cls, parser: ArgumentParser) -> None:
        """Add nothing: the answers are a flag of all forms."""

    def write(self, run: Results, folder: Folder) -> str:
        """Write the lists of domains, summary.md, answers.json for a person to fill in, and summary.json."""
        kept = curated_files(run)
        with folder.progress.stage(f"count the texts of {counted(len(kept), 'file')}"):
            size = folder.engine.run(kept, _text_bytes)[TEXT_BYTES]
        numbers = RunNumbers(run.facts, int(size), [*self._ranked(run, folder, kept)])
        sections = summary_sections(numbers, self.answers)
        values = {"name": run.path.name, "notice": NOTICE, "sections": sections, "most": ROWS_SHOWN}
        write_text(folder.path / "summary.md", templates(__package__).get_template("summary.jinja").render(values))
        blanks = {row["blank"]: self.answers.get(row["blank"]) for row in QUESTIONS}
        # A person edits this file, so it has no checksum.
        write_text(folder.path / "answers.json", json.dumps(blanks, indent=1, ensure_ascii=False) + "\n")
        write_json(folder.path / "summary.json", self._facts(run, sections))
        all_blanks = chain.from_iterable(section["blanks"] for section in sections)
        answers = [blank["answer"] for blank in all_blanks]
        still_open = counted(answers.count(None), "open question")
        return f"summary.md, summary.json, {counted(len(numbers.domains), 'list')} of domains and {still_open}"

    def _ranked(self, run: Results, folder: Folder, kept: Sequence[OwnFile]) -> Iterator[Ranked]:
        """Yield counts by domain of kept images, their pages, matched images and their pages; write a file for each.

        A part of another run's manifest has no matched images.
        """
        parts = {"kept": kept} if run.is_partial else {"kept": kept, "matched": _matched(run)}
        lists = folder.parts.reopen("domains")
        for part, part_files in parts.items():
            for column, thing in (("url", f"{part} images"), ("page_url", f"pages of {part} images")):
                name = f"{part}_{'images' if column == 'url' else 'pages'}"
                with folder.progress.stage(f"count the domains of {thing}"):
                    domain_counts = count_domains(folder.engine, part_files, column, folder.parts.begin(name))
                ranked = Ranked(domain_counts, thing, f"domains/{name}.csv", run.facts["rows"][part])
                _write_list(ranked, lists / f"{name}.csv")
                yield ranked
        folder.finish("domains")

    def _facts(self, run: Results, sections: Sequence[dict[str, Any]]) -> dict[str, Any]:
        made = {"program": "clip-curation", "version": versions()["clip-curation"], "run": run.digest}
        made["metadata"] = run.facts.get("metadata", {}).get("name")
        stated = {"version": SUMMARY_VERSION, "template": TEMPLATE, "notice": NOTICE}
        return stated | {"made_by": made, "sections": sections}


def _matched(run: Results) -> list[OwnFile]:
    """Return the files of all matched images, also of those that a gate removed."""
    files = run.files(MATCHED_PART)
    require_rows(files, run.facts["rows"][MATCHED_PART])
    return files


def _write_list(ranked: Ranked, path: Path) -> None:
    """Write the largest domains, as many as `ranked` lists, with rank and number of images, as CSV."""
    with whole(path) as local, local.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["rank", "domain", "images"])
        for rank, (name, images) in enumerate(ranked.counted.largest(ranked.listed), 1):
            writer.writerow([rank, f"'{name}" if name[:1] in FORMULA else name, images])


def _text_bytes(file: OwnFile) -> TaskResult:
    """Tally the number of bytes of all texts in a file, in UTF-8."""
    tallies = TaskResult()
    for batch in advancing(batches(file, BATCH_ROWS, ["text"])):
        tallies.add(TEXT_BYTES, pc.sum(pc.binary_length(batch["text"])).as_py() or 0)
    return tallies


OPT_OUTS = (
    *("noai", "noimageai", "noml", "tdm_reservation", "content_usage", "data_noai"),
    *("robots", "content_signal", "ai_txt"),
)
PERSONAL = ("email_address", "phone_number", "card_number", "iban")
EXCLUDED = "excluded_"  # the prefix of reasons for pairs that an exclusion list names
SETTLED = "Stated above."  # the answer to a question that the numbers of a run answer
TOKENS = 1_000_000_000  # the upper end of the template's smallest bin for texts, in tokens
KEPT_PAGES = "domains/kept_pages.csv"
SMALL = 1000  # A small enterprise lists at most so many domains.


@dataclass(frozen=True)
class Ranked:
    """Images counted by domain, of the images or of their pages, and the file that lists the largest domains."""

    counted: DomainCounts
    of: str  # the things that were counted, such as "pages of matched images"
    file: str
    rows: int  # the number of images, including images without a domain

    @property
    def listed(self) -> int:
        """The number of domains that the file lists: a tenth of all, rounded up."""
        return -(-self.counted.domains // 10)

    @property
    def small(self) -> int:
        """The number of domains that a small enterprise has to list: a twentieth, at most SMALL."""
        return min(SMALL, -(-self.counted.domains // 20))

    @property
    def row(self) -> dict[str, Any]:
        """The counts and the name of the file, as a row for summary.json."""
        return {
            "of": self.of,
            "images": self.counted.images,
            "no_domain": self.rows - self.counted.images,
            "domains": self.counted.domains,
            "listed": self.listed,
            "share": self.counted.share(self.listed),
            "listed_if_small": self.small,
            "file": self.file,
        }


@dataclass(frozen=True)
class RunNumbers:
    """The numbers of a run: the content of run.json, the bytes of texts, and the counts by domain."""

    facts: Mapping[str, Any]
    text_bytes: int  # the number of bytes of all kept texts
    domains: Sequence[Ranked]

    @property
    def gate(self) -> Mapping[str, Any]:
        """The gate of the run; empty without one."""
        return self.facts.get("gate") or {}

    @property
    def origins(self) -> list[Origin]:
        """The origins of the run's inputs, such as crawls and folders."""
        return origins(self.facts)

    @property
    def without_page(self) -> int:
        """The number of kept images whose page has no domain, or is unknown."""
        return next((ranked.rows - ranked.counted.images for ranked in self.domains if ranked.file == KEPT_PAGES), 0)

    @property
    def excluded(self) -> dict[str, int]:
        """The number of texts that exclusion lists kept out, by kind of list."""
        return {kind: texts for kind, texts in values_under(self.facts["dropped"], EXCLUDED).items() if texts}

    def rules(self, names: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return the gate's rules named `names`, with their counts; without names, all but OPT_OUTS and PERSONAL."""
        named = {*(names or (*OPT_OUTS, *PERSONAL))}
        rows = [(row, "images") for row in self.gate.get("conditions", [])]
        rows += [(row, "texts") for row in self.gate.get("texts", [])]
        return [_rule(row, what) for row, what in rows if (row["text"] in named) == bool(names)]


Fact = dict[str, Any]
State = Callable[[RunNumbers], Iterator[Fact]]


def summary_sections(numbers: RunNumbers, answers: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return all sections of the summary, each with facts and questions; the answer to an open question is None."""
    sections: dict[str, dict[str, Any]] = {}
    settled = {"tokens": SETTLED} if numbers.text_bytes < TOKENS else {}  # This run decides these questions.
    for row in QUESTIONS:
        number = row["section"]
        if number not in sections:
            facts = [*STATED[number](numbers)] if number in STATED else []
            sections[number] = {"section": number, "title": row["title"], "facts": facts, "blanks": []}
        blank = {name: row[name] for name in ("blank", "question", "form")}
        sections[number]["blanks"].append(blank | {"answer": (settled | {**answers}).get(row["blank"])})
    return [*sections.values()]


def image_bin(images: int) -> str:
    """Return the template's word for a number of images.

    >>> image_bin(999_999), image_bin(1_000_000_000), image_bin(1_000_000_001)
    ('less than 1 million', '1 million to 1 billion', 'more than 1 billion')
    """
    if images < 1_000_000:
        return "less than 1 million"
    return "1 million to 1 billion" if images <= 1_000_000_000 else "more than 1 billion"


def _fact(name: str, value: Any, rows: Sequence[Mapping[str, Any]] = (), **more: Any) -> Fact:
    """Return a fact with its sentence from sentences.csv: `says`, or `none` if the fact has no value and no rows.

    `value` and `more` fill the blanks of the sentence.
    """
    sentence = SENTENCES[name]
    says = sentence["says"] if value or rows or not sentence["none"] else sentence["none"]
    return {"name": name, "value": value, "says": says.format(value=value, **more), "rows": [*rows]}


def _size(numbers: RunNumbers) -> Iterator[Fact]:
    rows, kept = numbers.facts["rows"], numbers.facts["rows"]["kept"]
    yield _fact("modalities", ["image", "text"], texts=TEXTS)
    yield _fact("images_read", rows["images"])
    yield _fact("images", kept)
    yield _fact("image_bin", image_bin(kept))
    yield _fact("text_bytes", numbers.text_bytes)
    days = period(numbers.origins)
    yield _fact("latest", _month(days[1]) if days else None)
    kept_of = {code: row["kept"] for code, row in numbers.facts["languages"].items() if row["kept"]}
    languages = [
        {"code": code, "language": language(code).name, "kept": kept_of[code], "share": kept_of[code] / max(1, kept)}
        for code in sorted(kept_of, key=lambda code: (-kept_of[code], code))
    ]
    yield _fact("languages", None, languages, count=len(languages), doubts=doubts(numbers.facts["languages"]))


def _sets(numbers: RunNumbers) -> Iterator[Fact]:
    whole = sum(origin.bytes for origin in numbers.origins)
    rows = [
        {"section": _section(origin)} | origin.row | {"share_of_bytes": origin.bytes / max(1, whole)}
        for origin in numbers.origins
    ]
    yield _fact("inputs", None, rows)
    without = numbers.without_page
    yield _fact("without_page", without, share=percent(without, numbers.facts["rows"]["kept"]))


def _crawled(numbers: RunNumbers) -> Iterator[Fact]:
    crawls = [origin for origin in numbers.origins if origin.format in PAGES]
    yield _fact("pages", numbers.facts["rows"]["pages"])
    yield _fact("crawler", "CCBot" if any(origin.set == "Common Crawl" for origin in crawls) else None)
    days = period(crawls)
    yield _fact("period", "–".join(map(_month, days)) if days else None)
    how, pairs = licensed(numbers.facts)
    licences = [{"licence": name, "pairs": number} for name, number in pairs.items() if number]
    yield _fact("licenses", None, licences, how=how)
    yield _fact("domains", None, [ranked.row for ranked in numbers.domains])


def _synthetic(numbers: RunNumbers) -> Iterator[Fact]:
    if not (captions := numbers.gate.get("captions")):
        yield _fact("captions", None)
        return
    stated = {name: captions[name] for name in ("table", "images", "without")}
    # The name leaves out its folder.
    stated["table"] = stated["table"] | {"name": PurePosixPath(stated["table"]["name"]).name}
    yield _fact("captions", stated, table=escaped(stated["table"]["name"]))


def _reservations(numbers: RunNumbers) -> Iterator[Fact]:
    rules = numbers.rules(OPT_OUTS)
    honoured = {row["rule"] for row in rules}
    signals = []
    for name, pairs in numbers.facts.get("signals", {}).items():
        is_honoured = name.replace("-", "_") in honoured
        signals.append({"signal": name, "pairs": pairs, "honoured": "yes" if is_honoured else "no"})
    yield _fact("signals", None, signals)
    yield _fact("opt_outs", None, rules)
    if hosts := numbers.gate.get("hosts"):
        hosts = hosts | {"name": PurePosixPath(hosts["name"]).name}
    yield _fact("hosts", hosts, agents=", ".join(map(escaped, hosts["agents"])) if hosts else "")
    lists = [{"list": name, "texts": texts} for name, texts in numbers.excluded.items() if name != "hash"]
    yield _fact("lists", None, lists)
    for removal in numbers.facts.get("removals", []):
        reasons = [{"list": name.removeprefix(EXCLUDED), "pairs": pairs} for name, pairs in removal["reasons"].items()]
        yield _fact("removal", None, reasons, removed=removal["removed"])


def _other(numbers: RunNumbers) -> Iterator[Fact]:
    yield _fact("personal_data", None, numbers.rules(PERSONAL))
    yield _fact("conditions", None, numbers.rules())
    reasons = [(name, rows) for name, rows in numbers.facts["dropped"].items() if rows]
    dropped = [{"reason": name, "meaning": DROPPED.get(name, name), "number": rows} for name, rows in reasons]
    yield _fact("dropped", None, dropped, pairs=numbers.facts["rows"]["pairs"])
    if numbers.facts["parameters"].get("balance", True):
        yield _fact("tail_share", share := numbers.facts["tail_share"], share=percent(share))


STATED: dict[str, State] = {
    "1.3": _size,
    "2.1": _sets,
    "2.3": _crawled,
    "2.5": _synthetic,
    "3.1": _reservations,
    "3.2": lambda numbers: iter([_fact("hash_lists", numbers.excluded.get("hash", 0))]),
    "3.3": _other,
}


def _rule(row: Mapping[str, Any], what: str) -> dict[str, Any]:
    stated = {"rule": row["text"], "removes": row.get("removes"), "what": what}
    return stated | {"found": row.get("failed"), "removed": row["removed"]}


def _section(origin: Origin) -> str:
    """Return, as a phrase, the numbers of the template's sections in which an input of this origin can belong."""
    if origin.set:
        return "2.1"
    return "2.1 or 2.3" if origin.format in PAGES else "2.1, 2.2, 2.3 or 2.6"


def _month(day: str) -> str:
    return f"{day[5:7]}/{day[:4]}"
