"""Instructions of the processor that Numba has no name for: words of memory, bit masks, prefetching.

None of it checks bounds, under NUMBA_BOUNDSCHECK neither: whoever calls sees to it that all bytes named are there.
Plain Numba reads a byte at a time, with a test for a negative index each; ten words of English are seventy bytes, and
at a nanosecond a byte they alone would take a sixth of the time that a text may take.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from runtime.kernels.masks import pointer

_BYTE, _WORD = ir.IntType(8), ir.IntType(64)
_LINE = ir.VectorType(_WORD, 8)
_IDS = ir.VectorType(ir.IntType(32), 32)


@intrinsic
def load_word(typingctx, data, i):
    """Return data[i:i + 8] of a byte array as one int64, the first byte lowest."""

    def generate(context, builder, signature, args):
        return builder.load(pointer(context, builder, signature.args[0], *args, _WORD), align=1)

    return types.int64(data, types.int64), generate


@intrinsic
def product(typingctx, a, b):
    """Return the lowest 64 bits of a * b. Numba's own product of int64 may be anything once it overflows."""

    def generate(context, builder, signature, args):
        return builder.mul(*args)

    return types.int64(types.int64, types.int64), generate


@intrinsic
def lowest(typingctx, count):
    """Return an int64 of which the lowest `count` bits, 0 to 64, are set."""

    def generate(context, builder, signature, args):
        one, every = ir.Constant(_WORD, 1), ir.Constant(_WORD, -1)
        bits = builder.sub(builder.shl(one, args[0]), one)
        return builder.select(builder.icmp_signed("<", args[0], ir.Constant(_WORD, 64)), bits, every)

    return types.int64(types.int64), generate


@intrinsic
def without_lowest(typingctx, bits):
    """Return an int64 without the lowest of the bits that are set in it."""

    def generate(context, builder, signature, args):
        return builder.and_(args[0], builder.sub(args[0], ir.Constant(_WORD, 1)))

    return types.int64(types.int64), generate


@intrinsic
def trailing_zeros(typingctx, bits):
    """Return the place of the lowest bit that is set in an int64; 64 where none is."""

    def generate(context, builder, signature, args):
        return builder.cttz(args[0], cgutils.false_bit)

    return types.int64(types.int64), generate


@intrinsic
def leading_ones(typingctx, bits):
    """Return the number of highest bits of an int64 that are all set."""

    def generate(context, builder, signature, args):
        return builder.ctlz(builder.not_(args[0]), cgutils.false_bit)

    return types.int64(types.int64), generate


@intrinsic
def run_length(typingctx, bits, i):
    """Return the number of bits of an int64, from bit i upwards, that are all set."""

    def generate(context, builder, signature, args):
        return builder.cttz(builder.not_(builder.lshr(*args)), cgutils.false_bit)

    return types.int64(types.int64, types.int64), generate


@intrinsic
def count_below(typingctx, ids, value, count):
    """Return how many of ids[:count], of at least 32 int32, are below `value`; `count` is up to 32."""

    def generate(context, builder, signature, args):
        first = ir.Constant(_WORD, 0)
        found = builder.load(pointer(context, builder, signature.args[0], args[0], first, _IDS), align=4)
        one = builder.insert_element(ir.Constant(_IDS, ir.Undefined), args[1], ir.Constant(ir.IntType(32), 0))
        every = builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), 32), [0] * 32))
        below = builder.bitcast(builder.icmp_signed("<", found, every), ir.IntType(32))
        bits = builder.zext(below, _WORD)
        inside = builder.sub(builder.shl(ir.Constant(_WORD, 1), args[2]), ir.Constant(_WORD, 1))
        return builder.ctpop(builder.and_(bits, inside))

    return types.int64(ids, types.int32, types.int64), generate


@intrinsic
def matches(typingctx, table, i, even, odd):
    """Return an int64 of which bit k tells, for k from 0 to 7, whether table[i + k] is `even`, or `odd` where k is."""

    def generate(context, builder, signature, args):
        line = builder.load(pointer(context, builder, signature.args[0], *args[:2], _LINE), align=8)
        wanted = ir.Constant(_LINE, ir.Undefined)
        for place in range(8):
            wanted = builder.insert_element(wanted, args[2 + place % 2], ir.Constant(ir.IntType(32), place))
        return builder.zext(builder.bitcast(builder.icmp_signed("==", line, wanted), _BYTE), _WORD)

    return types.int64(table, types.int64, types.int64, types.int64), generate


@intrinsic
def half_word(typingctx, table, i, half):
    """Return the 32 bits that come `half` times 32 bits behind the beginning of table[i], of an int64 array."""

    def generate(context, builder, signature, args):
        number = ir.IntType(32)
        begin = pointer(context, builder, signature.args[0], *args[:2], number)
        return builder.zext(builder.load(builder.gep(begin, [args[2]]), align=4), _WORD)

    return types.int64(table, types.int64, types.int64), generate


@intrinsic
def prefetch(typingctx, array, i):
    """Ask for the cache line of array[i], of a one-dimensional array, and go on without it."""

    def generate(context, builder, signature, args):
        address = pointer(context, builder, signature.args[0], *args, _BYTE)
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address.type, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [address.type], kind)
        builder.call(function, [address, ir.Constant(number, 0), ir.Constant(number, 3), ir.Constant(number, 1)])
        return context.get_dummy_value()

    return types.none(array, types.int64), generate


@intrinsic
def ones(typingctx, bits):
    """Return the number of bits that are set in an int64."""

    def generate(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.int64(types.int64), generate
