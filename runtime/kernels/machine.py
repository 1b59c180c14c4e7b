"""Processor instructions that Numba does not expose: loading words from memory, bit masks, prefetching.

Bounds are never checked, not even under NUMBA_BOUNDSCHECK: the caller makes sure that all bytes exist. Plain Numba
reads one byte at a time, and tests each index for being negative. Ten words of English are seventy bytes; at a
nanosecond per byte, just reading them would take a sixth of the time allowed for a text.
"""

from inspect import signature

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

BYTE = ir.IntType(8)
HALF = ir.IntType(32)
WORD = ir.IntType(64)
_LINE = ir.VectorType(WORD, 8)
_IDS = ir.VectorType(HALF, 32)


def instruction(results, of=types.int64):
    """Return a decorator that turns a function that emits LLVM code into an instruction for kernels.

    The function takes LLVM's builder and the arguments of the kernel's call, each an int64 or the address of an array's
    first element. It returns `results` values of type `of`: nothing if `results` is 0, one value if it is 1, and a list
    otherwise.
    """
    result = {0: types.none, 1: of}.get(results) or types.UniTuple(of, results)

    def decorated(emit):
        def typed(typingctx, *arguments):
            kinds = [_kind(argument) for argument in arguments]

            def generate(context, builder, signature, args):
                values = emit(builder, *map(_value(context, builder), signature.args, args))
                if results == 0:
                    return context.get_dummy_value()
                return values if results == 1 else context.make_tuple(builder, signature.return_type, values)

            return result(*kinds), generate

        typed.__name__ = emit.__name__
        typed.__doc__ = emit.__doc__
        typed.__signature__ = signature(emit)
        return intrinsic(typed)

    return decorated


def pointer(context, builder, array_type, array, i, to):
    """Emit code for the address of array[i]; return this address, a pointer to the LLVM type `to`."""
    return at(builder, context.make_array(array_type)(context, builder, array).data, i, to)


def at(builder, data, i, to):
    """Return the address of data[i] as a pointer to the type `to`; `data` is an address, `i` may be a Python int."""
    index = ir.Constant(WORD, i) if isinstance(i, int) else i
    return builder.bitcast(builder.gep(data, [index]), to.as_pointer())


def _kind(argument):
    return argument if isinstance(argument, types.Array) else types.int64


def _value(context, builder):
    def value(kind, argument):
        return context.make_array(kind)(context, builder, argument).data if isinstance(kind, types.Array) else argument

    return value


@instruction(results=1)
def byte_at(builder, data, i):
    """Return data[i] of a byte array as int64; the index must be inside the array, as it is not checked."""
    return builder.zext(builder.load(at(builder, data, i, BYTE)), WORD)


@instruction(results=1)
def load_word(builder, data, i):
    """Return data[i:i + 8] of a byte array as one int64, the first byte lowest."""
    return builder.load(at(builder, data, i, WORD), align=1)


@instruction(results=1)
def half_word(builder, table, i, half):
    """Return, as int64, the 32-bit word with the index `half` in the int64 array `table`, counted from table[i] on."""
    begin = at(builder, table, i, HALF)
    return builder.zext(builder.load(builder.gep(begin, [half]), align=4), WORD)


@instruction(results=1)
def product(builder, a, b):
    """Return the lowest 64 bits of a * b; Numba's own product of int64 is undefined once it overflows."""
    return builder.mul(a, b)


@instruction(results=1)
def lowest(builder, count):
    """Return an int64 in which only the lowest `count` bits, 0 to 64, are set."""
    one = ir.Constant(WORD, 1)
    every = ir.Constant(WORD, -1)
    bits = builder.sub(builder.shl(one, count), one)
    return builder.select(builder.icmp_signed("<", count, ir.Constant(WORD, 64)), bits, every)


@instruction(results=1)
def without_lowest(builder, bits):
    """Return an int64 with its lowest set bit cleared."""
    return builder.and_(bits, builder.sub(bits, ir.Constant(WORD, 1)))


@instruction(results=1)
def trailing_zeros(builder, bits):
    """Return the index of the lowest set bit of an int64; 64 if no bit is set."""
    return builder.cttz(bits, cgutils.false_bit)


@instruction(results=1)
def leading_ones(builder, bits):
    """Return the number of consecutive set bits of an int64 from the highest bit down."""
    return builder.ctlz(builder.not_(bits), cgutils.false_bit)


@instruction(results=1)
def run_length(builder, bits, i):
    """Return the number of consecutive set bits of an int64 from bit `i` upwards."""
    return builder.cttz(builder.not_(builder.lshr(bits, i)), cgutils.false_bit)


@instruction(results=1)
def ones(builder, bits):
    """Return the number of set bits of an int64."""
    return builder.ctpop(bits)


@instruction(results=1)
def count_below(builder, ids, value, count):
    """Return how many of ids[:count] are below `value`; `ids` has at least 32 int32, and `count` is at most 32."""
    loaded = builder.load(at(builder, ids, 0, _IDS), align=4)
    below = builder.icmp_signed("<", loaded, every(builder, _IDS, builder.trunc(value, HALF)))
    bits = builder.zext(builder.bitcast(below, HALF), WORD)
    inside = builder.sub(builder.shl(ir.Constant(WORD, 1), count), ir.Constant(WORD, 1))
    return builder.ctpop(builder.and_(bits, inside))


@instruction(results=1)
def matches(builder, table, i, even, odd):
    """Return an int64 whose bit k, 0 to 7, is set if table[i + k] equals `even` for even k, or `odd` for odd k."""
    line = builder.load(at(builder, table, i, _LINE), align=8)
    pattern = ir.Constant(_LINE, ir.Undefined)
    for k in range(8):
        pattern = builder.insert_element(pattern, odd if k % 2 else even, ir.Constant(HALF, k))
    return builder.zext(builder.bitcast(builder.icmp_signed("==", line, pattern), BYTE), WORD)


@instruction(results=0)
def prefetch(builder, array, i):
    """Make the processor load the cache line of array[i] without waiting for it; the array has one dimension."""
    address = at(builder, array, i, BYTE)
    kind = ir.FunctionType(ir.VoidType(), [address.type, HALF, HALF, HALF])
    function = builder.module.declare_intrinsic("llvm.prefetch", [address.type], kind)
    builder.call(function, [address, *(ir.Constant(HALF, number) for number in (0, 3, 1))])


def every(builder, vector, value):
    """Return a vector of the type `vector` whose elements are all `value`, which is known only at run time."""
    nothing = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(HALF, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(HALF, vector.count), [0] * vector.count))
