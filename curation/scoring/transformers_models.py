"""Load a model of transformers: CLIP, MetaCLIP 2, SigLIP and others with features of images and of texts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.foreign_models import require_no_code, require_no_code_in
from curation.scoring.checkpoints import Checkpoint
from curation.scoring.model import Model
from runtime.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

    from curation.scoring.model import Tensors


def load(checkpoint: Checkpoint) -> Model:
    """Return a model with its weights; one that lacks some of them is refused."""
    import transformers

    _show_only_downloads()
    name, no_code = checkpoint.name, {"trust_remote_code": False}
    require_plain(name)
    module, found = transformers.AutoModel.from_pretrained(name, dtype="float32", output_loading_info=True, **no_code)
    if not (hasattr(module, "get_image_features") and hasattr(module, "get_text_features")):
        raise InputError(f"{name} is a {type(module).__name__}, which does not embed images and texts")
    if found["missing_keys"]:
        raise InputError(f"{name} lacks weights, such as {min(found['missing_keys'])}; fetch it again")
    processor = transformers.AutoImageProcessor.from_pretrained(name, **no_code)
    tokenizer = transformers.AutoTokenizer.from_pretrained(name, **no_code)
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


def config_of(name: str, file: str) -> Path:
    """Return a file of configuration of a folder or repository; all others of a folder are checked, too."""
    if os.path.isdir(name):
        require_no_code(Path(name))
        return Path(name, file)
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(name, file))


def require_plain(name: str) -> None:
    """Refuse a model, in a folder or a repository, that is not of the classes of transformers itself."""
    import transformers

    require_no_code_in(config_of(name, "config.json"))
    transformers.AutoConfig.from_pretrained(name, trust_remote_code=False)


def _show_only_downloads() -> None:
    """Leave out progress bars of single seconds."""
    from huggingface_hub.utils import enable_progress_bars
    from transformers.utils import logging

    logging.disable_progress_bar()
    enable_progress_bars()


def _pooled(features: Any) -> Any:
    """Return the features themselves: since version 5 they come with all hidden states."""
    return getattr(features, "pooler_output", features)
