"""Texts whose language is undetermined, by reason: they belong to `other`, whatever their label says."""

from __future__ import annotations

from typing import Any

from curation.report.bars import Bar

MEANINGS = {
    "file_name": "the text is the name of a file",
    "address": "the text is an address of the web or of a mailbox",
    "html": "the text holds HTML",
    "no_letters": "the text holds no letter",
    "script": "all letters are of scripts in which the language of the label is not written",
    "score": "the model gives the label a lower score than is asked for",
}


def undetermined_bars(facts: dict[str, Any]) -> list[Bar]:
    """Return a bar for each reason that occurred, given the content of run.json."""
    reasons = facts["undetermined"]
    longest = max(reasons.values(), default=0)
    return [Bar.of(reason, value, MEANINGS[reason], longest) for reason, value in reasons.items()]
