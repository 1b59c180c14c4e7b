"""Find a few bytes among many, 64 positions at a time."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from runtime.kernels import lean
from runtime.kernels.machine import load_word, lowest, trailing_zeros, without_lowest
from runtime.kernels.masks import pointer
from runtime.kernels.windows import WINDOW

_BYTE, _WORD = ir.IntType(8), ir.IntType(64)
_BYTES = ir.VectorType(_BYTE, WINDOW)


@lean
def find_bytes(data, begin, end, word, size):
    """Return the place in data[begin:end] of the first `size` bytes, 3 to 8, that are the lowest of `word`, or -1.

    SLACK bytes of `json_masks` follow data[:end].
    """
    for i in range(begin, end, WINDOW):
        places = places_of_two(data, i, word)
        while places != 0:
            place = i + trailing_zeros(places)
            if place + size > end:
                return -1
            if (load_word(data, place) ^ word) & lowest(8 * size) == 0:
                return place
            places = without_lowest(places)
    return -1


@intrinsic
def places_of_two(typingctx, data, i, word):
    """Return an int64 of which bit k tells whether data[i + k:i + k + 2] are the two lowest bytes of `word`."""
    return types.int64(data, types.int64, types.int64), _two(0)


@intrinsic
def places_of_letters(typingctx, data, i, word):
    """Return what `places_of_two` returns, for two small letters of which data may have capital ones, too."""
    return types.int64(data, types.int64, types.int64), _two(0x20)


def _two(added):
    """Return what generates the comparison of two bytes with those of data, to which bits are added before."""

    def generate(context, builder, signature, args):
        data, i, word = args

        def places_of(ahead):
            place = builder.add(i, ir.Constant(_WORD, ahead))
            bytes_ = builder.load(pointer(context, builder, signature.args[0], data, place, _BYTES), align=1)
            bytes_ = builder.or_(bytes_, ir.Constant(_BYTES, [added] * WINDOW))
            byte = builder.trunc(builder.lshr(word, ir.Constant(_WORD, 8 * ahead)), _BYTE)
            return builder.icmp_unsigned("==", bytes_, _splat(builder, byte))

        return builder.bitcast(builder.and_(places_of(0), places_of(1)), _WORD)

    return generate


def _splat(builder, byte):
    """Return a vector of one byte that is known at run time only."""
    nothing = ir.Constant(_BYTES, ir.Undefined)
    first = builder.insert_element(nothing, byte, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), WINDOW), [0] * WINDOW)
    return builder.shuffle_vector(first, nothing, zeros)
