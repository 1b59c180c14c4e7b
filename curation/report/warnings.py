"""Warnings of a run, a sentence or two each: what a person should check before using its result.

The page, the console and run.json show the same warnings.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from curation.config import DOUBTFUL_SCORE
from metadata.languages import OTHER, language
from runtime.packages import table_rows
from runtime.wording import counted, decimal, number, percent

DAMAGE = ("bad_file", "corrupt_file", "corrupt_gzip", "truncated")  # reasons why only a part of an input was read
EXCLUDED = "excluded_"  # begins the reasons of pairs that a list names
LOW_SHARE = 0.2  # a lower share of matched texts is a sign of unfit metadata; half of English texts match
DOUBTFUL_SHARE = 0.3  # largest usual share of kept rows that have a low score, or are kept for numbers alone
FOREIGN_SHARE = 0.1  # largest usual share of texts in scripts in which the language is not written
MOST = 0.5  # share of a language's matches that a single entry should not exceed
ENOUGH = 20  # texts or matches that a language needs before it is judged
LABELS = 5  # labels of unknown languages that a warning names
NAMED = 6  # languages or inputs that a warning names

# The most frequent reason why nothing of tables was read → its likeliest cause.
CAUSES = {row["reason"]: row["cause"] for row in table_rows("curation.report", "reasons.csv") if row["cause"]}

Sentence = tuple[str, ...]  # the parts of a warning; parts from the crawl or the metadata are `Quoted`


class Quoted(str):
    """Text of the crawl or of the metadata within a warning; the page gives it a writing direction of its own."""


@dataclass(frozen=True)
class Doubt:
    """A fault that a language may have, and the wording of the warning that lists languages with this fault."""

    applies: Callable[[dict[str, Any]], bool]  # whether the language with this row of run.json has the fault
    details: Callable[[dict[str, Any]], tuple[str, ...]]  # what the warning says of the language, in brackets
    before: str
    after: str
    of_other: bool = True  # whether `other`, which is no language, is checked, too
    asks: Callable[[dict[str, Any]], bool] = lambda parameters: True  # whether a run with these parameters is checked


def warnings(facts: dict[str, Any]) -> list[Sentence]:
    """Return the warnings of a run; `facts` is the content of run.json without the warnings."""
    checked = (_of_languages(facts["languages"], check) for check in CHECKS if check.asks(facts["parameters"]))
    return [
        *_of_run(facts),
        *_of_files(facts),
        *_of_rows(facts),
        *_of_exclusion(facts),
        *_of_gate(facts["gate"]),
        *filter(None, checked),
    ]


def _listed(items: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yield the parts of each item in turn, with a comma and space between two items."""
    for place, item in enumerate(items):
        if place:
            yield ", "
        yield from item


def starter(about: dict[str, Any]) -> str:
    """Return the warning about starter metadata; `about` is what metadata.json says of the metadata."""
    packages = [f"{name} {version}" for name, version in about["versions"].items() if name != "icu"]
    return (
        f"The entries are starter metadata, frequent words from {' and '.join(packages) or 'lists'}: they lack most "
        "names, phrases and titles, and do not replace metadata that clip-metadata builds from Wikipedia dumps."
    )


def without_texts(records: int, dropped: Mapping[str, int]) -> str:
    """Return why inputs of `records` records give no text of an image; `dropped` has rows by reason.

    >>> without_texts(0, {})
    'the inputs hold no rows: give inputs with URLs of images and texts'
    >>> without_texts(8, {"bad_row": 6, "not_http": 2})
    'of 8 records none has a text and the URL of an image (6 bad_row, 2 not_http): is another --dialect meant?'
    """
    often = sorted(((rows, reason) for reason, rows in dropped.items() if rows), reverse=True)[:NAMED]
    reasons = ", ".join(f"{number(rows)} {reason}" for rows, reason in often)
    of_records = f"of {counted(records, 'record')} none has a text and the URL of an image"
    cause = CAUSES.get(often[0][1] if often else "", "give inputs with URLs of images and texts")
    return f"{of_records if records else 'the inputs hold no rows'}{f' ({reasons})' if reasons else ''}: {cause}"


