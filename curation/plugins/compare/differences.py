"""Describe a comparison as JSON: figures of both sides, funnels, settings that differ, languages, entries, examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from curation.plugins.compare.comparing import (
    BOTH,
    IMAGES,
    ONLY_ONE,
    ONLY_OTHER,
    OTHER_TEXT,
    ManifestComparison,
)
from curation.plugins.compare.entry_changes import SIDES, by_frequency, head_and_tail, most_changed
from curation.plugins.compare.manifests import ROWS, UNNAMED, Manifest
from curation.report.charts import funnel
from curation.report.page import written
from curation.run.results import Results
from runtime.wording import counted, quotient

OF_LANGUAGES = ("texts", "matched", "t", "tail_share", "kept")  # the figures of a run that are compared by language
NONE = "–"  # This stands for a setting that a run does not have.
DIGEST_DIGITS = 12  # Only so many digits of a digest are shown.


def facts_of(comparison: ManifestComparison) -> dict[str, Any]:
    """Return the content of compare.json."""
    sums = comparison.sums
    images = {name: int(sums[IMAGES, name]) for name in (BOTH, ONLY_ONE, ONLY_OTHER)}
    sides = {}
    for number, (name, manifest) in enumerate(zip(SIDES, (comparison.one, comparison.other), strict=True)):
        sides[name] = _side(manifest, comparison, number, images[BOTH])
    facts = {**sides, "images": images, "examples": comparison.examples}
    one = comparison.one.run
    other = comparison.other.run
    if not (one and other):
        return facts
    thresholds = {code: row["t"] for code, row in one.facts["languages"].items()}
    entries = comparison.entries
    assert entries is not None
    return facts | {
        "images": images | {OTHER_TEXT: int(sums[IMAGES, OTHER_TEXT])},
        "funnel": funnels(one, other),
        "settings": differing_settings(one, other),
        "languages": _languages(comparison, one, other),
        "head_and_tail": head_and_tail(entries, thresholds),
        "by_frequency": by_frequency(entries),
        **most_changed(entries),
    }


def _side(manifest: Manifest, comparison: ManifestComparison, number: int, both: int) -> dict[str, Any]:
    """Return the figures of one side.

    `shared` is the share of its images that the other side has, and `by_chance` the share that another seed would keep.
    """
    sums = comparison.sums
    rows = int(sums[ROWS, number])
    unnamed = int(sums[UNNAMED, number])
    images = int(sums[IMAGES, SIDES[number]])
    figures: dict[str, Any] = {
        "name": manifest.name,
        "kind": "run" if manifest.run else "table",
        "files": len(manifest.files),
        "rows": rows,
        "images": images,
        "repeated": rows - unnamed - images,
        "unnamed": unnamed,
        "shared": quotient(both, images),
    }
    if comparison.entries is not None:
        figures["by_chance"] = comparison.by_chance(SIDES[number])
    return figures


def funnels(one: Results, other: Results) -> list[dict[str, Any]]:
    """Return the steps of both runs in order, each with the numbers `one` and `other`; None if a run lacks the step.

    After the steps, each rule of a gate that removed texts has the number of texts that it removed.
    """
    counts = [{bar.label: bar.value for bar in funnel(run.facts)} for run in (one, other)]
    rules = [
        {rule["text"]: rule["removed"] for rule in run.facts.get("gate", {}).get("texts", [])} for run in (one, other)
    ]
    rows = [{"step": step, **_both(counts, step)} for step in _merged(*counts)]
    for rule in _merged(*rules):
        removed = _both(rules, rule)
        if any(removed.values()):
            rows.append({"step": f"texts removed by {rule}", **removed})
    return rows


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the names of two mappings, each once; a name of only `other` comes before the next name that both have.

    >>> _merged({"a": 1, "b": 2, "c": 3}, {"a": 1, "x": 2, "c": 3, "y": 4})
    ['a', 'x', 'b', 'c', 'y']
    """
    names: list[str] = []
    rest = [*one]
    for name in other:
        if name in rest:
            index = rest.index(name)
            names += rest[:index]
            rest = rest[index + 1 :]
        if name not in names:
            names.append(name)
    return names + rest


