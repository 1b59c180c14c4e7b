"""The checks of the gate in the task that reads a file: conditions and rules, and their answers for each batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from runtime.arrow.buffers import parts

TEXT_LEFT = "a text is left"  # the last condition where there are rules over texts
ImageRule = Callable[[pa.RecordBatch], np.ndarray]  # of a MATCHED batch: bool[image], which ones must go
# Of the texts of all images, the number of each one's image, and the MATCHED batch: bool[text], which ones must go.
TextRule = Callable[[pa.StructArray, np.ndarray, pa.RecordBatch], np.ndarray]


@dataclass(frozen=True)
class Checks:
    """So many conditions over so many tables, evaluation sets that tables tell of, and rules for images and texts."""

    conditions: int
    tables: int
    sets: int = 0
    known: Callable[[pa.RecordBatch], np.ndarray] | None = None  # the sets that have the URL of each image, as bits
    image_rules: Sequence[ImageRule] = ()
    text_rules: Sequence[TextRule] = ()

    @property
    def images(self) -> int:
        """The number of conditions that an image itself fails or meets, rather than all of its texts."""
        return self.conditions + len(self.image_rules) + self.sets

    def failed(self, batch: pa.RecordBatch, met: np.ndarray, sets: np.ndarray) -> Failures:
        """Return what fails in a MATCHED batch, given the conditions that are met, and the sets that images are in."""
        texts, offsets = parts(batch["candidates"])
        image = np.repeat(np.arange(batch.num_rows), np.diff(offsets))
        by_text = _columns([rule(texts, image, batch) for rule in self.text_rules], len(texts))
        by_image = [*~bits(met, self.conditions).T, *(rule(batch) for rule in self.image_rules)]
        by_image += [*bits(sets if self.known is None else sets | self.known(batch).astype(np.int64), self.sets).T]
        if self.text_rules:
            left = np.bincount(image[~by_text.any(axis=1)], minlength=batch.num_rows)
            by_image.append(left == 0)
        return Failures(_columns(by_image, batch.num_rows), by_text, image)


@dataclass(frozen=True)
class Failures:
    """The conditions that images fail, and the rules that their texts fail."""

    images: np.ndarray  # bool[image, condition]; the last one that a text is left, where there are rules
    texts: np.ndarray  # bool[text, rule]
    image_of_text: np.ndarray  # the number of each text's image


def bits(numbers: np.ndarray, count: int) -> np.ndarray:
    """Return bool[row, bit] of the lowest `count` bits of numbers."""
    return (numbers[:, None] >> np.arange(count)[None, :] & 1).astype(bool)


def _columns(columns: list[np.ndarray], rows: int) -> np.ndarray:
    return np.column_stack(columns) if columns else np.zeros((rows, 0), bool)
