"""What a run read, dropped and kept, step by step and in words, and what in it calls for a second look.

Numbers in, words out: what console and page have in common. The page's tables and plots are in `sections`.
"""

from __future__ import annotations

from dataclasses import dataclass

from curation.report.markup import Markup, foreign, markup, number, percent
from metadata.languages import language

# Label, name in the rows of run.json, of which other of these rows (the first that is there) the share is told, and
# what is counted.
STEPS = (
    ("files", "files", (), ""),
    ("pages with images", "pages", (), ""),
    ("pairs", "pairs", (), "an image and a text of it, as pages and tables state them"),
    ("images", "images", (), "different image URLs"),
    ("texts", "texts", (), "what is left of the pairs once an image has each text once"),
    ("identified texts", "identified", ("texts",), "their language is known"),
    ("matched texts", "matched_texts", ("texts",), "they hold an entry of their language"),
    ("matched images", "matched", ("images",), "they have a matched text"),
    ("existing images", "existing", ("matched",), ""),
    ("kept images", "kept", ("existing", "matched"), ""),
)

SOMETIMES = ("pages", "existing")  # steps of some runs only

_LABELS = {own: label for label, own, *_ in STEPS}

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
    "corrupt_file": "files that are damaged; what comes before the damage is used",
    "corrupt_gzip": "gzip members that are damaged",
    "duplicate_text": "texts that the same image has already",
    "empty_text": "texts without any character",
    "empty_url": "texts of images without a URL",
    "excluded_domain": "texts of images on an excluded domain",
    "excluded_page": "texts of images on pages of an excluded domain",
    "excluded_regex": "texts of images whose URL matches an excluded pattern",
    "excluded_uid": "texts of images excluded by uid",
    "excluded_url": "texts of images excluded by URL",
    "long_line": "lines too long to be read",
    "no_text": "images without any text",
    "not_http": "texts of images that are not on http or https",
    "text_over_limit": "texts beyond the most that one image may have",
    "too_large": "records too large to be read",
    "truncated": "files or gzip members that end too early",
}

DAMAGE = ("bad_file", "corrupt_file", "corrupt_gzip", "truncated")  # what makes a crawl be read in part only
LOW_SCORE = 0.5  # a mean score below it tells of texts that are in no language
LOW_SHARE = 0.2  # a matched share below it tells of metadata that do not fit; half of English texts match
MOST = 0.5  # of a language's matches: where one entry holds more, it decides on the language
ENOUGH = 20  # texts or matches of a language from which on it may be warned of
NAMED = 6  # languages that a warning names


@dataclass(frozen=True)
class Step:
    """What is left at one boundary of the run."""

    label: str
    value: int
    remark: str
    meaning: str = ""


def funnel(facts: dict) -> list[Step]:
    """Return the steps from the files read to the images kept."""
    rows = facts["rows"]
    more = {"existing": _failures(facts), "kept": f"{expected(facts)} expected"}
    return [
        Step(label, rows[own], "; ".join(filter(None, (_share(rows, own, wholes), more.get(own)))), meaning)
        for label, own, wholes, meaning in STEPS
        if rows.get(own) or own not in SOMETIMES
    ]


def expected(facts: dict) -> str:
    """Return the expected number of kept images and its standard deviation."""
    return f"{number(facts['expected']['kept'])} ± {number(facts['expected']['standard_deviation'])}"


def name(code: str) -> str:
    """Return the English name of a language."""
    return language(code).name


def warnings(facts: dict) -> list[Markup]:
    """Return what a person should look at before using the result."""
    of_languages = (_of_languages(facts["languages"], *check) for check in CHECKS)
    return [warning for warning in (_empty(facts), _damaged(facts), *of_languages) if warning]


def _empty(facts: dict) -> Markup | None:
    rows = facts["rows"]
    if rows["kept"]:
        return None
    if not rows["texts"]:
        return markup("Nothing was kept, as the inputs hold no text of an image.")
    if not rows["matched"]:
        return markup("Nothing was kept, as no text holds an entry. Are the entries in the languages of the texts?")
    return markup(
        f"Nothing was kept of {number(rows['matched'])} matched images: the thresholds are too small for them."
    )


