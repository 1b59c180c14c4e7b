"""The parts of a model that a run needs, so that the run itself needs no PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from curation.scoring.config import ScoringConfig

if TYPE_CHECKING:
    from PIL import Image


class Scorer(Protocol):
    """A model that scores images and texts."""

    config: ScoringConfig
    made_by: dict[str, Any]  # what scores depend on: the model and its precision
    ran_on: dict[str, Any]  # device and versions

    def prepare(self, image: Image.Image) -> Any:
        """Return an image of RGB as the model takes it; called in threads."""

    def scores(self, images: list[Any], texts: list[list[str]]) -> list[np.ndarray]:
        """Return the scores of the texts of each image, float32."""
