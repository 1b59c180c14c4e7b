"""Describe a dataset from templates: Hugging Face's dataset card README.md, and Croissant 1.1 metadata.

The card has a sentence for each option that decides about rows. Text of users and of data is escaped, so that Markdown
shows it as it is: in a line, as code, or as a block.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from curation.config import CurationConfig
from curation.leaves.domains import TEXTS, DomainCounts, Origin, doubts, origins, period
from curation.report.charts import DROPPED, funnel
from curation.report.facts import of_licenses
from curation.report.language_table import named
from curation.report.page import code, environment, templates
from curation.report.warnings import starter
from metadata.languages import language
from runtime.errors import flag
from runtime.packages import versions
from runtime.wording import counted, number, percent

if TYPE_CHECKING:
    from curation.leaves.export.huggingface import Card


MOST_LANGUAGES = 5  # languages named for each rule of the gate


def _table(name: str) -> dict[str, str]:
    """Return the rows of a CSV file of two columns, without its header, as a dictionary."""
    return dict([*csv.reader(files(__package__).joinpath(name).read_text("utf-8").splitlines())][1:])


# ISO 639 codes of languages whose metadata code, that of their Wikipedia, is another; "" if they have none.
ISO_639 = _table("hub_languages.csv")
# Identifiers of licences for texts and data in a dataset card; `other` stands for all that have none.
LICENSES = files(__package__).joinpath("hub_licenses.txt").read_text("utf-8").split()
MEANINGS = _table("column_meanings.csv")  # of the columns beside those of the manifest
# What only the publisher states: by a flag, or as an answer under the name of a property of Croissant, or of its part.
FLAGS = {
    "license": "Which licence has the manifest?",
    "dataset_version": "Which version is this?",
    "date": "When was it published?",
}
QUESTIONS = _table("questions.csv")

OF_SOURCE = "The caption of the image by the source in the name of the column; null if there is none."


def card(
    facts: dict[str, Any], about: Card, name: str, columns: Sequence[pa.Field] = (), has_data: bool = False
) -> str:
    """Return the content of README.md, a dataset card, given the content of run.json.

    `columns` are the columns of the data besides those of the manifest; `has_data` says whether the card comes with
    data.
    """
    codes, rows = _kept_languages(facts), facts["rows"]
    return _rendered(
        "card.md",
        facts={"part": None} | facts,
        about=about,
        name=name,
        description=description(facts),
        codes=codes,
        tags=sorted({tag for code in codes if (tag := ISO_639.get(code, code))}),
        size=size_category(rows["kept"]),
        columns=columns,
        has_data=has_data,
        dropped=[(DROPPED.get(reason, reason), rows) for reason, rows in facts["dropped"].items() if rows],
        removed=removed_by_language(facts),
        sentences=sentences(facts),
        doubts=doubts(facts["languages"]),
        asked=asked(about),
        balanced=is_balanced(facts),
        filtered=is_filtered(facts),
        language=language,
    )


def croissant(
    facts: dict[str, Any], about: Card, name: str, digests: dict[str, str], columns: Sequence[pa.Field] = ()
) -> dict[str, Any]:
    """Return the content of croissant.json, given that of run.json; `digests` has the SHA-256 of files by path."""
    creator = about.answers.get("creator")
    rendered = _rendered(
        "croissant.json",
        name=name,
        description=description(facts),
        balanced=is_balanced(facts),
        stated={
            "license": about.license,
            "version": about.dataset_version,
            "datePublished": about.date,
            "citeAs": about.cite,
            "url": about.answers.get("url"),
            "creator": None if creator is None else {"@type": "Organization", "name": creator},
        },
        digests=digests,
        columns=columns,
    )
    return json.loads(rendered)


def asked(about: Card) -> list[tuple[str, str, str | None]]:
    """Return a triple for each question to the publisher: its flag or name, the question, and the answer or None."""
    flags = [(flag(name), question, getattr(about, name)) for name, question in FLAGS.items()]
    return flags + [(name, question, about.answers.get(name)) for name, question in QUESTIONS.items()]


def funnel_figure(facts: dict[str, Any]) -> str:
    """Return an SVG of the rows that are left after each step, given the content of run.json."""
    rows = [bar for bar in funnel(facts) if bar.has_bar]
    return environment("curation.leaves.export").get_template("funnel.svg").render(rows=rows)


def removed_by_language(facts: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """Return each rule of a gate with the number of texts that it removed, and the languages that lost most."""
    gate, rules = facts.get("gate", {}), []
    for row in [*gate.get("conditions", []), *gate.get("texts", [])]:
        texts = sorted(row.get("removed_texts", {}).items(), key=lambda item: (-item[1], item[0]))
        if texts:
            most = ", ".join(f"{code} {number(removed)}" for code, removed in texts[:MOST_LANGUAGES])
            more = ", …" if len(texts) > MOST_LANGUAGES else ""
            rules.append((row.get("removes") or row["text"], sum(removed for _, removed in texts), most + more))
    return rules


def description(facts: dict[str, Any]) -> str:
    """Return one sentence about the kept pairs, given the content of run.json."""
    rows, codes = facts["rows"], _kept_languages(facts)
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
    page = templates("curation.leaves.export").get_template(template)
    return page.render(values, meanings=MEANINGS, of_source=OF_SOURCE)


def _kept_languages(facts: dict[str, Any]) -> list[str]:
    """Return the languages of the kept texts, the one with the most texts first."""
    kept = {code: row["kept"] for code, row in facts["languages"].items() if row["kept"]}
    return sorted(kept, key=lambda code: (-kept[code], code))


def is_balanced(facts: Mapping[str, Any]) -> bool:
    """Return whether a run thinned out the texts of frequent entries, given the content of run.json."""
    return facts["parameters"].get("balance", True)


def is_filtered(facts: Mapping[str, Any]) -> bool:
    """Return whether a run left out any images or texts besides those without an entry."""
    gate = facts.get("gate", {})
    filters = (facts["made_from"].get("exclusion"), facts.get("removals"), gate.get("conditions"), gate.get("texts"))
    return any(filters)


def sentences(facts: Mapping[str, Any]) -> list[str]:
    """Return the card's sentences on metadata, options and removals, given the content of run.json."""
    about, made_from = facts.get("metadata", {}), facts["made_from"]
    usual = json.loads(json.dumps(asdict(CurationConfig())))  # JSON has lists
    values = {name: facts["parameters"].get(name, default) for name, default in usual.items()}
    lines = _rendered(
        "sentences.md",
        starter=starter(about) if about.get("starter") else None,
        changed={name: value for name, value in values.items() if value != usual[name]},
        model=made_from.get("model"),
        exclusion=made_from.get("exclusion"),
        excluded=sum(rows for reason, rows in facts["dropped"].items() if reason.startswith("excluded_")),
        licenses=of_licenses(facts),
        gate=defaultdict(dict, facts.get("gate", {})),
        removals=facts.get("removals", []),
        counted=counted,
        language=language,
        of_row=of_row,
    )
    return [line for line in lines.split("\n") if line]


