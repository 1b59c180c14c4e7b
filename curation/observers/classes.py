"""Read the names of evaluation classes, count the texts that name each class, and measure how even the counts are.

The names are in a JSON array or object, or in a text file with one class per line, for each language. A class may have
several names. Templates such as `a photo of a {}` define the forms in which a name is looked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.matching.matcher import Matcher
from metadata.entry_lists import FilesOfLanguages, files_of_languages
from metadata.rules.text import Rules
from runtime.arrow.buffers import parts
from runtime.errors import InputError

BETWEEN_NAMES = "|"  # of one class in a line of text; names have commas
AS_IT_IS = ("{}",)
FORM = "give a JSON array of names, or of arrays of the names of a class, a JSON object of them, or a class a line"
POOL, MANIFEST = "pool", "manifest"
TEXTS, NAMING, CLASSES = 0, 1, 2  # of counts, int64: all texts, those that name a class, from CLASSES on each class's

Rows = Iterable[tuple[pa.Array, pa.Array]]  # batches of texts and their languages


@dataclass(frozen=True)
class Classes:
    """The classes of one language: the names of each, and the forms in which they are looked for."""

    labels: tuple[str, ...]
    forms: tuple[tuple[str, ...], ...]  # of each class


def read_classes(arguments: FilesOfLanguages, templates: FilesOfLanguages = ()) -> dict[str, Classes]:
    """Return the classes of each language, whose files are given by language, or as arguments of the form en=FILE."""
    wanted = {code: _lines(path) for code, path in _files(templates, "templates").items()}
    for code, lines in wanted.items():
        if unfit := next((line for line in lines if "{}" not in line), None):
            raise InputError(f"the template {unfit!r} of {code} has no {{}} for the name; write it where the name goes")
    files = _files(arguments, "classes")
    if without := [code for code in wanted if code not in files]:
        raise InputError(f"there are templates of {', '.join(without)} but no classes; give classes of that language")
    return {code: _classes(_read(path), wanted.get(code, AS_IT_IS), path) for code, path in files.items()}


def _files(arguments: FilesOfLanguages, what: str) -> dict[str, Path]:
    files = files_of_languages(arguments, what, "en=imagenet.json")
    return {code: Path(path) for code, path in files.items()}


def _classes(named: list[tuple[str, Sequence[Any]]], templates: Sequence[str], path: Path) -> Classes:
    for label, names in named:
        is_list = isinstance(names, Sequence) and len(names) > 0
        if not is_list or not all(isinstance(name, str) and name.strip() for name in names):
            raise InputError(f"{path} has a class {label!r} whose names are no strings with letters; {FORM}")
    if not named:
        raise InputError(f"{path} holds no classes; {FORM}")
    forms = (
        tuple(dict.fromkeys(t.replace("{}", name.strip()) for t in templates for name in names)) for _, names in named
    )
    return Classes(tuple(label for label, _ in named), tuple(forms))


def _read(path: Path) -> list[tuple[str, Sequence[Any]]]:
    """Return the label and the names of each class."""
    text = _text(path)
    if text.lstrip()[:1] not in ("[", "{"):
        return [(names[0].strip(), names) for names in (line.split(BETWEEN_NAMES) for line in _lines(path))]
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} begins like JSON but is none ({error}); {FORM}") from None
    if isinstance(content, dict):
        return [(label, [names] if isinstance(names, str) else names) for label, names in content.items()]
    listed = [names if isinstance(names, list) else [names] for names in content]
    return [(str(names[0]) if names else "", names) for names in listed]


def _lines(path: Path) -> list[str]:
    return [line for line in _text(path).splitlines() if line.strip()]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror}); give a file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8") from None


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


def finders_of(classes: dict[str, Classes], rules: Rules) -> dict[str, Finder]:
    """Return what finds the classes of each language, by the rules of a run."""
    return {code: Finder(each, rules) for code, each in classes.items()}


def no_counts(classes: int) -> np.ndarray:
    """Return the counts of no texts."""
    return np.zeros(CLASSES + classes, np.int64)


def count_classes(rows: Rows, finders: dict[str, Finder]) -> dict[str, np.ndarray]:
    """Return the counts of each language: texts of the language, whole words, whatever the case."""
    counts = {code: no_counts(finder.classes) for code, finder in finders.items()}
    for texts, languages in rows:
        for code, finder in finders.items():
            own = texts.filter(pc.equal(languages, code).fill_null(False))
            text, named = finder.named(own)
            counts[code][:CLASSES] += len(own), len(np.unique(text))
            counts[code][CLASSES:] += np.bincount(named, minlength=finder.classes)
    return counts


def divergence(counts: np.ndarray) -> float | None:
    """Return the Kullback-Leibler divergence of the shares of counts from equal ones, in nats; None if all are 0.

    It is 0 where all counts are equal, and log(number of counts) where one has everything.

    >>> divergence(np.array([5, 5])), round(divergence(np.array([8, 0])), 4), divergence(np.array([0]))
    (0.0, 0.6931, None)
    """
    if not counts.sum():
        return None
    shares = counts[counts > 0] / counts.sum()
    return float((shares * np.log(shares * len(counts))).sum())


def alignment(classes: Classes, counts: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the figures of one language, with the classes in the order of their counts in the pool.

    `counts` has what `count_classes` counted in the pool and in the manifest. Both divergences are over the classes
    that the pool has.
    """
    named = {part: each[CLASSES:] for part, each in counts.items()}
    order = np.argsort(-named[POOL], kind="stable").tolist()
    return {
        "classes": len(classes.labels),
        "texts": {part: int(each[TEXTS]) for part, each in counts.items()},
        "naming": {part: int(each[NAMING]) for part, each in counts.items()},
        "found": {part: int((each > 0).sum()) for part, each in named.items()},
        "divergence": {part: divergence(each[named[POOL] > 0]) for part, each in named.items()},
        "counts": [{"class": classes.labels[i]} | {part: int(named[part][i]) for part in named} for i in order],
    }
