"""Find vectors whose cosine with other vectors is at least a threshold, exactly.

The other vectors are earlier vectors of the same batch, the leaders of earlier batches, or any given vectors. Results
are the same to the bit for any block size and any matrix library: products of the library only exclude pairs, and
`kernels` computes the cosines that decide.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.plugins.near_duplicates.kernels import cosines as kernels
from runtime.argument_types import require_part
from runtime.errors import InputError
from runtime.kernel_caches import scratch_folder
from runtime.storage.paths import room

FIRST_BLOCK_VECTORS = 64  # The vectors of a block are compared with each other. Blocks grow from this size on.
MAX_BLOCK_VECTORS = 1024
CHUNK_VECTORS = 4096  # the number of other vectors with which a block is compared at a time
LEADER_BYTES = 128 << 20  # If the leaders of a cluster take more, a file holds them.
_UNIT = 2.0**-24  # the rounding error of a float32


def require_cosine(name: str, value: float | None) -> None:
    """Raise a ParameterError unless a value is a cosine above 0, or None."""
    if value is not None:
        require_part(name, value, "a cosine", "0.95")


def require_vectors(kind: pa.DataType, name: str) -> None:
    """Raise an InputError, which calls the column `name`, unless a type is lists of floating-point numbers."""
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not (is_list and pa.types.is_floating(kind.value_type)):
        raise InputError(f"{name} has the type {kind}; expected embeddings as lists of floating-point numbers")


def usable_numbers(column: pa.Array, dimension: int, path: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the usable embeddings as float32[vector, dimension] (float64 if given so), and their row numbers.

    An embedding is not usable if it is null, contains a null, an infinity or NaN, or has only zeros. An embedding of
    another length raises an InputError, which names the file `path`.
    """
    lengths = pc.list_value_length(column)
    other = pc.not_equal(lengths, dimension).fill_null(False)
    if pc.any(other).as_py():
        wrong = lengths.filter(other)[0].as_py()
        raise InputError(
            f"{path}: an embedding has {wrong:,} numbers, and the first one has {dimension:,}; pass embeddings of one "
            "model"
        )
    rows = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    numbers = column.drop_null().flatten()
    if numbers.type == pa.float16():
        numbers = numbers.cast(pa.float32())
    vectors = numbers.fill_null(float("nan")).to_numpy(zero_copy_only=False).reshape(len(rows), dimension)
    usable = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)
    return vectors[usable], rows[usable]


def scaled(numbers: np.ndarray) -> np.ndarray:
    """Return float32[vector, dimension], each vector times the power of two that scales its largest number to 0.5-1.

    Therefore, squared lengths neither overflow nor underflow. Scaling float16 or float32 rounds only numbers that are
    too small to change a cosine.
    """
    _, exponents = np.frexp(np.abs(numbers).max(axis=1, initial=0.0))
    vectors = np.ldexp(numbers, -exponents[:, np.newaxis].astype(np.int32)).astype(np.float32)
    return vectors + np.float32(0)  # The sum turns -0.0 into 0.0.


def squares_of(vectors: np.ndarray) -> np.ndarray:
    """Return the squared length (float64) of each vector, float32[vector, dimension]."""
    out = np.empty(len(vectors))
    kernels.squares(vectors, out)
    return out


