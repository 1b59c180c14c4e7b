"""What the processor does in one instruction and Numba has no name for: words of memory, bit masks, prefetching.

None of it checks bounds, under NUMBA_BOUNDSCHECK neither: whoever calls sees to it that all bytes named are there.
Plain Numba reads a byte at a time, with a test for a negative index each; ten words of English are seventy bytes, and
at a nanosecond a byte they alone would take a sixth of the time that a text may take.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_BYTE, _WORD = ir.IntType(8), ir.IntType(64)
_BYTES = ir.VectorType(_BYTE, 64)
_IDS = ir.VectorType(ir.IntType(32), 16)


def _pointer(context, builder, array_type, array, i, to):
    """Return the address of the i-th element of an array, as one of type `to`."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [i]), to.as_pointer())


def _splat(vector, value):
    return ir.Constant(vector, [value] * vector.count)


@intrinsic
def load_word(typingctx, data, i):
    """Return data[i:i + 8] of a byte array as one int64, the first byte lowest."""

    def generate(context, builder, signature, args):
        return builder.load(_pointer(context, builder, signature.args[0], *args, _WORD), align=1)

    return types.int64(data, types.int64), generate


@intrinsic
def ascii_masks(typingctx, data, i):
    """Return three int64, of which bit k tells whether data[i + k] is a letter or digit, a mark, or no ASCII."""

    def generate(context, builder, signature, args):
        text = builder.load(_pointer(context, builder, signature.args[0], *args, _BYTES), align=1)
        word = builder.or_(
            _within(builder, builder.or_(text, _splat(_BYTES, 32)), ord("a"), ord("z")),
            _within(builder, text, ord("0"), ord("9")),
        )
        visible = _within(builder, text, 33, 126)
        mark = builder.and_(visible, builder.not_(word))
        high = _within(builder, text, 128, 255)
        masks = [builder.bitcast(mask, _WORD) for mask in (word, mark, high)]
        return context.make_tuple(builder, signature.return_type, masks)

    return types.UniTuple(types.int64, 3)(data, types.int64), generate


@intrinsic
def meta_masks(typingctx, data, i):
    """Return two int64, of which bit k tells whether data[i + k] ends a word under `meta`, or is a wrapped mark."""

    def generate(context, builder, signature, args):
        text = builder.load(_pointer(context, builder, signature.args[0], *args, _BYTES), align=1)
        wrapped = _one_of(builder, text, b",.:;?!`")
        ends = builder.or_(wrapped, _one_of(builder, text, b" \t\n\r"))
        masks = [builder.bitcast(mask, _WORD) for mask in (ends, wrapped)]
        return context.make_tuple(builder, signature.return_type, masks)

    return types.UniTuple(types.int64, 2)(data, types.int64), generate


def _within(builder, text, low, high):
    return builder.icmp_unsigned("<=", builder.sub(text, _splat(_BYTES, low)), _splat(_BYTES, high - low))


def _one_of(builder, text, characters):
    found = builder.icmp_unsigned("==", text, _splat(_BYTES, characters[0]))
    for character in characters[1:]:
        found = builder.or_(found, builder.icmp_unsigned("==", text, _splat(_BYTES, character)))
    return found


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
    """Return how many of ids[:count], an int32 array of at least 16 elements, are below `value`; `count` is up to 16."""

    def generate(context, builder, signature, args):
        start = ir.Constant(_WORD, 0)
        found = builder.load(_pointer(context, builder, signature.args[0], args[0], start, _IDS), align=4)
        one = builder.insert_element(ir.Constant(_IDS, ir.Undefined), args[1], ir.Constant(ir.IntType(32), 0))
        every = builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), 16), [0] * 16))
        below = builder.bitcast(builder.icmp_signed("<", found, every), ir.IntType(16))
        bits = builder.zext(below, _WORD)
        inside = builder.sub(builder.shl(ir.Constant(_WORD, 1), args[2]), ir.Constant(_WORD, 1))
        return builder.ctpop(builder.and_(bits, inside))

    return types.int64(ids, types.int32, types.int64), generate


@intrinsic
def prefetch(typingctx, array, i):
    """Ask for the cache line of array[i], of a one-dimensional array, and go on without it."""

    def generate(context, builder, signature, args):
        pointer = _pointer(context, builder, signature.args[0], *args, _BYTE)
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], kind)
        builder.call(function, [pointer, ir.Constant(number, 0), ir.Constant(number, 3), ir.Constant(number, 1)])
        return context.get_dummy_value()

    return types.none(array, types.int64), generate
