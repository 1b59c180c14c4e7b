"""Naive twin of runtime.cogroup: a dictionary from each key to its rows, stage by stage."""

from collections.abc import Callable, Iterable, Sequence

Row = tuple
Stage = tuple[Callable[[Row], object], Callable[[object, list[Row]], Iterable[Row]]]


def cogroup(sides: Sequence[Sequence[Sequence[Row]]], stages: Sequence[Stage]) -> list[Row]:
    """Return the rows of the last stage, sorted; a row of a side begins with the side's number.

    A stage is a function that returns the key of a row, and one that returns the rows made of the rows of a key.
    """
    rows = [(number, *row) for number, files in enumerate(sides) for file in files for row in file]
    for key_of, function in stages:
        groups: dict[object, list[Row]] = {}
        for row in rows:
            groups.setdefault(key_of(row), []).append(row)
        rows = [row for key, group in groups.items() for row in function(key, group)]
    return sorted(rows)
