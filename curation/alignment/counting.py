"""Count the texts in which each class is named: in texts of its language, whole words, whatever the case."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.alignment.classes import Classes
from curation.matching.matcher import Matcher
from runtime.arrow.lists import parts


class ClassCounts:
    """The number of texts of one language that name each class, and of those that name any; filled by `add`."""

    def __init__(self, classes: Classes, rules: str) -> None:
        forms = pa.array([form for forms in classes.forms for form in forms], pa.string())
        self._matcher = Matcher.build(pc.utf8_lower(forms), rules)
        self._class_of = np.repeat(np.arange(len(classes.forms)), [len(forms) for forms in classes.forms])
        self.values = np.zeros(len(classes.labels), np.int64)
        self.texts = 0  # of the language
        self.naming = 0  # of these, with a class

    def add(self, texts: pa.Array) -> None:
        """Count texts of the language."""
        found, offsets = parts(self._matcher.find(pc.utf8_lower(texts)))
        text = np.repeat(np.arange(len(texts)), np.diff(offsets))
        number = len(self.values)
        named = np.unique(text * number + self._class_of[found.to_numpy()])  # a class counts once in a text
        self.values += np.bincount(named % number, minlength=number)
        self.texts += len(texts)
        self.naming += len(np.unique(named // number))


def count_classes(
    rows: Iterable[tuple[pa.Array, pa.Array]], classes: dict[str, Classes], rules: str
) -> dict[str, ClassCounts]:
    """Return the counts of each language in batches of (texts, languages)."""
    counts = {code: ClassCounts(each, rules) for code, each in classes.items()}
    for texts, languages in rows:
        for code, of_language in counts.items():
            of_language.add(texts.filter(pc.equal(languages, code).fill_null(False)))
    return counts
