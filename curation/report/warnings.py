"""Warnings of a run: the faults that a person should check before using its result, with their remedies.

A warning states the number of rows that it concerns, the fault, and the remedy. The warnings that concern the most rows
come first, and only SHOWN_WARNINGS are shown. The page, the console and run.json show the same warnings.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from curation.config import ENGLISH
from curation.report.language_table import removed_texts
from metadata.languages import language
from runtime.packages import table_rows
from runtime.wording import counted, decimal, number, percent

SHOWN_WARNINGS = 7  # Nobody reads more than a screenful.
# A file that was dropped for one of these reasons was read in part.
DAMAGE_REASONS = ("bad_file", "corrupt_file", "corrupt_gzip", "truncated")
EXCLUDED_PREFIX = "excluded_"  # The reasons for pairs that a list names begin with this.
UNMATCHED_LIST = (
    "Check that the lists are about these images, with URLs as the manifest writes them (http or https, with or "
    "without www)."
)
LOW_MATCHED_SHARE = 0.2  # Fewer matched texts are a sign of unfit metadata; half of English texts match.
MAX_DOUBTFUL_SHARE = 0.3  # Usually, fewer of the kept rows have a low score, and fewer are kept only for numbers.
MAX_FOREIGN_SHARE = 0.1  # Usually, fewer texts are in scripts in which the language is not written.
MAX_ENTRY_SHARE = 0.2  # It is implausible that more texts of a language have one entry; 4 % of English ones have "of".
MAX_GATE_SHARE = 0.1  # Usually, a gate removes fewer of a language's texts; the policy `recommended` loses 4 %.
MAX_SHARE_WITHOUT_TAIL = 0.5  # If more languages have no tail, p is out of reach for this pool.
MIN_JUDGED_ROWS = 20  # A language, or all languages of a warning, need so many texts or matches before they are judged.
NAMED_LABELS = 5  # A warning names so many labels of unknown languages.
NAMED_ITEMS = 6  # A warning names so many languages or inputs.

# The most frequent reason why no pair of tables was read → its likeliest cause.
CAUSES = {row["reason"]: row["cause"] for row in table_rows("curation.report", "reasons.csv") if row["cause"]}

Sentence = tuple[str, ...]  # the parts of a warning; parts from the crawl or the metadata are `Quoted`


class Quoted(str):
    """A part of a warning that comes from the crawl or the metadata; the page sets its writing direction apart."""


@dataclass(frozen=True)
class Finding:
    """A warning before it is ranked: the number of rows that it concerns, the fault, and the remedy."""

    rows: float
    matter: Sentence
    remedy: str = ""  # empty if `matter`, the fault, already says what to do

    @property
    def sentence(self) -> Sentence:
        """The parts of the warning: the fault and the remedy."""
        return (*self.matter, f" {self.remedy}") if self.remedy else self.matter


@dataclass(frozen=True)
class Doubt:
    """A fault that a language may have, and the wording of the warning that lists languages with this fault."""

    applies: Callable[[dict[str, Any]], bool]  # whether the language with this row of run.json has the fault
    rows: Callable[[dict[str, Any]], float]  # the number of the language's rows that the fault concerns
    details: Callable[[dict[str, Any]], Sentence]  # the words in brackets after the language
    matter: str
    remedy: str
    # whether the fault is looked for in a run with these parameters
    asks: Callable[[dict[str, Any]], bool] = lambda parameters: True


def warnings(facts: dict[str, Any]) -> list[Sentence]:
    """Return the warnings of a run that concern the most rows; `facts` is the content of run.json without warnings."""
    return [finding.sentence for finding in findings(facts)]


def findings(facts: dict[str, Any]) -> list[Finding]:
    """Return the findings from which `warnings` makes sentences, at most SHOWN_WARNINGS, most rows first."""
    checked = (_of_languages(facts["languages"], doubt) for doubt in DOUBTS if doubt.asks(facts["parameters"]))
    found = [
        *_of_run(facts),
        *_of_files(facts),
        *_of_rows(facts),
        *_of_lists(facts),
        *_of_tables(facts["gate"]),
        *_of_removals(facts),
        *_of_thresholds(facts),
        *filter(None, checked),
    ]
    return sorted(found, key=lambda finding: -finding.rows)[:SHOWN_WARNINGS]


def _listed(items: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yield the parts of all items, one after the other, with ", " between two items."""
    for position, item in enumerate(items):
        if position:
            yield ", "
        yield from item


