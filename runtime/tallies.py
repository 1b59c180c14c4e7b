"""The result of a task: named counts, some of them per language, the checksums of its files, and facts.

Results are what a stage returns, not Spark accumulators: a task that runs twice is counted once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

UNKNOWN = "unknown_"  # begins names that end in a value from the input, such as `unknown_language.` and a label
MOST = 1000  # such names that have their own sums

Value = TypeVar("Value")


class Tallies:
    """Sums by name and language (None: counted for no language); sums of whole numbers are exact up to 2^53."""

    def __init__(self, rows: Iterable[dict] = ()):
        self._sums: dict[tuple[str, str | None], float] = defaultdict(float)
        self._unknown = 0
        self.update(rows)

    def update(self, rows: Iterable[dict]) -> None:
        """Add rows, dictionaries of name, language and value."""
        for row in rows:
            self.add(row["name"], row["value"], row["language"])

    def add(self, name: str, value: float = 1, language: str | None = None) -> None:
        """Add `value` to the sum of `name` and `language`.

        Only the first MOST names that begin with UNKNOWN have their own sums. Later ones share a sum, whose name ends
        at the first dot.
        """
        if name.startswith(UNKNOWN) and (name, language) not in self._sums:
            rest = name[: name.index(".") + 1]
            self._unknown += name != rest
            if self._unknown > MOST:
                name = rest
        self._sums[name, language] += value

    def count(self, sums: Mapping[str, float], language: str | None = None) -> None:
        """Add the sums of several names, in their order."""
        for name in sorted(sums):
            self.add(name, sums[name], language)

    def __getitem__(self, name: str) -> float:
        """Return the sum of `name` over all languages; a whole number is an int."""
        return _number(sum(value for (key, _), value in self._sums.items() if key == name))

    def by_language(self, name: str) -> dict[str, float]:
        """Return the sum of `name` for each language, sorted by language."""
        sum_by_code = {code: value for (key, code), value in self._sums.items() if key == name and code}
        return {code: _number(sum_by_code[code]) for code in sorted(sum_by_code)}

    def beginning(self, prefix: str) -> dict[str, float]:
        """Return the sums of names that begin with `prefix`, by the rest of the name, largest first.

        A sum is over all languages.
        """
        sums: dict[str, float] = defaultdict(float)
        for (name, _), value in self._sums.items():
            if name.startswith(prefix):
                sums[name.removeprefix(prefix)] += value
        return {name: _number(sums[name]) for name in sorted(sums, key=lambda name: (-sums[name], name))}

    def rows(self) -> list[dict]:
        """Return one row per sum, dictionaries of name, language and value, sorted by name and language."""
        keys = sorted(self._sums, key=lambda key: (key[0], key[1] or ""))
        return [{"name": name, "language": code, "value": self._sums[name, code]} for name, code in keys]


class TaskResult(Tallies):
    """What a task hands back, or several: tallies, the checksums of files by name, and lists of facts by name.

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
        """Return the arguments that make an equal TaskResult, which JSON can represent, as stamps hold them."""
        return {"counts": self.rows(), "files": dict(sorted(self.files.items())), "facts": self.facts}


def values_under(values: Mapping[str, Value], prefix: str) -> dict[str, Value]:
    """Return the values whose names begin with `prefix`, in their order, by the rest of the name."""
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}


def merged(results: Iterable[TaskResult]) -> TaskResult:
    """Return the sums of all counts, all files, and all facts, in the order of the results."""
    total = TaskResult()
    for result in results:
        total.merge(result)
    return total


def _number(value: float) -> float:
    return int(value) if value == int(value) else value
