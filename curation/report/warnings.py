"""Warnings of a run: what a person should check before using its result.

Each is a sentence or two. The page, the console and run.json show the same ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from curation.config import DOUBTFUL_SCORE
from curation.report.numbers import number, percent
from curation.report.sentences import Quoted, Sentence, listed
from metadata.languages import OTHER, language

DAMAGE = ("bad_file", "corrupt_file", "corrupt_gzip", "truncated")  # reasons why an input was read in part only
LOW_SHARE = 0.2  # a lower share of matched texts is a sign of unfit metadata; half of English texts match
DOUBTFUL_SHARE = 0.3  # of the kept rows, those of a low score, or those that rest on numbers alone
FOREIGN_SHARE = 0.1  # of texts in scripts in which the language is not written
MOST = 0.5  # share of a language's matches that a single entry should not exceed
ENOUGH = 20  # texts or matches that a language needs before it is judged
LABELS = 5  # of languages that are not known, likewise
NAMED = 6  # languages or inputs that a warning names


@dataclass(frozen=True)
class Check:
    """A fault that a language may have, and the words around the languages that have it."""

    applies: Callable[[dict[str, Any]], bool]  # to a language's row of run.json
    details: Callable[[dict[str, Any]], tuple[str, ...]]
    before: str
    after: str
    of_other: bool = True  # whether `other`, which is no language, is checked, too
    asks: Callable[[dict[str, Any]], bool] = lambda parameters: True  # whether it is a fault in a run with these


def warnings(facts: dict[str, Any]) -> list[Sentence]:
    """Return the warnings of a run, given the other content of run.json."""
    of_inputs = (
        _empty(facts["rows"]),
        _damaged(facts),
        _passed_over(facts),
        _unknown_languages(facts),
        _shared_uids(facts),
        _differing_rows(facts["gate"]),
        _unmirrored(facts["gate"]),
    )
    of_languages = (_of_languages(facts["languages"], check) for check in CHECKS if check.asks(facts["parameters"]))
    return [warning for warning in (*of_inputs, *of_languages) if warning]


def _empty(rows: dict[str, int]) -> Sentence | None:
    if rows["kept"]:
        return None
    if not rows["texts"]:
        return Sentence(("Nothing was kept: the inputs hold no text of any image.",))
    if not rows["matched"]:
        return Sentence(
            ("Nothing was kept: no text contains an entry. Are the entries in the languages of the texts?",)
        )
    return Sentence(
        (f"Nothing was kept, although {number(rows['matched'])} images have a match: the thresholds are too low.",)
    )


def _damaged(facts: dict[str, Any]) -> Sentence | None:
    damage = sum(facts["dropped"].get(reason, 0) for reason in DAMAGE)
    if not damage:
        return None
    worst = [(Quoted(path), f" ({number(bad)})") for path, bad in list(facts["damaged"].items())[:NAMED]]
    return Sentence(
        (
            f"The input was not read completely: {number(damage)} files or parts of files are damaged, cut off or not "
            "of the kind that their name says. All that could be read was used.",
            *((" The most damaged: ", *listed(worst), ".") if worst else ()),
        )
    )


def _passed_over(facts: dict[str, Any]) -> Sentence | None:
    kinds = facts["passed_over"]
    if not kinds:
        return None
    counts = ", ".join(f"{number(count)} {kind}{'s' * (count > 1)}" for kind, count in kinds.items())
    return Sentence((f"Not read, because only regular files are inputs: {counts}.",))


def _unknown_languages(facts: dict[str, Any]) -> Sentence | None:
    unknown = facts.get("unknown_languages")
    if not unknown:
        return None
    return unknown_languages(unknown["rows"], unknown["labels"])


def unknown_languages(rows: int, labels: dict[str, int]) -> Sentence:
    """Return the warning about rows whose stated language is not known, given the most frequent labels."""
    named = [(Quoted(label), f" ({number(times)})") for label, times in list(labels.items())[:LABELS]]
    return Sentence(
        (
            f"{number(rows)} rows state a language that is not known, and count as “other”; the most frequent: ",
            *listed(named),
            ". Known are BCP 47 tags, English names, and the codes and labels of languages.csv.",
        )
    )


def _shared_uids(facts: dict[str, Any]) -> Sentence | None:
    shared = facts.get("shared_uids")
    if not shared:
        return None
    before = f"Uids of the input that are given to several URLs: {number(shared['uids'])}, such as "
    after = ". The images of one such uid became one; with --uid-column none an image is known by its URL."
    return Sentence((before, Quoted(shared["example"]), after))


def _differing_rows(gate: dict[str, Any]) -> Sentence | None:
    found = [table for table in gate.get("tables", []) if table.get("differing")]
    if not found:
        return None
    named = [
        (Quoted(table["name"]), f" ({number(table['differing'])} images, such as ", Quoted(table["example"]), ")")
        for table in found[:NAMED]
    ]
    before = "Tables have several rows of an image, with other values: "
    return Sentence(
        (before, *listed(named), ". The row that meets the most conditions counted; is each uid one image?")
    )


def _unmirrored(gate: dict[str, Any]) -> Sentence | None:
    named = [(Quoted(name), f" ({number(pictures)})") for name, pictures in gate.get("unmirrored", {}).items()]
    if not named:
        return None
    before = "Mirrored copies of pictures were not looked for, because evaluation sets have no phash_mirrored: "
    return Sentence((before, *listed(named), ". Hash these sets again by clip-hash, with --overwrite."))


def _of_languages(languages: dict[str, dict[str, Any]], check: Check) -> Sentence | None:
    """Return the warning about the languages to which a check applies; None if it applies to no language."""
    found = [
        (code, row) for code, row in languages.items() if check.applies(row) and (check.of_other or code != OTHER.code)
    ]
    if not found:
        return None
    named = [(f"{language(code).name} (", *check.details(row), ")") for code, row in found[:NAMED]]
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return Sentence((check.before, *listed(named), more + check.after))


def _is_unbalanced(row: dict[str, Any]) -> bool:
    return row["matches"] >= ENOUGH and row["top"][0]["count"] <= row["t"]


def _is_dominated(row: dict[str, Any]) -> bool:
    return row["matches"] >= ENOUGH and row["top"][0]["count"] > MOST * row["matches"]


def _is_doubtful(row: dict[str, Any]) -> bool:
    return row["identified"] >= ENOUGH and row["mean_score"] < DOUBTFUL_SCORE


def _is_hardly_matched(row: dict[str, Any]) -> bool:
    return row["entries"] > 0 and row["texts"] >= ENOUGH and row["matched"] < LOW_SHARE * row["texts"]


def _is_without_entries(row: dict[str, Any]) -> bool:
    return row["texts"] > 0 and not row["entries"]


def _is_kept_doubtfully(row: dict[str, Any]) -> bool:
    return row["kept"] >= ENOUGH and row["kept_doubtful"] > DOUBTFUL_SHARE * row["kept"]


def _is_kept_by_numbers(row: dict[str, Any]) -> bool:
    return row["kept"] >= ENOUGH and row["kept_without_letters"] > DOUBTFUL_SHARE * row["kept"]


def _is_in_other_scripts(row: dict[str, Any]) -> bool:
    return row["texts"] >= ENOUGH and row["other_script"] > FOREIGN_SHARE * row["texts"]


def _top_entry(row: dict[str, Any]) -> tuple[str, ...]:
    top, matches = row["top"][0], row["matches"]
    return Quoted(top["entry"]), f", {percent(top['count'], matches)} of {number(matches)} matches"


CHECKS = (
    Check(
        _is_unbalanced,
        lambda row: (f"t = {number(row['t'])}",),
        "Not balanced, because no entry is in more than t texts: ",
        ". All texts with a match were kept; a lower English threshold or target size balances more.",
        asks=lambda parameters: parameters.get("balance", True),
    ),
    Check(
        _is_dominated,
        _top_entry,
        "One entry has most of the matches: ",
        ". Is it a word of the language, or part of a website's template?",
    ),
    Check(
        _is_doubtful,
        lambda row: (f"{row['mean_score']:.2f} over {number(row['identified'])} texts",),
        "Low mean language score: ",
        ". Many of these texts may be in another language or, like file names, in none; "
        "with --min-language-score 0.5 the doubtful ones count as “other”.",
        of_other=False,
    ),
    Check(
        _is_kept_doubtfully,
        lambda row: (f"{percent(row['kept_doubtful'], row['kept'])} of {number(row['kept'])}",),
        "Many kept rows have a score below 0.5: ",
        ". The report shows ten of each language.",
    ),
    Check(
        _is_kept_by_numbers,
        lambda row: (f"{percent(row['kept_without_letters'], row['kept'])} of {number(row['kept'])}",),
        "Many rows are kept for numbers or single letters alone: ",
        ". --evidence letters asks for more.",
    ),
    Check(
        _is_in_other_scripts,
        lambda row: (f"{percent(row['other_script'], row['texts'])} of {number(row['texts'])} texts",),
        "Texts in scripts in which the language is not written: ",
        ". Is the language that the input states right?",
    ),
    Check(
        _is_hardly_matched,
        lambda row: (f"{percent(row['matched'], row['texts'])} with {number(row['entries'])} entries",),
        "Few texts match: ",
        ". The entries may be too few, or of another kind than the texts.",
    ),
    Check(
        _is_without_entries,
        lambda row: (f"{number(row['texts'])} texts",),
        "No entries: ",
        ". Texts in a language without entries are never kept.",
        asks=lambda parameters: parameters.get("metadata_of") is None and not parameters.get("merge_languages"),
    ),
)
