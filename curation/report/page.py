"""Show a run to a person: write report.html, one file that needs no network, and the summary on the console.

The page shows sample rows of the manifest: each text with its entries marked, and the reason why the text was kept.
Other pages and drawings use the same templates through `environment`. Filters of `templates`, for Markdown and JSON,
escape text of users and data, so that it is shown as it is.
"""

import json
import re
from base64 import b64encode
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from itertools import chain, zip_longest
from os import PathLike
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from curation.report import charts
from curation.report import language_table as languages
from curation.report.facts import Run
from curation.report.warnings import Quoted, findings, without_tail
from metadata.languages import language, named
from runtime.redaction import redacted
from runtime.storage.paths import as_path, is_url
from runtime.storage.whole import write_text
from runtime.terminal import aligned, in_one_line
from runtime.wording import counted, decimal, number, percent

SHOWN_ROWS = 24
SHOWN_CHARACTERS = 500  # The page shows at most this many characters of a text.
CONSOLE_LANGUAGES = 7  # On the console, only so many languages have their own lines: the ones with the most texts.
# The console has a list of reasons for drops and one for undetermined languages. In each, the most frequent reasons,
# up to this number, have their own lines; one more line sums the rest.
CONSOLE_REASONS = 4
NOTE_WIDTH = 100
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")

Rows = Sequence[dict[str, Any]]


@cache
def environment(plugin: str | None = None) -> Environment:
    """Return the Jinja environment of pages and drawings, which escapes every value that a template shows.

    `plugin` is a package with a folder `templates` of its own, in which templates are looked for first.
    """
    jinja = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in filter(None, (plugin, "curation.report"))]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters.update(counted=counted, decimal=decimal, number=number, percent=percent, sha256=_sha256)
    jinja.filters.update(largest=languages.largest, named=named, removed_texts=languages.removed_texts, written=written)
    jinja.filters["language"] = lambda code: language(code).name
    jinja.tests["quoted"] = lambda part: isinstance(part, Quoted)
    jinja.globals["charts"] = charts  # Templates read sizes in pixels from this module.
    return jinja


def _sha256(text: str) -> str:
    """Return the SHA-256 of a script in base64, as a Content Security Policy states it."""
    return b64encode(sha256(text.encode()).digest()).decode()