def _damaged(facts: dict) -> Markup | None:
    damage = sum(facts["dropped"].get(reason, 0) for reason in DAMAGE)
    if not damage:
        return None
    return markup(
        f"The input was not read whole: {number(damage)} of its files or their parts are damaged, cut off or not what "
        "their name says. What could be read was used.",
        _worst(facts),
    )


def _worst(facts: dict) -> Markup | None:
    """Return the inputs with the most damage, by path."""
    parts = [markup(foreign(path), f" ({number(bad)})") for path, bad in list(facts["damaged"].items())[:NAMED]]
    return markup(" The worst: ", *[part for each in parts for part in (", ", each)][1:], ".") if parts else None


def _is_unbalanced(row: dict) -> bool:
    return row["matches"] >= ENOUGH and row["top"][0]["count"] <= row["t"]


def _is_dominated(row: dict) -> bool:
    return row["matches"] >= ENOUGH and row["top"][0]["count"] > MOST * row["matches"]


def _is_doubtful(row: dict) -> bool:
    return row["identified"] >= ENOUGH and row["mean_score"] < LOW_SCORE


def _is_hardly_matched(row: dict) -> bool:
    return row["entries"] and row["texts"] >= ENOUGH and row["matched"] < LOW_SHARE * row["texts"]


def _is_without_entries(row: dict) -> bool:
    return row["texts"] and not row["entries"]


# Which languages are warned of, what is told of each, and what stands before and after.
CHECKS = (
    (
        _is_unbalanced,
        lambda row: f"t = {number(row['t'])}",
        "Kept everything, as no entry is in more than t texts: ",
        ". These are as unbalanced as the crawl; a smaller English threshold or target size balances more.",
    ),
    (
        _is_dominated,
        lambda row: markup(foreign(row["top"][0]["entry"]), f", {_share_of_top(row)} matches"),
        "One entry holds most matches: ",
        ". Is it a word of the language, or part of some site's template?",
    ),
    (
        _is_doubtful,
        lambda row: f"{row['mean_score']:.2f} over {number(row['identified'])} texts",
        "Low mean identification score: ",
        ". Many of these texts may be in another language or, as file names, in none; --min-language-score 0.5 sends "
        "the doubtful ones to “other”.",
    ),
    (
        _is_hardly_matched,
        lambda row: f"{percent(row['matched'], row['texts'])} with {number(row['entries'])} entries",
        "Few texts match: ",
        ". The entries may be too few, or of another kind than the texts.",
    ),
    (
        _is_without_entries,
        lambda row: f"{number(row['texts'])} texts",
        "No entries for ",
        ". Texts in a language without entries are never kept.",
    ),
)


def _of_languages(languages: dict, applies, told, before: str, after: str) -> Markup | None:
    """Return a warning of the languages to which a check applies, the first ones by name; None where there is none."""
    found = {code: row for code, row in languages.items() if applies(row)}
    parts = [markup(name(code), " (", told(row), ")") for code, row in list(found.items())[:NAMED]]
    separated = [part for each in parts for part in (", ", each)][1:]
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else None
    return markup(before, *separated, more, after) if found else None


def _share_of_top(row: dict) -> str:
    return f"{percent(row['top'][0]['count'], row['matches'])} of {number(row['matches'])}"


def _share(rows: dict, own: str, wholes: tuple[str, ...]) -> str:
    whole = next((each for each in wholes if each in rows), None)
    return f"{percent(rows[own], rows[whole])} of {_LABELS[whole]}" if whole else ""


def _failures(facts: dict) -> str:
    """Return how many matched images are not there, by status."""
    by_status = facts["downloads"].get("images", {})
    return ", ".join(f"{number(n)} {status}" for status, n in by_status.items() if status != "success")