def of_row(row: Mapping[str, Any], thing: str) -> str:
    """Return the card's sentence on what a condition or a policy's rule removed; `row` is its row in run.json.

    `thing`, image or text, is what the condition is about.
    """
    before = row.get("failed", 0) - row.get("removed", 0)
    gone = f"{number(row.get('removed'))} removed" + (f", {number(before)} more by earlier rules" if before > 0 else "")
    if removes := row.get("removes"):
        return f"Removed were {removes} ({gone})."
    return f"Of {thing}s it was asked: {code(row['text'])} ({gone})."


OPEN = "To be answered by the publisher"  # begins a question
PERSONAL = ("email_address", "phone_number", "card_number", "iban")  # rules about personal data
FEW = 10  # number of languages and of domains that are named
IS_SYNTHETIC = {"true": True, "false": False}  # by the answer


def responsible(
    facts: Mapping[str, Any], domains: DomainCounts | None, columns: Sequence[str], about: Card
) -> dict[str, Any]:
    """Return Croissant's RAI properties by name, given the content of run.json and the domains of the kept images.

    `columns` are the names of the data's additional columns.
    """
    sources = origins(facts)
    days = period(sources) if all(source.begin for source in sources) else None  # of all inputs, or it would mislead
    answered = {name: answer or f"{OPEN} (--answers, {name}): {question}" for name, question, answer in asked(about)}
    dropped = [f"{number(rows)} {DROPPED.get(reason, reason)}" for reason, rows in facts["dropped"].items() if rows]
    stated: dict[str, Any] = {
        "dataCollection": _collection(facts, sources),
        "dataCollectionTimeframe": "/".join(days) if days else None,
        "dataCollectionMissingData": f"Left out while reading: {', '.join(dropped) or 'nothing'}.",
        "dataCollectionRawData": f"Image URLs with {TEXTS}; no pictures.",
        "dataPreprocessingProtocol": sentences(facts),
        "dataManipulationProtocol": _balancing(facts),
        "dataAnnotationProtocol": "Programs found the language of each text and the metadata entries in it; nobody "
        "looked at them.",
        "machineAnnotationTools": [
            *([f"language identification: {model['name']}"] if (model := facts["made_from"].get("model")) else []),
            f"clip-curation {_version(facts)}",
        ],
        "dataBiases": [*_biases(facts, domains)],
        "dataLimitations": [*_limitations(facts, about)],
        "personalSensitiveInformation": [*_personal(facts), answered["people"]],
        "hasSyntheticData": "captions" in facts.get("gate", {})
        or any(name.startswith("caption") for name in columns)
        or IS_SYNTHETIC.get(about.answers.get("hasSyntheticData", "")),
    }
    stated |= {name: said for name, said in answered.items() if name.startswith("data")}
    return {f"rai:{name}": value for name, value in stated.items() if value is not None}


