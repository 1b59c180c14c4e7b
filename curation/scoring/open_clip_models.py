"""Load a model of open_clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from curation.scoring.checkpoints import Checkpoint
from curation.scoring.model import Model

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

    module, preprocess = open_clip.create_model_from_pretrained(checkpoint.name, checkpoint.pretrained)
    tokenizer = open_clip.get_tokenizer(checkpoint.name)

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
