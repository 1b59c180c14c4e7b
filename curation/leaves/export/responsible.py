"""State the responsible-AI properties and the provenance of Croissant, from what a run has counted.

The properties are those of RAI 1.0 and `hasSyntheticData`, which NeurIPS asks for. What only a person knows is a
question, until an answer replaces it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from curation.leaves.export.card import asked, of_row, sentences
from curation.leaves.origins.domains import DomainCounts
from curation.leaves.origins.inputs import TEXTS, Origin, doubts, origins, period
from curation.report.charts import DROPPED
from curation.report.facts import versions
from curation.report.languages import counted, named, number, percent

if TYPE_CHECKING:
    from curation.leaves.export.huggingface import Card

OPEN = "To be answered by the publisher"  # begins a question
PERSONAL = ("email_address", "phone_number", "card_number", "iban")  # rules about personal data
FEW = 10  # number of languages and of domains that are named
IS_SYNTHETIC = {"true": True, "false": False}  # by the answer


def responsible(
    facts: Mapping[str, Any], domains: DomainCounts | None, columns: Sequence[str], about: Card
) -> dict[str, Any]:
    """Return RAI properties by name, given the content of run.json and the domains of the kept images."""
    found = origins(facts)
    days = period(found) if all(each.begin for each in found) else None  # of all inputs, or it would mislead
    answered = {name: answer or f"{OPEN} (--answers, {name}): {question}" for name, question, answer in asked(about)}
    dropped = [f"{number(rows)} {DROPPED.get(reason, reason)}" for reason, rows in facts["dropped"].items() if rows]
    stated: dict[str, Any] = {
        "dataCollection": _collection(facts, found),
        "dataCollectionTimeframe": "/".join(days) if days else None,
        "dataCollectionMissingData": f"Left out while reading: {', '.join(dropped) or 'nothing'}.",
        "dataCollectionRawData": f"Image URLs with {TEXTS}; no pictures.",
        "dataPreprocessingProtocol": sentences(facts),
        "dataManipulationProtocol": _balancing(facts),
        "dataAnnotationProtocol": "Programs found the language of each text and the metadata entries in it; nobody "
        "looked at them.",
        "machineAnnotationTools": _tools(facts),
        "dataBiases": [*_biases(facts, domains)],
        "dataLimitations": [*_limitations(facts, about)],
        "personalSensitiveInformation": [*_personal(facts), answered["people"]],
        "hasSyntheticData": "captions" in facts.get("gate", {})
        or any(name.startswith("caption") for name in columns)
        or IS_SYNTHETIC.get(about.answers.get("hasSyntheticData", "")),
    }
    return {
        f"rai:{name}": value
        for name, value in (stated | {name: said for name, said in answered.items() if name.startswith("data")}).items()
        if value is not None
    }


def provenance(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the data was derived from, with digests, and the program and the metadata that made it."""
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


def _collection(facts: Mapping[str, Any], found: Sequence[Origin]) -> str:
    rows = facts["rows"]
    read = ", ".join(
        f"{counted(origin.files, 'file')} of {origin.name} ({origin.format}{_public(origin)})" for origin in found
    )
    pages = f", on {counted(rows['pages'], 'page')} with images" if rows["pages"] else ""
    return (
        f"Read were {read or 'inputs'}: {counted(rows['pairs'], 'pair')} of {counted(rows['images'], 'image')}{pages}."
    )


def _balancing(facts: Mapping[str, Any]) -> str:
    if not facts["parameters"].get("balance", True):
        return "Nothing was balanced: each image with a matching text that passed was kept."
    return (
        "One text of an image is drawn at random, and kept if any of its metadata entries keeps it: an entry that "
        "count texts have keeps each at the rate t / count, at most 1. The t of a language is the count below which "
        f"entries have a share of about {facts['tail_share']:.4g} of its matches, as in English."
    )


def _tools(facts: Mapping[str, Any]) -> list[str]:
    model = facts["made_from"].get("model")
    return [*([f"language identification: {model['name']}"] if model else []), f"clip-curation {_version(facts)}"]


def _biases(facts: Mapping[str, Any], domains: DomainCounts | None) -> Iterator[str]:
    kept = facts["rows"]["kept"]
    rows = sorted(facts["languages"].items(), key=lambda each: (-each[1]["kept"], each[0]))
    shares = ", ".join(f"{percent(row['kept'], kept)} {named(code)}" for code, row in rows[:FEW] if row["kept"])
    number_of = counted(sum(row["kept"] > 0 for _, row in rows), "language")
    yield f"Languages of kept texts: {shares or 'none'}; {number_of} in all."
    if domains is not None and domains.domains:
        top = ", ".join(f"{name} {percent(images, domains.images)}" for name, images in domains.largest(FEW))
        share = f"{percent(domains.share(FEW))} of images are of the largest: {top}."
        yield f"Registered domains of images: {counted(domains.domains, 'domain')}; {share}"
    if facts["parameters"].get("balance", True):
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
    for row in rules:
        yield of_row(row, "text")
    if not rules:
        yield "No rule removed texts with personal data."
