"""Refuse third-party models whose configuration would run code, before a library loads such a model.

A configuration can run code by an argument that the library passes on, or by naming a class, another repository or a
compiled kernel. Only JSON files are read, so the check needs no model library.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runtime.errors import InputError

OPEN_CLIP_CONFIG = "open_clip_config.json"
MOST_BYTES = 256 << 20  # No larger JSON file is read; vocabularies of 100 languages have 20 MB.
# Members of a tower's configuration whose arguments open_clip passes on → the arguments that its own models state.
_ARGUMENTS = {
    "tokenizer_kwargs": {"clean", "language", "strip_sep_token"},
    "norm_kwargs": {"eps"},
    "act_kwargs": {"approximate"},
}
# Members of a tower's configuration that name a model of timm or of transformers → the pattern of a harmless name.
_NAMES = {"timm_model_name": r"\w[\w.]*", "hf_model_name": r"\w[\w.-]*(/\w[\w.-]*)?"}
_CLASSES = ("type", "types", "tokenizer_class", "activation_function")  # These members name classes to be imported.
_ALLOWED_CLASS = re.compile(r"[^.]*|(sentence_transformers|torch\.nn)\.[\w.]+")


def require_no_code(folder: Path) -> None:
    """Raise an InputError if a JSON file in the folder or its subfolders asks for code to be run."""
    for path in sorted(folder.rglob("*.json")):
        require_no_code_in(path)


def require_no_code_in(path: Path) -> Any:
    """Return the content of a JSON file; InputError if it asks for code to be run, is too large or is not JSON."""
    content = _read(path)
    for name, value in _members(content):
        if name == "trust_remote_code" and value:
            raise _refused(path, "trust_remote_code", "no such member")
        if name.endswith("_implementation") and "/" in str(value):
            raise _refused(path, f"the {name} {value!r}", "one of transformers' own")
        if name in _CLASSES:
            for class_name in value.values() if isinstance(value, dict) else [value]:
                if isinstance(class_name, str) and not _ALLOWED_CLASS.fullmatch(class_name):
                    raise _refused(path, f"the class {class_name}", "classes of sentence_transformers and torch.nn")
    return content


def open_clip_towers(path: Path) -> dict[str, dict]:
    """Return the objects in the `model_cfg` of an open_clip configuration, by name, such as text_cfg.

    InputError if the configuration asks for code to be run, or has no `model_cfg`.
    """
    content = require_no_code_in(path)
    model = content.get("model_cfg") if isinstance(content, dict) else None
    if not isinstance(model, dict):
        raise InputError(f"{path} has no object model_cfg; pass a model as open_clip saves it")
    towers = {name: value for name, value in model.items() if isinstance(value, dict)}
    for name, tower in towers.items():
        _require_allowed(f"{path}: {name}", tower)
    return towers


def _require_allowed(where: str, tower: dict) -> None:
    for name, allowed in _ARGUMENTS.items():
        value = tower.get(name) or {}
        unknown = sorted({*value} - allowed) if isinstance(value, dict) else [value]
        if unknown:
            raise _refused(where, f"{unknown[0]!r} in {name}", f"only {', '.join(sorted(allowed))}")
    for name, form in _NAMES.items():
        value = tower.get(name) or "none"
        if not isinstance(value, str) or not re.fullmatch(form, value, re.ASCII):
            raise _refused(where, f"the {name} {value!r}", "a plain name")


def _read(path: Path) -> Any:
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path} has more than {MOST_BYTES >> 20} MB; pass a model as its library saves it")
    try:
        return json.loads(path.read_bytes())  # The libraries use the same parser.
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); pass a model as its library saves it") from None


def _members(content: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name and value of each member of each object in a JSON value, however deep."""
    left = [content]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            yield from value.items()
            left += value.values()
        elif isinstance(value, list):
            left += value


def _refused(where: Path | str, what: str, expected: str) -> InputError:
    return InputError(f"{where} has {what}, with which a model can run code; expected {expected}: use another model")
