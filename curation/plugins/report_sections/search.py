"""Let readers of the report search entries: choose the entries that the page has, find texts with them, write both.

The page has the most frequent entries, and some of the tail, which are drawn. Languages share the room: half of it goes
to them in turns. Texts come from the first rows of the manifest, which is in random order. `search.js` finds entries.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from curation.balancing.thresholds import entry_ids
from curation.report.facts import Observed, Run, Section
from curation.report.page import as_json, environment
from curation.run.request import Observation, Observer, Options
from metadata.languages import language
from runtime.draws import draws
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches

MAX_FREQUENT = 2_000  # The page has at most so many of the most frequent entries; the number is our choice.
MAX_TAIL = 500  # The page has at most so many entries of the tail; the number is our choice.
SEARCHED_ROWS = 100_000  # Texts are looked for in so many rows at the beginning of the manifest.
BATCH_ROWS = 20_000  # Memory holds so many rows at a time.
TEXTS_SHOWN = 2  # At most so many texts of an entry are shown.
TEXTS_TRIED = 4  # So many texts of an entry are read, because some of them may be equal.
# With these limits on the length of a string, the data have 1.4 MB at most, so the page stays below 3 MB.
TEXT_BYTES = 200
ENTRY_BYTES = 90
PURPOSE = "searched"  # the purpose of the draws that choose entries of the tail


@dataclass(frozen=True)
class Chosen:
    """The ids of the entries on the page, and the rows of the manifest that have texts with them."""

    frequent: np.ndarray  # ids, the most frequent one first
    tail: np.ndarray
    searched: int  # the number of rows in which texts were looked for
    rows_of: dict[int, list[int]]  # id → numbers of rows, at most TEXTS_TRIED

    @property
    def ids(self) -> list[int]:
        """The ids of all of these entries."""
        return [*self.frequent.tolist(), *self.tail.tolist()]


def observe_search(seen: Observation) -> Observed:
    """Return the section in which readers search; none if no text has an entry."""
    run = seen.run
    if not run.counts.values.any():
        return Observed()
    lists = [*_first_rows(seen.manifest, "entries")]
    chosen = choose(lists, run)
    texts = texts_at(_first_rows(seen.manifest, "text"), chain.from_iterable(chosen.rows_of.values()))
    return Observed(section=search_section(chosen, texts, run))


def find(options: Options) -> Observer:
    """Return the observer, whatever the options."""
    return observe_search


def choose(lists: Sequence[pa.Array], run: Run) -> Chosen:
    """Return the entries for the page, given the entry ids of the first rows of the manifest."""
    counts = run.counts.values
    frequent = most_frequent(counts, run.entries.languages)
    ids, rows = _matches(lists, len(counts))
    tail = np.zeros(0, np.int64)
    if len(ids):
        matched = np.setdiff1d(ids, frequent)
        tail = drawn_tail(matched[counts[matched] < _thresholds(run, matched)], run)
    wanted = np.isin(ids, np.append(frequent, tail))
    return Chosen(frequent, tail, sum(map(len, lists)), first_rows(ids[wanted], rows[wanted]))


def most_frequent(counts: np.ndarray, languages: dict[str, slice]) -> np.ndarray:
    """Return the ids of at most MAX_FREQUENT entries with large counts, the largest first; languages share the room.

    Of equal counts the smaller id is first.
    """
    of_languages = [ids.start + _largest(counts[ids]) for ids in languages.values()]
    shared = in_shares(of_languages, [-counts[language_ids] for language_ids in of_languages], MAX_FREQUENT)
    return shared[np.lexsort((shared, -counts[shared]))]


def drawn_tail(ids: np.ndarray, run: Run) -> np.ndarray:
    """Return at most MAX_TAIL of these distinct ids, those with the smallest draws; languages share the room."""
    drawn = draws(run.config.seed, PURPOSE, pa.array(ids).cast(pa.string()))
    order = np.lexsort((ids, drawn))
    of_languages = []
    for entry_range in run.entries.languages.values():
        of_languages.append(order[(ids[order] >= entry_range.start) & (ids[order] < entry_range.stop)])
    return in_shares(
        [ids[positions] for positions in of_languages], [drawn[positions] for positions in of_languages], MAX_TAIL
    )


def in_shares(of_languages: Sequence[np.ndarray], keys: Sequence[np.ndarray], room: int) -> np.ndarray:
    """Return at most `room` ids: half of them by turns of the languages, and of the others the smallest keys.

    `of_languages` has the ids of each language, and `keys` their keys, ascending. In each turn, the smallest keys also
    come first; of equal keys, the smaller id comes first.
    """
    ids = np.concatenate([np.zeros(0, np.int64), *of_languages])
    all_keys = np.concatenate([np.zeros(0), *keys])
    turns = np.concatenate([np.zeros(0, np.int64), *(np.arange(len(positions)) for positions in of_languages)])
    order = np.lexsort((ids, all_keys, turns))
    if len(ids) <= room:
        return ids[order]
    others = order[room // 2 :]
    smallest = others[np.lexsort((ids[others], all_keys[others]))]
    return ids[np.append(order[: room // 2], smallest[: room - room // 2])]


def first_rows(ids: np.ndarray, rows: np.ndarray) -> dict[int, list[int]]:
    """Return the first TEXTS_TRIED rows of each id, given an id and a row for each match, rows ascending."""
    order = np.argsort(ids, kind="stable")
    distinct, first = np.unique(ids[order], return_index=True)
    last = np.minimum(np.append(first[1:], len(ids)), first + TEXTS_TRIED)
    bounds = zip(distinct.tolist(), first.tolist(), last.tolist(), strict=True)
    return {id: rows[order[begin:end]].tolist() for id, begin, end in bounds}


def texts_at(columns: Iterable[pa.Array], rows: Iterable[int]) -> dict[int, str]:
    """Return the text of each of `rows`, by row number, given the column of texts in pieces."""
    wanted = np.unique(np.fromiter(rows, np.int64))
    text_of: dict[int, str] = {}
    begin = 0
    for column in columns:
        here = wanted[(wanted >= begin) & (wanted < begin + len(column))]
        text_of.update(zip(here.tolist(), column.take(pa.array(here - begin)).to_pylist(), strict=True))
        begin += len(column)
    return text_of


def search_section(chosen: Chosen, texts: dict[int, str], run: Run) -> Section:
    """Return the section of the report; `texts` has the text of each row in `chosen`."""
    jinja = environment(__package__)
    data = written(page_data(chosen, texts, run))
    seen = int(np.count_nonzero(run.counts.values))
    html = jinja.get_template("search.html").render(chosen=chosen, data=data, seen=seen)
    return Section("search", "Search entries", html, jinja.get_template("search.js").render())


def page_data(chosen: Chosen, texts: dict[int, str], run: Run) -> dict[str, Any]:
    """Return the data that `search.js` reads: languages, distinct texts, and entries, which have numbers of these.

    A language has code, name and threshold; an entry has string, language, count, kept texts, and numbers of texts.
    """
    thresholds = run.thresholds.of_language
    numbers = {code: number for number, code in enumerate(run.entries.languages)}
    number_of: dict[str, int] = {}
    entries = []
    for id in chosen.ids:
        entry = run.entries.entry(id)
        code = run.entries.language(id)
        examples = distinct_texts([texts[row] for row in chosen.rows_of.get(id, ())], entry)
        listed = [number_of.setdefault(text, len(number_of)) for text in examples]
        count = int(run.counts.values[id])
        entries.append([shortened(entry, ENTRY_BYTES), numbers[code], count, int(run.kept_counts.values[id]), listed])
    languages = [[code, language(code).name, int(thresholds[code])] for code in numbers]
    return {"languages": languages, "texts": [*number_of], "entries": entries}


def distinct_texts(texts: Sequence[str], entry: str) -> list[str]:
    """Return the first TEXTS_SHOWN distinct texts, each cut around the entry."""
    distinct: list[str] = []
    for text in texts:
        cut = shortened(text, TEXT_BYTES, text.find(entry))
        if cut not in distinct and len(distinct) < TEXTS_SHOWN:
            distinct.append(cut)
    return distinct


def shortened(text: str, most: int, position: int = 0) -> str:
    """Return a text that has at most `most` bytes as the page writes it; a longer one is cut around `position`.

    >>> shortened("a dog", 20), shortened("abcdefghij" * 3, 20), shortened("abcdefghij" * 3, 20, 15)
    ('a dog', 'abcdefghijabcdefg…', '…defghijabcdefg…')
    """
    if len(text) <= most and _size(text) <= most:
        return text
    begin = max(0, position - most // 10)
    if begin:
        begin = text.find(" ", begin, position) + 1 or begin  # the beginning of a word, if one is there
    before = "…" if begin else ""
    shown = text[begin : begin + most]
    while _size(f"{before}{shown}…") > most:
        shown = shown[: 7 * len(shown) // 8]
    after = "…" if begin + len(shown) < len(text) else ""
    return f"{before}{shown}{after}"


def written(value: Any) -> str:
    """Return a value as JSON in which nothing ends the element `script` around it."""
    return as_json(value).replace("<", r"\u003c")


def _size(text: str) -> int:
    return len(written(text).encode()) - len('""')


def _first_rows(manifest: Iterable[OwnFile], column: str) -> Iterator[pa.Array]:
    """Yield a column of the first SEARCHED_ROWS rows of a manifest, in pieces."""
    left = SEARCHED_ROWS
    for file in manifest:
        for batch in batches(file, BATCH_ROWS, [column]):
            piece = batch[column][:left]
            left -= len(piece)
            yield piece
            if not left:
                return


def _matches(lists: Sequence[pa.Array], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the entry id and the row number of each match; `size` is the number of entries."""
    all_ids = [np.zeros(0, np.int32)]
    all_rows = [np.zeros(0, np.int64)]
    begin = 0
    for piece in lists:
        ids, offsets = entry_ids(piece, size)
        all_ids.append(ids)
        all_rows.append(np.repeat(np.arange(begin, begin + len(piece)), np.diff(offsets)))
        begin += len(piece)
    return np.concatenate(all_ids), np.concatenate(all_rows)


def _largest(counts: np.ndarray) -> np.ndarray:
    """Return the indices of at most MAX_FREQUENT positive counts, largest first; of equal counts the smaller first."""
    seen = np.flatnonzero(counts)
    if len(seen) > MAX_FREQUENT:
        least = np.partition(counts[seen], -MAX_FREQUENT)[-MAX_FREQUENT]
        seen = seen[counts[seen] >= least]
    return seen[np.argsort(-counts[seen], kind="stable")][:MAX_FREQUENT]


def _thresholds(run: Run, ids: np.ndarray) -> np.ndarray:
    """Return the threshold of the language of each id."""
    slices = [*run.entries.languages.values()]
    thresholds = [run.thresholds.of_language[code] for code in run.entries.languages]
    starts = [entry_range.start for entry_range in slices]
    return np.array(thresholds)[np.searchsorted(starts, ids, side="right") - 1]
