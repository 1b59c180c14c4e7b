"""Multiply the vectors of many texts by the output matrix of a fastText model.

Each product is the sum of its terms one after the other, each rounded to float32, as fastText computes it: the
processor's vectors hold one term of many products, not many terms of one. So a product is the same to the bit
whatever texts stand beside it.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from curation.kernels.fasttext.rows import LANES, row_of
from runtime.kernels import lean
from runtime.kernels.machine import pointer

ABREAST = 4  # texts that are multiplied at once
BLOCK = 2 * LANES  # labels likewise; their products and those of the texts fit into the processor's registers

_NUMBER, _WORD, _FLOAT = ir.IntType(32), ir.IntType(64), ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)


@intrinsic
def multiply_block(typingctx, vectors, text, outputs, block, width, products):
    """Fill products[text:text + ABREAST, block * BLOCK:(block + 1) * BLOCK].

    `vectors` float32 [texts, padded width], `outputs` float32 [blocks, width, BLOCK], `products` float32 [texts,
    blocks * BLOCK].
    """

    def generate(context, builder, signature, args):
        vectors, text, outputs, block, width, products = args
        rows = [builder.add(text, ir.Constant(_WORD, t)) for t in range(ABREAST)]
        begins = [row_of(context, builder, signature.args[0], vectors, row)[0] for row in rows]
        size = builder.mul(width, ir.Constant(_WORD, BLOCK))
        weights = pointer(context, builder, signature.args[2], outputs, builder.mul(block, size), _FLOAT)
        zero = ir.Constant(_VECTOR, [0.0] * LANES)
        sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(BLOCK // LANES)] for _ in rows]
        with cgutils.for_range(builder, width) as loop:
            first = builder.mul(loop.index, ir.Constant(_WORD, BLOCK))
            columns = [_vector_at(builder, weights, first, part) for part in range(BLOCK // LANES)]
            columns = [builder.load(column, align=4) for column in columns]
            for begin, row_sums in zip(begins, sums, strict=True):
                number = _splat(builder, builder.load(builder.gep(begin, [loop.index])))
                for sum_, column in zip(row_sums, columns, strict=True):
                    term = builder.fmul(number, column)
                    builder.store(builder.fadd(builder.load(sum_), term), sum_)
        place = builder.mul(block, ir.Constant(_WORD, BLOCK))
        for row, row_sums in zip(rows, sums, strict=True):
            target, _ = row_of(context, builder, signature.args[5], products, row)
            for part, sum_ in enumerate(row_sums):
                builder.store(builder.load(sum_), _vector_at(builder, target, place, part), align=4)
        return context.get_dummy_value()

    return types.none(vectors, types.int64, outputs, types.int64, types.int64, products), generate


def _vector_at(builder, begin, i, part):
    """Return the address of the vector that is `part` vectors behind number i."""
    place = builder.add(i, ir.Constant(_WORD, part * LANES))
    return builder.bitcast(builder.gep(begin, [place]), _VECTOR.as_pointer())


def _splat(builder, number):
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), number, ir.Constant(_NUMBER, 0))
    lanes = ir.Constant(ir.VectorType(_NUMBER, LANES), [0] * LANES)
    return builder.shuffle_vector(one, one, lanes)


@lean
def multiply(vectors, count, outputs, scales, labels, products):
    """products[text, label] = the product of a text's vector and a label's, for the first `count` texts.

    `scales` float32 has a factor for each label, and 0 for those that fill up the last block; their products become
    minus infinity. `products` has room for a multiple of ABREAST texts.
    """
    blocks, width, _ = outputs.shape
    for block in range(blocks):
        for text in range(0, count, ABREAST):
            multiply_block(vectors, text, outputs, block, width, products)
    for text in range(count):
        for label in range(labels):
            products[text, label] *= scales[label]
        for label in range(labels, blocks * BLOCK):
            products[text, label] = -np.inf
