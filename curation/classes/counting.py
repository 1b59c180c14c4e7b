"""Count the texts in which each class is named: in texts of its language, whole words, whatever the case."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.classes.names import Classes
from curation.matching.matcher import Matcher
from metadata.rules.text import Rules
from runtime.arrow.lists import parts

Rows = Iterable[tuple[pa.Array, pa.Array]]  # batches of texts and their languages


class Finder:
    """Finds the classes of one language in texts."""

    def __init__(self, classes: Classes, rules: Rules) -> None:
        forms = pa.array([form for forms in classes.forms for form in forms], pa.string())
        self._matcher = Matcher.build(pc.utf8_lower(forms), rules)
        self._class_of = np.repeat(np.arange(len(classes.forms)), [len(forms) for forms in classes.forms])
        self.classes = len(classes.labels)

    def named(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Return the places of texts and the classes that they name; a text has each class once."""
        found, offsets = parts(self._matcher.find(pc.utf8_lower(texts)))
        text = np.repeat(np.arange(len(texts)), np.diff(offsets))
        return np.divmod(np.unique(text * self.classes + self._class_of[found.to_numpy()]), self.classes)


class ClassCounts:
    """Numbers of texts of one language: all, those that name a class, and those that name each."""

    def __init__(self, classes: int) -> None:
        self.sums = np.zeros(2 + classes, np.int64)  # in this order

    @property
    def texts(self) -> int:
        """All texts of the language."""
        return int(self.sums[0])

    @property
    def naming(self) -> int:
        """The texts that name a class."""
        return int(self.sums[1])

    @property
    def values(self) -> np.ndarray:
        """The texts that name each class, int64."""
        return self.sums[2:]

    def add(self, texts: pa.Array, finder: Finder) -> None:
        """Count texts of the language."""
        text, named = finder.named(texts)
        self.sums[:2] += len(texts), len(np.unique(text))
        self.sums[2:] += np.bincount(named, minlength=finder.classes)


def finders_of(classes: dict[str, Classes], rules: Rules) -> dict[str, Finder]:
    """Return what finds the classes of each language, by the rules of a run."""
    return {code: Finder(each, rules) for code, each in classes.items()}


def count_classes(rows: Rows, finders: dict[str, Finder]) -> dict[str, ClassCounts]:
    """Return the counts of each language."""
    counts = {code: ClassCounts(finder.classes) for code, finder in finders.items()}
    for texts, languages in rows:
        for code, finder in finders.items():
            counts[code].add(texts.filter(pc.equal(languages, code).fill_null(False)), finder)
    return counts
