"""Score images and texts with a model in PyTorch: the cosine of their embeddings.

PyTorch is imported only when a scorer is opened, so importing this module does not need it.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np
from isal import isal_zlib as zlib

from curation.scoring.config import AUTO, CPU, ScoringConfig
from curation.scoring.models import Checkpoint, Model, known_models
from runtime.errors import InputError

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from curation.scoring.models import Tensors

MOST_CHARACTERS = 4096  # of a text: some tokenizers take seconds for a longer word, and no model reads so far


class Scorer:
    """A model on its device; `made_by` is what scores depend on, `ran_on` all else."""

    def __init__(self, model: Model, checkpoint: Checkpoint, config: ScoringConfig):
        import PIL
        import torch

        self.config, self._model, self._torch = config, model, torch
        self.made_by = {
            "library": checkpoint.library,
            "model": checkpoint.name,
            "pretrained": checkpoint.pretrained,
            "weights": checksum_of_weights(model.module),
            "precision": config.precision,
        }
        self._device = torch.device(device_of(config.device))
        self._kind = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[config.precision]
        model.module.eval().to(self._device)
        versions = {"python": platform.python_version(), "torch": torch.__version__, "pillow": PIL.__version__}
        self.ran_on = {
            "device": torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else CPU,
            "batch_size": config.batch_size,
            "versions": versions | model.versions,
        }

    def prepare(self, image: Image.Image) -> Tensors:
        """Return an image as the model takes it."""
        return self._model.image(image)

    def scores(self, images: list[Tensors], texts: list[list[str]]) -> list[np.ndarray]:
        """Return the scores of the texts of each image."""
        with self._torch.inference_mode(), self._autocast(), self._memory():
            stacked = {name: self._torch.stack([each[name] for each in images]) for name in images[0]}
            of_images = _unit(self._model.image_features(self._moved(stacked)))
            own = self._torch.arange(len(texts)).repeat_interleave(self._torch.tensor([len(each) for each in texts]))
            cosines = [
                (of_images[own[begin : begin + len(some)]] * of_texts).sum(1).cpu().numpy()
                for begin, some, of_texts in self._embedded([*chain.from_iterable(texts)])
            ]
        return np.split(np.concatenate(cosines), np.cumsum([len(each) for each in texts])[:-1])

    def _embedded(self, texts: list[str]) -> Iterator[tuple[int, list[str], torch.Tensor]]:
        """Yield the embeddings of texts, a batch at a time, with the number of the first."""
        for begin in range(0, len(texts), self.config.batch_size):
            some = texts[begin : begin + self.config.batch_size]
            inputs = self._model.texts([text[:MOST_CHARACTERS] for text in some])
            yield begin, some, _unit(self._model.text_features(self._moved(inputs)))

    def _moved(self, inputs: Tensors) -> Tensors:
        return {name: values.to(self._device) for name, values in inputs.items()}

    def _autocast(self) -> Any:
        is_half = self._kind != self._torch.float32
        return self._torch.autocast(self._device.type, self._kind if is_half else self._torch.bfloat16, enabled=is_half)

    @contextmanager
    def _memory(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # CUDA's is one, the CPU's has no class of its own
            if not isinstance(error, self._torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
                raise
            raise InputError(
                f"{self.ran_on['device']} has no memory left for batches of {self.config.batch_size}; give a smaller "
                "--batch-size, and run the same command again to go on"
            ) from None


def open_scorer(name: str, pretrained: str | None, config: ScoringConfig) -> Scorer:
    """Return the scorer that a name stands for; InputError where it cannot be loaded."""
    device_of(config.device)  # before minutes of loading
    checkpoint = Checkpoint.find(name, pretrained, known_models())
    try:
        with _without_logs():
            return Scorer(checkpoint.load(), checkpoint, config)
    except InputError:
        raise
    except Exception as error:  # libraries raise whatever a broken file or a missing network leads them to
        reason = shorten(str(error), 300) or type(error).__name__
        raise InputError(f"{checkpoint.library} cannot load {checkpoint.name}: {reason}") from error


@contextmanager
def _without_logs() -> Iterator[None]:
    """Leave out what libraries log for those who train, and each try to reach a server."""
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def device_of(wanted: str) -> str:
    """Return the device that was asked for, or the first GPU; refuse one that is not there."""
    import torch

    if wanted == AUTO:
        return "cuda" if torch.cuda.is_available() else CPU
    number = int(wanted.partition(":")[2] or 0)
    if wanted != CPU and number >= (count := torch.cuda.device_count()):
        raise InputError(f"--device is {wanted}, and PyTorch sees {count} GPUs; give cpu, or another number")
    return wanted


def checksum_of_weights(module: torch.nn.Module) -> str:
    """Return a checksum of all weights, by which two models of one name are told apart."""
    import torch

    checksum = 0
    for name, values in sorted(module.state_dict().items()):
        checksum = zlib.crc32(name.encode(), checksum)
        checksum = zlib.crc32(values.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy(), checksum)
    return f"{checksum:08x}"


def _unit(embeddings: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.nn.functional.normalize(embeddings.float(), dim=-1)