def starter(about: dict[str, Any]) -> str:
    """Return the warning about starter metadata; `about` is the description in metadata.json."""
    packages = [f"{name} {version}" for name, version in about["versions"].items() if name != "icu"]
    return (
        f"The entries are starter metadata, frequent words from {' and '.join(packages) or 'lists'}: they lack most "
        "names, phrases and titles, and do not replace metadata that clip-metadata builds from Wikipedia dumps."
    )


def without_texts(records: float, dropped: Mapping[str, float]) -> str:
    """Return why inputs with `records` records have no pair of text and image URL; `dropped` has rows by reason.

    >>> without_texts(0, {})
    'the inputs hold no rows: pass inputs with URLs of images and texts'
    >>> without_texts(8, {"bad_row": 6, "not_http": 2})
    'none of 8 records has a text and the URL of an image (6 bad_row, 2 not_http): is another --dialect meant?'
    >>> without_texts(8, {"excluded_url": 8})
    'none of 8 records is left (8 excluded_url): the lists of --exclude name their images; leave out a list'
    """
    often = sorted(((rows, reason) for reason, rows in dropped.items() if rows), reverse=True)[:NAMED_ITEMS]
    reasons = ", ".join(f"{number(rows)} {reason}" for rows, reason in often)
    excluded = bool(often) and often[0][1].startswith(EXCLUDED_PREFIX)
    left = "is left" if excluded else "has a text and the URL of an image"
    of_records = f"none of {counted(records, 'record')} {left}"
    cause = CAUSES.get(often[0][1] if often else "", "pass inputs with URLs of images and texts")
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
    elif rows.get("gated") == 0:
        asked = ", ".join(f"{number(each['failed'])} {each['text']}" for each in facts["gate"]["conditions"])
        why = f"none of {counted(rows['matched'], 'matched image')} passes the gate (failed: {asked}); relax it"
    else:
        matched = number(rows["matched"])
        why = f"{matched} images have a match, but the draw kept none: is the threshold or target size too low?"
    return f"Nothing was kept: {why}"


def _why_unmatched(facts: dict[str, Any]) -> str:
    languages, parameters = facts["languages"], facts["parameters"]
    is_one_list = parameters.get("metadata_of") is not None or parameters.get("merge_languages")
    of_texts = {code: row["texts"] for code, row in languages.items() if row["texts"]}
    of_entries = [code for code, row in languages.items() if row["entries"]]
    if is_one_list or any(code in of_texts for code in of_entries):
        return "check that the entries are words and names that occur in such texts"
    texts = ", ".join(f"{language(code).name} ({number(rows)})" for code, rows in [*of_texts.items()][:NAMED_ITEMS])
    names = ", ".join(language(code).name for code in of_entries[:NAMED_ITEMS])
    return f"the texts are in {texts}, but the entries are in {names}"


def _of_run(facts: dict[str, Any]) -> Iterator[Finding]:
    rows = facts["rows"]
    if why := nothing_kept(facts):
        yield Finding(max(rows["records"], rows["pairs"]), (why,))
    if facts.get("metadata", {}).get("starter"):
        yield Finding(rows["texts"], (starter(facts["metadata"]),))
    if facts.get("least_size") is not None:
        asked = facts["parameters"]["target_size"]
        matter = (
            f"The target size {number(asked)} is below the smallest size that balancing gives, "
            f"{number(facts['least_size'])}: the English threshold cannot go below 1, where each entry still keeps "
            "about one text.",
        )
        remedy = (
            "For fewer images, draw them uniformly from the manifest, as docs/how-to/choosing-t.md shows, or give "
            "fewer inputs."
        )
        yield Finding(rows["kept"], matter, remedy)


