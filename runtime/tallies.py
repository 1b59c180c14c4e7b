"""The result of a task: counts by name, item and language, the checksums of its files, and facts.

`result.add("dropped", 3, item="bad_json")` counts dropped rows by reason, `result.add("texts", 7, language="en")` texts
by language. An item is what distinguishes the counts of a name, such as a reason, a licence or the number of a rule.

Results are what a stage returns, not Spark accumulators: a task that runs twice is counted once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

UNKNOWN = "unknown_"  # begins the names whose items are values from the input, such as `unknown_language`
MAX_UNKNOWN_ITEMS = 1000  # the most of these items that have their own sums

Item = str | int
Key = str | tuple[str, Item]  # the name of a count, or its name and item
Tally = Counter[Key]  # what readers of files count
Value = TypeVar("Value")


class Tallies:
    """Sums by name, item and language; sums of whole numbers are exact up to 2^53.

    The item or the language is None if a count has no item or no language.
    """

    def __init__(self, rows: Iterable[dict] = ()):
        self._sums: dict[tuple[str, Item | None, str | None], float] = defaultdict(float)
        self._unknown = 0
        self.update(rows)

    def update(self, rows: Iterable[dict]) -> None:
        """Add rows, dictionaries of name, item, language and value."""
        for row in rows:
            self.add(**row)

    def add(self, name: str, value: float = 1, *, item: Item | None = None, language: str | None = None) -> None:
        """Add `value` to the sum of `name`, `item` and `language`.

        Only the first MAX_UNKNOWN_ITEMS items of names that begin with UNKNOWN have their own sums. Later ones are
        counted for no item.
        """
        if name.startswith(UNKNOWN) and item is not None and (name, item, language) not in self._sums:
            self._unknown += 1
            if self._unknown > MAX_UNKNOWN_ITEMS:
                item = None
        self._sums[name, item, language] += value

    def count(self, sums: Mapping[Key, float]) -> None:
        """Add `sums` (key → number) to the counts, in the order of names and items."""
        for key in sorted(sums, key=written_name):
            name, item = _name_and_item(key)
            self.add(name, sums[key], item=item)

    def __getitem__(self, key: Key) -> float:
        """Return the sum of a name, or of a name and an item, over all languages; a whole number is an int.

        The sum of a name has only what is counted for no item.
        """
        wanted = _name_and_item(key)
        return _number(sum(value for (name, item, _), value in self._sums.items() if (name, item) == wanted))

    def by_language(self, name: str, item: Item | None = None) -> dict[str, float]:
        """Return the sum of `name` and `item` for each language, sorted by language."""
        sums = {code: value for (*key, code), value in self._sums.items() if code and tuple(key) == (name, item)}
        return {code: _number(sums[code]) for code in sorted(sums)}

    def by_item(self, name: str) -> dict[Any, float]:
        """Return the sum of `name` over all languages for each item, largest first."""
        sums: dict[Item, float] = defaultdict(float)
        for (key, item, _), value in self._sums.items():
            if key == name and item is not None:
                sums[item] += value
        return {item: _number(sums[item]) for item in sorted(sums, key=lambda item: (-sums[item], str(item)))}

    def rows(self) -> list[dict]:
        """Return one row per sum, dictionaries of name, item, language and value, sorted by the first three."""
        keys = sorted(self._sums, key=lambda key: (written_name(key[:2]), key[2] or ""))
        return [
            {"name": name, "item": item, "language": code, "value": self._sums[name, item, code]}
            for name, item, code in keys
        ]


class TaskResult(Tallies):
    """The result of one or several tasks: tallies, the checksums of files by name, and lists of facts by name.

    A fact is a value that JSON can represent, such as the first uid of a kind; the lists of several tasks are joined in
    the order of the tasks.
    """

    def __init__(
        self, counts: Iterable[dict] = (), files: Mapping[str, str] | None = None, facts: Mapping | None = None
    ):
        super().__init__(counts)
        self.files: dict[str, str] = dict(files or {})
        self.facts: dict[str, list] = {name: [*noted] for name, noted in (facts or {}).items()}

    def note(self, name: str, *facts: Any) -> None:
        """Add facts to the list `name`."""
        self.facts.setdefault(name, []).extend(facts)

    def noted(self, name: str) -> list:
        """Return the facts of the list `name`; an empty list if there are none."""
        return self.facts.get(name, [])

    def merge(self, other: TaskResult) -> None:
        """Add the counts, files and facts of another task."""
        self.update(other.rows())
        self.files |= other.files
        for name, facts in other.facts.items():
            self.note(name, *facts)

    def __add__(self, other: TaskResult) -> TaskResult:
        return merged([self, other])

    def content(self) -> dict[str, Any]:
        """Return the keyword arguments that make an equal TaskResult; JSON can represent them, and stamps hold them."""
        return {"counts": self.rows(), "files": dict(sorted(self.files.items())), "facts": self.facts}


def written_name(key: str | tuple[str, Item | None]) -> str:
    """Return the name of a count in files for users, such as `dropped.bad_json`."""
    name, item = _name_and_item(key)
    return name if item is None else f"{name}.{item}"


def values_under(values: Mapping[str, Value], prefix: str) -> dict[str, Value]:
    """Return a dictionary of the values whose names begin with `prefix`, without the prefix, in the same order."""
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}


def merged(results: Iterable[TaskResult]) -> TaskResult:
    """Return the sums of all counts, all files, and all facts, in the order of the results."""
    total = TaskResult()
    for result in results:
        total.merge(result)
    return total


def _name_and_item(key: str | tuple[str, Item | None]) -> tuple[str, Item | None]:
    return (key, None) if isinstance(key, str) else key


def _number(value: float) -> float:
    return int(value) if value == int(value) else value
