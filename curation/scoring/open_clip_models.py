"""Load a model of open_clip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from curation.foreign_models import OPEN_CLIP_CONFIG, open_clip_towers
from curation.scoring.checkpoints import SCHEMES, Checkpoint
from curation.scoring.model import Model
from curation.scoring.transformers_models import config_of, require_plain

if TYPE_CHECKING:
    from PIL import Image

    from curation.scoring.model import Tensors


def known_models() -> dict[str, list[str]]:
    """Return open_clip's models with the tags of their weights."""
    import open_clip

    return {name: open_clip.list_pretrained_tags_by_model(name) for name in open_clip.list_models()}


def load(checkpoint: Checkpoint) -> Model:
    """Return a model with its weights."""
    import open_clip

    text = _text_tower(checkpoint.name)
    module, preprocess = open_clip.create_model_from_pretrained(checkpoint.name, checkpoint.pretrained)
    # Other tokenizers do not know this argument.
    no_code = {"trust_remote_code": False} if text.get("hf_tokenizer_name") else {}
    tokenizer = open_clip.get_tokenizer(checkpoint.name, **no_code)

    def image(picture: Image.Image) -> Tensors:
        return {"image": preprocess(picture)}

    def texts(given: list[str]) -> Tensors:
        return {"text": tokenizer(given)}

    return Model(
        module,
        image,
        texts,
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
    text = open_clip_towers(config_of(name.removeprefix(scheme), OPEN_CLIP_CONFIG)).get("text_cfg", {})
    if text.get("hf_model_name"):
        require_plain(text["hf_model_name"])
    return text
