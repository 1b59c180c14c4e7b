"""Folders of models whose configuration asks a library to run a module that lies beside it, which writes a file."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.clip_models import open_clip_model, transformers_model

RAN = "code-ran"
_CLASS = """
from pathlib import Path
from transformers import {base}
Path({ran!r}).touch()
class Own({base}):
    pass
"""


def add_code(folder: Path, base: str) -> Path:
    """Write the module own.py, in which a class of transformers is derived; return the file that it writes when run."""
    ran = folder.parent / RAN
    (folder / "own.py").write_text(_CLASS.format(base=base, ran=str(ran)))
    return ran


def merge(path: Path, more: dict) -> None:
    """Add members to a JSON file, made where there is none."""
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | more))


def open_clip_with_code(folder: Path) -> Path:
    """Save a model whose tokenizer is of the folder's own code; return the file that the code writes."""
    open_clip_model(folder)
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"] |= {"hf_tokenizer_name": "own", "tokenizer_kwargs": {"trust_remote_code": True}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    merge(folder / "tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["own.Own", None]}})
    merge(folder / "config.json", {"model_type": "own"})
    return add_code(folder, "PreTrainedTokenizer")


def open_clip_with_texts_of(folder: Path, name: str) -> Path:
    """Save a model whose text tower is the model `name` of transformers; return its configuration."""
    open_clip_model(folder)
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"] |= {"hf_model_name": name}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder / "open_clip_config.json"


def transformers_with_code(folder: Path) -> Path:
    """Save a model whose configuration is of the folder's own code; return the file that the code writes."""
    transformers_model(folder)
    merge(folder / "config.json", {"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}})
    return add_code(folder, "PretrainedConfig")


def sentence_encoder_with_code(folder: Path, encoder: Path) -> Path:
    """Copy an encoder and make a module of it the folder's own code; return the file that the code writes."""
    folder.mkdir(parents=True)
    for path in encoder.rglob("*"):
        if path.is_file():
            copy = folder / path.relative_to(encoder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "own.Own"
    (folder / "modules.json").write_text(json.dumps(modules))
    return add_code(folder, "PretrainedConfig")