def _both(values: Sequence[Mapping[str, Any]], name: str, missing: Any = None) -> dict[str, Any]:
    return {side: of_side.get(name, missing) for side, of_side in zip(SIDES, values, strict=True)}


def differing_settings(one: Results, other: Results) -> list[dict[str, Any]]:
    """Return the settings that differ, as text: parameters, metadata, model, gate, lists, versions and inputs."""
    values = [settings(run) for run in (one, other)]
    rows = [{"setting": name, **_both(values, name, NONE)} for name in _merged(*values)]
    rows += _differing_inputs(one, other)
    return [row for row in rows if row["one"] != row["other"]]


def settings(run: Results) -> dict[str, str]:
    """Return all settings of a run by name, as text for a person."""
    facts = run.facts
    parameters = facts.get("parameters", {})
    made_from = {name: value for name, value in facts["made_from"].items() if name not in {*parameters, "inputs"}}
    made_from["metadata"] = _metadata(facts)
    gate = dict(facts.get("gate", {}))
    removed = [rule["text"] for name in ("conditions", "texts") for rule in gate.pop(name, [])]
    stated = {**parameters, **made_from, "gate": " AND ".join(removed) or None}
    for name in ("judge", "decontaminate_within", "decontaminate_cosine", "hosts"):
        stated[f"gate: {name}"] = gate.get(name)
    stated["gate: tables"] = [table["name"] for table in gate.get("tables", [])]
    stated["downloads"] = facts.get("downloads", {}).get("folders")
    stated["exclusion lists"] = [row["name"] for row in facts.get("exclusion_lists", [])]
    stated["removals"] = [f"{row['removed']:,} rows" for row in facts.get("removals", [])]
    for name, value in facts.get("versions", {}).items():
        stated[f"version of {name}"] = value
    return {name.replace("_", " "): written(value) for name, value in stated.items()}


def _metadata(facts: Mapping[str, Any]) -> str:
    """Return the name of the metadata of a run, and the beginning of its digest."""
    digest = str(facts["made_from"].get("metadata"))[:DIGEST_DIGITS]
    name = facts.get("metadata", {}).get("name")
    return f"{name} ({digest})" if name else digest


def _differing_inputs(one: Results, other: Results) -> Iterator[dict[str, Any]]:
    """Yield a row that counts the inputs of both runs, with an example of an input that only one of them read."""
    inputs = [{(row["path"], row["size"]) for row in run.facts["made_from"].get("inputs", [])} for run in (one, other)]
    shown = {}
    for side, files, others in zip(SIDES, inputs, reversed(inputs), strict=True):
        alone = sorted(files - others, key=str)
        such = f", {len(alone):,} of which only this run read, such as {alone[0][0]}" if alone else ""
        shown[side] = f"{counted(len(files), 'file')}{such}"
    yield {"setting": "inputs", **shown}


def _languages(comparison: ManifestComparison, one: Results, other: Results) -> dict[str, dict[str, Any]]:
    """Return the figures of each language that either run has matched, the ones with the most kept images first."""
    by_run = [run.facts["languages"] for run in (one, other)]
    images = comparison.languages
    none = {BOTH: 0, ONLY_ONE: 0, ONLY_OTHER: 0}
    rows = {}
    for code in _merged(*by_run):
        row: dict[str, Any] = images.get(code, none)
        figures = {}
        for name in OF_LANGUAGES:
            for side, languages in zip(SIDES, by_run, strict=True):
                figures[f"{name}_{side}"] = languages.get(code, {}).get(name)
        if any(row.values()) or figures["matched_one"] or figures["matched_other"]:
            rows[code] = row | figures
    return dict(sorted(rows.items(), key=lambda item: (-sum(item[1][name] for name in none), item[0])))
