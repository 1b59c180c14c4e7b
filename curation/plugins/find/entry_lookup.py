"""Look up the entries and languages that a search names in a finished run, and suggest the nearest for missing ones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.plugins.find.searching import Search, SearchConditions
from curation.run.results import Results
from metadata.languages import named
from runtime.errors import InputError
from runtime.messages import listed, nearest_names, quoted

MAX_NEAREST = 5  # A message suggests at most so many names.
MAX_LANGUAGES = 30  # A message lists at most so many codes.
MAX_DISTANCE = 2  # A suggested entry differs from a misspelt one in at most so many edits.
MAX_COMPARED = 2_000  # The distance is only computed for so many of the most frequent entries.
MAX_LETTERS = 60  # Longer entries are not compared: the time is the square of their length.


class NothingFound(InputError):
    """The run has nothing that meets the conditions; the message names what is nearest."""


@dataclass(frozen=True)
class SoughtEntry:
    """An entry that a search names, in one of the languages that have it."""

    id: int
    language: str
    entry: str
    count: int
    rate: float


@dataclass(frozen=True)
class Sought:
    """The conditions and entries of a search in a run, and a sentence about each entry that no text has."""

    conditions: SearchConditions
    entries: Sequence[SoughtEntry] = ()
    missing: Sequence[str] = ()


def sought_in(run: Results, search: Search) -> Sought:
    """Return what a search looks for in a run; NothingFound if no text has a language, or any entry, that it names."""
    for code in search.language:
        _require_language(run, code)
    if not search.entry:
        return Sought(SearchConditions(search))
    entries = list[SoughtEntry]()
    missing = list[str]()
    for entry in dict.fromkeys(search.entry):
        found = _sought_entries(run, search, entry)
        entries += found
        if not found:
            missing.append(_why_missing(run, search, entry))
    if not entries:
        raise NothingFound(missing[0] if len(missing) == 1 else ". ".join(missing))
    return Sought(SearchConditions(search, tuple(sought.id for sought in entries)), entries, missing)


def _require_language(run: Results, code: str) -> None:
    languages = run.facts["languages"]
    present = [code for code in languages if languages[code].get("matched")]
    if code in present:
        return
    if code in languages:
        fault = f"no text in {named(code)} has an entry, so the run has no images in this language"
    else:
        fault = f"the run has no texts in the language {quoted(code)}"
    spelled = {code: named(code) for code in present} | {_name(code): named(code) for code in present}
    nearest = [f"did you mean {spelled[name]}?" for name in nearest_names(code, spelled)]
    raise NothingFound(f"{fault}; {next(iter(nearest), f'it has {listed(present, MAX_LANGUAGES)}')}")


def _name(code: str) -> str:
    return named(code).partition(" (")[0]


def _sought_entries(run: Results, search: Search, entry: str) -> list[SoughtEntry]:
    """Return an entry once for each language that the search allows and in which a text has it."""
    same = _spelled(run, entry)
    if run.one_list is None:  # Otherwise the entries of all languages are in one list.
        languages = pa.array(search.language or [*run.languages], pa.string())
        same = same.filter(pc.is_in(same["language"], value_set=languages))
    return [
        SoughtEntry(row["id"], row["language"], row["entry"], row["count"], row["rate"]) for row in same.to_pylist()
    ]


def _spelled(run: Results, entry: str) -> pa.Table:
    rows = run.counted_entries.rows
    return rows.filter(pc.equal(rows["entry"], entry))


def other_spellings(run: Results, entries: Sequence[str]) -> list[str]:
    """Return the entries that differ from one of `entries` only in upper and lower case, as `entry (language)`."""
    rows = run.counted_entries.rows
    lowered = pa.array([entry.lower() for entry in entries], pa.string())
    same = rows.filter(pc.is_in(pc.utf8_lower(rows["entry"]), value_set=lowered))
    others = same.filter(pc.invert(pc.is_in(same["entry"], value_set=pa.array(entries, pa.string()))))
    return [_with_language(row) for row in _most_frequent(others, MAX_NEAREST)]


def _with_language(row: dict) -> str:
    return f"{quoted(row['entry'])} ({row['language']})"


def _why_missing(run: Results, search: Search, entry: str) -> str:
    """Return a sentence that no text has an entry in the languages of a search; it names what is nearest."""
    languages = search.language
    where = f" in {listed([*map(named, languages)], MAX_NEAREST)}" if languages else ""
    fault = f"no text of the run has the entry {quoted(entry)!r}{where}"
    others = _spelled(run, entry)["language"].to_pylist()
    if others:
        return f"{fault}; the languages that have it are {listed([*map(named, others)], MAX_NEAREST)}"
    rows = run.counted_entries.rows
    if languages:
        rows = rows.filter(pc.is_in(rows["language"], value_set=pa.array(languages, pa.string())))
    nearest = nearest_entries(rows, entry)
    if not nearest:
        return f"{fault}, and no entry is similar to it; search the texts themselves with --text"
    return f"{fault}; the nearest entries are {', '.join(nearest)}"


def nearest_entries(rows: pa.Table, entry: str, most: int = MAX_NEAREST) -> list[str]:
    """Return the entries of `rows`, a table with the schema COUNTS, that are nearest to `entry`, as `entry (language)`.

    These are entries at most MAX_DISTANCE edits away, regardless of case, and then the most frequent entries that
    contain it.
    """
    entry = entry.strip()[:MAX_LETTERS]
    if not entry:
        return []
    lowered = entry.lower()
    longest = min(MAX_DISTANCE, max(1, len(entry) // 3))
    lengths = pc.utf8_length(rows["entry"])
    of_length = rows.filter(pc.less_equal(pc.abs(pc.subtract(lengths, len(entry))), longest))
    # Of `longest` + 1 pieces of the entry, at most `longest` edits leave at least one as it is.
    is_near = [pc.match_substring(of_length["entry"], piece, ignore_case=True) for piece in _pieces(entry, longest + 1)]
    compared = _most_frequent(of_length.filter(_any(is_near)), MAX_COMPARED)
    near = []
    for row in compared:
        distance = edit_distance(row["entry"].lower(), lowered)
        if distance <= longest:
            near.append((distance, -row["count"], row["id"], row))
    chosen = [row for *_, row in sorted(near, key=lambda item: item[:3])]
    if len(chosen) < most:
        containing = rows.filter(pc.match_substring(rows["entry"], entry, ignore_case=True))
        chosen += [row for row in _most_frequent(containing, most) if row not in chosen]
    return [_with_language(row) for row in chosen[:most]]


def _pieces(entry: str, number: int) -> list[str]:
    bounds = np.linspace(0, len(entry), number + 1).astype(int)
    pieces = [entry[begin:end] for begin, end in zip(bounds, bounds[1:], strict=False)]
    return [piece for piece in pieces if piece]


def _any(masks: Iterable[pa.ChunkedArray]) -> pa.ChunkedArray | pa.Scalar:
    is_any: pa.ChunkedArray | pa.Scalar = pa.scalar(False)
    for mask in masks:
        is_any = pc.or_(is_any, mask)
    return is_any


def _most_frequent(rows: pa.Table, most: int) -> list[dict]:
    order = [("count", "descending"), ("id", "ascending")]
    return rows.take(pc.select_k_unstable(rows, most, sort_keys=order)).to_pylist()


def edit_distance(one: str, other: str) -> int:
    """Return the least number of letters to insert, delete or replace that turn one string into the other.

    >>> edit_distance("lighthose", "lighthouse"), edit_distance("", "dog")
    (1, 3)
    """
    above = [*range(len(other) + 1)]
    for row, letter in enumerate(one, 1):
        current = [row]
        for column, of_other in enumerate(other, 1):
            replaced = above[column - 1] + (letter != of_other)
            current.append(min(replaced, above[column] + 1, current[-1] + 1))
        above = current
    return above[-1]
