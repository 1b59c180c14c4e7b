"""Say how a manifest was made, in Markdown: a sentence for each option that decides about its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from curation.config import CurationConfig
from curation.export.markdown import code, escaped
from curation.report.numbers import counted, number
from curation.report.warnings import starter
from metadata.languages import language

WITNESSES = {"han": "its Han characters and kana", "host": "the other texts of its host", "page": "its WARC page"}


def _witnesses(asked: Sequence[str]) -> str:
    if not asked:
        return "Doubtful texts keep the language that was identified."
    return f"The language of a doubtful text was asked of {', then '.join(WITNESSES[each] for each in asked)}."


def _scores(scores: Mapping[str, float]) -> str:
    least = ", ".join(f"{score:g} in {escaped(language(each).name)}" for each, score in scores.items())
    return f"Texts whose language is less certain count as texts in other languages: below {least}."


# What a parameter did where it is not the default. The card itself states the t of English, the seed and the rules.
OF_PARAMETERS: dict[str, Callable[[Any], str]] = {
    "target_size": lambda size: f"The size asked for is {counted(size, 'image')}; the t of English follows from it.",
    "tail_share": lambda share: f"The tail share was given: {share:.4g}. The t of English does not decide it.",
    "sample_files": lambda files: (
        f"Only {counted(files, 'file')} of the input {'was' if files == 1 else 'were'} read, drawn by the seed."
    ),
    "max_texts": lambda texts: f"At most {counted(texts, 'text')} of an image were matched, drawn by hash.",
    "max_text_length": lambda length: f"Longer texts were cut to {counted(length, 'character')}.",
    "evidence": lambda _: "A text was matched only if it contains an entry with two letters.",
    "min_language_score": lambda score: (
        f"Texts whose language is less certain than {score:g} count as texts in other languages."
    ),
    "min_language_scores": _scores,
    "no_language": lambda _: (
        "Texts without letters, names of files, addresses and HTML count as texts in other languages."
    ),
    "wrong_script": lambda _: "Texts in scripts that their language is not written in keep that language.",
    "witnesses": _witnesses,
    "metadata_of": lambda each: f"Texts of all languages were matched against the entries in {language(each).name}.",
    "merge_languages": lambda _: "Texts of all languages were matched against one list of all entries.",
    "threshold_per_language": lambda _: "All languages have the t of English.",
    "balance": lambda _: "Nothing was balanced: each image with a matching text that passed was kept.",
}


def is_balanced(facts: Mapping[str, Any]) -> bool:
    """Return whether a run thinned out the texts of frequent entries, given the content of run.json."""
    return facts["parameters"].get("balance", True)


def is_filtered(facts: Mapping[str, Any]) -> bool:
    """Return whether a run left out any images or texts besides those without an entry."""
    gate = facts.get("gate", {})
    return bool(
        facts["made_from"].get("exclusion") or facts.get("removals") or gate.get("conditions") or gate.get("texts")
    )


def sentences(facts: Mapping[str, Any]) -> list[str]:
    """Return a sentence for the metadata, for each option and for each removal, given the content of run.json."""
    return [*_of_metadata(facts), *_of_parameters(facts), *_of_gate(facts.get("gate", {})), *_of_removals(facts)]


def _of_metadata(facts: Mapping[str, Any]) -> Iterator[str]:
    about = facts.get("metadata", {})
    if about.get("starter"):
        yield escaped(starter(about))


def _of_parameters(facts: Mapping[str, Any]) -> Iterator[str]:
    given, usual = facts["parameters"], CurationConfig()
    for name, sentence in OF_PARAMETERS.items():
        default = getattr(usual, name)
        value = given.get(name, default)
        if value != ([*default] if isinstance(default, tuple) else default):  # JSON has lists
            yield sentence(value)
    if model := facts["made_from"].get("model"):
        yield f"The language of texts was identified by {code(model['name'])}."
    if facts["made_from"].get("exclusion"):
        dropped = sum(rows for reason, rows in facts["dropped"].items() if reason.startswith("excluded_"))
        yield f"Images that exclusion lists name were left out: {counted(dropped, 'pair')}."


def _of_gate(gate: Mapping[str, Any]) -> Iterator[str]:
    if captions := gate.get("captions"):
        table, without = code(captions["table"]["name"]), counted(captions["without"], "image")
        yield f"Images were balanced by the captions in {table}; {without} without one by texts."
    if hosts := gate.get("hosts"):
        agents = ", ".join(map(code, hosts["agents"]))
        yield f"What hosts state was read from {code(hosts['name'])}; their robots.txt for the agents {agents}."
    for key, thing in (("conditions", "image"), ("texts", "text")):
        yield from (_of_row(row, thing) for row in gate.get(key, []))
    if "decontaminate_within" in gate:
        bits = counted(gate["decontaminate_within"], "bit")
        yield f"An image is in an evaluation set if its pHash is within {bits} of that of one of its pictures."


def _of_row(row: Mapping[str, Any], thing: str) -> str:
    """Return the sentence for a condition, or for a rule of a policy: `removes` says of which images or texts it is."""
    gone = f"{number(row.get('removed'))} removed"
    if removes := row.get("removes"):
        return f"Removed were {removes} ({gone})."
    return f"Of {thing}s it was asked: {code(row['text'])} ({gone})."


def _of_removals(facts: Mapping[str, Any]) -> Iterator[str]:
    for removal in facts.get("removals", []):
        yield f"Exclusion lists removed {counted(removal['removed'], 'pair')} after sampling."