def provenance(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return Croissant's members on provenance: the inputs with digests, the program and the metadata."""
    metadata = facts.get("metadata", {})
    derived = [
        {
            "@type": "prov:Entity",
            "prov:label": origin.name,
            "description": f"{counted(origin.files, 'file')}, {origin.format}{_public(origin)}",
            "identifier": origin.digest,
        }
        for origin in origins(facts)
    ]
    entries = {
        "@type": "prov:Entity",
        "prov:label": metadata.get("name") or "metadata",
        "identifier": facts["made_from"]["metadata"],
    }
    program = {"@type": "prov:SoftwareAgent", "prov:label": "clip-curation", "version": _version(facts)}
    activity = {"@type": "prov:Activity", "prov:used": entries, "prov:wasAssociatedWith": program}
    return {"prov:wasDerivedFrom": derived, "prov:wasGeneratedBy": activity}


def _version(facts: Mapping[str, Any]) -> str:
    return (facts.get("versions") or versions()).get("clip-curation") or "unknown"


def _public(origin: Origin) -> str:
    return f", by its path of {origin.set}" if origin.set else ""


def _collection(facts: Mapping[str, Any], sources: Sequence[Origin]) -> str:
    rows = facts["rows"]
    read = ", ".join(f"{counted(one.files, 'file')} of {one.name} ({one.format}{_public(one)})" for one in sources)
    pages = f", on {counted(rows['pages'], 'page')} with images" if rows["pages"] else ""
    read_pairs = f"{number(rows['pairs'])} pairs read, of {counted(rows['images'], 'image')}"
    return f"From {read or 'inputs'}: {read_pairs}{pages}."


def _balancing(facts: Mapping[str, Any]) -> str:
    if not is_balanced(facts):
        return "Nothing was balanced: each image with a matching text that passed was kept."
    return (
        "One text of an image is drawn at random, and kept if any of its metadata entries keeps it: an entry that "
        "count texts have keeps each at the rate t / count, at most 1. The t of a language is the count below which "
        f"entries have a share of about {facts['tail_share']:.4g} of its matches, as in English."
    )


def _biases(facts: Mapping[str, Any], domains: DomainCounts | None) -> Iterator[str]:
    kept = facts["rows"]["kept"]
    rows = sorted(facts["languages"].items(), key=lambda item: (-item[1]["kept"], item[0]))
    shares = ", ".join(f"{percent(row['kept'], kept)} {named(code)}" for code, row in rows[:FEW] if row["kept"])
    number_of = counted(sum(row["kept"] > 0 for _, row in rows), "language")
    yield f"Languages of kept texts: {shares or 'none'}; {number_of} in all."
    if domains is not None and domains.domains:
        top = ", ".join(f"{name} {percent(images, domains.images)}" for name, images in domains.largest(FEW))
        share = f"{percent(domains.share(FEW))} of images are of the largest: {top}."
        yield f"Registered domains of images: {counted(domains.domains, 'domain')}; {share}"
    if is_balanced(facts):
        yield f"Tail share of English: {percent(facts['tail_share'])} of matches are with entries rarer than its t."


def _limitations(facts: Mapping[str, Any], about: Card) -> Iterator[str]:
    yield "Links break, and the images behind them change. Nothing here was checked against the pictures."
    without = sum(row.get("kept_without_letters", 0) for row in facts["languages"].values())
    yield f"Of the kept texts, {doubts(facts['languages'])}; {number(without)} are kept for numbers and single letters."
    if unknown := ", ".join(name for name, _, answer in asked(about) if answer is None):
        yield f"The publisher has not stated yet, by flags or answers: {unknown}."
    yield from facts.get("warnings", [])


def _personal(facts: Mapping[str, Any]) -> Iterator[str]:
    yield "Texts, URLs and the pictures behind them may name or show people. They come from the open web as they were."
    rules = [row for row in facts.get("gate", {}).get("texts", []) if row["text"] in PERSONAL]
    yield from [of_row(row, "text") for row in rules] or ["No rule removed texts with personal data."]
