"""Choose how a model runs: none of it changes a score by more than its last digits, but for the precision."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from runtime.errors import ParameterError
from runtime.parameters import require_integer, require_one_of

AUTO, CPU = "auto", "cpu"
PRECISIONS = ("fp32", "bf16", "fp16")
_DEVICE = re.compile(rf"{AUTO}|{CPU}|cuda(:[0-9]+)?")


@dataclass(frozen=True)
class ScoringConfig:
    """How a model runs."""

    batch_size: int = 256  # images that the model sees at a time; three batches are in memory
    device: str = AUTO  # the first GPU where there is one
    precision: str = "fp32"  # of products of matrices; weights and scores are fp32
    workers: int = os.cpu_count() or 1  # threads that read and decode images

    def __post_init__(self) -> None:
        for name in ("batch_size", "workers"):
            require_integer(name, getattr(self, name), minimum=1)
        require_one_of("precision", self.precision, PRECISIONS)
        if not _DEVICE.fullmatch(self.device):
            raise ParameterError(f"is {self.device!r}; expected auto, cpu, cuda or, of several GPUs, cuda:1", "device")
