"""Load an image-text model, from a folder or by name, with the library it is made for: open_clip or transformers.

From transformers: CLIP, MetaCLIP 2, SigLIP and other models that give features of images and of texts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.foreign_models import OPEN_CLIP_CONFIG, open_clip_towers, require_no_code, require_no_code_in
from runtime.errors import InputError

if TYPE_CHECKING:
    import torch
    from PIL import Image

    Tensors = dict[str, torch.Tensor]

OPEN_CLIP, TRANSFORMERS = "open_clip", "transformers"
SCHEMES = ("hf-hub:", "local-dir:")  # which open_clip knows
_CONFIGS = {OPEN_CLIP_CONFIG: OPEN_CLIP, "config.json": TRANSFORMERS}  # the first that a folder has counts
_NO_CODE = {"trust_remote_code": False}


@dataclass(frozen=True)
class Model:
    """A model on the CPU in fp32; tensors of images have no dimension of the batch, those of texts have."""

    module: torch.nn.Module
    image: Callable[[Image.Image], Tensors]  # its own preprocessing
    texts: Callable[[list[str]], Tensors]  # its own tokenizer, which cuts what is too long
    image_features: Callable[[Tensors], torch.Tensor]
    text_features: Callable[[Tensors], torch.Tensor]
    versions: dict[str, Any]  # of the library


@dataclass(frozen=True)
class Checkpoint:
    """A model with its weights, named as its library needs it."""

    library: str
    name: str
    pretrained: str | None = None  # a tag of open_clip, or a file of weights

    @classmethod
    def find(cls, name: str, pretrained: str | None, known: Mapping[str, Sequence[str]]) -> Checkpoint:
        """Return the model that a name stands for; `known` has open_clip's models with the tags of their weights.

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

    def load(self) -> Model:
        """Return the model with its weights; one that brings code is refused, and one that lacks weights."""
        return (_of_open_clip if self.library == OPEN_CLIP else _of_transformers)(self)


def known_models() -> dict[str, list[str]]:
    """Return open_clip's models with the tags of their weights."""
    import open_clip

    return {name: open_clip.list_pretrained_tags_by_model(name) for name in open_clip.list_models()}


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


def _of_open_clip(checkpoint: Checkpoint) -> Model:
    import open_clip

    text = _text_tower(checkpoint.name)
    module, preprocess = open_clip.create_model_from_pretrained(checkpoint.name, checkpoint.pretrained)
    # Other tokenizers do not know this argument.
    tokenizer = open_clip.get_tokenizer(checkpoint.name, **(_NO_CODE if text.get("hf_tokenizer_name") else {}))
    return Model(
        module,
        lambda picture: {"image": preprocess(picture)},
        lambda texts: {"text": tokenizer(texts)},
        lambda inputs: module.encode_image(**inputs),
        lambda inputs: module.encode_text(**inputs),
        {"open_clip": open_clip.__version__},
    )


def _text_tower(name: str) -> dict[str, Any]:
    """Return what the configuration of a model says of its texts; refuse a model that brings code, or names such."""
    import open_clip

    scheme = next((scheme for scheme in SCHEMES if name.startswith(scheme)), None)
    if scheme is None:  # of open_clip's own
        return open_clip.get_model_config(name)["text_cfg"]
    text = open_clip_towers(_config_of(name.removeprefix(scheme), OPEN_CLIP_CONFIG)).get("text_cfg", {})
    if text.get("hf_model_name"):
        _require_plain(text["hf_model_name"])
    return text


def _of_transformers(checkpoint: Checkpoint) -> Model:
    import transformers

    _show_only_downloads()
    name = checkpoint.name
    _require_plain(name)
    module, found = transformers.AutoModel.from_pretrained(name, dtype="float32", output_loading_info=True, **_NO_CODE)
    if not (hasattr(module, "get_image_features") and hasattr(module, "get_text_features")):
        raise InputError(f"{name} is a {type(module).__name__}, which does not embed images and texts")
    if found["missing_keys"]:
        raise InputError(f"{name} lacks weights, such as {min(found['missing_keys'])}; fetch it again")
    processor = transformers.AutoImageProcessor.from_pretrained(name, **_NO_CODE)
    tokenizer = transformers.AutoTokenizer.from_pretrained(name, **_NO_CODE)
    longest = min(tokenizer.model_max_length, module.config.text_config.max_position_embeddings)

    def image(picture: Image.Image) -> Tensors:
        prepared = processor(images=picture, return_tensors="pt")
        return {name: values[0] for name, values in prepared.items()}

    def texts(given: list[str]) -> Tensors:
        # All as long: padding shorter batches less would round the same text otherwise.
        return dict(tokenizer(given, padding="max_length", truncation=True, max_length=longest, return_tensors="pt"))

    return Model(
        module,
        image,
        texts,
        lambda inputs: _pooled(module.get_image_features(**inputs)),
        lambda inputs: _pooled(module.get_text_features(**inputs)),
        {"transformers": transformers.__version__},
    )


def _config_of(name: str, file: str) -> Path:
    """Return a configuration file of a folder or repository; all other ones in a folder are checked, too."""
    if os.path.isdir(name):
        require_no_code(Path(name))
        return Path(name, file)
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(name, file))


def _require_plain(name: str) -> None:
    """Refuse a model, in a folder or a repository, that is not of the classes of transformers itself."""
    import transformers

    require_no_code_in(_config_of(name, "config.json"))
    transformers.AutoConfig.from_pretrained(name, **_NO_CODE)


def _show_only_downloads() -> None:
    """Leave out progress bars of single seconds."""
    from huggingface_hub.utils import enable_progress_bars
    from transformers.utils import logging

    logging.disable_progress_bar()
    enable_progress_bars()


def _pooled(features: Any) -> Any:
    """Return the features themselves: since version 5 they come with all hidden states."""
    return getattr(features, "pooler_output", features)
