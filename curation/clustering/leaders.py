"""Choose the vectors of a cluster that stay: no two of them have a cosine of the threshold or more.

Vectors come in an order. A *leader* has no leader before it with at least that cosine; any other vector is a *copy* of
the first leader with it. DESIGN.md gives the reasons.

Results are the same to the bit, however vectors are cut into blocks and whichever matrix library multiplies them: its
products only narrow the choice of leaders, and `kernels.cosines` decides.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import numpy as np

from curation.kernels import cosines as kernels
from runtime.caches import cache_folder
from runtime.kernels.hashes import xxhash
from runtime.storage.paths import room

FIRST, BLOCK = 64, 1024  # vectors that are compared with each other: of the first block, of the largest
CHUNK = 4096  # leaders that a block is compared with at a time
HELD_BYTES = 128 << 20  # of leaders in memory; further ones wait in a file
_UNIT = 2.0**-24  # the rounding error of a float32


class Leaders:
    """The leaders among the vectors of a cluster, which come in blocks in their order."""

    def __init__(self, dimension: int, cosine: float) -> None:
        self.number = 0
        self._cosine, self._kept = cosine, _Kept(dimension)
        self._size = FIRST
        error = (dimension + 24) * _UNIT  # n products, added in any order, lose n units; then the limit is rounded
        self._least = cosine - 1.1 * error if error < 0.05 else -np.inf

    def of(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the number of the leader of each of float32[vector, dimension], `scaled`, int64, and both's cosine.

        Leaders have numbers from 0, in their order; a leader's own is that of itself, with a cosine of 1.
        """
        first, of_first = _distinct(vectors)
        leaders, cosines = np.empty(len(first), np.int64), np.ones(len(first))
        begin = 0
        while begin < len(first):
            some = slice(begin, begin + self._size)
            leaders[some], cosines[some] = self._block(vectors[first[some]])
            begin, self._size = begin + self._size, min(2 * self._size, BLOCK)
        return leaders[of_first], np.minimum(cosines[of_first], 1.0)

    def close(self) -> None:
        """Remove what waits in a file."""
        self._kept.close()

    def _block(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        squares = np.empty(len(vectors))
        kernels.squares(vectors, squares)
        leaders, cosines = np.full(len(vectors), -1), np.ones(len(vectors))
        left, begin = np.arange(len(vectors)), 0
        for others, of_others in self._kept.chunks():
            found, own = self._within(vectors[left], squares[left], others, of_others)
            leaders[left], cosines[left] = np.where(found < 0, -1, found + begin), own
            left, begin = left[found < 0], begin + len(others)
            if not len(left):
                return leaders, cosines
        found, cosines[left] = self._lead(vectors[left], squares[left])
        leads = found < 0
        numbers = self.number + np.cumsum(leads) - 1
        leaders[left] = np.where(leads, numbers, numbers[found])
        self.number += int(leads.sum())
        self._kept.add(vectors[left[leads]], squares[left[leads]])
        return leaders, cosines

    def _within(
        self, vectors: np.ndarray, squares: np.ndarray, others: np.ndarray, of_others: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        found, cosines = np.empty(len(vectors), np.int64), np.ones(len(vectors))
        limits, lengths = self._limits(squares), _lengths(of_others)
        estimates = vectors @ others.T
        kernels.first_within(
            vectors, squares, others, of_others, estimates, limits, lengths, self._cosine, found, cosines
        )
        return found, cosines

    def _lead(self, vectors: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found, cosines = np.empty(len(vectors), np.int64), np.ones(len(vectors))
        limits, estimates = self._limits(squares), vectors @ vectors.T
        kernels.lead(vectors, squares, estimates, limits, _lengths(squares), self._cosine, found, cosines)
        return found, cosines

    def _limits(self, squares: np.ndarray) -> np.ndarray:
        """Return what a product is at least, divided by the other's length, where the cosine may be the threshold."""
        return (self._least * np.sqrt(squares)).astype(np.float32)


class _Kept:
    """Vectors in chunks, the first of them in memory and further ones in a file, and the squares of their lengths."""

    def __init__(self, dimension: int) -> None:
        self._dimension, self._chunks, self._squares = dimension, list[np.ndarray](), list[np.ndarray]()
        self._last, self._of_last = np.empty((0, dimension), np.float32), np.empty(0)
        self._file = tempfile.SpooledTemporaryFile(1, dir=str(cache_folder()))

    def add(self, vectors: np.ndarray, squares: np.ndarray) -> None:
        """Keep vectors behind the others."""
        self._last = np.concatenate([self._last, vectors])
        self._of_last = np.concatenate([self._of_last, squares])
        while len(self._last) >= CHUNK:
            self._keep(self._last[:CHUNK])
            self._squares.append(self._of_last[:CHUNK].copy())
            self._last, self._of_last = self._last[CHUNK:].copy(), self._of_last[CHUNK:].copy()

    def _keep(self, chunk: np.ndarray) -> None:
        if (len(self._chunks) + 1) * chunk.nbytes <= HELD_BYTES:
            self._chunks.append(chunk.copy())
            return
        self._file.seek(0, 2)
        with room(cache_folder()):
            self._file.write(chunk.tobytes())
            self._file.flush()

    def chunks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield all vectors and squares in their order."""
        yield from zip(self._chunks, self._squares, strict=False)
        size = CHUNK * self._dimension * 4
        for number, squares in enumerate(self._squares[len(self._chunks) :]):
            self._file.seek(number * size)
            yield np.frombuffer(self._file.read(size), np.float32).reshape(CHUNK, self._dimension), squares
        if len(self._last):
            yield self._last, self._of_last

    def close(self) -> None:
        """Remove the file."""
        self._file.close()


def _lengths(squares: np.ndarray) -> np.ndarray:
    return np.sqrt(squares).astype(np.float32)


def _distinct(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first row of each different vector, in order, and for each row the place of its own among these.

    Where two that differ have one hash of 64 bits, the later ones all stand for themselves.
    """
    hashes, same = np.empty(len(vectors), np.uint64), np.empty(len(vectors), bool)
    offsets = np.arange(len(vectors) + 1) * (4 * vectors.shape[1])
    xxhash(vectors.reshape(-1).view(np.uint8), offsets, np.zeros(len(vectors), np.uint64), hashes)
    _, first, numbers = np.unique(hashes, return_index=True, return_inverse=True)
    of_rows = first[numbers]
    kernels.equal_to(vectors, of_rows, same)
    of_rows = np.where(same, of_rows, np.arange(len(vectors)))
    rows = np.unique(of_rows)
    return rows, np.searchsorted(rows, of_rows)
