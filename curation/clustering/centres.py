"""Centres with prices, and the centre of each vector: the one with the least squared distance plus price.

A vector's centre and distance depend on that vector alone. They have the same bits however vectors are cut into blocks
and whatever the matrix library and its threads do: its products only narrow the choice (`kernels.clusters`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from curation.kernels import clusters as kernels

BLOCK = 1024  # vectors whose products are in memory together
_UNIT = 2.0**-24  # the rounding error of a float32
_SMALL, _LARGE = 1e-12, 1e37  # lengths below and products above are not float32's


@dataclass(frozen=True, eq=False)
class Centres:
    """Centres, float32[centre, dimension], and the price of each, float64."""

    vectors: np.ndarray
    prices: np.ndarray

    def __len__(self) -> int:
        return len(self.vectors)

    def assign(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the centre of each of float32[vector, dimension], int32, and its squared distance, float64."""
        numbers, squares = np.empty(len(vectors), np.int32), np.empty(len(vectors))
        room = np.empty((min(BLOCK, len(vectors)), len(self)), np.float32)
        for some, block in _blocks(vectors):
            with _overflows():
                products, slack = np.matmul(block, self.vectors.T, out=room[: len(block)]), self._slack(block)
            kernels.assign(block, self.vectors, products, self._bias, self.prices, slack, numbers[some], squares[some])
        return numbers, squares

    def nearest(self, vectors: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the `number` best centres of each vector, int32[vector, place], and their squared distances."""
        lists = np.zeros((len(vectors), number), np.int32)
        squares = np.zeros((len(vectors), number))
        for some, block in _blocks(vectors):
            with _overflows():
                estimates = self._bias - 2 * (block @ self.vectors.T)
                limits = np.partition(estimates, number - 1, axis=1)[:, number - 1] + self._slack(block)
            kernels.nearest(block, self.vectors, estimates, self.prices, limits, lists[some], squares[some])
        return lists, squares

    @cached_property
    def _bias(self) -> np.ndarray:
        own = self.vectors.astype(np.float64)
        with _overflows():
            return (np.einsum("ij,ij->i", own, own) + self.prices).astype(np.float32)

    @cached_property
    def _longest(self) -> float:
        return max(_SMALL, float(np.sqrt(np.square(self.vectors, dtype=np.float64).sum(axis=1).max())))

    def _slack(self, vectors: np.ndarray) -> np.ndarray:
        """Return twice the most by which an estimate may be off: n terms, added in any order, lose n units."""
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        products = np.maximum(lengths, _SMALL).astype(np.float64) * self._longest
        units = (2 * vectors.shape[1] + 16) * products + 8 * float(np.abs(self._bias).max())
        return np.where(products < _LARGE, 2.04 * _UNIT * units, np.inf)


def _overflows() -> np.errstate:
    """Let float32 overflow: all centres are then in question."""
    return np.errstate(over="ignore", invalid="ignore")


def _blocks(vectors: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    for begin in range(0, len(vectors), BLOCK):
        some = slice(begin, begin + BLOCK)
        yield some, np.ascontiguousarray(vectors[some], np.float32)
