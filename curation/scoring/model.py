"""An image-text model of any library, as the four functions that a score needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from PIL import Image

    Tensors = dict[str, torch.Tensor]

MOST_CHARACTERS = 4096  # of a text: some tokenizers take seconds for a longer word, and no model reads so far


@dataclass(frozen=True)
class Model:
    """A model on the CPU in fp32; tensors of images have no dimension of the batch, those of texts have."""

    module: torch.nn.Module
    image: Callable[[Image.Image], Tensors]  # its own preprocessing
    texts: Callable[[list[str]], Tensors]  # its own tokenizer, which cuts what is too long
    image_features: Callable[[Tensors], torch.Tensor]
    text_features: Callable[[Tensors], torch.Tensor]
    versions: dict[str, Any]  # of the library
