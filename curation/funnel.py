"""What a run read, dropped and kept, step by step and in words: what console and page have in common."""

from __future__ import annotations

from dataclasses import dataclass

from curation.markup import number, percent

# Label, name in the rows of run.json, and of which other of these rows the share is told.
STEPS = (
    ("files", "files", None),
    ("pages with images", "pages", None),
    ("pairs", "pairs", None),
    ("images", "images", None),
    ("texts", "texts", None),
    ("identified texts", "identified", "texts"),
    ("matched texts", "matched_texts", "texts"),
    ("matched images", "matched", "images"),
    ("kept images", "kept", "matched"),
)

_LABELS = {own: label for label, own, _ in STEPS}

DROPPED = {
    "bad_encoding": "pages in an encoding that cannot be decoded",
    "bad_file": "files that are not what their name says",
    "bad_http": "records whose HTTP answer cannot be read",
    "bad_json": "records or lines that are no JSON object",
    "bad_link": "links of a page that are no object",
    "bad_page_url": "pages whose own URL cannot be read",
    "bad_record": "records that are damaged or lack a part",
    "bad_row": "rows with too few or too many fields",
    "bad_text": "texts that are white space only, or no string",
    "bad_url": "texts of images whose URL cannot be read",
    "bad_utf8": "texts or URLs that are no Unicode",
    "corrupt_gzip": "gzip members that are damaged",
    "corrupt_zstd": "files whose zstd stream is damaged",
    "duplicate_text": "texts that the same image has already",
    "empty_text": "texts without any character",
    "empty_url": "texts of images without a URL",
    "no_text": "images without any text",
    "not_http": "texts of images that are not on http or https",
    "text_over_limit": "texts beyond the most that one image may have",
    "too_large": "records too large to be read",
    "truncated": "files or gzip members that end too early",
}


@dataclass(frozen=True)
class Step:
    """What is left at one boundary of the run."""

    label: str
    value: int
    remark: str


def funnel(facts: dict) -> list[Step]:
    """Return the steps from the files read to the images kept."""
    rows = facts["rows"]
    steps = [
        Step(label, rows[own], _share(rows, own, whole)) for label, own, whole in STEPS if rows[own] or own != "pages"
    ]
    kept = steps.pop()
    return [*steps, Step(kept.label, kept.value, f"{kept.remark}; {expected(facts)} expected")]


def expected(facts: dict) -> str:
    """Return the expected number of kept images and its standard deviation."""
    return f"{number(facts['expected']['kept'])} ± {number(facts['expected']['standard_deviation'])}"


def _share(rows: dict, own: str, whole: str | None) -> str:
    return f"{percent(rows[own], rows[whole])} of {_LABELS[whole]}" if whole else ""
