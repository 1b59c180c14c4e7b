"""Compute the rows of the report's bar charts: rows left after each step, dropped rows by reason, head and tail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from curation.report.facts import Run
from curation.report.numbers import number, percent

DROPPED = {
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
    "excluded_hash": "texts of images whose hash is listed",
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
# Reasons why the language of a text is undetermined: it belongs to `other`, whatever its label says.
UNDETERMINED = {
    "file_name": "the text is the name of a file",
    "address": "the text is an address of the web or of a mailbox",
    "html": "the text holds HTML",
    "no_letters": "the text holds no letter",
    "script": "all letters are of scripts in which the language of the label is not written",
    "score": "the model gives the label a lower score than is asked for",
}
LABEL = 32  # characters of a condition in a label


@dataclass(frozen=True)
class Bar:
    """A row of a bar chart. The console shows the remark, and the page also the meaning."""

    label: str
    value: float
    remark: str = ""
    meaning: str = ""
    has_bar: bool = True


def funnel(facts: dict[str, Any]) -> list[Bar]:
    """Return the number of rows that are left after each step of a run, given the content of run.json."""
    rows = facts["rows"]
    matched, past, kept = rows["matched"], rows.get("gated"), rows["kept"]
    bars = [Bar("files", rows["files"], has_bar=False)]  # other steps are no parts of files or pages
    if rows["pages"]:
        bars.append(Bar("pages with images", rows["pages"], has_bar=False))
    bars += [
        Bar("pairs", rows["pairs"], "", "an image and one of its texts, as pages and tables give them"),
        Bar("images", rows["images"], "", "different image URLs"),
        Bar("texts", rows["texts"], "", "pairs, with repeated texts of the same image removed"),
        Bar("identified texts", rows["identified"], _of_texts(rows, "identified"), "their language is known"),
        Bar(
            "matched texts",
            rows["matched_texts"],
            _of_texts(rows, "matched_texts"),
            "they contain an entry of their language",
        ),
        Bar("matched images", matched, f"{percent(matched, rows['images'])} of images", "they have a matched text"),
        *_conditions(facts),
    ]
    share = f"{percent(kept, matched)} of matched images"
    if past is not None:
        share = f"{percent(kept, past)} of images past the gate"
    if past:
        passed = f"{percent(past, matched)} of matched images"
        bars.append(Bar("images past the gate", past, passed, "they meet all conditions"))
    return [*bars, Bar("kept images", kept, f"{share}; {expected(facts)}")]


def _of_texts(rows: dict[str, int], name: str) -> str:
    return f"{percent(rows[name], rows['texts'])} of texts"


def expected(facts: dict[str, Any]) -> str:
    """Return the number of kept images that is expected, and the standard deviation of that number."""
    kept, deviation = (number(facts["expected"][name]) for name in ("kept", "standard_deviation"))
    return f"{kept} expected (standard deviation {deviation})"


def _conditions(facts: dict[str, Any]) -> Iterator[Bar]:
    """Yield a step for each condition of the gate that images fail: those that it and the conditions before it left.

    The first one names the matched images that were not downloaded, by status.
    """
    left = facts["rows"]["matched"]
    downloads = facts["downloads"].get("images", {}).items()
    failures = ", ".join(f"{number(images)} {status}" for status, images in downloads if status != "success")
    for condition in facts["gate"].get("conditions", []):
        if condition["failed"]:
            left -= condition["removed"]
            remark = f"{number(condition['removed'])} removed, {number(condition['alone'])} by nothing else"
            text = condition["text"]
            label, meaning = (text, "") if len(text) <= LABEL else (f"{text[: LABEL - 1]}…", text)
            yield Bar(label, left, "; ".join(filter(None, (remark, failures))), meaning)
            failures = ""


def reasons(counts: dict[str, int], meanings: dict[str, str]) -> list[Bar]:
    """Return a bar for each reason that occurred."""
    return [Bar(reason, value, meanings.get(reason, "")) for reason, value in counts.items() if value]


def head_and_tail(run: Run, rates: np.ndarray) -> list[Bar]:
    """Return the expected texts that each entry keeps, summed over head and tail, beside the expected images."""
    tail, head = np.zeros(2), np.zeros(2)  # entries seen, texts kept for their sake
    for code, ids in run.entries.languages.items():
        counts = run.counts.values[ids]
        kept, in_tail = counts * np.asarray(rates[ids], np.float64), counts < run.thresholds.of_language[code]
        tail += ((counts[in_tail] > 0).sum(), kept[in_tail].sum())
        head += ((~in_tail).sum(), kept[~in_tail].sum())
    total, images = head[1] + tail[1], run.curated["expected"]
    times = f"{total / images:.1f} times the expected images: " if images else ""
    return [
        Bar("head", head[1], f"{number(head[0])} entries in t texts or more: about t texts for each"),
        Bar("tail", tail[1], f"{number(tail[0])} rarer entries seen: all their texts"),
        Bar("head + tail", total, f"{times}a text is counted once for each of its entries"),
        Bar("expected", images, "images, each counted once, with one text"),
    ]
