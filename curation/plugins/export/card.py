"""The export `card`: describe a dataset by Hugging Face's dataset card README.md, and by Croissant 1.1 metadata.

The card has a sentence for each option that decides about rows. Text of users and of data is escaped, so that Markdown
shows it as it is: in a line, as code, or as a block.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import date
from importlib.resources import files
from typing import Any

import pyarrow as pa

from curation.config import CurationConfig
from curation.plugins.domains import TEXTS, DomainCounts, doubts, origins, period
from curation.plugins.export import formats
from curation.report.charts import DROPPED, funnel
from curation.report.facts import of_licenses
from curation.report.page import code, environment, templates
from curation.report.warnings import starter
from curation.run.results import Results
from metadata.languages import language, named
from runtime.errors import InputError
from runtime.folders.folder import Folder
from runtime.messages import did_you_mean
from runtime.packages import table_rows, versions
from runtime.storage.paths import is_url
from runtime.storage.whole import write_text
from runtime.wording import counted, number

_log = logging.getLogger(__name__)
FUNNEL = "funnel.svg"
README = "README.md"
MOST_LANGUAGES = 5  # The card names at most so many languages for each rule of the gate.
# A metadata code is the code of a Wikipedia. Languages whose ISO 639 code differs have it here, or "" without one.
ISO_639 = {row["metadata"]: row["iso_639"] for row in table_rows(__package__, "hub_languages.csv")}
# Identifiers of licences for texts and data in a dataset card; `other` stands for all that have none.
LICENSES = files(__package__).joinpath("hub_licenses.txt").read_text("utf-8").split()
# Descriptions of optional columns, which only some manifests or exports have.
MEANINGS = {row["column"]: row["meaning"] for row in table_rows(__package__, "column_meanings.csv")}
# Only the publisher can answer these questions; a question has the name of a Croissant property, or of a part of one.
QUESTIONS = {row["name"]: row["question"] for row in table_rows(__package__, "questions.csv")}
UNASKED = ("name", "citeAs")  # A card states these answers if they are given, but does not ask for them.

OF_SOURCE = "The caption of the image by the source in the name of the column; null if there is none."


def card(
    facts: dict[str, Any], about: Card, name: str, columns: Sequence[pa.Field] = (), has_data: bool = False
) -> str:
    """Return the content of README.md, a dataset card, given the content of run.json.

    `columns` are the columns of the data that the manifest does not have; `has_data` says whether the card comes with
    data.
    """
    codes = _kept_languages(facts)
    tags = {*filter(None, (ISO_639.get(code, code) for code in codes))}
    rows = facts["rows"]
    return _rendered(
        "card.md",
        facts={"part": None} | facts,
        about=about,
        name=name,
        description=description(facts),
        codes=codes,
        tags=sorted(tags),
        size=size_category(rows["kept"]),
        columns=columns,
        has_data=has_data,
        dropped=[(DROPPED.get(reason, reason), rows) for reason, rows in facts["dropped"].items() if rows],
        removed=removed_by_language(facts),
        sentences=card_sentences(facts),
        doubts=doubts(facts["languages"]),
        asked=questions(about),
        balanced=is_balanced(facts),
        filtered=is_filtered(facts),
    )


def croissant(
    facts: dict[str, Any], about: Card, name: str, digests: dict[str, str], columns: Sequence[pa.Field] = ()
) -> dict[str, Any]:
    """Return the content of croissant.json.

    `facts` is the content of run.json, and `digests` has the SHA-256 of each file by path.
    """
    answers = about.answers
    creator = answers.get("creator")
    rendered = _rendered(
        "croissant.json",
        name=name,
        description=description(facts),
        balanced=is_balanced(facts),
        stated={
            **{name: answers.get(name) for name in ("license", "version", "datePublished", "citeAs", "url")},
            "creator": None if creator is None else {"@type": "Organization", "name": creator},
        },
        digests=digests,
        columns=columns,
    )
    return json.loads(rendered)


def questions(about: Card) -> list[tuple[str, str, str | None]]:
    """Return a triple for each question to the publisher: its name, the question, and the answer or None."""
    return [(name, question, about.answers.get(name)) for name, question in QUESTIONS.items()]


def funnel_figure(facts: dict[str, Any]) -> str:
    """Return an SVG of the rows that are left after each step, given the content of run.json."""
    rows = [bar for bar in funnel(facts) if bar.has_bar]
    return environment("curation.plugins.export").get_template("funnel.svg").render(rows=rows)


def removed_by_language(facts: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """Return each rule of a gate with the number of texts that it removed, and the languages that lost most."""
    gate = facts.get("gate", {})
    rules = []
    for row in [*gate.get("conditions", []), *gate.get("texts", [])]:
        texts = sorted(row.get("removed_texts", {}).items(), key=lambda item: (-item[1], item[0]))
        if texts:
            most = ", ".join(f"{code} {number(removed)}" for code, removed in texts[:MOST_LANGUAGES])
            more = ", …" if len(texts) > MOST_LANGUAGES else ""
            rules.append((row.get("removes") or row["text"], sum(removed for _, removed in texts), most + more))
    return rules


def description(facts: dict[str, Any]) -> str:
    """Return one sentence about the kept pairs, given the content of run.json."""
    rows = facts["rows"]
    codes = _kept_languages(facts)
    how = "balanced over" if is_balanced(facts) else "matched with"
    return (
        f"{counted(rows['kept'], 'image-text pair')} in {counted(len(codes), 'language')}, {how} metadata entries "
        f"from {counted(rows['images'], 'image')} of the web: image URLs with {TEXTS}, without the images."
    )


def size_category(rows: int) -> str:
    """Return Hugging Face's word for a number of rows.

    >>> size_category(999), size_category(5_000_000)
    ('n<1K', '1M<n<10M')
    """
    bounds = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
    reached = sum(rows >= 10 ** (3 + power) for power in range(len(bounds)))
    if reached == 0:
        return "n<1K"
    return f"{bounds[reached - 1]}<n<{bounds[reached]}" if reached < len(bounds) else "n>1T"


def _rendered(template: str, **values: Any) -> str:
    page = templates("curation.plugins.export").get_template(template)
    return page.render(
        values, meanings=MEANINGS, of_source=OF_SOURCE, counted=counted, language=language, of_row=of_row
    )


def _kept_languages(facts: dict[str, Any]) -> list[str]:
    """Return the languages of the kept texts, the one with the most texts first."""
    kept = {code: row["kept"] for code, row in facts["languages"].items() if row["kept"]}
    return sorted(kept, key=lambda code: (-kept[code], code))


def is_balanced(facts: Mapping[str, Any]) -> bool:
    """Return whether a run downsampled the texts of frequent entries, given the content of run.json."""
    return facts["parameters"].get("balance", True)


def is_filtered(facts: Mapping[str, Any]) -> bool:
    """Return whether a run left out any images or texts besides those without an entry."""
    gate = facts.get("gate", {})
    after_sampling = facts.get("removals") or facts.get("selections")
    filters = (facts["made_from"].get("exclusion"), after_sampling, gate.get("conditions"), gate.get("texts"))
    return any(filters)


def card_sentences(facts: Mapping[str, Any]) -> list[str]:
    """Return the card's sentences on metadata, options and removals, given the content of run.json."""
    about = facts.get("metadata", {})
    made_from = facts["made_from"]
    usual = json.loads(json.dumps(asdict(CurationConfig())))  # This turns tuples into lists, as in JSON.
    values = {name: facts["parameters"].get(name, default) for name, default in usual.items()}
    lines = _rendered(
        "card_sentences.md",
        starter=starter(about) if about.get("starter") else None,
        changed={name: value for name, value in values.items() if value != usual[name]},
        model=made_from.get("model"),
        exclusion=made_from.get("exclusion"),
        excluded=sum(rows for reason, rows in facts["dropped"].items() if reason.startswith("excluded_")),
        licenses=of_licenses(facts),
        gate=defaultdict(dict, facts.get("gate", {})),
        removals=facts.get("removals", []),
        selections=facts.get("selections", []),
    )
    return [line for line in lines.split("\n") if line]