def nothing_kept(facts: dict[str, Any]) -> str | None:
    """Return which step of a run left nothing, and the likeliest cause; None if the manifest has rows.

    `facts` is the content of run.json.
    """
    rows = facts["rows"]
    if rows["kept"]:
        return None
    if not rows["texts"]:
        why = without_texts(rows["records"], facts["dropped"])
    elif not rows["matched"]:
        why = f"none of {counted(rows['texts'], 'text')} contains an entry: {_why_unmatched(facts)}"
    else:
        matched = number(rows["matched"])
        why = f"{matched} images have a match, but the draw took none: is the threshold or target size too low?"
    return f"Nothing was kept: {why}"


def _why_unmatched(facts: dict[str, Any]) -> str:
    languages, parameters = facts["languages"], facts["parameters"]
    is_one_list = parameters.get("metadata_of") is not None or parameters.get("merge_languages")
    of_texts = {code: row["texts"] for code, row in languages.items() if row["texts"]}
    of_entries = [code for code, row in languages.items() if row["entries"]]
    if is_one_list or any(code in of_texts for code in of_entries):
        return "are the entries words and names, as such texts have them?"
    texts = ", ".join(f"{language(code).name} ({number(rows)})" for code, rows in [*of_texts.items()][:NAMED])
    names = ", ".join(language(code).name for code in of_entries[:NAMED])
    return f"the texts are in {texts}, and the entries are of {names}"


def _of_run(facts: dict[str, Any]) -> Iterator[Sentence]:
    if facts.get("metadata", {}).get("starter"):
        yield (starter(facts["metadata"]),)
    if why := nothing_kept(facts):
        yield (why,)
    if (least := facts.get("least_size")) is not None:
        asked = facts["parameters"]["target_size"]
        yield (
            f"The target size {number(asked)} is below the smallest size that balancing gives, {number(least)}: at "
            "t = 1, which was taken, each entry still keeps about one text. Take fewer by a uniform draw of the "
            "manifest, as docs/how-to/choosing-t.md shows, or give fewer inputs.",
        )


def _of_files(facts: dict[str, Any]) -> Iterator[Sentence]:
    if damage := sum(facts["dropped"].get(reason, 0) for reason in DAMAGE):
        worst = [(Quoted(path), f" ({number(bad)})") for path, bad in list(facts["damaged"].items())[:NAMED]]
        yield (
            f"The input was not read completely: {number(damage)} files or parts of files are damaged, cut off or not "
            "of the kind that their name says. All that could be read was used.",
            *((" The most damaged: ", *_listed(worst), ".") if worst else ()),
        )
    if kinds := facts["passed_over"].items():
        counts = ", ".join(counted(count, kind) for kind, count in kinds)
        yield (f"Not read, because they are no regular files or hold no pairs: {counts}.",)


def _of_rows(facts: dict[str, Any]) -> Iterator[Sentence]:
    if unknown := facts.get("unknown_languages"):
        yield unknown_languages(unknown["rows"], unknown["labels"])
    if shared := facts.get("shared_uids"):
        yield (
            f"Uids of the input that are given to several URLs: {number(shared['uids'])}, such as ",
            Quoted(shared["example"]),
            ". The images of one such uid became one; with --uid-column none an image is known by its URL.",
        )


def _of_exclusion(facts: dict[str, Any]) -> Iterator[Sentence]:
    if facts["made_from"].get("exclusion") and not any(name.startswith(EXCLUDED) for name in facts["dropped"]):
        yield ("The lists of --exclude name nothing that was read: no pair was removed. Are they of these images?",)


def unknown_languages(rows: int, labels: dict[str, int]) -> Sentence:
    """Return the warning that `rows` rows state unknown languages; `labels` has rows by label, most frequent first."""
    return (
        f"{number(rows)} rows state a language that is not known, and count as “other”; the most frequent: ",
        *_listed((Quoted(label), f" ({number(times)})") for label, times in list(labels.items())[:LABELS]),
        ". Known are BCP 47 tags, English names, and the codes and labels of languages.csv.",
    )


def _of_gate(gate: dict[str, Any]) -> Iterator[Sentence]:
    if differing := [table for table in gate.get("tables", []) if table.get("differing")]:
        named = (
            (Quoted(row["name"]), f" ({counted(row['differing'], 'image')}, such as ", Quoted(row["example"]), ")")
            for row in differing[:NAMED]
        )
        yield (
            "Tables have several rows of an image, with other values: ",
            *_listed(named),
            ". The row that meets the most conditions counted; is each uid one image?",
        )
    if unmirrored := gate.get("unmirrored"):
        yield (
            "Mirrored copies of pictures were not looked for, because evaluation sets have no phash_mirrored: ",
            *_listed((Quoted(name), f" ({number(pictures)})") for name, pictures in unmirrored.items()),
            ". Hash these sets again by clip-hash, with --overwrite.",
        )


