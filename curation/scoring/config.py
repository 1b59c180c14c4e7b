"""Options of how a model runs; only the precision changes scores beyond their last digits."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Literal, get_args

from runtime.errors import ParameterError, require_integer, require_one_of

AUTO, CPU = "auto", "cpu"
Precision = Literal["fp32", "bf16", "fp16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
MOST_BATCH, MOST_WORKERS = 1 << 16, 1 << 12  # more images would not fit a GPU, and more threads no machine
_DEVICE = re.compile(rf"{AUTO}|{CPU}|cuda(:[0-9]+)?")


@dataclass(frozen=True)
class ScoringConfig:
    """How a model runs.

    batch_size: images that the model sees at a time; three batches are in memory.
    device: cpu, cuda, or of several GPUs cuda:1; auto: the first GPU where there is one.
    precision: that of products of matrices; weights and scores are fp32.
    workers: threads that read and decode images.
    """

    batch_size: int = 256
    device: str = AUTO
    precision: Precision = "fp32"
    workers: int = os.cpu_count() or 1

    def __post_init__(self) -> None:
        require_integer("batch_size", self.batch_size, 1, MOST_BATCH)
        require_integer("workers", self.workers, 1, MOST_WORKERS)
        require_one_of("precision", self.precision, PRECISIONS)
        if not _DEVICE.fullmatch(self.device):
            raise ParameterError(f"is {self.device!r}; expected auto, cpu, cuda or, of several GPUs, cuda:1", "device")