def of_row(row: Mapping[str, Any], thing: str) -> str:
    """Return the card's sentence about a condition or a policy's rule; `row` is its row in run.json.

    The condition is about each `thing`: image or text.
    """
    before = row.get("failed", 0) - row.get("removed", 0)
    earlier = f"; earlier rules had removed {number(before)} more" if before > 0 else ""
    gone = f"{number(row.get('removed'))} removed{earlier}"
    if removes := row.get("removes"):
        return f"A rule removes {removes} ({gone})."
    return f"Only {thing}s that meet this condition were kept: {code(row['text'])} ({gone})."


OPEN = "To be answered by the publisher"  # the words before a question without an answer
PERSONAL = ("email_address", "phone_number", "card_number", "iban")  # rules about personal data
NAMES_SHOWN = 10  # At most so many languages, and so many domains, are named.
IS_SYNTHETIC = {"true": True, "false": False}  # the answer to hasSyntheticData, and its value


def responsible(
    facts: Mapping[str, Any], domains: DomainCounts | None, columns: Sequence[str], about: Card
) -> dict[str, Any]:
    """Return Croissant's RAI properties by name, given the content of run.json and the domains of the kept images.

    `columns` are the names of the data's additional columns.
    """
    sources = origins(facts)
    languages = facts["languages"]
    # A period that only some inputs state would mislead.
    days = period(sources) if all(source.begin for source in sources) else None
    has_captions = "captions" in facts.get("gate", {}) or any(name.startswith("caption") for name in columns)
    rendered = _rendered(
        "responsible.json",
        facts=facts,
        rows=facts["rows"],
        sources=sources,
        days=days,
        left_out=[(DROPPED.get(reason, reason), rows) for reason, rows in facts["dropped"].items() if rows],
        texts=TEXTS,
        sentences=card_sentences(facts),
        balanced=is_balanced(facts),
        version=_version(facts),
        most=sorted(languages.items(), key=lambda item: (-item[1]["kept"], item[0]))[:NAMES_SHOWN],
        number_of_languages=sum(row["kept"] > 0 for row in languages.values()),
        few=NAMES_SHOWN,
        domains=domains,
        largest=[*domains.largest(NAMES_SHOWN)] if domains else [],
        doubts=doubts(languages),
        without_letters=sum(row.get("kept_without_letters", 0) for row in languages.values()),
        unknown=[name for name, _, answer in questions(about) if answer is None],
        personal=[row for row in facts.get("gate", {}).get("texts", []) if row["text"] in PERSONAL],
        answered={name: said or f"{OPEN} (--answers, {name}): {question}" for name, question, said in questions(about)},
        synthetic=has_captions or IS_SYNTHETIC.get(about.answers.get("hasSyntheticData", "")),
        named=named,
    )
    return {f"rai:{name}": value for name, value in json.loads(rendered).items()}


