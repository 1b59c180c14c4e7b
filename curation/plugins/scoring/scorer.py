"""Load an image-text model from a folder or by name, and score images and texts by the cosine of their embeddings.

A model is loaded with the library it is made for: open_clip, or transformers for CLIP, MetaCLIP 2, SigLIP and other
models that embed images and texts. The precision is the only option that changes more than the last digits of scores.
PyTorch is imported only when a scorer is opened, so this module can be imported without PyTorch.
"""

from __future__ import annotations

import logging
import os
import platform
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from isal import isal_zlib as zlib

from curation.foreign_models import OPEN_CLIP_CONFIG, open_clip_towers, require_no_code, require_no_code_in
from runtime.argument_types import require_integer, typed
from runtime.errors import InputError, ParameterError
from runtime.messages import did_you_mean

if TYPE_CHECKING:
    import torch
    from PIL import Image

    Tensors = dict[str, torch.Tensor]

AUTO, CPU = "auto", "cpu"
Precision = Literal["fp32", "bf16", "fp16"]
MOST_BATCH = 1 << 16  # the most images in a batch: more would not fit a GPU
MOST_WORKERS = 1 << 12  # the most threads: no machine runs more at once
_DEVICE = re.compile(rf"{AUTO}|{CPU}|cuda(:[0-9]+)?")

OPEN_CLIP, TRANSFORMERS = "open_clip", "transformers"
SCHEMES = ("hf-hub:", "local-dir:")  # the prefixes of names that open_clip knows
_CONFIGS = {OPEN_CLIP_CONFIG: OPEN_CLIP, "config.json": TRANSFORMERS}  # the first file in a folder decides the library
_NO_CODE = {"trust_remote_code": False}

MOST_CHARACTERS = 4096  # Texts are cut to this length: no model reads more, and a longer word may take seconds.


@typed
@dataclass(frozen=True)
class ScoringConfig:
    """How a model runs.

    batch_size: the number of images that the model embeds at a time; three batches are in memory.
    device: cpu, cuda, a certain GPU such as cuda:1, or auto, which is the first GPU if there is one, else cpu.
    precision: the type in which matrices are multiplied; weights and scores are fp32.
    workers: the number of threads that read and decode images.
    """

    batch_size: int = 256
    device: str = AUTO
    precision: Precision = "fp32"
    workers: int = os.cpu_count() or 1

    def __post_init__(self) -> None:
        require_integer("batch_size", self.batch_size, 1, MOST_BATCH)
        require_integer("workers", self.workers, 1, MOST_WORKERS)
        if not _DEVICE.fullmatch(self.device):
            raise ParameterError(
                f"is {self.device!r}; expected auto, cpu, cuda, or a certain GPU like cuda:1", "device"
            )


@dataclass(frozen=True)
class ScoringModel:
    """A model on the CPU in fp32, and its functions to prepare images and texts and to embed them.

    `image` returns tensors without a batch dimension, `texts` tensors with one. `image_features` and `text_features`
    take tensors with one.
    """

    module: torch.nn.Module
    image: Callable[[Image.Image], Tensors]  # the model's own preprocessing
    texts: Callable[[list[str]], Tensors]  # the model's tokenizer, which cuts long texts
    image_features: Callable[[Tensors], torch.Tensor]
    text_features: Callable[[Tensors], torch.Tensor]
    versions: dict[str, Any]  # the version of each library, by its name


@dataclass(frozen=True)
class Checkpoint:
    """The names of a model and of its weights, as `library` (open_clip or transformers) expects them."""

    library: str
    name: str
    pretrained: str | None = None  # a tag of open_clip, or a file of weights

    @classmethod
    def find(cls, name: str, pretrained: str | None, tags: Mapping[str, Sequence[str]]) -> Checkpoint:
        """Return the checkpoint for a name on the command line and the weights that `--pretrained` names, if any.

        A folder belongs to the library whose config file it holds. Any other name is looked up among the models and
        prefixes of open_clip; if it is not there, OWNER/NAME is a repository for transformers. `tags` has the tags of
        weights of each open_clip model. InputError for any other name, or for weights that this model does not have.
        """
        model_name = name.replace("/", "-")  # open_clip also accepts ViT-B/32.
        if not os.path.isdir(name) and model_name in tags:
            return cls(OPEN_CLIP, model_name, _weights(model_name, pretrained, tags[model_name]))
        if pretrained is not None:
            raise InputError(f"{name} has its own weights; pass --pretrained only with an open_clip name like ViT-B-32")
        if name.startswith(SCHEMES):
            return cls(OPEN_CLIP, name)
        if os.path.isdir(name):
            return _in_folder(name)
        if name.count("/") == 1 and all(name.split("/")) and not name.startswith((".", "~")):
            return cls(TRANSFORMERS, name)
        fault = f"{name} is neither a folder, nor a model of open_clip, nor OWNER/NAME of the Hugging Face hub"
        raise InputError("; ".join(filter(None, [fault, did_you_mean(model_name, tags)])))


