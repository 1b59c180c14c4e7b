"""Add rows of a fastText model's input, dense or quantised, in the order of fastText: one row after the other, float32.

Bounds are not checked, not even under NUMBA_BOUNDSCHECK: the caller makes sure that all rows exist.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from runtime.kernels import inline
from runtime.kernels.machine import pointer, prefetch

LANES = 16  # numbers that are added at once; vectors are padded to a multiple

_BYTE, _NUMBER, _WORD, _FLOAT = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_CENTROIDS = 256


class Rows(NamedTuple):
    """A model's input: where each row is in the bytes of the file, and what the codes of a quantised one mean."""

    content: np.ndarray  # uint8: the file
    width: int  # numbers in a row
    dense: int  # where the numbers of the first row begin; -1: the input is quantised
    codes: int  # where the codes of the first row begin
    parts: int  # codes in a row
    part: int  # numbers that a code means, in the last part perhaps fewer
    centroids: np.ndarray  # float32 [256 * width]
    norm_codes: int  # where the code of the first norm begins; -1: no norms
    norms: np.ndarray  # float32 [256]


@intrinsic
def add_dense(typingctx, content, position, width, sums, i):
    """Add the `width` float32 in `content` from `position` on to sums[i]; return the sum of their squares."""

    def generate(context, builder, signature, args):
        content, position, width, sums, i = args
        row = pointer(context, builder, signature.args[0], content, position, _BYTE)
        target = _row(context, builder, signature.args[3], sums, i)
        squares = cgutils.alloca_once_value(builder, ir.Constant(_VECTOR, [0.0] * LANES))
        last = cgutils.alloca_once_value(builder, ir.Constant(_FLOAT, 0.0))
        whole = builder.and_(width, ir.Constant(_WORD, -LANES))
        with cgutils.for_range_slice(builder, _constant(0), whole, _constant(LANES)) as (k, _):
            value = _add(builder, row, target, k, _VECTOR)
            builder.store(builder.fadd(builder.load(squares), builder.fmul(value, value)), squares)
        with cgutils.for_range_slice(builder, whole, width, _constant(1)) as (k, _):
            value = _add(builder, row, target, k, _FLOAT)
            builder.store(builder.fadd(builder.load(last), builder.fmul(value, value)), last)
        return builder.fadd(builder.load(last), _total(builder, builder.load(squares)))

    return types.float32(content, types.int64, types.int64, sums, types.int64), generate


@intrinsic
def add_vector(typingctx, vectors, i, sums, k):
    """Add vectors[i] to sums[k], two arrays of rows of equal length, a multiple of LANES."""

    def generate(context, builder, signature, args):
        vectors, i, sums, k = args
        source = _row(context, builder, signature.args[0], vectors, i)
        target = _row(context, builder, signature.args[2], sums, k)
        width = cgutils.unpack_tuple(builder, context.make_array(signature.args[0])(context, builder, vectors).shape)[1]
        with cgutils.for_range_slice(builder, _constant(0), width, _constant(LANES)) as (at, _):
            _add(builder, source, target, at, _VECTOR)
        return context.get_dummy_value()

    return types.none(vectors, types.int64, sums, types.int64), generate


def _total(builder, lanes):
    """Return the sum of a vector's numbers, half by half."""
    half = LANES // 2
    while half:
        upper = ir.Constant(ir.VectorType(_NUMBER, LANES), [(lane + half) % LANES for lane in range(LANES)])
        lanes, half = builder.fadd(lanes, builder.shuffle_vector(lanes, lanes, upper)), half // 2
    return builder.extract_element(lanes, ir.Constant(_NUMBER, 0))


def _constant(value):
    return ir.Constant(_WORD, value)


def _row(context, builder, array_type, array, i):
    """Return the address of the first number of row i of a matrix."""
    matrix = context.make_array(array_type)(context, builder, array)
    width = cgutils.unpack_tuple(builder, matrix.shape)[1]
    return builder.bitcast(builder.gep(matrix.data, [builder.mul(i, width)]), _BYTE.as_pointer())


def _add(builder, row, target, k, kind):
    """Add the number or numbers at place k of a row to those of the target; return them."""
    offset = builder.mul(k, _constant(4))
    source, sink = (builder.bitcast(builder.gep(begin, [offset]), kind.as_pointer()) for begin in (row, target))
    value = builder.load(source, align=1)
    builder.store(builder.fadd(builder.load(sink, align=4), value), sink, align=4)
    return value


@inline
def prefetch_dense(rows, row):
    """Ask for the memory of a row, unless it is quantised, and go on without it."""
    if rows.dense >= 0:
        begin = rows.dense + 4 * rows.width * row
        for line in range(0, 4 * rows.width, 64):
            prefetch(rows.content, begin + line)


@inline
def add_row(rows, row, sums, i):
    """Add a row of the model to sums[i]; return the sum of its squares."""
    if rows.dense >= 0:
        return add_dense(rows.content, rows.dense + 4 * rows.width * row, rows.width, sums, i)
    norm = np.float32(1.0)
    if rows.norm_codes >= 0:
        norm = rows.norms[rows.content[rows.norm_codes + row]]
    squares, k = np.float32(0.0), 0
    for part in range(rows.parts):
        size = min(rows.part, rows.width - k)
        first = part * _CENTROIDS * rows.part + rows.content[rows.codes + row * rows.parts + part] * size
        for place in range(size):
            value = norm * rows.centroids[first + place]
            sums[i, k] += value
            squares += value * value
            k += 1
    return squares
