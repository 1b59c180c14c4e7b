"""Multiply the vectors of many texts by the output matrix of a fastText model.

Each product is the sum of its terms one after the other, each rounded to float32, as fastText computes it: the
processor's vectors hold one term of many products, not many terms of one. So a product is the same to the bit
whatever texts stand beside it.
"""

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from curation.kernels.fasttext.rows import FLOAT, LANES, VECTOR
from runtime.kernels import lean
from runtime.kernels.machine import WORD, at, every, instruction

ABREAST = 4  # texts that are multiplied at once
BLOCK = 2 * LANES  # labels likewise; their products and those of the texts fit into the processor's registers
_PARTS = BLOCK // LANES


@instruction(results=0)
def multiply_block(builder, vectors, text, stride, outputs, block, width, products, line):
    """Fill products[text:text + ABREAST, block * BLOCK:(block + 1) * BLOCK].

    `vectors` float32 [texts, stride], `outputs` float32 [blocks, width, BLOCK], `products` float32 [texts, line].
    """
    rows = [builder.add(text, ir.Constant(WORD, t)) for t in range(ABREAST)]
    begins = [at(builder, vectors, builder.mul(row, stride), FLOAT) for row in rows]
    weights = at(builder, outputs, builder.mul(block, builder.mul(width, ir.Constant(WORD, BLOCK))), FLOAT)
    zero = ir.Constant(VECTOR, [0.0] * LANES)
    sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(_PARTS)] for _ in rows]
    with cgutils.for_range(builder, width) as loop:
        first = at(builder, weights, builder.mul(loop.index, ir.Constant(WORD, BLOCK)), FLOAT)
        columns = [builder.load(at(builder, first, part * LANES, VECTOR), align=4) for part in range(_PARTS)]
        for begin, row_sums in zip(begins, sums, strict=True):
            number = every(builder, VECTOR, builder.load(at(builder, begin, loop.index, FLOAT)))
            for sum_, column in zip(row_sums, columns, strict=True):
                builder.store(builder.fadd(builder.load(sum_), builder.fmul(number, column)), sum_)
    place = builder.mul(block, ir.Constant(WORD, BLOCK))
    for row, row_sums in zip(rows, sums, strict=True):
        target = at(builder, products, builder.add(builder.mul(row, line), place), FLOAT)
        for part, sum_ in enumerate(row_sums):
            builder.store(builder.load(sum_), at(builder, target, part * LANES, VECTOR), align=4)


@lean
def multiply(vectors, count, outputs, scales, labels, products):
    """products[text, label] = the product of a text's vector and a label's, for the first `count` texts.

    `scales` float32 has a factor for each label, or is empty. The products of what fills up the last block become minus
    infinity. `products` has room for a multiple of ABREAST texts.
    """
    blocks, width, _ = outputs.shape
    for block in range(blocks):
        for text in range(0, count, ABREAST):
            multiply_block(vectors, text, vectors.shape[1], outputs, block, width, products, products.shape[1])
    for text in range(count):
        for label in range(labels if len(scales) != 0 else 0):
            products[text, label] *= scales[label]
        for label in range(labels, blocks * BLOCK):
            products[text, label] = -np.inf
