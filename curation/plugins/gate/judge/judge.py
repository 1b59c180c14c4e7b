"""The judge: a linear model that tells junk and headlines from texts that describe their picture.

It reads the text, the URL, and what the page says about the image (`kernels.features`). It learns nothing about hosts.
A judge is made from a file of weights that `tools/train_judge.py` has written; judge.json is the file of this package.
"""

from __future__ import annotations

import base64
import hashlib
import json
import unicodedata
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.plugins.gate.filters import ImageBatch, shared
from curation.plugins.gate.kernels import features as kernels
from curation.plugins.gate.kernels.url_paths import find_names
from curation.plugins.gate.policies.image_rules import urls_of
from curation.plugins.gate.policies.text_rules import letters
from curation.schemas import IMAGE_PLACES, JUDGEMENT, PAGE_KINDS
from runtime.arrow import string_buffers
from runtime.errors import InputError
from runtime.messages import shortened
from runtime.shipping import Shipped

FORMAT = "clip-curation judge 2"
OLD_FORMATS = ("clip-curation judge 1",)  # Its weights know no surroundings.
OUTPUTS = ("junk", "headline")  # names of columns of weights, and of rules; all other texts describe their picture
_NAME_ONE = "specify one that tools/train_judge.py has written"
_LARGEST = 4 << 20  # bytes of a file of weights
_SHAPE = (1 << kernels.BITS, len(OUTPUTS))
_SHIFTS = Counter[int]()  # bits of signals, by how far they are from their places in facts
for _place, _bit in enumerate(IMAGE_PLACES.values()):
    _SHIFTS[_bit.bit_length() - 1 - _place] += _bit


@dataclass(frozen=True)
class Judge:
    """A linear model: `weights` of features, int8[2**BITS, output], and the bias of each output.

    A score is the bias plus `step` times the sum of the features' weights. `facts` describes the rows from which the
    weights were learnt.
    """

    weights: np.ndarray
    step: float
    bias: tuple[float, ...]
    facts: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> Judge:
        """Return the judge in a file of weights; InputError if the file has no weights or is damaged."""
        try:
            is_file = path.is_file()
            content = _beginning(path) if is_file else b""
        except OSError as error:
            raise InputError(f"--judge {shortened(str(path))} cannot be read ({error.strerror}); {_NAME_ONE}") from None
        if not is_file or len(content) > _LARGEST:
            raise InputError(f"--judge {path} is not a file of weights; {_NAME_ONE}")
        return cls.parse(content, str(path))

    @classmethod
    def parse(cls, content: bytes, name: str) -> Judge:
        """Return the judge in the content of a file; InputError if it is invalid. `name` names the file in messages."""
        try:
            stated = json.loads(content)
            if stated["format"] != FORMAT:
                raise ValueError(stated["format"])
            if tuple(stated["outputs"]) != OUTPUTS:
                raise ValueError(stated["outputs"])
            step = float(stated["step"])
            bias = tuple(map(float, stated["bias"]))
            unpacked = zlib.decompressobj().decompress(base64.b64decode(stated["weights"]), _SHAPE[0] * _SHAPE[1] + 1)
            weights = np.frombuffer(unpacked, np.int8).reshape(_SHAPE)
            facts = dict(stated["learnt_from"])
            is_whole = stated["digest"] == digest(weights, step, bias) and len(bias) == len(OUTPUTS)
            if not is_whole or not np.isfinite([step, *bias]).all():
                raise ValueError("digest")
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError, zlib.error) as error:
            if str(error) in OLD_FORMATS:
                raise InputError(
                    f"--judge {name} has weights of an earlier version; train them again with tools/train_judge.py"
                ) from error
            raise InputError(
                f"--judge {name} is damaged, or its format is not {FORMAT!r} with the outputs "
                f"{' and '.join(OUTPUTS)} in this order; write it again with tools/train_judge.py"
            ) from error
        return cls(weights, step, bias, facts)

    def content(self) -> bytes:
        """Return the content of a file that `parse` takes."""
        stated = {
            "format": FORMAT,
            "outputs": OUTPUTS,
            "learnt_from": dict(self.facts),
            "step": self.step,
            "bias": self.bias,
            "digest": self.digest,
            "weights": base64.b64encode(zlib.compress(self.weights.tobytes(), 9)).decode(),
        }
        return (json.dumps(stated, indent=1) + "\n").encode()

    @cached_property
    def packed(self) -> np.ndarray:
        """The weights of both outputs in one number each, as `score_texts` adds them."""
        return self.weights.astype(np.int32) @ np.array([kernels.PACKED, 1], np.int32)

    @property
    def digest(self) -> str:
        """The SHA-256 of everything that scores are computed from: weights, step and bias."""
        return digest(self.weights, self.step, self.bias)

    def probabilities(self, batch: ImageBatch) -> np.ndarray:
        """Return float64[text, output]: how probably each text is junk, and a headline.

        Filters share the last result.
        """
        return _probabilities(batch, self)


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LARGEST + 1)


def digest(weights: np.ndarray, step: float, bias: tuple[float, ...]) -> str:
    """Return the SHA-256 of weights, step and bias, and of the order of OUTPUTS."""
    return hashlib.sha256(weights.tobytes() + repr((OUTPUTS, step, bias)).encode()).hexdigest()


