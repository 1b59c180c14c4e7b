"""Describe the result of a search: as text for a terminal, and as facts for programs."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.plugins.find.entry_lookup import other_spellings
from curation.plugins.find.figures import ALL, SearchFigures
from metadata.languages import named
from runtime.redaction import redacted
from runtime.terminal import aligned, in_one_line
from runtime.wording import counted, decimal, number, percent

SHOWN_TOGETHER = 12  # Each of the two lists of entries beside a sought one has at most so many.
LEAST_TOGETHER = 5  # An entry is only called typical if it is in so many texts with the sought one.
MAX_LETTERS = 120  # At most so many letters of an example are shown.
Example = dict[str, Any]


def facts_of(figures: SearchFigures) -> dict[str, Any]:
    """Return the result of a search as values for JSON."""
    facts: dict[str, Any] = {"asked": figures.search.described}
    if not figures.run.is_partial:
        facts["images"] = figures.images
    facts |= {"kept": figures.kept, "languages": _languages(figures)}
    if figures.missing:
        facts["missing"] = [*figures.missing]
    if figures.entries:
        facts["entries"] = [_entry_facts(figures, index) for index in range(len(figures.entries))]
        facts["other_spellings"] = other_spellings(figures.run, figures.search.entry)
    else:
        facts["examples"] = [*map(_shown_example, figures.examples[ALL])]
    return facts


def _languages(figures: SearchFigures) -> dict[str, dict[str, int]]:
    """Return the numbers of each language that was found; the language with the most rows is first."""
    columns = {"images": "images_of", "texts": "texts", "kept": "kept"}
    sums = {name: figures.sums.by_language(tally) for name, tally in columns.items()}
    if figures.run.is_partial:
        sums = {"kept": sums["kept"]}
    codes = {code for of_languages in sums.values() for code in of_languages}
    rows = {code: {name: int(sums[name].get(code, 0)) for name in sums} for code in codes}
    return {code: rows[code] for code in sorted(rows, key=lambda code: (*(-n for n in rows[code].values()), code))}


def _entry_facts(figures: SearchFigures, index: int) -> dict[str, Any]:
    sought = figures.entries[index]
    sums = figures.sums
    facts: dict[str, Any] = {
        "entry": sought.entry,
        "language": sought.language,
        "id": sought.id,
        "count": sought.count,
        "rate": sought.rate,
        "t": figures.run.facts["languages"].get(sought.language, {}).get("t"),
    }
    if not figures.run.is_partial:
        facts |= {"images": int(sums["images_with", index]), "texts": int(sums["texts_with", index])}
    facts["kept"] = int(sums["kept_with", index])
    if figures.run.is_partial:
        return facts | {"examples": [*map(_shown_example, figures.examples[index])]}
    expected = figures.expected(index)
    facts["expected"] = [
        {"english_t": t, "t": thresholds.of_language.get(sought.language), "kept": round(expected[name], 1)}
        for name, t, thresholds in figures.thresholds
    ]
    most, typical = _beside(figures, index)
    facts |= {"often_with": most, "typical_with": typical}
    return facts | {"examples": [*map(_shown_example, figures.examples[index])]}


def _beside(figures: SearchFigures, index: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the entries that are most often in the texts of a sought entry, and those that are typical of them.

    A typical entry is in these texts more often than in all texts of the language. Typical entries are sorted by their
    number of these texts, times the logarithm of how many times more often they are there.
    """
    matched = {code: row.get("matched", 0) for code, row in figures.run.facts["languages"].items()}
    is_of_language = figures.run.one_list is None  # A single list of entries is for the texts of all languages.
    all_texts = matched[figures.entries[index].language] if is_of_language else sum(matched.values())
    share = figures.sums["texts_with", index] / max(1, all_texts)
    rows = [(id, texts, texts / (figures.run.counts[id] * share)) for id, texts in figures.together(index)]
    typical = [row for row in rows if row[1] >= LEAST_TOGETHER and row[2] > 1]
    typical.sort(key=lambda row: (-row[1] * math.log(row[2]), row[0]))
    return _with_names(figures, rows[:SHOWN_TOGETHER]), _with_names(figures, typical[:SHOWN_TOGETHER])