def known_models() -> dict[str, list[str]]:
    """Return by open_clip model name the tags of the weights that can be loaded for it."""
    import open_clip

    return {name: open_clip.list_pretrained_tags_by_model(name) for name in open_clip.list_models()}


def _in_folder(folder: str) -> Checkpoint:
    for config, library in _CONFIGS.items():
        if os.path.isfile(os.path.join(folder, config)):
            path = os.path.abspath(folder)
            return Checkpoint(library, f"local-dir:{path}" if library == OPEN_CLIP else path)
    raise InputError(f"{folder} holds neither {' nor '.join(_CONFIGS)}; pass a folder in which a library saved a model")


def _weights(name: str, pretrained: str | None, tags: Sequence[str]) -> str:
    if pretrained is not None and os.path.isfile(pretrained):
        return os.path.abspath(pretrained)
    if pretrained in tags:
        return str(pretrained)
    what = "has no weights of its own" if pretrained is None else f"has no weights called {pretrained}"
    raise InputError(f"{name} {what}; pass --pretrained a file, or one of {', '.join(tags) or '(there are none)'}")


def _of_open_clip(checkpoint: Checkpoint) -> ScoringModel:
    import open_clip

    text = _text_tower(checkpoint.name)
    module, preprocess = open_clip.create_model_from_pretrained(checkpoint.name, checkpoint.pretrained)
    # Other tokenizers do not know this argument.
    tokenizer = open_clip.get_tokenizer(checkpoint.name, **(_NO_CODE if text.get("hf_tokenizer_name") else {}))
    return ScoringModel(
        module,
        lambda picture: {"image": preprocess(picture)},
        lambda texts: {"text": tokenizer(texts)},
        lambda inputs: module.encode_image(**inputs),
        lambda inputs: module.encode_text(**inputs),
        {"open_clip": open_clip.__version__},
    )


def _text_tower(name: str) -> dict[str, Any]:
    """Return the text part of the configuration of an open_clip model; InputError if it brings or names code."""
    import open_clip

    scheme = next((scheme for scheme in SCHEMES if name.startswith(scheme)), None)
    if scheme is None:  # The name is one of open_clip's own.
        return open_clip.get_model_config(name)["text_cfg"]
    text = open_clip_towers(_config_of(name.removeprefix(scheme), OPEN_CLIP_CONFIG)).get("text_cfg", {})
    if text.get("hf_model_name"):
        _require_plain(text["hf_model_name"])
    return text


def _of_transformers(checkpoint: Checkpoint) -> ScoringModel:
    import transformers

    _show_only_downloads()
    name = checkpoint.name
    _require_plain(name)
    module, facts = transformers.AutoModel.from_pretrained(name, dtype="float32", output_loading_info=True, **_NO_CODE)
    if not (hasattr(module, "get_image_features") and hasattr(module, "get_text_features")):
        raise InputError(f"{name} is a {type(module).__name__}, which does not embed images and texts")
    if facts["missing_keys"]:
        raise InputError(f"{name} lacks weights, such as {min(facts['missing_keys'])}; download it again")
    processor = transformers.AutoImageProcessor.from_pretrained(name, **_NO_CODE)
    tokenizer = transformers.AutoTokenizer.from_pretrained(name, **_NO_CODE)
    longest = min(tokenizer.model_max_length, module.config.text_config.max_position_embeddings)

    def image(picture: Image.Image) -> Tensors:
        prepared = processor(images=picture, return_tensors="pt")
        return {name: values[0] for name, values in prepared.items()}

    def texts(strings: list[str]) -> Tensors:
        # All texts are padded to one length, because the scores of a text would be rounded differently otherwise.
        return dict(tokenizer(strings, padding="max_length", truncation=True, max_length=longest, return_tensors="pt"))

    return ScoringModel(
        module,
        image,
        texts,
        lambda inputs: _pooled(module.get_image_features(**inputs)),
        lambda inputs: _pooled(module.get_text_features(**inputs)),
        {"transformers": transformers.__version__},
    )


def _config_of(name: str, file: str) -> Path:
    """Return the path of the configuration `file` of a model, in a folder or downloaded from a repository.

    InputError if any configuration in a folder names code.
    """
    if os.path.isdir(name):
        require_no_code(Path(name))
        return Path(name, file)
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(name, file))


def _require_plain(name: str) -> None:
    """Refuse a model, in a folder or repository, that needs classes which transformers itself does not have."""
    import transformers

    require_no_code_in(_config_of(name, "config.json"))
    transformers.AutoConfig.from_pretrained(name, **_NO_CODE)


def _show_only_downloads() -> None:
    """Disable the progress bars of transformers, but keep the progress bars of downloads."""
    from huggingface_hub.utils import enable_progress_bars
    from transformers.utils import logging

    logging.disable_progress_bar()
    enable_progress_bars()


def _pooled(features: Any) -> Any:
    """Return the pooled features; since transformers 5 models return them with all hidden states."""
    return getattr(features, "pooler_output", features)


