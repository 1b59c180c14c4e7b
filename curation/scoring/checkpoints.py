"""Tell which library loads the model that a name stands for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from runtime.errors import InputError

OPEN_CLIP, TRANSFORMERS = "open_clip", "transformers"
SCHEMES = ("hf-hub:", "local-dir:")  # which open_clip knows
_CONFIGS = {"open_clip_config.json": OPEN_CLIP, "config.json": TRANSFORMERS}  # the first that a folder has counts


@dataclass(frozen=True)
class Checkpoint:
    """A model with its weights, as its library is asked for it."""

    library: str
    name: str
    pretrained: str | None = None  # a tag of open_clip, or a file of weights

    @classmethod
    def find(cls, name: str, pretrained: str | None, known: Mapping[str, Sequence[str]]) -> Checkpoint:
        """Return what a name stands for; `known` has open_clip's models with the tags of their weights.

        A folder is of the library whose config it holds. open_clip's own names come next, and any other OWNER/NAME is
        a repository of transformers.
        """
        own = name.replace("/", "-")  # open_clip takes ViT-B/32, too
        if not os.path.isdir(name) and own in known:
            return cls(OPEN_CLIP, own, _weights(own, pretrained, known[own]))
        if pretrained is not None:
            raise InputError(f"{name} has weights of its own; --pretrained is for names of open_clip, such as ViT-B-32")
        if name.startswith(SCHEMES):
            return cls(OPEN_CLIP, name)
        if os.path.isdir(name):
            return _in_folder(name)
        if name.count("/") == 1 and all(name.split("/")) and not name.startswith((".", "~")):
            return cls(TRANSFORMERS, name)
        near = get_close_matches(own, known, n=1)
        raise InputError(
            f"{name} is neither a folder, nor a model of open_clip, nor OWNER/NAME of the Hugging Face hub"
            + (f"; did you mean {near[0]}?" if near else "")
        )


def _in_folder(folder: str) -> Checkpoint:
    for config, library in _CONFIGS.items():
        if os.path.isfile(os.path.join(folder, config)):
            path = os.path.abspath(folder)
            return Checkpoint(library, f"local-dir:{path}" if library == OPEN_CLIP else path)
    raise InputError(f"{folder} holds neither {' nor '.join(_CONFIGS)}; give a model as its library saves it")


def _weights(name: str, pretrained: str | None, tags: Sequence[str]) -> str:
    if pretrained is not None and os.path.isfile(pretrained):
        return os.path.abspath(pretrained)
    if pretrained in tags:
        return str(pretrained)
    what = "has no weights of its own" if pretrained is None else f"has no weights called {pretrained}"
    raise InputError(f"{name} {what}; give --pretrained a file, or one of {', '.join(tags) or '(it has no others)'}")
