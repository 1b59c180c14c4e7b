"""Show a comparison to a person: as text on the terminal, and as a page in the style of a run's report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from curation.plugins.compare.comparing import BOTH, ONLY_ONE, ONLY_OTHER, OTHER_TEXT
from curation.plugins.compare.entry_changes import SIDES
from curation.report.charts import BOTTOM, LEFT, RIGHT, TOP, Bar, Chart, LogAxis, points
from curation.report.language_table import Column
from curation.report.page import environment
from metadata.languages import named
from runtime.packages import table_rows
from runtime.terminal import aligned
from runtime.wording import number, percent

Line = tuple[str, ...]
CONSOLE_LANGUAGES = 8  # So many languages have their own lines on the terminal.
CONSOLE_ENTRIES = 5  # So many entries that gained are listed on the terminal, and as many that lost.
CONSOLE_EXAMPLES = 3  # So many examples of each difference are shown on the terminal.
CONSOLE_CHARACTERS = 48  # A longer text or setting is cut on the terminal.
LEAST_RATIO = 0.01  # The axis of quotients begins here; smaller quotients are drawn at this end.
TITLES = {ONLY_ONE: "only in ONE", ONLY_OTHER: "only in OTHER", OTHER_TEXT: "in both, with different texts"}
PARTS = {"head": "head: t texts of ONE or more", "tail": "tail: fewer texts"}
COLUMNS = [
    Column(
        heading=row["heading"],
        name=row["name"],
        written=percent if row["format"] == "percent" else number,
        meaning=row["meaning"],
        is_summed=row["summed"] == "yes",
    )
    for row in table_rows(__package__, "columns.csv")
]


def comparison_text(facts: Mapping[str, Any]) -> str:
    """Return the lines that the command prints, given the content of compare.json."""
    blocks = [[*_sides(facts)], [*_overlap(facts)]]
    if "funnel" in facts:
        blocks += [
            _table(("step", *SIDES, "change"), [(row["step"], *_change(row)) for row in facts["funnel"]]),
            _settings(facts["settings"]),
            _languages(facts["languages"]),
            _head_and_tail(facts["head_and_tail"]),
            *(_entries(facts, name) for name in ("gained", "lost")),
        ]
    blocks += [_examples(facts, name, title) for name, title in TITLES.items()]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _sides(facts: Mapping[str, Any]) -> Iterator[str]:
    rows = []
    for name in SIDES:
        side = facts[name]
        rows.append((name.upper(), side["name"], "run" if side["kind"] == "run" else "manifest without a run"))
    yield from aligned(rows, left=(0, 1, 2))


def _overlap(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines with the numbers of images that both have, and that only one of them has."""
    images = facts["images"]
    rows: list[Line] = [("images", "", "of ONE", "of OTHER")]
    for name, label in ((BOTH, "in both"), (ONLY_ONE, TITLES[ONLY_ONE]), (ONLY_OTHER, TITLES[ONLY_OTHER])):
        shares = [percent(images[name], facts[side]["images"]) for side in SIDES]
        if name == ONLY_ONE:
            shares[1] = ""
        if name == ONLY_OTHER:
            shares[0] = ""
        rows.append((label, number(images[name]), *shares))
    yield from aligned(rows)
    yield from remarks(facts)


