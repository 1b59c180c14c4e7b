"""The parts of report.html that hold a run's numbers: tables, plots and lists, as markup."""

from __future__ import annotations

import numpy as np

from curation.balancing.thresholds import Distribution
from curation.report import charts
from curation.report.facts import Run
from curation.report.funnel import DROPPED, expected, funnel, name, warnings
from curation.report.markup import Markup, bar_row, bar_width, bars, foreign, markup, number, percent, tag

PLOTTED = 3  # languages with plots of their own, those with the most matches
LISTED = 12  # languages whose top entries are listed, those with the most matches
INPUTS = 20  # inputs that are named
NO_MATCH = tag("p", "No text has a match.")
UNREMARKABLE = (
    "None: no language has a low mean score, few matches or no entries, is kept whole, or hangs on a single entry."
)
CONTAINERS = ("files", "pages with images")


def score(value) -> str:
    """Return the mean score of a language, or a dash where the model was never asked."""
    return "–" if value is None else f"{value:.2f}"


# Heading, name in a language's row of run.json, how it is written, and what the reader may ask.
COLUMNS = (
    ("texts", "texts", number, "texts of images, duplicates on the same image left out"),
    ("by model", "identified", number, "texts whose language the model told; the input told that of the others"),
    ("mean score", "mean_score", score, "of the model; low ones tell of junk such as file names"),
    ("matched", "matched", number, "texts that hold at least one entry"),
    ("share", "matched_share", percent, "of texts that are matched"),
    ("entries", "entries", number, "in the metadata"),
    ("seen", "entries_seen", number, "entries that are in at least one text"),
    ("matches", "matches", number, "pairs of a text and an entry in it"),
    ("t", "t", number, "the threshold: texts that an entry is good for"),
    ("tail share", "tail_share", percent, "of matches that fall on entries counted less than t"),
    ("expected", "expected", number, "images kept, on average over seeds"),
    ("kept", "kept", number, "images kept"),
)
SUMMED = ("texts", "identified", "matched", "entries", "entries_seen", "matches", "expected", "kept")


def lead(facts: dict) -> Markup:
    """Return what was asked for, in one line."""
    given = facts["parameters"]
    if given["target_size"] is not None:
        wanted = f"target size {number(given['target_size'])} images"
    elif given["tail_share"] is not None:
        wanted = f"tail share {percent(given['tail_share'])}"
    else:
        wanted = f"English threshold {number(given['english_threshold'])}"
    files = "1 file" if facts["rows"]["files"] == 1 else f"{number(facts['rows']['files'])} files"
    return markup(f"{files} · {wanted} · rules {given['rules']} · seed {given['seed']}")


def tiles(facts: dict) -> Markup:
    """Return the few numbers that one looks for first."""
    rows = facts["rows"]
    seen = sum(row["texts"] > 0 for row in facts["languages"].values())
    shown = (
        ("images kept", number(rows["kept"]), f"{expected(facts)} expected"),
        _kept_share(rows),
        ("of texts match", percent(rows["matched_texts"], rows["texts"]), f"{number(rows['texts'])} texts read"),
        ("tail share p", percent(facts["tail_share"]), "the aim in every language"),
        (
            "language" if seen == 1 else "languages",
            number(seen),
            f"{sum(row['kept'] > 0 for row in facts['languages'].values())} with kept images",
        ),
    )
    return markup(
        *(tag("div", tag("b", value), tag("span", label), tag("small", more)) for label, value, more in shown)
    )


def _kept_share(rows: dict) -> tuple[str, str, str]:
    matched = f"{number(rows['matched'])} have a match"
    if "existing" in rows:
        there = f"{number(rows['existing'])} exist, {matched}"
        return "of existing images", percent(rows["kept"], rows["existing"]), there
    return "of matched images", percent(rows["kept"], rows["matched"]), matched


def notices(facts: dict) -> Markup:
    """Return the warnings, or that there is none, and the notes of the run."""
    warned = [tag("p", warning, class_="warning") for warning in warnings(facts)] or [tag("p", UNREMARKABLE)]
    return markup(*warned, *(tag("p", note, class_="note") for note in facts["notes"]))


def funnel_table(facts: dict) -> Markup:
    """Return the steps, with a bar each from the pairs on: files and pages are no whole that these are part of."""
    steps = funnel(facts)
    most = max(step.value for step in steps if step.label not in CONTAINERS)
    return bars(
        [bar_row(step.label, step.value, _remark(step), None if step.label in CONTAINERS else most) for step in steps]
    )


def _remark(step) -> str:
    return ": ".join(part for part in (step.remark, step.meaning) if part)


def dropped_table(facts: dict) -> Markup:
    """Return what was dropped, by reason."""
    reasons = {reason: value for reason, value in facts["dropped"].items() if value}
    if not reasons:
        return tag("p", "Nothing was dropped.")
    most = max(reasons.values())
    return bars([bar_row(tag("code", reason), n, DROPPED.get(reason, ""), most) for reason, n in reasons.items()])


def language_table(facts: dict) -> Markup:
    """Return one row per language, with the sums below."""
    rows = {
        code: row | {"matched_share": _quotient(row["matched"], row["texts"])}
        for code, row in facts["languages"].items()
    }
    sums = {own: sum(row[own] for row in rows.values()) for own in SUMMED}
    sums["matched_share"] = _quotient(sums["matched"], sums["texts"])
    heads = [_head("language", None), *(_head(label, hint) for label, _, _, hint in COLUMNS)]
    body = [tag("tr", _language_head(code), *_figures(row)) for code, row in rows.items()]
    foot = tag("tr", tag("th", "all", scope="row"), *_figures(sums))
    parts = tag("thead", tag("tr", *heads)), tag("tbody", *body), tag("tfoot", foot)
    return tag("table", *parts, id="languages", class_="figures")