@dataclass(frozen=True)
class LeastCosine:
    """The least cosine at which vectors are near, and their `dimension`; all vectors are as `scaled` returns them."""

    dimension: int
    cosine: float

    def within(
        self, vectors: np.ndarray, squares: np.ndarray, candidates: tuple[np.ndarray, np.ndarray] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return, for each vector, the row (int64) of the first other near it, or -1, and their cosine (float64).

        `squares` has the squared lengths of `vectors`, and `candidates` has the others and their squared lengths. If
        `candidates` is None, the others of a vector are the vectors before it whose own result is -1.
        """
        others, of_others = candidates or (vectors, squares)
        # A sum of n products, in any order, is off by at most n rounding errors; 24 more cover the other steps.
        error = (self.dimension + 24) * _UNIT
        least = self.cosine - 1.1 * error if error < 0.05 else -np.inf
        first = np.empty(len(vectors), np.int64)
        cosines = np.ones(len(vectors))
        limits = (least * np.sqrt(squares)).astype(np.float32)
        lengths = np.sqrt(of_others).astype(np.float32)
        estimates = vectors @ others.T
        kernels.first_within(
            vectors, squares, others, of_others, estimates, limits, lengths, self.cosine, not candidates, first, cosines
        )
        return first, cosines

    def has_near(self, vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return a bool for each vector: whether any of `others` is near it."""
        out = np.zeros(len(vectors), bool)
        squares = squares_of(vectors)
        for begin in range(0, len(others), CHUNK_VECTORS):
            chunk = others[begin : begin + CHUNK_VECTORS]
            candidates = (chunk, squares_of(chunk))
            left = np.flatnonzero(~out)
            for rows in np.split(left, range(MAX_BLOCK_VECTORS, len(left), MAX_BLOCK_VECTORS)):
                first, _ = self.within(vectors[rows], squares[rows], candidates)
                out[rows] = first >= 0
        return out


class MeaningLeaders:
    """Finds the leaders among the vectors of a cluster, which are given batch by batch, in the order of comparison."""

    def __init__(self, dimension: int, cosine: float) -> None:
        self.number = 0
        self._cosine = LeastCosine(dimension, cosine)
        self._kept = _Kept(dimension)
        self._size = FIRST_BLOCK_VECTORS

    def of(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return, for each vector, the number (int64) of its leader, and its cosine (float64) with this leader.

        `vectors` is float32[vector, dimension], as `scaled` returns it. Leaders are numbered from 0 in their order. A
        leader has its own number, and a cosine of 1.
        """
        _, first, numbers = np.unique(
            vectors.view(f"V{vectors[:1].nbytes or 1}"), return_index=True, return_inverse=True
        )
        rows = np.sort(first)  # Of equal vectors, only the first is compared.
        leaders = np.empty(len(rows), np.int64)
        cosines = np.ones(len(rows))
        begin = 0
        while begin < len(rows):
            block = slice(begin, begin + self._size)
            leaders[block], cosines[block] = self._block(vectors[rows[block]])
            begin = begin + self._size
            self._size = min(2 * self._size, MAX_BLOCK_VECTORS)
        of_rows = np.searchsorted(rows, first[numbers.ravel()])
        return leaders[of_rows], np.minimum(cosines[of_rows], 1.0)

    def close(self) -> None:
        """Remove the file of leaders, if there is one."""
        self._kept.close()

    def _block(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        squares = squares_of(vectors)
        leaders = np.full(len(vectors), -1)
        cosines = np.ones(len(vectors))
        left = np.arange(len(vectors))
        begin = 0
        for others in self._kept.chunks():
            first, of_left = self._cosine.within(vectors[left], squares[left], others)
            leaders[left] = np.where(first < 0, -1, first + begin)
            cosines[left] = of_left
            left = left[first < 0]
            begin = begin + len(others[0])
            if not len(left):
                return leaders, cosines
        first, cosines[left] = self._cosine.within(vectors[left], squares[left])
        leads = first < 0
        numbers = self.number + np.cumsum(leads) - 1
        leaders[left] = np.where(leads, numbers, numbers[first])
        self.number += int(leads.sum())
        self._kept.add(vectors[left[leads]], squares[left[leads]])
        return leaders, cosines


class _Kept:
    """Vectors and their squared lengths, in chunks; if the vectors take more than LEADER_BYTES, a file holds them."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._squares = list[np.ndarray]()
        self._last = np.empty((0, dimension), np.float32)
        self._of_last = np.empty(0)
        self._chunks = tempfile.SpooledTemporaryFile(LEADER_BYTES, dir=str(scratch_folder()))

    def add(self, vectors: np.ndarray, squares: np.ndarray) -> None:
        """Append vectors and their squared lengths."""
        self._last = np.concatenate([self._last, vectors])
        self._of_last = np.concatenate([self._of_last, squares])
        while len(self._last) >= CHUNK_VECTORS:
            self._chunks.seek(0, 2)
            with room(scratch_folder()):
                self._chunks.write(self._last[:CHUNK_VECTORS].tobytes())
                self._chunks.flush()
            self._squares.append(self._of_last[:CHUNK_VECTORS].copy())
            self._last = self._last[CHUNK_VECTORS:].copy()
            self._of_last = self._of_last[CHUNK_VECTORS:].copy()

    def chunks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield all vectors, float32[vector, dimension], and squared lengths, chunk by chunk, in their order."""
        size = CHUNK_VECTORS * self._dimension * 4
        for number, squares in enumerate(self._squares):
            self._chunks.seek(number * size)
            yield np.frombuffer(self._chunks.read(size), np.float32).reshape(CHUNK_VECTORS, self._dimension), squares
        if len(self._last):
            yield self._last, self._of_last

    def close(self) -> None:
        """Remove the file."""
        self._chunks.close()
