"""Why a row was kept, for a person: its text with the matched entries marked, and what each of them is worth."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

from curation.report.facts import Run
from curation.report.markup import Markup, foreign, markup, number, tag

SHOWN_ROWS = 24
SHOWN_CHARACTERS = 500  # of a text
SHOWN_ENTRIES = 12  # of a text, those with the highest rates


@dataclass(frozen=True)
class Match:
    """An entry in a text."""

    entry: str
    count: int
    rate: float
    t: int

    @property
    def kind(self) -> str:
        """The class by which the style sheet tells entries that keep every text from those that do not."""
        return "tail" if self.rate >= 1 else "head"


def samples_section(run: Run, rates, samples: list[dict]) -> Markup:
    """Return an article for each of some curated rows, or a sentence where there is none."""
    if not samples:
        return tag("p", "Nothing was kept.")
    return markup(*(_sample(row, _matches(row, run, rates)) for row in in_turns(samples)[:SHOWN_ROWS]))


def in_turns(samples: list[dict]) -> list[dict]:
    """Return the rows so that languages take turns, those with the most rows first: small ones are seen, too."""
    of_language = defaultdict(list)
    for row in samples:
        of_language[row["language"]].append(row)
    largest = sorted(of_language.values(), key=len, reverse=True)
    turns = ((turn, row) for rows in largest for turn, row in enumerate(rows))
    return [row for _, row in sorted(turns, key=lambda pair: pair[0])]


def _matches(row: dict, run: Run, rates) -> list[Match]:
    """Return the matches of a row, those that keep it first."""
    matches = []
    for id in row["entries"] or []:
        t = run.thresholds.of_language.get(run.entries.language(id), 1)
        matches.append(Match(run.entries.entry(id), int(run.counts.values[id]), float(rates[id]), t))
    return sorted(matches, key=lambda match: (-match.rate, match.count, match.entry))


def _sample(row: dict, matches: list[Match]) -> Markup:
    return tag(
        "article",
        tag("p", highlighted(row["text"], matches), class_="text", lang=row["language"].replace("_", "-"), dir="auto"),
        tag("p", _reason(row["probability"], matches), class_="reason"),
        tag("ul", *(_listed(match) for match in matches[:SHOWN_ENTRIES]), _rest(matches), class_="entries"),
        tag("p", *_origin(row), class_="origin"),
    )


def highlighted(text: str, matches: list[Match]) -> Markup:
    """Return the beginning of the text with the entries marked that stand in it literally, longer ones first."""
    shown = text[:SHOWN_CHARACTERS]
    taken: list[tuple[int, int, Match]] = []
    for match in sorted(matches, key=lambda match: -len(match.entry)):
        for begin, end in _occurrences(match.entry, shown):
            if all(end <= other or last <= begin for other, last, _ in taken):
                taken.append((begin, end, match))
    parts, place = [], 0
    for begin, end, match in sorted(taken, key=lambda span: span[0]):
        title = f"{match.entry}: {_worth(match)}"
        parts += [shown[place:begin], tag("mark", shown[begin:end], class_=match.kind, title=title)]
        place = end
    return markup(*parts, shown[place:], "…" if len(shown) < len(text) else None)


def _occurrences(entry: str, text: str) -> list[tuple[int, int]]:
    """Return where the entry stands in the text: as words or, where it nowhere does, inside of them."""
    plain = re.escape(entry)
    found = list(re.finditer(rf"(?<!\w){plain}(?!\w)", text)) or re.finditer(plain, text)
    return [match.span() for match in found]


def _worth(match: Match) -> str:
    return f"count {number(match.count)}, rate {match.rate:.3g}"


def _reason(probability: float, matches: list[Match]) -> Markup:
    """Return why a text was kept, in one sentence."""
    kept = markup("Kept with π = ", tag("b", f"{probability:.3g}"))
    if not matches:
        return markup(kept, ".")
    best = matches[0]
    quoted = markup("“", foreign(best.entry), "”")
    if best.kind == "tail":
        texts = "text" if best.count == 1 else "texts"
        why = f" is in {number(best.count)} {texts}, not more than t = {number(best.t)}, so it keeps every one."
        return markup(kept, ": ", quoted, why)
    if len(matches) == 1:
        return markup(kept, ": the rate of its one entry, ", quoted, ".")
    return markup(kept, f": {len(matches)} entries, each a chance; the best is ", quoted, ".")


def _listed(match: Match) -> Markup:
    return tag("li", foreign(match.entry, class_=match.kind), " ", tag("small", _worth(match)))


def _rest(matches: list[Match]) -> Markup | None:
    more = len(matches) - SHOWN_ENTRIES
    return tag("li", tag("small", f"and {more} more with lower rates")) if more > 0 else None


def _origin(row: dict) -> list:
    score = row["lid_score"]
    sure = "given by the input" if score is None else f"score {score:.2f}"
    language = tag("span", "language ", tag("code", row["language"]), f", {sure}")
    parts = [language, _address("uid", row["uid"]), _address("image", row["url"])]
    return [*parts, _address("page", row["page_url"]) if row["page_url"] else None]


def _address(name: str, value: str) -> Markup:
    """Return a URL or uid as text: nothing that came from a crawl is a link."""
    return tag("span", f"{name} ", foreign(value, "code"))
