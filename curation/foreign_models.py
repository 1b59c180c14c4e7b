"""Refuse third-party models whose configuration would run code, before a library loads them.

A configuration can do so by an argument that the library passes on, or by the name of a class, of another repository or
of a compiled kernel. Only JSON files are read, so the check needs no model library.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runtime.errors import InputError

OPEN_CLIP_CONFIG = "open_clip_config.json"
MOST_BYTES = 256 << 20  # of a file; vocabularies of 100 languages have 20 MB
# Arguments that open_clip passes on, from a tower of its configuration; all that its own models state.
_ARGUMENTS = {
    "tokenizer_kwargs": {"clean", "language", "strip_sep_token"},
    "norm_kwargs": {"eps"},
    "act_kwargs": {"approximate"},
}
# Names of other models: of an architecture of timm, and of a repository of transformers.
_NAMES = {"timm_model_name": r"\w[\w.]*", "hf_model_name": r"\w[\w.-]*(/\w[\w.-]*)?"}
_CLASSES = ("type", "types", "tokenizer_class", "activation_function")  # members that name classes to be imported
_KNOWN_CLASS = re.compile(r"[^.]*|(sentence_transformers|torch\.nn)\.[\w.]+")


def require_no_code(folder: Path) -> None:
    """Refuse a folder in which a JSON file asks for code."""
    for path in sorted(folder.rglob("*.json")):
        require_no_code_in(path)


def require_no_code_in(path: Path) -> Any:
    """Return the content of a JSON file; refuse one that asks for code."""
    content = _read(path)
    for name, value in _members(content):
        if name == "trust_remote_code" and value:
            raise _refused(path, "trust_remote_code", "no such member")
        if name.endswith("_implementation") and "/" in str(value):
            raise _refused(path, f"the {name} {value!r}", "one of transformers' own")
        if name in _CLASSES:
            for each in value.values() if isinstance(value, dict) else [value]:
                if isinstance(each, str) and not _KNOWN_CLASS.fullmatch(each):
                    raise _refused(path, f"the class {each}", "classes of sentence_transformers and torch.nn")
    return content


def open_clip_towers(path: Path) -> dict[str, dict]:
    """Return the objects in open_clip's configuration, such as text_cfg; refuse one that asks for code."""
    content = require_no_code_in(path)
    model = content.get("model_cfg") if isinstance(content, dict) else None
    if not isinstance(model, dict):
        raise InputError(f"{path} has no object model_cfg; give a model as open_clip saves it")
    towers = {name: value for name, value in model.items() if isinstance(value, dict)}
    for name, tower in towers.items():
        _require_known(f"{path}: {name}", tower)
    return towers


def _require_known(where: str, tower: dict) -> None:
    for name, known in _ARGUMENTS.items():
        given = tower.get(name) or {}
        unknown = sorted({*given} - known) if isinstance(given, dict) else [given]
        if unknown:
            raise _refused(where, f"{unknown[0]!r} in {name}", f"{', '.join(sorted(known))} alone")
    for name, form in _NAMES.items():
        given = tower.get(name) or "none"
        if not isinstance(given, str) or not re.fullmatch(form, given, re.ASCII):
            raise _refused(where, f"the {name} {given!r}", "a plain name")


def _read(path: Path) -> Any:
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path} has more than {MOST_BYTES >> 20} MB; give a model as its library saves it")
    try:
        return json.loads(path.read_bytes())  # by the same parser as the libraries
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); give a model as its library saves it") from None


def _members(content: Any) -> Iterator[tuple[str, Any]]:
    """Yield the members of all objects in a JSON value."""
    left = [content]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            yield from value.items()
            left += value.values()
        elif isinstance(value, list):
            left += value


def _refused(where: Path | str, what: str, expected: str) -> InputError:
    return InputError(f"{where} states {what}, by which a model may run code; expected {expected}: use another model")