@lru_cache(maxsize=1)
def standard() -> Judge:
    """Return the judge of this package."""
    return Judge.parse(files("curation.plugins.gate.judge").joinpath("judge.json").read_bytes(), "judge.json")


@dataclass(frozen=True)
class JudgedOutput:
    """An output of a judge; texts are removed if it is at least `percent` percent probable.

    `weights` has the file of a user's judge; if it is None, the judge is `standard`.
    """

    output: str
    percent: int
    weights: Shipped | None = None

    @property
    def judge(self) -> Judge:
        """The judge, in a worker."""
        return self.weights.opened(Judge.read) if self.weights else standard()

    def probabilities(self, batch: ImageBatch) -> np.ndarray:
        """Return float64[text]: the probability that each text is `self.output`, junk or a headline."""
        return self.judge.probabilities(batch)[:, OUTPUTS.index(self.output)]


def is_judged(batch: ImageBatch, judged: JudgedOutput) -> np.ndarray:
    """Return bool[text]: whether the probability of the output is at least its percentage."""
    return judged.probabilities(batch) >= judged.percent / 100


def judgement(texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch) -> pa.StructArray:
    """Return, for the manifest, the probabilities that the judge of this package gives to texts.

    `texts` are candidates of images of a MATCHED batch, and `images` has the row of each text's image.
    """
    probable = standard().probabilities(ImageBatch(batch, texts, images)).astype(np.float32)
    return pa.StructArray.from_arrays([*map(pa.array, probable.T.copy())], fields=list(JUDGEMENT))


@shared
def _probabilities(batch: ImageBatch, judge: Judge) -> np.ndarray:
    _, _, sums = score_batch(batch, judge.packed, 1)
    odds = np.exp(np.clip(judge.step * sums + np.array(judge.bias)[:, None], -50, 50))
    return (odds / (1 + odds.sum(axis=0))).T


def score_batch(batch: ImageBatch, weights: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return numbers of features, `rows` rows of features, and sums of weights of texts, as `score_texts` sets them."""
    images = batch.images
    offsets, data, paths = urls_of(batch)
    names = np.empty((images.num_rows, 3), np.int64)
    find_names(data, paths, names)
    text_offsets, text_data = string_buffers(batch.texts.field("text"))
    numbers_of_kinds = pc.index_in(batch.texts.field("kind"), pa.array(PAGE_KINDS))
    kinds = numbers_of_kinds.fill_null(len(PAGE_KINDS)).cast(pa.int64()).to_numpy()
    stated_offsets, stated = string_buffers(batch.texts.field("page_url"))
    page_offsets, pages = string_buffers(images["page_url"])
    counts = np.empty(len(batch.texts), np.int64)
    numbers = np.empty((rows, kernels.MAX_FEATURES), np.uint16)
    sums = np.empty((len(OUTPUTS), len(batch.texts)), np.int64)
    kernels.score_texts(
        text_data,
        text_offsets,
        kinds,
        batch.image,
        data,
        paths,
        names,
        stated,
        stated_offsets,
        pages,
        page_offsets,
        facts_of(images),
        classes(),
        weights,
        np.empty(32, np.uint64),
        np.empty(32, np.uint64),
        counts,
        numbers,
        sums,
    )
    return counts, numbers, sums


def facts_of(images: pa.RecordBatch) -> np.ndarray:
    """Return int64[FACTS, image]: the facts that pages state of images, for `add_facts`; -1 for numbers not stated."""
    facts = np.zeros((kernels.FACTS, images.num_rows), np.int64)
    signals = images["signals"].fill_null(0).to_numpy()
    for shift, bits in _SHIFTS.items():
        facts[kernels.PLACES_OF] |= (signals & bits) >> shift
    facts[kernels.WIDTH_OF] = images["stated_width"].fill_null(-1).to_numpy()
    facts[kernels.HEIGHT_OF] = images["stated_height"].fill_null(-1).to_numpy()
    shown = images["shown"].fill_null(0).to_numpy()
    facts[kernels.SHOWN_OF] = np.where(shown > 0, shown, -1)
    facts[kernels.SURROUNDINGS_OF] = images["surroundings"].fill_null(-1).to_numpy()
    return facts


@lru_cache(maxsize=1)
def classes() -> np.ndarray:
    """Return the class of each character, int32[LETTERS], as `letters` has it, with UPPER added for a capital."""
    is_capital = np.array([unicodedata.category(chr(code)) in ("Lu", "Lt") for code in range(len(letters()))])
    is_letter = (letters() != kernels.APART) & (letters() != kernels.MARK)
    return (letters() + kernels.UPPER * (is_capital & is_letter)).astype(np.int32)


def features(batch: ImageBatch) -> list[np.ndarray]:
    """Return the features of each text, as sorted numbers, uint16; a number may occur twice."""
    counts, numbers, _ = score_batch(batch, np.zeros(_SHAPE[0], np.int32), len(batch.texts))
    return [np.sort(row[:count]) for row, count in zip(numbers, counts, strict=True)]