def provenance(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return Croissant's members on provenance: the inputs with digests, the program and the metadata."""
    rendered = _rendered(
        "provenance.json",
        sources=origins(facts),
        name=facts.get("metadata", {}).get("name") or "metadata",
        digest=facts["made_from"]["metadata"],
        version=_version(facts),
    )
    return json.loads(rendered)


def _version(facts: Mapping[str, Any]) -> str:
    return (facts.get("versions") or versions()).get("clip-curation") or "unknown"


@dataclass(frozen=True)
class Card(formats.Form):
    """The export format `card`: only a dataset card, with the publisher's answers; the card asks for missing ones."""

    answers: Mapping[str, str] = field(default_factory=dict)  # Their names are those in QUESTIONS and UNASKED.

    writes = "only a dataset card"

    def __post_init__(self) -> None:
        formats.require_questions(self.answers, [*QUESTIONS, *UNASKED])
        date = self.answers.get("datePublished")
        if date is not None and not _is_date(date):
            raise InputError(f"the answer datePublished is {date!r}; give a date such as 2026-11-25 (--answers)")
        if (said := self.answers.get("hasSyntheticData", "true")) not in IS_SYNTHETIC:
            raise InputError(f"the answer hasSyntheticData is {said!r}; give true or false (--answers)")

    def write(self, run: Results, folder: Folder) -> str:
        """Write README.md and its figure."""
        self.warn_of_license()
        write_text(folder.path / FUNNEL, funnel_figure(run.facts))
        write_text(folder.path / README, card(run.facts, self, self.name_of(run)))
        return f"README.md and {FUNNEL}"

    def warn_of_license(self) -> None:
        """Log a warning if no card on Hugging Face may state the licence."""
        license = self.answers.get("license")
        if license is not None and license not in LICENSES:
            near = did_you_mean(license, LICENSES, "give the identifier of a licence that it knows, or other")
            fault = "Hugging Face does not know the licence %r, and refuses cards with unknown licences; %s"
            _log.warning(f"{fault} (--answers)", license, near)

    def name_of(self, run: Results) -> str:
        """Return the name of the dataset: the answer to `name` or, without it, the name of the run's folder."""
        return self.answers.get("name") or (run.path if is_url(run.path) else run.path.resolve()).name


def _is_date(text: str) -> bool:
    with suppress(ValueError):
        return date.fromisoformat(text).isoformat() == text
    return False
