"""Add rows of a fastText model, and multiply texts' vectors by its output matrix, in float32 and in fastText's order.

Rows are added one after the other. As in fastText, the terms of a product are also added one after the other, each
rounded to float32: a SIMD vector holds one term of many products, not many terms of one product. So a product is the
same to the bit, whichever other texts are in the batch.

Bounds are not checked, not even under NUMBA_BOUNDSCHECK: the caller makes sure that all rows exist.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from runtime.kernels import inline, lean
from runtime.kernels.machine import HALF, WORD, at, every, instruction, pointer, prefetch

LANES = 16  # This many numbers are added at once; vectors are padded to a multiple of LANES.
FLOAT = ir.FloatType()
VECTOR = ir.VectorType(FLOAT, LANES)
TEXTS_ABREAST = 4  # This many texts are multiplied at once.
LABEL_BLOCK = 2 * LANES  # This many labels are multiplied at once; the products of such a block fit into the registers.
_BLOCK_VECTORS = LABEL_BLOCK // LANES
CENTROIDS = 256  # Each part of a quantised row has this many centroids; a code is one byte.
_ID = ir.IntType(16)


class VectorRows(NamedTuple):
    """A matrix as a model's file holds it: dense, with a float32 per number, or quantised, with codes of centroids."""

    rows: int
    width: int  # numbers in a row
    content: np.ndarray  # uint8: the bytes of all numbers, or all codes
    parts: int  # codes in a row; 0: the matrix is dense
    part: int  # numbers that a code stands for; the last part may have fewer
    centroids: np.ndarray  # float32 [256 * width]
    norm_codes: np.ndarray  # uint8[row]: the code of the norm that multiplies the row; empty: no norms
    norms: np.ndarray  # float32 [256]


@instruction(results=0)
def add_rows(builder, rows, ids, first, last, total):
    """Add rows[id] to `total` for each id in ids[first:last] (uint16), one after the other.

    Each row and `total` have LANES numbers.
    """
    target = at(builder, total, 0, VECTOR)
    sum_ = cgutils.alloca_once_value(builder, builder.load(target, align=4))  # LLVM makes it a register.
    with cgutils.for_range_slice(builder, first, last, _constant(1)) as (k, _):
        id_ = builder.zext(builder.load(at(builder, ids, k, _ID)), WORD)
        row = at(builder, rows, builder.mul(id_, _constant(LANES)), VECTOR)
        builder.store(builder.fadd(builder.load(sum_), builder.load(row, align=4)), sum_)
    builder.store(builder.load(sum_), target, align=4)


@intrinsic
def dot(typingctx, rows, i, vector):
    """Return the product of rows[i] and a vector, both of LANES numbers; the terms are added one after the other.

    If `rows` has one dimension (float32), it already holds the products, and rows[i - vector] is returned.
    """

    def look_up(context, builder, signature, args):
        rows, i, first = args
        return builder.load(pointer(context, builder, signature.args[0], rows, builder.sub(i, first), FLOAT))

    def generate(context, builder, signature, args):
        row = pointer(context, builder, signature.args[0], args[0], builder.mul(args[1], _constant(LANES)), VECTOR)
        vector = pointer(context, builder, signature.args[2], args[2], 0, VECTOR)
        terms = builder.fmul(builder.load(row, align=4), builder.load(vector, align=4))
        total = ir.Constant(FLOAT, 0.0)
        for k in range(LANES):
            total = builder.fadd(total, builder.extract_element(terms, ir.Constant(HALF, k)))
        return total

    if rows.ndim == 1:
        return types.float32(rows, types.int64, types.int64), look_up
    return types.float32(rows, types.int64, vector), generate


@instruction(results=1, of=types.float32)
def add_dense(builder, content, position, width, sums, begin):
    """Add the `width` float32 of `content` from `position` on to sums[begin:begin + width].

    Return the sum of the squares of the numbers added.
    """
    row = at(builder, content, position, FLOAT)
    target = at(builder, sums, begin, FLOAT)
    squares = cgutils.alloca_once_value(builder, ir.Constant(VECTOR, [0.0] * LANES))
    last = cgutils.alloca_once_value(builder, ir.Constant(FLOAT, 0.0))
    whole = builder.and_(width, _constant(-LANES))
    by_vectors = (_constant(0), whole, LANES, VECTOR, squares)
    by_numbers = (whole, width, 1, FLOAT, last)
    for first, stop, step, kind, sum_ in (by_vectors, by_numbers):
        with cgutils.for_range_slice(builder, first, stop, _constant(step)) as (k, _):
            value = builder.load(at(builder, row, k, kind), align=1)
            sink = at(builder, target, k, kind)
            builder.store(builder.fadd(builder.load(sink, align=4), value), sink, align=4)
            builder.store(builder.fadd(builder.load(sum_), builder.fmul(value, value)), sum_)
    return builder.fadd(builder.load(last), _total(builder, builder.load(squares)))


