"""Rows that were dropped while reading, by reason, and an explanation of each reason."""

from __future__ import annotations

from typing import Any

from curation.report.bars import Bar

REASONS = {
    "bad_encoding": "pages in an encoding, or packed in a way, that cannot be undone",
    "bad_file": "files that are not of the kind that their name says",
    "bad_http": "records whose HTTP answer cannot be read",
    "bad_json": "records or lines that are not a JSON object",
    "bad_link": "links of a page that are not an object",
    "bad_page_url": "pages whose own URL cannot be read, or whose URL or base has over 4,096 characters",
    "bad_record": "records that are damaged or incomplete",
    "bad_row": "rows with too few or too many fields",
    "bad_text": "texts that are only white space, or not a string",
    "bad_url": "texts of images whose URL cannot be read",
    "bad_utf8": "texts or URLs that are not valid Unicode",
    "corrupt_file": "damaged files; what comes before the damage is used",
    "corrupt_gzip": "damaged gzip members",
    "duplicate_text": "texts that the same image already has",
    "empty_text": "texts without any character",
    "empty_url": "texts of images without a URL",
    "excluded_domain": "texts of images on an excluded domain",
    "excluded_page": "texts of images on pages of an excluded domain",
    "excluded_regex": "texts of images whose URL matches an excluded pattern",
    "excluded_uid": "texts of images excluded by uid",
    "excluded_url": "texts of images excluded by URL",
    "long_line": "lines that are too long to be read",
    "no_text": "images without any text",
    "not_http": "texts of images whose URL is not http or https",
    "text_over_limit": "texts beyond the largest number that one image may have",
    "too_large": "records that are too large to be read",
    "truncated": "files or gzip members that end too early",
}


def dropped(facts: dict[str, Any]) -> dict[str, int]:
    """Return the number of dropped rows of each reason that occurred, given the content of run.json."""
    return {reason: value for reason, value in facts["dropped"].items() if value}


def dropped_bars(facts: dict[str, Any]) -> list[Bar]:
    """Return the dropped rows as rows of a bar chart, whose labels are reasons."""
    reasons = dropped(facts)
    longest = max(reasons.values(), default=0)
    return [Bar.of(reason, value, REASONS.get(reason, ""), longest) for reason, value in reasons.items()]
