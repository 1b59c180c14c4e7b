"""Add up named counts, some of them per language, which workers send to the driver as rows.

The rows are part of a stage's result, not Spark accumulators: a task that runs twice is counted once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

UNKNOWN = "unknown_"  # begins names that end in a value from the input, such as `unknown_language.` and a label
MOST = 1000  # such names that have their own sums


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

    def __add__(self, other: Tallies) -> Tallies:
        return Tallies([*self.rows(), *other.rows()])

    def __getitem__(self, name: str) -> float:
        """Return the sum of `name` over all languages; a whole number is an int."""
        return _number(sum(value for (own, _), value in self._sums.items() if own == name))

    def by_language(self, name: str) -> dict[str, float]:
        """Return the sum of `name` for each language, sorted by language."""
        found = {code: value for (own, code), value in self._sums.items() if own == name and code}
        return {code: _number(found[code]) for code in sorted(found)}

    def beginning(self, prefix: str) -> dict[str, float]:
        """Return the sums of names that begin with `prefix`, by the rest of the name, largest first.

        A sum is over all languages.
        """
        sums: dict[str, float] = defaultdict(float)
        for (name, _), value in self._sums.items():
            if name.startswith(prefix):
                sums[name.removeprefix(prefix)] += value
        return {name: _number(sums[name]) for name in sorted(sums, key=lambda name: (-sums[name], name))}

    def take(self, prefix: str) -> dict[str, float]:
        """Remove sums of names that begin with `prefix`; return them, over all languages, by the rest of the name."""
        taken = Tallies()
        for name, language in [key for key in self._sums if key[0].startswith(prefix)]:
            taken.add(name.removeprefix(prefix), self._sums.pop((name, language)))
        return {name: _number(value) for (name, _), value in taken._sums.items()}

    def rows(self) -> list[dict]:
        """Return one row per sum, dictionaries of name, language and value, sorted by name and language."""
        keys = sorted(self._sums, key=lambda key: (key[0], key[1] or ""))
        return [{"name": name, "language": code, "value": self._sums[name, code]} for name, code in keys]


def _number(value: float) -> float:
    return int(value) if value == int(value) else value
