"""The numbers of online balancing, and the rank of a process among those that train together."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from curation.online.experts import Expert
from runtime.errors import InputError, require_share


@dataclass(frozen=True)
class OnlineConfig:
    """The numbers that decide what an epoch keeps and in which order.

    seed: another seed keeps other samples, in another order.
    mixed_blocks: blocks of the index whose samples are shuffled among each other.
    caption_ratio: of samples with a caption, the share whose text it is.
    expert: the expert whose images alone are kept; None: all.
    """

    seed: int = 0
    mixed_blocks: int = 16
    caption_ratio: float = 0.15  # as in Altogether (2410.17251)
    expert: Expert | None = None

    def __post_init__(self) -> None:
        if self.mixed_blocks < 1:
            raise InputError(f"mixed_blocks is {self.mixed_blocks}; it must be at least 1")
        require_share("caption_ratio", self.caption_ratio)


@dataclass(frozen=True)
class World:
    """One of the processes that train together."""

    rank: int = 0
    size: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.size:
            raise InputError(
                f"rank {self.rank} of {self.size} processes; ranks go from 0 to one less than their number"
            )

    @classmethod
    def here(cls) -> World:
        """Return the rank and size that torch.distributed has in this process, or else torchrun's environment."""
        torch = sys.modules.get("torch")  # not imported for this: where nobody did, no group of processes was made
        if torch and torch.distributed.is_available() and torch.distributed.is_initialized():
            return cls(torch.distributed.get_rank(), torch.distributed.get_world_size())
        return cls(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))