class Scorer:
    """A model on its device; `made_by` states what scores depend on, `ran_on` the device, batch size and versions."""

    def __init__(self, model: ScoringModel, checkpoint: Checkpoint, config: ScoringConfig):
        import PIL
        import torch

        self.config = config
        self._model = model
        self._torch = torch
        self.made_by = {
            "library": checkpoint.library,
            "model": checkpoint.name,
            "pretrained": checkpoint.pretrained,
            "weights": checksum_of_weights(model.module),
            "precision": config.precision,
        }
        self._device = torch.device(device_of(config.device))
        model.module.eval().to(self._device)
        versions = {"python": platform.python_version(), "torch": torch.__version__, "pillow": PIL.__version__}
        self.ran_on = {
            "device": torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else CPU,
            "batch_size": config.batch_size,
            "versions": versions | model.versions,
        }

    def prepare(self, image: Image.Image) -> Tensors:
        """Return the model's input for an image: tensors without a batch dimension."""
        return self._model.image(image)

    def scores(self, images: list[Tensors], texts: list[list[str]]) -> list[np.ndarray]:
        """Return for each image an array with the cosines of its texts, float32[text].

        `images` are results of `prepare`, `texts` has a list of one or more texts for each image. InputError if the
        device has too little memory.
        """
        half = {"bf16": self._torch.bfloat16, "fp16": self._torch.float16}.get(self.config.precision)
        autocast = self._torch.autocast(self._device.type, half or self._torch.bfloat16, enabled=half is not None)
        with self._torch.inference_mode(), autocast, self._memory():
            stacked = {}
            for name in images[0]:
                stacked[name] = self._torch.stack([tensors[name] for tensors in images])
            of_images = _unit(self._model.image_features(self._moved(stacked)))
            image = self._torch.arange(len(texts)).repeat_interleave(self._torch.tensor([len(some) for some in texts]))
            cosines = [
                (of_images[image[begin : begin + len(some)]] * of_texts).sum(1).cpu().numpy()
                for begin, some, of_texts in self._embedded([*chain.from_iterable(texts)])
            ]
        return np.split(np.concatenate(cosines), np.cumsum([len(some) for some in texts])[:-1])

    def _embedded(self, texts: list[str]) -> Iterator[tuple[int, list[str], torch.Tensor]]:
        """Yield batches of texts: the index of the first text, the texts, and their embeddings of length 1."""
        for begin in range(0, len(texts), self.config.batch_size):
            some = texts[begin : begin + self.config.batch_size]
            inputs = self._model.texts([text[:MOST_CHARACTERS] for text in some])
            yield begin, some, _unit(self._model.text_features(self._moved(inputs)))

    def _moved(self, inputs: Tensors) -> Tensors:
        return {name: values.to(self._device) for name, values in inputs.items()}

    @contextmanager
    def _memory(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # CUDA raises a subclass, OutOfMemoryError; the CPU raises this class itself.
            if not isinstance(error, self._torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
                raise
            raise InputError(
                f"{self.ran_on['device']} has too little memory for batches of {self.config.batch_size} images; pass a "
                "smaller --batch-size, and run the same command again to resume"
            ) from None


def open_scorer(name: str, pretrained: str | None, config: ScoringConfig) -> Scorer:
    """Return a scorer with the model `name` and the weights `pretrained`; InputError if it cannot be loaded."""
    device_of(config.device)  # The device is checked first, because loading takes minutes.
    checkpoint = Checkpoint.find(name, pretrained, known_models())
    load = _of_open_clip if checkpoint.library == OPEN_CLIP else _of_transformers
    logging.disable(logging.ERROR)  # Libraries log training hints, and each attempt to reach a server.
    try:
        return Scorer(load(checkpoint), checkpoint, config)
    except InputError:
        raise
    except Exception as error:  # Libraries raise whatever a broken file or a missing network leads them to.
        reason = shorten(str(error), 300) or type(error).__name__
        raise InputError(f"{checkpoint.library} cannot load {checkpoint.name}: {reason}") from error
    finally:
        logging.disable(logging.NOTSET)


def device_of(wanted: str) -> str:
    """Return the wanted device; for auto, the first GPU or else the CPU. InputError for a GPU that does not exist."""
    import torch

    if wanted == AUTO:
        return "cuda" if torch.cuda.is_available() else CPU
    number = int(wanted.partition(":")[2] or 0)
    if wanted != CPU and number >= (count := torch.cuda.device_count()):
        raise InputError(f"--device is {wanted}, but PyTorch sees {count} GPUs; pass cpu, or another number")
    return wanted


def checksum_of_weights(module: torch.nn.Module) -> str:
    """Return the CRC-32 (8 hex digits) of the names and values of all weights, to distinguish models of one name."""
    import torch

    checksum = 0
    for name, values in sorted(module.state_dict().items()):
        checksum = zlib.crc32(name.encode(), checksum)
        checksum = zlib.crc32(values.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy(), checksum)
    return f"{checksum:08x}"


def _unit(embeddings: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.nn.functional.normalize(embeddings.float(), dim=-1)