def _of_files(facts: dict[str, Any]) -> Iterator[Finding]:
    """Yield warnings of files that were not read; a damaged file counts as a file with the usual number of texts."""
    usual = facts["rows"]["texts"] / max(1, facts["rows"]["files"])
    if damage := sum(facts["dropped"].get(reason, 0) for reason in DAMAGE_REASONS):
        worst = [(Quoted(path), f" ({number(bad)})") for path, bad in list(facts["damaged"].items())[:NAMED_ITEMS]]
        matter = (
            f"The input was not read completely: {number(damage)} files or parts of files are damaged, cut off or not "
            "of the kind that their name says. Everything that could be read was used.",
            *((" The files with most damage are ", *_listed(worst), ".") if worst else ()),
        )
        yield Finding(damage * usual, matter, "Replace them with intact copies, and run the same command again.")
    if kinds := facts["passed_over"].items():
        counts = ", ".join(counted(count, kind) for kind, count in kinds)
        matter = (f"Some inputs were not read, because they are not regular files or hold no pairs: {counts}.",)
        remedy = "Give the files that they stand for, or leave them out."
        yield Finding(usual * sum(facts["passed_over"].values()), matter, remedy)


def _of_rows(facts: dict[str, Any]) -> Iterator[Finding]:
    if unknown := facts.get("unknown_languages"):
        yield unknown_languages(unknown["rows"], unknown["labels"])
    if shared := facts.get("shared_uids"):
        matter = (
            f"The input gives {counted(shared['uids'], 'uid')} to several URLs, such as ",
            Quoted(shared["example"]),
            ". All rows with the same uid were treated as one image.",
        )
        remedy = "With --uid-column none, an image is identified by its URL instead."
        yield Finding(shared["uids"], matter, remedy)


def _of_lists(facts: dict[str, Any]) -> Iterator[Finding]:
    """Yield the warning that exclusion lists or evaluation sets name none of the rows that were read."""
    lists = [listed for listed in facts.get("exclusion_lists", []) if listed["values"]]
    excluding = [listed | {"option": "exclude"} for listed in lists]
    unmatched = [listed for listed in (*excluding, *facts["gate"].get("lists", [])) if not listed["found"]]
    if unmatched:
        named = (
            (f"--{listed['option'].replace('_', '-')} ", Quoted(listed["name"])) for listed in unmatched[:NAMED_ITEMS]
        )
        more = f" and {len(unmatched) - NAMED_ITEMS} more" if len(unmatched) > NAMED_ITEMS else ""
        matter = ("Some lists name nothing that was read: ", *_listed(named), f"{more}.")
        yield Finding(
            facts["rows"]["texts"], matter, f"{UNMATCHED_LIST} An evaluation set may really have no copy in the input."
        )


def unknown_languages(rows: int, labels: dict[str, int]) -> Finding:
    """Return the warning that `rows` rows state unknown languages; `labels` has rows by label, most frequent first."""
    matter = (
        f"{number(rows)} rows state an unknown language, and count as “other”. Their most frequent labels: ",
        *_listed((Quoted(label), f" ({number(times)})") for label, times in list(labels.items())[:NAMED_LABELS]),
        ".",
    )
    return Finding(
        rows, matter, "Known labels are BCP 47 tags such as en or zh-Hant, English names, and codes such as eng_Latn."
    )


def _of_tables(gate: dict[str, Any]) -> Iterator[Finding]:
    if differing := [table for table in gate.get("tables", []) if table.get("differing")]:
        named = (
            (Quoted(row["name"]), f" ({counted(row['differing'], 'image')}, such as ", Quoted(row["example"]), ")")
            for row in differing[:NAMED_ITEMS]
        )
        matter = (
            "Some tables have several rows with different values for the same image: ",
            *_listed(named),
            ". For each image, the row that meets the most conditions was used.",
        )
        images = sum(table["differing"] for table in differing)
        yield Finding(images, matter, "Check that each uid of these tables stands for one image.")
    if unmirrored := gate.get("unmirrored"):
        matter = (
            "Mirrored copies were not looked for, because these evaluation sets have no column phash_mirrored: ",
            *_listed((Quoted(name), f" ({number(pictures)})") for name, pictures in unmirrored.items()),
            ".",
        )
        pictures = sum(unmirrored.values())
        yield Finding(pictures, matter, "Hash these sets again with clip-hash --overwrite.")


