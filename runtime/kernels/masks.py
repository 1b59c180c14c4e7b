"""Classify 64 bytes of a text at a time, one bit a byte. As in `machine`, nothing checks that the bytes exist."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

# First bytes of UTF-8 all of whose characters stay as they are in the normal form, wherever they stand.
PLAIN_LEADS = ((0xC3, 0xC3), (0xD0, 0xD1), (0xE4, 0xE9), (0xEB, 0xEC))

_WORD = ir.IntType(64)
_BYTES = ir.VectorType(ir.IntType(8), 64)


def pointer(context, builder, array_type, array, i, to):
    """Return the address of the i-th element of an array, as one of type `to`."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [i]), to.as_pointer())


def _splat(vector, value):
    return ir.Constant(vector, [value] * vector.count)


@intrinsic
def ascii_masks(typingctx, data, i):
    """Return three int64, of which bit k tells whether data[i + k] is a letter or digit, a mark, or no ASCII."""

    def generate(context, builder, signature, args):
        text = builder.load(pointer(context, builder, signature.args[0], *args, _BYTES), align=1)
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
def mask_of_leads(typingctx, data, i):
    """Return an int64 of which bit k tells whether data[i + k] begins a character whose like normalising may touch.

    Of the others, ASCII, letters from U+00C0 and U+0400, Han from U+4000 and Hangul syllables, it leaves all alone.
    """

    def generate(context, builder, signature, args):
        text = builder.load(pointer(context, builder, signature.args[0], *args, _BYTES), align=1)
        plain = _within(builder, text, 0x00, 0xBF)
        for low, high in PLAIN_LEADS:
            plain = builder.or_(plain, _within(builder, text, low, high))
        return builder.bitcast(builder.not_(plain), _WORD)

    return types.int64(data, types.int64), generate


@intrinsic
def triples(typingctx, data, i):
    """Return how many characters of three bytes of UTF-8 follow each other from data[i] on, within 63 bytes."""

    def generate(context, builder, signature, args):
        text = builder.load(pointer(context, builder, signature.args[0], *args, _BYTES), align=1)
        leads = builder.bitcast(_within(builder, text, 0xE0, 0xEF), _WORD)
        others = builder.bitcast(_within(builder, text, 0x80, 0xBF), _WORD)
        first = ir.Constant(_WORD, sum(1 << place for place in range(0, 63, 3)))
        wrong = builder.or_(builder.xor(leads, first), builder.xor(others, builder.not_(first)))
        wrong = builder.or_(wrong, ir.Constant(_WORD, 1 << 63))
        return builder.udiv(builder.cttz(wrong, cgutils.false_bit), ir.Constant(_WORD, 3))

    return types.int64(data, types.int64), generate


@intrinsic
def meta_masks(typingctx, data, i):
    """Return two int64, of which bit k tells whether data[i + k] ends a word under `meta`, or is a wrapped mark."""

    def generate(context, builder, signature, args):
        text = builder.load(pointer(context, builder, signature.args[0], *args, _BYTES), align=1)
        wrapped = _one_of(builder, text, b",.:;?!`")
        ends = builder.or_(wrapped, _one_of(builder, text, b" \t\n\r"))
        masks = [builder.bitcast(mask, _WORD) for mask in (ends, wrapped)]
        return context.make_tuple(builder, signature.return_type, masks)

    return types.UniTuple(types.int64, 2)(data, types.int64), generate


@intrinsic
def separator_mask(typingctx, data, i):
    """Return an int64 of which bit k tells whether data[i + k] separates words for fastText: 0, 9 to 13, 32."""

    def generate(context, builder, signature, args):
        text = builder.load(pointer(context, builder, signature.args[0], *args, _BYTES), align=1)
        return builder.bitcast(builder.or_(_within(builder, text, 9, 13), _one_of(builder, text, b"\0 ")), _WORD)

    return types.int64(data, types.int64), generate


def _within(builder, text, low, high):
    return builder.icmp_unsigned("<=", builder.sub(text, _splat(_BYTES, low)), _splat(_BYTES, high - low))


def _one_of(builder, text, characters):
    found = builder.icmp_unsigned("==", text, _splat(_BYTES, characters[0]))
    for character in characters[1:]:
        found = builder.or_(found, builder.icmp_unsigned("==", text, _splat(_BYTES, character)))
    return found
