"""Count by file what its readers find, so that the spans of a dump, which several tasks read, are one file again.

Tallies of tasks are added up by name. These names hold the path: `file TAB what TAB path`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

_MARK = "file\t"
_READ = "read"  # parts of the file that were read


def count(tally: Counter, path: str, what: str, number: int = 1) -> None:
    """Count `number` of something in the file at `path`."""
    if number:
        tally[f"{_MARK}{what}\t{path}"] += number


def count_reading(tally: Counter, path: str) -> None:
    """Count that the file at `path`, or a span of it, is read."""
    count(tally, path, _READ)


def summed(tally: Mapping[str, int]) -> dict[str, int]:
    """Return a tally in which each fault and conflict counts once a file, and with the number of files.

    >>> summed({"pages": 0, "file\\tread\\ta.xml": 2, "file\\tdropped.corrupt\\ta.xml": 2})
    {'pages': 0, 'files': 1, 'dropped.corrupt': 1, 'dropped.no_pages': 1}
    """
    found: Counter = Counter({name: number for name, number in tally.items() if not name.startswith(_MARK)})
    of_files = _by_file(tally)
    for facts in of_files.values():
        found["files"] += 1
        found.update({what: 1 for what in facts if "." in what})
        if not facts["pages"]:
            found["dropped.no_pages"] += 1
    return dict(found)


def without_articles(tally: Mapping[str, int]) -> list[str]:
    """Return the paths of the files in which no article was found, in order."""
    return sorted(path for path, facts in _by_file(tally).items() if not facts["articles"])


def _by_file(tally: Mapping[str, int]) -> dict[str, Counter]:
    files: dict[str, Counter] = {}
    for name, number in tally.items():
        if name.startswith(_MARK):
            _, what, path = name.split("\t", 2)
            files.setdefault(path, Counter())[what] += number
    return files