def _of_removals(facts: dict[str, Any]) -> Iterator[Finding]:
    """Yield the warning that the gate removed a large share of the texts of some languages."""
    gate = facts["gate"]
    gone = {code: _removed(gate, code) for code in facts["languages"]}
    large = [
        (code, row)
        for code, row in facts["languages"].items()
        if row["matched"] >= MIN_JUDGED_ROWS and gone[code] >= MAX_GATE_SHARE * row["matched"]
    ]
    if not large:
        return
    large.sort(key=lambda item: -gone[item[0]])
    named = [_removal(gate, code, row["matched"], gone[code]) for code, row in large[:NAMED_ITEMS]]
    rows = facts["rows"]
    images = percent(rows["matched"] - rows.get("gated", rows["matched"]), rows["matched"])
    policy = f" (policy {' '.join(gate['policy'])})" if "policy" in gate else ""
    matter = (
        f"The gate{policy} removed {images} of the matched images, and a large share of the texts of some languages: ",
        *_listed(named),
        f"{_more(large)}.",
    )
    remedy = (
        "Read the texts that each rule removed (the report shows them with --keep-removed), and leave out a rule that "
        "removes texts that you want to keep."
    )
    yield Finding(sum(gone[code] for code, _ in large), matter, remedy)


def _removed(gate: dict[str, Any], code: str) -> int:
    return sum(texts for _, texts in removed_texts(gate, code))


def _removal(gate: dict[str, Any], code: str, matched: int, gone: int) -> Sentence:
    rule, texts = removed_texts(gate, code)[0]
    shares = f"{percent(gone, matched)} of {number(matched)} texts, {percent(texts, matched)} by "
    return f"{language(code).name} ({shares}", Quoted(rule), ")"


def _of_thresholds(facts: dict[str, Any]) -> Iterator[Finding]:
    """Yield the warning that most languages have no tail, although the run aims at the tail share p in each."""
    p = facts["tail_share"]
    matched = {code: row for code, row in facts["languages"].items() if row["matches"]}
    without = without_tail(matched)
    rows = sum(row["matched"] for _, row in without)
    if not p or not facts["parameters"].get("balance", True) or rows < MIN_JUDGED_ROWS:
        return
    if len(without) <= MAX_SHARE_WITHOUT_TAIL * len(matched):
        return
    named = [
        (f"{language(code).name} ({counted(row['matched'], 'matched text')})",) for code, row in without[:NAMED_ITEMS]
    ]
    verb = "has" if len(without) == 1 else "have"
    matter = (
        f"{len(without)} of {counted(len(matched), 'language')} {verb} no tail (t = 1), although the run aims at a "
        f"tail share of {percent(p)}: ",
        *_listed(named),
        f"{_more(without)}. In these languages t is as low as possible, so balancing removes as many texts as it can.",
    )
    remedy = (
        "Add inputs in these languages, raise --english-threshold, or give all languages the same threshold by "
        "--set threshold_per_language=same."
    )
    yield Finding(rows, matter, remedy)