def remarks(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield sentences about rows that do not count, and about the images that both sides have."""
    images = facts["images"]
    for name in SIDES:
        side = facts[name]
        if side["repeated"]:
            yield f"Rows of {name.upper()} that repeat the image of an earlier row: {number(side['repeated'])}."
        if side["unnamed"]:
            yield f"Rows of {name.upper()} without a uid or URL, which are not compared: {number(side['unnamed'])}."
    if not images[BOTH]:
        yield "ONE and OTHER have no image in common."
    if images.get(OTHER_TEXT):
        yield f"Of the images in both, {number(images[OTHER_TEXT])} have different texts."
    again = facts["one"].get("by_chance")
    if again is not None:
        yield f"Another seed, and no other change, would keep about {percent(again)} of the images of ONE again."


def _table(head: Line, rows: Iterable[Line], left: tuple[int, ...] = (0,)) -> list[str]:
    """Return aligned lines of a heading and of rows; [] without rows."""
    lines = [*rows]
    return aligned([head, *lines], left=left) if lines else []


def _change(row: Mapping[str, Any]) -> Line:
    """Return the numbers of both sides as text, and the difference as a share of the number of ONE."""
    one = row["one"]
    other = row["other"]
    change = "" if None in (one, other) or not one else signed(other / one - 1)
    return number(one), number(other), change


def signed(change: float) -> str:
    """Return a relative change in percent, with its sign.

    >>> signed(0.5), signed(-0.031), signed(0)
    ('+50.0 %', '-3.1 %', '0.0 %')
    """
    return f"{'+' if change > 0 else '-' if change < 0 else ''}{percent(abs(change))}"


def _settings(settings: Iterable[Mapping[str, Any]]) -> list[str]:
    rows = [(row["setting"], _cut(row["one"]), _cut(row["other"])) for row in settings]
    return _table(("setting", *SIDES), rows, left=(0, 1, 2)) or ["All settings are the same."]


def _languages(languages: Mapping[str, Mapping[str, Any]]) -> list[str]:
    shown = (BOTH, ONLY_ONE, ONLY_OTHER, "kept_one", "kept_other", "t_one", "t_other")
    columns = [column for column in COLUMNS if column.name in shown]
    rows = []
    for code, row in [*languages.items()][:CONSOLE_LANGUAGES]:
        rows.append((named(code), *(column.written(column.value(row)) for column in columns)))
    rest = [*languages.values()][CONSOLE_LANGUAGES:]
    if rest:
        sums = sums_of(rest)
        cells = [column.written(sums[column.name]) if column.is_summed else "" for column in columns]
        rows.append((f"{len(rest)} more", *cells))
    return _table(("language", *(column.heading for column in columns)), rows)


def sums_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the sums of the columns that are summed over the rows of languages, by name."""
    every = [*rows]
    return {column.name: sum(row[column.name] or 0 for row in every) for column in COLUMNS if column.is_summed}


def _head_and_tail(parts: Mapping[str, Mapping[str, int]]) -> list[str]:
    head = ("entries of ONE", "", "texts one", "texts other", "kept one", "kept other", "change")
    rows = []
    for name, label in PARTS.items():
        part = parts[name]
        change = signed(part["kept_other"] / part["kept_one"] - 1) if part["kept_one"] else ""
        numbers = [part[key] for key in ("entries", "count_one", "count_other", "kept_one", "kept_other")]
        rows.append((label, *map(number, numbers), change))
    return _table(head, rows)


def _entries(facts: Mapping[str, Any], name: str) -> list[str]:
    head = (f"entries that {name} most", "language", "kept one", "kept other", "texts one", "texts other")
    rows = []
    for row in facts[name][:CONSOLE_ENTRIES]:
        numbers = (row["kept_one"], row["kept_other"], row["count_one"], row["count_other"])
        rows.append((_cut(row["entry"]), row["language"], *map(number, numbers)))
    return _table(head, rows, left=(0, 1))


def _examples(facts: Mapping[str, Any], name: str, title: str) -> list[str]:
    """Return a heading and lines with the texts and URLs of a few examples; [] if there are none."""
    lines = []
    for example in facts["examples"][name][:CONSOLE_EXAMPLES]:
        texts = [_cut(row.get("text") or "–") for row in example.values()]
        row = next(iter(example.values()))
        lines.append((" | ".join(texts), str(row.get("url") or row.get("uid"))))
    return [f"examples {title}", *(f"  {line}" for line in aligned(lines, left=(0, 1)))] if lines else []


def _cut(text: str) -> str:
    return text if len(text) <= CONSOLE_CHARACTERS else f"{text[: CONSOLE_CHARACTERS - 1]}…"


def comparison_page(facts: Mapping[str, Any]) -> str:
    """Return the HTML of the page compare.html, given the content of compare.json."""
    template = environment(__package__).get_template("compare.html")
    languages = facts.get("languages", {})
    return template.render(
        facts=facts,
        remarks=[*remarks(facts)],
        overlap=_bars(facts),
        columns=COLUMNS,
        sums=sums_of(languages.values()),
        chart=ratios(facts.get("by_frequency", [])),
        parts=PARTS,
        titles=TITLES,
        change=_change,
    )


def _bars(facts: Mapping[str, Any]) -> list[Bar]:
    images = facts["images"]
    one, other = (facts[side]["images"] for side in SIDES)
    both = f"{percent(images[BOTH], one)} of ONE, {percent(images[BOTH], other)} of OTHER"
    return [
        Bar("in both", images[BOTH], both),
        Bar(TITLES[ONLY_ONE], images[ONLY_ONE], f"{percent(images[ONLY_ONE], one)} of ONE"),
        Bar(TITLES[ONLY_OTHER], images[ONLY_OTHER], f"{percent(images[ONLY_OTHER], other)} of OTHER"),
    ]


def ratios(by_frequency: list[dict[str, int]]) -> Chart | None:
    """Return a chart of the texts of OTHER for each text of ONE, by how many texts of ONE contain an entry.

    It has a line for all texts and one for kept texts; None if there are no two points to connect.
    """
    lines = {}
    for line, column in (("before", "count"), ("after", "kept")):
        rows = [row for row in by_frequency if row[f"{column}_one"]]
        lines[line] = [(2**0.5 * row["texts"], row[f"{column}_other"] / row[f"{column}_one"]) for row in rows]
    if len(lines["before"]) < 2:
        return None
    drawn = {line: [(across, max(LEAST_RATIO, up)) for across, up in of_line] for line, of_line in lines.items()}
    values = [up for of_line in drawn.values() for _, up in of_line]
    x = LogAxis(LEFT, RIGHT, 2 * by_frequency[-1]["texts"])
    y = LogAxis(BOTTOM, TOP, max(2.0, *values), low=min(0.5, *values))
    same = float(y.positions(1))
    return Chart(
        "Texts of OTHER for each text of ONE, by how many texts of ONE contain the entry",
        *(x, y, "texts of ONE that contain the entry", "OTHER / ONE"),
        border=[(LEFT, same), (RIGHT, same)],
        lines={
            line: points(x, y, [across for across, _ in of_line], [up for _, up in of_line])
            for line, of_line in drawn.items()
            if of_line
        },
    )
