"""Read the names of classes: for each language a JSON array or object, or a text file with a class a line.

A class may have several names. Templates such as `a photo of a {}` say in which forms a name is looked for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metadata.entry_lists import FilesOfLanguages, files_of_languages
from runtime.errors import InputError

BETWEEN_NAMES = "|"  # of one class in a line of text; names have commas
AS_IT_IS = ("{}",)
FORM = "give a JSON array of names, or of arrays of the names of a class, a JSON object of them, or a class a line"


@dataclass(frozen=True)
class Classes:
    """The classes of one language: what each is called, and the forms in which it is looked for."""

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
        if not names or not all(isinstance(name, str) and name.strip() for name in names):
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
    except ValueError as error:
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
