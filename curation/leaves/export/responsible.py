"""State the responsible-AI properties and the provenance of Croissant, from what a run has counted.

The properties are those of RAI 1.0 and `hasSyntheticData`, which NeurIPS asks for. What only a person knows is a
question, until an answer replaces it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from curation.leaves.export.card import sentences
from curation.leaves.origins.domains import DomainCounts
from curation.leaves.origins.inputs import PAGES, Origin, origins, period
from curation.report.charts import DROPPED
from curation.report.facts import versions
from curation.report.languages import counted, named, number, percent

# What only a person knows: the property and the question.
QUESTIONS = {
    "dataUseCases": "For which uses was the data made, and for which should it not be used?",
    "dataSocialImpact": "Which effects on people may the data have, and what was done about harmful ones?",
    "dataReleaseMaintenancePlan": "Who maintains the data, until when, and how are removals asked for?",
}
OPEN = "To be answered by the publisher: "  # prefix of a question
PERSONAL = ("email_address", "phone_number", "card_number", "iban")  # rules about personal data
FEW = 10  # number of languages and of domains that are named
SYNTHETIC = ("caption",)  # prefix of the names of columns of captions


def responsible(
    facts: Mapping[str, Any], domains: DomainCounts | None, columns: Sequence[str], answers: Mapping[str, str]
) -> dict[str, Any]:
    """Return RAI properties by name, given the content of run.json and the domains of the kept images."""
    found = origins(facts)
    days = period(found) if all(each.begin for each in found) else None  # of all inputs, or it would mislead
    asked = {name: answers.get(name, f"{OPEN}{question}") for name, question in QUESTIONS.items()}
    stated: dict[str, Any] = {
        "dataCollection": _collection(facts, found),
        "dataCollectionType": _kinds(found),
        "dataCollectionTimeframe": "/".join(days) if days else None,
        "dataCollectionMissingData": "Left out while reading: " + (", ".join(_dropped(facts)) or "nothing") + ".",
        "dataCollectionRawData": "Image URLs, with alt texts or titles of pages, or texts of tables; no pictures.",
        "dataPreprocessingProtocol": sentences(facts),
        "dataManipulationProtocol": _balancing(facts),
        "dataAnnotationProtocol": "Programs found the language of each text and the metadata entries in it; nobody "
        "looked at them.",
        "machineAnnotationTools": _tools(facts),
        "dataBiases": [*_biases(facts, domains)],
        "dataLimitations": [*_limitations(facts)],
        "personalSensitiveInformation": [*_personal(facts)],
        "hasSyntheticData": "captions" in facts.get("gate", {}) or any(name.startswith(SYNTHETIC) for name in columns),
    }
    return {f"rai:{name}": value for name, value in (stated | asked).items() if value is not None}


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


def _kinds(found: Sequence[Origin]) -> list[str]:
    kinds = {"Web Scraping" if origin.format in PAGES else "Secondary Data Analysis" for origin in found}
    return sorted(kinds) or ["Others"]


def _dropped(facts: Mapping[str, Any]) -> Iterator[str]:
    for reason, rows in facts["dropped"].items():
        if rows:
            yield f"{number(rows)} {DROPPED.get(reason, reason)}"


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


def _limitations(facts: Mapping[str, Any]) -> Iterator[str]:
    yield "Links break, and the images behind them change. Nothing here was checked against the pictures."
    rows = facts["languages"].values()
    doubtful, without = (sum(row.get(name, 0) for row in rows) for name in ("kept_doubtful", "kept_without_letters"))
    doubts = (
        f"with a language score below 0.5 {number(doubtful)}, for entries without two letters alone {number(without)}"
    )
    yield f"Kept texts: {doubts}."
    yield from facts.get("warnings", [])


def _personal(facts: Mapping[str, Any]) -> Iterator[str]:
    yield "Texts, URLs and the pictures behind them may name or show people. They come from the open web as they were."
    rules = [row for row in facts.get("gate", {}).get("texts", []) if row["text"] in PERSONAL]
    for row in rules:
        yield f"Removed were {row['removes']}: {number(row['removed'])}."
    if not rules:
        yield "No rule removed texts with personal data."
