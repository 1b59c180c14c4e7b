"""Head of the page: what was asked for, and the few numbers that a reader looks for first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from curation.report.funnel import expected
from curation.report.numbers import counted, number, percent


@dataclass(frozen=True)
class Tile:
    """A number in large type, what it counts, and a remark."""

    number: str
    label: str
    remark: str


def lead(facts: dict[str, Any]) -> str:
    """Return what was asked for, in one line."""
    given = facts["parameters"]
    if given["target_size"] is not None:
        wanted = f"target size {number(given['target_size'])} images"
    elif given["tail_share"] is not None:
        wanted = f"tail share {percent(given['tail_share'])}"
    elif not given.get("balance", True):
        wanted = "every match kept"
    else:
        wanted = f"English threshold {number(given['english_threshold'])}"
    files = counted(facts["rows"]["files"], "file")
    return " · ".join([files, wanted, *_ablations(given), f"rules {given['rules']}", f"seed {given['seed']}"])


def _ablations(given: dict[str, Any]) -> list[str]:
    asked = {
        f"every text against the entries of {given.get('metadata_of')}": given.get("metadata_of") is not None,
        "one list of all entries": given.get("merge_languages"),
        "the same threshold in every language": given.get("threshold_per_language") == "same",
    }
    return [words for words, is_asked in asked.items() if is_asked]


def tiles(facts: dict[str, Any]) -> list[Tile]:
    """Return the numbers that a reader looks for first."""
    rows, languages = facts["rows"], facts["languages"].values()
    seen = sum(row["texts"] > 0 for row in languages)
    kept = sum(row["kept"] > 0 for row in languages)
    return [
        Tile(number(rows["kept"]), "images kept", expected(facts)),
        _kept_share(rows),
        Tile(percent(rows["matched_texts"], rows["texts"]), "of texts match", f"{number(rows['texts'])} texts read"),
        Tile(percent(facts["tail_share"]), "tail share p", "the aim in every language"),
        Tile(number(seen), "language" if seen == 1 else "languages", f"{kept} with kept images"),
    ]


def _kept_share(rows: dict[str, int]) -> Tile:
    matched = f"{number(rows['matched'])} have a match"
    if "gated" in rows:
        remark = f"{number(rows['gated'])} pass the gate, {matched}"
        return Tile(percent(rows["kept"], rows["gated"]), "of images past the gate", remark)
    return Tile(percent(rows["kept"], rows["matched"]), "of matched images", matched)
