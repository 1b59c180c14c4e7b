"""Add and multiply rows of float32 in the processor's vectors, in the order of fastText: one row after the other.

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
WIDTH = LANES  # of the rows of a model of lid.176.ftz's shape

_BYTE, _ID, _NUMBER, _WORD, _FLOAT = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
CENTROIDS = 256  # of each part of a quantised row: a code is one byte


class Rows(NamedTuple):
    """A matrix as a model's file holds it: a float32 for each number, or codes of centroids."""

    rows: int
    width: int  # numbers in a row
    content: np.ndarray  # uint8: the bytes of all numbers, or the codes
    parts: int  # codes in a row; 0: the matrix is dense
    part: int  # numbers that a code means, in the last part perhaps fewer
    centroids: np.ndarray  # float32 [256 * width]
    norm_codes: np.ndarray  # uint8: for each row the code of the norm by which it is multiplied; empty: no norms
    norms: np.ndarray  # float32 [256]


@intrinsic
def add_rows(typingctx, rows, ids, first, last, total):
    """Add rows[id] to total[0:16] for each of ids[first:last], of uint16, one after the other."""

    def generate(context, builder, signature, args):
        rows_type, ids_type, _, _, total_type = signature.args
        rows, ids, first, last, total = args
        address = pointer(context, builder, total_type, total, _constant(0), _VECTOR)
        sum_ = cgutils.alloca_once_value(builder, builder.load(address, align=4))  # becomes a register
        with cgutils.for_range_slice(builder, first, last, _constant(1)) as (i, _):
            id_ = builder.load(pointer(context, builder, ids_type, ids, i, _ID))
            row, _ = row_of(context, builder, rows_type, rows, builder.zext(id_, _WORD))
            row = builder.bitcast(row, _VECTOR.as_pointer())
            builder.store(builder.fadd(builder.load(sum_), builder.load(row, align=4)), sum_)
        builder.store(builder.load(sum_), address, align=4)
        return context.get_dummy_value()

    return types.none(rows, ids, types.int64, types.int64, total), generate


@intrinsic
def dot(typingctx, rows, i, vector):
    """Return the product of rows[i] and a vector, both of 16 float32; the terms are added one after the other.

    Where `rows` are products already, of float32, it is the one at i - vector.
    """

    def look_up(context, builder, signature, args):
        rows, i, first = args
        return builder.load(pointer(context, builder, signature.args[0], rows, builder.sub(i, first), _FLOAT))

    def generate(context, builder, signature, args):
        places = (args[0], builder.mul(args[1], _constant(WIDTH))), (args[2], _constant(0))
        kinds = signature.args[0], signature.args[2]
        vectors = [pointer(context, builder, kind, *at, _VECTOR) for kind, at in zip(kinds, places, strict=True)]
        terms = builder.fmul(*(builder.load(vector, align=4) for vector in vectors))
        total = ir.Constant(_FLOAT, 0.0)
        for k in range(WIDTH):
            total = builder.fadd(total, builder.extract_element(terms, ir.Constant(_NUMBER, k)))
        return total

    if rows.ndim == 1:
        return types.float32(rows, types.int64, types.int64), look_up
    return types.float32(rows, types.int64, vector), generate


@intrinsic
def add_dense(typingctx, content, position, width, sums, i):
    """Add the `width` float32 in `content` from `position` on to sums[i]; return the sum of their squares."""

    def generate(context, builder, signature, args):
        content, position, width, sums, i = args
        row = pointer(context, builder, signature.args[0], content, position, _FLOAT)
        target, _ = row_of(context, builder, signature.args[3], sums, i)
        squares = cgutils.alloca_once_value(builder, ir.Constant(_VECTOR, [0.0] * LANES))
        last = cgutils.alloca_once_value(builder, ir.Constant(_FLOAT, 0.0))
        whole = builder.and_(width, _constant(-LANES))
        for begin, end, step, kind, sum_ in (
            (_constant(0), whole, LANES, _VECTOR, squares),
            (whole, width, 1, _FLOAT, last),
        ):
            with cgutils.for_range_slice(builder, begin, end, _constant(step)) as (k, _):
                source, sink = (builder.bitcast(builder.gep(each, [k]), kind.as_pointer()) for each in (row, target))
                value = builder.load(source, align=1)
                builder.store(builder.fadd(builder.load(sink, align=4), value), sink, align=4)
                builder.store(builder.fadd(builder.load(sum_), builder.fmul(value, value)), sum_)
        return builder.fadd(builder.load(last), _total(builder, builder.load(squares)))

    return types.float32(content, types.int64, types.int64, sums, types.int64), generate


def row_of(context, builder, array_type, array, i):
    """Return the address of the first number of row i of a matrix of float32, and the number of its columns."""
    columns = cgutils.unpack_tuple(builder, context.make_array(array_type)(context, builder, array).shape)[1]
    return pointer(context, builder, array_type, array, builder.mul(i, columns), _FLOAT), columns


def _total(builder, lanes):
    """Return the sum of a vector's numbers, half by half."""
    half = LANES // 2
    while half:
        upper = ir.Constant(ir.VectorType(_NUMBER, LANES), [(lane + half) % LANES for lane in range(LANES)])
        lanes, half = builder.fadd(lanes, builder.shuffle_vector(lanes, lanes, upper)), half // 2
    return builder.extract_element(lanes, ir.Constant(_NUMBER, 0))


def _constant(value):
    return ir.Constant(_WORD, value)


@inline
def prefetch_dense(rows, row):
    """Ask for the memory of a row, unless it is quantised, and go on without it."""
    if rows.parts == 0:
        begin = 4 * rows.width * row
        for line in range(0, 4 * rows.width, 64):
            prefetch(rows.content, begin + line)


@inline
def add_row(rows, row, sums, i):
    """Add a row of the model to sums[i]; return the sum of its squares."""
    if rows.parts == 0:
        return add_dense(rows.content, 4 * rows.width * row, rows.width, sums, i)
    norm = rows.norms[rows.norm_codes[row]] if len(rows.norm_codes) != 0 else np.float32(1.0)
    squares, k = np.float32(0.0), 0
    for part in range(rows.parts):
        size = min(rows.part, rows.width - k)
        first = part * CENTROIDS * rows.part + rows.content[row * rows.parts + part] * size
        for place in range(size):
            value = norm * rows.centroids[first + place]
            sums[i, k] += value
            squares += value * value
            k += 1
    return squares


@inline
def add_vector(vectors, i, sums, k):
    """Add vectors[i] to sums[k], two arrays of rows of equal length."""
    for place in range(vectors.shape[1]):
        sums[k, place] += vectors[i, place]