def column_legend() -> Markup:
    """Return what the columns of that table hold, for those who cannot point at a heading."""
    return tag("dl", *(tag("div", tag("dt", label), tag("dd", hint)) for label, _, _, hint in COLUMNS))


def threshold_plot(facts: dict) -> Markup:
    """Return t of each language with matches as a plot."""
    rows = [(code, row["matches"], row["t"]) for code, row in facts["languages"].items() if row["matches"]]
    if not rows:
        return NO_MATCH
    return charts.thresholds(sorted(rows, key=lambda row: -row[1]))


def plots(run: Run) -> Markup:
    """Return the distributions of the languages with the most matches."""
    of = {code: Distribution.of(run.counts.values[ids]) for code, ids in run.entries.languages.items()}
    largest = sorted((code for code in of if of[code].total), key=lambda code: -of[code].total)[:PLOTTED]
    return markup(*(_plots_of(code, of[code], run.thresholds.of_language[code]) for code in largest)) or NO_MATCH


def _plots_of(code: str, distribution: Distribution, t: int) -> Markup:
    seen = f"{number(len(distribution.ascending))} entries seen, {number(distribution.total)} matches"
    share = f"tail share {percent(distribution.tail_share(t))}"
    drawn = (charts.counts_by_rank(distribution.ascending, t), charts.cumulative_mass(distribution.ascending, t))
    title = tag("h3", name(code), tag("small", f" {seen}, {share}"))
    return markup(title, tag("div", *(tag("figure", chart) for chart in drawn), class_="pair"))


def top_entries(facts: dict, rates) -> Markup:
    """Return the most frequent entries of the languages with the most matches, with count and rate."""
    matched = [(code, row) for code, row in facts["languages"].items() if row["top"]]
    largest = sorted(matched, key=lambda item: -item[1]["matches"])[:LISTED]
    lists = (tag("section", tag("h3", name(code)), _top_list(row["top"], rates)) for code, row in largest)
    return markup(*lists) or NO_MATCH


def _top_list(top: list[dict], rates) -> Markup:
    most = top[0]["count"]
    items = [
        tag(
            "li",
            foreign(each["entry"]),
            tag("span", number(each["count"])),
            tag("small", f"{float(rates[each['id']]):.3g}"),
            style=bar_width(each["count"], most),
        )
        for each in top
    ]
    return tag("ol", *items)


def balance(run: Run, rates) -> Markup:
    """Return how many texts head and tail are good for in this run, beside the images kept."""
    tail, head = np.zeros(2), np.zeros(2)  # entries seen, texts that they are good for
    for code, ids in run.entries.languages.items():
        counts = run.counts.values[ids]
        good_for, in_tail = counts * np.asarray(rates[ids], np.float64), counts < run.thresholds.of_language[code]
        tail += ((counts[in_tail] > 0).sum(), good_for[in_tail].sum())
        head += ((~in_tail).sum(), good_for[~in_tail].sum())
    total, images = head[1] + tail[1], run.curated["expected"]
    times = f"{total / images:.1f} times the images expected: " if images else ""
    rows = [
        ("head", head[1], f"{number(head[0])} entries in t texts or more, each good for t of them"),
        ("tail", tail[1], f"{number(tail[0])} rarer entries seen, each good for all its texts"),
        ("head + tail", total, f"{times}a text counts here for each of its entries"),
        ("expected", images, "images, each kept once, with one text"),
    ]
    return bars([bar_row(*row, most=max(total, images)) for row in rows])


def parameters(facts: dict) -> Markup:
    """Return with which numbers, inputs and programs the run was made."""
    told = {"inputs", *facts["parameters"]}
    made_from = {key: value for key, value in facts["made_from"].items() if key not in told}
    if facts["downloads"]:
        made_from["downloads"] = ", ".join(facts["downloads"]["folders"])
    inputs = facts["made_from"].get("inputs", [])
    more = len(inputs) - INPUTS
    paths = [tag("li", foreign(each["path"], "code"), f" {number(each['size'])} bytes") for each in inputs[:INPUTS]]
    return markup(
        tag("dl", *_definitions(facts["parameters"])),
        tag("h3", "Read"),
        tag("dl", *_definitions(made_from)),
        tag("ul", *paths, tag("li", f"and {number(more)} more, listed in run.json") if more > 0 else None),
        tag("h3", "Versions"),
        tag("dl", *_definitions(facts["versions"])),
    )


def _definitions(named: dict) -> list[Markup]:
    return [
        tag("div", tag("dt", key.replace("_", " ")), tag("dd", foreign(_plain(value)))) for key, value in named.items()
    ]


def _plain(value) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(each)}" for key, each in value.items())
    return "–" if value is None else str(value)


def _quotient(part, whole):
    return part / whole if whole else None


def _head(label: str, hint: str | None) -> Markup:
    return tag("th", tag("button", label, type="button"), title=hint, scope="col")


def _language_head(code: str) -> Markup:
    return tag("th", name(code), " ", tag("code", code), scope="row")


def _figures(row: dict) -> list[Markup]:
    """Return a cell for each of COLUMNS, with the number that the page sorts by; empty where there is none."""
    cells = ((row.get(own), written) for _, own, written, _ in COLUMNS)
    return [tag("td", "" if value is None else written(value), data_value=value) for value, written in cells]