def _with_names(figures: SearchFigures, rows: Sequence[tuple[int, int, float]]) -> list[dict[str, Any]]:
    """Return rows of an id, texts and how many times more often it is there, as dictionaries with the entry."""
    ids = pa.array([id for id, *_ in rows], pa.int32())
    entries = figures.run.counted_entries.rows.filter(pc.is_in(figures.run.counted_entries.rows["id"], value_set=ids))
    entry_by_id = dict(zip(entries["id"].to_pylist(), entries["entry"].to_pylist(), strict=True))
    return [{"entry": entry_by_id[id], "texts": texts, "times": round(float(times), 2)} for id, texts, times in rows]


def _shown_example(example: Example) -> Example:
    return example | {"url": redacted(example["url"])}


def text_of(facts: dict[str, Any]) -> str:
    """Return the facts of a search as text for a terminal."""
    missing = [in_one_line(f"But {sentence}.") for sentence in facts.get("missing", ())]
    blocks = [[_found_sentence(facts), *missing], _spelling_lines(facts), aligned(_language_lines(facts))]
    for entry in facts.get("entries", ()):
        blocks += [*_entry_blocks(entry)]
    blocks.append(_example_lines(facts.get("examples", ())))
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _found_sentence(facts: dict[str, Any]) -> str:
    kept = counted(facts["kept"], "pair")
    if "images" not in facts:
        return f"{kept} of the manifest meet the search."
    return f"{counted(facts['images'], 'matched image')} meet the search, and {kept} of the manifest."


def _spelling_lines(facts: dict[str, Any]) -> list[str]:
    """Return a sentence that names entries which differ from the sought ones only in case, if there are any."""
    others = facts.get("other_spellings")
    if not others:
        return []
    return [in_one_line(f"Entries that differ only in upper and lower case are not searched: {', '.join(others)}.")]


def _language_lines(facts: dict[str, Any]) -> list[tuple[str, ...]]:
    languages = facts["languages"]
    if not languages:
        return []
    columns = [*next(iter(languages.values()))]
    lines: list[tuple[str, ...]] = [("language", *columns)]
    for code, row in languages.items():
        lines.append((named(code), *(number(row[name]) for name in columns)))
    return lines


def _entry_blocks(entry: dict[str, Any]) -> Iterator[list[str]]:
    """Yield the blocks of lines about one sought entry."""
    t = "none" if entry["t"] is None else number(entry["t"])
    yield [
        f"{in_one_line(entry['entry'])!r} is an entry of {named(entry['language'])}, with the id {entry['id']}.",
        f"{counted(entry['count'], 'text')} of the run have it; its rate is {entry['rate']:.4g}, at t = {t}.",
    ]
    if "images" in entry:
        share = percent(entry["kept"], entry["images"])
        yield [
            f"The search finds {counted(entry['images'], 'image')} with it, "
            f"of which {number(entry['kept'])} were kept with such a text ({share})."
        ]
        yield aligned(_expected_lines(entry))
        for title, name in (("most often with it", "often_with"), ("typical of its texts", "typical_with")):
            yield aligned(_beside_lines(title, entry[name]))
    yield _example_lines(entry["examples"], entry["entry"])


def _expected_lines(entry: dict[str, Any]) -> list[tuple[str, ...]]:
    if not entry["expected"]:
        return []
    lines: list[tuple[str, ...]] = [("English t", f"t of {entry['language']}", "expected to be kept")]
    for row in entry["expected"]:
        lines.append((number(row["english_t"]), number(row["t"]), number(row["kept"])))
    return lines


def _beside_lines(title: str, rows: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    if not rows:
        return []
    lines: list[tuple[str, ...]] = [(title, "texts", "times as often")]
    for row in rows:
        lines.append((row["entry"], number(row["texts"]), decimal(row["times"], 1)))
    return lines


def _example_lines(examples: Sequence[Example], entry: str = "") -> list[str]:
    lines = []
    for example in examples:
        text = excerpt(in_one_line(example["text"]), entry)
        lines.append(f"{'kept    ' if example['kept'] else 'not kept'}  {text}")
        lines.append(f"          {in_one_line(example['url'])}")
    return lines


def excerpt(text: str, entry: str, most: int = MAX_LETTERS) -> str:
    """Return at most `most` letters of a text, with the entry in them if the text has it and it is not long.

    >>> excerpt("a dog", "dog"), excerpt("one two three dog four", "dog", 12), excerpt("one two three", "", 6)
    ('a dog', '…three dog …', 'one t…')
    """
    if len(text) <= most:
        return text
    first = text.lower().find(entry.lower())
    if first + len(entry) >= most:
        text = f"…{text[first - most // 2 :]}"
    return text if len(text) <= most else f"{text[: most - 1]}…"