def written(value: Any) -> str:
    """Return the value of a parameter as text.

    >>> written({"rules": "meta", "seed": None, "witnesses": ["han", "page"]})
    'rules meta, seed –, witnesses han page'
    """
    if value and isinstance(value, dict):
        return ", ".join(f"{key} {written(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return " ".join(map(written, value)) or "–"
    return "–" if value in (None, {}) else str(value)


def write_report(path: str | PathLike[str], run: Run, rates: np.ndarray, rows: Rows) -> str:
    """Write the report of a run to `path`; return the checksum of the file.

    `rates` has the rate of each entry, by id; `rows` have the schema CURATED, and some of them are shown.
    """
    return write_text(as_path(path), render(run, rates, rows))


def render(run: Run, rates: np.ndarray, rows: Rows) -> str:
    """Return the HTML of the report; the arguments are the same as for `write_report`."""
    facts = run.run_json
    template = environment().get_template("report.html")
    return template.render(
        facts=facts,
        findings=findings(facts),
        aim=aim(facts),
        funnel=charts.funnel(facts),
        expected=charts.expected(facts),
        dropped=charts.reasons(facts["dropped"], charts.DROPPED),
        undetermined=charts.reasons(facts["undetermined"], charts.UNDETERMINED),
        columns=languages.COLUMNS,
        doubts=languages.DOUBTS,
        sums=languages.sums,
        thresholds=charts.thresholds(facts["languages"]),
        curve=charts.sizes(facts),
        distributions=charts.distributions(run),
        head_and_tail=charts.head_and_tail(run, rates),
        kept_counts=run.kept_counts.values,
        samples=samples_of(rows, run, rates),
        sections=[observed.section for observed in run.observed.values() if observed.section],
    )


def aim(facts: dict[str, Any]) -> str:
    """Return, as a phrase, in which languages a run aimed at its tail share, and how many have no tail.

    `facts` is the content of run.json.
    """
    if not facts["parameters"]["balance"]:
        return "every match is kept"
    matched = [row for row in facts["languages"].values() if row["matches"]]
    without = without_tail(facts["languages"])
    if facts["tail_share"] and without:
        return f"the aim; {number(len(without))} of {counted(len(matched), 'language')} have no tail (t = 1)"
    return "the aim in every language"


def in_notebook(path: Path, facts: dict[str, Any], warnings_alone: bool = False) -> str:
    """Return HTML for a notebook: a link to the report of the run in folder `path`, and its funnel.

    With `warnings_alone`, the HTML has warnings in place of the funnel. `facts` is the content of run.json. The link is
    relative to the working directory, as notebooks need it; a report outside this directory gets no link.
    """
    report = path / "report.html"
    is_here = not is_url(path) and path.resolve().is_relative_to(Path.cwd())
    template = environment().get_template("notebook.html")
    return template.render(
        funnel=[] if warnings_alone else charts.funnel(facts),
        warnings=facts["warnings"] if warnings_alone else [],
        report=redacted(str(report)),
        link=report.resolve().relative_to(Path.cwd()).as_posix() if is_here else None,
    )


@dataclass(frozen=True)
class Match:
    """An entry in a text, with its count, its rate and the threshold of its language."""

    entry: str
    count: int
    rate: float
    t: int

    @property
    def kind(self) -> str:
        """`tail` if the entry keeps all of its texts, else `head`; a class in the style sheet."""
        return "tail" if self.rate >= 1 else "head"


Piece = tuple[str, Match | None]  # a piece of a text, and the entry that is marked there, or None
Sample = tuple[dict[str, Any], list[Piece], list[Match]]  # a row, the pieces of its text, and the entries in the text


def samples_of(rows: Sequence[dict[str, Any]], run: Run, rates: np.ndarray) -> list[Sample]:
    """Return at most SHOWN_ROWS samples of rows with the schema CURATED, languages in turns; `rates` are by id."""
    shown = [(row, _matches(row, run, rates)) for row in in_turns(rows)[:SHOWN_ROWS]]
    return [(row, marked(row["text"], matches), matches) for row, matches in shown]


def in_turns(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all rows, reordered so that languages take turns and the first rows are of as many languages as possible.

    Languages are sorted by number of rows, largest first.
    """
    of_language = defaultdict(list)
    for row in rows:
        of_language[row["language"]].append(row)
    largest = sorted(of_language.values(), key=len, reverse=True)
    in_turn = chain.from_iterable(zip_longest(*largest))
    return [row for row in in_turn if row is not None]


def _matches(row: dict[str, Any], run: Run, rates: np.ndarray) -> list[Match]:
    """Return the entries in the text of a row, sorted by rate, highest first, then by count."""
    matches = []
    for id in row["entries"] or []:
        t = run.thresholds.of_language.get(run.entries.language(id), 1)
        matches.append(Match(run.entries.entry(id), int(run.counts.values[id]), float(rates[id]), t))
    return sorted(matches, key=lambda match: (-match.rate, match.count, match.entry))


def marked(text: str, matches: list[Match]) -> list[Piece]:
    """Return the first SHOWN_CHARACTERS of a text in pieces; pieces that equal an entry have its `Match`.

    Of overlapping entries the longest is marked.
    """
    shown = text[:SHOWN_CHARACTERS]
    spans: list[tuple[int, int, Match]] = []
    for match in sorted(matches, key=lambda match: -len(match.entry)):
        for begin, end in _occurrences(match.entry, shown):
            if all(end <= first or last <= begin for first, last, _ in spans):
                spans.append((begin, end, match))
    pieces: list[Piece] = []
    position = 0
    for begin, end, match in sorted(spans, key=lambda span: span[0]):
        pieces += [(shown[position:begin], None), (shown[begin:end], match)]
        position = end
    rest = shown[position:] + "…" * (len(text) > SHOWN_CHARACTERS)
    return [piece for piece in [*pieces, (rest, None)] if piece[0]]


def _occurrences(entry: str, text: str) -> list[tuple[int, int]]:
    """Return (begin, end) of each occurrence of the entry in the text: as whole words if possible, else in words."""
    plain = re.escape(entry)
    matches = list(re.finditer(rf"(?<!\w){plain}(?!\w)", text)) or re.finditer(plain, text)
    return [match.span() for match in matches]


def summary(facts: dict[str, Any]) -> str:
    """Return the text that the console shows at the end of a run, given the content of run.json."""
    notes = (wrap(note, NOTE_WIDTH, break_on_hyphens=False) for note in facts["notes"])
    blocks = [
        aligned([(step.label, number(step.value), step.remark) for step in charts.funnel(facts)], left=(0, 2)),
        *(aligned(_reasons(title, facts[title])) for title in ("dropped", "undetermined")),
        aligned(_language_lines(facts)),
        _choices(facts),
        [f"warning: {in_one_line(warning)}" for warning in facts["warnings"]],
        [*chain.from_iterable(notes)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _choices(facts: dict[str, Any]) -> list[str]:
    """Return lines with flags that keep fewer images; no lines if run.json suggests none."""
    choices = facts.get("sizes", {}).get("choices", [])
    if not choices:
        return []
    rows = facts["rows"]
    images = rows.get("gated", rows["matched"])
    kept = f"Balancing kept {percent(rows['kept'], images)} of the images. These flags keep fewer:"
    flags = [
        (f"--english-threshold {choice['t']}", f"{number(choice['images'])} images", percent(choice["images"], images))
        for choice in choices
    ]
    return [kept, *aligned(flags)]


def _reasons(title: str, counts: dict[str, int]) -> list[tuple[str, ...]]:
    rows = [(reason, value) for reason, value in counts.items() if value]
    if rest := rows[CONSOLE_REASONS:]:
        rows[CONSOLE_REASONS:] = [(f"{len(rest)} more", sum(value for _, value in rest))]
    return [(title, ""), *((f"  {reason}", number(value)) for reason, value in rows)] if rows else []


def _language_lines(facts: dict[str, Any]) -> list[tuple[str, ...]]:
    seen = [(named(code), row) for code, row in facts["languages"].items() if row["texts"]]
    if rest := [row for _, row in seen[CONSOLE_LANGUAGES:]]:
        seen[CONSOLE_LANGUAGES:] = [(f"{len(rest)} more", languages.sums(rest))]
    columns = languages.CONSOLE
    lines = []
    for name, row in seen:
        lines.append((name, *(_cell(column, row) for column in columns.values())))
    return [("language", *columns), *lines] if lines else []


def _cell(column: languages.Column, row: dict[str, Any]) -> str:
    """Return the text of a column in the row of a language; empty if the row lacks the number."""
    return column.written(column.value(row)) if column.name in row else ""


@cache
def templates(package: str) -> Environment:
    """Return the Jinja environment of a package's folder `templates`; only its filters escape values."""
    jinja = Environment(
        loader=PackageLoader(package), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    # Strings are quoted as in JSON, even in YAML: otherwise Norwegian's `no` would be read as false.
    jinja.filters.update(json=as_json, number=number, percent=percent, escaped=escaped, code=code, block=block)
    return jinja


def as_json(value: Any) -> str:
    """Return a value as JSON that is also YAML: characters that YAML does not allow are escaped."""
    return _NOT_IN_YAML.sub(lambda match: f"\\u{ord(match.group()):04x}", json.dumps(value, ensure_ascii=False))


def escaped(text: str) -> str:
    """Return a text as one line, escaped for Markdown, because the name of a folder may look like a link."""
    return re.sub(r"[\\`*_\[\]<>&|~$]|#(?=#*$)", r"\\\g<0>", _line(text))


def code(text: str) -> str:
    """Return a text as inline code in Markdown, between more backticks in a row than it has."""
    line = _line(text) or " "
    fence = _fence(line, 1)
    space = " " if "`" in line else ""
    return f"{fence}{space}{line}{space}{fence}"


def block(text: str) -> str:
    """Return a text as a code block in Markdown, between lines of more backticks in a row than it has."""
    lines = "\n".join(map(in_one_line, text.strip().splitlines())).encode("utf-8", "backslashreplace").decode()
    fence = _fence(lines, 3)
    return f"{fence}\n{lines}\n{fence}"


def _fence(text: str, least: int) -> str:
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))


def _line(text: str) -> str:
    return in_one_line(" ".join(text.split())).encode("utf-8", "backslashreplace").decode()
