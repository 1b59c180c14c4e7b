"""Read lists of entries from files: a JSON array of strings, or one entry per line."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from metadata.languages import language
from runtime.errors import InputError

FilesOfLanguages = Mapping[str, str | Path] | Sequence[str]  # the path of each language, or arguments such as en=FILE


def read_lists(arguments: FilesOfLanguages) -> dict[str, list[str]]:
    """Return the entries of each language, given as arguments of the form en=FILE."""
    return {code: read_list(path) for code, path in files_of_languages(arguments, "entries", "en=words.txt").items()}


def files_of_languages(arguments: FilesOfLanguages, what: str, example: str) -> dict[str, str | Path]:
    """Return the file of each language, given as arguments of the form en=FILE; `what` they hold is for a refusal."""
    if isinstance(arguments, Mapping):
        return {language(code).code: path for code, path in arguments.items()}
    files: dict[str, str | Path] = {}
    for argument in arguments:
        code, equals, path = argument.partition("=")
        if not equals or not path:
            raise InputError(f"{what} are given as {argument!r}; give LANGUAGE=FILE, such as {example}")
        if language(code).code in files:
            raise InputError(f"{what} of {code} are given twice; put them into one file")
        files[code] = path
    return files


def read_list(path: str | Path) -> list[str]:
    """Return the entries of a file unchanged; in a file of lines, only blank lines are left out."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read the entries in {path} ({error.strerror}); give a file of entries") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 at byte {error.start}; save the entries as UTF-8") from None
    entries = _read_json(path, text) if text.lstrip().startswith("[") else _read_lines(text)
    if not entries:
        raise InputError(f"{path} holds no entries; give a JSON array of strings, or one entry per line")
    return entries


def _read_lines(text: str) -> list[str]:
    return [line for line in text.replace("\r\n", "\n").split("\n") if line.strip()]


def _read_json(path: str | Path, text: str) -> list[str]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        # A list of lines may begin with a bracket too.
        if "\n" in text.strip() and not text.rstrip().endswith("]"):
            return _read_lines(text)
        raise InputError(
            f"{path} begins like a JSON array but is none ({error}); mend it, or give one per line"
        ) from None
    if not all(isinstance(entry, str) for entry in entries):
        raise InputError(f"{path} holds a JSON array with values that are no strings; give strings only")
    return entries