def _of_languages(languages: dict[str, dict[str, Any]], check: Doubt) -> Sentence | None:
    """Return the warning that lists the languages with the fault `check`; None if no language has it.

    `languages` has the rows of languages in run.json, by code.
    """
    faulty = [
        (code, row) for code, row in languages.items() if check.applies(row) and (check.of_other or code != OTHER.code)
    ]
    if not faulty:
        return None
    named = [(f"{language(code).name} (", *check.details(row), ")") for code, row in faulty[:NAMED]]
    more = f" and {len(faulty) - NAMED} more" if len(faulty) > NAMED else ""
    return (check.before, *_listed(named), more + check.after)


def _top_entry(row: dict[str, Any]) -> tuple[str, ...]:
    top, matches = row["top"][0], row["matches"]
    return Quoted(top["entry"]), f", {percent(top['count'], matches)} of {number(matches)} matches"


CHECKS = (
    Doubt(
        lambda row: row["matches"] >= ENOUGH and row["top"][0]["count"] <= row["t"],
        lambda row: (f"t = {number(row['t'])}",),
        "Not balanced, because no entry is in more than t texts: ",
        ". All texts with a match were kept; a lower English threshold or target size balances more.",
        asks=lambda parameters: parameters.get("balance", True),
    ),
    Doubt(
        lambda row: row["matches"] >= ENOUGH and row["top"][0]["count"] > MOST * row["matches"],
        _top_entry,
        "One entry has most of the matches: ",
        ". Is it a word of the language, or part of a website's template?",
    ),
    Doubt(
        lambda row: row["identified"] >= ENOUGH and row["mean_score"] < DOUBTFUL_SCORE,
        lambda row: (f"{row['mean_score']:.2f} over {counted(row['identified'], 'text')}",),
        "Low mean language score: ",
        ". Many of these texts may be in another language or, like file names, in none; "
        "with --min-language-score 0.5 the doubtful ones count as “other”.",
        of_other=False,
    ),
    Doubt(
        lambda row: row["kept"] >= ENOUGH and row["kept_doubtful"] > DOUBTFUL_SHARE * row["kept"],
        lambda row: (f"{percent(row['kept_doubtful'], row['kept'])} of {number(row['kept'])}",),
        "Many kept rows have a score below 0.5: ",
        ". The report shows ten of each language.",
    ),
    Doubt(
        lambda row: row["kept"] >= ENOUGH and row["kept_without_letters"] > DOUBTFUL_SHARE * row["kept"],
        lambda row: (f"{percent(row['kept_without_letters'], row['kept'])} of {number(row['kept'])}",),
        "Many rows are kept for numbers or single letters alone: ",
        ". --evidence letters asks for more.",
    ),
    Doubt(
        lambda row: row["texts"] >= ENOUGH and row["other_script"] > FOREIGN_SHARE * row["texts"],
        lambda row: (f"{percent(row['other_script'], row['texts'])} of {counted(row['texts'], 'text')}",),
        "Texts in scripts in which the language is not written: ",
        ". Is the language that the input states right?",
    ),
    Doubt(
        lambda row: row["entries"] > 0 and row["texts"] >= ENOUGH and row["matched"] < LOW_SHARE * row["texts"],
        lambda row: (f"{percent(row['matched'], row['texts'])} with {number(row['entries'])} entries",),
        "Few texts match: ",
        ". The entries may be too few, or of another kind than the texts.",
    ),
    Doubt(
        lambda row: row["texts"] > 0 and not row["entries"],
        lambda row: (f"{counted(row['texts'], 'text')}, mean score {decimal(row['mean_score'])}",),
        "No entries, so all texts are lost: ",
        ". Where the score is high, most are in the language: clip-metadata makes its entries from its Wikipedia or a "
        "list of words (docs/start/new-language.md). Where it is low, most are in another language "
        "(docs/explanation/languages.md).",
        asks=lambda parameters: parameters.get("metadata_of") is None and not parameters.get("merge_languages"),
    ),
)