def without_tail(languages: Mapping[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Return the languages other than English with matches, t = 1 and thus no tail; those with the most texts first.

    `languages` has rows of languages in run.json, by code.
    """
    without = [(code, row) for code, row in languages.items() if code != ENGLISH and row["matches"] and row["t"] == 1]
    return sorted(without, key=lambda item: -item[1]["matched"])


def _of_languages(languages: dict[str, dict[str, Any]], doubt: Doubt) -> Finding | None:
    """Return the warning that lists the languages with a fault, those with the most faulty rows first, or None.

    `languages` has the rows of languages in run.json, by code.
    """
    faulty = [(code, row) for code, row in languages.items() if doubt.applies(row)]
    rows = sum(doubt.rows(row) for _, row in faulty)
    if rows < MIN_JUDGED_ROWS:
        return None
    faulty.sort(key=lambda item: -doubt.rows(item[1]))
    named = [(f"{language(code).name} (", *doubt.details(row), ")") for code, row in faulty[:NAMED_ITEMS]]
    return Finding(rows, (f"{doubt.matter}: ", *_listed(named), f"{_more(faulty)}."), doubt.remedy)


def _more(languages: list[tuple[str, Any]]) -> str:
    return f" and {len(languages) - NAMED_ITEMS} more" if len(languages) > NAMED_ITEMS else ""


def _is_unbalanced(row: dict[str, Any]) -> bool:
    return row["matches"] >= MIN_JUDGED_ROWS and 1 < row["t"] >= row["top"][0]["count"]


def _implausible(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the entries that an implausible share of a language's texts contain, the most frequent first."""
    if row["texts"] < MIN_JUDGED_ROWS:
        return []
    return [top for top in row["top"] if top["count"] > MAX_ENTRY_SHARE * row["texts"]]


def _named_entries(row: dict[str, Any]) -> Sentence:
    entries = _implausible(row)
    named = (("“", Quoted(top["entry"]), f"” {percent(top['count'], row['texts'])}") for top in entries[:NAMED_LABELS])
    # The number of all such entries is unknown, because run.json lists only the most frequent ones.
    more = " and others" if len(entries) > NAMED_LABELS else ""
    return (f"{counted(row['texts'], 'text')}: ", *_listed(named), more)


DOUBTS = (
    Doubt(
        applies=_is_unbalanced,
        rows=lambda row: row["matched"],
        details=lambda row: (f"t = {number(row['t'])}",),
        matter="Some languages were not balanced, because none of their entries is in more than t texts",
        remedy="All their texts with a match were kept. A lower English threshold or target size balances more.",
        asks=lambda parameters: parameters.get("balance", True),
    ),
    Doubt(
        applies=lambda row: bool(_implausible(row)),
        rows=lambda row: _implausible(row)[0]["count"],
        details=_named_entries,
        matter="Some entries are in an implausible share of the texts",
        remedy="Read the sample rows with these entries. If they come from a website's template rather than from the "
        "language itself, limit what one site brings by --policy max_images_per_text:10 max_images_per_domain:1000.",
    ),
    Doubt(
        applies=lambda row: row["kept"] >= MIN_JUDGED_ROWS and row["kept_doubtful"] > MAX_DOUBTFUL_SHARE * row["kept"],
        rows=lambda row: row["kept_doubtful"],
        details=lambda row: (f"{percent(row['kept_doubtful'], row['kept'])} of {number(row['kept'])}",),
        matter="Many kept rows have a language score below 0.5",
        remedy="They may be in another language or, like file names, in no language. Read them under Doubtful rows in "
        "the report. With --min-language-score 0.5, such texts count as “other”.",
    ),
    Doubt(
        applies=lambda row: (
            row["kept"] >= MIN_JUDGED_ROWS and row["kept_without_letters"] > MAX_DOUBTFUL_SHARE * row["kept"]
        ),
        rows=lambda row: row["kept_without_letters"],
        details=lambda row: (f"{percent(row['kept_without_letters'], row['kept'])} of {number(row['kept'])}",),
        matter="Many rows are kept only for numbers or single letters",
        remedy="With --evidence letters, a text is kept only for an entry with two letters.",
    ),
    Doubt(
        applies=lambda row: row["texts"] >= MIN_JUDGED_ROWS and row["other_script"] > MAX_FOREIGN_SHARE * row["texts"],
        rows=lambda row: row["other_script"],
        details=lambda row: (f"{percent(row['other_script'], row['texts'])} of {counted(row['texts'], 'text')}",),
        matter="Some texts are in scripts in which their language is not written",
        remedy="Check the languages that the input states.",
    ),
    Doubt(
        applies=lambda row: (
            row["entries"] > 0 and row["texts"] >= MIN_JUDGED_ROWS and row["matched"] < LOW_MATCHED_SHARE * row["texts"]
        ),
        rows=lambda row: row["texts"] - row["matched"],
        details=lambda row: (f"{percent(row['matched'], row['texts'])} with {number(row['entries'])} entries",),
        matter="Few texts match",
        remedy="Give more entries of the kind that these texts contain: words and names as they occur in alt texts.",
    ),
    Doubt(
        applies=lambda row: row["texts"] > 0 and not row["entries"],
        rows=lambda row: row["texts"],
        details=lambda row: (f"{counted(row['texts'], 'text')}, mean score {decimal(row['mean_score'])}",),
        matter="Some languages have no entries, so all their texts are lost",
        remedy="If the score is high, most of these texts are in the language: build its entries with clip-metadata "
        "from its Wikipedia or a list of words (docs/start/new-language.md). If the score is low, most of them are in "
        "another language (docs/explanation/languages.md).",
        asks=lambda parameters: parameters.get("metadata_of") is None and not parameters.get("merge_languages"),
    ),
)