def _total(builder, lanes):
    """Return the sum of a vector's numbers, by adding its halves until one number is left."""
    half = LANES // 2
    while half:
        upper = ir.Constant(ir.VectorType(HALF, LANES), [(lane + half) % LANES for lane in range(LANES)])
        lanes = builder.fadd(lanes, builder.shuffle_vector(lanes, lanes, upper))
        half = half // 2
    return builder.extract_element(lanes, ir.Constant(HALF, 0))


def _constant(value):
    return ir.Constant(WORD, value)


@inline
def prefetch_dense(rows, row):
    """Prefetch the memory of a row, unless the matrix is quantised."""
    if rows.parts == 0:
        begin = 4 * rows.width * row
        for line in range(0, 4 * rows.width, 64):
            prefetch(rows.content, begin + line)


@inline
def add_row(rows, row, sums, i):
    """Add a row of the model to sums[i]; return the sum of the squares of the row's numbers."""
    if rows.parts == 0:
        return add_dense(rows.content, 4 * rows.width * row, rows.width, sums, i * sums.shape[1])
    norm = rows.norms[rows.norm_codes[row]] if len(rows.norm_codes) != 0 else np.float32(1.0)
    squares = np.float32(0.0)
    k = 0
    for part in range(rows.parts):
        size = min(rows.part, rows.width - k)
        first = part * CENTROIDS * rows.part + rows.content[row * rows.parts + part] * size
        for number in range(size):
            value = norm * rows.centroids[first + number]
            sums[i, k] += value
            squares += value * value
            k += 1
    return squares


@inline
def add_vector(vectors, i, sums, k):
    """Add vectors[i] to sums[k]; the rows of both arrays have the same length."""
    for number in range(vectors.shape[1]):
        sums[k, number] += vectors[i, number]


@instruction(results=0)
def multiply_block(builder, vectors, text, stride, outputs, block, width, products, line):
    """Set the products of TEXTS_ABREAST texts, from `text` on, and the LABEL_BLOCK labels of a block.

    `vectors` float32 [texts, stride], `outputs` float32 [blocks, width, LABEL_BLOCK], `products` float32 [texts, line].
    """
    rows = [builder.add(text, ir.Constant(WORD, t)) for t in range(TEXTS_ABREAST)]
    begins = [at(builder, vectors, builder.mul(row, stride), FLOAT) for row in rows]
    weights = at(builder, outputs, builder.mul(block, builder.mul(width, ir.Constant(WORD, LABEL_BLOCK))), FLOAT)
    zero = ir.Constant(VECTOR, [0.0] * LANES)
    sums = []
    for _ in rows:
        sums.append([cgutils.alloca_once_value(builder, zero) for _ in range(_BLOCK_VECTORS)])
    with cgutils.for_range(builder, width) as loop:
        first = at(builder, weights, builder.mul(loop.index, ir.Constant(WORD, LABEL_BLOCK)), FLOAT)
        columns = [builder.load(at(builder, first, part * LANES, VECTOR), align=4) for part in range(_BLOCK_VECTORS)]
        for begin, row_sums in zip(begins, sums, strict=True):
            number = every(builder, VECTOR, builder.load(at(builder, begin, loop.index, FLOAT)))
            for sum_, column in zip(row_sums, columns, strict=True):
                builder.store(builder.fadd(builder.load(sum_), builder.fmul(number, column)), sum_)
    column = builder.mul(block, ir.Constant(WORD, LABEL_BLOCK))
    for row, row_sums in zip(rows, sums, strict=True):
        target = at(builder, products, builder.add(builder.mul(row, line), column), FLOAT)
        for part, sum_ in enumerate(row_sums):
            builder.store(builder.load(sum_), at(builder, target, part * LANES, VECTOR), align=4)


@lean
def multiply(vectors, count, outputs, scales, labels, products):
    """Set products[text, label] to the product of a text's vector and a label's row, for the first `count` texts.

    `scales` float32 has a factor for each label, or is empty. Columns that only fill up the last block become minus
    infinity. `products` must have room for a multiple of TEXTS_ABREAST texts.
    """
    blocks, width, _ = outputs.shape
    for block in range(blocks):
        for text in range(0, count, TEXTS_ABREAST):
            multiply_block(vectors, text, vectors.shape[1], outputs, block, width, products, products.shape[1])
    for text in range(count):
        for label in range(labels if len(scales) != 0 else 0):
            products[text, label] *= scales[label]
        for label in range(labels, blocks * LABEL_BLOCK):
            products[text, label] = -np.inf
